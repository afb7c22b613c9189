//! Many tenants in one process: each is a run of its own, and none stops the others.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _},
    path::Path,
};

use serde_json::json;
use tenant_workflow::report::{Ending, Report};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    args::GuidsArgs,
    exit::ExitCode,
    names::{Guid, NameError},
    opening::{Together, Workplace},
    problem::Problem,
    report::{json::Json, printer::Format},
};

/// How the work on one tenant ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// For the caller of this process.
    pub(super) code: ExitCode,
    /// What failed and why, in one line; empty if nothing did.
    pub(super) why: String,
}

impl Ended {
    /// As a run's report has it.
    pub(super) fn of(report: &Report, code: ExitCode) -> Self {
        let failed = report.steps.iter().find_map(|step| match &step.ending {
            Ending::Failed(error) => Some(format!("{}: {}", step.step, error.chain().join(": "))),
            _ => None,
        });
        let stopped = || match code {
            ExitCode::Done => String::new(),
            _ => "stopped before its steps had ended".to_owned(),
        };
        Self { code, why: failed.unwrap_or_else(stopped) }
    }
}

/// The guids of the command line and of its file, each once, in order; none where the order itself says it.
pub(super) fn guids(args: &GuidsArgs) -> Result<Vec<String>, Problem> {
    let listed = match args.guids_from.as_deref() {
        None => Vec::new(),
        Some(path) => {
            let listed = parse(&read(path)?);
            if listed.is_empty() && args.guid.is_empty() {
                return Err(Problem::usage(format!("there is no guid in {}", path.display()))
                    .hint("one per line; `#` begins a comment"));
            }
            listed
        }
    };
    let mut seen = BTreeSet::new();
    let all = args.guid.iter().cloned().chain(listed).filter(|guid| seen.insert(guid.clone()));
    // one that is impossible ends it before any of them is touched
    let checked = all.map(|guid| match Guid::new(&guid) {
        Ok(_) => Ok(guid),
        Err(fault) => Err(NameError::Guid { guid, fault }.into()),
    });
    checked.collect()
}

fn read(path: &Path) -> Result<String, Problem> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    text.map_err(|error| {
        Problem::usage(format!("the guids cannot be read from {}: {error}", path.display()))
            .hint("--guids-from names a text file with one guid per line")
    })
}

/// One guid per line; blanks around it and what follows a `#` do not count.
fn parse(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Does `one` to every tenant, some at once; the exit code is the worst of all.
pub(super) async fn each<One, Work>(
    workplace: &Workplace,
    guids: &[String],
    parallel: u16,
    one: One,
) -> ExitCode
where
    One: Fn(Workplace, String) -> Work,
    Work: Future<Output = Result<Ended, Problem>> + Send + 'static,
{
    let epoch = Instant::now();
    let names: Vec<&str> = guids.iter().map(String::as_str).collect();
    let sink = workplace.printer.sink(&names);
    let workplace = Workplace { together: Some(Together { sink, epoch }), ..workplace.clone() };
    let mut waiting = guids.iter();
    let mut under_way = JoinSet::new();
    let mut ended = Vec::new();
    loop {
        while under_way.len() < usize::from(parallel) && !workplace.cancel.is_cancelled() {
            let Some(guid) = waiting.next().cloned() else { break };
            let work = one(workplace.clone(), guid.clone());
            let workplace = workplace.clone();
            under_way.spawn(async move {
                let ended = work.await.unwrap_or_else(|problem| told(&workplace, &guid, problem));
                (guid, ended)
            });
        }
        match under_way.join_next().await {
            Some(Ok(one)) => ended.push(one),
            // a panic has been told where it happened; the tenant is missing from what has ended
            Some(Err(_)) => {}
            None => break,
        }
    }
    // the events come to an end before what is said about all of them
    let printer = workplace.printer.clone();
    workplace.account(None);
    drop(workplace);
    let summary = Summary::new(guids, ended);
    match printer.format() {
        Format::Json => Json::new(printer).result("summary", None, summary.json()),
        Format::Text => summary.lines(epoch.elapsed().as_secs()).iter().for_each(|line| printer.status(line)),
    }
    summary.code()
}

/// Says why the work on a tenant could not begin.
fn told(workplace: &Workplace, guid: &str, problem: Problem) -> Ended {
    let Problem { failure, error, hint } = problem;
    let chain =
        std::iter::successors(Some(&*error as &(dyn std::error::Error + 'static)), |error| error.source());
    let why = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let told = Problem::new(failure, format!("tenant {guid}: {why}"));
    workplace.printer.failure(told.error.as_ref(), hint.as_deref());
    Ended { code: ExitCode::from(failure), why }
}

/// What became of all tenants.
struct Summary {
    all: usize,
    failed: Vec<(String, Ended)>,
}

impl Summary {
    fn new(guids: &[String], mut ended: Vec<(String, Ended)>) -> Self {
        for guid in guids {
            if !ended.iter().any(|(one, _)| one == guid) {
                let why = "not begun".to_owned();
                ended.push((guid.clone(), Ended { code: ExitCode::Interrupted, why }));
            }
        }
        ended.retain(|(_, ended)| ended.code != ExitCode::Done);
        ended.sort_by_key(|(guid, _)| guids.iter().position(|one| one == guid));
        Self { all: guids.len(), failed: ended }
    }

    fn code(&self) -> ExitCode {
        self.failed
            .iter()
            .map(|(_, ended)| ended.code)
            .max_by_key(|code| code.severity())
            .unwrap_or(ExitCode::Done)
    }

    fn lines(&self, seconds: u64) -> Vec<String> {
        let done = self.all - self.failed.len();
        let mut lines = vec![format!("{done} of {} tenants done in {seconds} s", self.all)];
        lines.extend(
            self.failed
                .iter()
                .map(|(guid, Ended { code, why })| format!("{guid} (exit code {}): {why}", *code as u8)),
        );
        if !self.failed.is_empty() {
            lines.push(
                "hint: the same command again goes on with these; for the others there is nothing to do"
                    .to_owned(),
            );
        }
        lines
    }

    fn json(&self) -> serde_json::Value {
        let failed = self
            .failed
            .iter()
            .map(|(guid, Ended { code, why })| json!({"guid": guid, "exit": *code as u8, "why": why}));
        json!({"tenants": self.all, "done": self.all - self.failed.len(), "failed": failed.collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_guids_is_read_as_people_write_it() {
        assert_eq!(parse("x1\n\n  x2  # the second\r\n#x3\nx4"), ["x1", "x2", "x4"]);
        let args = |guid: &[&str]| GuidsArgs {
            guid: guid.iter().map(ToString::to_string).collect(),
            guids_from: None,
            parallel: 1,
        };
        assert_eq!(guids(&args(&["b", "a", "b"])).unwrap(), ["b", "a"], "each once, in the order given");
        assert!(guids(&args(&[])).unwrap().is_empty());
        assert!(guids(&args(&["x1", "X_2"])).unwrap_err().error.to_string().contains("X_2"));
        let missing = GuidsArgs { guids_from: Some("/nowhere/guids".into()), ..args(&[]) };
        assert!(guids(&missing).unwrap_err().error.to_string().contains("/nowhere/guids"));
    }

    #[test]
    fn the_worst_end_counts_and_whoever_was_not_begun_is_named() {
        let guids = ["x1", "x2", "x3", "x4"].map(str::to_owned);
        let ended = |guid: &str, code, why: &str| (guid.to_owned(), Ended { code, why: why.to_owned() });
        let summary = Summary::new(
            &guids,
            vec![
                ended("x3", ExitCode::TimedOut, "gitea-instance: not there"),
                ended("x1", ExitCode::Done, ""),
                ended("x2", ExitCode::Denied, "no"),
            ],
        );
        assert_eq!(summary.code(), ExitCode::Interrupted, "x4 was never begun");
        assert_eq!(
            summary.lines(7),
            [
                "1 of 4 tenants done in 7 s",
                "x2 (exit code 3): no",
                "x3 (exit code 4): gitea-instance: not there",
                "x4 (exit code 130): not begun",
                "hint: the same command again goes on with these; for the others there is nothing to do",
            ]
        );
        assert_eq!(Summary::new(&guids[..1], vec![ended("x1", ExitCode::Done, "")]).code(), ExitCode::Done);
    }
}
