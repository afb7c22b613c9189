//! Orders with nothing but the variables of an AgnosticV catalog, of every generation, on both kinds of cluster.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use tenant_cli::exit::ExitCode;

use crate::{
    program::Program,
    world::{World, order_file},
};

#[tokio::test]
async fn the_second_generation() {
    let world = World::shared().await;
    // the order takes its guid from the job's environment
    let order = |command: &str| -> Program {
        let program = world.program().arg(command).env("GUID", "genb1").within("90s");
        program.vars(&order_file("order-gen-b.yml")).vars(world.platform())
    };
    let ended = order("provision").run().expect(ExitCode::Done);
    for line in ["gitea_user: mcpuser-genb1", "litellm_key_alias: virtkey-genb1"] {
        assert!(ended.stdout.contains(line), "no {line:?}: {ended}");
    }
    order("destroy").run().expect(ExitCode::Done);
    let left = world.traces("genb1").await;
    assert!(left.is_empty(), "{left:#?}");
}

#[tokio::test]
async fn the_third_generation() {
    let world = World::shared().await;
    let order = |command: &str| -> Program {
        // the order says its guid itself
        world.program().arg(command).within("90s").vars(&order_file("order-gen-c.yml")).vars(world.platform())
    };
    let ended = order("provision").run().expect(ExitCode::Done);
    assert!(ended.stdout.contains("gitea_url: https://gitea-user-01e3-gitea."), "{ended}");
    let snapshot = world.snapshot().await;
    for part in ["agent", "librechat", "mcp-openshift", "mcp-gitea", "gitea", "showroom", "devspace"] {
        let key = format!("namespaces user-01e3-{part}");
        assert!(snapshot.objects.contains_key(&key), "no {key}: {ended}");
    }
    order("destroy").run().expect(ExitCode::Done);
    let left = world.traces("user-01e3").await;
    assert!(left.is_empty(), "{left:#?}");
}

#[tokio::test]
async fn namespaces_of_the_sandbox_api_are_adopted_and_left() {
    let world = World::shared().await;
    let namespaces: Api<Namespace> = Api::all(world.client().await);
    let parts = ["1-agent", "2-librechat", "3-mcp-openshift", "4-mcp-gitea", "5-gitea", "6-showroom"];
    for part in parts {
        let namespace = serde_json::from_value(json!({"metadata": {
            "name": format!("sandbox-drw4x-{part}"),
            "labels": {"created-by": "sandbox-api", "guid": "drw4x"},
        }}));
        namespaces.create(&PostParams::default(), &namespace.unwrap()).await.expect("a free name");
    }
    let before = of_guid(world).await;
    let order = |command: &str| -> Program {
        let program = world.program().arg(command).within("90s");
        program.vars(&order_file("order-sandbox.yml")).vars(world.platform())
    };
    let ended = order("provision").run().expect(ExitCode::Done);
    assert!(ended.stdout.contains("gitea_user: sandbox-drw4x"), "{ended}");
    assert!(ended.stdout.contains("gitea_password: xQ9-7hYt2mKd4sWv"), "the given password lost: {ended}");

    let ended = order("destroy").run().expect(ExitCode::Done);
    assert_eq!(of_guid(world).await, before, "the Sandbox API's namespaces are not as they were: {ended}");
    for part in parts {
        let name = format!("sandbox-drw4x-{part}");
        namespaces.delete(&name, &DeleteParams::default()).await.expect("it is still there");
    }
}

/// Everything that mentions the guid of the Sandbox API's order, and what it is.
async fn of_guid(world: &World) -> Vec<(String, String)> {
    let objects = world.snapshot().await.objects.into_iter();
    // what a controller puts into every namespace when it gets to it
    let objects =
        objects.filter(|(key, _)| !key.ends_with("/kube-root-ca.crt") && !key.ends_with("/default"));
    let objects = objects.map(|(key, object)| (key, object.to_string()));
    let mut found: Vec<_> =
        objects.filter(|(key, text)| key.contains("drw4x") || text.contains("drw4x")).collect();
    let left = world.traces("drw4x").await.into_iter();
    found.extend(left.filter(|line| !line.contains(' ')).map(|line| (line, String::new())));
    found
}

#[tokio::test]
async fn a_cluster_without_openshift() {
    let world = World::plain().await;
    let guid = "plain1";
    let ended = world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    let snapshot = world.snapshot().await;
    for promised in [
        "ingresses.networking.k8s.io showroom-user-plain1/showroom",
        "ingresses.networking.k8s.io gitea-user-plain1/gitea",
        "applicationsets.argoproj.io openshift-gitops/user-plain1-agent",
        "namespaces agent-user-plain1",
        "resourcequotas ",
    ] {
        let found = snapshot.objects.keys().any(|key| key.starts_with(promised));
        assert!(found, "no {promised}: {ended}");
    }
    let foreign: Vec<_> = snapshot.objects.keys().filter(|key| key.contains(".openshift.io ")).collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
    // what is different here is said
    ended.says(&[
        "no OpenShift console here",
        "no SecurityContextConstraints here",
        "no Routes here: an Ingress publishes the lab guide",
    ]);
    world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    world.destroy_without_trace(guid).await;
}
