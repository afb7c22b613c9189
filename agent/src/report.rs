//! A report and what became of it: the vocabulary of journal, store, service and pages.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::diagnosis::Diagnosis;

/// What a pipeline told us. Every text was validated; none is an instruction.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Report {
    /// Namespace of the run.
    pub namespace: String,
    /// Pod, possibly empty (no pod ever failed) or stale (an older run's).
    pub pod_name: String,
    /// Container: a hint, verified against the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
    /// Name of the `PipelineRun`, the surest way to say what is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_run: Option<String>,
    /// Name of the `TaskRun`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_run: Option<String>,
    /// Repository that was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_url: Option<String>,
    /// Branch or tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_revision: Option<String>,
    /// Commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Page of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
}

/// Where a report stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Accepted, not yet finished.
    Pending,
    /// Diagnosed; the issue tracker does not take it at the moment and is asked again, up to 24 h.
    Queued,
    /// A new issue exists.
    Created,
    /// A comment on the existing issue says that it happened again.
    Recurred,
    /// Diagnosed, and filing is switched off.
    Diagnosed,
    /// No evidence could be had (namespace unknown or forbidden).
    NoEvidence,
    /// Filing failed for good.
    Failed,
}

impl Outcome {
    /// Every outcome, in the order of a report's life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Queued,
        Self::Created,
        Self::Recurred,
        Self::Diagnosed,
        Self::NoEvidence,
        Self::Failed,
    ];

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Queued)
    }

    /// The word used in JSON, metrics and pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Created => "created",
            Self::Recurred => "recurred",
            Self::Diagnosed => "diagnosed",
            Self::NoEvidence => "no_evidence",
            Self::Failed => "failed",
        }
    }
}

/// An issue in the tracker.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IssueLink {
    /// Number in the repository.
    pub number: u64,
    /// Address for people.
    pub url: String,
}

/// Everything known about a report.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// Id, 16 hex digits.
    pub id: String,
    /// What was reported.
    pub report: Report,
    /// Duplicates are recognised by it.
    pub key: String,
    /// When.
    pub accepted: Timestamp,
    /// When it became final.
    #[serde(default)]
    pub finished: Option<Timestamp>,
    /// Where it stands.
    pub outcome: Outcome,
    /// Why, where the outcome needs a word.
    #[serde(default)]
    pub reason: Option<String>,
    /// The issue.
    #[serde(default)]
    pub issue: Option<IssueLink>,
    /// Identity of the failure.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// How often the same report came again.
    #[serde(default)]
    pub recurrence: u64,
    /// What failed and why.
    #[serde(default)]
    pub diagnosis: Option<Diagnosis>,
    /// Why the diagnosis rests on rules alone although a model is configured.
    #[serde(default)]
    pub degraded: Option<String>,
}

impl Record {
    /// A fresh record.
    pub fn new(id: String, report: Report, key: String, accepted: Timestamp) -> Self {
        Self {
            id,
            report,
            key,
            accepted,
            finished: None,
            outcome: Outcome::Pending,
            reason: None,
            issue: None,
            fingerprint: None,
            recurrence: 0,
            diagnosis: None,
            degraded: None,
        }
    }
}
