//! Scenes on a real API server, read through the real OpenShift MCP server.
//!
//! Real are etcd, kube-apiserver with its admission, kube-controller-manager, Tekton's definitions and
//! kubernetes-mcp-server. Nothing runs: objects are written as Tekton and the kubelet left them, and
//! [`super::kubelet`] hands out the logs.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{kubelet::Kubelet, kubelet::NODE, scene::Scene};
use crate::{
    builds::{
        Parts,
        cache::Cache,
        crds::{self, Set},
        openshift_mcp::{self, Release},
        progress::Progress,
    },
    controlplane::ControlPlane,
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
        let plane = ControlPlane::start(&parts.control_plane, directory.path(), &pki, &processes).await?;
        plane.control(&parts.control_plane, directory.path(), &processes)?;
        let kubelet = Kubelet::start(&pki.apiserver).await?;
        tokio::try_join!(
            async {
                Ok(installation::define(&plane.client, crds::load(&parts.crds, &[Set::Tekton])?).await?)
            },
            create(&plane.client, kubelet.node()),
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
        create(client, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
            .await?;
        for account in ["default", "pipeline"] {
            let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": account, "namespace": namespace}});
            create(client, account).await?;
        }
        for object in scene.objects.values() {
            let mut object = object.clone();
            object["metadata"]["namespace"] = json!(namespace);
            if object["kind"] == "Pod" && scheduled(&object) {
                object["spec"]["nodeName"] = json!(NODE);
                let logs = scene.logs.iter().filter(|((pod, _), _)| object["metadata"]["name"] == **pod);
                logs.for_each(|((_, container), log)| self.kubelet.keep(&object, container, log));
            }
            create(client, object).await?;
        }
        for (number, event) in scene.events.iter().enumerate() {
            let tekton = matches!(event.kind.as_str(), "TaskRun" | "PipelineRun");
            let now = jiff::Timestamp::now().to_string();
            let event = json!({
                "apiVersion": "v1", "kind": "Event",
                "metadata": {"name": format!("event-{number}"), "namespace": namespace},
                "involvedObject": {"apiVersion": if tekton { "tekton.dev/v1" } else { "v1" }, "kind": event.kind,
                    "name": event.name, "namespace": namespace},
                "reason": event.reason, "message": event.message, "type": "Warning", "count": 1,
                "firstTimestamp": now, "lastTimestamp": now,
            });
            create(client, event).await?;
        }
        Ok(())
    }
}

/// Whether a pod ever got to a node.
fn scheduled(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    !conditions.into_iter().flatten().any(|each| each["type"] == "PodScheduled" && each["status"] == "False")
}

/// Creates an object, then its status; what is there already stays.
async fn create(client: &Client, object: Value) -> anyhow::Result<()> {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        namespace if namespace.is_empty() => Api::all_with(client.clone(), &resource),
        namespace => Api::namespaced_with(client.clone(), &namespace, &resource),
    };
    let content: DynamicObject = serde_json::from_value(object.clone())?;
    match api.create(&PostParams::default(), &content).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => return Ok(()),
        created => created.with_context(|| format!("create {kind} {name}"))?,
    };
    if object.get("status").is_some() {
        let status = Patch::Merge(json!({"status": object["status"]}));
        let patched = api.patch_status(&name, &PatchParams::default(), &status).await;
        patched.with_context(|| format!("set the status of {kind} {name}"))?;
    }
    Ok(())
}
