//! The real control plane: etcd, kube-apiserver and kube-controller-manager on loopback ports.
//!
//! Flags and facts: lab reference, section 3. Without a node ([`crate::node`]) there is no scheduler either. One controller of the
//! controller manager is replaced by a more impatient one around the same code, because it never looks
//! at a deleted namespace before five seconds have passed: see `go/controlplane/namespaces.go`.

pub mod prepared;

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::Engine as _;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde_json::{Value, json};
use tenant_kit::http::ClientSettings;

use crate::{
    files::{private, tail},
    node::machine::Machine,
    pki::{Identity, Pki},
    polling, ports,
    processes::{Processes, Program},
};

/// A cold machine needs a few seconds; past this something is wrong.
const START_LIMIT: Duration = Duration::from_mins(1);

/// The component names, as in `lab status` and `lab logs`.
pub const ETCD: &str = "etcd";
/// See [`ETCD`].
pub const API_SERVER: &str = "kube-apiserver";
/// See [`ETCD`].
pub const CONTROLLER_MANAGER: &str = "kube-controller-manager";
/// See [`ETCD`].
pub const NAMESPACE_DELETER: &str = "namespace-deleter";

/// A running API server with its store.
pub struct ControlPlane {
    /// Where the API server listens, `https://127.0.0.1:PORT`.
    pub url: String,
    /// A kubeconfig with a client certificate of `system:masters`.
    pub kubeconfig: PathBuf,
    /// The authority to trust, PEM.
    pub ca: PathBuf,
    /// A client of that kubeconfig.
    pub client: kube::Client,
    files: Files,
}

impl ControlPlane {
    /// Starts etcd and the API server with their data below `directory`, where a prepared store may lie
    /// already; returns when the API server is ready. `additional` are flags of the API server beside the lab's.
    ///
    /// # Errors
    /// When a program cannot be started, ends early or does not become ready within a minute.
    pub async fn start(
        binary: &Path,
        directory: &Path,
        pki: &Pki,
        processes: &Arc<Processes>,
        additional: &[(&str, OsString)],
    ) -> Result<Self, ControlPlaneError> {
        let programs = Programs { binary, directory, place: Place::Host(processes) };
        let files = Files::write(directory, pki).map_err(ControlPlaneError::Files)?;
        let port = || ports::free().map_err(ControlPlaneError::Port);
        let (etcd, api) = (port()?, port()?);
        programs.start(ETCD, etcd_flags(directory, etcd, port()?))?;
        programs.start(API_SERVER, [files.api_server_flags(etcd, api), flags(additional)].concat())?;

        let url = format!("https://{api}");
        let kubeconfig = kubeconfig(&url, pki, &pki.admin);
        let kubeconfig_file = directory.join("kubeconfig");
        private(&kubeconfig_file, format!("{kubeconfig:#}")).map_err(ControlPlaneError::Files)?;
        let kubeconfig: Kubeconfig =
            serde_json::from_value(kubeconfig).map_err(|error| ControlPlaneError::Files(error.into()))?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = kube::Client::try_from(config).map_err(ControlPlaneError::Client)?;

        ready(&url, &files.ca, processes).await?;
        Ok(Self { url, kubeconfig: kubeconfig_file, ca: files.ca.clone(), client, files })
    }

    /// Starts the controllers, with a kubeconfig by which they reach the API server from there. They are at work within
    /// a second; nobody needs to wait for them.
    ///
    /// # Errors
    /// When a program cannot be started.
    pub fn control(
        &self,
        binary: &Path,
        directory: &Path,
        place: Place<'_>,
        kubeconfig: &Path,
    ) -> Result<(), ControlPlaneError> {
        let programs = Programs { binary, directory, place };
        let listen = ports::free().map_err(ControlPlaneError::Port)?;
        let left_out = match place {
            Place::Host(_) => WITHOUT_NODES,
            Place::Machine(_) => WITH_A_NODE,
        };
        let mut manager = self.files.controller_manager_flags(kubeconfig, listen);
        manager.push(format!("--controllers=*,{left_out}").into());
        programs.start(CONTROLLER_MANAGER, manager)?;
        programs.start(NAMESPACE_DELETER, flags(&[("kubeconfig", kubeconfig.into())]))
    }
}

/// Where programs run.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// Here: on the host, or in the pod that this process is in.
    Host(&'a Processes),
    /// In the node's machine.
    Machine(&'a Machine),
}

impl Place<'_> {
    /// Starts a program there.
    ///
    /// # Errors
    /// When it cannot be started or recorded.
    pub fn start(self, program: Program) -> io::Result<()> {
        match self {
            Self::Host(processes) => processes.start(&program),
            Self::Machine(machine) => machine.program(program),
        }
    }
}

/// Controllers that have nothing to do without nodes. Volumes are a stand-in's (the binder would take back what it
/// binds without a volume); namespaces are left to the namespace deleter.
const WITHOUT_NODES: &str = "-cloud-node-lifecycle-controller,-namespace-controller,-node-ipam-controller,\
    -node-lifecycle-controller,-node-route-controller,-persistentvolume-binder-controller,\
    -persistentvolume-attach-detach-controller,-persistentvolume-expander-controller,-taint-eviction-controller";
/// As above with a node: it has its addresses already.
const WITH_A_NODE: &str = "-cloud-node-lifecycle-controller,-namespace-controller,-node-ipam-controller,\
    -node-route-controller";

struct Programs<'a> {
    binary: &'a Path,
    directory: &'a Path,
    place: Place<'a>,
}

impl Programs<'_> {
    fn start(&self, name: &'static str, flags: Vec<OsString>) -> Result<(), ControlPlaneError> {
        let program = Program {
            name: name.into(),
            path: self.binary.into(),
            arguments: [vec![name.into()], flags].concat(),
            directory: self.directory.into(),
            // Garbage is collected less often: some percent of what the API server computes, for a few hundred MiB.
            environment: vec![("GOGC".into(), "200".into())],
        };
        self.place.start(program).map_err(|source| ControlPlaneError::Start { name, source })
    }
}

async fn ready(url: &str, ca: &Path, processes: &Processes) -> Result<(), ControlPlaneError> {
    let settings = ClientSettings {
        extra_roots: Some(ca.to_owned()),
        timeout: Some(Duration::from_secs(5)),
        ..ClientSettings::new("tenant-lab")
    };
    let client = tenant_kit::http::client(&settings).map_err(ControlPlaneError::HttpClient)?;
    // Readiness is told to everybody (ClusterRole system:public-info-viewer).
    let ready = format!("{url}/readyz");
    let outcome = polling::until(START_LIMIT, async || {
        if let Some(ended) = [ETCD, API_SERVER].into_iter().find(|name| processes.ended(name).is_some()) {
            return Some(Err(unready(processes, ended, "ended early")));
        }
        let answer = client.get(&ready).send().await;
        answer.is_ok_and(|answer| answer.status().is_success()).then_some(Ok(()))
    });
    outcome.await.unwrap_or_else(|| Err(unready(processes, API_SERVER, "is not ready after a minute")))
}

fn unready(processes: &Processes, name: &'static str, problem: &'static str) -> ControlPlaneError {
    ControlPlaneError::Unready { name, problem, log: tail(&processes.log(name)) }
}

/// A kubeconfig of `user` for the API server at `url`.
pub(crate) fn kubeconfig(url: &str, pki: &Pki, user: &Identity) -> Value {
    let encoded = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [{
            "name": "lab",
            "cluster": {"server": url, "certificate-authority-data": encoded(&pki.ca)},
        }],
        "users": [{
            "name": "lab",
            "user": {
                "client-certificate-data": encoded(&user.certificate),
                "client-key-data": encoded(&user.key),
            },
        }],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
    })
}

/// The files that programs take by path.
struct Files {
    ca: PathBuf,
    serving: (PathBuf, PathBuf),
    service_accounts: (PathBuf, PathBuf),
}

impl Files {
    fn write(directory: &Path, pki: &Pki) -> io::Result<Self> {
        let pem = |name: &str, content: &str| {
            let path = directory.join(name);
            private(&path, content).map(|()| path)
        };
        Ok(Self {
            ca: pem("ca.crt", &pki.ca)?,
            serving: (
                pem("apiserver.crt", &pki.apiserver.certificate)?,
                pem("apiserver.key", &pki.apiserver.key)?,
            ),
            service_accounts: (
                pem("service-accounts.pub", &pki.service_accounts.certificate)?,
                pem("service-accounts.key", &pki.service_accounts.key)?,
            ),
        })
    }

    fn api_server_flags(&self, etcd: SocketAddr, listen: SocketAddr) -> Vec<OsString> {
        flags(&[
            ("allow-privileged", "true".into()),
            ("authorization-mode", "Node,RBAC".into()),
            ("bind-address", listen.ip().to_string().into()),
            ("client-ca-file", self.ca.clone().into()),
            // Namespaces with a few hundred objects go in one step instead of one object at a time.
            ("delete-collection-workers", "8".into()),
            ("etcd-servers", format!("http://{etcd}").into()),
            ("profiling", "false".into()),
            ("secure-port", listen.port().to_string().into()),
            ("service-account-issuer", "https://kubernetes.default.svc".into()),
            ("service-account-key-file", self.service_accounts.0.clone().into()),
            ("service-account-signing-key-file", self.service_accounts.1.clone().into()),
            ("service-cluster-ip-range", "10.96.0.0/16".into()),
            ("tls-cert-file", self.serving.0.clone().into()),
            ("tls-private-key-file", self.serving.1.clone().into()),
        ])
    }

    fn controller_manager_flags(&self, kubeconfig: &Path, listen: SocketAddr) -> Vec<OsString> {
        flags(&[
            ("authentication-skip-lookup", "true".into()),
            ("bind-address", listen.ip().to_string().into()),
            ("concurrent-gc-syncs", "40".into()),
            // The defaults (20 and 30 a second) would be what a provision waits for.
            ("kube-api-burst", "4000".into()),
            ("kube-api-qps", "2000".into()),
            ("kubeconfig", kubeconfig.into()),
            ("leader-elect", "false".into()),
            ("profiling", "false".into()),
            ("root-ca-file", self.ca.clone().into()),
            ("secure-port", listen.port().to_string().into()),
            ("service-account-private-key-file", self.service_accounts.1.clone().into()),
            ("use-service-account-credentials", "true".into()),
        ])
    }
}

/// Where etcd keeps its data.
fn store(directory: &Path) -> PathBuf {
    directory.join("etcd")
}

fn etcd_flags(directory: &Path, clients: SocketAddr, peers: SocketAddr) -> Vec<OsString> {
    let (clients, peers) = (format!("http://{clients}"), format!("http://{peers}"));
    flags(&[
        ("advertise-client-urls", clients.clone().into()),
        ("data-dir", store(directory).into()),
        ("initial-advertise-peer-urls", peers.clone().into()),
        ("initial-cluster", format!("default={peers}").into()),
        ("listen-client-urls", clients.into()),
        ("listen-peer-urls", peers.into()),
        ("log-level", "warn".into()),
        // The data is thrown away: durability would only cost time.
        ("unsafe-no-fsync", "true".into()),
    ])
}

fn flags(pairs: &[(&str, OsString)]) -> Vec<OsString> {
    let flag = |(name, value): &(&str, OsString)| {
        let mut flag = OsString::from(format!("--{name}="));
        flag.push(value);
        flag
    };
    pairs.iter().map(flag).collect()
}

/// Why the control plane does not run.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// Certificates or kubeconfig cannot be written.
    #[error("write the control plane's files")]
    Files(#[source] io::Error),
    /// No free port.
    #[error("find a port for the control plane")]
    Port(#[source] io::Error),
    /// A program cannot be started.
    #[error("start {name}")]
    Start {
        /// Which.
        name: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A program does not come up.
    #[error("{name} {problem}; its log ends with:\n{log}")]
    Unready {
        /// Which.
        name: &'static str,
        /// What is wrong.
        problem: &'static str,
        /// The end of its log.
        log: String,
    },
    /// The client that asks for readiness cannot be built.
    #[error("set up the lab's HTTP client")]
    HttpClient(#[source] tenant_kit::http::ClientError),
    /// The kubeconfig cannot be used.
    #[error("read the lab's kubeconfig")]
    Kubeconfig(#[from] KubeconfigError),
    /// The client cannot be built.
    #[error("connect to the lab's API server")]
    Client(#[source] kube::Error),
}
