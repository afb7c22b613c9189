//! What the steps of a run find out for each other and for the user data: one slot per fact, each filled by
//! exactly one step.

use secrecy::{ExposeSecret as _, SecretString};
use tenant_workflow::slot::Slot;

use crate::services::gitea::Login;

/// The facts of one run.
pub struct Facts {
    /// The login in the realm.
    pub keycloak: Slot<KeycloakUser>,
    /// The tenant's project in Argo CD.
    pub argo_cd: Slot<ArgoCdProject>,
    /// The Gitea instance.
    pub gitea: Slot<GiteaInstance>,
    /// The tenant's login there.
    pub gitea_login: Slot<GiteaLogin>,
    /// The virtual key.
    pub litellm: Slot<LiteLlmKey>,
    /// The token the Gitea MCP server works with.
    pub gitea_token: Slot<Token>,
    /// The lab guide.
    pub showroom: Slot<Showroom>,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            keycloak: Slot::new("the Keycloak user", "keycloak-user"),
            argo_cd: Slot::new("the Argo CD project", "app-project"),
            gitea: Slot::new("the Gitea instance", "gitea-instance"),
            gitea_login: Slot::new("the Gitea login", "gitea-user"),
            litellm: Slot::new("the LiteLLM key", "litellm-key"),
            gitea_token: Slot::new("the Gitea token", "mcp-servers"),
            showroom: Slot::new("the lab guide", "showroom"),
        }
    }
}

/// A user of the realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeycloakUser {
    /// Console of the cluster, where the user logs in.
    pub console_url: Option<String>,
}

/// An Argo CD project and, where Argo CD is OpenShift GitOps, the account for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgoCdProject {
    /// The project.
    pub project: String,
    /// Address of Argo CD's own pages, where there is a local account.
    pub server: Option<String>,
}

/// A Gitea instance.
#[derive(Debug, Clone)]
pub struct GiteaInstance {
    /// Its public URL, without a trailing slash.
    pub url: String,
    /// Its admin.
    pub admin: Login,
    /// Whether it was set up for this tenant alone.
    pub owned: bool,
}

impl PartialEq for GiteaInstance {
    fn eq(&self, other: &Self) -> bool {
        (&self.url, &self.admin.user, self.owned) == (&other.url, &other.admin.user, other.owned)
            && same(&self.admin.password, &other.admin.password)
    }
}

/// The tenant's login in Gitea.
#[derive(Debug, Clone)]
pub struct GiteaLogin(pub Login);

impl PartialEq for GiteaLogin {
    fn eq(&self, other: &Self) -> bool {
        self.0.user == other.0.user && same(&self.0.password, &other.0.password)
    }
}

/// A virtual key.
#[derive(Debug, Clone)]
pub struct LiteLlmKey {
    /// Base URL of the proxy, without a trailing slash and without `/v1`.
    pub endpoint: String,
    /// `sk-…`.
    pub value: SecretString,
    /// LiteLLM's identity of the key (its hash).
    pub id: String,
    /// The name it is found by.
    pub alias: String,
    /// Models it may use.
    pub models: Vec<String>,
    /// How long it lives, `30d`.
    pub duration: String,
}

impl PartialEq for LiteLlmKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.endpoint, &self.id, &self.alias) == (&other.endpoint, &other.id, &other.alias)
            && same(&self.value, &other.value)
    }
}

/// An API token.
#[derive(Debug, Clone)]
pub struct Token(pub SecretString);

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

/// The lab guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Showroom {
    /// Its address, with a trailing slash.
    pub url: String,
}

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}
