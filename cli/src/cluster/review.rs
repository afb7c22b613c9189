//! What the API server would let us do, and which kinds it serves.

use std::collections::{BTreeMap, BTreeSet};

use kube::{
    Api,
    api::PostParams,
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;

use super::{Cluster, ClusterError, Kind, Object, client::failed};

impl Cluster {
    /// Whether the account we are may do `verb` with objects of `kind` in all namespaces; with the one called
    /// `name`, if that is given (`SelfSubjectAccessReview`, which every account may ask for).
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn may(&self, verb: &str, kind: &Kind, name: Option<&str>) -> Result<bool, ClusterError> {
        let review = GroupVersionKind::gvk("authorization.k8s.io", "v1", "SelfSubjectAccessReview");
        let resource = ApiResource::from_gvk_with_plural(&review, "selfsubjectaccessreviews");
        let attributes = json!({"verb": verb, "group": kind.group, "resource": kind.plural, "name": name});
        let mut asked = Object::new("", &resource).data(json!({"spec": {"resourceAttributes": attributes}}));
        asked.metadata.name = None; // reviews have none
        let reviews: Api<Object> = Api::all_with(self.client.clone(), &resource);
        let what = || format!("the right to {verb} {}", kind.plural);
        let params = PostParams::default();
        let answered = self.ask("review", what, reviews.create(&params, &asked)).await?;
        let answered = answered.map_err(|error| failed("review", what(), &error))?;
        Ok(answered.data["status"]["allowed"] == true)
    }

    /// The kinds served in `group`, with the versions of each, the preferred one first.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn kinds(&self, group: &str) -> Result<BTreeMap<String, Vec<String>>, ClusterError> {
        let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for version in self.versions(group) {
            let what = || format!("kinds of {group}/{version}");
            let path = format!("{group}/{version}");
            let listed = self.ask("list", what, self.client.list_api_group_resources(&path)).await?;
            let listed = listed.map_err(|error| failed("list", what(), &error))?;
            let found: BTreeSet<String> =
                listed.resources.into_iter().map(|resource| resource.kind).collect();
            for kind in found {
                kinds.entry(kind).or_default().push(version.clone());
            }
        }
        Ok(kinds)
    }
}
