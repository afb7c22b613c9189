//! Destroy: order, going on after failures, and undoing whatever a provision left.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use tenant_workflow::{
    plan::PlanError,
    report::{Conclusion, Ending},
    step::{Failure, RevertAfter, StepId},
    walk::Verb,
};

use crate::{
    script::{Fault, Moment, Script, World, scripts, subset, tick},
    trial::{paused, plan, play, walk},
};

/// Scripts with orders of removal of every kind, some of which fail to be removed.
fn removals() -> impl Strategy<Value = Vec<Script>> {
    let after = prop_oneof![
        6 => Just(None),
        2 => any::<u8>().prop_map(|mask| Some(RevertAfter::Only(subset(usize::from(mask))))),
        1 => Just(Some(RevertAfter::Everything)),
    ];
    let fault = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Fault::Error(Failure::Service))),
        1 => Just(Some(Fault::Panic)),
    ];
    (scripts(), prop::collection::vec((after, fault), 8)).prop_map(|(mut scripts, drawn)| {
        for (script, (after, fault)) in scripts.iter_mut().zip(drawn) {
            script.revert_after = after.unwrap_or(RevertAfter::Dependents);
            script.revert_fault = fault;
        }
        scripts
    })
}

/// What must be gone before a script, by the words of `RevertAfter`.
fn before(script: &Script, scripts: &[Script]) -> Vec<StepId> {
    let others = scripts.iter().filter(|other| other.id != script.id);
    match script.revert_after {
        RevertAfter::Dependents => {
            others.filter(|other| other.needs.contains(&script.id)).map(|other| other.id).collect()
        }
        RevertAfter::Only(list) => {
            scripts.iter().map(|other| other.id).filter(|id| list.contains(id)).collect()
        }
        RevertAfter::Everything => others.map(|other| other.id).collect(),
    }
}

proptest! {
    /// Everything is reverted exactly once, at the very moment what must go before it has gone, unless one of
    /// those is not gone.
    #[test]
    fn a_failure_blocks_only_what_goes_after_it(scripts in removals(), serial: bool) {
        paused(async {
            let world = World::new();
            let plan = match plan(&scripts, &world) {
                Ok(plan) => plan,
                Err(PlanError::RevertCycle { steps }) => {
                    let waits = |(step, next): (&&str, &&str)| {
                        let script = scripts.iter().find(|script| script.id == *step).unwrap();
                        before(script, &scripts).contains(next)
                    };
                    let mut pairs = steps.iter().zip(steps.iter().cycle().skip(1));
                    prop_assert!(pairs.all(waits), "no circle: {steps:?}");
                    return Ok(());
                }
                Err(other) => panic!("{other}"),
            };
            let trial = walk(Verb::Destroy, &plan, |run| run.serial = serial).await;
            for script in &scripts {
                let first = before(script, &scripts);
                let bad = |id: &&StepId| {
                    matches!(trial.report.ending(id), Some(Ending::Failed(_) | Ending::Blocked { .. }))
                };
                let expected = match (script.skipped, first.iter().any(|id| bad(&id)), script.revert_fault) {
                    (Some(_), _, _) => "skipped",
                    (None, true, _) => "blocked",
                    (None, false, Some(_)) => "failed",
                    (None, false, None) => "done",
                };
                prop_assert_eq!(trial.kind(script.id), expected, "{}", script.id);
                let times = world.began().into_iter().filter(|id| *id == script.id).count();
                prop_assert_eq!(times, usize::from(matches!(expected, "done" | "failed")));
            }
            if !serial {
                let ends: BTreeMap<&str, Duration> = trial
                    .events
                    .iter()
                    .filter(|event| event.kind.closes_step())
                    .map(|event| (event.step.unwrap(), event.at))
                    .collect();
                for script in scripts.iter().filter(|script| world.began().contains(&script.id)) {
                    let begins = before(script, &scripts).iter().map(|id| ends[id]).max().unwrap_or_default();
                    prop_assert_eq!(world.at(Moment::Began, script.id), Some(begins), "{}", script.id);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn serial_is_the_exact_reverse(mut scripts in scripts()) {
        paused(async {
            for script in &mut scripts {
                script.skipped = None;
            }
            let (world, _) = play(Verb::Destroy, &scripts, |run| run.serial = true).await;
            let reversed: Vec<_> = scripts.iter().rev().map(|script| script.id).collect();
            prop_assert_eq!(world.began(), reversed);
            Ok(())
        })?;
    }

    /// However far a provision came – failed at any step, stopped or out of time at any moment – one destroy
    /// takes all of it away.
    #[test]
    fn whatever_is_left_goes(
        mut scripts in scripts(), faulty in 0..8_usize, fault in 0..3_usize, stop in 0..12_u64, serial: bool,
    ) {
        paused(async {
            let faults = [Fault::Error(Failure::Service), Fault::Panic, Fault::Hangs];
            if let Some(script) = scripts.get_mut(faulty) {
                script.apply_fault = Some(faults[fault]);
            }
            let world = World::new();
            let plan = plan(&scripts, &world).unwrap();
            let provision = walk(Verb::Provision, &plan, |run| {
                (run.serial, run.timeout) = (serial, Some(tick(stop) + Duration::from_millis(50)));
            })
            .await;
            let started = world.began();
            prop_assert_eq!(world.there().len(), started.len(), "every step that started has left something");

            world.forget();
            let destroy = walk(Verb::Destroy, &plan, |run| run.serial = serial).await;
            prop_assert_eq!(destroy.report.conclusion(), Conclusion::Done);
            let came_to = provision.endings(&scripts);
            prop_assert!(world.there().is_empty(), "left: {:?} of {came_to}", world.there());
            let applicable = scripts.iter().filter(|script| script.skipped.is_none()).count();
            prop_assert_eq!(world.began().len(), applicable, "each step is reverted once, there or not");
            Ok(())
        })?;
    }
}

#[test]
fn what_goes_after_everything_comes_last_even_in_a_serial_run() {
    paused(async {
        let last = Script { revert_after: RevertAfter::Everything, ..Script::new("b", &[]) };
        let scripts = [Script::new("a", &[]), last, Script::new("c", subset(0b010))];
        let (world, _) = play(Verb::Destroy, &scripts, |run| run.serial = true).await;
        assert_eq!(world.began(), ["c", "a", "b"]);
    });
}

#[test]
fn an_order_of_its_own_lets_a_step_go_early() {
    paused(async {
        let early =
            Script { revert_after: RevertAfter::Only(&["not in this recipe"]), ..Script::new("a", &[]) };
        let user = Script {
            takes: tick(5),
            revert_fault: Some(Fault::Error(Failure::Leftover)),
            ..Script::new("b", subset(1))
        };
        let scripts = [early, user];
        let (world, trial) = play(Verb::Destroy, &scripts, |_| {}).await;
        assert_eq!(trial.endings(&scripts), "done failed:leftover");
        assert_eq!(world.at(Moment::Began, "a"), Some(Duration::ZERO));
    });
}

#[test]
fn the_overall_limit_stops_a_destroy() {
    paused(async {
        let scripts = [
            Script::new("a", &[]),
            Script { takes: tick(9), ..Script::new("b", &[]) },
            Script::new("c", &[]),
        ];
        let (_, trial) = play(Verb::Destroy, &scripts, |run| {
            run.serial = true;
            run.timeout = Some(tick(3));
        })
        .await;
        assert_eq!(trial.endings(&scripts), "not-started failed:timed-out done");
        assert_eq!((trial.ended(), trial.report.worst_failure()), (tick(3), Some(Failure::TimedOut)));
    });
}

#[test]
fn the_worst_failure_speaks_for_the_run() {
    paused(async {
        let fails =
            |id, failure| Script { revert_fault: Some(Fault::Error(failure)), ..Script::new(id, &[]) };
        let scripts =
            [fails("a", Failure::TimedOut), fails("b", Failure::Denied), fails("c", Failure::Service)];
        let (_, trial) = play(Verb::Destroy, &scripts, |_| {}).await;
        assert_eq!(trial.endings(&scripts), "failed:timed-out failed:denied failed:service");
        assert_eq!(trial.report.worst_failure(), Some(Failure::Denied));
    });
}
