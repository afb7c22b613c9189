//! `tenant doctor`.

use serde_json::{Value, json};

use crate::{
    args::DoctorArgs,
    doctor::{Finding, Patient, Verdict},
    exit::ExitCode,
    names::{self, Findings, NameError, Names},
    opening::{self, Purpose, Workplace},
    order::source::Origin,
    problem::Problem,
    recipe,
    report::{json::Json, printer::Format, tables::Table, wording::counted},
    rights::role,
    settings::Settings,
};

/// Stands for the guid of an order that has none yet: what is checked does not depend on it.
const ANY_GUID: &str = "any";

/// Checks a cluster and the services beside it; writes nothing.
///
/// # Errors
///
/// What is wrong with the variables, and a cluster that does not answer.
pub async fn doctor(workplace: &Workplace, args: &DoctorArgs) -> Result<ExitCode, Problem> {
    if args.print_rbac {
        match workplace.printer.format() {
            Format::Text => workplace.printer.data(&role::yaml()),
            Format::Json => Json::new(workplace.printer.clone()).result("rbac", None, role::object()),
        }
        return Ok(ExitCode::Done);
    }
    let (vars, given) = workplace.variables(&args.order)?;
    let guid = match names::guid(args.tenant.guid.as_deref(), &vars) {
        Ok(guid) => Some(guid.to_string()),
        Err(NameError::NoGuid) => None,
        Err(error) => return Err(error.into()),
    };
    let used = guid.clone().unwrap_or_else(|| ANY_GUID.to_owned());
    let vars = vars.with("guid", used.clone(), Origin::Flag("--guid"));
    let settings = Settings::read(&vars, &used, &recipe::read(None)?, &Findings::default())?;
    for warning in settings.names.warnings() {
        workplace.printer.warning(warning);
    }

    let cluster = workplace.connect(&args.cluster, &vars).await?;
    let domain = opening::domain(&settings, &cluster, Purpose::Destroy).await?;
    let web = workplace.web(&args.cluster, &settings, &domain)?;
    let order = order(given, guid.as_deref(), &settings.names);
    let patient = Patient { cluster, settings, domain: (!domain.is_empty()).then_some(domain), web };
    let mut findings = vec![order];
    findings.extend(patient.examine().await);
    show(workplace, guid.as_deref(), &findings);
    Ok(super::exit(findings.iter().filter_map(Finding::failure).max()))
}

/// What was given to check, and what that leaves unchecked.
fn order(given: bool, guid: Option<&str>, names: &Names) -> Finding {
    const CHECK: &str = "order";
    match (given, guid) {
        (false, _) => Finding::unchecked(
            CHECK,
            "no variables were given: services are looked for where they usually are",
            "give the order's variables as for provision: -e @order.yml",
        ),
        (true, None) => Finding::unchecked(
            CHECK,
            "no guid was given: whether its names are possible is not known",
            "give it with --guid",
        ),
        (true, Some(guid)) => {
            let namespaces = names.namespaces().count();
            let user = names.username();
            Finding::good(CHECK, format!("{guid} makes user {user} and {}", counted(namespaces, "namespace")))
        }
    }
}

fn show(workplace: &Workplace, guid: Option<&str>, findings: &[Finding]) {
    let count = |wanted: fn(&Verdict) -> bool| findings.iter().filter(|one| wanted(&one.verdict)).count();
    let problems = count(|verdict| matches!(verdict, Verdict::Problem(_)));
    let warnings = count(|verdict| *verdict == Verdict::Warning);
    let unchecked = count(|verdict| *verdict == Verdict::Unchecked);
    match workplace.printer.format() {
        Format::Json => {
            let all: Vec<Value> = findings.iter().map(Finding::json).collect();
            let data = json!({
                "findings": all, "problems": problems, "warnings": warnings, "not_checked": unchecked,
            });
            Json::new(workplace.printer.clone()).result("doctor", guid, data);
        }
        Format::Text => {
            let mut table = Table::new(&["CHECK", "VERDICT", "FINDING"]);
            for Finding { check, verdict, says, remedy } in findings {
                let remedy = remedy.iter().map(|remedy| format!("\n  remedy: {remedy}"));
                let text = std::iter::once(says.replace('\n', " ")).chain(remedy).collect();
                table.row([(*check).to_owned(), verdict.word().to_owned(), text]);
            }
            workplace.printer.table(&table);
            workplace.printer.status(&format!(
                "{}, {}, {unchecked} not checked",
                counted(problems, "problem"),
                counted(warnings, "warning"),
            ));
        }
    }
}
