//! From the role names of a catalog to our steps.
//!
//! Three generations of role names circulate. Roles are recognised by their last part, with or without
//! collection and `ocp4_workload_`, because catalogs pin collections under different names. The list selects
//! steps; their order is the recipe's.

use serde_json::Value;

use super::vars::{VarError, Vars};

/// The user in the identity provider's realm.
pub const KEYCLOAK_USER: &str = "keycloak-user";
/// Namespaces with quota and access.
pub const NAMESPACES: &str = "namespaces";
/// The Argo CD project and account.
pub const APP_PROJECT: &str = "app-project";
/// The tenant's Gitea.
pub const GITEA_INSTANCE: &str = "gitea-instance";
/// User and repositories in Gitea.
pub const GITEA_USER: &str = "gitea-user";
/// The virtual key of the LLM proxy.
pub const LITELLM_KEY: &str = "litellm-key";
/// What the MCP servers need.
pub const MCP_SERVERS: &str = "mcp-servers";
/// The tenant's applications.
pub const APPLICATION_SETS: &str = "application-sets";
/// The check of the console's embedding.
pub const CONSOLE_EMBED: &str = "console-embed";
/// The lab guide.
pub const SHOWROOM: &str = "showroom";

/// Every step a role may stand for, in the order of the recipe.
pub const ALL: [&str; 10] = [
    KEYCLOAK_USER,
    NAMESPACES,
    APP_PROJECT,
    GITEA_INSTANCE,
    GITEA_USER,
    LITELLM_KEY,
    MCP_SERVERS,
    APPLICATION_SETS,
    CONSOLE_EMBED,
    SHOWROOM,
];

/// Roles, without collection and `ocp4_workload_`, and the steps they stand for.
///
/// `gitops_bootstrap` brings the applications of the second generation, project and MCP servers included;
/// `showroom_user_data_seed` only passes variables on, which needs no step.
pub const ROLES: &[(&str, &[&str])] = &[
    ("ocpsandbox_keycloak_user", &[KEYCLOAK_USER]),
    ("tenant_keycloak_user", &[KEYCLOAK_USER]),
    ("tenant_namespace", &[NAMESPACES]),
    ("ocpsandbox_argocd_user", &[APP_PROJECT]),
    ("tenant_openshift_gitops", &[APP_PROJECT]),
    ("ocpsandbox_gitea_instance", &[GITEA_INSTANCE]),
    ("ocpsandbox_gitea_user", &[GITEA_USER]),
    ("tenant_gitea", &[GITEA_INSTANCE, GITEA_USER]),
    ("tenant_gitea_user", &[GITEA_USER]),
    ("litellm_virtual_keys", &[LITELLM_KEY]),
    ("ocpsandbox_mcp_user", &[MCP_SERVERS, APPLICATION_SETS]),
    ("gitops_bootstrap", &[APP_PROJECT, MCP_SERVERS, APPLICATION_SETS]),
    ("ocp_console_embed", &[CONSOLE_EMBED]),
    ("showroom_ocp_integration", &[CONSOLE_EMBED]),
    ("showroom", &[SHOWROOM]),
    ("showroom_user_data_seed", &[]),
    ("tenant", &ALL),
];

/// What the order wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Set up: `workloads`.
    Provision,
    /// Take away: `remove_workloads`, and `workloads` when that is empty.
    Destroy,
}

/// The steps a list of workloads stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Steps, in the order of the recipe, each once.
    pub steps: Vec<&'static str>,
    /// Roles we have nothing for, as written.
    pub unknown: Vec<String>,
}

/// A list of workloads that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// The variable cannot be read.
    #[error(transparent)]
    Variable(#[from] VarError),
    /// Roles we have nothing for.
    #[error(
        "`{variable}` lists {}, which this program does not replace; take {} out, or pass \
         --ignore-unknown-workloads to leave {} to Ansible",
        quoted(.roles), pronoun(.roles), pronoun(.roles)
    )]
    Unknown {
        /// The variable.
        variable: &'static str,
        /// The roles, as written.
        roles: Vec<String>,
    },
}

fn quoted(roles: &[String]) -> String {
    roles.iter().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ")
}

fn pronoun(roles: &[String]) -> &'static str {
    if roles.len() == 1 { "it" } else { "them" }
}

/// The steps the order selects; `None` when it lists no workloads, which means all.
///
/// # Errors
/// A list that cannot be read, and roles we have nothing for unless `ignore_unknown`.
pub fn selection(
    vars: &Vars,
    direction: Direction,
    ignore_unknown: bool,
) -> Result<Option<Selection>, WorkloadError> {
    let variables: &[&'static str] = match direction {
        Direction::Provision => &["workloads"],
        Direction::Destroy => &["remove_workloads", "workloads"],
    };
    for variable in variables.iter().copied() {
        let roles = roles(vars, variable)?;
        if roles.is_empty() {
            continue;
        }
        let selection = translate(&roles);
        if !selection.unknown.is_empty() && !ignore_unknown {
            return Err(WorkloadError::Unknown { variable, roles: selection.unknown });
        }
        return Ok(Some(selection));
    }
    Ok(None)
}

/// The role names of a variable; entries are names, or maps with a `name`.
fn roles(vars: &Vars, variable: &str) -> Result<Vec<String>, VarError> {
    let items = match vars.json(&[variable])? {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(Value::String(text)) => text.split(',').map(Value::from).collect(),
        Some(_) => return Err(vars.invalid(variable, "expected a list of role names")),
    };
    let mut roles = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let name = item.as_str().or_else(|| item.get("name").and_then(Value::as_str)).map(str::trim);
        match name {
            Some("") => {}
            Some(name) => roles.push(name.to_owned()),
            None => {
                let problem = format!("item {} is neither a role name nor a map with a `name`", index + 1);
                return Err(vars.invalid(variable, problem));
            }
        }
    }
    Ok(roles)
}

/// Translates role names, whatever their order.
pub fn translate(roles: &[String]) -> Selection {
    let mut selected = Vec::new();
    let mut unknown = Vec::new();
    for role in roles {
        match steps_of(role) {
            Some(steps) => selected.extend_from_slice(steps),
            None => unknown.push(role.clone()),
        }
    }
    let steps = ALL.iter().copied().filter(|step| selected.contains(step)).collect();
    Selection { steps, unknown }
}

/// The steps one role stands for; `None` for a role that is not ours.
pub fn steps_of(role: &str) -> Option<&'static [&'static str]> {
    let bare = role.rsplit('.').next().unwrap_or(role);
    let bare = bare.strip_prefix("ocp4_workload_").unwrap_or(bare);
    ROLES.iter().find(|(name, _)| *name == bare).map(|(_, steps)| *steps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vars(value: Value) -> Vars {
        let Value::Object(map) = value else { panic!("a map of variables is expected, got {value}") };
        map.into_iter().collect()
    }

    #[test]
    fn the_seven_roles_of_the_first_generation_select_their_steps() {
        let vars = vars(json!({"workloads": [
            "agnosticd.namespaced_workloads.ocp4_workload_ocpsandbox_argocd_user",
            "agnosticd.namespaced_workloads.ocp4_workload_ocpsandbox_gitea_instance",
            "agnosticd.namespaced_workloads.ocp4_workload_ocpsandbox_gitea_user",
            "rhpds.litellm_virtual_keys.ocp4_workload_litellm_virtual_keys",
            "rhpds.ocpsandbox_mcp_with_openshift.ocp4_workload_ocpsandbox_mcp_user",
            "agnosticd.showroom.ocp4_workload_ocp_console_embed",
            "agnosticd.showroom.ocp4_workload_showroom",
        ]}));
        let selection = selection(&vars, Direction::Provision, false).unwrap().unwrap();
        assert_eq!(selection.steps, ALL[2..], "everything but the Sandbox API's share");
    }

    #[test]
    fn destroy_prefers_its_own_list() {
        let both = vars(json!({"workloads": ["showroom"], "remove_workloads": ["litellm_virtual_keys"]}));
        let steps =
            |vars: &Vars| selection(vars, Direction::Destroy, false).unwrap().map(|found| found.steps);
        assert_eq!(steps(&both), Some(vec![LITELLM_KEY]));
        assert_eq!(
            steps(&vars(json!({"workloads": ["showroom"], "remove_workloads": []}))),
            Some(vec![SHOWROOM])
        );
        assert_eq!(steps(&vars(json!({}))), None);
    }

    #[test]
    fn one_role_may_be_several_steps_and_two_roles_one() {
        let roles = ["tenant_gitea".to_owned(), "ocp4_workload_tenant_gitea_user".to_owned()];
        assert_eq!(translate(&roles).steps, [GITEA_INSTANCE, GITEA_USER]);
        assert_eq!(steps_of("rhpds.tenant.tenant"), Some(&ALL[..]));
        assert_eq!(steps_of("agnosticd.showroom.ocp4_workload_showroom_user_data_seed"), Some(&[][..]));
    }

    #[test]
    fn unknown_roles_are_named_unless_ignored() {
        let vars = vars(json!({"workloads": ["a.b.ocp4_workload_tenant_quay", {"name": "showroom"}]}));
        let error = selection(&vars, Direction::Provision, false).unwrap_err().to_string();
        assert_eq!(
            error,
            "`workloads` lists `a.b.ocp4_workload_tenant_quay`, which this program does not replace; take it \
             out, or pass --ignore-unknown-workloads to leave it to Ansible"
        );
        let ignored = selection(&vars, Direction::Provision, true).unwrap().unwrap();
        assert_eq!(ignored.steps, [SHOWROOM]);
    }

    #[test]
    fn a_list_of_something_else_is_refused() {
        let error = selection(&vars(json!({"workloads": [["x"]]})), Direction::Provision, false).unwrap_err();
        assert!(error.to_string().contains("item 1 is neither"), "got {error}");
    }
}
