//! Things that are stuck: the run names the cause and the command that helps, and what nobody will finish any more
//! goes when that is asked for, and only then.

use k8s_openapi::{api::core::v1::ConfigMap, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use tenant_cli::exit::ExitCode;
use tenant_lab::faults::{Behaviour, StandIn};

use crate::world::{World, order_file};

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the object is well formed")
}

/// A `ConfigMap` that nobody will let go.
async fn hold(world: &World, namespace: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(world.client().await, namespace);
    let map = parsed(json!({"metadata": {"name": "held", "finalizers": ["example.com/nobody"]}}));
    maps.create(&PostParams::default(), &map).await.expect("a ConfigMap can be made");
}

#[tokio::test]
async fn a_namespace_says_what_holds_it_and_force_lets_go_of_just_that() {
    let world = World::shared().await;
    let order = order_file("order.yml");
    let guid = "stuckns1";
    world.provision(guid, "order.yml").args(["--only", "namespaces"]).run().expect(ExitCode::Done);
    hold(world, &format!("agent-user-{guid}")).await;
    let ended = world.destroy(guid).within("6s").run().expect(ExitCode::Leftovers);
    let namespace = format!("agent-user-{guid}");
    ended.says(&[&namespace, "example.com/nobody", "hint: `kubectl get namespaces", "--force-finalizers"]);

    let forced = world.destroy(guid).arg("--force-finalizers").run().expect(ExitCode::Done);
    forced.says(&[&format!("took finalizer example.com/nobody away from ConfigMap {namespace}/held")]);
    let left = world.traces(guid).await;
    assert!(left.is_empty(), "there is still\n  {}", left.join("\n  "));

    // what is not being deleted keeps its finalizers: the same option on a tenant that is well
    let guid = "stuckns2";
    world.provision(guid, "order.yml").args(["--only", "namespaces"]).run().expect(ExitCode::Done);
    hold(world, &format!("agent-user-{guid}")).await;
    let ended = world.destroy(guid).arg("--force-finalizers").within("6s").run();
    ended.expect(ExitCode::Leftovers).says(&["nothing that is being deleted is held", "example.com/nobody"]);
    world.destroy(guid).arg("--force-finalizers").vars(&order).run().expect(ExitCode::Done);
}

#[tokio::test]
async fn applications_without_their_project_go_when_forced() {
    let world = World::shared().await;
    let guid = "stuckapp1";
    world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    let name = format!("appproject-user-{guid}");
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "AppProject"));
    let projects: Api<DynamicObject> = Api::namespaced_with(world.client().await, "openshift-gitops", &kind);
    projects.delete(&name, &DeleteParams::default()).await.expect("there is a project");
    let ended = world.destroy(guid).within("5s").run().expect(ExitCode::Leftovers);
    ended.says(&[
        "waiting for the applications to be gone",
        &name,
        "hint: `kubectl --namespace openshift-gitops",
    ]);
    let forced = world.destroy(guid).arg("--force-finalizers").run().expect(ExitCode::Done);
    forced.says(&[
        "took finalizer resources-finalizer.argocd.argoproj.io away from Application openshift-gitops/",
    ]);
    let left = world.traces(guid).await;
    assert!(left.is_empty(), "there is still\n  {}", left.join("\n  "));
}

/// In a lab of its own: a broken API service disturbs every namespace there is.
#[tokio::test]
async fn an_unavailable_api_service_is_named() {
    let world = World::own(false).await;
    let services: Api<APIService> = Api::all(world.client().await);
    let broken = parsed(json!({
        "metadata": {"name": "v1.broken.example.com"},
        "spec": {
            "group": "broken.example.com", "version": "v1", "groupPriorityMinimum": 10, "versionPriority": 10,
            "insecureSkipTLSVerify": true, "service": {"name": "gone", "namespace": "default"},
        },
    }));
    world.provision("api1", "order.yml").args(["--only", "namespaces"]).run().expect(ExitCode::Done);
    services.create(&PostParams::default(), &broken).await.expect("an APIService can be made");
    let ended = world.destroy("api1").within("10s").run().expect(ExitCode::Leftovers);
    ended.says(&["namespaces", "broken.example.com/v1"]);
    services.delete("v1.broken.example.com", &DeleteParams::default()).await.expect("it is there");
    world.destroy_without_trace("api1").await;
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named() {
    let world = World::shared().await;
    let guid = "pull1";
    world.misbehave(StandIn::Workloads, Behaviour::Failing(500), guid);
    let ended = world.provision(guid, "order.yml").within("15s").run().expect(ExitCode::TimedOut);
    ended.says(&["ImagePullBackOff, image ", "hint: kubectl -n ", " describe pod "]);
    world.misbehave(StandIn::Workloads, Behaviour::Normal, guid);
    world.destroy_without_trace(guid).await;
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_named() {
    let world = World::shared().await;
    let guid = "quota1";
    let quota = r#"{"ocp4_workload_tenant_namespace_use_cluster_quota": false,
        "ocp4_workload_tenant_namespace_default_quota": {"pods": "0"}}"#;
    let run = world.provision(guid, "order.yml").args(["-e", quota]).args(["--wait-timeout", "6s"]);
    let ended = run.run().expect(ExitCode::TimedOut);
    ended.says(&["exceeded quota", "not done after 6 s; last seen: ", "describe resourcequota"]);
    world.destroy_without_trace(guid).await;
}
