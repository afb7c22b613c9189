//! What the generations of the Gitea MCP server answer, in one shape.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

/// An issue as far as we need it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TrackerIssue {
    pub(super) number: u64,
    pub(super) title: String,
    /// Absent in the lists of newer servers.
    pub(super) body: Option<String>,
    pub(super) open: bool,
    pub(super) url: String,
    pub(super) comments: u64,
    pub(super) updated: Option<Timestamp>,
}

/// Line that begins the tally in a body.
const TALLY: &str = "Seen again: ";

/// One issue; `None` when the text holds no integer number, whatever the call said.
pub(super) fn issue(text: &str) -> Option<TrackerIssue> {
    from(&unwrapped(text)?)
}

/// A list of issues; pull requests are left out.
pub(super) fn issues(text: &str) -> Vec<TrackerIssue> {
    match unwrapped(text) {
        Some(Value::Array(items)) => items.iter().filter(|i| !is_pull(i)).filter_map(from).collect(),
        _ => Vec::new(),
    }
}

/// Label names and ids.
pub(super) fn labels(text: &str) -> BTreeMap<String, u64> {
    let list = unwrapped(text).and_then(|v| v.as_array().cloned()).unwrap_or_default();
    list.iter().filter_map(|l| Some((l.get("name")?.as_str()?.to_owned(), l.get("id")?.as_u64()?))).collect()
}

/// The id of a label just created.
pub(super) fn label_id(text: &str) -> Option<u64> {
    unwrapped(text)?.get("id")?.as_u64()
}

/// A body whose tally says one more; the first line, the marker, stays first.
pub(super) fn with_tally(body: &str, note: &str) -> String {
    let when = note.lines().next().unwrap_or_default();
    let count = body
        .lines()
        .find_map(|l| l.strip_prefix(TALLY)?.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0);
    let kept: Vec<_> = body.lines().filter(|l| !l.starts_with(TALLY)).collect();
    format!("{}\n\n{TALLY}{} times more; last: {when}", kept.join("\n").trim_end(), count + 1)
}

/// The JSON of an answer; the oldest generation wraps it in `Result`.
fn unwrapped(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text.trim()).ok()?;
    match value {
        Value::Object(mut map) if map.len() == 1 && map.contains_key("Result") => map.remove("Result"),
        other => Some(other),
    }
}

fn from(value: &Value) -> Option<TrackerIssue> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(TrackerIssue {
        number: value.get("number").or_else(|| value.get("index"))?.as_u64()?,
        title: text("title").unwrap_or_default(),
        body: text("body"),
        open: text("state").is_none_or(|s| s == "open"),
        url: text("html_url").or_else(|| text("url")).unwrap_or_default(),
        comments: value.get("comments").and_then(Value::as_u64).unwrap_or(0),
        updated: text("updated_at").and_then(|t| t.parse().ok()),
    })
}

fn is_pull(value: &Value) -> bool {
    value.get("pull_request").is_some_and(|p| !p.is_null()) || value["is_pull"] == true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_is_read_and_a_success_without_number_is_none() {
        let a = r#"{"Result":{"id":9,"number":7,"title":"t","body":"b","state":"open","html_url":"u"}}"#;
        let b = r#"{"number":7,"title":"t","body":"b","state":"open","html_url":"u"}"#;
        assert_eq!(issue(a), issue(b));
        assert_eq!(issue(a).map(|i| i.number), Some(7));
        assert_eq!(issue("Error calling tool: 502"), None);
        assert_eq!(
            issues(r#"{"Result":[{"number":1},{"number":2,"pull_request":{"merged":false}}]}"#).len(),
            1
        );
    }

    #[test]
    fn the_tally_counts_and_the_marker_stays_first() {
        let once = with_tally("<!-- pfa:v1 fp=0 -->\ntext", "first note");
        let twice = with_tally(&once, "second note");
        assert!(twice.starts_with("<!-- pfa:v1 fp=0 -->\ntext"));
        assert!(twice.ends_with("Seen again: 2 times more; last: second note"), "{twice}");
        assert_eq!(twice.matches("Seen again").count(), 1);
    }
}
