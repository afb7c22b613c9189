//! What goes into the ApplicationSets (provisioning.md 2.5.2), without a single secret.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    librechat,
    servers::{self, Servers},
};
use crate::{
    names::{Component, McpServer, Names},
    order::{VarError, Vars},
    outputs::Applications,
};

/// Secret the LibreChat charts read (provisioning.md 8.3).
pub(super) const LIBRECHAT_CREDENTIALS: &str = "librechat-credentials-env";
/// Secret the agent chart reads.
pub(super) const AGENT_CREDENTIALS: &str = "agent-credentials";

pub(super) const PREFIX: &str = "ocp4_workload_ocpsandbox_mcp_user_";

/// What an order says about the applications.
#[derive(Debug, Clone)]
pub struct Settings {
    revision: String,
    pub(super) servers: Servers,
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
    /// Reads the order's variables (agnosticd-compat.md 3.7).
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
            servers: Servers::read(vars)?,
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
            mcp_servers: names.mcp_servers().iter().map(|one| (*one, servers::url(names, *one))).collect(),
            password,
        }
    }

    /// The user's login in LibreChat.
    pub fn librechat_user(&self, names: &Names) -> String {
        format!("{}@{}", names.username(), self.email_domain)
    }
}

/// What changes when a Secret does, so that what reads it is restarted (provisioning.md 9, defect 46).
#[derive(Debug, Default)]
pub(super) struct Revisions {
    pub(super) gitea: String,
    pub(super) librechat: String,
    pub(super) agent: String,
}

/// The sets of one tenant.
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
        let Settings { revision, .. } = self.settings;
        let tenant = format!(
            "{}/{}/{}",
            self.names.gitea_internal_url(),
            self.names.username(),
            self.names.gitea_repository()
        );
        let own = |path| Source { repository: &tenant, path, revision };
        let elsewhere = Source {
            repository: &self.settings.librechat_repository,
            path: &self.settings.librechat_path,
            revision: &self.settings.librechat_revision,
        };
        let librechat = librechat::values(self.names, self.settings, &self.revisions.librechat);
        let servers = self.names.mcp_servers().iter().map(|server| {
            let component = server.component();
            self.set(
                component.suffix(),
                &own(self.settings.servers.path(*server)),
                component,
                &self.server(*server),
            )
        });
        servers
            .chain([
                self.set(
                    "librechat-config",
                    &own(&self.settings.librechat_config_path),
                    Component::Librechat,
                    &self.librechat_config(routes),
                ),
                self.set("librechat", &elsewhere, Component::Librechat, &librechat),
                self.set("agent", &own(&self.settings.agent_path), Component::Agent, &self.agent()),
            ])
            .collect()
    }

    /// Name and content of the set that makes one application.
    fn set(
        &self,
        component: &str,
        source: &Source<'_>,
        namespace: Component,
        values: &Value,
    ) -> (String, Value) {
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
        let set = json!({"spec": {
            "syncPolicy": {"preserveResourcesOnDeletion": false},
            "generators": [{"list": {"elements": [{"user": self.names.username().as_str()}]}}],
            "template": template,
        }});
        (format!("{}-{component}", self.names.username()), set)
    }

    pub(super) fn common(&self, name: &str, namespace: Component) -> Value {
        json!({
            "fullnameOverride": name,
            "user": self.names.username().as_str(),
            "namespace": self.names.namespace(namespace).as_str(),
        })
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
            "mcp_openshift_url": self.agent_server(McpServer::Openshift),
            "mcp_openshift_transport": "streamable-http",
            "mcp_gitea_url": self.agent_server(McpServer::Gitea),
            "mcp_gitea_transport": "streamable-http",
            "mcp_gitea_user": names.username().as_str(),
            "mcp_gitea_repo": names.gitea_repository(),
            "port": 8000,
        });
        values
    }
}
