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
    /// If there are several tenants.
    pub(super) crowd: Option<Crowd>,
    /// Columns of the terminal.
    pub(super) width: usize,
    /// Lines of the terminal.
    pub(super) height: usize,
    /// What is masked.
    pub(super) redactor: &'a Redactor,
}

/// Several tenants in one stream.
#[derive(Clone, Copy)]
pub(super) struct Crowd {
    /// How many there are to be.
    pub(super) all: usize,
    /// Width of a column that takes each of their guids.
    pub(super) width: usize,
}

impl Frame<'_> {
    /// The frame: never wider or higher than the terminal, which would break redrawing it in place.
    pub(super) fn text(&self, runs: &Runs) -> String {
        let width = runs.step_width();
        let mut lines: Vec<String> = match self.crowd {
            None => {
                runs.open().flat_map(|run| &run.running).map(|step| self.step(step, runs, width)).collect()
            }
            Some(crowd) => runs.open().map(|run| self.tenant(run, crowd.width, width)).collect(),
        };
        // Room for the total, and for the line that a shell's prompt needs.
        let room = self.height.saturating_sub(2).max(1);
        if lines.len() > room {
            let left_out = lines.split_off(room - 1);
            let what = if self.crowd.is_some() { "tenant" } else { "step" };
            lines.push(format!("… and {} more", counted(left_out.len(), what)));
        }
        lines.push(self.total(runs));
        let cut = |line: String| console::truncate_str(&line, self.width, "…").into_owned();
        lines.into_iter().map(cut).collect::<Vec<_>>().join("\n")
    }

    /// A step of the only tenant there is.
    fn step(&self, running: &Running, runs: &Runs, step_width: usize) -> String {
        let (since, text) = self.doing(running);
        let text = text.unwrap_or_else(|| runs.title(running.step).to_owned());
        format!("{} {:step_width$}  {}  {text}", self.spinner(), running.step, self.time(since))
    }

    /// One of several tenants: how far it is, and what its longest wait is.
    fn tenant(&self, run: &Run, guids: usize, step_width: usize) -> String {
        let guid = run.guid.as_deref().unwrap_or_default();
        let steps = format!("{:>2}/{}", run.ended, run.steps.len());
        let longest = run.running.iter().min_by_key(|running| self.doing(running).0);
        let Some(running) = longest else {
            return format!("{} {guid:guids$}  {steps}", self.spinner());
        };
        let (since, text) = self.doing(running);
        let text = text.unwrap_or_else(|| run.title(running.step).to_owned());
        let time = self.time(since);
        format!("{} {guid:guids$}  {steps}  {:step_width$}  {time}  {text}", self.spinner(), running.step)
    }

    /// Since when a step does what it does now, and what that is, if it waits.
    fn doing(&self, running: &Running) -> (Duration, Option<String>) {
        let [others @ .., wait] = running.waits.as_slice() else { return (running.since, None) };
        let (what, seen) = (line(self.redactor, &wait.what), line(self.redactor, &wait.seen));
        let more = if others.is_empty() { String::new() } else { format!(" (and {} more)", others.len()) };
        (wait.since, Some(format!("waiting for {what}{more}: {seen}")))
    }

    fn spinner(&self) -> String {
        let turn = usize::try_from(self.now.as_millis() / 100).unwrap_or_default() % SPINNER.len();
        let style = Tone::Calm.style();
        format!("{style}{}{style:#}", SPINNER[turn])
    }

    fn time(&self, since: Duration) -> String {
        dim(&format!("{:>9}", duration(self.now.saturating_sub(since))))
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
        let since = open.iter().map(|run| run.started).min().unwrap_or_default();
        let stopping = if open.iter().any(|run| run.stopping) { ", stopping" } else { "" };
        if let Some(Crowd { all, .. }) = self.crowd {
            let (done, failed) = runs.ended();
            let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
            let what = bold(&format!("{} {}", doing(open[0].verb), counted(all, "tenant")));
            let since = self.now.saturating_sub(runs.since().unwrap_or(since));
            let (now, time) = (open.len(), duration(since));
            return format!("{what}: {done} done{failed}, {now} under way, {time}{stopping}");
        }
        let ended: usize = open.iter().map(|run| run.ended).sum();
        let all: usize = open.iter().map(|run| run.steps.len()).sum();
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
        crowd: Option<Crowd>,
        (width, height): (usize, usize),
        redactor: &Redactor,
    ) -> String {
        let mut runs = Runs::default();
        for event in events {
            runs.follow(event);
        }
        let now = events.last().map(|event| event.at).unwrap_or_default() + Duration::from_millis(1200);
        let frame = Frame { now, crowd, width, height, redactor };
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
        assert_snapshot!(frame(&events[..6], Some(Crowd { all: 3, width: 9 }), (100, 24), &Redactor::new()), @"
        ⠹ x1          0/1  namespaces       1.2 s  Namespaces with their quota
        ⠹ long-guid   0/1  litellm-key      1.2 s  waiting for LiteLLM: 502
        Provisioning 3 tenants: 0 done, 2 under way, 1.2 s
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
