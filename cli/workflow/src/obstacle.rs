//! Whether what a step waited for is as the step needs it, and what to say if not.

use crate::{
    report::Ending,
    step::{Failure, State, StepError, StepId},
    walk::Verb,
};

/// The ending of a `step` that must come after `other`, if the way `other` ended blocks it.
pub(crate) fn obstacle(verb: Verb, step: StepId, other: StepId, ending: &Ending) -> Option<Ending> {
    let (by, failure, state) = match ending {
        // What had not started was held back by the halt of the run, which then holds back this one, too.
        Ending::Done(_) | Ending::Skipped(_) | Ending::NotStarted(_) => return None,
        Ending::Failed(error) => (other, error.failure, "failed".to_owned()),
        Ending::Blocked { by, error } => (*by, error.failure, format!("is blocked by `{by}`")),
        // Only steps that were left out are looked at here.
        Ending::Seen(seen) => match seen.state {
            State::Present | State::Skipped => return None,
            State::Absent => (other, Failure::Usage, "is absent".to_owned()),
            State::Drifted => (other, Failure::Usage, "differs from the order".to_owned()),
            State::NotReady => (other, Failure::TimedOut, "is not ready".to_owned()),
        },
    };
    let needs = if verb == Verb::Destroy { "goes after" } else { "needs" };
    let mut error = StepError::new(failure, format!("`{step}` {needs} `{other}`, which {state}"));
    if matches!(ending, Ending::Seen(_)) {
        error = error.hint(format!("run `{other}` too: it is left out by --only or --skip"));
    }
    Some(Ending::Blocked { by, error })
}
