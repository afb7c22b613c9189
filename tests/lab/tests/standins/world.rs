//! One lab for all tests of this program, and what they do with it.

use std::{fmt::Debug, time::Duration};

use futures::StreamExt as _;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use tenant_kit::http::{ClientSettings, Detour};
use tenant_lab::lab::{Lab, LabOptions};
use tokio::sync::OnceCell;

/// Where Argo CD lives.
pub(crate) const ARGOCD: &str = "openshift-gitops";

/// Stand-ins answer within a fraction of a second; a busy machine may take longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A kind: API version, name, plural.
pub(crate) type Kind = (&'static str, &'static str, &'static str);

pub(crate) const APPLICATION: Kind = ("argoproj.io/v1alpha1", "Application", "applications");
pub(crate) const APPLICATION_SET: Kind = ("argoproj.io/v1alpha1", "ApplicationSet", "applicationsets");
pub(crate) const APP_PROJECT: Kind = ("argoproj.io/v1alpha1", "AppProject", "appprojects");
pub(crate) const CLAIM: Kind = ("v1", "PersistentVolumeClaim", "persistentvolumeclaims");
pub(crate) const DEPLOYMENT: Kind = ("apps/v1", "Deployment", "deployments");
pub(crate) const GITEA: Kind = ("pfe.rhpds.com/v1", "Gitea", "gitea");
pub(crate) const DEFINITION: Kind =
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions");
pub(crate) const LIFECYCLE_SERVER: Kind = ("mcp.x-k8s.io/v1alpha1", "MCPServer", "mcpservers");
pub(crate) const MCP_SERVER: Kind = ("toolhive.stacklok.dev/v1beta1", "MCPServer", "mcpservers");
pub(crate) const NAMESPACE: Kind = ("v1", "Namespace", "namespaces");
pub(crate) const ROUTE: Kind = ("route.openshift.io/v1", "Route", "routes");
pub(crate) const SECRET: Kind = ("v1", "Secret", "secrets");

static LAB: OnceCell<Lab> = OnceCell::const_new();

/// The lab, from the eyes of one test: the connections are the test's own.
pub(crate) struct World {
    pub(crate) lab: &'static Lab,
    pub(crate) client: Client,
    pub(crate) http: reqwest::Client,
}

impl World {
    pub(crate) async fn enter() -> Self {
        let lab =
            LAB.get_or_init(async || Lab::up(LabOptions::default()).await.expect("the lab starts")).await;
        let state = lab.state();
        let kubeconfig = Kubeconfig::read_from(lab.kubeconfig()).expect("the lab's kubeconfig is readable");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.expect("the lab's kubeconfig is complete"));
        let address = state.router.expect("the lab has a router");
        let http = tenant_kit::http::client(&ClientSettings {
            extra_roots: Some(state.router_ca.clone()),
            detour: Some(Detour { domain: state.domain.clone(), address }),
            ..ClientSettings::new("standins-test")
        });
        Self { lab, client: client.expect("a client"), http: http.expect("an HTTP client") }
    }

    fn api(&self, (version, kind, plural): Kind, namespace: &str) -> Api<DynamicObject> {
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let kind = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        if namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        }
    }

    /// Creates or changes the object.
    pub(crate) async fn apply(&self, kind: Kind, namespace: &str, name: &str, mut object: Value) {
        object["apiVersion"] = kind.0.into();
        object["kind"] = kind.1.into();
        object["metadata"]["name"] = name.into();
        let params = PatchParams::apply("standins-test").force();
        let answer = self.api(kind, namespace).patch(name, &params, &Patch::Apply(object)).await;
        answer.unwrap_or_else(|error| panic!("apply {} {namespace}/{name}: {error}", kind.1));
    }

    pub(crate) async fn delete(&self, kind: Kind, namespace: &str, name: &str) {
        let answer = self.api(kind, namespace).delete(name, &DeleteParams::background()).await;
        answer.unwrap_or_else(|error| panic!("delete {} {namespace}/{name}: {error}", kind.1));
    }

    /// Waits until the object satisfies `condition`; `what` is told with its last state otherwise.
    pub(crate) async fn until(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        what: &str,
        condition: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let mut last = None;
        let found = self.watch(kind, namespace, name, |object| {
            let fits = object.is_some_and(&condition);
            last = object.cloned();
            fits
        });
        match found.await {
            Some(Some(object)) => object,
            _ => panic!("{} {namespace}/{name}: not {what}; last seen {}", kind.1, shown(last)),
        }
    }

    /// The one of two namespaces whose object of that name is the first to satisfy `condition`.
    pub(crate) async fn until_either(
        &self,
        kind: Kind,
        namespaces: [&str; 2],
        name: &str,
        what: &str,
        condition: impl Fn(&DynamicObject) -> bool,
    ) -> String {
        let [left, right] = namespaces;
        let first = tokio::select! {
            _ = self.until(kind, left, name, what, &condition) => left,
            _ = self.until(kind, right, name, what, &condition) => right,
        };
        first.to_owned()
    }

    /// Waits until the object is gone.
    pub(crate) async fn gone(&self, kind: Kind, namespace: &str, name: &str) {
        let mut last = None;
        let found = self.watch(kind, namespace, name, |object| {
            last = object.cloned();
            object.is_none()
        });
        let is_gone = found.await.is_some();
        assert!(is_gone, "{} {namespace}/{name} is still there: {}", kind.1, shown(last));
    }

    async fn watch(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        mut enough: impl FnMut(Option<&DynamicObject>) -> bool,
    ) -> Option<Option<DynamicObject>> {
        let states = watcher::watch_object(self.api(kind, namespace), name).default_backoff();
        let mut states = Box::pin(states);
        let search = async {
            while let Some(state) = states.next().await {
                if let Ok(object) = state
                    && enough(object.as_ref())
                {
                    return Some(object);
                }
            }
            None
        };
        tokio::time::timeout(PATIENCE, search).await.ok().flatten()
    }

    /// Namespaces `{suffix}-{user}` and a project that permits all of them but Gitea's.
    pub(crate) async fn tenant(&self, user: &str) {
        let namespaces = ["agent", "gitea", "librechat", "mcp-gitea", "mcp-openshift"];
        for suffix in namespaces {
            self.apply(NAMESPACE, "", &format!("{suffix}-{user}"), json!({})).await;
        }
        self.project(user).await;
    }

    pub(crate) async fn project(&self, user: &str) {
        let server = "https://kubernetes.default.svc";
        let permitted = ["agent", "librechat", "mcp-gitea", "mcp-openshift"];
        let destinations =
            permitted.map(|suffix| json!({ "server": server, "namespace": format!("{suffix}-{user}") }));
        let spec = json!({ "sourceRepos": ["*"], "destinations": destinations });
        self.apply(APP_PROJECT, ARGOCD, &format!("appproject-{user}"), json!({ "spec": spec })).await;
    }

    pub(crate) async fn leave(&self, user: &str) {
        self.delete(APP_PROJECT, ARGOCD, &format!("appproject-{user}")).await;
        let namespaces = ["agent", "gitea", "librechat", "mcp-gitea", "mcp-openshift"];
        for suffix in namespaces {
            self.delete(NAMESPACE, "", &format!("{suffix}-{user}")).await;
        }
        for suffix in namespaces {
            self.gone(NAMESPACE, "", &format!("{suffix}-{user}")).await;
        }
    }

    /// A `Gitea` resource as the provisioner writes it, with one migrated repository.
    pub(crate) async fn gitea(&self, user: &str) {
        let repository = "https://github.com/rhpds/ocpsandbox-mcp-with-openshift-gitops.git";
        let spec = json!({
            "giteaSsl": true,
            "giteaAdminUser": "gitea-admin",
            "giteaCreateUsers": true,
            "giteaUserNumber": 1,
            "giteaGenerateUserFormat": user,
            "giteaMigrateRepositories": true,
            "giteaRepositoriesList": [{ "name": "mcp", "repo": repository, "private": false }],
        });
        self.apply(GITEA, &format!("gitea-{user}"), "gitea", json!({ "spec": spec })).await;
    }

    /// An ApplicationSet for the component `librechat`, whose chart the forge has; `change` may spoil it.
    pub(crate) async fn librechat(&self, user: &str, change: impl FnOnce(&mut Value)) {
        let source = json!({
            "repoURL": "https://github.com/danny-avila/LibreChat",
            "path": "./helm/librechat",
            "targetRevision": "v0.8.1",
            "helm": { "values": "user: {{ user }}\n" },
        });
        let template = json!({
            "metadata": { "name": "librechat-{{ user }}" },
            "spec": {
                "project": format!("appproject-{user}"),
                "destination": {
                    "server": "https://kubernetes.default.svc",
                    "namespace": format!("librechat-{user}"),
                },
                "syncPolicy": { "automated": { "prune": true } },
                "source": source,
            },
        });
        let generator = json!({ "list": { "elements": [{ "user": user }] } });
        let mut set = json!({ "spec": { "generators": [generator], "template": template } });
        change(&mut set);
        self.apply(APPLICATION_SET, ARGOCD, &format!("{user}-librechat"), set).await;
    }

    pub(crate) async fn librechat_secret(&self, user: &str) {
        let secret = json!({ "data": { "CREDS_KEY": "c2VjcmV0" } });
        self.apply(SECRET, &format!("librechat-{user}"), "librechat-credentials-env", secret).await;
    }

    /// Status of a GET through the router.
    pub(crate) async fn status(&self, host: &str, path: &str) -> u16 {
        let url = format!("https://{host}.{}{path}", self.lab.state().domain);
        let answer = self.http.get(&url).send().await;
        answer.unwrap_or_else(|error| panic!("GET {url}: {error:?}")).status().as_u16()
    }
}

/// The object as JSON, without the bookkeeping of who wrote what.
fn shown(object: Option<DynamicObject>) -> String {
    let Some(mut object) = object else { return "nothing".to_owned() };
    object.metadata.managed_fields = None;
    serde_json::to_string_pretty(&object).unwrap_or_default()
}

/// Whether one of the conditions has these fields.
pub(crate) fn has_condition(object: &DynamicObject, fields: &[(&str, &str)]) -> bool {
    let conditions = object.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| {
        fields.iter().all(|(name, text)| condition[*name].as_str().is_some_and(|value| value.contains(text)))
    })
}

pub(crate) fn is_healthy(application: &DynamicObject) -> bool {
    let status = &application.data["status"];
    status["sync"]["status"] == "Synced" && status["health"]["status"] == "Healthy"
}

/// The text, or a failure that shows what was there instead.
pub(crate) fn text<'a>(value: &'a Value, context: &impl Debug) -> &'a str {
    value.as_str().unwrap_or_else(|| panic!("no text in {context:#?}"))
}
