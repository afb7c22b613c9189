//! What the engine hands a step: its time, the way to be stopped, and its voice.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    event::{Emitter, EventKind, Recorder},
    step::{Failure, StepError, StepId},
    walk::{Run, end_of},
};

/// One step's connection to its run. Clones share everything and are cheap.
///
/// After the step has ended, a scope is silent and cancelled, so that tasks a step left behind neither speak
/// for it nor go on.
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

struct Inner {
    step: StepId,
    emitter: Emitter,
    started: Instant,
    deadline: Instant,
    cancelled: CancellationToken,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// What is being waited for; the latest change last.
    waits: Vec<Wait>,
}

struct Wait {
    what: String,
    seen: String,
    /// On the clock of the events.
    since: Duration,
    /// The command that helps, if it will hardly pass by itself.
    remedy: Option<String>,
}

impl Scope {
    pub(crate) fn new(run: &Run, step: StepId, deadline: Instant) -> Self {
        let (emitter, cancelled) = (run.emitter(), run.cancel.child_token());
        let (started, state) = (Instant::now(), Mutex::default());
        Self { inner: Arc::new(Inner { step, emitter, started, deadline, cancelled, state }) }
    }

    /// A scope outside of any run, with all the time in the world, for tests of steps; its events go to the
    /// recorder. Use [`Run::scope`] for one with a deadline or a way to cancel it.
    pub fn detached() -> (Self, Arc<Recorder>) {
        let recorder = Arc::new(Recorder::default());
        (Run::new(recorder.clone()).scope("detached", end_of(None)), recorder)
    }

    /// Says what the step waits for and what it last saw of it.
    ///
    /// To be called on every look; only changes become events. Several things may be waited for at once,
    /// told apart by `what`. What is still waited for when time is up is part of the error people read, so
    /// `seen` should carry the state, condition or message that explains the delay.
    pub fn waiting(&self, what: &str, seen: &str) {
        self.wait(what, seen, None);
    }

    /// As [`Scope::waiting`], for what will hardly pass by itself; `remedy` is the command that helps, told when
    /// time is up.
    pub fn held_up(&self, what: &str, seen: &str, remedy: &str) {
        self.wait(what, seen, Some(remedy));
    }

    fn wait(&self, what: &str, seen: &str, remedy: Option<&str>) {
        let mut state = self.state();
        let held = state.waits.iter().position(|wait| wait.what == what).map(|at| state.waits.remove(at));
        let changed = held.as_ref().is_none_or(|wait| wait.seen != seen);
        let since = held.map_or_else(|| self.inner.emitter.now(), |wait| wait.since);
        let wait = Wait { what: what.into(), seen: seen.into(), since, remedy: remedy.map(str::to_owned) };
        if changed {
            let kind = EventKind::StepWaiting { what: wait.what.clone(), seen: wait.seen.clone(), since };
            self.emit_in(&state, kind);
        }
        state.waits.push(wait);
    }

    /// What holds the step up, and the remedy, as [`Scope::held_up`] was told last.
    pub fn hindrance(&self) -> Option<(String, String)> {
        let state = self.state();
        let held = |wait: &Wait| Some((format!("{}: {}", wait.what, wait.seen), wait.remedy.clone()?));
        state.waits.iter().rev().find_map(held)
    }

    /// Says that `what` is no longer waited for, because it is there (or, in reverse, gone).
    pub fn ready(&self, what: &str) {
        let mut state = self.state();
        if let Some(at) = state.waits.iter().position(|wait| wait.what == what) {
            let Wait { what, since, .. } = state.waits.remove(at);
            let took = self.inner.emitter.now().saturating_sub(since);
            self.emit_in(&state, EventKind::StepReady { what, took });
        }
    }

    /// Something worth knowing, in one line.
    pub fn note(&self, text: impl Into<String>) {
        self.emit(EventKind::StepNote { text: text.into() });
    }

    /// Something the reader should look at though the step goes on, in one line.
    pub fn warn(&self, text: impl Into<String>) {
        self.emit(EventKind::StepWarning { text: text.into() });
    }

    /// When the step must have ended, the earlier of its own and the run's limit; far in the future if there
    /// is none. At this moment the step is dropped where it stands.
    pub fn deadline(&self) -> Instant {
        self.inner.deadline
    }

    /// The time left until the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    /// Cancelled when the run is told to stop. The step should then return at its next safe point, with its
    /// outcome if it is done and [`Failure::Interrupted`] if not; after the run's grace period it is dropped.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.inner.cancelled
    }

    pub(crate) fn emit(&self, kind: EventKind) {
        self.emit_in(&self.state(), kind);
    }

    /// Ends the scope and tells how long it lasted.
    pub(crate) fn close(&self) -> Duration {
        self.state().closed = true;
        self.inner.cancelled.cancel();
        self.inner.started.elapsed()
    }

    /// The error of a step that was dropped: how long it ran, and what it was waiting for.
    pub(crate) fn cut_short(&self, failure: Failure) -> StepError {
        let verb = if failure == Failure::TimedOut { "not done" } else { "stopped" };
        let state = self.state();
        // what has a known remedy first: that is the cause of the others, more often than not
        let (known, others): (Vec<_>, Vec<_>) =
            state.waits.iter().rev().partition(|wait| wait.remedy.is_some());
        let remedy = known.first().and_then(|wait| wait.remedy.clone());
        let waits: Vec<_> =
            known.iter().chain(&others).map(|Wait { what, seen, .. }| format!("{what}: {seen}")).collect();
        drop(state);
        let mut text = format!("{verb} after {:.1?}", self.inner.started.elapsed());
        if !waits.is_empty() {
            text += ", waiting for ";
            text += &waits.join("; and for ");
        }
        let go_on = "what is done stays done: the same command again goes on from here";
        let hint = remedy.map_or_else(|| go_on.to_owned(), |remedy| format!("{remedy}; {go_on}"));
        StepError::new(failure, text).hint(hint)
    }

    /// The lock is held while an event goes out: none can follow the step's closing one.
    fn emit_in(&self, state: &MutexGuard<'_, State>, kind: EventKind) {
        if !state.closed {
            self.inner.emitter.emit(Some(self.inner.step), kind);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("step", &self.inner.step).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(recorder: &Recorder) -> Vec<EventKind> {
        recorder.events().into_iter().map(|event| event.kind).collect()
    }

    fn waiting(what: &str, seen: &str, since: u64) -> EventKind {
        EventKind::StepWaiting { what: what.into(), seen: seen.into(), since: Duration::from_secs(since) }
    }

    #[tokio::test(start_paused = true)]
    async fn only_changes_of_a_wait_are_events() {
        let (scope, recorder) = Scope::detached();
        scope.waiting("gitea", "absent");
        tokio::time::advance(Duration::from_secs(1)).await;
        scope.waiting("route", "not admitted");
        scope.waiting("gitea", "absent");
        scope.waiting("gitea", "installing");
        tokio::time::advance(Duration::from_secs(1)).await;
        scope.ready("gitea");
        scope.ready("gitea");
        scope.ready("never waited for");
        let ready = EventKind::StepReady { what: "gitea".into(), took: Duration::from_secs(2) };
        assert_eq!(
            kinds(&recorder),
            [
                waiting("gitea", "absent", 0),
                waiting("route", "not admitted", 1),
                waiting("gitea", "installing", 0),
                ready
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_cut_short_says_what_it_still_waited_for() {
        let (scope, _) = Scope::detached();
        scope.waiting("a", "1");
        scope.waiting("b", "2");
        scope.waiting("c", "3");
        scope.ready("b");
        scope.waiting("a", "4");
        tokio::time::advance(Duration::from_millis(1500)).await;
        let error = scope.cut_short(Failure::TimedOut);
        assert_eq!(error.to_string(), "not done after 1.5s, waiting for a: 4; and for c: 3");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_with_a_remedy_is_told_first_and_the_remedy_is_the_hint() {
        let (scope, _) = Scope::detached();
        scope.held_up("pods", "ImagePullBackOff", "kubectl describe pod a");
        scope.waiting("a", "not ready");
        let error = scope.cut_short(Failure::TimedOut);
        assert!(
            error.to_string().ends_with("waiting for pods: ImagePullBackOff; and for a: not ready"),
            "{error}"
        );
        assert!(error.hint.unwrap().starts_with("kubectl describe pod a; what is done"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_scope_is_silent_and_cancelled() {
        let (scope, recorder) = Scope::detached();
        scope.close();
        scope.note("too late");
        scope.waiting("x", "y");
        scope.ready("x");
        assert_eq!(kinds(&recorder), []);
        assert!(scope.cancelled().is_cancelled());
    }
}
