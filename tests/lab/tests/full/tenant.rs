//! One tenant with all four MCP servers, whose pods are taken away in every way there is: `tenant status` is green only
//! when they really serve, and says what is wrong when they do not.

use std::{path::PathBuf, process::Output, time::Duration};

use serde_json::{Value, json};
use tenant_lab::{files::private, play::images::NO_MCP, polling, story};
use tokio::process::Command;

use crate::{
    charts::have_tools,
    terminal::Terminal,
    world::{World, checkout, tenant},
};

const GUID: &str = "real4";
const SERVERS: [&str; 4] = ["gitea", "kubeflow", "openshift", "rhoai"];
/// Until what was done to a pod shows.
const PATIENCE: Duration = Duration::from_mins(1);

/// The tenant, and its order.
struct Tenant<'a> {
    world: &'a World,
    vars: PathBuf,
}

impl<'a> Tenant<'a> {
    fn order(world: &'a World) -> Self {
        let mut given = world.lab().vars();
        given.extend(story::charts());
        let vars = world.folder().join("tenant-vars.json");
        private(&vars, Value::Object(given).to_string()).expect("the variables can be written");
        Self { world, vars }
    }

    async fn run(&self, command: &str, more: &[&str]) -> Output {
        let order = format!("@{}", checkout("tests/data/order.yml").display());
        let vars = format!("@{}", self.vars.display());
        let mut tenant = Command::new(tenant());
        tenant.args([command, "--guid", GUID, "-e", &order, "-e", &vars]).args(more);
        tenant.envs(self.world.lab().env()).output().await.expect("tenant can be started")
    }

    /// Runs a command that must succeed.
    async fn done(&self, command: &str, more: &[&str]) {
        let output = self.run(command, more).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tenant {command} {more:?} ended with {}:\n{said}", output.status);
    }

    async fn provision(&self) {
        self.done("provision", &["--mcp-servers", &SERVERS.join(",")]).await;
    }

    /// The steps of `status` that are not as they should be, each as it is told.
    async fn wanting(&self) -> Vec<String> {
        let output = self.run("status", &["--output", "json"]).await;
        story::wanting(&String::from_utf8_lossy(&output.stdout))
            .unwrap_or_else(|error| panic!("{error:#}: {output:?}"))
    }

    /// Waits until `status` says all of this of one step.
    async fn until_said(&self, words: &[&str]) {
        let mut seen = Vec::new();
        let said = polling::until(PATIENCE, async || {
            seen = self.wanting().await;
            seen.iter().any(|step| words.iter().all(|word| step.contains(word))).then_some(())
        });
        assert!(said.await.is_some(), "status does not say {words:?}: {seen:#?}");
    }

    async fn until_green(&self) {
        let mut seen = Vec::new();
        let green = polling::until(PATIENCE, async || {
            seen = self.wanting().await;
            seen.is_empty().then_some(())
        });
        assert!(green.await.is_some(), "status is not green: {seen:#?}");
    }
}

fn namespace(component: &str) -> String {
    story::namespace(component, GUID)
}

#[tokio::test]
async fn status_is_green_when_the_pods_of_all_four_servers_serve_and_only_then() {
    let Some(world) = World::turn().await else { return };
    let terminal = Terminal::open(&world);
    let tenant = Tenant::order(&world);
    tenant.provision().await;
    next_server_does_not_speak_mcp(&tenant).await;
    for server in SERVERS {
        have_tools(&terminal, &namespace(&format!("mcp-{server}")), &[server]).await;
    }

    student_changes_what_is_deployed(&terminal, &tenant).await;
    secret_is_missing(&terminal, &tenant).await;

    tenant.done("destroy", &[]).await;
    let left = world.snapshot().await.traces(GUID);
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// Argo CD leaves it as it is, so that `status` has to tell.
async fn student_changes_what_is_deployed(terminal: &Terminal, tenant: &Tenant<'_>) {
    let (agent, guide, chat) = (namespace("agent"), namespace("showroom"), namespace("librechat"));
    terminal.run(&format!("kubectl scale deployment/agent --replicas=0 --namespace {agent}")).await;
    tenant.until_said(&["application-sets", "not as the chart has it: Deployment agent"]).await;
    terminal.run(&format!("kubectl scale deployment/agent --replicas=1 --namespace {agent}")).await;
    tenant.until_green().await;

    terminal.run(&format!("kubectl scale deployment/showroom --replicas=0 --namespace {guide}")).await;
    tenant.until_said(&["showroom", "Deployment", "spec.replicas: 0"]).await;
    terminal.run(&format!("kubectl scale deployment/showroom --replicas=1 --namespace {guide}")).await;
    tenant.until_green().await;

    let image = "librechat=ghcr.io/danny-avila/librechat:v0.0.0";
    terminal.run(&format!("kubectl set image deployment/librechat {image} --namespace {chat}")).await;
    tenant.until_said(&["application-sets", "Pod librechat-", "ImagePull", "librechat:v0.0.0"]).await;
    terminal.run(&format!("kubectl rollout undo deployment/librechat --namespace {chat}")).await;
    tenant.until_green().await;
}

/// The pod's condition names it; the next run writes it again.
async fn secret_is_missing(terminal: &Terminal, tenant: &Tenant<'_>) {
    let servers = namespace("mcp-gitea");
    terminal.run(&format!("kubectl delete secret/gitea-creds pod/gitea-0 --namespace {servers}")).await;
    let words = ["application-sets", "Pod gitea-0: CreateContainerConfigError", "gitea-creds", "not found"];
    tenant.until_said(&words).await;
    tenant.provision().await;
    tenant.until_green().await;
}

/// Its pods are Ready, and that is not enough; nor is it that the one before it answers until it is replaced. The right
/// image makes it good.
async fn next_server_does_not_speak_mcp(tenant: &Tenant<'_>) {
    let image = json!({"ocp4_workload_ocpsandbox_mcp_user_gitea_image": NO_MCP}).to_string();
    let servers = SERVERS.join(",");
    let ordered = ["--mcp-servers", &servers, "-e", &image, "--wait-timeout", "75s"];
    let output = tenant.run("provision", &ordered).await;
    let said = String::from_utf8_lossy(&output.stderr);
    let answer = "svc:8080/mcp does not speak MCP: initialize answered 501";
    assert!(!output.status.success() && said.contains(answer), "{}: {said}", output.status);
    tenant.until_said(&["application-sets", "mcp-gitea-handshake", answer]).await;
    tenant.provision().await;
    tenant.until_green().await;
}
