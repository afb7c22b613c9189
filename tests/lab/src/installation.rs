//! Putting CRDs and platform objects into a cluster: all at once, each retried until what it depends on
//! is there.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use http::{Request, header};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;

use crate::{
    builds::crds::Manifest,
    objects::{DEPLOYER, MANAGER, SYSTEM_NAMESPACE},
    polling,
};

const SETTLE_LIMIT: Duration = Duration::from_secs(60);
/// A year: longer than any lab lives.
const TOKEN_SECONDS: i64 = 365 * 24 * 3600;
const AT_ONCE: usize = 16;

/// Creates the CRDs that the cluster lacks, and returns their names once all are served.
pub(crate) async fn define(
    client: &Client,
    manifests: Vec<Manifest>,
) -> Result<Vec<String>, InstallationError> {
    let names: Vec<_> = manifests.iter().map(|manifest| manifest.name.clone()).collect();
    let created: Vec<Option<String>> = stream::iter(manifests)
        .map(|Manifest { name, bytes }| async move {
            let request = Request::post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
                .header(header::CONTENT_TYPE, "application/json")
                .body(bytes)
                .expect("constant parts make a request");
            match client.request_text(request).await {
                Ok(_) => Ok(Some(name)),
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
                Err(source) => Err(InstallationError::Request { object: format!("CRD {name}"), source }),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let mut missing = names.clone();
    let served = polling::until(SETTLE_LIMIT, async || {
        let served = resources(client).await.ok()?;
        missing.retain(|name| !served.contains(name));
        missing.is_empty().then_some(())
    });
    match served.await {
        Some(()) => Ok(created.into_iter().flatten().collect()),
        None => Err(InstallationError::Unserved { names: missing }),
    }
}

/// Every resource of every API group, as `{plural}.{group}`: one request (aggregated discovery).
pub(crate) async fn resources(client: &Client) -> Result<HashSet<String>, kube::Error> {
    let request = Request::get("/apis")
        .header(header::ACCEPT, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        .body(Vec::new())
        .expect("constant parts make a request");
    let groups: Value = client.request(request).await?;
    let list = |value: &Value, field: &str| value[field].as_array().cloned().unwrap_or_default();
    let mut resources = HashSet::new();
    for group in list(&groups, "items") {
        let name = group["metadata"]["name"].as_str().unwrap_or_default();
        for version in list(&group, "versions") {
            for resource in list(&version, "resources") {
                resources.insert(format!("{}.{name}", resource["resource"].as_str().unwrap_or_default()));
            }
        }
    }
    Ok(resources)
}

/// Applies objects, with their `status` where they carry one.
pub(crate) async fn apply(client: &Client, objects: Vec<Value>) -> Result<(), InstallationError> {
    stream::iter(objects)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |object| async move { apply_one(client, object).await })
        .await
}

async fn apply_one(client: &Client, mut object: Value) -> Result<(), InstallationError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let name = text(&object["metadata"]["name"]);
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let status = object.as_object_mut().and_then(|fields| fields.remove("status"));
    let parameters = PatchParams::apply(MANAGER).force();
    // A kind is refused with 404 for a moment after its CRD is served.
    let applied = polling::until(SETTLE_LIMIT, async || {
        match api.patch(&name, &parameters, &Patch::Apply(&object)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => None,
            outcome => Some(outcome),
        }
    });
    let failed = |source| InstallationError::Request { object: format!("{kind} {name}"), source };
    applied
        .await
        .ok_or_else(|| InstallationError::Unserved { names: vec![kind.clone()] })?
        .map_err(failed)?;
    if let Some(status) = status {
        object["status"] = status;
        api.patch_status(&name, &parameters, &Patch::Apply(&object)).await.map_err(failed)?;
    }
    Ok(())
}

/// A token of the platform's deployer.
pub(crate) async fn token(client: &Client) -> Result<String, InstallationError> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let object = || format!("token of ServiceAccount {SYSTEM_NAMESPACE}/{DEPLOYER}");
    let answer = accounts.create_token_request(DEPLOYER, &PostParams::default(), &request).await;
    let answer = answer.map_err(|source| InstallationError::Request { object: object(), source })?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}

/// Why the platform's objects are not in the cluster.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The API server refused something.
    #[error("create {object}")]
    Request {
        /// What.
        object: String,
        /// The cause.
        #[source]
        source: kube::Error,
    },
    /// Kinds do not appear.
    #[error("the API server does not serve {} after a minute", names.join(", "))]
    Unserved {
        /// Which.
        names: Vec<String>,
    },
}
