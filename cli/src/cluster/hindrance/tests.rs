//! Hindrances in the shapes that kubelet, scheduler and controllers write them.

use std::slice::from_ref;

use serde_json::json;

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
    let condition = json!({"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"});
    let hindrance = of_pod(&object(&json!({"conditions": [condition]}))).unwrap();
    assert_eq!(hindrance.seen, "Pod agent: no node takes it (0/3 nodes are available)");
}

#[test]
fn a_quota_that_is_used_up() {
    let message =
        "pods \"agent-1\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0";
    let condition = json!({"type": "ReplicaFailure", "status": "True", "message": message});
    let hindrance = of_deployment(&object(&json!({"conditions": [condition]}))).unwrap();
    assert!(hindrance.seen.contains("exceeded quota"), "{hindrance:?}");
    assert!(hindrance.remedy.starts_with("kubectl -n agent-user-x1 describe resourcequota"), "{hindrance:?}");
    assert_eq!(of_deployment(&object(&json!({"conditions": []}))), None);
}

/// A pod of a Job, ended.
fn attempt(name: &str, job: &str, made: &str, phase: &str, message: &str) -> Object {
    let exit = i32::from(phase == "Failed");
    let state = json!({"terminated": {"exitCode": exit, "message": message}});
    let owners =
        json!([{"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": "1", "controller": true}]);
    let metadata =
        json!({"namespace": "n", "name": name, "creationTimestamp": made, "ownerReferences": owners});
    let status = json!({"phase": phase, "containerStatuses": [{"name": "c", "state": state}]});
    serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()
}

#[test]
fn a_job_says_why_until_an_attempt_succeeds() {
    let first = attempt("h-1", "h", "2026-01-01T00:00:00Z", "Failed", "no answer");
    let words = "http://mcp does not speak MCP:\n initialize answered 404: nothing";
    let second = attempt("h-2", "h", "2026-01-01T00:03:00Z", "Failed", words);
    let seen = of_jobs(&[second.clone(), first.clone()]).unwrap();
    assert_eq!(seen.seen, "Pod h-2: http://mcp does not speak MCP: initialize answered 404: nothing");
    assert_eq!(seen.remedy, "kubectl -n n logs h-2");
    let third = attempt("h-3", "h", "2026-01-01T00:06:00Z", "Succeeded", "");
    assert_eq!(of_jobs(&[first, second.clone(), third.clone()]), None);
    let of_another = attempt("h-3", "g", "2026-01-01T00:06:00Z", "Succeeded", "");
    assert!(of_jobs(&[second.clone(), of_another]).is_some());
    // a pipeline's pod belongs to a TaskRun
    let mut of_pipeline = second;
    of_pipeline.metadata.owner_references.as_mut().unwrap()[0].kind = "TaskRun".to_owned();
    assert_eq!(of_jobs(&[of_pipeline]), None);
}

#[test]
fn a_crash_is_told_with_the_last_words() {
    let mut status = waiting("CrashLoopBackOff");
    status["containerStatuses"][0]["lastState"] =
        json!({"terminated": {"exitCode": 2, "message": "no token"}});
    let seen = of_pod(&object(&status)).unwrap().seen;
    assert!(seen.ends_with("(Back-off pulling image); it said: no token"), "{seen}");
}

#[test]
fn events_count_while_what_they_tell_of_goes_on() {
    let event = |reason: &str, kind: &str, name: &str, message: &str| -> Object {
        let about = json!({"kind": kind, "name": name});
        let metadata = json!({"namespace": "agent-user-x1", "name": "e"});
        let event =
            json!({"metadata": metadata, "reason": reason, "involvedObject": about, "message": message});
        serde_json::from_value(event).unwrap()
    };
    let pod = object(&json!({"phase": "Pending"}));
    let mount = event("FailedMount", "Pod", "agent", "secret \"tls\" not found");
    let seen = of_events(from_ref(&pod), from_ref(&mount)).unwrap();
    assert_eq!(seen.seen, "Pod agent: secret \"tls\" not found");
    assert_eq!(seen.remedy, "kubectl -n agent-user-x1 describe pod agent");
    assert_eq!(of_events(&[object(&json!({"phase": "Running"}))], &[mount]), None, "that has passed");
    let quota = event("FailedCreate", "StatefulSet", "gitea", "create Pod gitea-0: exceeded quota: q");
    assert!(of_events(&[pod], from_ref(&quota)).unwrap().remedy.contains("resourcequota"));
    let mut of_set = attempt("gitea-0", "gitea", "2026-01-01T00:00:00Z", "Running", "");
    of_set.metadata.owner_references.as_mut().unwrap()[0].kind = "StatefulSet".to_owned();
    assert_eq!(of_events(&[of_set], &[quota]), None, "it has made its pod since");
}
