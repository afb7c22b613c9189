//! What the lab runs for real, built from Go modules once and cached by content.
//!
//! The sources of the three modules in `go/` are compiled into this program, so the lab builds the same
//! thing wherever it is started from. Facts about building them: lab reference, section 2.

pub mod cache;
pub mod crds;
pub mod golang;
pub mod keycloak;
pub mod openshift_mcp;
pub mod programs;
pub mod progress;
pub(crate) mod tool;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cache::{Cache, Key};
use golang::{GoBuild, Toolchain};
use progress::Progress;
use serde::{Deserialize, Serialize};

use crate::{directories::Directories, files::copy_folder};

const CONTROL_PLANE: [(&str, &str); 4] = [
    ("go.mod", include_str!("../go/controlplane/go.mod")),
    ("go.sum", include_str!("../go/controlplane/go.sum")),
    ("main.go", include_str!("../go/controlplane/main.go")),
    ("namespaces.go", include_str!("../go/controlplane/namespaces.go")),
];
const GITEA: [(&str, &str); 2] =
    [("go.mod", include_str!("../go/gitea/go.mod")), ("go.sum", include_str!("../go/gitea/go.sum"))];

/// An unset version string breaks clients that parse it.
const KUBERNETES_FLAGS: [&str; 2] = [
    "-ldflags",
    "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 \
     -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34 \
     -X k8s.io/client-go/pkg/version.gitVersion=v1.34.4 \
     -X k8s.io/client-go/pkg/version.gitMajor=1 -X k8s.io/client-go/pkg/version.gitMinor=34",
];
const GITEA_FLAGS: [&str; 4] =
    ["-tags", "sqlite sqlite_unlock_notify", "-ldflags", "-s -w -X main.Version=1.26.0"];

/// Everything that is built, ready to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parts {
    /// etcd, kube-apiserver and kube-controller-manager: the first argument says which.
    pub control_plane: PathBuf,
    /// The Gitea server.
    pub gitea: PathBuf,
    /// Gitea's templates, locales and licences: its `STATIC_ROOT_PATH`.
    pub gitea_static: PathBuf,
    /// `CustomResourceDefinition`s as JSON, see [`crds`].
    pub crds: PathBuf,
    /// Where what is prepared from these parts is cached, too.
    pub cache: Cache,
    /// Distinguishes this control plane from another, for what is prepared from it.
    #[serde(skip)]
    pub control_plane_key: Key,
    /// Distinguishes this Gitea from another, for what is prepared from it.
    #[serde(skip)]
    pub gitea_key: Key,
}

/// Builds what is missing.
///
/// # Errors
/// When a tool is missing, a build fails or the cache cannot be written.
pub async fn ensure(directories: &Directories, progress: Progress) -> Result<Parts, BuildError> {
    let toolchain = Toolchain::find().await?;
    golang::require("git", "git", "Gitea needs it: apt-get install git").await?;
    let cache = Cache::new(directories.builds());

    let control_plane_key = key(&toolchain, &CONTROL_PLANE, &KUBERNETES_FLAGS);
    let control_plane = cache
        .entry("control-plane", &control_plane_key, progress, async |partial| {
            let module = sources(partial, &CONTROL_PLANE)?;
            let output = partial.join("controlplane");
            let build = GoBuild {
                module: &module,
                package: ".",
                flags: &KUBERNETES_FLAGS,
                cgo: true,
                output: &output,
            };
            build.run("etcd, kube-apiserver and kube-controller-manager", progress).await
        })
        .await?;

    let gitea_key = key(&toolchain, &GITEA, &GITEA_FLAGS);
    let gitea = cache
        .entry("gitea", &gitea_key, progress, async |partial| {
            let module = sources(partial, &GITEA)?;
            let output = partial.join("gitea");
            let package = "code.gitea.io/gitea";
            let build = GoBuild { module: &module, package, flags: &GITEA_FLAGS, cgo: true, output: &output };
            build.run("Gitea", progress).await?;
            for source in golang::download(&module, &[pinned(GITEA[0].1, package)?]).await? {
                for folder in ["options", "public", "templates"] {
                    copy_folder(&source.join(folder), &partial.join("static").join(folder))
                        .map_err(|source| BuildError::Cache { path: partial.to_owned(), source })?;
                }
            }
            Ok(())
        })
        .await?;

    Ok(Parts {
        control_plane: control_plane.join("controlplane"),
        gitea: gitea.join("gitea"),
        gitea_static: gitea.join("static"),
        crds: crds::ensure(&cache, progress).await?,
        cache,
        control_plane_key,
        gitea_key,
    })
}

fn key(toolchain: &Toolchain, sources: &[(&str, &str)], flags: &[&str]) -> Key {
    let key = Key::default().with("toolchain", toolchain.identity()).with("flags", flags.join("\n"));
    sources.iter().fold(key, |key, (name, content)| key.with(name, content))
}

/// Writes the sources of a module into `partial` and returns their folder.
fn sources(partial: &Path, files: &[(&str, &str)]) -> Result<PathBuf, BuildError> {
    let module = partial.join("module");
    fs::create_dir_all(&module)
        .and_then(|()| files.iter().try_for_each(|(name, content)| fs::write(module.join(name), content)))
        .map_err(|source| BuildError::Cache { path: module.clone(), source })?;
    Ok(module)
}

/// `path@version` as a go.mod requires it.
fn pinned(go_mod: &str, path: &str) -> Result<String, BuildError> {
    go_mod
        .lines()
        .find_map(|line| {
            let mut words = line.split_ascii_whitespace().skip_while(|word| *word == "require");
            (words.next() == Some(path)).then(|| words.next())?
        })
        .map(|version| format!("{path}@{version}"))
        .ok_or_else(|| BuildError::NotPinned { module: path.to_owned() })
}

/// Why something could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There can be no node here.
    #[error(transparent)]
    Node(#[from] crate::node::Impossible),
    /// A tool is not installed.
    #[error("{program} was not found: {hint}")]
    Missing {
        /// What.
        program: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A tool cannot be started or waited for.
    #[error("run the build of {what}")]
    Start {
        /// What was to be built.
        what: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A build ended with an error.
    #[error("the build of {what} failed; its output ends with:\n{output}")]
    Failed {
        /// What was built.
        what: &'static str,
        /// Its last lines.
        output: String,
    },
    /// A go.mod of the lab does not name a module.
    #[error("the lab's go.mod does not require {module}")]
    NotPinned {
        /// The module path.
        module: String,
    },
    /// The cache cannot be read or written.
    #[error("use the build cache at {}", path.display())]
    Cache {
        /// Where.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A manifest in a module is not what it was.
    #[error("read the manifest {}: {reason}", path.display())]
    Manifest {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_go_mod() {
        let go_mod = "module m\nrequire a.test/x v1.0.0\nrequire (\n\ta.test/y v2.0.0 // indirect\n)\n";
        assert_eq!(pinned(go_mod, "a.test/x").unwrap(), "a.test/x@v1.0.0");
        assert_eq!(pinned(go_mod, "a.test/y").unwrap(), "a.test/y@v2.0.0");
        assert!(pinned(go_mod, "a.test/z").is_err());
        assert!(pinned(GITEA[0].1, "code.gitea.io/gitea").is_ok());
    }
}
