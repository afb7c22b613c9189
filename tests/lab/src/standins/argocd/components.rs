//! What the tenant's charts deploy, in short: one table in place of Helm.
//!
//! The component is recognised by the Application's name, `{component}-{user}`. Objects carry what the
//! product and the other stand-ins look at: names, ports, Secrets needed. Everything else of the charts
//! (RBAC, probes, resources) is proven by the charts' own tests.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::standins::{cluster::ObjectKey, exposure::Exposure, kinds::Kind};

/// Longest first: `librechat` is also the beginning of `librechat-config`.
const COMPONENTS: [&str; 7] =
    ["librechat-config", "mcp-openshift", "mcp-gitea", "mcp-rhoai", "mcp-kubeflow", "librechat", "agent"];

/// What there is to deploy.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    /// Objects to create.
    pub(super) objects: Vec<(ObjectKey, Value)>,
    /// Secrets of the namespace that must exist before the Application is healthy, besides those that
    /// pods wait for by themselves.
    pub(super) secrets: Vec<&'static str>,
}

/// Where and as what to deploy.
pub(super) struct Target<'a> {
    /// Name of the Application.
    pub(super) application: &'a str,
    /// Destination namespace.
    pub(super) namespace: &'a str,
    /// Whether to publish by Route or by Ingress.
    pub(super) openshift: bool,
    /// The ingress domain.
    pub(super) domain: &'a str,
    /// The chart's values. What a Job does follows from them, and its name from what it does.
    pub(super) values: &'a str,
}

impl Target<'_> {
    /// The component's objects; nothing for an Application that is none of ours.
    pub(super) fn bundle(&self) -> Bundle {
        let is_component = |component: &&&str| {
            self.application.strip_prefix(**component).is_some_and(|rest| rest.starts_with('-'))
        };
        match COMPONENTS.iter().find(is_component).copied() {
            Some("mcp-openshift") => self.mcp_server(
                "openshift",
                json!({ "image": "quay.io/containers/kubernetes_mcp_server:v0.0.67" }),
            ),
            Some("mcp-gitea") => {
                let reference = json!({ "secretKeyRef": { "name": "gitea-creds", "key": "token" } });
                let variable = json!({ "name": "GITEA_ACCESS_TOKEN", "valueFrom": reference });
                let container = json!({ "name": "mcp", "env": [variable] });
                self.mcp_server(
                    "gitea",
                    json!({
                        "image": "docker.gitea.com/gitea-mcp-server:0.4.0",
                        "podTemplateSpec": { "spec": { "containers": [container] } },
                    }),
                )
            }
            Some("mcp-rhoai") => {
                self.mcp_server("rhoai", json!({ "image": "ghcr.io/opendatahub-io/rhoai-mcp:0.1.1" }))
            }
            Some("mcp-kubeflow") => {
                self.mcp_server("kubeflow", json!({ "image": "ghcr.io/kubeflow/mcp-server:0.1.1" }))
            }
            Some("librechat-config") => {
                Bundle { objects: Vec::new(), secrets: vec!["librechat-credentials-env"] }
            }
            Some("librechat") => {
                let image = "ghcr.io/danny-avila/librechat:v0.8.1";
                self.web("librechat", image, 3080, "http", "librechat-credentials-env", true)
            }
            Some("agent") => {
                self.web("agent", "localhost/tenant-agent:lab", 8000, "8000-tcp", "agent-credentials", false)
            }
            _ => Bundle::default(),
        }
    }

    fn at(&self, kind: Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, self.namespace, name)
    }

    /// Labels by which Argo CD knows what is its own.
    fn metadata(&self) -> Value {
        json!({ "labels": { "app.kubernetes.io/instance": self.application } })
    }

    fn mcp_server(&self, name: &str, fields: Value) -> Bundle {
        let mut spec = json!({ "transport": "streamable-http", "mcpPort": 8000, "proxyPort": 8080 });
        if let (Some(spec), Value::Object(fields)) = (spec.as_object_mut(), fields) {
            spec.extend(fields);
        }
        let server = json!({ "metadata": self.metadata(), "spec": spec });
        let objects = vec![(self.at(Kind::MCPServer, name), server), self.handshake(name)];
        Bundle { objects, secrets: Vec::new() }
    }

    /// The Job that shakes hands with a server. It has one attempt instead of the chart's three: nobody here waits for
    /// the Job controller's pauses between them.
    fn handshake(&self, server: &str) -> (ObjectKey, Value) {
        let digest = hex::encode(&Sha256::digest(self.values)[..4]);
        let labels = json!({ "app.kubernetes.io/component": "handshake" });
        let container =
            json!({ "name": "handshake", "image": "registry.access.redhat.com/ubi9/ubi-minimal:9.6" });
        let mut metadata = self.metadata();
        metadata["labels"]["app.kubernetes.io/component"] = "handshake".into();
        let job = json!({ "metadata": metadata, "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": { "labels": labels },
                "spec": { "restartPolicy": "Never", "containers": [container] },
            },
        } });
        (self.at(Kind::Job, &format!("mcp-{server}-handshake-{digest}")), job)
    }

    fn web(
        &self,
        name: &str,
        image: &str,
        port: u16,
        port_name: &str,
        secret: &str,
        published: bool,
    ) -> Bundle {
        let labels = json!({ "app": name });
        let container = json!({
            "name": name,
            "image": image,
            "ports": [{ "name": port_name, "containerPort": port, "protocol": "TCP" }],
            "envFrom": [{ "secretRef": { "name": secret } }],
            "resources": {
                "requests": { "cpu": "100m", "memory": "256Mi" },
                "limits": { "cpu": "1", "memory": "2Gi" },
            },
        });
        let deployment = json!({ "metadata": self.metadata(), "spec": {
            "replicas": 1,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [container] } },
        } });
        let service = json!({ "metadata": self.metadata(), "spec": {
            "selector": labels,
            "ports": [{ "name": port_name, "port": port, "targetPort": port_name, "protocol": "TCP" }],
        } });
        let mut objects =
            vec![(self.at(Kind::Deployment, name), deployment), (self.at(Kind::Service, name), service)];
        if published {
            let exposure = Exposure {
                name,
                namespace: self.namespace,
                service: name,
                port: port_name.into(),
                host: None,
                tls: true,
                metadata: self.metadata(),
            };
            let (kind, object) = exposure.object(self.openshift, self.domain);
            objects.push((self.at(kind, name), object));
        }
        Bundle { objects, secrets: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(application: &str, openshift: bool) -> Vec<String> {
        let target = Target { application, namespace: "ns", openshift, domain: "apps.test", values: "" };
        target.bundle().objects.iter().map(|(key, _)| format!("{} {}", key.kind, key.name)).collect()
    }

    #[test]
    fn every_component_deploys_what_its_chart_is_known_for() {
        for server in ["openshift", "gitea", "rhoai", "kubeflow"] {
            let deployed = kinds(&format!("mcp-{server}-user-x1"), true);
            let job = format!("Job mcp-{server}-handshake-e3b0c442");
            assert_eq!(deployed, [format!("MCPServer {server}"), job]);
        }
        assert_eq!(kinds("librechat-config-user-x1", true), [""; 0]);
        let librechat = ["Deployment librechat", "Service librechat", "Route librechat"];
        assert_eq!(kinds("librechat-user-x1", true), librechat);
        assert_eq!(kinds("librechat-user-x1", false)[2], "Ingress librechat");
        assert_eq!(kinds("agent-user-x1", true), ["Deployment agent", "Service agent"]);
        assert_eq!(kinds("agentuser", true), [""; 0]);
    }
}
