//! Stand-in for the MCP lifecycle operator: a Deployment and a Service for each `MCPServer` of `mcp.x-k8s.io`.
//!
//! Imitates: the MCP reference, section 4: what must exist before anything is rolled out (`Accepted`), the objects `{name}`
//! with their labels and default security context, the default readiness probe, `address.url`, conditions by type,
//! status and reason, replicas, scaling to zero; and, where pods run, one real `initialize` for each generation from here
//! to the Service, tried again after 10 s. Its definition is [`crate::builds::crds::mcp_lifecycle`]; a cluster gets the
//! stand-in by getting that.
//!
//! Does not imitate: the `NetworkPolicy`, the configuration's hash, `serverInfo`, messages about single pods, giving up
//! after ten handshakes. Where pods do not run there is no handshake, as in release 0.1.
//!
//! Faults are those of the MCP operators: *failing* is `DeploymentUnavailable`, *wrong* is `Available` at once with the
//! URL of another port. Subject: namespace/name.

use std::{net::IpAddr, time::Duration};

use agent_mcp::{Client, ConnectError, Endpoint, TransportChoice};
use anyhow::Context as _;
use futures::future::try_join_all;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use tenant_kit::http::{ClientSettings, Detour, client};

use super::{
    cluster::{Change, Cluster, ObjectKey},
    controller::{Next, Reconciler},
    kinds::Kind,
    ownership::{controller_of, controller_reference},
    routes::seconds,
};
use crate::platform::{Behaviour, StandIn};

const MANAGER: &str = "mcp-lifecycle-operator";
/// The cluster's own.
const DOMAIN: &str = "cluster.local";

/// Until the next handshake after one that failed: the first of the real one's intervals.
const RETRY: Duration = Duration::from_secs(10);

/// Runs `MCPServer`s of `mcp.x-k8s.io`.
pub(crate) struct Lifecycle {
    /// Where they are.
    pub(crate) cluster: Cluster,
    /// Whether pods run, so that one can talk to them.
    pub(crate) nodes: bool,
}

impl Reconciler for Lifecycle {
    const STAND_IN: StandIn = StandIn::McpOperators;
    const WATCHES: &'static [Kind] =
        &[Kind::LifecycleServer, Kind::Deployment, Kind::Service, Kind::ConfigMap, Kind::Secret];

    fn affected(&self, change: &Change) -> Vec<ObjectKey> {
        match change.key.kind {
            Kind::LifecycleServer => vec![change.key.clone()],
            Kind::ConfigMap | Kind::Secret => {
                let servers = self.cluster.list_in(Kind::LifecycleServer, &change.key.namespace);
                servers.iter().map(|server| ObjectKey::of(Kind::LifecycleServer, server)).collect()
            }
            _ => controller_of(&change.object, Kind::LifecycleServer).into_iter().collect(),
        }
    }

    async fn reconcile(&self, key: &ObjectKey, behaviour: Behaviour) -> anyhow::Result<Next> {
        let Some(server) = self.cluster.get(key) else { return Ok(Next::Wait) };
        if server.metadata.deletion_timestamp.is_some() {
            return Ok(Next::Wait);
        }
        let (state, next) = self.look(key, &server, behaviour).await?;
        let status = state.status(key, &server, behaviour == Behaviour::Wrong);
        if !same(&server.data["status"], &status) {
            self.cluster.merge_status(key, status).await?;
        }
        Ok(next)
    }
}

impl Lifecycle {
    async fn look(
        &self,
        key: &ObjectKey,
        server: &DynamicObject,
        behaviour: Behaviour,
    ) -> anyhow::Result<(State, Next)> {
        let exists = |kind, name: &str| self.cluster.find(kind, &key.namespace, name).is_some();
        if let Some(missing) = missing(&server.data["spec"], &key.namespace, exists) {
            return Ok((State::Invalid(missing), Next::Wait));
        }
        match behaviour {
            Behaviour::Failing(_) => return Ok((State::Unavailable { ready: 0 }, Next::Wait)),
            Behaviour::Wrong => return Ok((State::Available { ready: 1 }, Next::Wait)),
            _ => {}
        }
        let find = |kind| self.cluster.find(kind, &key.namespace, &key.name);
        let (deployment, service) = (find(Kind::Deployment), find(Kind::Service));
        let status = &server.data["status"];
        let current = status["observedGeneration"].as_i64() == server.metadata.generation;
        if deployment.is_none() || service.is_none() || !current {
            let objects = children(key, server).into_iter();
            try_join_all(
                objects.map(|(key, object)| async move { self.cluster.apply(MANAGER, &key, object).await }),
            )
            .await?;
        }
        if wanted(&server.data["spec"]) == 0 {
            return Ok((State::ScaledToZero, Next::Wait));
        }
        let ready = deployment.map_or(0, |one| one.data["status"]["availableReplicas"].as_i64().unwrap_or(0));
        if ready == 0 {
            return Ok((State::Unavailable { ready }, Next::Wait));
        }
        let verified = current && reason(status, "Ready") == Some("Available");
        if !self.nodes || verified {
            return Ok((State::Available { ready }, Next::Wait));
        }
        Ok(match handshake(key, service.as_deref(), &server.data["spec"]).await {
            Ok(()) => (State::Available { ready }, Next::Wait),
            Err(error) => (State::NotMcp { ready, why: format!("{error:#}") }, Next::Again(RETRY)),
        })
    }
}

/// A real `initialize`, by the name that the status gives: servers may look at it. One that wants a login counts as
/// reachable.
async fn handshake(key: &ObjectKey, service: Option<&DynamicObject>, spec: &Value) -> anyhow::Result<()> {
    let address = service.and_then(|service| service.data["spec"]["clusterIP"].as_str());
    let address: IpAddr =
        address.and_then(|address| address.parse().ok()).context("the Service has no address")?;
    let url = url(key, spec, port(spec));
    let endpoint =
        Endpoint::new("lifecycle", &url, TransportChoice::StreamableHttp).map_err(anyhow::Error::msg)?;
    // this program is no pod, and knows no names of the cluster
    let detour = Some(Detour { domain: DOMAIN.to_owned(), address: (address, 0).into() });
    let http = client(&ClientSettings { timeout: None, detour, ..ClientSettings::new(MANAGER) })?;
    match Client::new(endpoint, http).probe(&[]).await {
        Ok(_) | Err(ConnectError::Refused { .. }) => Ok(()),
        // the protocol library tells a refused login as text
        Err(ConnectError::Handshake { reason, .. }) if reason.contains("401") || reason.contains("403") => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Invalid(String),
    Unavailable { ready: i64 },
    NotMcp { ready: i64, why: String },
    Available { ready: i64 },
    ScaledToZero,
}

impl State {
    fn status(&self, key: &ObjectKey, server: &DynamicObject, wrong: bool) -> Value {
        let spec = &server.data["spec"];
        let generation = server.metadata.generation;
        let condition = |kind: &str, holds: bool, reason: &str, message: String| {
            json!({ "type": kind, "status": if holds { "True" } else { "False" }, "reason": reason, "message": message,
                "observedGeneration": generation, "lastTransitionTime": seconds(jiff::Timestamp::now()) })
        };
        let wanted = wanted(spec);
        let (ready, holds, why, message) = match self {
            Self::Invalid(_) => {
                let message = "Configuration must be fixed before server can start".to_owned();
                (0, false, "ConfigurationInvalid", message)
            }
            Self::Unavailable { ready } => (
                *ready,
                false,
                "DeploymentUnavailable",
                format!("No healthy instances ({ready} of {wanted})"),
            ),
            Self::NotMcp { ready, why } => {
                let message = format!("MCP endpoint is not serving a valid MCP protocol: {why}");
                (*ready, false, "MCPEndpointUnavailable", message)
            }
            Self::Available { ready } => {
                let message = format!("MCP server is ready ({ready} of {wanted} instances healthy)");
                (*ready, true, "Available", message)
            }
            Self::ScaledToZero => (0, true, "ScaledToZero", "zero replicas are wanted".to_owned()),
        };
        let accepted = match self {
            Self::Invalid(missing) => condition("Accepted", false, "Invalid", missing.clone()),
            _ => condition("Accepted", true, "Valid", "references resolve".to_owned()),
        };
        let name = &key.name;
        json!({
            "observedGeneration": generation,
            "deploymentName": name,
            "serviceName": name,
            "replicas": wanted,
            "readyReplicas": ready,
            "address": { "url": url(key, spec, port(spec) + i64::from(wrong)) },
            "conditions": [accepted, condition("Ready", holds, why, message)],
        })
    }
}

/// The reason of a condition that holds.
fn reason<'a>(status: &'a Value, kind: &str) -> Option<&'a str> {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    let found = conditions.find(|one| one["type"] == kind && one["status"] == "True")?;
    found["reason"].as_str()
}

/// Whether two statuses differ at most in times.
fn same(left: &Value, right: &Value) -> bool {
    let said = |status: &Value| -> Vec<Value> {
        let conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.map(|one| json!([one["type"], one["status"], one["reason"], one["message"]])).collect()
    };
    let fields = ["observedGeneration", "replicas", "readyReplicas", "address"];
    said(left) == said(right) && fields.iter().all(|field| left[field] == right[field])
}

/// Where a server is reached inside the cluster.
fn url(key: &ObjectKey, spec: &Value, port: i64) -> String {
    format!("http://{}.{}.svc.{DOMAIN}:{port}{}", key.name, key.namespace, path(spec))
}

fn port(spec: &Value) -> i64 {
    spec["config"]["port"].as_i64().unwrap_or(8080)
}

fn path(spec: &Value) -> &str {
    spec["config"]["path"].as_str().unwrap_or("/mcp")
}

fn wanted(spec: &Value) -> i64 {
    spec["runtime"]["replicas"].as_i64().unwrap_or(1)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> + Clone {
    value.as_array().into_iter().flatten()
}

/// The first object that the configuration names and that is not there; keys inside it are not looked at.
fn missing(spec: &Value, namespace: &str, exists: impl Fn(Kind, &str) -> bool) -> Option<String> {
    let config = &spec["config"];
    let storage = items(&config["storage"]).map(|item| &item["source"]);
    let sources = storage.clone().map(|source| (Kind::ConfigMap, &source["configMap"], "name"));
    let secrets = storage.map(|source| (Kind::Secret, &source["secret"], "secretName"));
    let env = items(&config["env"]).map(|item| &item["valueFrom"]);
    let maps = env.clone().map(|from| (Kind::ConfigMap, &from["configMapKeyRef"], "name"));
    let keys = env.map(|from| (Kind::Secret, &from["secretKeyRef"], "name"));
    let whole = items(&config["envFrom"]).map(|from| (Kind::ConfigMap, &from["configMapRef"], "name"));
    let opaque = items(&config["envFrom"]).map(|from| (Kind::Secret, &from["secretRef"], "name"));
    let all = sources.chain(secrets).chain(maps).chain(keys).chain(whole).chain(opaque);
    all.filter(|(_, reference, _)| reference["optional"] != true).find_map(|(kind, reference, field)| {
        let name = reference[field].as_str().filter(|name| !exists(kind, name))?;
        Some(format!("{kind} '{name}' not found in namespace '{namespace}'"))
    })
}

/// Deployment and Service.
fn children(key: &ObjectKey, server: &DynamicObject) -> Vec<(ObjectKey, Value)> {
    let (name, spec) = (key.name.as_str(), &server.data["spec"]);
    let labels = json!({ "app": "mcp-server", "mcp-server": name });
    let selector = json!({ "mcp-server": name });
    let metadata =
        json!({ "labels": labels, "ownerReferences": [controller_reference(Kind::LifecycleServer, server)] });
    let deployment = json!({ "metadata": metadata, "spec": {
        "replicas": wanted(spec),
        "selector": { "matchLabels": selector },
        "template": { "metadata": { "labels": labels }, "spec": pod(spec) },
    } });
    let service = json!({ "metadata": metadata, "spec": {
        "selector": selector,
        "ports": [{ "name": "mcp", "port": port(spec), "targetPort": port(spec), "protocol": "TCP" }],
    } });
    let at = |kind| ObjectKey::new(kind, &key.namespace, name);
    vec![(at(Kind::Deployment), deployment), (at(Kind::Service), service)]
}

fn pod(spec: &Value) -> Value {
    let (config, runtime) = (&spec["config"], &spec["runtime"]);
    let port = port(spec);
    let mut container = json!({
        "name": "mcp-server",
        "image": spec["source"]["containerImage"]["ref"],
        "ports": [{ "name": "mcp", "containerPort": port, "protocol": "TCP" }],
        "readinessProbe": { "tcpSocket": { "port": port }, "periodSeconds": 10, "failureThreshold": 3 },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "capabilities": { "drop": ["ALL"] },
            "seccompProfile": { "type": "RuntimeDefault" },
        },
    });
    // what is given replaces the default as a whole
    for (field, value) in [
        ("args", &config["arguments"]),
        ("env", &config["env"]),
        ("envFrom", &config["envFrom"]),
        ("resources", &runtime["resources"]),
        ("securityContext", &runtime["security"]["securityContext"]),
        ("readinessProbe", &runtime["health"]["readinessProbe"]),
        ("livenessProbe", &runtime["health"]["livenessProbe"]),
    ] {
        if !value.is_null() {
            container[field] = value.clone();
        }
    }
    let (mut mounts, mut volumes) = (Vec::new(), Vec::new());
    for (number, item) in items(&config["storage"]).enumerate() {
        let name = format!("vol-{number}");
        let mut volume = json!({ "name": name });
        for block in ["configMap", "secret", "emptyDir"] {
            if !item["source"][block].is_null() {
                volume[block] = item["source"][block].clone();
            }
        }
        let read_only = item["permissions"] != "ReadWrite";
        mounts.push(json!({ "name": name, "mountPath": item["path"], "readOnly": read_only }));
        volumes.push(volume);
    }
    container["volumeMounts"] = mounts.into();
    let mut pod = json!({ "containers": [container], "volumes": volumes });
    let security = &runtime["security"];
    for (field, value) in [
        ("serviceAccountName", &security["serviceAccountName"]),
        ("securityContext", &security["podSecurityContext"]),
    ] {
        if !value.is_null() {
            pod[field] = value.clone();
        }
    }
    pod
}

#[cfg(test)]
mod tests;
