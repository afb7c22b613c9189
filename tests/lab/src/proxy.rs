//! A proxy between a program and every service of a lab, which spoils requests on demand.
//!
//! It listens where the API server, the router and LiteLLM would, with certificates of its own, and numbers the
//! requests of all three in the order of their arrival, from 1. [`Rule`]s say which of them are spoiled and how;
//! all others pass, watches included. It is made from a lab's [`State`] alone and hands out a state of the same
//! shape, so that a program is pointed at it as it is pointed at a lab.
//!
//! It has a thread and an async runtime of its own: whoever starts it may block while the program runs.

mod exchange;
mod front;
mod rule;
mod spoil;
#[cfg(test)]
mod tests;
mod upstream;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{exchange::Journal, front::Front, upstream::Upstream};
pub use self::{
    exchange::{Exchange, Service},
    rule::{Rule, Which},
    spoil::{ParseSpoil, Spoil},
};
use crate::{files::private, pki::Pki, state::State};

/// A running proxy. Dropping it ends it, and every connection through it.
pub struct Proxy {
    state: State,
    vars_file: PathBuf,
    journal: Arc<Journal>,
    shutdown: CancellationToken,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Proxy {
    /// Starts a proxy before the lab of that state. Blocks for some milliseconds.
    ///
    /// # Errors
    /// When the lab's certificates cannot be read, or nothing can be listened on.
    pub fn start(lab: &State, rules: Vec<Rule>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("tenant-proxy-").tempdir()?;
        let pki = Pki::new(&lab.domain).context("make the proxy's certificates")?;
        let ca = folder.path().join("ca.crt");
        private(&ca, &pki.ca).context("write the proxy's authority")?;

        let journal = Arc::new(Journal::new(rules));
        let fronts = Fronts::new(lab, &journal)?;
        let shutdown = CancellationToken::new();
        let (report, listening) = mpsc::channel();
        let until = shutdown.clone();
        let thread = thread::Builder::new()
            .name("proxy".into())
            .spawn(move || live(fronts, &pki, &report, &until))
            .context("start the proxy's thread")?;
        let addresses = listening.recv().context("the proxy's thread ended early")??;

        let state = addresses.before(lab, folder.path(), ca).context("write the proxy's kubeconfig")?;
        let vars_file = folder.path().join("vars.json");
        private(&vars_file, Value::Object(state.vars()).to_string()).context("write the variables")?;
        Ok(Self { state, vars_file, journal, shutdown, thread: Some(thread), _folder: folder })
    }

    /// The lab as it is seen through the proxy.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The environment of a command that is to go through the proxy.
    pub fn env(&self) -> Vec<(String, String)> {
        self.state.env()
    }

    /// The platform's share of an order's variables.
    pub fn vars(&self) -> Map<String, Value> {
        self.state.vars()
    }

    /// A file with these variables, in JSON.
    pub fn vars_file(&self) -> &Path {
        &self.vars_file
    }

    /// Every request so far, in the order of arrival.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.journal.exchanges()
    }

    /// The same as lines, for messages.
    pub fn account(&self) -> String {
        self.exchanges().iter().map(|exchange| exchange.to_string() + "\n").collect()
    }

    /// Turns into the number of the request at which a rule wants the client killed, once it is time: the server
    /// has acted, or never will. From then on nothing is passed on or answered.
    pub fn killing(&self) -> watch::Receiver<Option<u64>> {
        self.journal.killing()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed by then, and there is nobody to hand it to.
            let _ = thread.join();
        }
    }
}

/// What answers at each listener. A cluster with a router of its own is reached without us.
struct Fronts {
    kubernetes: Front,
    router: Option<Front>,
    litellm: Front,
}

impl Fronts {
    fn new(lab: &State, journal: &Arc<Journal>) -> anyhow::Result<Self> {
        let front = |upstream| Front::new(upstream, Arc::clone(journal));
        let kubernetes = Upstream::fixed(&lab.api_url, lab.api_ca.as_deref(), Service::Kubernetes);
        let litellm = Upstream::fixed(&lab.litellm_url, None, Service::Litellm);
        let router = lab.router.map(|router| Upstream::routed(router, &lab.router_ca)).transpose();
        Ok(Self {
            kubernetes: front(kubernetes.context("reach the API server")?),
            router: router.context("reach the router")?.map(front),
            litellm: front(litellm.context("reach LiteLLM")?),
        })
    }

    async fn serve(self, pki: &Pki, shutdown: &CancellationToken) -> anyhow::Result<Addresses> {
        let router = match self.router {
            Some(front) => Some(front.serve(Some(&pki.router), shutdown).await?),
            None => None,
        };
        Ok(Addresses {
            kubernetes: self.kubernetes.serve(Some(&pki.apiserver), shutdown).await?,
            router,
            litellm: self.litellm.serve(None, shutdown).await?,
        })
    }
}

/// Where the proxy listens.
struct Addresses {
    kubernetes: SocketAddr,
    router: Option<SocketAddr>,
    litellm: SocketAddr,
}

impl Addresses {
    /// The lab's state with the proxy's addresses and authority in place of its own.
    fn before(&self, lab: &State, folder: &Path, ca: PathBuf) -> io::Result<State> {
        let api_url = format!("https://{}", self.kubernetes);
        let kubeconfig = folder.join("kubeconfig");
        private(&kubeconfig, kubeconfig_of(&api_url, &ca, &lab.token).to_string())?;
        Ok(State {
            api_url,
            kubeconfig,
            api_ca: Some(ca.clone()),
            router: self.router,
            router_ca: if self.router.is_some() { ca } else { lab.router_ca.clone() },
            litellm_url: format!("http://{}", self.litellm),
            ..lab.clone()
        })
    }
}

/// JSON is YAML. The way in is the deployer's token: client certificates do not pass a proxy.
fn kubeconfig_of(server: &str, ca: &Path, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxy",
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        "clusters": [{"name": "proxy", "cluster": {"server": server, "certificate-authority": ca}}],
        "users": [{"name": "proxy", "user": {"token": token}}],
    })
}

/// The proxy's thread: its whole life.
fn live(
    fronts: Fronts,
    pki: &Pki,
    report: &mpsc::Sender<anyhow::Result<Addresses>>,
    shutdown: &CancellationToken,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(report.send(Err(error.into()))),
    };
    runtime.block_on(async {
        let listening = fronts.serve(pki, shutdown).await;
        let failed = listening.is_err();
        // Nobody waiting any more is as good as being told to stop.
        if report.send(listening).is_ok() && !failed {
            shutdown.cancelled().await;
        }
    });
    runtime.shutdown_background();
}
