//! The objects the operator makes for one instance.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::pods::{self, Pod};
use crate::standins::{cluster::ObjectKey, exposure::Exposure, kinds::Kind, ownership::controller_reference};

/// Field manager of the operator.
pub(super) const MANAGER: &str = "gitea-operator";

/// One `Gitea` resource.
pub(super) struct Instance<'a> {
    pub(super) key: &'a ObjectKey,
    pub(super) resource: &'a DynamicObject,
    pub(super) openshift: bool,
    pub(super) domain: &'a str,
    /// What a Gitea in a pod needs; `None` where it is a process beside the cluster.
    pub(super) pod: Option<&'a Pod>,
}

impl Instance<'_> {
    pub(super) fn text(&self, field: &str, default: &str) -> String {
        let value = self.resource.data["spec"][field].as_str().filter(|text| !text.is_empty());
        value.unwrap_or(default).to_owned()
    }

    /// Everything, in the order the operator makes it.
    pub(super) fn objects(&self) -> Vec<(ObjectKey, Value)> {
        let name = self.key.name.as_str();
        let database = format!("postgresql-{name}");
        let at = |kind, name: &str| ObjectKey::new(kind, &self.key.namespace, name);
        let mut objects = vec![
            (at(Kind::Secret, &database), self.database_secret(&database)),
            (at(Kind::Service, &database), self.service(&database, "name", &database, 5432, "postgresql")),
            (at(Kind::PersistentVolumeClaim, &format!("{database}-pvc")), self.claim("postgresqlVolumeSize")),
            (at(Kind::Deployment, &database), self.database(&database)),
            (at(Kind::ServiceAccount, name), self.owned(json!({}))),
            (at(Kind::PersistentVolumeClaim, &format!("{name}-pvc")), self.claim("giteaVolumeSize")),
            (at(Kind::Service, name), self.service(name, "app", name, 3000, "gitea")),
            self.exposure(),
            (at(Kind::ConfigMap, &format!("{name}-config")), self.config()),
            (at(Kind::Deployment, name), self.gitea()),
        ];
        if let Some(pod) = self.pod {
            objects.insert(0, (at(Kind::Secret, &Pod::secret(name)), self.owned(pod.object())));
        }
        objects
    }

    fn metadata(&self) -> Value {
        json!({
            "labels": { "app": self.key.name },
            "ownerReferences": [controller_reference(Kind::Gitea, self.resource)],
        })
    }

    fn owned(&self, mut object: Value) -> Value {
        object["metadata"] = self.metadata();
        object
    }

    fn database_secret(&self, database: &str) -> Value {
        self.owned(json!({ "type": "Opaque", "stringData": {
            "database-name": self.text("postgresqlDatabaseName", "giteadb"),
            "database-user": self.text("postgresqlUser", "giteauser"),
            "database-password": self.text("postgresqlPassword", "giteapassword"),
            "database-service": database,
        } }))
    }

    fn service(&self, name: &str, label: &str, value: &str, port: u16, port_name: &str) -> Value {
        let mut service = self.owned(json!({ "spec": {
            "selector": { (label): value },
            "ports": [{ "name": port_name, "port": port, "targetPort": port, "protocol": "TCP" }],
        } }));
        service["metadata"]["labels"] = json!({ "app": name });
        service
    }

    fn claim(&self, size: &str) -> Value {
        self.owned(json!({ "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": self.text(size, "4Gi") } },
        } }))
    }

    fn exposure(&self) -> (ObjectKey, Value) {
        let name = self.key.name.as_str();
        let host = self.text("giteaHostname", "");
        let exposure = Exposure {
            name,
            namespace: &self.key.namespace,
            service: name,
            port: "gitea".into(),
            host: (!host.is_empty()).then_some(host.as_str()),
            tls: self.resource.data["spec"]["giteaSsl"] == true,
            metadata: self.metadata(),
        };
        let (kind, object) = exposure.object(self.openshift, self.domain);
        (ObjectKey::new(kind, &self.key.namespace, name), object)
    }

    /// The settings of a process are the lab's own; the `ConfigMap` is there because tools look for it.
    fn config(&self) -> Value {
        let settings = self.pod.map(|pod| pod.settings(self));
        let settings = settings.unwrap_or_else(|| "; kept by the lab beside the process\n".to_owned());
        self.owned(json!({ "data": { "app.ini": settings } }))
    }

    fn database(&self, database: &str) -> Value {
        let image = self.text("postgresqlImage", "registry.redhat.io/rhel10/postgresql-16");
        let tag = self.text("postgresqlImageTag", "10.1");
        let key = |entry: &str| json!({ "secretKeyRef": { "name": database, "key": entry } });
        let container = json!({
            "name": "postgresql",
            "image": format!("{image}:{tag}"),
            "ports": [{ "containerPort": 5432, "protocol": "TCP" }],
            "env": [
                { "name": "POSTGRESQL_USER", "valueFrom": key("database-user") },
                { "name": "POSTGRESQL_PASSWORD", "valueFrom": key("database-password") },
                { "name": "POSTGRESQL_DATABASE", "valueFrom": key("database-name") },
            ],
            "resources": self.resources("postgresql", "512Mi"),
        });
        let claim = format!("{database}-pvc");
        let mut deployment = self.deployment(&json!({ "name": database }), &container, &claim, None);
        if self.pod.is_some() {
            pods::run_database(&mut deployment);
        }
        deployment
    }

    fn gitea(&self) -> Value {
        let name = self.key.name.as_str();
        let image = self.text("giteaImage", "quay.io/rhpds/gitea");
        let tag = self.text("giteaImageTag", "latest");
        let container = json!({
            "name": "gitea",
            "image": format!("{image}:{tag}"),
            "ports": [{ "containerPort": 3000, "protocol": "TCP" }],
            "readinessProbe": { "httpGet": { "path": "/api/healthz", "port": 3000 }, "periodSeconds": 20 },
            "resources": self.resources("gitea", "1Gi"),
        });
        let claim = format!("{name}-pvc");
        let mut deployment = self.deployment(&json!({ "app": name }), &container, &claim, Some(name));
        if self.pod.is_some() {
            pods::run_gitea(&mut deployment, name);
        }
        deployment
    }

    fn deployment(&self, labels: &Value, container: &Value, claim: &str, account: Option<&str>) -> Value {
        let mut pod = json!({
            "containers": [container],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": claim } }],
        });
        if let Some(account) = account {
            pod["serviceAccountName"] = account.into();
        }
        self.owned(json!({ "spec": {
            "replicas": 1,
            "strategy": { "type": "Recreate" },
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        } }))
    }

    fn resources(&self, prefix: &str, memory: &str) -> Value {
        json!({
            "requests": {
                "cpu": self.text(&format!("{prefix}CpuRequest"), "200m"),
                "memory": self.text(&format!("{prefix}MemoryRequest"), memory),
            },
            "limits": {
                "cpu": self.text(&format!("{prefix}CpuLimit"), "500m"),
                "memory": self.text(&format!("{prefix}MemoryLimit"), memory),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_owned_and_found_by_the_label_tools_select() {
        let resource: DynamicObject = serde_json::from_value(json!({
            "metadata": { "name": "gitea", "namespace": "gitea-user-x1", "uid": "u" },
            "spec": { "giteaSsl": true, "giteaImageTag": "1.25.4" },
        }))
        .unwrap();
        let key = ObjectKey::of(Kind::Gitea, &resource);
        for (openshift, kind) in [(true, Kind::Route), (false, Kind::Ingress)] {
            let (key, resource) = (&key, &resource);
            let instance = Instance { key, resource, openshift, domain: "apps.test", pod: None };
            let objects = instance.objects();
            for (key, object) in &objects {
                assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "u", "{key}");
            }
            let find = |kind, name: &str| {
                &objects.iter().find(|(key, _)| key.kind == kind && key.name == name).unwrap().1
            };
            assert_eq!(find(kind, "gitea")["metadata"]["labels"]["app"], "gitea");
            assert_eq!(find(Kind::Service, "gitea")["spec"]["ports"][0]["port"], 3000);
            let image =
                &find(Kind::Deployment, "gitea")["spec"]["template"]["spec"]["containers"][0]["image"];
            assert_eq!(image, "quay.io/rhpds/gitea:1.25.4");
        }
    }
}
