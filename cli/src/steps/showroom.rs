//! The lab guide: Showroom's workload with the tenant's user data.
//!
//! The user data hold passwords, so they are in a Secret, not in a `ConfigMap` as upstream's chart has them; and
//! the namespace is the one the order names, never one with the user's name appended (defects 18 and 42 of
//! provisioning.md 9).

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures::future::{BoxFuture, FutureExt as _, ready};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tenant_workflow::{
    scope::Scope,
    step::{Failure, Outcome, RevertAfter, Seen, State, Step, StepError, StepId},
};

use crate::{
    cluster::{
        CONFIG_MAP, DEPLOYMENT, Hindrance, INGRESS, Kind, Object, ObjectRef, ROLE_BINDING, ROUTE, SECRET,
        SERVICE, SERVICE_ACCOUNT, Select, VOLUME_CLAIM, Verdict, of_deployment,
    },
    facts::Showroom as Fact,
    manifest,
    names::Component,
    order::{VarError, Vars},
    outputs::{self, Order},
    rights::{FOLLOW, OWN, Right},
    steps::{Manifests, outlook::Outlook},
    tenant::Tenant,
    user_data::pyyaml,
};

/// What the step does at the API server.
pub const RIGHTS: &[Right] = &[
    Right::on(SERVICE_ACCOUNT, OWN),
    Right::on(ROLE_BINDING, OWN),
    Right::to_bind(&["edit"]),
    Right::on(SECRET, OWN),
    Right::on(CONFIG_MAP, OWN),
    Right::on(VOLUME_CLAIM, OWN),
    Right::on(DEPLOYMENT, OWN),
    Right::on(DEPLOYMENT, FOLLOW),
    Right::on(SERVICE, OWN),
    Right::on(ROUTE, OWN),
    Right::on(ROUTE, FOLLOW),
    Right::on(INGRESS, OWN).instead_of(ROUTE),
];

const PREFIX: &str = "ocp4_workload_showroom_";
const TEMPLATE: &str = include_str!("../../templates/showroom.yaml.hbs");

/// What an order says about the lab guide.
#[derive(Debug, Clone)]
pub struct Settings {
    name: String,
    repository: String,
    revision: String,
    playbook: String,
    images: Images,
    terminal: Option<Value>,
}

#[derive(Debug, Clone, serde::Serialize)]
struct Images {
    git_cloner: String,
    antora: String,
    nginx: String,
    content: String,
    terminal: String,
}

impl Settings {
    /// Reads the order's variables (agnosticd-compat.md 3.9).
    ///
    /// # Errors
    ///
    /// When a variable has the wrong type.
    pub fn read(vars: &Vars) -> Result<Self, VarError> {
        let text = |suffix: &str, default: &str| {
            let name = format!("{PREFIX}{suffix}");
            vars.text(&[&name]).map(|found| found.unwrap_or_else(|| default.to_owned()))
        };
        let terminal = text("terminal_type", "showroom")? == "showroom";
        let resources = json!({
            "requests": {"cpu": text("terminal_requests_cpu", "50m")?, "memory": text("terminal_requests_memory", "256Mi")?},
            "limits": {"cpu": text("terminal_limits_cpu", "500m")?, "memory": text("terminal_limits_memory", "1Gi")?},
        });
        Ok(Self {
            name: text("name", "showroom")?,
            repository: text("content_git_repo", "https://github.com/rhpds/showroom_template_default.git")?,
            revision: text("content_git_repo_ref", "main")?,
            playbook: text("content_antora_playbook", "site.yml")?,
            images: Images {
                git_cloner: text("git_cloner_image", "ghcr.io/rhpds/git-cloner:v1.0.0")?,
                antora: text("antora_image", "ghcr.io/rhpds/antora:v0.0.2")?,
                nginx: "quay.io/rhpds/nginx:1.25".to_owned(),
                content: text("content_image", "ghcr.io/rhpds/showroom-content:v1.3.1")?,
                terminal: text("terminal_image", "quay.io/rhpds/openshift-showroom-terminal-ocp:4.20")?,
            },
            terminal: terminal.then_some(resources),
        })
    }
}

/// The step.
pub struct Showroom {
    tenant: Arc<Tenant>,
    settings: Settings,
    order: Order,
}

impl Showroom {
    /// The step for a tenant; `order` is what the user data say besides the run's facts.
    pub fn new(tenant: Arc<Tenant>, settings: Settings, order: Order) -> Self {
        Self { tenant, settings, order }
    }

    fn namespace(&self) -> &str {
        self.tenant.names.namespace(Component::Showroom).as_str()
    }

    fn service(&self) -> &str {
        self.tenant.names.route(Component::Showroom)
    }

    /// Every object of the guide, by kind and name.
    fn inventory(&self) -> Vec<(Kind, String)> {
        let name = &self.settings.name;
        let door = if self.tenant.has_routes() { ROUTE } else { INGRESS };
        vec![
            (SERVICE_ACCOUNT, name.clone()),
            (ROLE_BINDING, format!("edit-{name}-sa")),
            (SECRET, format!("{name}-userdata")),
            (CONFIG_MAP, format!("{name}-proxy-config")),
            (VOLUME_CLAIM, format!("{name}-terminal-lab-user-home")),
            (DEPLOYMENT, name.clone()),
            (SERVICE, self.service().to_owned()),
            (door, self.service().to_owned()),
        ]
    }

    fn made(&self) -> Vec<ObjectRef> {
        let objects = self.inventory().into_iter();
        objects.map(|(kind, name)| ObjectRef::new(kind, self.namespace(), name)).collect()
    }

    fn objects(&self) -> Result<Vec<(ObjectRef, Value)>, StepError> {
        let names = &self.tenant.names;
        let data = outputs::guide_data(&self.tenant, &self.order);
        let text = pyyaml::dump(&data);
        let Settings { name, repository, revision, playbook, images, terminal } = &self.settings;
        let values = json!({
            "name": name,
            "service": self.service(),
            "namespace": self.namespace(),
            "role_binding": format!("edit-{name}-sa"),
            "user_data_secret": format!("{name}-userdata"),
            "user_data": BASE64.encode(&text),
            "user_data_digest": hex::encode(Sha256::digest(text.as_bytes())),
            "proxy_config": format!("{name}-proxy-config"),
            "home": format!("{name}-terminal-lab-user-home"),
            "images": images,
            "content": {"repository": repository, "revision": revision, "playbook": playbook},
            "terminal": terminal,
            "domain": self.tenant.domain,
            "host": self.host(),
            "guid": names.guid().as_str(),
            "user": names.username().as_str(),
            "routes": self.tenant.has_routes(),
            "small": {
                "requests": {"cpu": "50m", "memory": "128Mi"},
                "limits": {"cpu": "500m", "memory": "512Mi"},
            },
            "restricted": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": true,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        });
        let inventory = self.inventory();
        let wanted: Vec<(Kind, &str)> = inventory.iter().map(|(kind, name)| (*kind, name.as_str())).collect();
        manifest::objects("showroom.yaml.hbs", TEMPLATE, &values, self.namespace(), &wanted).map_err(
            |error| StepError::new(Failure::Internal, "write the lab guide's manifest").because(error),
        )
    }

    fn host(&self) -> String {
        self.tenant.names.host(Component::Showroom, &self.tenant.domain)
    }

    fn fill(&self) -> Result<String, StepError> {
        let url = format!("https://{}/", self.host());
        self.tenant.facts.showroom.fill(Fact { url: url.clone() })?;
        Ok(url)
    }

    async fn until_ready(&self, scope: &Scope) -> Result<(), StepError> {
        let at = ObjectRef::new(DEPLOYMENT, self.namespace(), &self.settings.name);
        let (selector, cluster) = (self.tenant.selector(), &self.tenant.cluster);
        let select = Select::Ours(&at.name, &selector);
        cluster
            .until(scope, &at.to_string(), &DEPLOYMENT, &at.namespace, select, |found| {
                judge_deployment(found.get(&at.name).map(AsRef::as_ref))
            })
            .await
    }

    async fn until_admitted(&self, scope: &Scope) -> Result<(), StepError> {
        if !self.tenant.has_routes() {
            scope.note("no Routes here: an Ingress publishes the lab guide");
            return Ok(());
        }
        let at = ObjectRef::new(ROUTE, self.namespace(), self.service());
        let (selector, cluster) = (self.tenant.selector(), &self.tenant.cluster);
        let select = Select::Ours(&at.name, &selector);
        cluster
            .until(scope, &at.to_string(), &ROUTE, &at.namespace, select, |found| {
                judge_route(&at, found.get(&at.name).map(AsRef::as_ref))
            })
            .await
    }
}

fn judge_deployment(found: Option<&Object>) -> Verdict<()> {
    let Some(object) = found else { return Verdict::NotYet("it does not exist (any more)".to_owned()) };
    let status = &object.data["status"];
    let current = status["observedGeneration"].as_i64() >= object.metadata.generation;
    let condition = |kind: &str| {
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.find(|condition| condition["type"] == kind)
    };
    if current && condition("Available").is_some_and(|available| available["status"] == "True") {
        return Verdict::Done(());
    }
    let told = ["Progressing", "Available"].into_iter().find_map(condition);
    let message = told.and_then(|condition| condition["message"].as_str()).unwrap_or("no pod is ready yet");
    match of_deployment(object) {
        Some(hindrance) => Verdict::Held(hindrance),
        None => Verdict::NotYet(message.to_owned()),
    }
}

fn judge_route(at: &ObjectRef, found: Option<&Object>) -> Verdict<()> {
    let ingresses = found.and_then(|route| route.data["status"]["ingress"].as_array());
    let mut conditions =
        ingresses.into_iter().flatten().flat_map(|one| one["conditions"].as_array().into_iter().flatten());
    match conditions.find(|condition| condition["type"] == "Admitted") {
        Some(admitted) if admitted["status"] == "True" => Verdict::Done(()),
        Some(refused) => {
            let message =
                refused["message"].as_str().or(refused["reason"].as_str()).unwrap_or("it is not admitted");
            Verdict::Never(
                StepError::new(Failure::Service, format!("publish {at}"))
                    .because(message.to_owned())
                    .hint(format!("kubectl -n {} get route {} -o yaml", at.namespace, at.name)),
            )
        }
        None => Verdict::NotYet("no router has admitted it yet".to_owned()),
    }
}

impl Manifests for Showroom {
    fn manifests(&self) -> BoxFuture<'_, Result<Vec<(ObjectRef, Value)>, StepError>> {
        ready(self.objects()).boxed()
    }
}

impl Step for Showroom {
    fn id(&self) -> StepId {
        "showroom"
    }

    fn title(&self) -> &'static str {
        "lab guide"
    }

    fn needs(&self) -> &'static [StepId] {
        // the guide shows values only: nothing needs to answer yet
        &["keycloak-user", "namespaces", "app-project", "gitea-instance", "gitea-user", "litellm-key"]
    }

    fn revert_after(&self) -> RevertAfter {
        RevertAfter::Only(&[])
    }

    fn probe<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let compared = self.tenant.compare_all(self.objects()?).await?;
            let Some(differences) = compared else { return Ok(Seen::new(State::Absent, [])) };
            let url = self.fill()?;
            let at = ObjectRef::new(DEPLOYMENT, self.namespace(), &self.settings.name);
            match judge_deployment(self.tenant.cluster.get(&at).await?.as_ref()) {
                Verdict::NotYet(seen) | Verdict::Held(Hindrance { seen, .. }) if differences.is_empty() => {
                    Ok(Seen::new(State::NotReady, [seen]))
                }
                _ => Ok(super::seen(Some(differences), || vec![url])),
            }
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move { Ok(Outlook::on(&self.tenant, self.made()).await?.seen()) }.boxed()
    }

    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let changed = self.tenant.apply_all(self.objects()?).await?;
            let namespaces = [self.namespace()];
            let ready = self.tenant.cluster.explained(scope, &namespaces, self.until_ready(scope));
            futures::try_join!(ready, self.until_admitted(scope))?;
            Ok(super::outcome(changed, self.fill()?))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let changed = self.tenant.remove_all(self.made()).await?;
            Ok(super::reverted(changed, "lab guide gone"))
        }
        .boxed()
    }
}
