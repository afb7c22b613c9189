//! The cluster a lab works with: its own, or one that exists already and is only completed.

use std::{
    collections::HashSet,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use base64::Engine as _;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use tokio_util::sync::CancellationToken;

use crate::{
    builds::{Parts, crds},
    controlplane::{ControlPlane, Place, prepared},
    files::private,
    installation,
    node::{Joining, Node, machine::HOST},
    objects, operators,
    pki::Pki,
    processes::Processes,
    resolver::{self, Zone},
    standins::Selection,
};

/// A cluster with everything that orders expect.
pub struct Cluster {
    /// The API server's address.
    pub url: String,
    /// A kubeconfig for it.
    pub kubeconfig: PathBuf,
    /// Its authority, PEM, if the kubeconfig names one.
    pub ca: Option<PathBuf>,
    /// The deployer's bearer token.
    pub token: String,
    /// An administrator's client.
    pub client: Client,
    /// Whether it has OpenShift's APIs, real or ours.
    pub openshift: bool,
    /// The ingress domain.
    pub domain: String,
    /// What has to stand in.
    pub selection: Selection,
    /// Its node, if the lab started one.
    pub node: Option<Node>,
    /// Whether the lab started it: nothing has to be removed from it then.
    pub own: bool,
}

/// What a cluster of the lab's own is started from.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The control plane's program.
    pub binary: &'a Path,
    /// The prepared store.
    pub store: &'a Path,
    /// The lab's folder.
    pub directory: &'a Path,
    /// The ingress domain.
    pub domain: &'a str,
    /// Whether it has OpenShift's APIs.
    pub openshift: bool,
    /// The lab's certificates.
    pub pki: &'a Pki,
    /// The lab's processes.
    pub processes: &'a Arc<Processes>,
    /// Cancelled when the lab goes down.
    pub shutdown: &'a CancellationToken,
}

impl Cluster {
    /// Starts a control plane from the prepared store, with the node that joins it, and completes it.
    ///
    /// # Errors
    /// When it does not come up or refuses an object.
    pub async fn start(ground: &Ground<'_>, joining: Option<Joining<'_>>) -> anyhow::Result<Self> {
        let Ground { binary, store, directory, domain, openshift, pki, processes, shutdown } = *ground;
        prepared::copy(store, directory).context("copy the cluster's store")?;
        let flags = joining.as_ref().map(Joining::api_server_flags);
        let flags = flags.as_ref().map_or(&[][..], |flags| flags);
        let plane = ControlPlane::start(binary, directory, pki, processes, flags).await?;
        tracing::info!(url = plane.url, "the API server is ready");
        let node = match joining {
            None => {
                plane.control(binary, directory, Place::Host(processes), &plane.kubeconfig)?;
                None
            }
            Some(joining) => {
                let hosts = hosts(domain, HOST.into());
                Some(joining.join(&plane, binary, &hosts, shutdown).await?)
            }
        };
        installation::create(&plane.client, objects::settings(domain, openshift, &pki.ca)).await?;
        tracing::info!("the platform's objects are there");
        Ok(Self {
            token: installation::token(&plane.client).await?,
            url: plane.url,
            kubeconfig: plane.kubeconfig,
            ca: Some(plane.ca),
            client: plane.client,
            openshift,
            domain: domain.to_owned(),
            selection: if node.is_some() { Selection::WITH_A_NODE } else { Selection::ALL },
            node,
            own: true,
        })
    }

    /// Completes the cluster of `kubeconfig`: only CRDs it lacks and objects that are not there. A
    /// stand-in runs only for what the cluster does not have itself; CRDs that an earlier lab put there
    /// are known by their label.
    ///
    /// # Errors
    /// When it cannot be reached or refuses an object.
    pub async fn complete(
        parts: &Parts,
        kubeconfig: &Path,
        directory: &Path,
        domain: &str,
        openshift: bool,
        pki: &Pki,
    ) -> anyhow::Result<Self> {
        let config = config(kubeconfig).await?;
        let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let ca = config.root_cert.as_deref().map(|roots| write_roots(directory, roots)).transpose()?;
        let client = Client::try_from(config)?;

        let served = installation::resources(&client).await.context("ask the cluster for its APIs")?;
        let ours = installation::defined(&client).await.context("ask the cluster for its CRDs")?;
        let theirs: HashSet<_> = served.difference(&ours).map(String::as_str).collect();
        let selection = Selection {
            argocd: !theirs.contains("applications.argoproj.io"),
            mcp_operators: !theirs.contains("mcpservers.toolhive.stacklok.dev"),
            routes: !theirs.contains("routes.route.openshift.io"),
            workloads: !has_nodes(&client).await?,
            volumes: false,
        };
        let settled = theirs.contains("ingresses.config.openshift.io");
        let given = if settled { ingress_domain(&client).await? } else { None };
        let domain = given.unwrap_or_else(|| domain.to_owned());
        let mut manifests = crds::load(&parts.crds, crds::Set::of_platform(openshift))?;
        manifests.retain(|manifest| !theirs.contains(manifest.name.as_str()));
        tokio::try_join!(
            installation::create(&client, objects::namespaces(openshift)),
            installation::define(&client, manifests),
        )?;
        installation::create(&client, objects::settings(&domain, openshift, &pki.ca)).await?;
        let token = installation::token(&client).await?;
        let openshift = openshift || theirs.contains("routes.route.openshift.io");
        let kubeconfig = kubeconfig.to_owned();
        Ok(Self { url, kubeconfig, ca, token, client, openshift, domain, selection, node: None, own: false })
    }

    /// Removes from an existing cluster what carries the lab's label; nothing from the lab's own.
    ///
    /// # Errors
    /// When the cluster refuses.
    pub async fn leave(&self) -> anyhow::Result<()> {
        if self.own {
            return Ok(());
        }
        clean(&self.client).await
    }
}

/// Removes from a cluster everything that a lab brings there, whether it is there or not.
pub(crate) async fn clean(client: &Client) -> anyhow::Result<()> {
    resolver::leave(client).await?;
    let everything =
        [objects::settings("", true, ""), objects::namespaces(true), operators::objects()].concat();
    installation::remove(client, everything).await?;
    Ok(installation::undefine(client).await?)
}

/// What pods' name server has to know beside the cluster: router and forge, behind the doors at `address`.
pub(crate) fn hosts(domain: &str, address: IpAddr) -> [Zone; 2] {
    [domain, "github.com"].map(|name| Zone { name: name.to_owned(), address })
}

/// The settings of a kubeconfig's current context.
async fn config(kubeconfig: &Path) -> anyhow::Result<kube::Config> {
    let read = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("read the kubeconfig {}", kubeconfig.display()))?;
    Ok(kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?)
}

/// A client of a kubeconfig's current context.
///
/// # Errors
/// When it cannot be read or used.
pub async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    Ok(Client::try_from(config(kubeconfig).await?)?)
}

/// Writes DER certificates as PEM (RFC 7468: lines of 64 characters).
fn write_roots(directory: &Path, roots: &[Vec<u8>]) -> anyhow::Result<PathBuf> {
    let mut pem = String::new();
    for root in roots {
        let encoded = base64::engine::general_purpose::STANDARD.encode(root);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    let path = directory.join("ca.crt");
    private(&path, pem).context("write the cluster's authority")?;
    Ok(path)
}

async fn has_nodes(client: &Client) -> anyhow::Result<bool> {
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(client.clone());
    let list = nodes.list_metadata(&ListParams::default().limit(1)).await.context("list nodes")?;
    Ok(!list.items.is_empty())
}

async fn ingress_domain(client: &Client) -> anyhow::Result<Option<String>> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("config.openshift.io", "v1", "Ingress"));
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let ingress = api.get_opt("cluster").await.context("read the cluster's ingress settings")?;
    Ok(ingress.and_then(|ingress| ingress.data["spec"]["domain"].as_str().map(str::to_owned)))
}
