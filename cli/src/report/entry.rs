//! What one event says, before it is laid out: the words that plain lines and the progress share.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use tenant_kit::secret::Redactor;
use tenant_workflow::{
    event::{EventKind, Told},
    step::{Change, Failure, Seen, State},
};

use super::wording::{chain, duration, line};

/// One thing said: `changed: 6 namespaces created (1.2 s)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) level: Level,
    pub(super) tone: Tone,
    /// What happened, in a word or two; this part is coloured.
    pub(super) word: String,
    /// The rest of the line, with what separates it from the word.
    pub(super) rest: String,
    /// Further lines: causes and hint.
    pub(super) below: Vec<String>,
}

/// How much somebody must want to know to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Asked for with `--verbose`.
    Detail,
    /// Worth a line of a log; of no interest any more once it is over, so a progress shows it while it lasts.
    Passing,
    /// Worth a line anywhere.
    Lasting,
    /// Not even `--quiet` keeps it back.
    Urgent,
}

/// Colour and mark of a line; both only underline what its words say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Calm,
    Bad,
    Alert,
    Plain,
}

impl Tone {
    pub(super) const fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Calm => AnsiColor::Cyan.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Alert => AnsiColor::Yellow.on_default().bold(),
            Self::Plain => Style::new(),
        }
    }

    pub(super) const fn mark(self) -> char {
        match self {
            Self::Good => '✓',
            Self::Calm => '–',
            Self::Bad => '✗',
            Self::Alert => '!',
            Self::Plain => ' ',
        }
    }
}

impl Entry {
    pub(super) fn new(level: Level, tone: Tone, word: impl Into<String>, rest: impl Into<String>) -> Self {
        Self { level, tone, word: word.into(), rest: rest.into(), below: Vec::new() }
    }

    /// The first line, its word coloured.
    pub(super) fn styled(&self) -> String {
        let Self { tone, word, rest, .. } = self;
        let style = tone.style();
        format!("{style}{word}{style:#}{rest}")
    }

    /// What an event of a step says; nothing for those of a whole run.
    ///
    /// While a run only looks, what it sees is the command's result and no news: `looking` lowers it to a
    /// detail.
    pub(super) fn of_step(
        kind: &EventKind,
        at: Duration,
        looking: bool,
        redactor: &Redactor,
    ) -> Option<Self> {
        use Level::{Detail, Lasting, Passing, Urgent};
        use Tone::{Alert, Bad, Calm, Good, Plain};
        let clean = |text: &str| line(redactor, text);
        let news = |level: Level| if looking { Detail } else { level };
        Some(match kind {
            EventKind::StepStarted => Self::new(news(Passing), Plain, "started", ""),
            EventKind::StepWaiting { what, seen, since } => {
                let rest = format!(" for {}: {}{}", clean(what), clean(seen), so_far(*since, at));
                Self::new(Passing, Plain, "waiting", rest)
            }
            EventKind::StepReady { what, took } => {
                Self::new(Detail, Plain, "waited", format!(" {} for {}", duration(*took), clean(what)))
            }
            EventKind::StepNote { text } => Self::new(Lasting, Plain, "note", format!(": {}", clean(text))),
            EventKind::StepWarning { text } => {
                Self::new(Urgent, Alert, "warning", format!(": {}", clean(text)))
            }
            EventKind::StepFinished { outcome, took } => {
                let (tone, word) = match outcome.change {
                    Change::Changed => (Good, "changed"),
                    Change::Unchanged => (Calm, "unchanged"),
                    Change::Skipped => (Calm, "skipped"),
                };
                Self::new(Lasting, tone, word, format!(": {} ({})", clean(&outcome.summary), duration(*took)))
            }
            EventKind::StepSeen { seen, took } => {
                let rest = format!("{} ({})", details(seen, redactor), duration(*took));
                Self::new(Detail, Plain, state(seen.state), rest)
            }
            EventKind::StepFailed { error, took } => {
                let word = match error.failure {
                    // Those say themselves after how long.
                    Failure::TimedOut => "timed out".to_owned(),
                    Failure::Interrupted => "interrupted".to_owned(),
                    _ => format!("failed after {}", duration(*took)),
                };
                Self::told(Bad, word, error, redactor)
            }
            EventKind::StepBlocked { by, error } => {
                Self::told(Bad, format!("blocked by `{by}`"), error, redactor)
            }
            EventKind::StepSkipped { reason } => {
                Self::new(news(Lasting), Calm, "skipped", format!(": {}", clean(reason)))
            }
            EventKind::StepNotStarted { failure } => {
                let why = if *failure == Failure::Interrupted { "was interrupted" } else { "had stopped" };
                Self::new(Lasting, Calm, "not started", format!(": the run {why}"))
            }
            EventKind::RunStarted { .. } | EventKind::Cancelled | EventKind::RunFinished { .. } => {
                return None;
            }
        })
    }

    fn told(tone: Tone, word: String, error: &Told, redactor: &Redactor) -> Self {
        let mut chain = chain(redactor, error.errors.iter().map(String::as_str)).into_iter();
        let rest = chain.next().map(|what| format!(": {what}")).unwrap_or_default();
        let mut below: Vec<String> = chain.map(|cause| format!("caused by: {cause}")).collect();
        below.extend(error.hint.iter().map(|hint| format!("hint: {}", line(redactor, hint))));
        Self { below, ..Self::new(Level::Urgent, tone, word, rest) }
    }
}

/// A state in words.
pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Absent => "absent",
        State::Present => "present",
        State::Drifted => "drifted",
        State::NotReady => "not ready",
        State::Skipped => "skipped",
    }
}

fn details(seen: &Seen, redactor: &Redactor) -> String {
    let details: Vec<String> = seen.details.iter().map(|detail| line(redactor, detail)).collect();
    if details.is_empty() { String::new() } else { format!(": {}", details.join("; ")) }
}

/// How long something is waited for by now, once that is worth saying.
fn so_far(since: Duration, now: Duration) -> String {
    let waited = now.saturating_sub(since);
    if waited < Duration::from_secs(1) { String::new() } else { format!(" ({} so far)", duration(waited)) }
}
