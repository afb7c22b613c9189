//! `tenant destroy --dry-run`: what would be removed, step by step; changes nothing, and takes no Lease.

use serde_json::json;
use tenant_workflow::{
    report::{Ending, Report},
    step::State,
};

use super::many;
use crate::{
    args::ChangeArgs,
    exit::ExitCode,
    opening::{Purpose, Workplace},
    order::workloads::Direction,
    problem::Problem,
    record,
    report::{json::Json, printer::Format, tables::Table},
};

/// Says what a destroy would remove.
///
/// # Errors
///
/// Whatever keeps the look from starting; what cannot be looked at is told, and makes the exit code.
pub async fn forecast(workplace: &Workplace, args: &ChangeArgs) -> Result<ExitCode, Problem> {
    let guids = many::guids(&args.tenants)?;
    if guids.is_empty() {
        return one(workplace, args, None).await;
    }
    let mut worst = ExitCode::Done;
    for guid in &guids {
        if guids.len() > 1 && workplace.printer.format() == Format::Text {
            workplace.printer.data(&format!("{guid}:"));
        }
        let code = Box::pin(one(workplace, args, Some(guid))).await?;
        if code.severity() > worst.severity() {
            worst = code;
        }
    }
    Ok(worst)
}

async fn one(workplace: &Workplace, args: &ChangeArgs, guid: Option<&str>) -> Result<ExitCode, Problem> {
    let read = workplace.read(guid, &args.order, args.run.recipe.as_ref())?;
    let cluster = workplace.connect(&args.cluster, &read.vars).await?;
    let opened = workplace.open(&read, cluster, &args.cluster, Purpose::Destroy).await?;
    let selection = super::selection(workplace, &opened.vars, &args.order, &args.run, Direction::Destroy)?;
    let plan = super::plan_of(&read, &opened.ingredients, &selection)?;
    let report = super::run_of(workplace, &read.guid, &args.run).foresee(&plan).await;
    let record = opened.recorded.then(|| record::location(&read.guid).to_string());
    match workplace.printer.format() {
        Format::Text => {
            workplace.printer.table(&Table::forecast(&report));
            workplace.printer.status(&summary(&read.guid, &report, record.as_deref()));
        }
        Format::Json => {
            let steps = super::results::steps(&report);
            let data = json!({"steps": steps, "record": record});
            Json::new(workplace.printer.clone()).result("destroy-dry-run", Some(&read.guid), data);
        }
    }
    workplace.account(Some(&read.guid));
    Ok(super::exit(report.worst_failure()))
}

fn summary(guid: &str, report: &Report, record: Option<&str>) -> String {
    let goes = |ending: &Ending| matches!(ending, Ending::Seen(seen) if seen.state == State::Present);
    let any = report.steps.iter().any(|ended| goes(&ended.ending));
    match (any, record) {
        (false, None) if report.worst_failure().is_none() => {
            format!("nothing of tenant {guid} is there; nothing was changed")
        }
        (_, Some(record)) => format!("{record} goes last; nothing was changed"),
        (_, None) => "nothing was changed".to_owned(),
    }
}
