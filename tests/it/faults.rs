//! Every service misbehaves: the run says what went wrong in that service's own words, ends in time with the right
//! exit code, resumes once all is well, and destroy leaves nothing, wherever the run had stopped.

use std::time::Duration;

use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::json;
use tenant_cli::exit::ExitCode;
use tenant_lab::faults::{Behaviour, StandIn};

use crate::{
    program::Running,
    world::{World, order_file},
};

/// A service that misbehaves, and what a run that meets it comes to.
struct Trouble {
    guid: &'static str,
    stand_in: StandIn,
    behaviour: Behaviour,
    timeout: &'static str,
    ends: ExitCode,
    says: &'static [&'static str],
}

impl Trouble {
    /// Fails in the middle; healed, the same command finishes the tenant; destroy leaves nothing.
    async fn then_resumed(&self) {
        let world = World::shared().await;
        self.strike(world);
        world.misbehave(self.stand_in, Behaviour::Normal, self.guid);
        world.provision(self.guid, "order.yml").run().expect(ExitCode::Done);
        world.destroy_without_trace(self.guid).await;
    }

    /// Fails in the middle; destroy takes away what there is.
    async fn then_destroyed(&self) {
        let world = World::shared().await;
        self.strike(world);
        world.misbehave(self.stand_in, Behaviour::Normal, self.guid);
        world.destroy_without_trace(self.guid).await;
    }

    fn strike(&self, world: &World) {
        world.misbehave(self.stand_in, self.behaviour, self.guid);
        let run = world.provision(self.guid, "order.yml").within(self.timeout).run();
        let ended = run.expect(self.ends).says(self.says);
        assert!(ended.stderr.contains("hint: "), "no word about what to do: {ended}");
        assert!(ended.stdout.is_empty(), "data although it failed: {ended}");
    }
}

#[tokio::test]
async fn keycloak_fails() {
    let trouble = Trouble {
        guid: "kc500",
        stand_in: StandIn::Keycloak,
        behaviour: Behaviour::Failing(500),
        timeout: "20s",
        ends: ExitCode::Service,
        says: &["keycloak-user", "Keycloak", "500"],
    };
    trouble.then_resumed().await;
}

#[tokio::test]
async fn keycloak_answers_with_a_page() {
    let trouble = Trouble {
        guid: "kcwrong",
        stand_in: StandIn::Keycloak,
        behaviour: Behaviour::Wrong,
        timeout: "20s",
        ends: ExitCode::Service,
        says: &["keycloak-user", "Keycloak"],
    };
    trouble.then_destroyed().await;
}

#[tokio::test]
async fn litellm_fails() {
    let trouble = Trouble {
        guid: "ll503",
        stand_in: StandIn::Litellm,
        behaviour: Behaviour::Failing(503),
        timeout: "20s",
        ends: ExitCode::Service,
        says: &["litellm-key", "LiteLLM", "503"],
    };
    trouble.then_resumed().await;
}

#[tokio::test]
async fn litellm_refuses() {
    let trouble = Trouble {
        guid: "ll403",
        stand_in: StandIn::Litellm,
        behaviour: Behaviour::Failing(403),
        timeout: "20s",
        ends: ExitCode::Denied,
        says: &["litellm-key", "LiteLLM", "403"],
    };
    trouble.then_destroyed().await;
}

#[tokio::test]
async fn litellm_hangs_up() {
    let trouble = Trouble {
        guid: "llgone",
        stand_in: StandIn::Litellm,
        behaviour: Behaviour::Absent,
        timeout: "20s",
        ends: ExitCode::Service,
        says: &["litellm-key", "LiteLLM"],
    };
    trouble.then_destroyed().await;
}

#[tokio::test]
async fn litellm_lies() {
    let trouble = Trouble {
        guid: "lllies",
        stand_in: StandIn::Litellm,
        behaviour: Behaviour::Wrong,
        timeout: "20s",
        ends: ExitCode::Service,
        says: &["litellm-key", "LiteLLM"],
    };
    trouble.then_destroyed().await;
}

#[tokio::test]
async fn litellm_is_slow() {
    let world = World::shared().await;
    world.misbehave(StandIn::Litellm, Behaviour::Slow(Duration::from_millis(700)), "llslow");
    world.provision("llslow", "order.yml").run().expect(ExitCode::Done);
    world.destroy_without_trace("llslow").await;
}

#[tokio::test]
async fn the_gitea_operator_does_nothing() {
    let trouble = Trouble {
        guid: "gonever",
        stand_in: StandIn::GiteaOperator,
        behaviour: Behaviour::Absent,
        timeout: "3s",
        ends: ExitCode::TimedOut,
        says: &["gitea-instance", "it has no address yet", "3"],
    };
    trouble.then_resumed().await;
}

#[tokio::test]
async fn the_gitea_operator_fails() {
    let trouble = Trouble {
        guid: "gofails",
        stand_in: StandIn::GiteaOperator,
        behaviour: Behaviour::Failing(503),
        timeout: "3s",
        ends: ExitCode::TimedOut,
        says: &["gitea-instance", "the operator says"],
    };
    trouble.then_destroyed().await;
}

#[tokio::test]
async fn gitea_fails() {
    let trouble = Trouble {
        guid: "gt500",
        stand_in: StandIn::Gitea,
        behaviour: Behaviour::Failing(500),
        timeout: "20s",
        ends: ExitCode::Service,
        says: &["gitea-user", "Gitea", "500"],
    };
    trouble.then_resumed().await;
}

#[tokio::test]
async fn routes_are_not_admitted() {
    let trouble = Trouble {
        guid: "rtfails",
        stand_in: StandIn::Routes,
        behaviour: Behaviour::Failing(503),
        timeout: "6s",
        ends: ExitCode::TimedOut,
        says: &["gitea-instance"],
    };
    trouble.then_destroyed().await;
}

#[tokio::test]
async fn argo_cd_cannot_compare() {
    let trouble = Trouble {
        guid: "acfails",
        stand_in: StandIn::Argocd,
        behaviour: Behaviour::Failing(503),
        timeout: "6s",
        ends: ExitCode::Service,
        says: &["application-sets"],
    };
    trouble.then_resumed().await;
}

#[tokio::test]
async fn argo_cd_does_nothing() {
    let trouble = Trouble {
        guid: "acgone",
        stand_in: StandIn::Argocd,
        behaviour: Behaviour::Absent,
        timeout: "6s",
        ends: ExitCode::TimedOut,
        says: &["application-sets", "is not generated yet"],
    };
    trouble.then_destroyed().await;
}

#[tokio::test]
async fn images_cannot_be_pulled() {
    let trouble = Trouble {
        guid: "wlfails",
        stand_in: StandIn::Workloads,
        behaviour: Behaviour::Failing(503),
        timeout: "6s",
        ends: ExitCode::TimedOut,
        says: &["gitea-instance"],
    };
    trouble.then_destroyed().await;
}

#[tokio::test]
async fn mcp_servers_fail() {
    let trouble = Trouble {
        guid: "mcfails",
        stand_in: StandIn::McpOperators,
        behaviour: Behaviour::Failing(503),
        timeout: "6s",
        ends: ExitCode::TimedOut,
        says: &["application-sets", "mcp-openshift-user-mcfails"],
    };
    trouble.then_destroyed().await;
}

/// The projects of Argo CD.
async fn projects(world: &World) -> Api<DynamicObject> {
    let kind = ApiResource {
        group: "argoproj.io".into(),
        version: "v1alpha1".into(),
        api_version: "argoproj.io/v1alpha1".into(),
        kind: "AppProject".into(),
        plural: "appprojects".into(),
    };
    Api::namespaced_with(world.client().await, "openshift-gitops", &kind)
}

/// A provision that has made its project, and whose applications have not been looked at by Argo CD yet.
fn between(world: &World, guid: &str) -> Running {
    world.misbehave(StandIn::Argocd, Behaviour::Slow(Duration::from_secs(2)), guid);
    let mut running = world.provision(guid, "order.yml").within("20s").start();
    running.until("application-sets  started");
    running
}

#[tokio::test]
async fn an_argo_cd_project_that_forbids_is_quoted() {
    let world = World::shared().await;
    let guid = "forbid1";
    let running = between(world, guid);
    let elsewhere = json!({"spec": {"destinations": [
        {"namespace": "somewhere-else", "server": "https://kubernetes.default.svc"},
    ]}});
    let by_hand = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    let patched = projects(world).await;
    patched.patch(&format!("appproject-user-{guid}"), &by_hand, &Patch::Merge(elsewhere)).await.unwrap();
    let ended = running.wait_with(|_| ()).expect(ExitCode::Service);
    ended.says(&["application-sets", "do not match any of the allowed destinations in project"]);
    // the same command again sets the project right
    world.misbehave(StandIn::Argocd, Behaviour::Normal, guid);
    world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    world.destroy_without_trace(guid).await;
}

#[tokio::test]
async fn an_argo_cd_project_that_is_gone_is_named_and_what_it_holds_up_too() {
    let world = World::shared().await;
    let guid = "noproj1";
    world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    let name = format!("appproject-user-{guid}");
    projects(world).await.delete(&name, &DeleteParams::default()).await.unwrap();
    let plan = world.command("plan", guid).vars(&order_file("order.yml")).run().expect(ExitCode::Done);
    let line = plan.stdout.lines().find(|line| line.starts_with("app-project")).unwrap_or_default();
    assert!(line.contains("create"), "the plan does not make the project again: {plan}");

    let ended = world.destroy(guid).within("5s").run().expect(ExitCode::Leftovers);
    ended.says(&["application-sets", "waiting for the applications to be gone", &name]);
    // what Argo CD's finalizer needs comes back, and all can go
    world.provision(guid, "order.yml").args(["--only", "app-project"]).run().expect(ExitCode::Done);
    world.destroy_without_trace(guid).await;
}

#[tokio::test]
async fn destroy_goes_on_past_a_service_that_fails() {
    let world = World::shared().await;
    world.provision("past1", "order.yml").run().expect(ExitCode::Done);
    world.misbehave(StandIn::Litellm, Behaviour::Failing(500), "past1");
    world.misbehave(StandIn::Keycloak, Behaviour::Failing(500), "past1");
    let ended = world.destroy("past1").run();
    let ended = ended.expect(ExitCode::Leftovers).says(&["litellm-key", "keycloak-user", "500"]);
    let left = world.traces("past1").await;
    let kept: Vec<_> = left.iter().filter(|line| line.starts_with("secrets tenant-system/")).collect();
    assert_eq!(kept.len(), 1, "the record goes last: {left:#?}\n{ended}");
    assert!(
        left.contains(&"virtkey-past1".to_owned()) && left.contains(&"user-past1".to_owned()),
        "{left:#?}"
    );
    assert_eq!(left.len(), 3, "more is left than what failed: {left:#?}\n{ended}");
    world.misbehave(StandIn::Litellm, Behaviour::Normal, "past1");
    world.misbehave(StandIn::Keycloak, Behaviour::Normal, "past1");
    // the guid and the cluster are all it takes
    world.destroy_without_trace("past1").await;
}
