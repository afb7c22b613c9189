//! The commands that change nothing: `status`, `plan`, `render`, `list`, `variables`, `completions`.

use insta::{assert_snapshot, with_settings};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};
use tenant_cli::exit::ExitCode;

use crate::{
    program::{Ended, Program},
    versions::{moved, settled},
    world::{World, order_file},
};

/// Step → what the command says of it, in JSON.
fn states(ended: &Ended) -> Vec<(String, String)> {
    let last = ended.stdout.lines().last().unwrap_or_default();
    let last: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ended}"));
    let steps = last["data"]["steps"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    steps.iter().map(|step| (text(&step["step"]), text(&step["state"]))).collect()
}

/// The steps that are in `state`.
fn those(states: &[(String, String)], state: &str) -> Vec<String> {
    states.iter().filter(|(_, found)| found == state).map(|(step, _)| step.clone()).collect()
}

#[tokio::test]
async fn a_tenant_before_during_and_after() {
    let world = World::shared().await;
    let look = |command: &str| {
        let program = world.command(command, "look1").vars(&order_file("order.yml"));
        let text = program.clone().run().expect(ExitCode::Done);
        (text, states(&program.args(["-o", "json"]).run().expect(ExitCode::Done)))
    };
    for command in ["status", "plan"] {
        let (text, states) = look(command);
        assert_eq!(those(&states, "absent").len(), 9, "{states:?} {text}");
    }
    assert_eq!(world.traces("look1").await, Vec::<String>::new(), "looking left something");

    world.provision("look1", "order.yml").run().expect(ExitCode::Done);
    let (plan, states) = look("plan");
    assert_eq!(those(&states, "present").len(), 10, "{states:?} {plan}");
    let (seen, _) = look("status");
    with_settings!({filters => vec![(r"apps\.test-[0-9a-f]{8}\.lab\.test", "[domain]")]}, {
        assert_snapshot!("status", seen.stdout);
        assert_snapshot!("plan", plan.stdout);
    });

    // by hand, as somebody might
    let client = world.client().await;
    let quota = ApiResource {
        group: "quota.openshift.io".into(),
        version: "v1".into(),
        api_version: "quota.openshift.io/v1".into(),
        kind: "ClusterResourceQuota".into(),
        plural: "clusterresourcequotas".into(),
    };
    let quotas: Api<DynamicObject> = Api::all_with(client.clone(), &quota);
    let more = json!({"spec": {"quota": {"hard": {"limits.cpu": "999"}}}});
    let by_hand = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    quotas.patch("tenant-user-look1", &by_hand, &Patch::Merge(more)).await.expect("there is a quota");
    let services: Api<k8s_openapi::api::core::v1::Service> = Api::namespaced(client, "showroom-user-look1");
    services.delete("showroom", &DeleteParams::default()).await.expect("there is a Service");

    let (plan, states) = look("plan");
    assert_eq!(those(&states, "drifted"), ["namespaces", "showroom"], "{states:?} {plan}");
    for named in ["tenant-user-look1", "limits.cpu", "999", "Service showroom-user-look1/showroom is missing"]
    {
        assert!(plan.stdout.contains(named), "does not name {named:?}: {plan}");
    }

    world.provision("look1", "order.yml").run().expect(ExitCode::Done);
    let (plan, states) = look("plan");
    assert_eq!(those(&states, "present").len(), 10, "provision repaired less than all: {states:?} {plan}");

    // the guid is enough once there is a record
    let bare = world.command("status", "look1").args(["-o", "json"]).run().expect(ExitCode::Done);
    assert_eq!(self::states(&bare), states, "{bare}");
    world.destroy_without_trace("look1").await;
}

#[tokio::test]
async fn a_variable_that_an_order_does_not_set_any_more_is_forgotten() {
    let world = World::shared().await;
    let image = json!({"ocp4_workload_ocpsandbox_mcp_user_gitea_image": "mirror.lab.test/gitea-mcp:1"});
    let order = || world.provision("look9", "order.yml");
    let look = || world.command("status", "look9").args(["-o", "json"]).run().expect(ExitCode::Done);
    order().args(["-e", &image.to_string()]).run().expect(ExitCode::Done);
    assert_eq!(those(&states(&look()), "present").len(), 10, "{}", look());

    order().run().expect(ExitCode::Done);
    assert_eq!(those(&states(&look()), "present").len(), 10, "{}", look());
    world.destroy_without_trace("look9").await;
}

#[tokio::test]
async fn looking_writes_nothing() {
    let world = World::own(true).await;
    let client = world.client().await;
    world.provision("still1", "order.yml").run().expect(ExitCode::Done);
    let before = settled(&client).await;
    for command in ["status", "plan"] {
        world.command(command, "still1").vars(&order_file("order.yml")).run().expect(ExitCode::Done);
    }
    world.program().arg("list").vars(world.platform()).run().expect(ExitCode::Done);
    let written = moved(&before, &settled(&client).await);
    assert!(written.is_empty(), "{written:#?}");
}

#[tokio::test]
async fn tenants_are_listed() {
    let world = World::shared().await;
    for guid in ["list1", "list2"] {
        world.provision(guid, "order.yml").args(["--only", "litellm-key"]).run().expect(ExitCode::Done);
    }
    let list = || world.program().arg("list").vars(world.platform());
    let ended = list().run().expect(ExitCode::Done);
    for guid in ["list1", "list2"] {
        let line = ended.stdout.lines().find(|line| line.starts_with(guid));
        let line = line.unwrap_or_else(|| panic!("no {guid}: {ended}"));
        assert!(
            line.contains(&format!("user-{guid}")) && line.ends_with('-') && line.contains(" ready "),
            "{line}"
        );
    }
    let ended = list().args(["-o", "json"]).run().expect(ExitCode::Done);
    let listed: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended}"));
    let guids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|one| one["guid"].clone()).collect();
    assert!(guids.contains(&json!("list1")) && guids.contains(&json!("list2")), "{listed}");
    for guid in ["list1", "list2"] {
        world.destroy_without_trace(guid).await;
        assert!(!list().run().expect(ExitCode::Done).stdout.contains(guid), "{guid} is still listed");
    }
}

#[test]
fn render_needs_no_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let render = |arguments: &[&str]| {
        let program = Program::new(folder.path()).args(["render", "--guid", "x1"]);
        let program = program.args(arguments.iter().copied()).vars(&order_file("platform.yml"));
        program.vars(&order_file("order.yml")).run().expect(ExitCode::Done)
    };
    assert_snapshot!("render", render(&[]).stdout);
    let plain = render(&["--plain"]);
    assert!(plain.stdout.contains("kind: Ingress"), "{plain}");
    assert!(!plain.stdout.contains("openshift.io/v1"), "OpenShift's kinds for a plain cluster: {plain}");
    let project = render(&["--only", "app-project"]);
    assert_eq!(project.stdout.matches("\nkind: ").count(), 1, "{project}");
    let json = render(&["-o", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["v"], &json["of"]), (&json!(1), &json!("render")));
}

#[test]
fn variables_and_completions() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        Program::new(folder.path()).args(arguments.iter().copied()).run().expect(ExitCode::Done).stdout
    };
    let variables = run(&["variables"]);
    for known in ["guid (text)", "litellm_master_key", "ocp4_workload_showroom_content_git_repo"] {
        assert!(variables.contains(known), "`variables` does not tell {known}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(script.contains("provision") && script.contains("ignore-unknown-workloads"), "{shell}");
    }
}

#[test]
fn help_teaches() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Program::new(folder.path()).arg("--help").run().expect(ExitCode::Done);
    for taught in ["tenant provision --guid x1 -e @order.yml", "Exit codes:", "K8S_AUTH_HOST"] {
        assert!(ended.stdout.contains(taught), "does not say {taught:?}: {ended}");
    }
    for command in ["provision", "destroy", "status", "plan", "render", "list", "doctor", "extend"] {
        let ended = Program::new(folder.path()).args([command, "--help"]).run().expect(ExitCode::Done);
        assert!(ended.stdout.contains("Usage: tenant "), "{ended}");
    }
}
