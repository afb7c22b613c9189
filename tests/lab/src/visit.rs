//! What a lab is inside a pod of an existing cluster, brought there by [`crate::accept`]: everything was prepared
//! elsewhere and lies at the same paths here; the cluster is the one that the pod runs in.

use std::{fs, path::Path};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{files::private, supervisor::Prepared};

/// Where the image says what was prepared.
pub(crate) const PREPARED: &str = "/etc/tenant-lab/prepared.json";
/// Where the pod's account is written down as a kubeconfig.
pub(crate) const KUBECONFIG: &str = "/etc/tenant-lab/kubeconfig";

/// Where a pod finds its account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Whether this process is in such a pod.
pub fn here() -> bool {
    Path::new(PREPARED).exists()
}

/// What was prepared for this pod, with its kubeconfig in place.
///
/// # Errors
/// When the image is not of this version, or the pod has no account.
pub(crate) fn prepared() -> anyhow::Result<Prepared> {
    private(Path::new(KUBECONFIG), kubeconfig().to_string()).context("write the pod's kubeconfig")?;
    let prepared = fs::read(PREPARED).with_context(|| format!("read {PREPARED}"))?;
    serde_json::from_slice(&prepared).with_context(|| format!("read {PREPARED}"))
}

/// The token is read anew from its file by everybody: the kubelet replaces it every hour.
fn kubeconfig() -> Value {
    let name = "cluster";
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {
            "server": "https://kubernetes.default.svc",
            "certificate-authority": format!("{ACCOUNT}/ca.crt"),
        }}],
        "users": [{"name": name, "user": {"tokenFile": format!("{ACCOUNT}/token")}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    })
}
