//! Taking finalizers away, from what is being deleted only: the last resort when whoever should finish is gone.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
    core::PartialObjectMeta,
    discovery::{Discovery, Scope, verbs},
};
use serde_json::json;

use super::{Cluster, ClusterError, Kind, Object, ObjectRef, client::failed};

/// Lists under way at once while a namespace is searched.
const LISTS: usize = 8;

/// An object whose finalizers were taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// `Application openshift-gitops/agent-user-x1`.
    pub object: String,
    /// The finalizers it had.
    pub finalizers: Vec<String>,
}

impl Cluster {
    /// Takes the finalizers of an object away if it is being deleted; `None` if it is not, or has none.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn release(&self, kind: &Kind, found: &Object) -> Result<Option<Released>, ClusterError> {
        let metadata = &found.metadata;
        let finalizers = metadata.finalizers.clone().unwrap_or_default();
        if metadata.deletion_timestamp.is_none() || finalizers.is_empty() {
            return Ok(None);
        }
        let at = ObjectRef {
            kind: *kind,
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        };
        let api = self.api(kind, &at.namespace);
        self.strip(&api, &at.name, metadata.uid.as_deref(), &at.to_string()).await?;
        Ok(Some(Released { object: at.to_string(), finalizers }))
    }

    /// Takes away the finalizers of everything in a namespace that is being deleted, whatever its kind. The
    /// namespace's own finalizer stays: it is what guarantees that nothing is left.
    ///
    /// # Errors
    ///
    /// When the API server does not say what it serves. Kinds it cannot list just now (their API service is gone)
    /// are left out.
    pub async fn release_all(&self, namespace: &str) -> Result<Vec<Released>, ClusterError> {
        let discovery = Discovery::new(self.client.clone()).run_aggregated();
        let discovered = self.ask("list", || "kinds".to_owned(), discovery).await?;
        let discovered = discovered.map_err(|error| failed("list", "kinds", &error))?;
        let kinds = discovered.groups().flat_map(kube::discovery::ApiGroup::recommended_resources);
        let kinds = kinds.filter(|(_, capabilities)| {
            capabilities.scope == Scope::Namespaced
                && capabilities.supports_operation(verbs::LIST)
                && capabilities.supports_operation(verbs::PATCH)
        });
        let searched = kinds.map(|(resource, _)| async move {
            let api: Api<Object> = Api::namespaced_with(self.client.clone(), namespace, &resource);
            let params = ListParams::default();
            let listed = self.ask("list", || resource.plural.clone(), api.list_metadata(&params));
            // by UID: a kind may be served in several groups, as events are
            let found = listed.await.ok().and_then(Result::ok).map(|list| list.items).unwrap_or_default();
            found.into_iter().map(|one| (resource.clone(), api.clone(), one)).collect::<Vec<_>>()
        });
        let found: Vec<_> = stream::iter(searched).buffer_unordered(LISTS).collect().await;
        let mut released = BTreeMap::new();
        for (resource, api, object) in found.into_iter().flatten() {
            let PartialObjectMeta { metadata, .. } = object;
            let finalizers = metadata.finalizers.unwrap_or_default();
            let (Some(name), Some(uid)) = (metadata.name, metadata.uid) else { continue };
            if metadata.deletion_timestamp.is_none() || finalizers.is_empty() || released.contains_key(&uid) {
                continue;
            }
            let object = format!("{} {namespace}/{name}", resource.kind);
            self.strip(&api, &name, Some(&uid), &object).await?;
            released.insert(uid, Released { object, finalizers });
        }
        Ok(released.into_values().collect())
    }

    async fn strip(
        &self,
        api: &Api<Object>,
        name: &str,
        uid: Option<&str>,
        object: &str,
    ) -> Result<(), ClusterError> {
        // with the UID, a namesake made meanwhile is not meant
        let patch = Patch::Merge(json!({"metadata": {"uid": uid, "finalizers": null}}));
        let params = PatchParams::default();
        match self.ask("patch", || object.to_owned(), api.patch(name, &params, &patch)).await? {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
            Err(error) => Err(failed("patch", object, &error)),
        }
    }
}
