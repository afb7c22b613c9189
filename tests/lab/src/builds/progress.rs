//! Telling a person what takes so long: one updating line on a terminal, plain lines elsewhere.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// Without a terminal, a long task says that often that it is still at work.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);

/// Where progress goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Standard error is a terminal: one line that changes.
    Terminal,
    /// Standard error is a file or a pipe: lines.
    Lines,
    /// Nowhere.
    Silent,
}

impl Progress {
    /// To standard error, as fits what it is.
    pub fn stderr() -> Self {
        if io::stderr().is_terminal() { Self::Terminal } else { Self::Lines }
    }

    /// Announces a task, such as `building the control plane`.
    pub fn begin(self, what: impl fmt::Display) -> Task {
        let now = Instant::now();
        let task = Task { progress: self, what: what.to_string(), started: now, spoke: now };
        match self {
            Self::Terminal => task.line(""),
            Self::Lines => say(&format!("{}\n", task.what)),
            Self::Silent => {}
        }
        task
    }
}

/// A task under way. Dropping it without [`Task::done`] leaves its last line on the terminal.
#[derive(Debug)]
pub struct Task {
    progress: Progress,
    what: String,
    started: Instant,
    spoke: Instant,
}

impl Task {
    /// Shows how far it is; call it as often as convenient.
    pub fn note(&mut self, detail: &str) {
        match self.progress {
            Progress::Terminal => self.line(detail),
            Progress::Lines if self.spoke.elapsed() >= PLAIN_INTERVAL => {
                self.spoke = Instant::now();
                say(&format!("{}: {detail}, {}\n", self.what, Elapsed(self.started.elapsed())));
            }
            Progress::Lines | Progress::Silent => {}
        }
    }

    /// Says that it is done, and how long it took.
    pub fn done(self) {
        let took = Elapsed(self.started.elapsed());
        match self.progress {
            Progress::Terminal => say(&format!("\r\x1b[K{}: done in {took}\n", self.what)),
            Progress::Lines => say(&format!("{}: done in {took}\n", self.what)),
            Progress::Silent => {}
        }
    }

    fn line(&self, detail: &str) {
        let separator = if detail.is_empty() { "" } else { ", " };
        let took = Elapsed(self.started.elapsed());
        say(&format!("\r\x1b[K{}: {detail}{separator}{took}", self.what));
    }
}

fn say(text: &str) {
    // Nobody may be reading any more; the work goes on.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// `4m 13s`, `13.2s`, `420ms`.
#[derive(Clone, Copy, Debug)]
pub struct Elapsed(pub Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(formatter, "{}ms", self.0.as_millis()),
            1..60 => write!(formatter, "{:.1}s", self.0.as_secs_f32()),
            _ => write!(formatter, "{}m {:02}s", seconds / 60, seconds % 60),
        }
    }
}
