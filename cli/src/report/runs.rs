//! Where the runs of a stream stand: what renderers must remember between events.

use std::{sync::Arc, time::Duration};

use tenant_workflow::{
    event::{Event, EventKind, Listed},
    step::StepId,
    walk::Verb,
};

/// The runs seen so far, in the order they started.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<Run>);

/// A run under way, or the last one of its tenant.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) guid: Option<Arc<str>>,
    pub(super) verb: Verb,
    pub(super) started: Duration,
    pub(super) steps: Vec<Listed>,
    /// How many steps have ended.
    pub(super) ended: usize,
    /// The steps that failed; not those blocked by them.
    pub(super) failed: Vec<StepId>,
    /// The steps at work, in the order they started.
    pub(super) running: Vec<Running>,
    pub(super) stopping: bool,
    pub(super) open: bool,
}

/// A step at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) step: StepId,
    pub(super) since: Duration,
    /// What it waits for; the latest change last.
    pub(super) waits: Vec<Wait>,
}

/// Something waited for, as the event says it.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) what: String,
    pub(super) seen: String,
    pub(super) since: Duration,
}

impl Run {
    /// The title of a step; its name, if the run did not list it.
    pub(super) fn title(&self, step: StepId) -> &'static str {
        self.steps.iter().find(|listed| listed.id == step).map_or(step, |listed| listed.title)
    }

    /// `tenant x1`, or `the tenant` in a run that was not told whose it is.
    pub(super) fn tenant(&self) -> String {
        self.guid.as_deref().map_or_else(|| "the tenant".to_owned(), |guid| format!("tenant {guid}"))
    }

    /// Whether it is read-only.
    pub(super) fn looks(&self) -> bool {
        self.verb == Verb::Look
    }

    fn at_work(&mut self, step: Option<StepId>) -> Option<&mut Running> {
        self.running.iter_mut().find(|running| Some(running.step) == step)
    }
}

impl Runs {
    /// Takes an event in and returns its run; nothing for an event of a run that was never started.
    pub(super) fn follow(&mut self, event: &Event) -> Option<&Run> {
        let place = self.0.iter().position(|run| run.guid == event.guid);
        if let EventKind::RunStarted { verb, steps } = &event.kind {
            let run = Run {
                guid: event.guid.clone(),
                verb: *verb,
                started: event.at,
                steps: steps.clone(),
                ended: 0,
                failed: Vec::new(),
                running: Vec::new(),
                stopping: false,
                open: true,
            };
            place.map(|place| self.0.remove(place));
            self.0.push(run);
            return self.0.last();
        }
        let run = &mut self.0[place?];
        match &event.kind {
            EventKind::StepStarted => {
                let running = event.step.map(|step| Running { step, since: event.at, waits: Vec::new() });
                run.running.extend(running);
            }
            EventKind::StepWaiting { what, seen, since } => {
                if let Some(running) = run.at_work(event.step) {
                    running.waits.retain(|wait| wait.what != *what);
                    running.waits.push(Wait { what: what.clone(), seen: seen.clone(), since: *since });
                }
            }
            EventKind::StepReady { what, .. } => {
                if let Some(running) = run.at_work(event.step) {
                    running.waits.retain(|wait| wait.what != *what);
                }
            }
            EventKind::Cancelled => run.stopping = true,
            EventKind::RunFinished { .. } => run.open = false,
            kind if kind.closes_step() => {
                run.ended += 1;
                run.running.retain(|running| Some(running.step) != event.step);
                if matches!(kind, EventKind::StepFailed { .. }) {
                    run.failed.extend(event.step);
                }
            }
            _ => {}
        }
        Some(run)
    }

    /// How many runs have ended well, and how many not.
    pub(super) fn ended(&self) -> (usize, usize) {
        let ended = self.0.iter().filter(|run| !run.open);
        let failed = ended.clone().filter(|run| !run.failed.is_empty()).count();
        (ended.count() - failed, failed)
    }

    /// When the first run started.
    pub(super) fn since(&self) -> Option<Duration> {
        self.0.iter().map(|run| run.started).min()
    }

    /// The runs under way.
    pub(super) fn open(&self) -> impl Iterator<Item = &Run> {
        self.0.iter().filter(|run| run.open)
    }

    /// The title of a step, in whatever run lists it.
    pub(super) fn title<'a>(&'a self, step: &'a str) -> &'a str {
        let listed = self.0.iter().flat_map(|run| &run.steps).find(|listed| listed.id == step);
        listed.map_or(step, |listed| listed.title)
    }

    /// Width of a column that takes the name of every step.
    pub(super) fn step_width(&self) -> usize {
        let names = self.0.iter().flat_map(|run| &run.steps).map(|listed| listed.id.len());
        names.max().unwrap_or_default()
    }
}
