//! What failed, why, and what to do: the one shape that rules and model both produce.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::{Evidence, Item, Source};
use crate::fingerprint::Identity;
use crate::lines::clip;
use crate::rules::{Category, Hit, score};

/// How sure we are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A specific signature, or a model whose every quote was found.
    High,
    /// Evidence points there, other causes are possible.
    Medium,
    /// Little more than that something failed.
    Low,
}

impl Confidence {
    /// The word used in labels and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// Who made the diagnosis.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Author {
    /// Signatures only.
    Rules,
    /// A language model, on top of the rules.
    Model {
        /// Model name as sent to the endpoint.
        name: String,
        /// Tokens spent, as the endpoint reported them.
        tokens: u64,
        /// Requests made.
        calls: u32,
    },
}

/// A line that supports a statement, found word for word in the evidence.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Citation {
    /// Evidence id.
    pub item: String,
    /// Where the item comes from, in words.
    pub source: String,
    /// Line number in the item.
    pub line: u64,
    /// The line.
    pub text: String,
}

/// The result.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Diagnosis {
    /// Kind of failure.
    pub category: Category,
    /// Signature that won, if one did.
    pub signature: Option<String>,
    /// Failing step, if known.
    pub step: Option<String>,
    /// The cause in one sentence fragment.
    pub cause: String,
    /// A few sentences of explanation.
    pub summary: String,
    /// What to do, most promising first.
    pub fixes: Vec<String>,
    /// From cause to visible failure, one sentence each.
    pub chain: Vec<String>,
    /// Causes that were considered and do not fit.
    pub ruled_out: Vec<String>,
    /// The supporting lines; the first shows the cause.
    pub citations: Vec<Citation>,
    /// How sure.
    pub confidence: Confidence,
    /// Why so sure.
    pub because: String,
    /// Who says so.
    pub author: Author,
    /// Values the signature extracted (`package`, `file`, `image` and so on).
    pub variables: BTreeMap<String, String>,
}

impl Diagnosis {
    /// Judge by rules alone. Always gives an answer; without a match its category is `unknown`.
    pub fn by_rules(evidence: &Evidence) -> Self {
        let ranked = ranked(evidence);
        let telling = ranked.iter().find(|(_, h)| h.record().is_some_and(|r| !r.generic));
        match telling.or(ranked.first()) {
            Some((item, hit)) => {
                // Found in several places, the one that says most counts: a pod's state names the limit that a
                // TaskRun's message leaves out.
                let fullest = ranked
                    .iter()
                    .filter(|(_, other)| other.signature == hit.signature)
                    .min_by_key(|(_, other)| std::cmp::Reverse(other.variables.len()));
                let (item, hit) = fullest.map_or((*item, *hit), |(item, hit)| (*item, *hit));
                from_hit(evidence, item, hit, &ranked)
            }
            None => unknown(evidence),
        }
    }

    /// Title of the issue after the `[pipeline] a/b/c: ` prefix: at most 80 characters.
    pub fn headline(&self) -> String {
        let mut headline: String = self.cause.split_whitespace().collect::<Vec<_>>().join(" ");
        if headline.chars().count() > 80 {
            headline = headline.chars().take(79).collect::<String>() + "…";
        }
        headline
    }

    /// Stable identity of this failure in a repository.
    pub fn fingerprint(&self, repository: &str, evidence: &Evidence) -> String {
        let run = &evidence.run;
        let field = |f: &Option<String>| f.clone().unwrap_or_default();
        let by_rules = Self::by_rules(evidence);
        let lines = by_rules.citations.iter().take(1).map(|c| c.text.as_str()).collect();
        Identity {
            repository,
            pipeline: &field(&run.pipeline),
            task: &field(&run.task),
            step: &by_rules.step.clone().unwrap_or_default(),
            category: &by_rules.category.name(),
            lines,
        }
        .fingerprint()
    }
}

/// Lowers what only surrounds a failure below what explains it.
const AROUND: i32 = 40;

/// Hits of all items, best first. The last attempt counts; earlier ones are for comparison.
///
/// A time-out gives way to what the cluster says kept the run from starting. On a line that reads like an
/// instruction only what is specific counts, and less than elsewhere: the name of a test may look like one.
fn ranked(evidence: &Evidence) -> Vec<(&Item, &Hit)> {
    let last = evidence.items.iter().filter_map(attempt).max().unwrap_or(1);
    let mut all: Vec<_> = evidence
        .items
        .iter()
        .filter(|i| attempt(i).is_none_or(|a| a == last))
        .flat_map(|i| i.hits.iter().map(move |h| (i, h)))
        .filter_map(|(i, h)| {
            let planted = i.instructs(h.line);
            let generic = h.record().is_none_or(|r| r.generic);
            if planted && generic {
                return None;
            }
            score(h).map(|s| (if planted { s - AROUND } else { s }, i, h))
        })
        .collect();
    let explains = |(_, item, hit): &(i32, &Item, &Hit)| {
        let telling = hit.record().is_some_and(|r| !r.generic && !r.symptom && !r.outer);
        attempt(item).is_none() && telling
    };
    if all.iter().any(explains) {
        let outer = |hit: &Hit| hit.record().is_some_and(|r| r.outer);
        all.iter_mut().filter(|(_, _, hit)| outer(hit)).for_each(|(score, ..)| *score -= AROUND);
    }
    all.sort_by(|(a, _, x), (b, _, y)| b.cmp(a).then(x.line.cmp(&y.line)));
    all.into_iter().map(|(_, i, h)| (i, h)).collect()
}

fn attempt(item: &Item) -> Option<u32> {
    match item.source {
        Source::Log { attempt, .. } => Some(attempt),
        _ => None,
    }
}

fn citation(item: &Item, line: u64, text: &str) -> Citation {
    Citation {
        item: item.id.clone(),
        source: item.source.to_string(),
        line,
        text: clip(text.trim_end(), 500),
    }
}

fn from_hit(evidence: &Evidence, item: &Item, hit: &Hit, ranked: &[(&Item, &Hit)]) -> Diagnosis {
    let Some(record) = hit.record() else { return unknown(evidence) };
    let cause = record.cause(&hit.variables);
    let consequences: Vec<_> = ranked
        .iter()
        .filter(|(_, h)| h.signature != hit.signature && h.record().is_some_and(|r| r.generic || r.symptom))
        .collect();
    let mut citations = vec![citation(item, hit.line, &hit.text)];
    let mut chain = vec![format!("{}, line {}: {}", item.source, hit.line, cause)];
    for (other, consequence) in &consequences {
        if let Some(record) = consequence.record() {
            let therefore = format!("Therefore {}", record.cause(&consequence.variables));
            if !chain.contains(&therefore) {
                chain.push(therefore);
            }
            let cited = citation(other, consequence.line, &consequence.text);
            if !citations.contains(&cited) {
                citations.push(cited);
            }
        }
    }
    let (confidence, because) = match (record.generic, record.weight) {
        (true, _) => (Confidence::Low, "only a general failure message was recognised".to_owned()),
        (_, 75..) => (Confidence::High, format!("the line matches the specific signature `{}`", record.id)),
        _ => (
            Confidence::Medium,
            format!("the line matches the signature `{}`, which has several causes", record.id),
        ),
    };
    let mut summary = format!("{}.", sentence(&cause));
    if hit.count > 1 {
        let times = format!("The message appears {} times (lines {} to {})", hit.count, hit.line, hit.last);
        summary = format!("{summary} {times}; the first one counts.");
    }
    if record.category.transient() {
        summary.push_str(" This kind of failure can pass by itself: running the pipeline again may succeed.");
    }
    let rivals = ranked.iter().filter(|(_, h)| {
        h.signature != hit.signature
            && h.record().is_some_and(|r| !r.generic && !r.symptom && r.category != record.category)
    });
    let ruled_out = rivals
        .take(3)
        .filter_map(|(i, h)| {
            let r = h.record()?;
            Some(format!(
                "{} ({}, line {}): less specific than the line above",
                sentence(&r.cause(&h.variables)),
                i.source,
                h.line
            ))
        })
        .collect();
    Diagnosis {
        category: record.category,
        signature: Some(record.id.clone()),
        step: step(evidence, item),
        fixes: record.fixes(&hit.variables),
        cause,
        summary,
        chain,
        ruled_out,
        citations,
        confidence,
        because,
        author: Author::Rules,
        variables: hit.variables.clone(),
    }
}

fn unknown(evidence: &Evidence) -> Diagnosis {
    let written = |i: &&Item| i.sober().any(|l| !l.text.trim().is_empty());
    let log = |i: &&Item| matches!(i.source, Source::Log { .. });
    // Items of the last attempt come first.
    let last = evidence.items.iter().filter(log).find(written);
    let last = last.or_else(|| evidence.items.iter().rev().find(written));
    let tail = last.and_then(|i| Some((i, i.sober().rev().find(|l| !l.text.trim().is_empty())?)));
    let empty = evidence.items.iter().all(|i| i.excerpt.total == 0);
    let cause = match tail {
        Some((_, line)) => format!("unknown; the last line is: {}", clip(line.text.trim(), 120)),
        None if empty => "unknown: the log is empty".to_owned(),
        None => "unknown".to_owned(),
    };
    Diagnosis {
        category: Category::Unknown,
        signature: None,
        step: last.and_then(|i| step(evidence, i)).or_else(|| evidence.run.step.clone()),
        summary: "No known signature matches this failure. The lines below are the ones most likely to tell."
            .to_owned(),
        cause,
        fixes: vec!["Read the excerpt below from its first error on.".to_owned()],
        chain: Vec::new(),
        ruled_out: Vec::new(),
        citations: tail.map(|(i, l)| vec![citation(i, l.number, &l.text)]).unwrap_or_default(),
        confidence: Confidence::Low,
        because: "no signature matched".to_owned(),
        author: Author::Rules,
        variables: BTreeMap::new(),
    }
}

/// The step of the item the cause was found in, else of the run.
fn step(evidence: &Evidence, item: &Item) -> Option<String> {
    let container = match &item.source {
        Source::Log { container, .. } => container.strip_prefix("step-"),
        _ => None,
    };
    container.map(str::to_owned).or_else(|| evidence.run.step.clone())
}

/// With a capital first letter, unless the first word is a name (`main.go`, `requirements.txt`).
fn sentence(text: &str) -> String {
    let word = text.split_whitespace().next().unwrap_or_default();
    if !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
