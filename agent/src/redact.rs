//! Redaction: secrets leave a text before anything is stored, sent or shown.
//!
//! Each secret becomes `<secret:kind:hash4>`. The four hex digits are the start of a keyed hash with a
//! random key per report, so a repeated secret stays recognisable within one report and nothing can be
//! compared across reports. Line ends inside a secret survive, so that line numbers stay true.
//!
//! Not done here: control characters and terminal escapes ([`crate::text`] runs first, so a secret split
//! by colour codes arrives whole).

mod base64;
mod kinds;
mod stream;
mod views;

pub use stream::RedactStream;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use kinds::{Before, KINDS, Kind};
use regex::Regex;
use sha2::{Digest, Sha256};
use views::View;

/// No secret we know is longer, in bytes: a wrapped, encoded `.dockerconfigjson` stays below.
const LONGEST: usize = 16 * 1024;

/// One automaton over the needles of all kinds, and which kind each needle belongs to.
static NEEDLES: LazyLock<(AhoCorasick, Vec<usize>)> = LazyLock::new(|| {
    let pairs = KINDS.iter().enumerate().flat_map(|(i, k)| k.needles.iter().map(move |n| (*n, i)));
    let (needles, owners): (Vec<_>, Vec<_>) = pairs.unzip();
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(needles)
        .expect("the needle table is small and constant");
    (automaton, owners)
});

/// Patterns compile on first use: a start must not pay for kinds that never occur.
static PATTERNS: [OnceLock<Regex>; KINDS.len()] = [const { OnceLock::new() }; KINDS.len()];

fn pattern(index: usize) -> &'static Regex {
    PATTERNS[index].get_or_init(|| {
        Regex::new(&format!(r"\A(?:{})", KINDS[index].pattern)).expect("a test compiles every pattern")
    })
}

/// Names of all kinds, for metrics and documentation.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|k| k.name)
}

/// A found secret: where in the source, what kind, and its decoded value for the stable hash.
#[derive(Debug)]
struct Finding {
    range: Range<usize>,
    kind: usize,
    value: String,
}

/// Removes secrets and counts them by kind. One per report.
#[derive(Clone, Debug)]
pub struct Redactor {
    key: [u8; 16],
    counts: BTreeMap<&'static str, u64>,
}

impl Redactor {
    /// `key` should be random per report; a fixed one makes placeholders comparable (tests, `diagnose`).
    pub fn new(key: [u8; 16]) -> Self {
        Self { key, counts: BTreeMap::new() }
    }

    /// Secrets removed so far, by kind.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// Redact a text that is at hand as a whole.
    pub fn text(&mut self, text: &str) -> String {
        let findings = find(text);
        self.replace(text, &findings)
    }

    fn replace(&mut self, text: &str, findings: &[Finding]) -> String {
        if findings.is_empty() {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for finding in findings {
            let kind = KINDS[finding.kind].name;
            *self.counts.entry(kind).or_default() += 1;
            out.push_str(&text[done..finding.range.start]);
            out.extend(["<secret:", kind, ":", &self.hash4(&finding.value), ">"]);
            let lines = text[finding.range.clone()].matches('\n').count();
            out.extend(std::iter::repeat_n('\n', lines));
            done = finding.range.end;
        }
        out.push_str(&text[done..]);
        out
    }

    fn hash4(&self, value: &str) -> String {
        let digest = Sha256::new().chain_update(self.key).chain_update(value.as_bytes()).finalize();
        format!("{:02x}{:02x}", digest[0], digest[1])
    }
}

/// All secrets of a text in every encoding: sorted, not overlapping.
fn find(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let whole = View::default(); // an empty view maps every position to itself
    search(text, &whole, &mut found);
    let joined = views::unwrapped(text);
    if let Some(view) = &joined {
        search(&view.text, view, &mut found);
    }
    for decode in [views::percent_decoded, views::json_unescaped] {
        if let Some(view) = decode(text) {
            search(&view.text, &view, &mut found);
        }
        // Encoded first and wrapped afterwards: decode the joined text, then map back twice.
        if let Some(outer) = &joined
            && let Some(view) = decode(&outer.text)
        {
            let mut inner = Vec::new();
            search(&view.text, &view, &mut inner);
            found.extend(inner.into_iter().map(|f| Finding { range: outer.source(&f.range), ..f }));
        }
    }
    merge(found)
}

/// Plain and base64 secrets of one view.
fn search(text: &str, view: &View, found: &mut Vec<Finding>) {
    plain(text, |range, kind, value| {
        found.push(Finding { range: view.source(&range), kind, value: value.to_owned() });
    });
    for run in base64::runs(text) {
        if let Some((kind, value)) = base64::secret(&text[run.clone()]) {
            found.push(Finding { range: view.source(&run), kind, value });
        }
    }
}

/// Report every secret that stands in `text` as it is.
fn plain<'t>(text: &'t str, mut report: impl FnMut(Range<usize>, usize, &'t str)) {
    let (automaton, owners) = &*NEEDLES;
    let mut ends = [0usize; KINDS.len()];
    for hit in automaton.find_overlapping_iter(text) {
        let (index, at) = (owners[hit.pattern().as_usize()], hit.start());
        let kind = &KINDS[index];
        // A match already covers this needle: looking again would only cost time.
        if at < ends[index] || !starts_token(text, at, kind) {
            continue;
        }
        let window = &text[at..floor_boundary(text, at + LONGEST)];
        let Some(captures) = pattern(index).captures(window) else { continue };
        let value = ["s", "s2", "s3"].iter().find_map(|g| captures.name(g)).or_else(|| captures.get(0));
        let Some(value) = value.filter(|v| !kind.judge || plausible(v.as_str(), &window[..v.start()])) else {
            continue;
        };
        ends[index] = at + value.end();
        report(at + value.start()..at + value.end(), index, value.as_str());
    }
}

fn starts_token(text: &str, at: usize, kind: &Kind) -> bool {
    kind.before == Before::Any
        || !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Whether a value announced by a name can be a secret at all: not a variable, a placeholder, an
/// earlier redaction, a digest, a path, or a word of an English sentence (`token: expired`).
fn plausible(value: &str, announced: &str) -> bool {
    let value = value.trim();
    let quoted = announced.ends_with(['"', '\'']);
    let assigned = announced.trim_end_matches(['"', '\'', ' ']).ends_with('=') || announced.starts_with("--");
    let first = value.chars().next().unwrap_or(' ');
    if matches!(first, '$' | '<' | '{' | '%' | '(' | '[' | '/' | '`') || value.starts_with("sha256:") {
        return false;
    }
    let distinct = value.bytes().collect::<std::collections::BTreeSet<_>>().len();
    if distinct < 3 || value.contains("<secret:") {
        return false;
    }
    let lower = value.to_ascii_lowercase();
    let words = ["none", "null", "true", "false", "undefined", "required", "redacted", "changeme", "missing"];
    if words.contains(&lower.as_str()) {
        return false;
    }
    let wordlike = value.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'-' | b'.' | b'_'));
    quoted && !value.contains(' ') || assigned || !wordlike && !value.ends_with(['.', ':', ')'])
}

/// Sort, and let overlapping findings become one, named by the kind of higher precedence.
fn merge(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(|f| (f.range.start, f.kind));
    let mut merged: Vec<Finding> = Vec::with_capacity(found.len());
    for next in found {
        match merged.last_mut() {
            Some(last) if next.range.start < last.range.end => {
                last.range.end = last.range.end.max(next.range.end);
                if next.kind < last.kind {
                    last.kind = next.kind;
                    last.value = next.value;
                }
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// The last character boundary at or before `at`.
pub(crate) fn floor_boundary(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
