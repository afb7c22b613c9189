//! The numbers of the service, as a table: `cargo bench -p tenant-agent --bench service`.
//!
//! Stand-in tool servers and model on loopback, so that what remains is the agent's own share.

#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark: a failure ends it, a table is its output"
)]

#[path = "../tests/it/double.rs"]
mod double;
#[path = "service/program.rs"]
mod program;

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_mcp::{Client, Endpoint as Server, TransportChoice};
use double::{World, start};
use serde_json::{Value, json};
use tenant_agent::dialogue::{Advisor, Budget};
use tenant_agent::evidence::{Intake, Source};
use tenant_agent::filing::Tracker;
use tenant_agent::http::{Auth, Options, Rate, Service};
use tenant_agent::investigation::Investigator;
use tenant_agent::journal::Journal;
use tenant_agent::model::{Breaker, Endpoint};
use tenant_agent::redact::Redactor;
use tenant_agent::routes::Routes;
use tenant_agent::store::Store;

fn main() {
    tenant_kit::crypto::install_crypto();
    println!("{:<58} {:>12} {:>12}", "what", "measured", "target");
    big_log();
    program::big_log();
    program::serving();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        serial().await;
        together().await;
        acknowledge().await;
    });
}

fn row(what: &str, measured: Duration, target: Duration) {
    println!("{what:<58} {:>9.1} ms {:>9.1} ms", measured.as_secs_f64() * 1e3, target.as_secs_f64() * 1e3);
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

fn row_of_bytes(what: &str, measured: u64, target: u64) {
    let shown = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1u32 << 20));
    println!("{what:<58} {:>8} MiB {:>8} MiB", shown(measured), shown(target));
}

/// A log of 50 MB whose cause stands at 3 %.
fn log_of_50_mb() -> String {
    let line = "2026-11-21T07:00:00.123Z step 17: compiling unit target/release/deps/libfoo-0123456789abcdef.rlib ok\n";
    let mut log = line.repeat(50 * 1024 * 1024 / line.len());
    log.insert_str(line.len() * 15_000, "ERROR: No matching distribution found for fastapii\n");
    log
}

/// 50 MB through decoding, redaction, rules and reduction.
fn big_log() {
    let log = log_of_50_mb();
    let begun = Instant::now();
    let mut redactor = Redactor::new([0; 16]);
    let mut intake = Intake::new(&mut redactor);
    log.as_bytes().chunks(64 * 1024).for_each(|chunk| intake.push(chunk));
    let source = Source::Log { pod: "p".into(), container: "c".into(), attempt: 1, previous: false };
    let item = intake.finish("E1".into(), source);
    row("50 MB log, cause found", begun.elapsed(), Duration::from_millis(1_500));
    assert!(item.hits.iter().any(|h| h.signature == "pip-no-such-package"));
}

/// Own share of one report: two servers that answer at once, no model.
async fn serial() {
    let mut times = Vec::new();
    let (agent, _) = agent(None).await;
    let http = http();
    for i in 0..300 {
        let begun = Instant::now();
        send(&http, &agent, i, false).await;
        times.push(begun.elapsed());
    }
    row("one report, own share, p50", percentile(&mut times, 50), Duration::from_millis(5));
    row("one report, own share, p95", percentile(&mut times, 95), Duration::from_millis(20));
}

/// Sixty at once, with a model that takes a second.
async fn together() {
    let (agent, _) = agent(Some(Duration::from_secs(1))).await;
    let http = http();
    let begun = Instant::now();
    futures::future::join_all((0..60).map(|i| send(&http, &agent, i, false))).await;
    row("60 reports at once, model 1 s, all answered", begun.elapsed(), Duration::from_millis(2_500));
}

/// Time to the durable acknowledgement, with a synced journal.
async fn acknowledge() {
    let (agent, _data) = agent(None).await;
    let http = http();
    let mut times = Vec::new();
    for batch in 0..20 {
        let one = async |i| {
            let begun = Instant::now();
            send(&http, &agent, i, true).await;
            begun.elapsed()
        };
        times.extend(futures::future::join_all((0..10).map(|i| one(batch * 10 + i))).await);
    }
    row(
        "asynchronous acknowledgement incl. sync, 10 at once, p99",
        percentile(&mut times, 99),
        Duration::from_millis(5),
    );
}

async fn send(http: &reqwest::Client, agent: &str, i: usize, asynchronous: bool) {
    let body = json!({"namespace": "n", "pod_name": "r1-build-pod", "idempotency_key": format!("k{i}")});
    let mut request = http.post(format!("{agent}/report-failure")).json(&body);
    if asynchronous {
        request = request.header("prefer", "respond-async");
    }
    assert!(request.send().await.unwrap().status().is_success());
}

fn http() -> reqwest::Client {
    let mut settings = tenant_kit::http::ClientSettings::new("bench");
    settings.timeout = None;
    tenant_kit::http::client(&settings).unwrap()
}

async fn agent(model: Option<Duration>) -> (String, tempfile::TempDir) {
    let (servers, _) = start(world()).await;
    let data = tempfile::tempdir().unwrap();
    let (store, _) = Store::new(Journal::open(data.path()).unwrap().0, Vec::new());
    let client = |name: &str| {
        let address = format!("{servers}/{name}/mcp");
        Client::new(Server::new(name, &address, TransportChoice::StreamableHttp).unwrap(), http())
    };
    let advisor = match model {
        Some(delay) => Some(Advisor {
            endpoint: Endpoint::new(
                http(),
                &double::model(delay, vec![Some(submission())]).await,
                &"key".to_owned().into(),
            ),
            models: vec!["m".into()],
            prices: std::collections::BTreeMap::new(),
            breaker: Breaker::default(),
            budget: Budget::default(),
        }),
        None => None,
    };
    let investigator = Investigator {
        cluster: Some(client("openshift")),
        routes: Routes::to(Some(Tracker::new(client("gitea"), "o".into(), "r".into()))),
        advisor,
        ..Investigator::new(Arc::new(store))
    };
    let options = Options {
        auth: Auth::default(),
        open_pages: true,
        namespaces: Vec::new(),
        wait: Duration::from_mins(1),
        queue: 10_000,
        rate: Rate { namespace: 1e6, total: 1e6, burst: 1.0 },
        shown: Value::Null,
    };
    let service = Service::new(options, Arc::new(investigator));
    (serve(service.router()).await, data)
}

fn submission() -> Value {
    json!({"cause": "fastapii does not exist", "category": "dependency", "summary": "The name is mistyped.",
        "fixes": ["Correct fastapii"], "quotes": ["ERROR: No matching distribution found for fastapii"],
        "confidence": "high"})
}

async fn serve(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(tenant_agent::http::server::serve(listener, router, std::future::pending()));
    format!("http://{address}")
}

fn world() -> World {
    let mut world = World::default();
    let labels = json!({"tekton.dev/pipeline": "p", "tekton.dev/pipelineRun": "r1", "tekton.dev/pipelineTask": "build", "tekton.dev/taskRun": "r1-build"});
    let objects = [
        (
            "Pod",
            json!({"metadata": {"name": "r1-build-pod", "labels": labels}, "status": {"phase": "Failed"}}),
        ),
        ("PipelineRun", json!({"metadata": {"name": "r1", "labels": labels}})),
        (
            "TaskRun",
            json!({"metadata": {"name": "r1-build", "labels": labels}, "status": {"podName": "r1-build-pod", "steps": [
            {"name": "build", "container": "step-build", "terminated": {"exitCode": 1}}]}}),
        ),
    ];
    for (kind, object) in objects {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        world.objects.insert((kind.to_owned(), name), object.to_string());
    }
    let log = "Collecting fastapii\nERROR: No matching distribution found for fastapii\n";
    world.logs.insert(("r1-build-pod".into(), "step-build".into()), log.into());
    world
}
