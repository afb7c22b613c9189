//! A lab from start to end, inside this process.

use std::process::Command;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
    runtime::{conditions::is_deleted, wait::Condition, watcher},
};
use serde_json::json;
use tenant_lab::{
    faults::{Behaviour, StandIn},
    gitea::forge,
    lab::{Lab, LabOptions},
};

#[tokio::test]
async fn a_lab_starts_shows_what_changes_and_leaves_nothing() {
    let lab = Lab::up(LabOptions { plain: true, ..LabOptions::default() }).await.expect("the lab starts");
    let folder = lab.kubeconfig().parent().unwrap().to_owned();
    let namespaces: Api<Namespace> = Api::all(lab.client().await.unwrap());

    let before = lab.snapshot().await.unwrap();
    assert!(before.objects.contains_key("namespaces tenant-system"), "no tenant-system in the snapshot");
    assert!(
        before
            .objects
            .contains_key("customresourcedefinitions.apiextensions.k8s.io applications.argoproj.io")
    );
    assert!(!before.objects.keys().any(|key| key.contains("openshift.io")), "plain, yet OpenShift's APIs");
    let forge =
        before.inventory.gitea.iter().find(|gitea| gitea.name == forge::NAME).expect("the forge runs");
    for repository in forge::REPOSITORIES {
        assert!(forge.content.contains(&format!("repo {repository}")), "{:?}", forge.content);
    }

    let namespace = serde_json::from_value(json!({"metadata": {"name": "left-behind"}})).unwrap();
    let created = namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let after = lab.snapshot().await.unwrap();
    let difference = before.diff(&after);
    assert!(difference.contains(&"+ namespaces left-behind".to_owned()), "{difference:?}");

    namespaces.delete("left-behind", &DeleteParams::default()).await.unwrap();
    gone(namespaces, "left-behind", &created.metadata.uid.unwrap()).await;
    assert_eq!(before.diff(&lab.snapshot().await.unwrap()), Vec::<String>::new());

    let names: Vec<_> = lab.env().into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"K8S_AUTH_API_KEY".to_owned()), "{names:?}");
    assert!(lab.vars().contains_key("litellm_master_key"));
    lab.misbehave(StandIn::Litellm, Behaviour::Failing(500), None);
    let key_list = format!("{}/key/list", lab.state().litellm_url);
    let http = tenant_kit::http::client(&tenant_kit::http::ClientSettings::new("test")).unwrap();
    let answer = http.get(key_list).bearer_auth(&lab.state().litellm_master_key).send().await.unwrap();
    assert_eq!(answer.status(), 500);

    // the program finds labs by their folder
    lab.state().write(&folder).unwrap();
    let up = Command::new(env!("CARGO_BIN_EXE_lab")).args(["up", "--name", &lab.state().name]).output();
    let up = up.expect("the program starts");
    let said = String::from_utf8_lossy(&up.stderr);
    assert!(!up.status.success(), "a lab of another kind was taken for the one that was asked for: {said}");
    let (running, wanted) =
        ("size control-plane on plain Kubernetes", "size control-plane with OpenShift's APIs");
    assert!(said.contains(&format!("is running already, but as {running}, not {wanted}")), "{said}");

    lab.down().await.expect("the lab stops");
    assert!(!folder.exists(), "{} is left", folder.display());
}

/// Returns when the namespace is gone.
async fn gone(namespaces: Api<Namespace>, name: &str, uid: &str) {
    use futures::StreamExt;
    let condition = is_deleted(uid);
    let mut seen = Box::pin(watcher::watch_object(namespaces, name));
    while let Some(Ok(object)) = seen.next().await {
        if condition.matches_object(object.as_ref()) {
            return;
        }
    }
    panic!("the watch of namespace {name} ended");
}
