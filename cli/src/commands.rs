//! The commands: one function each, from resolved arguments to an exit code.

mod destroy;
mod doctor;
mod extend;
mod force;
mod forecast;
mod list;
mod look;
mod many;
mod provision;
mod render;
mod results;

pub use destroy::destroy;
pub use doctor::doctor;
pub use extend::extend;
pub use forecast::forecast;
pub use list::list;
pub use look::{plan, status};
pub use provision::provision;
pub use render::render;

use std::sync::Arc;

use tenant_workflow::{
    plan::{Plan, Selection},
    step::{Failure, StepId},
    walk::Run,
};

use crate::{
    args::{ChangeArgs, OrderArgs, RunArgs},
    cluster::{APPLICATION_SET, Cluster, GITEA, Kind},
    lease::{Lease, Request},
    opening::{Read, Together, Workplace},
    order::{
        Vars,
        workloads::{self, Direction},
    },
    problem::Problem,
    recipe::{self, Ingredients},
};

/// The steps a run is limited to: `--only` and `--skip`, else what the order's workloads stand for.
fn selection(
    workplace: &Workplace,
    vars: &Vars,
    order: &OrderArgs,
    run: &RunArgs,
    direction: Direction,
) -> Result<Selection, Problem> {
    let mut only = run.only.clone();
    if only.is_empty() {
        let chosen = workloads::selection(vars, direction, order.ignore_unknown_workloads)?;
        if let Some(chosen) = chosen {
            for role in &chosen.unknown {
                workplace
                    .printer
                    .warning(&format!("role `{role}` in the order's workloads is not ours: left out"));
            }
            only = chosen.steps.iter().map(|step| (*step).to_owned()).collect();
        }
    }
    Ok(Selection { only, skip: run.skip.clone() })
}

/// Takes the tenant's Lease, so that nobody else changes it meanwhile.
async fn take_lease(
    workplace: &Workplace,
    cluster: &Cluster,
    read: &Read,
    verb: &str,
    args: &ChangeArgs,
) -> Result<Option<Lease>, Problem> {
    let found_namespace = verb == "provision";
    let request = Request { guid: &read.guid, verb, patience: args.lock_timeout, found_namespace };
    Ok(Lease::take(cluster, &request, &workplace.printer, workplace.cancel.clone()).await?)
}

/// Gives the Lease back; that it cannot be is no failure of the run.
async fn give_back(workplace: &Workplace, lease: Option<Lease>) {
    if let Some(lease) = lease
        && let Err(error) = lease.release().await
    {
        workplace.printer.warning(&format!("{error}: the next run waits until the Lease expires"));
    }
}

/// The plan of a tenant's recipe.
fn plan_of(read: &Read, from: &Ingredients, selection: &Selection) -> Result<Plan, Problem> {
    Ok(Plan::new(recipe::steps(&read.recipe, from)?, selection)?)
}

/// How this command walks.
fn run_of(workplace: &Workplace, guid: &str, args: &RunArgs) -> Run {
    let run = match &workplace.together {
        Some(Together { sink, epoch }) => Run { epoch: *epoch, ..Run::new(Arc::clone(sink)) },
        None => Run::new(workplace.printer.sink(&[guid])),
    };
    Run {
        guid: Some(Arc::from(guid)),
        cancel: workplace.cancel.clone(),
        timeout: Some(args.timeout),
        serial: args.serial,
        ..run
    }
}

/// What each step cannot do without.
const REQUIRED: [(StepId, Kind, &str); 2] = [
    ("gitea-instance", GITEA, "install the Gitea operator of rhpds"),
    ("application-sets", APPLICATION_SET, "install Argo CD (OpenShift GitOps)"),
];

/// Checks that the cluster serves what the selected steps need, before any of them touches anything.
fn check_served(cluster: &Cluster, plan: &Plan) -> Result<(), Problem> {
    for (step, kind, remedy) in REQUIRED {
        let wanted =
            plan.steps().any(|(one, selected)| selected && one.id() == step && one.skipped().is_none());
        if wanted && !cluster.serves(&kind) {
            let what = format!(
                "step `{step}` needs {} ({}), which this cluster does not serve",
                kind.kind,
                kind.api_version()
            );
            return Err(Problem::usage(what).hint(format!("{remedy}, or leave the step out: --skip {step}")));
        }
    }
    Ok(())
}

/// Class of a run's failure, as an exit code.
fn exit(failure: Option<Failure>) -> crate::exit::ExitCode {
    failure.map_or(crate::exit::ExitCode::Done, crate::exit::ExitCode::from)
}
