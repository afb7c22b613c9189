//! The client against a double of each kind of server, over real HTTP.

#![expect(clippy::unwrap_used, reason = "the double is test code: a failure should end the test")]

mod double;

use std::time::Duration;

use agent_mcp::{Arg, CallError, Capability, Client, Credential, Effect, Endpoint, TransportChoice};
use double::{Double, Script, Style, cut, start, text, tool};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(20);

fn client(url: &str, path: &str, transport: TransportChoice, token: Option<&str>) -> Client {
    tenant_kit::crypto::install_crypto();
    let mut settings = tenant_kit::http::ClientSettings::new("test");
    settings.timeout = None;
    let http = tenant_kit::http::client(&settings).expect("builds");
    let credential = token.map(|t| Credential::Token(t.to_owned().into()));
    let endpoint = Endpoint::new("double", &format!("{url}{path}"), transport).expect("a URL");
    Client::new(endpoint.with_credential(credential), http)
}

fn pods_log() -> Value {
    tool("pods_log", &["name", "namespace", "tail"])
}

async fn log(client: &Client) -> Result<String, CallError> {
    let args =
        [Arg::must(&["name"], "p"), Arg::must(&["namespace"], "n"), Arg::must(&["tail", "tailLines"], 9)];
    client.call(Capability::PodLog, &args, Effect::Read, WITHIN).await
}

async fn create(client: &Client) -> Result<String, CallError> {
    let args = [
        Arg::must(&["owner"], "o"),
        Arg::must(&["repo"], "r"),
        Arg::must(&["title"], "t"),
        Arg::must(&["body"], "b"),
    ];
    client.call(Capability::IssueCreate, &args, Effect::Write, WITHIN).await
}

fn gitea() -> Value {
    tool("create_issue", &["owner", "repo", "title", "body"])
}

fn calls(double: &Double) -> usize {
    double.lock().expect("lock").calls.len()
}

#[tokio::test]
async fn every_style_of_server_is_detected_from_any_configured_path() {
    for (style, path, transport) in [
        (Style::Json, "/mcp", TransportChoice::Auto),
        (Style::Json, "", TransportChoice::StreamableHttp),
        (Style::Events, "/sse#openshift", TransportChoice::Sse),
        (Style::Events, "/mcp", TransportChoice::StreamableHttp),
        (Style::Legacy, "/sse#openshift", TransportChoice::Sse),
        (Style::Legacy, "/sse", TransportChoice::Auto),
    ] {
        let script =
            Script { style, tools: vec![pods_log()], results: [text("the log")].into(), ..Script::default() };
        let (url, double) = start(script).await;
        let client = client(&url, path, transport, None);
        assert_eq!(log(&client).await.expect("called"), "the log", "{style:?} {path}");
        let sent = double.lock().expect("lock").calls[0].clone();
        assert_eq!(sent["name"], "pods_log");
        assert_eq!(sent["arguments"], json!({"name": "p", "namespace": "n", "tail": 9}));
    }
}

#[tokio::test]
async fn all_pages_of_the_tool_list_are_read() {
    let mut tools: Vec<_> = (0..25).map(|i| tool(&format!("other_{i}"), &[])).collect();
    tools.push(pods_log());
    let (url, _) = start(Script { tools, page: 10, ..Script::default() }).await;
    assert_eq!(
        client(&url, "/mcp", TransportChoice::Auto, None).probe(&[Capability::PodLog]).await.expect("up"),
        []
    );
}

#[tokio::test]
async fn a_missing_capability_is_named() {
    let (url, _) = start(Script { tools: vec![pods_log()], ..Script::default() }).await;
    let client = client(&url, "/mcp", TransportChoice::Auto, None);
    let missing = client.probe(&[Capability::PodLog, Capability::Events]).await.expect("up");
    assert_eq!(missing, [Capability::Events]);
    assert!(matches!(create(&client).await, Err(CallError::Missing { .. })));
}

#[tokio::test]
async fn a_lost_session_is_renewed_whatever_the_server_calls_it() {
    for refusal in [(404, "session not found"), (400, "Invalid session ID")] {
        let script = Script {
            style: Style::Events,
            tools: vec![pods_log(), gitea()],
            refusals: [refusal].into(),
            ..Script::default()
        };
        let (url, double) = start(script).await;
        let client = client(&url, "/mcp", TransportChoice::Auto, None);
        assert_eq!(create(&client).await.expect("renewed"), "ok", "{refusal:?}");
        assert_eq!(double.lock().expect("lock").initialised, 2, "{refusal:?}");
        assert_eq!(calls(&double), 1, "a write that was refused is repeated, one that was made is not");
    }
}

#[tokio::test]
async fn a_cut_legacy_stream_is_opened_again() {
    let script = Script { style: Style::Legacy, tools: vec![pods_log()], ..Script::default() };
    let (url, double) = start(script).await;
    let client = client(&url, "/sse", TransportChoice::Auto, None);
    log(&client).await.expect("first");
    cut(&double);
    log(&client).await.expect("second");
    assert_eq!(double.lock().expect("lock").initialised, 2);
}

#[tokio::test]
async fn the_three_channels_of_failure_are_one() {
    let failures = [
        json!({"content": [{"type": "text", "text": "failed to get pod log"}], "isError": true}),
        json!({"error": {"code": -32603, "message": "failed to get pod log"}}),
    ];
    for failure in failures {
        let (url, double) =
            start(Script { tools: vec![pods_log()], results: [failure].into(), ..Script::default() }).await;
        let result = log(&client(&url, "/mcp", TransportChoice::Auto, None)).await;
        assert!(
            matches!(&result, Err(CallError::Tool(t)) if t.contains("failed to get pod log")),
            "{result:?}"
        );
        assert_eq!(calls(&double), 1, "an answered call is not repeated");
    }
}

#[tokio::test]
async fn a_write_with_unknown_outcome_is_not_repeated() {
    let script =
        Script { tools: vec![gitea()], refusals: [(502, "bad gateway")].into(), ..Script::default() };
    let (url, double) = start(script).await;
    let result = create(&client(&url, "/mcp", TransportChoice::Auto, None)).await;
    assert!(matches!(result, Err(CallError::Unknown(_))), "{result:?}");
    assert_eq!(calls(&double), 0);
}

#[tokio::test]
async fn a_read_survives_one_bad_gateway() {
    let script =
        Script { tools: vec![pods_log()], refusals: [(502, "bad gateway")].into(), ..Script::default() };
    let (url, _) = start(script).await;
    assert_eq!(log(&client(&url, "/mcp", TransportChoice::Auto, None)).await.expect("repeated"), "ok");
}

#[tokio::test]
async fn a_tool_renamed_while_we_are_connected_is_found_again() {
    let unknown = json!({"error": {"code": -32602, "message": "unknown tool \"create_issue\""}});
    let script = Script { tools: vec![gitea()], results: [unknown, text("ok")].into(), ..Script::default() };
    let (url, double) = start(script).await;
    let client = client(&url, "/mcp", TransportChoice::Auto, None);
    client.probe(&[]).await.expect("up");
    let mut write = tool("issue_write", &["method", "owner", "repo", "title", "body", "index"]);
    write["inputSchema"]["properties"]["method"] = json!({"type": "string", "enum": ["create"]});
    double.lock().expect("lock").tools = vec![write];
    assert_eq!(create(&client).await.expect("rebound"), "ok");
    let last = double.lock().expect("lock").calls.last().cloned().expect("called");
    assert_eq!((&last["name"], &last["arguments"]["method"]), (&json!("issue_write"), &json!("create")));
}

#[tokio::test]
async fn a_token_is_sent_only_where_it_is_configured() {
    for (token, expected) in [(Some("secret\n"), vec!["Bearer secret"]), (None, vec![])] {
        let (url, double) = start(Script { tools: vec![pods_log()], ..Script::default() }).await;
        log(&client(&url, "/mcp", TransportChoice::Auto, token)).await.expect("called");
        let mut seen = double.lock().expect("lock").authorizations.clone();
        seen.dedup();
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_and_later_is_found() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    drop(listener);
    let client = client(&format!("http://{address}"), "/mcp", TransportChoice::Auto, None);
    assert!(matches!(log(&client).await, Err(CallError::Connect { .. })));
}

#[tokio::test]
async fn odd_results_are_read_as_far_as_they_are_text() {
    let image = json!({"type": "image", "data": "aGk=", "mimeType": "image/png"});
    let words = |text: &str| json!({"type": "text", "text": text});
    for (result, expected) in [
        (json!({"content": []}), ""),
        (json!({ "content": [image] }), ""),
        (json!({"content": [words("a"), image, words("b")]}), "a\nb"),
        (json!({"content": [], "structuredContent": {"x": 1}}), "{\"x\":1}"),
    ] {
        let (url, _) =
            start(Script { tools: vec![pods_log()], results: [result].into(), ..Script::default() }).await;
        let read = log(&client(&url, "/mcp", TransportChoice::Auto, None)).await;
        assert_eq!(read.as_deref().ok(), Some(expected), "{read:?}");
    }
    let large = "x".repeat(30 * 1024 * 1024);
    let script = Script {
        tools: vec![pods_log()],
        // The call is made once more on a new session, in vain; the next one is not affected.
        results: [text(&large), text(&large), text("ok")].into(),
        ..Script::default()
    };
    let (url, _) = start(script).await;
    let client = client(&url, "/mcp", TransportChoice::Auto, None);
    let result = log(&client).await;
    assert!(matches!(result, Err(CallError::NotDone(_))), "30 MB are refused: {:?}", result.map(|t| t.len()));
    assert_eq!(log(&client).await.expect("read"), "ok");
}

#[tokio::test]
async fn what_a_server_says_before_its_answer_is_no_answer() {
    let before = vec![
        r#"{"jsonrpc":"2.0","method":"notifications/unheard-of","params":{"a":[]}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#,
        r#"{"jsonrpc":"2.0","id":"s1","method":"ping"}"#,
    ];
    let script = Script {
        style: Style::Events,
        tools: vec![pods_log()],
        results: [text("the log")].into(),
        before,
        ..Script::default()
    };
    let (url, _) = start(script).await;
    assert_eq!(log(&client(&url, "/mcp", TransportChoice::Auto, None)).await.expect("read"), "the log");
}

#[tokio::test]
async fn a_call_that_hangs_costs_its_time_and_the_next_one_gets_a_new_session() {
    for style in [Style::Json, Style::Events] {
        let script = Script { style, tools: vec![pods_log()], hangs: true, ..Script::default() };
        let (url, double) = start(script).await;
        let client = client(&url, "/mcp", TransportChoice::Auto, None);
        let args = [Arg::must(&["name"], "p"), Arg::must(&["namespace"], "n")];
        let within = Duration::from_millis(300);
        let result = client.call(Capability::PodLog, &args, Effect::Read, within).await;
        assert!(matches!(result, Err(CallError::Timeout(_))), "{result:?}");
        double.lock().expect("lock").hangs = false;
        assert_eq!(log(&client).await.expect("answered"), "ok");
        assert_eq!(double.lock().expect("lock").initialised, 2, "{style:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_tried_once_for_all_who_wait_and_found_when_it_is_back() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    drop(listener);
    let client = client(&format!("http://{address}"), "/mcp", TransportChoice::Auto, None);
    let results = futures::future::join_all((0..50).map(|_| log(&client))).await;
    let tried =
        |r: &Result<String, CallError>| !r.as_ref().is_err_and(|e| caused(e).contains("a moment ago"));
    assert_eq!(results.iter().filter(|r| tried(r)).count(), 1, "the others wait for its result");
    let script = Script { tools: vec![pods_log()], ..Script::default() };
    double::start_at(address, script).await;
    assert_eq!(log(&client).await.expect("back"), "ok");
}

fn caused(error: &CallError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
