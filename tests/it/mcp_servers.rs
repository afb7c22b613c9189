//! `--mcp-servers`: the servers an order chooses come, stay on record, change and go; one that does not speak MCP is
//! reported with what it answered.

use std::pin::pin;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use tenant_cli::exit::ExitCode;
use tenant_lab::faults::{Behaviour, StandIn};

use crate::{
    program::{Ended, Program},
    world::{World, order_file},
};

const FOUR: &str = "openshift,gitea,rhoai,kubeflow";
const VARIABLE: &str = "ocp4_workload_ocpsandbox_mcp_user_mcp_servers";

/// What of a tenant is there for each of its MCP servers, by the names other tools look for.
fn belongings(guid: &str, server: &str) -> [String; 3] {
    [
        format!("namespaces mcp-{server}-user-{guid}"),
        format!("applicationsets.argoproj.io openshift-gitops/user-{guid}-mcp-{server}"),
        format!("mcpservers.toolhive.stacklok.dev mcp-{server}-user-{guid}/{server}"),
    ]
}

/// Fails the test unless the tenant has exactly these servers, wherever a server leaves something.
async fn has_exactly(world: &World, guid: &str, servers: &[&str]) {
    let snapshot = world.snapshot().await;
    for server in FOUR.split(',') {
        for name in belongings(guid, server) {
            let there = snapshot.objects.contains_key(&name);
            assert_eq!(
                there,
                servers.contains(&server),
                "{name} is {}there",
                if there { "" } else { "not " }
            );
        }
    }
    let object = |name: String| snapshot.objects.get(&name).unwrap_or_else(|| panic!("there is no {name}"));
    let project = object(format!("appprojects.argoproj.io openshift-gitops/appproject-user-{guid}"));
    let destinations = project["spec"]["destinations"].as_array().cloned().unwrap_or_default();
    let admitted =
        |server: &str| destinations.iter().any(|one| one["namespace"] == format!("mcp-{server}-user-{guid}"));
    let set = object(format!("applicationsets.argoproj.io openshift-gitops/user-{guid}-librechat"));
    let values = set["spec"]["template"]["spec"]["source"]["helm"]["values"].as_str().unwrap_or_default();
    let scc = format!("securitycontextconstraints.security.openshift.io user-{guid}-mcpserver-scc");
    for server in FOUR.split(',') {
        let chosen = servers.contains(&server);
        assert_eq!(admitted(server), chosen, "{server} in the project: {destinations:#?}");
        let url = format!("http://mcp-{server}-proxy.mcp-{server}-user-{guid}.svc.cluster.local:8080/mcp");
        assert_eq!(values.contains(&url), chosen, "{url} in LibreChat's configuration: {values}");
        if let Some(constraints) = snapshot.objects.get(&scc) {
            let account = format!("system:serviceaccount:mcp-{server}-user-{guid}:{server}-sa");
            let users = constraints["users"].as_array().cloned().unwrap_or_default();
            assert_eq!(users.contains(&json!(account)), chosen, "{account} in the SCC: {users:?}");
        }
    }
}

/// Steps of `status` that are not as they should be.
fn wanting(ended: &Ended) -> Vec<String> {
    let last = ended.stdout.lines().last().unwrap_or_default();
    let last: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ended}"));
    let steps = last["data"]["steps"].as_array().cloned().unwrap_or_default();
    let other = steps.iter().filter(|step| step["state"] != "present" && step["state"] != "skipped");
    other.map(ToString::to_string).collect()
}

/// `status` of a tenant that is known by its guid alone.
fn status(world: &World, guid: &str) -> Ended {
    world.command("status", guid).args(["-o", "json"]).run()
}

async fn four_servers(world: &World, guid: &str) {
    let up = world.provision(guid, "order.yml").args(["--mcp-servers", FOUR]).run().expect(ExitCode::Done);
    has_exactly(world, guid, &["openshift", "gitea", "rhoai", "kubeflow"]).await;
    for server in FOUR.split(',') {
        let line = format!("{server}_mcp_server_url: http://mcp-{server}-proxy.mcp-{server}-user-{guid}.");
        assert!(up.stdout.contains(&line), "no {line:?} in the data: {up}");
    }
    let seen = status(world, guid).expect(ExitCode::Done);
    assert_eq!(wanting(&seen), [""; 0], "{seen}");
    // a run that does not name servers keeps them, whether its order is silent or leaves the variable empty
    let again = world.provision(guid, "order.yml").arg("-e").arg(format!("{VARIABLE}="));
    let again = again.run().expect(ExitCode::Done);
    assert_eq!(again.stdout, up.stdout, "another run hands over other data");
    has_exactly(world, guid, &["openshift", "gitea", "rhoai", "kubeflow"]).await;
    world.destroy_without_trace(guid).await;
}

#[tokio::test]
async fn four_servers_on_openshift() {
    four_servers(World::shared().await, "mcpfour").await;
}

#[tokio::test]
async fn four_servers_on_a_plain_cluster() {
    four_servers(World::plain().await, "mcpplain").await;
}

#[tokio::test]
async fn a_list_that_changes_adds_and_removes() {
    let world = World::shared().await;
    let guid = "mcpmoves";
    let with = |list: &str| world.provision(guid, "order.yml").arg("-e").arg(format!("{VARIABLE}={list}"));
    let without = with("openshift,rhoai").run().expect(ExitCode::Done);
    without.says(&["without MCP server gitea the agent files no issues"]);
    has_exactly(world, guid, &["openshift", "rhoai"]).await;

    // the flag wins over the order
    let plan =
        world.command("plan", guid).args(["--mcp-servers", "gitea,kubeflow"]).run().expect(ExitCode::Done);
    for gone in [
        "Namespace mcp-rhoai-user-mcpmoves is of no MCP server the order chooses",
        "mcp-kubeflow-user-mcpmoves",
    ] {
        assert!(plan.stdout.contains(gone), "the plan does not say {gone:?}: {plan}");
    }
    with("openshift").args(["--mcp-servers", "gitea,kubeflow"]).run().expect(ExitCode::Done);
    has_exactly(world, guid, &["gitea", "kubeflow"]).await;
    let left: Vec<String> = world
        .traces(guid)
        .await
        .into_iter()
        .filter(|line| line.contains("rhoai") || line.contains("mcp-openshift"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "left of the servers that went");
    let seen = status(world, guid).expect(ExitCode::Done);
    assert_eq!(wanting(&seen), [""; 0], "{seen}");

    // back to upstream's two, by the names of the file
    world
        .provision(guid, "order.yml")
        .args(["--mcp-servers", "openshift,gitea"])
        .run()
        .expect(ExitCode::Done);
    has_exactly(world, guid, &["openshift", "gitea"]).await;
    world.destroy_without_trace(guid).await;
}

#[tokio::test]
async fn a_removal_that_was_interrupted_goes_on() {
    let world = World::shared().await;
    let guid = "mcphalf";
    let with = |list: &str| world.provision(guid, "order.yml").args(["--mcp-servers", list]);
    with("openshift,gitea,rhoai").run().expect(ExitCode::Done);
    world.misbehave(StandIn::Argocd, Behaviour::Absent, guid);
    let ended = with("openshift,gitea").within("4s").run().expect(ExitCode::TimedOut);
    ended.says(&["waiting for the applications to be gone", "mcp-rhoai-user-mcphalf"]);
    world.misbehave(StandIn::Argocd, Behaviour::Normal, guid);
    // what was decided is on record
    world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    has_exactly(world, guid, &["openshift", "gitea"]).await;
    world.destroy_without_trace(guid).await;
}

#[test]
fn a_list_that_cannot_be_is_refused_before_anything_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let variable = |value: &str| ["-e".to_owned(), format!("{{{VARIABLE}: {value}}}")];
    let flag = |list: &str| ["--mcp-servers".to_owned(), list.to_owned()];
    for (arguments, word) in [
        (flag(""), "the list is empty"),
        (flag(" , "), "the list is empty"),
        (flag("openshift,github"), "`github` is no MCP server"),
        (flag("Openshift"), "`Openshift` is no MCP server"),
        (variable("[]"), "the list is empty"),
        (variable("[gitea, slack]"), "`slack` is no MCP server"),
        (variable("{gitea: true}"), "must be a list of texts"),
    ] {
        for command in ["provision", "plan", "status", "render", "destroy"] {
            // there is no cluster here that could be touched
            let program = Program::new(folder.path()).args([command, "--guid", "x1"]).args(&arguments);
            let ended = program.vars(&order_file("order.yml")).run().expect(ExitCode::Usage);
            let mut lines = ended.stderr.lines();
            let line = lines.next().unwrap_or_default();
            let known = word.starts_with("must be") || line.contains("openshift, gitea, rhoai, kubeflow");
            let named = line.contains(VARIABLE) && line.contains(word) && known;
            assert!(line.starts_with("error: ") && named && lines.next().is_none(), "{command}: {ended}");
        }
    }
}

/// Plays the kubelet of a namespace: gives the first pod with this label, as soon as it is there, such a status.
async fn play_kubelet(world: &World, namespace: &str, label: &str, phase: &str, state: &Value) {
    let pods: Api<Pod> = Api::namespaced(world.client().await, namespace);
    let mut seen = pin!(
        watcher(pods.clone(), watcher::Config::default().labels(label)).default_backoff().applied_objects()
    );
    let Some(Ok(pod)) = seen.next().await else { panic!("the watch of {label} in {namespace} ended") };
    let (name, spec) = (pod.metadata.name.unwrap_or_default(), pod.spec.unwrap_or_default());
    let statuses = spec.containers.iter().map(|container| {
        json!({"name": container.name, "image": container.image, "imageID": "", "ready": false, "restartCount": 0,
            "state": state})
    });
    let status = json!({"status": {"phase": phase, "containerStatuses": statuses.collect::<Value>()}});
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.expect("the pod is there");
}

#[tokio::test]
async fn a_server_that_does_not_speak_mcp_is_quoted_and_tried_again_by_the_next_run() {
    let world = World::shared().await;
    let guid = "mcpmute";
    let namespace = format!("mcp-gitea-user-{guid}");
    let answer = "http://mcp-gitea-proxy:8080/mcp does not speak MCP: initialize answered 404: no such page";
    let only = format!("{namespace}/mcp-gitea-handshake");
    world.misbehave(StandIn::Workloads, Behaviour::Absent, &only);
    let running = world.provision(guid, "order.yml").start();
    let ended = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": answer}});
    play_kubelet(world, &namespace, "app.kubernetes.io/component=handshake", "Failed", &ended).await;
    let ended = running.wait_with(|_| ()).expect(ExitCode::Service);
    ended.says(&["application-sets", &format!("shake hands with MCP server gitea in {namespace}"), answer]);
    let seen = wanting(&status(world, guid));
    assert!(seen.len() == 1 && seen[0].contains(answer), "status does not repeat it: {seen:#?}");

    // the server is put right; a Job that has failed would stay so
    world.misbehave(StandIn::Workloads, Behaviour::Normal, &only);
    world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    let seen = status(world, guid).expect(ExitCode::Done);
    assert_eq!(wanting(&seen), [""; 0], "{seen}");
    world.destroy_without_trace(guid).await;
}

#[tokio::test]
async fn a_secret_that_is_missing_is_named() {
    let world = World::shared().await;
    let guid = "mcpsecret";
    let namespace = format!("mcp-gitea-user-{guid}");
    let only = format!("{namespace}/gitea-0");
    world.misbehave(StandIn::Workloads, Behaviour::Absent, &only);
    let running = world.provision(guid, "order.yml").args(["--wait-timeout", "12s"]).start();
    let missing = r#"secret "gitea-creds" not found"#;
    let waiting = json!({"waiting": {"reason": "CreateContainerConfigError", "message": missing}});
    play_kubelet(world, &namespace, "app=gitea", "Pending", &waiting).await;
    let ended = running.wait_with(|_| ()).expect(ExitCode::TimedOut);
    ended.says(&[
        "application-sets",
        "not done after 12 s",
        &format!("Pod gitea-0: CreateContainerConfigError, image docker.gitea.com/gitea-mcp-server:0.4.0 ({missing})"),
        &format!("hint: kubectl -n {namespace} describe pod gitea-0"),
    ]);
    let seen = wanting(&status(world, guid));
    assert!(seen.len() == 1 && seen[0].contains("gitea-creds") && seen[0].contains("not found"), "{seen:#?}");
    world.misbehave(StandIn::Workloads, Behaviour::Normal, &only);
    world.destroy_without_trace(guid).await;
}
