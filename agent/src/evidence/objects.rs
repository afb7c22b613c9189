//! Kubernetes and Tekton objects into facts, and into lines the rules can read.
//!
//! Field names as of Tekton Pipelines 1.6 (`tekton.dev/v1`) and core `v1`.

use std::collections::HashSet;

use serde_json::Value;

use super::RunFacts;

/// Parameters that are read of a run.
const PARAMS: usize = 30;

/// A step or container that did not succeed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct FailedStep {
    pub(super) pod: String,
    pub(super) container: String,
    /// From 1; the highest is the last.
    pub(super) attempt: u32,
    pub(super) exit_code: Option<i64>,
    /// Whether the container ran before and its earlier log may be had.
    pub(super) restarted: bool,
}

/// State of a pod, a line per fact.
pub(super) fn pod_lines(pod: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "pod {}: phase={}{}{}",
        text(pod, "/metadata/name"),
        text(pod, "/status/phase"),
        field("reason", pod.pointer("/status/reason")),
        field("message", pod.pointer("/status/message")),
    )];
    for condition in list(pod, "/status/conditions") {
        if condition["status"] == "False" && condition.get("message").is_some() {
            lines.push(format!(
                "pod condition {}: {}",
                text(condition, "/type"),
                text(condition, "/message")
            ));
        }
    }
    for status in containers(pod) {
        let name = text(status, "/name");
        for (state, word) in [
            ("/state/terminated", "terminated"),
            ("/lastState/terminated", "was terminated before its restart"),
        ] {
            let Some(ended) = status.pointer(state).filter(|t| t.is_object()) else { continue };
            let limit = limit(pod, &name, "memory").map(|l| format!(" limit={l}")).unwrap_or_default();
            lines.push(format!(
                "container {name} {word}: reason={} exitCode={}{limit}{}",
                text(ended, "/reason"),
                ended["exitCode"],
                field("message", ended.get("message")),
            ));
        }
        if let Some(waiting) = status.pointer("/state/waiting") {
            let (reason, message) = (text(waiting, "/reason"), field("message", waiting.get("message")));
            lines.push(format!(
                "container {name} waiting: reason={reason}{message} image={}",
                text(status, "/image")
            ));
        }
    }
    lines
}

/// State of a `TaskRun` and its attempts.
pub(super) fn task_run_lines(run: &Value) -> Vec<String> {
    let mut lines: Vec<_> = conditions("TaskRun", run);
    for (attempt, status) in attempts(run).iter().enumerate() {
        for step in list(status, "/steps") {
            let ended = step.get("terminated").cloned().unwrap_or_default();
            if ended["exitCode"].as_i64().is_some_and(|c| c != 0) {
                let reason = step.get("terminationReason").or_else(|| ended.get("reason"));
                lines.push(format!(
                    "attempt {}: step {} exitCode={}{}",
                    attempt + 1,
                    text(step, "/name"),
                    ended["exitCode"],
                    field("reason", reason)
                ));
            }
        }
    }
    for param in list(run, "/spec/params").iter().take(PARAMS) {
        lines.push(format!("param {}={}", text(param, "/name"), plain(&param["value"])));
    }
    lines
}

/// State of a `PipelineRun`.
pub(super) fn pipeline_run_lines(run: &Value) -> Vec<String> {
    let mut lines = conditions("PipelineRun", run);
    for param in list(run, "/spec/params").iter().take(PARAMS) {
        lines.push(format!("param {}={}", text(param, "/name"), plain(&param["value"])));
    }
    for skipped in list(run, "/status/skippedTasks") {
        lines.push(format!("skipped task {}: {}", text(skipped, "/name"), text(skipped, "/reason")));
    }
    lines
}

/// What a `TaskRun` says about the run.
pub(super) fn task_run_facts(run: &Value, facts: &mut RunFacts) {
    let label = |name: &str| run["metadata"]["labels"][name].as_str().map(str::to_owned);
    facts.task_run = run.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
    facts.task = label("tekton.dev/pipelineTask").or_else(|| label("tekton.dev/task"));
    facts.pipeline = label("tekton.dev/pipeline").or_else(|| facts.pipeline.clone());
    facts.pipeline_run = label("tekton.dev/pipelineRun").or_else(|| facts.pipeline_run.clone());
    let succeeded = list(run, "/status/conditions").iter().find(|c| c["type"] == "Succeeded");
    facts.reason = succeeded.and_then(|c| c["reason"].as_str()).map(str::to_owned);
    facts.message = succeeded.and_then(|c| c["message"].as_str()).map(|m| crate::lines::clip(m, 400));
    facts.attempts = u32::try_from(attempts(run).len()).ok();
    facts.started = run.pointer("/status/startTime").and_then(Value::as_str).map(str::to_owned);
    facts.finished = run.pointer("/status/completionTime").and_then(Value::as_str).map(str::to_owned);
    facts.service_account =
        run.pointer("/spec/serviceAccountName").and_then(Value::as_str).map(str::to_owned);
    if let Some(pod) = run.pointer("/status/podName").and_then(Value::as_str).filter(|p| !p.is_empty()) {
        facts.pod = Some(pod.to_owned());
    }
}

/// What a `PipelineRun` says about the run.
pub(super) fn pipeline_run_facts(run: &Value, facts: &mut RunFacts) {
    let own = |path: &str| run.pointer(path).and_then(Value::as_str).map(str::to_owned);
    facts.pipeline_run = own("/metadata/name").or_else(|| facts.pipeline_run.clone());
    facts.pipeline = run["metadata"]["labels"]["tekton.dev/pipeline"]
        .as_str()
        .map(str::to_owned)
        .or_else(|| own("/spec/pipelineRef/name"))
        .or_else(|| facts.pipeline.clone());
    let param = |names: &[&str]| {
        list(run, "/spec/params")
            .iter()
            .find(|p| names.iter().any(|n| text(p, "/name").eq_ignore_ascii_case(n)))
            .map(|p| plain(&p["value"]))
            .filter(|v| !v.is_empty())
    };
    let all = list(run, "/spec/params").iter().take(PARAMS);
    facts.params = all
        .map(|p| (text(p, "/name"), crate::lines::clip(&plain(&p["value"]), 120)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    facts.git_url =
        facts.git_url.clone().or_else(|| param(&["GIT_REPO", "git-url", "repo-url", "url", "git_url"]));
    facts.git_revision =
        facts.git_revision.clone().or_else(|| param(&["GIT_REVISION", "git-revision", "revision"]));
    if facts.reason.is_none() {
        let succeeded = list(run, "/status/conditions").iter().find(|c| c["type"] == "Succeeded");
        facts.reason = succeeded.and_then(|c| c["reason"].as_str()).map(str::to_owned);
    }
}

/// Steps that failed of themselves, last attempt first. Steps that Tekton skipped exit with 1 as well.
pub(super) fn failed_steps(run: &Value) -> Vec<FailedStep> {
    let all = attempts(run);
    let mut steps = Vec::new();
    for (index, status) in all.iter().enumerate() {
        let pod = text(status, "/podName");
        for step in list(status, "/steps") {
            let ended = &step["terminated"];
            let code = ended["exitCode"].as_i64();
            let skipped = step["terminationReason"] == "Skipped" || ended["reason"] == "Skipped";
            let ignored = step["terminationReason"] == "Continued";
            if code.is_none_or(|c| c == 0) || skipped || ignored || pod.is_empty() {
                continue;
            }
            let container = step["container"]
                .as_str()
                .map_or_else(|| format!("step-{}", text(step, "/name")), str::to_owned);
            steps.push(FailedStep {
                pod: pod.clone(),
                container,
                attempt: u32::try_from(index + 1).unwrap_or(u32::MAX),
                exit_code: code,
                restarted: false,
            });
        }
    }
    steps.sort_by_key(|s| std::cmp::Reverse(s.attempt));
    steps
}

/// Containers of a pod that did not succeed; without any, the hinted container if it exists, else the first.
pub(super) fn failed_containers(pod: &Value, hint: Option<&str>) -> Vec<FailedStep> {
    let name = text(pod, "/metadata/name");
    let step = |status: &Value| FailedStep {
        pod: name.clone(),
        container: text(status, "/name"),
        attempt: 1,
        exit_code: status.pointer("/state/terminated/exitCode").and_then(Value::as_i64),
        restarted: status["restartCount"].as_i64().unwrap_or(0) > 0,
    };
    let all = containers(pod);
    let failed: Vec<_> = all
        .iter()
        .filter(|s| {
            let code = s.pointer("/state/terminated/exitCode").and_then(Value::as_i64);
            code.is_some_and(|c| c != 0) || s.pointer("/lastState/terminated").is_some_and(Value::is_object)
        })
        .map(|s| step(s))
        .collect();
    if !failed.is_empty() {
        return failed;
    }
    let hinted = all.iter().find(|s| Some(s["name"].as_str().unwrap_or_default()) == hint);
    hinted.or_else(|| all.first()).map(|s| step(s)).into_iter().collect()
}

/// Whether a pod belongs to an application (not to a pipeline) and is not well.
pub(super) fn is_sick_application(pod: &Value) -> bool {
    let labels = &pod["metadata"]["labels"];
    let pipeline = labels.as_object().is_some_and(|l| l.keys().any(|k| k.starts_with("tekton.dev/")));
    let sick = containers(pod).iter().any(|s| s["ready"] == false) || pod["status"]["phase"] == "Pending";
    !pipeline && sick && pod["status"]["phase"] != "Succeeded"
}

/// When a run ended, else when it began; RFC 3339 sorts as text.
pub(super) fn finished(run: &Value) -> String {
    ["/status/completionTime", "/status/startTime", "/metadata/creationTimestamp"]
        .iter()
        .map(|p| text(run, p))
        .find(|t| !t.is_empty())
        .unwrap_or_default()
}

/// Whether `a` started after `b` had ended: another run, not another task of the same.
pub(super) fn newer(a: &Value, b: &Value) -> bool {
    let run = |v: &Value| v["metadata"]["labels"]["tekton.dev/pipelineRun"].as_str().map(str::to_owned);
    let start = text(a, "/metadata/creationTimestamp");
    run(a) != run(b) && !start.is_empty() && start > finished(b)
}

/// What holds a pod up, and what is said of the pod once that is over: the scheduler tries again, as the kubelet does.
const OVERCOME: [(&str, &str); 3] =
    [("FailedScheduling", "Scheduled"), ("FailedMount", "Started"), ("FailedAttachVolume", "Started")];

/// Events as lines: those of objects whose name begins with one of `about`, or all warnings; without what held a pod up
/// that went on after all.
pub(super) fn event_lines(events: &[Value], about: &[String]) -> Vec<String> {
    let said: HashSet<_> = events.iter().map(|event| (reason(event), involved(event))).collect();
    let mut lines = Vec::new();
    for event in events {
        let (reason, object) = (reason(event), involved(event));
        let end = OVERCOME.iter().find(|(trouble, _)| *trouble == reason).map(|(_, end)| (*end).to_owned());
        if end.is_some_and(|end| said.contains(&(end, object.clone()))) {
            continue;
        }
        let kind = either(event, &["/InvolvedObject/Kind", "/involvedObject/kind"]);
        let message = either(event, &["/Message", "/message"]);
        let kind_of_event = either(event, &["/Type", "/type"]);
        let concerns = about
            .iter()
            .any(|a| object.starts_with(a.as_str()) || a.starts_with(&object) && object.len() > 3);
        // Storage and quota fail on objects with names of their own.
        let general = ["ProvisioningFailed", "FailedCreate", "FailedBinding"].contains(&reason.as_str());
        if kind_of_event == "Warning" && (about.is_empty() || concerns || general)
            || concerns && reason == "Failed"
        {
            // Newer event sources leave the time at its zero value.
            let time =
                Some(either(event, &["/Timestamp", "/lastTimestamp"])).filter(|t| !t.starts_with("0001-"));
            let time = time.unwrap_or_default();
            // Without its type: "Warning" is what events of failures are called, it does not soften them.
            let line = format!("{reason} {}/{object}: {message} {time}", kind.to_ascii_lowercase());
            lines.push(line.trim_end().to_owned());
        }
    }
    lines.truncate(200);
    lines
}

fn reason(event: &Value) -> String {
    either(event, &["/Reason", "/reason"])
}

/// The name of the object that an event is about.
fn involved(event: &Value) -> String {
    either(event, &["/InvolvedObject/Name", "/involvedObject/name"])
}

/// The first of these fields that says something.
fn either(event: &Value, fields: &[&str]) -> String {
    fields.iter().map(|field| text(event, field)).find(|text| !text.is_empty()).unwrap_or_default()
}

/// The status of every attempt, first to last.
fn attempts(run: &Value) -> Vec<Value> {
    let mut all: Vec<_> = list(run, "/status/retriesStatus").to_vec();
    if let Some(status) = run.get("status") {
        all.push(status.clone());
    }
    all
}

fn conditions(kind: &str, run: &Value) -> Vec<String> {
    let name = text(run, "/metadata/name");
    list(run, "/status/conditions")
        .iter()
        .map(|c| {
            let message = field("message", c.get("message"));
            format!(
                "{kind} {name}: {}={} reason={}{message}",
                text(c, "/type"),
                text(c, "/status"),
                text(c, "/reason")
            )
        })
        .collect()
}

fn containers(pod: &Value) -> Vec<&Value> {
    list(pod, "/status/initContainerStatuses").iter().chain(list(pod, "/status/containerStatuses")).collect()
}

fn limit(pod: &Value, container: &str, resource: &str) -> Option<String> {
    let spec = list(pod, "/spec/containers").iter().find(|c| c["name"] == container)?;
    spec.pointer("/resources/limits")?.get(resource).map(plain)
}

fn list<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(value: &Value, path: &str) -> String {
    value.pointer(path).map(plain).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('\n', " "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn field(name: &str, value: Option<&Value>) -> String {
    let value = value.map(plain).unwrap_or_default();
    if value.is_empty() { String::new() } else { format!(" {name}={value}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, reason: &str, pod: &str, message: &str) -> Value {
        json!({"Type": kind, "Reason": reason, "Message": message,
            "InvolvedObject": {"Kind": "Pod", "Name": pod}})
    }

    #[test]
    fn what_held_a_pod_up_that_went_on_is_not_told() {
        let late = "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.";
        let unmounted = "MountVolume.SetUp failed for volume \"token\": not registered";
        let held = [
            event("Warning", "FailedScheduling", "run-fetch-pod", late),
            event("Warning", "FailedMount", "run-fetch-pod", unmounted),
            event("Warning", "FailedScheduling", "run-build-pod", late),
        ];
        let about = ["run".to_owned()];
        assert_eq!(event_lines(&held, &about).len(), 3);

        let scheduled = event("Normal", "Scheduled", "run-fetch-pod", "Successfully assigned");
        let started = event("Normal", "Started", "run-fetch-pod", "Started container prepare");
        let mut after: Vec<Value> = held.into_iter().chain([scheduled]).collect();
        let told = event_lines(&after, &about);
        assert_eq!(told.len(), 2, "{told:?}");
        after.push(started);
        let told = event_lines(&after, &about);
        assert_eq!(told, [format!("FailedScheduling pod/run-build-pod: {late}")]);
    }
}
