//! The service: intake with the contract existing pipelines know, and read-only views.

mod auth;
mod body;
mod limits;
mod pages;
mod review;
pub mod server;
mod state;
mod wait;

pub use auth::{Auth, Caller, Refusal};
pub use limits::Rate;
pub use review::TokenReview;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use auth::Wish;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::investigation::Investigator;
use crate::journal::Durability;
use crate::metrics::{Metrics, Repeated};
use crate::store::{Accepted, Reopened, Store};

/// Largest request body, in bytes; a report has a few hundred.
const BODY: usize = 64 * 1024;

/// Streams of changes open at once; they must not take the place of those who report.
const WATCHERS: usize = 128;

/// Behaviour that configuration decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who may report.
    pub auth: Auth,
    /// Whether reports are shown to everybody who can reach the port.
    pub open_pages: bool,
    /// Namespaces that may be reported; empty allows all.
    pub namespaces: Vec<String>,
    /// How long a synchronous caller waits.
    pub wait: Duration,
    /// Reports that may be unfinished at once.
    pub queue: usize,
    /// Reports a second, per namespace and altogether.
    pub rate: Rate,
    /// Configuration as shown by `/config`, secrets masked.
    pub shown: Value,
}

/// What handlers share.
#[derive(Debug)]
pub struct Service {
    options: Options,
    store: Arc<Store>,
    investigator: Arc<Investigator>,
    metrics: Arc<Metrics>,
    limits: limits::Limits,
    /// Places for those who watch a report.
    watchers: Arc<tokio::sync::Semaphore>,
    /// Callers that wait and pages that watch are let go.
    pub closing: CancellationToken,
    /// Investigations under way; shutdown waits for it.
    pub tasks: tokio_util::task::TaskTracker,
}

impl Service {
    /// A service around an investigator.
    pub fn new(options: Options, investigator: Arc<Investigator>) -> Arc<Self> {
        Arc::new(Self {
            limits: limits::Limits::new(options.rate),
            watchers: Arc::new(tokio::sync::Semaphore::new(WATCHERS)),
            closing: CancellationToken::new(),
            store: Arc::clone(&investigator.store),
            metrics: Arc::clone(&investigator.metrics),
            options,
            investigator,
            tasks: tokio_util::task::TaskTracker::new(),
        })
    }

    /// Work on a report in the background; the client may go.
    pub fn start(&self, id: String) {
        let investigator = Arc::clone(&self.investigator);
        self.tasks.spawn(async move { investigator.run(&id).await });
    }

    /// All routes.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/report-failure", post(report))
            .route("/report-failure/", post(redirect))
            .route("/health", get(async || Json(json!({"status": "healthy"}))))
            .route("/livez", get(async || "ok"))
            .route("/readyz", get(state::ready))
            .route("/metrics", get(state::metrics))
            .route("/config", get(state::config))
            .route("/openapi.json", get(async || Json(body::openapi())))
            .route("/", get(pages::list))
            .route("/reports", get(pages::list))
            .route("/reports/events", get(pages::all_events))
            .route("/reports/{id}", get(pages::one))
            .route("/reports/{id}/events", get(pages::events))
            .route("/reports/{id}/retry", post(retry))
            .route("/live.js", get(pages::script))
            .route("/page.css", get(pages::style))
            .route("/icon.svg", get(pages::icon))
            .fallback(async || detail(StatusCode::NOT_FOUND, "Not Found"))
            .method_not_allowed_fallback(async || {
                detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            })
            .layer(tower_http::catch_panic::CatchPanicLayer::new())
            .with_state(Arc::clone(self))
    }
}

async fn report(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    // A slow sender holds a connection, not the service: ten seconds for a few hundred bytes.
    let read = tokio::time::timeout(Duration::from_secs(10), axum::body::to_bytes(body, BODY)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            return service.refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is larger than 64 KiB",
            );
        }
        Err(_) => {
            return service.refuse(
                StatusCode::REQUEST_TIMEOUT,
                "too_slow",
                "the body did not arrive in time",
            );
        }
    };
    match service.intake(&parts.headers, &bytes, peer).await {
        Ok(response) | Err(response) => response,
    }
}

impl Service {
    async fn intake(
        self: &Arc<Self>,
        headers: &HeaderMap,
        bytes: &Bytes,
        peer: Option<SocketAddr>,
    ) -> Result<Response, Response> {
        let caller = self.authenticate(headers, bytes, Wish::Act, peer).await?;
        let (report, given) = body::read(headers, bytes).map_err(|errors| {
            self.metrics.refused("invalid");
            (StatusCode::UNPROCESSABLE_ENTITY, Json(errors)).into_response()
        })?;
        let served =
            self.options.namespaces.is_empty() || self.options.namespaces.contains(&report.namespace);
        if !served || !caller.may(&report.namespace) {
            let why = if served {
                "a service account may report for its own namespace only"
            } else {
                "the namespace is not one this agent reads"
            };
            audit(Some(&caller), peer, "foreign_namespace");
            return Err(self.refuse(StatusCode::FORBIDDEN, "foreign_namespace", why));
        }
        let busy = |reason, why| self.refuse(StatusCode::TOO_MANY_REQUESTS, reason, why);
        if !self.limits.allow(&report.namespace, std::time::Instant::now()) {
            return Err(busy("rate", "too many reports, try again later"));
        }
        if self.store.open() >= self.options.queue {
            return Err(busy("queue", "too many unfinished reports, try again later"));
        }
        let key = body::key(headers, &report, given);
        let mut changes = self.store.changes();
        let (record, durability) = match self.store.accept(report, key, Timestamp::now()).await {
            Accepted::New(record, durability) => {
                tracing::info!(report = record.id, caller = caller.name, ?peer, "report accepted");
                self.start(record.id.clone());
                (record, durability)
            }
            Accepted::Again(record, durability) => {
                self.metrics.repeated(Repeated::Report);
                (record, durability)
            }
        };
        let asynchronous = headers.get("prefer").is_some_and(|p| p.as_bytes().starts_with(b"respond-async"));
        if asynchronous {
            let location = format!("/reports/{}", record.id);
            let mut answer = wait::answer(&record);
            answer["durable"] = json!(durability == Durability::Disk);
            return Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(answer)).into_response());
        }
        let settled = wait::settled(&self.store, &mut changes, &record, self.options.wait);
        let settled = self.closing.run_until_cancelled(settled).await.flatten();
        let record = settled.or_else(|| self.store.get(&record.id)).unwrap_or(*record);
        Ok(Json(wait::answer(&record)).into_response())
    }

    /// Who asks, or the refusal. Every refusal leaves a line in the log and costs nothing else.
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        bytes: &[u8],
        wish: Wish,
        peer: Option<SocketAddr>,
    ) -> Result<Caller, Response> {
        let refusal = match self.options.auth.check(headers, bytes, Timestamp::now(), wish).await {
            Ok(caller) => return Ok(caller),
            Err(refusal) => refusal,
        };
        audit(None, peer, refusal.why);
        let reason = match refusal.status {
            StatusCode::UNAUTHORIZED => "unauthorised",
            StatusCode::FORBIDDEN => "forbidden",
            _ => "unavailable",
        };
        let mut response = self.refuse(refusal.status, reason, refusal.why);
        if refusal.status == StatusCode::UNAUTHORIZED {
            let challenge = match wish {
                Wish::Act => "Bearer",
                Wish::Look => "Basic realm=\"pipeline agent: any name, the token as password\", Bearer",
            };
            let challenge = header::HeaderValue::from_static(challenge);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        Err(response)
    }

    /// Who looks at reports.
    async fn reader(&self, headers: &HeaderMap) -> Result<Caller, Response> {
        if self.options.open_pages {
            return Ok(Caller::any("anybody"));
        }
        self.authenticate(headers, &[], Wish::Look, None).await
    }

    fn refuse(&self, status: StatusCode, reason: &'static str, why: &str) -> Response {
        self.metrics.refused(reason);
        let mut response = detail(status, why);
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }
}

/// One line per refusal, for whoever looks after attempts; nothing of the request but its origin.
fn audit(caller: Option<&Caller>, peer: Option<SocketAddr>, reason: &str) {
    let caller = caller.map_or("unknown", |caller| caller.name.as_str());
    let peer = peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
    tracing::warn!(audit = true, caller, peer, reason, "a request was refused");
}

async fn retry(State(service): State<Arc<Service>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let caller = match service.authenticate(&headers, &[], Wish::Act, None).await {
        Ok(caller) => caller,
        Err(response) => return response,
    };
    if !service.store.get(&id).is_some_and(|record| caller.may(&record.report.namespace)) {
        return detail(StatusCode::NOT_FOUND, "Not Found");
    }
    match service.store.reopen(&id).await {
        None => detail(StatusCode::NOT_FOUND, "Not Found"),
        Some(Reopened::Pending) => detail(StatusCode::CONFLICT, "the report is still being worked on"),
        Some(Reopened::Queued(record)) => {
            service.investigator.wake.notify_waiters();
            (StatusCode::ACCEPTED, Json(wait::answer(&record))).into_response()
        }
        Some(Reopened::Again(record)) => {
            service.start(id);
            (StatusCode::ACCEPTED, Json(wait::answer(&record))).into_response()
        }
    }
}

async fn redirect() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/report-failure")]).into_response()
}

/// The error shape existing callers know.
fn detail(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"detail": why}))).into_response()
}

#[cfg(test)]
mod tests;
