//! Killed between the write and the note that it was written: the next start finds what is there.

use std::path::Path;

use serde_json::json;
use tenant_agent::journal::Journal;
use tenant_agent::report::{Record, Report};

use crate::double::{Shared, start};
use crate::{agent, body, http, issues, lab, report};

/// A journal in which a report is accepted and nothing more is known.
async fn accepted(dir: &Path, id: &str) {
    let (journal, _) = Journal::open(dir).unwrap();
    let report = Report {
        namespace: "agent-user1".into(),
        pod_name: "build-agent-mtkhb0-build-pod-retry2".into(),
        ..Report::default()
    };
    journal.append(&Record::new(id.to_owned(), report, format!("key of {id}"), jiff::Timestamp::now())).await;
}

/// How a report ends, however long it takes.
pub(crate) async fn outcome(agent: &str, id: &str) -> String {
    let mut events = http().get(format!("{agent}/reports/{id}/events")).send().await.unwrap();
    let mut seen = String::new();
    loop {
        let chunk = events.chunk().await.unwrap().unwrap_or_else(|| panic!("the stream ended after {seen}"));
        seen.push_str(&String::from_utf8_lossy(&chunk));
        for outcome in ["created", "recurred"] {
            if seen.contains(&format!("\"outcome\":\"{outcome}\"")) {
                return outcome.to_owned();
            }
        }
    }
}

fn comments(world: &Shared) -> usize {
    world.lock().unwrap().comments.len()
}

#[tokio::test]
async fn an_issue_written_before_a_kill_is_recognised_as_the_reports_own() {
    for oldest in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let id = "0123456789abcdef";
        let (servers, world) = start(crate::World { oldest, ..lab("build-agent-mtkhb0") }).await;
        accepted(dir.path(), id).await;
        let (first, _) = agent(&servers, Some(dir.path())).await;
        assert_eq!(outcome(&first, id).await, "created");
        // The same state again, as if the kill had come before the outcome was noted.
        let dir = tempfile::tempdir().unwrap();
        accepted(dir.path(), id).await;
        let (second, resumed) = agent(&servers, Some(dir.path())).await;
        assert_eq!(resumed, 1);
        assert_eq!(outcome(&second, id).await, "created");
        assert_eq!((issues(&world).len(), comments(&world)), (1, 0), "oldest server: {oldest}");
    }
}

#[tokio::test]
async fn a_recurrence_told_before_a_kill_is_not_told_twice() {
    for oldest in [true, false] {
        let (servers, world) = start(crate::World { oldest, ..lab("build-agent-mtkhb0") }).await;
        let (first, _) = agent(&servers, None).await;
        assert_eq!(report(&first, &body("build-agent-mtkhb0")).await["outcome"], "created");
        for _ in 0..2 {
            let dir = tempfile::tempdir().unwrap();
            accepted(dir.path(), "fedcba9876543210").await;
            let (later, _) = agent(&servers, Some(dir.path())).await;
            assert_eq!(outcome(&later, "fedcba9876543210").await, "recurred");
        }
        assert_eq!((issues(&world).len(), comments(&world)), (1, 1), "oldest server: {oldest}");
    }
}

#[tokio::test]
async fn a_report_tried_again_by_hand_keeps_its_issue() {
    let (servers, world) = start(lab("build-agent-mtkhb0")).await;
    let (agent, _) = agent(&servers, None).await;
    let answer = report(&agent, &body("build-agent-mtkhb0")).await;
    let id = answer["report_id"].as_str().unwrap();
    let again = http().post(format!("{agent}/reports/{id}/retry")).json(&json!({})).send().await.unwrap();
    assert_eq!(again.status(), 202);
    assert_eq!(outcome(&agent, id).await, "created");
    assert_eq!((issues(&world).len(), comments(&world)), (1, 0));
}
