//! Reading and writing objects.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tenant_kit::meter::Meter;

use super::{
    Access, AccessError, Cause, ClusterError, FIELD_MANAGER, Kind, NAMESPACE, Object, ObjectRef, compare,
    settled::settled, transport, watch::Watches,
};

/// A request, its repetitions and its answer's last byte take no longer than this.
const EXCHANGE: Duration = Duration::from_mins(3);

/// A connection to one API server. Clones share it.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
    pub(super) meter: Arc<Meter>,
    /// API group → versions served, the preferred one first.
    served: Arc<BTreeMap<String, Vec<String>>>,
    pub(super) watches: Arc<Watches>,
    /// Namespaces made through this connection: nothing is in them but what we have put there.
    fresh: Arc<Mutex<HashSet<String>>>,
    /// Whether several tenants wait at once, and so share watches.
    pub(super) shares: bool,
    /// How long one wait may take.
    pub(super) patience: Option<Duration>,
}

/// An object after it was applied.
pub struct Applied {
    /// As the API server has it now.
    pub object: Object,
    /// Whether the apply created or changed it.
    pub changed: bool,
}

impl Cluster {
    /// Connects and reads which API groups are served (one request).
    ///
    /// # Errors
    ///
    /// [`AccessError`] in the outer result for settings that lead nowhere; a [`ClusterError`] in the inner
    /// one when the API server does not answer or refuses.
    pub async fn connect(
        access: &Access,
        meter: Arc<Meter>,
    ) -> Result<Result<Self, ClusterError>, AccessError> {
        let config = access.config().await?;
        let client = transport::client(config, Arc::clone(&meter)).map_err(AccessError::Client)?;
        Ok(Self::new(client, meter).read_groups().await)
    }

    fn new(client: Client, meter: Arc<Meter>) -> Self {
        let (served, watches, fresh) = (Arc::default(), Arc::default(), Arc::default());
        Self { client, meter, served, watches, fresh, shares: false, patience: None }
    }

    /// The same connection, whose waits each take no longer than `patience`.
    #[must_use]
    pub fn patient(self, patience: Option<Duration>) -> Self {
        Self { patience, ..self }
    }

    /// The same connection for several tenants at once: they share watches.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { shares: true, ..self }
    }

    /// A cluster nobody is connected to, for rendering: it serves `groups`, and every call fails.
    ///
    /// # Panics
    ///
    /// Never: the settings of an unreachable client are constants.
    pub fn offline(groups: &[(&str, &str)]) -> Self {
        let config = kube::Config::new(http::Uri::from_static("https://offline.invalid"));
        let client =
            transport::client(config, Arc::default()).expect("a client without credentials needs nothing");
        let served = groups.iter().map(|(group, version)| ((*group).to_owned(), vec![(*version).to_owned()]));
        Self { served: Arc::new(served.collect()), ..Self::new(client, Arc::default()) }
    }

    async fn read_groups(self) -> Result<Self, ClusterError> {
        let asked = self.ask("list", || "API groups".to_owned(), self.client.list_api_groups()).await?;
        let list = asked.map_err(|error| failed("list", "API groups", &error))?;
        let served = list.groups.into_iter().map(|group| {
            let preferred = group.preferred_version.map(|version| version.version);
            let others = group.versions.into_iter().map(|version| version.version);
            let mut versions: Vec<String> = preferred.iter().cloned().collect();
            versions.extend(others.filter(|version| Some(version) != preferred.as_ref()));
            (group.name, versions)
        });
        Ok(Self { served: Arc::new(served.collect()), ..self })
    }

    /// Whether the cluster serves the kind's group and version. (A group can lack a kind: then the request
    /// that needs it says so.)
    pub fn serves(&self, kind: &Kind) -> bool {
        kind.group.is_empty() || self.versions(kind.group).iter().any(|version| version == kind.version)
    }

    /// Versions served of an API group, the preferred one first; empty when the group is not served.
    pub fn versions(&self, group: &str) -> &[String] {
        self.served.get(group).map_or(&[], Vec::as_slice)
    }

    pub(super) fn api(&self, kind: &Kind, namespace: &str) -> Api<Object> {
        let resource = kind.resource();
        if kind.namespaced && !namespace.is_empty() {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    fn api_of(&self, at: &ObjectRef) -> Api<Object> {
        self.api(&at.kind, &at.namespace)
    }

    /// Waits for an exchange, for a limited time.
    pub(super) async fn ask<T>(
        &self,
        operation: &'static str,
        object: impl Fn() -> String,
        exchange: impl Future<Output = T>,
    ) -> Result<T, ClusterError> {
        let _waiting = self.meter.waiting();
        tokio::time::timeout(EXCHANGE, exchange).await.map_err(|_| ClusterError {
            operation,
            object: object(),
            cause: Cause::Unreachable(format!("nothing complete within {} s", EXCHANGE.as_secs())),
        })
    }

    /// Reads an object; `None` when it, or its kind, is not there.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn get(&self, at: &ObjectRef) -> Result<Option<Object>, ClusterError> {
        let found = self.ask("get", || at.to_string(), self.api_of(at).get_opt(&at.name)).await?;
        found.map_err(|error| failed("get", at.to_string(), &error))
    }

    /// Reads all objects of a kind with a label selector, in one namespace or (empty) in all.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses. A kind that is not served has no objects.
    pub async fn list(
        &self,
        kind: &Kind,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Object>, ClusterError> {
        let (api, params) = (self.api(kind, namespace), ListParams::default().labels(labels));
        match self.ask("list", || kind.plural.to_owned(), api.list(&params)).await? {
            Ok(list) => Ok(list.items),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(failed("list", kind.plural, &error)),
        }
    }

    /// As [`Cluster::list`], but without what is in the objects: metadata only.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses. A kind that is not served has no objects.
    pub async fn headers(
        &self,
        kind: &Kind,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Object>, ClusterError> {
        let (api, params) = (self.api(kind, namespace), ListParams::default().labels(labels));
        match self.ask("list", || kind.plural.to_owned(), api.list_metadata(&params)).await? {
            Ok(list) => {
                let bare = |metadata| Object { types: None, metadata, data: Value::Null };
                Ok(list.items.into_iter().map(|item| bare(item.metadata)).collect())
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(failed("list", kind.plural, &error)),
        }
    }

    /// Creates an object; `None` when there is one of that name already.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn create(&self, at: &ObjectRef, object: Value) -> Result<Option<Object>, ClusterError> {
        let (api, whole) = (self.api_of(at), typed(at, object)?);
        match self.ask("create", || at.to_string(), api.create(&PostParams::default(), &whole)).await? {
            Ok(created) => Ok(Some(created)),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
            Err(error) => Err(failed("create", at.to_string(), &error)),
        }
    }

    /// Replaces an object as it was `found`; `None` when it has moved on since.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn replace(
        &self,
        at: &ObjectRef,
        mut object: Value,
        found: &Object,
    ) -> Result<Option<Object>, ClusterError> {
        object["metadata"]["resourceVersion"] = json!(found.metadata.resource_version);
        let (api, whole, params) = (self.api_of(at), typed(at, object)?, PostParams::default());
        match self.ask("replace", || at.to_string(), api.replace(&at.name, &params, &whole)).await? {
            Ok(replaced) => Ok(Some(replaced)),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(None),
            Err(error) => Err(failed("replace", at.to_string(), &error)),
        }
    }

    /// Applies a whole object that is ours alone (server-side apply, conflicts overruled).
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn apply(&self, at: &ObjectRef, object: Value) -> Result<Applied, ClusterError> {
        self.apply_as(at, FIELD_MANAGER, object).await
    }

    /// Applies our share of an object: what `manager` sent before and does not send now is removed. Sends nothing
    /// when that would change nothing.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn apply_as(
        &self,
        at: &ObjectRef,
        manager: &str,
        object: Value,
    ) -> Result<Applied, ClusterError> {
        let before = if self.is_fresh(&at.namespace) { None } else { self.get(at).await? };
        self.apply_over(at, manager, object, before).await
    }

    /// As [`Cluster::apply_as`], over an object that was just read.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn apply_over(
        &self,
        at: &ObjectRef,
        manager: &str,
        object: Value,
        before: Option<Object>,
    ) -> Result<Applied, ClusterError> {
        let object = complete(at, object);
        if let Some(before) = before.as_ref().filter(|before| settled(before, manager, &object)) {
            return Ok(Applied { object: before.clone(), changed: false });
        }
        let params = PatchParams::apply(manager).force();
        let object = self.patch(at, &params, object).await?;
        if at.kind == NAMESPACE && before.is_none() {
            self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(at.name.clone());
        }
        let changed =
            before.is_none_or(|before| before.metadata.resource_version != object.metadata.resource_version);
        Ok(Applied { object, changed })
    }

    fn is_fresh(&self, namespace: &str) -> bool {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).contains(namespace)
    }

    async fn patch(
        &self,
        at: &ObjectRef,
        params: &PatchParams,
        object: Value,
    ) -> Result<Object, ClusterError> {
        let (api, whole) = (self.api_of(at), Patch::Apply(object));
        let patched = self.ask("apply", || at.to_string(), api.patch(&at.name, params, &whole)).await?;
        patched.map_err(|error| failed("apply", at.to_string(), &error))
    }

    /// What applying `object` would change: `None` when it is not there at all, else the differences.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses the dry run.
    pub async fn differences(
        &self,
        at: &ObjectRef,
        object: Value,
    ) -> Result<Option<Vec<String>>, ClusterError> {
        let Some(live) = self.get(at).await? else { return Ok(None) };
        let object = complete(at, object);
        if settled(&live, FIELD_MANAGER, &object) {
            return Ok(Some(Vec::new()));
        }
        let params = PatchParams::apply(FIELD_MANAGER).force().dry_run();
        let wanted = self.patch(at, &params, object).await?;
        Ok(Some(compare::differences(&plain(&live), &plain(&wanted))))
    }
}

/// An object with kind, name and namespace of its reference.
pub fn complete(at: &ObjectRef, mut object: Value) -> Value {
    object["apiVersion"] = json!(at.kind.api_version());
    object["kind"] = json!(at.kind.kind);
    object["metadata"]["name"] = json!(at.name);
    if at.kind.namespaced {
        object["metadata"]["namespace"] = json!(at.namespace);
    }
    object
}

fn typed(at: &ObjectRef, object: Value) -> Result<Object, ClusterError> {
    serde_json::from_value(complete(at, object)).map_err(|error| ClusterError {
        operation: "write",
        object: at.to_string(),
        cause: Cause::Malformed(error.to_string()),
    })
}

fn plain(object: &Object) -> Value {
    serde_json::to_value(object).unwrap_or(Value::Null)
}

pub(super) fn failed(
    operation: &'static str,
    object: impl Into<String>,
    error: &kube::Error,
) -> ClusterError {
    ClusterError { operation, object: object.into(), cause: Cause::from_kube(error) }
}
