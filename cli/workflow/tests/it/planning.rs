//! Lists that cannot work are refused before anything is touched, and the message says why.

use tenant_workflow::{
    plan::{Plan, Selection},
    step::{RevertAfter, StepId},
};

use crate::{
    script::{Script, World, cast, subset},
    trial::paused,
};

fn refusal(scripts: &[Script], only: &[&str], skip: &[&str]) -> String {
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let selection = Selection { only: own(only), skip: own(skip) };
    paused(async { Plan::new(cast(scripts, &World::new()), &selection).unwrap_err().to_string() })
}

fn after(step: StepId, revert_after: RevertAfter) -> Script {
    Script { revert_after, ..Script::new(step, &[]) }
}

#[test]
fn lists_that_cannot_work() {
    let free = |id| Script::new(id, &[]);
    for (scripts, message) in [
        (vec![free("a"), free("b"), free("a")], "the recipe lists step `a` twice"),
        (vec![Script::new("b", subset(1))], "step `b` needs step `a`, which the recipe does not list"),
        (
            vec![Script::new("b", subset(1)), free("a")],
            "step `b` needs step `a`, which the recipe lists after it",
        ),
        (vec![Script::new("a", subset(1))], "steps need each other in a circle: `a` → `a`"),
        (
            vec![
                free("d"),
                Script::new("a", subset(0b1010)),
                Script::new("b", subset(0b100)),
                Script::new("c", subset(1)),
            ],
            "steps need each other in a circle: `a` → `b` → `c` → `a`",
        ),
        (
            vec![after("a", RevertAfter::Everything), after("b", RevertAfter::Only(&["a"]))],
            "steps wait for each other's removal in a circle: `a` → `b` → `a`",
        ),
        (vec![], "no step is left to run: the recipe is empty, or --only and --skip leave out all of it"),
    ] {
        assert_eq!(refusal(&scripts, &[], &[]), message, "{scripts:?}");
    }
}

#[test]
fn selections_that_cannot_work() {
    let scripts = [Script::new("gitea-user", &[]), Script::new("litellm-key", &[])];
    for (only, skip, message) in [
        (
            vec!["gitea-usr"],
            vec![],
            "--only names step `gitea-usr`, which the recipe does not list: did you mean `gitea-user`?",
        ),
        (vec![], vec!["showroom"], "--skip names step `showroom`, which the recipe does not list"),
        (
            vec!["gitea-user"],
            vec!["gitea-user"],
            "no step is left to run: the recipe is empty, or --only and --skip leave out all of it",
        ),
    ] {
        assert_eq!(refusal(&scripts, &only, &skip), message);
    }
}
