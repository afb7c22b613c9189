//! Whether applying an object would change nothing, told from the object as it is: then the write is saved.
//!
//! Server-side apply keeps, per field manager, which fields it has set (`metadata.managedFields`, `FieldsV1`:
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/>). An apply changes nothing when our manager
//! owns exactly the fields it would send, and each has the value it would send. Whatever this module does not
//! understand counts as not settled: then the API server is asked.

use serde_json::{Map, Value};

use super::Object;

/// Fields of `metadata` that name the object; no manager owns them.
const NAMES: &[&str] = &["name", "namespace"];

/// Whether `live` is what `manager` would make of it by applying `wanted`, a complete object.
pub(super) fn settled(live: &Object, manager: &str, wanted: &Value) -> bool {
    if live.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let version = wanted["apiVersion"].as_str();
    let entries = live.metadata.managed_fields.iter().flatten();
    let mut own = entries.filter(|entry| {
        entry.manager.as_deref() == Some(manager)
            && entry.operation.as_deref() == Some("Apply")
            && entry.api_version.as_deref() == version
            && entry.subresource.is_none()
    });
    let Some(fields) = own.next().and_then(|entry| entry.fields_v1.as_ref()) else { return false };
    let (Some(wanted), Ok(live)) = (wanted.as_object(), serde_json::to_value(live)) else { return false };
    same(&fields.0, &owned_part(wanted), &live)
}

/// What a manager owns of an object: not its kind, not its name.
fn owned_part(object: &Map<String, Value>) -> Value {
    let mut part = object.clone();
    part.remove("apiVersion");
    part.remove("kind");
    if let Some(Value::Object(metadata)) = part.get_mut("metadata") {
        metadata.retain(|key, _| !NAMES.contains(&key.as_str()));
        if metadata.is_empty() {
            part.remove("metadata");
        }
    }
    Value::Object(part)
}

/// Whether exactly the `fields` are in `wanted`, with the values of `live`.
fn same(fields: &Value, wanted: &Value, live: &Value) -> bool {
    let Some(fields) = fields.as_object() else { return false };
    // a leaf, or something that is owned as a whole
    if fields.is_empty() {
        return wanted == live;
    }
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => same_map(fields, wanted, live),
        (Value::Array(wanted), Value::Array(live)) => same_list(fields, wanted, live),
        _ => false,
    }
}

fn same_map(fields: &Map<String, Value>, wanted: &Map<String, Value>, live: &Map<String, Value>) -> bool {
    // all wanted are owned, and no more are owned than wanted
    let owned = fields.keys().filter(|key| *key != ".").count();
    owned == wanted.len()
        && wanted.iter().all(|(key, wanted)| {
            let (Some(fields), Some(live)) = (fields.get(&format!("f:{key}")), live.get(key)) else {
                return false;
            };
            same(fields, wanted, live)
        })
}

/// A list whose elements are owned one by one: by their keys (`k:{"name":"a"}`) or values (`v:"a"`). Their order
/// must be the same too.
fn same_list(fields: &Map<String, Value>, wanted: &[Value], live: &[Value]) -> bool {
    let mut elements: Vec<(&str, &Value)> =
        fields.iter().filter(|(key, _)| *key != ".").map(|(key, below)| (key.as_str(), below)).collect();
    let mut rest = live.iter();
    elements.len() == wanted.len()
        && wanted.iter().all(|wanted| {
            let Some(at) = elements.iter().position(|(key, _)| names(key, wanted)) else { return false };
            let (key, fields) = elements.swap_remove(at);
            // consumes what other managers have put in between
            let Some(live) = rest.find(|live| names(key, live)) else { return false };
            same(fields, wanted, live)
        })
}

/// Whether a path element names an element of a list. A key that the element leaves out is one the API server
/// fills in.
fn names(key: &str, element: &Value) -> bool {
    if let Some(value) = key.strip_prefix("v:") {
        return serde_json::from_str::<Value>(value).is_ok_and(|value| value == *element);
    }
    let keys = key.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Map<String, Value>>(keys).ok());
    keys.is_some_and(|keys| {
        element.is_object() && keys.iter().all(|(key, value)| element.get(key).is_none_or(|own| own == value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live(fields: &Value, body: &Value) -> Object {
        let mut object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "a", "namespace": "b", "uid": "1", "labels": {"ours": "1", "theirs": "2"},
                "managedFields": [
                    {"manager": "other", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:spec": {}}},
                    {"manager": "tenant", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields},
                ]},
        });
        object.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        serde_json::from_value(object).unwrap()
    }

    fn service(spec: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "a", "namespace": "b", "labels": {"ours": "1"}}, "spec": spec})
    }

    /// A Service as the API server has it: `protocol` filled in, a port of someone else, an address.
    fn found() -> Object {
        let port = json!({".": {}, "f:name": {}, "f:port": {}});
        let fields = json!({
            "f:metadata": {"f:labels": {"f:ours": {}}},
            "f:spec": {
                "f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": port, "k:{\"port\":443,\"protocol\":\"TCP\"}": port},
                "f:selector": {},
            },
        });
        let port = |name: &str, port: u16| json!({"name": name, "port": port, "protocol": "TCP", "targetPort": port});
        let ports = [port("web", 80), port("theirs", 81), port("tls", 443)];
        live(&fields, &json!({"spec": {"clusterIP": "10.0.0.1", "ports": ports, "selector": {"app": "a"}}}))
    }

    fn ports() -> Value {
        json!([{"name": "web", "port": 80}, {"name": "tls", "port": 443}])
    }

    #[test]
    fn what_is_as_it_was_sent_is_settled() {
        let wanted = service(&json!({"ports": ports(), "selector": {"app": "a"}}));
        assert!(settled(&found(), "tenant", &wanted));
    }

    #[test]
    fn every_other_wish_is_sent() {
        let swapped = json!([{"name": "tls", "port": 443}, {"name": "web", "port": 80}]);
        let renamed = json!([{"name": "http", "port": 80}, {"name": "tls", "port": 443}]);
        let fewer = json!([{"name": "web", "port": 80}]);
        for (what, spec) in [
            ("another value", json!({"ports": renamed, "selector": {"app": "a"}})),
            ("another order", json!({"ports": swapped, "selector": {"app": "a"}})),
            ("an element less", json!({"ports": fewer, "selector": {"app": "a"}})),
            ("a field less", json!({"ports": ports()})),
            ("a field more", json!({"ports": ports(), "selector": {"app": "a"}, "type": "ClusterIP"})),
            (
                "more of what is owned as a whole",
                json!({"ports": ports(), "selector": {"app": "a", "b": "c"}}),
            ),
            ("another type", json!({"ports": "none", "selector": {"app": "a"}})),
        ] {
            assert!(!settled(&found(), "tenant", &service(&spec)), "{what}");
        }
    }

    #[test]
    fn another_manager_another_version_and_a_deletion_are_not_settled() {
        let wanted = service(&json!({"ports": ports(), "selector": {"app": "a"}}));
        assert!(!settled(&found(), "tenant-x1", &wanted), "nothing is owned by this manager");
        let mut newer = wanted.clone();
        newer["apiVersion"] = json!("v2");
        assert!(!settled(&found(), "tenant", &newer), "owned in another version");
        let mut going = found();
        going.metadata.deletion_timestamp =
            Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert!(!settled(&going, "tenant", &wanted), "being deleted");
    }

    #[test]
    fn changes_by_others_to_what_is_ours_are_seen() {
        let wanted = service(&json!({"ports": ports(), "selector": {"app": "a"}}));
        let mut label = found();
        label.metadata.labels.as_mut().unwrap().insert("ours".to_owned(), "changed".to_owned());
        assert!(!settled(&label, "tenant", &wanted), "a label of ours");
        let mut theirs = found();
        theirs.metadata.labels.as_mut().unwrap().insert("theirs".to_owned(), "changed".to_owned());
        assert!(settled(&theirs, "tenant", &wanted), "a label of theirs");
        let mut gone = found();
        gone.data["spec"]["ports"].as_array_mut().unwrap().remove(0);
        assert!(!settled(&gone, "tenant", &wanted), "a port of ours is gone");
    }

    #[test]
    fn sets_are_owned_by_value() {
        let fields = json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"ours/a\"": {}}}});
        let mut object = live(&fields, &json!({}));
        object.metadata.finalizers = Some(vec!["theirs/b".to_owned(), "ours/a".to_owned()]);
        let wanted = |finalizer: &str| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "finalizers": [finalizer]}});
        assert!(settled(&object, "tenant", &wanted("ours/a")));
        assert!(!settled(&object, "tenant", &wanted("ours/c")));
    }
}
