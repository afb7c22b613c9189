//! A new version of a chart takes over without a gap: what the stored renderings say about it. Whether pods are
//! ready when they say so is seen where pods run.

use std::path::PathBuf;

use serde_json::Value;
use tenant_lab::container::Rendering;

use crate::checkout;

/// All stored renderings, with their paths.
fn renderings() -> Vec<(PathBuf, Rendering)> {
    let snapshots = checkout::tracked().into_iter().filter(|path| {
        path.starts_with("tests/charts/")
            && PathBuf::from(path).extension().is_some_and(|each| each == "snap")
    });
    let read = |path: String| {
        let rendering = Rendering::read(&checkout::read(&path));
        (PathBuf::from(&path), rendering.unwrap_or_else(|error| panic!("{path}: {error:#}")))
    };
    snapshots.map(read).collect()
}

/// Whether two pods of a Deployment could want one claim that belongs to one node.
fn held_by_a_claim(deployment: &Value, claims: &[Value]) -> bool {
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array().into_iter().flatten();
    let mut named = volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
    named.any(|name| {
        let claim = claims.iter().find(|claim| claim["metadata"]["name"] == name);
        claim.is_some_and(|claim| claim["spec"]["accessModes"][0] == "ReadWriteOnce")
    })
}

#[test]
fn a_new_version_starts_beside_the_old_one_unless_both_need_one_claim() {
    let mut deployments = 0;
    for (path, rendering) in renderings() {
        let claims = rendering.all("PersistentVolumeClaim");
        for deployment in rendering.all("Deployment") {
            let strategy = &deployment["spec"]["strategy"];
            let alone = strategy["type"] == "Recreate";
            let what = format!("{}: {}: {strategy}", path.display(), deployment["metadata"]["name"]);
            assert_eq!(alone, held_by_a_claim(&deployment, &claims), "{what}");
            assert!(alone || strategy["rollingUpdate"]["maxUnavailable"] == 0, "{what}");
            deployments += 1;
        }
    }
    assert!(deployments > 10, "only {deployments} Deployments are rendered");
}

#[test]
fn whatever_serves_says_when_it_is_ready() {
    for (path, rendering) in renderings() {
        for kind in ["Deployment", "StatefulSet"] {
            for workload in rendering.all(kind) {
                let pod = &workload["spec"]["template"]["spec"];
                let mut containers = pod["containers"].as_array().into_iter().flatten();
                // one that asks for the others, as the guide's proxy does, speaks for all
                let probed = containers.any(|container| container["readinessProbe"].is_object());
                assert!(
                    probed,
                    "{}: nothing says when {} is ready",
                    path.display(),
                    workload["metadata"]["name"]
                );
            }
        }
    }
}
