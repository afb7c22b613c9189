//! One session: handshake, tool list, calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation, ProtocolVersion,
};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
};
use rmcp::{ClientHandler, RoleClient, ServiceError, ServiceExt as _};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use crate::detect::{ConnectError, Found, detect};
use crate::endpoint::Endpoint;
use crate::legacy::LegacySse;
use crate::tools::ToolIndex;

/// Largest server event, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;

/// Our side of the session: no sampling, no roots; it listens for one notification.
#[derive(Clone, Debug)]
struct Listener {
    version: ProtocolVersion,
    stale: Arc<AtomicBool>,
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let me = Implementation::new("pipeline-agent", env!("CARGO_PKG_VERSION"));
        let mut info = ClientConfig::new(ClientCapabilities::default(), me);
        info.protocol_version = self.version.clone();
        info
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.stale.store(true, Ordering::Relaxed);
    }
}

/// An initialised session with its tools.
#[derive(Debug)]
pub(crate) struct Session {
    service: RunningService<RoleClient, Listener>,
    stale: Arc<AtomicBool>,
    pub(crate) tools: ToolIndex,
    pub(crate) version: String,
}

impl Session {
    /// Detect, initialise, list tools; all within a time.
    pub(crate) async fn open(
        http: &reqwest::Client,
        endpoint: &Endpoint,
        within: Duration,
    ) -> Result<Self, ConnectError> {
        tokio::time::timeout(within, Self::handshake(http, endpoint))
            .await
            .unwrap_or_else(|_| Err(ConnectError::Timeout { url: endpoint.shown() }))
    }

    async fn handshake(http: &reqwest::Client, endpoint: &Endpoint) -> Result<Self, ConnectError> {
        let token = endpoint.credential.as_ref().and_then(crate::Credential::token);
        let stale = Arc::new(AtomicBool::new(false));
        let listen = |version| Listener { version, stale: Arc::clone(&stale) };
        let refused = |reason: String| ConnectError::Handshake { url: endpoint.shown(), reason };
        let service = match detect(http, endpoint, token.as_ref()).await? {
            Found::Streamable(url) => {
                let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .max_concurrent_requests(4)
                    .max_sse_event_size(LARGEST);
                if let Some(token) = &token {
                    config = config.auth_header(token.expose_secret());
                }
                let transport = StreamableHttpClientTransport::with_client(http.clone(), config);
                listen(ProtocolVersion::V_2025_11_25).serve(transport).await
            }
            Found::Legacy { base, announced, events } => {
                let transport = LegacySse::on(http.clone(), &base, &announced, token, events)
                    .map_err(|source| ConnectError::Legacy { url: endpoint.shown(), source })?;
                listen(ProtocolVersion::V_2024_11_05).serve(transport).await
            }
        }
        .map_err(|e| refused(e.to_string()))?;
        let version = service.peer_info().map(|i| i.protocol_version.to_string()).unwrap_or_default();
        let offered = service.list_all_tools().await.map_err(|e| refused(e.to_string()))?;
        let tools =
            ToolIndex::new(offered.into_iter().map(|t| (t.name.to_string(), (*t.input_schema).clone())));
        Ok(Self { service, stale, tools, version })
    }

    /// Whether the server said that its tools changed, or the transport is gone.
    pub(crate) fn outdated(&self) -> bool {
        self.stale.load(Ordering::Relaxed) || self.service.is_transport_closed()
    }

    /// Call a tool. Dropping the future cancels the call on the server.
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, ServiceError> {
        self.service.call_tool(CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments)).await
    }
}
