//! A lab that outlives the command that started it: `lab up` starts `lab serve`, which runs everything
//! until it is told to stop.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    builds::progress::Progress,
    control,
    directories::Directories,
    files::tail,
    polling, processes,
    processes::Record,
    residence::{Held, Residence, sweep},
    state::State,
    supervisor::{Options, Prepared, Supervisor},
};

const START_LIMIT: Duration = Duration::from_mins(2);
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// What `up` found or did.
#[derive(Debug)]
pub enum Up {
    /// It ran already.
    Running(State),
    /// It was started; the names of what a crashed run had left running.
    Started(State, Vec<String>),
}

/// Makes sure that a lab runs; returns when it is ready. `program` is this program's executable.
///
/// # Errors
/// When something cannot be built or does not start; the message holds the end of the log.
pub async fn up(
    directories: &Directories,
    options: &Options,
    program: &Path,
    progress: Progress,
) -> anyhow::Result<Up> {
    let residence = Residence::new(directories, &options.name)?;
    Prepared::ensure(directories, options, progress).await?;
    sweep(directories).context("clean up temporary labs")?;
    let Some(held) = residence.take().context("lock the lab's folder")? else {
        let task = progress.begin(format_args!("lab {} is running already", options.name));
        let state = ready(&residence, None).await?;
        task.done();
        return Ok(Up::Running(state));
    };
    let cleaned = held.clean().context("clean up after a crashed run")?;
    drop(held);

    let task = progress.begin(format_args!("starting lab {}", options.name));
    let mut daemon = start(&residence, options, program).context("start the lab's process")?;
    let state = ready(&residence, Some(&mut daemon)).await?;
    task.done();
    Ok(Up::Started(state, cleaned))
}

fn start(residence: &Residence, options: &Options, program: &Path) -> std::io::Result<Child> {
    let log = log(residence);
    fs::create_dir_all(log.parent().unwrap_or(residence.directory()))?;
    let log = File::options().create(true).append(true).open(log)?;
    let mut command = Command::new(program);
    command.args(["serve", "--name", &options.name, "--size", options.size.name()]);
    if options.plain {
        command.arg("--plain");
    }
    if let Some(kubeconfig) = &options.kubeconfig {
        command.arg("--kubeconfig").arg(kubeconfig);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

fn log(residence: &Residence) -> std::path::PathBuf {
    residence.directory().join("logs/lab.log")
}

/// Waits for the state file of a lab that is starting.
async fn ready(residence: &Residence, mut daemon: Option<&mut Child>) -> anyhow::Result<State> {
    let outcome = polling::until(START_LIMIT, async || {
        match State::read(residence.directory()) {
            Ok(None) => {}
            Ok(Some(state)) => return Some(Ok(state)),
            Err(error) => return Some(Err(anyhow::Error::from(error).context("read the lab's state"))),
        }
        let ended = daemon.as_mut().and_then(|daemon| daemon.try_wait().ok().flatten())?;
        let tail = tail(&log(residence));
        Some(Err(anyhow::anyhow!("the lab's process ended ({ended}); its log ends with:\n{tail}")))
    });
    let limit = START_LIMIT.as_secs();
    outcome.await.unwrap_or_else(|| bail!("the lab is not ready after {limit} s: see `lab logs lab`"))
}

/// Runs a lab until SIGTERM or SIGINT; what `lab serve` does.
///
/// # Errors
/// When the lab runs already or a part does not come up.
pub async fn serve(directories: &Directories, options: &Options) -> anyhow::Result<()> {
    // A session of its own: neither the terminal's Ctrl-C nor its closing ends the lab.
    let _ = rustix::process::setsid();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let residence = Residence::new(directories, &options.name)?;
    let Some(held) = residence.take()? else { bail!("lab {} runs already", options.name) };
    fs::create_dir_all(residence.directory())?;
    Record::of(std::process::id())?.write(&record(&residence))?;

    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stopped);
    let supervisor = tokio::select! {
        () = &mut stopped => return finish(&held),
        started = run(directories, options, &residence) => started?,
    };
    stopped.await;
    let left = supervisor.cluster.leave().await;
    supervisor.stop();
    finish(&held)?;
    left.context("remove the lab's objects from the cluster")
}

async fn run(
    directories: &Directories,
    options: &Options,
    residence: &Residence,
) -> anyhow::Result<Arc<Supervisor>> {
    let prepared = Prepared::ensure(directories, options, Progress::Lines).await?;
    let supervisor = Arc::new(Supervisor::start(&prepared, residence.directory(), options).await?);
    let token = crate::random_text();
    let address = control::serve(Arc::clone(&supervisor), &token).await.context("listen for commands")?;
    supervisor.state(options, address, token)?.write(residence.directory())?;
    Ok(supervisor)
}

fn finish(held: &Held) -> anyhow::Result<()> {
    held.remove().context("remove the lab's folder")
}

/// The record of the supervisor itself, there before anything else.
fn record(residence: &Residence) -> std::path::PathBuf {
    residence.directory().join("supervisor.json")
}

/// Stops a lab; false if none of that name ran. A crashed one is cleaned.
///
/// # Errors
/// When its process does not end.
pub async fn down(directories: &Directories, name: &str) -> anyhow::Result<bool> {
    let residence = Residence::new(directories, name)?;
    if let Some(held) = residence.take()? {
        let ended = processes::clean(residence.directory());
        held.remove().context("remove the lab's folder")?;
        return Ok(!ended.is_empty());
    }
    let supervisor = Record::read(&record(&residence)).context("find the lab's process")?;
    supervisor.terminate();
    let free = async || residence.take().ok().flatten();
    let held = if let Some(held) = polling::until(STOP_LIMIT, free).await {
        held
    } else {
        supervisor.kill();
        let killed = polling::until(STOP_LIMIT, free).await;
        killed.with_context(|| format!("process {} does not end", supervisor.pid))?
    };
    processes::clean(residence.directory());
    held.remove().context("remove the lab's folder")?;
    Ok(true)
}
