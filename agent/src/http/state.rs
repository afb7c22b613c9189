//! What the service says of itself: readiness, metrics, configuration.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use agent_mcp::{Capability, Client};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Service;
use crate::metrics::Metrics;
use crate::{cluster, filing};

impl Service {
    /// Whether what reports need can be had now, and what each dependency can do at the moment. A server that nobody
    /// configured is done without, however long one waits.
    async fn dependencies(&self) -> (bool, Value) {
        let investigator = &self.investigator;
        let mut probes =
            vec![probe("openshift", investigator.cluster.as_ref(), &cluster::REQUIRED, &self.metrics)];
        for (_, tracker) in investigator.routes.all() {
            let client = tracker.client();
            probes.push(probe(client.name(), Some(client), &filing::REQUIRED, &self.metrics));
        }
        if probes.len() == 1 {
            probes.push(probe("gitea", None, &filing::REQUIRED, &self.metrics));
        }
        let mut ready = true;
        let mut all = Map::new();
        for (name, up, words) in futures::future::join_all(probes).await {
            ready &= up;
            all.insert(name.to_owned(), Value::from(words));
        }
        let degraded = self.store.journal().health().degraded.load(Ordering::Relaxed);
        let journal = if degraded { "in memory only: reports do not survive a restart" } else { "ok" };
        let model = if investigator.advisor.is_some() { "configured" } else { "none: rules only" };
        all.extend([("journal".to_owned(), json!(journal)), ("model".to_owned(), json!(model))]);
        (ready, Value::Object(all))
    }
}

async fn probe<'a>(
    name: &'a str,
    client: Option<&'a Client>,
    wanted: &'a [Capability],
    metrics: &Metrics,
) -> (&'a str, bool, String) {
    let (ready, words) = match client {
        None => {
            metrics.server(name, false);
            return (name, true, "not configured".to_owned());
        }
        Some(client) => match client.probe(wanted).await {
            Ok(missing) if missing.is_empty() => (true, "ok".to_owned()),
            Ok(missing) => (false, format!("no tool for {missing:?}")),
            Err(error) => (false, error.to_string()),
        },
    };
    metrics.server(name, ready);
    (name, ready, words)
}

pub(super) async fn ready(State(service): State<Arc<Service>>) -> Response {
    let (ready, dependencies) = service.dependencies().await;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": ready, "dependencies": dependencies}))).into_response()
}

pub(super) async fn metrics(State(service): State<Arc<Service>>) -> Response {
    service.metrics.state(service.store.open(), service.store.journal().health());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], service.metrics.text()).into_response()
}

/// The configuration, secrets masked; for those who may read everything.
pub(super) async fn config(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    match service.authenticate(&headers, &[], super::Wish::Look, None).await {
        Ok(caller) if caller.namespace.is_none() => Json(service.options.shown.clone()).into_response(),
        Ok(_) => super::detail(StatusCode::FORBIDDEN, "service accounts see reports, not the configuration"),
        Err(response) => response,
    }
}
