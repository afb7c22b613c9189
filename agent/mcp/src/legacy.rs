//! The HTTP+SSE transport of protocol 2024-11-05, which servers still serve and rmcp no longer speaks.
//!
//! The GET stream is the session: its first event names the address for POSTs, every answer comes back on
//! it, and when it ends everything is over. There is no resume in this transport.

use std::time::Duration;

use futures::{Stream, StreamExt as _, stream::BoxStream};
use reqwest::Url;
use reqwest::header::ACCEPT;
use rmcp::RoleClient;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use secrecy::{ExposeSecret, SecretString};
use sse_stream::{Sse, SseStream};
use tokio::sync::mpsc;

/// Messages that may wait for the reader.
const WAITING: usize = 64;
/// Largest event, in bytes: pod logs are the big ones.
const LARGEST: usize = 8 * 1024 * 1024;

pub(crate) type Events = BoxStream<'static, Result<Sse, sse_stream::Error>>;

/// Why the transport failed.
#[derive(Debug, thiserror::Error)]
pub enum LegacySseError {
    /// The stream cannot be opened or a POST failed.
    #[error("HTTP request of the SSE transport")]
    Http(#[source] reqwest::Error),
    /// The server answered a POST with an error status.
    #[error("the server answered HTTP {0} to a message")]
    Status(u16),
    /// No `endpoint` event came in time.
    #[error("the server did not announce an address for messages")]
    NoEndpoint,
    /// The announced address is on another host: our token would go there.
    #[error("the server announced an address on another origin")]
    ForeignEndpoint,
}

/// An open session.
#[derive(Debug)]
pub struct LegacySse {
    http: reqwest::Client,
    endpoint: Url,
    token: Option<SecretString>,
    inbound: mpsc::Receiver<ServerJsonRpcMessage>,
    reader: tokio::task::JoinHandle<()>,
}

/// The events of a response body.
pub(crate) fn events(response: reqwest::Response) -> Events {
    SseStream::from_bytes_stream(response.bytes_stream()).boxed()
}

impl LegacySse {
    /// Continue on a stream whose first event announced `endpoint` (relative or absolute).
    pub(crate) fn on(
        http: reqwest::Client,
        base: &Url,
        announced: &str,
        token: Option<SecretString>,
        events: Events,
    ) -> Result<Self, LegacySseError> {
        let endpoint = base.join(announced.trim()).map_err(|_| LegacySseError::NoEndpoint)?;
        if endpoint.origin() != base.origin() {
            return Err(LegacySseError::ForeignEndpoint);
        }
        let (tx, inbound) = mpsc::channel(WAITING);
        let reader = tokio::spawn(pump(events, tx));
        Ok(Self { http, endpoint, token, inbound, reader })
    }
}

/// Wait for the `endpoint` event. Comments and pings before it are skipped.
pub(crate) async fn first_endpoint(events: &mut Events, within: Duration) -> Option<String> {
    let wait = async {
        while let Some(Ok(event)) = events.next().await {
            match (event.event.as_deref(), event.data) {
                (Some("endpoint"), data) => return data,
                (_, Some(data)) if !data.trim().is_empty() => return None,
                _ => {}
            }
        }
        None
    };
    tokio::time::timeout(within, wait).await.ok().flatten()
}

async fn pump(mut events: Events, tx: mpsc::Sender<ServerJsonRpcMessage>) {
    while let Some(Ok(event)) = events.next().await {
        if let Some(message) = message(event)
            && tx.send(message).await.is_err()
        {
            return;
        }
    }
}

/// The message in an event; what is none is dropped, and the stream goes on.
fn message(event: Sse) -> Option<ServerJsonRpcMessage> {
    let data = event.data.filter(|d| !d.trim().is_empty())?;
    if data.len() > LARGEST {
        tracing::warn!(bytes = data.len(), "an MCP event is too large and was dropped");
        return None;
    }
    serde_json::from_str(&data)
        .inspect_err(|error| tracing::warn!(%error, "an MCP event cannot be read and was dropped"))
        .ok()
}

/// The messages in a stream of bytes, as this transport reads them; for tests of the decoder alone.
pub fn messages<B, E>(bytes: impl Stream<Item = Result<B, E>>) -> impl Stream<Item = ServerJsonRpcMessage>
where
    B: bytes::Buf,
    E: std::error::Error + Send + Sync + 'static,
{
    SseStream::from_bytes_stream(bytes)
        .take_while(|event| std::future::ready(event.is_ok()))
        .filter_map(|event| std::future::ready(event.ok().and_then(message)))
}

impl Transport<RoleClient> for LegacySse {
    type Error = LegacySseError;

    fn send(
        &mut self,
        item: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let mut request = self.http.post(self.endpoint.clone()).json(&item);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        async move {
            let response = request.send().await.map_err(LegacySseError::Http)?;
            let status = response.status();
            if status.is_success() { Ok(()) } else { Err(LegacySseError::Status(status.as_u16())) }
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        self.inbound.recv().await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.reader.abort();
        Ok(())
    }
}

impl Drop for LegacySse {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Ask for an event stream.
pub(crate) fn open(
    http: &reqwest::Client,
    url: &Url,
    token: Option<&SecretString>,
) -> reqwest::RequestBuilder {
    let request = http.get(url.clone()).header(ACCEPT, "text/event-stream");
    match token {
        Some(token) => request.bearer_auth(token.expose_secret()),
        None => request,
    }
}
