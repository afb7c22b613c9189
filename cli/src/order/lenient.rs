//! Reading typed values as forgivingly as Ansible passes them on.

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::Value;

/// A boolean in any spelling of YAML 1.1, as text too, and 1 or 0.
pub fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        Value::String(text) => {
            let is_one_of = |words: &[&str]| words.iter().any(|word| text.trim().eq_ignore_ascii_case(word));
            if is_one_of(&["true", "yes", "on", "1", "y", "t"]) {
                Some(true)
            } else if is_one_of(&["false", "no", "off", "0", "n", "f"]) {
                Some(false)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// For `#[serde(deserialize_with)]`: a boolean as [`boolean`] takes it.
///
/// # Errors
/// Any other value.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(deserializer)?;
    boolean(&value).ok_or_else(|| D::Error::custom("expected a boolean (true or false)"))
}

/// For `#[serde(deserialize_with)]`: text, or a number or boolean as text; null is empty.
///
/// # Errors
/// A list or a map.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Ok(String::new()),
        _ => Err(D::Error::custom("expected text")),
    }
}

/// `value` as a `T`; the error says what was expected and never quotes a value.
pub(super) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| without_value(&error.to_string()))
}

/// Serde's messages quote the offending value before `, expected`; values may be secret.
fn without_value(message: &str) -> String {
    let kinds = [
        ("string", "text"),
        ("integer", "a number"),
        ("floating point", "a number with a fraction"),
        ("boolean", "a boolean"),
        ("sequence", "a list"),
        ("map", "a map"),
        ("null", "nothing"),
    ];
    for start in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) =
            message.strip_prefix(start).and_then(|rest| rest.rsplit_once(", expected "))
        {
            let found = kinds
                .iter()
                .find(|(prefix, _)| found.starts_with(prefix))
                .map_or("something else", |kind| kind.1);
            return format!("expected {expected}, found {found}");
        }
    }
    match message.strip_prefix("unknown variant ").and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((_, expected)) => format!("expected {expected}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Repository {
        name: String,
        #[serde(default, deserialize_with = "flag")]
        private: bool,
        #[serde(default, deserialize_with = "text")]
        reference: String,
    }

    #[test]
    fn flags_and_texts_are_read_in_all_their_spellings() {
        let read: Repository = typed(json!({"name": "mcp", "private": "Yes", "reference": 1.5})).unwrap();
        assert_eq!(read, Repository { name: "mcp".into(), private: true, reference: "1.5".into() });
    }

    #[test]
    fn errors_never_quote_the_value() {
        for (value, expected) in [
            (json!({"name": 7_341_234}), "expected a string, found a number"),
            (json!("hunter2, expected x"), "expected struct Repository, found text"),
            (json!({"name": "a", "private": "hunter2"}), "expected a boolean (true or false)"),
            (json!({}), "missing field `name`"),
        ] {
            let error = typed::<Repository>(value.clone()).unwrap_err();
            assert_eq!(error, expected, "reading {value}");
        }
    }
}
