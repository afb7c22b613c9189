//! One running lab: everything started, in the order that is fastest, and stopped together.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    builds::{self, Parts, cache::Cache, programs::Programs, progress::Progress},
    cluster::{Cluster, Ground, hosts},
    controlplane::{Place, prepared},
    directories::Directories,
    faults::Faults,
    files::private,
    gitea::{self, GiteaFactory, GiteaInstance, GiteaProgram, template::Template},
    images::{Ahead, Images},
    node::{self, Joining, NodeParts, machine::HOST, relay},
    operators,
    pki::Pki,
    platform::{Backends, Platform},
    processes::{Processes, Record},
    resolver,
    snapshot::Snapshot,
    standins::{self, StandIns},
    state::State,
};

/// Everything that is built and prepared before a lab can start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prepared {
    pub(crate) parts: Parts,
    cluster: Source,
    pub(crate) gitea: Template,
    pub(crate) forge: Template,
    /// For pods that run, and what makes them.
    pub(crate) programs: Option<Programs>,
    #[serde(skip)]
    pub(crate) ahead: Option<Ahead>,
    #[serde(skip)]
    node: Option<NodeParts>,
}

/// Where a lab's cluster comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Source {
    /// The prepared store of one of its own.
    Store(PathBuf),
    /// The kubeconfig of an existing one.
    Kubeconfig(PathBuf),
}

impl Prepared {
    /// Builds and prepares what a lab with these options lacks; a few milliseconds if nothing.
    ///
    /// # Errors
    /// When a tool is missing or a build fails.
    pub async fn ensure(
        directories: &Directories,
        options: &Options,
        progress: Progress,
    ) -> Result<Self, builds::BuildError> {
        if options.size != Size::ControlPlane && options.kubeconfig.is_none() {
            node::possible(directories)?;
        }
        // builds of Go and of Rust each leave a core idle now and then, when they download and link
        let ahead = async {
            match options.size {
                Size::Full => Ahead::ensure(&Cache::new(directories.builds()), progress).await.map(Some),
                Size::ControlPlane | Size::Node => Ok(None),
            }
        };
        let programs = Self::without_images(directories, options, progress);
        let (mut prepared, ahead) = futures::future::try_join(programs, ahead).await?;
        prepared.ahead = ahead;
        if let (Some(programs), None) = (&prepared.programs, &options.kubeconfig) {
            let images = match prepared.ahead.clone() {
                Some(ahead) => Images::of_all(&prepared.parts, programs, ahead, progress).await?,
                None => Images::of_a_node(&prepared.parts, programs, progress).await?,
            };
            prepared.node = Some(NodeParts { images, store: directories.images() });
        }
        Ok(prepared)
    }

    async fn without_images(
        directories: &Directories,
        options: &Options,
        progress: Progress,
    ) -> Result<Self, builds::BuildError> {
        let parts = builds::ensure(directories, progress).await?;
        let cluster = match &options.kubeconfig {
            None => Source::Store(prepared::ensure(&parts, !options.plain, progress).await?),
            Some(file) => Source::Kubeconfig(file.clone()),
        };
        let gitea = gitea::template::ensure(&parts, progress).await?;
        let forge = gitea::forge::ensure(&parts, &gitea, progress).await?;
        let programs = match options.size {
            Size::ControlPlane => None,
            Size::Node | Size::Full => Some(Programs::ensure(&parts.cache, progress).await?),
        };
        Ok(Self { parts, cluster, gitea, forge, programs, ahead: None, node: None })
    }
}

/// What kind of lab to start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The lab's name: lower-case letters, digits and dashes; part of its domain.
    pub name: String,
    /// A cluster without OpenShift's APIs.
    pub plain: bool,
    /// An existing cluster's kubeconfig: no control plane is started.
    pub kubeconfig: Option<PathBuf>,
    /// How much of a cluster there is.
    pub size: Size,
}

/// How much of a cluster a lab has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
pub enum Size {
    /// API server and controllers; pods are only written down.
    #[default]
    ControlPlane,
    /// And a node that runs pods. Needs root.
    Node,
    /// And Argo CD, Tekton Pipelines and the `ToolHive` operator. Needs root.
    Full,
}

impl Size {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Node => "node",
            Self::Full => "full",
        }
    }
}

/// A running lab.
pub struct Supervisor {
    /// The cluster.
    pub cluster: Cluster,
    /// The authority of the router's certificate, PEM.
    pub router_ca: PathBuf,
    /// All Gitea instances.
    pub gitea: GiteaFactory,
    /// The one that plays GitHub.
    pub forge: GiteaInstance,
    /// The stand-ins.
    pub stand_ins: StandIns,
    /// How the stand-ins behave.
    pub faults: Arc<Faults>,
    /// The child processes.
    pub processes: Arc<Processes>,
    shutdown: CancellationToken,
}

impl Supervisor {
    /// Starts a lab in `directory`; returns when everything is ready.
    ///
    /// # Errors
    /// When a part does not come up. What was started by then is stopped.
    pub async fn start(prepared: &Prepared, directory: &Path, options: &Options) -> anyhow::Result<Self> {
        let processes = Processes::new(directory).context("make the lab's folders")?;
        let shutdown = CancellationToken::new();
        let started = Self::start_with(prepared, directory, options, &processes, &shutdown).await;
        if started.is_err() {
            shutdown.cancel();
            processes.stop_all();
        }
        started
    }

    async fn start_with(
        prepared: &Prepared,
        directory: &Path,
        options: &Options,
        processes: &Arc<Processes>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let domain = format!("apps.{}.lab.test", options.name);
        let pki = Arc::new(Pki::new(&domain).context("make the lab's certificates")?);
        let router_ca = directory.join("router-ca.crt");
        private(&router_ca, &pki.ca).context("write the lab's certificates")?;

        let program = GiteaProgram::from(&prepared.parts);
        let data = directory.join("gitea");
        let gitea = GiteaFactory::new(program, Arc::clone(processes), data, prepared.gitea.clone())?;
        let (parts, openshift) = (&prepared.parts, !options.plain);
        let cluster = async {
            match &prepared.cluster {
                Source::Store(store) => {
                    let binary = &parts.control_plane;
                    let joining = match (&prepared.programs, &prepared.node) {
                        (Some(programs), Some(parts)) => {
                            Some(Joining::start(programs, parts, directory, &pki, processes).await?)
                        }
                        _ => None,
                    };
                    let domain = domain.as_str();
                    let ground = Ground {
                        binary,
                        store,
                        directory,
                        domain,
                        openshift,
                        pki: &pki,
                        processes,
                        shutdown,
                    };
                    Cluster::start(&ground, joining).await
                }
                Source::Kubeconfig(file) => {
                    Cluster::complete(parts, file, directory, &domain, openshift, &pki).await
                }
            }
        };
        let forge = async {
            let forge = gitea.start_forge(&prepared.forge).await?;
            tracing::info!(url = forge.url(), "the forge is ready");
            anyhow::Ok(forge)
        };
        let (mut cluster, forge) = tokio::try_join!(cluster, forge)?;

        let faults = Arc::new(Faults::default());
        let platform = Platform {
            client: cluster.client.clone(),
            domain: cluster.domain.clone(),
            openshift: cluster.openshift,
            nodes: !cluster.selection.workloads,
            directory: directory.join("stand-ins"),
            pki,
            gitea: gitea.clone(),
            forge: forge.clone(),
            faults: Arc::clone(&faults),
            backends: Arc::new(Backends::default()),
            shutdown: shutdown.clone(),
        };
        if options.size == Size::Full {
            cluster.selection = cluster.selection.with_operators().context("start the operators")?;
        }
        let stand_ins = standins::start_some(platform, cluster.selection).await;
        let mut stand_ins = stand_ins.context("start the stand-ins")?;
        tracing::info!("the stand-ins are ready");
        if let Some(programs) = &prepared.programs {
            let (place, kubeconfig, host) = match &cluster.node {
                Some(node) => (Place::Machine(&node.machine), &node.kubeconfig, HOST.into()),
                None => (Place::Host(processes), &cluster.kubeconfig, own_address(&cluster.url)?),
            };
            open_doors(host, &mut stand_ins, &forge, shutdown).await?;
            if cluster.node.is_none() {
                resolver::lead(&cluster.client, &hosts(&cluster.domain, host)).await?;
            }
            if options.size == Size::Full {
                let directory = directory.join("operators");
                let client = &cluster.client;
                let setting = operators::Setting { place, kubeconfig, client, programs, parts, directory };
                operators::start(&setting).await.context("start the operators")?;
                tracing::info!("the operators run");
            }
        }
        let (processes, shutdown) = (Arc::clone(processes), shutdown.clone());
        Ok(Self { cluster, router_ca, gitea, forge, stand_ins, faults, processes, shutdown })
    }

    /// Everything the lab holds.
    ///
    /// # Errors
    /// When the API server or a Gitea does not answer.
    pub async fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let inventory = self.stand_ins.inventory().await?;
        Snapshot::take(&self.cluster.client, inventory).await.context("list everything in the cluster")
    }

    /// What others need to know of this lab.
    ///
    /// # Errors
    /// When this process cannot be identified.
    pub fn state(&self, options: &Options, control: SocketAddr, control_token: String) -> io::Result<State> {
        Ok(State {
            name: options.name.clone(),
            size: options.size,
            supervisor: Record::of(std::process::id())?,
            domain: self.cluster.domain.clone(),
            openshift: self.cluster.openshift,
            api_url: self.cluster.url.clone(),
            kubeconfig: self.cluster.kubeconfig.clone(),
            api_ca: self.cluster.ca.clone(),
            token: self.cluster.token.clone(),
            // A cluster with Routes of its own has a router of its own.
            router: self.cluster.selection.routes.then_some(self.stand_ins.router),
            router_ca: self.router_ca.clone(),
            forge_url: self.forge.url(),
            litellm_url: self.stand_ins.litellm.url.clone(),
            litellm_master_key: self.stand_ins.litellm.master_key.clone(),
            control,
            control_token,
        })
    }

    /// Ends everything the lab started. Blocks for some ten milliseconds.
    pub fn stop(&self) {
        self.shutdown.cancel();
        self.processes.stop_all();
    }
}

/// This process's address in the network that leads to the API server: in a pod, the pod's.
fn own_address(url: &str) -> anyhow::Result<IpAddr> {
    let url = reqwest::Url::parse(url).context("read the API server's address")?;
    let server = url.socket_addrs(|| None).context("find the API server")?;
    let socket = UdpSocket::bind("0.0.0.0:0").context("find this pod's address")?;
    // nothing is sent: the kernel only looks where it would go out
    socket
        .connect(&*server)
        .and_then(|()| socket.local_addr())
        .context("find this pod's address")
        .map(|own| own.ip())
}

/// Lets pods reach what listens on loopback: the router as every host of the ingress domain, the forge as `github.com`,
/// LiteLLM under the address that orders are given.
async fn open_doors(
    host: IpAddr,
    stand_ins: &mut StandIns,
    forge: &GiteaInstance,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    relay::open(host, 443, stand_ins.router.port(), shutdown).await?;
    relay::open(host, 80, forge.address.port(), shutdown).await?;
    let url = reqwest::Url::parse(&stand_ins.litellm.url).context("read LiteLLM's address")?;
    let port = url.port().context("LiteLLM's address has no port")?;
    stand_ins.litellm.url = format!("http://{}", relay::open(host, port, port, shutdown).await?);
    Ok(())
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop();
    }
}
