//! What answers for Services whose pods are ready: built-in responders, since nothing really runs.
//!
//! Imitates: a Service has endpoints as soon as a ready pod carries the labels of its selector. LibreChat
//! answers `/api/user` with 401 as it does to strangers, the lab guide has a page, MCP proxies say they
//! are healthy, everything else has a `/health`. Gitea is real and answers for itself.
//!
//! Does not imitate: addresses, cluster-internal DNS, any further path of those programs.
//!
//! Faults are those of `workloads`: *wrong* lets every responder answer 500. Subject: namespace/name.

use std::collections::{BTreeMap, HashSet};

use axum::{
    Json, Router,
    response::Html,
    routing::{any, get},
};
use http::StatusCode;
use kube::api::DynamicObject;
use serde_json::json;

use super::{
    cluster::{Change, Cluster, ObjectKey},
    controller::{Next, Reconciler},
    kinds::Kind,
    ownership::{controller_of, is_tenant_namespace},
};
use crate::platform::{Backend, Behaviour, Platform, StandIn, parking::Guarded};

/// Gives Services with ready pods a responder.
pub(crate) struct Endpoints {
    cluster: Cluster,
    platform: Platform,
    /// Services that have a responder of this controller.
    given: Guarded<HashSet<(String, String)>>,
}

impl Reconciler for Endpoints {
    const STAND_IN: StandIn = StandIn::Workloads;
    const WATCHES: &'static [Kind] = &[Kind::Service, Kind::Pod];

    fn affected(&self, change: &Change) -> Vec<ObjectKey> {
        let key = &change.key;
        if !is_tenant_namespace(&key.namespace) {
            return Vec::new();
        }
        if key.kind == Kind::Service {
            return vec![key.clone()];
        }
        let services = self.cluster.list_in(Kind::Service, &key.namespace).into_iter();
        services.map(|service| ObjectKey::of(Kind::Service, &service)).collect()
    }

    async fn reconcile(&self, key: &ObjectKey, behaviour: Behaviour) -> anyhow::Result<Next> {
        let backends = &self.platform.backends;
        let target = (key.namespace.clone(), key.name.clone());
        if self.has_endpoints(key) {
            let responder = if behaviour == Behaviour::Wrong { broken() } else { responder(&key.name) };
            backends.set(&key.namespace, &key.name, Backend::Responder(responder));
            self.given.with(|given| given.insert(target));
        } else if self.given.with(|given| given.remove(&target)) {
            backends.remove(&key.namespace, &key.name);
        }
        Ok(Next::Wait)
    }
}

impl Endpoints {
    /// Follows the Services of `cluster`.
    pub(crate) fn new(cluster: Cluster, platform: Platform) -> Self {
        Self { cluster, platform, given: Guarded::default() }
    }

    /// Whether a ready pod is behind the Service. A Service without selector, and a Gitea's, has somebody
    /// else to care for it.
    fn has_endpoints(&self, key: &ObjectKey) -> bool {
        let service = self.cluster.get(key).filter(|service| controller_of(service, Kind::Gitea).is_none());
        service.is_some_and(|service| {
            let pods = self.cluster.list_in(Kind::Pod, &key.namespace);
            pods.iter().any(|pod| is_ready(pod) && is_selected(&service, pod))
        })
    }
}

fn is_ready(pod: &DynamicObject) -> bool {
    let conditions = pod.data["status"]["conditions"].as_array().into_iter().flatten();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|each| each["type"] == "Ready" && each["status"] == "True")
}

/// Whether the Service's selector fits the pod; a Service without one selects nothing.
fn is_selected(service: &DynamicObject, pod: &DynamicObject) -> bool {
    let none = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
    service.data["spec"]["selector"].as_object().is_some_and(|selector| {
        !selector.is_empty()
            && selector.iter().all(|(name, value)| labels.get(name).map(String::as_str) == value.as_str())
    })
}

fn responder(service: &str) -> Router {
    let page = |title: &'static str| get(async move || Html(format!("<html><title>{title}</title></html>")));
    let healthy = get(async || Json(json!({ "status": "healthy", "mcp": { "available": true } })));
    let router = Router::new().route("/health", healthy);
    match service {
        "librechat" => router
            .route("/", page("LibreChat"))
            .route("/api/user", any(async || (StatusCode::UNAUTHORIZED, "Unauthorized"))),
        "showroom" => router.route("/", page("Lab guide")),
        _ => router,
    }
}

fn broken() -> Router {
    Router::new().fallback(async || (StatusCode::INTERNAL_SERVER_ERROR, "told to be wrong"))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request};
    use tower::ServiceExt as _;

    use super::*;

    async fn status(router: Router, path: &str) -> u16 {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn responders_answer_as_the_programs_they_stand_for() {
        assert_eq!(status(responder("librechat"), "/api/user").await, 401);
        assert_eq!(status(responder("librechat"), "/").await, 200);
        assert_eq!(status(responder("showroom"), "/").await, 200);
        assert_eq!(status(responder("mcp-gitea-proxy"), "/health").await, 200);
        assert_eq!(status(responder("mcp-gitea-proxy"), "/elsewhere").await, 404);
        assert_eq!(status(broken(), "/health").await, 500);
    }

    #[test]
    fn only_a_selector_whose_labels_all_fit_selects() {
        let object = |value| serde_json::from_value::<DynamicObject>(value).unwrap();
        let pod = object(json!({ "metadata": { "labels": { "app": "a", "tier": "web" } } }));
        for (selector, fits) in [
            (json!({ "app": "a" }), true),
            (json!({ "app": "a", "tier": "db" }), false),
            (json!({}), false),
            (json!(null), false),
        ] {
            let service = object(json!({ "metadata": {}, "spec": { "selector": selector } }));
            assert_eq!(is_selected(&service, &pod), fits, "{selector}");
        }
    }
}
