//! Scenes on a real API server, read through the real OpenShift MCP server.
//!
//! Real are etcd, kube-apiserver with its admission, kube-controller-manager, Tekton's definitions and
//! kubernetes-mcp-server. Nothing runs: objects are written as Tekton and the kubelet left them, and
//! [`super::kubelet`] hands out the logs.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    case::Event,
    kubelet::{Kubelet, NODE},
    scene::Scene,
};
use crate::{
    builds::{
        Parts,
        cache::Cache,
        crds::{self, Set},
        openshift_mcp::{self, Release},
        progress::Progress,
    },
    controlplane::{ControlPlane, Place},
    files::tail,
    installation,
    pki::Pki,
    polling, ports,
    processes::{Processes, Program},
};

const START_LIMIT: Duration = Duration::from_secs(30);

/// A control plane with pipelines, and MCP servers in front of it; all end when this is dropped.
pub struct PipelineCluster {
    /// The control plane.
    pub plane: ControlPlane,
    kubelet: Kubelet,
    processes: Arc<Processes>,
    directory: TempDir,
    cache: Cache,
}

impl PipelineCluster {
    /// Starts the control plane.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(parts: &Parts) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let processes = Processes::new(directory.path()).context("make the cluster's folders")?;
        let pki = Pki::new("pipelines.lab.test")?;
        let plane =
            ControlPlane::start(&parts.control_plane, directory.path(), &pki, &processes, &[]).await?;
        plane.control(&parts.control_plane, directory.path(), Place::Host(&processes), &plane.kubeconfig)?;
        let kubelet = Kubelet::start(&pki.apiserver).await?;
        let tekton = crds::load(&parts.crds, &[Set::Tekton])?;
        tokio::try_join!(
            installation::define(&plane.client, tekton),
            installation::create(&plane.client, vec![kubelet.node()]),
        )?;
        Ok(Self { plane, kubelet, processes, directory, cache: parts.cache.clone() })
    }

    /// Starts an OpenShift MCP server and returns its address when it serves.
    ///
    /// # Errors
    /// When it cannot be installed or does not come up.
    pub async fn mcp_server(&self, release: Release, progress: Progress) -> anyhow::Result<String> {
        let path = openshift_mcp::ensure(&self.cache, release, progress).await?;
        let address = ports::free()?;
        let name = format!("openshift-mcp-server-{}", release.version());
        let started = self.processes.start(&Program {
            name: name.clone(),
            path: path.clone(),
            arguments: vec![
                "--bind-address".into(),
                address.ip().to_string().into(),
                "--port".into(),
                address.port().to_string().into(),
                "--kubeconfig".into(),
                self.plane.kubeconfig.clone().into(),
            ],
            directory: self.directory.path().into(),
            environment: Vec::new(),
        });
        started.with_context(|| format!("start {}", path.display()))?;
        let http = tenant_kit::http::client(&tenant_kit::http::ClientSettings::new("tenant-lab"))?;
        let url = format!("http://{address}");
        let healthy = format!("{url}/healthz");
        let up = polling::until(START_LIMIT, async || {
            if self.processes.ended(&name).is_some() {
                return Some(false);
            }
            let answer = http.get(&healthy).send().await;
            answer.is_ok_and(|answer| answer.status().is_success()).then_some(true)
        });
        if up.await != Some(true) {
            bail!("{name} does not start:\n{}", tail(&self.processes.log(&name)));
        }
        Ok(url + release.path())
    }

    /// Writes a scene into a namespace of its own.
    ///
    /// # Errors
    /// When the API server refuses an object.
    pub async fn put(&self, scene: &Scene) -> anyhow::Result<()> {
        let client = &self.plane.client;
        let namespace = &scene.namespace;
        let room = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        installation::create(client, vec![room]).await?;
        let accounts = ["default", "pipeline"].map(|account| {
            json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": account, "namespace": namespace}})
        });
        installation::create(client, accounts.to_vec()).await?;
        let objects = scene.objects.values().map(|object| self.placed(scene, object));
        let events = scene.events.iter().enumerate().map(|(number, event)| told(namespace, number, event));
        installation::create(client, objects.chain(events).collect()).await?;
        Ok(())
    }

    /// An object of the scene where it belongs; a pod with its logs.
    fn placed(&self, scene: &Scene, object: &Value) -> Value {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(scene.namespace);
        if object["kind"] == "Pod" && scheduled(&object) {
            object["spec"]["nodeName"] = json!(NODE);
            let logs = scene.logs.iter().filter(|((pod, _), _)| object["metadata"]["name"] == **pod);
            logs.for_each(|((_, container), log)| self.kubelet.keep(&object, container, log));
        }
        object
    }
}

/// An event as the API server keeps it.
fn told(namespace: &str, number: usize, event: &Event) -> Value {
    let tekton = matches!(event.kind.as_str(), "TaskRun" | "PipelineRun");
    let now = jiff::Timestamp::now().to_string();
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("event-{number}"), "namespace": namespace},
        "involvedObject": {"apiVersion": if tekton { "tekton.dev/v1" } else { "v1" }, "kind": event.kind,
            "name": event.name, "namespace": namespace},
        "reason": event.reason, "message": event.message, "type": "Warning", "count": 1,
        "firstTimestamp": now, "lastTimestamp": now,
    })
}

/// Whether a pod ever got to a node.
fn scheduled(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    !conditions.into_iter().flatten().any(|each| each["type"] == "PodScheduled" && each["status"] == "False")
}
