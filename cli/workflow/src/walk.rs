//! Walks a plan: forward, in reverse, or just looking.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    event::{Emitter, EventKind, Listed, Sink},
    obstacle::obstacle,
    plan::{Part, Plan},
    report::{Ended, Ending, Report},
    scope::Scope,
    step::{Failure, Step, StepError, StepId},
};

/// The direction of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Forward: applies.
    Provision,
    /// In reverse: reverts.
    Destroy,
    /// Read-only: probes.
    Look,
}

/// How to walk. Fields are public, to be set over [`Run::new`]; a run may be cloned to walk several plans
/// with events on one clock.
#[derive(Clone)]
pub struct Run {
    /// Who hears of it.
    pub sink: Arc<dyn Sink>,
    /// Label of its events, where several runs share a sink.
    pub guid: Option<Arc<str>>,
    /// Zero of its events' clock; by default, when the run was made.
    pub epoch: Instant,
    /// Tells it to stop.
    pub cancel: CancellationToken,
    /// How long running steps have to end by themselves once told to stop; by default 2 s.
    pub grace: Duration,
    /// Limit of a whole walk; by default none.
    pub timeout: Option<Duration>,
    /// Limit of each step; by default none.
    pub step_timeout: Option<Duration>,
    /// One step at a time, in the order of the list (or the reverse of it).
    pub serial: bool,
}

impl Run {
    /// A parallel run without limits.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            sink,
            guid: None,
            epoch: Instant::now(),
            cancel: CancellationToken::new(),
            grace: Duration::from_secs(2),
            timeout: None,
            step_timeout: None,
            serial: false,
        }
    }

    /// Applies the selected steps, each as soon as its needs are done, and looks at what they need besides.
    ///
    /// After a failure nothing new starts; what runs may end.
    pub async fn provision(&self, plan: &Plan) -> Report {
        Walk::new(self, plan, Verb::Provision, Gaze::Back).finish().await
    }

    /// Reverts the selected steps in reverse order, each as soon as what must go before it is gone.
    ///
    /// A failure blocks only what must come after it.
    pub async fn destroy(&self, plan: &Plan) -> Report {
        Walk::new(self, plan, Verb::Destroy, Gaze::Back).finish().await
    }

    /// Looks at the selected steps and at what they need, in the order of their needs, so that facts found on
    /// the way are there for those that read them. Goes on after failures.
    pub async fn look(&self, plan: &Plan) -> Report {
        Walk::new(self, plan, Verb::Look, Gaze::Back).finish().await
    }

    /// Looks at what reverting the selected steps would remove. Goes on after failures.
    pub async fn foresee(&self, plan: &Plan) -> Report {
        Walk::new(self, plan, Verb::Look, Gaze::Ahead).finish().await
    }

    /// A step's scope outside of any walk, for tests of steps.
    pub fn scope(&self, step: StepId, deadline: Instant) -> Scope {
        Scope::new(self, step, deadline)
    }

    pub(crate) fn emitter(&self) -> Emitter {
        Emitter { epoch: self.epoch, guid: self.guid.clone(), sink: self.sink.clone() }
    }
}

/// The moment a limit is reached that starts to count now; without one, or beyond what clocks can hold, later
/// than anything here lasts.
pub(crate) fn end_of(limit: Option<Duration>) -> Instant {
    let thirty_years = Duration::from_hours(30 * 365 * 24);
    Instant::now() + limit.unwrap_or(thirty_years).min(thirty_years)
}

/// What a look is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gaze {
    /// What applying has come to.
    Back,
    /// What reverting would come to.
    Ahead,
}

/// A walk under way.
struct Walk<'a> {
    run: &'a Run,
    plan: &'a Plan,
    verb: Verb,
    gaze: Gaze,
    events: Emitter,
    started: Instant,
    deadline: Instant,
    /// The steps of the walk, in its order.
    order: Vec<usize>,
    /// What each step of the plan has come to.
    states: Vec<State>,
    running: FuturesUnordered<BoxFuture<'static, (usize, Ending)>>,
    /// Once set, nothing new starts, because of this.
    halt: Option<Failure>,
}

enum State {
    Pending,
    Running(Scope),
    Ended(Ending, Duration),
}

impl<'a> Walk<'a> {
    fn new(run: &'a Run, plan: &'a Plan, verb: Verb, gaze: Gaze) -> Self {
        let takes_part = |at: &usize| match (verb, gaze) {
            (Verb::Destroy, _) | (_, Gaze::Ahead) => plan.parts[*at] == Part::Runs,
            (Verb::Provision | Verb::Look, Gaze::Back) => plan.parts[*at] != Part::Out,
        };
        let mut order: Vec<usize> = (0..plan.steps.len()).filter(takes_part).collect();
        if verb == Verb::Destroy {
            order.reverse();
        }
        Self {
            run,
            plan,
            verb,
            gaze,
            events: run.emitter(),
            started: Instant::now(),
            deadline: end_of(run.timeout),
            order,
            states: plan.steps.iter().map(|_| State::Pending).collect(),
            running: FuturesUnordered::new(),
            halt: None,
        }
    }

    async fn finish(mut self) -> Report {
        self.events.emit(None, EventKind::RunStarted { verb: self.verb, steps: self.listed() });
        let mut patience = None;
        loop {
            if patience.is_none() && self.run.cancel.is_cancelled() {
                self.halt = Some(Failure::Interrupted);
                self.events.emit(None, EventKind::Cancelled);
                patience = Some(end_of(Some(self.run.grace)));
            }
            self.advance();
            if self.running.is_empty() {
                return self.report();
            }
            // Steps come before the end of patience: one that ends at the last moment has ended.
            let patience_ends = sleep_until(patience.unwrap_or_else(|| end_of(None)));
            tokio::select! { biased;
                () = self.run.cancel.cancelled(), if patience.is_none() => {}
                Some((at, ending)) = self.running.next() => self.settle(at, ending),
                () = patience_ends, if patience.is_some() => self.drop_running(),
            }
        }
    }

    /// Decides every step whose turn has come: it starts, or will not run.
    fn advance(&mut self) {
        if Instant::now() >= self.deadline {
            self.halt.get_or_insert(Failure::TimedOut);
        }
        while let Some(at) = self.next() {
            match self.hindrance(at) {
                Some(ending) => self.settle(at, ending),
                None => self.start(at),
            }
        }
    }

    /// The first undecided step in the walk's order with nothing undecided before it.
    fn next(&self) -> Option<usize> {
        if self.run.serial && !self.running.is_empty() {
            return None;
        }
        let ended = |at: &usize| matches!(self.states[*at], State::Ended(..));
        let due =
            |at: &usize| matches!(self.states[*at], State::Pending) && self.before(*at).iter().all(ended);
        self.order.iter().copied().find(due)
    }

    fn before(&self, at: usize) -> &'a [usize] {
        if self.gaze == Gaze::Ahead {
            return &[]; // what is there does not depend on what goes first
        }
        match self.verb {
            Verb::Destroy => &self.plan.before_revert[at],
            Verb::Provision | Verb::Look => &self.plan.before_apply[at],
        }
    }

    /// Why a step whose turn has come will not run, if so.
    fn hindrance(&self, at: usize) -> Option<Ending> {
        let step = &self.plan.steps[at];
        match catch_unwind(AssertUnwindSafe(|| step.skipped())) {
            Ok(None) => {}
            Ok(Some(reason)) => return Some(Ending::Skipped(reason)),
            Err(panic) => return Some(Ending::Failed(panicked(step.id(), &*panic))),
        }
        let halted = self.halt.map(Ending::NotStarted);
        // Looking harms nothing and tells more than "blocked" would; interrupted, all that is left is alike.
        if self.looks(at) || self.halt == Some(Failure::Interrupted) {
            return halted;
        }
        let blocked = self.before(at).iter().find_map(|&other| match &self.states[other] {
            State::Ended(ending, _) => obstacle(self.verb, step.id(), self.plan.steps[other].id(), ending),
            State::Pending | State::Running(_) => None,
        });
        blocked.or(halted)
    }

    fn looks(&self, at: usize) -> bool {
        self.verb == Verb::Look || self.plan.parts[at] == Part::Guards
    }

    fn start(&mut self, at: usize) {
        let step = self.plan.steps[at].clone();
        let scope = self.run.scope(step.id(), end_of(self.run.step_timeout).min(self.deadline));
        let verb = if self.looks(at) { Verb::Look } else { self.verb };
        scope.emit(EventKind::StepStarted);
        self.states[at] = State::Running(scope.clone());
        self.running.push(attempt(step, verb, self.gaze, scope).map(move |ending| (at, ending)).boxed());
    }

    fn settle(&mut self, at: usize, ending: Ending) {
        let took = match &self.states[at] {
            State::Running(scope) => scope.close(),
            State::Pending | State::Ended(..) => Duration::ZERO,
        };
        if self.verb == Verb::Provision
            && let Some(failure) = ending.failure()
        {
            self.halt.get_or_insert(failure);
        }
        self.events.emit(Some(self.plan.steps[at].id()), ending.event(took));
        self.states[at] = State::Ended(ending, took);
    }

    fn drop_running(&mut self) {
        self.running.clear();
        for at in self.order.clone() {
            if let State::Running(scope) = &self.states[at] {
                let error = scope.cut_short(Failure::Interrupted);
                self.settle(at, Ending::Failed(error));
            }
        }
    }

    fn listed(&self) -> Vec<Listed> {
        let steps = self.order.iter().map(|at| &self.plan.steps[*at]);
        steps.map(|step| Listed { id: step.id(), title: step.title() }).collect()
    }

    fn report(self) -> Report {
        let steps = self.plan.steps.iter().zip(self.states).filter_map(|(step, state)| match state {
            State::Ended(ending, took) => Some(Ended { step: step.id(), ending, took }),
            // Not part of this walk.
            State::Pending | State::Running(_) => None,
        });
        let report = Report { verb: self.verb, steps: steps.collect(), took: self.started.elapsed() };
        let (result, failure, counts) = (report.conclusion(), report.worst_failure(), report.counts());
        self.events.emit(None, EventKind::RunFinished { result, failure, took: report.took, counts });
        report
    }
}

/// Runs a step to its end, whatever that is: a result, a panic, or its deadline.
async fn attempt(step: Arc<dyn Step>, verb: Verb, gaze: Gaze, scope: Scope) -> Ending {
    // What a panic leaves half-made is the step's own, and the step is not asked again.
    let work = AssertUnwindSafe(async {
        match (verb, gaze) {
            (Verb::Provision, _) => step.apply(&scope).await.map(Ending::Done),
            (Verb::Destroy, _) => step.revert(&scope).await.map(Ending::Done),
            (Verb::Look, Gaze::Back) => step.probe(&scope).await.map(Ending::Seen),
            (Verb::Look, Gaze::Ahead) => step.foresee(&scope).await.map(Ending::Seen),
        }
    });
    match timeout_at(scope.deadline(), work.catch_unwind()).await {
        Ok(Ok(ended)) => ended.unwrap_or_else(Ending::Failed),
        Ok(Err(panic)) => Ending::Failed(panicked(step.id(), &*panic)),
        Err(_) => Ending::Failed(scope.cut_short(Failure::TimedOut)),
    }
}

fn panicked(step: StepId, panic: &(dyn Any + Send)) -> StepError {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text =
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    let error = StepError::new(Failure::Internal, format!("step `{step}` panicked"));
    error.because(text).hint("this is a defect of the program: please report it")
}
