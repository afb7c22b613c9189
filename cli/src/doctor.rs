//! Whether a cluster and the services beside it are ready for tenants: what `tenant doctor` checks.
//!
//! ```text
//!   kinds ── rights ── ingress ── storage ── Argo CD ── LiteLLM ── Keycloak ── Gitea      all at once,
//!                                                                                        each with a limit
//!                                   └──▶ findings: ok, warning, problem, not checked
//! ```
//!
//! Nothing is written, and nothing is judged by guessing: kinds come from discovery, rights from the API server's
//! own reviews, services from a request that needs the credentials a provision would use. A problem has the class of
//! failure that a provision would end with.

mod argo_cd;
mod finding;
mod ingress;
mod kinds;
mod rights;
mod services;
mod storage;

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use tenant_workflow::step::{Failure, StepError};
use tokio::time::timeout;

pub use self::finding::{Finding, Verdict};
use crate::{cluster::Cluster, settings::Settings, tenant::Web};

/// How long one check may take. A service that needs longer to answer one read fails orders, too.
const LIMIT: Duration = Duration::from_secs(15);

/// What is examined.
pub struct Patient {
    /// The cluster.
    pub cluster: Cluster,
    /// What the order says; defaults where it says nothing.
    pub settings: Settings,
    /// Domain of the cluster's hosts, if the order or the cluster tells.
    pub domain: Option<String>,
    /// HTTP clients.
    pub web: Web,
}

impl Patient {
    /// Runs all checks at once; findings come in a fixed order.
    pub async fn examine(&self) -> Vec<Finding> {
        let checks: Vec<(&'static str, BoxFuture<'_, Vec<Finding>>)> = vec![
            ("kinds", kinds::check(self).boxed()),
            ("rights", rights::check(self).boxed()),
            ("ingress", ingress::check(self).boxed()),
            ("storage", storage::check(self).boxed()),
            ("argo-cd", argo_cd::check(self).boxed()),
            ("litellm", services::litellm(self).boxed()),
            ("keycloak", services::keycloak(self).boxed()),
            ("gitea", services::gitea(self).boxed()),
        ];
        let limited = checks.into_iter().map(|(check, work)| async move {
            timeout(LIMIT, work).await.unwrap_or_else(|_| vec![late(check)])
        });
        join_all(limited).await.into_iter().flatten().collect()
    }
}

fn late(check: &'static str) -> Finding {
    let error = StepError::new(Failure::Service, format!("no answer within {} s", LIMIT.as_secs()))
        .hint("is the service overloaded, or its address behind a firewall?");
    Finding::failed(check, &error)
}
