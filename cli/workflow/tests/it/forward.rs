//! Provision: order, parallelism, failure.

use proptest::prelude::*;
use tenant_workflow::{
    event::EventKind,
    report::{Conclusion, Ending},
    step::Failure,
    walk::Verb,
};

use crate::{
    script::{Fault, Moment, Script, scripts, subset, tick},
    trial::{paused, play},
};

/// Scripts some of which fail to apply.
fn faulty() -> impl Strategy<Value = Vec<Script>> {
    let fault = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Fault::Error(Failure::Service))),
        1 => Just(Some(Fault::Panic)),
    ];
    (scripts(), prop::collection::vec(fault, 8)).prop_map(|(mut scripts, faults)| {
        scripts.iter_mut().zip(faults).for_each(|(script, fault)| script.apply_fault = fault);
        scripts
    })
}

proptest! {
    /// Each step begins at the very moment its last need ends: never earlier, and never later, so whatever
    /// can overlap does.
    #[test]
    fn a_step_begins_the_moment_its_needs_are_done(scripts in scripts()) {
        paused(async {
            let (world, trial) = play(Verb::Provision, &scripts, |_| {}).await;
            prop_assert_eq!(trial.report.conclusion(), Conclusion::Done);
            let mut ends: Vec<(&str, std::time::Duration)> = Vec::new();
            for script in &scripts {
                let end_of = |need: &&str| ends.iter().find(|(step, _)| step == need).unwrap().1;
                let begins = script.needs.iter().map(end_of).max().unwrap_or_default();
                if script.skipped.is_some() {
                    prop_assert_eq!(world.at(Moment::Began, script.id), None);
                    ends.push((script.id, begins));
                } else {
                    prop_assert_eq!(world.at(Moment::Began, script.id), Some(begins), "{}", script.id);
                    ends.push((script.id, begins + script.takes));
                    let ended = trial.report.steps.iter().find(|ended| ended.step == script.id).unwrap();
                    prop_assert_eq!(ended.took, script.takes);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn serial_is_the_order_of_the_list(scripts in scripts()) {
        paused(async {
            let (world, trial) = play(Verb::Provision, &scripts, |run| run.serial = true).await;
            let expected: Vec<_> = scripts
                .iter()
                .filter(|script| script.skipped.is_none())
                .flat_map(|script| [(Moment::Began, script.id), (Moment::Returned, script.id)])
                .collect();
            let log: Vec<_> = world.log().into_iter().map(|(moment, step, _)| (moment, step)).collect();
            prop_assert_eq!(log, expected);
            prop_assert_eq!(trial.report.conclusion(), Conclusion::Done);
            Ok(())
        })?;
    }

    /// Whatever fails: nothing starts any more, what runs may end, each of the rest says why it did not run.
    #[test]
    fn a_failure_stops_what_has_not_started(scripts in faulty(), serial: bool) {
        paused(async {
            let (world, trial) = play(Verb::Provision, &scripts, |run| run.serial = serial).await;
            let failed = |kind: &EventKind| matches!(kind, EventKind::StepFailed { .. });
            prop_assert_eq!(trial.started_after(failed), Vec::<&str>::new());
            for script in &scripts {
                let began = world.at(Moment::Began, script.id).is_some();
                let needs_bad = script.needs.iter().any(|need| {
                    matches!(trial.report.ending(need), Some(Ending::Failed(_) | Ending::Blocked { .. }))
                });
                match trial.report.ending(script.id).unwrap() {
                    Ending::Done(_) => prop_assert!(began && script.apply_fault.is_none()),
                    Ending::Failed(_) => prop_assert!(began && script.apply_fault.is_some()),
                    Ending::Skipped(_) => prop_assert!(!began && script.skipped.is_some()),
                    Ending::Blocked { by, .. } => {
                        prop_assert!(!began && needs_bad);
                        prop_assert_eq!(trial.kind(by), "failed", "{} is the root", by);
                    }
                    Ending::NotStarted(_) => prop_assert!(!began && !needs_bad),
                    Ending::Seen(_) => prop_assert!(false, "nothing is looked at here"),
                }
            }
            let any_failed = scripts.iter().any(|script| trial.ending(script.id).starts_with("failed"));
            prop_assert_eq!(trial.report.conclusion() == Conclusion::Failed, any_failed);
            Ok(())
        })?;
    }
}

#[test]
fn the_report_names_the_root_and_the_nearest_obstacle() {
    paused(async {
        let broken = Script { apply_fault: Some(Fault::Error(Failure::Denied)), ..Script::new("a", &[]) };
        let scripts = [
            broken,
            Script { takes: tick(2), ..Script::new("b", &[]) },
            Script::new("c", subset(0b001)),
            Script::new("d", subset(0b100)),
            Script::new("e", subset(0b010)),
        ];
        let (_, trial) = play(Verb::Provision, &scripts, |_| {}).await;
        assert_eq!(trial.endings(&scripts), "failed:denied done blocked:a blocked:a not-started");
        let Some(Ending::Blocked { error, .. }) = trial.report.ending("d") else { unreachable!() };
        assert_eq!(error.to_string(), "`d` needs `c`, which is blocked by `a`");
        assert_eq!(trial.report.worst_failure(), Some(Failure::Denied));
        let counts = trial.report.counts();
        assert_eq!((counts.changed, counts.failed, counts.blocked, counts.not_started), (1, 1, 2, 1));
    });
}

#[test]
fn a_panic_is_the_failure_of_its_step() {
    paused(async {
        let scripts = [
            Script { apply_fault: Some(Fault::Panic), ..Script::new("a", &[]) },
            Script { takes: tick(2), ..Script::new("b", &[]) },
            Script { skipped: Some("panic"), ..Script::new("c", &[]) },
        ];
        let (_, trial) = play(Verb::Provision, &scripts, |_| {}).await;
        assert_eq!(trial.endings(&scripts), "failed:internal done failed:internal");
        let Some(Ending::Failed(error)) = trial.report.ending("a") else { unreachable!() };
        assert_eq!(error.chain(), ["step `a` panicked", "a fell over"]);
    });
}

/// The steps share one task; this shows that a run may be spawned, and many at once on several threads.
#[test]
fn many_runs_share_a_runtime() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let runs: Vec<_> = (0..100)
            .map(|_| {
                tokio::spawn(async {
                    let chain = |at: usize| {
                        let needs = subset(if at == 0 { 0 } else { 1 << (at - 1) });
                        Script { takes: tick(0), ..Script::new(crate::script::NAMES[at], needs) }
                    };
                    let scripts: Vec<Script> = (0..8).map(chain).collect();
                    let (world, trial) = play(Verb::Provision, &scripts, |_| {}).await;
                    (world.there().len(), trial.report.conclusion())
                })
            })
            .collect();
        for run in runs {
            assert_eq!(run.await.unwrap(), (8, Conclusion::Done));
        }
    });
}
