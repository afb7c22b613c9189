//! What an issue is worth: facts, grounding, step and category, each checked by code.

use std::fmt;

use serde_json::Value;

use super::{case::Case, scene::Scene};

/// The verdict on one report.
#[expect(clippy::struct_excessive_bools, reason = "one for each column of the report, all independent")]
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The case, with the mutation if there was one.
    pub name: String,
    /// An issue was filed, and its number and address are in the answer.
    pub filed: bool,
    /// The category is the expected one.
    pub category: bool,
    /// The step is the expected one.
    pub step: bool,
    /// Every fact is in the issue, and nothing that must not be.
    pub facts: bool,
    /// The cause is read from the expected kind of evidence.
    pub evidence: bool,
    /// Every quote stands word for word in what the cluster holds.
    pub grounded: bool,
    /// What is wrong, in words.
    pub complaints: Vec<String>,
    /// Tokens the model cost.
    pub tokens: u64,
    /// Requests to the model.
    pub calls: u64,
    /// From report to outcome.
    pub millis: u64,
}

impl Verdict {
    /// Whether everything is as expected.
    pub fn passed(&self) -> bool {
        self.filed && self.category && self.step && self.facts && self.evidence && self.grounded
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name, self.complaints.join("; "))
    }
}

/// An issue as its readers see it.
#[derive(Clone, Debug, Default)]
pub struct Filed {
    /// Title.
    pub title: String,
    /// Body, Markdown.
    pub body: String,
}

/// Grades the `record` of a report and the `issue` it led to.
pub fn grade(name: &str, case: &Case, scene: &Scene, record: &Value, issue: Option<&Filed>) -> Verdict {
    let expect = &case.expect;
    let mut verdict = Verdict { name: name.to_owned(), ..Verdict::default() };
    let mut complaints = Vec::new();
    let diagnosis = &record["diagnosis"];
    verdict.filed = issue.is_some() && record["issue_url"].is_string();
    if !verdict.filed {
        complaints.push(format!("no issue: {} {}", record["outcome"], record["reason"]));
    }
    let category = diagnosis["category"].as_str().unwrap_or("none");
    verdict.category = category == expect.category;
    if !verdict.category {
        complaints.push(format!("category {category} ({}), not {}", diagnosis["signature"], expect.category));
    }
    let step = diagnosis["step"].as_str();
    verdict.step = step == expect.step.as_deref();
    if !verdict.step {
        complaints.push(format!("step {step:?}, not {:?}", expect.step));
    }
    let issue = issue.cloned().unwrap_or_default();
    let body = format!("{}\n{}", issue.title, plain(&issue.body));
    let missing: Vec<_> = expect.must.iter().filter(|fact| !body.contains(fact.as_str())).collect();
    let solutions = section(&body, "Possible solutions");
    let unfixed: Vec<_> = expect.fix.iter().filter(|fix| !solutions.contains(fix.as_str())).collect();
    let conclusion = format!("{}\n{}", issue.title, section(&body, "Summary of the problem"));
    let wrong: Vec<_> = expect.must_not.iter().filter(|text| conclusion.contains(text.as_str())).collect();
    verdict.facts = missing.is_empty() && unfixed.is_empty() && wrong.is_empty();
    if !verdict.facts {
        complaints.push(format!(
            "missing {missing:?}, not proposed {unfixed:?}, must not be said {wrong:?}; the title is {:?}",
            issue.title
        ));
    }
    let cited = diagnosis["citations"][0]["source"].as_str().unwrap_or("nothing");
    verdict.evidence = cited.split(' ').next() == Some(expect.evidence.as_str());
    if !verdict.evidence {
        complaints.push(format!("the cause is read from {cited}, not from a {}", expect.evidence));
    }
    let invented = invented(diagnosis, &issue.body, scene);
    verdict.grounded = invented.is_empty();
    if !verdict.grounded {
        complaints.push(format!("not in the evidence: {invented:?}"));
    }
    let author = &diagnosis["author"];
    verdict.tokens = author["tokens"].as_u64().unwrap_or(0);
    verdict.calls = author["calls"].as_u64().unwrap_or(0);
    verdict.complaints = complaints;
    verdict
}

/// Markdown without its escapes, as a reader sees it.
pub fn plain(body: &str) -> String {
    body.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace(['\\', '\u{2060}', '`'], "")
}

/// A third-level section of a body.
pub fn section(body: &str, heading: &str) -> String {
    let inside = body.lines().skip_while(|line| line.trim_start_matches('#').trim() != heading).skip(1);
    inside.take_while(|line| !line.starts_with("###")).collect::<Vec<_>>().join("\n")
}

/// Quotes that stand nowhere: citations, and the numbered lines of the excerpt.
fn invented(diagnosis: &Value, body: &str, scene: &Scene) -> Vec<String> {
    let citations = diagnosis["citations"].as_array().into_iter().flatten();
    let quotes = citations.filter_map(|citation| {
        let (source, text) = (citation["source"].as_str()?, citation["text"].as_str()?);
        Some((source.starts_with("log "), text.to_owned()))
    });
    let from_log = body.contains("From log ");
    let excerpt = body
        .lines()
        .filter_map(|line| {
            let (number, text) = line.trim_start().split_once(' ')?;
            (line.starts_with(' ') && number.parse::<u64>().is_ok()).then(|| (from_log, text.to_owned()))
        })
        .filter(|(_, text)| !text.trim().is_empty());
    let objects: String = scene.objects.values().map(words).collect();
    let events: Vec<_> = scene
        .events
        .iter()
        .flat_map(|event| [event.reason.as_str(), event.name.as_str(), event.message.as_str()])
        .collect();
    let held = format!("{objects} {}", events.join(" "));
    quotes
        .chain(excerpt)
        .filter(|(log, text)| !stands(*log, text, scene, &held))
        .map(|(_, text)| text)
        .collect()
}

/// A line of a log stands there as a whole. Lines about objects are put together by the agent from values: each word
/// of theirs is one of the cluster's.
fn stands(log: bool, text: &str, scene: &Scene, held: &str) -> bool {
    let text = text.trim_end_matches('…').trim_end();
    if log {
        // Redacted and cut lines are compared in pieces.
        return text
            .split("<secret:")
            .map(|piece| piece.split_once('>').map_or(piece, |(_, rest)| rest))
            .all(|piece| {
                let piece = piece.split(" … ").next().unwrap_or(piece);
                scene.logs.values().any(|log| visible(log).contains(piece))
            });
    }
    let value = |word: &str| word.rsplit(['=', '/']).next().unwrap_or(word).trim_end_matches(':').to_owned();
    text.split_whitespace().map(value).filter(|word| word.len() > 24).all(|word| held.contains(&word))
}

/// A log without what no reader sees.
fn visible(log: &str) -> String {
    let mut out = String::with_capacity(log.len());
    let mut chars = log.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn words(object: &Value) -> String {
    match object {
        Value::String(text) => format!(" {}", text.replace('\n', " ")),
        Value::Array(items) => items.iter().map(words).collect(),
        Value::Object(map) => map.values().map(words).collect(),
        Value::Null => String::new(),
        other => format!(" {other}"),
    }
}
