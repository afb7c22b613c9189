//! One function per command. Data goes to standard output, everything else to standard error.

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read, Write as _},
    path,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tenant_kit::telemetry::{self, LogFormat};
use tenant_lab::{
    builds::progress::Progress,
    control::{Caller, Part},
    daemon::{self, Up},
    directories::Directories,
    faults::Fault,
    play::{self, Given},
    residence::Residence,
    state::State,
    supervisor::{Options, Size},
};

use crate::args::{EnvArguments, LogsArguments, MisbehaveArguments, PlayArguments, UpArguments};

/// How often a followed log is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// Writes to standard error; nobody reading is no reason to fail.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The lab that is asked for.
///
/// # Errors
/// When one of another kind runs under its name: it would be taken for the one that was asked for.
pub(crate) fn options(directories: &Directories, arguments: UpArguments) -> anyhow::Result<Options> {
    // the lab's process and shells elsewhere must find the same file
    let kubeconfig = arguments.kubeconfig.map(path::absolute).transpose().context("find the kubeconfig")?;
    let (name, plain, size) = (arguments.lab.name, arguments.plain, arguments.size);
    if let (Some(lab), None) = (find(directories, &name)?, &kubeconfig)
        && (lab.size, lab.openshift) != (size, !plain)
    {
        bail!(
            "lab {name} is running already, but as {}, not {}: end it with `cargo lab down{}`, or name another with --name",
            kind(lab.size, lab.openshift),
            kind(size, !plain),
            option(&name)
        );
    }
    Ok(Options { name, plain, kubeconfig, size })
}

fn kind(size: Size, openshift: bool) -> String {
    format!("size {} {}", size.name(), apis(openshift))
}

/// The state of a lab that runs.
pub(crate) fn running(directories: &Directories, name: &str) -> anyhow::Result<State> {
    let found = find(directories, name)?;
    found.with_context(|| format!("lab {name} does not run: start it with `cargo lab up{}`", option(name)))
}

/// The state of a lab, if it runs.
fn find(directories: &Directories, name: &str) -> anyhow::Result<Option<State>> {
    let residence = Residence::new(directories, name)?;
    if !residence.taken()? {
        return Ok(None);
    }
    State::read(residence.directory()).context("read the lab's state")
}

/// ` --name x`, unless it is the default one.
pub(crate) fn option(name: &str) -> String {
    if name == "default" { String::new() } else { format!(" --name {name}") }
}

/// Makes sure that a lab runs.
pub(crate) async fn start(directories: &Directories, options: &Options) -> anyhow::Result<State> {
    let program = env::current_exe().context("find this program")?;
    match daemon::up(directories, options, &program, Progress::stderr()).await? {
        Up::Running(state) => Ok(state),
        Up::Started(state, cleaned) => {
            if !cleaned.is_empty() {
                say(&format!("ended what a crashed run had left: {}\n", cleaned.join(", ")));
            }
            Ok(state)
        }
    }
}

pub(crate) async fn up(directories: &Directories, arguments: UpArguments) -> anyhow::Result<()> {
    let state = start(directories, &options(directories, arguments)?).await?;
    let parts = Caller::new(&state)?.parts().await?;
    print(&table(&state, &parts))?;
    let name = option(&state.name);
    say(&format!("\nin this shell: eval \"$(cargo lab env{name})\"   at the end: cargo lab down{name}\n"));
    Ok(())
}

pub(crate) async fn serve(directories: &Directories, arguments: UpArguments) -> anyhow::Result<()> {
    telemetry::init("info", LogFormat::Text);
    daemon::serve(directories, &options(directories, arguments)?).await
}

pub(crate) async fn play(arguments: PlayArguments) -> anyhow::Result<()> {
    telemetry::init("info", LogFormat::Text);
    play::run(arguments.part, Given::from_process(arguments.arguments)?).await
}

pub(crate) async fn down(directories: &Directories, name: &str) -> anyhow::Result<()> {
    let task = Progress::stderr().begin(format_args!("stopping lab {name}"));
    let ran = daemon::down(directories, name).await?;
    task.done();
    if !ran {
        say(&format!("lab {name} did not run\n"));
    }
    Ok(())
}

pub(crate) async fn status(directories: &Directories, name: &str) -> anyhow::Result<()> {
    let state = running(directories, name)?;
    let parts = Caller::new(&state)?.parts().await?;
    print(&table(&state, &parts))
}

fn apis(openshift: bool) -> &'static str {
    if openshift { "with OpenShift's APIs" } else { "on plain Kubernetes" }
}

fn table(state: &State, parts: &[Part]) -> String {
    let width = parts.iter().map(|part| part.name.len()).max().unwrap_or_default();
    let mut text =
        format!("lab {}, {}, ingress domain {}\n", state.name, apis(state.openshift), state.domain);
    for part in parts {
        let kind = if part.real { "real" } else { "stand-in" };
        let line = format!("  {kind:<8}  {:<width$}  {:<10}  {}", part.name, part.health, part.address);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

pub(crate) fn env(directories: &Directories, arguments: &EnvArguments) -> anyhow::Result<()> {
    let state = running(directories, &arguments.lab.name)?;
    if arguments.vars {
        return print(&vars(&state));
    }
    let quoted = |value: &str| format!("'{}'", value.replace('\'', r"'\''"));
    let exports = state.env().into_iter();
    print(
        &exports
            .fold(String::new(), |text, (name, value)| text + &format!("export {name}={}\n", quoted(&value))),
    )
}

/// The platform's variables as YAML; a JSON string is a YAML string.
pub(crate) fn vars(state: &State) -> String {
    let vars = state.vars();
    vars.iter().fold("---\n".to_owned(), |text, (name, value)| text + &format!("{name}: {value}\n"))
}

pub(crate) async fn logs(directories: &Directories, arguments: &LogsArguments) -> anyhow::Result<()> {
    let name = &arguments.lab.name;
    let folder = Residence::new(directories, name)?.directory().join("logs");
    let mut components: Vec<String> = fs::read_dir(&folder)
        .with_context(|| format!("lab {name} has no logs: it does not run"))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".log").map(str::to_owned))
        .collect();
    components.sort();
    let Some(component) = &arguments.component else { return print(&(components.join("\n") + "\n")) };
    if !components.contains(component) {
        bail!("no component {component:?} has a log; there are {}", components.join(", "));
    }
    let mut log = File::open(folder.join(format!("{component}.log")))?;
    let mut tick = tokio::time::interval(FOLLOW_INTERVAL);
    loop {
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        print(&String::from_utf8_lossy(&bytes))?;
        if !arguments.follow {
            return Ok(());
        }
        tick.tick().await;
    }
}

pub(crate) async fn misbehave(
    directories: &Directories,
    arguments: MisbehaveArguments,
) -> anyhow::Result<()> {
    let caller = Caller::new(&running(directories, &arguments.lab.name)?)?;
    let faults = match (arguments.stand_in, arguments.behaviour) {
        (Some(stand_in), Some(behaviour)) => {
            caller.misbehave(&Fault { stand_in, behaviour, only: arguments.only }).await?
        }
        _ => caller.faults().await?,
    };
    if faults.is_empty() {
        say("every stand-in does its work\n");
    }
    print(&faults.iter().fold(String::new(), |text, fault| {
        let only = fault.only.as_ref().map(|only| format!(" for {only}")).unwrap_or_default();
        text + &format!("{}: {}{only}\n", fault.stand_in, fault.behaviour)
    }))
}

pub(crate) async fn snapshot(directories: &Directories, name: &str) -> anyhow::Result<()> {
    let snapshot = Caller::new(&running(directories, name)?)?.snapshot().await?;
    print(&(serde_json::to_string_pretty(&snapshot)? + "\n"))
}
