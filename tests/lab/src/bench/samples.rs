//! Several measurements of one thing, and a table of such.

use std::{fmt, time::Duration};

/// Measurements of one thing, in one unit.
#[derive(Default)]
pub(super) struct Samples(Vec<f64>);

/// How a number is read.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Bytes, shown as MB of 10⁶.
    Bytes,
    /// Just a number.
    Count,
}

impl Samples {
    /// Adds a duration.
    pub(super) fn time(&mut self, value: Duration) {
        self.number(value.as_secs_f64() * 1e3);
    }

    /// Adds a number.
    pub(super) fn number(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// The median; of an even number the lower one of the two in the middle.
    pub(super) fn median(&self) -> Option<f64> {
        self.0.get(self.0.len().checked_sub(1)? / 2).copied()
    }

    /// The value that so many of a hundred measurements do not exceed.
    pub(super) fn within(&self, percent: usize) -> Self {
        let above = self.0.len() * (100 - percent) / 100;
        Self(self.0.iter().rev().nth(above).copied().into_iter().collect())
    }

    /// How far the median is above that of `floor`.
    pub(super) fn above(&self, floor: &Self) -> Self {
        Self(self.median().zip(floor.median()).map(|(ours, floor)| ours - floor).into_iter().collect())
    }

    /// `median (least–most)` in `unit`; a dash without measurements.
    pub(super) fn shown(&self, unit: Unit) -> String {
        match (self.median(), self.0.first(), self.0.last()) {
            (Some(median), Some(least), Some(most)) if least < most => {
                format!("{} ({}–{})", unit.shown(median), unit.bare(*least), unit.bare(*most))
            }
            (Some(median), ..) => unit.shown(median),
            _ => "–".to_owned(),
        }
    }

    /// `1.25 ×` the floor; a dash where there is nothing to compare.
    pub(super) fn ratio(&self, floor: &Self) -> String {
        match (self.median(), floor.median()) {
            (Some(ours), Some(floor)) if floor > 0.0 => format!("{:.2} ×", ours / floor),
            _ => "–".to_owned(),
        }
    }
}

impl Unit {
    fn bare(self, value: f64) -> String {
        match self {
            Self::Milliseconds if value < 10.0 => format!("{value:.1}"),
            Self::Milliseconds | Self::Count => format!("{value:.0}"),
            Self::Bytes => format!("{:.1}", value / 1e6),
        }
    }

    fn shown(self, value: f64) -> String {
        let suffix = match self {
            Self::Milliseconds => " ms",
            Self::Bytes => " MB",
            Self::Count => "",
        };
        self.bare(value) + suffix
    }
}

/// A table in `AsciiDoc`, which a terminal's reader can read as well.
pub(super) struct Table {
    title: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with the names of its columns.
    pub(super) fn new(title: &'static str, columns: &[&str]) -> Self {
        Self { title, rows: vec![columns.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
        writeln!(f, ".{}", self.title)?;
        writeln!(f, "[%header,cols=\"<2{}\"]", ",>2".repeat(columns.saturating_sub(1)))?;
        writeln!(f, "|===")?;
        for (at, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("| {cell:<width$} "));
            writeln!(f, "{}", cells.collect::<String>().trim_end())?;
            if at == 0 {
                writeln!(f)?;
            }
        }
        writeln!(f, "|===")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        let mut samples = Samples::default();
        for value in values {
            samples.number(*value);
        }
        samples
    }

    #[test]
    fn medians_with_their_range_and_ratios() {
        let (ours, floor) = (samples(&[300.0, 100.0, 200.0]), samples(&[160.0]));
        assert_eq!(ours.shown(Unit::Milliseconds), "200 ms (100–300)");
        assert_eq!(floor.shown(Unit::Milliseconds), "160 ms");
        assert_eq!(samples(&[12_345_678.0]).shown(Unit::Bytes), "12.3 MB");
        assert_eq!(ours.ratio(&floor), "1.25 ×");
        assert_eq!(ours.ratio(&Samples::default()), "–");
        assert_eq!(Samples::default().shown(Unit::Count), "–");
    }

    #[test]
    fn a_table_is_asciidoc_in_columns() {
        let mut table = Table::new("Times", &["", "tenant"]);
        table.row(["provision".to_owned(), "1 ms".to_owned()]);
        let lines = [
            ".Times",
            "[%header,cols=\"<2,>2\"]",
            "|===",
            "|           | tenant",
            "",
            "| provision | 1 ms",
            "|===",
            "",
        ];
        assert_eq!(table.to_string(), lines.join("\n"));
    }
}
