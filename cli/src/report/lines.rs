//! Events as plain lines: for logs, pipes and CI, and for whoever wants it verbose.
//!
//! ```text
//! [  1.2s] gitea-instance  waiting for Gitea gitea-user-x1/gitea: it has no address yet
//! ```
//!
//! Every line carries the time, the tenant where several share the stream, and the step, also those with the
//! causes of a failure: so a log can be searched by any of them.

use std::sync::{Mutex, PoisonError};

use tenant_workflow::event::{Event, Sink};

use super::{
    entry::{Entry, Level},
    printer::{Printer, Verbosity, dim},
    runs::{Run, Runs},
    summary,
};

/// Writes events as lines to the printer's stderr.
pub(super) struct Lines {
    printer: Printer,
    /// Width of the column for guids; nothing if there is but one.
    guids: Option<usize>,
    runs: Mutex<Runs>,
}

impl Lines {
    pub(super) fn new(printer: Printer, tenants: &[&str]) -> Self {
        Self { printer, guids: guid_width(tenants), runs: Mutex::default() }
    }

    fn wanted(&self, level: Level) -> bool {
        level
            >= match self.printer.verbosity() {
                Verbosity::Quiet => Level::Urgent,
                Verbosity::Normal => Level::Passing,
                Verbosity::Verbose => Level::Detail,
            }
    }

    fn laid_out(&self, event: &Event, entry: &Entry, step_width: usize) -> Vec<String> {
        // Rounded down, as durations are: a line never claims to be later than what it tells.
        let time = dim(&format!("[{:>3}.{}s]", event.at.as_secs(), event.at.subsec_millis() / 100));
        let guid = self.guids.map(|width| format!("{:width$}  ", event.guid.as_deref().unwrap_or_default()));
        let step = event.step.map(|step| format!("{step:step_width$}  "));
        let start = format!("{time} {}{}", guid.unwrap_or_default(), step.unwrap_or_default());
        let below = entry.below.iter().map(|line| format!("{start}  {line}"));
        std::iter::once(format!("{start}{}", entry.styled())).chain(below).collect()
    }
}

impl Sink for Lines {
    fn emit(&self, event: &Event) {
        // The lock is held while the line goes out: lines are in the order of what they tell.
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let run = runs.follow(event);
        let entry = entry(event, run, &self.printer).filter(|entry| self.wanted(entry.level));
        if let Some(entry) = entry {
            self.printer.lines(&self.laid_out(event, &entry, runs.step_width()));
        }
    }
}

/// What an event says, whatever it is about.
pub(super) fn entry(event: &Event, run: Option<&Run>, printer: &Printer) -> Option<Entry> {
    let looking = run.is_some_and(Run::looks);
    let of_step = Entry::of_step(&event.kind, event.at, looking, printer.redactor());
    of_step.or_else(|| summary::of_run(event, run?))
}

/// Width of a column that takes each of these guids; nothing if no column is needed to tell them apart.
pub(super) fn guid_width(tenants: &[&str]) -> Option<usize> {
    tenants.iter().map(|guid| guid.len()).max().filter(|_| tenants.len() > 1)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use secrecy::SecretString;
    use tenant_workflow::event::EventKind;

    use super::*;
    use crate::report::{
        printer::{Format, Surroundings},
        script::{self, Screen, TERMINAL},
    };

    fn played(verbosity: Verbosity, events: &[Event]) -> String {
        let screen = Screen::new(Surroundings::default(), verbosity, Format::Text);
        screen.play(&["x1"], events);
        assert_eq!(screen.stdout(), "", "stdout is for data");
        screen.stderr()
    }

    #[test]
    fn success() {
        assert_snapshot!("lines_success", played(Verbosity::Normal, &script::success()));
        assert_snapshot!("lines_success_verbose", played(Verbosity::Verbose, &script::success()));
    }

    #[test]
    fn quiet_is_silent_unless_somebody_should_look() {
        assert_snapshot!(played(Verbosity::Quiet, &script::success()), @"");
        assert_snapshot!("lines_failure_quiet", played(Verbosity::Quiet, &script::failure()));
    }

    #[test]
    fn failure() {
        assert_snapshot!("lines_failure", played(Verbosity::Normal, &script::failure()));
    }

    #[test]
    fn interrupted() {
        assert_snapshot!("lines_interrupted", played(Verbosity::Normal, &script::interrupted()));
    }

    #[test]
    fn destroy_with_leftovers() {
        assert_snapshot!("lines_leftovers", played(Verbosity::Normal, &script::leftovers()));
    }

    #[test]
    fn a_look_is_no_news() {
        assert_snapshot!(played(Verbosity::Normal, &script::look()), @"[  0.2s] litellm-key  warning: the key expires in 2 d");
        assert_snapshot!("lines_look_verbose", played(Verbosity::Verbose, &script::look()));
    }

    #[test]
    fn two_tenants_in_one_stream() {
        let screen = Screen::new(Surroundings::default(), Verbosity::Normal, Format::Text);
        screen.play(&["x1", "long-guid"], &script::two_tenants());
        assert_snapshot!("lines_two_tenants", screen.stderr());
    }

    #[test]
    fn in_colour() {
        let screen = Screen::new(Surroundings { ci: true, ..TERMINAL }, Verbosity::Normal, Format::Text);
        screen.play(&["x1"], &script::failure());
        assert_snapshot!("lines_failure_colour", screen.stderr().replace('\u{1b}', "^"));
        let screen = Screen::new(
            Surroundings { ci: true, no_color: true, ..TERMINAL },
            Verbosity::Normal,
            Format::Text,
        );
        screen.play(&["x1"], &script::failure());
        assert_eq!(screen.stderr(), played(Verbosity::Normal, &script::failure()));
    }

    #[test]
    fn secrets_are_masked_in_every_kind_of_event() {
        let screen = Screen::new(Surroundings::default(), Verbosity::Verbose, Format::Text);
        screen.printer.redactor().learn(&SecretString::from(script::SECRET));
        screen.play(&["x1"], &script::indiscreet());
        let shown = screen.stderr();
        assert!(!shown.contains(script::SECRET), "{shown}");
        assert_eq!(shown.matches("***").count(), script::INDISCRETIONS, "{shown}");
    }

    #[test]
    fn an_event_of_a_run_that_never_started_is_told_nonetheless() {
        let note = EventKind::StepNote { text: "hello".to_owned() };
        let shown = played(Verbosity::Normal, &[script::event(7, "x1", Some("showroom"), note)]);
        assert_eq!(shown, "[  0.0s] showroom  note: hello\n");
    }
}
