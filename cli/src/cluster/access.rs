//! How to reach the API server: host and token, a kubeconfig, or a pod's own account on request.

use std::{path::PathBuf, time::Duration};

use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use secrecy::{ExposeSecret as _, SecretString};

/// Where the API server is and who we are there.
#[derive(Debug, Clone)]
pub struct Access {
    /// The way in.
    pub via: Via,
    /// `false` accepts any server certificate.
    pub verify: bool,
    /// PEM bundle of the API server's CA.
    pub ca_file: Option<PathBuf>,
}

/// The ways to an API server.
#[derive(Debug, Clone)]
pub enum Via {
    /// Address and bearer token, a pair from one source.
    Token {
        /// `https://api.example.com:6443`.
        host: String,
        /// Bearer token.
        token: SecretString,
        /// Where the pair came from, for messages.
        origin: String,
    },
    /// A kubeconfig file; `None` is kubectl's own choice (`KUBECONFIG`, then `~/.kube/config`).
    Kubeconfig {
        /// The file.
        path: Option<PathBuf>,
        /// The context; `None` is the current one.
        context: Option<String>,
    },
    /// The service account of the pod this runs in.
    InCluster,
}

/// Settings that lead to no API server.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The host is no URL.
    #[error("`{host}` (from {origin}) is not the address of an API server")]
    Host {
        /// As given.
        host: String,
        /// Where it was given.
        origin: String,
    },
    /// The CA bundle cannot be read.
    #[error("read the API server's CA bundle {}", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// No certificate in the CA bundle.
    #[error("no certificate in the API server's CA bundle {}", .0.display())]
    NotPem(PathBuf),
    /// The kubeconfig is missing or broken.
    #[error("read the kubeconfig{}", path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default())]
    Kubeconfig {
        /// The file, if one was named.
        path: Option<PathBuf>,
        /// The cause.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// Not in a pod.
    #[error("this is not a pod with a service account")]
    InCluster(#[source] kube::config::InClusterError),
    /// The client refused the settings.
    #[error("set up the Kubernetes client")]
    Client(#[source] kube::Error),
}

impl Access {
    /// Whether `other` leads to the same API server, as the same user.
    pub fn leads_where(&self, other: &Self) -> bool {
        let same = match (&self.via, &other.via) {
            (Via::Token { host, token, .. }, Via::Token { host: other, token: others, .. }) => {
                host == other && token.expose_secret() == others.expose_secret()
            }
            (
                Via::Kubeconfig { path, context },
                Via::Kubeconfig { path: other_path, context: other_context },
            ) => path == other_path && context == other_context,
            (Via::InCluster, Via::InCluster) => true,
            _ => false,
        };
        same && self.verify == other.verify && self.ca_file == other.ca_file
    }

    /// Where the API server is, as far as the settings say it.
    pub fn describe(&self) -> String {
        match &self.via {
            Via::Token { host, origin, .. } => format!("{host} (from {origin})"),
            Via::Kubeconfig { path: Some(path), .. } => format!("the cluster of {}", path.display()),
            Via::Kubeconfig { path: None, .. } => "the kubeconfig's current cluster".to_owned(),
            Via::InCluster => "the cluster this pod runs in".to_owned(),
        }
    }

    pub(super) async fn config(&self) -> Result<Config, AccessError> {
        let mut config = match &self.via {
            Via::Token { host, token, origin } => {
                let url = host.trim().trim_end_matches('/').parse::<http::Uri>().ok();
                let url = url.filter(|url| url.scheme().is_some() && url.host().is_some());
                let url =
                    url.ok_or_else(|| AccessError::Host { host: host.clone(), origin: origin.clone() })?;
                let mut config = Config::new(url);
                config.auth_info.token = Some(SecretString::from(token.expose_secret().trim().to_owned()));
                config
            }
            Via::Kubeconfig { path, context } => {
                let options = KubeConfigOptions { context: context.clone(), ..Default::default() };
                let read = match path {
                    Some(file) => match Kubeconfig::read_from(file) {
                        Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
                        Err(error) => Err(error),
                    },
                    None => Config::from_kubeconfig(&options).await,
                };
                read.map_err(|source| AccessError::Kubeconfig { path: path.clone(), source })?
            }
            Via::InCluster => Config::incluster().map_err(AccessError::InCluster)?,
        };
        if !self.verify {
            config.accept_invalid_certs = true;
        }
        if let Some(path) = &self.ca_file {
            config.root_cert = Some(read_roots(path)?);
        }
        config.connect_timeout = Some(Duration::from_secs(10));
        // ours is in `transport`; kube's keeps one call busy for minutes on a 503 (rust-ecosystem.md 6)
        config.default_retry = false;
        Ok(config)
    }
}

fn read_roots(path: &PathBuf) -> Result<Vec<Vec<u8>>, AccessError> {
    let pem =
        std::fs::read_to_string(path).map_err(|source| AccessError::Roots { path: path.clone(), source })?;
    let roots: Vec<Vec<u8>> = pem_certificates(&pem).collect();
    if roots.is_empty() { Err(AccessError::NotPem(path.clone())) } else { Ok(roots) }
}

/// The DER content of every `CERTIFICATE` block.
fn pem_certificates(pem: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
    use base64::Engine as _;
    pem.split("-----BEGIN CERTIFICATE-----").skip(1).filter_map(|block| {
        let body: String = block.split("-----END").next()?.split_whitespace().collect();
        base64::engine::general_purpose::STANDARD.decode(body).ok()
    })
}
