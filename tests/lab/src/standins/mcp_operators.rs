//! Stand-in for the ToolHive operator (0.47): gives each `MCPServer` its objects and its status.
//!
//! Imitates: the MCP reference, section 3: proxy Deployment and workload `StatefulSet` `{name}`, Services
//! `mcp-{name}-proxy`, `mcp-{name}`, `mcp-{name}-headless`, `ServiceAccount`s `{name}-proxy-runner` (with
//! Role and `RoleBinding`) and `{name}-sa`, `ConfigMap` `{name}-runconfig`, all owned by the `MCPServer`; phase
//! `Pending`, then `Ready` (the word since 0.17; `Running` is refused by the installed schema), `url` by
//! transport, condition `Ready`, `readyReplicas`, `observedGeneration`.
//!
//! Does not imitate: validation of `podTemplateSpec`, groups, authentication, scaling, telemetry; the MCP
//! protocol itself. Stricter than the real one: `Ready` needs the workload to be ready as well, where
//! ToolHive looks at the proxy only. The MCP lifecycle operator is next door, in `mcp_lifecycle`.
//!
//! Faults: *failing* is phase `Failed`, *wrong* is phase `Ready` at once, with the URL of another port.
//! Subject: namespace/name.

use futures::future::try_join_all;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    cluster::{Change, Cluster, ObjectKey},
    controller::{Next, Reconciler},
    kinds::Kind,
    ownership::{controller_of, controller_reference},
    routes::seconds,
};
use crate::platform::{Behaviour, StandIn};

const MANAGER: &str = "toolhive-operator";
const RUNNER_IMAGE: &str = "ghcr.io/stacklok/toolhive/proxyrunner:v0.47.0";

/// Runs `MCPServer`s.
pub(crate) struct ToolHive {
    /// Where they are.
    pub(crate) cluster: Cluster,
}

impl Reconciler for ToolHive {
    const STAND_IN: StandIn = StandIn::McpOperators;
    const WATCHES: &'static [Kind] = &[Kind::MCPServer, Kind::Deployment, Kind::StatefulSet];

    fn affected(&self, change: &Change) -> Vec<ObjectKey> {
        if change.key.kind == Kind::MCPServer {
            return vec![change.key.clone()];
        }
        controller_of(&change.object, Kind::MCPServer).into_iter().collect()
    }

    async fn reconcile(&self, key: &ObjectKey, behaviour: Behaviour) -> anyhow::Result<Next> {
        let Some(server) = self.cluster.get(key) else { return Ok(Next::Wait) };
        if server.metadata.deletion_timestamp.is_some() {
            return Ok(Next::Wait);
        }
        let find = |kind| self.cluster.find(kind, &key.namespace, &key.name);
        let (proxy, workload) = (find(Kind::Deployment), find(Kind::StatefulSet));
        if behaviour == Behaviour::Normal || matches!(behaviour, Behaviour::Slow(_)) {
            let current = server.data["status"]["observedGeneration"].as_i64() == server.metadata.generation;
            if proxy.is_none() || workload.is_none() || !current {
                let objects = children(key, &server);
                try_join_all(
                    objects
                        .into_iter()
                        .map(|(key, object)| async move { self.cluster.apply(MANAGER, &key, object).await }),
                )
                .await?;
            }
        }
        let ready = |object: Option<&DynamicObject>| {
            object.is_some_and(|object| object.data["status"]["readyReplicas"].as_i64() >= Some(1))
        };
        let phase = match behaviour {
            Behaviour::Failing(_) => Phase::Failed,
            Behaviour::Wrong => Phase::Ready,
            _ if ready(proxy.as_deref()) && ready(workload.as_deref()) => Phase::Ready,
            _ => Phase::Pending,
        };
        let status = phase.status(key, &server, behaviour == Behaviour::Wrong);
        if !same(&server.data["status"], &status) {
            self.cluster.merge_status(key, status).await?;
        }
        Ok(Next::Wait)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Pending,
    Ready,
    Failed,
}

impl Phase {
    fn status(self, key: &ObjectKey, server: &DynamicObject, wrong: bool) -> Value {
        let (message, reason) = match self {
            Self::Pending => ("MCP server is starting", "NotReady"),
            Self::Ready => ("MCP server is running", "Ready"),
            Self::Failed => ("MCP server pod failed: told to fail", "NotReady"),
        };
        let ready = self == Self::Ready;
        let now = seconds(jiff::Timestamp::now());
        json!({
            "phase": format!("{self:?}"),
            "message": message,
            "url": url(key, &server.data["spec"], wrong),
            "readyReplicas": i32::from(ready),
            "observedGeneration": server.metadata.generation,
            "conditions": [{
                "type": "Ready", "status": if ready { "True" } else { "False" }, "reason": reason,
                "message": message, "lastTransitionTime": now,
                "observedGeneration": server.metadata.generation,
            }],
        })
    }
}

/// Whether two statuses differ at most in a time.
fn same(left: &Value, right: &Value) -> bool {
    ["phase", "message", "url", "readyReplicas", "observedGeneration"]
        .iter()
        .all(|field| left[field] == right[field])
}

fn proxy_port(spec: &Value) -> i64 {
    spec["proxyPort"].as_i64().unwrap_or(8080)
}

fn url(key: &ObjectKey, spec: &Value, wrong: bool) -> String {
    let (name, namespace) = (&key.name, &key.namespace);
    let transport = match spec["transport"].as_str() {
        Some("stdio") | None => spec["proxyMode"].as_str().unwrap_or("streamable-http"),
        Some(other) => other,
    };
    let path = if transport == "sse" { format!("sse#{name}") } else { "mcp".to_owned() };
    let port = proxy_port(spec) + i64::from(wrong);
    format!("http://mcp-{name}-proxy.{namespace}.svc.cluster.local:{port}/{path}")
}

/// Everything the operator and its proxy runner make for one server.
fn children(key: &ObjectKey, server: &DynamicObject) -> Vec<(ObjectKey, Value)> {
    let (name, spec) = (key.name.as_str(), &server.data["spec"]);
    let owner = [controller_reference(Kind::MCPServer, server)];
    let labels = json!({
        "app": "mcpserver",
        "app.kubernetes.io/name": "mcpserver",
        "app.kubernetes.io/instance": name,
        "toolhive": "true",
        "toolhive-name": name,
    });
    let metadata = json!({ "ownerReferences": owner, "labels": labels });
    let object = |body: Value| {
        let mut object = body;
        object["metadata"] = metadata.clone();
        object
    };
    let runner = format!("{name}-proxy-runner");
    let account = spec["serviceAccount"].as_str().map_or_else(|| format!("{name}-sa"), str::to_owned);
    let mcp_port = spec["mcpPort"].as_i64().unwrap_or(8080);
    let workload_labels = json!({ "app": name });
    let service = |selector: &Value, port: i64, headless: bool| {
        let mut spec = json!({ "selector": selector,
            "ports": [{ "name": "http", "port": port, "targetPort": port, "protocol": "TCP" }] });
        if headless {
            spec["clusterIP"] = "None".into();
        }
        object(json!({ "spec": spec }))
    };
    let proxy = json!({ "spec": {
        "replicas": 1,
        "selector": { "matchLabels": labels },
        "template": {
            "metadata": { "labels": labels },
            "spec": {
                "serviceAccountName": runner,
                "containers": [{
                    "name": "toolhive",
                    "image": RUNNER_IMAGE,
                    "args": ["run", spec["image"]],
                    "ports": [{ "name": "http", "containerPort": proxy_port(spec), "protocol": "TCP" }],
                    "resources": spec["resources"].as_object().cloned().unwrap_or_default(),
                }],
            },
        },
    } });
    let workload = json!({ "spec": {
        "replicas": 1,
        "serviceName": format!("mcp-{name}-headless"),
        "selector": { "matchLabels": workload_labels },
        "template": { "metadata": { "labels": workload_labels }, "spec": pod_spec(spec, &account, mcp_port) },
    } });
    let role = json!({ "rules": [{
        "apiGroups": ["", "apps"],
        "resources": ["statefulsets", "services", "pods", "pods/log", "pods/attach", "configmaps"],
        "verbs": ["*"],
    }] });
    let binding = json!({
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": runner },
        "subjects": [{ "kind": "ServiceAccount", "name": runner, "namespace": key.namespace }],
    });
    let at = |kind, name: &str| ObjectKey::new(kind, &key.namespace, name);
    let mut objects = vec![
        (at(Kind::ServiceAccount, &runner), object(json!({}))),
        (at(Kind::Role, &runner), object(role)),
        (at(Kind::RoleBinding, &runner), object(binding)),
        (
            at(Kind::ConfigMap, &format!("{name}-runconfig")),
            object(json!({ "data": { "runconfig.json": "{}" } })),
        ),
        (at(Kind::Service, &format!("mcp-{name}-proxy")), service(&labels, proxy_port(spec), false)),
        (at(Kind::Service, &format!("mcp-{name}")), service(&workload_labels, mcp_port, false)),
        (at(Kind::Service, &format!("mcp-{name}-headless")), service(&workload_labels, mcp_port, true)),
        (at(Kind::Deployment, name), object(proxy)),
        (at(Kind::StatefulSet, name), object(workload)),
    ];
    if spec["serviceAccount"].is_null() {
        objects.push((at(Kind::ServiceAccount, &account), object(json!({}))));
    }
    objects
}

/// The workload's pod: the server's image and settings, with the container `mcp` of `podTemplateSpec`
/// laid over it.
fn pod_spec(spec: &Value, account: &str, port: i64) -> Value {
    let template = &spec["podTemplateSpec"]["spec"];
    let named = |container: &&Value| container["name"] == "mcp";
    let patch = template["containers"].as_array().and_then(|all| all.iter().find(named));
    let mut container = patch.cloned().unwrap_or_else(|| json!({ "name": "mcp" }));
    container["image"] = spec["image"].clone();
    container["ports"] = json!([{ "name": "http", "containerPort": port, "protocol": "TCP" }]);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut arguments = list(&container["args"]);
    arguments.extend(list(&spec["args"]));
    container["args"] = arguments.into();
    let mut environment = list(&container["env"]);
    environment.extend(list(&spec["env"]));
    environment.extend(list(&spec["secrets"]).into_iter().map(|secret| {
        let name = if secret["targetEnvName"].is_null() { &secret["key"] } else { &secret["targetEnvName"] };
        json!({ "name": name,
            "valueFrom": { "secretKeyRef": { "name": secret["name"], "key": secret["key"] } } })
    }));
    container["env"] = environment.into();
    let mut pod = template.as_object().cloned().unwrap_or_default();
    pod.insert("containers".to_owned(), json!([container]));
    pod.entry("serviceAccountName").or_insert_with(|| account.into());
    pod.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_follows_the_transport() {
        let key = ObjectKey::new(Kind::MCPServer, "ns", "gitea");
        let base = "http://mcp-gitea-proxy.ns.svc.cluster.local";
        for (spec, expected) in [
            (json!({ "transport": "streamable-http" }), format!("{base}:8080/mcp")),
            (json!({ "transport": "sse", "proxyPort": 9000 }), format!("{base}:9000/sse#gitea")),
            (json!({ "transport": "stdio", "proxyMode": "sse" }), format!("{base}:8080/sse#gitea")),
            (json!({}), format!("{base}:8080/mcp")),
        ] {
            assert_eq!(url(&key, &spec, false), expected, "{spec}");
        }
    }

    #[test]
    fn the_pod_takes_secrets_from_both_places_and_arguments_in_order() {
        let secret = json!({ "name": "a", "key": "token", "targetEnvName": "TOKEN" });
        let inner =
            json!({ "name": "mcp", "args": ["first"], "envFrom": [{ "secretRef": { "name": "b" } }] });
        let spec = json!({ "image": "i:1", "args": ["second"], "secrets": [secret],
            "podTemplateSpec": { "spec": { "containers": [inner] } } });
        let pod = pod_spec(&spec, "gitea-sa", 8000);
        let container = &pod["containers"][0];
        assert_eq!(container["args"], json!(["first", "second"]));
        assert_eq!(container["envFrom"][0]["secretRef"]["name"], "b");
        assert_eq!(container["env"][0]["valueFrom"]["secretKeyRef"], json!({ "name": "a", "key": "token" }));
        assert_eq!((&container["image"], &pod["serviceAccountName"]), (&json!("i:1"), &json!("gitea-sa")));
    }
}
