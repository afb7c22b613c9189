//! The cluster as the stand-ins see it: one shared watch and one cache per kind for the whole lab, and
//! the few kinds of writes they make.
//!
//! The cache follows the API server by a few milliseconds. Stand-ins therefore decide from it, write
//! idempotently, and decide again when the watch shows what became of the write.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use futures::TryStreamExt;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PropagationPolicy},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::kinds::Kind;
use crate::platform::parking::Guarded;

/// How long the first list of every kind may take.
const FIRST_LIST: Duration = Duration::from_secs(20);

/// Names one object. `namespace` is empty for cluster-scoped kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectKey {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its namespace, or nothing.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

impl ObjectKey {
    /// Names an object of a namespace.
    pub(crate) fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }

    /// Names the object that was seen as a `kind`.
    pub(crate) fn of(kind: Kind, object: &DynamicObject) -> Self {
        let metadata = &object.metadata;
        Self::new(
            kind,
            metadata.namespace.clone().unwrap_or_default(),
            metadata.name.clone().unwrap_or_default(),
        )
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// An object appeared, changed or went.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Which one.
    pub(crate) key: ObjectKey,
    /// Its present state, or the last one seen.
    pub(crate) object: Arc<DynamicObject>,
}

/// Why the cluster could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// A request was refused or did not arrive.
    #[error("{verb} {key}")]
    Request {
        /// What was tried.
        verb: &'static str,
        /// On which object.
        key: ObjectKey,
        /// The API server's or the transport's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The first list of some kinds did not arrive in time.
    #[error("first list of {} within {} s: are their CRDs installed?", kinds.join(", "), FIRST_LIST.as_secs())]
    NoFirstList {
        /// The missing kinds.
        kinds: Vec<&'static str>,
    },
}

impl ClusterError {
    /// The status code the API server answered with, if it did.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Request { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::NoFirstList { .. } => None,
        }
    }

    /// What the API server said, if it did.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Request { source, .. } => match &**source {
                kube::Error::Api(status) => Some(&status.message),
                _ => None,
            },
            Self::NoFirstList { .. } => None,
        }
    }
}

type Shelf = BTreeMap<(String, String), Arc<DynamicObject>>;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    shelves: Arc<Guarded<HashMap<Kind, Shelf>>>,
    subscribers: Arc<Guarded<Vec<Subscriber>>>,
    /// Kinds whose first list is complete.
    listed: watch::Sender<Vec<Kind>>,
}

struct Subscriber {
    kinds: &'static [Kind],
    changes: mpsc::UnboundedSender<Change>,
}

impl Cluster {
    /// Sees nothing before [`Self::watch`].
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            shelves: Arc::default(),
            subscribers: Arc::default(),
            listed: watch::Sender::new(Vec::new()),
        }
    }

    /// Every change of these kinds from now on. Subscribe before [`Self::watch`] to miss nothing.
    pub(crate) fn subscribe(&self, kinds: &'static [Kind]) -> mpsc::UnboundedReceiver<Change> {
        let (changes, receiver) = mpsc::unbounded_channel();
        self.subscribers.with(|subscribers| subscribers.push(Subscriber { kinds, changes }));
        receiver
    }

    /// Starts the watches and returns when the first list of every kind is complete.
    ///
    /// # Errors
    /// [`ClusterError::NoFirstList`] when a kind's list did not arrive within 20 s.
    pub(crate) async fn watch(
        &self,
        openshift: bool,
        shutdown: &CancellationToken,
    ) -> Result<(), ClusterError> {
        for kind in Kind::ALL.iter().copied().filter(|kind| kind.is_optional()) {
            self.spawn(kind, shutdown);
        }
        let kinds: Vec<_> = Kind::ALL.iter().copied().filter(|kind| kind.is_watched(openshift)).collect();
        self.watch_only(&kinds, shutdown).await
    }

    /// Keeps an eye on these kinds alone; returns once the first list of each is known.
    ///
    /// # Errors
    /// Names those that cannot be listed.
    pub(crate) async fn watch_only(
        &self,
        kinds: &[Kind],
        shutdown: &CancellationToken,
    ) -> Result<(), ClusterError> {
        for kind in kinds {
            self.spawn(*kind, shutdown);
        }
        let mut listed = self.listed.subscribe();
        let complete = listed.wait_for(|listed| kinds.iter().all(|kind| listed.contains(kind)));
        let in_time = matches!(tokio::time::timeout(FIRST_LIST, complete).await, Ok(Ok(_)));
        if in_time {
            return Ok(());
        }
        let listed = self.listed.borrow();
        let missing = kinds.iter().copied().filter(|kind| !listed.contains(kind));
        Err(ClusterError::NoFirstList { kinds: missing.map(Kind::name).collect() })
    }

    fn spawn(&self, kind: Kind, shutdown: &CancellationToken) {
        let (cluster, shutdown) = (self.clone(), shutdown.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = cluster.follow(kind) => {}
            }
        });
    }

    /// Keeps the shelf of one kind, for ever; errors are retried with back-off by the watch itself.
    async fn follow(&self, kind: Kind) {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind.resource());
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
        let mut listing = Shelf::new();
        loop {
            match events.try_next().await {
                Ok(Some(watcher::Event::Init)) => listing.clear(),
                Ok(Some(watcher::Event::InitApply(object))) => {
                    let key = ObjectKey::of(kind, &object);
                    listing.insert((key.namespace, key.name), Arc::new(object));
                }
                Ok(Some(watcher::Event::InitDone)) => self.replace(kind, std::mem::take(&mut listing)),
                Ok(Some(watcher::Event::Apply(object))) => self.put(kind, object),
                Ok(Some(watcher::Event::Delete(object))) => self.drop(kind, object),
                Ok(None) => return,
                Err(error) => tracing::debug!(%kind, %error, "watch interrupted"),
            }
        }
    }

    fn replace(&self, kind: Kind, listing: Shelf) {
        let fresh: Vec<_> = listing.values().cloned().collect();
        let old = self.shelves.with(|shelves| shelves.insert(kind, listing)).unwrap_or_default();
        let gone = old.into_iter().filter(|(name, _)| {
            self.shelves.with(|shelves| shelves.get(&kind).is_none_or(|shelf| !shelf.contains_key(name)))
        });
        let gone: Vec<_> = gone.map(|(_, object)| object).collect();
        for object in fresh.into_iter().chain(gone) {
            self.announce(kind, object);
        }
        self.listed.send_modify(|listed| {
            if !listed.contains(&kind) {
                listed.push(kind);
            }
        });
    }

    fn put(&self, kind: Kind, object: DynamicObject) {
        let (key, object) = (ObjectKey::of(kind, &object), Arc::new(object));
        self.shelves.with(|shelves| {
            shelves.entry(kind).or_default().insert((key.namespace, key.name), object.clone())
        });
        self.announce(kind, object);
    }

    fn drop(&self, kind: Kind, object: DynamicObject) {
        let key = ObjectKey::of(kind, &object);
        self.shelves.with(|shelves| {
            shelves.get_mut(&kind).and_then(|shelf| shelf.remove(&(key.namespace, key.name)))
        });
        self.announce(kind, Arc::new(object));
    }

    fn announce(&self, kind: Kind, object: Arc<DynamicObject>) {
        let change = Change { key: ObjectKey::of(kind, &object), object };
        self.subscribers.with(|subscribers| {
            subscribers.retain(|subscriber| {
                !subscriber.kinds.contains(&kind) || subscriber.changes.send(change.clone()).is_ok()
            });
        });
    }

    /// The object as last seen.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<DynamicObject>> {
        self.find(key.kind, &key.namespace, &key.name)
    }

    /// The object as last seen, by its parts.
    pub(crate) fn find(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<DynamicObject>> {
        let name = (namespace.to_owned(), name.to_owned());
        self.shelves.with(|shelves| shelves.get(&kind)?.get(&name).cloned())
    }

    /// Every object of the kind, sorted by namespace and name.
    pub(crate) fn list(&self, kind: Kind) -> Vec<Arc<DynamicObject>> {
        self.shelves.with(|shelves| {
            shelves.get(&kind).map(|shelf| shelf.values().cloned().collect()).unwrap_or_default()
        })
    }

    /// Every object of the kind in that namespace, sorted by name.
    pub(crate) fn list_in(&self, kind: Kind, namespace: &str) -> Vec<Arc<DynamicObject>> {
        let first = (namespace.to_owned(), String::new());
        let inside = |shelf: &Shelf| -> Vec<_> {
            let rest = shelf.range(first..);
            rest.take_while(|(name, _)| name.0 == namespace).map(|(_, object)| object.clone()).collect()
        };
        self.shelves.with(|shelves| shelves.get(&kind).map(inside).unwrap_or_default())
    }

    fn api(&self, key: &ObjectKey) -> Api<DynamicObject> {
        if key.kind.is_namespaced() {
            Api::namespaced_with(self.client.clone(), &key.namespace, &key.kind.resource())
        } else {
            Api::all_with(self.client.clone(), &key.kind.resource())
        }
    }

    /// Server-side apply under the field manager `manager`. `object` needs neither `apiVersion`, `kind`,
    /// name nor namespace: `key` says them.
    ///
    /// # Errors
    /// [`ClusterError::Request`].
    pub(crate) async fn apply(
        &self,
        manager: &str,
        key: &ObjectKey,
        mut object: Value,
    ) -> Result<DynamicObject, ClusterError> {
        object["apiVersion"] = key.kind.api_version().into();
        object["kind"] = key.kind.name().into();
        object["metadata"]["name"] = key.name.as_str().into();
        if key.kind.is_namespaced() {
            object["metadata"]["namespace"] = key.namespace.as_str().into();
        }
        let params = PatchParams::apply(manager).force();
        let answer = self.api(key).patch(&key.name, &params, &Patch::Apply(object)).await;
        answer.map_err(|source| failed("apply", key, source))
    }

    /// Merges `change` into the object.
    ///
    /// # Errors
    /// [`ClusterError::Request`].
    pub(crate) async fn merge(&self, key: &ObjectKey, change: Value) -> Result<(), ClusterError> {
        let answer = self.api(key).patch(&key.name, &PatchParams::default(), &Patch::Merge(change)).await;
        answer.map(drop).map_err(|source| failed("change", key, source))
    }

    /// Merges `status` into the object's status subresource.
    ///
    /// # Errors
    /// [`ClusterError::Request`].
    pub(crate) async fn merge_status(&self, key: &ObjectKey, status: Value) -> Result<(), ClusterError> {
        let change = Patch::Merge(serde_json::json!({ "status": status }));
        let answer = self.api(key).patch_status(&key.name, &PatchParams::default(), &change).await;
        answer.map(drop).map_err(|source| failed("change the status of", key, source))
    }

    /// The object as it is now, asked of the API server itself.
    ///
    /// # Errors
    /// [`ClusterError::Request`].
    pub(crate) async fn read(&self, key: &ObjectKey) -> Result<Option<DynamicObject>, ClusterError> {
        self.api(key).get_opt(&key.name).await.map_err(|source| failed("read", key, source))
    }

    /// The objects of a namespace that carry the labels, asked of the API server itself.
    ///
    /// # Errors
    /// [`ClusterError::Request`].
    pub(crate) async fn list_live(
        &self,
        kind: Kind,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<(ObjectKey, DynamicObject)>, ClusterError> {
        let key = ObjectKey::new(kind, namespace, "");
        let answer = self.api(&key).list(&ListParams::default().labels(selector)).await;
        let list = answer.map_err(|source| failed("list", &key, source))?;
        Ok(list.items.into_iter().map(|object| (ObjectKey::of(kind, &object), object)).collect())
    }

    /// Deletes the object; one that is gone already counts as deleted.
    ///
    /// # Errors
    /// [`ClusterError::Request`].
    pub(crate) async fn delete(
        &self,
        key: &ObjectKey,
        propagation: PropagationPolicy,
    ) -> Result<(), ClusterError> {
        let params = DeleteParams { propagation_policy: Some(propagation), ..DeleteParams::default() };
        match self.api(key).delete(&key.name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(source) => Err(failed("delete", key, source)),
        }
    }
}

fn failed(verb: &'static str, key: &ObjectKey, source: kube::Error) -> ClusterError {
    ClusterError::Request { verb, key: key.clone(), source: Box::new(source) }
}
