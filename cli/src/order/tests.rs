//! The orders of `tests/data`, read as a whole.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    known::{self, Kind},
    source::{Argument, Origin},
    vars::Vars,
    workloads::{self, Direction},
};
use crate::names::{self, Component, Findings, Names};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

fn read(names: &[&str]) -> Vars {
    let arguments: Vec<Argument> = names.iter().map(|name| Argument::File(data(name))).collect();
    let environment = BTreeMap::from([("GUID".to_owned(), "env01".to_owned())]);
    Vars::read(&arguments, environment).unwrap_or_else(|error| panic!("{error}"))
}

fn derived(vars: &Vars) -> Names {
    names::guid(None, vars)
        .and_then(|guid| Names::derive(guid, vars, &Findings::default()))
        .unwrap_or_else(|error| panic!("{error}"))
}

#[derive(Debug, Deserialize)]
struct Repository {
    name: String,
    #[serde(default, deserialize_with = "super::lenient::flag")]
    private: bool,
}

/// Reads every variable we know as what it is, and derives all names; the first problem as one line.
fn problem(vars: &Vars) -> Result<(), String> {
    workloads::selection(vars, Direction::Provision, false).map_err(|error| error.to_string())?;
    let guid = names::guid(None, vars).map_err(|error| error.to_string())?;
    Names::derive(guid, vars, &Findings::default()).map_err(|error| error.to_string())?;
    for (name, kind) in known::groups()
        .flat_map(|group| group.rows.iter().map(|row| (group.name_of(row), row.kind)))
        .filter(|(name, _)| vars.origin(name).is_some())
    {
        let names = [name.as_str()];
        let read = match kind {
            Kind::Text => vars.text(&names).map(drop),
            Kind::Flag => vars.flag(&names).map(drop),
            Kind::Integer => vars.integer(&names).map(drop),
            Kind::List if name.ends_with("_repositories") => vars.list::<Repository>(&names).map(drop),
            Kind::List => vars.json(&names).map(drop),
            Kind::Map => vars.map::<Value>(&names).map(drop),
        };
        read.map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[test]
fn the_demo_order_and_a_platform_make_a_tenant() {
    let vars = read(&["order.yml", "platform.yml"]).with("guid", "x1", Origin::Flag("--guid"));
    assert_eq!(problem(&vars), Ok(()));
    assert_eq!(vars.near_misses(), [""; 0], "nothing in it looks like a typing error");
    let names = derived(&vars);
    assert_eq!(names.warnings(), [""; 0]);
    assert_eq!(names.username().as_str(), "user-x1");
    for component in Component::ALL {
        assert_eq!(names.namespace(component).as_str(), format!("{component}-user-x1"));
    }
    assert_eq!(names.namespaces().count(), 6, "the ordered suffixes are those of the components");
    let selection = workloads::selection(&vars, Direction::Provision, false).unwrap().unwrap();
    assert_eq!(selection.steps, workloads::ALL);
    let repositories: Vec<Repository> =
        vars.list(&["ocp4_workload_ocpsandbox_gitea_user_repositories"]).unwrap().unwrap();
    assert_eq!((repositories[0].name.as_str(), repositories[0].private), ("mcp", false));
    for (name, expected) in [
        ("ocp4_workload_ocpsandbox_mcp_user_agent_model_name", json!("openai/llama-scout-17b")),
        ("ocp4_workload_litellm_virtual_keys_models", json!(["llama-scout-17b", "qwen3-14b"])),
        ("ocp4_workload_litellm_virtual_keys_user_id_format", json!("x1@lab.opentlc.com")),
        ("ocp4_workload_litellm_virtual_keys_multi_user", json!(false)),
        ("cluster_admin_agnosticd_sa_token", json!("sha256~placeholder-of-the-deployer-token\n")),
    ] {
        assert_eq!(vars.json(&[name]).unwrap(), Some(expected), "value of {name}");
    }
    assert_eq!(vars.text(&["ocp4_workload_tenant_keycloak_user_password"]).unwrap(), None, "random, then");
}

#[test]
fn a_placement_of_the_sandbox_api_brings_login_and_namespaces() {
    let vars = read(&["order-sandbox.yml", "platform.yml"]);
    assert_eq!(problem(&vars), Ok(()));
    assert_eq!(vars.near_misses(), [""; 0]);
    let names = derived(&vars);
    assert_eq!(names.username().as_str(), "sandbox-drw4x");
    let namespaces: Vec<_> = names.namespaces().map(|(_, name)| name.to_string()).collect();
    assert_eq!(
        namespaces,
        [
            "sandbox-drw4x-1-agent",
            "sandbox-drw4x-2-librechat",
            "sandbox-drw4x-3-mcp-openshift",
            "sandbox-drw4x-4-mcp-gitea",
            "sandbox-drw4x-5-gitea",
            "sandbox-drw4x-6-showroom",
        ]
    );
    assert_eq!(vars.text(&["sandbox_openshift_console_url"]).unwrap(), None, "`unknown` is not set");
    let models = vars.text_list(&["ocp4_workload_litellm_virtual_keys_models"]).unwrap().unwrap();
    assert_eq!(models, ["llama-scout-17b", "qwen3-14b"]);
    let selection = workloads::selection(&vars, Direction::Provision, false).unwrap().unwrap();
    assert_eq!(selection.steps, workloads::ALL[2..], "the Sandbox API has done the rest");
}

#[test]
fn the_second_generation_is_understood() {
    let vars = read(&["order-gen-b.yml", "platform.yml"]);
    let names = derived(&vars);
    assert_eq!(names.username().as_str(), "mcpuser-env01", "the guid of the environment");
    assert_eq!(names.namespace(Component::Agent).as_str(), "agent-mcpuser-env01");
    assert_eq!(vars.near_misses(), [""; 0]);
    let password = vars.text(&["ocp4_workload_gitops_bootstrap_helm_values.tenant.password"]).unwrap();
    assert_eq!(password.as_deref(), Some("bafd5306ace2"), "what earlier steps would set is not asked for");
    let selection = workloads::selection(&vars, Direction::Provision, false).unwrap().unwrap();
    assert!(
        !selection.steps.contains(&workloads::CONSOLE_EMBED) && selection.steps.len() == 9,
        "{selection:?}"
    );
}

#[test]
fn the_third_generation_is_understood() {
    let vars = read(&["order-gen-c.yml", "platform.yml"]);
    assert_eq!(problem(&vars), Ok(()));
    assert_eq!(vars.near_misses(), [""; 0]);
    let names = derived(&vars);
    assert_eq!(names.guid().as_str(), "01e3");
    assert_eq!(names.namespace(Component::McpGitea).as_str(), "user-01e3-mcp-gitea");
    assert!(!names.gitea_shared(), "its Gitea is named after the tenant");
    assert_eq!(names.namespaces().last().map(|(_, name)| name.as_str()), Some("user-01e3-devspace"));
    let suffixes = vars.json(&["ocp4_workload_tenant_namespace_suffixes"]).unwrap().unwrap();
    assert_eq!(
        suffixes[1],
        json!({"suffix": "librechat", "quota": {"limits.memory": "8Gi", "limits.cpu": "2"}})
    );
    let key = "metadata";
    assert_eq!(
        suffixes[6][key],
        json!({"annotations": {"openshift.io/display-name": "Workspace of user-01e3"}})
    );
    let removed = workloads::selection(&vars, Direction::Destroy, false).unwrap().unwrap();
    assert_eq!(removed.steps.len(), 9, "got {removed:?}");
}

#[test]
fn encrypted_values_matter_only_where_they_are_needed() {
    let vars = read(&["vaulted.yml"]);
    assert_eq!(derived(&vars).guid().as_str(), "x1");
    let error = vars.secret(&["litellm_master_key"]).unwrap_err().to_string();
    assert!(
        error.contains("`litellm_master_key`") && error.contains("only Ansible can resolve it"),
        "got {error}"
    );
}

/// Every broken order says in its first line what the reader is to be told.
#[test]
fn broken_orders_are_refused_with_one_clear_line() {
    let mut seen = 0;
    for entry in fs::read_dir(data("broken")).expect("the broken orders are there") {
        let path = entry.expect("their folder can be read").path();
        let text = String::from_utf8_lossy(&fs::read(&path).expect("they can be read")).into_owned();
        let first = text.lines().next().unwrap_or_default();
        let outcome = Vars::read(&[Argument::File(path.clone())], BTreeMap::new())
            .map_err(|error| error.to_string())
            .and_then(|vars| problem(&vars).map(|()| vars.near_misses()));
        let told = match (first.strip_prefix("# expected: "), first.strip_prefix("# warned: "), outcome) {
            (Some(expected), _, Err(error)) => error.contains(expected).then_some(error),
            (_, Some(expected), Ok(warnings)) => match warnings.as_slice() {
                [warning] if warning.contains(expected) => Some(warning.clone()),
                _ => None,
            },
            // an encrypted file has no room for a comment
            (None, None, Err(error)) => error.contains("encrypted by ansible-vault").then_some(error),
            (_, _, outcome) => panic!("{}: {outcome:?}", path.display()),
        };
        let told = told.unwrap_or_else(|| panic!("{}: not told {first}", path.display()));
        assert!(!told.contains('\n'), "{}: more than one line: {told}", path.display());
        seen += 1;
    }
    assert!(seen >= 15, "only {seen} broken orders");
}
