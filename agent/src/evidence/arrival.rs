//! Objects as they arrive: cleaned and redacted as a whole, before anything of them is cut short, put on one line or
//! looked at. A piece of a secret is not recognised as one.

use serde_json::Value;

use crate::redact::Redactor;
use crate::text::clean;

/// Other objects are found by these: they stay as they are.
const NAMES: [&str; 15] = [
    "apiVersion",
    "apiversion",
    "container",
    "generateName",
    "kind",
    "Kind",
    "labels",
    "name",
    "Name",
    "namespace",
    "Namespace",
    "podName",
    "serviceAccountName",
    "storageClassName",
    "uid",
];

/// The object without terminal escapes and without secrets.
pub(super) fn received(object: Value, redactor: &mut Redactor) -> Value {
    match object {
        Value::String(text) => Value::String(redactor.text(&clean(text.as_bytes()))),
        Value::Array(items) => items.into_iter().map(|item| received(item, redactor)).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| {
                let value = if NAMES.contains(&key.as_str()) { value } else { received(value, redactor) };
                (key, value)
            })
            .collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_go_whatever_breaks_them_up_and_names_stay() {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let coloured = format!("{}\u{1b}[31m{}", &token[..20], &token[20..]);
        let wrapped = format!("{}\n{}", "-".repeat(55) + " " + &token[..20], &token[20..]);
        let object = json!({"metadata": {"name": "sk-learn-pipeline-x7f2d-build"},
            "spec": {"params": [{"name": "A", "value": coloured}, {"name": "B", "value": wrapped}]}});
        let mut redactor = Redactor::new([1; 16]);
        let seen = received(object, &mut redactor);
        assert_eq!(seen["metadata"]["name"], "sk-learn-pipeline-x7f2d-build");
        assert_eq!(redactor.counts()["github-token"], 2, "{seen}");
        assert!(!seen.to_string().contains("a1B2a1B2"), "{seen}");
    }
}
