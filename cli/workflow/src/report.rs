//! How a run ended, step by step.

use std::time::Duration;

use serde::Serialize;

use crate::{
    event::{EventKind, Told},
    step::{Change, Failure, Outcome, Seen, StepError, StepId},
    walk::Verb,
};

/// The result of a walk.
#[derive(Debug)]
pub struct Report {
    /// The direction.
    pub verb: Verb,
    /// The steps of the walk in the recipe's order, whichever way it went.
    pub steps: Vec<Ended>,
    /// How long it took.
    pub took: Duration,
}

/// One step's result.
#[derive(Debug)]
pub struct Ended {
    /// The step.
    pub step: StepId,
    /// How it ended.
    pub ending: Ending,
    /// How long it worked; zero if it never started.
    pub took: Duration,
}

/// How a step ended.
#[derive(Debug)]
pub enum Ending {
    /// It was applied or reverted.
    Done(Outcome),
    /// It was looked at.
    Seen(Seen),
    /// It does not apply, and why.
    Skipped(String),
    /// It failed, ran out of time ([`Failure::TimedOut`]) or was stopped ([`Failure::Interrupted`]).
    Failed(StepError),
    /// It could not run because of another step.
    Blocked {
        /// The step at the root of it.
        by: StepId,
        /// What is wrong with it; the class is that of the root.
        error: StepError,
    },
    /// It could have run, but the run had stopped, because of this.
    NotStarted(Failure),
}

impl Ending {
    /// The class of what went wrong, if anything did.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Done(_) | Self::Seen(_) | Self::Skipped(_) => None,
            Self::Failed(error) | Self::Blocked { error, .. } => Some(error.failure),
            Self::NotStarted(failure) => Some(*failure),
        }
    }

    pub(crate) fn event(&self, took: Duration) -> EventKind {
        match self {
            Self::Done(outcome) => EventKind::StepFinished { outcome: outcome.clone(), took },
            Self::Seen(seen) => EventKind::StepSeen { seen: seen.clone(), took },
            Self::Skipped(reason) => EventKind::StepSkipped { reason: reason.clone() },
            Self::Failed(error) => EventKind::StepFailed { error: Told::from(error), took },
            Self::Blocked { by, error } => EventKind::StepBlocked { by, error: Told::from(error) },
            Self::NotStarted(failure) => EventKind::StepNotStarted { failure: *failure },
        }
    }
}

/// A run's result in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// Every step did what it should.
    Done,
    /// Some did not.
    Failed,
    /// The run was stopped before it could end.
    Interrupted,
}

/// How many steps ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Applied or reverted, and something moved.
    pub changed: usize,
    /// Applied or reverted, and all was as it should be.
    pub unchanged: usize,
    /// Looked at.
    pub seen: usize,
    /// Not applicable.
    pub skipped: usize,
    /// Failed, timed out or interrupted.
    pub failed: usize,
    /// Could not run because of another step.
    pub blocked: usize,
    /// Left, as the run had stopped.
    pub not_started: usize,
}

impl Report {
    /// The ending of one step; nothing if the step was not part of the walk.
    pub fn ending(&self, step: &str) -> Option<&Ending> {
        self.steps.iter().find(|ended| ended.step == step).map(|ended| &ended.ending)
    }

    /// The class that speaks for the run; nothing if every step did what it should.
    pub fn worst_failure(&self) -> Option<Failure> {
        self.steps.iter().filter_map(|ended| ended.ending.failure()).max()
    }

    /// The result in one word.
    pub fn conclusion(&self) -> Conclusion {
        match self.worst_failure() {
            None => Conclusion::Done,
            Some(Failure::Interrupted) => Conclusion::Interrupted,
            Some(_) => Conclusion::Failed,
        }
    }

    /// How many steps ended how.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for Ended { ending, .. } in &self.steps {
            *match ending {
                Ending::Done(Outcome { change: Change::Changed, .. }) => &mut counts.changed,
                Ending::Done(Outcome { change: Change::Unchanged, .. }) => &mut counts.unchanged,
                Ending::Done(Outcome { change: Change::Skipped, .. }) | Ending::Skipped(_) => {
                    &mut counts.skipped
                }
                Ending::Seen(_) => &mut counts.seen,
                Ending::Failed(_) => &mut counts.failed,
                Ending::Blocked { .. } => &mut counts.blocked,
                Ending::NotStarted(_) => &mut counts.not_started,
            } += 1;
        }
        counts
    }
}
