//! Putting CRDs and platform objects into a cluster: all at once, each retried until what it depends on
//! is there.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use http::{Request, header};
use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::{Namespace, ServiceAccount},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;

use crate::{
    builds::crds::Manifest,
    objects::{DEPLOYER, MANAGED_BY, MANAGER, SYSTEM_NAMESPACE},
    polling,
};

const SETTLE_LIMIT: Duration = Duration::from_mins(1);
/// A year: longer than any lab lives.
const TOKEN_SECONDS: i64 = 365 * 24 * 3600;
const AT_ONCE: usize = 16;

/// Creates the CRDs that the cluster lacks; returns once all are served.
pub(crate) async fn define(client: &Client, manifests: Vec<Manifest>) -> Result<(), InstallationError> {
    let mut missing: Vec<_> = manifests.iter().map(|manifest| manifest.name.clone()).collect();
    stream::iter(manifests)
        .map(|Manifest { name, bytes }| async move {
            let request = Request::post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
                .header(header::CONTENT_TYPE, "application/json")
                .body(bytes)
                .expect("constant parts make a request");
            match client.request_text(request).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                Err(source) => Err(InstallationError::Request {
                    operation: "create",
                    object: format!("CRD {name}"),
                    source,
                }),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    let served = polling::until(SETTLE_LIMIT, async || {
        let served = resources(client).await.ok()?;
        missing.retain(|name| !served.contains(name));
        missing.is_empty().then_some(())
    });
    served.await.ok_or(InstallationError::Unserved { names: missing })
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

/// Creates the objects that are not there, with their `status` where they carry one.
pub(crate) async fn create(client: &Client, objects: Vec<Value>) -> Result<(), InstallationError> {
    stream::iter(objects)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |object| async move { Object::new(client, object).create().await })
        .await
}

/// Removes those of the objects that the lab created.
pub(crate) async fn remove(client: &Client, objects: Vec<Value>) -> Result<(), InstallationError> {
    stream::iter(objects)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |object| async move { Object::new(client, object).remove().await })
        .await
}

/// One object and where it lives.
struct Object {
    api: Api<DynamicObject>,
    kind: String,
    name: String,
    content: Value,
}

impl Object {
    fn new(client: &Client, mut content: Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&content["apiVersion"]), text(&content["kind"]));
        let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let name = text(&content["metadata"]["name"]);
        let api = match content["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        // Some objects are written as somebody else left them, and say so.
        let managed_by = &mut content["metadata"]["labels"][MANAGED_BY];
        if managed_by.is_null() {
            *managed_by = MANAGER.into();
        }
        Self { api, kind, name, content }
    }

    async fn create(self) -> Result<(), InstallationError> {
        let object: DynamicObject = serde_json::from_value(self.content.clone())
            .map_err(|source| self.failed("create", kube::Error::SerdeError(source)))?;
        let parameters = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        // A kind is refused with 404 for a moment after its CRD is served.
        let created =
            polling::until(SETTLE_LIMIT, async || match self.api.create(&parameters, &object).await {
                Err(kube::Error::Api(status)) if status.code == 404 => None,
                outcome => Some(outcome),
            });
        match created.await {
            Some(Ok(_)) => {}
            Some(Err(kube::Error::Api(status))) if status.is_already_exists() => return Ok(()),
            Some(Err(source)) => return Err(self.failed("create", source)),
            None => return Err(InstallationError::Unserved { names: vec![self.kind] }),
        }
        if self.content.get("status").is_some() {
            let status = Patch::Merge(&self.content);
            let patched = self.api.patch_status(&self.name, &PatchParams::default(), &status).await;
            patched.map_err(|source| self.failed("set the status of", source))?;
        }
        Ok(())
    }

    async fn remove(self) -> Result<(), InstallationError> {
        let found = match self.api.get_metadata_opt(&self.name).await {
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            found => found.map_err(|source| self.failed("read", source))?,
        };
        let labels = found.and_then(|found| found.metadata.labels).unwrap_or_default();
        if labels.get(MANAGED_BY).map(String::as_str) != Some(MANAGER) {
            return Ok(());
        }
        match self.api.delete(&self.name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            outcome => outcome.map(drop).map_err(|source| self.failed("delete", source)),
        }
    }

    fn failed(&self, operation: &'static str, source: kube::Error) -> InstallationError {
        InstallationError::Request { operation, object: format!("{} {}", self.kind, self.name), source }
    }
}

/// The names of the CRDs that a lab created.
pub(crate) async fn defined(client: &Client) -> Result<HashSet<String>, kube::Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let list = definitions.list_metadata(&ours()).await?;
    Ok(list.items.into_iter().filter_map(|definition| definition.metadata.name).collect())
}

/// Removes the CRDs that a lab created, and with them every object of their kinds.
pub(crate) async fn undefine(client: &Client) -> Result<(), InstallationError> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let deleted = definitions.delete_collection(&DeleteParams::default(), &ours()).await;
    let object = "the lab's CRDs".to_owned();
    deleted.map(drop).map_err(|source| InstallationError::Request { operation: "delete", object, source })
}

/// Returns when no namespace and no CRD of a lab is left.
pub(crate) async fn gone(client: &Client) -> Result<(), InstallationError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut left = Vec::new();
    let gone = polling::until(SETTLE_LIMIT, async || {
        let spaces = namespaces.list_metadata(&ours()).await.ok()?;
        left = defined(client).await.ok()?.into_iter().collect();
        left.extend(spaces.items.into_iter().filter_map(|namespace| namespace.metadata.name));
        left.is_empty().then_some(())
    });
    gone.await.ok_or(InstallationError::Left { names: left })
}

fn ours() -> ListParams {
    ListParams::default().labels(&format!("{MANAGED_BY}={MANAGER}"))
}

/// A token of the platform's deployer.
pub(crate) async fn token(client: &Client) -> Result<String, InstallationError> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let object = format!("a token of ServiceAccount {SYSTEM_NAMESPACE}/{DEPLOYER}");
    let answer = accounts.create_token_request(DEPLOYER, &PostParams::default(), &request).await;
    let answer =
        answer.map_err(|source| InstallationError::Request { operation: "create", object, source })?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}

/// Why the platform's objects are not in the cluster.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The API server refused something.
    #[error("{operation} {object}")]
    Request {
        /// To do what.
        operation: &'static str,
        /// What.
        object: String,
        /// The cause.
        #[source]
        source: kube::Error,
    },
    /// Namespaces or kinds do not go.
    #[error("still there a minute after they were deleted: {}", names.join(", "))]
    Left {
        /// Which.
        names: Vec<String>,
    },
    /// Kinds do not appear.
    #[error("the API server does not serve {} after a minute", names.join(", "))]
    Unserved {
        /// Which.
        names: Vec<String>,
    },
}
