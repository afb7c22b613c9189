//! The MCP servers a tenant may have, and which of them an order chooses.

use std::fmt;

use super::Component;
use crate::order::{VarError, Vars};

/// The variable with the choice; `--mcp-servers` sets it, and the record keeps it.
pub const MCP_SERVERS: &str = "ocp4_workload_ocpsandbox_mcp_user_mcp_servers";

/// An MCP server of the charts' catalogue (`tenant-charts/mcp-server/catalogue`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum McpServer {
    /// The cluster's.
    Openshift,
    /// Gitea's.
    Gitea,
    /// That of OpenShift AI.
    Rhoai,
    /// Kubeflow's.
    Kubeflow,
}

impl McpServer {
    /// All of them, in the order of the catalogue.
    pub const ALL: [Self; 4] = [Self::Openshift, Self::Gitea, Self::Rhoai, Self::Kubeflow];

    /// Those of an order that chooses none: upstream's two.
    pub const DEFAULT: [Self; 2] = [Self::Openshift, Self::Gitea];

    /// Its name in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Openshift => "openshift",
            Self::Gitea => "gitea",
            Self::Rhoai => "rhoai",
            Self::Kubeflow => "kubeflow",
        }
    }

    /// The part of the tenant it is; its application has the same name.
    pub const fn component(self) -> Component {
        match self {
            Self::Openshift => Component::McpOpenshift,
            Self::Gitea => Component::McpGitea,
            Self::Rhoai => Component::McpRhoai,
            Self::Kubeflow => Component::McpKubeflow,
        }
    }

    /// The server a component is, if it is one.
    pub fn of(component: Component) -> Option<Self> {
        Self::ALL.into_iter().find(|server| server.component() == component)
    }

    /// The servers an order chooses, each once, in the order of the catalogue.
    ///
    /// # Errors
    /// A list that cannot be read, an empty one, and a name that is not in the catalogue.
    pub fn chosen(vars: &Vars) -> Result<Vec<Self>, VarError> {
        let Some(names) = vars.text_list(&[MCP_SERVERS])? else { return Ok(Self::DEFAULT.to_vec()) };
        let known = Self::ALL.map(Self::name).join(", ");
        if let Some(stranger) = names.iter().find(|name| Self::ALL.iter().all(|one| one.name() != *name)) {
            let problem = format!("`{stranger}` is no MCP server; known are {known}");
            return Err(vars.invalid(MCP_SERVERS, problem));
        }
        if names.is_empty() {
            return Err(vars.invalid(MCP_SERVERS, format!("the list is empty; name some of {known}")));
        }
        Ok(Self::ALL.into_iter().filter(|server| names.iter().any(|name| name == server.name())).collect())
    }
}

impl fmt::Display for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn chosen(list: Value) -> Result<Vec<McpServer>, String> {
        let vars = Vars::from_iter([(MCP_SERVERS.to_owned(), list)]);
        McpServer::chosen(&vars).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_is_read_as_people_write_it_and_ordered_as_the_catalogue() {
        use McpServer::{Gitea, Kubeflow, Openshift, Rhoai};
        assert_eq!(chosen(json!("kubeflow, openshift,kubeflow")), Ok(vec![Openshift, Kubeflow]));
        assert_eq!(chosen(json!(["rhoai", "gitea"])), Ok(vec![Gitea, Rhoai]));
        assert_eq!(McpServer::chosen(&Vars::default()), Ok(McpServer::DEFAULT.to_vec()));
    }

    #[test]
    fn what_is_not_in_the_catalogue_is_named_and_so_is_what_is() {
        let says = |list: Value| chosen(list).unwrap_err();
        for (list, word) in [
            (json!("openshift,github"), "`github` is no MCP server"),
            (json!(["OpenShift"]), "`OpenShift` is no MCP server"),
            (json!([]), "the list is empty"),
            (json!(" , "), "the list is empty"),
        ] {
            let said = says(list);
            for part in [MCP_SERVERS, word, "openshift, gitea, rhoai, kubeflow"] {
                assert!(said.contains(part), "no {part:?} in {said}");
            }
        }
    }

    #[test]
    fn every_server_is_a_component_of_its_own() {
        for server in McpServer::ALL {
            assert_eq!(McpServer::of(server.component()), Some(server));
            assert_eq!(server.component().suffix(), format!("mcp-{server}"));
        }
        assert_eq!(McpServer::of(Component::Gitea), None);
    }
}
