//! Waiting by watch: no polling, survives API hiccups, and always says what it last saw.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tenant_workflow::{
    scope::Scope,
    step::{Failure, StepError},
};
use tokio::time::Instant;

use super::{
    Cluster, Kind, Object, ObjectRef,
    client::failed,
    hindrance::Hindrance,
    watch::{Key, Objects, Place, Trouble, View, refusal},
};
use crate::names::GUID_LABEL;

/// Which objects of a kind to watch.
#[derive(Debug, Clone, Copy)]
pub enum Select<'a> {
    /// The one of this name, whoever made it.
    Name(&'a str),
    /// The one of this name among those with these labels: cheaper than [`Select::Name`] where many tenants wait.
    Ours(&'a str, &'a str),
    /// Those with these labels (`key=value,…`).
    Labels(&'a str),
}

/// The objects selected, by name.
pub type Found = BTreeMap<String, Arc<Object>>;

/// What the objects seen mean for the wait.
pub enum Verdict<T> {
    /// That is it.
    Done(T),
    /// Not yet; what is missing, in a few words.
    NotYet(String),
    /// Not yet, and hardly by itself; what keeps it, and the command that helps.
    Held(Hindrance),
    /// It will never come; why.
    Never(StepError),
}

impl Cluster {
    /// Watches objects until `judge` is satisfied. It sees all selected objects by name, at the start and after
    /// every change.
    ///
    /// # Errors
    ///
    /// What `judge` calls hopeless, a watch the API server refuses, and [`Failure::TimedOut`] with what was last
    /// seen when it takes longer than one wait may.
    pub async fn until<T>(
        &self,
        scope: &Scope,
        what: &str,
        kind: &Kind,
        namespace: &str,
        select: Select<'_>,
        mut judge: impl FnMut(&Found) -> Verdict<T>,
    ) -> Result<T, StepError> {
        let key = key(kind, namespace, select, self.shares);
        let _waiting = self.meter.waiting();
        let (watch, listed) = self.watches.join(&key, || self.api(&key.kind, &key.namespace));
        let mut view = watch.view();
        view.mark_changed();
        let deadline = self.patience.map(|patience| (patience, Instant::now() + patience));
        let mut last = Hindrance { seen: "nothing yet".to_owned(), remedy: String::new() };
        let mut judged = None;
        loop {
            let news = async { view.changed().await.is_ok() };
            let alive = match deadline {
                None => news.await,
                Some((patience, at)) => match tokio::time::timeout_at(at, news).await {
                    Ok(alive) => alive,
                    Err(_) => return Err(impatient(scope, what, patience, last)),
                },
            };
            let seen = look(&view.borrow_and_update(), namespace, select);
            let found = match seen {
                Looked::Refused(error) => {
                    let refused = refusal(&error).map(|cause| failed("watch", what, cause).into());
                    return Err(refused.unwrap_or_else(|| ended(what)));
                }
                Looked::Broken(trouble) => {
                    last.seen = format!("the watch broke off and is taken up again: {trouble}");
                    judged = None;
                    scope.waiting(what, &last.seen);
                    continue;
                }
                Looked::Nothing if alive => continue,
                Looked::Nothing => return Err(ended(what)),
                Looked::Found(found) if alike(judged.as_ref(), &found) => continue,
                Looked::Found(found) => found,
            };
            let verdict = match judge(&found) {
                // a watch that ran before we came may lag behind what we did just now
                Verdict::Done(_) if listed => judge(&self.read(kind, namespace, select).await?),
                other => other,
            };
            match verdict {
                Verdict::Done(value) => {
                    scope.ready(what);
                    return Ok(value);
                }
                Verdict::NotYet(seen) => {
                    scope.waiting(what, &seen);
                    last = Hindrance { seen, remedy: String::new() };
                }
                Verdict::Held(hindrance) => {
                    scope.held_up(what, &hindrance.seen, &hindrance.remedy);
                    last = hindrance;
                }
                Verdict::Never(error) => return Err(error),
            }
            judged = Some(found);
        }
    }

    /// The selected objects, read now.
    async fn read(&self, kind: &Kind, namespace: &str, select: Select<'_>) -> Result<Found, StepError> {
        let objects = match select {
            Select::Labels(labels) => self.list(kind, namespace, labels).await?,
            Select::Name(name) | Select::Ours(name, _) => {
                self.get(&ObjectRef::new(*kind, namespace, name)).await?.into_iter().collect()
            }
        };
        let named = objects
            .into_iter()
            .map(|object| (object.metadata.name.clone().unwrap_or_default(), Arc::new(object)));
        Ok(named.collect())
    }

    /// Waits until an object of ours, of this UID, is gone.
    ///
    /// # Errors
    ///
    /// As [`Cluster::until`].
    pub async fn until_gone(
        &self,
        scope: &Scope,
        at: &ObjectRef,
        labels: &str,
        uid: &str,
    ) -> Result<(), StepError> {
        let what = format!("{at} to be gone");
        let select = Select::Ours(&at.name, labels);
        self.until(scope, &what, &at.kind, &at.namespace, select, |objects| match objects.get(&at.name) {
            Some(object) if object.metadata.uid.as_deref() == Some(uid) => {
                Verdict::Held(Hindrance::to_deletion(at, remaining(object)))
            }
            _ => Verdict::Done(()),
        })
        .await
    }
}

/// The watch that shows a selection. Where many tenants share one, it is that of all their objects of the kind.
fn key(kind: &Kind, namespace: &str, select: Select<'_>, shares: bool) -> Key {
    let (mut namespace, mut fields, mut labels) = (namespace.to_owned(), String::new(), String::new());
    match select {
        Select::Name(name) => fields = format!("metadata.name={name}"),
        Select::Ours(name, selector) => {
            fields = format!("metadata.name={name}");
            selector.clone_into(&mut labels);
        }
        Select::Labels(selector) => selector.clone_into(&mut labels),
    }
    if shares {
        namespace.clear();
        fields.clear();
        let own = format!("{GUID_LABEL}=");
        let rest: Vec<&str> = labels.split(',').filter(|label| !label.starts_with(&own)).collect();
        labels = rest.join(",");
    }
    Key { kind: *kind, namespace, fields, labels }
}

/// What one look at a watch gives.
enum Looked {
    /// The objects selected.
    Found(Found),
    /// No list yet.
    Nothing,
    /// No news for the moment, and why.
    Broken(String),
    /// No news ever.
    Refused(Arc<kube::runtime::watcher::Error>),
}

fn look(view: &View, namespace: &str, select: Select<'_>) -> Looked {
    match (&view.trouble, &view.objects) {
        (Some(Trouble::Refused(error)), _) => Looked::Refused(Arc::clone(error)),
        (Some(Trouble::Passing(why)), _) => Looked::Broken(why.clone()),
        (None, None) => Looked::Nothing,
        (None, Some(objects)) => Looked::Found(selected(objects, namespace, select)),
    }
}

fn selected(objects: &Objects, namespace: &str, select: Select<'_>) -> Found {
    let named = |(place, object): (&Place, &Arc<Object>)| (place.name.clone(), Arc::clone(object));
    let is_there = |place: &Place| namespace.is_empty() || place.namespace == namespace;
    match select {
        Select::Name(name) => {
            let is_it = |(place, _): &(&Place, _)| place.name == name && place.namespace == namespace;
            objects.iter().find(is_it).into_iter().map(named).collect()
        }
        Select::Ours(name, labels) => {
            let (owner, namespace) = (owner(labels).unwrap_or_default(), namespace.to_owned());
            let place = Place { owner: owner.to_owned(), namespace, name: name.to_owned() };
            objects.get_key_value(&place).into_iter().map(named).collect()
        }
        Select::Labels(labels) => {
            let (owner, first) = (owner(labels), String::new());
            let from =
                Place { owner: owner.unwrap_or_default().to_owned(), namespace: first.clone(), name: first };
            objects
                .range(from..)
                .take_while(|(place, _)| owner.is_none_or(|owner| place.owner == owner))
                .filter(|(place, object)| is_there(place) && has_all(object, labels))
                .map(named)
                .collect()
        }
    }
}

/// Whether these are the very objects judged before: a change in a shared watch is mostly somebody else's.
fn alike(judged: Option<&Found>, found: &Found) -> bool {
    judged.is_some_and(|judged| {
        judged.len() == found.len()
            && judged.iter().zip(found).all(|((_, one), (_, other))| Arc::ptr_eq(one, other))
    })
}

/// The guid in a selector.
fn owner(labels: &str) -> Option<&str> {
    labels
        .split(',')
        .filter_map(|label| label.split_once('='))
        .find_map(|(key, value)| (key == GUID_LABEL).then_some(value))
}

fn has_all(object: &Object, labels: &str) -> bool {
    let own = object.metadata.labels.as_ref();
    labels
        .split(',')
        .filter_map(|label| label.split_once('='))
        .all(|(key, value)| own.and_then(|own| own.get(key)).is_some_and(|found| found == value))
}

/// The end of a wait that took too long; what hinders it may be known from elsewhere.
fn impatient(scope: &Scope, what: &str, patience: Duration, mut last: Hindrance) -> StepError {
    if last.remedy.is_empty()
        && let Some((seen, remedy)) = scope.hindrance()
    {
        last = Hindrance { seen: format!("{}; {seen}", last.seen), remedy };
    }
    let go_on = "run again to go on from here, or give it more time with --wait-timeout";
    let hint = match last.remedy.as_str() {
        "" => go_on.to_owned(),
        remedy => format!("{remedy}; {go_on}"),
    };
    StepError::new(Failure::TimedOut, format!("wait for {what}"))
        .because(format!("not done after {} s; last seen: {}", patience.as_secs(), last.seen))
        .hint(hint)
}

fn ended(what: &str) -> StepError {
    StepError::new(Failure::Service, format!("watch {what}")).because("the watch ended by itself")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::{APPLICATION, GITEA};

    const OURS: &str = "app.kubernetes.io/managed-by=tenant,tenant.rhpds.io/guid=x1";

    #[test]
    fn alone_a_wait_watches_only_its_own_and_together_all_share_one() {
        let alone = key(&APPLICATION, "argo", Select::Labels(OURS), false);
        assert_eq!((alone.namespace.as_str(), alone.labels.as_str()), ("argo", OURS));
        let (one, other) = (OURS, OURS.replace("x1", "x2"));
        let shared = key(&GITEA, "gitea-x1", Select::Ours("gitea", one), true);
        assert_eq!(shared, key(&GITEA, "gitea-x2", Select::Ours("gitea", &other), true));
        assert_eq!(
            (shared.fields.as_str(), shared.labels.as_str()),
            ("", "app.kubernetes.io/managed-by=tenant")
        );
    }

    #[test]
    fn in_a_shared_watch_everybody_finds_their_own() {
        let object = |namespace: &str, name: &str, guid: &str| {
            let labels = json!({"app.kubernetes.io/managed-by": "tenant", "tenant.rhpds.io/guid": guid});
            let metadata = json!({"namespace": namespace, "name": name, "labels": labels});
            let object: Object = serde_json::from_value(json!({"metadata": metadata})).unwrap();
            let place =
                Place { owner: guid.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
            (place, Arc::new(object))
        };
        let objects = Objects::from([
            object("argo", "a-x1", "x1"),
            object("argo", "a-x10", "x10"),
            object("n-x1", "gitea", "x1"),
            object("n-x10", "gitea", "x10"),
        ]);
        let names = |namespace, select| selected(&objects, namespace, select).into_keys().collect::<Vec<_>>();
        assert_eq!(names("argo", Select::Labels(OURS)), ["a-x1"]);
        assert_eq!(names("", Select::Labels(OURS)), ["a-x1", "gitea"]);
        let tenth = OURS.replace("x1", "x10");
        let own = selected(&objects, "n-x10", Select::Ours("gitea", &tenth));
        assert_eq!(own["gitea"].metadata.namespace.as_deref(), Some("n-x10"));
        assert_eq!(names("n-x10", Select::Name("gitea")), ["gitea"]);
        assert_eq!(
            names("", Select::Labels("app.kubernetes.io/managed-by=tenant")).len(),
            3,
            "two share a name"
        );
        assert!(names("elsewhere", Select::Name("gitea")).is_empty());
    }
}
