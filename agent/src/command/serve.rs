//! `agent serve`: the service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_mcp::{Client, Credential, Endpoint, TransportChoice};
use clap::Args;
use serde_json::{Value, json};

use super::model::{ModelArguments, ModelSetupError};
use crate::filing::Tracker;
use crate::http::{Auth, Options, Rate, Service};
use crate::investigation::Investigator;
use crate::journal::Journal;
use crate::ledger::{Ledger, Limits};
use crate::metrics::Metrics;
use crate::settings::{plain, secret};
use crate::store::Store;

/// Time running investigations get after SIGTERM; what is not finished resumes on the next start.
const DRAIN: Duration = Duration::from_secs(25);

/// Arguments of `agent serve`. Every one can come from the environment, under the names existing
/// deployments use.
#[derive(Args, Debug)]
pub struct Serve {
    /// Address to listen on.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    pub bind: IpAddr,
    /// Port to listen on; 0 takes a free one and logs it.
    #[arg(long, env = "PORT", default_value_t = 8000)]
    pub port: u16,
    /// OpenShift (Kubernetes) MCP server.
    #[arg(long, value_name = "URL", env = "MCP_OPENSHIFT_URL")]
    pub openshift_url: Option<String>,
    /// Its transport: auto, streamable-http or sse.
    #[arg(long, value_name = "NAME", env = "MCP_OPENSHIFT_TRANSPORT", default_value = "auto")]
    pub openshift_transport: TransportChoice,
    /// File with a bearer token for it, if it wants one (`MCP_OPENSHIFT_TOKEN` works too). The server
    /// takes it as the Kubernetes identity.
    #[arg(long, value_name = "FILE", env = "MCP_OPENSHIFT_TOKEN_FILE")]
    pub openshift_token_file: Option<PathBuf>,
    /// Gitea MCP server.
    #[arg(long, value_name = "URL", env = "MCP_GITEA_URL")]
    pub gitea_url: Option<String>,
    /// Its transport: auto, streamable-http or sse.
    #[arg(long, value_name = "NAME", env = "MCP_GITEA_TRANSPORT", default_value = "auto")]
    pub gitea_transport: TransportChoice,
    /// File with a bearer token for it (`MCP_GITEA_TOKEN` works too).
    #[arg(long, value_name = "FILE", env = "MCP_GITEA_TOKEN_FILE")]
    pub gitea_token_file: Option<PathBuf>,
    /// Owner of the repository issues go to.
    ///
    /// `MCP_GITEA_OWNER` and `GITEA_OWNER`, the names in older documents, are read too. [default: user1]
    #[arg(long, value_name = "NAME", env = "MCP_GITEA_USER")]
    pub owner: Option<String>,
    /// Repository issues go to; `GITEA_REPO` is read too. [default: mcp]
    #[arg(long, value_name = "NAME", env = "MCP_GITEA_REPO")]
    pub repo: Option<String>,
    /// Directory for journal and recordings; without one, reports do not survive a restart.
    #[arg(long, value_name = "DIR", env = "AGENT_DATA_DIR")]
    pub data: Option<PathBuf>,
    /// Namespaces that may be reported, comma-separated; without any, the pod's own namespace.
    #[arg(long, value_name = "NAMES", env = "AGENT_NAMESPACES", value_delimiter = ',')]
    pub namespaces: Vec<String>,
    /// Namespace of this pod.
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    pub own_namespace: Option<String>,
    /// Accept reports from anybody who can reach the port. For cluster-internal use behind a
    /// `NetworkPolicy` only; otherwise set `AGENT_TOKEN` or `AGENT_SIGNING_KEY` (or their `_FILE` forms).
    #[arg(long, env = "AGENT_ALLOW_ANONYMOUS")]
    pub allow_anonymous: bool,
    /// Seconds a caller waits for the outcome before it is told that it is pending.
    #[arg(long, value_name = "SECONDS", default_value_t = 110)]
    pub wait: u64,
    /// Reports that may be unfinished at once.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub queue: usize,
    /// Reports a second from one namespace; all together may be ten times as many.
    #[arg(long, value_name = "N", default_value_t = 5.0)]
    pub rate: f64,
    /// Model tokens a namespace may cost an hour.
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    pub tokens_per_hour: u64,
    /// Model tokens altogether a day.
    #[arg(long, value_name = "N", default_value_t = 3_000_000)]
    pub tokens_per_day: u64,
    /// Diagnose, but write no issues.
    #[arg(long, env = "DRY_RUN")]
    pub dry_run: bool,
    /// Log level or filter.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Nobody could be told apart.
    #[error("no AGENT_TOKEN or AGENT_SIGNING_KEY is set: set one, or allow everybody with --allow-anonymous")]
    Open,
    /// A server's address is wrong.
    #[error("the address of the {server} MCP server: {reason}")]
    Address {
        /// Which.
        server: &'static str,
        /// Why.
        reason: String,
    },
    /// The HTTP client cannot be built.
    #[error("set up the HTTP client")]
    Http(#[source] tenant_kit::http::ClientError),
    /// The model cannot be set up.
    #[error("set up the model")]
    Model(#[source] ModelSetupError),
    /// The port is taken, or the address is not ours.
    #[error("listen on {address}")]
    Listen {
        /// Address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The server stopped by itself.
    #[error("serve")]
    Serve(#[source] std::io::Error),
}

impl Serve {
    /// Run until SIGTERM or SIGINT, then drain.
    pub async fn run(&self) -> Result<(), ServeError> {
        let auth = Auth::new(secret("AGENT_TOKEN"), secret("AGENT_SIGNING_KEY"));
        if auth.is_open() && !self.allow_anonymous {
            return Err(ServeError::Open);
        }
        let (journal, records) = self.journal();
        let (store, open) = Store::new(journal, records);
        let investigator = Arc::new(self.investigator(Arc::new(store))?);
        let service = Service::new(self.options(auth), investigator);
        let address = SocketAddr::new(self.bind, self.port);
        let listen = |source| ServeError::Listen { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        tracing::info!(%address, resumed = open.len(), "serving");
        for id in open {
            service.start(id);
        }
        let serving = axum::serve(listener, service.router());
        let stopped = tokio::select! {
            result = serving => result.map_err(ServeError::Serve),
            () = asked_to_stop() => Ok(()),
        };
        service.tasks.close();
        if tokio::time::timeout(DRAIN, service.tasks.wait()).await.is_err() {
            tracing::warn!("unfinished reports resume on the next start");
        }
        stopped
    }

    fn journal(&self) -> (Journal, Vec<crate::report::Record>) {
        let Some(dir) = &self.data else {
            tracing::warn!("no --data directory: reports do not survive a restart");
            return (Journal::in_memory(), Vec::new());
        };
        match Journal::open(dir) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(%error, "the journal cannot be opened; reports are kept in memory only");
                (Journal::in_memory(), Vec::new())
            }
        }
    }

    fn investigator(&self, store: Arc<Store>) -> Result<Investigator, ServeError> {
        let cluster = self.client(
            "openshift",
            self.openshift_url.as_deref(),
            self.openshift_transport,
            credential(self.openshift_token_file.as_ref(), "MCP_OPENSHIFT_TOKEN"),
        )?;
        let tracker = self.client(
            "gitea",
            self.gitea_url.as_deref().filter(|_| !self.dry_run),
            self.gitea_transport,
            credential(self.gitea_token_file.as_ref(), "MCP_GITEA_TOKEN"),
        )?;
        let recordings = self.data.as_ref().map(|d| d.join("evidence"));
        let recordings = recordings.filter(|d| std::fs::create_dir_all(d).is_ok());
        Ok(Investigator {
            store,
            cluster,
            tracker: tracker.map(|c| {
                let (owner, repo) = self.repository();
                Tracker::new(c, owner, repo)
            }),
            advisor: self.model.advisor().map_err(ServeError::Model)?,
            ledger: Ledger::new(Limits { namespace_hour: self.tokens_per_hour, day: self.tokens_per_day }),
            recordings,
            metrics: Arc::new(Metrics::default()),
            room: Investigator::room(),
        })
    }

    /// A client with an HTTP client of its own: credentials and connections are never shared.
    fn client(
        &self,
        name: &'static str,
        url: Option<&str>,
        transport: TransportChoice,
        credential: Option<Credential>,
    ) -> Result<Option<Client>, ServeError> {
        let Some(url) = url.filter(|u| !u.trim().is_empty()) else {
            tracing::warn!(server = name, "no address is configured");
            return Ok(None);
        };
        let mut settings = tenant_kit::http::ClientSettings::new(crate::USER_AGENT);
        settings.extra_roots.clone_from(&self.model.ca_bundle);
        settings.timeout = None;
        let http = tenant_kit::http::client(&settings).map_err(ServeError::Http)?;
        let endpoint = Endpoint::new(name, url, transport)
            .map_err(|reason| ServeError::Address { server: name, reason })?
            .with_credential(credential);
        Ok(Some(Client::new(endpoint, http)))
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

    fn options(&self, auth: Auth) -> Options {
        let mut namespaces: Vec<_> = self.namespaces.iter().filter(|n| !n.is_empty()).cloned().collect();
        if namespaces.is_empty() {
            namespaces.extend(self.own_namespace.clone());
        }
        if namespaces.is_empty() {
            tracing::warn!(
                "no namespaces are configured: any namespace the MCP server can read may be reported"
            );
        }
        let shown = self.shown(&auth, &namespaces);
        Options {
            auth,
            namespaces,
            wait: Duration::from_secs(self.wait),
            queue: self.queue,
            rate: Rate { namespace: self.rate, total: self.rate * 10.0, burst: 10.0 },
            shown,
        }
    }

    /// The configuration for `/config`: addresses without credentials, secrets only as set or not.
    fn shown(&self, auth: &Auth, namespaces: &[String]) -> Value {
        let address = |url: &Option<String>| {
            let url = reqwest::Url::parse(url.as_deref()?).ok()?;
            Some(format!("{}://{}{}", url.scheme(), url.authority().rsplit('@').next()?, url.path()))
        };
        json!({
            "openshift": {"url": address(&self.openshift_url), "transport": format!("{:?}", self.openshift_transport)},
            "gitea": {"url": address(&self.gitea_url), "transport": format!("{:?}", self.gitea_transport),
                "repository": <[String; 2]>::from(self.repository()).join("/")},
            "model": {"url": address(&self.model.model_url), "names": self.model.models},
            "authentication": if auth.is_open() { "none: cluster-internal use only" } else { "required" },
            "namespaces": namespaces,
            "data": self.data,
            "dry_run": self.dry_run,
            "limits": {"queue": self.queue, "rate": self.rate, "wait_seconds": self.wait,
                "tokens_per_hour": self.tokens_per_hour, "tokens_per_day": self.tokens_per_day},
        })
    }
}

fn credential(file: Option<&PathBuf>, name: &str) -> Option<Credential> {
    file.cloned().map(Credential::File).or_else(|| secret(name).map(Credential::Token))
}

async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut stream) => drop(stream.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
