//! The status of an Application, in Argo CD's shape. It is part of the object: Applications have no
//! status subresource.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    health::{Health, HealthStatus},
    project::IN_CLUSTER_SERVER,
};
use crate::standins::{
    cluster::{Cluster, ObjectKey},
    routes::seconds,
};

const REFRESH: &str = "argocd.argoproj.io/refresh";

/// How the last sync operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SyncOutcome {
    Succeeded,
    /// With the operation's message.
    Failed(String),
}

/// What a comparison found.
pub(super) struct Deployed {
    pub(super) revision: String,
    pub(super) synced: bool,
    pub(super) health: Health,
    /// Each object, whether it is there, and how it is.
    pub(super) parts: Vec<(ObjectKey, bool, Health)>,
    pub(super) outcome: Option<SyncOutcome>,
}

impl Deployed {
    /// Success of which nothing is true.
    pub(super) fn lie() -> Self {
        Self {
            revision: "0".repeat(40),
            synced: true,
            health: Health::new(HealthStatus::Healthy, ""),
            parts: Vec::new(),
            outcome: Some(SyncOutcome::Succeeded),
        }
    }
}

/// Writes the status of one Application, and only when it changes.
pub(super) struct Report<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) key: &'a ObjectKey,
    pub(super) application: &'a DynamicObject,
}

impl Report<'_> {
    /// Whether someone asked for a fresh look by annotation; the next report takes it away.
    pub(super) fn refresh_requested(&self) -> bool {
        self.application.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(REFRESH))
    }

    /// Whether someone asked for a sync by the field `operation`; the report of its end takes that away.
    pub(super) fn sync_requested(&self) -> bool {
        self.application.data["operation"]["sync"].is_object()
    }

    /// Nothing can be compared: conditions of that type, sync and health unknown.
    pub(super) async fn error(&self, kind: &str, messages: &[String]) -> anyhow::Result<()> {
        let status = json!({
            "conditions": conditions(kind, messages),
            "sync": { "status": "Unknown", "comparedTo": self.compared_to() },
            "health": { "status": "Unknown" },
        });
        self.write(status).await
    }

    /// Deployed objects could not be deleted; everything else stays as it was.
    pub(super) async fn deletion_error(&self, message: &str) -> anyhow::Result<()> {
        self.write(json!({ "conditions": conditions("DeletionError", &[message.to_owned()]) })).await
    }

    /// The result of a comparison.
    pub(super) async fn deployed(&self, deployed: &Deployed) -> anyhow::Result<()> {
        let failure = match &deployed.outcome {
            Some(SyncOutcome::Failed(message)) => {
                vec![format!("Failed last sync attempt to [{}]: {message}", deployed.revision)]
            }
            _ => Vec::new(),
        };
        let resource = |(key, present, health): &(ObjectKey, bool, Health)| {
            let resource = key.kind.resource();
            json!({
                "group": key.kind.group(),
                "version": resource.version,
                "kind": key.kind.name(),
                "namespace": key.namespace,
                "name": key.name,
                "status": if *present { "Synced" } else { "OutOfSync" },
                "health": health.json(),
            })
        };
        let mut status = json!({
            "conditions": conditions("SyncError", &failure),
            "sync": {
                "status": if deployed.synced { "Synced" } else { "OutOfSync" },
                "revision": deployed.revision,
                "comparedTo": self.compared_to(),
            },
            "health": deployed.health.json(),
            "resources": deployed.parts.iter().map(resource).collect::<Vec<_>>(),
            "sourceType": "Helm",
        });
        if let Some(outcome) = &deployed.outcome {
            status["operationState"] = self.operation(outcome, deployed);
        }
        self.write(status).await
    }

    fn compared_to(&self) -> Value {
        let spec = &self.application.data["spec"];
        let mut destination = spec["destination"].clone();
        if destination["server"].is_null() {
            destination["server"] = IN_CLUSTER_SERVER.into();
        }
        json!({ "source": spec["source"], "destination": destination })
    }

    fn operation(&self, outcome: &SyncOutcome, deployed: &Deployed) -> Value {
        let (phase, message) = match outcome {
            SyncOutcome::Succeeded => ("Succeeded", "successfully synced (all tasks run)"),
            SyncOutcome::Failed(message) => ("Failed", message.as_str()),
        };
        let results: Vec<Value> = deployed
            .parts
            .iter()
            .map(|(key, ..)| {
                json!({
                    "group": key.kind.group(),
                    "version": key.kind.resource().version,
                    "kind": key.kind.name(),
                    "namespace": key.namespace,
                    "name": key.name,
                    "status": if *outcome == SyncOutcome::Succeeded { "Synced" } else { "SyncFailed" },
                })
            })
            .collect();
        let now = seconds(jiff::Timestamp::now());
        json!({
            "phase": phase,
            "message": message,
            "startedAt": now,
            "finishedAt": now,
            "operation": {
                "initiatedBy": { "automated": true },
                "sync": { "revision": deployed.revision, "prune": true },
                "retry": { "limit": 5 },
            },
            "syncResult": {
                "revision": deployed.revision,
                "source": self.application.data["spec"]["source"],
                "resources": results,
            },
        })
    }

    async fn write(&self, mut status: Value) -> anyhow::Result<()> {
        let refreshed = self.refresh_requested();
        let synced = self.sync_requested() && status["operationState"].is_object();
        let present = &self.application.data["status"];
        if let Some(health) = status["health"].as_object_mut() {
            // a merge keeps what it does not name, and what was wrong once is not wrong any more
            health.entry("message").or_insert(Value::Null);
        }
        if !refreshed && !synced && agrees(present, &status) {
            return Ok(());
        }
        let now = seconds(jiff::Timestamp::now());
        status["reconciledAt"] = now.as_str().into();
        if status["health"].is_object() && present["health"]["status"] != status["health"]["status"] {
            status["health"]["lastTransitionTime"] = now.into();
        }
        if status["operationState"].is_object()
            && agrees(&present["operationState"], &status["operationState"])
        {
            // The same operation still, not a new one of now.
            status["operationState"] = present["operationState"].clone();
        }
        let mut change = json!({ "status": status });
        if refreshed {
            change["metadata"]["annotations"][REFRESH] = Value::Null;
        }
        if synced {
            change["operation"] = Value::Null;
        }
        match self.cluster.merge(self.key, change).await {
            Err(error) if error.code() == Some(404) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// One condition of the type for each message; none is an empty list, which clears them.
fn conditions(kind: &str, messages: &[String]) -> Value {
    let now = seconds(jiff::Timestamp::now());
    let condition = |message| json!({ "type": kind, "message": message, "lastTransitionTime": now });
    messages.iter().map(condition).collect()
}

/// Whether `present` says everything that `wanted` does, times aside.
fn agrees(present: &Value, wanted: &Value) -> bool {
    const TIMES: [&str; 4] = ["lastTransitionTime", "reconciledAt", "startedAt", "finishedAt"];
    match (present, wanted) {
        (Value::Object(present), Value::Object(wanted)) => wanted.iter().all(|(name, value)| {
            TIMES.contains(&name.as_str()) || agrees(present.get(name).unwrap_or(&Value::Null), value)
        }),
        (Value::Array(present), Value::Array(wanted)) => {
            present.len() == wanted.len()
                && present.iter().zip(wanted).all(|(present, wanted)| agrees(present, wanted))
        }
        // The API server drops empty lists of conditions.
        (Value::Null, Value::Array(wanted)) => wanted.is_empty(),
        (present, wanted) => present == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_agrees_with_itself_later_and_with_nothing_else() {
        let status = |health: &str, time: &str| json!({ "health": { "status": health, "lastTransitionTime": time }, "conditions": [] });
        assert!(agrees(&status("Healthy", "then"), &status("Healthy", "now")));
        assert!(!agrees(&status("Healthy", "then"), &status("Degraded", "then")));
        assert!(agrees(&json!({ "health": { "status": "Healthy" } }), &status("Healthy", "now")));
        let told = json!({ "conditions": [{ "type": "SyncError", "message": "m" }] });
        assert!(!agrees(&told, &json!({ "conditions": [] })), "an old condition must be cleared");
        assert!(!agrees(&Value::Null, &told));
    }
}
