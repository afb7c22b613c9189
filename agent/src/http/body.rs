//! The request body: read leniently where the reference was lenient, refused in its words (`FastAPI`'s).

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::investigation::random_key;
use crate::redact::Redactor;
use crate::report::Report;

/// Longest value of a free text field.
const LONGEST: usize = 512;

/// The report and its idempotency key, or the body of a 422.
pub(super) fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<(Report, Option<String>), Value> {
    if bytes.is_empty() {
        return Err(errors(&[error("missing", &["body"], "Field required", &Value::Null)]));
    }
    // Newer versions of the reference refuse a text body; older ones parsed a body without a type.
    let kind = headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("application/json");
    let json_type = kind.contains("json") || kind.contains("x-www-form-urlencoded");
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) if json_type => value,
        Ok(_) => {
            let text = Value::from(String::from_utf8_lossy(bytes).into_owned());
            return Err(errors(&[not_an_object(&text)]));
        }
        Err(e) => {
            let mut invalid = error("json_invalid", &["body"], "JSON decode error", &json!({}));
            invalid["loc"] = json!(["body", offset(bytes, &e)]);
            invalid["ctx"] = json!({"error": e.to_string()});
            return Err(errors(&[invalid]));
        }
    };
    let Value::Object(map) = &value else { return Err(errors(&[not_an_object(&value)])) };
    let mut wrong = Vec::new();
    let mut field = |name: &'static str, required: bool, check: fn(&str) -> bool| -> Option<String> {
        match map.get(name) {
            None if required => wrong.push(error("missing", &["body", name], "Field required", &value)),
            None | Some(Value::Null) if !required => {}
            Some(Value::String(text)) if check(text) => return Some(text.trim().to_owned()),
            Some(Value::String(text)) => {
                let shown = Value::from(crate::lines::clip(text, 80));
                wrong.push(error(
                    "string_pattern_mismatch",
                    &["body", name],
                    "String should be a Kubernetes name",
                    &shown,
                ));
            }
            Some(other) => {
                wrong.push(error("string_type", &["body", name], "Input should be a valid string", other));
            }
            None => {}
        }
        None
    };
    let mut redactor = Redactor::new(random_key());
    // Kept, shown and sent from here on: an address of a run may carry a token.
    let mut safe = |text: String| redactor.text(&text);
    let report = Report {
        namespace: field("namespace", true, is_name).unwrap_or_default(),
        pod_name: field("pod_name", true, is_name).unwrap_or_default(),
        container_name: field("container_name", false, is_name).filter(|c| !c.is_empty()),
        pipeline_run: field("pipeline_run", false, is_name).filter(|c| !c.is_empty()),
        task_run: field("task_run", false, is_name).filter(|c| !c.is_empty()),
        git_url: field("git_url", false, is_line).map(|u| safe(without_password(&u))),
        git_revision: field("git_revision", false, is_line).map(&mut safe),
        commit: field("commit", false, is_line).map(&mut safe),
        run_url: field("run_url", false, is_line).map(&mut safe),
    };
    let key = field("idempotency_key", false, is_line).filter(|k| !k.is_empty());
    if wrong.is_empty() { Ok((report, key)) } else { Err(errors(&wrong)) }
}

/// What makes two requests the same report: a given key, else the run itself.
pub(super) fn key(headers: &HeaderMap, report: &Report, given: Option<String>) -> String {
    let header = headers.get("idempotency-key").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let identity = given.or(header).unwrap_or_else(|| {
        let run = report.pipeline_run.as_deref().unwrap_or(&report.pod_name);
        format!("{}\0{}", run, report.container_name.as_deref().unwrap_or_default())
    });
    hex::encode(&Sha256::digest(format!("{}\0{identity}", report.namespace))[..16])
}

/// The schema of the intake, for `/openapi.json`.
pub(super) fn openapi() -> Value {
    let text = json!({"type": "string"});
    let optional = [
        "container_name",
        "pipeline_run",
        "task_run",
        "git_url",
        "git_revision",
        "commit",
        "run_url",
        "idempotency_key",
    ];
    let mut properties: Map<_, _> =
        optional.iter().map(|n| ((*n).to_owned(), json!({"type": ["string", "null"]}))).collect();
    properties.insert("namespace".to_owned(), text.clone());
    properties.insert("pod_name".to_owned(), text);
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Pipeline Failure Agent", "version": env!("CARGO_PKG_VERSION")},
        "paths": {
            "/report-failure": {"post": {
                "requestBody": {"required": true, "content": {"application/json": {"schema":
                    {"type": "object", "required": ["namespace", "pod_name"], "properties": properties}}}},
                "responses": {"200": {"description": "diagnosed, or still pending"}, "202": {"description": "accepted (Prefer: respond-async)"},
                    "401": {"description": "not authorised"}, "403": {"description": "foreign namespace"},
                    "413": {"description": "too large"}, "422": {"description": "invalid"}, "429": {"description": "too many"}}}},
            "/reports": {"get": {"responses": {"200": {"description": "newest reports"}}}},
            "/reports/{id}": {"get": {"responses": {"200": {"description": "one report"}, "404": {"description": "unknown"}}}},
            "/reports/{id}/events": {"get": {"responses": {"200": {"description": "changes as server-sent events"}}}},
            "/reports/{id}/retry": {"post": {"responses": {"202": {"description": "started again"}, "409": {"description": "not finished"}}}},
        },
    })
}

/// RFC 1123 subdomain, or empty: the pod may not exist.
fn is_name(text: &str) -> bool {
    let text = text.trim();
    let good = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.is_empty() || text.len() <= 253 && text.split('.').all(good)
}

fn is_line(text: &str) -> bool {
    text.len() <= LONGEST && !text.chars().any(|c| c.is_control() || !crate::text::is_visible(c))
}

/// A clone URL may carry a token.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.find('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        _ => url.to_owned(),
    }
}

fn error(kind: &str, location: &[&str], message: &str, input: &Value) -> Value {
    json!({"type": kind, "loc": location, "msg": message, "input": input})
}

fn not_an_object(input: &Value) -> Value {
    let message = "Input should be a valid dictionary or object to extract fields from";
    error("model_attributes_type", &["body"], message, input)
}

fn errors(list: &[Value]) -> Value {
    json!({ "detail": list })
}

/// Byte offset of a syntax error.
fn offset(bytes: &[u8], error: &serde_json::Error) -> usize {
    let before: usize =
        bytes.split(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(|l| l.len() + 1).sum();
    (before + error.column().saturating_sub(1)).min(bytes.len())
}
