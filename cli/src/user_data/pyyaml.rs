//! Writes YAML byte for byte as PyYAML's `safe_dump(value, explicit_start=True)` does.
//!
//! Block style, sorted keys, two spaces of indentation, lines folded after column 80, ASCII only. Platforms
//! compare and patch these files as text, so that "the same YAML" is not enough. The rules are those of
//! PyYAML 6.0 (`emitter.py`, `representer.py`, `resolver.py`).

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};
use tenant_kit::yaml::scalar::{Plain, resolve};

mod float;
mod scalar;

/// Column after which a line is folded at the next opportunity.
const WIDTH: usize = 80;
/// Characters of indentation per level.
const INDENT: usize = 2;
/// Longest scalar that is written as a simple key; PyYAML counts the tag `!!str` too.
const LONGEST_KEY: usize = 122;

/// The document for a map.
pub fn dump(map: &Map<String, Value>) -> String {
    let mut emitter = Emitter::default();
    emitter.indicator("---", true, false, false);
    if map.is_empty() {
        emitter.indicator("{}", true, false, false);
    } else {
        emitter.mapping(map);
    }
    emitter.line_break();
    emitter.out
}

/// The state of PyYAML's emitter that decides about white space.
#[derive(Default)]
struct Emitter {
    out: String,
    column: usize,
    /// Indentation of the collection being written; `None` outside of any.
    indent: Option<usize>,
    /// The last character was white space.
    whitespace: bool,
    /// Only indentation and indicators stand in this line so far.
    indention: bool,
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    /// A value of a map.
    Mapping,
    /// An item of a list.
    Sequence,
}

impl Emitter {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        // only ASCII is ever written
        self.column += text.len();
    }

    fn indicator(&mut self, text: &str, need_whitespace: bool, whitespace: bool, indention: bool) {
        if need_whitespace && !self.whitespace && !self.out.is_empty() {
            self.push(" ");
        }
        self.push(text);
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.whitespace = true;
        self.indention = true;
        self.column = 0;
    }

    /// Moves to the start of a node: to a new line, unless the line is only indented so far.
    fn start_line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        if self.column < indent {
            self.whitespace = true;
            let missing = indent - self.column;
            self.push(&" ".repeat(missing));
        }
    }

    fn node(&mut self, value: &Value, context: Context) {
        match value {
            Value::Object(map) if map.is_empty() => self.indicator("{}", true, false, false),
            Value::Array(items) if items.is_empty() => self.indicator("[]", true, false, false),
            Value::Object(map) => self.mapping(map),
            Value::Array(items) => self.sequence(items, context),
            Value::String(text) => self.text(text, false),
            Value::Null => self.plain("null", true),
            Value::Bool(flag) => self.plain(if *flag { "true" } else { "false" }, true),
            Value::Number(number) => self.plain(&spelled(number), true),
        }
    }

    fn mapping(&mut self, map: &Map<String, Value>) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(0, |indent| indent + INDENT));
        let mut pairs: Vec<(&String, &Value)> = map.iter().collect();
        pairs.sort_by_key(|(key, _)| *key);
        for (key, value) in pairs {
            self.start_line();
            let simple = key.chars().count() <= LONGEST_KEY && !key.is_empty() && !scalar::has_break(key);
            if simple {
                self.text(key, true);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.text(key, false);
                self.start_line();
                self.indicator(":", true, false, true);
            }
            self.node(value, Context::Mapping);
        }
        self.indent = outer;
    }

    fn sequence(&mut self, items: &[Value], context: Context) {
        let outer = self.indent;
        // lists are not indented below the key they belong to
        let indentless = context == Context::Mapping && !self.indention;
        self.indent = match outer {
            Some(indent) if indentless => Some(indent),
            Some(indent) => Some(indent + INDENT),
            None => Some(0),
        };
        for item in items {
            self.start_line();
            self.indicator("-", true, false, true);
            self.node(item, Context::Sequence);
        }
        self.indent = outer;
    }

    /// A text in the first style that can hold it: plain, single-quoted, double-quoted.
    fn text(&mut self, text: &str, simple_key: bool) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(INDENT, |indent| indent + INDENT));
        let styles = scalar::styles(text);
        let is_text = matches!(resolve(text), Plain::Text);
        if is_text && styles.plain && !(simple_key && text.is_empty()) {
            self.plain(text, !simple_key);
        } else if styles.single_quoted {
            self.single_quoted(text, !simple_key);
        } else {
            self.double_quoted(text, !simple_key);
        }
        self.indent = outer;
    }
}

/// A number as Python spells it.
fn spelled(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float::spelled(float),
        _ => number.to_string(),
    }
}

/// `text` as Python's `json.dumps` writes it: ASCII only.
pub fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for c in Value::from(text).to_string().chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // writing to a string cannot fail
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    // Python escapes DEL not at all, serde_json neither
    out
}

#[cfg(test)]
mod tests;
