//! Where bytes of strangers enter, each as a function of bytes: driven by proptest on every run, and by
//! libFuzzer in `agent/fuzz`. A violation is a panic.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use futures::StreamExt as _;
use serde_json::Value;
use tenant_agent::evidence::{Intake, Item, Source};
use tenant_agent::http::{Auth, Options, Rate, Service};
use tenant_agent::investigation::Investigator;
use tenant_agent::journal::Journal;
use tenant_agent::redact::Redactor;
use tenant_agent::store::Store;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// A secret that must never come out again; its kind has a fixed shape, so that no neighbour can excuse it.
const SECRET: &str = "ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
});

static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| {
    let (store, _) = Store::new(Journal::in_memory(), Vec::new());
    let options = Options {
        auth: Auth::default(),
        open_pages: true,
        namespaces: vec!["n".to_owned()],
        wait: Duration::from_secs(30),
        queue: 100_000,
        rate: Rate { namespace: 1e9, total: 1e9, burst: 1.0 },
        shown: Value::Null,
    };
    Service::new(options, Arc::new(Investigator::new(Arc::new(store))))
});

/// A body for `/report-failure`: any answer is JSON, and none is an error of ours.
pub(crate) fn intake(data: &[u8]) {
    let request = Request::post("/report-failure").header("content-type", "application/json");
    let request = request.body(Body::from(data.to_vec())).unwrap();
    let (status, body) = RUNTIME.block_on(async {
        let response = SERVICE.router().oneshot(request).await.unwrap();
        (response.status(), axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap())
    });
    let expected = [
        StatusCode::OK,
        StatusCode::FORBIDDEN,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ];
    assert!(expected.contains(&status), "{status}");
    assert!(serde_json::from_slice::<Value>(&body).is_ok(), "{body:?}");
}

/// An event stream of an MCP server, cut into pieces as a network does: the decoder ends when the bytes do.
pub(crate) fn decoder(data: &[u8]) {
    let (size, data) =
        data.split_first().map_or((1, data), |(first, rest)| (usize::from(*first).max(1), rest));
    let pieces: Vec<_> = data.chunks(size).map(|p| Ok::<_, Infallible>(Bytes::copy_from_slice(p))).collect();
    let messages = agent_mcp::legacy::messages(futures::stream::iter(pieces));
    let count = futures::executor::block_on(messages.count());
    assert!(count <= data.len(), "{count} messages in {} bytes", data.len());
}

/// A text with a secret in it, on a line of its own: it does not come out.
pub(crate) fn redactor(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let half = (0..=text.len() / 2).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let planted = format!("{}\ntoken {SECRET} used\n{}", &text[..half], &text[half..]);
    let out = Redactor::new([7; 16]).text(&planted);
    assert!(!out.contains(SECRET), "{planted:?} became {out:?}");
}

/// A log, cut into pieces in two ways: the same evidence, within bounds, whose every quote is in its log.
pub(crate) fn reducer(data: &[u8]) {
    let (size, data) =
        data.split_first().map_or((1, data), |(first, rest)| (usize::from(*first).max(1), rest));
    let whole = read(std::iter::once(data));
    assert_eq!(whole, read(data.chunks(size)), "pieces of {size} bytes read otherwise");
    assert!(whole.excerpt.lines.len() <= 2_000, "{} lines are kept", whole.excerpt.lines.len());
    assert!(
        whole.excerpt.lines.iter().all(|line| line.number <= whole.excerpt.total && line.text.len() <= 1_000)
    );
    assert!(whole.excerpt.lines.windows(2).all(|pair| pair[0].number < pair[1].number));
    assert!(whole.hits.iter().all(|hit| hit.line <= whole.excerpt.total));
}

fn read<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> Item {
    let mut redactor = Redactor::new([7; 16]);
    let mut intake = Intake::new(&mut redactor);
    pieces.for_each(|piece| intake.push(piece));
    let source = Source::Log { pod: "p".into(), container: "c".into(), attempt: 1, previous: false };
    intake.finish("E1".into(), source)
}
