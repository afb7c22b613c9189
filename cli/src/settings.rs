//! Everything an order decides, read once and before anything is touched.

use serde_json::{Map, Value};
use tenant_workflow::{recipe::Recipe, step::StepId};

use crate::{
    names::{self, Findings, NameError, Names},
    order::{VarError, Vars, source::Origin},
    passwords::Given,
    steps::{
        app_project, application_sets, gitea_instance, gitea_user, keycloak_user, litellm_key, namespaces,
        showroom,
    },
};

/// The order's decisions, step by step.
#[derive(Clone)]
pub struct Settings {
    /// Every name.
    pub names: Names,
    /// Domain of the cluster's routes, if the order names it.
    pub domain: Option<String>,
    /// Address of the API server, for the user data.
    pub api_url: Option<String>,
    /// Passwords the order gives.
    pub passwords: Given,
    /// Step `keycloak-user`.
    pub keycloak_user: keycloak_user::Settings,
    /// Step `namespaces`.
    pub namespaces: namespaces::Settings,
    /// Step `app-project`.
    pub app_project: app_project::Settings,
    /// Step `gitea-instance`.
    pub gitea_instance: gitea_instance::Settings,
    /// Step `gitea-user`.
    pub gitea_user: gitea_user::Settings,
    /// Step `litellm-key`.
    pub litellm_key: litellm_key::Settings,
    /// Step `application-sets`.
    pub application_sets: application_sets::Settings,
    /// Step `showroom`.
    pub showroom: showroom::Settings,
}

/// Why an order cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// A variable cannot be used.
    #[error(transparent)]
    Variable(#[from] VarError),
    /// A name would be impossible.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A recipe's settings are no variables.
    #[error("the settings of step `{step}` in the recipe are not a map of variables")]
    RecipeSettings {
        /// The step.
        step: String,
    },
}

impl Settings {
    /// Reads an order. What a recipe sets for a step are variables that count for that step only, before all
    /// others. `findings` is what the cluster says of the tenant's names.
    ///
    /// # Errors
    ///
    /// When a variable is missing, of the wrong type or cannot be rendered, or the guid makes a name impossible.
    pub fn read(vars: &Vars, guid: &str, recipe: &Recipe, findings: &Findings) -> Result<Self, OrderError> {
        let names = Names::derive(names::guid(Some(guid), vars)?, vars, findings)?;
        let of = |step: StepId| overlaid(vars, recipe, step);
        let application_sets = application_sets::Settings::read(&of("application-sets")?)?;
        let repositories = vec![application_sets.librechat_repository.clone()];
        let domain = [
            "openshift_cluster_ingress_domain",
            "sandbox_openshift_ingress_domain",
            "sandbox_openshift_apps_domain",
            "showroom_openshift_apps_domain",
        ];
        Ok(Self {
            domain: vars.text(&domain)?.map(|domain| domain.trim_matches('.').to_owned()),
            api_url: vars.text(&["sandbox_openshift_api_url", "openshift_api_url"])?,
            passwords: Given::read(vars)?,
            keycloak_user: keycloak_user::Settings::read(&of("keycloak-user")?)?,
            namespaces: namespaces::Settings::read(&of("namespaces")?)?,
            app_project: app_project::Settings::read(&of("app-project")?, repositories)?,
            gitea_instance: gitea_instance::Settings::read(&of("gitea-instance")?)?,
            gitea_user: gitea_user::Settings::read(&of("gitea-user")?)?,
            litellm_key: litellm_key::Settings::read(&of("litellm-key")?, names.guid().as_str())?,
            showroom: showroom::Settings::read(&of("showroom")?)?,
            application_sets,
            names,
        })
    }
}

fn overlaid(vars: &Vars, recipe: &Recipe, step: StepId) -> Result<Vars, OrderError> {
    let Some(entry) = recipe.entries.iter().find(|entry| entry.step == step) else { return Ok(vars.clone()) };
    let settings: Map<String, Value> =
        entry.settings.read().map_err(|_| OrderError::RecipeSettings { step: step.to_owned() })?;
    Ok(settings
        .into_iter()
        .fold(vars.clone(), |vars, (name, value)| vars.with(&name, value, Origin::Default)))
}
