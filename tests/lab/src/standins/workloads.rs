//! Stand-in for scheduler, kubelet and volume provisioner: there is no node, so nothing runs.
//!
//! Imitates: pods become Running and Ready, pods of Jobs Succeeded, claims Bound; a pod whose environment
//! names a missing Secret, `ConfigMap` or key stays in `CreateContainerConfigError`, one whose volume names
//! a missing one stays in `ContainerCreating`, and an image that cannot be pulled in `ImagePullBackOff`,
//! with the kubelet's words. Everything above pods is real: Deployments, `StatefulSet`s and Jobs get their
//! status from the real controllers, so quotas, limit ranges and missing service accounts show as they do
//! on a cluster. Only tenants' namespaces are looked at.
//!
//! Does not imitate: nodes (pods stay without a node name and address), probes, restarts, logs, exec,
//! resource use, volumes with content.
//!
//! Faults: *absent* leaves pods and claims Pending, *failing* means that no image can be pulled, *wrong*
//! leaves pods Ready while what answers for their Services says 500 (see [`super::endpoints`]). Subject:
//! namespace/name and the pod's images.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    cluster::{Change, Cluster, ObjectKey},
    controller::{Next, Reconciler},
    kinds::Kind,
    ownership::is_tenant_namespace,
    routes::seconds,
};
use crate::platform::{Behaviour, StandIn, parking::Guarded};

/// Runs pods and binds claims.
pub(crate) struct Kubelet {
    cluster: Cluster,
    /// Claims that were bound. Each is bound once: a real volume binder, should one run, has the last word.
    bound: Guarded<HashSet<Option<String>>>,
}

impl Kubelet {
    /// Follows the pods and claims of `cluster`.
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster, bound: Guarded::default() }
    }
}

impl Reconciler for Kubelet {
    const STAND_IN: StandIn = StandIn::Workloads;
    const WATCHES: &'static [Kind] = &[Kind::Pod, Kind::PersistentVolumeClaim, Kind::Secret, Kind::ConfigMap];

    /// A Secret or `ConfigMap` may be what a waiting pod of its namespace lacks.
    fn affected(&self, change: &Change) -> Vec<ObjectKey> {
        let key = &change.key;
        if !is_tenant_namespace(&key.namespace) {
            return Vec::new();
        }
        if matches!(key.kind, Kind::Pod | Kind::PersistentVolumeClaim) {
            return vec![key.clone()];
        }
        let pods = self.cluster.list_in(Kind::Pod, &key.namespace).into_iter();
        let waiting = pods.filter(|pod| pod.data["status"]["phase"] == "Pending");
        waiting.map(|pod| ObjectKey::of(Kind::Pod, &pod)).collect()
    }

    fn subject(&self, key: &ObjectKey) -> String {
        let object = self.cluster.get(key);
        let images: Vec<String> =
            object.iter().flat_map(|pod| containers(pod)).map(|(_, image)| image).collect();
        format!("{}/{} {}", key.namespace, key.name, images.join(" "))
    }

    async fn reconcile(&self, key: &ObjectKey, behaviour: Behaviour) -> anyhow::Result<Next> {
        let Some(object) = self.cluster.get(key) else { return Ok(Next::Wait) };
        if object.metadata.deletion_timestamp.is_some() {
            return Ok(Next::Wait);
        }
        let now = seconds(Timestamp::now());
        let status = if key.kind == Kind::PersistentVolumeClaim {
            self.bound.with(|claims| claims.insert(object.metadata.uid.clone())).then(|| bound(&object))
        } else if has_started(&object) {
            // Images and environment matter when a container starts, not afterwards.
            None
        } else {
            let state = if matches!(behaviour, Behaviour::Failing(_)) {
                PodState::ImagePull
            } else {
                decide(&object, |kind, name| {
                    self.cluster.find(kind, &key.namespace, name).map(|found| keys(&found))
                })
            };
            (summary(&object) != state.summary()).then(|| state.status(&object, &now))
        };
        if let Some(status) = status {
            // The pod may be gone by now: nothing is left to run then.
            match self.cluster.merge_status(key, status).await {
                Err(error) if error.code() == Some(404) => {}
                other => other?,
            }
        }
        Ok(Next::Wait)
    }
}

fn has_started(pod: &DynamicObject) -> bool {
    matches!(pod.data["status"]["phase"].as_str(), Some("Running" | "Succeeded" | "Failed"))
}

fn bound(claim: &DynamicObject) -> Value {
    let spec = &claim.data["spec"];
    json!({
        "phase": "Bound",
        "accessModes": spec["accessModes"],
        "capacity": { "storage": spec["resources"]["requests"]["storage"] },
    })
}

/// How far a pod gets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PodState {
    Ready,
    Succeeded,
    /// A volume cannot be mounted.
    Creating(String),
    /// The environment cannot be put together.
    ConfigError(String),
    ImagePull,
}

/// Names and images of the pod's containers.
fn containers(pod: &DynamicObject) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let containers = pod.data["spec"]["containers"].as_array();
    containers.into_iter().flatten().map(|each| (text(&each["name"]), text(&each["image"]))).collect()
}

/// The keys of a Secret or `ConfigMap`.
fn keys(object: &DynamicObject) -> BTreeSet<String> {
    let maps = ["data", "binaryData"].into_iter().filter_map(|field| object.data[field].as_object());
    maps.flat_map(|map| map.keys().cloned()).collect()
}

/// What becomes of the pod. `find` gives the keys of a Secret or `ConfigMap` of its namespace.
fn decide(pod: &DynamicObject, find: impl Fn(Kind, &str) -> Option<BTreeSet<String>>) -> PodState {
    let spec = &pod.data["spec"];
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    for volume in volumes {
        for (kind, source, field) in
            [(Kind::Secret, "secret", "secretName"), (Kind::ConfigMap, "configMap", "name")]
        {
            let source = &volume[source];
            let Some(name) = source[field].as_str() else { continue };
            if source["optional"] != true && find(kind, name).is_none() {
                return PodState::Creating(format!("{} {name:?} not found", kind.name().to_lowercase()));
            }
        }
    }
    let all =
        ["initContainers", "containers"].into_iter().filter_map(|field| spec[field].as_array()).flatten();
    for container in all {
        if let Err(missing) = environment(container, &find) {
            return PodState::ConfigError(missing);
        }
    }
    if spec["restartPolicy"] == "Never" || spec["restartPolicy"] == "OnFailure" {
        PodState::Succeeded
    } else {
        PodState::Ready
    }
}

fn environment(
    container: &Value,
    find: &impl Fn(Kind, &str) -> Option<BTreeSet<String>>,
) -> Result<(), String> {
    for source in container["envFrom"].as_array().into_iter().flatten() {
        for (kind, field) in [(Kind::Secret, "secretRef"), (Kind::ConfigMap, "configMapRef")] {
            let reference = &source[field];
            let Some(name) = reference["name"].as_str() else { continue };
            if reference["optional"] != true && find(kind, name).is_none() {
                return Err(format!("{} {name:?} not found", kind.name().to_lowercase()));
            }
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        for (kind, field) in [(Kind::Secret, "secretKeyRef"), (Kind::ConfigMap, "configMapKeyRef")] {
            let reference = &variable["valueFrom"][field];
            let (Some(name), Some(key)) = (reference["name"].as_str(), reference["key"].as_str()) else {
                continue;
            };
            if reference["optional"] == true {
                continue;
            }
            let what = kind.name().to_lowercase();
            let keys = find(kind, name).ok_or_else(|| format!("{what} {name:?} not found"))?;
            if !keys.contains(key) {
                return Err(format!("couldn't find key {key} in {} {name}", kind.name()));
            }
        }
    }
    Ok(())
}

/// Phase and the first container's reason for waiting: what tells one state from another.
type Summary = (String, String);

fn summary(pod: &DynamicObject) -> Summary {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let status = &pod.data["status"];
    (text(&status["phase"]), text(&status["containerStatuses"][0]["state"]["waiting"]["reason"]))
}

impl PodState {
    fn summary(&self) -> Summary {
        let (phase, reason) = match self {
            Self::Ready => ("Running", ""),
            Self::Succeeded => ("Succeeded", ""),
            Self::Creating(_) => ("Pending", "ContainerCreating"),
            Self::ConfigError(_) => ("Pending", "CreateContainerConfigError"),
            Self::ImagePull => ("Pending", "ImagePullBackOff"),
        };
        (phase.to_owned(), reason.to_owned())
    }

    fn status(&self, pod: &DynamicObject, now: &str) -> Value {
        let (phase, reason) = self.summary();
        let ready = *self == Self::Ready;
        let statuses: Vec<Value> = containers(pod)
            .into_iter()
            .map(|(name, image)| {
                let state = match self {
                    Self::Ready => json!({ "running": { "startedAt": now } }),
                    Self::Succeeded => json!({ "terminated": {
                        "exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now } }),
                    Self::Creating(message) | Self::ConfigError(message) => {
                        json!({ "waiting": { "reason": reason, "message": message } })
                    }
                    Self::ImagePull => json!({ "waiting": {
                        "reason": reason, "message": format!("Back-off pulling image {image:?}") } }),
                };
                json!({ "name": name, "image": image, "imageID": "", "ready": ready, "started": ready,
                    "restartCount": 0, "state": state })
            })
            .collect();
        let condition = |kind: &str, holds: bool| {
            let mut condition = json!({ "type": kind, "status": if holds { "True" } else { "False" },
                "lastTransitionTime": now });
            if !holds {
                let reason = if *self == Self::Succeeded { "PodCompleted" } else { "ContainersNotReady" };
                condition["reason"] = reason.into();
            }
            condition
        };
        json!({
            "phase": phase,
            "startTime": now,
            "conditions": [
                condition("PodScheduled", true),
                condition("Initialized", true),
                condition("ContainersReady", ready),
                condition("Ready", ready),
            ],
            "containerStatuses": statuses,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: &Value) -> DynamicObject {
        serde_json::from_value(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" },
            "spec": spec }))
        .unwrap()
    }

    fn none(_: Kind, _: &str) -> Option<BTreeSet<String>> {
        None
    }

    #[test]
    fn a_pod_waits_for_what_its_environment_names_and_not_for_what_is_optional() {
        let from_key = |optional: bool| {
            let reference = json!({ "name": "creds", "key": "token", "optional": optional });
            let variable = json!({ "name": "T", "valueFrom": { "secretKeyRef": reference } });
            pod(&json!({ "containers": [{ "name": "c", "image": "i", "env": [variable] }] }))
        };
        let with = |key: &'static str| {
            move |kind, name: &str| {
                (kind == Kind::Secret && name == "creds").then(|| BTreeSet::from([key.to_owned()]))
            }
        };
        assert_eq!(
            decide(&from_key(false), none),
            PodState::ConfigError("secret \"creds\" not found".into())
        );
        let wrong_key = PodState::ConfigError("couldn't find key token in Secret creds".into());
        assert_eq!(decide(&from_key(false), with("other")), wrong_key);
        assert_eq!(decide(&from_key(false), with("token")), PodState::Ready);
        assert_eq!(decide(&from_key(true), none), PodState::Ready);

        let whole = json!({ "configMapRef": { "name": "env" } });
        let whole = pod(&json!({ "containers": [{ "name": "c", "image": "i", "envFrom": [whole] }] }));
        assert_eq!(decide(&whole, none), PodState::ConfigError("configmap \"env\" not found".into()));
        let mounted = json!({ "name": "v", "secret": { "secretName": "tls" } });
        let mounted = pod(&json!({ "containers": [], "volumes": [mounted] }));
        assert_eq!(decide(&mounted, none), PodState::Creating("secret \"tls\" not found".into()));
    }

    #[test]
    fn pods_of_jobs_succeed_and_others_run() {
        let of = |policy: &str| pod(&json!({ "restartPolicy": policy, "containers": [] }));
        assert_eq!(decide(&of("Always"), none), PodState::Ready);
        assert_eq!(decide(&of("Never"), none), PodState::Succeeded);
        assert_eq!(decide(&of("OnFailure"), none), PodState::Succeeded);
    }

    #[test]
    fn what_runs_keeps_running_whatever_becomes_of_its_secrets() {
        for (phase, started) in [("Pending", false), ("Running", true), ("Succeeded", true)] {
            let mut pod = pod(&json!({ "containers": [] }));
            pod.data["status"] = json!({ "phase": phase });
            assert_eq!(has_started(&pod), started, "{phase}");
        }
    }

    #[test]
    fn a_status_written_is_recognised_and_not_written_again() {
        let states = [
            PodState::Ready,
            PodState::Succeeded,
            PodState::Creating("m".into()),
            PodState::ConfigError("m".into()),
            PodState::ImagePull,
        ];
        for state in states {
            let mut pod = pod(&json!({ "containers": [{ "name": "c", "image": "i" }] }));
            pod.data["status"] = state.status(&pod, "2026-01-01T00:00:00Z");
            assert_eq!(summary(&pod), state.summary());
        }
    }
}
