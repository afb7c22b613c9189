//! Nothing a model says is believed: quotes and names must stand in the evidence, or they are dropped.

use std::sync::LazyLock;

use regex::Regex;

use super::answer::Submission;
use crate::diagnosis::{Author, Citation, Confidence, Diagnosis};
use crate::evidence::Evidence;
use crate::lines::clip;
use crate::rules::Category;

/// Words that name a thing: paths, files, hosts, images, commits, generated pod names.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:[A-Za-z0-9_.\-]+/)+[A-Za-z0-9_.\-]+(?::[A-Za-z0-9_.\-]+)?|\b[A-Za-z0-9_\-]+\.(?:py|go|rs|java|js|ts|tsx|c|cc|cpp|h|txt|toml|yaml|yml|json|lock|mod|sum|xml|gradle|sh|cfg|ini|md)\b|\b[0-9a-f]{7,40}\b|\b[a-z0-9]+(?:-[a-z0-9]+){3,}\b")
        .expect("constant pattern")
});

/// Names that may be proposed though no log mentions them.
const PROPOSABLE: [&str; 14] = [
    "requirements.txt",
    "package.json",
    "package-lock.json",
    "go.mod",
    "go.sum",
    "cargo.toml",
    "cargo.lock",
    "pom.xml",
    "pyproject.toml",
    "settings.xml",
    "tsconfig.json",
    "and/or",
    "read/write",
    "tekton.dev/git-0",
];

/// The diagnosis that survives, and what was dropped.
#[derive(Debug)]
pub(super) struct Verified {
    /// What may be filed.
    pub diagnosis: Diagnosis,
    /// Quotes and sentences that were not found in the evidence.
    pub dropped: usize,
}

/// Check a submission against the evidence. `None` when nothing of it can be grounded: then the rules'
/// diagnosis stands alone.
pub(super) fn verify(
    submission: &Submission,
    rules: &Diagnosis,
    evidence: &Evidence,
    author: Author,
) -> Option<Verified> {
    let mut dropped = 0;
    let mut citations: Vec<Citation> = Vec::new();
    for quote in &submission.quotes {
        match cited(quote, evidence) {
            Some(found) if !citations.contains(&found) => citations.push(found),
            Some(_) => {}
            None => dropped += 1,
        }
    }
    let known = Known::new(evidence, rules);
    let mut keep = |texts: &[String], limit: usize| -> Vec<String> {
        let (good, bad): (Vec<_>, Vec<_>) =
            texts.iter().filter(|t| !t.trim().is_empty()).partition(|t| known.all(t));
        dropped += bad.len();
        good.into_iter().take(limit).map(|t| clip(t.trim(), 600)).collect()
    };
    let (mut fixes, mut chain) = (keep(&submission.fixes, 6), keep(&submission.chain, 8));
    let mut ruled_out = keep(&submission.ruled_out, 5);
    let sentences: Vec<String> = submission.summary.split_inclusive(". ").map(str::to_owned).collect();
    let mut summary = keep(&sentences, 8).join(" ");
    let cause_holds = !keep(std::slice::from_ref(&submission.cause), 1).is_empty() && !citations.is_empty();
    if citations.is_empty() && fixes.is_empty() || citations.is_empty() && rules.signature.is_none() {
        return None;
    }
    let specific = rules.confidence == Confidence::High;
    let category = category(&submission.category).filter(|_| cause_holds);
    // A specific signature is a fact about the evidence; a model may explain it, not overrule it.
    let agrees = category.is_none_or(|c| c == rules.category);
    // Neither may it talk about something else: a planted cause has a summary and proposals of its own.
    let concurs = !specific || agrees && names_subject(rules, &format!("{} {summary}", submission.cause));
    if !concurs {
        dropped += 1;
        citations.clear();
        fixes.clear();
        chain.clear();
        ruled_out.clear();
        summary.clear();
    }
    let (cause, category) = match category {
        Some(c) if cause_holds && concurs => (clip(submission.cause.trim(), 200), c),
        _ => (rules.cause.clone(), rules.category),
    };
    for citation in &rules.citations {
        if !citations.contains(citation) {
            citations.push(citation.clone());
        }
    }
    if specific {
        citations.sort_by_key(|c| Some(c) != rules.citations.first());
    }
    let claimed = match submission.confidence.to_ascii_lowercase().as_str() {
        "high" => Confidence::High,
        "medium" => Confidence::Medium,
        _ => Confidence::Low,
    };
    let (confidence, because) = match (specific, agrees, dropped) {
        (true, true, 0) => {
            (Confidence::High, "rules and model agree, and every quote was found in the evidence")
        }
        (true, ..) if !concurs => (
            rules.confidence,
            "a specific signature matched; the model spoke of something else and was not followed",
        ),
        (true, _, _) => (rules.confidence, "a specific signature matched; the model's view differs in part"),
        (false, _, 0) => (claimed, "the model's own estimate; every quote was found in the evidence"),
        (false, ..) => {
            (Confidence::Low, "parts of the model's answer were not found in the evidence and were dropped")
        }
    };
    let or = |own: Vec<String>, rules: &[String]| if own.is_empty() { rules.to_vec() } else { own };
    let step = Some(submission.step.trim()).filter(|s| !s.is_empty() && known.word(s)).map(str::to_owned);
    let diagnosis = Diagnosis {
        category,
        signature: rules.signature.clone(),
        step: rules.step.clone().or(step),
        cause,
        summary: if summary.trim().is_empty() { rules.summary.clone() } else { summary },
        fixes: or(fixes, &rules.fixes),
        chain: or(chain, &rules.chain),
        ruled_out: or(ruled_out, &rules.ruled_out),
        citations,
        confidence,
        because: because.to_owned(),
        author,
        variables: rules.variables.clone(),
    };
    Some(Verified { diagnosis, dropped })
}

/// Whether a text names what the signature found: the package, file, host or test in question.
fn names_subject(rules: &Diagnosis, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let mut subjects = rules.variables.iter().filter(|(name, _)| *name != "instruction").peekable();
    subjects.peek().is_none()
        || subjects.any(|(_, value)| {
            let value = value.to_ascii_lowercase();
            let base = value.rsplit('/').next().unwrap_or(&value);
            base.len() >= 3 && text.contains(base)
        })
}

/// The evidence line a quote is taken from; lines that read like instructions support nothing.
fn cited(quote: &str, evidence: &Evidence) -> Option<Citation> {
    // Models copy the line number column along.
    let bare = quote.trim().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches([':', ' ']);
    let (item, line) = evidence.locate(quote).or_else(|| evidence.locate(bare))?;
    if item.instructions.contains(&line) {
        return None;
    }
    let text = item.excerpt.lines.iter().find(|l| l.number == line)?.text.trim_end().to_owned();
    Some(Citation { item: item.id.clone(), source: item.source.to_string(), line, text: clip(&text, 500) })
}

fn category(name: &str) -> Option<Category> {
    serde_json::from_value(serde_json::Value::from(name.trim().to_ascii_lowercase().replace(['_', ' '], "-")))
        .ok()
}

/// Everything the evidence mentions, lower-cased.
struct Known(String);

impl Known {
    fn new(evidence: &Evidence, rules: &Diagnosis) -> Self {
        let lines = evidence.items.iter().flat_map(|i| i.excerpt.lines.iter().map(|l| l.text.as_str()));
        let mut text: String = lines.collect::<Vec<_>>().join("\n");
        for source in evidence.items.iter().map(|i| i.source.to_string()) {
            text.push('\n');
            text.push_str(&source);
        }
        let facts = serde_json::to_string(&evidence.run).unwrap_or_default();
        for part in [facts.as_str(), &rules.cause, &rules.fixes.join("\n")] {
            text.push('\n');
            text.push_str(part);
        }
        Self(text.to_ascii_lowercase())
    }

    fn word(&self, word: &str) -> bool {
        self.0.contains(&word.trim().to_ascii_lowercase())
    }

    /// Whether every name in a sentence is known.
    fn all(&self, sentence: &str) -> bool {
        NAME.find_iter(sentence).all(|name| {
            let name = name.as_str().trim_end_matches('.').to_ascii_lowercase();
            PROPOSABLE.contains(&name.as_str()) || self.0.contains(&name)
        })
    }
}
