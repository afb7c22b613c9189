//! The agent is killed at random moments and must lose nothing and repeat nothing.

use serde_json::{Value, json};

use crate::double::start;
use crate::program::Agent;
use crate::{http, issues, lab};

/// Kills without a command: `AGENT_KILLS=10000 cargo test -p tenant-agent --test it kill` runs the full count.
const KILLS: u64 = 12;

/// A number that looks random and is the same in every run.
fn scatter(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) >> 7
}

#[tokio::test]
async fn nothing_accepted_is_lost_and_nothing_is_filed_twice_over_random_kills() {
    #[expect(clippy::disallowed_methods, reason = "the count is the command's to choose")]
    let kills = std::env::var("AGENT_KILLS").ok().and_then(|k| k.parse().ok()).unwrap_or(KILLS);
    let (servers, world) = start(lab("build-agent-mtkhb0")).await;
    let data = tempfile::tempdir().unwrap();
    let mut accepted = Vec::new();
    for i in 0..kills {
        let agent = Agent::start(&servers, data.path());
        // Some answers are read, others are on their way when the kill comes.
        let read = scatter(i) % 6;
        for n in 0..read + 2 {
            let body = json!({"namespace": "agent-user1", "pod_name": "build-agent-mtkhb0-build-pod-retry2",
                "idempotency_key": format!("{i}-{n}")});
            let request = http()
                .post(format!("{}/report-failure", agent.address))
                .header("prefer", "respond-async")
                .json(&body)
                .send();
            if n < read {
                let answer: Value = request.await.unwrap().json().await.unwrap();
                assert_eq!(answer["durable"], true, "{answer}");
                accepted.push(answer["report_id"].as_str().unwrap().to_owned());
            } else {
                tokio::spawn(request);
                tokio::task::yield_now().await;
            }
        }
        agent.kill();
    }
    let agent = Agent::start(&servers, data.path());
    for id in &accepted {
        let mut events = http().get(format!("{}/reports/{id}/events", agent.address)).send().await.unwrap();
        assert!(events.status().is_success(), "report {id} of {} was lost", accepted.len());
        let mut seen = String::new();
        while !["\"created\"", "\"recurred\""].iter().any(|o| seen.contains(o)) {
            let chunk = events.chunk().await.unwrap().unwrap_or_else(|| panic!("{id} ended as {seen}"));
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
    agent.kill();
    assert!(!accepted.is_empty());
    assert_eq!(issues(&world).len(), 1, "one failure, one issue, after {kills} kills");
}
