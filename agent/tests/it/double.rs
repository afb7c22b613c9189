//! Stand-ins for the two tool servers: stateless JSON over HTTP, as the newest Gitea server speaks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

/// A cluster: objects by (kind, name), logs by (pod, container), events as YAML.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) objects: BTreeMap<(String, String), String>,
    pub(crate) logs: BTreeMap<(String, String), String>,
    pub(crate) events: String,
    pub(crate) issues: Vec<Value>,
    pub(crate) comments: Vec<Value>,
    /// Generation of the Gitea server: A wraps results, C names arguments differently.
    pub(crate) oldest: bool,
    /// Issue writes answered 502 although the issue was written.
    pub(crate) ambiguous: usize,
    /// Calls answered 503 before anything is done.
    pub(crate) down: usize,
    /// Whether all calls are answered 503.
    pub(crate) away: bool,
    pub(crate) calls: Vec<String>,
}

pub(crate) type Shared = Arc<Mutex<World>>;

/// Both servers on one port: `/openshift/mcp` and `/gitea/mcp`.
pub(crate) async fn start(world: World) -> (String, Shared) {
    let shared: Shared = Arc::new(Mutex::new(world));
    let app = axum::Router::new()
        .route("/openshift/mcp", post(openshift))
        .route("/gitea/mcp", post(gitea))
        .with_state(Arc::clone(&shared));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}"), shared)
}

/// A model endpoint that answers after a time with these submissions in turn, the last one for ever; `None` is
/// HTTP 500.
pub(crate) async fn model(delay: Duration, submissions: Vec<Option<Value>>) -> String {
    let left = Arc::new(Mutex::new(submissions));
    let reply = async move |State(left): State<Arc<Mutex<Vec<Option<Value>>>>>| {
        tokio::time::sleep_until(tokio::time::Instant::now() + delay).await;
        let mut left = left.lock().unwrap();
        let next = if left.len() > 1 { left.remove(0) } else { left[0].clone() };
        let Some(submission) = next else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        let call =
            json!({"id": "1", "function": {"name": "submit_diagnosis", "arguments": submission.to_string()}});
        let usage = json!({"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100});
        axum::Json(json!({"choices": [{"message": {"tool_calls": [call]}}], "usage": usage})).into_response()
    };
    let app = axum::Router::new().route("/v1/chat/completions", post(reply)).with_state(left);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn openshift(State(world): State<Shared>, body: String) -> Response {
    answer(&world, &body, &openshift_tools(), |world, name, a| {
        let text = |key: &str| a[key].as_str().unwrap_or_default().to_owned();
        match name {
            "pods_log" => {
                let tail = usize::try_from(a["tail"].as_u64().unwrap_or(100)).unwrap();
                let log = world.logs.get(&(text("name"), text("container"))).map(|log| {
                    let from = log.lines().count().saturating_sub(tail);
                    log.split_inclusive('\n').skip(from).collect::<String>()
                });
                log.ok_or_else(|| {
                    format!("failed to get pod {} log: pods {:?} not found", text("name"), text("name"))
                })
            }
            "resources_get" => {
                let found = world.objects.get(&(text("kind"), text("name"))).cloned();
                found.ok_or_else(|| format!("failed to get resource: {:?} not found", text("name")))
            }
            "resources_list" => {
                let of_kind = world.objects.iter().filter(|((kind, _), _)| *kind == text("kind"));
                let rows = of_kind
                    .map(|((kind, name), _)| format!("n v1 {kind} {name} False Failed 5m"))
                    .collect::<Vec<_>>();
                Ok(format!("NAMESPACE APIVERSION KIND NAME SUCCEEDED REASON AGE\n{}", rows.join("\n")))
            }
            "events_list" => {
                Ok(format!("# The following events (YAML format) were found:\n{}", world.events))
            }
            other => Err(format!("no {other}")),
        }
    })
}

async fn gitea(State(world): State<Shared>, body: String) -> Response {
    let tools = if world.lock().unwrap().oldest { flat_tools() } else { dispatched_tools() };
    let response = answer(&world, &body, &tools, |world, name, a| {
        let method = a["method"].as_str().unwrap_or(name).to_owned();
        let number = a["issue_number"].as_u64().or_else(|| a["index"].as_u64()).unwrap_or(0);
        let at = usize::try_from(number).unwrap().wrapping_sub(1);
        let value = match method.as_str() {
            "create" | "create_issue" => {
                let number = world.issues.len() + 1;
                let issue = json!({"number": number, "title": a["title"], "body": a["body"], "state": "open", "comments": 0,
                    "html_url": format!("http://gitea.example/o/r/issues/{number}")});
                world.issues.push(issue.clone());
                issue
            }
            "get" | "get_issue_by_index" => world.issues.get(at).cloned().ok_or("not found")?,
            "list_issues" => json!(
                world
                    .issues
                    .iter()
                    .rev()
                    .map(|i| {
                        let mut slim = i.clone();
                        slim.as_object_mut().unwrap().remove("body");
                        slim
                    })
                    .collect::<Vec<_>>()
            ),
            "list_repo_issues" => json!(world.issues.iter().rev().collect::<Vec<_>>()),
            "add_comment" | "create_issue_comment" => {
                world.comments.push(a["body"].clone());
                let count = world.issues[at]["comments"].as_u64().unwrap();
                world.issues[at]["comments"] = json!(count + 1);
                json!({"id": 1})
            }
            "get_comments" | "get_issue_comments_by_index" => {
                json!(world.comments.iter().map(|c| json!({"body": c})).collect::<Vec<_>>())
            }
            "update" | "edit_issue" => {
                for key in ["state", "body"] {
                    if !a[key].is_null() {
                        world.issues[at][key] = a[key].clone();
                    }
                }
                world.issues[at].clone()
            }
            other => return Err(format!("unknown method: {other}")),
        };
        Ok(if world.oldest { json!({ "Result": value }) } else { value }.to_string())
    });
    let mut world = world.lock().unwrap();
    if world.ambiguous > 0 && body.contains("\"create") {
        world.ambiguous -= 1;
        return StatusCode::BAD_GATEWAY.into_response();
    }
    response
}

fn answer(
    world: &Shared,
    body: &str,
    tools: &Value,
    call: impl FnOnce(&mut World, &str, &Value) -> Result<String, String>,
) -> Response {
    let message: Value = serde_json::from_str(body).unwrap();
    let Some(id) = message.get("id") else { return StatusCode::ACCEPTED.into_response() };
    let mut world = world.lock().unwrap();
    if world.away || world.down > 0 {
        world.down = world.down.saturating_sub(1);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let result = match message["method"].as_str().unwrap() {
        "initialize" => {
            json!({"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
            "serverInfo": {"name": "double", "version": "1"}})
        }
        "tools/list" => json!({ "tools": tools }),
        "tools/call" => {
            let name = message["params"]["name"].as_str().unwrap().to_owned();
            world.calls.push(name.clone());
            match call(&mut world, &name, &message["params"]["arguments"]) {
                Ok(text) => json!({"content": [{"type": "text", "text": text}]}),
                Err(text) => json!({"content": [{"type": "text", "text": text}], "isError": true}),
            }
        }
        _ => json!({}),
    };
    axum::Json(json!({"jsonrpc": "2.0", "id": id, "result": result})).into_response()
}

fn tool(name: &str, properties: &[&str]) -> Value {
    let properties: serde_json::Map<_, _> = properties.iter().map(|p| ((*p).to_owned(), json!({}))).collect();
    json!({"name": name, "inputSchema": {"type": "object", "properties": properties}})
}

fn openshift_tools() -> Value {
    json!([
        tool("pods_log", &["name", "namespace", "container", "tail", "previous"]),
        tool("resources_get", &["apiVersion", "kind", "name", "namespace"]),
        tool("resources_list", &["apiVersion", "kind", "namespace"]),
        tool("events_list", &["namespace"]),
        tool("pods_delete", &["name", "namespace"]),
    ])
}

fn flat_tools() -> Value {
    json!([
        tool("create_issue", &["owner", "repo", "title", "body"]),
        tool("list_repo_issues", &["owner", "repo", "state", "page", "pageSize"]),
        tool("get_issue_by_index", &["owner", "repo", "index"]),
        tool("edit_issue", &["owner", "repo", "index", "title", "body", "state"]),
        tool("create_issue_comment", &["owner", "repo", "index", "body"]),
        tool("get_issue_comments_by_index", &["owner", "repo", "index"]),
    ])
}

fn dispatched_tools() -> Value {
    let mut write =
        tool("issue_write", &["method", "owner", "repo", "issue_number", "title", "body", "state", "labels"]);
    write["inputSchema"]["properties"]["method"] =
        json!({"type": "string", "enum": ["create", "update", "add_comment"]});
    json!([
        write,
        tool("issue_read", &["method", "owner", "repo", "issue_number"]),
        tool("list_issues", &["owner", "repo", "state", "page", "per_page"]),
    ])
}
