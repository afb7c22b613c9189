//! `tenant provision`.

use std::sync::Arc;

use tenant_workflow::plan::Plan;

use super::many::{self, Ended};
use crate::{
    args::ChangeArgs,
    cluster::Cluster,
    exit::ExitCode,
    opening::{Opened, Purpose, Read, Workplace},
    order::workloads::Direction,
    outputs,
    problem::Problem,
};

/// Sets tenants up, or resumes or repairs them.
///
/// # Errors
///
/// Whatever keeps the run from starting; what fails on the way is told by its events and the exit code.
pub async fn provision(workplace: &Workplace, args: &ChangeArgs) -> Result<ExitCode, Problem> {
    let guids = many::guids(&args.tenants)?;
    if let [] | [_] = guids.as_slice() {
        return Ok(one(workplace, args, guids.first().map(String::as_str)).await?.code);
    }
    let args = Arc::new(args.clone());
    let work = |workplace: Workplace, guid: String| {
        let args = Arc::clone(&args);
        async move { one(&workplace, &args, Some(&guid)).await }
    };
    Ok(many::each(workplace, &guids, args.tenants.parallel, work).await)
}

async fn one(workplace: &Workplace, args: &ChangeArgs, guid: Option<&str>) -> Result<Ended, Problem> {
    let read = workplace.read(guid, &args.order, args.run.recipe.as_ref())?;
    let cluster = workplace.connect(&args.cluster, &read.vars).await?.patient(args.run.wait_timeout);
    let (opened, plan) = prepare(workplace, args, &read, &cluster).await?;
    let lease = super::take_lease(workplace, &cluster, &read, "provision", args).await?;
    let ended = run(workplace, args, &read, opened, plan).await;
    super::give_back(workplace, lease).await;
    ended
}

/// Opens the tenant and checks all that can be checked without touching anything.
async fn prepare(
    workplace: &Workplace,
    args: &ChangeArgs,
    read: &Read,
    cluster: &Cluster,
) -> Result<(Opened, Plan), Problem> {
    let opened = workplace.open(read, cluster.clone(), &args.cluster, Purpose::Provision).await?;
    let selection = super::selection(workplace, &opened.vars, &args.order, &args.run, Direction::Provision)?;
    let plan = super::plan_of(read, &opened.ingredients, &selection)?;
    super::check_served(cluster, &plan)?;
    let key = &opened.ingredients.settings.litellm_key;
    if let Some(missing) = key.missing()
        && plan.steps().any(|(step, selected)| selected && step.id() == "litellm-key")
    {
        return Err(Problem::usage(format!("`{missing}` is not set, and step `litellm-key` needs it"))
            .hint("set it in the order, or leave the step and what needs it out with --skip"));
    }
    Ok((opened, plan))
}

async fn run(
    workplace: &Workplace,
    args: &ChangeArgs,
    read: &Read,
    opened: Opened,
    plan: Plan,
) -> Result<Ended, Problem> {
    let (opened, plan) = if opened.tenant.record.is_current().await? {
        (opened, plan)
    } else {
        // whoever held the tenant before us changed it
        prepare(workplace, args, read, &opened.tenant.cluster).await?
    };
    let tenant = &opened.tenant;
    let results =
        super::results::Results::prepare(workplace, &args.results, &opened.vars, "provision", &read.guid)?;
    // every identity and password is on record before anything is created with it
    let selected = plan.steps().filter(|(_, selected)| *selected).map(|(step, _)| step.id());
    tenant.record.begin(selected).await?;
    let report = super::run_of(workplace, &read.guid, &args.run).provision(&plan).await;
    let ran = |step| report.ending(step).is_some_and(super::results::done);
    let data = outputs::user_data(tenant, &opened.ingredients.order, ran);
    tenant.record.settle(report.worst_failure().is_none()).await?;
    results.write(&data)?;
    workplace.account(Some(&read.guid));
    if report.worst_failure().is_none() {
        super::results::show(workplace, &read.guid, &data);
    }
    Ok(Ended::of(&report, super::exit(report.worst_failure())))
}
