//! Told to stop: nothing new starts, running steps get their grace, the run ends.

use proptest::prelude::*;
use tenant_workflow::{
    event::EventKind,
    report::{Conclusion, Ending},
    step::Failure,
    walk::Verb,
};
use tokio::time::{Instant, sleep_until};

use crate::{
    script::{Fault, Moment, Script, scripts, subset, tick},
    trial::{paused, play},
};

proptest! {
    /// At whatever moment, in whatever direction.
    #[test]
    fn a_stop_is_heeded_within_the_grace(
        mut scripts in scripts(),
        (stop, grace, hangs) in (0..12_u64, 0..3_u64, 0..12_usize),
        verb in 0..3_usize,
        serial: bool,
    ) {
        paused(async {
            let verb = [Verb::Provision, Verb::Destroy, Verb::Look][verb];
            if let Some(script) = scripts.get_mut(hangs) {
                let fault = Some(Fault::Hangs);
                (script.apply_fault, script.revert_fault, script.probe_fault) = (fault, fault, fault);
            }
            let (world, trial) = play(verb, &scripts, |run| {
                (run.grace, run.serial) = (tick(grace), serial);
                let (cancel, moment) = (run.cancel.clone(), Instant::now() + tick(stop));
                if stop == 0 {
                    cancel.cancel();
                } else {
                    tokio::spawn(async move {
                        sleep_until(moment).await;
                        cancel.cancel();
                    });
                }
            })
            .await;
            let told = trial.events.iter().find(|event| event.kind == EventKind::Cancelled);
            let told = told.map(|event| event.at);
            prop_assert_eq!(trial.started_after(|kind| *kind == EventKind::Cancelled), Vec::<&str>::new());
            if let Some(told) = told {
                prop_assert_eq!(told, tick(stop));
                prop_assert!(trial.ended() <= told + tick(grace), "ended at {:?}", trial.ended());
            }
            let mut cut = false;
            for script in &scripts {
                let began = world.at(Moment::Began, script.id);
                let returned = world.at(Moment::Returned, script.id);
                let broken = world.at(Moment::Broken, script.id);
                match trial.report.ending(script.id).unwrap() {
                    Ending::Done(_) | Ending::Seen(_) => prop_assert!(returned.is_some()),
                    Ending::Skipped(_) => prop_assert!(script.skipped.is_some()),
                    Ending::NotStarted(why) => {
                        prop_assert_eq!((began, *why), (None, Failure::Interrupted));
                        cut = true;
                    }
                    Ending::Failed(error) => {
                        prop_assert_eq!(error.failure, Failure::Interrupted);
                        prop_assert!(told.is_some());
                        if script.obeys && returned.is_some() {
                            prop_assert_eq!(returned, told, "an obedient step returns at once");
                        } else {
                            let patience_ends = told.map(|told| told + tick(grace));
                            prop_assert_eq!(broken, patience_ends, "others are dropped");
                        }
                        cut = true;
                    }
                    Ending::Blocked { .. } => prop_assert!(false, "interrupted is not blocked"),
                }
            }
            prop_assert_eq!(trial.report.conclusion() == Conclusion::Interrupted, cut);
            Ok(())
        })?;
    }
}

#[test]
fn a_step_dropped_after_its_grace_says_what_it_waited_for() {
    paused(async {
        let scripts = [Script { takes: tick(100), ..Script::new("a", &[]) }, Script::new("b", subset(1))];
        let (_, trial) = play(Verb::Provision, &scripts, |run| run.cancel.cancel()).await;
        assert_eq!((trial.endings(&scripts).as_str(), trial.ended()), ("not-started not-started", tick(0)));

        let (_, trial) = play(Verb::Provision, &scripts, |run| {
            let cancel = run.cancel.clone();
            tokio::spawn(async move {
                sleep_until(Instant::now() + tick(1)).await;
                cancel.cancel();
            });
        })
        .await;
        assert_eq!(
            (trial.endings(&scripts).as_str(), trial.ended()),
            ("failed:interrupted not-started", tick(21))
        );
        let Some(Ending::Failed(error)) = trial.report.ending("a") else { unreachable!() };
        assert_eq!(error.to_string(), "stopped after 2.1s, waiting for the script: its time has not come");
    });
}

#[test]
fn what_ends_well_in_its_grace_has_ended_well() {
    paused(async {
        let scripts = [Script { takes: tick(2), ..Script::new("a", &[]) }];
        let (_, trial) = play(Verb::Provision, &scripts, |run| {
            let cancel = run.cancel.clone();
            run.grace = tick(1);
            tokio::spawn(async move {
                sleep_until(Instant::now() + tick(1)).await;
                cancel.cancel();
            });
        })
        .await;
        assert_eq!((trial.ending("a").as_str(), trial.report.conclusion()), ("done", Conclusion::Done));
    });
}
