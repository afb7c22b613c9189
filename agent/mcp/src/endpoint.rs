//! Where a server is and how we authenticate to it.

use std::path::PathBuf;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

/// Which transport to speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TransportChoice {
    /// Find out.
    #[default]
    Auto,
    /// Streamable HTTP (2025-03-26 and later).
    StreamableHttp,
    /// HTTP+SSE (2024-11-05); a server that dropped it is spoken to over Streamable HTTP.
    Sse,
}

impl std::str::FromStr for TransportChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "auto" => Ok(Self::Auto),
            "streamable-http" | "streamable_http" | "http" => Ok(Self::StreamableHttp),
            "sse" => Ok(Self::Sse),
            other => Err(format!("unknown MCP transport {other:?}: use auto, streamable-http or sse")),
        }
    }
}

/// A bearer token for one server; never shared with another.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A fixed token.
    Token(SecretString),
    /// A file that may change (projected service account tokens do); read on every connection.
    File(PathBuf),
}

impl Credential {
    /// The token now; `None` if the file cannot be read or is empty.
    pub(crate) fn token(&self) -> Option<SecretString> {
        let text = match self {
            Self::Token(token) => token.expose_secret().trim().to_owned(),
            Self::File(path) => std::fs::read_to_string(path).ok()?.trim().to_owned(),
        };
        (!text.is_empty()).then(|| SecretString::from(text))
    }
}

/// One server.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Name in logs and metrics.
    pub name: String,
    /// Address; a fragment (`#openshift`, as existing values carry) is dropped.
    pub url: Url,
    /// Transport.
    pub transport: TransportChoice,
    /// Token, if the server wants one. The OpenShift server takes a token as the Kubernetes identity, so
    /// none is sent unless configured.
    pub credential: Option<Credential>,
}

impl Endpoint {
    /// An endpoint at `url` without credential.
    ///
    /// # Errors
    ///
    /// A sentence when the URL is not an `http` or `https` address.
    pub fn new(name: impl Into<String>, url: &str, transport: TransportChoice) -> Result<Self, String> {
        let mut url = Url::parse(url.trim()).map_err(|e| format!("not a URL: {e}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("scheme {:?} is not http or https", url.scheme()));
        }
        url.set_fragment(None);
        Ok(Self { name: name.into(), url, transport, credential: None })
    }

    /// The same endpoint with a credential.
    #[must_use]
    pub fn with_credential(mut self, credential: Option<Credential>) -> Self {
        self.credential = credential;
        self
    }

    /// Address for messages: no query, no user information.
    pub(crate) fn shown(&self) -> String {
        shown(&self.url)
    }
}

pub(crate) fn shown(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or("?"), url.path())
}
