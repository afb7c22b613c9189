//! A cluster as kind makes them: a control plane, a node, volumes, a name server whose settings are in a `ConfigMap`, and
//! nothing of a platform. Where there is no kind, its place in a test is taken by this.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, runtime::watcher};
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    builds::{self, programs::Programs, progress::Progress},
    controlplane::ControlPlane,
    directories::Directories,
    images::Images,
    installation,
    node::{self, Joining, Node, NodeParts},
    pki::Pki,
    processes::Processes,
    residence::{Held, Residence},
    resolver, standins,
};

/// A running cluster. Dropping it ends everything; its folder goes with [`Self::remove`], or with the next lab.
pub struct Bare {
    /// An administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    node: Node,
    processes: Arc<Processes>,
    held: Held,
    _running: DropGuard,
}

impl Bare {
    /// Starts one; builds what it needs first, if need be.
    ///
    /// # Errors
    /// When something cannot be built or does not come up.
    pub async fn start(progress: Progress) -> anyhow::Result<Self> {
        let directories = Directories::from_environment();
        node::possible(&directories)?;
        let parts = builds::ensure(&directories, progress).await?;
        let programs = Programs::ensure(&parts.cache, progress).await?;
        let images = Images::of_a_node(&parts, &programs, progress).await?;
        let made = NodeParts { images, store: directories.images() };

        let residence = Residence::new(&directories, &Residence::temporary_name())?;
        let Some(held) = residence.take()? else { bail!("a name nobody knows is taken") };
        held.clean().context("prepare the cluster's folder")?;
        let directory = residence.directory();
        let processes = Processes::new(directory).context("make the cluster's folders")?;
        let running = CancellationToken::new();
        let pki = Pki::new("bare.lab.test")?;
        let joining = Joining::start(&programs, &made, directory, &pki, &processes).await?;
        let flags = joining.api_server_flags();
        let binary = &parts.control_plane;
        let plane = ControlPlane::start(binary, directory, &pki, &processes, &flags).await?;
        let node = joining.join(&plane, binary, &[], &running).await?;
        follow_settings(&plane.client, node.zones.clone(), &running).await?;
        standins::provide_volumes(plane.client.clone(), directory.join("volumes"), &running).await?;
        Ok(Self { kubeconfig: plane.kubeconfig, node, processes, held, _running: running.drop_guard() })
    }

    /// The shell's command that imports an archive of images, whose path is added to it.
    pub fn import_command(&self) -> String {
        self.node.runtime.import_command()
    }

    /// Ends everything and removes the cluster's folder.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> anyhow::Result<()> {
        self.processes.stop_all();
        self.held.leave().context("remove the cluster's folder")
    }
}

/// Puts the name server's settings into the cluster, and has it follow them from there, as the kubelet has it elsewhere.
async fn follow_settings(client: &Client, file: PathBuf, running: &CancellationToken) -> anyhow::Result<()> {
    let (namespace, name) = resolver::NAME;
    let settings = fs::read_to_string(&file).context("read the name server's settings")?;
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {resolver::FILE: settings},
    });
    installation::create(client, vec![map]).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let running = running.clone();
    tokio::spawn(async move {
        let mut maps = watcher::watch_object(maps, name).boxed();
        let follow = async {
            while let Ok(map) = maps.try_next().await {
                let settings = map.flatten().and_then(|map| map.data?.remove(resolver::FILE));
                if let Some(settings) = settings
                    && let Err(error) = fs::write(&file, settings)
                {
                    tracing::warn!(%error, "the name server's settings cannot be written");
                }
            }
        };
        tokio::select! {
            () = running.cancelled() => {}
            () = follow => {}
        }
    });
    Ok(())
}
