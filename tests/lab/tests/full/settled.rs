//! Waiting until everything in a namespace serves: workloads rolled out, Jobs done, pods Ready and no old ones left.

use std::{fmt::Debug, time::Duration};

use futures::{
    StreamExt as _,
    stream::{BoxStream, SelectAll},
};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::Pod,
};
use kube::{
    Api, Client, Resource,
    api::ListParams,
    core::NamespaceResourceScope,
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

/// The slowest servers take a quarter of it on two busy cores.
const PATIENCE: Duration = Duration::from_mins(3);

/// Waits until everything in these namespaces serves; fails the test with what does not.
pub(crate) async fn until_settled(client: &Client, namespaces: &[&str]) {
    let mut changes = SelectAll::new();
    for namespace in namespaces {
        changes.push(changes_of::<Deployment>(client, namespace));
        changes.push(changes_of::<StatefulSet>(client, namespace));
        changes.push(changes_of::<Job>(client, namespace));
        changes.push(changes_of::<Pod>(client, namespace));
    }
    // what changes at once is looked at once
    let mut changes = changes.ready_chunks(100);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut missing = Vec::new();
        for namespace in namespaces {
            missing.extend(unsettled(client, namespace).await);
        }
        if missing.is_empty() {
            return;
        }
        let news = timeout_at(deadline, changes.next()).await;
        assert!(news.is_ok(), "after {PATIENCE:?}:\n  {}", missing.join("\n  "));
    }
}

fn changes_of<K>(client: &Client, namespace: &str) -> BoxStream<'static, ()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let events = watcher(api, watcher::Config::default()).default_backoff().touched_objects();
    events.filter_map(async |event| event.ok().map(drop)).boxed()
}

/// What does not serve yet, a line each. A namespace without workloads lacks them.
async fn unsettled(client: &Client, namespace: &str) -> Vec<String> {
    let all = ListParams::default();
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let lists = tokio::try_join!(deployments.list(&all), sets.list(&all), jobs.list(&all), pods.list(&all));
    let (deployments, sets, jobs, pods) = lists.expect("an administrator may list");
    let mut missing = Vec::new();
    if deployments.items.is_empty() && sets.items.is_empty() {
        missing.push(format!("{namespace} has no workloads"));
    }
    for deployment in &deployments {
        let (spec, status) = (deployment.spec.as_ref(), deployment.status.as_ref());
        let wanted = spec.and_then(|spec| spec.replicas);
        let seen = status.and_then(|status| status.observed_generation) >= deployment.metadata.generation;
        let updated = status.and_then(|status| status.updated_replicas) >= wanted;
        let available = status.and_then(|status| status.available_replicas) >= wanted;
        if !(seen && updated && available) {
            missing.push(format!("Deployment {}: {status:?}", named(deployment)));
        }
    }
    for set in &sets {
        let (spec, status) = (set.spec.as_ref(), set.status.as_ref());
        let wanted = spec.and_then(|spec| spec.replicas);
        let seen = status.and_then(|status| status.observed_generation) >= set.metadata.generation;
        let updated = status.and_then(|status| status.updated_replicas) >= wanted;
        let ready = status.and_then(|status| status.ready_replicas) >= wanted;
        if !(seen && updated && ready) {
            missing.push(format!("StatefulSet {}: {status:?}", named(set)));
        }
    }
    for job in &jobs {
        let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
        if !conditions.into_iter().any(|one| one.type_ == "Complete" && one.status == "True") {
            missing.push(format!("Job {} is not complete: {:?}", named(job), job.status));
        }
    }
    missing.extend(pods.iter().filter_map(unready));
    missing
}

/// Why a pod does not serve; `None` if it does, or belongs to a Job.
fn unready(pod: &Pod) -> Option<String> {
    if pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "Job") {
        return None;
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(format!("Pod {} is about to go", named(pod)));
    }
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let lacking: Vec<_> = conditions.clone().filter(|one| one.status != "True").collect();
    let ready = conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True");
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let states: Vec<_> = containers.map(|one| (&one.name, &one.state)).collect();
    (!ready).then(|| format!("Pod {} is not Ready: {lacking:?} {states:?}", named(pod)))
}

fn named<K: Resource>(object: &K) -> String {
    let (namespace, name) = (object.meta().namespace.as_deref(), object.meta().name.as_deref());
    format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default())
}
