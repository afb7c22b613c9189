//! The service: intake with the contract existing pipelines know, and read-only views.

mod auth;
mod body;
mod limits;
mod pages;
mod wait;

pub use auth::{Auth, Caller};
pub use limits::Rate;

use std::sync::Arc;
use std::time::Duration;

use agent_mcp::Client;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::investigation::Investigator;
use crate::journal::Durability;
use crate::metrics::{Label, Metrics};
use crate::report::Record;
use crate::store::{Accepted, Store};
use crate::{cluster, filing};

/// Largest request body, in bytes; a report has a few hundred.
const BODY: usize = 64 * 1024;

/// Behaviour that configuration decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who may report.
    pub auth: Auth,
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
    /// Investigations under way; shutdown waits for it.
    pub tasks: tokio_util::task::TaskTracker,
}

impl Service {
    /// A service around an investigator.
    pub fn new(options: Options, investigator: Arc<Investigator>) -> Arc<Self> {
        Arc::new(Self {
            limits: limits::Limits::new(options.rate),
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
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .route("/config", get(config))
            .route("/openapi.json", get(async || Json(body::openapi())))
            .route("/", get(pages::list))
            .route("/reports", get(pages::list))
            .route("/reports/{id}", get(pages::one))
            .route("/reports/{id}/events", get(pages::events))
            .route("/reports/{id}/retry", post(retry))
            .route("/live.js", get(pages::script))
            .route("/page.css", get(pages::style))
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
    // A slow sender holds a connection, not the service: ten seconds for a few hundred bytes.
    let read = tokio::time::timeout(Duration::from_secs(10), axum::body::to_bytes(body, BODY)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return service.refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 KiB"),
        Err(_) => return service.refuse(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
    };
    match service.intake(&parts.headers, &bytes).await {
        Ok(response) | Err(response) => response,
    }
}

impl Service {
    async fn intake(self: &Arc<Self>, headers: &HeaderMap, bytes: &Bytes) -> Result<Response, Response> {
        if let Some(refusal) = self.authenticate(headers, bytes) {
            return Err(refusal);
        }
        let (report, given) = body::read(headers, bytes).map_err(|errors| {
            self.metrics.refused.get_or_create(&Label::new("invalid")).inc();
            (StatusCode::UNPROCESSABLE_ENTITY, Json(errors)).into_response()
        })?;
        if !self.options.namespaces.is_empty() && !self.options.namespaces.contains(&report.namespace) {
            return Err(self.refuse(StatusCode::FORBIDDEN, "the namespace is not one this agent reads"));
        }
        if !self.limits.allow(&report.namespace, std::time::Instant::now()) {
            return Err(self.refuse(StatusCode::TOO_MANY_REQUESTS, "too many reports, try again later"));
        }
        if self.store.open() >= self.options.queue {
            return Err(
                self.refuse(StatusCode::TOO_MANY_REQUESTS, "too many unfinished reports, try again later")
            );
        }
        let key = body::key(headers, &report, given);
        let mut changes = self.store.changes();
        let (record, durability) = match self.store.accept(report, key, Timestamp::now()).await {
            Accepted::New(record, durability) => {
                self.start(record.id.clone());
                (record, durability)
            }
            Accepted::Again(record) => {
                self.metrics.duplicates.inc();
                (record, Durability::Disk)
            }
        };
        let asynchronous = headers.get("prefer").is_some_and(|p| p.as_bytes().starts_with(b"respond-async"));
        if asynchronous {
            let location = format!("/reports/{}", record.id);
            let mut answer = wait::answer(&record);
            answer["durable"] = json!(durability == Durability::Disk);
            return Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(answer)).into_response());
        }
        let record = wait::settled(&self.store, &mut changes, *record, self.options.wait).await;
        Ok(Json(wait::answer(&record)).into_response())
    }

    fn authenticate(&self, headers: &HeaderMap, bytes: &Bytes) -> Option<Response> {
        match self.options.auth.check(headers, bytes, Timestamp::now()) {
            Caller::Known => None,
            Caller::Unknown(why) => {
                tracing::warn!(reason = why, "a request was refused");
                self.metrics.refused.get_or_create(&Label::new("unauthorised")).inc();
                let mut response = detail(StatusCode::UNAUTHORIZED, why);
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
                Some(response)
            }
        }
    }

    fn refuse(&self, status: StatusCode, why: &str) -> Response {
        self.metrics.refused.get_or_create(&Label::new(status.as_u16().to_string())).inc();
        let mut response = detail(status, why);
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }

    /// What each dependency can do at the moment.
    async fn dependencies(&self) -> (bool, Value) {
        let cluster =
            probe("openshift", self.investigator.cluster.as_ref(), &cluster::REQUIRED, &self.metrics);
        let tracker = self.investigator.tracker.as_ref().map(filing::Tracker::client);
        let tracker = probe("gitea", tracker, &filing::REQUIRED, &self.metrics);
        let ((one, cluster), (two, tracker)) = tokio::join!(cluster, tracker);
        let degraded = self.store.journal().health().degraded.load(std::sync::atomic::Ordering::Relaxed);
        let journal = if degraded { "in memory only: reports do not survive a restart" } else { "ok" };
        let model = if self.investigator.advisor.is_some() { "configured" } else { "none: rules only" };
        (one && two, json!({"openshift": cluster, "gitea": tracker, "journal": journal, "model": model}))
    }
}

async fn probe(
    name: &str,
    client: Option<&Client>,
    wanted: &[agent_mcp::Capability],
    metrics: &Metrics,
) -> (bool, String) {
    let (ready, words) = match client {
        None => (false, "not configured".to_owned()),
        Some(client) => match client.probe(wanted).await {
            Ok(missing) if missing.is_empty() => (true, "ok".to_owned()),
            Ok(missing) => (false, format!("no tool for {missing:?}")),
            Err(error) => (false, error.to_string()),
        },
    };
    metrics.mcp_up.get_or_create(&Label::new(name)).set(i64::from(ready));
    (ready, words)
}

async fn ready(State(service): State<Arc<Service>>) -> Response {
    let (ready, dependencies) = service.dependencies().await;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": ready, "dependencies": dependencies}))).into_response()
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    use std::sync::atomic::Ordering::Relaxed;
    let (metrics, health) = (&service.metrics, service.store.journal().health());
    metrics.open.set(i64::try_from(service.store.open()).unwrap_or(i64::MAX));
    metrics.journal_bytes.set(i64::try_from(health.bytes.load(Relaxed)).unwrap_or(i64::MAX));
    metrics.journal_degraded.set(i64::from(health.degraded.load(Relaxed)));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.text()).into_response()
}

async fn config(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    match service.authenticate(&headers, &Bytes::new()) {
        None => Json(service.options.shown.clone()).into_response(),
        Some(response) => response,
    }
}

async fn retry(State(service): State<Arc<Service>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if let Some(response) = service.authenticate(&headers, &Bytes::new()) {
        return response;
    }
    let Some(record) = service.store.get(&id) else { return detail(StatusCode::NOT_FOUND, "Not Found") };
    if !record.outcome.is_final() {
        return detail(StatusCode::CONFLICT, "the report is still being worked on");
    }
    let again = |r: &mut Record| {
        *r = Record {
            recurrence: r.recurrence,
            ..Record::new(r.id.clone(), r.report.clone(), r.key.clone(), r.accepted)
        }
    };
    let record = service.store.update(&id, again).await.unwrap_or(record);
    service.start(id);
    (StatusCode::ACCEPTED, Json(wait::answer(&record))).into_response()
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
