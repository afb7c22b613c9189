//! Real Gitea processes, each from a copy of a prepared data folder.

pub mod config;
pub mod forge;
pub mod template;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use config::Settings;
use template::Template;

use crate::{
    builds::Parts,
    files::{copy_folder, tail},
    platform::{Credentials, parking::Guarded},
    polling, ports,
    processes::{Processes, Program},
};

/// A copy is ready in less than a second; past this something is wrong.
const START_LIMIT: Duration = Duration::from_mins(1);

/// What to start.
#[derive(Clone, Debug)]
pub struct GiteaSpec {
    /// Unique in the lab; names the directory, the log and the process: `gitea-{namespace}` for a
    /// tenant's instance.
    pub name: String,
    /// The address users see, with scheme: Gitea writes it into clone addresses.
    pub root_url: String,
}

/// A running Gitea. Cheap to clone; dropping it stops nothing.
#[derive(Clone, Debug)]
pub struct GiteaInstance {
    /// As given in [`GiteaSpec::name`].
    pub name: String,
    /// Where it listens, plain HTTP: on loopback, or behind a Service where pods run.
    pub address: SocketAddr,
    /// A site administrator that exists from the start; not one of the tenant's users.
    pub admin: Credentials,
}

impl GiteaInstance {
    /// Its address with scheme, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Starts Gitea processes. Cheap to clone.
#[derive(Clone)]
pub struct GiteaFactory {
    inner: Arc<Inner>,
}

struct Inner {
    program: GiteaProgram,
    processes: Arc<Processes>,
    directory: PathBuf,
    /// What a tenant's instance starts from.
    template: Template,
    /// The forge, once it runs: where tenants' instances find `https://github.com`.
    forge: Guarded<Option<SocketAddr>>,
    running: Guarded<Vec<GiteaInstance>>,
    http: reqwest::Client,
}

/// The server and the files it reads.
#[derive(Clone, Debug)]
pub struct GiteaProgram {
    /// The executable.
    pub binary: PathBuf,
    /// `STATIC_ROOT_PATH`.
    pub static_root: PathBuf,
}

impl From<&Parts> for GiteaProgram {
    fn from(parts: &Parts) -> Self {
        Self { binary: parts.gitea.clone(), static_root: parts.gitea_static.clone() }
    }
}

impl GiteaFactory {
    /// Keeps the instances' data below `directory`; `template` is what they start from.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(
        program: GiteaProgram,
        processes: Arc<Processes>,
        directory: PathBuf,
        template: Template,
    ) -> Result<Self, GiteaError> {
        let settings = tenant_kit::http::ClientSettings {
            timeout: Some(Duration::from_secs(2)),
            ..tenant_kit::http::ClientSettings::new("tenant-lab")
        };
        let http = tenant_kit::http::client(&settings).map_err(GiteaError::Client)?;
        let (forge, running) = (Guarded::default(), Guarded::default());
        Ok(Self { inner: Arc::new(Inner { program, processes, directory, template, forge, running, http }) })
    }

    /// Starts a tenant's instance and returns when it answers (well below a second). An instance of that
    /// name that runs already is returned as it is.
    ///
    /// # Errors
    /// When the process cannot be started or ends early; the message holds the end of its log.
    pub async fn start(&self, spec: GiteaSpec) -> Result<GiteaInstance, GiteaError> {
        self.launch(spec, &self.inner.template).await
    }

    /// Starts the forge from its own template; later instances find it under its public names.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_forge(&self, template: &Template) -> Result<GiteaInstance, GiteaError> {
        let root_url = forge::PUBLIC_URL.to_owned();
        let forge = self.launch(GiteaSpec { name: forge::NAME.to_owned(), root_url }, template).await?;
        self.inner.forge.with(|address| *address = Some(forge.address));
        Ok(forge)
    }

    async fn launch(&self, spec: GiteaSpec, template: &Template) -> Result<GiteaInstance, GiteaError> {
        if let Some(running) = self.get(&spec.name) {
            return Ok(running);
        }
        let inner = &self.inner;
        let directory = inner.directory.join(&spec.name);
        let address = ports::free().map_err(|source| GiteaError::Port { source })?;
        let settings = Settings {
            program: &inner.program,
            directory: &directory,
            address,
            root_url: &spec.root_url,
            forge: inner.forge.with(|forge| *forge),
        };
        let prepared = remove(&directory)
            .and_then(|()| copy_folder(&template.data, &directory))
            .and_then(|()| settings.write());
        prepared.map_err(|source| GiteaError::Data { name: spec.name.clone(), source })?;
        inner
            .processes
            .start(&web(&spec.name, &inner.program, &directory))
            .map_err(|source| GiteaError::Start { name: spec.name.clone(), source })?;

        let instance = GiteaInstance { name: spec.name, address, admin: template.admin.clone() };
        if let Err(error) = ready(&inner.http, &instance, &inner.processes).await {
            inner.processes.stop(&instance.name);
            return Err(error);
        }
        inner.running.with(|running| running.push(instance.clone()));
        Ok(instance)
    }

    /// Ends the instance and removes its data; false if no instance has that name.
    pub async fn stop(&self, name: &str) -> bool {
        self.inner.running.with(|running| running.retain(|instance| instance.name != name));
        let (processes, owned) = (Arc::clone(&self.inner.processes), name.to_owned());
        let stopped = tokio::task::spawn_blocking(move || processes.stop(&owned)).await.unwrap_or(false);
        if stopped {
            // What cannot be removed now goes with the lab's directory.
            let _ = remove(&self.inner.directory.join(name));
        }
        stopped
    }

    /// Counts an instance that runs elsewhere, in a pod, among the running ones.
    pub(crate) fn adopt(&self, instance: GiteaInstance) {
        self.inner.running.with(|running| {
            running.retain(|known| known.name != instance.name);
            running.push(instance);
        });
    }

    /// The running instance of that name.
    pub fn get(&self, name: &str) -> Option<GiteaInstance> {
        self.list().into_iter().find(|instance| instance.name == name)
    }

    /// Every running instance, the forge included.
    pub fn list(&self) -> Vec<GiteaInstance> {
        self.inner.running.with(|running| running.clone())
    }
}

fn web(name: &str, program: &GiteaProgram, directory: &Path) -> Program {
    Program {
        name: name.to_owned(),
        path: program.binary.clone(),
        arguments: vec!["web".into(), "--config".into(), config::file(directory).into()],
        directory: directory.to_owned(),
        environment: Vec::new(),
    }
}

async fn ready(
    http: &reqwest::Client,
    instance: &GiteaInstance,
    processes: &Processes,
) -> Result<(), GiteaError> {
    let unready = |problem| GiteaError::Unready {
        name: instance.name.clone(),
        problem,
        log: tail(&processes.log(&instance.name)),
    };
    let health = format!("{}/api/healthz", instance.url());
    let outcome = polling::until(START_LIMIT, async || {
        if processes.ended(&instance.name).is_some() {
            return Some(Err(unready("ended early")));
        }
        let answer = http.get(&health).send().await;
        answer.is_ok_and(|answer| answer.status().is_success()).then_some(Ok(()))
    });
    outcome.await.unwrap_or_else(|| Err(unready("is not ready after a minute")))
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Why a Gitea does not run.
#[derive(Debug, thiserror::Error)]
pub enum GiteaError {
    /// The HTTP client cannot be built.
    #[error("set up the lab's HTTP client")]
    Client(#[source] tenant_kit::http::ClientError),
    /// No free port.
    #[error("find a port for Gitea")]
    Port {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Its data folder cannot be made.
    #[error("prepare the data of {name}")]
    Data {
        /// Which instance.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The process cannot be started.
    #[error("start {name}")]
    Start {
        /// Which instance.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The process does not come up.
    #[error("{name} {problem}; its log ends with:\n{log}")]
    Unready {
        /// Which instance.
        name: String,
        /// What is wrong.
        problem: &'static str,
        /// The end of its log.
        log: String,
    },
    /// A call to prepare the forge failed.
    #[error("{call} of the forge: {reason}")]
    Call {
        /// Method and path.
        call: String,
        /// The answer, or why there is none.
        reason: String,
    },
}
