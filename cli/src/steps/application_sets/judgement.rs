//! What Argo CD's objects say about themselves: whether to wait on, and why not.

use serde_json::{Value, json};
use tenant_workflow::step::{Failure, StepError};

use crate::{
    cluster::{Found, Hindrance, Object, ObjectRef, Verdict},
    names::{McpServer, Names},
};

/// Annotation that asks Argo CD to look at an Application again; Argo CD takes it away once it has (its
/// `AnnotationKeyRefresh`).
pub(super) const REFRESH: &str = "argocd.argoproj.io/refresh";

/// An Application as it should be.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Its name.
    pub(super) name: String,
    /// The MCP server it is of, if it is of one.
    pub(super) server: Option<McpServer>,
    /// Where its chart is, and with which values.
    pub(super) source: Value,
}

impl Wanted {
    /// The Applications these sets make.
    pub(super) fn of(names: &Names, sets: &[(ObjectRef, Value)]) -> Vec<Self> {
        let server_of = |name: &str| {
            let is_its = |one: &McpServer| format!("{}-{}", one.component(), names.username()) == name;
            names.mcp_servers().iter().copied().find(is_its)
        };
        let made = sets.iter().filter_map(|(_, set)| {
            let template = &set["spec"]["template"];
            let name = template["metadata"]["name"].as_str()?;
            let source = template["spec"]["source"].clone();
            Some(Self { name: name.to_owned(), server: server_of(name), source })
        });
        made.collect()
    }
}

/// Whether Argo CD's status of an Application is about it as it is wanted, and not as it was before.
pub(super) fn is_compared(wanted: &Wanted, object: &Object) -> bool {
    let compared = &object.data["status"]["sync"]["comparedTo"]["source"];
    object.data["spec"]["source"] == wanted.source && (compared.is_null() || *compared == wanted.source)
}

/// What all Applications together mean for the wait.
pub(super) fn judge_applications(namespace: &str, wanted: &[Wanted], found: &Found) -> Verdict<()> {
    let mut pending = Vec::new();
    for one in wanted {
        let name = &one.name;
        let Some(object) = found.get(name) else {
            pending.push(format!("{name} is not generated yet"));
            continue;
        };
        match judge_application(namespace, name, object) {
            Verdict::Done(()) if !is_compared(one, object) => {
                pending.push(format!("{name} is not yet looked at with its new values"));
            }
            Verdict::Done(()) => {}
            Verdict::NotYet(seen) | Verdict::Held(Hindrance { seen, .. }) => pending.push(seen),
            Verdict::Never(error) => return Verdict::Never(error),
        }
    }
    match pending.as_slice() {
        [] => Verdict::Done(()),
        [first] => Verdict::NotYet(first.clone()),
        [first, others @ ..] => Verdict::NotYet(format!("{first}; and {} more", others.len())),
    }
}

pub(super) fn judge_application(namespace: &str, name: &str, object: &Object) -> Verdict<()> {
    if object.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(REFRESH)) {
        return Verdict::NotYet(format!("{name} is to be looked at again"));
    }
    if object.data["operation"].is_object() {
        return Verdict::NotYet(format!("{name} is to be synced again"));
    }
    let status = &object.data["status"];
    let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str);
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut complaint = None;
    for condition in conditions {
        let message = condition["message"].as_str().unwrap_or_default();
        match condition["type"].as_str() {
            Some("InvalidSpecError") => return Verdict::Never(hopeless(namespace, name, message)),
            Some(kind) if kind.ends_with("Error") => complaint = Some(format!("{kind}: {message}")),
            _ => {}
        }
    }
    if gave_up(status) {
        // Argo CD has used up its attempts and will not sync this commit again by itself
        let message = text("/operationState/message").unwrap_or("the sync failed");
        return Verdict::Never(hopeless(namespace, name, message));
    }
    let (sync, health) =
        (text("/sync/status").unwrap_or("Unknown"), text("/health/status").unwrap_or("Unknown"));
    if sync == "Synced" && health == "Healthy" {
        return Verdict::Done(());
    }
    let said = complaint.or_else(|| text("/health/message").map(str::to_owned));
    // in health and yet not as the chart has it: somebody changed what was deployed
    let said = said.or_else(|| if health == "Healthy" { unlike_the_chart(status) } else { None });
    let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
    Verdict::NotYet(format!("{name} is {sync} and {health}{said}"))
}

/// What it deployed that is not, or no longer, as its chart has it.
fn unlike_the_chart(status: &Value) -> Option<String> {
    let resources = status["resources"].as_array().into_iter().flatten();
    let differing = resources.filter(|one| one["status"] == "OutOfSync");
    let mut names = differing.filter_map(|one| Some((one["kind"].as_str()?, one["name"].as_str()?)));
    let (kind, name) = names.next()?;
    let others = names.count();
    let more = if others > 0 { format!(", and {others} more") } else { String::new() };
    Some(format!("not as the chart has it: {kind} {name}{more}"))
}

/// Whether something it deployed has failed.
pub(super) fn is_degraded(object: &Object) -> bool {
    object.data["status"]["health"]["status"] == "Degraded"
}

/// Whether the last sync has failed for good.
fn gave_up(status: &Value) -> bool {
    matches!(status.pointer("/operationState/phase").and_then(Value::as_str), Some("Failed" | "Error"))
}

/// What has Argo CD take up an Application again that it has given up on; `None` for one it still works on.
///
/// A look is enough where the Application could not be compared. A sync that has failed is not repeated for the same
/// commit and parameters, whatever has been put right since, unless it is asked for: by the field `operation`, as
/// Argo CD's own API server does it, which the controller takes away at the end of the sync.
pub(super) fn revival(namespace: &str, name: &str, object: &Object) -> Option<Value> {
    let Verdict::Never(_) = judge_application(namespace, name, object) else { return None };
    Some(if gave_up(&object.data["status"]) { resync(object) } else { look_again() })
}

fn look_again() -> Value {
    json!({"metadata": {"annotations": {REFRESH: "normal"}}})
}

/// What has Argo CD sync an Application again under its own policy.
pub(super) fn resync(object: &Object) -> Value {
    let mut change = look_again();
    let policy = &object.data["spec"]["syncPolicy"];
    let mut sync = json!({"prune": policy["automated"]["prune"].as_bool().unwrap_or_default()});
    if policy["syncOptions"].is_array() {
        sync["syncOptions"] = policy["syncOptions"].clone();
    }
    change["operation"] = json!({"initiatedBy": {"username": "tenant"}, "sync": sync});
    if policy["retry"].is_object() {
        change["operation"]["retry"] = policy["retry"].clone();
    }
    change
}

fn hopeless(namespace: &str, name: &str, message: &str) -> StepError {
    StepError::new(Failure::Service, format!("sync Application {namespace}/{name}"))
        .because(message.lines().next().unwrap_or_default().to_owned())
        .hint(format!("kubectl -n {namespace} get application {name} -o yaml"))
}

/// An ApplicationSet whose generator fails makes no Application, and only says so itself.
pub(super) fn judge_sets(namespace: &str, found: &Found) -> Verdict<()> {
    for (name, object) in found {
        let mut conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
        let error = conditions.find(|one| one["type"] == "ErrorOccurred" && one["status"] == "True");
        if let Some(error) = error {
            let message = error["message"].as_str().unwrap_or("it reports an error").to_owned();
            return Verdict::Never(
                StepError::new(Failure::Service, format!("generate from ApplicationSet {namespace}/{name}"))
                    .because(message)
                    .hint(format!("kubectl -n {namespace} get applicationset {name} -o yaml")),
            );
        }
    }
    Verdict::NotYet("no error so far".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(status: &Value) -> Object {
        let spec = json!({"syncPolicy": {
            "automated": {"prune": true},
            "syncOptions": ["CreateNamespace=false"],
            "retry": {"limit": 5},
        }});
        serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec, "status": status})).unwrap()
    }

    fn failed() -> Object {
        application(&json!({"operationState": {"phase": "Failed", "message": "exceeded quota"}}))
    }

    #[test]
    fn a_failed_sync_is_asked_for_again_under_the_applications_own_policy() {
        let change = revival("argo", "a", &failed()).unwrap();
        assert_eq!(
            change["operation"],
            json!({
                "initiatedBy": {"username": "tenant"},
                "sync": {"prune": true, "syncOptions": ["CreateNamespace=false"]},
                "retry": {"limit": 5},
            })
        );
        let mut asked = failed();
        asked.data["operation"] = change["operation"].clone();
        assert!(
            matches!(judge_application("argo", "a", &asked), Verdict::NotYet(_)),
            "the old failure counts on"
        );
        assert!(revival("argo", "a", &asked).is_none(), "one sync at a time");
    }

    #[test]
    fn what_somebody_changed_is_named() {
        let told = |status: &Value| match judge_application("argo", "a", &application(status)) {
            Verdict::NotYet(seen) => seen,
            _ => panic!("it is to be waited for"),
        };
        let one =
            |kind: &str, name: &str, status: &str| json!({"kind": kind, "name": name, "status": status});
        let resources = json!([one("Service", "b", "Synced"), one("Deployment", "b", "OutOfSync")]);
        let mut status =
            json!({"sync": {"status": "OutOfSync"}, "health": {"status": "Healthy"}, "resources": resources});
        assert_eq!(told(&status), "a is OutOfSync and Healthy (not as the chart has it: Deployment b)");
        status["resources"][0]["status"] = json!("OutOfSync");
        assert_eq!(
            told(&status),
            "a is OutOfSync and Healthy (not as the chart has it: Service b, and 1 more)"
        );
        // a sync is under way
        status["health"]["status"] = json!("Progressing");
        assert_eq!(told(&status), "a is OutOfSync and Progressing");
    }

    #[test]
    fn what_could_not_be_compared_is_only_looked_at_again() {
        let invalid = application(&json!({"conditions": [{"type": "InvalidSpecError", "message": "no"}]}));
        let change = revival("argo", "a", &invalid).unwrap();
        assert_eq!(change["metadata"]["annotations"][REFRESH], "normal");
        assert!(change["operation"].is_null(), "{change}");
        let busy = application(&json!({"sync": {"status": "OutOfSync"}}));
        assert!(revival("argo", "a", &busy).is_none());
    }
}
