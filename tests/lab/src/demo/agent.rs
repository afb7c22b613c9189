//! `cargo lab demo agent`: a failed build becomes an issue. A real control plane, the real OpenShift MCP server, a real
//! Gitea and the real agent run for as long as this command does; nothing is left when it ends.

use std::{io::IsTerminal as _, process::Stdio};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tenant_lab::{
    builds::{self, openshift_mcp::Release, progress::Progress},
    directories::Directories,
    eval::{
        apiserver::PipelineCluster,
        case,
        scene::Scene,
        service::{Service, Setup},
        tracker::{Generation, Issues, Tracker},
    },
    gitea::{self, GiteaFactory, GiteaInstance, GiteaProgram, GiteaSpec},
    processes::Processes,
};
use tokio::process::Command;

use crate::commands::{print, say};

/// The case that is shown: the lab guide's own.
const CASE: &str = "F01";
const NAMESPACE: &str = "agent-demo";
const REPOSITORY: &str = "mcp";

pub(crate) async fn run(directories: &Directories) -> anyhow::Result<()> {
    let (program, parts) =
        tokio::join!(super::build("agent", &[]), builds::ensure(directories, Progress::stderr()));
    let (program, parts) = (program?, parts?);
    let template = gitea::template::ensure(&parts, Progress::stderr()).await?;
    let folder = tempfile::tempdir()?;
    let processes = Processes::new(folder.path()).context("make the demo's folders")?;
    let factory = GiteaFactory::new(
        GiteaProgram::from(&parts),
        std::sync::Arc::clone(&processes),
        folder.path().join("gitea"),
        template,
    )?;
    let task = Progress::stderr().begin(format_args!("starting a control plane, Gitea and the agent"));
    let spec = GiteaSpec { name: "demo".to_owned(), root_url: "http://localhost".to_owned() };
    let (cluster, instance) = tokio::join!(PipelineCluster::start(&parts), factory.start(spec));
    let (cluster, instance) = (cluster?, instance?);
    let mcp = cluster.mcp_server(Release::Current, Progress::stderr()).await?;
    let http = tenant_kit::http::client(&tenant_kit::http::ClientSettings::new("tenant-lab"))?;
    let token = prepare(&http, &instance).await?;
    let issues = Issues::Gitea { http, api: format!("{}/api/v1", instance.url()), token };
    let (_tracker, tools) = Tracker::open(issues, Generation::C).await?;
    let setup = Setup {
        program,
        openshift: mcp,
        transport: Release::Current.transport(),
        gitea: tools.url.clone(),
        repository: (instance.admin.username.clone(), REPOSITORY.to_owned()),
        model: None,
        anonymous: true,
        more: Vec::new(),
    };
    let service = Service::start(&setup, &folder.path().join("agent")).await?;
    task.done();

    let cases = case::all()?;
    let case = cases.iter().find(|case| case.id == CASE).context("the demo's case is in the suite")?;
    let scene = Scene::new(case, NAMESPACE, &case.pipeline, "mtkhb0")?;
    say(&format!(
        "\nstep-build of {} ended with:\n\n{}\n",
        scene.report["pod_name"],
        case::log("copy-missing")?
    ));
    cluster.put(&scene).await?;
    let record = report(&service, &scene.report).await?;
    let number = record["issue_number"].as_u64().context("the agent filed no issue")?;
    let issue = issue(&instance, number).await?;
    print(&format!(
        "{}\n\n{}\n\n",
        issue["title"].as_str().unwrap_or_default(),
        issue["body"].as_str().unwrap_or_default()
    ))?;
    say(&format!(
        "the issue:  {}/{}/{REPOSITORY}/issues/{number}\nthe report: {}/reports/{}\n",
        instance.url(),
        instance.admin.username,
        service.url,
        record["report_id"].as_str().unwrap_or_default(),
    ));
    if std::io::stdin().is_terminal() {
        say("\nboth stay up until Ctrl-C\n");
        tokio::signal::ctrl_c().await?;
    }
    Ok(())
}

/// A repository for the issues; returns a token that may write there.
async fn prepare(http: &reqwest::Client, instance: &GiteaInstance) -> anyhow::Result<String> {
    let admin = &instance.admin;
    let post = async |path: &str, body: Value| -> anyhow::Result<Value> {
        let request = http.post(format!("{}/api/v1{path}", instance.url())).json(&body);
        let response = request.basic_auth(&admin.username, Some(&admin.password)).send().await?;
        let status = response.status();
        if !status.is_success() {
            bail!("Gitea refuses POST {path}: {status}");
        }
        Ok(response.json().await?)
    };
    post("/user/repos", json!({"name": REPOSITORY, "auto_init": true})).await?;
    let scopes = json!({"name": "agent", "scopes": ["write:issue", "write:repository"]});
    let token = post(&format!("/users/{}/tokens", admin.username), scopes).await?;
    token["sha1"].as_str().map(str::to_owned).context("Gitea gives a token")
}

/// Reports with curl, as a `finally` task does.
async fn report(service: &Service, body: &Value) -> anyhow::Result<Value> {
    let url = format!("{}/report-failure", service.url);
    let arguments = ["-sS", "--fail-with-body", "-H", "content-type: application/json", "-d"];
    say(&format!("curl -sS -H 'content-type: application/json' -d '{body}' {url}\n"));
    let output = Command::new("curl")
        .args(arguments)
        .args([body.to_string(), url])
        .stdin(Stdio::null())
        .output()
        .await
        .context("run curl: apt-get install curl")?;
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    say(&format!("{answer}\n\n"));
    if !output.status.success() {
        bail!("curl: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_str(&answer).context("the agent answers JSON")
}

async fn issue(instance: &GiteaInstance, number: u64) -> anyhow::Result<Value> {
    let http = tenant_kit::http::client(&tenant_kit::http::ClientSettings::new("tenant-lab"))?;
    let admin = &instance.admin;
    let path = format!("{}/api/v1/repos/{}/{REPOSITORY}/issues/{number}", instance.url(), admin.username);
    let response = http.get(path).basic_auth(&admin.username, Some(&admin.password)).send().await?;
    Ok(response.error_for_status()?.json().await?)
}
