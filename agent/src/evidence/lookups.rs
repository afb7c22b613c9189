//! Objects worth a look because of what went wrong: the quota that is exhausted, the limits of the namespace,
//! the claim that is not bound and its storage class, the account whose pull secrets are missing.
//!
//! What to look at is decided from the evidence alone ([`wanted`]); what is seen becomes lines and sentences
//! of ours. Secrets are never read, only named where an account lists them.

use serde_json::Value;

use super::Evidence;
use crate::rules::{Category, Hit};

/// Looks at most; each is one read.
pub(super) const MOST: usize = 6;
/// Resources of a quota that are told.
const RESOURCES: usize = 12;

/// Something to look at.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Lookup {
    /// A quota by name.
    Quota(String),
    /// All limit ranges of the namespace.
    LimitRanges,
    /// One limit range.
    LimitRange(String),
    /// A claim by name.
    Claim(String),
    /// The claims that are pending.
    PendingClaims,
    /// A storage class of the cluster.
    StorageClass(String),
    /// A service account.
    Account(String),
}

impl Lookup {
    /// Group and version, kind and name; `None` for lists.
    pub(super) fn object(&self) -> Option<(&'static str, &'static str, &str)> {
        match self {
            Self::Quota(name) => Some(("v1", "ResourceQuota", name)),
            Self::LimitRange(name) => Some(("v1", "LimitRange", name)),
            Self::Claim(name) => Some(("v1", "PersistentVolumeClaim", name)),
            Self::StorageClass(name) => Some(("storage.k8s.io/v1", "StorageClass", name)),
            Self::Account(name) => Some(("v1", "ServiceAccount", name)),
            Self::LimitRanges | Self::PendingClaims => None,
        }
    }
}

/// What to look at, from what the rules found.
pub(super) fn wanted(evidence: &Evidence) -> Vec<Lookup> {
    let hits = evidence.items.iter().flat_map(|item| &item.hits);
    let account = evidence.run.service_account.as_deref();
    let mut all: Vec<_> = hits.flat_map(|hit| of(hit, account)).collect();
    all.sort();
    all.dedup();
    all.truncate(MOST);
    all
}

fn of(hit: &Hit, account: Option<&str>) -> Vec<Lookup> {
    let named = |names: &[&str]| names.iter().find_map(|n| hit.variables.get(*n)).filter(|v| !v.is_empty());
    match hit.record().map(|record| record.category) {
        Some(Category::Quota) => match named(&["quota"]) {
            Some(quota) => vec![Lookup::Quota(quota.clone())],
            None => vec![Lookup::LimitRanges],
        },
        Some(Category::Storage) => {
            let claim = named(&["pvc"]).cloned().or_else(|| after(&hit.text, "persistentvolumeclaim/"));
            let class = named(&["class"]).cloned().map(Lookup::StorageClass);
            let claim = claim.map_or(Lookup::PendingClaims, Lookup::Claim);
            class.into_iter().chain([claim]).collect()
        }
        Some(Category::ImagePull | Category::ImagePush | Category::RegistryAuth) => {
            account.map(|name| Lookup::Account(name.to_owned())).into_iter().collect()
        }
        Some(Category::Permission) => {
            let refused = after(&hit.text, "system:serviceaccount:")
                .and_then(|whole| whole.split_once(':').map(|(_, name)| name.to_owned()));
            refused.map(Lookup::Account).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The name that follows a prefix in a line.
fn after(line: &str, prefix: &str) -> Option<String> {
    let rest = &line[line.find(prefix)? + prefix.len()..];
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-.:".contains(c))).unwrap_or(rest.len());
    let name = rest[..end].trim_end_matches([':', '.']);
    (!name.is_empty()).then(|| name.to_owned())
}

/// What was seen of an object: a line per fact, a sentence for the issue, and what to look at next.
pub(super) struct Seen {
    pub(super) lines: Vec<String>,
    pub(super) note: String,
    pub(super) next: Option<Lookup>,
}

/// Read an object.
pub(super) fn seen(lookup: &Lookup, object: &Value) -> Option<Seen> {
    match lookup {
        Lookup::Quota(name) => Some(quota(name, object)),
        Lookup::LimitRange(name) => Some(limit_range(name, object)),
        Lookup::Claim(name) => Some(claim(name, object)),
        Lookup::StorageClass(name) => Some(storage_class(name, object)),
        Lookup::Account(name) => Some(service_account(name, object)),
        Lookup::LimitRanges | Lookup::PendingClaims => None,
    }
}

fn quota(name: &str, object: &Value) -> Seen {
    let hard = object.pointer("/status/hard").or_else(|| object.pointer("/spec/hard"));
    let used = |resource: &str| object["status"]["used"][resource].as_str().unwrap_or("0").to_owned();
    let resources: Vec<_> = hard
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .take(RESOURCES)
        .map(|(resource, hard)| format!("{resource} {} of {}", used(resource), text(hard)))
        .collect();
    Seen {
        lines: resources.iter().map(|used| format!("quota {name}: in use {used}")).collect(),
        note: format!("Quota {name}, in use when looked at: {}.", resources.join(", ")),
        next: None,
    }
}

fn limit_range(name: &str, object: &Value) -> Seen {
    let mut limits = Vec::new();
    for limit in object.pointer("/spec/limits").and_then(Value::as_array).into_iter().flatten() {
        for bound in ["min", "max", "default", "defaultRequest"] {
            for (resource, value) in limit[bound].as_object().into_iter().flatten() {
                limits.push(format!("{} {bound} {resource} {}", text(&limit["type"]), text(value)));
            }
        }
    }
    limits.truncate(RESOURCES);
    Seen {
        lines: limits.iter().map(|limit| format!("limit range {name}: {limit}")).collect(),
        note: format!("Limit range {name}: {}.", limits.join(", ")),
        next: None,
    }
}

fn claim(name: &str, object: &Value) -> Seen {
    let at = |path: &str| object.pointer(path).map(text).filter(|t| !t.is_empty());
    let (phase, size) = (at("/status/phase"), at("/spec/resources/requests/storage"));
    let class = at("/spec/storageClassName");
    let mode = at("/spec/accessModes/0");
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let words = format!(
        "phase {}, storage class {}, size {}, access {}",
        known(&phase),
        known(&class),
        known(&size),
        known(&mode)
    );
    Seen {
        lines: vec![format!("claim {name}: {words}")],
        note: format!("Claim {name}: {words}."),
        next: class.filter(|_| phase.as_deref() != Some("Bound")).map(Lookup::StorageClass),
    }
}

fn storage_class(name: &str, object: &Value) -> Seen {
    let binding = text(&object["volumeBindingMode"]);
    let words = format!("provisioner {}, binding {binding}", text(&object["provisioner"]));
    Seen {
        lines: vec![format!("storage class {name}: {words}")],
        note: format!("Storage class {name} exists: {words}."),
        next: None,
    }
}

fn service_account(name: &str, object: &Value) -> Seen {
    let names = |field: &str| -> Vec<_> {
        let list = object[field].as_array().into_iter().flatten();
        list.map(|entry| text(&entry["name"])).filter(|n| !n.is_empty()).take(RESOURCES).collect()
    };
    let told = |what: &str, names: Vec<String>| match names.as_slice() {
        [] => format!("no {what} secret"),
        names => format!("{what} secrets {}", names.join(", ")),
    };
    let words = format!("{}, {}", told("pull", names("imagePullSecrets")), told("linked", names("secrets")));
    Seen {
        lines: vec![format!("service account {name}: {words}")],
        note: format!("Service account {name} has {words}."),
        next: None,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('\n', " "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evidence::Source;
    use crate::redact::Redactor;

    fn looked(line: &str) -> Vec<Lookup> {
        let mut evidence = Evidence::default();
        evidence.run.service_account = Some("pipeline".to_owned());
        let source = Source::Status { object: "Pod".into(), name: "p".into() };
        evidence.add_log(source, line.as_bytes(), &mut Redactor::new([0; 16]));
        wanted(&evidence)
    }

    #[test]
    fn the_reason_decides_what_is_looked_at() {
        let quota = "pods \"p\" is forbidden: exceeded quota: compute, requested: limits.memory=4Gi, used: limits.memory=6Gi, limited: limits.memory=8Gi";
        assert_eq!(looked(quota), [Lookup::Quota("compute".into())]);
        let range = "maximum memory usage per Container is 1Gi, but limit is 2Gi.";
        assert_eq!(looked(range), [Lookup::LimitRanges]);
        let class = "Warning ProvisioningFailed persistentvolumeclaim/ws: storageclass.storage.k8s.io \"fast\" not found";
        assert_eq!(looked(class), [Lookup::Claim("ws".into()), Lookup::StorageClass("fast".into())]);
        let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims";
        assert!(looked(unbound).contains(&Lookup::PendingClaims), "{:?}", looked(unbound));
        let push = "Error: pushing image: authentication required: unauthorized";
        assert!(looked(push).iter().all(|l| *l == Lookup::Account("pipeline".into())), "{:?}", looked(push));
        assert_eq!(looked("1 failed, 40 passed"), []);
    }

    #[test]
    fn what_is_seen_is_said_in_a_sentence() {
        let quota = json!({"status": {"hard": {"limits.memory": "8Gi", "pods": 10}, "used": {"limits.memory": "6Gi"}}});
        let seen_quota = seen(&Lookup::Quota("compute".into()), &quota).expect("an object");
        assert_eq!(
            seen_quota.note,
            "Quota compute, in use when looked at: limits.memory 6Gi of 8Gi, pods 0 of 10."
        );
        let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "3Gi"}},
            "accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Pending"}});
        let seen_claim = seen(&Lookup::Claim("ws".into()), &claim).expect("an object");
        assert_eq!(seen_claim.next, Some(Lookup::StorageClass("fast".into())));
        assert_eq!(
            seen_claim.note,
            "Claim ws: phase Pending, storage class fast, size 3Gi, access ReadWriteOnce."
        );
        let account = json!({"secrets": [{"name": "pipeline-dockercfg"}]});
        let seen_account = seen(&Lookup::Account("pipeline".into()), &account).expect("an object");
        assert_eq!(
            seen_account.note,
            "Service account pipeline has no pull secret, linked secrets pipeline-dockercfg."
        );
        let range = json!({"spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}});
        let seen_range = seen(&Lookup::LimitRange("limits".into()), &range).expect("an object");
        assert_eq!(seen_range.note, "Limit range limits: Container max memory 1Gi.");
        assert!(seen(&Lookup::Quota("odd".into()), &json!([1])).is_some(), "nothing is expected of a server");
    }
}
