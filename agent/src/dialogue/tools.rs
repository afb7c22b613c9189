//! What a model may ask for: our own read-only wrappers over evidence that was collected already.
//!
//! No MCP tool is passed through. A call to anything else (`create_issue` from an old prompt, a tool named
//! in a log) is answered with a sentence and not executed.

use std::pin::Pin;

use serde_json::{Value, json};

use super::answer::TextCall;
use crate::evidence::{Evidence, Source};
use crate::lines::clip;

/// The only way to finish.
pub(super) const SUBMIT: &str = "submit_diagnosis";
/// Largest result, in bytes.
const LARGEST: usize = 6 * 1024;

/// Reads files of the repository the pipeline built, at the commit it built.
pub trait Repository: Send + Sync {
    /// Content of a file, or a sentence why not.
    fn read<'a>(&'a self, path: &'a str)
    -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;
}

/// No repository is known, as in `agent diagnose`.
#[derive(Clone, Copy, Debug)]
pub struct NoRepository;

impl Repository for NoRepository {
    fn read<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(async { Err("the repository is not available".to_owned()) })
    }
}

/// Whether a tool of that name tells something.
pub(super) fn reads(name: &str) -> bool {
    let reads = ["search_log", "get_pod", "get_taskrun", "get_pipelinerun", "list_events", "read_repo_file"];
    reads.contains(&name)
}

/// Schemas of the tools; on the last turn only the submission is left.
pub(super) fn definitions(last: bool) -> Vec<Value> {
    let function = |name: &str, description: &str, properties: Value, required: &[&str]| {
        json!({"type": "function", "function": {"name": name, "description": description, "parameters":
            {"type": "object", "properties": properties, "required": required}}})
    };
    let text = |description: &str| json!({"type": "string", "description": description});
    let texts =
        |description: &str| json!({"type": "array", "items": {"type": "string"}, "description": description});
    let submit = function(
        SUBMIT,
        "Hand in the diagnosis. Call this exactly once.",
        json!({
            "category": text("kind of failure in the rule engine's terms, for example dependency, test, compile, image-pull"),
            "step": text("failing step, if known"),
            "cause": text("root cause in one fragment of at most 120 characters"),
            "summary": text("what happened, two or three sentences"),
            "fixes": texts("what to change, most promising first"),
            "chain": texts("from root cause to visible failure"),
            "ruled_out": texts("theories that do not fit, with the reason"),
            "quotes": texts("1 to 4 lines copied from the evidence"),
            "confidence": {"type": "string", "enum": ["high", "medium", "low"]},
        }),
        &["cause", "summary", "fixes", "quotes", "confidence"],
    );
    if last {
        return vec![submit];
    }
    vec![
        function(
            "search_log",
            "Search all evidence for a text (case does not matter).",
            json!({"pattern": text("text to look for"), "context": {"type": "integer", "description": "lines around, 0 to 10"}}),
            &["pattern"],
        ),
        function("get_pod", "State of the pods of the run.", json!({}), &[]),
        function("get_taskrun", "State of the TaskRun and its attempts.", json!({}), &[]),
        function("get_pipelinerun", "State of the PipelineRun.", json!({}), &[]),
        function("list_events", "Events of the namespace that concern the run.", json!({}), &[]),
        function(
            "read_repo_file",
            "A file of the repository at the commit that was built.",
            json!({"path": text("path from the root of the repository")}),
            &["path"],
        ),
        submit,
    ]
}

/// Answer a call with text; never an error.
pub(super) async fn answer(call: &TextCall, evidence: &Evidence, repository: &dyn Repository) -> String {
    let text = match call.name.as_str() {
        "search_log" => search(&call.arguments, evidence),
        "get_pod" => states(evidence, &["Pod"]),
        "get_taskrun" => states(evidence, &["TaskRun"]),
        "get_pipelinerun" => states(evidence, &["PipelineRun"]),
        "list_events" => events(evidence),
        "read_repo_file" => match call.arguments.get("path").and_then(Value::as_str).and_then(safe_path) {
            Some(path) => repository.read(path).await.unwrap_or_else(|why| why),
            None => "path must be a relative path inside the repository".to_owned(),
        },
        SUBMIT => "The submission has no cause. Call submit_diagnosis again with at least cause, summary, fixes and quotes."
            .to_owned(),
        "create_issue" | "issue_write" => "Issues are filed for you. Put the content into submit_diagnosis.".to_owned(),
        other => format!("There is no tool {:?}. Use the ones you were given.", clip(other, 60)),
    };
    clip(&text, LARGEST)
}

fn search(arguments: &Value, evidence: &Evidence) -> String {
    let pattern = arguments.get("pattern").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    if pattern.is_empty() || pattern.len() > 200 {
        return "pattern must have 1 to 200 characters".to_owned();
    }
    let context = arguments.get("context").and_then(Value::as_u64).unwrap_or(2).min(10);
    let mut out = Vec::new();
    for item in &evidence.items {
        let mut shown = 0;
        for line in item.excerpt.lines.iter().filter(|l| l.text.to_lowercase().contains(&pattern)).take(8) {
            for near in item.excerpt.around(line.number, context, context) {
                if near.number > shown {
                    out.push(format!("{} {:>6} {}", item.id, near.number, near.text));
                    shown = near.number;
                }
            }
        }
    }
    if out.is_empty() { "nothing found in the lines that were kept".to_owned() } else { out.join("\n") }
}

fn states(evidence: &Evidence, kinds: &[&str]) -> String {
    let of_kind = |s: &Source| matches!(s, Source::Status { object, .. } if kinds.contains(&object.as_str()));
    whole(evidence, of_kind)
}

fn events(evidence: &Evidence) -> String {
    whole(evidence, |s| matches!(s, Source::Events { .. }))
}

fn whole(evidence: &Evidence, wanted: impl Fn(&Source) -> bool) -> String {
    let found: Vec<_> = evidence
        .items
        .iter()
        .filter(|i| wanted(&i.source))
        .map(|i| format!("{} {}\n{}", i.id, i.source, i.excerpt.render(None, LARGEST / 2)))
        .collect();
    if found.is_empty() { "not available".to_owned() } else { found.join("\n") }
}

/// Relative, no parent directories, sane characters.
fn safe_path(path: &str) -> Option<&str> {
    let path = path.trim().trim_start_matches("./");
    let sane = |c: char| c.is_ascii_alphanumeric() || "/._-+@ ".contains(c);
    let inside = !path.starts_with('/') && path.split('/').all(|p| p != ".." && !p.is_empty());
    (!path.is_empty() && path.len() <= 300 && inside && path.chars().all(sane)).then_some(path)
}
