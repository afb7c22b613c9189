//! Single requests are spoiled, in every way there is and at every service: the run gets over it or says what went
//! wrong and ends with the code for that; the next one, undisturbed, always finishes the work.

use std::time::{Duration, Instant};

use tenant_cli::exit::ExitCode;
use tenant_lab::proxy::{Rule, Service, Spoil, Which};

use crate::{program::Ended, world::World};

/// A way to spoil requests of one service, and what a run that meets it comes to.
struct Case {
    spoil: &'static str,
    /// How many requests of the service are spoiled, from the first on.
    times: u64,
    ends: ExitCode,
    says: &'static [&'static str],
}

const fn case(spoil: &'static str, times: u64, ends: ExitCode, says: &'static [&'static str]) -> Case {
    Case { spoil, times, ends, says }
}

/// All of them.
const EVERY: u64 = u64::MAX;

/// Plays the cases with some steps of the recipe, one tenant each.
async fn play(service: Service, steps: &str, cases: &[Case]) {
    let world = World::shared().await;
    for (at, case) in cases.iter().enumerate() {
        let guid = format!("sp{service}{at:02}");
        let spoil: Spoil = case.spoil.parse().expect("a way to spoil a request");
        let proxy = world.proxy(vec![Rule::new(Which::all().to(service).times(case.times), spoil)]);
        // what never comes is waited for as long as the run may last
        let limit = if spoil == Spoil::Freeze { "3s" } else { "60s" };
        let ended = world.through(&proxy, "provision", &guid).args(["--only", steps]).within(limit).run();
        let context = || format!("{service}, {}, {} times:\n{}", case.spoil, case.times, proxy.account());
        assert_eq!(ended.code(), Some(i32::from(case.ends as u8)), "{}{ended}", context());
        for text in case.says {
            assert!(ended.stderr.contains(text), "does not say {text:?}: {}{ended}", context());
        }
        let again = world.provision(&guid, "order.yml").args(["--only", steps]).run();
        assert_eq!(again.code(), Some(0), "undisturbed: {}{again}", context());
        world.destroy(&guid).run().expect(ExitCode::Done);
    }
    let left = world.traces(&format!("sp{service}")).await;
    assert!(left.is_empty(), "there is still\n  {}", left.join("\n  "));
}

#[tokio::test]
async fn litellm() {
    let cases = [
        case("status:500", EVERY, ExitCode::Service, &["create key", "LiteLLM", "it answered 500", "hint: "]),
        case("status:503", 1, ExitCode::Done, &[]),
        case("status:503", EVERY, ExitCode::Service, &["it answered 503", "hint: "]),
        case("status:429", 1, ExitCode::Done, &[]),
        case("status:429:99", EVERY, ExitCode::Busy, &["it answered 429", "asks to wait 99 s", "overloaded"]),
        case("status:401", EVERY, ExitCode::Denied, &["it answered 401", "check the credentials"]),
        case("delay:100ms", EVERY, ExitCode::Done, &[]),
        case("cut", 1, ExitCode::Service, &["the connection broke off", "hint: "]),
        case("cut-after", 1, ExitCode::Service, &["the connection broke off", "hint: "]),
        case("truncate", 1, ExitCode::Service, &["the connection broke off", "hint: "]),
        case("garbage", 1, ExitCode::Service, &["the answer holds no key", "hint: "]),
        case("freeze", 1, ExitCode::TimedOut, &["litellm-key", "timed out", "goes on from here"]),
    ];
    play(Service::Litellm, "litellm-key", &cases).await;
}

#[tokio::test]
async fn keycloak() {
    let cases = [
        case("status:500", EVERY, ExitCode::Service, &["Keycloak", "it answered 500", "hint: "]),
        case("status:503", 1, ExitCode::Done, &[]),
        case("status:429", 1, ExitCode::Done, &[]),
        case("status:429:99", EVERY, ExitCode::Busy, &["it answered 429", "asks to wait 99 s", "overloaded"]),
        case("status:403", EVERY, ExitCode::Denied, &["it answered 403", "check the credentials"]),
        case("delay:100ms", EVERY, ExitCode::Done, &[]),
        case("cut", 1, ExitCode::Service, &["the connection broke off", "hint: "]),
        case("cut-after", 1, ExitCode::Service, &["the connection broke off", "hint: "]),
        case("truncate", 1, ExitCode::Service, &["the connection broke off", "hint: "]),
        case("garbage", 1, ExitCode::Service, &["the answer holds no access_token", "hint: "]),
        case("freeze", 1, ExitCode::TimedOut, &["keycloak-user", "timed out", "goes on from here"]),
    ];
    play(Service::Keycloak, "keycloak-user", &cases).await;
}

#[tokio::test]
async fn gitea() {
    let cases = [
        case("status:500", EVERY, ExitCode::Service, &["gitea-user", "it answered 500", "hint: "]),
        case("status:401", EVERY, ExitCode::Denied, &["it answered 401", "check the credentials"]),
        // the first request only looks, and looks again
        case("cut", 1, ExitCode::Done, &[]),
        case("cut-after", 1, ExitCode::Done, &[]),
        case("cut", EVERY, ExitCode::Service, &["the connection broke off", "hint: "]),
        case("garbage", 1, ExitCode::Service, &["look up user", "hint: "]),
        case("status:429:99", EVERY, ExitCode::Busy, &["it answered 429", "asks to wait 99 s"]),
    ];
    play(Service::Gitea, "namespaces,gitea-instance,gitea-user", &cases).await;
}

#[tokio::test]
async fn the_api_server() {
    let cases = [
        case("status:500", 1, ExitCode::Done, &[]),
        case("status:503", 1, ExitCode::Done, &[]),
        case("status:429", 2, ExitCode::Done, &[]),
        case("status:429:99", EVERY, ExitCode::Busy, &["the API server answered 429", "overloaded"]),
        case("status:401", EVERY, ExitCode::Denied, &["the API server answered 401", "token"]),
        case("status:403", EVERY, ExitCode::Denied, &["the API server answered 403", "hint: "]),
        case("cut", 1, ExitCode::Done, &[]),
        case("cut-after", 1, ExitCode::Done, &[]),
        case("cut", EVERY, ExitCode::Service, &["the connection broke off", "hint: "]),
        case("truncate", 1, ExitCode::Service, &["the connection broke off", "hint: "]),
        case("garbage", 1, ExitCode::Service, &["an answer that is not understood"]),
        case("delay:50ms", 10, ExitCode::Done, &[]),
    ];
    play(Service::Kubernetes, "namespaces", &cases).await;
}

/// A whole provision of which these requests are spoiled, and how long it took.
async fn provision(guid: &str, which: Which, spoil: Spoil, limit: &str) -> (Ended, Duration) {
    let world = World::shared().await;
    let proxy = world.proxy(vec![Rule::new(which, spoil)]);
    let since = Instant::now();
    let ended = world.through(&proxy, "provision", guid).within(limit).run();
    let struck = proxy.exchanges().iter().any(|exchange| exchange.spoil.is_some());
    assert!(struck, "nothing was spoiled:\n{}{ended}", proxy.account());
    (ended, since.elapsed())
}

#[tokio::test]
async fn a_server_that_asks_for_time_is_given_it() {
    let which = Which::all().to(Service::Kubernetes).method("PATCH").path("/limitranges/").times(1);
    let spoil = Spoil::Status { status: 429, retry_after: Some(2) };
    let (ended, took) = provision("after429", which, spoil, "60s").await;
    let ended = ended.expect(ExitCode::Done);
    assert!(took >= Duration::from_secs(2), "it was asked again after {took:?}: {ended}");
    World::shared().await.destroy_without_trace("after429").await;
}

#[tokio::test]
async fn a_token_that_expires_half_way_is_told_as_that() {
    let which = Which::from(60).to(Service::Kubernetes);
    let (ended, _) =
        provision("expires1", which, Spoil::Status { status: 401, retry_after: None }, "20s").await;
    ended.expect(ExitCode::Denied).says(&[
        "the API server answered 401",
        "the token is not valid (any more): get a fresh one and run again",
        "tenant destroy --guid expires1",
    ]);
    World::shared().await.destroy_without_trace("expires1").await;
}

#[tokio::test]
async fn a_watch_that_freezes_is_not_waited_on_for_ever() {
    // each kind's first watch
    let which = Which::all().to(Service::Kubernetes).path("watch=true").times(3);
    let (ended, took) = provision("frozen1", which, Spoil::Freeze, "80s").await;
    let ended = ended.expect(ExitCode::Done);
    assert!(took < Duration::from_secs(75), "it took {took:?}: {ended}");
    World::shared().await.destroy_without_trace("frozen1").await;
}

#[tokio::test]
async fn a_version_that_has_expired_is_listed_anew() {
    for (guid, spoil) in [("gone410", Spoil::Expired), ("gone410event", Spoil::ExpiredEvent)] {
        let which = Which::all().to(Service::Kubernetes).path("watch=true").times(2);
        let (ended, _) = provision(guid, which, spoil, "60s").await;
        ended.expect(ExitCode::Done);
        World::shared().await.destroy_without_trace(guid).await;
    }
}

#[tokio::test]
async fn destroy_that_loses_its_token_says_what_is_left() {
    let world = World::shared().await;
    world.provision("expires2", "order.yml").run().expect(ExitCode::Done);
    let rule =
        Rule::new(Which::from(30).to(Service::Kubernetes), Spoil::Status { status: 401, retry_after: None });
    let proxy = world.proxy(vec![rule]);
    let ended = world.through(&proxy, "destroy", "expires2").within("20s").run();
    assert_ne!(ended.code(), Some(0), "it claims success:\n{}{ended}", proxy.account());
    ended.says(&["the API server answered 401", "get a fresh one"]);
    world.destroy_without_trace("expires2").await;
}
