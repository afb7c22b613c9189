//! A real node: containerd, kubelet, kube-proxy, kube-scheduler and `CoreDNS` in a [`machine`] of their own, joined to
//! the lab's control plane. Needs root and some Debian packages, see [`possible`].
//!
//! What is not here: network policies (the bridge plugin does not know them) and an internet.

pub mod agents;
pub mod machine;
pub mod relay;
pub mod runtime;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use k8s_openapi::api::{core::v1::Node as NodeResource, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    builds::programs::Programs,
    controlplane::{ControlPlane, Place, kubeconfig},
    directories::Directories,
    files::{private, private_folder, tail},
    images::{self, Images, PAUSE},
    installation,
    pki::Pki,
    polling,
    processes::Processes,
    resolver::Zone,
    standins::volumes,
};
use agents::{Cluster, KUBELET, NODE};
use machine::{HOST, Machine};
use runtime::Runtime;

const READY_LIMIT: Duration = Duration::from_mins(1);

/// What a node is made from, beside programs.
#[derive(Clone, Debug)]
pub struct NodeParts {
    /// The images to be there.
    pub images: Images,
    /// Where containerd keeps images from lab to lab.
    pub store: PathBuf,
}

/// The machine of a node that is about to join.
pub struct Joining<'a> {
    programs: &'a Programs,
    parts: &'a NodeParts,
    directory: PathBuf,
    pki: &'a Pki,
    processes: &'a Arc<Processes>,
    machine: Machine,
}

/// A node that is ready.
pub struct Node {
    /// What it runs on.
    pub machine: Machine,
    /// Its containers.
    pub runtime: Runtime,
    /// The administrator's kubeconfig, for programs on the machine.
    pub kubeconfig: PathBuf,
    /// The settings of its name server, which follows changes.
    pub zones: PathBuf,
}

/// What a node needs of this machine beside what its images need: files, and the Debian packages that bring them.
const TOOLS: [(&str, &str); 8] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("nsenter", "util-linux"),
    (runtime::PLUGINS, "containernetworking-plugins"),
    ("redis-server", "redis-server"),
    ("runc", "runc"),
];

/// Why there can be no node, or no image, on this machine.
#[derive(Debug, thiserror::Error)]
pub enum Impossible {
    /// Nobody but root may do what it takes.
    #[error(
        "nodes and images need root's rights (namespaces, mounts, packet filters); without them there is the \
         control plane: leave --size out"
    )]
    NotRoot,
    /// This machine does not let root have namespaces, or a bridge.
    #[error("a node needs namespaces and a bridge, which this machine refuses even to root: {said}")]
    Machine {
        /// What it said.
        said: String,
    },
    /// What the lab keeps would be hidden from the node.
    #[error(
        "a node's machine has a /tmp of its own, where it would not see {}: set TENANT_LAB_CACHE to a folder elsewhere",
        cache.display()
    )]
    Hidden {
        /// Where it is kept.
        cache: PathBuf,
    },
    /// Programs are not installed.
    #[error("nodes and images need programs that are not installed: apt-get install {}", packages.join(" "))]
    Tools {
        /// The packages that bring them.
        packages: Vec<&'static str>,
    },
}

/// Whether this machine can have a node, with what the lab keeps in these folders.
///
/// # Errors
/// Says what it lacks.
pub fn possible(directories: &Directories) -> Result<(), Impossible> {
    installed(TOOLS.iter().chain(&images::TOOLS))?;
    if directories.root().starts_with("/tmp") {
        return Err(Impossible::Hidden { cache: directories.root().to_owned() });
    }
    let probe = [
        "--fork",
        "--pid",
        "--net",
        "--mount",
        "--mount-proc",
        "ip",
        "link",
        "add",
        "probe",
        "type",
        "bridge",
    ];
    match Command::new("unshare").args(probe).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(Impossible::Machine { said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
        }
        Err(error) => Err(Impossible::Machine { said: error.to_string() }),
    }
}

/// Whether this user is root and has all of these: programs, or whole paths, with the packages that bring them.
pub(crate) fn installed<'a>(
    tools: impl Iterator<Item = &'a (&'static str, &'static str)>,
) -> Result<(), Impossible> {
    if !rustix::process::geteuid().is_root() {
        return Err(Impossible::NotRoot);
    }
    let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let there = |tool: &str| folders.iter().any(|folder| Path::new(folder).join(tool).exists());
    let packages: BTreeSet<_> = tools.filter(|(tool, _)| !there(tool)).map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    Err(Impossible::Tools { packages: packages.into_iter().collect() })
}

impl<'a> Joining<'a> {
    /// Starts the machine, whose address the control plane has to know.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(
        programs: &'a Programs,
        parts: &'a NodeParts,
        directory: &Path,
        pki: &'a Pki,
        processes: &'a Arc<Processes>,
    ) -> anyhow::Result<Self> {
        let directory = directory.join("node");
        private_folder(&directory).context("make the node's folder")?;
        private(&directory.join("kubelet-client.crt"), &pki.admin.certificate)?;
        private(&directory.join("kubelet-client.key"), &pki.admin.key)?;
        private(&directory.join("ca.crt"), &pki.ca)?;
        let machine = Machine::start(&directory.join("tmp"), processes).await?;
        Ok(Self { programs, parts, directory, pki, processes, machine })
    }

    /// What an API server with this node has to be told.
    pub fn api_server_flags(&self) -> [(&'static str, OsString); 4] {
        [
            ("advertise-address", HOST.to_string().into()),
            ("kubelet-client-certificate", self.directory.join("kubelet-client.crt").into()),
            ("kubelet-client-key", self.directory.join("kubelet-client.key").into()),
            ("kubelet-preferred-address-types", "InternalIP".into()),
        ]
    }

    /// Starts the controllers and the node, with its images; returns when it is ready. Zones in `hosts` are
    /// known to its name server.
    ///
    /// # Errors
    /// When a part does not come up.
    pub async fn join(
        self,
        plane: &ControlPlane,
        binary: &Path,
        hosts: &[Zone],
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Node> {
        let port = plane.url.rsplit(':').next().and_then(|port| port.parse().ok());
        let port: u16 = port.with_context(|| format!("{} has no port", plane.url))?;
        let url = format!("https://{}", relay::open(HOST.into(), port, port, shutdown).await?);
        let kubeconfig_of = |name: &str, user| {
            let path = self.directory.join(name);
            private(&path, format!("{:#}", kubeconfig(&url, self.pki, user))).map(|()| path)
        };
        let administrator = kubeconfig_of("kubeconfig", &self.pki.admin)?;
        let kubelets_own = kubeconfig_of("kubelet.kubeconfig", &self.pki.kubelet)?;
        plane.control(binary, &self.directory, Place::Machine(&self.machine), &administrator)?;
        installation::create(&plane.client, vec![volumes::class()]).await?;
        lead_to(&plane.client, port).await.context("lead Service kubernetes to the API server")?;

        let NodeParts { images, store } = self.parts;
        let runtime = Runtime::start(store, &self.directory, PAUSE, &self.machine, self.processes).await?;
        let imported = runtime.import(images).await?;
        tracing::info!(imported, "containerd has its images");
        let joined = Cluster {
            administrator: &administrator,
            kubelet: &kubelets_own,
            ca: &self.directory.join("ca.crt"),
            runtime: &runtime.endpoint(),
            hosts,
        };
        let zones = agents::start(self.programs, &self.directory, &self.machine, &joined)?;
        ready(&plane.client, self.processes).await?;
        tracing::info!("the node is ready");
        Ok(Node { machine: self.machine, runtime, kubeconfig: administrator, zones })
    }
}

/// The prepared store knows the port of the API server that filled it, and an API server corrects addresses, not ports.
/// In a store that was not prepared it writes down everything by itself, as it is.
async fn lead_to(client: &Client, port: u16) -> Result<(), kube::Error> {
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    let slice = Patch::Merge(json!({"ports": ports}));
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), "default");
    match slices.patch("kubernetes", &PatchParams::default(), &slice).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        patched => patched?,
    };
    let addresses = json!([{"ip": HOST.to_string()}]);
    let endpoints = Patch::Merge(json!({"subsets": [{"addresses": addresses, "ports": ports}]}));
    // the older form of the same
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Endpoints"), "endpoints");
    let older: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &kind);
    older.patch("kubernetes", &PatchParams::default(), &endpoints).await.map(drop)
}

async fn ready(client: &Client, processes: &Processes) -> anyhow::Result<()> {
    let nodes: Api<NodeResource> = Api::all(client.clone());
    let up = polling::until(READY_LIMIT, async || {
        if processes.ended(KUBELET).is_some() {
            return Some(false);
        }
        let node = nodes.get_opt(NODE).await.ok()??;
        let conditions = node.status?.conditions?;
        conditions.iter().any(|each| each.type_ == "Ready" && each.status == "True").then_some(true)
    });
    if up.await != Some(true) {
        bail!(
            "the node does not become ready; the kubelet's log ends with:\n{}",
            tail(&processes.log(KUBELET))
        );
    }
    Ok(())
}
