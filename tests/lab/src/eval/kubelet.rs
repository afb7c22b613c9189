//! The part of a kubelet that hands out logs: a node whose pods have ended, as far as anybody can tell.
//!
//! Imitates `GET /containerLogs/NAMESPACE/POD/CONTAINER` of kubelet 1.34, which the API server asks for a pod's log:
//! `tailLines`, `limitBytes` and `previous`, with the kubelet's words where there is none. Everything in front of it is
//! real. Does not imitate: following a log, times of lines, restarts.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{pki::Identity, platform::parking::Guarded, standins::server};

/// The node's name.
pub(super) const NODE: &str = "recorded";

/// Namespace, pod and container.
type Place = (String, String, String);
type Logs = Arc<Guarded<BTreeMap<Place, Log>>>;

struct Log {
    text: String,
    /// Whether it is that of a container that was started again since.
    restarted: bool,
}

/// A node with logs.
pub(super) struct Kubelet {
    logs: Logs,
    port: u16,
    _serving: DropGuard,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    tail_lines: Option<usize>,
    limit_bytes: Option<usize>,
    #[serde(default)]
    previous: bool,
}

impl Kubelet {
    /// Serves logs with that certificate until this is dropped.
    pub(super) async fn start(identity: &Identity) -> anyhow::Result<Self> {
        let logs = Logs::default();
        let shutdown = CancellationToken::new();
        let router = Router::new()
            .route("/containerLogs/{namespace}/{pod}/{container}", get(log))
            .with_state(Arc::clone(&logs));
        let address = server::serve(router, Some(identity), shutdown.clone());
        let port = address.await.context("serve logs as a node does")?.port();
        Ok(Self { logs, port, _serving: shutdown.drop_guard() })
    }

    /// The node as the API server knows it.
    pub(super) fn node(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            },
        })
    }

    /// Keeps the log of a container of that pod.
    pub(super) fn keep(&self, pod: &Value, container: &str, text: &str) {
        let name = |key: &str| pod["metadata"][key].as_str().unwrap_or_default().to_owned();
        let statuses = pod["status"]["containerStatuses"].as_array();
        let status = statuses.into_iter().flatten().find(|status| status["name"] == container);
        let restarted = status.is_some_and(|status| status["restartCount"].as_u64() > Some(0));
        let place = (name("namespace"), name("name"), container.to_owned());
        self.logs.with(|logs| logs.insert(place, Log { text: text.to_owned(), restarted }));
    }
}

async fn log(State(logs): State<Logs>, Path(place): Path<Place>, Query(options): Query<Options>) -> Response {
    logs.with(|logs| match logs.get(&place) {
        Some(log) if log.restarted || !options.previous => {
            cut(&log.text, options.tail_lines, options.limit_bytes).to_owned().into_response()
        }
        _ if options.previous => {
            let text = format!("previous terminated container {:?} in pod {:?} not found", place.2, place.1);
            (StatusCode::BAD_REQUEST, text).into_response()
        }
        _ => String::new().into_response(),
    })
}

/// The last lines of a log, and of those the first bytes; whole characters only.
fn cut(log: &str, lines: Option<usize>, bytes: Option<usize>) -> &str {
    let ends = log.trim_end_matches('\n').rmatch_indices('\n').map(|(at, _)| at + 1);
    let start = lines.map_or(0, |lines| match lines.checked_sub(1) {
        None => log.len(),
        Some(more) => ends.clone().nth(more).unwrap_or(0),
    });
    let tail = &log[start..];
    &tail[..tail.floor_char_boundary(bytes.unwrap_or(tail.len()))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines_and_no_more_bytes_than_asked() {
        let log = "one\ntwo\nthrée\n";
        assert_eq!(cut(log, None, None), log);
        assert_eq!(cut(log, Some(2), None), "two\nthrée\n");
        assert_eq!(cut(log, Some(9), None), log);
        assert_eq!(cut(log, Some(0), None), "");
        assert_eq!(cut(log, Some(1), Some(4)), "thr");
        assert_eq!(cut("", Some(3), Some(3)), "");
    }
}
