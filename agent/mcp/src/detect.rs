//! Which transport does a server speak? One GET without a session tells.

use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use crate::endpoint::{Endpoint, TransportChoice, shown};
use crate::legacy::{Events, LegacySseError, events, first_endpoint, open};

/// How long a server may take to announce its address.
const ANNOUNCE: Duration = Duration::from_secs(3);

/// Why no session came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No connection.
    #[error("connect to {url}")]
    Http {
        /// Address without query.
        url: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The server wants other credentials.
    #[error("{url} refuses our credentials (HTTP {status})")]
    Refused {
        /// Address without query.
        url: String,
        /// 401 or 403.
        status: u16,
    },
    /// An answer no MCP server gives.
    #[error("{url} is no MCP server: HTTP {status}")]
    NotMcp {
        /// Address without query.
        url: String,
        /// Status.
        status: u16,
    },
    /// The legacy transport failed.
    #[error("open the SSE transport of {url}")]
    Legacy {
        /// Address without query.
        url: String,
        /// The cause.
        #[source]
        source: LegacySseError,
    },
    /// `initialize` or `tools/list` failed.
    #[error("initialise the MCP session with {url}: {reason}")]
    Handshake {
        /// Address without query.
        url: String,
        /// What the protocol library said.
        reason: String,
    },
    /// Not tried: a try of somebody else, a moment ago, failed.
    #[error("{url} could not be reached a moment ago: {reason}")]
    Recently {
        /// Address without query.
        url: String,
        /// What the try ended with.
        reason: String,
    },
    /// No answer in time.
    #[error("{url} did not answer in time")]
    Timeout {
        /// Address without query.
        url: String,
    },
}

/// What was found.
pub(crate) enum Found {
    /// Streamable HTTP at this address.
    Streamable(Url),
    /// The legacy transport: an open stream and the announced address.
    Legacy { base: Url, announced: String, events: Events },
}

/// Find out, following the rules: an `endpoint` event means legacy; 400, 405, 406 mean Streamable HTTP;
/// 404 on `/sse` or on the root means another path.
pub(crate) async fn detect(
    http: &reqwest::Client,
    endpoint: &Endpoint,
    token: Option<&SecretString>,
) -> Result<Found, ConnectError> {
    let mut url = endpoint.url.clone();
    let legacy_path = url.path().ends_with("/sse");
    if endpoint.transport == TransportChoice::StreamableHttp && !legacy_path && url.path() != "/" {
        return Ok(Found::Streamable(url));
    }
    if url.path() == "/" {
        url.set_path(if endpoint.transport == TransportChoice::Sse { "/sse" } else { "/mcp" });
    }
    for _ in 0..2 {
        let failed = |source| ConnectError::Http { url: shown(&url), source };
        let response = match tokio::time::timeout(ANNOUNCE, open(http, &url, token).send()).await {
            Ok(response) => response.map_err(failed)?,
            // Some servers send headers only with the first event; they hold a stream open, so they stream.
            Err(_) => return Ok(Found::Streamable(url)),
        };
        let status = response.status().as_u16();
        match status {
            200 => {
                let mut stream = events(response);
                return Ok(match first_endpoint(&mut stream, ANNOUNCE).await {
                    Some(announced) => Found::Legacy { base: url, announced, events: stream },
                    None => Found::Streamable(url),
                });
            }
            400 | 405 | 406 | 415 => return Ok(Found::Streamable(url)),
            401 | 403 => return Err(ConnectError::Refused { url: shown(&url), status }),
            404 if url.path().ends_with("/sse") => {
                let path = url.path().trim_end_matches("sse").to_owned() + "mcp";
                url.set_path(&path);
            }
            404 if url.path().ends_with("/mcp") && endpoint.url.path() == "/" => {
                return Ok(Found::Streamable(endpoint.url.clone()));
            }
            status => return Err(ConnectError::NotMcp { url: shown(&url), status }),
        }
    }
    Ok(Found::Streamable(url))
}
