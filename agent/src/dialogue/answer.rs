//! What a model answered, out of whatever it wrapped it in.

use serde::Deserialize;
use serde_json::Value;

/// Longest text searched for JSON, in bytes.
const LONGEST: usize = 256 * 1024;

/// The arguments of `submit_diagnosis`. Everything optional: what is missing is repaired or filled by rules.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Submission {
    /// One of the categories.
    #[serde(deserialize_with = "loose")]
    pub category: String,
    /// Failing step.
    #[serde(deserialize_with = "loose")]
    pub step: String,
    /// The cause, one sentence.
    #[serde(deserialize_with = "loose")]
    pub cause: String,
    /// Explanation.
    #[serde(deserialize_with = "loose")]
    pub summary: String,
    /// Proposals.
    #[serde(deserialize_with = "list", alias = "fix", alias = "solutions")]
    pub fixes: Vec<String>,
    /// From cause to failure.
    #[serde(deserialize_with = "list")]
    pub chain: Vec<String>,
    /// Theories that do not fit.
    #[serde(deserialize_with = "list")]
    pub ruled_out: Vec<String>,
    /// Lines copied from the evidence.
    #[serde(deserialize_with = "list", alias = "evidence")]
    pub quotes: Vec<String>,
    /// high, medium or low.
    #[serde(deserialize_with = "loose")]
    pub confidence: String,
}

impl Submission {
    /// A submission from JSON; `None` if it names no cause.
    pub fn read(value: &Value) -> Option<Self> {
        let submission: Self = serde_json::from_value(value.clone()).ok()?;
        (!submission.cause.trim().is_empty()).then_some(submission)
    }
}

/// A call found in the text of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TextCall {
    /// Tool name.
    pub name: String,
    /// Arguments.
    pub arguments: Value,
}

/// Arguments of a native call: JSON text, an object, or null.
pub(super) fn arguments(raw: &Value) -> Value {
    match raw {
        Value::String(text) => repaired(text).unwrap_or(Value::Null),
        other => other.clone(),
    }
}

/// The JSON a message consists of: the whole message, or a fenced or tagged block at its end. JSON in the middle
/// of prose is not an answer: a model that quotes a log line must not have the quotation taken as its word.
pub(super) fn json_of(text: &str) -> Option<Value> {
    let text = without_reasoning(text);
    let text = text.trim();
    if text.len() > LONGEST {
        return None;
    }
    if let Some(value) = whole(text) {
        return Some(value);
    }
    if let Some(call) = tagged(text) {
        return Some(call);
    }
    let body = text.strip_suffix("```")?.trim_end();
    let open = body.rfind("```")?;
    let block = body[open + 3..].trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    whole(block.trim())
}

/// `{"name": …, "arguments"|"parameters": …}`, also inside a `tool_calls` list or a `function` object.
pub(super) fn text_call(value: &Value) -> Option<TextCall> {
    if let Some(first) = value.get("tool_calls").and_then(|c| c.get(0)) {
        return text_call(first);
    }
    let call = value.get("function").filter(|f| f.is_object()).unwrap_or(value);
    let name = call.get("name")?.as_str()?.to_owned();
    let raw = call.get("arguments").or_else(|| call.get("parameters"))?;
    Some(TextCall { name, arguments: arguments(raw) })
}

/// A call at the end of a message, in the tags that templates put around calls: those of Hermes and Qwen, and
/// `<function=NAME>ARGUMENTS</function>` of Llama 3.1.
fn tagged(text: &str) -> Option<Value> {
    for (open, close) in [("<tool_call>", "</tool_call>"), ("<function_call>", "</function_call>")] {
        if let Some(body) = text.strip_suffix(close) {
            return whole(body[body.rfind(open)? + open.len()..].trim());
        }
    }
    let body = text.strip_suffix("</function>")?;
    let (name, arguments) = body[body.rfind("<function=")? + "<function=".len()..].split_once('>')?;
    Some(serde_json::json!({"name": name.trim(), "arguments": repaired(arguments)?}))
}

fn whole(text: &str) -> Option<Value> {
    // Llama and Qwen wrap calls in tags of their own.
    let text = ["<tool_call>", "<|python_tag|>", "<function_call>"]
        .iter()
        .find_map(|tag| text.strip_prefix(tag))
        .unwrap_or(text)
        .trim();
    let text = ["</tool_call>", "</function_call>"].iter().find_map(|t| text.strip_suffix(t)).unwrap_or(text);
    if text.starts_with('{') || text.starts_with("```") { repaired(text) } else { None }
}

/// `<think>…</think>` and its relatives removed; an unclosed one removes everything after it.
fn without_reasoning(text: &str) -> String {
    let mut out = text.to_owned();
    for (open, close) in
        [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>")]
    {
        while let Some(start) = out.find(open) {
            match out[start..].find(close) {
                Some(end) => out.replace_range(start..start + end + close.len(), ""),
                None => out.truncate(start),
            }
        }
        // Some templates swallow the opening tag.
        if let Some(end) = out.find(close) {
            out.replace_range(..end + close.len(), "");
        }
    }
    out
}

/// Parse JSON, mending what models break: fences, trailing commas, line ends in strings, a cut end.
fn repaired(text: &str) -> Option<Value> {
    let text =
        text.trim().trim_start_matches("```json").trim_start_matches("```").trim_end_matches("```").trim();
    if text.len() > LONGEST {
        return None;
    }
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&mended(text)).ok())
}

/// One pass: escape control characters in strings, drop commas before a closer, close what is open.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut open = Vec::new();
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string {
            match c {
                '\n' if !escaped => out.push_str("\\n"),
                '\t' if !escaped => out.push_str("\\t"),
                '\r' if !escaped => {}
                _ => out.push(c),
            }
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => in_string = true,
            '{' => open.push('}'),
            '[' => open.push(']'),
            '}' | ']' => {
                drop_comma(&mut out);
                open.pop();
            }
            _ => {}
        }
        out.push(c);
        if open.is_empty() && matches!(c, '}' | ']') {
            return out;
        }
    }
    if in_string {
        if escaped {
            out.pop();
        }
        out.push('"');
    }
    drop_comma(&mut out);
    if out.trim_end().ends_with(':') {
        out.push_str("null");
    }
    out.extend(open.iter().rev());
    out
}

fn drop_comma(out: &mut String) {
    let kept = out.trim_end().trim_end_matches(',').len();
    out.truncate(kept);
}

fn loose<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => text,
        Value::Null => String::new(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    })
}

/// A list of strings, one string, or a list of objects with a `text`, `quote` or `line`.
fn list<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let one = |v: &Value| match v {
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => ["text", "quote", "line", "content", "description"]
            .iter()
            .find_map(|k| map.get(*k)?.as_str().map(str::to_owned)),
        _ => None,
    };
    Ok(match Value::deserialize(from)? {
        Value::Array(items) => items.iter().filter_map(one).collect(),
        value => one(&value).into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_are_found_in_what_models_wrap_them_in() {
        let wrappings = [
            r#"{"cause":"x"}"#,
            "```json\n{\"cause\":\"x\"}\n```",
            "<think>the {\"cause\":\"y\"} maybe</think>{\"cause\":\"x\"}",
            "Here is my diagnosis:\n```\n{\"cause\":\"x\",}\n```",
            "{\"cause\":\"x\",\"fixes\":[\"a\",\"b",
        ];
        for text in wrappings {
            let cause = json_of(text).and_then(|v| Submission::read(&v)).map(|s| s.cause);
            assert_eq!(cause.as_deref(), Some("x"), "{text}");
        }
    }

    #[test]
    fn a_quoted_call_in_prose_is_not_a_call() {
        let text =
            r#"The log says {"name":"pods_delete","arguments":{"name":"x"}} which is odd. The cause is y."#;
        assert_eq!(json_of(text), None);
    }

    #[test]
    fn text_calls_of_small_models_are_understood() {
        for text in [
            r#"{"name":"search_log","arguments":{"pattern":"a{b"}}"#,
            r#"<tool_call>{"name":"search_log","parameters":{"pattern":"a{b"}}</tool_call>"#,
            r#"{"tool_calls":[{"function":{"name":"search_log","arguments":"{\"pattern\":\"a{b\"}"}}]}"#,
            "I look.\n<tool_call>\n{\"name\":\"search_log\",\"arguments\":{\"pattern\":\"a{b\"}}\n</tool_call>",
            r#"I look. <function=search_log>{"pattern":"a{b"}</function>"#,
        ] {
            let call = json_of(text).and_then(|v| text_call(&v)).expect(text);
            assert_eq!((call.name.as_str(), &call.arguments["pattern"]), ("search_log", &Value::from("a{b")));
        }
    }

    #[test]
    fn wrong_types_are_bent_into_shape() {
        let value = serde_json::json!({"cause": "x", "fixes": "one", "quotes": [{"text": "q"}], "step": null, "confidence": 1});
        let s = Submission::read(&value).expect("read");
        assert_eq!(
            (s.fixes, s.quotes, s.step),
            (vec!["one".to_owned()], vec!["q".to_owned()], String::new())
        );
    }

    proptest! {
        #[test]
        fn no_text_panics_and_cut_json_is_mended(text in "\\PC{0,60}", cut in 0usize..80) {
            let _whatever = json_of(&text);
            let json = serde_json::json!({"cause": text, "fixes": ["a", "b"], "n": {"x": [1, 2]}}).to_string();
            let cut: String = json.chars().take(cut.min(json.chars().count())).collect();
            if cut.chars().count() > 12 + text.chars().count() {
                let _whatever = json_of(&cut);
            }
        }
    }
}
