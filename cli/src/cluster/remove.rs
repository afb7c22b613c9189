//! Removing objects, and only those that are ours.

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};

use super::{Cluster, ClusterError, Object, ObjectRef, client::failed};

/// What became of an object that was to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It was not there.
    Absent,
    /// Its deletion is under way (or done); wait for it by this UID.
    Deleted {
        /// UID, so that a namesake created later is not mistaken for it.
        uid: String,
    },
    /// It is there but does not carry our labels: left alone.
    NotOurs,
}

impl Cluster {
    /// Deletes an object if it carries all of `labels`; dependents go in the background.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn remove(&self, at: &ObjectRef, labels: &[(String, String)]) -> Result<Removal, ClusterError> {
        match self.get(at).await? {
            None => Ok(Removal::Absent),
            Some(object) if !carries(&object, labels) => Ok(Removal::NotOurs),
            Some(object) => self.remove_found(at, &object).await,
        }
    }

    /// Deletes an object that was just read and found to be ours.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn remove_found(&self, at: &ObjectRef, object: &Object) -> Result<Removal, ClusterError> {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        if object.metadata.deletion_timestamp.is_some() {
            return Ok(Removal::Deleted { uid });
        }
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        let api = self.api(&at.kind, &at.namespace);
        match self.ask("delete", || at.to_string(), api.delete(&at.name, &params)).await? {
            Ok(_) => Ok(Removal::Deleted { uid }),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                Ok(Removal::Absent)
            }
            Err(error) => Err(failed("delete", at.to_string(), &error)),
        }
    }
}

/// Whether an object carries all of `labels`.
pub fn carries(object: &Object, labels: &[(String, String)]) -> bool {
    let own = object.metadata.labels.as_ref();
    labels.iter().all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value))
}

impl Removal {
    /// Whether something was deleted.
    pub fn changed(&self) -> bool {
        matches!(self, Self::Deleted { .. })
    }
}
