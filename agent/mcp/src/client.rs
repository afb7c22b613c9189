//! A tool server that may be late, restart, change its tools or lose our session: callers see only calls.

use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceError;
use rmcp::model::CallToolResult;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::binding::{Arg, Binding, Capability};
use crate::detect::ConnectError;
use crate::endpoint::Endpoint;
use crate::observer::{CallResult, Observer};
use crate::session::Session;
use crate::tools::ToolIndex;

/// Time for detection, handshake and tool list together.
const CONNECT: Duration = Duration::from_secs(10);
/// Failures in a row after which a server that cannot be reached is left alone for a moment.
const PATIENCE: u32 = 3;
/// That moment. Short, so that a server that is back is used within two seconds.
const REST: Duration = Duration::from_secs(1);
/// Result text beyond this is cut, in bytes; the end is kept, because logs fail at the end.
const LARGEST: usize = 32 * 1024 * 1024;

/// Whether a call changes something: then it is not repeated unless it surely did not happen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Safe to repeat.
    Read,
    /// Not safe to repeat.
    Write,
}

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No session.
    #[error("the MCP server {server} cannot be reached")]
    Connect {
        /// Name of the server.
        server: String,
        /// The cause.
        #[source]
        source: ConnectError,
    },
    /// The server has no tool for it.
    #[error("the MCP server {server} has no tool for {capability:?}")]
    Missing {
        /// Name of the server.
        server: String,
        /// What is missing.
        capability: Capability,
    },
    /// The tool does not take an argument we need.
    #[error("the tool {tool} takes no argument {argument}")]
    Argument {
        /// Tool.
        tool: String,
        /// Argument.
        argument: &'static str,
    },
    /// The tool failed: JSON-RPC error or `isError`; the text is the server's.
    #[error("{0}")]
    Tool(String),
    /// The call did not happen: no connection, or the session was refused.
    #[error("the call to the MCP server {0} failed")]
    NotDone(String),
    /// A write whose outcome is unknown: look before doing it again.
    #[error("the outcome of a call to the MCP server {0} is not known")]
    Unknown(String),
    /// No answer within the time given.
    #[error("the MCP server {0} did not answer in time")]
    Timeout(String),
}

/// A client of one server. Cheap to share; connects on first use and again when it has to.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    http: reqwest::Client,
    connection: Mutex<Connection>,
    known: std::sync::Mutex<ToolIndex>,
    observer: Option<Arc<dyn Observer>>,
}

/// The session, or how the last tries to open one went.
#[derive(Debug, Default)]
struct Connection {
    session: Option<Arc<Session>>,
    failures: u32,
    failed: Option<(Instant, String)>,
}

impl Connection {
    /// Why not to try again now: somebody tried while we waited for our turn, or the server rests.
    fn refuses(&self, asked: Instant, now: Instant) -> Option<&str> {
        let (at, reason) = self.failed.as_ref()?;
        let resting = self.failures >= PATIENCE && now.saturating_duration_since(*at) < REST;
        (*at >= asked || resting).then_some(reason)
    }
}

impl Client {
    /// A client; nothing is sent yet. `http` must have no total time-out: it would cut streams.
    pub fn new(endpoint: Endpoint, http: reqwest::Client) -> Self {
        let (connection, known) = (Mutex::default(), std::sync::Mutex::default());
        Self { endpoint, http, connection, known, observer: None }
    }

    /// The same client; `observer` is told what happens on it.
    #[must_use]
    pub fn observed(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Name of the server.
    pub fn name(&self) -> &str {
        &self.endpoint.name
    }

    /// Connect if necessary; returns the capabilities of `wanted` that no tool provides.
    ///
    /// # Errors
    ///
    /// When no session can be opened.
    pub async fn probe(&self, wanted: &[Capability]) -> Result<Vec<Capability>, ConnectError> {
        let session = self.session(None).await?;
        Ok(wanted.iter().copied().filter(|c| Binding::find(*c, &session.tools).is_none()).collect())
    }

    /// Whether a capability was bound on the last connection.
    pub fn has(&self, capability: Capability) -> bool {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Binding::find(capability, &known).is_some()
    }

    /// Names of the tools listed on the last connection, sorted; none before the first.
    pub fn tools(&self) -> Vec<String> {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.names().map(str::to_owned).collect()
    }

    /// Call the tool behind a capability and return its text, within `within` altogether.
    ///
    /// # Errors
    ///
    /// See [`CallError`]; a failing tool is [`CallError::Tool`].
    pub async fn call(
        &self,
        capability: Capability,
        wanted: &[Arg],
        effect: Effect,
        within: Duration,
    ) -> Result<String, CallError> {
        let server = || self.endpoint.name.clone();
        match tokio::time::timeout(within, self.attempts(capability, wanted, effect)).await {
            Ok(result) => return result,
            // A connection that died without a word looks like this: the next call gets a new one. Whoever
            // holds the lock is opening one.
            Err(_) => {
                if let Ok(mut connection) = self.connection.try_lock() {
                    connection.session = None;
                }
            }
        }
        match effect {
            Effect::Write => Err(CallError::Unknown(server())),
            Effect::Read => Err(CallError::Timeout(server())),
        }
    }

    /// Once, and once more on a fresh session if the first session was lost or its tools changed.
    async fn attempts(
        &self,
        capability: Capability,
        wanted: &[Arg],
        effect: Effect,
    ) -> Result<String, CallError> {
        let mut lost: Option<Arc<Session>> = None;
        loop {
            let session = self
                .session(lost.as_ref())
                .await
                .map_err(|source| CallError::Connect { server: self.endpoint.name.clone(), source })?;
            let Some(binding) = Binding::find(capability, &session.tools) else {
                return Err(CallError::Missing { server: self.endpoint.name.clone(), capability });
            };
            let arguments = binding
                .arguments(wanted)
                .map_err(|argument| CallError::Argument { tool: binding.tool.clone(), argument })?;
            let error = match self.observe(&session, &binding.tool, arguments).await {
                Ok(result) => return text(&result),
                Err(error) => error,
            };
            let fate = fate(&error);
            tracing::debug!(server = %self.endpoint.name, tool = %binding.tool, ?fate, "MCP call failed");
            let again =
                lost.is_none() && (fate == Fate::NotDone || effect == Effect::Read && fate == Fate::Open);
            match (fate, error) {
                _ if again => lost = Some(session),
                (Fate::Answered, ServiceError::McpError(e)) => {
                    return Err(CallError::Tool(e.message.to_string()));
                }
                (Fate::Open, _) if effect == Effect::Write => {
                    return Err(CallError::Unknown(self.endpoint.name.clone()));
                }
                (_, ServiceError::McpError(e)) => return Err(CallError::Tool(e.message.to_string())),
                _ => return Err(CallError::NotDone(self.endpoint.name.clone())),
            }
        }
    }

    /// One call on one session, seen by the observer and in traces; arguments and results are in neither.
    async fn observe(
        &self,
        session: &Session,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, ServiceError> {
        let span = tracing::info_span!(
            "execute_tool",
            otel.name = format!("execute_tool {tool}"),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = tool,
            gen_ai.tool.type = "extension",
            server = self.endpoint.name,
        );
        let begun = Instant::now();
        let result = session.call(tool, arguments).instrument(span.clone()).await;
        let how = match &result {
            Ok(result) if result.is_error == Some(true) => CallResult::ToolError,
            Ok(_) => CallResult::Ok,
            Err(error) if fate(error) == Fate::Answered => CallResult::ToolError,
            Err(_) => CallResult::NoAnswer,
        };
        if how != CallResult::Ok {
            span.record("otel.status_code", "ERROR");
        }
        if let Some(observer) = &self.observer {
            observer.called(&self.endpoint.name, tool, begun.elapsed(), how);
        }
        result
    }

    /// The current session; a new one if there is none, or it is the lost one, or it is outdated.
    async fn session(&self, lost: Option<&Arc<Session>>) -> Result<Arc<Session>, ConnectError> {
        let asked = Instant::now();
        let mut connection = self.connection.lock().await;
        if let Some(session) = &connection.session
            && !lost.is_some_and(|l| Arc::ptr_eq(l, session))
            && !session.outdated()
        {
            return Ok(Arc::clone(session));
        }
        if let Some(reason) = connection.refuses(asked, Instant::now()) {
            return Err(ConnectError::Recently { url: self.endpoint.shown(), reason: reason.to_owned() });
        }
        connection.session = None;
        // A session outlives the report that needs it first. In a task of its own, its spans are not below that
        // report's, which would stay open with them.
        let (http, endpoint) = (self.http.clone(), self.endpoint.clone());
        let opening = tokio::spawn(async move { Session::open(&http, &endpoint, CONNECT).await });
        let opened = match opening.await.map_err(JoinError::try_into_panic) {
            Ok(opened) => opened,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is shutting down, and takes this task with it.
            Err(Err(_)) => std::future::pending().await,
        };
        if let Some(observer) = &self.observer {
            observer.answers(&self.endpoint.name, opened.is_ok());
        }
        let session = match opened {
            Ok(session) => Arc::new(session),
            Err(error) => {
                connection.failures += 1;
                connection.failed = Some((Instant::now(), error.to_string()));
                return Err(error);
            }
        };
        (connection.failures, connection.failed) = (0, None);
        let drift = {
            let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let drift = session.tools.drift(&known);
            *known = session.tools.clone();
            drift
        };
        let (server, version, tools) = (&self.endpoint.name, &session.version, session.tools.len());
        tracing::info!(%server, %version, tools, "MCP session opened");
        if !drift.is_empty() {
            tracing::warn!(%server, changed = %drift.join(","), "tools changed since the last session");
        }
        connection.session = Some(Arc::clone(&session));
        Ok(session)
    }
}

/// What an error says about the call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// The server answered: the call was made and failed.
    Answered,
    /// The call surely was not made.
    NotDone,
    /// It may or may not have been made.
    Open,
}

fn fate(error: &ServiceError) -> Fate {
    if let ServiceError::McpError(e) = error {
        // -32602 for a tool that was listed: the list is old. -32001 is a proxy's unknown session.
        let unknown_tool = e.code.0 == -32602 && e.message.contains("tool") && e.message.contains("unknown")
            || e.message.contains("tool not found");
        return if unknown_tool || e.code.0 == -32001 { Fate::NotDone } else { Fate::Answered };
    }
    let mut text = error.to_string().to_ascii_lowercase();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&inner.to_string().to_ascii_lowercase());
        cause = inner.source();
    }
    // The library reports these as text only; each is said before a request reaches a tool.
    let before = [
        "session",
        "http 404",
        "http 400",
        "404 not found",
        "400 bad request",
        "connection refused",
        "tcp connect",
        "error trying to connect",
        "transport channel closed",
    ];
    if before.iter().any(|b| text.contains(b)) && !text.contains("may have processed") {
        Fate::NotDone
    } else {
        Fate::Open
    }
}

/// Text of a result: text blocks joined, structured content where there is no text.
fn text(result: &CallToolResult) -> Result<String, CallError> {
    let blocks: Vec<_> = result.content.iter().filter_map(|c| c.as_text().map(|t| t.text.as_str())).collect();
    let mut text = blocks.join("\n");
    if text.is_empty()
        && let Some(structured) = &result.structured_content
    {
        text = structured.to_string();
    }
    if text.len() > LARGEST {
        let from =
            (text.len() - LARGEST..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len());
        text.drain(..from);
    }
    if result.is_error == Some(true) { Err(CallError::Tool(text)) } else { Ok(text) }
}
