//! The suite at work: an agent between its stand-ins, and cases played on it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    apiserver::PipelineCluster,
    case::Case,
    grade::{Filed, Verdict, grade},
    mcp::Server,
    mutation::Mutation,
    openshift::Memory as Scenes,
    scene::Scene,
    service::{Service, Setup},
    stage::Stage,
    tracker::{Generation, Issues, Memory, Tracker},
};
use crate::builds::{openshift_mcp::Release, progress::Progress};

/// Reports under way at once.
const TOGETHER: usize = 8;
/// Issues after which the tracker starts afresh, so that looking for known ones stays cheap.
const FULL: usize = 60;

/// An agent between its stand-ins.
pub struct Bench {
    /// The scenes the agent sees.
    pub stage: Stage,
    /// The server that shows them.
    pub openshift: Server,
    /// The issues.
    pub tracker: Arc<Tracker>,
    /// The server in front of them.
    pub gitea: Server,
    /// The agent.
    pub service: Service,
    /// What it was started with.
    pub setup: Setup,
    /// Its data.
    pub data: TempDir,
    counter: AtomicUsize,
}

impl Bench {
    /// Starts everything around the agent at `program`.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(
        program: &Path,
        generation: Generation,
        model: Option<(String, String)>,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let (scenes, openshift) = Scenes::open().await.context("serve the cluster's stand-in")?;
        Self::around(program, Stage::Memory(scenes), openshift, "streamable-http", generation, model, more)
            .await
    }

    /// The same in front of a real cluster, behind an MCP server of that release.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn before(
        program: &Path,
        cluster: Arc<PipelineCluster>,
        release: Release,
        generation: Generation,
    ) -> anyhow::Result<Self> {
        let openshift = Server::elsewhere(cluster.mcp_server(release, Progress::stderr()).await?);
        Self::around(program, Stage::Cluster(cluster), openshift, release.transport(), generation, None, &[])
            .await
    }

    async fn around(
        program: &Path,
        stage: Stage,
        openshift: Server,
        transport: &'static str,
        generation: Generation,
        model: Option<(String, String)>,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let issues = Issues::Memory(Memory::default());
        let (tracker, gitea) =
            Tracker::open(issues, generation).await.context("serve the tracker's stand-in")?;
        let setup = Setup {
            program: program.to_owned(),
            openshift: openshift.url.clone(),
            transport,
            gitea: gitea.url.clone(),
            repository: ("user1".to_owned(), "mcp".to_owned()),
            model,
            anonymous: true,
            more: more.iter().map(|argument| (*argument).to_owned()).collect(),
        };
        let data = tempfile::tempdir()?;
        let service = Service::start(&setup, data.path()).await?;
        Ok(Self { stage, openshift, tracker, gitea, service, setup, data, counter: AtomicUsize::new(0) })
    }

    /// Sets the scene of a case, in a namespace and with a pipeline of its own.
    ///
    /// # Errors
    /// When a log is not there.
    pub fn scene(&self, case: &Case) -> anyhow::Result<Scene> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{}-{number}", case.id.to_lowercase());
        Scene::new(case, &namespace, &format!("{}-v{number}", case.pipeline), "mtkhb0")
    }

    /// Reports a scene and grades what comes of it.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub async fn play(&self, name: &str, case: &Case, scene: Scene) -> anyhow::Result<Verdict> {
        self.stage.put(scene.clone()).await?;
        let since = Instant::now();
        let (_, record) = self.service.report(&scene.report).await?;
        let millis = since.elapsed().as_millis();
        let mut verdict = grade(name, case, &scene, &record, self.issue(&record).as_ref());
        verdict.millis = u64::try_from(millis).unwrap_or(u64::MAX);
        Ok(verdict)
    }

    /// The issue a record points to.
    pub fn issue(&self, record: &Value) -> Option<Filed> {
        let number = record["issue_number"].as_u64()?;
        let issues = self.tracker.issues();
        let issue = issues.iter().find(|issue| issue["number"].as_u64() == Some(number))?;
        let text = |key: &str| issue[key].as_str().unwrap_or_default().to_owned();
        Some(Filed { title: text("title"), body: text("body") })
    }

    /// Plays every case under one mutation.
    ///
    /// # Errors
    /// When the agent does not answer, or a case cannot be staged.
    pub async fn play_all(&self, cases: &[Case], mutation: Mutation) -> anyhow::Result<Vec<Verdict>> {
        let mut verdicts = Vec::new();
        for batch in cases.chunks(FULL) {
            self.tracker.clear();
            let plays = batch.iter().map(async |case| {
                let mut case = case.clone();
                let mut scene = self.scene(&case)?;
                mutation.apply(&mut scene, &mut case);
                self.play(&format!("{} {}", case.id, mutation.name()), &case, scene).await
            });
            let mut played = stream::iter(plays).buffered(TOGETHER);
            while let Some(verdict) = played.next().await {
                verdicts.push(verdict?);
            }
        }
        Ok(verdicts)
    }
}
