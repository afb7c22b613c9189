//! Where output goes and how it looks, decided once.

use std::{
    error::Error,
    io::{self, ErrorKind, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anstream::{AutoStream, adapter::strip_str};
use anstyle::Style;
use indicatif::ProgressBar;
use tenant_kit::secret::Redactor;
use tenant_workflow::event::Sink;

use super::{
    entry::Tone, failure, json::Json, lines::Lines, progress::Progress, tables::Table, wording::line,
};

/// What the process finds itself in, as the caller saw it; nothing here reads the environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "five independent observations, none of them a state")]
pub struct Surroundings {
    /// stdout is a terminal.
    pub stdout_terminal: bool,
    /// stderr is a terminal.
    pub stderr_terminal: bool,
    /// `NO_COLOR` is set and not empty (<https://no-color.org>).
    pub no_color: bool,
    /// `TERM` is `dumb`: no colour, no moving cursor.
    pub dumb: bool,
    /// `CI` is set: somebody keeps the output, so nothing is overwritten.
    pub ci: bool,
}

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Warnings and failures only.
    Quiet,
    /// What changes and what is waited for.
    #[default]
    Normal,
    /// Everything, as lines.
    Verbose,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// JSON lines on stdout: the events of the engine and the results of the commands.
    Json,
}

/// The one way to stdout and stderr. Clones share everything and are cheap.
#[derive(Clone)]
pub struct Printer {
    inner: Arc<Inner>,
}

struct Inner {
    stdout: Mutex<Output>,
    stderr: Mutex<Output>,
    verbosity: Verbosity,
    format: Format,
    progress: bool,
    redactor: Arc<Redactor>,
    /// The progress on the terminal, while there is one: it steps aside for everything else.
    drawn: Mutex<Option<ProgressBar>>,
}

struct Output {
    stream: Box<dyn Write + Send>,
    terminal: bool,
    colour: bool,
    /// Why nothing more is written, once that is so.
    lost: Option<io::Error>,
}

impl Printer {
    /// Prints to this process's stdout and stderr.
    pub fn new(around: Surroundings, verbosity: Verbosity, format: Format, redactor: Arc<Redactor>) -> Self {
        // Colour is decided here, so these streams pass everything on, and enable it where that takes a call.
        let stdout = Box::new(AutoStream::always_ansi(io::stdout()));
        let stderr = Box::new(AutoStream::always_ansi(io::stderr()));
        Self::onto(stdout, stderr, around, verbosity, format, redactor)
    }

    /// Prints to other streams.
    pub fn onto(
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
        around: Surroundings,
        verbosity: Verbosity,
        format: Format,
        redactor: Arc<Redactor>,
    ) -> Self {
        let output = |stream, terminal| {
            let colour = terminal && !around.no_color && !around.dumb;
            Mutex::new(Output { stream, terminal, colour, lost: None })
        };
        let still = around.ci || around.dumb || verbosity != Verbosity::Normal;
        let inner = Inner {
            stdout: output(stdout, around.stdout_terminal),
            stderr: output(stderr, around.stderr_terminal),
            verbosity,
            format,
            progress: around.stderr_terminal && !still,
            redactor,
            drawn: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The renderer of events that fits, for runs of these tenants in one stream.
    pub fn sink(&self, tenants: &[&str]) -> Arc<dyn Sink> {
        match (self.format(), self.inner.progress) {
            (Format::Json, _) => Arc::new(Json::new(self.clone())),
            (Format::Text, true) => Arc::new(Progress::new(self.clone(), tenants)),
            (Format::Text, false) => Arc::new(Lines::new(self.clone(), tenants)),
        }
    }

    /// The form of the output.
    pub fn format(&self) -> Format {
        self.inner.format
    }

    /// How much is said.
    pub fn verbosity(&self) -> Verbosity {
        self.inner.verbosity
    }

    /// What is masked.
    pub fn redactor(&self) -> &Redactor {
        &self.inner.redactor
    }

    /// Data, to stdout: as it is, a line break added if it ends without. Not masked: what a command was asked
    /// for may be a password.
    pub fn data(&self, text: &str) {
        let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        self.aside(|| self.stdout().write(&format!("{text}{end}")));
    }

    /// A table, to stdout; cut to the terminal's width if that is one.
    pub fn table(&self, table: &Table) {
        let terminal = self.stdout().terminal;
        let width = terminal.then(|| usize::from(console::Term::stdout().size().1));
        let text = self.stdout().tinted(&table.render(width, &self.inner.redactor));
        self.aside(|| self.stdout().write(&text));
    }

    /// A line for people, to stderr, unless they want quiet.
    pub fn status(&self, text: &str) {
        if self.inner.verbosity != Verbosity::Quiet {
            self.lines(&[line(&self.inner.redactor, text)]);
        }
    }

    /// A warning, to stderr.
    pub fn warning(&self, text: &str) {
        let style = Tone::Alert.style();
        self.lines(&[format!("{style}warning{style:#}: {}", line(&self.inner.redactor, text))]);
    }

    /// An error with its causes and what to do, to stderr; for those outside of a run, whose own failures are
    /// events.
    pub fn failure(&self, error: &(dyn Error + 'static), hint: Option<&str>) {
        self.lines(&failure::lines(&self.inner.redactor, error, hint));
    }

    /// To be called last: the reason why data could not be written, if so. A closed pipe is none.
    pub fn finish(&self) -> io::Result<()> {
        self.stdout().lost.take().filter(|error| error.kind() != ErrorKind::BrokenPipe).map_or(Ok(()), Err)
    }

    /// Finished lines, already masked, to stderr. Nobody is left to be told if that fails.
    pub(super) fn lines(&self, lines: &[String]) {
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let text = self.tinted(&text);
        self.aside(|| self.stderr().write(&text));
    }

    /// `text` with its colours, if stderr takes them.
    pub(super) fn tinted(&self, text: &str) -> String {
        self.stderr().tinted(text)
    }

    /// From now on everything else is printed above this progress.
    pub(super) fn drawing(&self, progress: Option<ProgressBar>) {
        *self.drawn() = progress;
    }

    /// Prints while the progress is off the screen. Streams are locked inside only: whoever draws holds the
    /// progress first, too.
    fn aside(&self, print: impl FnOnce()) {
        let drawn = self.drawn().clone();
        match drawn {
            Some(progress) => progress.suspend(print),
            None => print(),
        }
    }

    fn drawn(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.inner.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stdout(&self) -> MutexGuard<'_, Output> {
        self.inner.stdout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stderr(&self) -> MutexGuard<'_, Output> {
        self.inner.stderr.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    fn tinted(&self, text: &str) -> String {
        if self.colour { text.to_owned() } else { strip_str(text).to_string() }
    }

    fn write(&mut self, text: &str) {
        if self.lost.is_none() {
            self.lost = self.stream.write_all(text.as_bytes()).and_then(|()| self.stream.flush()).err();
        }
    }
}

/// `text` in bold.
pub(super) fn bold(text: &str) -> String {
    let style = Style::new().bold();
    format!("{style}{text}{style:#}")
}

/// `text`, less visible.
pub(super) fn dim(text: &str) -> String {
    let style = Style::new().dimmed();
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::report::script::{Screen, TERMINAL};

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn into_broken(kind: ErrorKind) -> Printer {
        let broken = || Box::new(Broken(kind));
        let (around, format) = (Surroundings::default(), Format::Text);
        Printer::onto(broken(), broken(), around, Verbosity::Normal, format, Arc::default())
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is_one() {
        for (kind, expected) in
            [(ErrorKind::BrokenPipe, None), (ErrorKind::StorageFull, Some(ErrorKind::StorageFull))]
        {
            let printer = into_broken(kind);
            printer.data("data");
            printer.data("more data");
            printer.status("nobody hears this, and nobody minds");
            assert_eq!(printer.finish().map_err(|error| error.kind()).err(), expected, "{kind}");
        }
    }

    #[test]
    fn data_and_words_go_separate_ways() {
        let screen = Screen::new(Surroundings::default(), Verbosity::Normal, Format::Text);
        screen.printer.data("one\ntwo");
        screen.printer.data("");
        screen.printer.data("three\n");
        screen.printer.status("looking around");
        screen.printer.warning("mind the gap");
        assert_eq!(screen.stdout(), "one\ntwo\nthree\n");
        assert_eq!(screen.stderr(), "looking around\nwarning: mind the gap\n");
    }

    #[test]
    fn quiet_keeps_warnings() {
        let screen = Screen::new(Surroundings::default(), Verbosity::Quiet, Format::Text);
        screen.printer.status("looking around");
        screen.printer.warning("mind the gap");
        assert_eq!(screen.stderr(), "warning: mind the gap\n");
    }

    #[test]
    fn colour_needs_a_terminal_and_nobody_who_minds() {
        let warning = |around| {
            let screen = Screen::new(around, Verbosity::Normal, Format::Text);
            screen.printer.warning("x");
            screen.stderr()
        };
        assert_eq!(warning(TERMINAL), "\u{1b}[1m\u{1b}[33mwarning\u{1b}[0m: x\n");
        for around in [
            Surroundings { no_color: true, ..TERMINAL },
            Surroundings { dumb: true, ..TERMINAL },
            Surroundings { stderr_terminal: false, ..TERMINAL },
        ] {
            assert_eq!(warning(around), "warning: x\n", "{around:?}");
        }
    }

    #[test]
    fn secrets_are_masked_in_words_and_not_in_data() {
        let screen = Screen::new(Surroundings::default(), Verbosity::Normal, Format::Text);
        screen.printer.redactor().learn(&SecretString::from("hunter22"));
        screen.printer.status("the password is hunter22");
        screen.printer.warning("the password is hunter22");
        screen.printer.data("password: hunter22");
        assert_eq!(screen.stderr(), "the password is ***\nwarning: the password is ***\n");
        assert_eq!(screen.stdout(), "password: hunter22\n");
    }
}
