//! Where the results of a run go: user data files, one result file, stdout.

use std::path::PathBuf;

use serde_json::{Value, json};
use tenant_workflow::{
    report::{Ending, Report},
    step::{Change, State},
};

use crate::{
    args::{ResultArgs, UserInfo},
    opening::Workplace,
    order::Vars,
    problem::Problem,
    report::{json::Json, printer::Format},
    user_data::{self, UserData, files::OutputDir, pyyaml},
};

/// Where this run's user data go.
pub(super) enum Results {
    Files(OutputDir),
    File(PathBuf),
    Nowhere,
}

impl Results {
    /// Decides from flags, then the order's `output_dir`; of several tenants each has a folder of its own there.
    pub(super) fn prepare(
        workplace: &Workplace,
        args: &ResultArgs,
        vars: &Vars,
        action: &str,
        guid: &str,
    ) -> Result<Self, Problem> {
        let mut directory = match &args.output_dir {
            Some(directory) => Some(directory.clone()),
            None => vars.text(&["output_dir"])?.map(PathBuf::from),
        };
        if workplace.together.is_some() {
            if args.result_file.is_some() {
                return Err(Problem::usage("--result-file is for one tenant, and there are several")
                    .hint("give --output-dir: each tenant gets a folder of its own there"));
            }
            directory = directory.map(|all| all.join(guid));
        }
        let how = args.user_info.unwrap_or(match (&args.result_file, &directory) {
            (Some(_), _) => UserInfo::Result,
            (None, Some(_)) => UserInfo::Files,
            (None, None) => UserInfo::None,
        });
        Ok(match (how, &args.result_file, directory) {
            (UserInfo::None, ..) => Self::Nowhere,
            (UserInfo::Result, Some(file), _) => Self::File(file.clone()),
            (UserInfo::Result, None, Some(directory)) => {
                Self::File(directory.join(format!("{action}-result.json")))
            }
            (UserInfo::Files, _, Some(path)) => {
                let preserve = vars.flag(&["agnosticd_preserve_user_data"])?.unwrap_or(false);
                Self::Files(OutputDir { path, action: action.to_owned(), preserve })
            }
            (UserInfo::Result | UserInfo::Files, None, None) | (UserInfo::Files, Some(_), None) => {
                workplace
                    .printer
                    .warning("--user-info has no place to write to: give --output-dir or --result-file");
                Self::Nowhere
            }
        })
    }

    /// Writes the user data.
    pub(super) fn write(&self, data: &UserData) -> Result<(), Problem> {
        match self {
            Self::Files(directory) => directory.write(data).map_err(Problem::local),
            Self::File(path) => user_data::result::write(path, data).map_err(Problem::local),
            Self::Nowhere => Ok(()),
        }
    }
}

/// Prints the user data: they are what the command was asked for.
pub(super) fn show(workplace: &Workplace, guid: &str, data: &UserData) {
    match workplace.printer.format() {
        Format::Json => {
            let all = user_data::result::json(data);
            Json::new(workplace.printer.clone()).hand_over("provision", Some(guid), all);
        }
        Format::Text => {
            let mut all = data.data().clone();
            for (_, own) in data.users() {
                all.extend(own.clone());
            }
            let whose =
                if workplace.together.is_some() { format!("# tenant {guid}\n") } else { String::new() };
            workplace.printer.data(&format!("{whose}{}", pyyaml::dump(&all)));
        }
    }
}

/// Prints a look's report as JSON.
pub(super) fn report(workplace: &Workplace, of: &str, guid: &str, report: &Report) {
    Json::new(workplace.printer.clone()).result(of, Some(guid), json!({"steps": steps(report)}));
}

/// What was seen of each step.
pub(super) fn steps(report: &Report) -> Vec<Value> {
    report
        .steps
        .iter()
        .map(|ended| {
            let (state, details) = match &ended.ending {
                Ending::Seen(seen) => (json!(seen.state), json!(seen.details)),
                Ending::Skipped(reason) => (json!(State::Skipped), json!([reason])),
                Ending::Failed(error) | Ending::Blocked { error, .. } => {
                    (json!("unknown"), json!(error.chain()))
                }
                Ending::Done(outcome) => (json!(outcome.change), json!([outcome.summary])),
                Ending::NotStarted(_) => (json!("unknown"), json!([])),
            };
            json!({"step": ended.step, "state": state, "details": details})
        })
        .collect()
}

/// Whether a step did its work (and not: was skipped, looked at, or failed).
pub(super) fn done(ending: &Ending) -> bool {
    matches!(ending, Ending::Done(outcome) if outcome.change != Change::Skipped)
}
