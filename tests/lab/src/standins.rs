//! The stand-ins for what cannot run on one machine.
//!
//! Each is one module whose header names what it imitates, what it does not, and what its faults mean.
//! They follow the cluster through one shared watch per kind ([`cluster`]) and a work queue each
//! ([`controller`]), decide in small pure functions, and never sleep but where they are told to be slow.

mod argocd;
mod cluster;
mod controller;
mod endpoints;
mod exposure;
pub(crate) mod forward;
mod gitea_operator;
mod inventory;
mod keycloak;
mod kinds;
mod litellm;
mod mcp_lifecycle;
mod mcp_operators;
mod ownership;
pub(crate) mod pace;
pub(crate) mod router;
mod routes;
pub(crate) mod server;
pub(crate) mod volumes;
mod workloads;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use kube::Client;
use tokio_util::sync::CancellationToken;

pub use self::{
    inventory::{GiteaInventory, Inventory},
    keycloak::Keycloak,
    litellm::Litellm,
};
use crate::platform::{Platform, StandIn};

/// Which controllers to run. Servers (router, LiteLLM, Keycloak) always run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a stand-in of its own")]
pub struct Selection {
    /// Argo CD's controllers and the objects of its installation.
    pub argocd: bool,
    /// The ToolHive operator.
    pub mcp_operators: bool,
    /// Admission of Routes and Ingresses.
    pub routes: bool,
    /// Pods, claims and what answers for Services: to be left out where a kubelet runs.
    pub workloads: bool,
    /// Folders for claims, on a node of this machine.
    pub volumes: bool,
}

impl Selection {
    /// Everything: for a bare control plane.
    pub const ALL: Self =
        Self { argocd: true, mcp_operators: true, routes: true, workloads: true, volumes: false };
    /// For a cluster whose pods run.
    pub const WITH_A_NODE: Self = Self { workloads: false, volumes: true, ..Self::ALL };

    /// With real operators in place of those that play.
    ///
    /// # Errors
    /// When the cluster brings operators of its own: two of a kind would disturb each other.
    pub fn with_operators(self) -> Result<Self, Occupied> {
        if self.argocd && self.mcp_operators {
            return Ok(Self { argocd: false, mcp_operators: false, ..self });
        }
        Err(Occupied)
    }

    /// Whether it is a program of its own, and runs. A Gitea is real.
    pub fn plays(self, stand_in: StandIn) -> bool {
        match stand_in {
            StandIn::Argocd => self.argocd,
            StandIn::McpOperators => self.mcp_operators,
            StandIn::Routes => self.routes,
            StandIn::Workloads => self.workloads,
            StandIn::Gitea => false,
            StandIn::GiteaOperator | StandIn::Litellm | StandIn::Keycloak | StandIn::Router => true,
        }
    }
}

/// A cluster has operators that were to be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "the cluster has an Argo CD or a ToolHive of its own, which these would disturb: use a fresh cluster"
)]
pub struct Occupied;

/// The running stand-ins: addresses, credentials, and what they hold.
#[derive(Clone)]
pub struct StandIns {
    /// Where the router listens (TLS): every host of the ingress domain leads here.
    pub router: SocketAddr,
    /// The LiteLLM proxy.
    pub litellm: Litellm,
    /// Keycloak.
    pub keycloak: Keycloak,
    platform: Platform,
}

impl StandIns {
    /// What they hold outside the cluster: keys, users, repositories, tokens.
    ///
    /// # Errors
    /// When a running Gitea does not answer.
    pub async fn inventory(&self) -> anyhow::Result<Inventory> {
        inventory::take(&self.platform, &self.litellm, &self.keycloak).await
    }
}

/// Provides claims with folders below `folder`, and nothing else, on a cluster with a node of this machine.
///
/// # Errors
/// When the API server does not list claims.
pub(crate) async fn provide_volumes(
    client: Client,
    folder: PathBuf,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let cluster = cluster::Cluster::new(client);
    let volumes = volumes::Volumes { cluster: cluster.clone(), folder };
    controller::spawn_with(volumes, &cluster, Arc::default(), shutdown.clone());
    Ok(cluster.watch_only(&[kinds::Kind::PersistentVolumeClaim], shutdown).await?)
}

/// Starts every stand-in; returns once all listen and the first list of every kind is known.
///
/// # Errors
/// When a CRD is missing, the API server refuses an object, or no port is free.
pub async fn start(platform: Platform) -> anyhow::Result<StandIns> {
    start_some(platform, Selection::ALL).await
}

/// As [`start`], with some of the controllers left out.
///
/// # Errors
/// As [`start`].
pub async fn start_some(platform: Platform, selection: Selection) -> anyhow::Result<StandIns> {
    let cluster = cluster::Cluster::new(platform.client.clone());
    let operator = gitea_operator::GiteaOperator { cluster: cluster.clone(), platform: platform.clone() };
    controller::spawn(operator, &cluster, &platform);
    if selection.routes {
        let admission = routes::Admission { cluster: cluster.clone(), domain: platform.domain.clone() };
        controller::spawn(admission, &cluster, &platform);
    }
    if selection.workloads {
        controller::spawn(workloads::Kubelet::new(cluster.clone()), &cluster, &platform);
        let endpoints = endpoints::Endpoints::new(cluster.clone(), platform.clone());
        controller::spawn(endpoints, &cluster, &platform);
    }
    // it has nothing to do until somebody defines its kind
    let lifecycle = mcp_lifecycle::Lifecycle { cluster: cluster.clone(), nodes: platform.nodes };
    controller::spawn(lifecycle, &cluster, &platform);
    if selection.volumes {
        let folder = platform.directory.join("volumes");
        controller::spawn(volumes::Volumes { cluster: cluster.clone(), folder }, &cluster, &platform);
    }
    if selection.mcp_operators {
        controller::spawn(mcp_operators::ToolHive { cluster: cluster.clone() }, &cluster, &platform);
    }
    if selection.argocd {
        argocd::spawn(&platform, &cluster)?;
    }
    cluster.watch(platform.openshift, &platform.shutdown).await?;
    if selection.argocd {
        argocd::install(&platform, &cluster).await?;
    }
    let (router, litellm, keycloak) = tokio::try_join!(
        router::start(&platform, &cluster),
        litellm::start(&platform),
        keycloak::start(&platform, &cluster),
    )?;
    Ok(StandIns { router, litellm, keycloak, platform })
}
