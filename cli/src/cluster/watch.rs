//! Watches, shared: one per kind and selection, however many wait for something in it.
//!
//! A watch that stays silent is not trusted: after [`SILENCE`] it is begun anew with a fresh list, so that one
//! that has died unnoticed costs seconds.

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use kube::{
    Api,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use tokio::{sync::watch, task::AbortHandle, time::timeout};

use super::{Kind, Object};
use crate::names::GUID_LABEL;

/// How long a watch may say nothing before it is begun anew.
const SILENCE: Duration = Duration::from_secs(20);

/// What a watch watches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// Empty for all namespaces.
    pub(super) namespace: String,
    pub(super) fields: String,
    pub(super) labels: String,
}

/// The objects of a watch. Those of a tenant lie together: with hundreds of tenants in one watch, nobody looks through
/// all of them to find their own.
pub(super) type Objects = BTreeMap<Place, Arc<Object>>;

/// Where an object is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The tenant's guid; empty for what is nobody's.
    pub(super) owner: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
}

impl Place {
    fn of(object: &Object) -> Self {
        let metadata = &object.metadata;
        let owner = metadata.labels.as_ref().and_then(|labels| labels.get(GUID_LABEL));
        Self {
            owner: owner.cloned().unwrap_or_default(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }

    fn is_other_of(&self, other: &Self) -> bool {
        self.owner != other.owner && self.name == other.name && self.namespace == other.namespace
    }
}

/// Where a watch stands.
#[derive(Debug, Default)]
pub(super) struct View {
    /// All objects; `None` until the first list is complete: an incomplete one says nothing of what is missing.
    pub(super) objects: Option<Objects>,
    /// Why there is no news just now.
    pub(super) trouble: Option<Trouble>,
}

/// Why a watch has no news.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// It broke off and is taken up again.
    Passing(String),
    /// The API server refuses it for good.
    Refused(Arc<watcher::Error>),
}

/// The watches under way. A watch ends with the last who waits on it.
#[derive(Debug, Default)]
pub(super) struct Watches(Mutex<HashMap<Key, Weak<Watch>>>);

/// One watch.
#[derive(Debug)]
pub(super) struct Watch {
    view: watch::Receiver<View>,
    task: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// What it sees, now and after every change.
    pub(super) fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }
}

impl Watches {
    /// The watch of this key, begun if there is none; and whether it had its first list already.
    pub(super) fn join(&self, key: &Key, api: impl FnOnce() -> Api<Object>) -> (Arc<Watch>, bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = all.get(key).and_then(Weak::upgrade) {
            let listed = watch.view.borrow().objects.is_some();
            return (watch, listed);
        }
        all.retain(|_, watch| watch.strong_count() > 0);
        let (sender, view) = watch::channel(View::default());
        let mut config = watcher::Config::default().labels(&key.labels);
        if !key.fields.is_empty() {
            config = config.fields(&key.fields);
        }
        let task = tokio::spawn(follow(api(), config, sender)).abort_handle();
        let watch = Arc::new(Watch { view, task });
        all.insert(key.clone(), Arc::downgrade(&watch));
        (watch, false)
    }
}

async fn follow(api: Api<Object>, config: watcher::Config, view: watch::Sender<View>) {
    loop {
        let events = watcher(api.clone(), config.clone()).default_backoff();
        if !take_in(pin!(events), &view).await {
            return;
        }
    }
}

/// Takes events in until there are none for too long; `false` when there will never be more.
async fn take_in(
    mut events: impl Stream<Item = watcher::Result<Event<Object>>> + Unpin,
    view: &watch::Sender<View>,
) -> bool {
    let mut listing = Objects::new();
    while let Ok(event) = timeout(SILENCE, events.next()).await {
        let news = match event {
            Some(Ok(Event::Init)) => {
                listing.clear();
                continue;
            }
            Some(Ok(Event::InitApply(object))) => {
                listing.insert(Place::of(&object), Arc::new(object));
                continue;
            }
            Some(Ok(Event::InitDone)) => News::Listed(std::mem::take(&mut listing)),
            Some(Ok(Event::Apply(object))) => News::There(object),
            Some(Ok(Event::Delete(object))) => News::Gone(object),
            Some(Err(error)) if is_refusal(&error) => {
                let trouble = Some(Trouble::Refused(Arc::new(error)));
                view.send_modify(|view| view.trouble = trouble);
                return false;
            }
            Some(Err(error)) => {
                let trouble = Some(Trouble::Passing(short(&error)));
                view.send_modify(|view| view.trouble = trouble);
                continue;
            }
            None => return true,
        };
        view.send_modify(|view| {
            view.trouble = None;
            let objects = view.objects.get_or_insert_default();
            match news {
                News::Listed(all) => *objects = all,
                News::There(object) => {
                    let place = Place::of(&object);
                    // should it have changed hands
                    objects.retain(|known, _| !known.is_other_of(&place));
                    objects.insert(place, Arc::new(object));
                }
                News::Gone(object) => {
                    let place = Place::of(&object);
                    objects.retain(|known, _| *known != place && !known.is_other_of(&place));
                }
            }
        });
    }
    true
}

enum News {
    Listed(Objects),
    There(Object),
    Gone(Object),
}

/// The API server's final word: not allowed, or no such kind. Everything else passes.
fn is_refusal(error: &watcher::Error) -> bool {
    refusal(error).is_some()
}

/// What the API server said when it refused for good.
pub(super) fn refusal(error: &watcher::Error) -> Option<&kube::Error> {
    let (watcher::Error::InitialListFailed(inner) | watcher::Error::WatchStartFailed(inner)) = error else {
        return None;
    };
    match inner {
        kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404) => Some(inner),
        _ => None,
    }
}

fn short(error: &watcher::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use serde_json::json;

    use super::*;

    fn object(name: &str, version: &str) -> Object {
        let metadata = json!({"namespace": "n", "name": name, "resourceVersion": version});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn names(view: &watch::Receiver<View>) -> Option<Vec<String>> {
        let view = view.borrow();
        Some(view.objects.as_ref()?.keys().map(|place| place.name.clone()).collect())
    }

    /// A frozen watch: these events, and then silence.
    fn frozen(events: Vec<Event<Object>>) -> impl Stream<Item = watcher::Result<Event<Object>>> + Unpin {
        stream::iter(events.into_iter().map(Ok)).chain(stream::pending())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_watch_is_given_up_and_its_objects_stay_until_the_next_list() {
        let (sender, view) = watch::channel(View::default());
        assert!(take_in(frozen(vec![Event::Init, Event::InitApply(object("a", "1"))]), &sender).await);
        assert_eq!(names(&view), None, "half a list is no list");
        let whole = vec![
            Event::Init,
            Event::InitApply(object("a", "1")),
            Event::InitApply(object("b", "1")),
            Event::InitDone,
            Event::Delete(object("a", "2")),
            Event::Apply(object("c", "3")),
        ];
        assert!(take_in(frozen(whole), &sender).await);
        assert_eq!(names(&view), Some(vec!["b".to_owned(), "c".to_owned()]));
        assert!(take_in(frozen(vec![Event::Init]), &sender).await);
        assert_eq!(names(&view), Some(vec!["b".to_owned(), "c".to_owned()]), "until the new list is whole");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_ends_it_and_anything_else_passes() {
        let (sender, view) = watch::channel(View::default());
        let status = |code: u16| {
            let status = json!({"status": "Failure", "code": code, "message": "no", "reason": "No"});
            let status: kube::core::Status = serde_json::from_value(status).unwrap();
            watcher::Error::InitialListFailed(kube::Error::Api(status.boxed()))
        };
        let events = stream::iter([Err(status(500)), Err(status(403))]);
        assert!(!take_in(events, &sender).await);
        assert!(matches!(view.borrow().trouble, Some(Trouble::Refused(_))));
    }
}
