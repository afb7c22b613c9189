//! Reduction: of a log of any length, the few hundred lines worth reading, in bounded memory.
//!
//! Kept are the head (how it began), the tail (how it ended), every first line of a kind that looks like
//! an error with its surroundings, and whatever the rules recognised. Repetitions become a count.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use serde::{Deserialize, Serialize};

use crate::fingerprint::template;
use crate::lines::clip;

/// The invariant behind every `write!` into a string.
const WRITES: &str = "writing to a string succeeds";
const HEAD: u64 = 12;
const TAIL: usize = 60;
const CONTEXT_ABOVE: usize = 4;
const CONTEXT_BELOW: u64 = 8;
/// Error-like lines of different templates that are kept, with context, counted from the start.
const ANCHORS: usize = 40;
/// Templates that are counted; beyond it only the total grows.
const TEMPLATES: usize = 1_000;
/// A kept line is clipped to this many bytes.
const LINE: usize = 800;

/// One line of a log, numbered from 1.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NumberedLine {
    /// Number in the log as the tool wrote it.
    pub number: u64,
    /// Text, redacted, at most about 800 bytes.
    pub text: String,
    /// Further lines of the same template that were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What is left of a log after reduction.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Excerpt {
    /// Kept lines in order.
    pub lines: Vec<NumberedLine>,
    /// Lines of the whole log.
    pub total: u64,
}

impl Excerpt {
    /// Lines that were left out.
    pub fn left_out(&self) -> u64 {
        self.total.saturating_sub(self.lines.len() as u64)
    }

    /// The lines `around` a line number, as many as lie in the excerpt.
    pub fn around(&self, number: u64, above: u64, below: u64) -> &[NumberedLine] {
        let from = self.lines.partition_point(|l| l.number < number.saturating_sub(above));
        let to = self.lines.partition_point(|l| l.number <= number + below);
        &self.lines[from..to]
    }

    /// The excerpt as text with line numbers and marked gaps, at most `limit` bytes: lines near `focus`
    /// survive first, then the end.
    pub fn render(&self, focus: Option<u64>, limit: usize) -> String {
        let mut order: Vec<&NumberedLine> = self.lines.iter().collect();
        let last = self.total;
        order.sort_by_key(|l| {
            let near = focus.map_or(u64::MAX, |f| f.abs_diff(l.number).saturating_mul(2));
            near.min(last - l.number.min(last) + 6)
        });
        let mut room = limit;
        let mut chosen: Vec<&NumberedLine> = order
            .into_iter()
            .take_while(|l| {
                let cost = l.text.len() + 12;
                let fits = cost <= room;
                room = room.saturating_sub(cost);
                fits
            })
            .collect();
        chosen.sort_by_key(|l| l.number);
        let mut out = String::new();
        let mut expected = 1;
        for line in chosen {
            if line.number > expected {
                writeln!(out, "   … {} lines left out …", line.number - expected).expect(WRITES);
            }
            writeln!(out, "{:>6} {}", line.number, line.text).expect(WRITES);
            if line.repeats > 0 {
                writeln!(out, "   … {} more like this …", line.repeats).expect(WRITES);
            }
            expected = line.number + 1;
        }
        if self.total >= expected && !self.lines.is_empty() {
            writeln!(out, "   … {} lines left out …", self.total + 1 - expected).expect(WRITES);
        }
        out
    }
}

/// Words that mark a line as worth a look, several languages (compilers speak the locale of the image).
static MARKS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = [
        "error",
        "fail",
        "fatal",
        "panic",
        "exception",
        "traceback",
        "denied",
        "forbidden",
        "unauthorized",
        "not found",
        "no such",
        "cannot",
        "can't",
        "unable",
        "killed",
        "timed out",
        "timeout",
        "refused",
        "abort",
        "undefined",
        "invalid",
        "missing",
        "unexpected",
        "exceeded",
        "oom",
        "✖",
        "●",
        "fehler",
        "erreur",
        "échec",
        "fallo",
        "errore",
        "错误",
        "失败",
        "エラー",
        "失敗",
        "오류",
        "실패",
        "ошибка",
        "خطأ",
    ];
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .expect("the word list is constant")
});

/// Feed lines in order; the excerpt comes out at the end.
#[derive(Debug, Default)]
pub struct Reducer {
    kept: BTreeMap<u64, NumberedLine>,
    ring: VecDeque<(u64, String)>,
    below: u64,
    templates: HashMap<u64, u64>,
    anchors: usize,
    previous: Option<(u64, u64)>,
    total: u64,
}

impl Reducer {
    /// Look at one line; `telling` lines are kept whatever else is full.
    pub fn line(&mut self, number: u64, line: &str, telling: bool) {
        self.total = number;
        if self.repeated(number, line) && !telling {
            return;
        }
        if number <= HEAD || telling || self.is_new_anchor(number, line) {
            let near = if number <= HEAD { 0 } else { CONTEXT_ABOVE };
            let skip = self.ring.len().saturating_sub(near);
            let above: Vec<_> = self.ring.iter().skip(skip).cloned().collect();
            for (n, text) in above {
                self.keep(n, &text);
            }
            self.keep(number, line);
            if number > HEAD {
                self.below = number + CONTEXT_BELOW;
            }
        } else if number <= self.below {
            self.keep(number, line);
        }
        if self.ring.len() == TAIL {
            self.ring.pop_front();
        }
        self.ring.push_back((number, clip(line, LINE)));
    }

    /// End of the log.
    pub fn finish(mut self) -> Excerpt {
        for (n, text) in std::mem::take(&mut self.ring) {
            self.keep(n, &text);
        }
        for (number, repeats) in self.templates.values().filter_map(|packed| unpack(*packed)) {
            if let Some(line) = self.kept.get_mut(&number) {
                line.repeats = line.repeats.max(repeats);
            }
        }
        Excerpt { lines: self.kept.into_values().collect(), total: self.total }
    }

    fn keep(&mut self, number: u64, text: &str) {
        self.kept.entry(number).or_insert_with(|| NumberedLine {
            number,
            text: clip(text, LINE),
            repeats: 0,
        });
    }

    /// Whether the line equals the one before it; a run becomes one line with a count.
    fn repeated(&mut self, number: u64, line: &str) -> bool {
        let hash = hash(line);
        match self.previous {
            Some((same, first)) if same == hash => {
                if let Some(kept) = self.kept.get_mut(&first) {
                    kept.repeats += 1;
                }
                true
            }
            _ => {
                self.previous = Some((hash, number));
                false
            }
        }
    }

    fn is_new_anchor(&mut self, number: u64, line: &str) -> bool {
        if !MARKS.is_match(line) {
            return false;
        }
        let key = hash(&template(&clip(line, 400)));
        if let Some(packed) = self.templates.get_mut(&key) {
            *packed += 1 << 40;
            return false;
        }
        if self.templates.len() < TEMPLATES {
            self.templates.insert(key, number);
        }
        self.anchors += 1;
        self.anchors <= ANCHORS
    }
}

/// A template's first line number in the low 40 bits, its repetitions above.
fn unpack(packed: u64) -> Option<(u64, u64)> {
    let repeats = packed >> 40;
    (repeats > 0).then_some((packed & ((1 << 40) - 1), repeats))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduce(lines: impl IntoIterator<Item = String>) -> Excerpt {
        let mut reducer = Reducer::default();
        for (i, line) in lines.into_iter().enumerate() {
            reducer.line(i as u64 + 1, &line, false);
        }
        reducer.finish()
    }

    fn contains(excerpt: &Excerpt, text: &str) -> bool {
        excerpt.lines.iter().any(|l| l.text.contains(text))
    }

    #[test]
    fn the_failing_line_survives_wherever_it_stands() {
        for at in [0, 300, 5_000, 9_990, 9_999] {
            let excerpt = reduce((0..10_000).map(|i| {
                if i == at { "fatal: disk on fire".to_owned() } else { format!("compiling unit {i}") }
            }));
            assert!(contains(&excerpt, "disk on fire"), "lost at line {at}");
            assert!(excerpt.lines.len() < 200, "{} lines kept", excerpt.lines.len());
        }
    }

    #[test]
    fn ten_thousand_distinct_errors_stay_bounded_and_keep_the_first() {
        let excerpt = reduce(
            (0..10_000).map(|i| format!("error: unit {} fails", ["a", "b"][i % 2].repeat(i % 97 + 1))),
        );
        assert!(contains(&excerpt, "error: unit a fails"));
        assert!(excerpt.lines.len() < 1_000, "{} lines kept", excerpt.lines.len());
    }

    #[test]
    fn a_million_identical_lines_become_one_with_a_count() {
        let excerpt = reduce(std::iter::repeat_n("error: again".to_owned(), 1_000_000));
        assert_eq!(excerpt.total, 1_000_000);
        assert_eq!(excerpt.lines[0].repeats, 999_999);
        assert_eq!(excerpt.lines.len(), 1);
    }

    #[test]
    fn rendering_marks_gaps_and_keeps_the_focus_within_the_limit() {
        let excerpt =
            reduce((1..=1_000).map(|i| if i == 500 { "error: here".into() } else { format!("line {i}") }));
        let text = excerpt.render(Some(500), 600);
        assert!(text.contains("   500 error: here"), "{text}");
        assert!(text.contains("lines left out"), "{text}");
        assert!(text.len() < 800, "{} bytes", text.len());
    }
}
