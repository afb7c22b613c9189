//! The Go toolchain: what it is, and builds with it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::{MissedTickBehavior, interval},
};

use super::{
    BuildError,
    progress::Progress,
    tool::{self, TAIL_LINES},
};

/// The installed toolchain.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct Toolchain {
    goversion: String,
    goos: String,
    goarch: String,
    cc: String,
}

impl Toolchain {
    /// Asks `go` what it is, and checks for the C compiler that Gitea's database needs.
    ///
    /// # Errors
    /// When either is missing.
    pub async fn find() -> Result<Self, BuildError> {
        let missing =
            BuildError::Missing { program: "go", hint: "install Go 1.26.2 or later: https://go.dev/dl" };
        let asked =
            Command::new("go").args(["env", "-json", "GOVERSION", "GOOS", "GOARCH", "CC"]).output().await;
        let Some(output) = asked.ok().filter(|output| output.status.success()) else { return Err(missing) };
        let toolchain: Self = serde_json::from_slice(&output.stdout).map_err(|_| missing)?;
        let compiler = toolchain.cc.split_ascii_whitespace().next().unwrap_or("cc");
        require(compiler, "a C compiler", "install one: apt-get install gcc libc6-dev").await?;
        Ok(toolchain)
    }

    /// What distinguishes this toolchain's output from another's.
    pub fn identity(&self) -> String {
        format!("{} {}/{}", self.goversion, self.goos, self.goarch)
    }
}

/// Fails with a hint unless `command --version` runs.
pub(crate) async fn require(
    command: &str,
    program: &'static str,
    hint: &'static str,
) -> Result<(), BuildError> {
    let asked = Command::new(command).arg("--version").output().await;
    if asked.is_ok_and(|output| output.status.success()) {
        Ok(())
    } else {
        Err(BuildError::Missing { program, hint })
    }
}

/// One `go build` of a package into one file.
#[derive(Debug)]
pub struct GoBuild<'a> {
    /// The folder with go.mod.
    pub module: &'a Path,
    /// What to build: an import path or `.`.
    pub package: &'a str,
    /// Flags besides those of every build.
    pub flags: &'a [&'a str],
    /// Whether C may be linked in; without it the program is static.
    pub cgo: bool,
    /// The file to write.
    pub output: &'a Path,
}

impl GoBuild<'_> {
    /// Runs the build, showing the number of packages compiled so far.
    ///
    /// # Errors
    /// When it fails: the error quotes the end of its output.
    pub async fn run(&self, what: &'static str, progress: Progress) -> Result<(), BuildError> {
        let mut arguments: Vec<OsString> = vec!["build".into(), "-v".into(), "-trimpath".into()];
        // what only a debugger reads takes a tenth of the time, and is stripped in the end
        arguments.push("-gcflags=all=-dwarf=false".into());
        arguments.extend(self.flags.iter().map(OsString::from));
        arguments.extend(["-o".into(), self.output.into(), self.package.into()]);

        let mut task = progress.begin(format_args!("building {what} (once)"));
        let mut child = command(self.module)
            .env("CGO_ENABLED", if self.cgo { "1" } else { "0" })
            .args(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| BuildError::Start { what, source })?;
        let Some(output) = child.stderr.take() else {
            return Err(BuildError::Failed { what, output: String::new() });
        };
        let mut lines = BufReader::new(output).lines();
        let (mut packages, mut downloads, mut tail) = (0_usize, 0_usize, Vec::new());
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) if line.starts_with("go: downloading") => downloads += 1,
                    // With -v, Go prints the import path of each package it compiles.
                    Ok(Some(line)) if !line.contains([' ', ':']) => packages += 1,
                    Ok(Some(line)) => tail.push(line),
                    Ok(None) | Err(_) => break,
                },
                _ = tick.tick() => task.note(&match (packages, downloads) {
                    (0, 0) => "reading modules".to_owned(),
                    (0, _) => format!("{downloads} modules downloaded"),
                    _ => format!("{packages} packages compiled"),
                }),
            }
        }
        let status = child.wait().await.map_err(|source| BuildError::Start { what, source })?;
        if !status.success() {
            let output = tail.split_off(tail.len().saturating_sub(TAIL_LINES)).join("\n");
            return Err(BuildError::Failed { what, output });
        }
        task.done();
        Ok(())
    }
}

/// `go` in a module of ours: never in somebody's workspace, never changing go.mod or go.sum.
pub(super) fn command(module: &Path) -> Command {
    let mut command = Command::new("go");
    command.current_dir(module).env("GOWORK", "off").env("GOFLAGS", "-mod=readonly -buildvcs=false");
    command
}

/// The folders of modules (`path@version`) in Go's module cache, downloaded if need be. Only these modules are fetched,
/// not what they require.
pub(super) async fn download(module: &Path, wanted: &[String]) -> Result<Vec<PathBuf>, BuildError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Downloaded {
        dir: PathBuf,
    }
    let what = "the modules that files are taken from";
    let mut download = command(module);
    download.args(["mod", "download", "-json"]).args(wanted);
    let output = tool::run(what, download).await?;
    let folders: Result<Vec<Downloaded>, _> =
        serde_json::Deserializer::from_str(&output).into_iter().collect();
    match folders {
        Ok(folders) if folders.len() == wanted.len() => {
            Ok(folders.into_iter().map(|module| module.dir).collect())
        }
        _ => Err(BuildError::Failed { what, output }),
    }
}
