//! One tenant at work: what all its steps share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tenant_kit::{
    http::{self, ClientError, ClientSettings},
    meter::Meter,
    secret::Redactor,
    throttle::Throttle,
};
use tenant_workflow::step::StepError;

use crate::{
    cluster::{
        Applied, Cluster, FIELD_MANAGER, Kind, Object, ObjectRef, ROUTE, Removal, SCC, carries, complete,
    },
    facts::Facts,
    names::Names,
    record::Record,
    services::Service,
};

/// What the steps of one tenant work with.
pub struct Tenant {
    /// Every name.
    pub names: Names,
    /// The API server.
    pub cluster: Cluster,
    /// What must be remembered.
    pub record: Record,
    /// What steps found out.
    pub facts: Facts,
    /// Domain of the cluster's routes, `apps.example.com`.
    pub domain: String,
    /// HTTP clients.
    pub web: Web,
}

/// The HTTP side of a tenant: clients per kind of trust, and what every call reports to.
#[derive(Clone)]
pub struct Web {
    routes: reqwest::Client,
    litellm: reqwest::Client,
    meter: Arc<Meter>,
    redactor: Arc<Redactor>,
    /// Base URL → how much is asked of it at once.
    pace: Arc<Mutex<HashMap<String, Arc<Throttle>>>>,
}

/// Requests under way at once at one service, and so connections to it.
const CONNECTIONS: usize = 2;

impl Web {
    /// Builds the clients: one for hosts behind the cluster's router, one for LiteLLM.
    ///
    /// # Errors
    ///
    /// When a CA bundle cannot be read or the TLS stack refuses the settings.
    pub fn new(
        routes: &ClientSettings,
        litellm: &ClientSettings,
        meter: Arc<Meter>,
        redactor: Arc<Redactor>,
    ) -> Result<Self, ClientError> {
        let (routes, litellm) = (http::client(routes)?, http::client(litellm)?);
        Ok(Self { routes, litellm, meter, redactor, pace: Arc::default() })
    }

    /// A service behind the cluster's router.
    pub fn routed(&self, name: impl Into<String>, base: &str) -> Service {
        self.service(name, base, &self.routes)
    }

    /// The LiteLLM proxy.
    pub fn litellm(&self, base: &str) -> Service {
        self.service("LiteLLM", base, &self.litellm)
    }

    fn service(&self, name: impl Into<String>, base: &str, http: &reqwest::Client) -> Service {
        let (meter, redactor) = (Arc::clone(&self.meter), Arc::clone(&self.redactor));
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let throttle = pace.entry(base.to_owned()).or_insert_with(|| Arc::new(Throttle::new(CONNECTIONS)));
        Service::new(name, base, http.clone(), Arc::clone(throttle), meter, redactor)
    }

    /// From now on this value is masked in what services say.
    pub fn hide(&self, secret: &SecretString) {
        self.redactor.learn(secret);
    }
}

impl Tenant {
    /// Applies an object that is the tenant's own: adds our labels to it.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn apply(&self, at: &ObjectRef, object: Value) -> Result<Applied, StepError> {
        Ok(self.cluster.apply(at, self.labelled(object)).await?)
    }

    /// Applies objects at once; whether any of them changed.
    ///
    /// # Errors
    ///
    /// As [`Tenant::apply`]; the first failure.
    pub async fn apply_all(&self, objects: Vec<(ObjectRef, Value)>) -> Result<bool, StepError> {
        let applied = objects.into_iter().map(|(at, object)| async move { self.apply(&at, object).await });
        let applied = futures::future::try_join_all(applied).await?;
        Ok(applied.iter().any(|applied| applied.changed))
    }

    /// As [`Tenant::apply`], over an object that was just read.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn apply_over(
        &self,
        at: &ObjectRef,
        object: Value,
        before: Option<Object>,
    ) -> Result<Applied, StepError> {
        Ok(self.cluster.apply_over(at, FIELD_MANAGER, self.labelled(object), before).await?)
    }

    /// What applying these objects would change, one line each; `None` when none of them is there.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn compare_all(
        &self,
        objects: Vec<(ObjectRef, Value)>,
    ) -> Result<Option<Vec<String>>, StepError> {
        let asked = objects.into_iter().map(|(at, object)| async move {
            let found = self.cluster.differences(&at, self.labelled(object)).await?;
            Ok::<_, StepError>((at, found))
        });
        let found = futures::future::try_join_all(asked).await?;
        if found.iter().all(|(_, differences)| differences.is_none()) {
            return Ok(None);
        }
        Ok(Some(
            found
                .into_iter()
                .flat_map(|(at, differences)| match differences {
                    None => vec![format!("{at} is missing")],
                    Some(lines) => lines.into_iter().map(|line| format!("{at} {line}")).collect(),
                })
                .collect(),
        ))
    }

    /// Deletes an object if it is the tenant's own.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn remove(&self, at: &ObjectRef) -> Result<Removal, StepError> {
        Ok(self.cluster.remove(at, &self.own_labels()).await?)
    }

    /// Deletes objects at once, those that are the tenant's own; whether any was there.
    ///
    /// # Errors
    ///
    /// As [`Tenant::remove`], after all were tried; the first failure.
    pub async fn remove_all(&self, objects: Vec<ObjectRef>) -> Result<bool, StepError> {
        let removed = objects.iter().map(|at| self.remove(at));
        let mut any = false;
        for removal in futures::future::join_all(removed).await {
            any |= removal?.changed();
        }
        Ok(any)
    }

    /// Whether an object is the tenant's own.
    pub fn owns(&self, object: &Object) -> bool {
        carries(object, &self.own_labels())
    }

    /// The labels that make an object ours, as a selector: `key=value,key=value`.
    pub fn selector(&self) -> String {
        self.names.selector()
    }

    /// The labels that make an object ours.
    pub fn own_labels(&self) -> Vec<(String, String)> {
        let labels = self.names.labels();
        labels.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// Whether the cluster has OpenShift's routes; otherwise Ingresses do the same.
    pub fn has_routes(&self) -> bool {
        self.cluster.serves(&ROUTE)
    }

    /// Whether the cluster has OpenShift's security context constraints.
    pub fn has_scc(&self) -> bool {
        self.cluster.serves(&SCC)
    }

    /// The version in which the cluster serves a kind's group: the newest of `wanted` it has.
    pub fn version(&self, kind: &Kind, wanted: &[&'static str]) -> Option<&'static str> {
        let served = self.cluster.versions(kind.group);
        wanted.iter().find(|version| served.iter().any(|served| served == *version)).copied()
    }

    /// An object as it would be applied: with kind, name and our labels.
    pub fn complete(&self, at: &ObjectRef, object: Value) -> Value {
        complete(at, self.labelled(object))
    }

    fn labelled(&self, mut object: Value) -> Value {
        let own = self.names.labels();
        let labels = &mut object["metadata"]["labels"];
        match labels {
            Value::Object(labels) => labels.extend(own),
            other => *other = json!(own),
        }
        object
    }
}

/// `stringData` as `data`: the API server merges the former without ownership.
pub fn secret_data<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    use base64::Engine as _;
    let encode = |value: &str| json!(base64::engine::general_purpose::STANDARD.encode(value));
    entries.into_iter().map(|(key, value)| (key.to_owned(), encode(value))).collect::<Map<_, _>>().into()
}
