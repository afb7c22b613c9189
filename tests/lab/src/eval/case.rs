//! The cases of the suite as data: what failed, in which run, with which recorded logs, and what an issue about it
//! must say.
//!
//! Cases lie in `tests/data/agent/cases/*.yaml`, logs in `tests/data/agent/logs`, recorded by
//! `tests/data/agent/record.sh`. In all texts of a case `${ns}`, `${run}` and `${pod}` stand for the namespace, the
//! `PipelineRun` and the pod of the last attempt.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

/// One failure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `F01` and so on; the numbers are those of the specification, letters tell variants apart.
    pub id: String,
    /// What happened, for people.
    pub title: String,
    /// Name of the pipeline.
    #[serde(default = "pipeline")]
    pub pipeline: String,
    /// Name of the pipeline task that failed.
    #[serde(default = "task")]
    pub task: String,
    /// Parameters of the run.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Steps of the failed task; none where no pod was ever made.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Attempts in all.
    #[serde(default = "once")]
    pub attempts: usize,
    /// Reason and message of the `TaskRun`; by default those of a failed step.
    #[serde(default)]
    pub task_run: Option<Condition>,
    /// Reason and message of the `PipelineRun`; by default those of a failed task.
    #[serde(default)]
    pub pipeline_run: Option<Condition>,
    /// Whether there is no `TaskRun` at all: the `PipelineRun` was refused.
    #[serde(default)]
    pub refused: bool,
    /// What has become of the pod.
    #[serde(default)]
    pub pod: PodFate,
    /// Merged into the pod's status.
    #[serde(default)]
    pub pod_status: Value,
    /// Memory limit of the steps.
    #[serde(default)]
    pub memory_limit: Option<String>,
    /// Events of the namespace.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Objects beside the run: an application's pods.
    #[serde(default)]
    pub objects: Vec<Value>,
    /// Logs of those, by `pod/container`.
    #[serde(default)]
    pub logs: BTreeMap<String, String>,
    /// What the caller reports.
    #[serde(default)]
    pub report: Reported,
    /// Where the texts of objects and events come from, where they are no recordings.
    #[serde(default)]
    pub origin: Option<String>,
    /// What is expected of the issue.
    pub expect: Expectation,
}

impl Case {
    /// Whether a real API server can hold it: it lets nobody say when an object was made, so nothing is of yesterday.
    pub fn is_young(&self) -> bool {
        self.report.pod != ReportedPod::Stale
    }
}

/// A step of the failed task, in the order of the task.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Name; its container is `step-NAME`.
    pub name: String,
    /// Exit code.
    #[serde(default)]
    pub exit: i64,
    /// Why it ended, as Tekton has it: `Completed`, `Error`, `Skipped`, `Continued`, `OOMKilled`.
    #[serde(default)]
    pub reason: Option<String>,
    /// Recorded logs, one per attempt; the last one stays.
    #[serde(default)]
    pub log: Vec<String>,
}

/// A condition's reason and message.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// An event of the namespace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Kind of the object.
    #[serde(default = "pod")]
    pub kind: String,
    /// Name of the object.
    #[serde(default = "this_pod")]
    pub name: String,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// What has become of a pod when the report arrives.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PodFate {
    /// It is there, with its logs.
    #[default]
    Kept,
    /// It was deleted; its name is known.
    Deleted,
    /// There never was one.
    Never,
}

/// What the caller reports.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reported {
    /// Which pod it names.
    pub pod: ReportedPod,
    /// The container it names.
    pub container: Option<String>,
    /// Whether it names the `PipelineRun`.
    pub pipeline_run: bool,
}

/// Which pod the caller names.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ReportedPod {
    /// That of the last attempt.
    #[default]
    Last,
    /// That of the first attempt.
    First,
    /// None: an empty name.
    None,
    /// That of a run of yesterday, which failed for another reason.
    Stale,
}

/// What the issue must and must not say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The category.
    pub category: String,
    /// The failing step; `None` where no step ever ran.
    #[serde(default)]
    pub step: Option<String>,
    /// Texts the issue contains.
    pub must: Vec<String>,
    /// Texts the title and the summary do not contain.
    #[serde(default)]
    pub must_not: Vec<String>,
    /// Kind of evidence the cause is read from: `log`, `events`, `TaskRun`, `PipelineRun` or `Pod`.
    pub evidence: String,
    /// Texts the proposals contain.
    #[serde(default)]
    pub fix: Vec<String>,
}

fn pipeline() -> String {
    "build-agent".to_owned()
}

fn task() -> String {
    "build".to_owned()
}

fn once() -> usize {
    1
}

fn pod() -> String {
    "Pod".to_owned()
}

fn this_pod() -> String {
    "${pod}".to_owned()
}

/// The suite's folder in this checkout.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/agent")
}

/// All cases, in the order of their files.
///
/// # Errors
/// When a file cannot be read or is not of this shape.
pub fn all() -> anyhow::Result<Vec<Case>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder().join("cases"))?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        let read: Vec<Case> = tenant_kit::yaml::from_str(&text)
            .with_context(|| format!("read the cases of {}", path.display()))?;
        cases.extend(read);
    }
    Ok(cases)
}

/// A recorded log.
///
/// # Errors
/// When there is none of that name.
pub fn log(name: &str) -> anyhow::Result<String> {
    let path = folder().join("logs").join(format!("{name}.log"));
    fs::read_to_string(&path).with_context(|| format!("read the recorded log {}", path.display()))
}
