//! What keeps a workload from running, in its own words: a Secret that is not there, an image that cannot be pulled, a
//! quota that is used up, a pod no node takes, a Job that says why it failed.

use std::time::Duration;

use futures::future::{BoxFuture, Either, FutureExt as _, select};
use serde_json::Value;
use tenant_workflow::scope::Scope;

use super::{Cluster, ClusterError, DEPLOYMENT, EVENT, Object, ObjectRef, POD};

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

    /// What hinders the workloads of a namespace just now, if anything does: the one thing nearest to the cause.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn hindrance(&self, namespace: &str) -> Result<Option<Hindrance>, ClusterError> {
        let (deployments, pods) =
            futures::try_join!(self.list(&DEPLOYMENT, namespace, ""), self.list(&POD, namespace, ""))?;
        let waiting = pods.iter().find_map(of_pod);
        let seen = waiting.or_else(|| of_jobs(&pods)).or_else(|| deployments.iter().find_map(of_deployment));
        match seen {
            Some(seen) => Ok(Some(seen)),
            // what neither a pod nor a Deployment says, events do
            None => Ok(of_events(&pods, &self.list(&EVENT, namespace, "").await?)),
        }
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
        let said = words(&container["lastState"]).map(|words| format!("; it said: {words}"));
        Some(format!("Pod {name}: {reason}, image {image}{message}{}", said.unwrap_or_default()))
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

/// What a pod left behind that failed: the termination message of its container.
pub fn last_words(pod: &Object) -> Option<String> {
    let containers = pod.data["status"]["containerStatuses"].as_array()?;
    containers.iter().find_map(|container| words(&container["state"]))
}

/// The termination message of a container's state, if it ended in failure and left one; on one line.
fn words(state: &Value) -> Option<String> {
    let ended = &state["terminated"];
    let message = ended["message"].as_str().filter(|_| ended["exitCode"] != 0)?;
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

/// What a Job's pod says that failed, unless another attempt of that Job has succeeded. Other pods may fail as they
/// like: that of a pipeline does so for a living.
fn of_jobs(pods: &[Object]) -> Option<Hindrance> {
    let succeeded = |job: &str| {
        pods.iter().any(|pod| pod.data["status"]["phase"] == "Succeeded" && owner("Job", pod) == Some(job))
    };
    let failed = pods.iter().filter(|pod| pod.data["status"]["phase"] == "Failed");
    let mut said: Vec<_> = failed
        .filter(|pod| owner("Job", pod).is_some_and(|job| !succeeded(job)))
        .filter_map(|pod| {
            Some((pod.metadata.creation_timestamp.as_ref().map(|time| time.0), pod, last_words(pod)?))
        })
        .collect();
    said.sort_by_key(|(made, ..)| *made);
    let (_, pod, words) = said.pop()?;
    let (namespace, name) = place(pod);
    Some(Hindrance {
        seen: format!("Pod {name}: {words}"),
        remedy: format!("kubectl -n {namespace} logs {name}"),
    })
}

/// Name of the object of this kind that controls a pod.
fn owner<'a>(kind: &str, pod: &'a Object) -> Option<&'a str> {
    let owners = pod.metadata.owner_references.iter().flatten();
    owners.filter(|owner| owner.kind == kind).map(|owner| owner.name.as_str()).next()
}

/// What events say of a pod that waits for a volume, and of a controller that cannot make its pods. Events outlive what
/// they tell of, so that one counts only while what it tells of goes on.
fn of_events(pods: &[Object], events: &[Object]) -> Option<Hindrance> {
    let telling = events.iter().filter_map(|event| {
        let (about, message) = (&event.data["involvedObject"], event.data["message"].as_str()?);
        let (kind, name) = (about["kind"].as_str()?, about["name"].as_str()?);
        let goes_on = match event.data["reason"].as_str()? {
            "FailedMount" => pods.iter().any(|pod| {
                pod.metadata.name.as_deref() == Some(name) && pod.data["status"]["phase"] == "Pending"
            }),
            "FailedCreate" => {
                matches!(kind, "StatefulSet" | "Job")
                    && !pods.iter().any(|pod| owner(kind, pod) == Some(name))
            }
            _ => false,
        };
        goes_on.then(|| (event.data["lastTimestamp"].as_str().unwrap_or_default(), kind, name, message))
    });
    let (_, kind, name, message) = telling.max()?;
    let namespace = events.first().map(|event| place(event).0).unwrap_or_default();
    let remedy = if message.contains("exceeded quota") {
        format!("kubectl -n {namespace} describe resourcequota; then raise the quota in the order")
    } else {
        format!("kubectl -n {namespace} describe {} {name}", kind.to_lowercase())
    };
    Some(Hindrance { seen: format!("{kind} {name}: {message}"), remedy })
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
mod tests;
