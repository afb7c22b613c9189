//! What a server lists, and how its schemas spell arguments.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

/// More tools than any server lists; the rest is ignored.
const MOST: usize = 2_000;

/// One tool's schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schema(Map<String, Value>);

impl Schema {
    pub(crate) fn new(schema: Map<String, Value>) -> Self {
        Self(schema)
    }

    fn property(&self, name: &str) -> Option<&Value> {
        self.0.get("properties")?.get(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.property(name).is_some()
    }

    /// Whether every required argument is among `names`.
    pub(crate) fn requires_only(&self, names: &[&str]) -> bool {
        let required = self.0.get("required").and_then(Value::as_array);
        required.is_none_or(|r| r.iter().filter_map(Value::as_str).all(|n| names.contains(&n)))
    }

    /// Whether `value` is allowed for `name`: listed in its `enum`, or no enum is given.
    pub(crate) fn allows(&self, name: &str, value: &str) -> bool {
        let listed = self.property(name).and_then(|p| p.get("enum")).and_then(Value::as_array);
        self.has(name) && listed.is_none_or(|l| l.iter().any(|v| v.as_str() == Some(value)))
    }

    /// The value in the type the schema wants: some servers take numbers as strings.
    pub(crate) fn coerce(&self, name: &str, value: Value) -> Value {
        let wanted = self.property(name).and_then(|p| p.get("type")).and_then(Value::as_str);
        match (wanted, &value) {
            (Some("string"), Value::Number(n)) => Value::String(n.to_string()),
            (Some("integer" | "number"), Value::String(s)) => s.parse::<i64>().map_or(value, Value::from),
            _ => value,
        }
    }
}

/// The tools of one connection.
#[derive(Clone, Debug, Default)]
pub struct ToolIndex {
    tools: BTreeMap<String, Schema>,
    hashes: BTreeMap<String, u64>,
}

impl ToolIndex {
    /// Index of (name, input schema).
    pub fn new(tools: impl IntoIterator<Item = (String, Map<String, Value>)>) -> Self {
        let tools: BTreeMap<_, _> = tools.into_iter().take(MOST).map(|(n, s)| (n, Schema::new(s))).collect();
        let hash = |schema: &Schema| {
            let mut hasher = DefaultHasher::new();
            // Sorted text: servers differ in the order of keys from one start to the next.
            sorted(&Value::Object(schema.0.clone())).to_string().hash(&mut hasher);
            hasher.finish()
        };
        let hashes = tools.iter().map(|(n, s)| (n.clone(), hash(s))).collect();
        Self { tools, hashes }
    }

    /// Number of tools.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.keys().map(String::as_str)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Schema> {
        self.tools.get(name)
    }

    /// Names of tools that were there before and changed or went. New tools are no drift: they stay unused.
    pub fn drift(&self, before: &Self) -> Vec<String> {
        before.hashes.iter().filter(|(n, h)| self.hashes.get(*n) != Some(h)).map(|(n, _)| n.clone()).collect()
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<_, _> = map.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            ordered.into_iter().collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        plain => plain.clone(),
    }
}
