//! Two tenants on one cluster: neither sees the other, and one goes without the other noticing.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;
use tenant_cli::exit::ExitCode;

use crate::world::World;

/// A client that is `user` to the API server, which decides itself what that user may do.
async fn acting_as(world: &World, user: &str) -> Client {
    let kubeconfig = Kubeconfig::read_from(world.lab().kubeconfig()).expect("the lab's kubeconfig is there");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.expect("the lab's kubeconfig is usable");
    config.auth_info.impersonate = Some(user.to_owned());
    Client::try_from(config).expect("the lab's kubeconfig is usable")
}

async fn may(client: &Client, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
    let attributes = ResourceAttributes {
        verb: Some(verb.into()),
        group: Some(group.into()),
        resource: Some(resource.into()),
        namespace: Some(namespace.into()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &review).await.expect("everybody may ask");
    review.status.is_some_and(|status| status.allowed)
}

/// Everything whose name tells that it is this tenant's.
async fn belongings(world: &World, guid: &str) -> (BTreeMap<String, Value>, Vec<String>) {
    let snapshot = world.snapshot().await;
    let outside = [snapshot.inventory.litellm_keys, snapshot.inventory.keycloak_users].concat();
    let gitea =
        snapshot.inventory.gitea.into_iter().flat_map(|gitea| [vec![gitea.name], gitea.content].concat());
    (
        snapshot.objects.into_iter().filter(|(key, _)| key.contains(guid)).collect(),
        outside.into_iter().chain(gitea).filter(|line| line.contains(guid)).collect(),
    )
}

#[tokio::test]
async fn tenants_neither_see_nor_disturb_each_other() {
    let world = World::shared().await;
    for guid in ["iso1", "iso2"] {
        world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    }
    let one = acting_as(world, "user-iso1").await;
    for part in ["agent", "librechat", "mcp-openshift", "mcp-gitea", "gitea", "showroom"] {
        let (own, other) = (format!("{part}-user-iso1"), format!("{part}-user-iso2"));
        let maps: Api<ConfigMap> = Api::namespaced(one.clone(), &own);
        let seen = maps.list(&ListParams::default()).await;
        assert!(seen.is_ok(), "user-iso1 cannot read {own}: {seen:?}");
        let secrets: Api<Secret> = Api::namespaced(one.clone(), &other);
        let refused =
            secrets.list(&ListParams::default()).await.expect_err("another tenant's Secrets are read");
        assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");
        for (verb, group, resource) in [
            ("get", "", "configmaps"),
            ("list", "", "pods"),
            ("create", "", "pods"),
            ("get", "apps", "deployments"),
            ("create", "rbac.authorization.k8s.io", "rolebindings"),
        ] {
            let allowed = may(&one, verb, group, resource, &other).await;
            assert!(!allowed, "user-iso1 may {verb} {resource} in {other}");
        }
    }
    for (verb, group, resource, namespace) in [
        ("list", "", "secrets", ""),
        ("get", "", "secrets", "tenant-system"),
        ("get", "", "secrets", "openshift-gitops"),
        ("get", "", "configmaps", "kube-system"),
        ("create", "", "namespaces", ""),
        ("patch", "security.openshift.io", "securitycontextconstraints", ""),
        ("create", "argoproj.io", "applications", "openshift-gitops"),
        ("patch", "argoproj.io", "appprojects", "openshift-gitops"),
    ] {
        let allowed = may(&one, verb, group, resource, namespace).await;
        assert!(!allowed, "user-iso1 may {verb} {resource} in {namespace:?}");
    }

    let before = belongings(world, "iso2").await;
    world.destroy_without_trace("iso1").await;
    let after = belongings(world, "iso2").await;
    for (key, object) in &before.0 {
        assert_eq!(after.0.get(key), Some(object), "destroying iso1 changed {key} of iso2");
    }
    assert_eq!(after.1, before.1, "destroying iso1 changed what iso2 holds outside the cluster");
    world.destroy_without_trace("iso2").await;
}

#[tokio::test]
async fn tenants_come_and_go_at_the_same_time() {
    let world = World::shared().await;
    let guids = ["abreast1", "abreast2", "abreast3"];
    let start = |command: fn(&World, &str) -> crate::program::Program| {
        let running: Vec<_> = guids.iter().map(|guid| command(world, guid).start()).collect();
        for one in running {
            one.wait_with(|_| ()).expect(ExitCode::Done);
        }
    };
    start(|world, guid| world.provision(guid, "order.yml"));
    start(World::destroy);
    for guid in guids {
        assert_eq!(world.traces(guid).await, Vec::<String>::new(), "{guid}");
    }
}
