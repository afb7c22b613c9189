//! The report: a row per group of verdicts.

use std::fmt::Write as _;

use super::grade::Verdict;

const COLUMNS: [&str; 12] = [
    "", "cases", "filed", "category", "step", "facts", "source", "quotes", "tokens", "p95", "calls", "p50 ms",
];

/// Rows of a table under construction.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 12]>,
}

impl Table {
    /// Adds a group.
    pub fn add(&mut self, name: &str, verdicts: &[Verdict]) {
        let share = |good: fn(&Verdict) -> bool| {
            let count = verdicts.iter().filter(|verdict| good(verdict)).count();
            percent(count, verdicts.len())
        };
        let share_of =
            |share: usize, value: fn(&Verdict) -> u64| percentile(verdicts, share, value).to_string();
        self.rows.push([
            name.to_owned(),
            verdicts.len().to_string(),
            share(|verdict| verdict.filed),
            share(|verdict| verdict.category),
            share(|verdict| verdict.step),
            share(|verdict| verdict.facts),
            share(|verdict| verdict.evidence),
            share(|verdict| verdict.grounded),
            share_of(50, |verdict| verdict.tokens),
            share_of(95, |verdict| verdict.tokens),
            share_of(50, |verdict| verdict.calls),
            share_of(50, |verdict| verdict.millis),
        ]);
    }

    /// The table as text.
    pub fn text(&self) -> String {
        let head = COLUMNS.map(str::to_owned);
        let rows: Vec<_> = std::iter::once(&head).chain(&self.rows).collect();
        let widths: [usize; 12] =
            std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default());
        rows.iter().fold(String::new(), |mut text, row| {
            let cells = row.iter().zip(widths).skip(1).map(|(cell, width)| format!("{cell:>width$}"));
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<width$}  {}",
                row[0],
                cells.collect::<Vec<_>>().join("  "),
                width = widths[0]
            );
            text
        })
    }
}

/// The value that so many of a hundred do not exceed.
pub fn percentile(verdicts: &[Verdict], share: usize, value: fn(&Verdict) -> u64) -> u64 {
    let mut all: Vec<_> = verdicts.iter().map(value).collect();
    all.sort_unstable();
    all.get((all.len() * share / 100).min(all.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn percent(part: usize, whole: usize) -> String {
    match (part * 1000).checked_div(whole) {
        None => "-".to_owned(),
        Some(1000) => "100 %".to_owned(),
        Some(thousandths) => format!("{}.{} %", thousandths / 10, thousandths % 10),
    }
}
