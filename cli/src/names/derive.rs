//! How names follow from guid, order and findings.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    APPLICATIONS, Component, Fault, Findings, Guid, HostLabel, McpServer, NameError, Names, NamespaceName,
    ObjectName, Username,
};
use crate::order::{VarError, Vars};

/// Variables that name the user, most specific first. The first set one names the user everywhere: its Gitea
/// token, its Applications and its namespaces must agree.
const USERNAME: [&str; 11] = [
    "ocp4_workload_ocpsandbox_mcp_user_username",
    "ocp4_workload_tenant_keycloak_username",
    "ocp4_workload_ocpsandbox_keycloak_user_username",
    "ocp4_workload_ocpsandbox_argocd_user_username",
    "ocp4_workload_ocpsandbox_gitea_user_username",
    SANDBOX_USER,
    "ocp4_workload_tenant_namespace_username",
    "ocp4_workload_tenant_openshift_gitops_user",
    "ocp4_workload_tenant_gitea_username",
    "ocp4_workload_tenant_gitea_user_username",
    "ocp4_workload_gitops_bootstrap_helm_values.tenant.username",
];
const SANDBOX_USER: &str = "sandbox_openshift_user";
/// The variable for a Gitea that the tenant shares with others.
const SHARED_GITEA: &str = "ocp4_workload_tenant_gitea_user_namespace";

/// How a namespace is named by convention.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// `librechat-user-x1`: what charts and lab guide expect.
    SuffixUsername,
    /// `user-x1-librechat`: what the third generation of roles creates.
    UsernameSuffix,
}

/// Variables that name a component's namespace, most specific first.
fn namespace_variables(component: Component) -> &'static [&'static str] {
    match component {
        Component::Agent => &[
            "ocp4_workload_ocpsandbox_mcp_user_agent_namespace",
            "agent.sandbox_openshift_namespace",
            "agent_namespace",
        ],
        Component::Librechat => &[
            "ocp4_workload_ocpsandbox_mcp_user_librechat_namespace",
            "librechat.sandbox_openshift_namespace",
            "librechat_namespace",
        ],
        Component::McpOpenshift => &[
            "ocp4_workload_ocpsandbox_mcp_user_openshift_namespace",
            "mcp_openshift.sandbox_openshift_namespace",
            "mcp_openshift_namespace",
        ],
        Component::McpGitea => &[
            "ocp4_workload_ocpsandbox_mcp_user_mcp_gitea_namespace",
            "mcp_gitea.sandbox_openshift_namespace",
            "mcp_gitea_namespace",
        ],
        Component::McpRhoai => &[
            "ocp4_workload_ocpsandbox_mcp_user_mcp_rhoai_namespace",
            "mcp_rhoai.sandbox_openshift_namespace",
            "mcp_rhoai_namespace",
        ],
        Component::McpKubeflow => &[
            "ocp4_workload_ocpsandbox_mcp_user_mcp_kubeflow_namespace",
            "mcp_kubeflow.sandbox_openshift_namespace",
            "mcp_kubeflow_namespace",
        ],
        Component::Gitea => &[
            "ocp4_workload_ocpsandbox_mcp_user_gitea_namespace",
            "ocp4_workload_ocpsandbox_gitea_instance_namespace",
            "ocp4_workload_ocpsandbox_gitea_user_namespace",
            "ocp4_workload_tenant_gitea_namespace",
            SHARED_GITEA,
            "gitea.sandbox_openshift_namespace",
            "gitea_namespace",
        ],
        Component::Showroom => &[
            "ocp4_workload_showroom_namespace",
            "showroom.sandbox_openshift_namespace",
            "showroom_namespace",
        ],
    }
}

/// See [`Names::derive`].
pub(super) fn names(guid: Guid, vars: &Vars, findings: &Findings) -> Result<Names, NameError> {
    let source = Source { guid: &guid, vars };
    let (username, user_variable) = username(&source, findings)?;
    let blame = user_variable.as_deref();
    let (components, gitea_shared) = components(&source, &username, blame, findings)?;
    let mcp_servers = McpServer::chosen(vars)?;
    let extra = extra_namespaces(&source, &username, findings)?;
    let routes = routes(&source, &components)?;
    let object = |kind: &str, name: String| source.checked(ObjectName::new, kind, &name, blame);
    let argo_cd = source.text_or(
        &[
            "ocp4_workload_ocpsandbox_argocd_user_namespace",
            "ocp4_workload_tenant_openshift_gitops_namespace",
            "ocp4_workload_gitops_bootstrap_namespace",
        ],
        || "openshift-gitops".to_owned(),
    )?;
    let gitea_instance =
        source.text_or(&["ocp4_workload_tenant_gitea_user_instance"], || "gitea".to_owned())?;
    let gitea_namespace = &components[&Component::Gitea];
    let gitea_internal_url = source
        .text_or(&["ocp4_workload_ocpsandbox_mcp_user_gitea_internal_url"], || {
            format!("http://{gitea_instance}.{gitea_namespace}.svc.cluster.local:3000")
        })?
        .trim_end_matches('/')
        .to_owned();
    Ok(Names {
        app_project: app_project(&source, &username, blame)?,
        argo_cd_namespace: source.checked(NamespaceName::new, "namespace of Argo CD", &argo_cd, None)?,
        gitea_instance: source.checked(ObjectName::new, "Gitea resource", &gitea_instance, None)?,
        gitea_repository: source
            .text_or(&["ocp4_workload_ocpsandbox_mcp_user_gitea_repository"], || "mcp".to_owned())?,
        gitea_internal_url,
        key_alias: source
            .text_or(&["ocp4_workload_litellm_virtual_keys_alias_format"], || format!("virtkey-{guid}"))?,
        applications: applications(&mcp_servers)
            .map(|application| object("Application", format!("{application}-{username}")))
            .collect::<Result<_, _>>()?,
        application_sets: applications(&mcp_servers)
            .map(|application| object("ApplicationSet", format!("{username}-{application}")))
            .collect::<Result<_, _>>()?,
        scc: object("SecurityContextConstraints", format!("{username}-mcpserver-scc"))?,
        cluster_quota: object("ClusterResourceQuota", format!("tenant-{username}"))?,
        warnings: disagreements(vars, &username, blame),
        username,
        components,
        mcp_servers,
        extra,
        gitea_shared,
        routes,
        guid,
    })
}

/// The applications of a tenant with these MCP servers.
fn applications(servers: &[McpServer]) -> impl Iterator<Item = &'static str> {
    let server_of =
        |name: &str| McpServer::ALL.into_iter().find(|server| server.component().suffix() == name);
    APPLICATIONS
        .into_iter()
        .filter(move |name| server_of(name).is_none_or(|server| servers.contains(&server)))
}

/// Where names come from, and who is to blame for an impossible one.
struct Source<'a> {
    guid: &'a Guid,
    vars: &'a Vars,
}

impl Source<'_> {
    /// The first set variable and its text.
    fn given<'v>(&self, names: &[&'v str]) -> Result<Option<(&'v str, String)>, VarError> {
        let Some(name) = self.vars.first_set(names)? else { return Ok(None) };
        Ok(self.vars.text(&[name])?.map(|text| (name, text)))
    }

    fn text_or(&self, names: &[&str], default: impl FnOnce() -> String) -> Result<String, VarError> {
        Ok(self.vars.text(names)?.unwrap_or_else(default))
    }

    /// A checked name; `variable` led to it, or else the guid did.
    fn checked<T>(
        &self,
        new: fn(&str) -> Result<T, Fault>,
        kind: &str,
        name: &str,
        variable: Option<&str>,
    ) -> Result<T, NameError> {
        new(name).map_err(|fault| match variable {
            Some(variable) => NameError::Given {
                variable: variable.to_owned(),
                origin: self.vars.origin(variable).map_or_else(|| "record".to_owned(), ToString::to_string),
                kind: kind.to_owned(),
                name: name.to_owned(),
                fault,
            },
            None => NameError::Derived {
                guid: self.guid.to_string(),
                kind: kind.to_owned(),
                name: name.to_owned(),
                fault,
            },
        })
    }
}

fn username(source: &Source<'_>, findings: &Findings) -> Result<(Username, Option<String>), NameError> {
    let (name, variable) = match &findings.username {
        Some(recorded) => (recorded.clone(), Some("username of the record".to_owned())),
        None => match source.given(&USERNAME)? {
            Some((variable, name)) => (name, Some(variable.to_owned())),
            None => (format!("user-{}", source.guid), None),
        },
    };
    Ok((source.checked(Username::new, "username", &name, variable.as_deref())?, variable))
}

fn naming(vars: &Vars) -> Result<Naming, VarError> {
    match vars.text(&["tenant_naming"])?.as_deref() {
        None | Some("suffix-username") => Ok(Naming::SuffixUsername),
        Some("username-suffix") => Ok(Naming::UsernameSuffix),
        Some(_) => Err(vars.invalid("tenant_naming", "expected `suffix-username` or `username-suffix`")),
    }
}

/// The conventional name of the namespace for `part`.
fn conventional(vars: &Vars, username: &Username, part: &str) -> Result<String, VarError> {
    let tail = vars.text(&["ocp4_workload_tenant_namespace_prefix"])?.unwrap_or_else(|| username.to_string());
    Ok(match naming(vars)? {
        Naming::SuffixUsername => format!("{part}-{tail}"),
        Naming::UsernameSuffix => format!("{tail}-{part}"),
    })
}

type Components = BTreeMap<Component, NamespaceName>;

fn components(
    source: &Source<'_>,
    username: &Username,
    user_variable: Option<&str>,
    findings: &Findings,
) -> Result<(Components, bool), NameError> {
    let vars = source.vars;
    // the Sandbox API hands the namespaces over as one map per component, and the first one bare
    let placed =
        Component::ALL.iter().any(|component| vars.origin(&component.suffix().replace('-', "_")).is_some());
    let mut components = BTreeMap::new();
    let mut gitea_shared = false;
    for component in Component::ALL {
        let kind = format!("namespace of {component}");
        let part = component.suffix();
        if let Some(name) = findings.recorded.get(part) {
            components.insert(component, source.checked(NamespaceName::new, &kind, name, Some("record"))?);
            continue;
        }
        let mut given = source.given(namespace_variables(component))?;
        if given.is_none() && component == Component::Agent && placed {
            given = source.given(&["sandbox_openshift_namespace"])?;
        }
        let (name, variable) = match (given, findings.discovered.get(part)) {
            (Some((variable, name)), _) => {
                gitea_shared |= variable == SHARED_GITEA && !is_own(&name, source.guid, username);
                (name, Some(variable))
            }
            (None, Some(name)) => (name.clone(), None),
            (None, None) => (conventional(vars, username, part)?, user_variable),
        };
        components.insert(component, source.checked(NamespaceName::new, &kind, &name, variable)?);
    }
    Ok((components, gitea_shared))
}

/// Whether a namespace is named after the tenant.
fn is_own(name: &str, guid: &Guid, username: &Username) -> bool {
    name.contains(guid.as_str()) || name.contains(username.as_str())
}

/// Namespaces the order wants besides those of the components: texts, or maps with a `suffix`. Whether there is one for
/// an MCP server is a matter of choosing the server: catalogs list those of upstream's two in any case.
fn extra_namespaces(
    source: &Source<'_>,
    username: &Username,
    findings: &Findings,
) -> Result<Vec<(String, NamespaceName)>, NameError> {
    let names = ["ocp4_workload_tenant_namespace_suffixes", "ocp4_workload_tenant_namespace_namespaces"];
    let mut parts: Vec<String> = Vec::new();
    let variable = source.vars.first_set(&names)?;
    if let Some(variable) = variable {
        let Some(Value::Array(items)) = source.vars.json(&[variable])? else {
            return Err(source.vars.invalid(variable, "expected a list of suffixes").into());
        };
        for (index, item) in items.iter().enumerate() {
            let suffix = item.as_str().or_else(|| item.get("suffix").and_then(Value::as_str)).map(str::trim);
            let Some(suffix) = suffix.filter(|suffix| !suffix.is_empty()) else {
                let problem = format!("item {} is neither a suffix nor a map with a `suffix`", index + 1);
                return Err(source.vars.invalid(variable, problem).into());
            };
            parts.push(suffix.to_owned());
        }
    }
    parts.extend(findings.recorded.keys().cloned());
    parts.retain(|part| Component::ALL.iter().all(|component| component.suffix() != part));
    let mut extra: Vec<(String, NamespaceName)> = Vec::new();
    for part in parts {
        if extra.iter().any(|(known, _)| *known == part) {
            continue;
        }
        let name = match findings.recorded.get(&part).or_else(|| findings.discovered.get(&part)) {
            Some(name) => name.clone(),
            None => conventional(source.vars, username, &part)?,
        };
        let kind = format!("namespace of {part}");
        let checked = source.checked(NamespaceName::new, &kind, &name, variable)?;
        extra.push((part, checked));
    }
    Ok(extra)
}

fn app_project(
    source: &Source<'_>,
    username: &Username,
    user_variable: Option<&str>,
) -> Result<ObjectName, NameError> {
    if let Some((variable, name)) = source.given(&["ocp4_workload_ocpsandbox_mcp_user_argocd_project"])? {
        return source.checked(ObjectName::new, "AppProject", &name, Some(variable));
    }
    // the first generation's prefix carries its `-`, the third's does not
    let old = source.vars.text(&["ocp4_workload_ocpsandbox_argocd_user_project_prefix"])?;
    let new = source.vars.text(&["ocp4_workload_tenant_openshift_gitops_user_project_prefix"])?;
    let prefix = old.or(new.map(|prefix| format!("{prefix}-"))).unwrap_or_else(|| "appproject-".to_owned());
    source.checked(ObjectName::new, "AppProject", &format!("{prefix}{username}"), user_variable)
}

/// Names of the Routes; checks that the router can make hosts of them.
fn routes(source: &Source<'_>, components: &Components) -> Result<BTreeMap<Component, String>, NameError> {
    let mut routes = BTreeMap::new();
    for component in Component::ALL {
        let route = match component {
            Component::Gitea => {
                source.text_or(&["ocp4_workload_tenant_gitea_user_instance"], || "gitea".to_owned())?
            }
            Component::Showroom => source
                .text_or(&["ocp4_workload_showroom_service_name", "ocp4_workload_showroom_name"], || {
                    "showroom".to_owned()
                })?,
            other => other.suffix().to_owned(),
        };
        let label = format!("{route}-{}", components[&component]);
        let blame = source.vars.first_set(namespace_variables(component))?;
        source.checked(HostLabel::new, &format!("first label of {component}'s host"), &label, blame)?;
        routes.insert(component, route);
    }
    Ok(routes)
}

/// Variables that name another user than the one that counts. The Sandbox API's login may well be another.
fn disagreements(vars: &Vars, username: &Username, chosen: Option<&str>) -> Vec<String> {
    let Some(chosen) = chosen else { return Vec::new() };
    USERNAME
        .iter()
        .filter(|name| **name != SANDBOX_USER && **name != chosen)
        .filter_map(|name| {
            let other = vars.text(&[name]).ok().flatten().filter(|other| other != username.as_str())?;
            let origin = vars.origin(name)?;
            Some(format!(
                "`{name}` ({origin}) names user `{other}`; `{username}` of `{chosen}` is used everywhere"
            ))
        })
        .collect()
}
