//! The issue text: rendered by code from a [`Diagnosis`] and its [`Evidence`], then read back and checked.
//!
//! Everything from a log is untrusted. In prose it is escaped so that it cannot mention people, close
//! issues, embed images or HTML; in blocks it stands inside a fence longer than any run of backticks in
//! it. Whatever a value contains, [`parse`] must accept the result, or nothing is filed.

mod escape;
mod parse;

pub use parse::{Broken, MARKER, Parsed, marker, parse};

use std::sync::LazyLock;

use handlebars::Handlebars;
use serde::Serialize;

use crate::diagnosis::{Author, Diagnosis};
use crate::evidence::{Evidence, Source};
use crate::rules::catalogue;
use escape::{code, fence, prose};

/// Largest body we send, in bytes. Gitea takes more, mail notifications and small databases do not.
pub const LARGEST: usize = 60 * 1024;

const TEMPLATE: &str = include_str!("issue/issue.md.hbs");

static TEMPLATES: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut templates = Handlebars::new();
    templates.register_escape_fn(handlebars::no_escape);
    templates.set_strict_mode(true);
    templates.register_template_string("issue", TEMPLATE).expect("a test renders the built-in template");
    templates
});

/// How often this failure was seen.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Occurrence {
    /// First time, RFC 3339.
    pub first: String,
    /// Last time, RFC 3339.
    pub last: String,
    /// Times in total.
    pub count: u64,
}

/// A finished issue.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Issue {
    /// Title.
    pub title: String,
    /// Markdown body; its first line is the hidden marker.
    pub body: String,
    /// Labels to set where the server allows it.
    pub labels: Vec<String>,
}

/// Everything the template shows, escaped already.
#[derive(Serialize)]
struct View {
    marker: String,
    location: String,
    summary: String,
    rules_only: bool,
    excerpt: String,
    excerpt_source: String,
    fixes: Vec<String>,
    citations: Vec<CitationView>,
    chain: Vec<String>,
    ruled_out: Vec<String>,
    missing: Vec<String>,
    notes: Vec<String>,
    facts: Vec<(String, String)>,
    seen: Option<String>,
    confidence: &'static str,
    because: String,
    secrets: Option<String>,
    instructions: bool,
    footer: String,
}

#[derive(Serialize)]
struct CitationView {
    item: String,
    source: String,
    line: u64,
    text: String,
}

/// Render and check. The excerpt shrinks until the body fits.
pub fn render(
    diagnosis: &Diagnosis,
    evidence: &Evidence,
    fingerprint: &str,
    occurrence: Option<Occurrence>,
) -> Result<Issue, Broken> {
    let mut view = view(diagnosis, evidence, fingerprint, occurrence);
    let mut room = 12 * 1024;
    let body = loop {
        (view.excerpt, view.excerpt_source) = excerpt(diagnosis, evidence, room);
        let body = TEMPLATES.render("issue", &view).map_err(|e| Broken::Template(e.to_string()))?;
        if body.len() <= LARGEST || room < 512 {
            break body;
        }
        room /= 2;
    };
    let parsed = parse(&body)?;
    if parsed.fingerprint != fingerprint {
        return Err(Broken::Marker);
    }
    Ok(Issue { title: title(diagnosis, evidence), body, labels: labels(diagnosis) })
}

fn view(d: &Diagnosis, evidence: &Evidence, fingerprint: &str, occurrence: Option<Occurrence>) -> View {
    let run = &evidence.run;
    let known = |f: &Option<String>| f.clone().unwrap_or_else(|| "not known".to_owned());
    let all = |list: &[String]| list.iter().map(|t| prose(t)).collect::<Vec<_>>();
    let numbered = |list: &[String]| {
        list.iter().enumerate().map(|(i, t)| format!("{}. {}", i + 1, prose(t))).collect::<Vec<_>>()
    };
    let left_out: u64 = evidence.items.iter().map(|i| i.excerpt.left_out()).sum();
    let redacted: u64 = evidence.redactions.values().sum();
    let by = match &d.author {
        Author::Rules => "rules only, no model".to_owned(),
        Author::Model { name, tokens, calls } => {
            format!("model {}, {tokens} tokens in {calls} calls", code(name))
        }
    };
    let kinds: Vec<_> = evidence.redactions.keys().map(|k| code(k)).collect();
    View {
        marker: marker(fingerprint),
        location: code(&format!("{}/{}", known(&run.namespace), known(&run.pod))),
        summary: prose(&d.summary),
        rules_only: d.author == Author::Rules,
        excerpt: String::new(),
        excerpt_source: String::new(),
        fixes: numbered(&d.fixes),
        citations: d
            .citations
            .iter()
            .map(|c| CitationView {
                item: code(&c.item),
                source: prose(&c.source),
                line: c.line,
                text: code(&c.text),
            })
            .collect(),
        chain: numbered(&d.chain),
        ruled_out: all(&d.ruled_out),
        missing: all(&evidence.missing),
        notes: all(&evidence.notes),
        facts: facts(d, evidence),
        seen: occurrence.map(|o| match o.count {
            0 | 1 => format!("First seen {}.", o.first),
            count => format!("Seen {count} times, first {}, last {}.", o.first, o.last),
        }),
        confidence: d.confidence.name(),
        because: prose(&d.because),
        secrets: (!kinds.is_empty()).then(|| kinds.join(", ")),
        instructions: evidence.items.iter().any(|i| !i.instructions.is_empty()),
        footer: format!(
            "agent {} · {by} · {left_out} log lines left out · {redacted} secrets removed",
            env!("CARGO_PKG_VERSION")
        ),
    }
}

/// The lines around the cause, in a fence; the source in words. Where nothing but the state of an object says that
/// something failed, the log may say why to a reader.
fn excerpt(diagnosis: &Diagnosis, evidence: &Evidence, room: usize) -> (String, String) {
    let log =
        || evidence.items.iter().find(|i| matches!(i.source, Source::Log { .. }) && i.excerpt.total > 0);
    let vague = diagnosis.signature.as_deref().and_then(|id| catalogue().get(id)).is_none_or(|s| s.generic);
    let cited = diagnosis.citations.first();
    let named = cited.and_then(|c| evidence.item(&c.item));
    let telling = named.filter(|i| !vague || matches!(i.source, Source::Log { .. }));
    let item = telling.or_else(log).or(named);
    let cited = cited.filter(|c| item.is_some_and(|i| i.id == c.item));
    match item {
        Some(item) if item.excerpt.total > 0 => {
            let text = item.excerpt.render(cited.map(|c| c.line), room);
            (fence(&text), prose(&item.source.to_string()))
        }
        _ => (fence("(no log is available)"), "nothing".to_owned()),
    }
}

fn facts(d: &Diagnosis, evidence: &Evidence) -> Vec<(String, String)> {
    let run = &evidence.run;
    let attempts = run.attempts.map(|n| n.to_string());
    let exit = run.exit_code.map(|n| n.to_string());
    let category = Some(d.category.name());
    let params: Vec<_> = run.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let params = (!params.is_empty()).then(|| crate::lines::clip(&params.join(", "), 600));
    [
        ("PipelineRun", &run.pipeline_run),
        ("Task", &run.task),
        ("TaskRun", &run.task_run),
        ("Step", &d.step),
        ("Container", &run.container),
        ("Category", &category),
        ("Exit code", &exit),
        ("Reason", &run.reason),
        ("Attempts", &attempts),
        ("Started", &run.started),
        ("Finished", &run.finished),
        ("Repository", &run.git_url),
        ("Revision", &run.git_revision),
        ("Commit", &run.commit),
        ("Parameters", &params),
        ("Node", &run.node),
        ("Image", &run.image),
        ("Service account", &run.service_account),
        ("Run", &run.run_url),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.as_ref().map(|v| (name.to_owned(), code(v))))
    .collect()
}

fn title(diagnosis: &Diagnosis, evidence: &Evidence) -> String {
    let run = &evidence.run;
    let part = |f: &Option<String>| f.as_deref().unwrap_or("-").chars().take(63).collect::<String>();
    let path = format!("{}/{}/{}", part(&run.pipeline), part(&run.task), part(&diagnosis.step));
    let title = format!("[pipeline] {path}: {}", diagnosis.headline());
    title.chars().filter(|c| crate::text::is_visible(*c) && *c != '\n' && *c != '\r').take(250).collect()
}

fn labels(diagnosis: &Diagnosis) -> Vec<String> {
    vec![
        "pipeline-failure".to_owned(),
        format!("cause/{}", diagnosis.category.name()),
        format!("confidence/{}", diagnosis.confidence.name()),
    ]
}

#[cfg(test)]
mod tests;
