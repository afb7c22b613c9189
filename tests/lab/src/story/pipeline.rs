//! Runs of the pipeline that the chart `agent` brings.

use std::time::Duration;

use anyhow::Context as _;
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;

use super::namespace;
use crate::polling;

const LIMIT: Duration = Duration::from_mins(6);
const NAME: &str = "build-agent";

/// The pipeline of one tenant.
pub struct Pipeline<'a> {
    /// An administrator's client.
    pub client: &'a Client,
    /// The tenant.
    pub guid: &'a str,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All tasks are done.
    Succeeded,
    /// A task failed.
    Failed,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What Tekton says about that.
    pub message: String,
}

impl Pipeline<'_> {
    /// Builds a revision of the tenant's repository, and waits for the end.
    ///
    /// # Errors
    /// When the run cannot be started or does not end in time.
    pub async fn run(&self, revision: &str) -> anyhow::Result<Run> {
        let namespace = namespace("agent", self.guid);
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
        let runs: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &namespace, &kind);
        let run = json!({
            "apiVersion": "tekton.dev/v1",
            "kind": "PipelineRun",
            "metadata": {"generateName": format!("{NAME}-"), "namespace": namespace},
            "spec": {
                "pipelineRef": {"name": NAME},
                "params": [{"name": "GIT_REVISION", "value": revision}],
                "taskRunTemplate": {"serviceAccountName": NAME},
                "workspaces": [{"name": "workspace", "volumeClaimTemplate": {"spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}},
                }}}],
            },
        });
        let run: DynamicObject = serde_json::from_value(run)?;
        let made = runs.create(&PostParams::default(), &run).await.context("start a pipeline run")?;
        let name = made.metadata.name.context("the run has a name")?;
        let ended = polling::until(LIMIT, async || {
            let run = runs.get(&name).await.ok()?;
            let condition = run.data["status"]["conditions"].get(0)?.clone();
            let outcome = match condition["status"].as_str()? {
                "True" => Outcome::Succeeded,
                "False" => Outcome::Failed,
                _ => return None,
            };
            let message = condition["message"].as_str().unwrap_or_default().to_owned();
            Some(Run { name: name.clone(), outcome, message })
        });
        ended.await.with_context(|| format!("PipelineRun {namespace}/{name} does not end"))
    }
}
