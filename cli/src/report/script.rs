//! Scripted runs, for the tests of the renderers, and a screen to play them on.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tenant_workflow::{
    event::{Event, EventKind, Listed, Told},
    report::{Conclusion, Counts},
    step::{Failure, Outcome, Seen, State, StepId},
    walk::Verb,
};

use super::printer::{Format, Printer, Surroundings, Verbosity};

/// Both streams are terminals.
pub(super) const TERMINAL: Surroundings =
    Surroundings { stdout_terminal: true, stderr_terminal: true, no_color: false, dumb: false, ci: false };

/// A printer whose output can be read.
pub(super) struct Screen {
    pub(super) printer: Printer,
    stdout: Captured,
    stderr: Captured,
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Screen {
    pub(super) fn new(around: Surroundings, verbosity: Verbosity, format: Format) -> Self {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let streams = (Box::new(stdout.clone()), Box::new(stderr.clone()));
        let printer = Printer::onto(streams.0, streams.1, around, verbosity, format, Arc::default());
        Self { printer, stdout, stderr }
    }

    pub(super) fn play(&self, tenants: &[&str], events: &[Event]) {
        let sink = self.printer.sink(tenants);
        for event in events {
            sink.emit(event);
        }
        self.printer.finish().unwrap();
    }

    pub(super) fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub(super) fn stderr(&self) -> String {
        self.stderr.text()
    }
}

pub(super) fn event(at_ms: u64, guid: &str, step: Option<StepId>, kind: EventKind) -> Event {
    Event { at: Duration::from_millis(at_ms), guid: Some(guid.into()), step, kind }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn run_started(verb: Verb, steps: &[(StepId, &'static str)]) -> EventKind {
    EventKind::RunStarted { verb, steps: steps.iter().map(|&(id, title)| Listed { id, title }).collect() }
}

const STEPS: [(StepId, &str); 5] = [
    ("namespaces", "Namespaces with their quota"),
    ("gitea-instance", "The tenant's Gitea"),
    ("gitea-user", "User and repositories in Gitea"),
    ("litellm-key", "Key for the models"),
    ("console-embed", "Console in the lab guide"),
];

fn waiting(what: &str, seen: &str, since: u64) -> EventKind {
    EventKind::StepWaiting { what: what.to_owned(), seen: seen.to_owned(), since: ms(since) }
}

fn finished(outcome: Outcome, took: u64) -> EventKind {
    EventKind::StepFinished { outcome, took: ms(took) }
}

fn told(failure: Failure, errors: &[&str], hint: Option<&str>) -> Told {
    let errors = errors.iter().map(ToString::to_string).collect();
    Told { failure, errors, hint: hint.map(ToOwned::to_owned) }
}

fn run_finished(result: Conclusion, failure: Option<Failure>, took: u64, counts: Counts) -> EventKind {
    EventKind::RunFinished { result, failure, took: ms(took), counts }
}

const GITEA: &str = "Gitea gitea-user-x1/gitea";

/// Provision: changes, something unchanged, something skipped, waits, a note and no trouble.
pub(super) fn success() -> Vec<Event> {
    let e = |at, step, kind| event(at, "x1", Some(step), kind);
    let counts = Counts { changed: 3, unchanged: 1, skipped: 1, ..Counts::default() };
    vec![
        event(0, "x1", None, run_started(Verb::Provision, &STEPS)),
        e(1, "namespaces", EventKind::StepStarted),
        e(2, "litellm-key", EventKind::StepStarted),
        e(250, "namespaces", finished(Outcome::changed("6 namespaces created"), 249)),
        e(251, "gitea-instance", EventKind::StepStarted),
        e(260, "gitea-instance", waiting(GITEA, "it has no address yet", 260)),
        e(300, "gitea-instance", waiting("Route gitea-user-x1/gitea", "it is not admitted", 300)),
        e(400, "litellm-key", finished(Outcome::unchanged("key virtkey-x1 is there"), 398)),
        e(401, "console-embed", EventKind::StepSkipped { reason: "this cluster has no console".to_owned() }),
        e(1900, "gitea-instance", waiting(GITEA, "its pod is starting", 260)),
        e(2000, "gitea-instance", EventKind::StepReady { what: GITEA.to_owned(), took: ms(1740) }),
        e(2001, "gitea-instance", finished(Outcome::changed("Gitea at https://gitea.example.com"), 1750)),
        e(2002, "gitea-user", EventKind::StepStarted),
        e(2100, "gitea-user", EventKind::StepNote { text: "1 repository to migrate".to_owned() }),
        e(2400, "gitea-user", finished(Outcome::changed("user user-x1 with 1 repository"), 398)),
        event(2401, "x1", None, run_finished(Conclusion::Done, None, 2401, counts)),
    ]
}

/// Provision: a failure with its chain and a hint, a warning, a step blocked, one not started.
pub(super) fn failure() -> Vec<Event> {
    let e = |at, step, kind| event(at, "x1", Some(step), kind);
    let refused = told(
        Failure::Denied,
        &["create Gitea gitea-user-x1/gitea", "the API server refused: forbidden", "forbidden"],
        Some("the token may not create giteas.pfe.rhpds.com: `tenant doctor` lists what it needs"),
    );
    let blocked = told(Failure::Denied, &["`gitea-user` needs `gitea-instance`, which failed"], None);
    let counts =
        Counts { unchanged: 1, failed: 1, blocked: 1, not_started: 1, skipped: 1, ..Counts::default() };
    vec![
        event(0, "x1", None, run_started(Verb::Provision, &STEPS)),
        e(1, "namespaces", EventKind::StepStarted),
        e(90, "namespaces", EventKind::StepWarning { text: "quota is lower than the order's".to_owned() }),
        e(100, "namespaces", finished(Outcome::unchanged("6 namespaces are there"), 99)),
        e(101, "gitea-instance", EventKind::StepStarted),
        e(12_150, "gitea-instance", EventKind::StepFailed { error: refused, took: ms(12_049) }),
        e(12_150, "gitea-user", EventKind::StepBlocked { by: "gitea-instance", error: blocked }),
        e(12_150, "litellm-key", EventKind::StepNotStarted { failure: Failure::Denied }),
        e(
            12_151,
            "console-embed",
            EventKind::StepSkipped { reason: "this cluster has no console".to_owned() },
        ),
        event(12_151, "x1", None, run_finished(Conclusion::Failed, Some(Failure::Denied), 12_151, counts)),
    ]
}

/// Provision, told to stop: a step cut short, others not started.
pub(super) fn interrupted() -> Vec<Event> {
    let e = |at, step, kind| event(at, "x1", Some(step), kind);
    let hint = "what is done stays done: the same command again goes on from here";
    let text = "stopped after 4.0s, waiting for Gitea gitea-user-x1/gitea: it has no address yet";
    let stopped = told(Failure::Interrupted, &[text], Some(hint));
    let counts = Counts { changed: 1, failed: 1, not_started: 1, ..Counts::default() };
    vec![
        event(0, "x1", None, run_started(Verb::Provision, &STEPS[..3])),
        e(1, "namespaces", EventKind::StepStarted),
        e(250, "namespaces", finished(Outcome::changed("6 namespaces created"), 249)),
        e(251, "gitea-instance", EventKind::StepStarted),
        e(260, "gitea-instance", waiting(GITEA, "it has no address yet", 260)),
        event(2250, "x1", None, EventKind::Cancelled),
        e(4250, "gitea-instance", EventKind::StepFailed { error: stopped, took: ms(3999) }),
        e(4250, "gitea-user", EventKind::StepNotStarted { failure: Failure::Interrupted }),
        event(
            4251,
            "x1",
            None,
            run_finished(Conclusion::Interrupted, Some(Failure::Interrupted), 4251, counts),
        ),
    ]
}

/// Destroy that could not remove everything.
pub(super) fn leftovers() -> Vec<Event> {
    let e = |at, step, kind| event(at, "x1", Some(step), kind);
    let text =
        "not done after 120.0s, waiting for Namespace gitea-user-x1: Terminating, finalizer `x.example/y`";
    let stuck = told(Failure::TimedOut, &[text], Some("whoever set this finalizer must remove it"));
    let left = told(Failure::Leftover, &["delete key virtkey-x1", "still listed"], None);
    let counts = Counts { changed: 1, failed: 2, ..Counts::default() };
    vec![
        event(0, "x1", None, run_started(Verb::Destroy, &[STEPS[3], STEPS[2], STEPS[0]])),
        e(1, "litellm-key", EventKind::StepStarted),
        e(2, "gitea-user", EventKind::StepStarted),
        e(300, "gitea-user", finished(Outcome::changed("user user-x1 removed"), 298)),
        e(301, "namespaces", EventKind::StepStarted),
        e(310, "litellm-key", EventKind::StepFailed { error: left, took: ms(309) }),
        e(120_301, "namespaces", EventKind::StepFailed { error: stuck, took: ms(120_000) }),
        event(
            120_302,
            "x1",
            None,
            run_finished(Conclusion::Failed, Some(Failure::Leftover), 120_302, counts),
        ),
    ]
}

/// Read-only, with a warning.
pub(super) fn look() -> Vec<Event> {
    let e = |at, step, kind| event(at, "x1", Some(step), kind);
    let seen = |state, details: &[&str], took| EventKind::StepSeen {
        seen: Seen::new(state, details.iter().map(ToString::to_string)),
        took: ms(took),
    };
    let counts = Counts { seen: 2, ..Counts::default() };
    vec![
        event(0, "x1", None, run_started(Verb::Look, &[STEPS[0], STEPS[3]])),
        e(1, "namespaces", EventKind::StepStarted),
        e(2, "litellm-key", EventKind::StepStarted),
        e(100, "namespaces", seen(State::Drifted, &["quota differs", "label missing"], 99)),
        e(200, "litellm-key", EventKind::StepWarning { text: "the key expires in 2 d".to_owned() }),
        e(201, "litellm-key", seen(State::Present, &[], 199)),
        event(202, "x1", None, run_finished(Conclusion::Done, None, 202, counts)),
    ]
}

/// Two runs that share a stream.
pub(super) fn two_tenants() -> Vec<Event> {
    let (one, two) = ("x1", "long-guid");
    let counts = Counts { changed: 1, ..Counts::default() };
    let failed = Counts { failed: 1, ..Counts::default() };
    let error = told(Failure::Service, &["list keys", "502 Bad Gateway"], None);
    vec![
        event(0, one, None, run_started(Verb::Provision, &STEPS[..1])),
        event(1, two, None, run_started(Verb::Provision, &STEPS[3..4])),
        event(2, one, Some("namespaces"), EventKind::StepStarted),
        event(3, two, Some("litellm-key"), EventKind::StepStarted),
        event(4, two, Some("litellm-key"), waiting("LiteLLM", "502", 4)),
        event(5, one, Some("namespaces"), EventKind::StepNote { text: "hm".to_owned() }),
        event(250, one, Some("namespaces"), finished(Outcome::changed("6 namespaces created"), 248)),
        event(251, one, None, run_finished(Conclusion::Done, None, 251, counts)),
        event(300, two, Some("litellm-key"), EventKind::StepFailed { error, took: ms(297) }),
        event(301, two, None, run_finished(Conclusion::Failed, Some(Failure::Service), 300, failed)),
    ]
}

/// What [`indiscreet`] tells.
pub(super) const SECRET: &str = "sk-0123456789abcdef";

/// How often [`indiscreet`] tells it.
pub(super) const INDISCRETIONS: usize = 14;

/// Every event with a text of its own, and the secret in each of them.
pub(super) fn indiscreet() -> Vec<Event> {
    let text = || format!("the key {SECRET}");
    let steps: [StepId; 6] = ["a", "b", "c", "d", "e", "f"];
    let told = || told(Failure::Service, &[&text(), &format!("cause {SECRET}")], Some(&text()));
    let e = |step, kind| event(10, "x1", Some(step), kind);
    let seen = Seen::new(State::Present, [text()]);
    vec![
        event(0, "x1", None, run_started(Verb::Provision, &steps.map(|step| (step, "A step")))),
        e("a", EventKind::StepStarted),
        e("a", waiting(&text(), &text(), 0)),
        e("a", EventKind::StepReady { what: text(), took: ms(1) }),
        e("a", EventKind::StepNote { text: text() }),
        e("a", EventKind::StepWarning { text: text() }),
        e("a", finished(Outcome::changed(text()), 1)),
        e("b", EventKind::StepSeen { seen, took: ms(1) }),
        e("c", EventKind::StepFailed { error: told(), took: ms(1) }),
        e("d", EventKind::StepBlocked { by: "c", error: told() }),
        e("e", EventKind::StepSkipped { reason: text() }),
    ]
}
