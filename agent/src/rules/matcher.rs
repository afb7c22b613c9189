//! Find signatures in lines that stream by.

use std::collections::{BTreeMap, VecDeque};

use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, Signature, catalogue};
use super::ranking::is_warning;
use super::suggestion;
use crate::injection::reads_like_instruction;
use crate::lines::clip;

/// How far `before` looks up, in lines.
const ABOVE: usize = 12;
/// How far `after` looks down, in lines.
const BELOW: usize = 12;
/// After so many matches a signature only costs time: the first match and the count are known.
const SATURATED: u64 = 10_000;

/// The first match of a signature and how often it came again.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Hit {
    /// Name of the signature.
    pub signature: String,
    /// Line number of the first match, from 1.
    pub line: u64,
    /// That line.
    pub text: String,
    /// Template variables: named groups, plus `instruction` and `suggestion` where known.
    pub variables: BTreeMap<String, String>,
    /// Matching lines in total.
    pub count: u64,
    /// Line number of the last match.
    pub last: u64,
}

/// Feed lines in order; collect hits at the end.
#[derive(Debug)]
pub struct Matcher {
    catalogue: &'static Catalogue,
    hits: BTreeMap<usize, Hit>,
    waiting: Vec<(usize, u64)>,
    above: VecDeque<String>,
    instruction: Option<String>,
    candidates: Vec<usize>,
}

impl Default for Matcher {
    fn default() -> Self {
        Self {
            catalogue: catalogue(),
            hits: BTreeMap::new(),
            waiting: Vec::new(),
            above: VecDeque::with_capacity(ABOVE + 1),
            instruction: None,
            candidates: Vec::new(),
        }
    }
}

impl Matcher {
    /// Look at one line. Returns whether it is the first match of a signature that says why something
    /// failed: such a line must never be reduced away.
    pub fn line(&mut self, number: u64, whole: &str) -> bool {
        let line = without_time(whole);
        self.instruction(line);
        self.look_below(number, line);
        let mut candidates = std::mem::take(&mut self.candidates);
        self.catalogue.candidates(line, &mut candidates);
        let mut telling = false;
        for index in &candidates {
            telling |= self.try_match(*index, number, line, whole);
        }
        self.candidates = candidates;
        if self.above.len() == ABOVE {
            self.above.pop_front();
        }
        self.above.push_back(line.to_owned());
        telling
    }

    /// Everything found, in order of the catalogue.
    pub fn finish(self) -> Vec<Hit> {
        self.hits.into_values().collect()
    }

    fn try_match(&mut self, index: usize, number: u64, line: &str, whole: &str) -> bool {
        let signature = &self.catalogue.signatures()[index];
        let patterns = signature.patterns();
        if let Some(hit) = self.hits.get_mut(&index) {
            if hit.count < SATURATED
                && let Some(found) = matched(&patterns.line, line)
            {
                hit.count += 1;
                hit.last = number;
                // A first match that said nothing, only warned, or gave orders, gives way to one that says more.
                let (was_bare, is_bare) = (bare(&patterns.line, &hit.variables), found.is_empty());
                let doubtful = |line: &str| is_warning(line) || reads_like_instruction(line);
                let says_more = was_bare && !is_bare || doubtful(&hit.text) && !doubtful(line);
                if says_more {
                    hit.line = number;
                    hit.text = clip(whole, 1000);
                    hit.variables.extend(found);
                    return !signature.generic;
                }
            }
            return false;
        }
        let Some(mut variables) = matched(&patterns.line, line) else { return false };
        if let Some(before) = &patterns.before
            && let Some(found) = self.above.iter().rev().find_map(|l| before.captures(l))
        {
            collect(before, &found, &mut variables);
        }
        if let Some(instruction) = &self.instruction {
            variables.entry("instruction".to_owned()).or_insert_with(|| instruction.clone());
        }
        if let Some(better) = suggestion::for_signature(&signature.id, &variables) {
            variables.insert("suggestion".to_owned(), better.to_owned());
        }
        if patterns.after.is_some() {
            self.waiting.push((index, number + BELOW as u64));
        }
        let text = clip(whole, 1000);
        let hit =
            Hit { signature: signature.id.clone(), line: number, text, variables, count: 1, last: number };
        self.hits.insert(index, hit);
        !signature.generic
    }

    fn look_below(&mut self, number: u64, line: &str) {
        let (hits, catalogue) = (&mut self.hits, self.catalogue);
        self.waiting.retain(|(index, until)| {
            let after = catalogue.signatures()[*index].patterns().after.as_ref();
            let found = after.and_then(|pattern| pattern.captures(line).map(|c| (pattern, c)));
            if let (Some((pattern, captures)), Some(hit)) = (found, hits.get_mut(index)) {
                collect(pattern, &captures, &mut hit.variables);
                return false;
            }
            number < *until
        });
    }

    /// Remember the instruction a container build is at: `STEP 5/7: COPY a b` (buildah),
    /// `Step 5/7 : COPY a b` (docker), `#9 [4/6] COPY a b` (`BuildKit`).
    fn instruction(&mut self, line: &str) {
        let rest = if let Some(rest) = line.split_once("STEP ").or_else(|| line.split_once("Step ")) {
            rest.1.split_once(':').filter(|(n, _)| n.trim().bytes().all(|b| b.is_ascii_digit() || b == b'/'))
        } else if line.starts_with('#') {
            line.split_once("] ").filter(|(head, _)| head.contains('['))
        } else {
            None
        };
        if let Some((_, instruction)) = rest {
            self.instruction = Some(clip(instruction.trim(), 200));
        }
    }
}

/// A line without the time that log collectors put before it (`oc logs --timestamps`, RFC 3339): what tools write
/// at the start of a line stands at its start again.
fn without_time(line: &str) -> &str {
    let bytes = line.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let shaped = digit(0) && digit(3) && bytes.get(4) == Some(&b'-') && bytes.get(10) == Some(&b'T');
    let time = if shaped { line.split_once(' ') } else { None };
    match time {
        Some((time, rest)) if time.len() <= 35 && time.bytes().all(|b| b"0123456789-+:.TZ".contains(&b)) => {
            rest
        }
        _ => line,
    }
}

/// Variables of the first match on the line that binds any, else those of the first match: none.
fn matched(pattern: &Regex, line: &str) -> Option<BTreeMap<String, String>> {
    let mut first = None;
    for captures in pattern.captures_iter(line) {
        let mut variables = BTreeMap::new();
        collect(pattern, &captures, &mut variables);
        if !variables.is_empty() {
            return Some(variables);
        }
        first.get_or_insert(variables);
    }
    first
}

fn bare(pattern: &Regex, variables: &BTreeMap<String, String>) -> bool {
    !pattern.capture_names().flatten().any(|n| variables.contains_key(variable(n)))
}

/// `package2` in another branch of an alternation is the variable `package`.
fn variable(group: &str) -> &str {
    group.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// Named groups into variables. The first branch that captured wins; see [`Signature`].
fn collect(pattern: &Regex, captures: &Captures<'_>, variables: &mut BTreeMap<String, String>) {
    for name in pattern.capture_names().flatten() {
        let Some(value) = captures.name(name).map(|m| m.as_str().trim()).filter(|v| !v.is_empty()) else {
            continue;
        };
        variables.entry(variable(name).to_owned()).or_insert_with(|| clip(value, 300));
    }
}

impl Hit {
    /// The record behind the hit; `None` for a hit of another version of the catalogue (replay).
    pub fn record(&self) -> Option<&'static Signature> {
        catalogue().get(&self.signature)
    }
}
