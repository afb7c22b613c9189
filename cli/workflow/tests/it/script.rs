//! Steps that do what a test's script says, and the world they do it to.

use std::{
    collections::BTreeSet,
    ops::Deref,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt, pending};
use proptest::prelude::*;
use tenant_workflow::{
    scope::Scope,
    step::{Failure, Outcome, RevertAfter, Seen, State, Step, StepError, StepId},
};
use tokio::time::{Instant, sleep_until};

pub(crate) const NAMES: [StepId; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Every subset of the names, by bit mask: `Step::needs` wants slices that live for ever.
static SUBSETS: LazyLock<Vec<Vec<StepId>>> = LazyLock::new(|| {
    let subset =
        |mask: usize| (0..NAMES.len()).filter(|bit| mask >> bit & 1 == 1).map(|bit| NAMES[bit]).collect();
    (0..1 << NAMES.len()).map(subset).collect()
});

pub(crate) fn subset(mask: usize) -> &'static [StepId] {
    &SUBSETS[mask]
}

pub(crate) fn tick(count: u64) -> Duration {
    Duration::from_millis(100) * u32::try_from(count).unwrap()
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An error at the end of the work, when half of it is there.
    Error(Failure),
    /// A panic in its place.
    Panic,
    /// It never ends.
    Hangs,
}

/// A step's script.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) id: StepId,
    pub(crate) needs: &'static [StepId],
    pub(crate) revert_after: RevertAfter,
    /// How long each direction takes.
    pub(crate) takes: Duration,
    pub(crate) apply_fault: Option<Fault>,
    pub(crate) revert_fault: Option<Fault>,
    pub(crate) probe_fault: Option<Fault>,
    /// What a probe sees; by default what the world says.
    pub(crate) state: Option<State>,
    /// Why it does not apply; `"panic"` panics instead.
    pub(crate) skipped: Option<&'static str>,
    /// Whether it stops at once when told to.
    pub(crate) obeys: bool,
}

impl Script {
    pub(crate) fn new(id: StepId, needs: &'static [StepId]) -> Self {
        Self {
            id,
            needs,
            revert_after: RevertAfter::Dependents,
            takes: tick(1),
            apply_fault: None,
            revert_fault: None,
            probe_fault: None,
            state: None,
            skipped: None,
            obeys: false,
        }
    }
}

/// Scripts of a random recipe: needs precede users; nothing goes wrong unless a test says so.
pub(crate) fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let script = (any::<u8>(), 0..4_u64, any::<bool>(), 0..8_u8);
    prop::collection::vec(script, 1..=NAMES.len()).prop_map(|drawn| {
        let make = |(at, (mask, takes, obeys, skipped)): (usize, (u8, u64, bool, u8))| Script {
            takes: tick(takes),
            obeys,
            skipped: (skipped == 0).then_some("not today"),
            ..Script::new(NAMES[at], subset(usize::from(mask) & ((1 << at) - 1)))
        };
        drawn.into_iter().enumerate().map(make).collect()
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Began,
    Returned,
    /// Dropped, or unwound by a panic.
    Broken,
}

/// What the scripted steps work on, and the log of it.
#[derive(Debug)]
pub(crate) struct World {
    epoch: Instant,
    there: Mutex<BTreeSet<StepId>>,
    log: Mutex<Vec<(Moment, StepId, Duration)>>,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { epoch: Instant::now(), there: Mutex::default(), log: Mutex::default() })
    }

    pub(crate) fn there(&self) -> BTreeSet<StepId> {
        self.there.lock().unwrap().clone()
    }

    pub(crate) fn put(&self, step: StepId) {
        self.there.lock().unwrap().insert(step);
    }

    /// The steps that began, in order.
    pub(crate) fn began(&self) -> Vec<StepId> {
        self.log()
            .into_iter()
            .filter(|(moment, ..)| *moment == Moment::Began)
            .map(|(_, step, _)| step)
            .collect()
    }

    pub(crate) fn log(&self) -> Vec<(Moment, StepId, Duration)> {
        self.log.lock().unwrap().clone()
    }

    /// Begins a new page of the log.
    pub(crate) fn forget(&self) {
        self.log.lock().unwrap().clear();
    }

    /// When a step had the moment, on the clock of the world.
    pub(crate) fn at(&self, moment: Moment, step: StepId) -> Option<Duration> {
        self.log().into_iter().find(|entry| (entry.0, entry.1) == (moment, step)).map(|entry| entry.2)
    }

    fn write(&self, moment: Moment, step: StepId) {
        self.log.lock().unwrap().push((moment, step, self.epoch.elapsed()));
    }
}

/// A script together with its world: a step.
pub(crate) struct Actor {
    script: Script,
    world: Arc<World>,
}

impl Deref for Actor {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.script
    }
}

pub(crate) fn cast(scripts: &[Script], world: &Arc<World>) -> Vec<Arc<dyn Step>> {
    let actor = |script: &Script| Actor { script: script.clone(), world: world.clone() };
    scripts.iter().map(|script| Arc::new(actor(script)) as Arc<dyn Step>).collect()
}

/// Logs how an actor's work ended, also when it is dropped.
struct Work<'a> {
    actor: &'a Actor,
    moment: Moment,
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.actor.world.write(self.moment, self.actor.id);
    }
}

impl Actor {
    async fn play(&self, scope: &Scope, fault: Option<Fault>) -> Result<(), StepError> {
        self.world.write(Moment::Began, self.id);
        let mut work = Work { actor: self, moment: Moment::Broken };
        scope.waiting("the script", "its time has not come");
        let stopped =
            async { if self.obeys { scope.cancelled().cancelled().await } else { pending().await } };
        let result = tokio::select! { biased;
            () = sleep_until(Instant::now() + self.takes) => match fault {
                None => Ok(()),
                Some(Fault::Error(failure)) => Err(StepError::new(failure, format!("play {}", self.id))),
                Some(Fault::Panic) => panic!("{} fell over", self.id),
                Some(Fault::Hangs) => pending().await,
            },
            () = stopped => Err(StepError::new(Failure::Interrupted, format!("play {}", self.id))),
        };
        work.moment = Moment::Returned;
        result
    }
}

impl Step for Actor {
    fn id(&self) -> StepId {
        self.id
    }

    fn title(&self) -> &'static str {
        "A scripted step"
    }

    fn needs(&self) -> &'static [StepId] {
        self.needs
    }

    fn revert_after(&self) -> RevertAfter {
        self.revert_after
    }

    fn skipped(&self) -> Option<String> {
        assert_ne!(self.skipped, Some("panic"), "{} cannot tell", self.id);
        self.skipped.map(str::to_owned)
    }

    fn probe<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async {
            self.play(scope, self.probe_fault).await?;
            let held = if self.world.there().contains(self.id) { State::Present } else { State::Absent };
            Ok(Seen::new(self.state.unwrap_or(held), []))
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async {
            self.play(scope, self.probe_fault).await?;
            let held = self.world.there().contains(self.id);
            let state = if held { State::Present } else { State::Absent };
            Ok(Seen::new(state, held.then(|| format!("{} goes", self.id))))
        }
        .boxed()
    }

    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async {
            // Made at once, and whole only later: what breaks half way leaves something behind.
            self.world.put(self.id);
            self.play(scope, self.apply_fault).await?;
            Ok(Outcome::changed("put"))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async {
            self.play(scope, self.revert_fault).await?;
            let was_there = self.world.there.lock().unwrap().remove(self.id);
            Ok(if was_there { Outcome::changed("taken away") } else { Outcome::unchanged("nothing there") })
        }
        .boxed()
    }
}
