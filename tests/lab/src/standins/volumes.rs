//! Stand-in for a dynamic provisioner, where pods run: a claim gets a folder of this machine.
//!
//! Imitates: Rancher's local-path-provisioner (one folder for each claim, made when the scheduler has chosen a node for
//! the pod that wants it, open to every user, removed with the claim); binding is the real controller's work.
//! Kubernetes' own `kubernetes.io/host-path` makes folders that only root may enter.
//!
//! Does not imitate: several nodes, sizes.
//!
//! Faults are those of `workloads`: *absent* leaves a claim pending. Subject: namespace/name.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use kube::{
    ResourceExt as _,
    api::{DynamicObject, PropagationPolicy},
};
use serde_json::{Value, json};

use super::{
    cluster::{Change, Cluster, ObjectKey},
    controller::{Next, Reconciler},
    kinds::Kind,
};
use crate::platform::{Behaviour, StandIn};

/// The storage class whose claims are served, the cluster's default.
pub(crate) const CLASS: &str = "lab-folders";
const PROVISIONER: &str = "lab.test/folders";
/// The scheduler's word that a pod wants the claim, and where. A claim bound before it (`Immediate`) is now and then not
/// seen by the scheduler, which hears of a change before its own cache does and leaves the pod for five minutes.
const WANTED: &str = "volume.kubernetes.io/selected-node";
const MANAGER: &str = "volume-provisioner";

/// Gives claims their folders.
pub(crate) struct Volumes {
    /// Where the claims are.
    pub(crate) cluster: Cluster,
    /// Where the folders are.
    pub(crate) folder: PathBuf,
}

impl Reconciler for Volumes {
    const STAND_IN: StandIn = StandIn::Workloads;
    const WATCHES: &'static [Kind] = &[Kind::PersistentVolumeClaim];

    fn affected(&self, change: &Change) -> Vec<ObjectKey> {
        vec![change.key.clone()]
    }

    async fn reconcile(&self, key: &ObjectKey, _behaviour: Behaviour) -> anyhow::Result<Next> {
        let name = format!("{}-{}", key.namespace, key.name);
        let volume = ObjectKey::new(Kind::PersistentVolume, "", &name);
        let folder = self.folder.join(&name);
        let Some(claim) = self.cluster.get(key) else {
            remove(&folder).with_context(|| format!("remove {}", folder.display()))?;
            self.cluster.delete(&volume, PropagationPolicy::Background).await?;
            return Ok(Next::Wait);
        };
        let bound = claim.data["status"]["phase"] == "Bound";
        if bound
            || claim.metadata.deletion_timestamp.is_some()
            || claim.data["spec"]["storageClassName"] != CLASS
            || !claim.annotations().contains_key(WANTED)
        {
            return Ok(Next::Wait);
        }
        make(&folder).with_context(|| format!("make {}", folder.display()))?;
        self.cluster.apply(MANAGER, &volume, persistent_volume(&claim, key, &folder)).await?;
        Ok(Next::Wait)
    }
}

fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn persistent_volume(claim: &DynamicObject, key: &ObjectKey, folder: &Path) -> Value {
    let spec = &claim.data["spec"];
    json!({
        "metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": key.name,
                "namespace": key.namespace,
                "uid": claim.metadata.uid,
            },
            "hostPath": {"path": folder},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": CLASS,
        },
    })
}

/// The cluster's default storage class.
pub(crate) fn class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "volumeBindingMode": "WaitForFirstConsumer",
    })
}
