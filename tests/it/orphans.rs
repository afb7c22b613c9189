//! `tenant list` and `tenant list --orphans`: who is there, who works on it, and what is left of tenants nobody has a
//! record of.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};
use tenant_cli::exit::ExitCode;

use crate::{
    program::{Ended, Program},
    world::World,
};

/// The result a command printed last.
fn result(ended: &Ended) -> Value {
    let last = ended.stdout.lines().last().unwrap_or_default();
    let document: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ended}"));
    document["data"].clone()
}

/// What is told to be left of `guid`: what, and what removes it.
fn left(ended: &Ended, guid: &str) -> Vec<(String, String)> {
    let found = result(ended);
    let groups = found["orphans"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    groups
        .iter()
        .filter(|group| group["guid"] == guid)
        .flat_map(|group| group["left"].as_array().cloned().unwrap_or_default())
        .map(|one| (text(&one["what"]), text(&one["remove"])))
        .collect()
}

fn orphans(world: &World) -> Program {
    world.program().args(["list", "--orphans", "-o", "json"]).vars(world.platform())
}

async fn lose_record(world: &World, guid: &str) {
    let records: Api<Secret> = Api::namespaced(world.client().await, "tenant-system");
    let deleted = records.delete(&format!("tenant-{guid}"), &DeleteParams::default()).await;
    deleted.expect("there is a record");
}

#[tokio::test]
async fn all_that_is_left_of_a_tenant_without_a_record_is_found_and_removed() {
    let world = World::shared().await;
    world.provision("orph1", "order.yml").run().expect(ExitCode::Done);
    let before = orphans(world).run().expect(ExitCode::Done);
    assert_eq!(left(&before, "orph1"), [], "it has a record: {before}");

    lose_record(world, "orph1").await;
    let ended = orphans(world).run().expect(ExitCode::Done);
    let found = left(&ended, "orph1");
    let parts = ["agent", "librechat", "mcp-openshift", "mcp-gitea", "gitea", "showroom"];
    let applications = ["mcp-openshift", "mcp-gitea", "librechat-config", "librechat", "agent"];
    let expected = parts
        .iter()
        .map(|part| format!("Namespace {part}-user-orph1"))
        .chain(applications.iter().map(|one| format!("Application openshift-gitops/{one}-user-orph1")))
        .chain(applications.iter().map(|one| format!("ApplicationSet openshift-gitops/user-orph1-{one}")))
        .chain(
            [
                "AppProject openshift-gitops/appproject-user-orph1",
                "SecurityContextConstraints user-orph1-mcpserver-scc",
                "ClusterResourceQuota tenant-user-orph1",
                "its share of ArgoCD openshift-gitops/openshift-gitops",
                "its share of Secret openshift-gitops/argocd-secret",
                "user user-orph1 in Keycloak",
                "key virtkey-orph1 at LiteLLM",
            ]
            .map(str::to_owned),
        );
    for one in expected {
        let told = found.iter().any(|(what, by)| *what == one && by == "tenant destroy --guid orph1");
        assert!(told, "{one} is not told: {found:#?}");
    }
    assert_eq!(found.len(), 6 + 5 + 5 + 7, "more than there is: {found:#?}");

    world.destroy_without_trace("orph1").await;
    let after = orphans(world).run().expect(ExitCode::Done);
    assert_eq!(left(&after, "orph1"), [], "{after}");
}

#[tokio::test]
async fn a_key_may_be_another_clusters_and_a_name_alone_is_no_proof() {
    let world = World::shared().await;
    world.provision("orph2", "order.yml").args(["--only", "litellm-key"]).run().expect(ExitCode::Done);
    lose_record(world, "orph2").await;
    let ended =
        world.program().args(["list", "--orphans"]).vars(world.platform()).run().expect(ExitCode::Done);
    let line = ended.stdout.lines().find(|line| line.starts_with("orph2 ")).unwrap_or_default();
    assert!(line.contains("if no other cluster has it") && line.contains("key virtkey-orph2"), "{ended}");

    let namespaces: Api<Namespace> = Api::all(world.client().await);
    let namespace =
        serde_json::from_value(json!({"metadata": {"name": "agent-user-orph3"}})).expect("a namespace");
    namespaces.create(&PostParams::default(), &namespace).await.expect("nobody has that name");
    let found = left(&orphans(world).run().expect(ExitCode::Done), "orph3");
    let by_hand = "kubectl delete namespaces agent-user-orph3".to_owned();
    assert_eq!(found, [("Namespace agent-user-orph3".to_owned(), by_hand)]);
    namespaces.delete("agent-user-orph3", &DeleteParams::default()).await.expect("it is there");

    // without LiteLLM's variables nobody can look there, and that is said
    let kubeconfig = world.lab().kubeconfig().display().to_string();
    let program = world.program().args(["list", "--orphans", "-o", "json", "--kubeconfig"]).arg(kubeconfig);
    let unseen = result(&program.run().expect(ExitCode::Done))["not_looked_at"].to_string();
    assert!(unseen.contains("keys at LiteLLM: `litellm_url` is not set"), "{unseen}");
    world.destroy_without_trace("orph2").await;
}

#[tokio::test]
async fn nothing_is_said_to_be_nothing() {
    let world = World::own(true).await;
    let list = |arguments: &[&str]| {
        let program = world.program().arg("list").args(arguments.iter().copied());
        program.vars(world.platform()).run().expect(ExitCode::Done)
    };
    let tenants = list(&[]);
    assert!(tenants.stdout.is_empty() && tenants.stderr.contains("no tenants on this cluster"), "{tenants}");
    let left = list(&["--orphans"]);
    assert!(left.stdout.is_empty() && left.stderr.contains("no orphans"), "{left}");
    assert_eq!(result(&list(&["-o", "json"])), json!([]));
    assert_eq!(result(&list(&["--orphans", "-o", "json"])), json!({"orphans": [], "not_looked_at": []}));
}

#[tokio::test]
async fn a_tenant_somebody_works_on_names_its_holder() {
    let world = World::shared().await;
    world.misbehave(
        tenant_lab::faults::StandIn::GiteaOperator,
        tenant_lab::faults::Behaviour::Absent,
        "held1",
    );
    let mut running = world.provision("held1", "order.yml").start();
    running.until("waiting for Gitea");
    let list =
        || world.program().args(["list", "-o", "json"]).vars(world.platform()).run().expect(ExitCode::Done);
    let ended = list();
    let found = result(&ended);
    let one = found.as_array().and_then(|all| all.iter().find(|one| one["guid"] == "held1")).cloned();
    let one = one.unwrap_or_else(|| panic!("held1 is not listed: {ended}"));
    let holder = one["held_by"].as_str().unwrap_or_default();
    assert!(holder.starts_with("provision on ") && holder.contains(&running.id().to_string()), "{one}");
    assert!(one["held_since"].as_str().is_some_and(|since| since.ends_with('Z')), "{one}");
    running.signal("TERM");
    running.wait_with(|_| ()).expect(ExitCode::Terminated);
    world.misbehave(
        tenant_lab::faults::StandIn::GiteaOperator,
        tenant_lab::faults::Behaviour::Normal,
        "held1",
    );
    let found = result(&list());
    let one = found.as_array().and_then(|all| all.iter().find(|one| one["guid"] == "held1")).cloned();
    assert_eq!(one.map(|one| one["held_by"].clone()), Some(Value::Null), "{found}");
    world.destroy_without_trace("held1").await;
}
