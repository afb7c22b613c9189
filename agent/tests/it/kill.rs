//! The agent is killed at random moments and must lose nothing and repeat nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Value, json};

use crate::double::start;
use crate::program::Agent;
use crate::{http, issues, lab};

/// Kills without a command: `AGENT_KILLS=10000 cargo test -p tenant-agent --test it kill -- --nocapture` runs the full
/// count.
const KILLS: u64 = 12;

/// A number that looks random and is the same in every run.
fn scatter(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) >> 7
}

/// Returns when a report is filed; what it heard last otherwise.
async fn filed(http: reqwest::Client, events: String) -> Result<(), String> {
    let mut seen = String::new();
    let mut events = http.get(events).send().await.map_err(|error| error.to_string())?;
    while !["\"created\"", "\"recurred\""].iter().any(|outcome| seen.contains(outcome)) {
        let Ok(Some(chunk)) = events.chunk().await else { return Err(seen) };
        seen.push_str(&String::from_utf8_lossy(&chunk));
    }
    Ok(())
}

#[tokio::test]
async fn nothing_accepted_is_lost_and_nothing_is_filed_twice_over_random_kills() {
    #[expect(clippy::disallowed_methods, reason = "the count is the command's to choose")]
    let kills = std::env::var("AGENT_KILLS").ok().and_then(|k| k.parse().ok()).unwrap_or(KILLS);
    for begin in (0..kills).step_by(250) {
        round(begin..kills.min(begin + 250)).await;
    }
}

/// Kills a service with its own journal and tracker so often, and looks what became of all it had accepted.
#[expect(clippy::print_stdout, reason = "the full count takes minutes, and its result is a figure")]
async fn round(kills: Range<u64>) {
    let (servers, world) = start(lab("build-agent-mtkhb0")).await;
    let (http, data) = (http(), tempfile::tempdir().unwrap());
    let mut accepted = Vec::new();
    let (mut refused, mut states) = (0, BTreeMap::<String, u64>::new());
    for i in kills.clone() {
        let agent = Agent::start(&servers, data.path());
        // Some answers are read, others are on their way when the kill comes.
        let read = scatter(i) % 3;
        let mut followed = None;
        for n in 0..=read {
            let body = json!({"namespace": "agent-user1", "pod_name": "build-agent-mtkhb0-build-pod-retry2",
                "idempotency_key": format!("{i}-{n}")});
            let request = http
                .post(format!("{}/report-failure", agent.address))
                .header("prefer", "respond-async")
                .json(&body)
                .send();
            if n < read {
                let answer = request.await.unwrap();
                if answer.status() == 429 {
                    // Killed so often it falls behind, and says so: this life is long enough to catch up.
                    refused += 1;
                    let newest: &String = accepted.last().unwrap();
                    filed(http.clone(), format!("{}/reports/{newest}/events", agent.address)).await.unwrap();
                    continue;
                }
                let answer: Value = answer.json().await.unwrap();
                assert_eq!(answer["durable"], true, "{answer}");
                let id = answer["report_id"].as_str().unwrap();
                accepted.push(id.to_owned());
                followed = Some(id.to_owned());
            } else {
                tokio::spawn(request);
                tokio::task::yield_now().await;
            }
        }
        // The kill comes at any point of a report: at once, at one of the calls it needs, or when it is filed.
        if let Some(id) = followed {
            let calls = || world.lock().unwrap().calls.len();
            // Near ones are the likelier; up to where all that is behind has been caught up with.
            let last_call = calls() + (1 << (scatter(i * 7 + 3) % 8));
            let mut filed =
                tokio::spawn(filed(http.clone(), format!("{}/reports/{id}/events", agent.address)));
            while calls() < last_call && !filed.is_finished() {
                tokio::task::yield_now().await;
            }
            let name = world.lock().unwrap().calls.last().cloned().unwrap_or_default();
            *states.entry(if filed.is_finished() { "it is filed".to_owned() } else { name }).or_default() +=
                1;
            filed.abort();
            let _ = (&mut filed).await;
        }
        agent.kill();
    }
    let agent = Agent::start(&servers, data.path());
    for id in &accepted {
        let ended = filed(http.clone(), format!("{}/reports/{id}/events", agent.address)).await;
        assert!(ended.is_ok(), "report {id} of {} was lost; heard last: {ended:?}", accepted.len());
    }
    agent.kill();
    assert!(!accepted.is_empty());
    assert_eq!(issues(&world).len(), 1, "one failure, one issue, after kills {kills:?}");
    println!(
        "kills {kills:?}: {} reports accepted and none lost, {refused} refused, 1 issue; killed at {states:?}",
        accepted.len()
    );
}
