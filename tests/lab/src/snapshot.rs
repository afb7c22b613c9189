//! Everything a lab holds, comparable: what a tenant leaves behind shows as a difference.
//!
//! Covers every resource of every API group that can be listed, and the stand-ins' inventory (Gitea,
//! LiteLLM, Keycloak). Only what moves by itself is left out, see [`IGNORED`] and [`strip`].

mod tenancy;

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use http::{Request, header};
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::standins::Inventory;

/// Resources that say nothing about residue.
const IGNORED: [&str; 5] = [
    // Notes about the past, which expire by themselves.
    "events",
    "events.events.k8s.io",
    // A view of the health of etcd and others, not stored.
    "componentstatuses",
    // The old form of endpointslices, which are covered.
    "endpoints",
    // The API server's ledger of the Services' addresses, brought up to date some time after a Service is gone.
    "ipaddresses.networking.k8s.io",
];

/// Fields that the API server or a controller counts up by itself.
const VOLATILE: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "observedGeneration", "resourceVersion", "uid"];

/// One moment of a lab.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `{plural}.{group} {namespace}/{name}` → the object without its volatile fields.
    pub objects: BTreeMap<String, Value>,
    /// What is held outside the cluster.
    pub inventory: Inventory,
}

impl Snapshot {
    /// Lists everything.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn take(client: &Client, inventory: Inventory) -> Result<Self, kube::Error> {
        let lists: Vec<_> = stream::iter(listable(client).await?)
            .map(|resource| async move { resource.list(client).await })
            .buffer_unordered(8)
            .try_collect()
            .await?;
        Ok(Self { objects: lists.into_iter().flatten().collect(), inventory })
    }

    /// How `after` differs, one line per object or entry; empty if it does not. Values of Secrets are
    /// not shown.
    pub fn diff(&self, after: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (key, before) in &self.objects {
            match after.objects.get(key) {
                None => lines.push(format!("- {key}")),
                Some(now) => {
                    let secret = key.starts_with("secrets ");
                    compare(&format!("~ {key}"), "", before, now, secret, &mut lines);
                }
            }
        }
        let added = after.objects.keys().filter(|key| !self.objects.contains_key(*key));
        lines.extend(added.map(|key| format!("+ {key}")));
        let (before, now) = (held(&self.inventory), held(&after.inventory));
        lines.extend(before.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}")));
        lines.extend(now.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}")));
        lines
    }
}

/// An inventory as lines.
fn held(inventory: &Inventory) -> Vec<String> {
    let keys = inventory.litellm_keys.iter().map(|key| format!("litellm key {key}"));
    let users = inventory.keycloak_users.iter().map(|user| format!("keycloak user {user}"));
    let gitea = inventory.gitea.iter().flat_map(|gitea| {
        let name = &gitea.name;
        let content = gitea.content.iter().map(move |line| format!("gitea {name}: {line}"));
        std::iter::once(format!("gitea {name}")).chain(content)
    });
    keys.chain(users).chain(gitea).collect()
}

/// Adds one line per differing field.
fn compare(object: &str, path: &str, before: &Value, now: &Value, secret: bool, lines: &mut Vec<String>) {
    if before == now {
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (before, now) else {
        let short = |value: &Value| match (secret, value.to_string()) {
            (true, _) => "(secret)".to_owned(),
            (false, text) if text.chars().count() > 80 => text.chars().take(80).chain("…".chars()).collect(),
            (false, text) => text,
        };
        lines.push(format!("{object} {path}: {} → {}", short(before), short(now)));
        return;
    };
    let fields = old.keys().chain(new.keys().filter(|field| !old.contains_key(*field)));
    for field in fields {
        let of = |map: &serde_json::Map<String, Value>| map.get(field).cloned().unwrap_or_default();
        compare(object, &format!("{path}.{field}"), &of(old), &of(new), secret, lines);
    }
}

/// Removes what moves by itself: counters, and every time of day, however its field is called.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|field, value| !VOLATILE.contains(&field.as_str()) && !is_time(value));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() >= 20 && text.parse::<jiff::Timestamp>().is_ok())
}

/// A resource that can be listed.
struct Resource {
    name: String,
    path: String,
}

impl Resource {
    async fn list(&self, client: &Client) -> Result<Vec<(String, Value)>, kube::Error> {
        let request = Request::get(&self.path).body(Vec::new()).map_err(kube::Error::HttpError)?;
        let mut list: Value = match client.request(request).await {
            // Its CRD went away since discovery.
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(Vec::new()),
            answer => answer?,
        };
        let Value::Array(items) = list["items"].take() else { return Ok(Vec::new()) };
        Ok(items
            .into_iter()
            .filter(|item| !self.is_own_business(item))
            .map(|item| self.entry(item))
            .collect())
    }

    /// What the control plane keeps about itself: an API server puts its name into a Lease some seconds after its
    /// start, whatever anybody else does.
    fn is_own_business(&self, item: &Value) -> bool {
        self.name == "leases.coordination.k8s.io" && item["metadata"]["namespace"] == "kube-system"
    }

    fn entry(&self, mut item: Value) -> (String, Value) {
        let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        strip(&mut item);
        let purpose = match (self.name.as_str(), name.as_str()) {
            // A lease that is held or has been held is there; by whom and for how long is its purpose.
            ("leases.coordination.k8s.io", _) => Some("spec"),
            // The cluster's authority, put into every namespace when its controller gets to it.
            ("configmaps", "kube-root-ca.crt") => Some("data"),
            _ => None,
        };
        if let (Some(purpose), Some(fields)) = (purpose, item.as_object_mut()) {
            fields.remove(purpose);
        }
        let key = match namespace.as_str() {
            "" => format!("{} {name}", self.name),
            _ => format!("{} {namespace}/{name}", self.name),
        };
        (key, item)
    }
}

/// Every resource that can be listed, in its group's preferred version.
async fn listable(client: &Client) -> Result<Vec<Resource>, kube::Error> {
    let mut resources = Vec::new();
    for root in ["/api", "/apis"] {
        let request = Request::get(root)
            .header(header::ACCEPT, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        let groups: Discovery = client.request(request).await?;
        for group in groups.items {
            resources.extend(group.listable(root));
        }
    }
    Ok(resources)
}

#[derive(Deserialize)]
struct Discovery {
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    metadata: GroupMetadata,
    #[serde(default)]
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupMetadata {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
    #[serde(default)]
    resources: Vec<GroupResource>,
}

#[derive(Deserialize)]
struct GroupResource {
    resource: String,
    #[serde(default)]
    verbs: Vec<String>,
}

impl Group {
    /// Versions come in order of preference; a resource counts in the first that has it.
    fn listable(self, root: &str) -> Vec<Resource> {
        let group = self.metadata.name;
        let mut found: Vec<Resource> = Vec::new();
        for GroupVersion { version, resources } in self.versions {
            for GroupResource { resource, verbs } in resources {
                let name = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
                let known = found.iter().any(|known| known.name == name);
                if known || IGNORED.contains(&name.as_str()) || !verbs.iter().any(|verb| verb == "list") {
                    continue;
                }
                let path = match group.as_str() {
                    "" => format!("{root}/{version}/{resource}"),
                    group => format!("{root}/{group}/{version}/{resource}"),
                };
                found.push(Resource { name, path });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn snapshot(objects: &[(&str, Value)]) -> Snapshot {
        let objects = objects.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        Snapshot { objects, inventory: Inventory::default() }
    }

    #[test]
    fn a_difference_names_object_and_field_and_never_a_secret() {
        let before = snapshot(&[
            ("configmaps a/kept", json!({"data": {"x": "1", "same": "s"}})),
            ("configmaps a/gone", json!({})),
            ("secrets a/changed", json!({"data": {"password": "b2xk"}})),
        ]);
        let mut after = snapshot(&[
            ("configmaps a/kept", json!({"data": {"x": "2", "same": "s"}})),
            ("configmaps a/new", json!({})),
            ("secrets a/changed", json!({"data": {"password": "bmV3"}})),
        ]);
        after.inventory.litellm_keys.push("virtkey-x1".into());
        assert_eq!(
            before.diff(&after),
            [
                "- configmaps a/gone",
                "~ configmaps a/kept .data.x: \"1\" → \"2\"",
                "~ secrets a/changed .data.password: (secret) → (secret)",
                "+ configmaps a/new",
                "+ litellm key virtkey-x1",
            ]
        );
        assert_eq!(after.diff(&after), Vec::<String>::new());
    }

    #[test]
    fn what_moves_by_itself_is_no_difference() {
        let mut early = json!({
            "metadata": {"name": "x", "uid": "1", "resourceVersion": "7", "generation": 1},
            "status": {"observedGeneration": 1, "conditions": [
                {"type": "Ready", "lastTransitionTime": "2026-11-21T08:00:00Z"},
            ]},
        });
        let mut late = json!({
            "metadata": {"name": "x", "uid": "2", "resourceVersion": "9", "generation": 3},
            "status": {"observedGeneration": 3, "conditions": [
                {"type": "Ready", "lastTransitionTime": "2026-11-21T09:00:00.123456Z"},
            ]},
        });
        strip(&mut early);
        strip(&mut late);
        assert_eq!(early, late);
        assert_eq!(early, json!({"metadata": {"name": "x"}, "status": {"conditions": [{"type": "Ready"}]}}));
    }

    #[test]
    fn each_resource_is_listed_once_in_its_preferred_version() {
        let group: Group = serde_json::from_value(json!({
            "metadata": {"name": "events.k8s.io"},
            "versions": [{"version": "v1", "resources": [{"resource": "events", "verbs": ["list"]}]}],
        }))
        .unwrap();
        assert!(group.listable("/apis").is_empty(), "events are ignored");
        let group: Group = serde_json::from_value(json!({
            "metadata": {"name": "toolhive.stacklok.dev"},
            "versions": [
                {"version": "v1beta1", "resources": [{"resource": "mcpservers", "verbs": ["list", "get"]}]},
                {"version": "v1alpha1", "resources": [
                    {"resource": "mcpservers", "verbs": ["list"]},
                    {"resource": "checks", "verbs": ["create"]},
                ]},
            ],
        }))
        .unwrap();
        let found: Vec<_> = group.listable("/apis").into_iter().map(|resource| resource.path).collect();
        assert_eq!(found, ["/apis/toolhive.stacklok.dev/v1beta1/mcpservers"]);
    }
}
