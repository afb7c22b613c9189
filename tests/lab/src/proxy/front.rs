//! One listener of a proxy: what it does to a request before and after the service has it.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, future, stream};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Service, Spoil, exchange::Journal, upstream::Upstream};
use crate::{
    pki::Identity,
    standins::{
        pace,
        server::{self, Connection},
    },
};

/// What a service never says.
const GARBAGE: &str = "\u{1f4a5} this is not what the service said {[";
/// More than any answer of a lab.
const LONGEST_ANSWER: usize = 64 << 20;

/// What handles the requests of one listener.
pub(super) struct Front {
    upstream: Upstream,
    journal: Arc<Journal>,
}

impl Front {
    pub(super) fn new(upstream: Upstream, journal: Arc<Journal>) -> Self {
        Self { upstream, journal }
    }

    /// Listens; with an identity, over TLS.
    pub(super) async fn serve(
        self,
        identity: Option<&Identity>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<SocketAddr> {
        let router = Router::new().fallback(handle).with_state(Arc::new(self));
        server::serve(router, identity, shutdown.clone()).await
    }

    /// Passes a request on as it is.
    async fn forward(&self, number: u64, request: Request) -> Response {
        match self.upstream.send(request).await {
            Ok(answer) => {
                self.journal.answered(number, answer.status().as_u16());
                answer
            }
            Err(error) => {
                tracing::debug!(number, %error, "nothing answers behind the proxy");
                (StatusCode::BAD_GATEWAY, "nothing answers behind the proxy").into_response()
            }
        }
    }

    /// Passes a request on and takes in the answer, of a watch its beginning: the service has acted then.
    async fn acted(&self, number: u64, request: Request) -> (Response, Bytes) {
        let watch = is_watch(&request);
        let (parts, body) = self.forward(number, request).await.into_parts();
        let body = if watch {
            body.into_data_stream().next().await.and_then(Result::ok).unwrap_or_default()
        } else {
            axum::body::to_bytes(body, LONGEST_ANSWER).await.unwrap_or_default()
        };
        (Response::from_parts(parts, Body::empty()), body)
    }
}

async fn handle(
    State(front): State<Arc<Front>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    if front.journal.over() {
        return future::pending().await;
    }
    let service = front.upstream.service(&request);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let (number, spoil) = front.journal.arrive(service, request.method().as_str(), path);
    match spoil {
        None => front.forward(number, request).await,
        Some(Spoil::Delay(time)) => {
            pace::pause(time).await;
            front.forward(number, request).await
        }
        Some(Spoil::Status { status, retry_after }) => refusal(service, status, retry_after),
        Some(Spoil::Cut) => cut(&connection),
        Some(Spoil::CutAfter) => {
            front.acted(number, request).await;
            cut(&connection)
        }
        Some(Spoil::Truncate) => {
            let (head, body) = front.acted(number, request).await;
            truncated(head, &body)
        }
        Some(Spoil::Garbage) => {
            front.acted(number, request).await;
            (StatusCode::OK, GARBAGE).into_response()
        }
        Some(Spoil::Freeze) => {
            let (head, _) = front.forward(number, request).await.into_parts();
            let silence = stream::pending::<Result<Bytes, Infallible>>();
            Response::from_parts(head, Body::from_stream(silence))
        }
        Some(Spoil::ExpiredEvent) if is_watch(&request) => {
            let event = json!({"type": "ERROR", "object": expired()});
            ([(header::CONTENT_TYPE, "application/json")], format!("{event}\n")).into_response()
        }
        Some(Spoil::Expired | Spoil::ExpiredEvent) => {
            (StatusCode::GONE, axum::Json(expired())).into_response()
        }
        Some(Spoil::Kill { acted }) => {
            if acted {
                front.acted(number, request).await;
            }
            front.journal.kill(number);
            future::pending().await
        }
    }
}

fn is_watch(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| matches!(pair, "watch" | "watch=true" | "watch=1"))
}

/// The connection is closed; what is returned is never sent.
fn cut(connection: &Connection) -> Response {
    connection.cut();
    StatusCode::BAD_GATEWAY.into_response()
}

/// Half of a body; the head promises all of it.
fn truncated(mut head: Response, body: &Bytes) -> Response {
    let half = body.slice(..body.len() / 2);
    // of a watch nobody knows the length
    if head.headers().contains_key(header::CONTENT_LENGTH) {
        head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len().max(1)));
    }
    let broken = stream::once(async {
        // the server sends what it has before it asks for more, and so before it learns of the end
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    *head.body_mut() = Body::from_stream(stream::once(async { Ok(half) }).chain(broken));
    head
}

/// An error as the service words it.
fn refusal(service: Service, status: u16, retry_after: Option<u32>) -> Response {
    let said = "the proxy was told to refuse this";
    let body = match service {
        Service::Kubernetes => status_object(status, reason(status), said),
        Service::Litellm => json!({"error": {"message": said, "code": status.to_string()}}),
        Service::Keycloak => json!({"errorMessage": said}),
        Service::Gitea | Service::Web => json!({"message": said}),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = (status, axum::Json(body)).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A `Status` as the API server sends it.
fn status_object(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    })
}

/// The words of `k8s.io/apimachinery/pkg/apis/meta/v1`, `StatusReason`.
fn reason(code: u16) -> &'static str {
    match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    }
}

/// What the API server says of a resource version it has forgotten (etcd keeps five minutes of them).
fn expired() -> Value {
    status_object(410, reason(410), "too old resource version: 1 (2)")
}
