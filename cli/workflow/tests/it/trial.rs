//! Runs scripts on a paused clock and checks what must hold for every run.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use tenant_workflow::{
    event::{Event, EventKind, Recorder},
    plan::{Plan, PlanError, Selection},
    report::{Ending, Report},
    step::StepId,
    walk::{Run, Verb},
};

use crate::script::{Script, World, cast};

/// One walk and what came of it.
pub(crate) struct Trial {
    pub(crate) report: Report,
    pub(crate) events: Vec<Event>,
}

/// Runs to the end on a clock that jumps from timer to timer.
pub(crate) fn paused<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}

pub(crate) fn plan(scripts: &[Script], world: &Arc<World>) -> Result<Plan, PlanError> {
    Plan::new(cast(scripts, world), &Selection::default())
}

/// Walks a plan, with `set` applied to the run's settings, and checks the events and the report.
pub(crate) async fn walk(verb: Verb, plan: &Plan, set: impl FnOnce(&mut Run)) -> Trial {
    let recorder = Arc::new(Recorder::default());
    let mut run = Run::new(recorder.clone());
    set(&mut run);
    let report = match verb {
        Verb::Provision => run.provision(plan).await,
        Verb::Destroy => run.destroy(plan).await,
        Verb::Look => run.look(plan).await,
    };
    let trial = Trial { report, events: recorder.events() };
    trial.check();
    trial
}

/// Makes a world and a plan of the scripts, and walks it.
pub(crate) async fn play(verb: Verb, scripts: &[Script], set: impl FnOnce(&mut Run)) -> (Arc<World>, Trial) {
    let world = World::new();
    let plan = plan(scripts, &world).unwrap();
    let trial = walk(verb, &plan, set).await;
    (world, trial)
}

impl Trial {
    /// A step's ending in short: `done`, `skipped`, `present`, `failed:service`, `blocked:a`, `not-started` …
    pub(crate) fn ending(&self, step: &str) -> String {
        let kebab = |value: serde_json::Value| value.as_str().unwrap().to_owned();
        match self.report.ending(step) {
            None => "out".into(),
            Some(Ending::Done(_)) => "done".into(),
            Some(Ending::Seen(seen)) => kebab(serde_json::to_value(seen.state).unwrap()),
            Some(Ending::Skipped(_)) => "skipped".into(),
            Some(Ending::Failed(error)) => {
                format!("failed:{}", kebab(serde_json::to_value(error.failure).unwrap()))
            }
            Some(Ending::Blocked { by, .. }) => format!("blocked:{by}"),
            Some(Ending::NotStarted(_)) => "not-started".into(),
        }
    }

    /// The first word of that.
    pub(crate) fn kind(&self, step: &str) -> String {
        self.ending(step).split(':').next().unwrap().to_owned()
    }

    /// The endings of these steps, in short, separated by spaces.
    pub(crate) fn endings(&self, steps: &[Script]) -> String {
        steps.iter().map(|step| self.ending(step.id)).collect::<Vec<_>>().join(" ")
    }

    /// Steps whose `step-started` comes after the first event that `mark` picks.
    pub(crate) fn started_after(&self, mark: impl Fn(&EventKind) -> bool) -> Vec<StepId> {
        let after = self.events.iter().skip_while(|event| !mark(&event.kind));
        after.filter(|event| event.kind == EventKind::StepStarted).filter_map(|event| event.step).collect()
    }

    /// When the run ended, on the clock of its events.
    pub(crate) fn ended(&self) -> Duration {
        self.events.last().unwrap().at
    }

    fn check(&self) {
        let events = &self.events;
        let show = || {
            events.iter().map(|event| serde_json::to_string(event).unwrap()).collect::<Vec<_>>().join("\n")
        };
        let EventKind::RunStarted { steps, .. } = &events[0].kind else {
            panic!("does not begin with run-started:\n{}", show());
        };
        let finished = |event: &Event| matches!(event.kind, EventKind::RunFinished { .. });
        let begun = |event: &Event| matches!(event.kind, EventKind::RunStarted { .. });
        assert!(events.last().is_some_and(finished), "does not end with run-finished:\n{}", show());
        assert_eq!(events.iter().filter(|event| finished(event) || begun(event)).count(), 2, "{}", show());
        assert!(events.iter().filter(|event| event.kind == EventKind::Cancelled).count() <= 1, "{}", show());
        assert!(events.is_sorted_by_key(|event| event.at), "time runs backwards:\n{}", show());

        let listed: BTreeSet<StepId> = steps.iter().map(|step| step.id).collect();
        let reported: BTreeSet<StepId> = self.report.steps.iter().map(|ended| ended.step).collect();
        assert_eq!(listed, reported, "what is announced is what is reported");
        assert!(events.iter().filter_map(|event| event.step).all(|step| listed.contains(step)), "{}", show());
        for step in listed {
            let own: Vec<&EventKind> =
                events.iter().filter(|event| event.step == Some(step)).map(|event| &event.kind).collect();
            let (last, before) =
                own.split_last().unwrap_or_else(|| panic!("{step} has no events:\n{}", show()));
            let closing = own.iter().filter(|kind| kind.closes_step()).count();
            assert!(last.closes_step() && closing == 1, "{step} does not close once and last:\n{}", show());
            let starts = own.iter().filter(|kind| ***kind == EventKind::StepStarted).count();
            if before.is_empty() {
                assert_eq!(starts, 0, "{}", show());
            } else {
                assert_eq!((starts, before[0]), (1, &EventKind::StepStarted), "{step}:\n{}", show());
            }
        }
    }
}
