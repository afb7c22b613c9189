//! Gitea and its `PostgreSQL` in pods, where pods run.
//!
//! What the operator's own image does by commands inside the pod, the image's start does here with what a Secret of the
//! lab's gives it: the lab's administrator, whom the stand-in acts as, exactly as in a process beside the cluster.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{objects::Instance, process_name};
use crate::{
    gitea::config::AppIni,
    platform::{Credentials, GiteaInstance},
    random_text,
    standins::{
        cluster::{Cluster, ObjectKey},
        exposure::default_host,
        kinds::Kind,
        pace,
    },
};

/// Gitea's port in its pod and of its Service.
const PORT: u16 = 3000;

/// Time for the Service's address to lead to the pod that is available already.
const REACHABLE: Duration = Duration::from_secs(30);

/// Where the image has Gitea's templates and locales.
const STATIC_ROOT: &str = "/usr/share/gitea";

/// Where the claim is mounted, as in the operator's pods.
const DATA: &str = "/gitea-repositories";

/// The groups that own the claims' files: those of the images' users.
const GITEA_GROUP: i64 = 1001;
const DATABASE_GROUP: i64 = 26;

/// What the lab gives a Gitea in a pod, made once and kept in a Secret.
pub(super) struct Pod {
    admin: Credentials,
    secret_key: String,
    internal_token: String,
}

impl Pod {
    /// The Secret's name.
    pub(super) fn secret(name: &str) -> String {
        format!("{name}-lab")
    }

    /// What the Secret of a `Gitea` says; new, and not written yet, if there is none.
    pub(super) async fn of(cluster: &Cluster, key: &ObjectKey) -> anyhow::Result<Self> {
        let at = ObjectKey::new(Kind::Secret, &key.namespace, Self::secret(&key.name));
        let Some(kept) = cluster.read(&at).await? else {
            let admin = Credentials { username: "lab-admin".to_owned(), password: random_text() };
            return Ok(Self { admin, secret_key: random_text(), internal_token: random_text() });
        };
        let text = |entry: &str| {
            let value = kept.data["data"][entry].as_str().and_then(|value| STANDARD.decode(value).ok());
            let text = value.and_then(|value| String::from_utf8(value).ok());
            text.with_context(|| format!("{at} has no text under {entry}"))
        };
        let admin = Credentials { username: text("username")?, password: text("password")? };
        Ok(Self { admin, secret_key: text("secret-key")?, internal_token: text("internal-token")? })
    }

    /// The Secret.
    pub(super) fn object(&self) -> Value {
        json!({ "type": "Opaque", "stringData": {
            "username": self.admin.username,
            "password": self.admin.password,
            "secret-key": self.secret_key,
            "internal-token": self.internal_token,
        } })
    }

    /// `app.ini`, with the database of the resource.
    pub(super) fn settings(&self, instance: &Instance<'_>) -> String {
        let key = instance.key;
        let database = [
            ("DB_TYPE", "postgres".to_owned()),
            ("HOST", format!("postgresql-{}:5432", key.name)),
            ("NAME", instance.text("postgresqlDatabaseName", "giteadb")),
            ("USER", instance.text("postgresqlUser", "giteauser")),
            ("PASSWD", format!("`{}`", instance.text("postgresqlPassword", "giteapassword"))),
        ];
        let database: Vec<_> = database.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let host = instance.text("giteaHostname", &default_host(&key.name, &key.namespace, instance.domain));
        let scheme = if instance.resource.data["spec"]["giteaSsl"] == true { "https" } else { "http" };
        AppIni {
            directory: DATA,
            static_root: STATIC_ROOT,
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)),
            root_url: &format!("{scheme}://{host}"),
            as_root: false,
            database: &database.join("\n"),
            secret_key: &self.secret_key,
            internal_token: &self.internal_token,
        }
        .to_string()
    }

    /// The Gitea behind the Service, once it answers there.
    pub(super) async fn instance(&self, cluster: &Cluster, key: &ObjectKey) -> anyhow::Result<GiteaInstance> {
        let service = cluster.find(Kind::Service, &key.namespace, &key.name);
        let address = service.as_ref().and_then(|service| service.data["spec"]["clusterIP"].as_str());
        let address: IpAddr =
            address.and_then(|address| address.parse().ok()).context("the Service has no address")?;
        let instance = GiteaInstance {
            name: process_name(key),
            address: SocketAddr::new(address, PORT),
            admin: self.admin.clone(),
        };
        let client = tenant_kit::http::client(&tenant_kit::http::ClientSettings {
            timeout: Some(Duration::from_secs(2)),
            ..tenant_kit::http::ClientSettings::new("gitea-operator")
        })
        .context("build a client")?;
        let health = format!("{}/api/healthz", instance.url());
        let answers = async {
            let mut failures = 0;
            while !client.get(&health).send().await.is_ok_and(|answer| answer.status().is_success()) {
                pace::pause(pace::backoff(failures)).await;
                failures += 1;
            }
        };
        let unreachable = || format!("{key}: its pod is available, and {health} does not answer");
        tokio::time::timeout(REACHABLE, answers).await.with_context(unreachable)?;
        Ok(instance)
    }
}

/// Lets the pod of a Deployment run Gitea.
pub(super) fn run_gitea(deployment: &mut Value, name: &str) {
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["securityContext"] = json!({ "fsGroup": GITEA_GROUP });
    if let Some(volumes) = pod["volumes"].as_array_mut() {
        volumes.push(json!({ "name": "config", "configMap": { "name": format!("{name}-config") } }));
    }
    let entry = |entry: &str| json!({ "secretKeyRef": { "name": Pod::secret(name), "key": entry } });
    let container = &mut pod["containers"][0];
    container["imagePullPolicy"] = "IfNotPresent".into();
    container["env"] = json!([
        { "name": "GITEA_ADMIN_USERNAME", "valueFrom": entry("username") },
        { "name": "GITEA_ADMIN_PASSWORD", "valueFrom": entry("password") },
    ]);
    container["volumeMounts"] = json!([
        { "name": "data", "mountPath": DATA },
        { "name": "config", "mountPath": "/home/gitea/conf" },
    ]);
    // the first look at readiness comes right after the start, whatever its period
    container["startupProbe"] = json!({
        "httpGet": { "path": "/api/healthz", "port": PORT }, "periodSeconds": 1, "failureThreshold": 300 });
}

/// Lets the pod of a Deployment run `PostgreSQL`.
pub(super) fn run_database(deployment: &mut Value) {
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["securityContext"] = json!({ "fsGroup": DATABASE_GROUP });
    let container = &mut pod["containers"][0];
    container["imagePullPolicy"] = "IfNotPresent".into();
    container["volumeMounts"] = json!([{ "name": "data", "mountPath": "/var/lib/pgsql/data" }]);
    container["readinessProbe"] = json!({ "tcpSocket": { "port": 5432 }, "periodSeconds": 1 });
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;

    use super::*;

    #[test]
    fn a_pod_has_its_settings_its_data_and_its_administrator() {
        let resource: DynamicObject = serde_json::from_value(json!({
            "metadata": { "name": "gitea", "namespace": "gitea-user-x1", "uid": "u" },
            "spec": { "giteaSsl": true, "giteaImageTag": "1.25.4", "postgresqlPassword": "p;w" },
        }))
        .unwrap();
        let key = ObjectKey::of(Kind::Gitea, &resource);
        let admin = Credentials { username: "lab-admin".to_owned(), password: "a".to_owned() };
        let pod = Pod { admin, secret_key: "s".to_owned(), internal_token: "i".to_owned() };
        let (key, resource) = (&key, &resource);
        let instance = Instance { key, resource, openshift: true, domain: "apps.test", pod: Some(&pod) };
        let objects = instance.objects();
        let find = |kind, name: &str| {
            &objects.iter().find(|(key, _)| key.kind == kind && key.name == name).unwrap().1
        };
        let settings = find(Kind::ConfigMap, "gitea-config")["data"]["app.ini"].as_str().unwrap();
        for line in [
            "HTTP_ADDR = 0.0.0.0",
            "ROOT_URL = https://gitea-gitea-user-x1.apps.test/",
            "HOST = postgresql-gitea:5432",
            "PASSWD = `p;w`",
        ] {
            assert!(settings.lines().any(|known| known == line), "{line} is not in:\n{settings}");
        }
        assert_eq!(find(Kind::Secret, "gitea-lab")["stringData"]["username"], "lab-admin");
        let pod = &find(Kind::Deployment, "gitea")["spec"]["template"]["spec"];
        let volumes: Vec<_> =
            pod["volumes"].as_array().unwrap().iter().map(|volume| &volume["name"]).collect();
        let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap().iter();
        assert_eq!(mounts.map(|mount| &mount["name"]).collect::<Vec<_>>(), volumes);
        let image = pod["containers"][0]["image"].as_str().unwrap();
        assert!(crate::play::images::find(image).is_some(), "no image {image}");
    }
}
