//! The part of the progress that is redrawn: a line per running step, and one for the whole.

use std::time::Duration;

use tenant_kit::secret::Redactor;

use crate::report::{
    entry::Tone,
    printer::{bold, dim},
    runs::{Run, Running, Runs},
    summary::doing,
    wording::{counted, duration, line},
};

/// Shapes of the spinner, one a frame.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// How one frame is drawn.
pub(super) struct Frame<'a> {
    /// The time, on the clock of the events.
    pub(super) now: Duration,
    /// Width of the column for guids; nothing if there is but one.
    pub(super) guids: Option<usize>,
    /// Columns of the terminal.
    pub(super) width: usize,
    /// Lines of the terminal.
    pub(super) height: usize,
    /// What is masked.
    pub(super) redactor: &'a Redactor,
}

impl Frame<'_> {
    /// The frame: never wider or higher than the terminal, which would break redrawing it in place.
    pub(super) fn text(&self, runs: &Runs) -> String {
        let steps = runs.open().flat_map(|run| run.running.iter().map(move |running| (run, running)));
        let mut lines: Vec<String> =
            steps.map(|(run, running)| self.step(run, running, runs.step_width())).collect();
        // Room for the total, and for the line that a shell's prompt needs.
        let room = self.height.saturating_sub(2).max(1);
        if lines.len() > room {
            let left_out = lines.split_off(room - 1);
            lines.push(format!("… and {} more", counted(left_out.len(), "step")));
        }
        lines.push(self.total(runs));
        let cut = |line: String| console::truncate_str(&line, self.width, "…").into_owned();
        lines.into_iter().map(cut).collect::<Vec<_>>().join("\n")
    }

    fn step(&self, run: &Run, running: &Running, step_width: usize) -> String {
        let turn = usize::try_from(self.now.as_millis() / 100).unwrap_or_default() % SPINNER.len();
        let style = Tone::Calm.style();
        let spinner = format!("{style}{}{style:#}", SPINNER[turn]);
        let guid = self.guids.map(|width| format!("{:width$}  ", run.guid.as_deref().unwrap_or_default()));
        let (since, text) = match running.waits.as_slice() {
            [] => (running.since, run.title(running.step).to_owned()),
            [others @ .., wait] => {
                let (what, seen) = (line(self.redactor, &wait.what), line(self.redactor, &wait.seen));
                let more =
                    if others.is_empty() { String::new() } else { format!(" (and {} more)", others.len()) };
                (wait.since, format!("waiting for {what}{more}: {seen}"))
            }
        };
        let time = dim(&format!("{:>9}", duration(self.now.saturating_sub(since))));
        let guid = guid.unwrap_or_default();
        format!("{spinner} {guid}{:step_width$}  {time}  {text}", running.step)
    }

    fn total(&self, runs: &Runs) -> String {
        let open: Vec<&Run> = runs.open().collect();
        let what = match open.as_slice() {
            [] => return String::new(),
            [run] => format!("{} {}", doing(run.verb), run.tenant()),
            [run, rest @ ..] if rest.iter().all(|other| other.verb == run.verb) => {
                format!("{} {}", doing(run.verb), counted(open.len(), "tenant"))
            }
            _ => counted(open.len(), "run"),
        };
        let ended: usize = open.iter().map(|run| run.ended).sum();
        let all: usize = open.iter().map(|run| run.steps.len()).sum();
        let since = open.iter().map(|run| run.started).min().unwrap_or_default();
        let stopping = if open.iter().any(|run| run.stopping) { ", stopping" } else { "" };
        let time = duration(self.now.saturating_sub(since));
        format!("{}: {ended}/{all} steps, {time}{stopping}", bold(&what))
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use insta::assert_snapshot;
    use proptest::prelude::*;
    use secrecy::SecretString;
    use tenant_workflow::event::Event;

    use super::*;
    use crate::report::script;

    fn frame(
        events: &[Event],
        guids: Option<usize>,
        (width, height): (usize, usize),
        redactor: &Redactor,
    ) -> String {
        let mut runs = Runs::default();
        for event in events {
            runs.follow(event);
        }
        let now = events.last().map(|event| event.at).unwrap_or_default() + Duration::from_millis(1200);
        let frame = Frame { now, guids, width, height, redactor };
        strip_str(&frame.text(&runs)).to_string()
    }

    fn wide(events: &[Event]) -> String {
        frame(events, None, (100, 24), &Redactor::new())
    }

    #[test]
    fn what_runs_and_what_it_waits_for() {
        assert_snapshot!(wide(&script::success()[..6]), @"
        ⠼ litellm-key         1.4 s  Key for the models
        ⠼ gitea-instance      1.2 s  waiting for Gitea gitea-user-x1/gitea: it has no address yet
        Provisioning tenant x1: 1/5 steps, 1.4 s
        ");
    }

    #[test]
    fn several_waits_of_one_step() {
        assert_snapshot!(wide(&script::success()[..7]), @"
        ⠴ litellm-key         1.4 s  Key for the models
        ⠴ gitea-instance      1.2 s  waiting for Route gitea-user-x1/gitea (and 1 more): it is not admitted
        Provisioning tenant x1: 1/5 steps, 1.5 s
        ");
    }

    #[test]
    fn stopping() {
        let events = script::interrupted();
        let cancelled =
            events.iter().position(|event| event.kind == tenant_workflow::event::EventKind::Cancelled);
        assert_snapshot!(wide(&events[..=cancelled.unwrap()]), @"
        ⠼ gitea-instance      3.1 s  waiting for Gitea gitea-user-x1/gitea: it has no address yet
        Provisioning tenant x1: 1/3 steps, 3.4 s, stopping
        ");
    }

    #[test]
    fn two_tenants() {
        let events = script::two_tenants();
        assert_snapshot!(frame(&events[..6], Some(9), (100, 24), &Redactor::new()), @"
        ⠹ x1         namespaces       1.2 s  Namespaces with their quota
        ⠹ long-guid  litellm-key      1.2 s  waiting for LiteLLM: 502
        Provisioning 2 tenants: 0/2 steps, 1.2 s
        ");
    }

    #[test]
    fn a_low_terminal_shows_how_much_is_left_out() {
        assert_snapshot!(frame(&script::success()[..6], None, (60, 3), &Redactor::new()), @"
        … and 2 steps more
        Provisioning tenant x1: 1/5 steps, 1.4 s
        ");
    }

    #[test]
    fn a_secret_cut_at_the_edge_is_still_masked() {
        let redactor = Redactor::new();
        redactor.learn(&SecretString::from(script::SECRET));
        let events = &script::indiscreet()[..3];
        for width in 1..120 {
            let shown = frame(events, None, (width, 24), &redactor);
            assert!(!shown.contains(&script::SECRET[..4]), "{width}: {shown}");
        }
    }

    proptest! {
        #[test]
        fn a_frame_always_fits(events in 1_usize..12, width in 1_usize..80, height in 1_usize..10) {
            let shown = frame(&script::success()[..events], None, (width, height), &Redactor::new());
            prop_assert!(shown.lines().all(|line| console::measure_text_width(line) <= width), "{}", shown);
            prop_assert!(shown.lines().count() <= height.max(2), "{}", shown);
        }
    }
}
