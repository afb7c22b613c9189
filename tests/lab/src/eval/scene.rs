//! A case as a cluster holds it: `PipelineRun`, `TaskRun`, pods, logs and events, as Tekton Pipelines 1.6 and the
//! kubelet write them (lab reference, section 6).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::case::{self, Case, Event, PodFate, ReportedPod, Step};

/// Objects, logs and events of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// The namespace.
    pub namespace: String,
    /// Objects by kind and name.
    pub objects: BTreeMap<(String, String), Value>,
    /// Logs by pod and container.
    pub logs: BTreeMap<(String, String), String>,
    /// Events, newest last.
    pub events: Vec<Event>,
    /// The body of the report.
    pub report: Value,
}

impl Scene {
    /// The scene of a case in `namespace`. Runs carry `suffix` where Tekton draws one, and `pipeline` tells apart
    /// what must not be taken for the same failure.
    ///
    /// # Errors
    /// When a log is not there.
    pub fn new(case: &Case, namespace: &str, pipeline: &str, suffix: &str) -> anyhow::Result<Self> {
        let run = format!("{pipeline}-{suffix}");
        let mut scene = Self { namespace: namespace.to_owned(), ..Self::default() };
        let now = Timestamp::now();
        let ended = now - SignedDuration::from_secs(20);
        let began = ended - SignedDuration::from_mins(4);
        let names = Names { namespace, run: &run, task: &case.task, attempts: case.attempts };
        scene.pipeline_run(case, pipeline, &names, began, ended);
        if !case.refused {
            scene.task_run(case, pipeline, &names, began, ended);
        }
        scene.pods(case, pipeline, &names, began)?;
        for object in &case.objects {
            scene.add(names.fill(object));
        }
        for (place, log) in &case.logs {
            let place = names.text(place);
            let (pod, container) = place.split_once('/').unwrap_or((&place, ""));
            scene.logs.insert((pod.to_owned(), container.to_owned()), case::log(log)?);
        }
        scene.events = case
            .events
            .iter()
            .map(|event| Event {
                name: names.text(&event.name),
                message: names.text(&event.message),
                ..event.clone()
            })
            .collect();
        let mut stale = String::new();
        if case.report.pod == ReportedPod::Stale {
            stale = scene.yesterday(pipeline, now)?;
        }
        let pod = match case.report.pod {
            ReportedPod::Last => names.pod(case.attempts),
            ReportedPod::First => names.pod(1),
            ReportedPod::None => String::new(),
            ReportedPod::Stale => stale,
        };
        scene.report = json!({"namespace": namespace, "pod_name": pod});
        if let Some(container) = &case.report.container {
            scene.report["container_name"] = json!(container);
        }
        if case.report.pipeline_run {
            scene.report["pipeline_run"] = json!(run);
        }
        Ok(scene)
    }

    fn add(&mut self, object: Value) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.objects.insert((text("/kind"), text("/metadata/name")), object);
    }

    fn pipeline_run(
        &mut self,
        case: &Case,
        pipeline: &str,
        names: &Names<'_>,
        began: Timestamp,
        ended: Timestamp,
    ) {
        let (reason, message) = match &case.pipeline_run {
            Some(condition) => (condition.reason.clone(), names.text(&condition.message)),
            None => {
                ("Failed".to_owned(), "Tasks Completed: 2 (Failed: 1, Cancelled 0), Skipped: 1".to_owned())
            }
        };
        let params: Vec<_> = case
            .params
            .iter()
            .map(|(name, value)| json!({"name": name, "value": names.text(value)}))
            .collect();
        self.add(json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {"name": names.run, "namespace": names.namespace,
                "creationTimestamp": began.to_string(), "labels": {"tekton.dev/pipeline": pipeline}},
            "spec": {"pipelineRef": {"name": pipeline}, "params": params,
                "taskRunTemplate": {"serviceAccountName": "pipeline"}},
            "status": {
                "startTime": began.to_string(), "completionTime": ended.to_string(),
                "conditions": [condition(&reason, &message, ended)],
            },
        }));
    }

    fn task_run(
        &mut self,
        case: &Case,
        pipeline: &str,
        names: &Names<'_>,
        began: Timestamp,
        ended: Timestamp,
    ) {
        let failed = case.steps.iter().find(|step| step.exit != 0 && step.own());
        let (reason, message) = match (&case.task_run, failed) {
            (Some(condition), _) => (condition.reason.clone(), names.text(&condition.message)),
            (None, Some(step)) => (
                "Failed".to_owned(),
                format!("\"step-{}\" exited with code {}: {}", step.name, step.exit, step.ended()),
            ),
            (None, None) => ("Failed".to_owned(), "the task failed".to_owned()),
        };
        let earlier: Vec<_> = (1..case.attempts)
            .map(|attempt| {
                json!({"podName": names.pod(attempt), "steps": steps(&case.steps, began),
                    "conditions": [condition(&reason, &message, began)]})
            })
            .collect();
        let mut status = json!({
            "startTime": began.to_string(), "completionTime": ended.to_string(),
            "conditions": [condition(&reason, &message, ended)],
        });
        // Tekton's definition wants a name, and has an empty one where there was no pod.
        status["podName"] = json!("");
        if case.pod != PodFate::Never {
            status["podName"] = json!(names.pod(case.attempts));
            status["steps"] = json!(steps(&case.steps, began));
        }
        if !earlier.is_empty() {
            status["retriesStatus"] = json!(earlier);
        }
        self.add(json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": names.task_run(), "namespace": names.namespace,
                "creationTimestamp": began.to_string(), "labels": names.labels(pipeline)},
            "spec": {"serviceAccountName": "pipeline", "timeout": "1h0m0s",
                "taskRef": {"kind": "Task", "name": case.task}},
            "status": status,
        }));
    }

    fn pods(
        &mut self,
        case: &Case,
        pipeline: &str,
        names: &Names<'_>,
        began: Timestamp,
    ) -> anyhow::Result<()> {
        if case.pod != PodFate::Kept {
            return Ok(());
        }
        for attempt in 1..=case.attempts {
            let name = names.pod(attempt);
            let mut status = json!({
                "phase": "Failed", "startTime": began.to_string(),
                "containerStatuses": case.steps.iter().map(|step| step.container_status(began)).collect::<Vec<_>>(),
            });
            merge(&mut status, &names.fill(&case.pod_status));
            // A pod that never started has steps, too: one without a name here.
            let names_of_containers = case.steps.iter().map(Step::container);
            let containers: Vec<_> = names_of_containers
                .chain(case.steps.is_empty().then(|| "step-unnamed-0".to_owned()))
                .map(|name| {
                    let mut container = json!({"name": name, "image": "quay.io/example/builder:1"});
                    if let Some(limit) = &case.memory_limit {
                        container["resources"] = json!({"limits": {"memory": limit}});
                    }
                    container
                })
                .collect();
            let mut labels = names.labels(pipeline);
            labels["tekton.dev/taskRun"] = json!(names.task_run());
            self.add(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": names.namespace,
                    "creationTimestamp": began.to_string(), "labels": labels},
                "spec": {"serviceAccountName": "pipeline", "restartPolicy": "Never", "containers": containers},
                "status": status,
            }));
            for step in &case.steps {
                let log = step.log.get(attempt - 1).or(step.log.last());
                let text = match log {
                    Some(log) => case::log(log)?,
                    None if step.reason.as_deref() == Some("Skipped") => {
                        "Skipping step because a previous step failed\n".to_owned()
                    }
                    None => String::new(),
                };
                self.logs.insert((name.clone(), step.container()), text);
            }
        }
        Ok(())
    }

    /// A run of yesterday that failed for another reason; returns its pod.
    fn yesterday(&mut self, pipeline: &str, now: Timestamp) -> anyhow::Result<String> {
        let ended = now - SignedDuration::from_hours(26);
        let step =
            Step { name: "build".to_owned(), exit: 125, reason: None, log: vec!["copy-missing".to_owned()] };
        let run = format!("{pipeline}-old4k");
        let names = Names { namespace: &self.namespace.clone(), run: &run, task: "build", attempts: 1 };
        let labels = names.labels(pipeline);
        let message = "\"step-build\" exited with code 125: Error";
        self.add(json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": names.task_run(), "namespace": self.namespace,
                "creationTimestamp": ended.to_string(), "labels": labels},
            "spec": {"serviceAccountName": "pipeline", "taskRef": {"kind": "Task", "name": "build"}},
            "status": {"podName": names.pod(1), "startTime": ended.to_string(),
                "completionTime": ended.to_string(), "conditions": [condition("Failed", message, ended)],
                "steps": steps(std::slice::from_ref(&step), ended)},
        }));
        let mut labels = labels;
        labels["tekton.dev/taskRun"] = json!(names.task_run());
        self.add(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": names.pod(1), "namespace": self.namespace,
                "creationTimestamp": ended.to_string(), "labels": labels},
            "spec": {"restartPolicy": "Never",
                "containers": [{"name": "step-build", "image": "quay.io/example/builder:1"}]},
            "status": {"phase": "Failed", "containerStatuses": [step.container_status(ended)]},
        }));
        self.logs.insert((names.pod(1), "step-build".to_owned()), case::log("copy-missing")?);
        Ok(names.pod(1))
    }
}

/// Names as Tekton makes them.
struct Names<'a> {
    namespace: &'a str,
    run: &'a str,
    task: &'a str,
    attempts: usize,
}

impl Names<'_> {
    fn task_run(&self) -> String {
        format!("{}-{}", self.run, self.task)
    }

    /// The pod of an attempt, counted from 1.
    fn pod(&self, attempt: usize) -> String {
        let pod = format!("{}-pod", self.task_run());
        if attempt <= 1 { pod } else { format!("{pod}-retry{}", attempt - 1) }
    }

    fn labels(&self, pipeline: &str) -> Value {
        json!({
            "app.kubernetes.io/managed-by": "tekton-pipelines", "tekton.dev/memberOf": "tasks",
            "tekton.dev/pipeline": pipeline, "tekton.dev/pipelineRun": self.run,
            "tekton.dev/pipelineTask": self.task, "tekton.dev/task": self.task,
        })
    }

    fn text(&self, text: &str) -> String {
        text.replace("${ns}", self.namespace)
            .replace("${run}", self.run)
            .replace("${pod}", &self.pod(self.attempts))
            .replace("${taskrun}", &self.task_run())
    }

    fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(map) => map.iter().map(|(key, item)| (key.clone(), self.fill(item))).collect(),
            other => other.clone(),
        }
    }
}

impl Step {
    fn container(&self) -> String {
        format!("step-{}", self.name)
    }

    /// Whether it failed of itself: neither skipped nor allowed to fail.
    fn own(&self) -> bool {
        !matches!(self.reason.as_deref(), Some("Skipped" | "Continued"))
    }

    /// The kubelet's word for how the container ended.
    fn ended(&self) -> &str {
        match self.reason.as_deref() {
            Some("OOMKilled") => "OOMKilled",
            _ if self.exit == 0 => "Completed",
            _ => "Error",
        }
    }

    fn container_status(&self, at: Timestamp) -> Value {
        json!({"name": self.container(), "image": "quay.io/example/builder:1", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"terminated": {"exitCode": self.exit, "reason": self.ended(),
                "startedAt": at.to_string(), "finishedAt": at.to_string()}}})
    }
}

fn steps(steps: &[Step], at: Timestamp) -> Vec<Value> {
    steps
        .iter()
        .map(|step| {
            let reason = step.reason.clone().unwrap_or_else(|| step.ended().to_owned());
            json!({"name": step.name, "container": step.container(), "terminationReason": reason,
                "terminated": {"exitCode": step.exit, "reason": step.ended(),
                    "startedAt": at.to_string(), "finishedAt": at.to_string()}})
        })
        .collect()
}

fn condition(reason: &str, message: &str, at: Timestamp) -> Value {
    json!({"type": "Succeeded", "status": "False", "reason": reason, "message": message,
        "lastTransitionTime": at.to_string()})
}

fn merge(into: &mut Value, from: &Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        for (key, value) in from {
            into.insert(key.clone(), value.clone());
        }
    }
}
