//! Stand-in for the Gitea operator (rhpds/gitea-operator 2.3): behind every `Gitea` resource there is one
//! real Gitea: a process beside the cluster, or a pod with a `PostgreSQL` where pods run.
//!
//! Imitates: the provisioning reference, section 4: the objects of `PostgreSQL` and Gitea, owned by the
//! resource; Service `{name}` port 3000; Route `{name}` with label `app: {name}` (an Ingress with the same
//! host on a plain cluster); `status` in the real order: route and host name once the Deployment is
//! available, the administrator, users, repositories, conditions `Running`, `Successful`, `Failure`.
//! Passwords end up in clear in the status, as they do there. Deleting the resource ends the process and
//! removes its data; the garbage collector takes the objects.
//!
//! Does not imitate: `PostgreSQL` of a process (it uses `SQLite`), settings of `app.ini`, resizing, upgrades; the
//! waits of the real one (minutes); its bug of never filling the status of an administrator that exists.
//!
//! Faults: *absent* leaves the resource alone, *failing* reports condition `Failure`, *wrong* reports
//! everything complete with a password that does not work. Subject: namespace/name.

mod accounts;
mod objects;
mod pods;

use anyhow::Context as _;
use futures::future::try_join_all;
use kube::api::DynamicObject;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use self::{
    accounts::Accounts,
    objects::{Instance, MANAGER},
    pods::Pod,
};
use super::{
    cluster::{Change, Cluster, ObjectKey},
    controller::{Next, Reconciler},
    exposure::default_host,
    kinds::Kind,
    ownership::controller_of,
    routes::{admitted_host, seconds},
};
use crate::platform::{Backend, Behaviour, GiteaInstance, GiteaSpec, Platform, StandIn};

/// Runs Giteas.
pub(crate) struct GiteaOperator {
    /// Where the resources are.
    pub(crate) cluster: Cluster,
    /// Where processes come from, and who is told about them.
    pub(crate) platform: Platform,
}

impl Reconciler for GiteaOperator {
    const STAND_IN: StandIn = StandIn::GiteaOperator;
    const WATCHES: &'static [Kind] = &[Kind::Gitea, Kind::Deployment, Kind::Route];

    fn affected(&self, change: &Change) -> Vec<ObjectKey> {
        if change.key.kind == Kind::Gitea {
            return vec![change.key.clone()];
        }
        controller_of(&change.object, Kind::Gitea).into_iter().collect()
    }

    async fn reconcile(&self, key: &ObjectKey, behaviour: Behaviour) -> anyhow::Result<Next> {
        let Some(resource) = self.cluster.get(key) else {
            self.platform.backends.remove(&key.namespace, &key.name);
            self.platform.gitea.stop(&process_name(key)).await;
            return Ok(Next::Wait);
        };
        if resource.metadata.deletion_timestamp.is_some() || is_complete(&resource) {
            return Ok(Next::Wait);
        }
        // The cache may be behind this controller's own last write, and a password is set once only.
        let Some(resource) = self.cluster.read(key).await? else { return Ok(Next::Wait) };
        if is_complete(&resource) {
            return Ok(Next::Wait);
        }
        let report = Report { cluster: &self.cluster, key, resource: &resource };
        match behaviour {
            Behaviour::Failing(_) => report.failure("the operator was told to fail").await?,
            Behaviour::Wrong => report.lie(&self.platform.domain).await?,
            _ => {
                if let Err(error) = self.bring_up(key, &resource, &report).await {
                    report.failure(&format!("{error:#}")).await?;
                    return Err(error);
                }
            }
        }
        Ok(Next::Wait)
    }
}

impl GiteaOperator {
    async fn bring_up(
        &self,
        key: &ObjectKey,
        resource: &DynamicObject,
        report: &Report<'_>,
    ) -> anyhow::Result<()> {
        let platform = &self.platform;
        let host = hostname(key, resource, &platform.domain);
        let scheme = if resource.data["spec"]["giteaSsl"] == true { "https" } else { "http" };
        let pod = if platform.nodes { Some(Pod::of(&self.cluster, key).await?) } else { None };
        let (openshift, domain) = (platform.openshift, platform.domain.as_str());
        let instance = Instance { key, resource, openshift, domain, pod: pod.as_ref() };
        let process = if let Some(pod) = &pod {
            self.make_objects(&instance).await?;
            if !self.is_published(key) {
                return Ok(());
            }
            let process = pod.instance(&self.cluster, key).await?;
            platform.gitea.adopt(process.clone());
            process
        } else {
            let spec = GiteaSpec { name: process_name(key), root_url: format!("{scheme}://{host}/") };
            // The process takes a second; its objects are made meanwhile. Neither is given up when the other
            // fails: a start that went on unattended would meet the next attempt's.
            let (process, objects) =
                tokio::join!(launch(platform.clone(), spec), self.make_objects(&instance));
            let process = process?;
            platform.backends.set(&key.namespace, &key.name, Backend::Address(process.address));
            objects?;
            if !self.is_published(key) {
                return Ok(());
            }
            process
        };
        let status = &resource.data["status"];
        if status["giteaRoute"].is_null() {
            let route = json!({ "giteaRoute": format!("{scheme}://{host}"), "giteaHostname": host });
            self.cluster.merge_status(key, route).await?;
        }
        self.set_up(key, resource, &process, report).await
    }

    /// Creates what the cache does not show yet.
    async fn make_objects(&self, instance: &Instance<'_>) -> anyhow::Result<()> {
        let missing = instance.objects().into_iter().filter(|(key, _)| {
            !key.kind.is_watched(self.platform.openshift) || self.cluster.get(key).is_none()
        });
        try_join_all(
            missing.map(|(key, object)| async move { self.cluster.apply(MANAGER, &key, object).await }),
        )
        .await?;
        Ok(())
    }

    /// Whether the Deployment is available and the Route admitted.
    fn is_published(&self, key: &ObjectKey) -> bool {
        let find = |kind| self.cluster.find(kind, &key.namespace, &key.name);
        let available = find(Kind::Deployment)
            .is_some_and(|deployment| deployment.data["status"]["availableReplicas"].as_i64() >= Some(1));
        let admitted = if self.platform.openshift {
            find(Kind::Route).is_some_and(|route| admitted_host(&route).is_some())
        } else {
            find(Kind::Ingress).is_some()
        };
        available && admitted
    }

    /// Administrator, users, repositories: each with its flag in the status as soon as it is there.
    async fn set_up(
        &self,
        key: &ObjectKey,
        resource: &DynamicObject,
        process: &GiteaInstance,
        report: &Report<'_>,
    ) -> anyhow::Result<()> {
        let accounts = Accounts::new(process)?;
        let (spec, status) = (&resource.data["spec"], &resource.data["status"]);
        let text = |field: &str| spec[field].as_str().unwrap_or_default();
        let mut done = Map::new();
        let administrator = text("giteaAdminUser");
        if !administrator.is_empty() && status["adminSetupComplete"] != true {
            let password = self.password(key, spec, "giteaAdminPassword", "adminPassword")?;
            let email = spec["giteaAdminEmail"].as_str().unwrap_or("notset@notset.org");
            accounts.ensure_administrator(administrator, &password, email).await?;
            done.insert("adminSetupComplete".to_owned(), true.into());
            done.insert("adminPassword".to_owned(), password.into());
            self.cluster.merge_status(key, Value::Object(done.clone())).await?;
        }
        if spec["giteaCreateUsers"] == true && status["userSetupComplete"] != true {
            done.insert("userSetupComplete".to_owned(), true.into());
            if administrator.is_empty() {
                done.insert("userSetupError".to_owned(), "giteaAdminUser is not set".into());
            } else {
                let password = self.password(key, spec, "giteaUserPassword", "userPassword")?;
                let domain = spec["giteaUserEmailDomain"].as_str().unwrap_or("example.com");
                for user in users(spec) {
                    accounts.ensure_user(&user, &password, &format!("{user}@{domain}")).await?;
                }
                done.insert("userPassword".to_owned(), password.into());
            }
        }
        if spec["giteaMigrateRepositories"] == true && status["repoMigrationComplete"] != true {
            for user in users(spec) {
                for repository in spec["giteaRepositoriesList"].as_array().into_iter().flatten() {
                    accounts.ensure_repository(&user, repository).await?;
                }
            }
            done.insert("repoMigrationComplete".to_owned(), true.into());
        }
        report.success(done).await
    }

    /// Of the Secret named by `{field}SecretName`, else the literal, else random.
    fn password(&self, key: &ObjectKey, spec: &Value, field: &str, entry: &str) -> anyhow::Result<String> {
        if let Some(name) = spec[format!("{field}SecretName")].as_str().filter(|name| !name.is_empty()) {
            let secret = self.cluster.find(Kind::Secret, &key.namespace, name);
            let secret = secret.with_context(|| format!("secret {name:?} not found"))?;
            let value = secret.data["data"][entry].as_str();
            let value = value.with_context(|| format!("secret {name:?} has no key {entry:?}"))?;
            return decoded(value).with_context(|| format!("key {entry:?} of secret {name:?} is not text"));
        }
        match spec[field].as_str() {
            Some(password) if !password.is_empty() => Ok(password.to_owned()),
            _ => Ok(tenant_kit::secret::random_password().expose_secret().to_owned()),
        }
    }
}

fn decoded(base64: &str) -> Option<String> {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(base64).ok()?).ok()
}

/// The process is called after the resource and its namespace.
pub(crate) fn process_name(key: &ObjectKey) -> String {
    format!("{}-{}", key.name, key.namespace)
}

fn hostname(key: &ObjectKey, resource: &DynamicObject, domain: &str) -> String {
    match resource.data["spec"]["giteaHostname"].as_str() {
        Some(host) if !host.is_empty() => host.to_owned(),
        _ => default_host(&key.name, &key.namespace, domain),
    }
}

/// The users asked for: one is named literally, several by number in place of `%d`.
fn users(spec: &Value) -> Vec<String> {
    let number = spec["giteaUserNumber"].as_u64().unwrap_or(2).min(200);
    let format = spec["giteaGenerateUserFormat"].as_str().unwrap_or("user%d");
    if number == 1 {
        return vec![format.to_owned()];
    }
    (1..=number).map(|number| format.replacen("%d", &number.to_string(), 1)).collect()
}

/// Whether the status says all that the spec asks for.
fn is_complete(resource: &DynamicObject) -> bool {
    let (spec, status) = (&resource.data["spec"], &resource.data["status"]);
    let asked = |field: &str| spec[field] == true;
    let administrator = spec["giteaAdminUser"].as_str().is_some_and(|name| !name.is_empty());
    let done = |wanted: bool, flag: &str| !wanted || status[flag] == true;
    let observed = status["observedGeneration"].as_i64() == resource.metadata.generation;
    observed
        && done(administrator, "adminSetupComplete")
        && done(asked("giteaCreateUsers"), "userSetupComplete")
        && done(asked("giteaMigrateRepositories"), "repoMigrationComplete")
}

/// How the operator SDK tells the outcome.
struct Report<'a> {
    cluster: &'a Cluster,
    key: &'a ObjectKey,
    resource: &'a DynamicObject,
}

impl Report<'_> {
    async fn success(&self, mut fields: Map<String, Value>) -> anyhow::Result<()> {
        let message = "Awaiting next reconciliation";
        fields.insert("conditions".to_owned(), conditions("Successful", message));
        fields.insert("observedGeneration".to_owned(), self.resource.metadata.generation.into());
        Ok(self.cluster.merge_status(self.key, Value::Object(fields)).await?)
    }

    async fn failure(&self, message: &str) -> anyhow::Result<()> {
        let known = self.resource.data["status"]["conditions"].as_array();
        let told = known.into_iter().flatten().any(|known| {
            known["type"] == "Failure" && known["status"] == "True" && known["message"] == message
        });
        if told {
            return Ok(());
        }
        let status = json!({ "conditions": conditions("Failed", message) });
        Ok(self.cluster.merge_status(self.key, status).await?)
    }

    async fn lie(&self, domain: &str) -> anyhow::Result<()> {
        let host = hostname(self.key, self.resource, domain);
        let status = json!({
            "giteaRoute": format!("https://{host}"),
            "giteaHostname": host,
            "adminSetupComplete": true,
            "adminPassword": tenant_kit::secret::random_password().expose_secret(),
            "userSetupComplete": true,
            "repoMigrationComplete": true,
        });
        let Value::Object(fields) = status else { return Ok(()) };
        self.success(fields).await
    }
}

/// The SDK's three conditions, for `reason` `Successful` or `Failed`.
fn conditions(reason: &str, message: &str) -> Value {
    let now = seconds(jiff::Timestamp::now());
    let failed = reason == "Failed";
    let condition = |kind: &str, holds: bool| {
        let mut condition = json!({ "type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": now });
        if holds {
            condition["reason"] = reason.into();
            condition["message"] = message.into();
        }
        condition
    };
    json!([condition("Running", !failed), condition("Successful", !failed), condition("Failure", failed)])
}

/// Starts the process on a thread of its own, because copying its data blocks.
async fn launch(platform: Platform, spec: GiteaSpec) -> anyhow::Result<GiteaInstance> {
    let runtime = tokio::runtime::Handle::current();
    let start = move || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = platform.shutdown.cancelled() => anyhow::bail!("the lab goes down"),
                started = platform.gitea.start(spec) => Ok(started?),
            }
        })
    };
    tokio::task::spawn_blocking(start).await.context("wait for the Gitea process")?
}

/// Users, repositories and tokens of an instance, one line each, sorted.
pub(super) async fn content(instance: &GiteaInstance) -> anyhow::Result<Vec<String>> {
    Accounts::new(instance)?.inventory().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_is_literal_and_several_are_numbered() {
        let spec = |number: u64, format: &str| json!({ "giteaUserNumber": number, "giteaGenerateUserFormat": format });
        assert_eq!(users(&spec(1, "user-x1")), ["user-x1"]);
        assert_eq!(users(&spec(3, "u%d")), ["u1", "u2", "u3"]);
        assert_eq!(users(&json!({})), ["user1", "user2"]);
    }

    #[test]
    fn a_resource_is_complete_only_when_every_wish_is_granted_for_this_generation() {
        let resource = |status: Value| -> DynamicObject {
            let spec = json!({ "giteaAdminUser": "admin", "giteaCreateUsers": true });
            serde_json::from_value(json!({ "metadata": { "name": "gitea", "generation": 2 }, "spec": spec,
                "status": status }))
            .unwrap()
        };
        let status =
            json!({ "adminSetupComplete": true, "userSetupComplete": true, "observedGeneration": 2 });
        assert!(is_complete(&resource(status.clone())));
        for (field, value) in [("userSetupComplete", json!(null)), ("observedGeneration", json!(1))] {
            let mut status = status.clone();
            status[field] = value;
            assert!(!is_complete(&resource(status)), "{field}");
        }
    }
}
