//! Every way to spoil a request, before a server that counts what reaches it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use axum::{Router, extract, routing::any};
use futures::StreamExt as _;
use serde_json::Value;

use super::*;
use crate::{processes::Record, standins::server, supervisor::Size};

/// A server for every address of a lab, and the proxy before it.
struct Bench {
    acted: Arc<AtomicU64>,
    proxy: Proxy,
    _server: CancellationToken,
}

impl Bench {
    async fn new(rules: Vec<Rule>) -> Self {
        tenant_kit::crypto::install_crypto();
        let acted = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&acted);
        let answer = async move |request: extract::Request| {
            counter.fetch_add(1, Ordering::Relaxed);
            let host = request.headers()["host"].to_str().unwrap_or_default().to_owned();
            axum::Json(json!({"host": host, "path": request.uri().path()}))
        };
        let server = CancellationToken::new();
        let answers = Router::new().fallback(any(answer));
        let pki = Pki::new("apps.test").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.crt");
        private(&ca, &pki.ca).unwrap();
        let plain = server::serve(answers.clone(), None, server.clone()).await.unwrap();
        let api = server::serve(answers.clone(), Some(&pki.apiserver), server.clone()).await.unwrap();
        let routed = server::serve(answers, Some(&pki.router), server.clone()).await.unwrap();
        let lab = State {
            name: "test".into(),
            supervisor: Record::of(std::process::id()).unwrap(),
            domain: "apps.test".into(),
            size: Size::default(),
            openshift: true,
            api_url: format!("https://{api}"),
            kubeconfig: PathBuf::new(),
            api_ca: Some(ca.clone()),
            token: "t".into(),
            router: Some(routed),
            router_ca: ca,
            forge_url: String::new(),
            litellm_url: format!("http://{plain}"),
            litellm_master_key: "k".into(),
            control: plain,
            control_token: String::new(),
        };
        let proxy = Proxy::start(&lab, rules).unwrap();
        Self { acted, proxy, _server: server }
    }

    async fn spoiling(spoil: Spoil) -> Self {
        Self::new(vec![Rule::new(Which::number(1), spoil)]).await
    }

    fn acted(&self) -> u64 {
        self.acted.load(Ordering::Relaxed)
    }

    async fn get(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        reqwest::get(format!("{}{path}", self.proxy.state().litellm_url)).await
    }

    async fn kubernetes(&self, path: &str) -> reqwest::Response {
        let state = self.proxy.state();
        let ca = std::fs::read(state.api_ca.as_ref().unwrap()).unwrap();
        let trust = reqwest::Certificate::from_pem(&ca).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([trust]).build().unwrap();
        client.get(format!("{}{path}", state.api_url)).send().await.unwrap()
    }
}

#[tokio::test]
async fn what_no_rule_wants_passes_with_its_host_and_is_numbered_over_all_services() {
    let bench = Bench::new(vec![]).await;
    let state = bench.proxy.state();
    bench.get("/key/info?key=x").await.unwrap();
    let answer: Value = bench.kubernetes("/version").await.json().await.unwrap();
    assert_eq!(answer["path"], "/version");
    let ca = std::fs::read(&state.router_ca).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
        .resolve("gitea-gitea-x.apps.test", state.router.unwrap())
        .build()
        .unwrap();
    let url = format!("https://gitea-gitea-x.apps.test:{}/api/v1/user", state.router.unwrap().port());
    let answer: Value = client.get(url).send().await.unwrap().json().await.unwrap();
    assert!(answer["host"].as_str().unwrap().starts_with("gitea-gitea-x.apps.test"), "{answer}");
    let seen: Vec<_> =
        bench.proxy.exchanges().into_iter().map(|one| (one.number, one.service, one.answered)).collect();
    assert_eq!(
        seen,
        [
            (1, Service::Litellm, Some(200)),
            (2, Service::Kubernetes, Some(200)),
            (3, Service::Gitea, Some(200))
        ]
    );
    assert!(bench.proxy.account().contains("/key/info?key=x"), "{}", bench.proxy.account());
}

#[tokio::test]
async fn a_status_is_the_answer_and_the_service_is_not_asked() {
    let bench = Bench::spoiling(Spoil::Status { status: 429, retry_after: Some(2) }).await;
    let answer = bench.kubernetes("/api").await;
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "2");
    let status: Value = answer.json().await.unwrap();
    assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("TooManyRequests")));
    assert_eq!(bench.acted(), 0);
    assert_eq!(bench.get("/").await.unwrap().status(), 200, "only the first was meant");
}

#[tokio::test]
async fn a_connection_is_cut_before_or_after_the_service_has_acted() {
    for (spoil, acted) in [(Spoil::Cut, 0), (Spoil::CutAfter, 1)] {
        let bench = Bench::spoiling(spoil).await;
        let error = bench.get("/").await.expect_err("no answer comes");
        assert!(error.is_request(), "{spoil}: {error:?}");
        assert_eq!(bench.acted(), acted, "{spoil}");
    }
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    let bench = Bench::spoiling(Spoil::Truncate).await;
    let answer = bench.get("/").await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.bytes_stream();
    let half = body.next().await.unwrap().unwrap();
    assert!(half.starts_with(b"{\"host\"") && !half.ends_with(b"}"), "{half:?}");
    assert!(body.next().await.unwrap().is_err(), "the body ends as if it were whole");
    assert_eq!(bench.acted(), 1);
}

#[tokio::test]
async fn garbage_is_a_success_that_cannot_be_read() {
    let bench = Bench::spoiling(Spoil::Garbage).await;
    let answer = bench.get("/").await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.json::<Value>().await.is_err());
    assert_eq!(bench.acted(), 1);
}

#[tokio::test]
async fn a_frozen_answer_has_a_head_and_no_body() {
    let bench = Bench::spoiling(Spoil::Freeze).await;
    let answer = bench.get("/").await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = tokio::time::timeout(Duration::from_millis(100), answer.bytes()).await;
    assert!(body.is_err(), "a body came: {body:?}");
}

#[tokio::test]
async fn a_forgotten_version_is_told_as_an_answer_or_within_a_watch() {
    let bench = Bench::spoiling(Spoil::Expired).await;
    let answer = bench.kubernetes("/api/v1/pods?watch=true").await;
    assert_eq!(answer.status(), 410);
    let bench = Bench::spoiling(Spoil::ExpiredEvent).await;
    let answer = bench.kubernetes("/api/v1/pods?watch=true").await;
    assert_eq!(answer.status(), 200);
    let event: Value = answer.json().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
}

#[tokio::test]
async fn a_delay_only_delays() {
    let bench = Bench::spoiling(Spoil::Delay(Duration::from_millis(80))).await;
    let since = Instant::now();
    assert_eq!(bench.get("/").await.unwrap().status(), 200);
    assert!(since.elapsed() >= Duration::from_millis(80), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_client_to_be_killed_is_named_and_nothing_passes_any_more() {
    let bench = Bench::new(vec![Rule::new(Which::number(2), Spoil::Kill { acted: true })]).await;
    bench.get("/").await.unwrap();
    let mut killing = bench.proxy.killing();
    let answer = tokio::select! {
        answer = bench.get("/") => Some(answer),
        number = killing.wait_for(Option::is_some) => {
            assert_eq!(*number.unwrap(), Some(2));
            None
        }
    };
    assert!(answer.is_none(), "it was answered: {answer:?}");
    assert_eq!(bench.acted(), 2);
    let late = tokio::time::timeout(Duration::from_millis(100), bench.get("/")).await;
    assert!(late.is_err(), "{late:?}");
    assert_eq!(bench.acted(), 2);
}
