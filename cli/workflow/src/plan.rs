//! A recipe's steps, checked before anything runs: their order in both directions, and which of them to run.

use std::sync::Arc;

use thiserror::Error;

use crate::{
    recipe::nearest,
    step::{RevertAfter, Step, StepId},
};

/// Which steps to run; by default all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `--only`: these and no others, unless empty.
    pub only: Vec<String>,
    /// `--skip`: not these, even if named in `only`.
    pub skip: Vec<String>,
}

/// Why a list of steps cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// A step is listed twice.
    #[error("the recipe lists step `{step}` twice")]
    Duplicate {
        /// The step.
        step: StepId,
    },
    /// A step's need is not in the list.
    #[error("step `{step}` needs step `{need}`, which the recipe does not list")]
    UnmetNeed {
        /// The step.
        step: StepId,
        /// What it needs.
        need: StepId,
    },
    /// A step's need comes after it, so that no serial run could work.
    #[error("step `{step}` needs step `{need}`, which the recipe lists after it")]
    NeedAfterUser {
        /// The step.
        step: StepId,
        /// What it needs.
        need: StepId,
    },
    /// Steps need each other in a circle.
    #[error("steps need each other in a circle: {}", circle(.steps))]
    Cycle {
        /// The circle; the last needs the first.
        steps: Vec<StepId>,
    },
    /// Steps wait for each other's removal in a circle.
    #[error("steps wait for each other's removal in a circle: {}", circle(.steps))]
    RevertCycle {
        /// The circle; the last waits for the first.
        steps: Vec<StepId>,
    },
    /// `--only` or `--skip` names a step that is not in the list.
    #[error("{option} names step `{name}`, which the recipe does not list{}", nearest(.name, .known))]
    Unknown {
        /// The option.
        option: &'static str,
        /// The name.
        name: String,
        /// The steps there are.
        known: Vec<StepId>,
    },
    /// Nothing is left to run.
    #[error("no step is left to run: the recipe is empty, or --only and --skip leave out all of it")]
    Nothing,
}

fn circle(steps: &[StepId]) -> String {
    let around = steps.iter().chain(steps.first());
    around.map(|step| format!("`{step}`")).collect::<Vec<_>>().join(" → ")
}

/// What a walk does with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It runs.
    Runs,
    /// It is left out, but what runs needs it: a walk forward looks at it.
    Guards,
    /// Nothing.
    Out,
}

/// An ordered list of steps that can be walked in every direction.
pub struct Plan {
    pub(crate) steps: Vec<Arc<dyn Step>>,
    pub(crate) parts: Vec<Part>,
    /// Per step, those that must be done before it is applied.
    pub(crate) before_apply: Vec<Vec<usize>>,
    /// Per step, those of the selection that must be gone before it is reverted.
    pub(crate) before_revert: Vec<Vec<usize>>,
}

impl Plan {
    /// Checks the list and the selection.
    pub fn new(steps: Vec<Arc<dyn Step>>, selection: &Selection) -> Result<Self, PlanError> {
        let ids: Vec<StepId> = steps.iter().map(|step| step.id()).collect();
        let place = |id: &str| ids.iter().position(|other| *other == id);
        if let Some((_, &step)) = ids.iter().enumerate().find(|(at, id)| place(id) != Some(*at)) {
            return Err(PlanError::Duplicate { step });
        }
        let mut before_apply = Vec::new();
        for step in &steps {
            let place = |&need: &StepId| place(need).ok_or(PlanError::UnmetNeed { step: step.id(), need });
            before_apply.push(step.needs().iter().map(place).collect::<Result<Vec<_>, _>>()?);
        }
        let named = |cycle: Vec<usize>| cycle.into_iter().map(|at| ids[at]).collect();
        if let Some(cycle) = cycle(&before_apply) {
            return Err(PlanError::Cycle { steps: named(cycle) });
        }
        for (user, needs) in before_apply.iter().enumerate() {
            if let Some(&need) = needs.iter().find(|need| **need > user) {
                return Err(PlanError::NeedAfterUser { step: ids[user], need: ids[need] });
            }
        }
        let before = |(at, step): (usize, &Arc<dyn Step>)| match step.revert_after() {
            RevertAfter::Dependents => {
                (0..ids.len()).filter(|user| before_apply[*user].contains(&at)).collect()
            }
            // A step that this recipe does not list has nothing that would have to be gone.
            RevertAfter::Only(list) => list.iter().filter_map(|id| place(id)).collect(),
            RevertAfter::Everything => (0..ids.len()).filter(|other| *other != at).collect(),
        };
        let mut before_revert: Vec<Vec<usize>> = steps.iter().enumerate().map(before).collect();
        if let Some(cycle) = cycle(&before_revert) {
            return Err(PlanError::RevertCycle { steps: named(cycle) });
        }
        let parts = parts(&ids, &before_apply, selection)?;
        for list in &mut before_revert {
            list.retain(|at| parts[*at] == Part::Runs);
        }
        Ok(Self { steps, parts, before_apply, before_revert })
    }

    /// All steps of the recipe in its order, and whether they are selected.
    pub fn steps(&self) -> impl Iterator<Item = (&Arc<dyn Step>, bool)> {
        self.steps.iter().zip(self.parts.iter().map(|part| *part == Part::Runs))
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.steps.iter().map(|step| step.id()).zip(&self.parts)).finish()
    }
}

fn parts(ids: &[StepId], needs: &[Vec<usize>], selection: &Selection) -> Result<Vec<Part>, PlanError> {
    let Selection { only, skip } = selection;
    for (option, names) in [("--only", only), ("--skip", skip)] {
        if let Some(name) = names.iter().find(|name| !ids.contains(&name.as_str())) {
            return Err(PlanError::Unknown { option, name: name.clone(), known: ids.to_vec() });
        }
    }
    let has = |names: &[String], id: StepId| names.iter().any(|name| name == id);
    let runs = |id: &StepId| (only.is_empty() || has(only, id)) && !has(skip, id);
    let mut parts: Vec<Part> = ids.iter().map(|id| if runs(id) { Part::Runs } else { Part::Out }).collect();
    if !parts.contains(&Part::Runs) {
        return Err(PlanError::Nothing);
    }
    // Needs precede their users, so one pass from the end also reaches the needs of needs, whose facts those
    // in between read.
    for user in (0..ids.len()).rev() {
        if parts[user] != Part::Out {
            for &need in &needs[user] {
                if parts[need] == Part::Out {
                    parts[need] = Part::Guards;
                }
            }
        }
    }
    Ok(parts)
}

/// A circle among nodes that wait for those in `before`; each waits for the next, the last for the first.
fn cycle(before: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut left: Vec<usize> = (0..before.len()).collect();
    loop {
        let free = |node: &usize| !before[*node].iter().any(|other| left.contains(other));
        let stuck: Vec<usize> = left.iter().copied().filter(|node| !free(node)).collect();
        if stuck.len() == left.len() {
            break;
        }
        left = stuck;
    }
    // Every node left waits for another one left: following them must come round.
    let mut path = vec![*left.first()?];
    loop {
        let last = *path.last()?;
        let next = *before[last].iter().find(|other| left.contains(other))?;
        if let Some(start) = path.iter().position(|node| *node == next) {
            return Some(path.split_off(start));
        }
        path.push(next);
    }
}
