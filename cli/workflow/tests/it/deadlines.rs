//! Limits of a run and of a step.

use std::time::Duration;

use proptest::prelude::*;
use tenant_workflow::{report::Ending, step::Failure, walk::Verb};

use crate::{
    script::{Fault, Moment, Script, scripts, subset, tick},
    trial::{paused, play},
};

proptest! {
    /// No step outlives its limit or the run's; one that ends in time is not touched.
    #[test]
    fn nothing_outlives_its_deadline(
        scripts in scripts(), overall in 0..10_u64, own in 0..5_u64, serial: bool,
    ) {
        paused(async {
            // Between ticks, so that nothing ends at the very moment of a limit.
            let overall = tick(overall) + Duration::from_millis(50);
            let own = tick(own) + Duration::from_millis(25);
            let (world, trial) = play(Verb::Provision, &scripts, |run| {
                (run.timeout, run.step_timeout, run.serial) = (Some(overall), Some(own), serial);
            })
            .await;
            prop_assert!(trial.ended() <= overall);
            for script in &scripts {
                let Some(began) = world.at(Moment::Began, script.id) else { continue };
                let limit = overall.min(began + own);
                let in_time = began + script.takes < limit;
                prop_assert_eq!(trial.ending(script.id), if in_time { "done" } else { "failed:timed-out" });
                let end = world.at(if in_time { Moment::Returned } else { Moment::Broken }, script.id);
                prop_assert_eq!(end, Some(limit.min(began + script.takes)));
            }
            if trial.report.worst_failure().is_some() {
                prop_assert_eq!(trial.report.worst_failure(), Some(Failure::TimedOut));
            }
            Ok(())
        })?;
    }
}

#[test]
fn the_error_says_what_was_last_seen() {
    paused(async {
        let scripts = [
            Script { apply_fault: Some(Fault::Hangs), ..Script::new("a", &[]) },
            Script::new("b", subset(1)),
        ];
        let (_, trial) = play(Verb::Provision, &scripts, |run| run.step_timeout = Some(tick(600))).await;
        assert_eq!(trial.endings(&scripts), "failed:timed-out blocked:a");
        let Some(Ending::Failed(error)) = trial.report.ending("a") else { unreachable!() };
        assert_eq!(error.to_string(), "not done after 60.0s, waiting for the script: its time has not come");
    });
}

#[test]
fn a_step_that_notices_the_deadline_itself_is_believed() {
    paused(async {
        let error = Some(Fault::Error(Failure::Leftover));
        let scripts = [Script { takes: tick(3), apply_fault: error, ..Script::new("a", &[]) }];
        let (_, trial) = play(Verb::Provision, &scripts, |run| run.timeout = Some(tick(3))).await;
        assert_eq!(trial.ending("a"), "failed:leftover");
    });
}

#[test]
fn limits_beyond_all_clocks_are_no_limits() {
    paused(async {
        let scripts = [Script::new("a", &[])];
        let (_, trial) = play(Verb::Provision, &scripts, |run| {
            (run.timeout, run.step_timeout, run.grace) =
                (Some(Duration::MAX), Some(Duration::MAX), Duration::MAX);
        })
        .await;
        assert_eq!(trial.ending("a"), "done");
    });
}
