//! Stand-in for the OpenShift MCP server: the same tools and texts as kubernetes-mcp-server 0.0.67, over scenes in
//! memory. It offers no lists but those the agent reads.
//!
//! It offers tools that delete and execute, too: nobody may ever call them.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use serde_json::{Value, json};

use super::{
    mcp::{Dialect, Server, Tools, tool},
    scene::Scene,
};
use crate::platform::parking::Guarded;

/// Scenes by namespace.
#[derive(Default)]
pub struct Memory {
    scenes: Guarded<BTreeMap<String, Scene>>,
}

impl Memory {
    /// An empty memory and the server that shows it.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open() -> std::io::Result<(Arc<Self>, Server)> {
        let memory = Arc::new(Self::default());
        let server = Server::start(Arc::clone(&memory), Dialect::Stream).await?;
        Ok((memory, server))
    }

    /// Puts a scene into its namespace, in place of what was there.
    pub fn put(&self, scene: Scene) {
        self.scenes.with(|scenes| scenes.insert(scene.namespace.clone(), scene));
    }
}

impl Tools for Memory {
    fn list(&self) -> Value {
        let (text, number, flag) = ("string", "integer", "boolean");
        json!([
            tool("events_list", &[("namespace", text), ("fieldSelector", text)]),
            tool("namespaces_list", &[("fieldSelector", text)]),
            tool("pods_delete", &[("name*", text), ("namespace", text)]),
            tool(
                "pods_exec",
                &[("name*", text), ("command*", "array"), ("namespace", text), ("container", text)]
            ),
            tool("pods_get", &[("name*", text), ("namespace", text)]),
            tool("pods_list", &[("labelSelector", text), ("fieldSelector", text)]),
            tool("pods_list_in_namespace", &[("namespace*", text), ("labelSelector", text)]),
            tool(
                "pods_log",
                &[
                    ("name*", text),
                    ("namespace", text),
                    ("container", text),
                    ("tail", number),
                    ("previous", flag)
                ]
            ),
            tool(
                "resources_delete",
                &[("apiVersion*", text), ("kind*", text), ("name*", text), ("namespace", text)]
            ),
            tool(
                "resources_get",
                &[("apiVersion*", text), ("kind*", text), ("name*", text), ("namespace", text)]
            ),
            tool("resources_list", &[("apiVersion*", text), ("kind*", text), ("namespace", text)]),
        ])
    }

    async fn call(&self, name: &str, arguments: &Value) -> Result<String, String> {
        let text = |key: &str| arguments[key].as_str().unwrap_or_default().to_owned();
        let scene = self.scenes.with(|scenes| scenes.get(&text("namespace")).cloned());
        let Some(scene) = scene else {
            return Err(format!("failed to get resource: namespaces \"{}\" not found", text("namespace")));
        };
        match name {
            "pods_log" => log(&scene, arguments),
            "pods_get" => get(&scene, "Pod", &text("name")),
            "resources_get" => get(&scene, &text("kind"), &text("name")),
            "resources_list" => Ok(table(&scene, &text("kind"))),
            "pods_list_in_namespace" => Ok(table(&scene, "Pod")),
            "events_list" => Ok(events(&scene)),
            other => Ok(format!("{other} was done")),
        }
    }
}

fn log(scene: &Scene, arguments: &Value) -> Result<String, String> {
    let (pod, container) =
        (arguments["name"].as_str().unwrap_or_default(), arguments["container"].as_str().unwrap_or_default());
    let namespace = &scene.namespace;
    let refused = format!("failed to get pod {pod} log in namespace {namespace}: ");
    if !scene.objects.contains_key(&("Pod".to_owned(), pod.to_owned())) {
        return Err(format!("{refused}pods \"{pod}\" not found"));
    }
    let Some(log) = scene.logs.get(&(pod.to_owned(), container.to_owned())) else {
        return Err(format!("{refused}container {container} is not valid for pod {pod}"));
    };
    if log.is_empty() {
        return Ok(format!("The pod {pod} in namespace {namespace} has not logged any message yet"));
    }
    let tail = arguments["tail"].as_u64().filter(|tail| *tail > 0).unwrap_or(100);
    let lines: Vec<_> = log.split_inclusive('\n').collect();
    let skip = lines.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
    Ok(lines[skip..].concat())
}

fn get(scene: &Scene, kind: &str, name: &str) -> Result<String, String> {
    let plural = format!("{}s", kind.to_lowercase());
    let found = scene.objects.get(&(kind.to_owned(), name.to_owned()));
    // JSON is YAML.
    found
        .map(ToString::to_string)
        .ok_or_else(|| format!("failed to get resource: {plural} \"{name}\" not found"))
}

fn table(scene: &Scene, kind: &str) -> String {
    let mut rows =
        "NAMESPACE   APIVERSION   KIND   NAME   SUCCEEDED   REASON   STARTTIME   LABELS\n".to_owned();
    for ((_, name), object) in scene.objects.iter().filter(|((own, _), _)| own == kind) {
        let condition = &object["status"]["conditions"][0];
        let of = |key: &str| condition[key].as_str().unwrap_or("<none>").to_owned();
        let version = object["apiVersion"].as_str().unwrap_or("v1");
        // Writing to a string cannot fail.
        let _ = writeln!(
            rows,
            "{}   {version}   {kind}   {name}   {}   {}   5m   <none>",
            scene.namespace,
            of("status"),
            of("reason")
        );
    }
    rows
}

fn events(scene: &Scene) -> String {
    if scene.events.is_empty() {
        return "# No events found".to_owned();
    }
    let list: Vec<_> = scene
        .events
        .iter()
        .map(|event| {
            json!({"InvolvedObject": {"Kind": event.kind, "Name": event.name, "apiVersion": "v1"},
                "Message": event.message, "Namespace": scene.namespace, "Reason": event.reason,
                "Timestamp": "2026-11-21 07:00:00 +0000 UTC", "Type": "Warning"})
        })
        .collect();
    format!("# The following events (YAML format) were found:\n{}", Value::from(list))
}
