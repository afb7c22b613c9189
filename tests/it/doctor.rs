//! `tenant doctor`: a sound cluster is called sound, every ailment is named with its remedy and the exit code a
//! provision would end with, and the account it prints a role for can do all that `tenant` does.

use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::ServiceAccount,
        rbac::v1::{ClusterRole, ClusterRoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};
use tenant_cli::exit::ExitCode;
use tenant_lab::faults::{Behaviour, StandIn};

use crate::{
    program::{Ended, Program},
    refusals::gone,
    versions::{moved, settled},
    world::{World, order_file},
};

/// The findings of one check: verdict, what was found, remedy.
fn findings(ended: &Ended, check: &str) -> Vec<(String, String, String)> {
    let last = ended.stdout.lines().last().unwrap_or_default();
    let document: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ended}"));
    let all = document["data"]["findings"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.iter()
        .filter(|one| one["check"] == check)
        .map(|one| (text(&one["verdict"]), text(&one["says"]), text(&one["remedy"])))
        .collect()
}

/// Fails the test unless some finding of `check` has this verdict and mentions `says`, and none of its kind
/// lacks a remedy.
#[track_caller]
fn finds(ended: &Ended, check: &str, verdict: &str, says: &str) {
    let found = findings(ended, check);
    let hit = found.iter().find(|one| one.0 == verdict && one.1.contains(says));
    let (_, _, remedy) = hit.unwrap_or_else(|| panic!("no {verdict} {says:?} in {found:#?}\n{ended}"));
    assert!(verdict == "ok" || !remedy.is_empty(), "no remedy: {found:#?}");
}

fn doctor(world: &World) -> Program {
    world.program().arg("doctor").args(["-o", "json"]).vars(world.platform())
}

/// An account that has the cluster role `tenant doctor --print-rbac` prints (or none) and nothing else, as
/// variables of an order.
async fn account(world: &World, name: &str, role: Option<Value>) -> std::path::PathBuf {
    let client = world.client().await;
    let created = PostParams::default();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let account = json!({"metadata": {"name": name}});
    let account: ServiceAccount = serde_json::from_value(account).expect("an account");
    accounts.create(&created, &account).await.expect("the account is new");
    if let Some(role) = role {
        let mut role: ClusterRole = serde_json::from_value(role).expect("what is printed is a role");
        role.metadata.name = Some(name.to_owned());
        Api::<ClusterRole>::all(client.clone()).create(&created, &role).await.expect("the role is new");
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
        });
        let binding: ClusterRoleBinding = serde_json::from_value(binding).expect("a binding");
        Api::<ClusterRoleBinding>::all(client).create(&created, &binding).await.expect("the binding is new");
    }
    let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let token = accounts.create_token_request(name, &created, &request).await.expect("a token");
    let token = token.status.expect("a token that was made").token;
    world.write(&format!("{name}.json"), &json!({"cluster_admin_agnosticd_sa_token": token}).to_string())
}

#[tokio::test]
async fn a_sound_cluster_is_called_sound() {
    let world = World::shared().await;
    let ended = doctor(world).args(["--guid", "doc1"]).vars(&order_file("order.yml")).run();
    let ended = ended.expect(ExitCode::Done);
    for (check, says) in [
        ("order", "user-doc1"),
        ("kinds", "OpenShift; ToolHive"),
        ("kinds", "ApplicationSet (argoproj.io) in v1alpha1"),
        ("kinds", "MCPServer (toolhive.stacklok.dev) in v1beta1, v1alpha1"),
        ("rights", "all "),
        ("ingress", "are answered"),
        ("argo-cd", "takes local accounts"),
        ("litellm", "accepts the master key"),
        ("litellm", "it offers llama-scout-17b, qwen3-14b"),
        ("keycloak", "the realm is there"),
        ("gitea", "an instance of its own"),
    ] {
        finds(&ended, check, "ok", says);
    }
    // the lab's volumes need no class, so it has none
    finds(&ended, "storage", "warning", "none of 0 storage classes");
    let state = world.lab().state();
    for secret in [state.token.trim(), &state.litellm_master_key] {
        assert!(!format!("{ended}").contains(secret), "a secret is told: {ended}");
    }
    let text = world.program().arg("doctor").vars(world.platform()).run().expect(ExitCode::Done);
    assert!(text.stdout.starts_with("CHECK "), "{text}");
    assert!(text.stderr.contains("0 problems, 1 warning, 1 not checked"), "{text}");
}

#[tokio::test]
async fn a_plain_cluster_is_no_worse_and_what_was_not_given_is_not_checked() {
    let world = World::plain().await;
    let kubeconfig = world.lab().kubeconfig().display().to_string();
    let bare = || world.program().args(["doctor", "-o", "json", "--kubeconfig"]).arg(&kubeconfig);
    let ended = bare().run().expect(ExitCode::Usage);
    finds(&ended, "order", "not-checked", "no variables were given");
    finds(&ended, "litellm", "not-checked", "`litellm_url` is not set");
    finds(&ended, "keycloak", "not-checked", "is not known");
    finds(&ended, "ingress", "problem", "domain of the cluster's hosts is not known");
    let ended = bare().vars(world.platform()).run().expect(ExitCode::Done);
    finds(&ended, "order", "not-checked", "no guid was given");
    finds(&ended, "kinds", "ok", "Kubernetes without OpenShift's APIs");
    finds(&ended, "kinds", "ok", "Route (route.openshift.io) is not served: Ingresses publish");
    finds(&ended, "rights", "ok", "all ");
}

#[tokio::test]
async fn each_ailment_is_named_with_its_exit_code() {
    let world = World::shared().await;
    let wrong_key =
        world.write("doc-key.json", &json!({"litellm_master_key": "sk-not-this-one-0001"}).to_string());
    let ended = doctor(world).vars(&wrong_key).run().expect(ExitCode::Denied);
    finds(&ended, "litellm", "problem", "it answered 401");
    assert!(!format!("{ended}").contains("sk-not-this-one"), "the key is told: {ended}");

    let nobody = world.write("doc-url.json", &json!({"litellm_url": "http://127.0.0.1:9"}).to_string());
    let ended = doctor(world).vars(&nobody).run().expect(ExitCode::Service);
    finds(&ended, "litellm", "problem", "no answer");

    let models = json!({"ocp4_workload_litellm_virtual_keys_models": ["llama-scout-17b", "gpt-99"]});
    let models = world.write("doc-models.json", &models.to_string());
    finds(&doctor(world).vars(&models).run().expect(ExitCode::Done), "litellm", "warning", "offer gpt-99");

    world.misbehave(StandIn::Keycloak, Behaviour::Failing(500), "doc2");
    let ended = doctor(world).args(["--guid", "doc2"]).run().expect(ExitCode::Service);
    finds(&ended, "keycloak", "problem", "500");

    let elsewhere = json!({"ocp4_workload_tenant_keycloak_user_keycloak_namespace": "nowhere"});
    let elsewhere = world.write("doc-keycloak.json", &elsewhere.to_string());
    finds(&doctor(world).vars(&elsewhere).run().expect(ExitCode::Done), "keycloak", "warning", "nowhere/");

    let argo = json!({
        "ocp4_workload_tenant_openshift_gitops_namespace": "nowhere",
        "ocp4_workload_tenant_gitea_user_namespace": "shared-nowhere",
    });
    let argo = world.write("doc-argo.json", &argo.to_string());
    let ended = doctor(world).vars(&argo).run().expect(ExitCode::Usage);
    finds(&ended, "argo-cd", "problem", "no namespace nowhere");
    finds(&ended, "gitea", "problem", "shared-nowhere/gitea");
}

#[tokio::test]
async fn an_account_without_rights_is_told_which_it_lacks() {
    let world = World::shared().await;
    let vars = account(world, "doc-nobody", None).await;
    let ended = doctor(world).vars(&vars).run().expect(ExitCode::Denied);
    for (who, lacks) in [
        ("namespaces", "create, patch, delete namespaces"),
        ("namespaces", "bind clusterroles admin"),
        ("application-sets", "applicationsets"),
        ("record", "secrets"),
    ] {
        let found = findings(&ended, "rights");
        let told = found.iter().any(|(verdict, says, remedy)| {
            verdict == "problem"
                && says.starts_with(&format!("{who} may not "))
                && says.contains(lacks)
                && remedy.contains("--print-rbac")
        });
        assert!(told, "{who} lacks {lacks}: {found:#?}");
    }
}

#[tokio::test]
async fn a_cluster_without_gitea_is_told_before_the_event() {
    let world = World::own(true).await;
    let client = world.client().await;
    let before = settled(&client).await;
    doctor(&world).args(["--guid", "doc3"]).vars(&order_file("order.yml")).run().expect(ExitCode::Done);
    let written = moved(&before, &settled(&client).await);
    assert!(written.is_empty(), "the doctor wrote {written:#?}");

    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let name = "gitea.pfe.rhpds.com";
    let deleted = definitions.delete(name, &DeleteParams::default()).await.expect("there is a definition");
    let uid = deleted.left().and_then(|object| object.metadata.uid).expect("a deletion under way has a UID");
    gone(definitions, name, &uid).await;
    let ended = doctor(&world).run().expect(ExitCode::Usage);
    finds(&ended, "kinds", "problem", "Gitea (pfe.rhpds.com) is not served");
}

/// Runs every command as an account with exactly the role that is printed.
async fn everything_with_the_role(world: &World, guid: &str) {
    let printed = world.program().args(["doctor", "--print-rbac", "-o", "json"]).run().expect(ExitCode::Done);
    let role: Value =
        serde_json::from_str(&printed.stdout).unwrap_or_else(|error| panic!("{error}: {printed}"));
    let vars = account(world, "doc-deployer", Some(role["data"].clone())).await;
    let order = order_file("order.yml");
    let ended = doctor(world).args(["--guid", guid]).vars(&vars).vars(&order).run().expect(ExitCode::Done);
    finds(&ended, "rights", "ok", "all ");
    let run = |command: &str| world.command(command, guid).vars(&vars);
    for command in ["plan", "provision", "status"] {
        run(command).vars(&order).run().expect(ExitCode::Done);
    }
    world.program().arg("list").vars(world.platform()).vars(&vars).run().expect(ExitCode::Done);
    run("destroy").run().expect(ExitCode::Done);
    assert_eq!(
        world
            .traces(guid)
            .await
            .into_iter()
            .filter(|one| !one.contains("rbac") && !one.contains("ServiceAccount"))
            .collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn the_printed_role_is_enough_on_openshift() {
    everything_with_the_role(World::shared().await, "role1").await;
}

#[tokio::test]
async fn the_printed_role_is_enough_on_a_plain_cluster() {
    everything_with_the_role(World::plain().await, "role2").await;
}
