//! The handshake of an MCP server: a Job of its chart that makes a real `initialize` and `tools/list` through the
//! Service clients use (`tenant-charts/mcp-server/handshake.sh`).
//!
//! The Job is the proof, whichever back end runs the server: no operator's status says that it speaks MCP, and Argo CD's
//! health of an Application depends on how Argo CD is set up. Which Job it is, is read from the Application once it has
//! been compared as it is wanted: the name ends in a digest of what the Job does, so that the Job of other values is
//! another one.

use std::collections::BTreeMap;

use tenant_workflow::{
    scope::Scope,
    step::{Failure, StepError},
};
use tokio::sync::watch;

use super::judgement::{Wanted, is_compared};
use crate::{
    cluster::{Found, JOB, Object, ObjectRef, POD, Select, Verdict, last_words},
    names::McpServer,
    tenant::Tenant,
};

/// Labels of a handshake's Job (`tenant-charts/workload/templates/_names.tpl`).
const LABELS: &str = "app.kubernetes.io/component=handshake";
/// Label of a Job's pods, set by the Job controller.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// Server → the Job that shakes hands with it, `None` when its chart has none.
pub(super) type Handshakes = BTreeMap<McpServer, Option<String>>;

/// Takes in what Applications say about their handshakes; whether anything is new.
pub(super) fn learn(known: &mut Handshakes, wanted: &[Wanted], found: &Found) -> bool {
    let before = known.clone();
    for (one, server) in wanted.iter().filter_map(|one| Some((one, one.server?))) {
        let Some(object) = found.get(&one.name).filter(|object| is_compared(one, object)) else { continue };
        match job(object) {
            Some(job) => drop(known.insert(server, Some(job))),
            None if is_synced(object) => drop(known.insert(server, None)),
            None => {}
        }
    }
    *known != before
}

fn is_synced(object: &Object) -> bool {
    object.data["status"]["sync"]["status"] == "Synced"
}

/// The handshake's Job among what an Application consists of, but for one that only waits to be pruned.
fn job(application: &Object) -> Option<String> {
    let resources = application.data["status"]["resources"].as_array().into_iter().flatten();
    let jobs = resources.filter(|one| one["kind"] == "Job" && one["requiresPruning"] != true);
    let mut names = jobs.filter_map(|one| one["name"].as_str());
    names.find(|name| name.contains("-handshake")).map(str::to_owned)
}

/// Waits until a server has answered its handshake; fails as soon as the handshake has failed for good, with what the
/// server answered.
pub(super) async fn until_shaken(
    tenant: &Tenant,
    scope: &Scope,
    server: McpServer,
    mut handshakes: watch::Receiver<Handshakes>,
) -> Result<(), StepError> {
    let known = handshakes.wait_for(|known| known.contains_key(&server)).await;
    // closed: the applications have come to an end that says it all
    let Some(job) = known.ok().and_then(|known| known.get(&server).cloned()) else { return Ok(()) };
    let Some(job) = job else {
        scope.note(format!(
            "the chart of MCP server {server} has no handshake: whether the server speaks MCP is not known"
        ));
        return Ok(());
    };
    let namespace = tenant.names.namespace(server.component()).as_str();
    let at = ObjectRef::new(JOB, namespace, &job);
    let found = tenant.cluster.get(&at).await?;
    let ending = if let Some(ending) = found.as_ref().and_then(Ending::of) {
        ending
    } else {
        let what = format!("the handshake with MCP server {server}");
        let select = Select::Labels(LABELS);
        tenant.cluster.until(scope, &what, &JOB, namespace, select, |found| judge(&job, found)).await?
    };
    match ending {
        Ending::Answered => Ok(()),
        Ending::Failed(why) => Err(refused(tenant, server, &at, why).await),
    }
}

/// How a handshake ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    Answered,
    /// After its last attempt, with the Job controller's words.
    Failed(String),
}

impl Ending {
    fn of(job: &Object) -> Option<Self> {
        let conditions = job.data["status"]["conditions"].as_array().into_iter().flatten();
        let mut holding = conditions.filter(|one| one["status"] == "True");
        holding.find_map(|one| match one["type"].as_str()? {
            "Complete" => Some(Self::Answered),
            "Failed" => Some(Self::Failed(one["message"].as_str().unwrap_or("the Job failed").to_owned())),
            _ => None,
        })
    }
}

fn judge(job: &str, found: &Found) -> Verdict<Ending> {
    let Some(object) = found.get(job) else { return Verdict::NotYet(format!("Job {job} is not there yet")) };
    Ending::of(object).map_or_else(
        || {
            let failed = object.data["status"]["failed"].as_u64().unwrap_or_default();
            Verdict::NotYet(format!("Job {job} is under way, {failed} attempts failed"))
        },
        Verdict::Done,
    )
}

/// The failure, in the words of the last pod that left any.
async fn refused(tenant: &Tenant, server: McpServer, at: &ObjectRef, why: String) -> StepError {
    let labels = format!("{JOB_NAME}={}", at.name);
    let pods = tenant.cluster.list(&POD, &at.namespace, &labels).await.unwrap_or_default();
    let mut said: Vec<_> = pods
        .iter()
        .filter_map(|pod| Some((pod.metadata.creation_timestamp.as_ref()?.0, last_words(pod)?)))
        .collect();
    said.sort();
    let cause = said.pop().map_or(why, |(_, words)| words);
    StepError::new(Failure::Service, format!("shake hands with MCP server {server} in {}", at.namespace))
        .because(cause)
        .hint(format!(
            "kubectl -n {} get pods; run again when the server is put right: the handshake is then made anew",
            at.namespace
        ))
}

/// Takes the handshakes of a server away that have failed for good, so that a sync makes them anew; whether there were
/// any. A Job that has failed stays so, and Argo CD keeps it.
///
/// # Errors
///
/// When the API server does not answer or refuses.
pub(super) async fn forget_failed(tenant: &Tenant, server: McpServer) -> Result<bool, StepError> {
    let namespace = tenant.names.namespace(server.component()).as_str();
    let mut any = false;
    for job in tenant.cluster.list(&JOB, namespace, LABELS).await? {
        if matches!(Ending::of(&job), Some(Ending::Failed(_))) {
            let at = ObjectRef::new(JOB, namespace, job.metadata.name.as_deref().unwrap_or_default());
            any |= tenant.cluster.remove_found(&at, &job).await?.changed();
        }
    }
    Ok(any)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    const JOB_OF_NOW: &str = "mcp-gitea-handshake-0a1b2c3d";

    fn object(data: Value) -> Object {
        serde_json::from_value(data).unwrap()
    }

    fn wanted() -> Wanted {
        let source = json!({"helm": {"values": "new"}});
        Wanted { name: "mcp-gitea-user-x1".to_owned(), server: Some(McpServer::Gitea), source }
    }

    fn learnt(compared_to: &str, sync: &str, resources: &Value) -> Handshakes {
        let source = |values: &str| json!({"helm": {"values": values}});
        let application = object(json!({
            "metadata": {"name": wanted().name},
            "spec": {"source": source("new")},
            "status": {"sync": {"status": sync, "comparedTo": {"source": source(compared_to)}}, "resources": resources},
        }));
        let found = Found::from([(wanted().name, Arc::new(application))]);
        let mut known = Handshakes::new();
        learn(&mut known, &[wanted()], &found);
        known
    }

    #[test]
    fn the_job_is_that_of_the_present_values() {
        let old = json!({"kind": "Job", "name": "mcp-gitea-handshake-ffffffff", "requiresPruning": true});
        let now = json!({"kind": "Job", "name": JOB_OF_NOW});
        let known = |job: Option<&str>| Handshakes::from([(McpServer::Gitea, job.map(str::to_owned))]);
        let nothing = Handshakes::new();
        assert_eq!(
            learnt("old", "Synced", &json!([now])),
            nothing,
            "it was compared before the values changed"
        );
        assert_eq!(learnt("new", "OutOfSync", &json!([old, now])), known(Some(JOB_OF_NOW)));
        assert_eq!(learnt("new", "OutOfSync", &json!([old])), nothing, "the new one may be on its way");
        assert_eq!(learnt("new", "Synced", &json!([{"kind": "Service", "name": "a"}])), known(None));
    }

    #[test]
    fn a_job_ends_by_its_conditions() {
        let job = |conditions: Value| {
            let status = json!({"failed": 1, "conditions": conditions});
            let object = object(json!({"metadata": {"name": JOB_OF_NOW}, "status": status}));
            Found::from([(JOB_OF_NOW.to_owned(), Arc::new(object))])
        };
        let condition = |kind: &str| json!([{"type": kind, "status": "True", "message": "m"}]);
        let end = |found| match judge(JOB_OF_NOW, &found) {
            Verdict::Done(ending) => Ok(ending),
            Verdict::NotYet(seen) => Err(seen),
            Verdict::Held(_) | Verdict::Never(_) => panic!("a Job ends or goes on"),
        };
        assert_eq!(end(job(condition("Complete"))), Ok(Ending::Answered));
        assert_eq!(end(job(condition("Failed"))), Ok(Ending::Failed("m".to_owned())));
        assert!(
            end(job(json!([{"type": "Suspended", "status": "True"}]))).unwrap_err().contains("1 attempts")
        );
        assert!(end(Found::new()).unwrap_err().contains("not there yet"));
    }
}
