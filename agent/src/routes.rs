//! Which namespace's failures go to which repository. Fixed by configuration: neither a report, nor a log, nor
//! a model can choose another.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use crate::filing::Tracker;

/// One line of the file of routes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Namespace of the runs.
    pub namespace: String,
    /// `owner/repository` of the issues.
    pub repository: String,
    /// Address of the Gitea MCP server; the default one where it is missing.
    #[serde(default)]
    pub gitea_url: Option<String>,
    /// File with the bearer token for that server; none is sent where it is missing.
    #[serde(default)]
    pub gitea_token_file: Option<PathBuf>,
}

/// Why the file of routes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// It cannot be read.
    #[error("read the routes in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It is no list of routes.
    #[error("{} is no list of routes (namespace, repository, gitea_url, gitea_token_file): {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A repository without owner, or a namespace twice.
    #[error("the route of namespace {namespace:?} in {}: {reason}", path.display())]
    Route {
        /// The file.
        path: PathBuf,
        /// Whose.
        namespace: String,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Route {
    /// The routes in a YAML file, checked.
    pub fn read(path: &std::path::Path) -> Result<Vec<Self>, RouteError> {
        let named = || path.to_owned();
        let text =
            std::fs::read_to_string(path).map_err(|source| RouteError::Read { path: named(), source })?;
        let routes: Vec<Self> = tenant_kit::yaml::from_str(&text)
            .map_err(|error| RouteError::Format { path: named(), reason: error.to_string() })?;
        let wrong = |route: &Self, reason| RouteError::Route {
            path: named(),
            namespace: route.namespace.clone(),
            reason,
        };
        for (index, route) in routes.iter().enumerate() {
            if route.namespace.trim().is_empty() {
                return Err(wrong(route, "a route needs a namespace"));
            }
            if route.target().is_none() {
                return Err(wrong(route, "the repository is written owner/name"));
            }
            if routes[..index].iter().any(|other| other.namespace == route.namespace) {
                return Err(wrong(route, "there is another one"));
            }
        }
        Ok(routes)
    }

    /// Owner and name of the repository.
    pub fn target(&self) -> Option<(&str, &str)> {
        let (owner, name) = self.repository.split_once('/')?;
        (!owner.is_empty() && !name.is_empty() && !name.contains('/')).then_some((owner, name))
    }
}

/// Trackers by namespace.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    default: Option<Arc<Tracker>>,
    of: BTreeMap<String, Arc<Tracker>>,
}

impl Routes {
    /// Everything goes to one tracker, or nowhere.
    pub fn to(default: Option<Tracker>) -> Self {
        Self { default: default.map(Arc::new), of: BTreeMap::new() }
    }

    /// The failures of a namespace go to a tracker of their own.
    #[must_use]
    pub fn with(mut self, namespace: impl Into<String>, tracker: Arc<Tracker>) -> Self {
        self.of.insert(namespace.into(), tracker);
        self
    }

    /// Where a namespace's failures go.
    pub fn tracker(&self, namespace: &str) -> Option<&Tracker> {
        self.of.get(namespace).or(self.default.as_ref()).map(AsRef::as_ref)
    }

    /// The default tracker, and the namespaces with one of their own.
    pub fn all(&self) -> impl Iterator<Item = (Option<&str>, &Tracker)> {
        let default = self.default.iter().map(|tracker| (None, tracker.as_ref()));
        default.chain(self.of.iter().map(|(namespace, tracker)| (Some(namespace.as_str()), tracker.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Route>, String> {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), text).expect("written");
        Route::read(file.path()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_file_of_routes_is_read_and_what_is_wrong_with_it_is_said() {
        let routes = read(
            "- {namespace: agent-user1, repository: user1/mcp}\n- namespace: agent-user2\n  repository: user2/mcp\n  gitea_token_file: /etc/agent/user2\n",
        );
        let routes = routes.expect("good");
        assert_eq!(routes[0].target(), Some(("user1", "mcp")));
        assert_eq!(routes[1].gitea_token_file.as_deref(), Some(std::path::Path::new("/etc/agent/user2")));
        for (bad, says) in [
            ("- {namespace: n, repository: mcp}", "owner/name"),
            ("- {namespace: n, repository: a/b/c}", "owner/name"),
            ("- {namespace: '', repository: a/b}", "needs a namespace"),
            ("- {namespace: n, repository: a/b}\n- {namespace: n, repository: a/c}", "there is another one"),
            ("- {namespace: n, repository: a/b, token: x}", "unknown field"),
            ("namespace: n", "no list of routes"),
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
