//! The real `agent serve`, as a process beside the stand-ins.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{platform::parking::Guarded, polling::until};

/// Longer than any report takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// What an agent is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// The OpenShift MCP server.
    pub openshift: String,
    /// How it is spoken to: `streamable-http` or `sse`.
    pub transport: &'static str,
    /// The Gitea MCP server.
    pub gitea: String,
    /// Owner and repository of the issues.
    pub repository: (String, String),
    /// A model's name and address.
    pub model: Option<(String, String)>,
    /// Whether everybody may report.
    pub anonymous: bool,
    /// Further arguments.
    pub more: Vec<String>,
}

/// A running agent; it ends when this is dropped.
pub struct Service {
    /// Its address.
    pub url: String,
    child: Guarded<Child>,
    said: Arc<Guarded<String>>,
    http: reqwest::Client,
}

impl Service {
    /// Starts it with its data in `data`; returns when it serves.
    ///
    /// # Errors
    /// When it ends instead.
    pub async fn start(setup: &Setup, data: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(&setup.program);
        command
            .args(["serve", "--bind", "127.0.0.1", "--port", "0", "--rate", "100000"])
            .args(setup.anonymous.then_some("--allow-anonymous"))
            .args(["--openshift-url", &setup.openshift, "--gitea-url", &setup.gitea])
            .args(["--openshift-transport", setup.transport, "--gitea-transport", "streamable-http"])
            .args(["--owner", &setup.repository.0, "--repo", &setup.repository.1])
            .arg("--data")
            .arg(data)
            .args(&setup.more)
            .env_clear()
            .envs([("LITELLM_API_KEY", "sk-eval-not-a-secret")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some((name, url)) = &setup.model {
            command.args(["--model", name, "--model-url", url]);
        }
        let mut child = command.spawn().with_context(|| format!("start {}", setup.program.display()))?;
        let stderr = child.stderr.take().context("the agent's output is piped")?;
        let mut lines = BufReader::new(stderr).lines();
        let said: Arc<Guarded<String>> = Arc::default();
        let mut told = String::new();
        let address = loop {
            let Some(line) = lines.next_line().await? else { bail!("the agent ended at once:\n{told}") };
            told.push_str(&line);
            told.push('\n');
            let spoken: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = spoken["address"].as_str() {
                break address.to_owned();
            }
        };
        said.with(|said| said.push_str(&told));
        let sink = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                sink.with(|said| {
                    said.push_str(&line);
                    said.push('\n');
                });
            }
        });
        let settings = tenant_kit::http::ClientSettings {
            timeout: Some(PATIENCE),
            ..tenant_kit::http::ClientSettings::new("tenant-lab")
        };
        let http = tenant_kit::http::client(&settings)?;
        Ok(Self { url: format!("http://{address}"), child: Guarded::new(child), said, http })
    }

    /// Reports a failure and waits for the outcome: status, and the record with its diagnosis.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn report(&self, body: &Value) -> anyhow::Result<(u16, Value)> {
        let response = self.http.post(format!("{}/report-failure", self.url)).json(body).send().await?;
        let status = response.status().as_u16();
        let answer: Value = response.json().await.unwrap_or_default();
        let Some(id) = answer["report_id"].as_str() else { return Ok((status, answer)) };
        Ok((status, self.get(&format!("/reports/{id}")).await?))
    }

    /// Reports a failure without waiting for the outcome; the report's id.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn hand_in(&self, body: &Value) -> anyhow::Result<String> {
        let request =
            self.http.post(format!("{}/report-failure", self.url)).header("prefer", "respond-async");
        let answer: Value = request.json(body).send().await?.json().await?;
        answer["report_id"].as_str().map(str::to_owned).with_context(|| format!("not accepted: {answer}"))
    }

    /// The record of a report, once its outcome is final.
    ///
    /// # Errors
    /// When it never is.
    pub async fn outcome(&self, id: &str) -> anyhow::Result<Value> {
        let path = format!("/reports/{id}");
        let last = async || {
            let record = self.get(&path).await.ok()?;
            let open = matches!(record["outcome"].as_str(), None | Some("pending" | "queued"));
            (!open).then_some(record)
        };
        until(PATIENCE, last).await.with_context(|| format!("report {id} has no outcome"))
    }

    /// The status of an endpoint.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self, path: &str) -> anyhow::Result<u16> {
        Ok(self.http.get(format!("{}{path}", self.url)).send().await?.status().as_u16())
    }

    /// Reads a JSON answer.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.http.get(format!("{}{path}", self.url)).send().await?.json().await?)
    }

    /// Reads an answer as text.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        Ok(self.http.get(format!("{}{path}", self.url)).send().await?.text().await?)
    }

    /// Reads a page, as a browser does.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn page(&self, path: &str) -> anyhow::Result<String> {
        let request = self.http.get(format!("{}{path}", self.url)).header("accept", "text/html");
        Ok(request.send().await?.text().await?)
    }

    /// Its HTTP client.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Everything it logged.
    pub fn said(&self) -> String {
        self.said.with(|said| said.clone())
    }

    /// Asks it to end, and waits until it has: everything it still had to send was sent.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let pid = self.child.with(|child| child.id()).context("it has ended before")?;
        let pid =
            i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process has a positive number")?;
        kill_process(pid, Signal::TERM)?;
        let ended = async || self.child.with(|child| child.try_wait().transpose());
        until(PATIENCE, ended).await.context("it does not end")??;
        Ok(())
    }

    /// Ends it without a warning, as the kernel does.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(self) -> anyhow::Result<()> {
        self.child.with(Child::start_kill)?;
        let ended = async || self.child.with(|child| child.try_wait().transpose());
        until(PATIENCE, ended).await.context("it does not end")??;
        Ok(())
    }
}
