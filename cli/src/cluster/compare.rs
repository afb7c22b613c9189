//! What differs between two versions of an object, told by path.

use serde_json::Value;

/// Metadata the API server keeps for itself.
const SERVER_FIELDS: &[&str] = &[
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Differences of `wanted` against `live`, one line each: `spec.image: "a" → "b"`.
///
/// Values of Secrets are never shown. `status` is not compared.
pub(super) fn differences(live: &Value, wanted: &Value) -> Vec<String> {
    let secret = live.get("kind").and_then(Value::as_str) == Some("Secret");
    let mut found = Vec::new();
    walk("", live, wanted, secret, &mut found);
    found
}

fn walk(path: &str, live: &Value, wanted: &Value, secret: bool, found: &mut Vec<String>) {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            let mut keys: Vec<&String> = live.keys().chain(wanted.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                if path.is_empty() && key == "status"
                    || path == "metadata" && SERVER_FIELDS.contains(&key.as_str())
                {
                    continue;
                }
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let (live, wanted) = (live.get(key), wanted.get(key));
                walk(&below, live.unwrap_or(&Value::Null), wanted.unwrap_or(&Value::Null), secret, found);
            }
        }
        (live, wanted) if live == wanted => {}
        _ if secret => found.push(format!("{path}: differs")),
        (live, wanted) => found.push(format!("{path}: {} → {}", short(live), short(wanted))),
    }
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => return "nothing".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn server_fields_and_status_do_not_count() {
        let live = json!({"metadata": {"name": "a", "resourceVersion": "1"}, "status": {"phase": "x"}, "spec": {"n": 1}});
        let wanted = json!({"metadata": {"name": "a", "resourceVersion": "2"}, "spec": {"n": 1}});
        assert!(differences(&live, &wanted).is_empty());
    }

    #[test]
    fn differences_are_told_by_path() {
        let live = json!({"spec": {"image": "a", "gone": true}});
        let wanted = json!({"spec": {"image": "b", "new": [1]}});
        assert_eq!(
            differences(&live, &wanted),
            ["spec.gone: true → nothing", "spec.image: \"a\" → \"b\"", "spec.new: nothing → [1]"]
        );
    }

    #[test]
    fn values_of_secrets_stay_hidden() {
        let live = json!({"kind": "Secret", "data": {"token": "b2xk"}});
        let wanted = json!({"kind": "Secret", "data": {"token": "bmV3"}});
        assert_eq!(differences(&live, &wanted), ["data.token: differs"]);
    }
}
