//! The floor: what one tenant costs when nothing is thought about. The writes of a provision, taken down
//! before, go over open connections in the order their dependencies force, as parallel as `tenant` sends
//! them; nothing is read but what the next write needs, nothing is compared, nothing is said.
//!
//! What it cannot do without, waiting for the services, is measured apart.

use std::{
    collections::BTreeMap,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::{StreamExt as _, future::try_join_all, try_join};
use http::Request;
use kube::{
    Api, Client,
    api::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        watcher::{Config, watcher},
    },
};
use serde_json::Value;

use super::{
    services::{Gitea, Login, Services},
    writes::{Write, Writes, apply, delete},
};

/// As many connections as `tenant` has requests under way at once.
const CONNECTIONS: usize = 32;

/// Sends one tenant's writes.
pub(super) struct Floor {
    pub(super) client: Client,
    pub(super) services: Services,
    pub(super) writes: Writes,
    pub(super) login: Login,
    /// The label that all objects of the tenant carry: `key=value`.
    pub(super) selector: String,
    /// The Argo CD applications.
    pub(super) applications: Api<DynamicObject>,
}

/// What one pass took.
pub(super) struct Pass {
    /// All of it.
    pub(super) wall: Duration,
    /// Of that, waiting for services to do their work, by name.
    pub(super) waits: BTreeMap<&'static str, Duration>,
}

impl Pass {
    /// What the writes alone took.
    pub(super) fn writes(&self) -> Duration {
        self.wall.saturating_sub(self.waits.values().sum())
    }
}

impl Floor {
    /// The same for another tenant, over the same connections.
    pub(super) fn of(&self, guid: &str, other: &str) -> Self {
        Self {
            client: self.client.clone(),
            services: self.services.of(other),
            writes: self.writes.of(guid, other),
            login: Login {
                user: self.login.user.replace(guid, other),
                password: self.login.password.clone(),
            },
            selector: self.selector.replace(guid, other),
            applications: self.applications.clone(),
        }
    }

    /// Opens the connections.
    pub(super) async fn warm(&self) -> anyhow::Result<()> {
        let asked = (0..CONNECTIONS).map(|_| async {
            let request = Request::get("/version").body(Vec::new())?;
            anyhow::Ok(self.client.request_text(request).await?)
        });
        try_join_all(asked).await?;
        self.services.warm().await
    }

    /// Sends what a provision sends.
    pub(super) async fn provision(&self) -> anyhow::Result<Pass> {
        let begun = Instant::now();
        let writes = &self.writes;
        writes.record.apply().await?;
        let key = async {
            self.services.make_key().await?;
            writes.record.apply().await
        };
        let tenant = async {
            apply(&writes.namespaces).await?;
            try_join!(apply(&writes.content), self.gitea()).map(|((), waits)| waits)
        };
        let shared = apply(writes.project.iter().chain(&writes.shares));
        let ((), (), (), mut waits) = try_join!(self.services.make_login(), key, shared, tenant)?;
        try_join!(apply(&writes.guide), apply(writes.servers.iter().chain(&writes.secrets)))?;
        apply(&writes.sets).await?;
        let synced = Instant::now();
        let sets = writes.sets.len();
        let applications = Config::default().labels(&self.selector);
        try_join!(
            until(&self.applications, applications, |found| found.len() == sets
                && found.values().all(healthy)),
            self.guide()
        )?;
        waits.insert("applications and guide", synced.elapsed());
        writes.record.apply().await?;
        Ok(Pass { wall: begun.elapsed(), waits })
    }

    /// Gitea with its user and repository.
    async fn gitea(&self) -> anyhow::Result<BTreeMap<&'static str, Duration>> {
        apply(&self.writes.gitea).await?;
        let created = Instant::now();
        let resource = one("Gitea", &self.writes.gitea)?;
        let named = Config::default().fields(&format!("metadata.name={}", resource.name));
        let ready = |found: &BTreeMap<String, DynamicObject>| {
            found.values().any(|gitea| gitea.data["status"]["adminSetupComplete"] == true)
        };
        let found = until(&resource.api, named, ready).await?;
        let start = created.elapsed();
        let gitea = found.into_values().next().context("the Gitea resource went away")?.data;
        let secret = one("Secret", &self.writes.gitea)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().trim_end_matches('/').to_owned();
        let admin =
            Login { user: text(&gitea["spec"]["giteaAdminUser"]), password: secret.entry("adminPassword")? };
        let gitea = Gitea { url: text(&gitea["status"]["giteaRoute"]), admin };
        let owner = self.services.make_user(&gitea, &self.login).await?;
        let asked = Instant::now();
        self.services.migrate(&gitea, owner).await?;
        let migration = asked.elapsed();
        self.services.make_token(&gitea, &self.login).await?;
        Ok(BTreeMap::from([("start of Gitea", start), ("copy of the repository", migration)]))
    }

    async fn guide(&self) -> anyhow::Result<()> {
        let deployment = one("Deployment", &self.writes.guide)?;
        let named = Config::default().fields(&format!("metadata.name={}", deployment.name));
        until(&deployment.api, named, |found| found.values().any(available)).await.map(drop)
    }

    /// Sends what a destroy sends.
    pub(super) async fn destroy(&self) -> anyhow::Result<Pass> {
        let begun = Instant::now();
        let writes = &self.writes;
        let applications = async {
            delete(&writes.sets).await?;
            let deleted = Instant::now();
            self.gone(&self.applications).await?;
            let gone = deleted.elapsed();
            let withdrawn = try_join_all(writes.shares.iter().map(Write::withdraw));
            try_join!(delete(&writes.servers), delete(&writes.secrets), delete(&writes.project), async {
                withdrawn.await.map(drop)
            })?;
            anyhow::Ok(gone)
        };
        let ((), (), (), (), gone) = try_join!(
            self.services.delete_login(),
            self.services.delete_key(),
            delete(&writes.guide),
            delete(&writes.gitea),
            applications
        )?;
        let quota = writes.content.iter().filter(|write| write.is("ClusterResourceQuota"));
        delete(writes.namespaces.iter().chain(quota)).await?;
        let deleted = Instant::now();
        if let Some(namespace) = writes.namespaces.first() {
            self.gone(&namespace.api).await?;
        }
        let waits = BTreeMap::from([("applications to go", gone), ("namespaces to go", deleted.elapsed())]);
        writes.record.delete().await?;
        Ok(Pass { wall: begun.elapsed(), waits })
    }

    async fn gone(&self, api: &Api<DynamicObject>) -> anyhow::Result<()> {
        until(api, Config::default().labels(&self.selector), BTreeMap::is_empty).await.map(drop)
    }
}

pub(super) fn one<'a>(kind: &str, writes: &'a [Write]) -> anyhow::Result<&'a Write> {
    writes.iter().find(|write| write.is(kind)).with_context(|| format!("the order makes no {kind}"))
}

pub(super) fn healthy(application: &DynamicObject) -> bool {
    let status = &application.data["status"];
    status["sync"]["status"] == "Synced" && status["health"]["status"] == "Healthy"
}

pub(super) fn available(deployment: &DynamicObject) -> bool {
    let conditions = deployment.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == "Available" && one["status"] == "True")
}

/// Watches until the objects, by name, are as wanted; returns them.
pub(super) async fn until(
    api: &Api<DynamicObject>,
    config: Config,
    wanted: impl Fn(&BTreeMap<String, DynamicObject>) -> bool,
) -> anyhow::Result<BTreeMap<String, DynamicObject>> {
    use kube::runtime::watcher::Event;
    let mut events = pin!(watcher(api.clone(), config).default_backoff());
    let (mut found, mut listed) = (BTreeMap::new(), false);
    while let Some(event) = events.next().await {
        match event.context("watch")? {
            Event::Init => found.clear(),
            Event::InitDone => listed = true,
            Event::InitApply(object) | Event::Apply(object) => {
                found.insert(object.metadata.name.clone().unwrap_or_default(), object);
            }
            Event::Delete(object) => {
                found.remove(object.metadata.name.as_deref().unwrap_or_default());
            }
        }
        if listed && wanted(&found) {
            return Ok(found);
        }
    }
    anyhow::bail!("a watch ended by itself")
}
