//! What goes into the five ApplicationSets (provisioning.md 2.5.2), without a single secret.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::librechat;
use crate::{
    names::{Component, Names},
    order::{VarError, Vars},
    outputs::Applications,
};

/// Secret the LibreChat charts read (provisioning.md 8.3).
pub(super) const LIBRECHAT_CREDENTIALS: &str = "librechat-credentials-env";
/// Secret the agent chart reads.
pub(super) const AGENT_CREDENTIALS: &str = "agent-credentials";

const PREFIX: &str = "ocp4_workload_ocpsandbox_mcp_user_";

/// What an order says about the applications.
#[derive(Debug, Clone)]
pub struct Settings {
    revision: String,
    openshift_path: String,
    openshift_image: String,
    gitea_path: String,
    gitea_image: String,
    agent_path: String,
    agent_model: String,
    librechat_config_path: String,
    librechat_path: String,
    /// Repository of LibreChat's own chart.
    pub librechat_repository: String,
    librechat_revision: String,
    email_domain: String,
    pub(super) models: Vec<String>,
}

impl Settings {
    /// Reads the order's variables (agnosticd-compat.md 3.7). Image tags are pinned here where upstream pulls
    /// `latest`: since v0.0.61 the OpenShift server's `latest` lacks the SSE endpoint upstream's chart asks for.
    ///
    /// # Errors
    ///
    /// When a variable has the wrong type.
    pub fn read(vars: &Vars) -> Result<Self, VarError> {
        let text = |suffix: &str, default: &str| {
            let name = format!("{PREFIX}{suffix}");
            vars.text(&[&name]).map(|found| found.unwrap_or_else(|| default.to_owned()))
        };
        let models =
            vars.text_list(&[&format!("{PREFIX}litemaas_models")])?.filter(|models| !models.is_empty());
        Ok(Self {
            revision: text("gitops_repo_tag", "main")?,
            openshift_path: text("openshift_repo_path", "tenant/mcp-openshift")?,
            openshift_image: text("openshift_image", "quay.io/containers/kubernetes_mcp_server:v0.0.67")?,
            gitea_path: text("gitea_repo_path", "tenant/mcp-gitea")?,
            gitea_image: text("gitea_image", "docker.gitea.com/gitea-mcp-server:1.8.0")?,
            agent_path: text("agent_repo_path", "tenant/agent")?,
            agent_model: text("agent_model_name", "openai/llama-scout-17b")?,
            librechat_config_path: text("librechat_config_repo_path", "./tenant/librechat")?,
            librechat_path: text("librechat_repo_path", "./helm/librechat")?,
            librechat_repository: text("librechat_repo", "https://github.com/danny-avila/LibreChat")?,
            librechat_revision: text("librechat_repo_tag", "v0.8.1")?,
            email_domain: text("librechat_email_domain", "example.com")?,
            models: models.unwrap_or_else(|| vec!["llama-scout-17b".to_owned()]),
        })
    }

    /// Where the applications of a tenant answer, and how their owner logs in.
    pub fn applications(
        &self,
        names: &Names,
        domain: &str,
        librechat_password: SecretString,
        password: SecretString,
    ) -> Applications {
        Applications {
            librechat_url: format!("https://{}", names.host(Component::Librechat, domain)),
            librechat_user: self.librechat_user(names),
            librechat_password,
            openshift_mcp_url: mcp_url(names, Component::McpOpenshift),
            gitea_mcp_url: mcp_url(names, Component::McpGitea),
            password,
        }
    }

    /// The user's login in LibreChat.
    pub fn librechat_user(&self, names: &Names) -> String {
        format!("{}@{}", names.username(), self.email_domain)
    }
}

/// Address of an MCP server inside the cluster. It has no route: anyone who knew the host could use its tools
/// with the tenant's rights.
pub(super) fn mcp_url(names: &Names, component: Component) -> String {
    let server = if component == Component::McpGitea { "gitea" } else { "openshift" };
    format!("http://mcp-{server}-proxy.{}.svc.cluster.local:8080/mcp", names.namespace(component))
}

/// What changes when a Secret does, so that what reads it is restarted (provisioning.md 9, defect 46).
#[derive(Debug, Default)]
pub(super) struct Revisions {
    pub(super) gitea: String,
    pub(super) librechat: String,
    pub(super) agent: String,
}

/// The five sets of one tenant.
pub(super) struct Sets<'a> {
    pub(super) revisions: &'a Revisions,
    pub(super) names: &'a Names,
    pub(super) settings: &'a Settings,
    pub(super) domain: &'a str,
}

/// Where an application's chart is.
struct Source<'a> {
    repository: &'a str,
    path: &'a str,
    revision: &'a str,
}

impl Sets<'_> {
    /// Name and content of all sets. `routes`: OpenShift's routes publish LibreChat, else an Ingress does.
    pub(super) fn all(&self, routes: bool) -> Vec<(String, Value)> {
        let components = ["mcp-openshift", "mcp-gitea", "librechat-config", "librechat", "agent"];
        components.into_iter().map(|component| self.set(component, routes)).collect()
    }

    fn set(&self, component: &str, routes: bool) -> (String, Value) {
        let Settings { revision, .. } = self.settings;
        let tenant = format!(
            "{}/{}/{}",
            self.names.gitea_internal_url(),
            self.names.username(),
            self.names.gitea_repository()
        );
        let own = |path| Source { repository: &tenant, path, revision };
        let (source, namespace, values) = match component {
            "mcp-openshift" => {
                (own(&self.settings.openshift_path), Component::McpOpenshift, self.mcp_openshift())
            }
            "mcp-gitea" => (own(&self.settings.gitea_path), Component::McpGitea, self.mcp_gitea()),
            "librechat-config" => {
                let values = self.librechat_config(routes);
                (own(&self.settings.librechat_config_path), Component::Librechat, values)
            }
            "librechat" => {
                let source = Source {
                    repository: &self.settings.librechat_repository,
                    path: &self.settings.librechat_path,
                    revision: &self.settings.librechat_revision,
                };
                (
                    source,
                    Component::Librechat,
                    librechat::values(self.names, self.settings, &self.revisions.librechat),
                )
            }
            _ => (own(&self.settings.agent_path), Component::Agent, self.agent()),
        };
        let name = format!("{}-{component}", self.names.username());
        (name, self.application_set(component, &source, namespace, &values))
    }

    fn application_set(
        &self,
        component: &str,
        source: &Source<'_>,
        namespace: Component,
        values: &Value,
    ) -> Value {
        let template = json!({
            "metadata": {
                "name": format!("{component}-{}", self.names.username()),
                "labels": self.names.labels(),
                "finalizers": ["resources-finalizer.argocd.argoproj.io"],
            },
            "spec": {
                "project": self.names.app_project(),
                "destination": {
                    "server": "https://kubernetes.default.svc",
                    "namespace": self.names.namespace(namespace).as_str(),
                },
                "source": {
                    "repoURL": source.repository,
                    "path": source.path,
                    "targetRevision": source.revision,
                    // JSON is YAML that every reader takes the same way, whatever the tenant is called
                    "helm": {"values": format!("{values:#}")},
                },
                "syncPolicy": {
                    // students edit what is deployed: only a new commit or value takes that back
                    "automated": {"prune": true, "selfHeal": false},
                    "syncOptions": ["CreateNamespace=false"],
                    "retry": {"limit": 5, "backoff": {"duration": "2s", "factor": 2, "maxDuration": "1m"}},
                },
            },
        });
        json!({"spec": {
            "syncPolicy": {"preserveResourcesOnDeletion": false},
            "generators": [{"list": {"elements": [{"user": self.names.username().as_str()}]}}],
            "template": template,
        }})
    }

    fn common(&self, name: &str, namespace: Component) -> Value {
        json!({
            "fullnameOverride": name,
            "user": self.names.username().as_str(),
            "namespace": self.names.namespace(namespace).as_str(),
        })
    }

    /// Who may call an MCP server: the agent and LibreChat. By name, for adopted namespaces lack our labels.
    fn callers(&self) -> Value {
        let callers = [Component::Agent, Component::Librechat].map(|one| self.names.namespace(one).as_str());
        json!({"clientNamespaces": callers})
    }

    fn mcp_openshift(&self) -> Value {
        let mut values = self.common("mcp-openshift", Component::McpOpenshift);
        values["image"] = json!(self.settings.openshift_image);
        values["networkPolicy"] = self.callers();
        // the server's account reads these and nothing else on the cluster
        let readable: Vec<&str> = self.names.namespaces().map(|(_, name)| name.as_str()).collect();
        values["readNamespaces"] = json!(readable);
        values
    }

    fn mcp_gitea(&self) -> Value {
        let mut values = self.common("mcp-gitea", Component::McpGitea);
        values["image"] = json!(self.settings.gitea_image);
        values["networkPolicy"] = self.callers();
        values["credentialsRevision"] = json!(self.revisions.gitea);
        values["giteaConfig"] = json!({
            "url": self.names.gitea_internal_url(),
            "existingSecret": crate::steps::mcp_servers::GITEA_CREDENTIALS,
        });
        values
    }

    fn librechat_config(&self, routes: bool) -> Value {
        let mut values = self.common("librechat-config", Component::Librechat);
        let host = self.names.host(Component::Librechat, self.domain);
        values["application_name"] = json!("librechat");
        values["secrets"] = json!({"existingSecret": LIBRECHAT_CREDENTIALS});
        values["default_user"] = json!({
            "setup": true,
            "existingSecret": LIBRECHAT_CREDENTIALS,
            "credentialsRevision": self.revisions.librechat,
        });
        values["route"] = json!({"enabled": routes});
        values["ingress"] = json!({"enabled": !routes, "host": host});
        values
    }

    fn agent(&self) -> Value {
        let names = self.names;
        let mut values = self.common("agent", Component::Agent);
        let namespace = names.namespace(Component::Agent);
        values["application_name"] = json!("agent");
        values["credentialsRevision"] = json!(self.revisions.agent);
        values["git_url"] = json!(format!(
            "{}/{}/{}.git",
            names.gitea_internal_url(),
            names.username(),
            names.gitea_repository()
        ));
        values["git_revision"] = json!(self.settings.revision);
        values["agent_endpoint"] = json!(format!("http://agent.{namespace}.svc:8000/report-failure"));
        values["agentConfig"] = json!({
            "existingSecret": AGENT_CREDENTIALS,
            "litellm_model": self.settings.agent_model,
            "mcp_openshift_url": mcp_url(names, Component::McpOpenshift),
            "mcp_openshift_transport": "streamable-http",
            "mcp_gitea_url": mcp_url(names, Component::McpGitea),
            "mcp_gitea_transport": "streamable-http",
            "mcp_gitea_user": names.username().as_str(),
            "mcp_gitea_repo": names.gitea_repository(),
            "port": 8000,
        });
        values
    }
}
