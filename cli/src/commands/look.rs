//! `tenant status` and `tenant plan`: the same read-only walk, told in two ways.

use tenant_workflow::report::Report;

use crate::{
    args::LookArgs,
    exit::ExitCode,
    opening::{Opened, Purpose, Read, Workplace},
    order::workloads::Direction,
    problem::Problem,
    report::{printer::Format, tables::Table},
};

/// Looks at a tenant, step by step.
///
/// # Errors
///
/// Whatever keeps the look from starting.
pub async fn status(workplace: &Workplace, args: &LookArgs) -> Result<ExitCode, Problem> {
    let (read, opened, report) = look(workplace, args).await?;
    match workplace.printer.format() {
        Format::Text => workplace.printer.table(&Table::status(&report)),
        Format::Json => super::results::report(workplace, "status", &read.guid, &report),
    }
    if !opened.recorded {
        workplace
            .printer
            .status(&format!("no record of a tenant with guid {}: looked by its names", read.guid));
    }
    Ok(super::exit(report.worst_failure()))
}

/// Says what provision would do.
///
/// # Errors
///
/// Whatever keeps the look from starting.
pub async fn plan(workplace: &Workplace, args: &LookArgs) -> Result<ExitCode, Problem> {
    let (read, _, report) = look(workplace, args).await?;
    match workplace.printer.format() {
        Format::Text => workplace.printer.table(&Table::plan(&report)),
        Format::Json => super::results::report(workplace, "plan", &read.guid, &report),
    }
    Ok(super::exit(report.worst_failure()))
}

async fn look(workplace: &Workplace, args: &LookArgs) -> Result<(Read, Opened, Report), Problem> {
    let read = workplace.read(args.tenant.guid.as_deref(), &args.order, args.run.recipe.as_ref())?;
    let cluster = workplace.connect(&args.cluster, &read.vars).await?;
    let opened = workplace.open(&read, cluster, &args.cluster, Purpose::Look).await?;
    let selection = super::selection(workplace, &opened.vars, &args.order, &args.run, Direction::Provision)?;
    let plan = super::plan_of(&read, &opened.ingredients, &selection)?;
    let report = super::run_of(workplace, &read.guid, &args.run).look(&plan).await;
    workplace.account(Some(&read.guid));
    Ok((read, opened, report))
}
