//! `tenant extend`: the virtual key and the record live longer, never shorter, and nonsense changes nothing.

use serde_json::{Value, json};
use tenant_cli::exit::ExitCode;
use tenant_lab::faults::{Behaviour, StandIn};

use crate::{
    program::{Ended, Program},
    world::World,
};

fn result(ended: &Ended) -> Value {
    let last = ended.stdout.lines().last().unwrap_or_default();
    let document: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ended}"));
    document["data"].clone()
}

fn extend(world: &World, guid: &str, how: &[&str]) -> Program {
    let program = world.program().args(["extend", "--guid", guid, "-o", "json"]);
    program.args(how.iter().copied()).vars(world.platform())
}

/// When `list` says the tenant ends.
fn end(world: &World, guid: &str) -> String {
    let ended =
        world.program().args(["list", "-o", "json"]).vars(world.platform()).run().expect(ExitCode::Done);
    let found = result(&ended);
    let one = found.as_array().and_then(|all| all.iter().find(|one| one["guid"] == guid)).cloned();
    one.and_then(|one| one["ends"].as_str().map(str::to_owned)).unwrap_or_else(|| panic!("no end: {ended}"))
}

fn with_key(world: &World, guid: &str) {
    world.provision(guid, "order.yml").args(["--only", "litellm-key"]).run().expect(ExitCode::Done);
}

#[tokio::test]
async fn a_life_is_lengthened_once_and_never_shortened() {
    let world = World::shared().await;
    with_key(world, "ext1");
    let first = end(world, "ext1"); // the order says three days
    let until = "2099-12-24T18:00:00Z";
    let extended = extend(world, "ext1", &["--until", until]).run().expect(ExitCode::Done);
    let told = result(&extended);
    assert_eq!(told["ends"], until, "{extended}");
    assert_eq!((&told["before"], &told["changed"]), (&json!(first), &json!(true)), "{extended}");
    assert_eq!((&told["key"], &told["key_changed"]), (&json!("virtkey-ext1"), &json!(true)), "{extended}");
    assert_eq!(end(world, "ext1"), until);

    // what LiteLLM says of the key decides whether it is asked again
    for how in [["--until", until], ["--for", "24h"]] {
        let again = extend(world, "ext1", &how).run().expect(ExitCode::Done);
        let told = result(&again);
        assert_eq!((&told["ends"], &told["changed"]), (&json!(until), &json!(false)), "{again}");
        assert_eq!(told["key_changed"], json!(false), "{again}");
    }
    let text = world
        .program()
        .args(["extend", "--guid", "ext1"])
        .vars(world.platform())
        .run()
        .expect(ExitCode::Done);
    assert_eq!(text.stdout, "ext1 lives already until 2099-12-24 18:00:00 UTC\n", "{text}");
    for secret in [world.lab().state().token.trim(), &world.lab().state().litellm_master_key, "sk-"] {
        assert!(!format!("{extended}{text}").contains(secret), "a secret is told: {extended}{text}");
    }
    world.destroy_without_trace("ext1").await;
}

#[tokio::test]
async fn nonsense_is_refused_and_changes_nothing() {
    let world = World::shared().await;
    with_key(world, "ext2");
    let before = end(world, "ext2");
    extend(world, "ext2", &["--until", "2001-01-01"]).run().expect(ExitCode::Usage).says(&["is in the past"]);
    for how in [["--until", "tomorrow"], ["--for", "0h"], ["--for", "2y"], ["--for", "-1h"]] {
        extend(world, "ext2", &how).run().expect(ExitCode::Usage);
    }
    extend(world, "ext2", &["--for", "1h", "--until", "2099-01-01"]).run().expect(ExitCode::Usage);
    let unknown = extend(world, "nobody9", &["--for", "24h"]).run().expect(ExitCode::Usage);
    let unknown = unknown.says(&["no record of a tenant with guid nobody9", "tenant list"]);
    assert!(world.traces("nobody9").await.is_empty(), "{unknown}");

    world.misbehave(StandIn::Litellm, Behaviour::Failing(500), "ext2");
    let failed = extend(world, "ext2", &["--until", "2099-01-01"]).run().expect(ExitCode::Service);
    failed.says(&["virtkey-ext2", "LiteLLM", "500"]);
    world.misbehave(StandIn::Litellm, Behaviour::Normal, "ext2");
    assert_eq!(end(world, "ext2"), before, "it failed and changed the record");
    world.destroy_without_trace("ext2").await;
}
