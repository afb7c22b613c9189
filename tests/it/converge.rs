//! Every step, in both directions: it may fail, be repeated, be killed between what it made and what it noted, and the
//! next run still knows what to do.

use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use tenant_cli::{exit::ExitCode, steps::DEFAULT_RECIPE};
use tenant_lab::proxy::{Rule, Service, Spoil, Which};

use crate::{
    program::Ended,
    world::{World, order_file},
};

/// The request without which a step cannot be done.
fn crucial(step: &str) -> Which {
    let patch = |path: &str| Which::all().to(Service::Kubernetes).method("PATCH").path(path);
    match step {
        "keycloak-user" => Which::all().to(Service::Keycloak).path("/admin/realms/sso/users"),
        "namespaces" => patch("/namespaces/showroom-user-").times(1),
        "app-project" => patch("/appprojects/"),
        "gitea-instance" => patch("/gitea/gitea?"),
        "gitea-user" => Which::all().to(Service::Gitea).path("/tokens"),
        "litellm-key" => Which::all().to(Service::Litellm).path("/key/generate"),
        "mcp-servers" => patch("/secrets/gitea-creds"),
        "application-sets" => patch("-librechat-config?"),
        "console-embed" => Which::all().to(Service::Kubernetes).path("/ingresscontrollers/default"),
        "showroom" => patch("/deployments/showroom"),
        other => panic!("a new step, {other}: which request must it send?"),
    }
}

#[tokio::test]
async fn whichever_step_fails_destroy_leaves_nothing() {
    let world = World::shared().await;
    for (at, step) in DEFAULT_RECIPE.into_iter().enumerate() {
        let guid = format!("stepfails{at}");
        let refusal = Spoil::Status { status: 403, retry_after: None };
        let proxy = world.proxy(vec![Rule::new(crucial(step), refusal)]);
        let ended = world.through(&proxy, "provision", &guid).run();
        let struck = proxy.exchanges().iter().any(|exchange| exchange.spoil.is_some());
        assert!(struck, "{step} did not send what it has to:\n{}\n{ended}", proxy.account());
        let ended = ended.expect(ExitCode::Denied);
        assert!(ended.stderr.contains(step), "{step} is not named: {ended}");
        world.destroy_without_trace(&guid).await;
    }
}

/// Fails the test if a step changed anything.
#[track_caller]
fn unchanged(step: &str, ended: Ended) {
    let ended = ended.expect(ExitCode::Done);
    assert!(!ended.stderr.contains("  changed: "), "{step} is not done with it: {ended}");
}

#[tokio::test]
async fn a_step_done_twice_or_undone_twice_is_done_or_undone_once() {
    let world = World::shared().await;
    let guid = "twice1";
    let only = |command: &str, step: &str| {
        let run = world.command(command, guid).args(["--only", step]);
        if command == "provision" { run.vars(&order_file("order.yml")).run() } else { run.run() }
    };
    for step in DEFAULT_RECIPE {
        unchanged(step, only("destroy", step));
    }
    assert_eq!(world.traces(guid).await, Vec::<String>::new(), "undoing nothing made something");
    world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    for step in DEFAULT_RECIPE {
        unchanged(step, only("provision", step));
    }
    for step in DEFAULT_RECIPE.into_iter().rev() {
        only("destroy", step).expect(ExitCode::Done);
        unchanged(step, only("destroy", step));
    }
    world.destroy_without_trace(guid).await;
}

/// A provision that is killed after LiteLLM has made the key and before the record has it.
async fn killed_between_made_and_noted(world: &World, guid: &str) {
    let key = Which::all().to(Service::Litellm).path("/key/generate");
    let proxy = world.proxy(vec![Rule::new(key, Spoil::Kill { acted: true })]);
    let running = world.through(&proxy, "provision", guid).start();
    proxy.killing().wait_for(Option::is_some).await.expect("the proxy lives");
    running.signal("KILL");
    let ended = running.wait_with(|_| ());
    assert_eq!(ended.code(), None, "{ended}");
    let keys = world.snapshot().await.inventory.litellm_keys;
    assert!(keys.contains(&format!("virtkey-{guid}")), "there is no key yet: {keys:?}");
}

#[tokio::test]
async fn a_key_that_was_made_and_not_noted_is_replaced() {
    let world = World::shared().await;
    killed_between_made_and_noted(world, "made1").await;
    let ended = world.provision("made1", "order.yml").run().expect(ExitCode::Done);
    ended.says(&["key virtkey-made1 existed, its value unknown: replaced"]);
    let records: Api<Secret> = Api::namespaced(world.client().await, "tenant-system");
    let record = records.get("tenant-made1").await.expect("there is a record");
    assert!(record.data.is_some_and(|data| data.contains_key("litellm-key")), "the new key is not on record");
    world.destroy_without_trace("made1").await;
}

#[tokio::test]
async fn a_key_that_was_made_and_not_noted_is_destroyed() {
    let world = World::shared().await;
    killed_between_made_and_noted(world, "made2").await;
    world.destroy_without_trace("made2").await;
}

#[tokio::test]
async fn a_sync_that_failed_for_good_is_started_again_once_its_cause_is_gone() {
    let world = World::shared().await;
    let guid = "syncagain1";
    world.provision(guid, "order.yml").args(["--only", "namespaces"]).run().expect(ExitCode::Done);
    let quotas: Api<ResourceQuota> = Api::namespaced(world.client().await, &format!("librechat-user-{guid}"));
    let none = json!({"metadata": {"name": "no-services"}, "spec": {"hard": {"count/services": "0"}}});
    quotas.create(&PostParams::default(), &serde_json::from_value(none).unwrap()).await.unwrap();
    let ended = world.provision(guid, "order.yml").run().expect(ExitCode::Service);
    ended.says(&[
        "sync Application openshift-gitops/librechat-user-syncagain1",
        "exceeded quota: no-services",
    ]);

    quotas.delete("no-services", &DeleteParams::default()).await.unwrap();
    world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    world.destroy_without_trace(guid).await;
}
