//! From a recipe to the steps of one tenant.

use std::{error::Error, path::Path, sync::Arc};

use serde_json::{Value, json};
use tenant_kit::yaml;
use tenant_workflow::{
    recipe::{Make, Recipe, RecipeError, Settings as EntrySettings},
    step::{Step, StepId},
};

use crate::{
    outputs::Order,
    passwords::Passwords,
    services::litellm::LiteLlm,
    settings::Settings,
    steps::{
        DEFAULT_RECIPE, app_project::AppProject, application_sets::ApplicationSets,
        console_embed::ConsoleEmbed, gitea_instance::GiteaInstance, gitea_user::GiteaUser,
        keycloak_user::KeycloakUser, litellm_key::LiteLlmKey, mcp_servers::McpServers,
        namespaces::Namespaces, showroom::Showroom,
    },
    tenant::Tenant,
};

/// What the steps are made from.
pub struct Ingredients {
    /// What they share.
    pub tenant: Arc<Tenant>,
    /// What the order says.
    pub settings: Settings,
    /// The passwords chosen.
    pub passwords: Passwords,
    /// The user data known beforehand.
    pub order: Order,
}

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeFileError {
    /// The file cannot be read.
    #[error("read the recipe {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is no YAML.
    #[error("read the recipe {path}")]
    Yaml {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: yaml::YamlError,
    },
    /// The list is no recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

/// Reads the recipe of a file, or the one compiled in.
///
/// # Errors
///
/// When the file cannot be read or is no list of steps.
pub fn read(path: Option<&Path>) -> Result<Recipe, RecipeFileError> {
    let document = match path {
        None => Value::Array(DEFAULT_RECIPE.iter().map(|step| json!({"step": step})).collect()),
        Some(path) => {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|source| RecipeFileError::Unreadable { path: shown.clone(), source })?;
            yaml::from_str(&text).map_err(|source| RecipeFileError::Yaml { path: shown, source })?
        }
    };
    Ok(Recipe::read(document)?)
}

/// Makes the recipe's steps.
///
/// # Errors
///
/// When the recipe names a step that does not exist.
pub fn steps(recipe: &Recipe, from: &Ingredients) -> Result<Vec<Arc<dyn Step>>, RecipeError> {
    recipe.make(CATALOGUE, from)
}

type Made = Result<Arc<dyn Step>, Box<dyn Error + Send + Sync>>;

/// How each step is made. A recipe's own settings are in [`Ingredients::settings`] already.
const CATALOGUE: &[(StepId, Make<Ingredients>)] = &[
    ("keycloak-user", |from, _| {
        let password = from.passwords.user.clone();
        made(KeycloakUser::new(Arc::clone(&from.tenant), from.settings.keycloak_user.clone(), password))
    }),
    ("namespaces", |from, _| {
        made(Namespaces::new(Arc::clone(&from.tenant), from.settings.namespaces.clone()))
    }),
    ("app-project", |from, _| {
        let password = from.passwords.argo_cd.clone();
        made(AppProject::new(Arc::clone(&from.tenant), from.settings.app_project.clone(), password))
    }),
    ("gitea-instance", |from, _| {
        let password = from.passwords.gitea_admin.clone();
        made(GiteaInstance::new(Arc::clone(&from.tenant), from.settings.gitea_instance.clone(), password))
    }),
    ("gitea-user", |from, _| {
        let password = from.passwords.gitea.clone();
        made(GiteaUser::new(Arc::clone(&from.tenant), from.settings.gitea_user.clone(), password))
    }),
    ("litellm-key", litellm_key),
    ("mcp-servers", |from, _| made(McpServers::new(Arc::clone(&from.tenant)))),
    ("application-sets", |from, _| {
        let password = from.passwords.librechat.clone();
        made(ApplicationSets::new(Arc::clone(&from.tenant), from.settings.application_sets.clone(), password))
    }),
    ("console-embed", |from, _| made(ConsoleEmbed::new(Arc::clone(&from.tenant)))),
    ("showroom", |from, _| {
        made(Showroom::new(Arc::clone(&from.tenant), from.settings.showroom.clone(), from.order.clone()))
    }),
];

fn litellm_key(from: &Ingredients, _: &EntrySettings) -> Made {
    let (tenant, settings) = (&from.tenant, &from.settings.litellm_key);
    let litellm = settings.proxy().map(|(url, key)| LiteLlm::new(tenant.web.litellm(url), key.clone()));
    let (guid, alias) = (tenant.names.guid().as_str(), tenant.names.key_alias());
    let parts = Arc::clone(tenant);
    made(LiteLlmKey::new(parts, litellm, settings.clone(), guid, alias))
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a catalogue's entries")]
fn made(step: impl Step + 'static) -> Made {
    Ok(Arc::new(step))
}
