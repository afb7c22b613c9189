//! `tenant list`.

use serde_json::json;

use crate::{
    args::ListArgs,
    cluster::SECRET,
    exit::ExitCode,
    names::{MANAGED_BY_LABEL, MANAGER},
    opening::Workplace,
    order::{Argument, Vars},
    problem::Problem,
    record::{self, SYSTEM_NAMESPACE},
    report::{
        json::Json,
        printer::Format,
        tables::{Table, Tenant},
    },
    rights::{Right, Verb},
};

/// What listing takes.
pub(crate) const RIGHTS: &[Right] = &[Right::on(SECRET, &[Verb::List])];

/// Lists the tenants that have a record.
///
/// # Errors
///
/// A cluster that cannot be reached or refuses.
pub async fn list(workplace: &Workplace, args: &ListArgs) -> Result<ExitCode, Problem> {
    let arguments: Vec<Argument> = args.extra_vars.iter().cloned().map(Argument::Extra).collect();
    let vars = Vars::read(&arguments, workplace.environment.clone())?;
    let cluster = workplace.connect(&args.cluster, &vars).await?;
    let labels = format!("{MANAGED_BY_LABEL}={MANAGER}");
    let records = cluster.list(&SECRET, SYSTEM_NAMESPACE, &labels).await?;
    let mut tenants: Vec<Tenant> = records
        .iter()
        .filter_map(record::facts)
        .map(|facts| Tenant {
            guid: facts.guid,
            user: facts.username,
            created: facts.created.parse().ok(),
            namespaces: facts.namespaces.len(),
            state: facts.state.to_string(),
        })
        .collect();
    tenants.sort_by(|one, other| one.guid.cmp(&other.guid));
    match workplace.printer.format() {
        Format::Text => workplace.printer.table(&Table::list(&tenants, jiff::Timestamp::now())),
        Format::Json => {
            let all: Vec<_> = tenants
                .iter()
                .map(|one| {
                    json!({
                        "guid": one.guid, "user": one.user, "state": one.state, "namespaces": one.namespaces,
                        "created": one.created.map(|created| created.to_string()),
                    })
                })
                .collect();
            Json::new(workplace.printer.clone()).result("list", None, json!(all));
        }
    }
    Ok(ExitCode::Done)
}
