//! Health of what an Application deployed, as Argo CD's built-in checks see it.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::standins::{kinds::Kind, routes::admitted_host};

/// Worse sorts later: an Application is as healthy as its least healthy object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HealthStatus {
    Healthy,
    Progressing,
    Degraded,
    Missing,
}

/// How an object is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) status: HealthStatus,
    pub(super) message: String,
}

impl Health {
    pub(super) fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn healthy() -> Self {
        Self::new(HealthStatus::Healthy, "")
    }

    pub(super) fn json(&self) -> Value {
        let mut health = json!({ "status": format!("{:?}", self.status) });
        if !self.message.is_empty() {
            health["message"] = self.message.as_str().into();
        }
        health
    }
}

/// Health of one object. `MCPServer` counts by its phase, as with a health check in `argocd-cm`; stock
/// Argo CD has none for it and would call it healthy at once.
pub(super) fn of(kind: Kind, object: &DynamicObject) -> Health {
    let status = &object.data["status"];
    match kind {
        Kind::Deployment => deployment(object),
        Kind::Job => job(object),
        Kind::MCPServer => match status["phase"].as_str() {
            Some("Ready") => Health::healthy(),
            Some("Failed") => {
                Health::new(HealthStatus::Degraded, status["message"].as_str().unwrap_or_default())
            }
            _ => Health::new(HealthStatus::Progressing, "MCPServer is not ready yet"),
        },
        Kind::Route if admitted_host(object).is_none() => {
            Health::new(HealthStatus::Progressing, "Route is not admitted")
        }
        Kind::Ingress if status["loadBalancer"]["ingress"].as_array().is_none_or(Vec::is_empty) => {
            Health::new(HealthStatus::Progressing, "Ingress has no address")
        }
        _ => Health::healthy(),
    }
}

fn deployment(object: &DynamicObject) -> Health {
    let status = &object.data["status"];
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    if status["observedGeneration"].as_i64() < object.metadata.generation {
        let message =
            "Waiting for rollout to finish: observed deployment generation less than desired generation";
        return Health::new(HealthStatus::Progressing, message);
    }
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    if conditions.any(|each| each["reason"] == "ProgressDeadlineExceeded") {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        return Health::new(
            HealthStatus::Degraded,
            format!("Deployment {name:?} exceeded its progress deadline"),
        );
    }
    let wanted = object.data["spec"]["replicas"].as_i64().unwrap_or(1);
    if count("updatedReplicas") < wanted || count("availableReplicas") < count("updatedReplicas") {
        let message = format!(
            "Waiting for rollout to finish: {} of {} updated replicas are available...",
            count("availableReplicas"),
            count("updatedReplicas")
        );
        return Health::new(HealthStatus::Progressing, message);
    }
    Health::healthy()
}

fn job(object: &DynamicObject) -> Health {
    let conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let mut ended = conditions.filter(|each| each["status"] == "True");
    ended
        .find_map(|each| match each["type"].as_str()? {
            "Complete" => Some(Health::healthy()),
            "Failed" => {
                Some(Health::new(HealthStatus::Degraded, each["message"].as_str().unwrap_or_default()))
            }
            _ => None,
        })
        .unwrap_or_else(|| Health::new(HealthStatus::Progressing, "Job is running"))
}

/// The health of the whole: that of the worst part.
pub(super) fn worst(parts: impl IntoIterator<Item = Health>) -> Health {
    parts.into_iter().max_by_key(|health| health.status).unwrap_or_else(Health::healthy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment_with(status: &Value) -> DynamicObject {
        serde_json::from_value(json!({ "metadata": { "name": "agent", "generation": 2 },
            "spec": { "replicas": 1 }, "status": status }))
        .unwrap()
    }

    #[test]
    fn a_deployment_is_healthy_only_when_its_present_generation_is_available() {
        let ready = json!({ "observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1 });
        assert_eq!(of(Kind::Deployment, &deployment_with(&ready)).status, HealthStatus::Healthy);
        for (field, value) in [("observedGeneration", 1), ("availableReplicas", 0), ("updatedReplicas", 0)] {
            let mut status = ready.clone();
            status[field] = value.into();
            let health = of(Kind::Deployment, &deployment_with(&status));
            assert_eq!(health.status, HealthStatus::Progressing, "{field}");
        }
        let late =
            json!({ "observedGeneration": 2, "conditions": [{ "reason": "ProgressDeadlineExceeded" }] });
        assert_eq!(of(Kind::Deployment, &deployment_with(&late)).status, HealthStatus::Degraded);
    }

    #[test]
    fn a_job_is_healthy_when_it_is_complete() {
        let of_job = |conditions: Value| {
            let job = json!({ "metadata": { "name": "h" }, "status": { "conditions": conditions } });
            of(Kind::Job, &serde_json::from_value(job).unwrap()).status
        };
        let condition = |kind: &str| json!([{ "type": kind, "status": "True" }]);
        assert_eq!(of_job(json!([])), HealthStatus::Progressing);
        assert_eq!(of_job(condition("Complete")), HealthStatus::Healthy);
        assert_eq!(of_job(condition("Failed")), HealthStatus::Degraded);
    }

    #[test]
    fn the_worst_part_decides_and_nothing_at_all_is_healthy() {
        let part = |status| Health::new(status, format!("{status:?}"));
        let parts = [HealthStatus::Healthy, HealthStatus::Degraded, HealthStatus::Progressing].map(part);
        assert_eq!(worst(parts).message, "Degraded");
        assert_eq!(worst([]).status, HealthStatus::Healthy);
    }
}
