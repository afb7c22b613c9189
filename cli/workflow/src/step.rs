//! What a step is: one thing the recipe sets up, looks at and takes away again.

use std::{error::Error, fmt};

use futures::future::BoxFuture;
use serde::Serialize;

use crate::scope::Scope;

/// Name of a step, as recipes, `--only` and the events spell it.
pub type StepId = &'static str;

/// One step of a recipe, with its three directions side by side.
///
/// A step holds what it works with (clients, settings, the slots of the facts it reads and fills); the
/// engine hands it a [`Scope`] only, and learns of it through the returned values only.
pub trait Step: Send + Sync {
    /// The step's name; unique in a recipe.
    fn id(&self) -> StepId;

    /// One line for people: what this step is about.
    fn title(&self) -> &'static str;

    /// Steps that must be done before this one may be applied.
    fn needs(&self) -> &'static [StepId] {
        &[]
    }

    /// What must be gone before this one may be reverted.
    fn revert_after(&self) -> RevertAfter {
        RevertAfter::Dependents
    }

    /// Why this step has nothing to do in this order or on this cluster, if so.
    ///
    /// A skipped step counts as done for the steps that need it, and as gone in reverse. Asked in every walk
    /// when the step's turn has come.
    fn skipped(&self) -> Option<String> {
        None
    }

    /// Looks, changes nothing, and fills the step's facts as far as they can be read.
    fn probe<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>>;

    /// Looks at what a revert would remove, and changes nothing: [`State::Present`] if that is anything, with one
    /// line for each thing that goes, and one for what is there and stays. It may not rely on facts.
    fn foresee<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>>;

    /// Brings the step's objects about. Twice equals once.
    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>>;

    /// Removes them. Must succeed when there is nothing, and must not rely on any earlier run.
    fn revert<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>>;
}

/// The order a step is reverted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevertAfter {
    /// After every step that needs this one, directly.
    Dependents,
    /// After these only (an empty list: at once).
    Only(&'static [StepId]),
    /// After all other steps of the walk.
    Everything,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The state in one word.
    pub state: State,
    /// What there is, differs, or is missing; one line each.
    pub details: Vec<String>,
}

/// State of a step's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing of it is there.
    Absent,
    /// All of it is there, as ordered.
    Present,
    /// Some of it is missing or differs from the order.
    Drifted,
    /// There as ordered, but not (or no longer) ready.
    NotReady,
    /// It does not apply to this order or cluster.
    Skipped,
}

impl Seen {
    /// A state with its details.
    pub fn new(state: State, details: impl IntoIterator<Item = String>) -> Self {
        Self { state, details: details.into_iter().collect() }
    }
}

/// What applying or reverting a step did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether anything moved.
    pub change: Change,
    /// One line for people.
    pub summary: String,
}

/// Whether a step changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Something was created, changed or removed.
    Changed,
    /// All was as it should be.
    Unchanged,
    /// The step does not apply here.
    Skipped,
}

impl Outcome {
    /// Something moved.
    pub fn changed(summary: impl Into<String>) -> Self {
        Self { change: Change::Changed, summary: summary.into() }
    }

    /// Nothing had to move.
    pub fn unchanged(summary: impl Into<String>) -> Self {
        Self { change: Change::Unchanged, summary: summary.into() }
    }

    /// Does not apply, and why.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self { change: Change::Skipped, summary: reason.into() }
    }
}

/// Class of a failure; the command line maps it to its exit code.
///
/// Ordered by how little another run alone would help, so that the greatest of several speaks for them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Somebody else holds what is needed; try later.
    Busy,
    /// Not ready within its time; a re-run resumes.
    TimedOut,
    /// A service answered wrongly or not at all.
    Service,
    /// Something is left that should be gone.
    Leftover,
    /// Not authenticated, or not allowed.
    Denied,
    /// The order cannot be carried out as written.
    Usage,
    /// A defect of this program.
    Internal,
    /// Stopped from outside.
    Interrupted,
}

/// Why a step failed, for the reader: object and operation, cause, next step.
#[derive(Debug)]
pub struct StepError {
    /// Class, for the exit code.
    pub failure: Failure,
    /// Object and operation, one line: `create Gitea gitea-user-x1/gitea`.
    pub what: String,
    /// The cause; its chain of sources is printed below.
    pub cause: Option<Box<dyn Error + Send + Sync>>,
    /// What the reader can do now.
    pub hint: Option<String>,
}

impl StepError {
    /// A failure of `what`, without cause or hint yet.
    pub fn new(failure: Failure, what: impl Into<String>) -> Self {
        Self { failure, what: what.into(), cause: None, hint: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds what the reader can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message and those of its causes, outermost first.
    pub fn chain(&self) -> Vec<String> {
        let outermost: &(dyn Error + 'static) = self;
        std::iter::successors(Some(outermost), |&error| error.source()).map(ToString::to_string).collect()
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
