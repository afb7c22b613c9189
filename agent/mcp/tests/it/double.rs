//! A tool server that can be told to behave like each of the real ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// How the double answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Style {
    /// `application/json`, no session: Gitea MCP of 2025-08.
    #[default]
    Json,
    /// `text/event-stream` with a notification before the answer, and a session: go-sdk servers.
    Events,
    /// HTTP+SSE on `/sse`, everything else 404: kubernetes-mcp-server before 0.0.67 behind old proxies.
    Legacy,
}

/// What it saw and what it shall do.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) style: Style,
    pub(crate) tools: Vec<Value>,
    /// Results of `tools/call`, in order; the last one stays.
    pub(crate) results: VecDeque<Value>,
    /// Answer these statuses and bodies to the next calls instead.
    pub(crate) refusals: VecDeque<(u16, &'static str)>,
    /// Events sent before the answer, in style `Events`.
    pub(crate) before: Vec<&'static str>,
    /// Whether calls are never answered.
    pub(crate) hangs: bool,
    /// Tools per page of `tools/list`.
    pub(crate) page: usize,
    pub(crate) initialised: usize,
    pub(crate) calls: Vec<Value>,
    pub(crate) authorizations: Vec<String>,
    pub(crate) stream: Option<mpsc::UnboundedSender<String>>,
}

pub(crate) type Double = Arc<Mutex<Script>>;

/// Start it; returns its root address.
pub(crate) async fn start(script: Script) -> (String, Double) {
    start_at(([127, 0, 0, 1], 0).into(), script).await
}

/// The same at an address.
pub(crate) async fn start_at(address: std::net::SocketAddr, script: Script) -> (String, Double) {
    let double: Double = Arc::new(Mutex::new(script));
    let app = axum::Router::new()
        .route("/mcp", any(streamable))
        .route("/sse", any(legacy))
        .with_state(Arc::clone(&double));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}"), double)
}

pub(crate) fn tool(name: &str, properties: &[&str]) -> Value {
    let properties: serde_json::Map<_, _> = properties.iter().map(|p| ((*p).to_owned(), json!({}))).collect();
    json!({"name": name, "inputSchema": {"type": "object", "properties": properties}})
}

pub(crate) fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

async fn streamable(
    State(double): State<Double>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let style = double.lock().unwrap().style;
    match method {
        _ if style == Style::Legacy => return StatusCode::NOT_FOUND.into_response(),
        Method::GET => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        Method::DELETE => return StatusCode::OK.into_response(),
        _ => {}
    }
    let authorization = headers.get(header::AUTHORIZATION).map(|v| v.to_str().unwrap().to_owned());
    double.lock().unwrap().authorizations.extend(authorization);
    let message: Value = serde_json::from_slice(&body).unwrap();
    if message["method"] == "tools/call"
        && let Some((status, body)) = double.lock().unwrap().refusals.pop_front()
    {
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    let hangs = double.lock().unwrap().hangs;
    if message["method"] == "tools/call" && hangs {
        return std::future::pending().await;
    }
    let Some(answer) = answer(&double, &message) else { return StatusCode::ACCEPTED.into_response() };
    if style == Style::Json {
        return axum::Json(answer).into_response();
    }
    let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}});
    let calling = message["method"] == "tools/call";
    let before = if calling { double.lock().unwrap().before.clone() } else { Vec::new() };
    let before =
        before.iter().map(|event| format!("event: message\ndata: {event}\n\n")).collect::<Vec<_>>().concat();
    let events =
        format!(": ping\n\nevent: message\ndata: {note}\n\n{before}event: message\ndata: {answer}\n\n");
    let session = format!("session-{}", double.lock().unwrap().initialised);
    (
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::HeaderName::from_static("mcp-session-id"), &session),
        ],
        events,
    )
        .into_response()
}

async fn legacy(State(double): State<Double>, method: Method, body: Bytes) -> Response {
    if double.lock().unwrap().style != Style::Legacy {
        return StatusCode::NOT_FOUND.into_response();
    }
    if method == Method::GET {
        let (tx, rx) = mpsc::unbounded_channel::<String>();
        tx.send("event: endpoint\ndata: /sse?sessionid=1\n\n".to_owned()).unwrap();
        double.lock().unwrap().stream = Some(tx);
        let stream = futures::stream::unfold(rx, |mut rx| async { rx.recv().await.map(|s| (s, rx)) });
        let body = Body::from_stream(stream.map(Ok::<_, std::convert::Infallible>));
        return ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response();
    }
    let message: Value = serde_json::from_slice(&body).unwrap();
    let Some(stream) = double.lock().unwrap().stream.clone() else {
        return (StatusCode::NOT_FOUND, "session not found").into_response();
    };
    if let Some(answer) = answer(&double, &message) {
        stream.send(format!("event: message\ndata: {answer}\n\n")).unwrap();
    }
    StatusCode::ACCEPTED.into_response()
}

/// End the legacy stream, as a restart does.
pub(crate) fn cut(double: &Double) {
    double.lock().unwrap().stream = None;
}

fn answer(double: &Double, message: &Value) -> Option<Value> {
    let id = message.get("id")?;
    let mut script = double.lock().unwrap();
    let result = match message["method"].as_str()? {
        "initialize" => {
            script.initialised += 1;
            json!({"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "double", "version": "1"}})
        }
        "tools/list" => {
            let from: usize = message["params"]["cursor"].as_str().map_or(0, |c| c.parse().unwrap());
            let page = if script.page == 0 { usize::MAX } else { script.page };
            let to = from.saturating_add(page).min(script.tools.len());
            let mut result = json!({"tools": script.tools[from..to]});
            if to < script.tools.len() {
                result["nextCursor"] = json!(to.to_string());
            }
            result
        }
        "tools/call" => {
            script.calls.push(message["params"].clone());
            let next = if script.results.len() > 1 {
                script.results.pop_front()
            } else {
                script.results.front().cloned()
            };
            let result = next.unwrap_or_else(|| text("ok"));
            if let Some(error) = result.get("error") {
                return Some(json!({"jsonrpc": "2.0", "id": id, "error": error}));
            }
            result
        }
        _ => json!({}),
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}
