//! The end of the program, and the end of the disk.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::double::start;
use crate::metrics::scrape;
use crate::program::{Agent, serve};
use crate::{http, lab};

fn numbered(i: usize) -> Value {
    json!({"namespace": "agent-user1", "pod_name": "build-agent-mtkhb0-build-pod-retry2", "idempotency_key": i.to_string()})
}

async fn post(agent: &Agent, body: &Value) -> Value {
    let request = http().post(format!("{}/report-failure", agent.address)).header("prefer", "respond-async");
    request.json(body).send().await.unwrap().json().await.unwrap()
}

/// An agent whose files may not grow beyond `kilobytes`: what a full disk is, without a disk to fill.
fn confined(servers: &str, data: &Path, kilobytes: u64) -> Agent {
    let mut command = Command::new("sh");
    // The signal of a file that is too large is ignored, as it is where a disk is full: only the write fails.
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_agent")]);
    command.args(serve(servers, data)).arg("--allow-anonymous");
    let agent = Agent::run(command);
    limit(&agent, Some(kilobytes * 1024));
    agent
}

fn limit(agent: &Agent, bytes: Option<u64>) {
    prlimit(Some(agent.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[tokio::test]
async fn a_full_disk_is_announced_costs_no_report_and_is_caught_up_with() {
    let (servers, _) = start(lab("build-agent-mtkhb0")).await;
    let data = tempfile::tempdir().unwrap();
    let agent = confined(&servers, data.path(), 4);
    let mut refused = None;
    for i in 0..200 {
        let answer = post(&agent, &numbered(i)).await;
        if answer["durable"] == false {
            refused = Some(answer["report_id"].as_str().unwrap().to_owned());
            break;
        }
    }
    let refused = refused.expect("the disk is full after 4 KiB");
    let text = http().get(format!("{}/readyz", agent.address)).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("in memory only"), "{text}");
    let full = scrape(&agent.address).await;
    for name in ["agent_journal_degraded", "agent_journal_backlog", "agent_journal_lag_seconds"] {
        assert!(full[name] > 0.0, "{name}: {full:#?}");
    }
    assert!(agent.log().contains("reports are kept in memory only"), "{}", agent.log());
    limit(&agent, None);
    // The next entry takes along what was refused.
    assert_eq!(post(&agent, &numbered(1_000)).await["durable"], true);
    let caught_up = scrape(&agent.address).await;
    assert!(caught_up["agent_journal_backlog"] < 1.0 && caught_up["agent_journal_degraded"] < 1.0);
    agent.kill();
    let again = Agent::start(&servers, data.path());
    let found = http().get(format!("{}/reports/{refused}", again.address)).send().await.unwrap();
    assert!(found.status().is_success(), "report {refused}, refused by the full disk, is lost");
    again.kill();
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_announced_and_what_is_on_it_is_worked_on() {
    let (servers, world) = start(lab("build-agent-mtkhb0")).await;
    world.lock().unwrap().away = true;
    let data = tempfile::tempdir().unwrap();
    let agent = Agent::start(&servers, data.path());
    let id = post(&agent, &numbered(1)).await["report_id"].as_str().unwrap().to_owned();
    agent.kill();
    let agent = confined(&servers, data.path(), 0);
    let answer = post(&agent, &numbered(2)).await;
    assert_eq!(answer["durable"], false, "{answer}");
    let found = http().get(format!("{}/reports/{id}", agent.address)).send().await.unwrap();
    assert!(found.status().is_success(), "the report of before is worked on");
    agent.kill();
}

#[tokio::test]
async fn a_stop_ends_waits_at_once_and_the_next_start_goes_on() {
    let (servers, world) = start(lab("build-agent-mtkhb0")).await;
    world.lock().unwrap().away = true;
    let data = tempfile::tempdir().unwrap();
    let agent = Agent::start(&servers, data.path());
    let id = post(&agent, &numbered(1)).await["report_id"].as_str().unwrap().to_owned();
    // Somebody watches, somebody waits: neither keeps it from ending.
    let events = http().get(format!("{}/reports/{id}/events", agent.address)).send().await.unwrap();
    let (address, body) = (agent.address.clone(), numbered(1));
    let waits = tokio::spawn(async move {
        let sent = http().post(format!("{address}/report-failure")).json(&body).send().await;
        sent.unwrap().json::<Value>().await.unwrap()
    });
    // The second report is in: it is counted as a repetition of the first.
    let mut seen = String::new();
    let mut events = events;
    while !seen.contains("\"recurrence\":1") {
        seen.push_str(&String::from_utf8_lossy(&events.chunk().await.unwrap().expect("it goes on")));
    }
    let begun = Instant::now();
    let status = tokio::task::spawn_blocking(move || agent.stop()).await.unwrap();
    assert!(
        status.success() && begun.elapsed() < Duration::from_secs(10),
        "{status} after {:?}",
        begun.elapsed()
    );
    assert_eq!(waits.await.unwrap()["outcome"], "pending");
    world.lock().unwrap().away = false;
    let agent = Agent::start(&servers, data.path());
    let mut events = http().get(format!("{}/reports/{id}/events", agent.address)).send().await.unwrap();
    let mut seen = String::new();
    while !seen.contains("\"created\"") {
        seen.push_str(&String::from_utf8_lossy(&events.chunk().await.unwrap().expect("it goes on")));
    }
    agent.kill();
}
