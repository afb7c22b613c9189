//! The built `tenant`, run the way its users run it: as a process, with files, an environment and signals.

use std::{
    ffi::OsString,
    fmt,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    thread,
};

use tenant_cli::exit::ExitCode;

/// Where the program lies.
pub(crate) fn tenant() -> PathBuf {
    built("tenant", "tenant-cli")
}

/// Where a program of this workspace lies: beside the folder of this test's own executable. Cargo builds it along with
/// the suite in `cargo test --workspace`, and not in `cargo test -p acceptance`.
pub(crate) fn built(name: &str, package: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a running test has an executable");
    let profile = own.ancestors().nth(2).expect("test executables lie in `deps`, below the profile's folder");
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} does not exist: build it with `cargo build -p {package}`, or run `cargo test --workspace`",
        path.display()
    );
    path
}

/// One run of the program, being put together.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    directory: PathBuf,
    limit: Option<String>,
}

impl Program {
    /// In `directory`, with nothing of the test's own environment but `PATH`: no kubeconfig of whoever runs
    /// the suite is ever used.
    pub(crate) fn new(directory: &Path) -> Self {
        Self { arguments: Vec::new(), environment: Vec::new(), directory: directory.to_owned(), limit: None }
            .env("HOME", directory.display().to_string())
    }

    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn args<T: Into<OsString>>(self, arguments: impl IntoIterator<Item = T>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// A variables file.
    pub(crate) fn vars(self, file: &Path) -> Self {
        self.arg("-e").arg(format!("@{}", file.display()))
    }

    pub(crate) fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// With this `--timeout`, such as `3s`.
    pub(crate) fn within(mut self, limit: &str) -> Self {
        self.limit = Some(limit.to_owned());
        self
    }

    /// Runs to the end.
    pub(crate) fn run(self) -> Ended {
        self.start().wait_with(|_| ())
    }

    /// Starts it.
    pub(crate) fn start(self) -> Running {
        let mut child = Command::new(tenant())
            .args(self.arguments())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", tenant().display()));
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        Running { command: self.shown(), child, stdout, stderr: BufReader::new(stderr), told: String::new() }
    }

    fn shown(&self) -> String {
        let arguments: Vec<_> =
            self.arguments().iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
        format!("tenant {}", arguments.join(" "))
    }

    fn arguments(&self) -> Vec<OsString> {
        let limit = self.limit.iter().flat_map(|limit| ["--timeout".into(), limit.into()]);
        self.arguments.iter().cloned().chain(limit).collect()
    }
}

/// A run under way.
pub(crate) struct Running {
    command: String,
    child: Child,
    stdout: thread::JoinHandle<std::io::Result<String>>,
    stderr: BufReader<ChildStderr>,
    told: String,
}

impl Running {
    /// Its process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its arguments, as everybody on the machine can read them.
    pub(crate) fn command_line(&self) -> String {
        let path = format!("/proc/{}/cmdline", self.id());
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path} cannot be read: {error}"));
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    }

    /// Reads stderr until a line contains `text`.
    pub(crate) fn until(&mut self, text: &str) {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "{} ended without saying {text:?}:\n{}", self.command, self.told);
            if line.contains(text) {
                return;
            }
        }
    }

    /// Sends a signal, with the program everybody has for it.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(sent.expect("`kill` can be run").success(), "signal {name} was not sent");
    }

    /// Waits for the end; `each` sees the run after every line on stderr.
    pub(crate) fn wait_with(mut self, mut each: impl FnMut(&Self)) -> Ended {
        while !self.line().is_empty() {
            each(&self);
        }
        let status = self.child.wait().expect("a child can be waited for");
        let stdout = self.stdout.join().expect("reading does not panic").expect("stdout is UTF-8");
        Ended { command: self.command, status, stdout, stderr: self.told }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("stderr is UTF-8");
        self.told.push_str(&line);
        line
    }
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    command: String,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code; death by a signal is none.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails the test unless the run ended in this way.
    #[track_caller]
    pub(crate) fn expect(self, code: ExitCode) -> Self {
        assert_eq!(self.code(), Some(i32::from(code as u8)), "not {code:?}: {self}");
        self
    }

    /// Fails the test unless stderr contains every one of these.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "does not say {text:?}: {self}");
        }
        self
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, status, stdout, stderr } = self;
        write!(formatter, "{command}\n{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
