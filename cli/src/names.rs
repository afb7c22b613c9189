//! Identity and naming: the one place that derives every name of a tenant from its guid and its order.
//!
//! guid → username → namespaces → hosts → object names. Object names other tools select by keep the spelling of
//! the roles this program replaces. All names are checked before anything is touched, so that a guid that is
//! impossible somewhere fails everywhere.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use crate::order::{VarError, Vars};

mod derive;
mod label;
mod mcp_server;
mod reverse;

pub use label::{Fault, Guid, HostLabel, NamespaceName, ObjectName, Username};
pub use mcp_server::{MCP_SERVERS, McpServer};
pub use reverse::Named;

/// Label that marks what this program manages; its value is [`MANAGER`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`], and our field manager.
pub const MANAGER: &str = "tenant";
/// Label that says whose it is; its value is the guid.
pub const GUID_LABEL: &str = "tenant.rhpds.io/guid";

/// The parts of a tenant that have a namespace of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// The failure-diagnosing agent and its pipeline.
    Agent,
    /// `LibreChat` and its databases.
    Librechat,
    /// The MCP server of the cluster.
    McpOpenshift,
    /// The MCP server of Gitea.
    McpGitea,
    /// The MCP server of OpenShift AI.
    McpRhoai,
    /// The MCP server of Kubeflow.
    McpKubeflow,
    /// Gitea.
    Gitea,
    /// The lab guide.
    Showroom,
}

impl Component {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Agent,
        Self::Librechat,
        Self::McpOpenshift,
        Self::McpGitea,
        Self::McpRhoai,
        Self::McpKubeflow,
        Self::Gitea,
        Self::Showroom,
    ];

    /// The component's part of a namespace's name.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Librechat => "librechat",
            Self::McpOpenshift => "mcp-openshift",
            Self::McpGitea => "mcp-gitea",
            Self::McpRhoai => "mcp-rhoai",
            Self::McpKubeflow => "mcp-kubeflow",
            Self::Gitea => "gitea",
            Self::Showroom => "showroom",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suffix())
    }
}

/// The Argo CD applications a tenant may have, in the order they are documented; an ApplicationSet makes each. Those of
/// MCP servers are there when the order chooses them.
pub const APPLICATIONS: [&str; 7] =
    ["mcp-openshift", "mcp-gitea", "mcp-rhoai", "mcp-kubeflow", "librechat-config", "librechat", "agent"];

/// What is known of a tenant besides its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The username of the tenant's record; wins over the order, for it says what was made.
    pub username: Option<String>,
    /// Namespaces of the tenant's record by part; win over the order.
    pub recorded: BTreeMap<String, String>,
    /// Namespaces the Sandbox API made, by part; the order wins over them.
    pub discovered: BTreeMap<String, String>,
}

/// Every name of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    guid: Guid,
    username: Username,
    components: BTreeMap<Component, NamespaceName>,
    mcp_servers: Vec<McpServer>,
    extra: Vec<(String, NamespaceName)>,
    gitea_shared: bool,
    routes: BTreeMap<Component, String>,
    app_project: ObjectName,
    argo_cd_namespace: NamespaceName,
    gitea_instance: ObjectName,
    gitea_repository: String,
    gitea_internal_url: String,
    key_alias: String,
    applications: Vec<ObjectName>,
    application_sets: Vec<ObjectName>,
    scc: ObjectName,
    cluster_quota: ObjectName,
    warnings: Vec<String>,
}

/// A name that cannot be. One line: what breaks, why, and where the value came from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A variable cannot be read.
    #[error(transparent)]
    Variable(#[from] VarError),
    /// No guid anywhere.
    #[error("no guid: give it with --guid, or as the variable `guid`")]
    NoGuid,
    /// Two guids.
    #[error("--guid is `{flag}`, but the variable `guid` ({origin}) is `{variable}`; give one of them")]
    TwoGuids {
        /// The flag's.
        flag: String,
        /// The variable's.
        variable: String,
        /// Where the variable was set.
        origin: String,
    },
    /// The guid itself is no name.
    #[error("guid `{guid}` is impossible: {fault}")]
    Guid {
        /// The guid.
        guid: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The guid is fine, but a name made from it is not.
    #[error("guid `{guid}` is impossible: the {kind} would be `{name}`, and {fault}")]
    Derived {
        /// The guid.
        guid: String,
        /// What the name is for.
        kind: String,
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The order gives, or leads to, an impossible name.
    #[error("`{variable}` ({origin}) is impossible: the {kind} would be `{name}`, and {fault}")]
    Given {
        /// The variable.
        variable: String,
        /// Where it was set.
        origin: String,
        /// What the name is for.
        kind: String,
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// The guid of the order: that of the flag, or that of the variable; both only if they agree.
///
/// # Errors
/// No guid, two guids, or one that is no name.
pub fn guid(flag: Option<&str>, vars: &Vars) -> Result<Guid, NameError> {
    let variable = vars.text(&["guid"])?;
    let guid = match (flag.map(str::trim), variable) {
        (Some(flag), Some(variable)) if flag != variable => {
            let origin = vars.origin("guid").map(ToString::to_string).unwrap_or_default();
            return Err(NameError::TwoGuids { flag: flag.to_owned(), variable, origin });
        }
        (Some(flag), _) => flag.to_owned(),
        (None, Some(variable)) => variable,
        (None, None) => return Err(NameError::NoGuid),
    };
    Guid::new(&guid).map_err(|fault| NameError::Guid { guid, fault })
}

impl Names {
    /// Derives and checks all names.
    ///
    /// # Errors
    /// A variable that cannot be read, or a name that is impossible.
    pub fn derive(guid: Guid, vars: &Vars, findings: &Findings) -> Result<Self, NameError> {
        derive::names(guid, vars, findings)
    }

    /// The order's id.
    pub fn guid(&self) -> &Guid {
        &self.guid
    }

    /// The tenant's login everywhere.
    pub fn username(&self) -> &Username {
        &self.username
    }

    /// The namespace of a component.
    pub fn namespace(&self, component: Component) -> &NamespaceName {
        &self.components[&component]
    }

    /// The tenant's own namespaces with the part each is for. A shared Gitea's is not among them: it must be
    /// neither created nor deleted, and nobody gets rights in it. Nor is that of an MCP server that is not chosen.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &NamespaceName)> {
        let components = self
            .components
            .iter()
            .filter(|(component, _)| !(self.gitea_shared && **component == Component::Gitea))
            .filter(|(component, _)| McpServer::of(**component).is_none_or(|server| self.has(server)))
            .map(|(component, name)| (component.suffix(), name));
        components.chain(self.extra.iter().map(|(part, name)| (part.as_str(), name)))
    }

    /// The MCP servers the order chooses, in the order of the catalogue; at least one.
    pub fn mcp_servers(&self) -> &[McpServer] {
        &self.mcp_servers
    }

    /// Whether the order chooses this MCP server.
    pub fn has(&self, server: McpServer) -> bool {
        self.mcp_servers.contains(&server)
    }

    /// Namespaces of MCP servers the order does not choose: what an earlier order of this tenant may have left.
    pub fn unchosen(&self) -> impl Iterator<Item = &NamespaceName> {
        let wanted = |name: &NamespaceName| self.namespaces().any(|(_, one)| one == name);
        let servers = McpServer::ALL.into_iter().filter(|server| !self.has(*server));
        servers.map(|server| self.namespace(server.component())).filter(move |name| !wanted(name))
    }

    /// Whether the tenant uses a Gitea that others use too.
    pub fn gitea_shared(&self) -> bool {
        self.gitea_shared
    }

    /// Name of a component's Route or Ingress.
    pub fn route(&self, component: Component) -> &str {
        &self.routes[&component]
    }

    /// Public host of a component, as the router makes it: `<route>-<namespace>.<domain>`.
    pub fn host(&self, component: Component, domain: &str) -> String {
        format!("{}-{}.{domain}", self.route(component), self.namespace(component))
    }

    /// The `AppProject`.
    pub fn app_project(&self) -> &str {
        self.app_project.as_str()
    }

    /// The namespace of Argo CD.
    pub fn argo_cd_namespace(&self) -> &NamespaceName {
        &self.argo_cd_namespace
    }

    /// The Applications, in the order of [`APPLICATIONS`], without those of servers that are not chosen:
    /// `<application>-<username>`.
    pub fn applications(&self) -> impl Iterator<Item = &ObjectName> {
        self.applications.iter()
    }

    /// Their `ApplicationSet`s, in the same order: `<username>-<application>`.
    pub fn application_sets(&self) -> impl Iterator<Item = &ObjectName> {
        self.application_sets.iter()
    }

    /// The `SecurityContextConstraints` of the MCP servers; cluster-scoped.
    pub fn scc(&self) -> &str {
        self.scc.as_str()
    }

    /// The `ClusterResourceQuota`; cluster-scoped.
    pub fn cluster_quota(&self) -> &str {
        self.cluster_quota.as_str()
    }

    /// The `RoleBinding` that gives the tenant's user a `ClusterRole` in a namespace.
    pub fn role_binding(&self, role: &str) -> String {
        format!("{role}-{}", self.username)
    }

    /// The `Gitea` resource and what the operator names after it.
    pub fn gitea_instance(&self) -> &str {
        self.gitea_instance.as_str()
    }

    /// The repository in the tenant's Gitea that Argo CD deploys from.
    pub fn gitea_repository(&self) -> &str {
        &self.gitea_repository
    }

    /// Name of the API token in Gitea: that of the repository, as upstream has it.
    pub fn gitea_token(&self) -> &str {
        &self.gitea_repository
    }

    /// Gitea as seen from inside the cluster, without a trailing slash.
    pub fn gitea_internal_url(&self) -> &str {
        &self.gitea_internal_url
    }

    /// Alias of the LLM key; unique in the whole proxy.
    pub fn key_alias(&self) -> &str {
        &self.key_alias
    }

    /// The labels of everything we create.
    pub fn labels(&self) -> Map<String, Value> {
        Map::from_iter([
            (MANAGED_BY_LABEL.to_owned(), Value::from(MANAGER)),
            (GUID_LABEL.to_owned(), Value::from(self.guid.as_str())),
        ])
    }

    /// The label selector for everything we created.
    pub fn selector(&self) -> String {
        format!("{MANAGED_BY_LABEL}={MANAGER},{GUID_LABEL}={}", self.guid)
    }

    /// What in the order looks unintended, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests;
