//! `agent serve`: the service.

mod setup;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_mcp::TransportChoice;
use clap::Args;

use super::model::{ModelArguments, ModelSetupError};
use crate::http::{Service, server};
use crate::journal::Durability;
use crate::routes::RouteError;
use crate::store::Store;
use crate::traces::TracesError;

/// Time running investigations get after SIGTERM; what is not finished resumes on the next start.
const DRAIN: Duration = Duration::from_secs(17);
/// Time answers get after that. With the last traces it makes 25 s; a pod is given 30 s by default.
const LAST_WORDS: Duration = Duration::from_secs(3);

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
    /// YAML file of namespaces whose issues go elsewhere: a list of `namespace`, `repository` (owner/name) and,
    /// where they differ, `gitea_url` and `gitea_token_file`.
    #[arg(long, value_name = "FILE", env = "AGENT_ROUTES_FILE")]
    pub routes: Option<PathBuf>,
    /// Directory for journal and recordings; without one, reports do not survive a restart.
    #[arg(long, value_name = "DIR", env = "AGENT_DATA_DIR")]
    pub data: Option<PathBuf>,
    /// Namespaces that may be reported, comma-separated, besides those of `--routes`; `*` is any. Without any,
    /// the pod's own namespace.
    #[arg(long, value_name = "NAMES", env = "AGENT_NAMESPACES", value_delimiter = ',')]
    pub namespaces: Vec<String>,
    /// Namespace of this pod.
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    pub own_namespace: Option<String>,
    /// Accept reports from anybody who can reach the port. For cluster-internal use behind a
    /// `NetworkPolicy` only; otherwise set `AGENT_TOKEN` or `AGENT_SIGNING_KEY` (or their `_FILE` forms).
    #[arg(long, env = "AGENT_ALLOW_ANONYMOUS")]
    pub allow_anonymous: bool,
    /// Let service accounts report for their own namespace, with a token made for this audience. The agent's
    /// own account has to be allowed to create token reviews (`system:auth-delegator`).
    #[arg(long, value_name = "AUDIENCE", env = "AGENT_TOKEN_AUDIENCE")]
    pub token_audience: Option<String>,
    /// API server that reviews tokens.
    #[arg(long, value_name = "URL", default_value = "https://kubernetes.default.svc")]
    pub api_server: String,
    /// Directory with `token` and `ca.crt` of the agent's own service account.
    #[arg(long, value_name = "DIR", default_value = "/var/run/secrets/kubernetes.io/serviceaccount")]
    pub service_account: PathBuf,
    /// Show reports to everybody who can reach the port, also where reporting needs a token. Otherwise
    /// browsers ask for a password, which is the token.
    #[arg(long, env = "AGENT_OPEN_PAGES")]
    pub open_pages: bool,
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
    /// Send traces to this OpenTelemetry collector, over HTTP (`http://collector:4318`); none without it.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
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
    #[error(
        "no AGENT_TOKEN, AGENT_SIGNING_KEY or AGENT_TOKEN_AUDIENCE is set: set one, or allow everybody with --allow-anonymous"
    )]
    Open,
    /// Nobody said whose failures.
    #[error(
        "no namespace may be reported: set POD_NAMESPACE to the pod's own, or name them with --namespaces (`*` is any)"
    )]
    NoNamespace,
    /// Traces cannot be sent.
    #[error("set up traces")]
    Traces(#[source] TracesError),
    /// The routes cannot be used.
    #[error("set up the routes")]
    Routes(#[source] RouteError),
    /// A server's address is wrong.
    #[error("the address of the {server} MCP server: {reason}")]
    Address {
        /// Which.
        server: String,
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
}

impl Serve {
    /// Run until SIGTERM or SIGINT, then drain.
    pub async fn run(&self) -> Result<(), ServeError> {
        let options = self.options()?;
        let (journal, records) = self.journal();
        let (store, open) = Store::new(journal, records);
        let store = Arc::new(store);
        let investigator = Arc::new(self.investigator(Arc::clone(&store))?);
        let stop = investigator.stop.clone();
        let service = Service::new(options, investigator);
        let address = SocketAddr::new(self.bind, self.port);
        let listen = |source| ServeError::Listen { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        tracing::info!(%address, resumed = open.len(), "serving");
        for id in open {
            service.start(id);
        }
        let ended = tokio_util::sync::CancellationToken::new();
        let ending = ended.clone().cancelled_owned();
        let serving = tokio::spawn(server::serve(listener, service.router(), ending));
        asked_to_stop().await;
        tracing::info!("stopping: no new connections, reports under way end or wait for the next start");
        ended.cancel();
        stop.cancel();
        service.tasks.close();
        if tokio::time::timeout(DRAIN, service.tasks.wait()).await.is_err() {
            tracing::warn!("some investigations do not end in time");
        }
        service.closing.cancel();
        if tokio::time::timeout(LAST_WORDS, serving).await.is_err() {
            tracing::warn!("some callers do not read their answers");
        }
        tell_what_is_left(&store).await;
        Ok(())
    }
}

/// Unfinished reports resume where there is a journal, and are lost where there is none.
async fn tell_what_is_left(store: &Store) {
    let left: Vec<_> =
        store.newest(usize::MAX).into_iter().filter(|record| !record.outcome.is_final()).collect();
    let mut lost = Vec::new();
    for record in &left {
        if store.journal().append(record).await == Durability::Memory {
            lost.push(record.id.as_str());
        }
    }
    if !lost.is_empty() {
        tracing::error!(reports = lost.join(","), "these reports are lost: they are on no disk");
    } else if !left.is_empty() {
        tracing::info!(reports = left.len(), "unfinished reports resume on the next start");
    }
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
