//! How the stand-ins publish a Service: a Route on OpenShift, an Ingress with the same host elsewhere.

use serde_json::{Value, json};

use super::{
    cluster::{Cluster, ClusterError, ObjectKey},
    kinds::Kind,
};

/// The host OpenShift gives a Route that asks for none.
pub(crate) fn default_host(name: &str, namespace: &str, domain: &str) -> String {
    format!("{name}-{namespace}.{domain}")
}

/// A Service to be reached from outside.
#[derive(Clone, Debug)]
pub(crate) struct Exposure<'a> {
    /// Name of the Route or Ingress.
    pub(crate) name: &'a str,
    /// Its namespace, and the Service's.
    pub(crate) namespace: &'a str,
    /// The Service.
    pub(crate) service: &'a str,
    /// The Service's port: its name, or its number where it has none.
    pub(crate) port: Value,
    /// The host asked for; without one a Route gets its default.
    pub(crate) host: Option<&'a str>,
    /// Edge TLS that redirects plain HTTP.
    pub(crate) tls: bool,
    /// Labels and owner references.
    pub(crate) metadata: Value,
}

impl Exposure<'_> {
    /// The Route or Ingress to create, without its name.
    pub(crate) fn object(&self, openshift: bool, domain: &str) -> (Kind, Value) {
        if openshift { (Kind::Route, self.route()) } else { (Kind::Ingress, self.ingress(domain)) }
    }

    fn route(&self) -> Value {
        let mut spec = json!({
            "to": { "kind": "Service", "name": self.service, "weight": 100 },
            "port": { "targetPort": self.port },
            "wildcardPolicy": "None",
        });
        if self.tls {
            spec["tls"] = json!({ "termination": "edge", "insecureEdgeTerminationPolicy": "Redirect" });
        }
        if let Some(host) = self.host {
            spec["host"] = host.into();
        }
        json!({ "metadata": self.metadata, "spec": spec })
    }

    fn ingress(&self, domain: &str) -> Value {
        let default = default_host(self.name, self.namespace, domain);
        let host = self.host.unwrap_or(&default);
        let port =
            if self.port.is_number() { json!({ "number": self.port }) } else { json!({ "name": self.port }) };
        let backend = json!({ "service": { "name": self.service, "port": port } });
        let mut spec = json!({ "rules": [{
            "host": host,
            "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] },
        }] });
        if self.tls {
            spec["tls"] = json!([{ "hosts": [host] }]);
        }
        json!({ "metadata": self.metadata, "spec": spec })
    }

    /// Creates or updates it under the field manager `manager`.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(crate) async fn apply(
        &self,
        cluster: &Cluster,
        manager: &str,
        openshift: bool,
        domain: &str,
    ) -> Result<(), ClusterError> {
        let (kind, object) = self.object(openshift, domain);
        cluster.apply(manager, &ObjectKey::new(kind, self.namespace, self.name), object).await.map(drop)
    }
}
