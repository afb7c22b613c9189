//! What keeps a workload from running, in its own words: an image that cannot be pulled, a quota that is used up, a
//! pod no node takes.

use std::time::Duration;

use futures::future::{BoxFuture, Either, FutureExt as _, select};
use tenant_workflow::scope::Scope;

use super::{Cluster, ClusterError, DEPLOYMENT, Object, ObjectRef, POD};

/// Workloads that run by then are asked nothing.
const FIRST_LOOK: Duration = Duration::from_secs(4);
/// Between later looks.
const NEXT_LOOK: Duration = Duration::from_secs(20);

/// Why a workload does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hindrance {
    /// What is wrong, with the object's name.
    pub seen: String,
    /// The command that helps.
    pub remedy: String,
}

impl Hindrance {
    /// What keeps an object from going; `seen` says it.
    pub fn to_deletion(at: &ObjectRef, seen: String) -> Self {
        let namespace =
            if at.namespace.is_empty() { String::new() } else { format!(" --namespace {}", at.namespace) };
        let remedy = format!(
            "`kubectl{namespace} get {} {} -o yaml` shows it whole; if whoever should finish it is gone, `tenant \
             destroy --force-finalizers` takes its finalizers away",
            at.kind.plural, at.name
        );
        Self { seen, remedy }
    }
}

impl Cluster {
    /// Waits for `wait`, and says meanwhile what hinders the workloads of these namespaces, should it take long.
    ///
    /// # Errors
    ///
    /// Those of `wait`. That the workloads cannot be looked at is none.
    pub fn explained<'a, T: Send + 'a>(
        &'a self,
        scope: &'a Scope,
        namespaces: &'a [&'a str],
        wait: impl Future<Output = T> + Send + 'a,
    ) -> BoxFuture<'a, T> {
        async move {
            let looks = async {
                let mut pause = FIRST_LOOK;
                loop {
                    rest(pause).await;
                    pause = NEXT_LOOK;
                    for namespace in namespaces {
                        let what = format!("the workloads of {namespace}");
                        match self.hindrance(namespace).await {
                            Ok(Some(Hindrance { seen, remedy })) => scope.held_up(&what, &seen, &remedy),
                            Ok(None) => scope.ready(&what),
                            Err(_) => {}
                        }
                    }
                }
            };
            match select(std::pin::pin!(wait), std::pin::pin!(looks)).await {
                Either::Left((done, _)) => {
                    for namespace in namespaces {
                        scope.ready(&format!("the workloads of {namespace}"));
                    }
                    done
                }
                Either::Right((never, _)) => never,
            }
        }
        .boxed()
    }

    async fn hindrance(&self, namespace: &str) -> Result<Option<Hindrance>, ClusterError> {
        let (deployments, pods) =
            futures::try_join!(self.list(&DEPLOYMENT, namespace, ""), self.list(&POD, namespace, ""))?;
        Ok(pods.iter().find_map(of_pod).or_else(|| deployments.iter().find_map(of_deployment)))
    }
}

/// What the scheduler or the kubelet says of a pod that does not run.
fn of_pod(pod: &Object) -> Option<Hindrance> {
    let (namespace, name) = place(pod);
    let status = &pod.data["status"];
    let kinds = ["initContainerStatuses", "containerStatuses"];
    let containers = kinds.iter().flat_map(|kind| status[kind].as_array().into_iter().flatten());
    let waiting = containers.filter_map(|container| {
        let (state, image) = (&container["state"]["waiting"], container["image"].as_str()?);
        let reason = state["reason"].as_str().filter(|reason| is_trouble(reason))?;
        let message = state["message"].as_str().map(|message| format!(" ({message})")).unwrap_or_default();
        Some(format!("Pod {name}: {reason}, image {image}{message}"))
    });
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let unscheduled = conditions
        .filter(|one| one["type"] == "PodScheduled" && one["status"] == "False")
        .filter_map(|one| Some(format!("Pod {name}: no node takes it ({})", one["message"].as_str()?)));
    let seen = waiting.chain(unscheduled).next()?;
    Some(Hindrance { seen, remedy: format!("kubectl -n {namespace} describe pod {name}") })
}

/// The kubelet's reasons that do not pass by themselves (`pkg/kubelet/images`, `kuberuntime`).
fn is_trouble(reason: &str) -> bool {
    matches!(
        reason,
        "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "CreateContainerConfigError"
            | "CreateContainerError"
            | "RunContainerError"
            | "CrashLoopBackOff"
    )
}

/// What a Deployment says when its pods are not even made: a quota that is used up, a policy that forbids them.
pub fn of_deployment(deployment: &Object) -> Option<Hindrance> {
    let (namespace, name) = place(deployment);
    let conditions = deployment.data["status"]["conditions"].as_array().into_iter().flatten();
    let mut failures = conditions.filter(|one| one["type"] == "ReplicaFailure" && one["status"] == "True");
    let message = failures.next()?["message"].as_str().unwrap_or("its pods cannot be made");
    let remedy = if message.contains("exceeded quota") {
        format!("kubectl -n {namespace} describe resourcequota; then raise the quota in the order")
    } else {
        format!("kubectl -n {namespace} describe deployment {name}")
    };
    Some(Hindrance { seen: format!("Deployment {name}: {message}"), remedy })
}

fn place(object: &Object) -> (&str, &str) {
    let metadata = &object.metadata;
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

#[expect(clippy::disallowed_methods, reason = "an explanation is looked for when something takes long")]
async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(status: &Value) -> Object {
        let metadata = json!({"namespace": "agent-user-x1", "name": "agent"});
        serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()
    }

    fn waiting(reason: &str) -> Value {
        let state = json!({"waiting": {"reason": reason, "message": "Back-off pulling image"}});
        json!({"containerStatuses": [{"name": "a", "image": "quay.io/no/such:1", "state": state}]})
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_named_with_the_command_that_helps() {
        let hindrance = of_pod(&object(&waiting("ImagePullBackOff"))).unwrap();
        assert_eq!(
            hindrance.seen,
            "Pod agent: ImagePullBackOff, image quay.io/no/such:1 (Back-off pulling image)"
        );
        assert_eq!(hindrance.remedy, "kubectl -n agent-user-x1 describe pod agent");
        assert_eq!(of_pod(&object(&waiting("ContainerCreating"))), None, "that passes");
        assert_eq!(of_pod(&object(&json!({"phase": "Running"}))), None);
    }

    #[test]
    fn a_pod_no_node_takes() {
        let condition =
            json!({"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"});
        let hindrance = of_pod(&object(&json!({"conditions": [condition]}))).unwrap();
        assert_eq!(hindrance.seen, "Pod agent: no node takes it (0/3 nodes are available)");
    }

    #[test]
    fn a_quota_that_is_used_up() {
        let message = "pods \"agent-1\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0";
        let condition = json!({"type": "ReplicaFailure", "status": "True", "message": message});
        let hindrance = of_deployment(&object(&json!({"conditions": [condition]}))).unwrap();
        assert!(hindrance.seen.contains("exceeded quota"), "{hindrance:?}");
        assert!(
            hindrance.remedy.starts_with("kubectl -n agent-user-x1 describe resourcequota"),
            "{hindrance:?}"
        );
        assert_eq!(of_deployment(&object(&json!({"conditions": []}))), None);
    }
}
