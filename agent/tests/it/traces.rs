//! Traces, as a collector gets them.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::double::{model, start};
use crate::program::{Agent, serve};
use crate::{body, http, lab};

type Received = Arc<Mutex<Vec<Bytes>>>;

/// A collector that keeps what it gets.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let take = async |State(received): State<Received>, headers: HeaderMap, body: Bytes| {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        received.lock().unwrap().push(body);
        StatusCode::OK
    };
    let app =
        axum::Router::new().route("/v1/traces", axum::routing::post(take)).with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}"), received)
}

fn spans(received: &Received) -> Vec<Span> {
    let received = received.lock().unwrap();
    let requests = received.iter().map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap());
    requests.flat_map(|r| r.resource_spans).flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|a| a.key == key)?.value.clone()?.value?;
    Some(match found {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

#[tokio::test]
async fn a_report_is_one_trace_from_plan_to_filing_and_holds_no_content() {
    let (servers, world) = start(lab("build-agent-mtkhb0")).await;
    let canary = "canary-line-of-the-log";
    world.lock().unwrap().logs.values_mut().for_each(|log| log.push_str(canary));
    let submission = json!({"cause": "requirements.txt is missing", "category": "build", "summary": "canary-of-the-answer",
        "fixes": ["Add it"], "confidence": "high", "quotes": ["STEP 3/7: COPY requirements.txt ."]});
    let model = model(std::time::Duration::ZERO, vec![Some(submission)]).await;
    let (address, received) = collector().await;
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command.args(serve(&servers, data.path())).args(["--allow-anonymous", "--otlp-endpoint", &address]);
    // Traces are independent of what is logged.
    command.args(["--model", "m", "--model-url", &model]).env("LOG_LEVEL", "info,tenant_agent::dialogue=off");
    let agent = Agent::run(command);
    let sent = http().post(format!("{}/report-failure", agent.address)).json(&body("build-agent-mtkhb0"));
    let answer: serde_json::Value = sent.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["outcome"], "created", "{answer}");
    let status = tokio::task::spawn_blocking(move || agent.stop()).await.unwrap();
    assert!(status.success());

    let spans = spans(&received);
    let all: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    let named = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {all:?}"))
    };
    let report = named("report");
    assert!(
        report.parent_span_id.is_empty() && spans.iter().all(|s| s.trace_id == report.trace_id),
        "{all:?}"
    );
    assert_eq!(attribute(report, "report").as_deref(), answer["report_id"].as_str());
    assert_eq!(attribute(report, "outcome").as_deref(), Some("created"));
    let (plan, file) = (named("plan"), named("file"));
    for (child, parent) in [
        (plan, report),
        (named("execute_tool pods_log"), plan),
        (named("chat m"), report),
        (file, report),
        (named("execute_tool issue_write"), file),
    ] {
        assert_eq!(child.parent_span_id, parent.span_id, "{} below {}", child.name, parent.name);
    }
    let expected: BTreeMap<_, _> = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "m"),
        ("gen_ai.usage.input_tokens", "1000"),
        ("gen_ai.usage.output_tokens", "100"),
    ]
    .into();
    for (key, value) in expected {
        assert_eq!(attribute(named("chat m"), key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(attribute(file, "issue.number").as_deref(), Some("1"));
    for body in received.lock().unwrap().iter() {
        let text = String::from_utf8_lossy(body);
        for content in [canary, "canary-of-the-answer", "COPY requirements", "no such file"] {
            assert!(!text.contains(content), "{content:?} is in a trace");
        }
    }
}

#[tokio::test]
async fn a_collector_that_is_away_costs_nothing_but_the_traces() {
    let (servers, _) = start(lab("build-agent-mtkhb0")).await;
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command.args(serve(&servers, data.path()));
    command.args(["--allow-anonymous", "--otlp-endpoint", "http://127.0.0.1:9"]);
    let agent = Agent::run(command);
    let sent = http().post(format!("{}/report-failure", agent.address)).json(&body("build-agent-mtkhb0"));
    let answer: serde_json::Value = sent.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["outcome"], "created", "{answer}");
    let status = tokio::task::spawn_blocking(move || agent.stop()).await.unwrap();
    assert!(status.success());
}
