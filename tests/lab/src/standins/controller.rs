//! How a stand-in follows its objects: a work queue fed by the shared watches.
//!
//! An object is worked on once at a time, different objects side by side; a change that arrives
//! meanwhile makes it be looked at once more; a failure is retried with growing intervals; a change in
//! the table of faults makes every object be looked at again.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    cluster::{Change, Cluster, ObjectKey},
    kinds::Kind,
    pace,
};
use crate::platform::{Behaviour, Platform, StandIn};

/// What one stand-in does for one kind of object.
pub(crate) trait Reconciler: Send + Sync + 'static {
    /// Whose faults apply.
    const STAND_IN: StandIn;
    /// Kinds whose changes may matter.
    const WATCHES: &'static [Kind];

    /// The objects to look at after that change.
    fn affected(&self, change: &Change) -> Vec<ObjectKey>;

    /// What faults are matched against.
    fn subject(&self, key: &ObjectKey) -> String {
        format!("{}/{}", key.namespace, key.name)
    }

    /// Brings the object where it should be. Called again after each change; must be idempotent.
    /// `behaviour` is never `Absent`, and the delay of `Slow` has passed already.
    fn reconcile(
        &self,
        key: &ObjectKey,
        behaviour: Behaviour,
    ) -> impl Future<Output = anyhow::Result<Next>> + Send;
}

/// What happens to an object after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It waits for a change.
    Wait,
    /// It is looked at again after this time, as controllers do that poll something outside the cluster.
    Again(Duration),
}

/// Which objects are in work and which wait for their turn.
#[derive(Debug, Default)]
struct WorkQueue {
    running: HashSet<ObjectKey>,
    dirty: BTreeSet<ObjectKey>,
}

impl WorkQueue {
    fn offer(&mut self, key: ObjectKey) {
        self.dirty.insert(key);
    }

    /// Takes everything that may start now.
    fn start(&mut self) -> Vec<ObjectKey> {
        let ready: Vec<_> = self.dirty.iter().filter(|key| !self.running.contains(*key)).cloned().collect();
        for key in &ready {
            self.dirty.remove(key);
            self.running.insert(key.clone());
        }
        ready
    }

    fn finish(&mut self, key: &ObjectKey) {
        self.running.remove(key);
    }
}

/// Runs `reconciler` until the lab goes down. Call before [`Cluster::watch`], so that the first list
/// is seen.
pub(crate) fn spawn<R: Reconciler>(reconciler: R, cluster: &Cluster, platform: &Platform) {
    let changes = cluster.subscribe(R::WATCHES);
    let (cluster, platform) = (cluster.clone(), platform.clone());
    tokio::spawn(async move {
        let shutdown = platform.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = drive(Arc::new(reconciler), changes, &cluster, &platform) => {}
        }
    });
}

async fn drive<R: Reconciler>(
    reconciler: Arc<R>,
    mut changes: tokio::sync::mpsc::UnboundedReceiver<Change>,
    cluster: &Cluster,
    platform: &Platform,
) {
    let mut faults = platform.faults.subscribe();
    let mut queue = WorkQueue::default();
    let mut known: BTreeSet<ObjectKey> = BTreeSet::new();
    let mut failures: HashMap<ObjectKey, u32> = HashMap::new();
    let mut work: JoinSet<(ObjectKey, anyhow::Result<Next>)> = JoinSet::new();
    let mut later: JoinSet<ObjectKey> = JoinSet::new();
    loop {
        tokio::select! {
            change = changes.recv() => {
                let Some(change) = change else { return };
                for key in reconciler.affected(&change) {
                    known.insert(key.clone());
                    queue.offer(key);
                }
            }
            Ok(()) = faults.changed() => known.iter().cloned().for_each(|key| queue.offer(key)),
            Some(Ok(key)) = later.join_next() => queue.offer(key),
            Some(finished) = work.join_next() => {
                let Ok((key, outcome)) = finished else { continue };
                queue.finish(&key);
                let pause = match outcome {
                    Ok(next) => {
                        failures.remove(&key);
                        if cluster.get(&key).is_none() {
                            known.remove(&key);
                        }
                        match next {
                            Next::Wait => None,
                            Next::Again(pause) => Some(pause),
                        }
                    }
                    Err(error) => {
                        let count = failures.entry(key.clone()).or_default();
                        tracing::debug!(stand_in = %R::STAND_IN, object = %key, attempt = *count + 1,
                            error = format!("{error:#}"), "will be tried again");
                        let pause = pace::backoff(*count);
                        *count = count.saturating_add(1);
                        Some(pause)
                    }
                };
                if let Some(pause) = pause {
                    later.spawn(async move {
                        pace::pause(pause).await;
                        key
                    });
                }
            }
        }
        for key in queue.start() {
            let behaviour = platform.faults.behaviour(R::STAND_IN, &reconciler.subject(&key));
            let reconciler = reconciler.clone();
            work.spawn(async move {
                let outcome = match behaviour {
                    Behaviour::Absent => Ok(Next::Wait),
                    Behaviour::Slow(delay) => {
                        pace::pause(delay).await;
                        reconciler.reconcile(&key, behaviour).await
                    }
                    _ => reconciler.reconcile(&key, behaviour).await,
                };
                (key, outcome)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(Kind::Route, "a", name)
    }

    #[test]
    fn an_object_in_work_is_taken_up_again_only_when_it_is_finished() {
        let mut queue = WorkQueue::default();
        queue.offer(key("x"));
        queue.offer(key("x"));
        assert_eq!(queue.start(), [key("x")]);
        queue.offer(key("x"));
        queue.offer(key("y"));
        assert_eq!(queue.start(), [key("y")], "x is in work");
        queue.finish(&key("x"));
        assert_eq!(queue.start(), [key("x")], "x changed while it was in work");
        queue.finish(&key("x"));
        assert!(queue.start().is_empty());
    }
}
