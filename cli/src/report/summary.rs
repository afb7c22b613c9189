//! What is said of a run as a whole: its first and its last line, and how to go on after a failure.

use std::time::Duration;

use tenant_workflow::{
    event::{Event, EventKind},
    report::{Conclusion, Counts},
    step::Failure,
    walk::Verb,
};

use super::{
    entry::{Entry, Level, Tone},
    runs::Run,
    wording::{counted, duration},
};

/// What an event of the run itself says; nothing for those of its steps.
pub(super) fn of_run(event: &Event, run: &Run) -> Option<Entry> {
    let news = |level: Level| if run.looks() { Level::Detail } else { level };
    match &event.kind {
        EventKind::RunStarted { steps, .. } => {
            let rest = format!(" {}: {}", run.tenant(), counted(steps.len(), "step"));
            Some(Entry::new(news(Level::Passing), Tone::Plain, doing(run.verb), rest))
        }
        EventKind::Cancelled => {
            let rest = ": nothing new starts, and what runs comes to a safe point";
            Some(Entry::new(Level::Lasting, Tone::Alert, "stopping", rest))
        }
        EventKind::RunFinished { result, failure, took, counts } => {
            let end = End { result: *result, failure: *failure, took: *took, counts: *counts };
            Some(end.entry(run, news(Level::Lasting)))
        }
        _ => None,
    }
}

/// The present participle of a run's direction, to begin a line with.
pub(super) fn doing(verb: Verb) -> &'static str {
    match verb {
        Verb::Provision => "Provisioning",
        Verb::Destroy => "Destroying",
        Verb::Look => "Looking at",
    }
}

struct End {
    result: Conclusion,
    failure: Option<Failure>,
    took: Duration,
    counts: Counts,
}

impl End {
    fn entry(&self, run: &Run, good: Level) -> Entry {
        let (tenant, took) = (run.tenant(), duration(self.took));
        let doing = doing(run.verb);
        let counts = counts(&self.counts);
        let steps = run.failed.iter().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(", ");
        let steps = if steps.is_empty() { steps } else { format!(" in {steps}") };
        let (level, tone, word, rest) = match (self.result, run.verb) {
            (Conclusion::Done, verb) => {
                let done = match verb {
                    Verb::Provision => "Provisioned",
                    Verb::Destroy => "Destroyed",
                    Verb::Look => "Looked at",
                };
                (good, Tone::Good, format!("{done} {tenant}"), format!(" in {took}{counts}"))
            }
            (Conclusion::Interrupted, _) => {
                let word = format!("{doing} {tenant} was interrupted");
                (Level::Urgent, Tone::Bad, word, format!(" after {took}{counts}"))
            }
            (Conclusion::Failed, Verb::Destroy) => {
                let word = format!("{doing} {tenant} is incomplete");
                (Level::Urgent, Tone::Bad, word, format!(" after {took}{steps}{counts}"))
            }
            (Conclusion::Failed, Verb::Provision | Verb::Look) => {
                let word = format!("{doing} {tenant} failed");
                (Level::Urgent, Tone::Bad, word, format!(" after {took}{steps}{counts}"))
            }
        };
        let hint = self.failure.and_then(|failure| how_to_go_on(failure, run));
        let below = hint.into_iter().map(|hint| format!("hint: {hint}")).collect();
        Entry { below, ..Entry::new(level, tone, word, rest) }
    }
}

fn counts(counts: &Counts) -> String {
    let Counts { changed, unchanged, seen, skipped, failed, blocked, not_started } = *counts;
    let all = [
        (changed, "changed"),
        (unchanged, "unchanged"),
        (seen, "looked at"),
        (skipped, "skipped"),
        (failed, "failed"),
        (blocked, "blocked"),
        (not_started, "not started"),
    ];
    let some = all.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}"));
    let some = some.collect::<Vec<_>>().join(", ");
    if some.is_empty() { some } else { format!(": {some}") }
}

/// The next thing to do after a run that failed.
fn how_to_go_on(failure: Failure, run: &Run) -> Option<String> {
    if run.looks() {
        return None;
    }
    let again = match failure {
        Failure::Busy => return Some("another run holds what this one needs: try again later".to_owned()),
        Failure::Internal => return Some("this is a defect of the program: please report it".to_owned()),
        Failure::TimedOut | Failure::Interrupted => "the same command again goes on from here",
        Failure::Service => "once the service answers, the same command again goes on from here",
        Failure::Denied => "once access is granted, the same command again goes on from here",
        Failure::Usage => "once the order is corrected, the command goes on from here",
        Failure::Leftover => "the same command again tries to remove what is left",
    };
    let undo = run.guid.as_deref().filter(|_| run.verb == Verb::Provision);
    let undo = undo.map(|guid| format!("; `tenant destroy --guid {guid}` removes what is there"));
    Some(format!("{again}{}", undo.unwrap_or_default()))
}
