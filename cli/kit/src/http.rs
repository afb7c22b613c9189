//! The one place that builds HTTP clients: trust, time-outs, redirects, user agent.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Certificate, Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

/// How a client reaches and trusts its servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// A PEM bundle trusted besides the system's.
    pub extra_roots: Option<PathBuf>,
    /// `false` accepts any certificate; for sandboxes only, and logged by whoever sets it.
    pub verify: bool,
    /// Time for one whole exchange; `None` for streams, whose callers set their own deadlines.
    pub timeout: Option<Duration>,
    /// Connect here for every host below a domain, as when its wildcard DNS entry is not visible.
    pub detour: Option<Detour>,
}

/// Sends the hosts of one domain to one address (what `curl --connect-to` does for one host).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detour {
    /// Applies to this domain and every name below it.
    pub domain: String,
    /// Where to connect instead; the port is used for URLs that name none.
    pub address: SocketAddr,
}

impl ClientSettings {
    /// Verified TLS, 30 s for an exchange.
    pub fn new(user_agent: impl Into<String>) -> Self {
        Self {
            user_agent: user_agent.into(),
            extra_roots: None,
            verify: true,
            timeout: Some(Duration::from_secs(30)),
            detour: None,
        }
    }
}

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The bundle of extra roots cannot be read.
    #[error("read the CA bundle {}", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The bundle of extra roots is not PEM.
    #[error("no certificate in the CA bundle {}", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// The TLS stack refused the settings.
    #[error("set up the HTTP client")]
    Build(#[source] reqwest::Error),
}

/// Connections kept to a host that nobody uses just now.
const IDLE: usize = 2;

/// How long they are kept: hundreds of tenants have a Gitea each.
const IDLE_TIME: Duration = Duration::from_secs(15);

/// Builds a client: connects within 10 s, follows redirects within the same origin only.
///
/// A redirect to another origin is an error rather than a way to hand a token to a stranger.
///
/// # Errors
///
/// When the extra roots cannot be read or the TLS stack refuses them.
pub fn client(settings: &ClientSettings) -> Result<Client, ClientError> {
    let mut builder = Client::builder()
        .user_agent(&settings.user_agent)
        .connect_timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(IDLE)
        .pool_idle_timeout(IDLE_TIME)
        .redirect(redirect::Policy::custom(same_origin))
        .tls_danger_accept_invalid_certs(!settings.verify);
    if let Some(timeout) = settings.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(path) = &settings.extra_roots {
        builder = builder.tls_certs_merge(read_roots(path)?);
    }
    if let Some(detour) = &settings.detour {
        builder = builder.dns_resolver(Arc::new(Detoured(detour.clone())));
    }
    builder.build().map_err(ClientError::Build)
}

fn read_roots(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let pem = std::fs::read(path).map_err(|source| ClientError::Roots { path: path.into(), source })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err(ClientError::NotPem { path: path.into() }),
    }
}

fn same_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let origin = attempt.previous().first().map(reqwest::Url::origin);
    if attempt.previous().len() > 5 {
        attempt.error("more than five redirects")
    } else if origin.is_some_and(|origin| origin == attempt.url().origin()) {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

struct Detoured(Detour);

impl Resolve for Detoured {
    fn resolve(&self, name: Name) -> Resolving {
        let detour = self.0.clone();
        Box::pin(async move {
            let host = name.as_str();
            if host == detour.domain || host.ends_with(&format!(".{}", detour.domain)) {
                return Ok(Box::new(std::iter::once(detour.address)) as Addrs);
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
