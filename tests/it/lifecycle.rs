//! A tenant comes up, stays as it is, and goes away without a trace.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use tenant_cli::{
    exit::ExitCode,
    names::{GUID_LABEL, MANAGED_BY_LABEL},
};

use crate::{
    versions::{moved, settled},
    world::World,
};

/// What an order promises, by the names other tools look for.
const PROMISED: [&str; 23] = [
    "namespaces agent-user-GUID",
    "namespaces librechat-user-GUID",
    "namespaces mcp-openshift-user-GUID",
    "namespaces mcp-gitea-user-GUID",
    "namespaces gitea-user-GUID",
    "namespaces showroom-user-GUID",
    "clusterresourcequotas.quota.openshift.io tenant-user-GUID",
    "limitranges agent-user-GUID/tenant-limit-range",
    "rolebindings.rbac.authorization.k8s.io agent-user-GUID/admin-user-GUID",
    "appprojects.argoproj.io openshift-gitops/appproject-user-GUID",
    "gitea.pfe.rhpds.com gitea-user-GUID/gitea",
    "routes.route.openshift.io gitea-user-GUID/gitea",
    "secrets mcp-gitea-user-GUID/gitea-creds",
    "securitycontextconstraints.security.openshift.io user-GUID-mcpserver-scc",
    "applicationsets.argoproj.io openshift-gitops/user-GUID-agent",
    "applicationsets.argoproj.io openshift-gitops/user-GUID-librechat",
    "applicationsets.argoproj.io openshift-gitops/user-GUID-librechat-config",
    "applicationsets.argoproj.io openshift-gitops/user-GUID-mcp-gitea",
    "applicationsets.argoproj.io openshift-gitops/user-GUID-mcp-openshift",
    "deployments.apps showroom-user-GUID/showroom",
    "routes.route.openshift.io showroom-user-GUID/showroom",
    "secrets showroom-user-GUID/showroom-userdata",
    "secrets tenant-system/tenant-GUID",
];

#[tokio::test]
async fn up_again_down_again() {
    let world = World::own(false).await;
    let client = world.client().await;
    let untouched = world.snapshot().await;

    let first = world.provision("life1", "order.yml").run().expect(ExitCode::Done);
    let up = world.snapshot().await;
    let names: Vec<&String> = up.objects.keys().filter(|key| !untouched.objects.contains_key(*key)).collect();
    for promised in PROMISED.map(|name| name.replace("GUID", "life1")) {
        assert!(names.iter().any(|name| **name == promised), "no {promised} among {names:#?}");
    }
    assert_eq!(up.inventory.litellm_keys, ["virtkey-life1"]);
    assert_eq!(up.inventory.keycloak_users, ["user-life1"]);
    let gitea = up.inventory.gitea.iter().find(|gitea| gitea.name.contains("life1"));
    let content = &gitea.unwrap_or_else(|| panic!("no Gitea of its own: {:?}", up.inventory.gitea)).content;
    for line in ["user user-life1", "repo user-life1/mcp"] {
        assert!(content.iter().any(|held| held == line), "no {line:?} in {content:?}");
    }
    for key in ["gitea_password: ", "librechat_url: ", "litellm_virtual_key: sk-", "lab_ui_url: https://"] {
        assert!(first.stdout.contains(key), "no {key:?} in the data: {first}");
    }

    let before = settled(&client).await;
    let second = world.provision("life1", "order.yml").run().expect(ExitCode::Done);
    let after = settled(&client).await;
    assert_eq!(second.stdout, first.stdout, "the second run hands over other data");
    let written = moved(&before, &after);
    assert!(written.iter().all(|key| key == "secrets. tenant-system/tenant-life1"), "{written:#?}\n{second}");
    assert_eq!(world.snapshot().await.inventory, up.inventory, "the second run changed what is outside");

    let down = world.destroy("life1").run().expect(ExitCode::Done);
    let difference = untouched.diff(&world.snapshot().await);
    assert!(difference.is_empty(), "left behind, or taken along:\n{}\n{down}", difference.join("\n"));

    let before = settled(&client).await;
    let again = world.destroy("life1").run().expect(ExitCode::Done);
    let written = moved(&before, &settled(&client).await);
    assert!(written.is_empty(), "{written:#?}\n{again}");
    assert!(untouched.diff(&world.snapshot().await).is_empty());
}

#[tokio::test]
async fn every_object_says_whose_it_is() {
    let world = World::shared().await;
    let ended = world.provision("label1", "order.yml").run().expect(ExitCode::Done);
    let snapshot = world.snapshot().await;
    for key in ["namespaces agent-user-label1", "secrets tenant-system/tenant-label1"]
        .into_iter()
        .chain(["appprojects.argoproj.io openshift-gitops/appproject-user-label1"])
        .chain(["gitea.pfe.rhpds.com gitea-user-label1/gitea"])
        .chain(["applicationsets.argoproj.io openshift-gitops/user-label1-agent"])
    {
        let object = snapshot.objects.get(key).unwrap_or_else(|| panic!("no {key}: {ended}"));
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels[MANAGED_BY_LABEL], "tenant", "{key}");
        assert_eq!(labels[GUID_LABEL], "label1", "{key}");
    }
    world.destroy_without_trace("label1").await;
}

#[tokio::test]
async fn a_tenant_that_never_existed_is_destroyed_at_once() {
    let world = World::shared().await;
    world.destroy_without_trace("never1").await;
    // the order's file is at hand as often as not
    let ended = world.destroy("never1").vars(&crate::world::order_file("order.yml")).run();
    ended.expect(ExitCode::Done);
}

#[tokio::test]
async fn a_tenant_without_its_record_is_destroyed_and_set_up_again() {
    let world = World::shared().await;
    let records: Api<Secret> = Api::namespaced(world.client().await, "tenant-system");
    let lose = async |guid: &str| {
        records.delete(&format!("tenant-{guid}"), &DeleteParams::default()).await.expect("there is a record")
    };
    world.provision("lost1", "order.yml").run().expect(ExitCode::Done);
    lose("lost1").await;
    // passwords are chosen anew, and set: the second run's data are true
    world.provision("lost1", "order.yml").run().expect(ExitCode::Done);
    lose("lost1").await;
    world.destroy_without_trace("lost1").await;
}

#[tokio::test]
async fn destroy_takes_nothing_that_is_not_the_tenants() {
    let world = World::shared().await;
    let namespaces: Api<Namespace> = Api::all(world.client().await);
    // the names of a tenant `mine1`, made by somebody else
    let namespace = serde_json::from_value(json!({"metadata": {"name": "agent-user-mine1"}})).unwrap();
    namespaces.create(&kube::api::PostParams::default(), &namespace).await.unwrap();
    world.destroy("mine1").run().expect(ExitCode::Done);
    let params = ListParams::default().fields("metadata.name=agent-user-mine1");
    let left = namespaces.list(&params).await.unwrap();
    let phase = left.items.first().and_then(|namespace| namespace.status.as_ref()?.phase.clone());
    assert_eq!(phase.as_deref(), Some("Active"), "somebody else's namespace was deleted");
    namespaces.delete("agent-user-mine1", &DeleteParams::default()).await.unwrap();
}
