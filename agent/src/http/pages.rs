//! Read-only pages: a list and one page per report. HTML from the server, no build step, usable without
//! JavaScript; with it, a page reloads itself when its report changes.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use handlebars::Handlebars;
use serde_json::{Value, json};

use super::{Service, detail, wait};
use crate::report::Record;

const SCRIPT: &str = include_str!("pages/live.js");
const STYLE: &str = include_str!("pages/page.css");
/// Nothing but our own style and script, no frames, no forms.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// HTML escaping is handlebars' default and stays on: every value may come from a log.
static TEMPLATES: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut templates = Handlebars::new();
    for (name, text) in
        [("list", include_str!("pages/list.html.hbs")), ("one", include_str!("pages/one.html.hbs"))]
    {
        templates.register_template_string(name, text).expect("a test renders the built-in pages");
    }
    templates
});

pub(super) async fn list(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let records = service.store.newest(100);
    if wants_json(&headers) {
        return Json(records.iter().map(wait::answer).collect::<Vec<_>>()).into_response();
    }
    let rows: Vec<_> = records.iter().map(row).collect();
    page("list", &json!({"rows": rows, "open": service.store.open()}))
}

pub(super) async fn one(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(record) = service.store.get(&id) else { return detail(StatusCode::NOT_FOUND, "Not Found") };
    if wants_json(&headers) {
        let mut answer = wait::answer(&record);
        answer["report"] = json!(record.report);
        answer["diagnosis"] = json!(record.diagnosis);
        answer["accepted"] = json!(record.accepted);
        answer["finished"] = json!(record.finished);
        answer["reason"] = json!(record.reason);
        return Json(answer).into_response();
    }
    page("one", &row(&record))
}

/// Changes of one report as server-sent events; ends when the report is final.
pub(super) async fn events(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    let changes = service.store.changes();
    let Some(record) = service.store.get(&id) else { return detail(StatusCode::NOT_FOUND, "Not Found") };
    Sse::new(stream(service, changes, record))
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}

fn stream(
    service: Arc<Service>,
    changes: tokio::sync::broadcast::Receiver<String>,
    first: Record,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let id = first.id.clone();
    futures::stream::unfold((Some(first), changes), move |(next, mut changes)| {
        let (service, id) = (Arc::clone(&service), id.clone());
        async move {
            let record = match next {
                Some(first) => first,
                None => loop {
                    match changes.recv().await {
                        Ok(which) if which == id => break service.store.get(&id)?,
                        Ok(_) => {}
                        Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                            break service.store.get(&id)?;
                        }
                        Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                    }
                },
            };
            let event = Event::default().event("report").data(wait::answer(&record).to_string());
            Some((Ok(event), (None, changes)))
        }
    })
}

pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

fn row(record: &Record) -> Value {
    let diagnosis = record.diagnosis.as_ref();
    // Only an address of the tracker becomes a link; a value from elsewhere stays text.
    let link =
        record.issue.as_ref().filter(|i| i.url.starts_with("http://") || i.url.starts_with("https://"));
    json!({
        "id": record.id,
        "live": !record.outcome.is_final(),
        "outcome": record.outcome.name().replace('_', " "),
        "tone": if record.issue.is_some() { "good" } else if record.outcome.is_final() { "bad" } else { "busy" },
        "accepted": record.accepted.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        "namespace": record.report.namespace,
        "pod": if record.report.pod_name.is_empty() { "no pod" } else { record.report.pod_name.as_str() },
        "cause": diagnosis.map_or("not yet known", |d| d.cause.as_str()),
        "category": diagnosis.map(|d| d.category.name()),
        "confidence": diagnosis.map(|d| d.confidence.name()),
        "because": diagnosis.map(|d| &d.because),
        "summary": diagnosis.map(|d| &d.summary),
        "fixes": diagnosis.map(|d| d.fixes.clone()).unwrap_or_default(),
        "citations": diagnosis.map(|d| json!(d.citations)).unwrap_or_default(),
        "chain": diagnosis.map(|d| d.chain.clone()).unwrap_or_default(),
        "issue": link.map(|i| json!({"number": i.number, "url": i.url})),
        "recurrence": (record.recurrence > 0).then_some(record.recurrence),
        "reason": record.reason,
        "degraded": record.degraded,
        "fingerprint": record.fingerprint,
    })
}

fn page(template: &str, data: &Value) -> Response {
    let Ok(html) = TEMPLATES.render(template, data) else {
        return detail(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be rendered");
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, html).into_response()
}

/// Browsers ask for HTML; everything else gets JSON.
fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    !accept.contains("text/html")
}
