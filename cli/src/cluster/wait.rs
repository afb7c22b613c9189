//! Waiting by watch: no polling, survives API hiccups, and always says what it last saw.

use std::{collections::BTreeMap, pin::pin};

use futures::StreamExt as _;
use kube::runtime::{
    WatchStreamExt as _,
    watcher::{self, Event, watcher},
};
use tenant_workflow::{
    scope::Scope,
    step::{Failure, StepError},
};

use super::{Cluster, Kind, Object, ObjectRef, client::failed};

/// Which objects of a kind to watch.
#[derive(Debug, Clone, Copy)]
pub enum Select<'a> {
    /// The one of this name.
    Name(&'a str),
    /// Those with these labels (`key=value,…`).
    Labels(&'a str),
}

/// What the objects seen mean for the wait.
pub enum Verdict<T> {
    /// That is it.
    Done(T),
    /// Not yet; what is missing, in a few words.
    NotYet(String),
    /// It will never come; why.
    Never(StepError),
}

impl Cluster {
    /// Watches objects until `judge` is satisfied. It sees all selected objects by name, at the start and after
    /// every change. Ends by itself only with the scope's deadline, which the engine enforces.
    ///
    /// # Errors
    ///
    /// What `judge` calls hopeless, and a watch the API server refuses.
    pub async fn until<T>(
        &self,
        scope: &Scope,
        what: &str,
        kind: &Kind,
        namespace: &str,
        select: Select<'_>,
        mut judge: impl FnMut(&BTreeMap<String, Object>) -> Verdict<T>,
    ) -> Result<T, StepError> {
        let config = match select {
            Select::Name(name) => watcher::Config::default().fields(&format!("metadata.name={name}")),
            Select::Labels(labels) => watcher::Config::default().labels(labels),
        };
        let _waiting = self.meter.waiting();
        let mut events = pin!(watcher(self.api(kind, namespace), config).default_backoff());
        let mut objects = BTreeMap::new();
        let mut listing = None; // an incomplete list says nothing about what is missing
        loop {
            match events.next().await {
                Some(Ok(event)) => match event {
                    Event::Init => listing = Some(BTreeMap::new()),
                    Event::InitApply(object) => {
                        listing.get_or_insert_default().insert(key(&object), object);
                    }
                    Event::InitDone => objects = listing.take().unwrap_or_default(),
                    Event::Apply(object) => drop(objects.insert(key(&object), object)),
                    Event::Delete(object) => drop(objects.remove(&key(&object))),
                },
                Some(Err(error)) => {
                    if let Some(refused) = refusal(&error) {
                        return Err(failed("watch", what, refused).into());
                    }
                    scope.waiting(
                        what,
                        &format!("the watch broke off and is taken up again: {}", short(&error)),
                    );
                    continue;
                }
                None => {
                    return Err(StepError::new(Failure::Service, format!("watch {what}"))
                        .because("the watch ended by itself"));
                }
            }
            if listing.is_some() {
                continue;
            }
            match judge(&objects) {
                Verdict::Done(value) => {
                    scope.ready(what);
                    return Ok(value);
                }
                Verdict::NotYet(seen) => scope.waiting(what, &seen),
                Verdict::Never(error) => return Err(error),
            }
        }
    }

    /// Waits until an object of this UID is gone.
    ///
    /// # Errors
    ///
    /// A watch the API server refuses.
    pub async fn until_gone(&self, scope: &Scope, at: &ObjectRef, uid: &str) -> Result<(), StepError> {
        let what = format!("{at} to be gone");
        self.until(scope, &what, &at.kind, &at.namespace, Select::Name(&at.name), |objects| {
            match objects.get(&at.name) {
                Some(object) if object.metadata.uid.as_deref() == Some(uid) => {
                    Verdict::NotYet(remaining(object))
                }
                _ => Verdict::Done(()),
            }
        })
        .await
    }
}

/// Why an object is still there: what its conditions say, or the finalizers that hold it.
pub fn remaining(object: &Object) -> String {
    let conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let telling = conditions.filter(|condition| {
        condition["status"] == "True"
            && condition["type"].as_str().is_some_and(|kind| {
                kind.ends_with("Remaining") || kind.ends_with("Failure") || kind.ends_with("Error")
            })
    });
    let said: Vec<&str> = telling.filter_map(|condition| condition["message"].as_str()).collect();
    if !said.is_empty() {
        return said.join("; ");
    }
    match object.metadata.finalizers.as_deref() {
        Some(finalizers) if !finalizers.is_empty() => format!("held by finalizer {}", finalizers.join(", ")),
        _ => "being deleted".to_owned(),
    }
}

fn key(object: &Object) -> String {
    object.metadata.name.clone().unwrap_or_default()
}

/// The API server's final word: not allowed, or no such kind. Everything else passes.
fn refusal(error: &watcher::Error) -> Option<&kube::Error> {
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
