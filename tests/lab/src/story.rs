//! The whole story on a full cluster: two tenants ordered, Argo CD syncs their charts, a pipeline fails, the agent files
//! the issue, a fix is pushed, one tenant is destroyed and the other goes on. `cargo lab demo --full` tells it, a test
//! demands it.

pub mod chat;
pub mod forge;
pub mod pipeline;
pub mod pods;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use kube::Client;
use tokio::process::Command;

use crate::{cluster, control::Caller, files::private, snapshot::Snapshot, state::State};
use chat::Chat;
use forge::{Forge, Issue};
use pipeline::{Outcome, Pipeline};

/// The two tenants. Their names are long enough not to be found by chance in a password.
pub const GUIDS: [&str; 2] = ["story1", "story2"];
/// The branch of the lab guide on which a file is missing.
const BRANCH: &str = "broken";
/// That file, and what it should say.
pub const MISSING: (&str, &str) = ("agent/requirements.txt", "fastapi==0.116.1\n");

/// How long things may take before the story ends badly.
const ISSUE_LIMIT: Duration = Duration::from_mins(3);

/// Who plays, and on which stage.
pub struct Story<'a> {
    /// The lab.
    pub state: &'a State,
    /// The program `tenant`.
    pub tenant: PathBuf,
    /// The order.
    pub order: PathBuf,
    /// A folder for the variables.
    pub folder: &'a Path,
    /// Is told every chapter.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// A story that was played; its second tenant is still there.
pub struct Played {
    /// The issue that was filed.
    pub issue: Issue,
    /// What the lab held before.
    before: Snapshot,
}

impl Story<'_> {
    /// Plays it until the first tenant is gone; the second one stays.
    ///
    /// # Errors
    /// When anything is not as it should be.
    pub async fn play(&self) -> anyhow::Result<Played> {
        let client = cluster::client(&self.state.kubeconfig).await?;
        let caller = Caller::new(self.state)?;
        let before = caller.snapshot().await.context("look at the lab before")?;

        let (mut forges, mut chats) = (Vec::new(), Vec::new());
        for guid in GUIDS {
            (self.tell)(&format!("tenant provision --guid {guid}"));
            let (took, output) = self.run(&["provision", "--guid", guid]).await?;
            let pods = pods::serving(&client, guid).await?;
            (self.tell)(&format!(
                "  {guid} is ready after {:.1} s: {} pods, all Ready",
                took.as_secs_f64(),
                pods
            ));
            forges.push(Forge::of(&client, guid, &output).await?);
            let chat = Chat::of(&client, guid, &output).await?;
            let servers = chat.servers().await?;
            (self.tell)(&format!("  its user logs in to LibreChat, which reaches {}", servers.join(", ")));
            chats.push(chat);
        }

        let [first, second] = &*forges else { bail!("there are two tenants") };
        let pipeline = Pipeline { client: &client, guid: GUIDS[0] };
        (self.tell)(&format!(
            "a pipeline run of {} builds branch {BRANCH}, on which {} is missing",
            GUIDS[0], MISSING.0
        ));
        let run = pipeline.run(BRANCH).await?;
        ensure!(run.outcome == Outcome::Failed, "{} should have failed: {run:?}", run.name);
        (self.tell)(&format!("  {} failed: {}", run.name, run.message));
        let issue = first.issue(ISSUE_LIMIT).await?;
        (self.tell)(&format!("  issue #{} in {}: {}", issue.number, first.repository(), issue.title));
        let others = second.issues().await?;
        ensure!(others.is_empty(), "the other tenant has issues: {others:?}");

        (self.tell)(&format!("the fix is pushed: {}", MISSING.0));
        first.commit(BRANCH, MISSING.0, MISSING.1).await?;
        let run = pipeline.run(BRANCH).await?;
        ensure!(run.outcome == Outcome::Succeeded, "{} should have succeeded: {run:?}", run.name);
        (self.tell)(&format!("  {} succeeded", run.name));
        let issues = first.issues().await?;
        ensure!(issues.len() == 1, "there should be one issue: {issues:?}");

        (self.tell)(&format!("tenant destroy --guid {}", GUIDS[0]));
        let (took, _) = self.run(&["destroy", "--guid", GUIDS[0]]).await?;
        pods::volumes_gone(&client, GUIDS[0]).await?;
        self.gone(GUIDS[0], &before, &caller.snapshot().await?)?;
        (self.tell)(&format!("  nothing of {} is left after {:.1} s", GUIDS[0], took.as_secs_f64()));
        let pods = pods::serving(&client, GUIDS[1]).await?;
        let (_, status) = self.run(&["status", "--guid", GUIDS[1], "--output", "json"]).await?;
        let wanting = wanting(&status)?;
        ensure!(wanting.is_empty(), "status of {} is not green: {wanting:#?}", GUIDS[1]);
        chats[1].servers().await?;
        (self.tell)(&format!("  {} is untouched: {pods} pods, all Ready", GUIDS[1]));
        Ok(Played { issue, before })
    }

    /// Destroys the second tenant, too.
    ///
    /// # Errors
    /// When anything is left of it.
    pub async fn end(&self, played: &Played) -> anyhow::Result<()> {
        self.run(&["destroy", "--guid", GUIDS[1]]).await?;
        pods::volumes_gone(&cluster::client(&self.state.kubeconfig).await?, GUIDS[1]).await?;
        self.gone(GUIDS[1], &played.before, &Caller::new(self.state)?.snapshot().await?)
    }

    /// Runs `tenant` with the platform's variables; returns how long it took, and what it printed.
    async fn run(&self, arguments: &[&str]) -> anyhow::Result<(Duration, String)> {
        let vars = self.folder.join("story-vars.json");
        let mut given = self.state.vars();
        if arguments[0] == "provision" {
            given.extend(charts());
        }
        let given = serde_json::Value::Object(given).to_string();
        private(&vars, given).context("write the variables")?;
        let at = |path: &Path| format!("@{}", path.display());
        let mut command = Command::new(&self.tenant);
        command.args(arguments).envs(self.state.env());
        if arguments[0] == "provision" {
            command.args(["-e", &at(&self.order)]);
        }
        command.args(["-e", &at(&vars)]);
        let begun = Instant::now();
        let output = command.stdin(Stdio::null()).output().await.context("run tenant")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "tenant {} ended with {}:\n{said}",
            arguments.join(" "),
            output.status
        );
        Ok((begun.elapsed(), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Nothing mentions the tenant, and what was there before is.
    fn gone(&self, guid: &str, before: &Snapshot, after: &Snapshot) -> anyhow::Result<()> {
        let traces = after.traces(guid);
        ensure!(traces.is_empty(), "left behind: {traces:#?}");
        let missing: Vec<_> = before.objects.keys().filter(|key| !after.objects.contains_key(*key)).collect();
        ensure!(missing.is_empty(), "taken along: {missing:#?}");
        // where the lab gives volumes, they are folders
        if let Ok(folders) = std::fs::read_dir(self.folder.join("stand-ins/volumes")) {
            let left = folders.count();
            let wanted = after.objects.keys().filter(|key| key.starts_with("persistentvolumes ")).count();
            ensure!(left == wanted, "{left} folders of volumes are left for {wanted} volumes");
        }
        Ok(())
    }
}

/// Where the charts of this checkout are: all of them in the tenant's repository, since Argo CD asks for branches with a
/// client of its own that knows nothing of the lab's GitHub.
pub fn charts() -> serde_json::Map<String, serde_json::Value> {
    let prefix = "ocp4_workload_ocpsandbox_mcp_user_";
    [
        ("librechat_config_repo_path", "tenant/librechat-config"),
        ("librechat_repo", "http://gitea.gitea-{{ lab_user }}.svc.cluster.local:3000/{{ lab_user }}/mcp"),
        ("librechat_repo_path", "tenant/librechat"),
        ("librechat_repo_tag", "main"),
    ]
    .map(|(name, value)| (format!("{prefix}{name}"), value.into()))
    .into_iter()
    .collect()
}

/// The steps that are not as they should be, each as `tenant status --output json` tells it.
///
/// # Errors
/// When that is not what it printed.
pub fn wanting(status: &str) -> anyhow::Result<Vec<String>> {
    let result = status.lines().last().context("status printed nothing")?;
    let result: serde_json::Value = serde_json::from_str(result).context("read what status printed")?;
    let steps = result["data"]["steps"].as_array().with_context(|| format!("no steps in {result}"))?;
    let other = steps.iter().filter(|step| step["state"] != "present" && step["state"] != "skipped");
    Ok(other.map(ToString::to_string).collect())
}

/// A value of the user data that a provision printed.
pub(crate) fn told(output: &str, key: &str) -> anyhow::Result<String> {
    let line = output.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
    let value = line.with_context(|| format!("provision told no {key}:\n{output}"))?;
    Ok(value.trim_matches(['"', '\'']).to_owned())
}

/// The namespace of a tenant's component.
pub fn namespace(component: &str, guid: &str) -> String {
    format!("{component}-user-{guid}")
}

/// A client for the story's services, which are addresses of the cluster.
pub fn http() -> anyhow::Result<reqwest::Client> {
    Ok(tenant_kit::http::client(&tenant_kit::http::ClientSettings::new("tenant-lab"))?)
}

/// The address of a Service, reached from the host.
pub async fn address(client: &Client, namespace: &str, name: &str) -> anyhow::Result<String> {
    let services: kube::Api<k8s_openapi::api::core::v1::Service> =
        kube::Api::namespaced(client.clone(), namespace);
    let service = services.get(name).await.with_context(|| format!("read Service {namespace}/{name}"))?;
    let spec = service.spec.context("a Service has a spec")?;
    let port = spec.ports.and_then(|ports| Some(ports.first()?.port)).context("the Service has no port")?;
    Ok(format!("http://{}:{port}", spec.cluster_ip.context("the Service has no address")?))
}
