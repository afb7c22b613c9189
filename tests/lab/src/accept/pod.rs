//! The pod that a suite runs in, with the rights of the cluster's administrator.

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{
    Api, Client,
    api::{DeleteParams, LogParams},
};
use serde_json::{Value, json};

use crate::{images::suite, installation, polling};

/// Where the pod lives. It is the cluster's router, so it lives where the charts' network policies expect an Ingress
/// controller.
const NAMESPACE: &str = "ingress-nginx";
const NAME: &str = "tenant-lab-suite";

/// Images are there: a pod that does not start by then never will.
const START_LIMIT: Duration = Duration::from_mins(3);
const END_LIMIT: Duration = Duration::from_mins(2);

/// Runs the suite, or `only` some of its tests; whether it passed.
pub(super) async fn play(
    client: &Client,
    only: Option<&str>,
    tell: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<bool> {
    let [namespace, rest @ ..] = objects(only);
    installation::create(client, vec![namespace]).await?;
    installation::create(client, rest.into()).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    started(&pods).await?;
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(NAME, &follow).await.context("read the suite's output")?.lines();
    while let Some(line) = lines.try_next().await.context("read the suite's output")? {
        tell(&line);
    }
    let ended = polling::until(END_LIMIT, async || {
        let ended = container(&pods.get(NAME).await.ok()?)?.state?.terminated?;
        Some(ended.exit_code == 0)
    });
    ended.await.with_context(|| format!("pod {NAMESPACE}/{NAME} says nothing more, and does not end"))
}

async fn started(pods: &Api<Pod>) -> anyhow::Result<()> {
    let mut last = String::new();
    let started = polling::until(START_LIMIT, async || {
        let pod = pods.get(NAME).await.ok()?;
        let state = container(&pod)?.state?;
        if let Some(waiting) = state.waiting {
            last = [waiting.reason, waiting.message].into_iter().flatten().collect::<Vec<_>>().join(": ");
            return last.contains("ErrImage").then_some(false);
        }
        Some(true)
    });
    match started.await {
        Some(true) => Ok(()),
        Some(false) => {
            bail!("pod {NAMESPACE}/{NAME} does not start: {last}; has every node imported the images?")
        }
        None => bail!("pod {NAMESPACE}/{NAME} does not start: {last}"),
    }
}

fn container(pod: &Pod) -> Option<ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first().cloned()
}

/// Removes the pod and all it was given.
pub(super) async fn remove(client: &Client) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    match pods.delete(NAME, &DeleteParams::default().grace_period(0)).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        outcome => drop(outcome.context("delete the suite's pod")?),
    }
    Ok(installation::remove(client, objects(None).into()).await?)
}

fn objects(only: Option<&str>) -> [Value; 4] {
    let arguments: Vec<&str> = ["--nocapture"].into_iter().chain(only).collect();
    [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {
                "containers": [{
                    "name": "suite",
                    "image": suite::REFERENCE,
                    "imagePullPolicy": "Never",
                    "args": arguments,
                    "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}},
                }],
                "restartPolicy": "Never",
                "serviceAccountName": NAME,
                "terminationGracePeriodSeconds": 0,
            },
        }),
    ]
}
