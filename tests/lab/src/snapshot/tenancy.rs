//! One tenant's share of a snapshot: what mentions its guid, and what of that two tenants of the same order have in
//! common.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;

use super::{Snapshot, strip};

/// Takes a guid's place.
const ANY_GUID: &str = "GUID";
/// Takes the place of what is chosen at random.
const ANY_VALUE: &str = "(chosen)";

/// Made by the real controllers from objects that are compared, under names that are drawn by lot.
const DERIVED: [&str; 4] =
    ["controllerrevisions.apps", "endpointslices.discovery.k8s.io", "pods", "replicasets.apps"];

/// Fields whose values are drawn by lot, count what has happened, or are a digest of one of these.
const DRAWN: [&str; 10] = [
    "adminPassword",
    "batch.kubernetes.io/controller-uid",
    "clusterIP",
    "clusterIPs",
    "controller-uid",
    "credentialsRevision",
    "deployment.kubernetes.io/revision",
    "nodePort",
    "resourceVersion",
    "tenant.rhpds.io/user-data",
];

/// Before the digest in the name of a chart's Job: it is of values that are drawn by lot.
const DIGESTED: &str = "-handshake-";

/// The text without such digests, eight hexadecimal digits each.
fn undigested(text: &str) -> String {
    let mut parts = text.split(DIGESTED);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let is_digest = part.len() >= 8 && part.bytes().take(8).all(|byte| byte.is_ascii_hexdigit());
        text + DIGESTED + if is_digest { &part[8..] } else { part }
    })
}

impl Snapshot {
    /// Everything that mentions `guid`, in its name or anywhere in it.
    pub fn traces(&self, guid: &str) -> Vec<String> {
        let of_guid = self.of_tenant(guid);
        let inventory = of_guid.inventory;
        let gitea = inventory.gitea.into_iter().flat_map(|gitea| [vec![gitea.name], gitea.content].concat());
        let held = inventory.litellm_keys.into_iter().chain(inventory.keycloak_users).chain(gitea);
        of_guid.objects.into_keys().chain(held.filter(|line| line.contains(guid))).collect()
    }

    /// What mentions `guid`, comparable with what mentions another guid of the same order: without secrets, drawn
    /// names and counters, and with `replaced` texts (old, new) replaced.
    #[must_use]
    pub fn portrait(&self, guid: &str, replaced: &[(&str, &str)]) -> Self {
        let mut portrait = self.of_tenant(guid);
        let neutral = |text: &str| {
            let text = undigested(&text.replace(guid, ANY_GUID));
            replaced.iter().fold(text, |text, (old, new)| text.replace(old, new))
        };
        let objects = std::mem::take(&mut portrait.objects).into_iter();
        portrait.objects = objects
            .filter(|(key, _)| !DERIVED.iter().any(|kind| key.split(' ').next() == Some(kind)))
            .map(|(key, mut object)| {
                if !key.contains(guid) {
                    // an object of all tenants
                    retain_share(&mut object, guid);
                }
                if key.starts_with("secrets ") {
                    veil(&mut object["data"]);
                }
                tame(&mut object, &neutral);
                (neutral(&key), object)
            })
            .collect();
        let inventory = &mut portrait.inventory;
        for line in inventory.litellm_keys.iter_mut().chain(&mut inventory.keycloak_users) {
            *line = neutral(line);
        }
        for gitea in &mut inventory.gitea {
            gitea.name = neutral(&gitea.name);
            gitea.content.iter_mut().for_each(|line| *line = neutral(line));
        }
        portrait
    }

    fn of_tenant(&self, guid: &str) -> Self {
        let mut own = self.clone();
        own.objects.retain(|key, object| key.contains(guid) || object.to_string().contains(guid));
        own.inventory.litellm_keys.retain(|key| key.contains(guid));
        own.inventory.keycloak_users.retain(|user| user.contains(guid));
        let mentions = |line: &String| line.contains(guid);
        own.inventory.gitea.retain(|gitea| mentions(&gitea.name) || gitea.content.iter().any(mentions));
        own
    }
}

/// Keeps the fields that mention `guid` by their name or value.
fn retain_share(object: &mut Value, guid: &str) {
    match object {
        Value::Object(fields) => {
            fields.retain(|field, value| field.contains(guid) || value.to_string().contains(guid));
            fields
                .iter_mut()
                .filter(|(field, _)| !field.contains(guid))
                .for_each(|(_, value)| retain_share(value, guid));
        }
        Value::Array(items) => items.retain(|item| item.to_string().contains(guid)),
        _ => {}
    }
}

/// Hides the values of a Secret; an entry that is JSON keeps its shape, and what in it is no identity.
fn veil(data: &mut Value) {
    for (_, value) in data.as_object_mut().into_iter().flatten() {
        let decoded = value.as_str().and_then(|text| BASE64.decode(text).ok());
        let json = decoded.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        *value = match json {
            Some(mut json @ Value::Object(_)) => {
                strip(&mut json);
                for (_, identity) in json["identities"].as_object_mut().into_iter().flatten() {
                    *identity = ANY_VALUE.into();
                }
                json
            }
            _ => ANY_VALUE.into(),
        };
    }
}

/// Makes values comparable, however deep they are.
fn tame(value: &mut Value, neutral: &impl Fn(&str) -> String) {
    match value {
        Value::Object(fields) => {
            fields.retain(|field, _| !DRAWN.contains(&field.as_str()));
            let old = std::mem::take(fields);
            *fields = old.into_iter().map(|(field, value)| (neutral(&field), value)).collect();
            fields.values_mut().for_each(|value| tame(value, neutral));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| tame(item, neutral)),
        Value::String(text) => match serde_json::from_str(text) {
            // Helm's values, for one
            Ok(mut nested @ Value::Object(_)) => {
                tame(&mut nested, neutral);
                *value = nested;
            }
            // a Deployment's conditions name one
            _ if text.starts_with("ReplicaSet ") => *value = ANY_VALUE.into(),
            _ => *text = neutral(text),
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::standins::Inventory;

    fn tenant(guid: &str, password: &str, port: u16) -> Snapshot {
        let created = format!("2026-11-21T09:00:{port}Z");
        let record = json!({"guid": guid, "created": created, "identities": {"key": password}}).to_string();
        let objects = [
            (
                format!("secrets tenant-system/tenant-{guid}"),
                json!({"data": {"password": BASE64.encode(password), "tenant.json": BASE64.encode(record)}}),
            ),
            (format!("services a-{guid}/web"), json!({"spec": {"ports": [{"nodePort": port}], "of": guid}})),
            (format!("pods a-{guid}/web-{password}"), json!({})),
            (
                "configmaps shared/all".to_owned(),
                json!({"data": {guid: "there", format!("not-{port}"): "there"}}),
            ),
            ("configmaps shared/other".to_owned(), json!({"data": {"nobody": "there"}})),
        ];
        let inventory = Inventory {
            litellm_keys: vec![format!("virtkey-{guid}"), "other".into()],
            ..Inventory::default()
        };
        Snapshot { objects: BTreeMap::from(objects), inventory }
    }

    #[test]
    fn digests_of_drawn_values_go_and_nothing_else() {
        for (text, left) in [
            ("jobs.batch a/mcp-gitea-handshake-17380c2f", "jobs.batch a/mcp-gitea-handshake-"),
            ("x-handshake-0123abcd y-handshake-89abcdef-pod", "x-handshake- y-handshake--pod"),
            ("a-handshake-soon", "a-handshake-soon"),
            ("handshake", "handshake"),
        ] {
            assert_eq!(undigested(text), left);
        }
    }

    #[test]
    fn two_tenants_of_one_order_look_the_same_whatever_was_drawn_for_them() {
        let one = tenant("aa11", "s3cret", 11).portrait("aa11", &[]);
        let other = tenant("bb22", "other", 12).portrait("bb22", &[]);
        assert_eq!(one.diff(&other), Vec::<String>::new());
        assert!(one.objects.keys().any(|key| key == "secrets tenant-system/tenant-GUID"), "{one:?}");
    }

    #[test]
    fn a_difference_that_nobody_drew_shows() {
        let one = tenant("aa11", "s3cret", 1).portrait("aa11", &[]);
        let mut other = tenant("bb22", "s3cret", 1);
        other.objects.get_mut("services a-bb22/web").unwrap()["spec"]["extra"] = json!(true);
        other.objects.get_mut("configmaps shared/all").unwrap()["data"]["bb22"] = json!("here");
        assert_eq!(
            one.diff(&other.portrait("bb22", &[])),
            [
                "~ configmaps shared/all .data.GUID: \"there\" → \"here\"",
                "~ services a-GUID/web .spec.extra: null → true"
            ]
        );
    }

    #[test]
    fn traces_are_all_that_mentions_the_guid_and_nothing_else() {
        let mut snapshot = tenant("aa11", "x", 1);
        let traces = snapshot.traces("aa11");
        assert_eq!(traces.len(), 5, "{traces:?}");
        assert!(!traces.iter().any(|trace| trace.ends_with("/other") || trace == "other"), "{traces:?}");
        snapshot.objects.retain(|key, _| key.ends_with("/other"));
        snapshot.inventory.litellm_keys.clear();
        assert!(snapshot.traces("aa11").is_empty());
    }
}
