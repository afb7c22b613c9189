//! Whoever belongs to one tenant is refused everything in another's namespaces: its user, and every service account its
//! namespaces and our charts have. The API server's own RBAC decides; nothing of it stands in.

use k8s_openapi::api::{
    authorization::v1::{ResourceRule, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client, Config,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tenant_cli::exit::ExitCode;

use crate::{checkout, world::World};

const PARTS: [&str; 8] =
    ["agent", "librechat", "mcp-openshift", "mcp-gitea", "mcp-rhoai", "mcp-kubeflow", "gitea", "showroom"];

/// What our charts give their programs, as `tenant` has Argo CD render them: the charts' own stored renderings.
const CHARTS: [&str; 6] = [
    "agent/tenant",
    "librechat/tenant",
    "mcp-openshift/tenant-toolhive",
    "mcp-gitea/tenant-toolhive",
    "mcp-rhoai/tenant-toolhive",
    "mcp-kubeflow/tenant-toolhive",
];

/// The tenant and the namespace those renderings were made for, and what each is here.
const RENDERED_FOR: [(&str, &str); 2] =
    [("mcpuser-x1", "user-wall1"), ("librechat-test", "librechat-user-wall1")];

/// Somebody, as the API server knows them.
pub(crate) struct Identity {
    name: String,
    groups: Vec<String>,
}

impl Identity {
    fn user(name: &str) -> Self {
        Self { name: name.into(), groups: vec!["system:authenticated".into()] }
    }

    /// Name and groups of a service account
    /// (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>).
    pub(crate) fn service_account(namespace: &str, name: &str) -> Self {
        let groups = [
            "system:serviceaccounts".into(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".into(),
        ];
        Self { name: format!("system:serviceaccount:{namespace}:{name}"), groups: groups.into() }
    }

    pub(crate) async fn client(&self, world: &World) -> Client {
        let kubeconfig =
            Kubeconfig::read_from(world.lab().kubeconfig()).expect("the lab's kubeconfig is there");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.expect("the lab's kubeconfig is usable");
        config.auth_info.impersonate = Some(self.name.clone());
        config.auth_info.impersonate_groups = Some(self.groups.clone());
        Client::try_from(config).expect("the lab's kubeconfig is usable")
    }
}

/// What somebody may do to objects in a namespace, by their own account.
async fn rules(client: &Client, namespace: &str) -> Vec<ResourceRule> {
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.into()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let reviews: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &review).await.expect("everybody may ask");
    review.status.map(|status| status.resource_rules).unwrap_or_default()
}

/// Whether a rule lets nobody do anything but ask about themselves, as everybody may.
fn is_about_oneself(rule: &ResourceRule) -> bool {
    let resources = rule.resources.iter().flatten();
    let groups = rule.api_groups.iter().flatten();
    resources.clone().count() > 0
        && resources.clone().all(|resource| resource.starts_with("selfsubject"))
        && groups.clone().all(|group| group == "authorization.k8s.io" || group == "authentication.k8s.io")
}

pub(crate) fn kind(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// Tries to read, make, change and delete in a namespace; what was let through.
async fn let_through(client: &Client, namespace: &str) -> Vec<String> {
    let mut passed = Vec::new();
    let mut note = |call: &str, error: Option<kube::Error>| match error {
        Some(kube::Error::Api(status)) if status.code == 403 => {}
        Some(error) => passed.push(format!("{call} in {namespace}: not 403, but {error}")),
        None => passed.push(format!("{call} in {namespace}")),
    };
    let kinds = [
        ("v1", "Secret"),
        ("v1", "ConfigMap"),
        ("v1", "Pod"),
        ("v1", "Service"),
        ("apps/v1", "Deployment"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("pfe.rhpds.com/v1", "Gitea"),
        ("route.openshift.io/v1", "Route"),
    ];
    for (version, name) in kinds {
        let mut resource = kind(version, name);
        if name == "Gitea" {
            "gitea".clone_into(&mut resource.plural);
        }
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let object = DynamicObject::new("intruder", &resource).data(json!({}));
        let change = Patch::Merge(json!({"metadata": {"labels": {"intruder": "was here"}}}));
        let (params, patch, delete) =
            (PostParams::default(), PatchParams::default(), DeleteParams::default());
        note(&format!("list {name}"), api.list(&ListParams::default()).await.err());
        note(&format!("get {name}"), api.get("showroom").await.err());
        note(&format!("create {name}"), api.create(&params, &object).await.err());
        note(&format!("patch {name}"), api.patch("showroom", &patch, &change).await.err());
        note(&format!("delete {name}"), api.delete("showroom", &delete).await.err());
        note(
            &format!("delete all {name}"),
            api.delete_collection(&delete, &ListParams::default()).await.err(),
        );
    }
    passed
}

/// Whether a manifest is about who may do what.
pub(crate) fn grants(document: &str) -> bool {
    ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]
        .iter()
        .any(|kind| document.lines().any(|line| line == format!("kind: {kind}")))
}

/// Gives the first tenant the service accounts and rights that the charts would.
async fn install_rights(world: &World) {
    let client = world.client().await;
    for chart in CHARTS {
        let path = checkout::root().join(format!("tests/charts/{chart}.snap"));
        let mut text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (theirs, ours) in RENDERED_FOR {
            text = text.replace(theirs, ours);
        }
        // long texts in other documents are shortened
        for document in text.split("---\n").filter(|document| grants(document)) {
            let object: Value =
                serde_yaml::from_str(document).unwrap_or_else(|error| panic!("{chart}: {error}"));
            let text_of = |at: &Value| at.as_str().unwrap_or_default().to_owned();
            let name = text_of(&object["kind"]);
            assert!(!name.starts_with("Cluster"), "{chart} gives rights in the whole cluster: {object}");
            let (resource, namespace) =
                (kind(&text_of(&object["apiVersion"]), &name), text_of(&object["metadata"]["namespace"]));
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
            let params = PatchParams::apply("charts").force();
            let applied =
                api.patch(&text_of(&object["metadata"]["name"]), &params, &Patch::Apply(&object)).await;
            applied.unwrap_or_else(|error| panic!("{chart}: {name}: {error}"));
        }
    }
}

#[tokio::test]
async fn whoever_belongs_to_one_tenant_is_refused_everything_in_anothers() {
    let world = World::shared().await;
    for guid in ["wall1", "wall2"] {
        let all = ["--mcp-servers", "openshift,gitea,rhoai,kubeflow"];
        world.provision(guid, "order.yml").args(all).run().expect(ExitCode::Done);
    }
    install_rights(world).await;
    let mut identities = vec![Identity::user("user-wall1")];
    for part in PARTS {
        let namespace = format!("{part}-user-wall1");
        let accounts: Api<ServiceAccount> = Api::namespaced(world.client().await, &namespace);
        let accounts = accounts.list(&ListParams::default()).await.expect("service accounts can be listed");
        let names = accounts.items.into_iter().filter_map(|account| account.metadata.name);
        identities.extend(names.map(|name| Identity::service_account(&namespace, &name)));
    }
    for of_charts in ["agent", "openshift-sa", "rhoai-sa", "kubeflow-sa", "showroom"] {
        let known = identities.iter().any(|identity| identity.name.ends_with(&format!(":{of_charts}")));
        assert!(
            known,
            "{of_charts} is missing among {:?}",
            identities.iter().map(|one| &one.name).collect::<Vec<_>>()
        );
    }

    for identity in &identities {
        let client = identity.client(world).await;
        for part in PARTS {
            let namespace = format!("{part}-user-wall2");
            let granted: Vec<_> =
                rules(&client, &namespace).await.into_iter().filter(|rule| !is_about_oneself(rule)).collect();
            assert!(granted.is_empty(), "{} has rights in {namespace}: {granted:#?}", identity.name);
        }
        let passed = let_through(&client, "showroom-user-wall2").await;
        assert!(passed.is_empty(), "{} is let through:\n  {}", identity.name, passed.join("\n  "));
    }
    // and in its own place the user may work, so that the refusals above are about the place
    let own = rules(&identities[0].client(world).await, "agent-user-wall1").await;
    assert!(own.iter().any(|rule| !is_about_oneself(rule)), "user-wall1 may do nothing at home: {own:#?}");

    for guid in ["wall1", "wall2"] {
        world.destroy_without_trace(guid).await;
    }
}
