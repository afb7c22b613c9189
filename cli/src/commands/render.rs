//! `tenant render`: the objects a provision would write, without a cluster and without secrets.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::{
    args::{ClusterArgs, RenderArgs},
    cluster::Cluster,
    exit::ExitCode,
    facts::{ArgoCdProject, Facts, GiteaInstance, GiteaLogin, KeycloakUser, LiteLlmKey, Token},
    names::Findings,
    opening::{self, Workplace},
    passwords::Passwords,
    problem::Problem,
    recipe::Ingredients,
    record::Record,
    report::{json::Json, printer::Format},
    services::gitea::Login,
    settings::Settings,
    steps::{
        Manifests, app_project::AppProject, application_sets::ApplicationSets, gitea_instance,
        mcp_servers::McpServers, namespaces::Namespaces, showroom::Showroom,
    },
    tenant::Tenant,
    user_data::pyyaml,
};

/// What an OpenShift cluster with the platform's operators serves, as far as the objects depend on it.
const OPENSHIFT: [(&str, &str); 3] =
    [("route.openshift.io", "v1"), ("security.openshift.io", "v1"), ("quota.openshift.io", "v1")];

/// Stands where only a run can know the value.
const LATER: &str = "chosen-by-provision";

/// Prints the objects as YAML (or JSON) on stdout.
///
/// # Errors
///
/// What is wrong with the order.
pub async fn render(workplace: &Workplace, args: &RenderArgs) -> Result<ExitCode, Problem> {
    let read = workplace.read(args.tenant.guid.as_deref(), &args.order, None)?;
    let settings = Settings::read(&read.vars, &read.guid, &read.recipe, &Findings::default())?;
    let from = ingredients(workplace, settings, args.plain).await?;
    let mut objects = Vec::new();
    for (step, manifests) in steps(&from) {
        if args.only.is_empty() || args.only.iter().any(|only| only == step) {
            objects.extend(manifests.manifests().await?);
        }
    }
    let documents: Vec<Value> =
        objects.into_iter().map(|(at, object)| masked(from.tenant.complete(&at, object))).collect();
    match workplace.printer.format() {
        Format::Json => {
            Json::new(workplace.printer.clone()).result("render", Some(&read.guid), json!(documents));
        }
        Format::Text => {
            for document in documents {
                let Value::Object(document) = document else { continue };
                workplace.printer.data(&pyyaml::dump(&document));
            }
        }
    }
    Ok(ExitCode::Done)
}

async fn ingredients(workplace: &Workplace, settings: Settings, plain: bool) -> Result<Ingredients, Problem> {
    let later = || SecretString::from(LATER);
    let domain = settings.domain.clone().unwrap_or_else(|| "apps.example.com".to_owned());
    let cluster = Cluster::offline(if plain { &[] } else { &OPENSHIFT });
    let names = settings.names.clone();
    let record = Record::open(None, None, &names, Arc::clone(&workplace.redactor))?;
    let web = workplace.web(&ClusterArgs::offline(), &settings, &domain)?;
    let facts = Facts::default();
    let login = Login { user: names.username().to_string(), password: later() };
    let host = names.host(crate::names::Component::Gitea, &domain);
    facts.keycloak.fill(KeycloakUser { console_url: None })?;
    facts.argo_cd.fill(ArgoCdProject { project: names.app_project().to_owned(), server: None })?;
    facts.gitea.fill(GiteaInstance { url: format!("https://{host}"), admin: login.clone(), owned: true })?;
    facts.gitea_login.fill(GiteaLogin(login))?;
    facts.gitea_token.fill(Token(later()))?;
    facts.litellm.fill(LiteLlmKey {
        endpoint: settings
            .litellm_key
            .url
            .clone()
            .unwrap_or_else(|| "https://litellm.example.com".to_owned()),
        value: later(),
        id: LATER.to_owned(),
        alias: names.key_alias().to_owned(),
        models: settings.litellm_key.models().to_vec(),
        duration: String::new(),
    })?;
    let passwords = Passwords::placeholders(&later(), &record).await;
    let tenant = Arc::new(Tenant { names, cluster, record, facts, domain, web });
    Ok(opening::ingredients(&tenant, settings, passwords))
}

fn steps(from: &Ingredients) -> Vec<(&'static str, Box<dyn Manifests>)> {
    let Ingredients { tenant, settings, passwords, order } = from;
    let tenant = || Arc::clone(tenant);
    vec![
        ("namespaces", Box::new(Namespaces::new(tenant(), settings.namespaces.clone()))),
        (
            "app-project",
            Box::new(AppProject::new(tenant(), settings.app_project.clone(), passwords.argo_cd.clone())),
        ),
        (
            "gitea-instance",
            Box::new(gitea_instance::GiteaInstance::new(
                tenant(),
                settings.gitea_instance.clone(),
                passwords.gitea_admin.clone(),
            )),
        ),
        ("mcp-servers", Box::new(McpServers::new(tenant()))),
        (
            "application-sets",
            Box::new(ApplicationSets::new(
                tenant(),
                settings.application_sets.clone(),
                passwords.librechat.clone(),
            )),
        ),
        ("showroom", Box::new(Showroom::new(tenant(), settings.showroom.clone(), order.clone()))),
    ]
}

/// The values of Secrets do not belong on a screen, not even those only a run would choose.
fn masked(mut object: Value) -> Value {
    if object["kind"] == "Secret"
        && let Some(data) = object["data"].as_object_mut()
    {
        *data = data.keys().map(|key| (key.clone(), json!("***"))).collect::<Map<_, _>>();
    }
    object
}
