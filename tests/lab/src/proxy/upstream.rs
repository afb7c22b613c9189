//! The real services behind a proxy.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context as _;
use axum::{extract::Request, response::Response};
use reqwest::{
    Certificate,
    dns::{Addrs, Name, Resolve, Resolving},
};

use super::Service;
use crate::standins::{forward, router::host_of};

/// Where one listener's requests go.
pub(super) struct Upstream {
    client: reqwest::Client,
    to: Target,
}

enum Target {
    /// One service at one origin, without a trailing slash.
    Fixed(String, Service),
    /// Whatever host the request names, all at one router.
    Routed,
}

impl Upstream {
    /// One service; `ca` is trusted besides the system's authorities.
    pub(super) fn fixed(url: &str, ca: Option<&Path>, service: Service) -> anyhow::Result<Self> {
        let mut client = forward::client().http1_only();
        if let Some(ca) = ca {
            client = client.tls_certs_merge([authority(ca)?]);
        }
        let origin = url.trim_end_matches('/').to_owned();
        Ok(Self { client: client.build()?, to: Target::Fixed(origin, service) })
    }

    /// The hosts of a router.
    pub(super) fn routed(router: SocketAddr, ca: &Path) -> anyhow::Result<Self> {
        let client = forward::client()
            .http1_only()
            .tls_certs_merge([authority(ca)?])
            .dns_resolver(Arc::new(Router(router)))
            .build()?;
        Ok(Self { client, to: Target::Routed })
    }

    /// Who a request is for.
    pub(super) fn service(&self, request: &Request) -> Service {
        match &self.to {
            Target::Fixed(_, service) => *service,
            Target::Routed => Service::behind(&host_of(request)),
        }
    }

    /// Passes a request on.
    pub(super) async fn send(&self, request: Request) -> Result<Response, reqwest::Error> {
        match &self.to {
            Target::Fixed(origin, _) => forward::pass_on(&self.client, origin, request).await,
            Target::Routed => {
                let origin = format!("https://{}", host_of(&request));
                forward::pass_on(&self.client, &origin, request).await
            }
        }
    }
}

fn authority(path: &Path) -> anyhow::Result<Certificate> {
    let pem = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(Certificate::from_pem(&pem)?)
}

/// Every host is at the router.
struct Router(SocketAddr);

impl Resolve for Router {
    fn resolve(&self, _host: Name) -> Resolving {
        let address = self.0;
        Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
    }
}
