//! Events on a terminal: what is over stays as a line, what runs is drawn below and redrawn in place.
//!
//! ```text
//! ✓ namespaces      changed: 6 namespaces created (1.2 s)
//! ⠹ gitea-instance      3.2 s  waiting for Gitea gitea-user-x1/gitea: it has no address yet
//! ⠹ litellm-key        200 ms  Key for the models
//! Provisioning tenant x1: 1/10 steps, 3.4 s
//! ```
//!
//! The lines drawn are one bar of indicatif whose message has several lines: a frame is one write, so nothing
//! flickers. The cursor is never hidden, so there is nothing to restore however the process ends. The clock
//! that turns the spinner is a task of the runtime, which it does not keep alive; it ends with the runs.

mod frame;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tenant_workflow::event::{Event, EventKind, Sink};
use tokio::{runtime::Handle, task::AbortHandle, time};

use self::frame::{Crowd, Frame};
use super::{
    entry::{Entry, Level},
    lines::{entry, guid_width},
    printer::Printer,
    runs::Runs,
};

/// Runs that are over before would only make the screen flash.
const FIRST_FRAME: Duration = Duration::from_millis(150);

/// Time between frames while nothing happens; also the pace of the spinner.
const FRAME: Duration = Duration::from_millis(100);

/// Draws events on the terminal that stderr is.
pub(super) struct Progress {
    printer: Printer,
    /// If there are several tenants.
    crowd: Option<Crowd>,
    state: Arc<Mutex<State>>,
}

struct State {
    runs: Runs,
    /// The time of the latest event on the events' clock, and when that was.
    latest: (Duration, Instant),
    drawn: Drawn,
    clock: Option<AbortHandle>,
}

/// What is on the screen.
enum Drawn {
    Nothing,
    /// Runs are under way since then, but not for long enough to draw them.
    Soon(Instant),
    Bar(ProgressBar),
}

impl Progress {
    pub(super) fn new(printer: Printer, tenants: &[&str]) -> Self {
        let latest = (Duration::ZERO, Instant::now());
        let crowd = guid_width(tenants).map(|width| Crowd { all: tenants.len(), width });
        let state = State { runs: Runs::default(), latest, drawn: Drawn::Nothing, clock: None };
        Self { printer, crowd, state: Arc::new(Mutex::new(state)) }
    }

    /// A line that stays, with those below it.
    fn laid_out(&self, event: &Event, entry: &Entry, step_width: usize) -> Vec<String> {
        let style = entry.tone.style();
        let mark = format!("{style}{}{style:#} ", entry.tone.mark());
        let guid = self
            .crowd
            .map(|Crowd { width, .. }| format!("{:width$}  ", event.guid.as_deref().unwrap_or_default()));
        let guid = guid.unwrap_or_default();
        let step = event.step.map(|step| format!("{step:step_width$}  ")).unwrap_or_default();
        let below = entry.below.iter().map(|line| format!("    {line}"));
        std::iter::once(format!("{mark}{guid}{step}{}", entry.styled())).chain(below).collect()
    }

    /// Starts the clock of the frames, if there is a runtime to run it; without one, only events draw.
    fn start_clock(&self, state: &mut State) {
        let (printer, crowd, weak) = (self.printer.clone(), self.crowd, Arc::downgrade(&self.state));
        state.clock = Handle::try_current().ok().map(|runtime| {
            let clock = async move {
                let mut ticks = time::interval(FRAME);
                ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    let Some(state) = Weak::upgrade(&weak) else { return };
                    lock(&state).draw(&printer, crowd);
                }
            };
            runtime.spawn(clock).abort_handle()
        });
    }
}

impl Sink for Progress {
    fn emit(&self, event: &Event) {
        let mut state = lock(&self.state);
        state.latest = (event.at, Instant::now());
        let State { runs, .. } = &mut *state;
        let run = runs.follow(event);
        // of several tenants, only what is out of the ordinary and the ends of the runs stay
        let least = if self.crowd.is_some() && event.step.is_some() { Level::Urgent } else { Level::Lasting };
        let entry = entry(event, run, &self.printer).filter(|entry| entry.level >= least);
        let (step_width, open) = (runs.step_width(), runs.open().next().is_some());
        if matches!(event.kind, EventKind::RunStarted { .. }) && matches!(state.drawn, Drawn::Nothing) {
            state.drawn = Drawn::Soon(Instant::now());
            self.start_clock(&mut state);
        }
        // The frame first: printing draws it again together with the line, whatever the limit on frames.
        if open {
            state.draw(&self.printer, self.crowd);
        } else {
            state.wipe(&self.printer);
        }
        if let Some(entry) = entry {
            state.print(&self.printer, &self.laid_out(event, &entry, step_width));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        lock(&self.state).wipe(&self.printer);
    }
}

impl State {
    fn draw(&mut self, printer: &Printer, crowd: Option<Crowd>) {
        match &self.drawn {
            Drawn::Nothing => return,
            Drawn::Soon(since) if since.elapsed() < FIRST_FRAME => return,
            Drawn::Soon(_) => {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                bar.set_style(ProgressStyle::with_template("{msg}").expect("the template is valid"));
                printer.drawing(Some(bar.clone()));
                self.drawn = Drawn::Bar(bar);
            }
            Drawn::Bar(_) => {}
        }
        let Drawn::Bar(bar) = &self.drawn else { return };
        let (height, width) = console::Term::stderr().size();
        let (at, when) = self.latest;
        let frame = Frame {
            now: at + when.elapsed(),
            crowd,
            width: width.into(),
            height: height.into(),
            redactor: printer.redactor(),
        };
        bar.set_message(printer.tinted(&frame.text(&self.runs)));
    }

    fn print(&self, printer: &Printer, lines: &[String]) {
        match &self.drawn {
            // Above the frame and together with it, in one write.
            Drawn::Bar(bar) if !bar.is_hidden() => bar.println(printer.tinted(&lines.join("\n"))),
            // Hidden, as indicatif found no terminal after all, a bar would swallow the lines.
            Drawn::Bar(_) | Drawn::Nothing | Drawn::Soon(_) => printer.lines(lines),
        }
    }

    /// Takes the frame off the screen and stops the clock.
    fn wipe(&mut self, printer: &Printer) {
        if let Some(clock) = self.clock.take() {
            clock.abort();
        }
        if let Drawn::Bar(bar) = std::mem::replace(&mut self.drawn, Drawn::Nothing) {
            printer.drawing(None);
            bar.finish_and_clear();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use secrecy::SecretString;

    use super::*;
    use crate::report::{
        printer::{Format, Surroundings, Verbosity},
        script::{self, Screen, TERMINAL},
    };

    /// Played at once, a script is over before anything would be drawn: what stays is all there is.
    fn played(tenants: &[&str], events: &[Event]) -> String {
        let around = Surroundings { no_color: true, ..TERMINAL };
        let screen = Screen::new(around, Verbosity::Normal, Format::Text);
        screen.play(tenants, events);
        assert_eq!(screen.stdout(), "", "stdout is for data");
        screen.stderr()
    }

    #[test]
    fn what_stays() {
        assert_snapshot!("progress_success", played(&["x1"], &script::success()));
        assert_snapshot!("progress_failure", played(&["x1"], &script::failure()));
        assert_snapshot!("progress_interrupted", played(&["x1"], &script::interrupted()));
        assert_snapshot!("progress_leftovers", played(&["x1"], &script::leftovers()));
        assert_snapshot!("progress_two_tenants", played(&["x1", "long-guid"], &script::two_tenants()));
    }

    /// The tests' stderr is no terminal (or not this one), so nothing is drawn over what stays.
    #[tokio::test]
    async fn what_stays_while_the_clock_draws() {
        let around = Surroundings { no_color: true, ..TERMINAL };
        let screen = Screen::new(around, Verbosity::Normal, Format::Text);
        let progress = Progress::new(screen.printer.clone(), &["x1"]);
        let events = script::success();
        progress.emit(&events[0]);
        lock(&progress.state).drawn = Drawn::Bar(ProgressBar::hidden());
        for event in &events[1..] {
            progress.emit(event);
            tokio::task::yield_now().await;
        }
        assert_eq!(screen.stderr(), played(&["x1"], &events));
        let state = lock(&progress.state);
        assert!(matches!(state.drawn, Drawn::Nothing) && state.clock.is_none(), "the progress is over");
    }

    #[test]
    fn of_a_look_only_warnings_and_failures_stay() {
        assert_snapshot!(played(&["x1"], &script::look()), @"! litellm-key  warning: the key expires in 2 d");
    }

    #[test]
    fn secrets_are_masked() {
        let screen = Screen::new(TERMINAL, Verbosity::Normal, Format::Text);
        screen.printer.redactor().learn(&SecretString::from(script::SECRET));
        screen.play(&["x1"], &script::indiscreet());
        let shown = screen.stderr();
        assert!(!shown.contains(script::SECRET) && shown.contains("***"), "{shown}");
    }
}
