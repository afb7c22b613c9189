//! Read-only pages: a list and one page per report. HTML from the server, no build step, complete without
//! JavaScript; with it, a page replaces its content when a report changes.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, broadcast};

use super::{Caller, Service, detail, wait};
use crate::diagnosis::Author;
use crate::report::{Outcome, Record};

const SCRIPT: &str = include_str!("pages/live.js");
const STYLE: &str = include_str!("pages/page.css");
const ICON: &str = include_str!("pages/icon.svg");
/// Reports on the list.
const LISTED: usize = 200;
/// Nothing but our own style, script and icon, no frames, no forms.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// HTML escaping is handlebars' default and stays on: every value may come from a log.
static TEMPLATES: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut templates = Handlebars::new();
    templates.register_helper("prose", Box::new(prose));
    for (name, text) in [
        ("head", include_str!("pages/head.html.hbs")),
        ("foot", include_str!("pages/foot.html.hbs")),
        ("list", include_str!("pages/list.html.hbs")),
        ("one", include_str!("pages/one.html.hbs")),
    ] {
        templates.register_template_string(name, text).expect("a test renders the built-in pages");
    }
    templates
});

/// Text with `names` in backticks, as HTML: escaped first, so that only our own tags are tags.
fn prose(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let text = helper.param(0).and_then(|p| p.value().as_str()).unwrap_or_default();
    // The escape of backticks comes from the same function, as an entity.
    let escaped = handlebars::html_escape(text).replace("&#x60;", "`");
    let mut parts = escaped.split('`').peekable();
    let mut code = false;
    while let Some(part) = parts.next() {
        match (code, parts.peek().is_some()) {
            (true, true) => out.write(&format!("<code>{part}</code>"))?,
            // The last backtick has no partner.
            (true, false) => out.write(&format!("`{part}"))?,
            (false, _) => out.write(part)?,
        }
        code = !code;
    }
    Ok(())
}

/// What the list is narrowed to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    namespace: Option<String>,
    outcome: Option<Outcome>,
}

impl Filter {
    fn keeps(&self, record: &Record) -> bool {
        self.outcome.is_none_or(|outcome| record.outcome == outcome)
            && self.namespace.as_ref().is_none_or(|namespace| record.report.namespace == *namespace)
    }
}

pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Query(filter): Query<Filter>,
    headers: HeaderMap,
) -> Response {
    let caller = match service.reader(&headers).await {
        Ok(caller) => caller,
        Err(response) => return response,
    };
    let mut records = service.store.newest(LISTED);
    records.retain(|record| caller.may(&record.report.namespace));
    let filters = filters(&records, &filter);
    records.retain(|record| filter.keeps(record));
    if wants_json(&headers) {
        return Json(records.iter().map(wait::answer).collect::<Vec<_>>()).into_response();
    }
    let rows: Vec<_> = records.iter().map(row).collect();
    let filtered = filter.outcome.is_some() || filter.namespace.is_some();
    page(
        "list",
        json!({"rows": rows, "filters": filters, "filtered": filtered, "namespace": filter.namespace}),
    )
}

/// Links that narrow the list to one outcome, each with how many there are.
fn filters(records: &[Record], filter: &Filter) -> Vec<Value> {
    let link = |name: &str, outcome: Option<Outcome>| {
        let wanted = Filter { namespace: filter.namespace.clone(), outcome };
        let count = records.iter().filter(|record| wanted.keeps(record)).count();
        let query: Vec<_> =
            [("namespace", filter.namespace.as_deref()), ("outcome", outcome.map(Outcome::name))]
                .into_iter()
                .filter_map(|(key, value)| Some(format!("{key}={}", value?)))
                .collect();
        let href = format!("/reports?{}", query.join("&"));
        json!({"name": name, "count": count, "href": href.trim_end_matches('?'), "chosen": filter.outcome == outcome})
    };
    let mut links = vec![link("all", None)];
    for outcome in Outcome::ALL {
        if filter.outcome == Some(outcome) || records.iter().any(|record| record.outcome == outcome) {
            links.push(link(&outcome.name().replace('_', " "), Some(outcome)));
        }
    }
    links
}

pub(super) async fn one(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let record = match service.readable(&headers, &id).await {
        Ok(record) => record,
        Err(response) => return response,
    };
    if wants_json(&headers) {
        let mut answer = wait::answer(&record);
        answer["report"] = json!(record.report);
        answer["diagnosis"] = json!(record.diagnosis);
        answer["accepted"] = json!(record.accepted);
        answer["finished"] = json!(record.finished);
        answer["reason"] = json!(record.reason);
        return Json(answer).into_response();
    }
    let mut data = row(&record);
    if !record.outcome.is_final() {
        data["watch"] = json!(format!("/reports/{}/events", record.id));
    }
    data["facts"] = json!(facts(&record));
    page("one", data)
}

impl Service {
    /// A report the caller may see.
    async fn readable(&self, headers: &HeaderMap, id: &str) -> Result<Record, Response> {
        let caller = self.reader(headers).await?;
        let record = self.store.get(id).filter(|record| caller.may(&record.report.namespace));
        record.ok_or_else(|| detail(StatusCode::NOT_FOUND, "Not Found"))
    }
}

/// Changes of one report as server-sent events.
pub(super) async fn events(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let changes = service.store.changes();
    let record = match service.readable(&headers, &id).await {
        Ok(record) => record,
        Err(response) => return response,
    };
    let caller = Caller::any("watcher");
    watch(&service, Watched { only: Some(record.id.clone()), caller, first: Some(record), changes })
}

/// Changes of all reports the caller may see.
pub(super) async fn all_events(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let changes = service.store.changes();
    let caller = match service.reader(&headers).await {
        Ok(caller) => caller,
        Err(response) => return response,
    };
    // The newest one first, so that there always is a first event.
    let first = service.store.newest(LISTED).into_iter().find(|record| caller.may(&record.report.namespace));
    watch(&service, Watched { only: None, caller, first, changes })
}

/// Whose changes are told to whom.
struct Watched {
    only: Option<String>,
    caller: Caller,
    first: Option<Record>,
    changes: broadcast::Receiver<String>,
}

fn watch(service: &Arc<Service>, watched: Watched) -> Response {
    let Ok(place) = Arc::clone(&service.watchers).try_acquire_owned() else {
        return service.refuse(StatusCode::SERVICE_UNAVAILABLE, "watchers", "too many watch already");
    };
    Sse::new(stream(Arc::clone(service), watched, place))
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}

/// Ends when the service does, so that watchers do not keep it from stopping.
fn stream(
    service: Arc<Service>,
    watched: Watched,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    futures::stream::unfold((service, watched, place), async |(service, mut watched, place)| {
        let record = match watched.first.take() {
            Some(first) => first,
            None => service.closing.run_until_cancelled(next(&service, &mut watched)).await.flatten()?,
        };
        let event = Event::default().event("report").id(&record.id).data(wait::answer(&record).to_string());
        Some((Ok(event), (service, watched, place)))
    })
}

async fn next(service: &Service, watched: &mut Watched) -> Option<Record> {
    loop {
        let id = match (watched.changes.recv().await, &watched.only) {
            (Ok(id), None) => id,
            (Ok(id), Some(only)) if id == *only => id,
            (Ok(_), Some(_)) => continue,
            // Some were missed: the state now tells as much.
            (Err(broadcast::error::RecvError::Lagged(_)), Some(only)) => only.clone(),
            (Err(broadcast::error::RecvError::Lagged(_)), None) => service.store.newest(1).pop()?.id,
            (Err(broadcast::error::RecvError::Closed), _) => return None,
        };
        let record = service.store.get(&id).filter(|record| watched.caller.may(&record.report.namespace));
        match record {
            Some(record) => return Some(record),
            None if watched.only.is_some() => return None,
            None => {}
        }
    }
}

pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

pub(super) async fn icon() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml")], ICON).into_response()
}

pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

fn row(record: &Record) -> Value {
    let diagnosis = record.diagnosis.as_ref();
    // Only an address of the tracker becomes a link; a value from elsewhere stays text.
    let link =
        record.issue.as_ref().filter(|i| i.url.starts_with("http://") || i.url.starts_with("https://"));
    let tone = match record.outcome {
        Outcome::Created | Outcome::Recurred | Outcome::Diagnosed => "good",
        Outcome::Pending | Outcome::Queued => "busy",
        Outcome::NoEvidence | Outcome::Failed => "bad",
    };
    let pending = if record.outcome.is_final() { "not diagnosed" } else { "not yet known" };
    json!({
        "id": record.id,
        "outcome": record.outcome.name().replace('_', " "),
        "tone": tone,
        "accepted": shown(record.accepted),
        "accepted_at": record.accepted.to_string(),
        "namespace": record.report.namespace,
        "pod": if record.report.pod_name.is_empty() { "no pod" } else { record.report.pod_name.as_str() },
        "cause": diagnosis.map_or(pending, |d| d.cause.as_str()),
        "category": diagnosis.map(|d| d.category.name()),
        "confidence": diagnosis.map(|d| d.confidence.name()),
        "because": diagnosis.map(|d| &d.because),
        "author": diagnosis.map(|d| match &d.author {
            Author::Rules => "rules".to_owned(),
            Author::Model { name, .. } => name.clone(),
        }),
        // Where the summary says no more than the heading, it is left out.
        "summary": diagnosis.filter(|d| !d.summary.trim_end_matches('.').eq_ignore_ascii_case(&d.cause)).map(|d| &d.summary),
        "fixes": diagnosis.map(|d| d.fixes.clone()).unwrap_or_default(),
        "citations": diagnosis.map(|d| json!(d.citations)).unwrap_or_default(),
        "chain": diagnosis.map(|d| d.chain.clone()).unwrap_or_default(),
        "ruled_out": diagnosis.map(|d| d.ruled_out.clone()).unwrap_or_default(),
        "issue": link.map(|i| json!({"number": i.number, "url": i.url})),
        "recurrence": (record.recurrence > 0).then_some(record.recurrence),
        "reason": record.reason,
        "degraded": record.degraded,
    })
}

/// What was reported and when, as names and values.
fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let report = &record.report;
    let took = record.finished.map(|end| {
        let seconds = end.duration_since(record.accepted).as_secs_f64();
        format!("{} (after {seconds:.1} s)", shown(end))
    });
    let step = record.diagnosis.as_ref().and_then(|d| d.step.clone());
    let all = [
        ("Namespace", Some(report.namespace.clone())),
        ("Pod", Some(report.pod_name.clone())),
        ("Container named", report.container_name.clone()),
        ("PipelineRun", report.pipeline_run.clone()),
        ("TaskRun", report.task_run.clone()),
        ("Failing step", step),
        ("Revision", report.git_revision.clone()),
        ("Commit", report.commit.clone()),
        ("Repository", report.git_url.clone()),
        ("Accepted", Some(shown(record.accepted))),
        ("Finished", took),
        ("Reported again", (record.recurrence > 0).then(|| format!("{} times", record.recurrence))),
        ("Fingerprint", record.fingerprint.clone()),
        ("Report", Some(record.id.clone())),
    ];
    let known = |(name, value): (_, Option<String>)| Some((name, value.filter(|v| !v.is_empty())?));
    all.into_iter().filter_map(known).collect()
}

fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn page(template: &str, mut data: Value) -> Response {
    data["version"] = json!(env!("CARGO_PKG_VERSION"));
    data["now"] = json!(shown(Timestamp::now()));
    let Ok(html) = TEMPLATES.render(template, &data) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_backticks_become_code_and_everything_else_stays_text() {
        let render = |text: &str| {
            TEMPLATES.render_template("{{prose this}}", &json!(text)).expect("a built-in helper")
        };
        assert_eq!(render("Add `a.txt`, or `b`."), "Add <code>a.txt</code>, or <code>b</code>.");
        assert_eq!(render("`<b>` & \"x\""), "<code>&lt;b&gt;</code> &amp; &quot;x&quot;");
        assert_eq!(render("one ` alone"), "one ` alone");
        assert_eq!(render("a `b` and `c"), "a <code>b</code> and `c");
    }
}
