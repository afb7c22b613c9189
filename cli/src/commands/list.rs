//! `tenant list`: the tenants that have a record, and what is left of those that have none.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    args::ListArgs,
    cluster::{Cluster, LEASE, SECRET},
    exit::ExitCode,
    lease::{self, Holder},
    names::{Findings, MANAGED_BY_LABEL, MANAGER},
    opening::{self, Purpose, Workplace},
    order::{Argument, Vars, source::Origin},
    orphans::{Grounds, Orphan, Recorded, Removal, Search},
    problem::Problem,
    recipe,
    record::{self, RecordFacts, SYSTEM_NAMESPACE},
    report::{
        json::Json,
        printer::Format,
        tables::{Table, Tenant},
    },
    settings::Settings,
};

/// Stands for a guid where the variables are those of no order.
const ANY_GUID: &str = "any";

/// Lists the tenants that have a record, or what is left without one.
///
/// # Errors
///
/// A cluster that cannot be reached or refuses; for orphans also a service.
pub async fn list(workplace: &Workplace, args: &ListArgs) -> Result<ExitCode, Problem> {
    let arguments: Vec<Argument> = args.extra_vars.iter().cloned().map(Argument::Extra).collect();
    let vars = Vars::read(&arguments, workplace.environment.clone())?;
    let cluster = workplace.connect(&args.cluster, &vars).await?;
    if args.orphans {
        orphans(workplace, args, &vars, cluster).await
    } else {
        tenants(workplace, &cluster).await
    }
}

async fn recorded(cluster: &Cluster) -> Result<Vec<RecordFacts>, Problem> {
    let labels = format!("{MANAGED_BY_LABEL}={MANAGER}");
    let records = cluster.list(&SECRET, SYSTEM_NAMESPACE, &labels).await?;
    Ok(records.iter().filter_map(record::facts).collect())
}

async fn tenants(workplace: &Workplace, cluster: &Cluster) -> Result<ExitCode, Problem> {
    let now = Timestamp::now();
    let labels = format!("{MANAGED_BY_LABEL}={MANAGER}");
    let leases = async { Ok::<_, Problem>(cluster.list(&LEASE, SYSTEM_NAMESPACE, &labels).await?) };
    let (records, leases) = futures::try_join!(recorded(cluster), leases)?;
    let holders: Vec<Holder> = leases.iter().filter_map(|lease| lease::holder(lease, now)).collect();
    let mut tenants: Vec<Tenant> = records.into_iter().map(|facts| tenant(facts, &holders)).collect();
    tenants.sort_by(|one, other| one.guid.cmp(&other.guid));
    match workplace.printer.format() {
        Format::Text if tenants.is_empty() => workplace.printer.status("no tenants on this cluster"),
        Format::Text => workplace.printer.table(&Table::list(&tenants, now)),
        Format::Json => {
            let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
            let all: Vec<Value> = tenants
                .iter()
                .map(|one| {
                    json!({
                        "guid": one.guid, "user": one.user, "state": one.state, "namespaces": one.namespaces,
                        "created": text(one.created), "ends": text(one.ends),
                        "held_by": one.holder.as_ref().map(|holder| holder.name.clone()),
                        "held_since": text(one.holder.as_ref().and_then(|holder| holder.since)),
                    })
                })
                .collect();
            Json::new(workplace.printer.clone()).result("list", None, json!(all));
        }
    }
    Ok(ExitCode::Done)
}

fn tenant(facts: RecordFacts, holders: &[Holder]) -> Tenant {
    Tenant {
        holder: holders.iter().find(|holder| holder.guid == facts.guid).cloned(),
        created: facts.created.parse().ok(),
        ends: facts.ends.and_then(|end| end.parse().ok()),
        guid: facts.guid,
        user: facts.username,
        namespaces: facts.namespaces.len(),
        state: facts.state.to_string(),
    }
}

async fn orphans(
    workplace: &Workplace,
    args: &ListArgs,
    vars: &Vars,
    cluster: Cluster,
) -> Result<ExitCode, Problem> {
    let vars = vars.clone().with("guid", ANY_GUID.to_owned(), Origin::Default);
    let settings = Settings::read(&vars, ANY_GUID, &recipe::read(None)?, &Findings::default())?;
    let domain = opening::domain(&settings, &cluster, Purpose::Destroy).await?;
    let web = workplace.web(&args.cluster, &settings, &domain)?;
    let recorded = Recorded::new(&recorded(&cluster).await?);
    let grounds = Grounds { cluster, settings, domain, web };
    let found = Box::pin(grounds.search(&recorded)).await?;
    match workplace.printer.format() {
        Format::Text => {
            if found.orphans.is_empty() {
                workplace.printer.status("no orphans: everything with our label or naming has a record");
            } else {
                workplace.printer.table(&table(&found));
                workplace.printer.status("give destroy the variables and cluster options of this command");
            }
            for unseen in &found.unseen {
                workplace.printer.status(&format!("not looked at: {unseen}"));
            }
        }
        Format::Json => Json::new(workplace.printer.clone()).result("orphans", None, document(&found)),
    }
    Ok(ExitCode::Done)
}

fn destroy(guid: &str) -> String {
    format!("tenant destroy --guid {guid}")
}

fn table(found: &Search) -> Table {
    let mut table = Table::new(&["GUID", "REMOVED BY", "LEFT BEHIND"]);
    for (guid, group) in &found.orphans {
        for (by, wanted) in [
            (destroy(guid), Removal::Destroy),
            (format!("{}, if no other cluster has it", destroy(guid)), Removal::DestroyIfOurs),
        ] {
            let lines: Vec<&str> =
                group.iter().filter(|one| one.removal == wanted).map(|one| one.what.as_str()).collect();
            if !lines.is_empty() {
                table.row([guid.clone(), by, lines.join("\n")]);
            }
        }
        let by_hand: Vec<String> = group
            .iter()
            .filter_map(|Orphan { what, removal, .. }| match removal {
                Removal::ByHand(command) => Some(format!("{what}: {command}")),
                Removal::Destroy | Removal::DestroyIfOurs => None,
            })
            .collect();
        if !by_hand.is_empty() {
            table.row([guid.clone(), "hand: named so, not labelled".to_owned(), by_hand.join("\n")]);
        }
    }
    table
}

fn document(found: &Search) -> Value {
    let groups: Vec<Value> = found
        .orphans
        .iter()
        .map(|(guid, group)| {
            let left: Vec<Value> = group
                .iter()
                .map(|Orphan { what, removal, .. }| {
                    let command = match removal {
                        Removal::Destroy | Removal::DestroyIfOurs => destroy(guid),
                        Removal::ByHand(command) => command.clone(),
                    };
                    let certain = *removal == Removal::Destroy;
                    json!({"what": what, "remove": command, "certainly_ours": certain})
                })
                .collect();
            json!({"guid": guid, "left": left})
        })
        .collect();
    json!({"orphans": groups, "not_looked_at": found.unseen})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_left_is_told_with_what_removes_it() {
        let orphan = |what: &str, removal| Orphan { guid: "x1".to_owned(), what: what.to_owned(), removal };
        let group = vec![
            orphan("Namespace a", Removal::Destroy),
            orphan("key virtkey-x1 at LiteLLM", Removal::DestroyIfOurs),
            orphan("Namespace b", Removal::ByHand("kubectl delete namespaces b".to_owned())),
        ];
        let found =
            Search { orphans: BTreeMap::from([("x1".to_owned(), group)]), unseen: vec!["keys".to_owned()] };
        let document = document(&found);
        let left = &document["orphans"][0]["left"];
        assert_eq!(
            left[0],
            json!({"what": "Namespace a", "remove": "tenant destroy --guid x1", "certainly_ours": true})
        );
        assert_eq!(left[1]["certainly_ours"], false);
        assert_eq!(left[2]["remove"], "kubectl delete namespaces b");
        assert_eq!(document["not_looked_at"], json!(["keys"]));
    }
}
