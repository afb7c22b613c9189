//! What the supervisor hands to the stand-ins: the cluster, certificates, real Gitea processes, the
//! table of backends the router serves, and the table of faults.
//!
//! The other direction is `standins::start(Platform)`, which returns once every stand-in listens and
//! its controllers have their first list, and reports addresses, credentials and an inventory of what
//! the stand-ins hold (keys, users) for the residue snapshot.
//!
//! What is real, so that no stand-in imitates it: every controller of kube-controller-manager except those
//! of nodes and volumes runs, Deployments and Jobs included; there is no scheduler, no node and no kubelet. Pods
//! therefore stay Pending until a stand-in patches their status to Running and Ready, whereupon the real
//! controllers compute the status of Deployments, stateful sets and Jobs (as KWOK does it). A pod without
//! `nodeName` goes away at once when it is deleted, so never bind one. Volume claims have no provisioner.

use std::{collections::HashMap, fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use parking::Guarded;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use crate::{
    faults::{Behaviour, Fault, Faults, StandIn},
    gitea::{GiteaFactory, GiteaInstance, GiteaSpec},
    pki::Pki,
};

/// Everything a stand-in may use. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    /// Cluster administrator, with a generous request rate.
    pub client: kube::Client,
    /// The ingress domain, such as `apps.default.lab.test`: hosts are `{route}-{namespace}.{domain}`.
    pub domain: String,
    /// Whether the cluster has OpenShift's APIs (Route, SCC, …). False for `lab up --plain`.
    pub openshift: bool,
    /// Whether pods run: Services then have addresses that lead somewhere.
    pub nodes: bool,
    /// A directory of the stand-ins' own; removed when the lab goes down.
    pub directory: PathBuf,
    /// The lab's certificate authority and the router's wildcard certificate for [`Self::domain`].
    pub pki: Arc<Pki>,
    /// Starts real Gitea processes, one per `Gitea` resource.
    pub gitea: GiteaFactory,
    /// The Gitea that plays `https://github.com`: running already, shared by all tenants. Tenant
    /// instances reach it under the public names, so nobody needs to rewrite a clone address.
    pub forge: GiteaInstance,
    /// How each stand-in is to behave.
    pub faults: Arc<Faults>,
    /// Who answers for which Service.
    pub backends: Arc<Backends>,
    /// Cancelled when the lab goes down: every task ends, the supervisor waits for none of them.
    pub shutdown: CancellationToken,
}

/// A user name and its password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Login name.
    pub username: String,
    /// Password, random per lab or per instance.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What answers for a Service in place of its pods.
#[derive(Clone, Debug)]
pub enum Backend {
    /// A local process speaking plain HTTP.
    Address(SocketAddr),
    /// A responder inside this process.
    Responder(axum::Router),
}

/// Services of the cluster → what answers for them. The router looks a Route's or an Ingress's target
/// up here; a Service that is not listed has no endpoints (503, as OpenShift's router answers).
#[derive(Debug, Default)]
pub struct Backends {
    table: Guarded<HashMap<(String, String), Backend>>,
}

impl Backends {
    /// Lets `backend` answer for Service `service` of `namespace`, replacing what did so before.
    pub fn set(&self, namespace: &str, service: &str, backend: Backend) {
        self.table.with(|table| table.insert((namespace.to_owned(), service.to_owned()), backend));
    }

    /// What answers for that Service, if anything.
    pub fn get(&self, namespace: &str, service: &str) -> Option<Backend> {
        self.table.with(|table| table.get(&(namespace.to_owned(), service.to_owned())).cloned())
    }

    /// Forgets that Service; true if it was known.
    pub fn remove(&self, namespace: &str, service: &str) -> bool {
        self.table.with(|table| table.remove(&(namespace.to_owned(), service.to_owned())).is_some())
    }

    /// Namespace and name of every Service that is answered for, sorted.
    pub fn services(&self) -> Vec<(String, String)> {
        let mut services: Vec<_> = self.table.with(|table| table.keys().cloned().collect());
        services.sort();
        services
    }
}

pub(crate) mod parking {
    //! A value behind a standard mutex whose lock is held only inside a closure, so never across an await.

    use std::sync::{Mutex, PoisonError};

    #[derive(Debug, Default)]
    pub(crate) struct Guarded<T>(Mutex<T>);

    impl<T> Guarded<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        /// A panic elsewhere while the lock was held leaves plain maps usable, so poison is ignored.
        pub(crate) fn with<R>(&self, action: impl FnOnce(&mut T) -> R) -> R {
            action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }
}
