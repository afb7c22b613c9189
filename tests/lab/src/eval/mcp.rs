//! Tool servers: JSON-RPC over HTTP in the dialects of the real ones, every call kept, and told to fail in the ways
//! servers fail.

use std::{collections::VecDeque, future::pending, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::any,
};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::platform::parking::Guarded;

/// What a server can do.
pub(crate) trait Tools: Send + Sync + 'static {
    /// What the server calls itself.
    fn server(&self) -> &'static str {
        "stand-in"
    }
    /// Name and input schema of each tool, as `tools/list` has them.
    fn list(&self) -> Value;
    /// Answers a call with text, or a failure's text.
    fn call(&self, name: &str, arguments: &Value) -> impl Future<Output = Result<String, String>> + Send;
}

/// How a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `application/json`, a session id, failures as JSON-RPC errors: mcp-go servers.
    Plain,
    /// `text/event-stream` with a notification before the answer, no session, failures as `isError`: go-sdk servers.
    Stream,
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// This status before anything is done.
    Status(u16),
    /// 404 for an expired session, or 400 as mcp-go 0.42 has it.
    SessionLost(u16),
    /// The call is done, and answered 502.
    Ambiguous,
    /// Never an answer.
    Silence,
    /// An answer that is no JSON.
    Garbage,
    /// A result without content.
    Empty,
    /// A result with an image before the text.
    Image,
    /// An `isError` result with this text.
    Refusal(&'static str),
    /// JSON-RPC's own error.
    RpcError,
    /// The call is done, and never answered.
    Swallowed,
    /// 503 for this and so many requests after it, handshakes included.
    Leaves(usize),
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// Tool name.
    pub tool: String,
    /// Its arguments.
    pub arguments: Value,
}

/// A running tool server.
#[derive(Clone)]
pub struct Server {
    /// Its address, with path.
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    calls: Guarded<Vec<Call>>,
    troubles: Guarded<VecDeque<(Option<&'static str>, Trouble)>>,
    away: Guarded<usize>,
    refused: Guarded<usize>,
}

impl Shared {
    /// Whether the server is away for a request.
    fn away(&self) -> bool {
        let away = self.away.with(|left| {
            let away = *left > 0;
            *left = left.saturating_sub(1);
            away
        });
        if away {
            self.refused.with(|refused| *refused += 1);
        }
        away
    }
}

impl Server {
    /// Serves `tools` on a port of its own until the process ends.
    ///
    /// # Errors
    /// When no port is free.
    pub(super) async fn start<T: Tools>(tools: Arc<T>, dialect: Dialect) -> std::io::Result<Self> {
        let (mut server, app) = Self::router(tools, dialect);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        server.url = format!("http://{}/mcp", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(server)
    }

    /// `tools` as a router with the one path `/mcp`, for whoever has an address to serve it at; the server has none.
    pub(crate) fn router<T: Tools>(tools: Arc<T>, dialect: Dialect) -> (Self, Router) {
        let shared = Arc::new(Shared::default());
        let state = Arc::new(Serving { tools, dialect, shared: Arc::clone(&shared) });
        let app = Router::new().route("/mcp", any(answer::<T>)).with_state(state);
        (Self { url: String::new(), shared }, app)
    }

    /// A server that is not ours: its calls are not seen.
    pub(super) fn elsewhere(url: String) -> Self {
        Self { url, shared: Arc::default() }
    }

    /// What was called since the last time this was asked.
    pub fn take_calls(&self) -> Vec<Call> {
        self.shared.calls.with(std::mem::take)
    }

    /// The next call goes wrong; of a tool whose name contains `tool`, if that is given. Troubles come in order.
    pub fn trouble(&self, tool: Option<&'static str>, trouble: Trouble) {
        self.shared.troubles.with(|troubles| troubles.push_back((tool, trouble)));
    }

    /// The next so many requests are answered 503, whatever they are; 0 ends that.
    pub fn leave(&self, requests: usize) {
        self.shared.away.with(|away| *away = requests);
    }

    /// Requests it was away for, so far.
    pub fn refused(&self) -> usize {
        self.shared.refused.with(|refused| *refused)
    }

    /// Troubles that have not come up.
    pub fn calm(&self) -> usize {
        self.shared.troubles.with(|troubles| std::mem::take(troubles).len())
    }
}

struct Serving<T> {
    tools: Arc<T>,
    dialect: Dialect,
    shared: Arc<Shared>,
}

async fn answer<T: Tools>(State(serving): State<Arc<Serving<T>>>, method: Method, body: String) -> Response {
    if serving.shared.away() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Ok(message) = serde_json::from_str::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(id) = message.get("id").filter(|id| !id.is_null()) else {
        return StatusCode::ACCEPTED.into_response();
    };
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => Ok(json!({
            "protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": serving.tools.server(), "version": "1"},
        })),
        "tools/list" => Ok(json!({"tools": serving.tools.list()})),
        "tools/call" => match serving.call(&message["params"]).await {
            Ok(result) => result,
            Err(response) => return response,
        },
        _ => Ok(json!({})),
    };
    let reply = match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
    };
    match serving.dialect {
        Dialect::Plain => {
            let session = [("mcp-session-id", "mcp-session-5f0c1c1e-0000-4000-8000-000000000000")];
            (session, axum::Json(reply)).into_response()
        }
        Dialect::Stream => {
            let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "working"}});
            let events =
                format!(": ping\n\nevent: message\ndata: {note}\n\nevent: message\ndata: {reply}\n\n");
            ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
        }
    }
}

impl<T: Tools> Serving<T> {
    async fn call(&self, params: &Value) -> Result<Result<Value, Value>, Response> {
        let tool = params["name"].as_str().unwrap_or_default().to_owned();
        let arguments = params["arguments"].clone();
        let trouble = self.shared.troubles.with(|troubles| {
            let at = troubles.iter().position(|(only, _)| {
                only.is_none_or(|only| format!("{tool} {}", arguments["method"]).contains(only))
            })?;
            troubles.remove(at)
        });
        let text = |text: &str| json!({"content": [{"type": "text", "text": text}]});
        let status = |code: u16| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match trouble.map(|(_, trouble)| trouble) {
            Some(Trouble::Status(code)) => return Err(status(code).into_response()),
            Some(Trouble::SessionLost(code)) => {
                return Err((status(code), "Invalid session ID").into_response());
            }
            Some(Trouble::Leaves(requests)) => {
                self.shared.away.with(|away| *away = requests);
                return Err(StatusCode::SERVICE_UNAVAILABLE.into_response());
            }
            Some(Trouble::Silence) => return Err(silence()),
            Some(Trouble::Garbage) => {
                return Err(
                    ([(header::CONTENT_TYPE, "application/json")], "{\"jsonrpc\": <html>").into_response()
                );
            }
            Some(Trouble::Empty) => return Ok(Ok(json!({"content": []}))),
            Some(Trouble::Refusal(why)) => {
                let mut refusal = text(why);
                refusal["isError"] = json!(true);
                return Ok(Ok(refusal));
            }
            Some(Trouble::RpcError) => return Ok(Err(json!({"code": -32603, "message": "internal error"}))),
            Some(trouble @ (Trouble::Ambiguous | Trouble::Swallowed)) => {
                self.shared
                    .calls
                    .with(|calls| calls.push(Call { tool: tool.clone(), arguments: arguments.clone() }));
                let _done = self.tools.call(&tool, &arguments).await;
                let swallowed = trouble == Trouble::Swallowed;
                return Err(if swallowed { silence() } else { StatusCode::BAD_GATEWAY.into_response() });
            }
            Some(Trouble::Image) | None => {}
        }
        self.shared.calls.with(|calls| calls.push(Call { tool: tool.clone(), arguments: arguments.clone() }));
        let image = trouble.is_some();
        Ok(match self.tools.call(&tool, &arguments).await {
            Ok(answer) if image => Ok(json!({"content": [
                {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}, {"type": "text", "text": answer}]})),
            Ok(answer) => Ok(text(&answer)),
            Err(why) if self.dialect == Dialect::Plain => Err(json!({"code": -32603, "message": why})),
            Err(why) => {
                let mut refusal = text(&why);
                refusal["isError"] = json!(true);
                Ok(refusal)
            }
        })
    }
}

/// An answer that begins and never goes on.
fn silence() -> Response {
    let nothing = Body::from_stream(futures::stream::once(pending::<Result<String, std::io::Error>>()));
    ([(header::CONTENT_TYPE, "text/event-stream")], nothing).into_response()
}

/// A tool as `tools/list` has it: required arguments end in `*`.
pub(crate) fn tool(name: &str, arguments: &[(&str, &str)]) -> Value {
    let required: Vec<_> = arguments.iter().filter_map(|(name, _)| name.strip_suffix('*')).collect();
    let properties: serde_json::Map<_, _> = arguments
        .iter()
        .map(|(name, kind)| (name.trim_end_matches('*').to_owned(), json!({"type": kind})))
        .collect();
    json!({"name": name, "inputSchema": {"type": "object", "properties": properties, "required": required}})
}
