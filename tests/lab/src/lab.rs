//! A lab inside a test's own process.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};
use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    builds::progress::Progress,
    directories::Directories,
    faults::{Behaviour, Fault, StandIn},
    node::{self, Impossible},
    residence::{Residence, sweep},
    snapshot::Snapshot,
    state::State,
    supervisor::{Options, Prepared, Size, Supervisor},
    visit,
};

/// What kind of lab a test wants.
#[derive(Clone, Debug, Default)]
pub struct LabOptions {
    /// The lab's name; `None` makes a unique one.
    pub name: Option<String>,
    /// A cluster without OpenShift's APIs.
    pub plain: bool,
    /// An existing cluster's kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// How much of a cluster.
    pub size: Size,
}

/// A running lab. Dropping it stops everything and removes its folder; so does the end of the process.
///
/// It has a thread and an async runtime of its own, so that one lab can serve many tests, each with
/// theirs.
pub struct Lab {
    state: State,
    supervisor: Arc<Supervisor>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

/// What the lab's thread reports when everything runs.
type Started = (Arc<Supervisor>, State, Handle);

impl Lab {
    /// Starts a lab; builds what it needs first, if need be (progress on standard error).
    ///
    /// # Errors
    /// When something cannot be built or does not come up.
    pub async fn up(options: LabOptions) -> anyhow::Result<Self> {
        tenant_kit::crypto::install_crypto();
        let name = options.name.unwrap_or_else(Residence::temporary_name);
        let options =
            Options { name, plain: options.plain, kubeconfig: options.kubeconfig, size: options.size };
        let (stop, stopped) = oneshot::channel();
        let (report, started) = oneshot::channel();
        let thread =
            thread::Builder::new().name("lab".into()).spawn(move || live(&options, report, stopped))?;
        match started.await {
            Ok((supervisor, state, runtime)) => {
                Ok(Self { state, supervisor, runtime, stop: Some(stop), thread: Some(thread) })
            }
            // The thread ended instead of reporting: it has the reason.
            Err(_) => match joined(thread) {
                Err(error) => Err(error),
                Ok(()) => bail!("the lab's thread ended early"),
            },
        }
    }

    /// Starts a full lab without OpenShift's APIs: on a cluster of this machine's own, or, in a pod that
    /// [`crate::accept`] has made, on the cluster that it runs in.
    ///
    /// # Errors
    /// As [`Self::up`].
    pub async fn full() -> anyhow::Result<Self> {
        Self::up(LabOptions { plain: true, size: Size::Full, ..LabOptions::default() }).await
    }

    /// Whether there can be a full lab here.
    ///
    /// # Errors
    /// Says what this machine lacks.
    pub fn possible() -> Result<(), Impossible> {
        if visit::here() { Ok(()) } else { node::possible(&Directories::from_environment()) }
    }

    /// Addresses and credentials.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The environment for a command under test.
    pub fn env(&self) -> Vec<(String, String)> {
        self.state.env()
    }

    /// The platform's share of an order's variables.
    pub fn vars(&self) -> Map<String, Value> {
        self.state.vars()
    }

    /// A kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.state.kubeconfig
    }

    /// An administrator's client, for the caller's own async runtime.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        crate::cluster::client(self.kubeconfig()).await
    }

    /// Tells a stand-in to misbehave, towards subjects that contain `only` if that is given.
    pub fn misbehave(&self, stand_in: StandIn, behaviour: Behaviour, only: Option<&str>) {
        self.supervisor.faults.set(Fault { stand_in, behaviour, only: only.map(str::to_owned) });
    }

    /// Everything the lab holds.
    ///
    /// # Errors
    /// When the API server or a Gitea does not answer.
    pub async fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let supervisor = Arc::clone(&self.supervisor);
        self.runtime.spawn(async move { supervisor.snapshot().await }).await?
    }

    /// Stops everything and removes the lab's folder.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub async fn down(mut self) -> anyhow::Result<()> {
        self.stop.take();
        let Some(thread) = self.thread.take() else { return Ok(()) };
        tokio::task::spawn_blocking(|| joined(thread)).await?
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Closing the channel is the signal. What cannot be removed now is swept by the next lab.
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = joined(thread);
        }
    }
}

/// The lab's thread: its whole life.
fn live(
    options: &Options,
    report: oneshot::Sender<Started>,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let directories = Directories::from_environment();
    sweep(&directories).context("clean up temporary labs")?;
    let residence = Residence::new(&directories, &options.name)?;
    let held = residence.take()?.with_context(|| format!("lab {} runs already", options.name))?;
    held.clean().context("prepare the lab's folder")?;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let lived = runtime.block_on(async {
        let prepared = if visit::here() {
            visit::prepared()?
        } else {
            Prepared::ensure(&directories, options, Progress::stderr()).await?
        };
        let supervisor = Arc::new(Supervisor::start(&prepared, residence.directory(), options).await?);
        let token = crate::random_text();
        let address = crate::control::serve(Arc::clone(&supervisor), &token).await?;
        let state = supervisor.state(options, address, token)?;
        // Nobody waiting any more is as good as being told to stop.
        if report.send((Arc::clone(&supervisor), state, Handle::current())).is_ok() {
            let _ = stopped.await;
        }
        let left = supervisor.cluster.leave().await;
        supervisor.stop();
        left
    });
    runtime.shutdown_background();
    held.leave().context("remove the lab's folder")?;
    lived
}

fn joined(thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    thread.join().unwrap_or_else(|_| bail!("the lab's thread panicked"))
}
