//! Bad input over real connections: the right status, nothing spent, and nobody else waits for it.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::double::start;
use crate::metrics::scrape;
use crate::{agent, agent_with, body, http, issues, lab, report};

/// Bytes on a connection of their own, without any more of them; what comes back until it is closed.
async fn raw(agent: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(agent.trim_start_matches("http://")).await.unwrap();
    // The service may close before everything is written: it need not read what it refuses.
    let _refused_on_the_way = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _reset_after_the_answer = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn head(length: usize) -> String {
    format!(
        "POST /report-failure HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn bodies_that_are_too_large_too_deep_or_no_json_are_refused_and_cost_nothing() {
    let (servers, world) = start(lab("build-agent-mtkhb0")).await;
    let (agent, _) = agent(&servers, None).await;
    let large = vec![b'x'; 10 * 1024 * 1024];
    let deep = format!("{{\"namespace\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let nul = b"{\"namespace\":\"n\\u0000\",\"pod_name\":\"p\"}".to_vec();
    for (bytes, status) in [
        (large.clone(), 413),
        (deep.clone().into_bytes(), 422),
        (b"\xff\xfe{".to_vec(), 422),
        (nul, 422),
        (br#"{"namespace":"a/../b","pod_name":"p"}"#.to_vec(), 422),
        (br#"{"namespace":"n","pod_name":"p","commit":"x\u202ey"}"#.to_vec(), 422),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let sent = http().post(format!("{agent}/report-failure")).header("content-type", "application/json");
        let answer = sent.body(bytes).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{shown}");
        let said: Value = answer.json().await.unwrap();
        assert!(said["detail"].is_string() || said["detail"].is_array(), "{shown}: {said}");
    }
    let endless = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    let answer = raw(&agent, endless.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    for garbage in [&b"\x16\x03\x01\x02\x00"[..], b"POST / HTTP/9.9\r\n\r\n", b"\0\0\0\0\r\n\r\n"] {
        let answer = raw(&agent, garbage).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(issues(&world).len(), 0);
    assert_eq!(world.lock().unwrap().calls.len(), 0, "nothing was read for it");
    assert_eq!(report(&agent, &body("build-agent-mtkhb0")).await["outcome"], "created");
}

/// Two hundred senders that never finish: in the head, and in the body. The next one is served as ever.
#[tokio::test]
async fn slow_senders_keep_nobody_out() {
    let (servers, _) = start(lab("build-agent-mtkhb0")).await;
    let (agent, _) = agent(&servers, None).await;
    let mut slow = Vec::new();
    for i in 0..200 {
        let mut stream = TcpStream::connect(agent.trim_start_matches("http://")).await.unwrap();
        let begun =
            if i % 2 == 0 { "POST /report-failure HTTP/1.1\r\nhost: ".to_owned() } else { head(100) + "{" };
        stream.write_all(begun.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    assert_eq!(report(&agent, &body("build-agent-mtkhb0")).await["outcome"], "created");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // One that stopped in its body is told so, and let go.
    let mut answer = String::new();
    slow[1].read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // One that stopped in its head has no request to answer: the connection ends.
    let mut rest = Vec::new();
    slow[0].read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn a_thousand_reports_of_one_namespace_are_limited_and_another_is_served() {
    let (servers, _) = start(lab("build-agent-mtkhb0")).await;
    let rate = tenant_agent::http::Rate { namespace: 5.0, total: 50.0, burst: 10.0 };
    let (agent, _) = crate::agent_limited(&servers, rate).await;
    let http = http();
    let send = async |i: usize| {
        let body = json!({"namespace": "loud", "pod_name": "", "idempotency_key": i.to_string()});
        let sent = http.post(format!("{agent}/report-failure")).header("prefer", "respond-async").json(&body);
        let answer = sent.send().await.unwrap();
        let after = answer.headers().get("retry-after").is_some();
        (answer.status().as_u16(), after)
    };
    let answers: Vec<_> = futures::stream::iter(0..1_000).map(send).buffer_unordered(100).collect().await;
    let count = |status: u16| answers.iter().filter(|(s, _)| *s == status).count();
    assert!(count(202) >= 50, "{} were let in", count(202));
    assert_eq!(count(202) + count(429), 1_000, "{:?}", answers.iter().find(|(s, _)| ![202, 429].contains(s)));
    assert!(count(429) > 500 && answers.iter().all(|(s, after)| *s != 429 || *after), "each is told when");
    let begun = Instant::now();
    let served = report(&agent, &body("build-agent-mtkhb0")).await;
    assert_eq!(served["issue_number"], 1, "all fail in the same way: {served}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(scrape(&agent).await["agent_refused_total{reason=\"rate\"}"] > 500.0);
}

#[tokio::test]
async fn a_caller_that_goes_away_gets_its_issue() {
    let (servers, world) = start(lab("build-agent-mtkhb0")).await;
    world.lock().unwrap().away = true;
    let (agent, _) = agent_with(&servers, None, |i| i).await;
    let sent = http().post(format!("{agent}/report-failure")).json(&body("build-agent-mtkhb0"));
    let gone = tokio::time::timeout(Duration::from_millis(300), sent.send()).await;
    assert!(gone.is_err(), "it waits for the servers");
    world.lock().unwrap().away = false;
    let answer = report(&agent, &body("build-agent-mtkhb0")).await;
    assert_eq!((&answer["outcome"], &answer["recurrence"]), (&json!("created"), &json!(1)), "{answer}");
    assert_eq!(issues(&world).len(), 1);
}
