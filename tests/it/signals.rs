//! Stopped in the middle, by a signal or by force, a run can be resumed and a tenant removed.

use std::time::{Duration, Instant};

use tenant_cli::exit::ExitCode;
use tenant_lab::faults::{Behaviour, StandIn};

use crate::world::World;

/// A provision that waits for its Gitea, and will for long.
fn waiting(world: &World, guid: &str) -> crate::program::Running {
    world.misbehave(StandIn::GiteaOperator, Behaviour::Absent, guid);
    let mut running = world.provision(guid, "order.yml").start();
    running.until("waiting for Gitea");
    running
}

async fn stopped(guid: &str, signal: &str, code: ExitCode) {
    let world = World::shared().await;
    let running = waiting(world, guid);
    let since = Instant::now();
    running.signal(signal);
    let ended = running.wait_with(|_| ()).expect(code);
    let took = since.elapsed();
    assert!(took < Duration::from_millis(2500), "it took {took:?} to stop: {ended}");
    ended.says(&["the same command again goes on from here", &format!("tenant destroy --guid {guid}")]);

    world.misbehave(StandIn::GiteaOperator, Behaviour::Normal, guid);
    world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    world.destroy_without_trace(guid).await;
}

#[tokio::test]
async fn interrupted() {
    stopped("sigint1", "INT", ExitCode::Interrupted).await;
}

#[tokio::test]
async fn terminated() {
    stopped("sigterm1", "TERM", ExitCode::Terminated).await;
}

#[tokio::test]
async fn killed() {
    let world = World::shared().await;
    let running = waiting(world, "sigkill1");
    running.signal("KILL");
    let ended = running.wait_with(|_| ());
    assert_eq!(ended.code(), None, "{ended}");
    world.misbehave(StandIn::GiteaOperator, Behaviour::Normal, "sigkill1");
    world.provision("sigkill1", "order.yml").run().expect(ExitCode::Done);
    world.destroy_without_trace("sigkill1").await;
}

#[tokio::test]
async fn a_destroy_is_resumed_too() {
    let world = World::shared().await;
    world.provision("sigdown1", "order.yml").run().expect(ExitCode::Done);
    let mut running = world.destroy("sigdown1").start();
    running.until("started");
    running.signal("INT");
    let ended = running.wait_with(|_| ());
    assert!(matches!(ended.code(), Some(130 | 0)), "{ended}");
    world.destroy_without_trace("sigdown1").await;
}
