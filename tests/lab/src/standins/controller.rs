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

use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use tokio_util::sync::CancellationToken;

use super::{
    cluster::{Change, Cluster, ObjectKey},
    kinds::Kind,
    pace,
};
use crate::platform::{Behaviour, Faults, Platform, StandIn};

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
    spawn_with(reconciler, cluster, platform.faults.clone(), platform.shutdown.clone());
}

/// As [`spawn`], where there is no platform.
pub(crate) fn spawn_with<R: Reconciler>(
    reconciler: R,
    cluster: &Cluster,
    faults: Arc<Faults>,
    shutdown: CancellationToken,
) {
    let changes = cluster.subscribe(R::WATCHES);
    let driver = Driver {
        reconciler: Arc::new(reconciler),
        cluster: cluster.clone(),
        faults,
        queue: WorkQueue::default(),
        known: BTreeSet::new(),
        failures: HashMap::new(),
        work: JoinSet::new(),
        timers: JoinSet::new(),
        pending: HashMap::new(),
    };
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = driver.run(changes) => {}
        }
    });
}

/// How one look at an object ended.
enum Outcome {
    Done(Next),
    /// The stand-in plays absent.
    Skipped,
    Failed(anyhow::Error),
}

struct Driver<R> {
    reconciler: Arc<R>,
    cluster: Cluster,
    faults: Arc<Faults>,
    queue: WorkQueue,
    /// Objects that exist, and gone ones whose end was not dealt with yet.
    known: BTreeSet<ObjectKey>,
    failures: HashMap<ObjectKey, u32>,
    work: JoinSet<(ObjectKey, Outcome)>,
    timers: JoinSet<ObjectKey>,
    /// At most one timer for an object: the newest.
    pending: HashMap<ObjectKey, AbortHandle>,
}

impl<R: Reconciler> Driver<R> {
    async fn run(mut self, mut changes: mpsc::UnboundedReceiver<Change>) {
        let mut faults = self.faults.subscribe();
        loop {
            tokio::select! {
                change = changes.recv() => {
                    let Some(change) = change else { return };
                    for key in self.reconciler.affected(&change) {
                        self.known.insert(key.clone());
                        self.queue.offer(key);
                    }
                }
                Ok(()) = faults.changed() => {
                    self.known.iter().cloned().for_each(|key| self.queue.offer(key));
                }
                Some(timer) = self.timers.join_next() => {
                    if let Ok(key) = timer {
                        self.pending.remove(&key);
                        self.queue.offer(key);
                    }
                }
                Some(finished) = self.work.join_next() => match finished {
                    Ok((key, outcome)) => self.settle(key, outcome),
                    Err(error) => tracing::error!(stand_in = %R::STAND_IN, %error, "a look at an object died"),
                },
            }
            self.take_up();
        }
    }

    fn take_up(&mut self) {
        for key in self.queue.start() {
            let behaviour = self.faults.behaviour(R::STAND_IN, &self.reconciler.subject(&key));
            let reconciler = self.reconciler.clone();
            self.work.spawn(async move {
                if let Behaviour::Slow(delay) = behaviour {
                    pace::pause(delay).await;
                }
                let outcome = match behaviour {
                    Behaviour::Absent => Outcome::Skipped,
                    _ => match reconciler.reconcile(&key, behaviour).await {
                        Ok(next) => Outcome::Done(next),
                        Err(error) => Outcome::Failed(error),
                    },
                };
                (key, outcome)
            });
        }
    }

    fn settle(&mut self, key: ObjectKey, outcome: Outcome) {
        self.queue.finish(&key);
        let pause = match outcome {
            Outcome::Skipped => None,
            Outcome::Done(next) => {
                self.failures.remove(&key);
                if self.cluster.get(&key).is_none() {
                    self.known.remove(&key);
                }
                match next {
                    Next::Wait => None,
                    Next::Again(pause) => Some(pause),
                }
            }
            Outcome::Failed(error) => {
                let count = self.failures.entry(key.clone()).or_default();
                let pause = pace::backoff(*count);
                *count = count.saturating_add(1);
                tracing::debug!(stand_in = %R::STAND_IN, object = %key, failures = *count,
                    error = format!("{error:#}"), "will be tried again");
                Some(pause)
            }
        };
        if let Some(timer) = self.pending.remove(&key) {
            timer.abort();
        }
        if let Some(pause) = pause {
            let name = key.clone();
            let timer = self.timers.spawn(async move {
                pace::pause(pause).await;
                name
            });
            self.pending.insert(key, timer);
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
