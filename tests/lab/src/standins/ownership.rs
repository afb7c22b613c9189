//! Owner references: who made an object, and what the garbage collector takes with it.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{cluster::ObjectKey, kinds::Kind};

/// The reference that makes `owner` the controller of another object; the garbage collector deletes
/// that object after its owner.
pub(crate) fn controller_reference(kind: Kind, owner: &DynamicObject) -> Value {
    json!({
        "apiVersion": kind.api_version(),
        "kind": kind.name(),
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The controller of `object`, if it is a `kind`.
pub(crate) fn controller_of(object: &DynamicObject, kind: Kind) -> Option<ObjectKey> {
    let references = object.metadata.owner_references.as_ref()?;
    let owner = references.iter().find(|reference| {
        reference.controller == Some(true)
            && reference.kind == kind.name()
            && reference.api_version.split('/').next() == kind.api_version().split('/').next()
    })?;
    Some(ObjectKey::new(kind, object.metadata.namespace.clone()?, owner.name.clone()))
}

/// Whether the namespace may belong to a tenant: not one of the control plane's or the platform's.
pub(crate) fn is_tenant_namespace(namespace: &str) -> bool {
    let platform = ["kube-", "openshift-"].iter().any(|prefix| namespace.starts_with(prefix));
    !platform && !["", "default", "openshift"].contains(&namespace)
}
