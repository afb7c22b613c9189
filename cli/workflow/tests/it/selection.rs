//! `--only` and `--skip`: what is left out but needed is looked at, and blocks its users if it is not there.

use proptest::prelude::*;
use tenant_workflow::{
    plan::{Plan, Selection},
    report::Ending,
    step::{Failure, State},
    walk::Verb,
};

use crate::{
    script::{Fault, Script, World, cast, scripts, subset},
    trial::{Trial, paused, walk},
};

fn select(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn only(verb: Verb, scripts: &[Script], names: &[&str]) -> (Vec<&'static str>, Trial) {
    paused(async {
        let world = World::new();
        let selection = Selection { only: select(names), skip: vec![] };
        let plan = Plan::new(cast(scripts, &world), &selection).unwrap();
        let trial = walk(verb, &plan, |_| {}).await;
        (world.began(), trial)
    })
}

/// `a` ← `b` ← `c`, and `d` by itself; `b` looks as given.
fn scripts_with(state: Option<State>, probe_fault: Option<Fault>) -> [Script; 4] {
    [
        Script { state: Some(State::Present), ..Script::new("a", &[]) },
        Script { probe_fault, state, ..Script::new("b", subset(0b001)) },
        Script::new("c", subset(0b010)),
        Script::new("d", &[]),
    ]
}

#[test]
fn a_need_left_out_must_be_there_as_ordered() {
    for (state, ending, failure, reason) in [
        (State::Present, "done", None, ""),
        (State::Skipped, "done", None, ""),
        (State::Absent, "blocked:b", Some(Failure::Usage), "`c` needs `b`, which is absent"),
        (State::Drifted, "blocked:b", Some(Failure::Usage), "`c` needs `b`, which differs from the order"),
        (State::NotReady, "blocked:b", Some(Failure::TimedOut), "`c` needs `b`, which is not ready"),
    ] {
        let (began, trial) = only(Verb::Provision, &scripts_with(Some(state), None), &["c"]);
        assert_eq!(trial.ending("c"), ending, "{state:?}");
        assert_eq!(trial.report.worst_failure(), failure, "{state:?}");
        let expected: &[_] = if failure.is_none() { &["a", "b", "c"] } else { &["a", "b"] };
        assert_eq!(began, expected, "needs of needs are looked at first, for their facts");
        if let Some(Ending::Blocked { error, .. }) = trial.report.ending("c") {
            assert_eq!(error.to_string(), reason);
            assert_eq!(error.hint.as_deref(), Some("run `b` too: it is left out by --only or --skip"));
        }
    }
}

#[test]
fn a_need_that_cannot_be_looked_at_blocks() {
    let scripts = scripts_with(None, Some(Fault::Error(Failure::Denied)));
    let (_, trial) = only(Verb::Provision, &scripts, &["c"]);
    assert_eq!(trial.endings(&scripts), "present failed:denied blocked:b out");
}

#[test]
fn a_need_that_does_not_apply_is_no_obstacle() {
    let mut scripts = scripts_with(None, None);
    scripts[1].skipped = Some("no such thing here");
    let (_, trial) = only(Verb::Provision, &scripts, &["c"]);
    assert_eq!(trial.endings(&scripts), "present skipped done out");
}

#[test]
fn in_reverse_what_is_left_out_counts_as_gone() {
    let (began, trial) = only(Verb::Destroy, &scripts_with(None, None), &["a", "d"]);
    assert_eq!(began, ["d", "a"]);
    assert_eq!(trial.report.steps.len(), 2);
}

#[test]
fn looking_goes_on_whatever_it_sees() {
    let scripts = scripts_with(None, Some(Fault::Panic));
    let (began, trial) = only(Verb::Look, &scripts, &[]);
    assert_eq!(trial.endings(&scripts), "present failed:internal absent absent");
    assert_eq!(began, ["a", "d", "b", "c"], "a look follows the needs, and is parallel beyond them");
    let (_, trial) = only(Verb::Look, &scripts, &["b"]);
    assert_eq!(trial.endings(&scripts), "present failed:internal out out");
}

proptest! {
    /// What runs is what is selected and whose needs are done or there; what is looked at is exactly what
    /// that needs besides; the world changes in nothing else.
    #[test]
    fn the_rule(mut scripts in scripts(), only: u8, skip: u8, there: u8) {
        paused(async {
            for script in &mut scripts {
                script.skipped = None;
            }
            let chosen = |mask: u8| -> Vec<&'static str> {
                scripts.iter().map(|script| script.id).filter(|id| subset(mask.into()).contains(id)).collect()
            };
            let (only, skip) = (chosen(only), chosen(skip));
            let world = World::new();
            for step in chosen(there) {
                world.put(step);
            }
            let before = world.there();
            let selected = |id: &str| (only.is_empty() || only.contains(&id)) && !skip.contains(&id);
            let selection = Selection { only: select(&only), skip: select(&skip) };
            let Ok(plan) = Plan::new(cast(&scripts, &world), &selection) else {
                prop_assert!(!scripts.iter().any(|script| selected(script.id)), "only nothing is refused");
                return Ok(());
            };
            let trial = walk(Verb::Provision, &plan, |run| run.serial = true).await;
            let mut halted = false;
            for script in &scripts {
                let needed = scripts.iter().any(|user| {
                    user.needs.contains(&script.id) && trial.report.ending(user.id).is_some()
                });
                let needs_bad = script.needs.iter().any(|need| {
                    matches!(trial.kind(need).as_str(), "absent" | "blocked")
                });
                let expected = match (selected(script.id), before.contains(script.id)) {
                    (false, _) if !needed => "out",
                    (true, _) if needs_bad => "blocked",
                    _ if halted => "not-started",
                    (true, _) => "done",
                    (false, true) => "present",
                    (false, false) => "absent",
                };
                prop_assert_eq!(trial.kind(script.id), expected, "{} of {:?}", script.id, plan);
                halted |= expected == "blocked";
                let changed = world.there().contains(script.id) != before.contains(script.id);
                prop_assert!(!changed || expected == "done", "{} changed", script.id);
            }
            Ok(())
        })?;
    }
}
