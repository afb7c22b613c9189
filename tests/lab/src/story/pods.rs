//! What runs in a tenant's namespaces.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use kube::{Api, Client, api::ListParams};

use crate::polling;

/// A provisioner empties a volume before it removes it.
const VOLUMES_LIMIT: Duration = Duration::from_mins(1);

/// The number of a tenant's pods, if all that are to run are Ready.
///
/// # Errors
/// Names those that are not.
pub async fn serving(client: &Client, guid: &str) -> anyhow::Result<usize> {
    let pods: Api<Pod> = Api::all(client.clone());
    let pods = pods.list(&ListParams::default()).await.context("list pods")?.items;
    let of_tenant = |pod: &&Pod| {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        namespace.ends_with(&format!("-user-{guid}"))
    };
    let running: Vec<&Pod> = pods.iter().filter(of_tenant).filter(|pod| phase(pod) != "Succeeded").collect();
    let unready: Vec<String> = running
        .iter()
        .filter(|pod| !ready(pod))
        .map(|pod| format!("{} is {}", pod.metadata.name.as_deref().unwrap_or_default(), phase(pod)))
        .collect();
    ensure!(unready.is_empty(), "pods of {guid} do not serve: {}", unready.join(", "));
    ensure!(!running.is_empty(), "{guid} has no pods");
    Ok(running.len())
}

/// Returns once the cluster has taken back the volumes of a tenant that is gone.
///
/// # Errors
/// When it does not.
pub async fn volumes_gone(client: &Client, guid: &str) -> anyhow::Result<()> {
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let suffix = format!("-user-{guid}");
    let of_tenant = |volume: &PersistentVolume| {
        let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        claim
            .and_then(|claim| claim.namespace.as_deref())
            .is_some_and(|namespace| namespace.ends_with(&suffix))
    };
    let gone = polling::until(VOLUMES_LIMIT, async || {
        let volumes = volumes.list(&ListParams::default()).await.ok()?.items;
        (!volumes.iter().any(of_tenant)).then_some(())
    });
    gone.await.with_context(|| format!("volumes of {guid} are still there"))
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|each| each.type_ == "Ready" && each.status == "True")
}
