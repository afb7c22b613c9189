//! Reading the cluster through the OpenShift MCP server, with the eight tools every deployment has.

use std::time::Duration;

use agent_mcp::{Arg, CallError, Capability, Client, Effect};
use serde_json::Value;

const NAMESPACE: &[&str] = &["namespace"];
const NAME: &[&str] = &["name"];
const API_VERSION: &[&str] = &["apiVersion"];
const KIND: &[&str] = &["kind"];
/// Time for one read.
const READ: Duration = Duration::from_secs(15);
/// A log that cannot be had is asked for again with this share of its lines, …
const FEWER: u32 = 20;
/// … with half of them from so many on: a single line may be what is too much, …
const FEW: u32 = 100;
/// … down to about so many.
const FEWEST: u32 = 4;
/// Tekton's group and version, as served by OpenShift Pipelines since 1.11.
const TEKTON: &str = "tekton.dev/v1";

/// What every deployment must offer for the agent to be ready.
pub const REQUIRED: [Capability; 3] = [Capability::PodLog, Capability::ResourceGet, Capability::Events];

/// The namespace's objects, logs and events.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    client: &'a Client,
    namespace: &'a str,
}

impl<'a> Cluster<'a> {
    /// A view of one namespace; nothing outside of it is read but storage classes.
    pub fn new(client: &'a Client, namespace: &'a str) -> Self {
        Self { client, namespace }
    }

    /// The namespace.
    pub fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// A pod.
    pub async fn pod(&self, name: &str) -> Result<Value, CallError> {
        self.object("v1", "Pod", name).await
    }

    /// A `TaskRun`.
    pub async fn task_run(&self, name: &str) -> Result<Value, CallError> {
        self.object(TEKTON, "TaskRun", name).await
    }

    /// A `PipelineRun`.
    pub async fn pipeline_run(&self, name: &str) -> Result<Value, CallError> {
        self.object(TEKTON, "PipelineRun", name).await
    }

    /// Names of objects of a kind whose row in the server's list contains all `words`.
    pub async fn names(&self, kind: Kind, words: &[&str]) -> Result<Vec<String>, CallError> {
        let (api_version, name) = match kind {
            Kind::Pod => ("v1", "Pod"),
            Kind::TaskRun => (TEKTON, "TaskRun"),
            Kind::PipelineRun => (TEKTON, "PipelineRun"),
            Kind::LimitRange => ("v1", "LimitRange"),
            Kind::PersistentVolumeClaim => ("v1", "PersistentVolumeClaim"),
        };
        let args = [
            Arg::must(API_VERSION, api_version),
            Arg::must(KIND, name),
            Arg::must(NAMESPACE, self.namespace),
        ];
        let text = self.client.call(Capability::ResourceList, &args, Effect::Read, READ).await?;
        Ok(names(&text, words))
    }

    /// The last lines of a container's log, fewer where so many are too much for the transport. An empty log
    /// is an empty text.
    pub async fn log(
        &self,
        pod: &str,
        container: &str,
        lines: u32,
        previous: bool,
    ) -> Result<String, CallError> {
        let mut lines = lines;
        loop {
            match self.tail(pod, container, lines, previous).await {
                // Nobody says that an answer was too large: the connection ends, or nothing comes.
                Err(CallError::NotDone(_) | CallError::Timeout(_)) if lines > FEWEST => {
                    lines /= if lines > FEW { FEWER } else { 2 };
                }
                result => return result,
            }
        }
    }

    async fn tail(
        &self,
        pod: &str,
        container: &str,
        lines: u32,
        previous: bool,
    ) -> Result<String, CallError> {
        let mut args = vec![
            Arg::must(NAMESPACE, self.namespace),
            Arg::must(NAME, pod),
            Arg::may(&["tail", "tailLines", "tail_lines"], lines),
        ];
        if !container.is_empty() {
            args.push(Arg::may(&["container"], container));
        }
        if previous {
            args.push(Arg::must(&["previous"], true));
        }
        let text = self.client.call(Capability::PodLog, &args, Effect::Read, READ).await?;
        let empty = text.trim_end().ends_with("has not logged any message yet");
        Ok(if empty { String::new() } else { text })
    }

    /// Events of the namespace, as the server's YAML list.
    pub async fn events(&self) -> Result<Vec<Value>, CallError> {
        let args = [Arg::must(NAMESPACE, self.namespace)];
        let text = self.client.call(Capability::Events, &args, Effect::Read, READ).await?;
        let yaml = text.lines().skip_while(|l| l.starts_with('#')).collect::<Vec<_>>().join("\n");
        Ok(match tenant_kit::yaml::from_str(&yaml) {
            Ok(Value::Array(events)) => events,
            _ => Vec::new(),
        })
    }

    /// An object of the namespace.
    pub async fn object(&self, api_version: &str, kind: &str, name: &str) -> Result<Value, CallError> {
        self.get(api_version, kind, name, Some(self.namespace)).await
    }

    /// An object outside of any namespace; servers limited to a namespace refuse.
    pub async fn object_of_cluster(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
    ) -> Result<Value, CallError> {
        self.get(api_version, kind, name, None).await
    }

    async fn get(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        namespace: Option<&str>,
    ) -> Result<Value, CallError> {
        let mut args =
            vec![Arg::must(API_VERSION, api_version), Arg::must(KIND, kind), Arg::must(NAME, name)];
        args.extend(namespace.map(|namespace| Arg::must(NAMESPACE, namespace)));
        let text = self.client.call(Capability::ResourceGet, &args, Effect::Read, READ).await?;
        tenant_kit::yaml::from_str(&text)
            .map_err(|_| CallError::Tool(format!("{kind} {name} is not readable YAML")))
    }
}

/// Kinds the agent lists.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are the kinds")]
pub enum Kind {
    Pod,
    TaskRun,
    PipelineRun,
    LimitRange,
    PersistentVolumeClaim,
}

/// Names out of a kubectl-like table (with or without a NAMESPACE column) or a YAML list.
fn names(text: &str, words: &[&str]) -> Vec<String> {
    let mut lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    let header = lines.clone().find(|l| l.split_whitespace().any(|w| w == "NAME"));
    let Some(header) = header else { return yaml_names(text, words) };
    let column = header.split_whitespace().position(|w| w == "NAME").unwrap_or(0);
    lines.by_ref().find(|l| *l == header);
    lines
        .filter(|l| words.iter().all(|w| l.split_whitespace().any(|cell| cell == *w)))
        .filter_map(|l| l.split_whitespace().nth(column).map(str::to_owned))
        .collect()
}

fn yaml_names(text: &str, words: &[&str]) -> Vec<String> {
    let value: Value = tenant_kit::yaml::from_str(text).unwrap_or_default();
    let items = value.get("items").unwrap_or(&value).as_array().cloned().unwrap_or_default();
    let matches = |item: &Value| words.iter().all(|w| item.to_string().contains(&format!("\"{w}\"")));
    items
        .iter()
        .filter(|i| matches(i))
        .filter_map(|i| i.pointer("/metadata/name")?.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_are_read_from_tables_and_yaml() {
        let table = "NAMESPACE  APIVERSION     KIND     NAME       SUCCEEDED  REASON     STARTTIME\n\
                     n          tekton.dev/v1  TaskRun  run-a      True       Succeeded  5m\n\
                     n          tekton.dev/v1  TaskRun  run-b      False      Failed     4m\n";
        assert_eq!(names(table, &["False"]), ["run-b"]);
        let yaml = "- metadata:\n    name: run-c\n  status:\n    conditions:\n    - status: 'False'\n";
        assert_eq!(names(yaml, &["False"]), ["run-c"]);
        assert!(names("", &[]).is_empty());
    }
}
