//! Tables: what `status`, `plan` and `list` found.

use std::time::Duration;

use jiff::Timestamp;
use tenant_kit::secret::Redactor;
use tenant_workflow::{
    report::{Ending, Report},
    step::{Outcome, State},
};

use super::{
    entry,
    printer::bold,
    wording::{duration, line},
};
use crate::lease::Holder;

/// Rows of cells under headings. The last column's cells may have several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    headings: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

/// A tenant as `list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The order's guid.
    pub guid: String,
    /// The user's name.
    pub user: String,
    /// When it was first provisioned, if known.
    pub created: Option<Timestamp>,
    /// When its life is over, if known.
    pub ends: Option<Timestamp>,
    /// How many namespaces it has.
    pub namespaces: usize,
    /// The state in one word.
    pub state: String,
    /// Who works on it, if anybody.
    pub holder: Option<Holder>,
}

impl Table {
    /// An empty table.
    pub fn new(headings: &'static [&'static str]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row; cells that are missing at its end stay empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// `status`: what a look found, step by step.
    pub fn status(report: &Report) -> Self {
        let mut table = Self::new(&["STEP", "STATE", "DETAILS"]);
        for ended in &report.steps {
            let (state, details) = match &ended.ending {
                Ending::Seen(seen) => (entry::state(seen.state), seen.details.join("\n")),
                other => unseen(other),
            };
            table.row([ended.step.to_owned(), state.to_owned(), details]);
        }
        table
    }

    /// `plan`: what a provision would do, judged by what a look found.
    pub fn plan(report: &Report) -> Self {
        let mut table = Self::new(&["STEP", "ACTION", "DETAILS"]);
        for ended in &report.steps {
            let (action, details) = match &ended.ending {
                Ending::Seen(seen) => {
                    let action = match seen.state {
                        State::Absent => "create",
                        State::Drifted => "change",
                        State::Present => "nothing",
                        State::NotReady => "wait",
                        State::Skipped => "skip",
                    };
                    (action, seen.details.join("\n"))
                }
                Ending::Skipped(reason) => ("skip", reason.clone()),
                other => ("unknown", unseen(other).1),
            };
            table.row([ended.step.to_owned(), action.to_owned(), details]);
        }
        table
    }

    /// `destroy --dry-run`: what a destroy would do, judged by what is there.
    pub fn forecast(report: &Report) -> Self {
        let mut table = Self::new(&["STEP", "ACTION", "DETAILS"]);
        for ended in &report.steps {
            let (action, details) = match &ended.ending {
                Ending::Seen(seen) => {
                    let action = match seen.state {
                        State::Absent => "nothing",
                        State::Present | State::Drifted | State::NotReady => "remove",
                        State::Skipped => "skip",
                    };
                    (action, seen.details.join("\n"))
                }
                Ending::Skipped(reason) => ("skip", reason.clone()),
                other => ("unknown", unseen(other).1),
            };
            table.row([ended.step.to_owned(), action.to_owned(), details]);
        }
        table
    }

    /// `list`: the tenants there are, and how old they are now.
    pub fn list<'a>(tenants: impl IntoIterator<Item = &'a Tenant>, now: Timestamp) -> Self {
        let mut table =
            Self::new(&["GUID", "USER", "CREATED", "AGE", "ENDS", "NAMESPACES", "STATE", "HELD BY"]);
        for Tenant { guid, user, created, ends, namespaces, state, holder } in tenants {
            let date = created.map_or_else(|| "unknown".to_owned(), moment);
            let end = ends.map_or_else(
                || "-".to_owned(),
                |end| if end < now { "over".to_owned() } else { moment(end) },
            );
            let held = holder.as_ref().map_or_else(
                || "-".to_owned(),
                |Holder { name, since, .. }| {
                    let since = since.map(|since| format!(" (since {})", since.strftime("%F %T UTC")));
                    format!("{name}{}", since.unwrap_or_default())
                },
            );
            // A record from a clock ahead of ours is new.
            let age = |at| duration(Duration::try_from(now.duration_since(at)).unwrap_or_default());
            let age = created.map_or_else(String::new, age);
            let count = namespaces.to_string();
            table.row([guid.clone(), user.clone(), date, age, end, count, state.clone(), held]);
        }
        table
    }

    /// The table as lines, its texts masked: aligned, and cut to `width` columns if there is a limit.
    pub(super) fn render(&self, width: Option<usize>, redactor: &Redactor) -> String {
        let headings = self.headings.iter().map(ToString::to_string).collect();
        let clean = |cells: &Vec<String>| self.spread(cells, redactor);
        let lines: Vec<Vec<String>> =
            std::iter::once(headings).chain(self.rows.iter().flat_map(clean)).collect();
        let mut widths = vec![0; self.headings.len()];
        for cells in &lines {
            for (column, cell) in cells.iter().enumerate() {
                widths[column] = widths[column].max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for (number, cells) in lines.iter().enumerate() {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = padded.collect::<Vec<_>>().join("  ");
            let line = cut(line.trim_end(), width);
            text += &if number == 0 { bold(&line) } else { line };
            text.push('\n');
        }
        text
    }

    /// A row as lines of clean cells: the first has them all, further ones continue the last column.
    fn spread(&self, cells: &[String], redactor: &Redactor) -> Vec<Vec<String>> {
        let last = self.headings.len().saturating_sub(1);
        let (fixed, open) = cells.split_at(last.min(cells.len()));
        let mut start: Vec<String> = fixed.iter().map(|cell| line(redactor, cell)).collect();
        start.resize(last, String::new());
        let open = open.first().map(|cell| redactor.clean(cell).into_owned()).unwrap_or_default();
        let mut further = open.lines().map(|text| line(redactor, text)).collect::<Vec<_>>();
        if further.is_empty() {
            further.push(String::new());
        }
        let mut lines = Vec::new();
        for text in further {
            lines.push(start.iter().cloned().chain([text]).collect());
            start.fill(String::new());
        }
        lines
    }
}

/// State and details of a step that a look did not get to see.
fn unseen(ending: &Ending) -> (&'static str, String) {
    match ending {
        Ending::Skipped(reason) => ("skipped", reason.clone()),
        Ending::Failed(error) | Ending::Blocked { error, .. } => ("unknown", error.chain().join(": ")),
        Ending::NotStarted(_) => ("unknown", "not looked at: the run had stopped".to_owned()),
        Ending::Seen(seen) => (entry::state(seen.state), seen.details.join("\n")),
        Ending::Done(Outcome { summary, .. }) => ("done", summary.clone()),
    }
}

/// A moment for people, to the minute.
fn moment(at: Timestamp) -> String {
    at.strftime("%F %R UTC").to_string()
}

/// `line` in at most `width` columns, its loss marked.
fn cut(line: &str, width: Option<usize>) -> String {
    match width {
        Some(width) => console::truncate_str(line, width, "…").into_owned(),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
