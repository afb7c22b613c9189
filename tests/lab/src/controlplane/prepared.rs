//! The prepared store: etcd's data with the CRDs and the platform's namespaces in it.
//!
//! A new API server spends seconds on taking in three megabytes of schemas and on its own first objects.
//! Done once and copied, a lab is ready in half the time. Nothing in the store belongs to one lab: whatever
//! depends on its certificates or domain is written afterwards.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use super::{ControlPlane, Place, store};
use crate::{
    builds::{BuildError, Parts, crds, progress::Progress},
    files::copy_sparse,
    installation, objects,
    pki::Pki,
    polling,
    processes::Processes,
    snapshot::Snapshot,
    standins::Inventory,
};

/// Bump when what is put into the store changes.
const REVISION: &str = "2";

/// As many snapshots in a row without a difference mean that nothing moves any more.
const SETTLED: usize = 5;
const SETTLE_LIMIT: Duration = Duration::from_mins(1);

const WHAT: &str = "the prepared store";

/// The store of a cluster with or without OpenShift's APIs, prepared if it is not cached.
///
/// # Errors
/// When the control plane does not come up or refuses a CRD, or the cache cannot be written.
pub async fn ensure(parts: &Parts, openshift: bool, progress: Progress) -> Result<PathBuf, BuildError> {
    let crds = parts.crds.file_name().unwrap_or_default().as_encoded_bytes();
    let key = parts.control_plane_key.clone().with("crds", crds).with("revision", REVISION);
    let name = if openshift { "store" } else { "store-plain" };
    parts
        .cache
        .entry(name, &key, progress, async |partial| {
            let task = progress.begin("preparing the cluster's store (once)");
            let scratch = partial.join("scratch");
            let unwritable = |source| BuildError::Cache { path: partial.to_owned(), source };
            let processes = Processes::new(&scratch).map_err(unwritable)?;
            let filled = async {
                let pki = Pki::new("store.lab.test")?;
                let plane =
                    ControlPlane::start(&parts.control_plane, &scratch, &pki, &processes, &[]).await?;
                installation::define(
                    &plane.client,
                    crds::load(&parts.crds, crds::Set::of_platform(openshift))?,
                )
                .await?;
                installation::create(&plane.client, objects::namespaces(openshift)).await?;
                plane.control(&parts.control_plane, &scratch, Place::Host(&processes), &plane.kubeconfig)?;
                settled(&plane.client).await
            };
            let filled = filled.await;
            processes.stop_all();
            filled.map_err(|error| BuildError::Failed { what: WHAT, output: format!("{error:#}") })?;
            copy(&scratch, partial).and_then(|()| fs::remove_dir_all(&scratch)).map_err(unwritable)?;
            task.done();
            Ok(())
        })
        .await
}

/// Waits until the controllers have done what they do to every new cluster: aggregated roles, service
/// accounts and authorities of namespaces.
async fn settled(client: &kube::Client) -> anyhow::Result<()> {
    let mut last = Snapshot::default();
    let mut unchanged = 0;
    let settled = polling::until(SETTLE_LIMIT, async || {
        let now = Snapshot::take(client, Inventory::default()).await.ok()?;
        let aggregated = !now.objects.get("clusterroles.rbac.authorization.k8s.io admin")?["rules"].is_null();
        unchanged = if aggregated && now == last { unchanged + 1 } else { 0 };
        last = now;
        (unchanged == SETTLED).then_some(())
    });
    settled.await.context("the controllers do not settle within a minute")
}

/// Copies the store of the lab in `from` to the one in `to`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for folder in ["member/snap", "member/wal"] {
        let (from, to) = (store(from).join(folder), store(to).join(folder));
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            // Space that etcd keeps ready for its next log segment.
            if entry.path().extension().is_none_or(|extension| extension != "tmp") {
                copy_sparse(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}
