//! What a running lab tells others about itself: addresses, credentials, and who runs it.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{files::private, objects, processes::Record, supervisor::Size};

/// Written once, when everything runs; readable by its owner only, because it holds credentials.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// The lab's name.
    pub name: String,
    /// The process that runs it.
    pub supervisor: Record,
    /// The ingress domain.
    pub domain: String,
    /// How much of a cluster there is.
    pub size: Size,
    /// Whether the cluster has OpenShift's APIs.
    pub openshift: bool,
    /// The API server's address.
    pub api_url: String,
    /// A kubeconfig for it.
    pub kubeconfig: PathBuf,
    /// The API server's authority, PEM; `None` when the kubeconfig of an existing cluster names none.
    pub api_ca: Option<PathBuf>,
    /// The deployer's bearer token.
    pub token: String,
    /// Where the router listens; `None` when the cluster has one of its own.
    pub router: Option<SocketAddr>,
    /// The router's authority, PEM.
    pub router_ca: PathBuf,
    /// The forge's address.
    pub forge_url: String,
    /// The LiteLLM proxy's address.
    pub litellm_url: String,
    /// Its master key.
    pub litellm_master_key: String,
    /// Where the supervisor takes commands, see [`crate::control`].
    pub control: SocketAddr,
    /// What it asks for.
    pub control_token: String,
}

impl State {
    /// Reads the state of the lab in `directory`; `None` if none runs, or not yet.
    ///
    /// # Errors
    /// When the file cannot be read or is not of this version.
    pub fn read(directory: &Path) -> io::Result<Option<Self>> {
        match fs::read(file(directory)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts the state in place at once.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let partial = directory.join("state.partial");
        private(&partial, serde_json::to_vec_pretty(self)?)?;
        fs::rename(partial, file(directory))
    }

    /// The lab's folder, which goes with it.
    pub fn folder(&self) -> &Path {
        self.router_ca.parent().unwrap_or(Path::new("."))
    }

    /// The environment of a shell, or of a test's command.
    pub fn env(&self) -> Vec<(String, String)> {
        let path = |path: &Path| path.display().to_string();
        let mut env = vec![
            ("KUBECONFIG", path(&self.kubeconfig)),
            ("K8S_AUTH_HOST", self.api_url.clone()),
            ("K8S_AUTH_API_KEY", self.token.clone()),
            ("K8S_AUTH_VERIFY_SSL", "true".to_owned()),
        ];
        env.extend(self.api_ca.as_deref().map(|ca| ("K8S_AUTH_SSL_CA_CERT", path(ca))));
        if let Some(router) = self.router {
            env.push(("TENANT_INGRESS_ADDRESS", router.to_string()));
            env.push(("TENANT_INGRESS_CA", path(&self.router_ca)));
        }
        env.push(("GITEA_URL", self.forge_url.clone()));
        env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The platform's share of an order's variables.
    pub fn vars(&self) -> Map<String, Value> {
        let mut vars = vec![
            ("sandbox_openshift_api_url", self.api_url.clone()),
            ("cluster_admin_agnosticd_sa_token", self.token.clone()),
            ("openshift_cluster_ingress_domain", self.domain.clone()),
            ("sandbox_openshift_apps_domain", self.domain.clone()),
        ];
        if self.openshift {
            vars.push(("sandbox_openshift_console_url", objects::console_url(&self.domain)));
        }
        vars.push(("litellm_url", self.litellm_url.clone()));
        vars.push(("litellm_master_key", self.litellm_master_key.clone()));
        vars.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("state.json")
}
