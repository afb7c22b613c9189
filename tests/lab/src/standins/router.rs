//! Stand-in for OpenShift's router: TLS with the wildcard certificate, hosts from admitted Routes and
//! from Ingresses, requests passed on to whatever answers for the Service.
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
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tower::ServiceExt as _;

use super::{
    cluster::Cluster,
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
    // A proxy hands redirects on instead of following them, and never uses a proxy itself.
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .context("build the router's client")?;
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
    async fn forward(&self, address: SocketAddr, host: &str, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = parts.headers;
        let has_body =
            headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
        remove_hop_by_hop(&mut headers);
        for (name, value) in [("x-forwarded-proto", "https"), ("x-forwarded-host", host)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let mut onward =
            self.client.request(parts.method, format!("http://{address}{path}")).headers(headers);
        if has_body {
            onward = onward.body(reqwest::Body::wrap_stream(body.into_data_stream()));
        }
        match onward.send().await {
            Ok(answer) => {
                let (status, mut headers) = (answer.status(), answer.headers().clone());
                remove_hop_by_hop(&mut headers);
                let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                response
            }
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
fn host_of(request: &Request) -> String {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().host().or(header).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.to_ascii_lowercase()
}

/// RFC 9110, 7.6.1: these belong to one connection and are never passed on.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    const HOP_BY_HOP: [HeaderName; 8] = [
        header::CONNECTION,
        HeaderName::from_static("keep-alive"),
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn unavailable() -> Response {
    let page = "<html><body><h1>Application is not available</h1>\
        <p>The application is currently not serving requests at this endpoint.</p></body></html>";
    (StatusCode::SERVICE_UNAVAILABLE, axum::response::Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_read_without_port_and_case() {
        for (text, host) in [("A.apps.test", "a.apps.test"), ("a.apps.test:8443", "a.apps.test"), ("", "")] {
            let request = http::Request::builder().header("host", text).body(Body::empty()).unwrap();
            assert_eq!(host_of(&request), host);
        }
    }
}
