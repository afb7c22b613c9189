//! Real Gitea processes, each from a copy of the prepared data directory.

use std::{net::SocketAddr, sync::Arc};

use crate::platform::Credentials;

/// What to start.
#[derive(Clone, Debug)]
pub struct GiteaSpec {
    /// Unique in the lab; names the directory, the log and the process: `gitea-{namespace}` for a
    /// tenant's instance.
    pub name: String,
    /// The address users see, with scheme: Gitea writes it into clone addresses.
    pub root_url: String,
}

/// Starts Gitea processes. Cheap to clone.
#[derive(Clone)]
pub struct GiteaFactory {
    running: Arc<crate::platform::parking::Guarded<Vec<GiteaInstance>>>,
}

/// A running Gitea. Cheap to clone; dropping it stops nothing.
#[derive(Clone, Debug)]
pub struct GiteaInstance {
    /// As given in [`GiteaSpec::name`].
    pub name: String,
    /// Where it listens, plain HTTP on loopback.
    pub address: SocketAddr,
    /// A site administrator that exists from the start; not one of the tenant's users.
    pub admin: Credentials,
}

impl GiteaFactory {
    /// Starts an instance and returns when it answers (about a second). An instance of that name that
    /// runs already is returned as it is.
    ///
    /// # Errors
    /// When the process cannot be started or ends early; the message holds the tail of its log.
    pub async fn start(&self, spec: GiteaSpec) -> anyhow::Result<GiteaInstance> {
        anyhow::bail!("not yet: {}", spec.name)
    }

    /// Ends the instance and removes its data; false if no instance has that name.
    pub async fn stop(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The running instance of that name.
    pub fn get(&self, name: &str) -> Option<GiteaInstance> {
        self.list().into_iter().find(|instance| instance.name == name)
    }

    /// Every running instance, the forge included.
    pub fn list(&self) -> Vec<GiteaInstance> {
        self.running.with(|running| running.clone())
    }
}

impl GiteaInstance {
    /// Its address with scheme, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
