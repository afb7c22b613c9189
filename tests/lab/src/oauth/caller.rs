//! One who calls an MCP server over streamable HTTP, request by request: what an MCP library hides (statuses,
//! challenges, sessions) is what is looked at.

use std::time::Duration;

use anyhow::Context as _;
use http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::polling;

const SESSION: &str = "mcp-session-id";
const PROTOCOL: &str = "2025-06-18";

/// A caller.
#[derive(Clone, Debug)]
pub struct Caller {
    http: reqwest::Client,
    server: String,
    /// The whole `Authorization` header, if there is one.
    authorization: Option<String>,
    session: Option<String>,
}

/// What a request was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// The header `Mcp-Session-Id`.
    pub session: Option<String>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The JSON-RPC message of an event stream's first event, or the body if it is JSON; else `null`.
    pub fn message(&self) -> Value {
        let data = self.body.lines().find_map(|line| line.strip_prefix("data: "));
        serde_json::from_str(data.unwrap_or(&self.body)).unwrap_or_default()
    }

    /// The text of a tool's result, and whether the tool failed.
    pub fn result(&self) -> (String, bool) {
        let result = &self.message()["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        (text, result["isError"] == true)
    }
}

impl Caller {
    /// Somebody without a token. `server` is the address without a path.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn anonymous(server: &str) -> anyhow::Result<Self> {
        let http = tenant_kit::http::client(&tenant_kit::http::ClientSettings::new("tenant-lab"))?;
        Ok(Self { http, server: server.to_owned(), authorization: None, session: None })
    }

    /// The same caller with this `Authorization` header.
    #[must_use]
    pub fn with(&self, authorization: impl Into<String>) -> Self {
        Self { authorization: Some(authorization.into()), ..self.clone() }
    }

    /// The same caller with a token.
    #[must_use]
    pub fn bearing(&self, token: &str) -> Self {
        self.with(format!("Bearer {token}"))
    }

    /// Reads a page, such as a well-known document.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.http.get(format!("{}{path}", self.server))).await
    }

    /// Asks for a session.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn initialize(&self) -> anyhow::Result<Answer> {
        let client = json!({"name": "tenant-lab", "version": "0"});
        let parameters = json!({"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client});
        self.request("initialize", &parameters).await
    }

    /// The same caller in a session of its own.
    ///
    /// # Errors
    /// When the server does not open one.
    pub async fn opened(&self) -> anyhow::Result<Self> {
        let answer = self.initialize().await?;
        let session = answer.session.clone().with_context(|| format!("no session was opened: {answer:?}"))?;
        let opened = Self { session: Some(session), ..self.clone() };
        opened.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        Ok(opened)
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call(&self, tool: &str, arguments: &Value) -> anyhow::Result<Answer> {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments})).await
    }

    /// Asks for the tools.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn tools(&self) -> anyhow::Result<Answer> {
        self.request("tools/list", &json!({})).await
    }

    /// Asks for the tools until the answer is a refusal.
    ///
    /// # Errors
    /// When it never is.
    pub async fn until_refused(&self, limit: Duration) -> anyhow::Result<Answer> {
        let refused =
            polling::until(limit, async || self.tools().await.ok().filter(|answer| answer.status != 200));
        refused.await.with_context(|| format!("still served after {limit:?}"))
    }

    async fn request(&self, method: &str, parameters: &Value) -> anyhow::Result<Answer> {
        self.post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})).await
    }

    async fn post(&self, body: &Value) -> anyhow::Result<Answer> {
        let mut request = self.http.post(format!("{}/mcp", self.server)).json(body);
        request = request.header(ACCEPT, "application/json, text/event-stream");
        if let Some(session) = &self.session {
            request = request.header(SESSION, session).header("mcp-protocol-version", PROTOCOL);
        }
        self.send(request).await
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = request.send().await?;
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        Ok(Answer {
            status: answer.status().as_u16(),
            challenge: header(WWW_AUTHENTICATE.as_str()),
            session: header(SESSION),
            body: answer.text().await?,
        })
    }
}
