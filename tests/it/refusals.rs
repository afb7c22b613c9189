//! Input that cannot work: one clear line, the right exit code, and nothing is touched.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use insta::{assert_snapshot, with_settings};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, api::DeleteParams, runtime::conditions::is_deleted, runtime::wait::Condition as _};
use serde_json::json;
use tenant_cli::exit::ExitCode;

use crate::{
    checkout,
    program::{Ended, Program},
    world::{World, order_file},
};

/// What stderr says, without what differs from machine to machine.
fn told(ended: &Ended, folder: &Path) -> String {
    let top = checkout::root().display().to_string();
    let told = ended.stderr.replace(&top, "[top]").replace(&folder.display().to_string(), "[folder]");
    assert!(ended.stdout.is_empty(), "data on stdout although it failed: {ended}");
    told
}

/// Says it in a line that begins with `error:`, and at most adds causes and a hint.
#[track_caller]
fn clear(ended: &Ended) {
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let errors = lines.iter().filter(|line| line.starts_with("error: ")).count();
    let known = |line: &&str| {
        ["error: ", "warning: ", "  caused by: ", "hint: "].iter().any(|start| line.starts_with(start))
    };
    assert!(errors == 1 && lines.iter().all(known) && lines.len() <= 4, "not one clear line: {ended}");
}

#[test]
fn broken_orders_name_place_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    let files = fs::read_dir(order_file("broken")).unwrap().map(|entry| entry.unwrap().path());
    for file in files {
        // Latin-1 on purpose, in one of them
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        let first = text.lines().next().unwrap_or_default();
        // a plan needs a cluster once the order is good, and there is none here
        let ended = Program::new(folder.path()).arg("plan").vars(&file).run();
        if let Some(warned) = first.strip_prefix("# warned: ") {
            assert!(ended.stderr.lines().next().unwrap_or_default().contains(warned), "{ended}");
            assert_eq!(ended.stderr.matches("warning: ").count(), 1, "more than the near miss: {ended}");
            continue;
        }
        let expected = first.strip_prefix("# expected: ").unwrap_or("is encrypted by ansible-vault");
        let ended = ended.expect(ExitCode::Usage);
        let line = ended.stderr.lines().next().unwrap_or_default();
        assert!(line.contains(expected), "not {expected:?}: {ended}");
        clear(&ended);
        seen += 1;
    }
    assert!(seen > 15, "only {seen} broken orders were found");
}

#[test]
fn what_broken_orders_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut files: Vec<_> =
        fs::read_dir(order_file("broken")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all = String::new();
    for file in files.iter().filter(|file| !file.ends_with("near-miss.yml")) {
        let ended = Program::new(folder.path()).arg("plan").vars(file).run().expect(ExitCode::Usage);
        all.push_str(&told(&ended, folder.path()));
    }
    assert_snapshot!("broken_orders", all);
}

#[test]
fn impossible_guids() {
    let folder = tempfile::tempdir().unwrap();
    let long = "a".repeat(64);
    let mut all = String::new();
    for guid in ["", "Lab1", "x_1", "a-", "a.b", "ä", "../x", "x 1", &long] {
        let guid = format!("--guid={guid}");
        for command in ["provision", "destroy", "status", "plan", "render"] {
            let program = Program::new(folder.path()).args([command, guid.as_str()]);
            let ended = program.vars(&order_file("order.yml")).run().expect(ExitCode::Usage);
            clear(&ended);
            if command == "destroy" {
                all.push_str(&told(&ended, folder.path()));
            }
        }
    }
    let none = Program::new(folder.path()).arg("provision").vars(&order_file("order.yml")).run();
    all.push_str(&told(&none.expect(ExitCode::Usage), folder.path()));
    assert_snapshot!("impossible_guids", all);
}

#[test]
fn missing_files_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = String::new();
    let table: [&[&str]; 7] = [
        &["provision", "--guid", "x1", "-e", "@nowhere.yml"],
        &["provision", "--guid", "x1", "--vars-file", "nowhere.yml"],
        &["provision", "--guid", "x1", "--recipe", "nowhere.yml"],
        &["provision", "--guid", "x1", "-e", "{guid: x1"],
        &["list", "--kubeconfig", "nowhere"],
        &["list", "--api-url", "https://127.0.0.1:1", "--token-file", "nowhere"],
        &["list"],
    ];
    for arguments in table {
        let ended = Program::new(folder.path()).args(arguments.iter().copied()).run().expect(ExitCode::Usage);
        clear(&ended);
        all.push_str(&told(&ended, folder.path()));
    }
    assert_snapshot!("missing_files", all);
}

/// Variables of a cluster that is not the lab's.
fn cluster(folder: &Path, url: &str) -> std::path::PathBuf {
    let vars = json!({
        "sandbox_openshift_api_url": url,
        "cluster_admin_agnosticd_sa_token": "sha256~not-a-token-of-anybody",
        "openshift_cluster_ingress_domain": "apps.example.com",
    });
    let file = folder.join("platform.json");
    fs::write(&file, vars.to_string()).expect("a temporary folder can be written to");
    file
}

#[test]
fn an_unreachable_cluster() {
    let folder = tempfile::tempdir().unwrap();
    // a port nobody listens on: it was ours a moment ago
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let gone = cluster(folder.path(), &format!("https://127.0.0.1:{port}"));
    let mut all = String::new();
    for command in ["provision", "destroy", "status", "plan"] {
        let program = Program::new(folder.path()).args([command, "--guid", "x1"]);
        let ended = program.vars(&order_file("order.yml")).vars(&gone).run().expect(ExitCode::Service);
        clear(&ended);
        all += &[command, "\n", &told(&ended, folder.path())].concat();
    }
    with_settings!({filters => vec![(r"127\.0\.0\.1:\d+", "[address]")]}, {
        assert_snapshot!("unreachable", all);
    });
}

#[test]
fn a_cluster_that_is_gone_for_good() {
    let folder = tempfile::tempdir().unwrap();
    // a name nobody can register (RFC 2606)
    let gone = cluster(folder.path(), "https://api.gone.invalid:6443");
    let program = |command: &str| {
        let program = Program::new(folder.path()).args([command, "--guid", "x1"]);
        program.vars(&order_file("order.yml")).vars(&gone)
    };
    let destroyed = program("destroy").run().expect(ExitCode::Done);
    destroyed.says(&["warning: ", "does not exist any more", "virtual key"]);
    let ended = program("provision").run();
    clear(&ended);
    assert!(matches!(ended.code(), Some(2 | 6)), "{ended}");
}

#[tokio::test]
async fn an_unauthorised_token() {
    let world = World::shared().await;
    let vars = json!({"cluster_admin_agnosticd_sa_token": "sha256~not-a-token-of-anybody"});
    let token = world.write("bad-token.json", &vars.to_string());
    let mut all = String::new();
    for command in ["provision", "status", "plan"] {
        let ended = world.command(command, "denied1").vars(&order_file("order.yml")).vars(&token).run();
        let ended = ended.expect(ExitCode::Denied);
        clear(&ended);
        all += &[command, "\n", &told(&ended, world.folder())].concat();
    }
    // an automation whose token has expired must not keep the placement for ever
    let ended = world.destroy("denied1").vars(&token).run().expect(ExitCode::Done);
    all += &["destroy\n", ended.stderr.as_str()].concat();
    assert_eq!(world.traces("denied1").await, Vec::<String>::new());
    let filters = vec![(r"127\.0\.0\.1:\d+", "[address]"), (r"\d+(\.\d+)?( ?ms|s)", "[time]")];
    with_settings!({filters => filters}, { assert_snapshot!("unauthorised", all) });
}

#[tokio::test]
async fn an_order_that_lacks_what_a_step_needs() {
    let world = World::shared().await;
    let vars = json!({"litellm_master_key": ""});
    let without = world.write("no-master-key.json", &vars.to_string());
    let ended = world.provision("lacks1", "order.yml").vars(&without).run().expect(ExitCode::Usage);
    clear(&ended);
    assert_snapshot!("no_master_key", told(&ended, world.folder()));
    assert_eq!(world.traces("lacks1").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_cluster_without_an_operator() {
    let world = World::own(false).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client().await);
    let name = "gitea.pfe.rhpds.com";
    let uid = definitions.get(name).await.unwrap().metadata.uid.unwrap();
    definitions.delete(name, &DeleteParams::default()).await.unwrap();
    gone(definitions, name, &uid).await;
    let before = world.snapshot().await;

    let ended = world.provision("crd1", "order.yml").run().expect(ExitCode::Usage);
    clear(&ended);
    assert_snapshot!("missing_crd", told(&ended, world.folder()));
    let difference = before.diff(&world.snapshot().await);
    assert!(difference.is_empty(), "touched although it was refused:\n{}", difference.join("\n"));

    world.destroy("crd1").run().expect(ExitCode::Done);
    let difference = before.diff(&world.snapshot().await);
    assert!(difference.is_empty(), "destroy left or took something:\n{}", difference.join("\n"));
}

/// Waits until a kind's definition is gone.
pub(crate) async fn gone(definitions: Api<CustomResourceDefinition>, name: &str, uid: &str) {
    use futures::StreamExt as _;
    let condition = is_deleted(uid);
    let mut seen = Box::pin(kube::runtime::watcher::watch_object(definitions, name));
    while let Some(Ok(object)) = seen.next().await {
        if condition.matches_object(object.as_ref()) {
            return;
        }
    }
    panic!("the watch of {name} ended");
}
