//! What the engine says while it works: its only output besides the report.
//!
//! Terminal progress, plain lines, JSON lines and tests are all [`Sink`]s of the same events. As JSON an
//! event is one flat object and a stable interface (`v` counts its incompatible changes):
//!
//! ```json
//! {"v":1,"at_ms":1200,"guid":"x1","step":"gitea","kind":"step-waiting","what":"Gitea","seen":"starting","since_ms":80}
//! ```
//!
//! Every step listed by `run-started` gets exactly one closing event ([`EventKind::closes_step`]);
//! `run-finished` is the last event of a run, and always comes unless the run itself is dropped.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::{
    report::{Conclusion, Counts},
    step::{Failure, Outcome, Seen, StepError, StepId},
    walk::Verb,
};

/// Version of the events' JSON form; grows when a reader of the old form would be misled.
pub const VERSION: u32 = 1;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, as the time since the run's epoch.
    pub at: Duration,
    /// In which run, where several share one stream: the order's guid.
    pub guid: Option<Arc<str>>,
    /// In which step; nothing for events of the run as a whole.
    pub step: Option<StepId>,
    /// What.
    pub kind: EventKind,
}

/// What happened. Durations are integer milliseconds in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EventKind {
    /// First event of a run.
    RunStarted {
        /// The direction.
        verb: Verb,
        /// The steps of this walk, in the order people should see them.
        steps: Vec<Listed>,
    },
    /// A step began to work.
    StepStarted,
    /// What a step waits for, or what it sees there, changed.
    StepWaiting {
        /// The object waited for.
        what: String,
        /// What was last seen of it.
        seen: String,
        /// Since when it is waited for, on the clock of [`Event::at`].
        #[serde(rename = "since_ms", serialize_with = "millis")]
        since: Duration,
    },
    /// Something a step waited for is there.
    StepReady {
        /// The object waited for.
        what: String,
        /// How long that took.
        #[serde(rename = "took_ms", serialize_with = "millis")]
        took: Duration,
    },
    /// Something worth knowing.
    StepNote {
        /// One line.
        text: String,
    },
    /// Something the reader should look at, though the step goes on.
    StepWarning {
        /// One line.
        text: String,
    },
    /// A step was applied or reverted.
    StepFinished {
        /// What it did.
        outcome: Outcome,
        /// How long that took.
        #[serde(rename = "took_ms", serialize_with = "millis")]
        took: Duration,
    },
    /// A step was looked at.
    StepSeen {
        /// What is there.
        seen: Seen,
        /// How long looking took.
        #[serde(rename = "took_ms", serialize_with = "millis")]
        took: Duration,
    },
    /// A step failed, ran out of time (`timed-out`) or was stopped (`interrupted`).
    StepFailed {
        /// The error.
        #[serde(flatten)]
        error: Told,
        /// How long it had worked.
        #[serde(rename = "took_ms", serialize_with = "millis")]
        took: Duration,
    },
    /// A step cannot run because of another one.
    StepBlocked {
        /// The step at the root of it.
        by: StepId,
        /// The error.
        #[serde(flatten)]
        error: Told,
    },
    /// A step does not apply to this order or cluster.
    StepSkipped {
        /// Why.
        reason: String,
    },
    /// A step could have run, but the run had stopped.
    StepNotStarted {
        /// What stopped the run.
        failure: Failure,
    },
    /// The run was told to stop: nothing new starts, running steps have the grace period to end.
    Cancelled,
    /// Last event of a run.
    RunFinished {
        /// How it ended.
        result: Conclusion,
        /// The worst failure, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// How long the run took.
        #[serde(rename = "took_ms", serialize_with = "millis")]
        took: Duration,
        /// How many steps ended how.
        counts: Counts,
    },
}

impl EventKind {
    /// Whether this is the last event of its step.
    pub fn closes_step(&self) -> bool {
        matches!(
            self,
            Self::StepFinished { .. }
                | Self::StepSeen { .. }
                | Self::StepFailed { .. }
                | Self::StepBlocked { .. }
                | Self::StepSkipped { .. }
                | Self::StepNotStarted { .. }
        )
    }
}

/// A step as `run-started` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub id: StepId,
    /// One line for people.
    pub title: &'static str,
}

/// An error as text, as events carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Its class.
    pub failure: Failure,
    /// The messages of the error and its causes, outermost first.
    pub errors: Vec<String>,
    /// What the reader can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<&StepError> for Told {
    fn from(error: &StepError) -> Self {
        Self { failure: error.failure, errors: error.chain(), hint: error.hint.clone() }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            v: u32,
            #[serde(rename = "at_ms", serialize_with = "millis")]
            at: Duration,
            #[serde(skip_serializing_if = "Option::is_none")]
            guid: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            step: Option<StepId>,
            #[serde(flatten)]
            kind: &'a EventKind,
        }
        let Self { at, guid, step, kind } = self;
        Line { v: VERSION, at: *at, guid: guid.as_deref(), step: *step, kind }.serialize(serializer)
    }
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// A consumer of events. Called from whatever task an event arises in, so it should be quick; closures are
/// sinks, and so is a list of sinks.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Sink for F {
    fn emit(&self, event: &Event) {
        self(event);
    }
}

impl Sink for Vec<Arc<dyn Sink>> {
    fn emit(&self, event: &Event) {
        for sink in self {
            sink.emit(event);
        }
    }
}

/// A sink that keeps everything, for tests.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    /// All events so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for Recorder {
    fn emit(&self, event: &Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
    }
}

/// Puts time and run to what happened and hands it to the sink.
#[derive(Clone)]
pub(crate) struct Emitter {
    pub(crate) epoch: Instant,
    pub(crate) guid: Option<Arc<str>>,
    pub(crate) sink: Arc<dyn Sink>,
}

impl Emitter {
    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    pub(crate) fn emit(&self, step: Option<StepId>, kind: EventKind) {
        self.sink.emit(&Event { at: self.now(), guid: self.guid.clone(), step, kind });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::State;

    fn json(step: Option<StepId>, kind: EventKind) -> String {
        let event = Event { at: Duration::from_micros(1_200_900), guid: Some("x1".into()), step, kind };
        serde_json::to_string(&event).unwrap()
    }

    /// The JSON form is an interface of its own: these lines change only together with `VERSION`, except
    /// for fields added.
    #[test]
    fn json_form() {
        let took = Duration::from_millis(80);
        let steps = vec![Listed { id: "a", title: "The first" }];
        let error = StepError::new(Failure::Denied, "create Gitea x/y").because("403").hint("ask");
        let counts = Counts { changed: 1, ..Counts::default() };
        for (step, kind, expected) in [
            (
                None,
                EventKind::RunStarted { verb: Verb::Provision, steps },
                r#""kind":"run-started","verb":"provision","steps":[{"id":"a","title":"The first"}]}"#,
            ),
            (Some("a"), EventKind::StepStarted, r#""step":"a","kind":"step-started"}"#),
            (
                Some("a"),
                EventKind::StepWaiting { what: "Gitea".into(), seen: "nothing".into(), since: took },
                r#""step":"a","kind":"step-waiting","what":"Gitea","seen":"nothing","since_ms":80}"#,
            ),
            (
                Some("a"),
                EventKind::StepReady { what: "Gitea".into(), took },
                r#""step":"a","kind":"step-ready","what":"Gitea","took_ms":80}"#,
            ),
            (
                Some("a"),
                EventKind::StepNote { text: "hm".into() },
                r#""step":"a","kind":"step-note","text":"hm"}"#,
            ),
            (
                Some("a"),
                EventKind::StepWarning { text: "oh".into() },
                r#""step":"a","kind":"step-warning","text":"oh"}"#,
            ),
            (
                Some("a"),
                EventKind::StepFinished { outcome: Outcome::changed("made"), took },
                r#""step":"a","kind":"step-finished","outcome":{"change":"changed","summary":"made"},"took_ms":80}"#,
            ),
            (
                Some("a"),
                EventKind::StepSeen { seen: Seen::new(State::NotReady, ["one".to_owned()]), took },
                r#""step":"a","kind":"step-seen","seen":{"state":"not-ready","details":["one"]},"took_ms":80}"#,
            ),
            (
                Some("a"),
                EventKind::StepFailed { error: Told::from(&error), took },
                r#""step":"a","kind":"step-failed","failure":"denied","errors":["create Gitea x/y","403"],"hint":"ask","took_ms":80}"#,
            ),
            (
                Some("a"),
                EventKind::StepBlocked {
                    by: "b",
                    error: Told::from(&StepError::new(Failure::Service, "why")),
                },
                r#""step":"a","kind":"step-blocked","by":"b","failure":"service","errors":["why"]}"#,
            ),
            (
                Some("a"),
                EventKind::StepSkipped { reason: "no SCC".into() },
                r#""step":"a","kind":"step-skipped","reason":"no SCC"}"#,
            ),
            (
                Some("a"),
                EventKind::StepNotStarted { failure: Failure::TimedOut },
                r#""step":"a","kind":"step-not-started","failure":"timed-out"}"#,
            ),
            (None, EventKind::Cancelled, r#""kind":"cancelled"}"#),
            (
                None,
                EventKind::RunFinished { result: Conclusion::Done, failure: None, took, counts },
                r#""kind":"run-finished","result":"done","took_ms":80,"counts":{"changed":1,"unchanged":0,"seen":0,"skipped":0,"failed":0,"blocked":0,"not_started":0}}"#,
            ),
        ] {
            assert_eq!(json(step, kind), format!(r#"{{"v":1,"at_ms":1200,"guid":"x1",{expected}"#));
        }
    }

    #[test]
    fn a_list_of_sinks_tells_each() {
        let (one, two) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
        let all: Vec<Arc<dyn Sink>> = vec![one.clone(), two.clone()];
        all.emit(&Event { at: Duration::ZERO, guid: None, step: None, kind: EventKind::Cancelled });
        assert_eq!((one.events().len(), two.events().len()), (1, 1));
    }
}
