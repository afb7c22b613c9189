//! What the owner of a tenant gets to know: the user data, put together from the facts of a run.
//!
//! Keys and scopes are those of agnosticd-compat.md 4.3. A fact whose step did not run leaves its keys out.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use tenant_workflow::step::StepId;

use crate::{names::McpServer, tenant::Tenant, user_data::UserData};

/// What the user data say that no step finds out: it is known before the first one starts.
#[derive(Debug, Clone)]
pub struct Order {
    /// Address of the API server, if the order names it.
    pub api_url: Option<String>,
    /// Password of the login in the realm.
    pub password: SecretString,
    /// Password of the local Argo CD account.
    pub argo_cd_password: SecretString,
    /// Where the applications answer.
    pub applications: Applications,
    /// Whether the messages tell the virtual key; the data do in any case.
    pub key_told: bool,
}

/// Where the tenant's applications answer.
#[derive(Debug, Clone)]
pub struct Applications {
    /// LibreChat.
    pub librechat_url: String,
    /// Login there.
    pub librechat_user: String,
    /// Password there.
    pub librechat_password: SecretString,
    /// The MCP servers, inside the cluster.
    pub mcp_servers: Vec<(McpServer, String)>,
    /// Password the owner is told beside them; by upstream's contract that of Gitea.
    pub password: SecretString,
}

/// Everything the steps that `ran` have to say, as the plugin `agnosticd_user_info` would have collected it.
pub fn user_data(tenant: &Tenant, order: &Order, ran: impl Fn(StepId) -> bool) -> UserData {
    let mut data = UserData::default();
    let username = tenant.names.username().as_str();
    data.merge(global(tenant, order, &ran));
    let personal = personal(tenant, order, &ran);
    if !personal.is_empty() {
        data.merge_user(username, personal);
    }
    for message in messages(tenant, order.key_told, &ran) {
        data.message(message);
    }
    if let Some(guide) = tenant.facts.showroom.peek().filter(|_| ran("showroom")) {
        let message = format!("Lab instructions: {}", guide.url);
        data.message(&message);
        data.user_message(username, message);
    }
    data
}

/// What the lab guide shows: the global keys and the user's own, flat (provisioning.md 7.2). The guide's own
/// address is not among them: the guide cannot depend on itself.
pub fn guide_data(tenant: &Tenant, order: &Order) -> Map<String, Value> {
    let before = |step: StepId| step != "showroom";
    let mut data = global(tenant, order, &before);
    data.extend(personal(tenant, order, &before));
    data.insert("guid".to_owned(), json!(tenant.names.guid().as_str()));
    data
}

fn global(tenant: &Tenant, order: &Order, ran: &impl Fn(StepId) -> bool) -> Map<String, Value> {
    let (facts, username) = (&tenant.facts, tenant.names.username().as_str());
    let mut data = Map::new();
    let mut set = |key: &str, value: Value| drop(data.insert(key.to_owned(), value));
    set("openshift_cluster_ingress_domain", json!(tenant.domain));
    if let Some(url) = &order.api_url {
        set("openshift_api_url", json!(url));
    }
    if let Some(keycloak) = facts.keycloak.peek().filter(|_| ran("keycloak-user")) {
        set("user", json!(username));
        set("password", json!(order.password.expose_secret()));
        if let Some(url) = &keycloak.console_url {
            set("openshift_console_url", json!(url));
        }
    }
    if let Some(argo_cd) = facts.argo_cd.peek().filter(|_| ran("app-project")) {
        set("argocd_project", json!(argo_cd.project));
        if let Some(server) = &argo_cd.server {
            set("openshift_gitops_server", json!(server));
            set("openshift_gitops_user", json!(username));
            set("openshift_gitops_password", json!(order.argo_cd_password.expose_secret()));
            set("openshift_gitops_appproject", json!(argo_cd.project));
        }
    }
    if let Some(gitea) = facts.gitea.peek().filter(|_| ran("gitea-instance")) {
        set("gitea_url", json!(gitea.url));
    }
    if let Some(login) = facts.gitea_login.peek().filter(|_| ran("gitea-user")) {
        // one role calls it this, another that; catalogs read either
        set("gitea_user", json!(login.0.user));
        set("gitea_username", json!(login.0.user));
        set("gitea_password", json!(login.0.password.expose_secret()));
    }
    if let Some(key) = facts.litellm.peek().filter(|_| ran("litellm-key")) {
        set("litellm_api_endpoint", json!(key.endpoint));
        set("litellm_api_base_url", json!(format!("{}/v1", key.endpoint)));
        set("litellm_virtual_key", json!(key.value.expose_secret()));
        set("litellm_key_alias", json!(key.alias));
        set("litellm_key_id", json!(key.id));
        set("litellm_available_models", json!(key.models));
        set("litellm_available_models_list", json!(key.models.join(", ")));
        set("litellm_key_duration", json!(key.duration));
    }
    if let Some(guide) = facts.showroom.peek().filter(|_| ran("showroom")) {
        set("lab_ui_url", json!(guide.url));
        set("showroom_primary_view_url", json!(guide.url));
    }
    data
}

fn personal(tenant: &Tenant, order: &Order, ran: &impl Fn(StepId) -> bool) -> Map<String, Value> {
    let mut data = Map::new();
    let mut set = |key: &str, value: Value| drop(data.insert(key.to_owned(), value));
    if ran("application-sets") {
        let applications = &order.applications;
        set("user", json!(tenant.names.username().as_str()));
        set("password", json!(applications.password.expose_secret()));
        set("librechat_url", json!(applications.librechat_url));
        set("librechat_user", json!(applications.librechat_user));
        set("librechat_password", json!(applications.librechat_password.expose_secret()));
        for (server, url) in &applications.mcp_servers {
            set(&format!("{server}_mcp_server_url"), json!(url));
        }
    }
    if let Some(guide) = tenant.facts.showroom.peek().filter(|_| ran("showroom")) {
        set("lab_ui_url", json!(guide.url));
        set("showroom_primary_view_url", json!(guide.url));
    }
    data
}

fn messages(tenant: &Tenant, key_told: bool, ran: &impl Fn(StepId) -> bool) -> Vec<String> {
    let facts = &tenant.facts;
    let project = facts.argo_cd.peek().filter(|_| ran("app-project"));
    let mut all: Vec<String> = project
        .map(|one| format!("OpenShift GitOps AppProject created: {}", one.project))
        .into_iter()
        .collect();
    if let Some(key) = facts.litellm.peek().filter(|_| key_told && ran("litellm-key")) {
        all.push(format!("LiteMaaS API Base URL: {}/v1", key.endpoint));
        all.push(format!("LiteMaaS Virtual Key: {}", key.value.expose_secret()));
        all.push(format!("Available Models: {}", key.models.join(", ")));
        all.push(format!("Key Duration: {}", key.duration));
    }
    all
}
