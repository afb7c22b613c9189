//! Parts of a recipe, and recipes of one's own.

use serde_json::Value;
use tenant_cli::exit::ExitCode;

use crate::world::World;

/// The steps of a run with `-o json`, in the order of their events of one kind.
fn steps(stdout: &str, kind: &str) -> Vec<String> {
    let lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines
        .filter(|line| line["kind"] == kind)
        .filter_map(|line| Some(line["step"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test]
async fn one_step_and_the_rest_later() {
    let world = World::shared().await;
    let only = world.provision("part1", "order.yml").args(["--only", "litellm-key", "-o", "json"]).run();
    let only = only.expect(ExitCode::Done);
    assert_eq!(steps(&only.stdout, "step-finished"), ["litellm-key"], "{only}");
    let snapshot = world.snapshot().await;
    assert!(!snapshot.objects.contains_key("namespaces agent-user-part1"), "more than the key was made");

    let ended = world.provision("part1", "order.yml").args(["--only", "gitea-user"]).run();
    ended.expect(ExitCode::Usage).says(&["run `gitea-instance` too"]);

    // what is left out must be there already: the key is
    let ended = world.provision("part1", "order.yml").args(["--skip", "litellm-key,showroom"]).run();
    let ended = ended.expect(ExitCode::Done);
    assert!(!ended.stdout.contains("lab_ui_url"), "data of a step that did not run: {ended}");

    let ended = world.destroy("part1").args(["--only", "litellm-key"]).run().expect(ExitCode::Done);
    let snapshot = world.snapshot().await;
    assert!(!snapshot.inventory.litellm_keys.contains(&"virtkey-part1".to_owned()), "{ended}");
    assert!(snapshot.objects.contains_key("namespaces agent-user-part1"), "{ended}");
    world.destroy_without_trace("part1").await;
}

#[tokio::test]
async fn one_step_at_a_time() {
    let world = World::shared().await;
    let ended = world.provision("serial1", "order.yml").args(["--serial", "-o", "json"]).run();
    let ended = ended.expect(ExitCode::Done);
    let recipe = tenant_cli::steps::DEFAULT_RECIPE;
    assert_eq!(steps(&ended.stdout, "step-started"), recipe, "{ended}");
    assert_eq!(steps(&ended.stdout, "step-finished"), recipe, "{ended}");
    let ended = world.destroy("serial1").args(["--serial", "-o", "json"]).run().expect(ExitCode::Done);
    let backwards: Vec<_> = recipe.into_iter().rev().collect();
    assert_eq!(steps(&ended.stdout, "step-finished"), backwards, "{ended}");
    assert_eq!(world.traces("serial1").await, Vec::<String>::new());
}

#[tokio::test]
async fn steps_that_do_not_exist() {
    let world = World::shared().await;
    for flag in ["--only", "--skip"] {
        let ended = world.provision("typo1", "order.yml").args([flag, "litelm-key"]).run();
        ended.expect(ExitCode::Usage).says(&["litelm-key"]);
    }
    assert_eq!(world.traces("typo1").await, Vec::<String>::new());
}

#[tokio::test]
async fn recipes_that_cannot_work_touch_nothing() {
    let world = World::shared().await;
    for (name, recipe, told) in [
        ("unknown", "- step: keycloak-user\n- step: gitea\n", "gitea"),
        ("unmet", "- step: gitea-instance\n", "namespaces"),
        ("twice", "- step: namespaces\n- step: namespaces\n", "namespaces"),
        ("no-list", "steps: all\n", "recipe"),
        ("empty", "[]\n", "recipe"),
        ("broken", "- step: [\n", "line 2"),
        ("settings", "- step: console-embed\n  settings: none\n", "console-embed"),
    ] {
        let file = world.write(&format!("recipe-{name}.yml"), recipe);
        let ended = world.provision("recipe1", "order.yml").arg("--recipe").arg(file).run();
        let ended = ended.expect(ExitCode::Usage).says(&["error: ", told]);
        assert!(ended.stderr.lines().count() <= 3, "more than a line: {ended}");
    }
    assert_eq!(world.traces("recipe1").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_recipe_of_ones_own() {
    let world = World::shared().await;
    let recipe = "- step: litellm-key\n  settings:\n    ocp4_workload_litellm_virtual_keys_duration: 7d\n- step: console-embed\n";
    let file = world.write("recipe-own.yml", recipe);
    // the order's roles stand for more steps than this recipe has
    let order = world.write("bare.yml", "email: student@example.com\n");
    let program = world.command("provision", "recipe2").vars(&order).arg("--recipe").arg(file);
    let ended = program.args(["-o", "json"]).run().expect(ExitCode::Done);
    let mut done = steps(&ended.stdout, "step-finished");
    done.sort();
    assert_eq!(done, ["console-embed", "litellm-key"], "{ended}");
    assert!(
        ended.stdout.contains("\"litellm_key_duration\":\"7d\""),
        "the recipe's setting is lost: {ended}"
    );
    world.destroy_without_trace("recipe2").await;
}
