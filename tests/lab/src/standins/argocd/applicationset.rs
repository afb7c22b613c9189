//! The ApplicationSet controller: keeps the generated Applications as the set wants them.

use std::time::Duration;

use futures::future::try_join_all;
use kube::api::{DynamicObject, PropagationPolicy};
use serde_json::{Value, json};

use super::template::{self, GenerationError};
use crate::{
    platform::{Behaviour, StandIn},
    standins::{
        cluster::{Change, Cluster, ObjectKey},
        controller::{Next, Reconciler},
        kinds::Kind,
        ownership::{controller_of, controller_reference},
        routes::seconds,
    },
};

const MANAGER: &str = "argocd-applicationset-controller";

/// How long the real controller leaves a set alone after a validation error, an AppProject created
/// meanwhile or not.
const RETRY: Duration = Duration::from_mins(3);

/// Makes Applications.
pub(super) struct Generator {
    /// Where the sets are.
    pub(super) cluster: Cluster,
}

impl Reconciler for Generator {
    const STAND_IN: StandIn = StandIn::Argocd;
    const WATCHES: &'static [Kind] = &[Kind::ApplicationSet, Kind::Application];

    fn affected(&self, change: &Change) -> Vec<ObjectKey> {
        if change.key.kind == Kind::ApplicationSet {
            return vec![change.key.clone()];
        }
        controller_of(&change.object, Kind::ApplicationSet).into_iter().collect()
    }

    async fn reconcile(&self, key: &ObjectKey, behaviour: Behaviour) -> anyhow::Result<Next> {
        let Some(set) = self.cluster.get(key) else { return Ok(Next::Wait) };
        if set.metadata.deletion_timestamp.is_some() {
            return Ok(Next::Wait);
        }
        let generated = match behaviour {
            Behaviour::Failing(_) => Err(GenerationError {
                reason: "ErrorOccurred",
                message: "the controller was told to fail".to_owned(),
            }),
            _ => template::applications(&set.data["spec"]),
        };
        let outcome = match generated {
            Ok(wanted) => match self.validate(key, &wanted) {
                None => {
                    self.keep(key, &set, wanted).await?;
                    Ok(())
                }
                Some(message) => Err(GenerationError { reason: "ApplicationValidationError", message }),
            },
            Err(error) => Err(error),
        };
        let conditions = conditions(outcome.as_ref().err());
        if !same_conditions(&set.data["status"]["conditions"], &conditions) {
            self.cluster.merge_status(key, json!({ "conditions": conditions })).await?;
        }
        Ok(if outcome.is_ok() { Next::Wait } else { Next::Again(RETRY) })
    }
}

impl Generator {
    /// What the controller checks before it creates Applications: only that their projects exist.
    fn validate(&self, key: &ObjectKey, wanted: &[Value]) -> Option<String> {
        wanted.iter().find_map(|application| {
            let project = application["spec"]["project"].as_str().unwrap_or("default");
            let exists = self.cluster.find(Kind::AppProject, &key.namespace, project).is_some();
            (!exists).then(|| format!("application references project {project} which does not exist"))
        })
    }

    async fn keep(&self, key: &ObjectKey, set: &DynamicObject, wanted: Vec<Value>) -> anyhow::Result<()> {
        let present: Vec<_> = self
            .cluster
            .list_in(Kind::Application, &key.namespace)
            .into_iter()
            .filter(|application| controller_of(application, Kind::ApplicationSet).as_ref() == Some(key))
            .collect();
        let name = |wanted: &Value| wanted["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let names: Vec<_> = wanted.iter().map(name).collect();
        let owner = controller_reference(Kind::ApplicationSet, set);
        let changed = wanted.into_iter().filter(|wanted| {
            let known = present
                .iter()
                .find(|known| known.metadata.name.as_deref() == wanted["metadata"]["name"].as_str());
            known.is_none_or(|known| {
                // One that is on its way out is made anew when it is gone.
                known.metadata.deletion_timestamp.is_none() && differs(known, wanted)
            })
        });
        try_join_all(changed.map(|mut wanted| {
            wanted["metadata"]["ownerReferences"] = json!([owner]);
            let target = ObjectKey::new(Kind::Application, &key.namespace, name(&wanted));
            async move { self.cluster.apply(MANAGER, &target, wanted).await }
        }))
        .await?;
        for leftover in &present {
            let target = ObjectKey::of(Kind::Application, leftover);
            if !names.contains(&target.name) && leftover.metadata.deletion_timestamp.is_none() {
                self.cluster.delete(&target, PropagationPolicy::Background).await?;
            }
        }
        Ok(())
    }
}

/// Whether an Application lacks something of what the template wants.
fn differs(known: &DynamicObject, wanted: &Value) -> bool {
    let metadata = |field: &str| wanted["metadata"][field].clone();
    let labels = json!(known.metadata.labels);
    let annotations = json!(known.metadata.annotations);
    let contains = |known: &Value, wanted: &Value| {
        wanted.as_object().into_iter().flatten().all(|(name, value)| known.get(name) == Some(value))
    };
    known.data["spec"] != wanted["spec"]
        || !contains(&labels, &metadata("labels"))
        || !contains(&annotations, &metadata("annotations"))
        || (metadata("finalizers").is_array() && json!(known.metadata.finalizers) != metadata("finalizers"))
}

/// The three conditions of a set, as the controller words them.
fn conditions(error: Option<&GenerationError>) -> Value {
    let now = seconds(jiff::Timestamp::now());
    let condition = |kind: &str, holds: bool, reason: &str, message: &str| {
        json!({ "type": kind, "status": if holds { "True" } else { "False" }, "reason": reason,
            "message": message, "lastTransitionTime": now })
    };
    let generated = "Successfully generated parameters for all Applications";
    match error {
        None => json!([
            condition("ErrorOccurred", false, "ApplicationSetUpToDate", generated),
            condition("ParametersGenerated", true, "ParametersGenerated", generated),
            condition("ResourcesUpToDate", true, "ApplicationSetUpToDate", "ApplicationSet up to date"),
        ]),
        Some(GenerationError { reason, message }) => {
            let parameters = if *reason == "ApplicationValidationError" {
                condition("ParametersGenerated", true, "ParametersGenerated", generated)
            } else {
                condition("ParametersGenerated", false, "ErrorOccurred", message)
            };
            json!([
                condition("ErrorOccurred", true, reason, message),
                parameters,
                condition("ResourcesUpToDate", false, reason, message),
            ])
        }
    }
}

/// Whether two lists of conditions say the same, however long ago.
pub(super) fn same_conditions(left: &Value, right: &Value) -> bool {
    let told = |conditions: &Value| -> Vec<Vec<Value>> {
        let fields = |each: &Value| ["type", "status", "reason", "message"].map(|field| each[field].clone());
        conditions.as_array().into_iter().flatten().map(|each| fields(each).to_vec()).collect()
    };
    told(left) == told(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_generation_and_a_missing_project_are_told_apart() {
        let error = |reason| GenerationError { reason, message: "why".to_owned() };
        let status = |conditions: &Value| -> Vec<String> {
            let each = |condition: &Value| condition["status"].as_str().unwrap().to_owned();
            conditions.as_array().unwrap().iter().map(each).collect()
        };
        assert_eq!(status(&conditions(None)), ["False", "True", "True"]);
        let generation = conditions(Some(&error("ApplicationGenerationFromParamsError")));
        assert_eq!(status(&generation), ["True", "False", "False"]);
        let validation = conditions(Some(&error("ApplicationValidationError")));
        assert_eq!(status(&validation), ["True", "True", "False"]);
        assert!(!same_conditions(&generation, &validation));
        assert!(same_conditions(&generation, &generation.clone()));
    }

    #[test]
    fn an_application_is_rewritten_for_its_spec_and_not_for_its_status() {
        let wanted =
            json!({ "metadata": { "name": "a", "labels": { "l": "v" } }, "spec": { "project": "p" } });
        let known = |metadata: Value, spec: Value| -> DynamicObject {
            serde_json::from_value(json!({ "metadata": metadata, "spec": spec, "status": { "health": {} } }))
                .unwrap()
        };
        let metadata = json!({ "name": "a", "labels": { "l": "v", "other": "x" } });
        assert!(!differs(&known(metadata.clone(), wanted["spec"].clone()), &wanted));
        assert!(differs(&known(metadata, json!({ "project": "q" })), &wanted));
        assert!(differs(&known(json!({ "name": "a" }), wanted["spec"].clone()), &wanted));
    }
}
