//! What has been written to a cluster, object by object: whether a command that has nothing to do does nothing.

use std::collections::BTreeMap;

use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    discovery::{Discovery, verbs},
};

/// `{plural}.{group} {namespace}/{name}` → `resourceVersion`.
pub(crate) type Versions = BTreeMap<String, String>;

/// The versions of everything that can be listed, once nothing moves any more: controllers need a moment after
/// a command has ended. Leases are held anew all the time, events are notes.
pub(crate) async fn settled(client: &Client) -> Versions {
    let discovery = Discovery::new(client.clone()).run_aggregated().await.expect("the API can be discovered");
    let mut last = Versions::new();
    for _ in 0..100 {
        let now = versions(client, &discovery).await;
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("objects keep being written although nobody asks for it");
}

async fn versions(client: &Client, discovery: &Discovery) -> Versions {
    let mut versions = Versions::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            let name = format!("{}.{}", resource.plural, resource.group);
            if !capabilities.supports_operation(verbs::LIST)
                || ["leases", "events"].contains(&&*resource.plural)
            {
                continue;
            }
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let listed = api.list(&ListParams::default()).await;
            let listed = listed.unwrap_or_else(|error| panic!("{name} cannot be listed: {error}"));
            versions.extend(listed.items.into_iter().map(|object| {
                let namespace = object.metadata.namespace.unwrap_or_default();
                let key = format!("{name} {namespace}/{}", object.metadata.name.unwrap_or_default());
                (key, object.metadata.resource_version.unwrap_or_default())
            }));
        }
    }
    versions
}

/// What was written, made or deleted between two moments.
pub(crate) fn moved(before: &Versions, after: &Versions) -> Vec<String> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let written = after.iter().filter(|(key, version)| before.get(*key) != Some(version)).map(|(key, _)| key);
    gone.chain(written).cloned().collect()
}
