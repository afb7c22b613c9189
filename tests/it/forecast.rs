//! `tenant destroy --dry-run`: says what a destroy removes, and removes nothing.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use tenant_cli::exit::ExitCode;

use crate::{
    program::{Ended, Program},
    versions::{moved, settled},
    world::World,
};

/// What is told of each step: its name, its state, its details.
fn steps(ended: &Ended) -> Vec<(String, String, Vec<String>)> {
    let last = ended.stdout.lines().last().unwrap_or_default();
    let document: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ended}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = document["data"]["steps"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|step| {
            let details = step["details"].as_array().cloned().unwrap_or_default();
            (text(&step["step"]), text(&step["state"]), details.iter().map(text).collect())
        })
        .collect()
}

fn dry_run(world: &World, guid: &str) -> Program {
    world.destroy(guid).args(["--dry-run", "-o", "json"])
}

#[tokio::test]
async fn what_would_go_is_told_and_stays() {
    let world = World::own(false).await;
    let client = world.client().await;
    // one namespace is somebody else's, and adopted
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let adopted =
        serde_json::from_value(json!({"metadata": {"name": "agent-user-fore1"}})).expect("a namespace");
    namespaces.create(&PostParams::default(), &adopted).await.expect("nobody has that name");
    world.provision("fore1", "order.yml").run().expect(ExitCode::Done);

    let before = settled(&client).await;
    let ended = dry_run(&world, "fore1").run().expect(ExitCode::Done);
    let text = world.destroy("fore1").arg("--dry-run").run().expect(ExitCode::Done);
    let written = moved(&before, &settled(&client).await);
    assert!(written.is_empty(), "a dry run wrote {written:#?}");
    assert!(text.stderr.contains("Secret tenant-system/tenant-fore1 goes last"), "{text}");

    let told = steps(&ended);
    let details = |step: &str| {
        let found = told.iter().find(|(id, ..)| id == step);
        let (_, state, details) = found.unwrap_or_else(|| panic!("no {step}: {ended}"));
        (state.clone(), details.clone())
    };
    for (step, goes) in [
        ("keycloak-user", "user user-fore1 in realm sso"),
        ("namespaces", "Namespace gitea-user-fore1"),
        ("namespaces", "RoleBinding agent-user-fore1/admin-user-fore1"),
        ("namespaces", "ClusterResourceQuota tenant-user-fore1"),
        ("namespaces", "stays: Namespace agent-user-fore1 is not the tenant's own"),
        ("app-project", "AppProject openshift-gitops/appproject-user-fore1"),
        ("app-project", "accounts.user-fore1 in ArgoCD openshift-gitops/openshift-gitops"),
        ("app-project", "accounts.user-fore1 in Secret openshift-gitops/argocd-secret"),
        ("gitea-instance", "Gitea gitea-user-fore1/gitea"),
        ("litellm-key", "key virtkey-fore1 at LiteLLM"),
        ("mcp-servers", "SecurityContextConstraints user-fore1-mcpserver-scc"),
        ("application-sets", "ApplicationSet openshift-gitops/user-fore1-agent"),
        ("application-sets", "Application openshift-gitops/agent-user-fore1, with all it deployed"),
        ("showroom", "Deployment showroom-user-fore1/showroom"),
    ] {
        let (state, details) = details(step);
        assert!(state == "present" && details.iter().any(|one| one == goes), "{goes}: {state} {details:#?}");
    }
    assert_eq!(details("gitea-user"), ("absent".to_owned(), vec!["goes with the instance".to_owned()]));
    assert_eq!(details("console-embed"), ("absent".to_owned(), vec!["belongs to the cluster".to_owned()]));

    // what was told is gone, what was said to stay is there
    let snapshot = world.snapshot().await;
    let there = |name: &str| snapshot.objects.keys().filter(|key| key.contains(name)).count();
    assert!(there("fore1") > 20, "the snapshot does not see the tenant");
    world.destroy("fore1").run().expect(ExitCode::Done);
    let left = world.traces("fore1").await;
    let stays = |trace: &String| trace.contains("agent-user-fore1");
    assert!(left.iter().all(stays) && left.iter().any(stays), "{left:#?}");
    let after = steps(&dry_run(&world, "fore1").run().expect(ExitCode::Done));
    assert!(after.iter().all(|(_, state, _)| state == "absent"), "{after:#?}");
}

#[tokio::test]
async fn a_tenant_that_never_was_has_nothing_to_lose() {
    let world = World::shared().await;
    let ended = dry_run(world, "fore2").run().expect(ExitCode::Done);
    let told = steps(&ended);
    assert_eq!(told.len(), 10, "{ended}");
    assert!(told.iter().all(|(_, state, _)| state == "absent"), "{told:#?}");
    let text = world.destroy("fore2").arg("--dry-run").run().expect(ExitCode::Done);
    assert!(text.stderr.contains("nothing of tenant fore2 is there"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_unknown() {
    use tenant_lab::faults::{Behaviour, StandIn};
    let world = World::shared().await;
    world.misbehave(StandIn::Keycloak, Behaviour::Failing(500), "fore3");
    let ended = dry_run(world, "fore3").run().expect(ExitCode::Service);
    let told = steps(&ended);
    let keycloak = told.iter().find(|(step, ..)| step == "keycloak-user").cloned();
    assert_eq!(keycloak.map(|(_, state, _)| state).as_deref(), Some("unknown"), "{ended}");
    world.misbehave(StandIn::Keycloak, Behaviour::Normal, "fore3");
}
