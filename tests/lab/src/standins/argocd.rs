//! Stand-in for Argo CD 3.1 (OpenShift GitOps) in namespace `openshift-gitops`.
//!
//! Imitates: the provisioning reference, section 6, and Argo CD's own sources for words and conditions:
//! `ApplicationSet`s with list generators become Applications with their owner, labels and finalizers;
//! `AppProject`s are enforced (missing project, destination, repository: `InvalidSpecError`; a cluster-scoped
//! kind that is not listed: a failed sync); repository, path and revision must exist in the real Gitea
//! (`ComparisonError`); one automated sync for a spec, and one for each `operation`; health of what was deployed; the resources finalizer
//! deletes it first and is stuck when the project is gone. A set whose project is missing is looked at
//! again after three minutes, as there. A Route answers for `openshift-gitops-server`.
//!
//! Does not imitate: Helm (what the charts deploy is a table, see [`components`]), other generators,
//! `goTemplate`, waves, hooks, pruning, self-healing, several sources, other clusters, private
//! repositories, polling of Git (a new commit is noticed after the annotation `argocd.argoproj.io/refresh`),
//! accounts, the API of `argocd-server`.
//!
//! Faults: *failing* reports `ErrorOccurred` and `ComparisonError`, and on deletion `DeletionError`;
//! *wrong* reports Applications Synced and Healthy of which nothing was deployed, and on deletion lets
//! them go while what they deployed stays. Subject: namespace/name of the set or the Application.

mod application;
mod applicationset;
mod components;
mod health;
mod project;
mod source;
mod status;
mod template;

use axum::{Router, response::Html, routing::get};
use serde_json::json;

use self::{application::Controller, applicationset::Generator, source::Repositories};
use super::{
    cluster::{Cluster, ObjectKey},
    controller,
    kinds::Kind,
};
use crate::platform::{Backend, Platform};

/// Where Argo CD lives.
pub(crate) const NAMESPACE: &str = "openshift-gitops";
const SERVER: &str = "openshift-gitops-server";

/// Starts the controllers; call before [`Cluster::watch`].
///
/// # Errors
/// When no HTTP client can be built.
pub(crate) fn spawn(platform: &Platform, cluster: &Cluster) -> anyhow::Result<()> {
    controller::spawn(Generator { cluster: cluster.clone() }, cluster, platform);
    let repositories = Repositories::new(platform, cluster)?;
    let applications =
        Controller::new(cluster.clone(), repositories, platform.openshift, platform.domain.clone());
    controller::spawn(applications, cluster, platform);
    Ok(())
}

/// Lets something answer for `argocd-server`: its Route is the platform's, its Service and pods are not
/// there otherwise.
///
/// # Errors
/// When the API server refuses.
pub(crate) async fn install(platform: &Platform, cluster: &Cluster) -> anyhow::Result<()> {
    let key = ObjectKey::new(Kind::Service, NAMESPACE, SERVER);
    let service = json!({ "spec": { "ports": [{ "name": "https", "port": 443 }] } });
    cluster.apply("gitops-operator", &key, service).await?;
    let responder = Router::new()
        .route("/", get(async || Html("<html><title>Argo CD</title></html>")))
        .route("/healthz", get(async || "ok"));
    platform.backends.set(NAMESPACE, SERVER, Backend::Responder(responder));
    Ok(())
}
