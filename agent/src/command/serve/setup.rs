//! What `agent serve` is made of, from its arguments.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_mcp::{Client, Credential, Endpoint, TransportChoice};
use serde_json::{Value, json};

use super::{Serve, ServeError};
use crate::filing::Tracker;
use crate::http::{Auth, Options, Rate, TokenReview};
use crate::investigation::Investigator;
use crate::journal::Journal;
use crate::ledger::{Ledger, Limits};
use crate::metrics::Metrics;
use crate::recording::Recordings;
use crate::report::Record;
use crate::routes::{Route, Routes};
use crate::settings::{plain, secret};
use crate::store::Store;
use crate::traces::Traces;

/// Any namespace.
const ANY: &str = "*";

/// How to reach a server, and as whom.
struct Server<'a> {
    name: String,
    url: Option<&'a str>,
    transport: TransportChoice,
    credential: Option<Credential>,
}

impl Serve {
    /// The journal, and what it brought back. Without a disk the service goes on in memory and says so.
    pub(super) fn journal(&self) -> (Journal, Vec<Record>) {
        let Some(dir) = &self.data else {
            tracing::warn!("no --data directory: reports do not survive a restart");
            return (Journal::in_memory(), Vec::new());
        };
        match Journal::open(dir) {
            Ok(opened) => opened,
            Err(error) => {
                let cause = tenant_kit::cause::innermost(&error);
                tracing::error!(%error, cause, "the journal cannot be written; reports are kept in memory only");
                (Journal::in_memory(), Journal::left(dir))
            }
        }
    }

    pub(super) fn investigator(&self, store: Arc<Store>) -> Result<Investigator, ServeError> {
        let metrics = Arc::new(Metrics::default());
        let openshift = Server {
            name: "openshift".to_owned(),
            url: self.openshift_url.as_deref(),
            transport: self.openshift_transport,
            credential: credential(self.openshift_token_file.as_ref(), "MCP_OPENSHIFT_TOKEN"),
        };
        let recordings = self.data.as_ref().and_then(|dir| {
            let made = Recordings::new(dir.join("evidence"));
            made.inspect_err(|error| tracing::warn!(%error, "evidence is not recorded")).ok()
        });
        Ok(Investigator {
            cluster: self.client(openshift, &metrics)?,
            routes: self.routes(&metrics)?,
            advisor: self.model.advisor().map_err(ServeError::Model)?,
            ledger: Ledger::new(Limits { namespace_hour: self.tokens_per_hour, day: self.tokens_per_day }),
            recordings,
            metrics,
            ..Investigator::new(store)
        })
    }

    /// Traces, if somebody collects them. Has to be called in a runtime.
    pub fn traces(&self) -> Result<Option<Traces>, ServeError> {
        let Some(endpoint) = self.otlp_endpoint.as_deref().filter(|e| !e.trim().is_empty()) else {
            return Ok(None);
        };
        let service = plain("OTEL_SERVICE_NAME").unwrap_or_else(|| "pipeline-agent".to_owned());
        Traces::to(endpoint.trim(), service, self.http(None)?).map(Some).map_err(ServeError::Traces)
    }

    /// A client with an HTTP client of its own: credentials and connections are never shared.
    fn client(&self, server: Server<'_>, metrics: &Arc<Metrics>) -> Result<Option<Client>, ServeError> {
        let Server { name, url, transport, credential } = server;
        let Some(url) = url.filter(|u| !u.trim().is_empty()) else {
            tracing::warn!(server = name, "no address is configured");
            return Ok(None);
        };
        let endpoint = Endpoint::new(name.as_str(), url, transport)
            .map_err(|reason| ServeError::Address { server: name, reason })?
            .with_credential(credential);
        let client = Client::new(endpoint, self.http(None)?);
        Ok(Some(client.observed(Arc::<Metrics>::clone(metrics))))
    }

    /// Without a time-out of its own: deadlines belong to the calls.
    fn http(&self, roots: Option<PathBuf>) -> Result<reqwest::Client, ServeError> {
        let mut settings = tenant_kit::http::ClientSettings::new(crate::USER_AGENT);
        settings.extra_roots = roots.or_else(|| self.model.ca_bundle.clone());
        settings.timeout = None;
        tenant_kit::http::client(&settings).map_err(ServeError::Http)
    }

    /// The default tracker and those of single namespaces. Namespaces of one repository, reached in the same
    /// way, share a tracker: it is what keeps them from writing one issue twice.
    fn routes(&self, metrics: &Arc<Metrics>) -> Result<Routes, ServeError> {
        let listed = self.listed_routes()?;
        if self.dry_run {
            return Ok(Routes::default());
        }
        let (owner, repo) = self.repository();
        let default = self.client(
            Server {
                name: "gitea".to_owned(),
                url: self.gitea_url.as_deref(),
                transport: self.gitea_transport,
                credential: credential(self.gitea_token_file.as_ref(), "MCP_GITEA_TOKEN"),
            },
            metrics,
        )?;
        let mut routes = Routes::to(default.map(|client| Tracker::new(client, owner, repo)));
        let mut made: Vec<(&Route, Arc<Tracker>)> = Vec::new();
        for route in &listed {
            let same = |other: &Route| {
                (&other.repository, &other.gitea_url, &other.gitea_token_file)
                    == (&route.repository, &route.gitea_url, &route.gitea_token_file)
            };
            if let Some((_, tracker)) = made.iter().find(|(other, _)| same(other)) {
                routes = routes.with(&route.namespace, Arc::clone(tracker));
                continue;
            }
            let server = Server {
                name: format!("gitea-{}", route.namespace),
                url: route.gitea_url.as_deref().or(self.gitea_url.as_deref()),
                transport: self.gitea_transport,
                credential: route.gitea_token_file.clone().map(Credential::File),
            };
            let (Some(client), Some((owner, repo))) = (self.client(server, metrics)?, route.target()) else {
                continue;
            };
            let tracker = Arc::new(Tracker::new(client, owner.to_owned(), repo.to_owned()));
            routes = routes.with(&route.namespace, Arc::clone(&tracker));
            made.push((route, tracker));
        }
        Ok(routes)
    }

    fn listed_routes(&self) -> Result<Vec<Route>, ServeError> {
        match &self.routes {
            Some(path) => Route::read(path).map_err(ServeError::Routes),
            None => Ok(Vec::new()),
        }
    }

    /// Owner and repository: the program's own names win over those of older documents.
    fn repository(&self) -> (String, String) {
        let older = |names: &[&str]| names.iter().find_map(|n| plain(n));
        let named = |own: &Option<String>, names: &[&str], default: &str| {
            let (own, older) = (own.clone().filter(|o| !o.is_empty()), older(names));
            if let (Some(own), Some(older)) = (&own, &older)
                && own != older
            {
                tracing::warn!(used = %own, ignored = %older, "two variables name the issue target differently");
            }
            own.or(older).unwrap_or_else(|| default.to_owned())
        };
        (
            named(&self.owner, &["MCP_GITEA_OWNER", "GITEA_OWNER"], "user1"),
            named(&self.repo, &["GITEA_REPO"], "mcp"),
        )
    }

    /// Who may report, and how much.
    pub(super) fn options(&self) -> Result<Options, ServeError> {
        let auth = Auth::new(secret("AGENT_TOKEN"), secret("AGENT_SIGNING_KEY")).with_review(self.review()?);
        if auth.is_open() && !self.allow_anonymous {
            return Err(ServeError::Open);
        }
        let namespaces = self.reported()?;
        let shown = self.shown(&auth, &namespaces)?;
        Ok(Options {
            open_pages: self.open_pages || auth.is_open(),
            auth,
            namespaces,
            wait: Duration::from_secs(self.wait),
            queue: self.queue,
            rate: Rate { namespace: self.rate, total: self.rate * 10.0, burst: 10.0 },
            shown,
        })
    }

    fn review(&self) -> Result<Option<TokenReview>, ServeError> {
        let Some(audience) = self.token_audience.clone().filter(|a| !a.is_empty()) else { return Ok(None) };
        let roots = Some(self.service_account.join("ca.crt")).filter(|file| file.exists());
        let own = self.service_account.join("token");
        Ok(Some(TokenReview::new(self.http(roots)?, &self.api_server, own, audience)))
    }

    /// Namespaces that may be reported; empty is any.
    fn reported(&self) -> Result<Vec<String>, ServeError> {
        let named = |names: &[String]| -> Vec<_> {
            names.iter().map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect()
        };
        let mut namespaces = named(&self.namespaces);
        if namespaces.iter().any(|name| name == ANY) {
            return Ok(Vec::new());
        }
        namespaces.extend(self.listed_routes()?.into_iter().map(|route| route.namespace));
        if namespaces.is_empty() {
            namespaces.extend(self.own_namespace.clone().filter(|own| !own.trim().is_empty()));
        }
        // On loopback only this machine can report, as when somebody tries the agent out.
        if namespaces.is_empty() && !IpAddr::is_loopback(&self.bind) {
            return Err(ServeError::NoNamespace);
        }
        Ok(namespaces)
    }

    /// The configuration for `/config`: addresses without credentials, secrets only as set or not.
    fn shown(&self, auth: &Auth, namespaces: &[String]) -> Result<Value, ServeError> {
        let address = |url: &Option<String>| {
            let url = reqwest::Url::parse(url.as_deref()?).ok()?;
            Some(format!("{}://{}{}", url.scheme(), url.authority().rsplit('@').next()?, url.path()))
        };
        let routes: Vec<_> = self
            .listed_routes()?
            .iter()
            .map(|r| json!({"namespace": r.namespace, "repository": r.repository, "gitea_url": address(&r.gitea_url)}))
            .collect();
        let authentication =
            if auth.is_open() { json!("none: cluster-internal use only") } else { json!(auth.schemes()) };
        Ok(json!({
            "openshift": {"url": address(&self.openshift_url), "transport": format!("{:?}", self.openshift_transport)},
            "gitea": {"url": address(&self.gitea_url), "transport": format!("{:?}", self.gitea_transport),
                "repository": <[String; 2]>::from(self.repository()).join("/")},
            "model": {"url": address(&self.model.model_url), "names": self.model.models},
            "routes": routes,
            "authentication": authentication,
            "open_pages": self.open_pages || auth.is_open(),
            "namespaces": if namespaces.is_empty() { json!("any") } else { json!(namespaces) },
            "data": self.data,
            "dry_run": self.dry_run,
            "limits": {"queue": self.queue, "rate": self.rate, "wait_seconds": self.wait,
                "tokens_per_hour": self.tokens_per_hour, "tokens_per_day": self.tokens_per_day},
        }))
    }
}

fn credential(file: Option<&PathBuf>, name: &str) -> Option<Credential> {
    file.cloned().map(Credential::File).or_else(|| secret(name).map(Credential::Token))
}
