//! Stand-in for OpenShift's router: TLS with the wildcard certificate, hosts from admitted Routes and
//! from Ingresses, requests passed on to whatever answers for the Service.
//!
//! Where pods run, requests go to the Service's own address.
//!
//! Imitates: routing by host, edge termination, `X-Forwarded-*` headers, the 503 page for a host nobody
//! claims or a Service without endpoints. Bodies are streamed both ways.
//!
//! Does not imitate: plain HTTP and its redirect, re-encryption, pass-through, paths and weights of a
//! Route, protocol upgrades, HTTP/2.
//!
//! Faults of `router` apply to every host but those of a Gitea, which have `gitea` to themselves (the
//! service behind stays untouched): *absent* closes the connection, *failing* answers with that status,
//! *wrong* answers 200 with a page that is not the service's. Subject: host and path.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use tower::ServiceExt as _;

use super::{
    cluster::Cluster,
    forward,
    kinds::Kind,
    routes::admitted_host,
    server::{self, Connection, Verdict},
};
use crate::platform::{Backend, Platform, StandIn};

/// Starts the router on a free loopback port.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn start(platform: &Platform, cluster: &Cluster) -> anyhow::Result<SocketAddr> {
    let client = forward::client().build().context("build the router's client")?;
    let state = Arc::new(Front { platform: platform.clone(), cluster: cluster.clone(), client });
    let service = Router::new().fallback(route).with_state(state);
    server::serve(service, Some(&platform.pki.router), platform.shutdown.clone()).await
}

struct Front {
    platform: Platform,
    cluster: Cluster,
    client: reqwest::Client,
}

/// Namespace and name of a Service.
pub(crate) type Target = (String, String);

/// The Service that is published under the host.
pub(crate) fn target(cluster: &Cluster, host: &str) -> Option<Target> {
    let routes = cluster.list(Kind::Route);
    let by_route = routes.iter().find(|route| admitted_host(route) == Some(host)).and_then(|route| {
        let service = route.data["spec"]["to"]["name"].as_str()?;
        Some((route.metadata.namespace.clone()?, service.to_owned()))
    });
    by_route.or_else(|| {
        cluster.list(Kind::Ingress).iter().find_map(|ingress| {
            let rules = ingress.data["spec"]["rules"].as_array()?;
            let rule = rules.iter().find(|rule| rule["host"] == host)?;
            let service = rule["http"]["paths"][0]["backend"]["service"]["name"].as_str()?;
            Some((ingress.metadata.namespace.clone()?, service.to_owned()))
        })
    })
}

impl Front {
    /// The address of a Service whose pods run. Routes and Ingresses name its only port, or the one called `http`.
    fn service(&self, (namespace, name): &Target) -> Option<SocketAddr> {
        let service = self.platform.nodes.then(|| self.cluster.find(Kind::Service, namespace, name))??;
        let ports = service.data["spec"]["ports"].as_array()?;
        let port = ports.iter().find(|port| port["name"] == "http").or_else(|| ports.first())?;
        let address = service.data["spec"]["clusterIP"].as_str()?.parse().ok()?;
        Some(SocketAddr::new(address, u16::try_from(port["port"].as_u64()?).ok()?))
    }

    async fn forward(&self, address: SocketAddr, host: &str, mut request: Request) -> Response {
        for (name, value) in [("x-forwarded-proto", "https"), ("x-forwarded-host", host)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        match forward::pass_on(&self.client, &format!("http://{address}"), request).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%host, %error, "nothing answers behind the router");
                unavailable()
            }
        }
    }
}

async fn route(
    State(front): State<Arc<Front>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let host = host_of(&request);
    let target = target(&front.cluster, &host);
    let backend =
        target.as_ref().and_then(|(namespace, service)| front.platform.backends.get(namespace, service));
    // A process behind a Service is a Gitea; everything else is answered inside the lab.
    let stand_in =
        if matches!(backend, Some(Backend::Address(_))) { StandIn::Gitea } else { StandIn::Router };
    let backend = backend.or_else(|| front.service(target.as_ref()?).map(Backend::Address));
    let subject = format!("{host}{}", request.uri().path());
    match server::judge(&front.platform.faults, stand_in, &subject, &connection).await {
        Verdict::Answer(response) => return response,
        Verdict::Proceed { wrong: true } => {
            return (StatusCode::OK, axum::response::Html("<html><body>parked domain</body></html>"))
                .into_response();
        }
        Verdict::Proceed { wrong: false } => {}
    }
    match backend {
        None => unavailable(),
        Some(Backend::Address(address)) => front.forward(address, &host, request).await,
        Some(Backend::Responder(responder)) => match responder.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
    }
}

/// The host a request is for, without its port, in lower case.
pub(crate) fn host_of(request: &Request) -> String {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().host().or(header).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.to_ascii_lowercase()
}

fn unavailable() -> Response {
    let page = "<html><body><h1>Application is not available</h1>\
        <p>The application is currently not serving requests at this endpoint.</p></body></html>";
    (StatusCode::SERVICE_UNAVAILABLE, axum::response::Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn the_host_is_read_without_port_and_case() {
        for (text, host) in [("A.apps.test", "a.apps.test"), ("a.apps.test:8443", "a.apps.test"), ("", "")] {
            let request = http::Request::builder().header("host", text).body(Body::empty()).unwrap();
            assert_eq!(host_of(&request), host);
        }
    }
}
