//! YAML as Ansible reads it: PyYAML's YAML 1.1, into JSON values, with the line of every top-level key.
//!
//! Built on parser events, because the meaning of a scalar has to be PyYAML's (see [`super::scalar`]) and
//! because `!vault` and `!unsafe` must survive reading. Hostile input is bounded: depth, and the number of
//! nodes after aliases are expanded.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::scalar::{Plain, resolve};

/// Deepest nesting accepted.
const MAX_DEPTH: usize = 64;
/// Most nodes accepted in one document, counting what aliases repeat.
const MAX_NODES: usize = 200_000;
/// What Ansible's encrypted strings and files start with.
pub const VAULT_HEADER: &str = "$ANSIBLE_VAULT;";

/// One key of the document's top-level map.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value. A `!vault` string keeps its ciphertext, which starts with [`VAULT_HEADER`]; an `!unsafe`
    /// string is wrapped so that it renders as it stands.
    pub value: Value,
    /// Line of the key, counted from 1.
    pub line: usize,
    /// The value as written, where an unquoted scalar was taken for something other than text.
    pub written: Option<String>,
}

/// Why a document was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {fault}")]
pub struct ReadError {
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not YAML.
    #[error("broken YAML: {0}")]
    Syntax(String),
    /// A key given twice in one map; Ansible would silently take the last.
    #[error("key `{key}` is repeated (first in line {first}); keep one")]
    RepeatedKey {
        /// The key.
        key: String,
        /// Line of its first appearance.
        first: usize,
    },
    /// The document is not a map.
    #[error("a map of variables is expected here, not {0}; write `name: value` lines")]
    NotAMap(&'static str),
    /// More than one document in the file.
    #[error("a second YAML document starts here; variables must be in one document")]
    SecondDocument,
    /// A map whose key is a list or a map.
    #[error("a list or map cannot be the name of a value")]
    Key,
    /// A tag with no meaning in variables.
    #[error("the tag `{0}` is not supported")]
    Tag(String),
    /// `<<` with something other than a map or a list of maps.
    #[error("`<<` merges maps only")]
    Merge,
    /// An alias whose anchor holds the alias itself.
    #[error("an alias refers to a value that is not complete yet")]
    Alias,
    /// Nested too deep.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    Depth,
    /// Too large once aliases are expanded.
    #[error("more than {MAX_NODES} values once aliases are expanded")]
    Size,
}

/// Reads a document that must be a map (or empty) and keeps the place of its keys, in their order.
///
/// # Errors
/// The first fault, with its place.
pub fn read_map(text: &str) -> Result<Vec<(String, Entry)>, ReadError> {
    let mut reader = Reader::new(text);
    let entries = match reader.root()? {
        None => Vec::new(),
        Some((Event::MappingStart(_, _, tag), at)) => {
            check_collection_tag(tag.as_deref(), "map", at)?;
            reader.pairs(1)?
        }
        Some((event, at)) => match reader.node(event, at, 0)? {
            Node { value: Value::Null, .. } => Vec::new(),
            node => return Err(at.fault(Fault::NotAMap(kind_of(&node.value)))),
        },
    };
    reader.end()?;
    Ok(entries)
}

/// Reads one value of any kind; an empty document is null.
///
/// # Errors
/// The first fault, with its place.
pub fn read(text: &str) -> Result<Value, ReadError> {
    let mut reader = Reader::new(text);
    let value = match reader.root()? {
        None => Value::Null,
        Some((event, at)) => reader.node(event, at, 0)?.value,
    };
    reader.end()?;
    Ok(value)
}

/// What a value is, in words.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// A place in the document, counted from 1.
#[derive(Debug, Clone, Copy)]
struct Place {
    line: usize,
    column: usize,
}

impl Place {
    fn of(span: &Span) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1 }
    }

    fn fault(self, fault: Fault) -> ReadError {
        ReadError { line: self.line, column: self.column, fault }
    }
}

/// A value with what was written for it.
#[derive(Debug, Clone)]
struct Node {
    value: Value,
    written: Option<String>,
}

struct Reader<'text> {
    parser: Parser<'text, StrInput<'text>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'text> Reader<'text> {
    fn new(text: &'text str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 }
    }

    /// The next event that is part of the data.
    fn next(&mut self) -> Result<(Event<'text>, Place), ReadError> {
        loop {
            return match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => continue,
                Some(Ok((event, span))) => Ok((event, Place::of(&span))),
                Some(Err(error)) => {
                    let place = Place { line: error.marker().line(), column: error.marker().col() + 1 };
                    Err(place.fault(Fault::Syntax(error.info())))
                }
                None => Ok((Event::StreamEnd, Place { line: 1, column: 1 })),
            };
        }
    }

    /// The first event of the only document's root; `None` for a stream without documents.
    fn root(&mut self) -> Result<Option<(Event<'text>, Place)>, ReadError> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => return Ok(None),
                (event, at) => return Ok(Some((event, at))),
            }
        }
    }

    /// Makes sure that nothing follows the first document.
    fn end(&mut self) -> Result<(), ReadError> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), at) => return Err(at.fault(Fault::SecondDocument)),
                _ => {}
            }
        }
    }

    fn count(&mut self, nodes: usize, at: Place) -> Result<(), ReadError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES { Err(at.fault(Fault::Size)) } else { Ok(()) }
    }

    fn node(&mut self, event: Event<'text>, at: Place, depth: usize) -> Result<Node, ReadError> {
        if depth > MAX_DEPTH {
            return Err(at.fault(Fault::Depth));
        }
        self.count(1, at)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref(), at)?, anchor),
            Event::SequenceStart(_, anchor, tag) => {
                check_collection_tag(tag.as_deref(), "seq", at)?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, at) => items.push(self.node(event, at, depth + 1)?.value),
                    }
                }
                (Node { value: Value::Array(items), written: None }, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                check_collection_tag(tag.as_deref(), "map", at)?;
                let pairs = self.pairs(depth + 1)?;
                let map = pairs.into_iter().map(|(key, entry)| (key, entry.value)).collect();
                (Node { value: Value::Object(map), written: None }, anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(at.fault(Fault::Alias));
                };
                self.count(size(&node.value), at)?;
                return Ok(node);
            }
            _ => return Err(at.fault(Fault::Syntax("a value is expected here".to_owned()))),
        };
        if anchor != 0 {
            self.count(size(&node.value), at)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// The pairs of a map up to its end, with `<<` merged in: keys of the map itself win, then those of the
    /// map merged first.
    fn pairs(&mut self, depth: usize) -> Result<Vec<(String, Entry)>, ReadError> {
        let mut pairs: Vec<(String, Entry)> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut merged: Vec<(Map<String, Value>, usize)> = Vec::new();
        loop {
            let (event, at) = self.next()?;
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, _, _) => {
                    if style == ScalarStyle::Plain && resolve(&text) == Plain::Merge {
                        let (event, value_at) = self.next()?;
                        let value = self.node(event, value_at, depth)?.value;
                        merged.extend(
                            merge_sources(value, value_at)?.into_iter().map(|map| (map, value_at.line)),
                        );
                        continue;
                    }
                    text.into_owned()
                }
                Event::Alias(anchor) => match self.anchors.get(&anchor) {
                    Some(Node { value: Value::String(text), .. }) => text.clone(),
                    _ => return Err(at.fault(Fault::Key)),
                },
                _ => return Err(at.fault(Fault::Key)),
            };
            self.count(1, at)?;
            if let Some(first) = lines.insert(key.clone(), at.line) {
                return Err(at.fault(Fault::RepeatedKey { key, first }));
            }
            let (event, value_at) = self.next()?;
            let Node { value, written } = self.node(event, value_at, depth)?;
            pairs.push((key, Entry { value, line: at.line, written }));
        }
        for (map, line) in merged {
            for (key, value) in map {
                if !lines.contains_key(&key) {
                    lines.insert(key.clone(), line);
                    pairs.push((key, Entry { value, line, written: None }));
                }
            }
        }
        Ok(pairs)
    }
}

fn merge_sources(value: Value, at: Place) -> Result<Vec<Map<String, Value>>, ReadError> {
    match value {
        Value::Object(map) => Ok(vec![map]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::Object(map) => Ok(map),
                _ => Err(at.fault(Fault::Merge)),
            })
            .collect(),
        _ => Err(at.fault(Fault::Merge)),
    }
}

fn check_collection_tag(tag: Option<&Tag>, expected: &str, at: Place) -> Result<(), ReadError> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix() == expected => Ok(()),
        Some(tag) => Err(at.fault(Fault::Tag(spelled(tag)))),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Place) -> Result<Node, ReadError> {
    let as_text = |text: &str| Node { value: Value::from(text), written: None };
    let Some(tag) = tag else {
        if style != ScalarStyle::Plain {
            return Ok(as_text(text));
        }
        return Ok(match resolved(text) {
            Some(value) => Node { value, written: Some(text.to_owned()) },
            None => as_text(text),
        });
    };
    let local = tag.handle() == "!";
    let node = match tag.suffix() {
        "" | "str" if local == tag.suffix().is_empty() => as_text(text),
        "vault" | "vault-encrypted" if local => as_text(text.trim()),
        "unsafe" if local => as_text(&shielded(text)),
        "int" | "float" | "bool" | "null" if !local => match resolved(text) {
            Some(value) => Node { value, written: Some(text.to_owned()) },
            None => return Err(at.fault(Fault::Tag(spelled(tag)))),
        },
        _ => return Err(at.fault(Fault::Tag(spelled(tag)))),
    };
    Ok(node)
}

/// The JSON value of an unquoted scalar, unless it is text.
fn resolved(text: &str) -> Option<Value> {
    match resolve(text) {
        Plain::Null => Some(Value::Null),
        Plain::Bool(value) => Some(Value::Bool(value)),
        Plain::Int(decimal) => Some(
            decimal
                .parse::<i64>()
                .map(Value::from)
                .or_else(|_| decimal.parse::<u64>().map(Value::from))
                // JSON has no such integer; its digits are what every reader of it wants
                .unwrap_or(Value::String(decimal)),
        ),
        Plain::Float(number) => Number::from_f64(number).map(Value::Number),
        Plain::Timestamp | Plain::Merge | Plain::Default | Plain::Hollow | Plain::Text => None,
    }
}

/// `text` as a template that renders to `text`, whatever is in it.
fn shielded(text: &str) -> String {
    if text.contains("{{") || text.contains("{%") || text.contains("{#") {
        format!("{{{{ {} }}}}", Value::from(text))
    } else {
        text.to_owned()
    }
}

fn spelled(tag: &Tag) -> String {
    format!("{}{}", tag.original_handle(), tag.suffix())
}

/// Number of values in `value`, itself included.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
