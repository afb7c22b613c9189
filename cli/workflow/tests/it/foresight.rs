//! A look at what a destroy would remove: selected steps only, and nothing is removed.

use std::sync::Arc;

use tenant_workflow::{
    event::Recorder,
    plan::{Plan, Selection},
    report::Ending,
    step::State,
    walk::{Run, Verb},
};

use crate::{
    script::{Script, World, cast},
    trial::{paused, plan, walk},
};

#[test]
fn what_would_go_is_foreseen_for_the_selected_steps_and_nothing_goes() {
    paused(async {
        let scripts = [Script::new("a", &[]), Script::new("b", &["a"]), Script::new("c", &["b"])];
        let world = World::new();
        walk(Verb::Provision, &plan(&scripts[..2], &world).unwrap(), |_| ()).await;
        let before = world.there();
        let only = |names: &[&str]| Selection {
            only: names.iter().map(ToString::to_string).collect(),
            skip: Vec::new(),
        };
        let plan = Plan::new(cast(&scripts, &world), &only(&["b", "c"])).unwrap();
        let report = Run::new(Arc::new(Recorder::default())).foresee(&plan).await;
        let state = |step: &str| match report.ending(step) {
            Some(Ending::Seen(seen)) => Some(seen.state),
            _ => None,
        };
        assert_eq!((state("b"), state("c")), (Some(State::Present), Some(State::Absent)));
        assert!(report.ending("a").is_none(), "a need that is not selected is not looked at");
        assert_eq!(world.there(), before);
    });
}
