//! Stand-in for OpenShift's Route admission, and on a plain cluster for an ingress controller's status.
//!
//! Imitates: a Route that asks for no host gets `{name}-{namespace}.{domain}`; the oldest claim on a host
//! and path is admitted, younger ones are `HostAlreadyClaimed` until it goes; a host with a DNS label of
//! more than 63 characters is `InvalidHost` (the rule that bites long namespaces: provisioning reference
//! 1.4); `status.ingress` names the host, the router and the condition `Admitted`. An Ingress gets the
//! router's address as its load balancer.
//!
//! Does not imitate: assignment inside the create request (the host appears some milliseconds later),
//! wildcard routes, several routers, certificates, `router-default` metrics, host permission checks.
//!
//! Faults: *absent* leaves Routes untouched; *failing* reports `Admitted=False`, reason
//! `RouterUnavailable`; *wrong* admits another host than the Route asks for. Subject: namespace/name.

use std::{cmp::Ordering, sync::Arc};

use jiff::Timestamp;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    cluster::{Change, Cluster, ObjectKey},
    controller::{Next, Reconciler},
    exposure::default_host,
    kinds::Kind,
};
use crate::platform::{Behaviour, StandIn};

/// Admits Routes and Ingresses.
pub(crate) struct Admission {
    /// Where they are.
    pub(crate) cluster: Cluster,
    /// The ingress domain.
    pub(crate) domain: String,
}

impl Reconciler for Admission {
    const STAND_IN: StandIn = StandIn::Routes;
    const WATCHES: &'static [Kind] = &[Kind::Route, Kind::Ingress];

    /// Besides the changed Route, every other one with its host: a claim may have become free.
    fn affected(&self, change: &Change) -> Vec<ObjectKey> {
        let mut keys = vec![change.key.clone()];
        if let Some(host) = change.object.data["spec"]["host"].as_str() {
            let rivals = self.cluster.list(Kind::Route).into_iter();
            keys.extend(
                rivals
                    .filter(|rival| rival.data["spec"]["host"] == host)
                    .map(|rival| ObjectKey::of(Kind::Route, &rival)),
            );
            keys.dedup();
        }
        keys
    }

    async fn reconcile(&self, key: &ObjectKey, behaviour: Behaviour) -> anyhow::Result<Next> {
        let Some(object) = self.cluster.get(key) else { return Ok(Next::Wait) };
        if key.kind == Kind::Ingress {
            let status = json!({ "loadBalancer": { "ingress": [{ "ip": "127.0.0.1" }] } });
            if object.data["status"] != status {
                self.cluster.merge_status(key, status).await?;
            }
            return Ok(Next::Wait);
        }
        let asked = object.data["spec"]["host"].as_str().filter(|host| !host.is_empty());
        let host = asked.map_or_else(|| default_host(&key.name, &key.namespace, &self.domain), str::to_owned);
        let valid = check_host(&host);
        if asked.is_none() && valid.is_ok() {
            self.cluster.merge(key, json!({ "spec": { "host": host } })).await?;
            return Ok(Next::Wait);
        }
        let decision = match behaviour {
            Behaviour::Failing(_) => Err(Refusal::new("RouterUnavailable", "the router was told to fail")),
            _ => valid.and_then(|()| decide(&object, &self.cluster.list(Kind::Route))),
        };
        let status = ingress_status(&host, &self.domain, decision, behaviour == Behaviour::Wrong);
        if !same_admission(&object.data["status"], &status) {
            self.cluster.merge_status(key, status).await?;
        }
        Ok(Next::Wait)
    }
}

/// Why a Route is not admitted.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    reason: &'static str,
    message: String,
}

impl Refusal {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Whether `route` may have its host, given every Route there is.
fn decide(route: &DynamicObject, all: &[Arc<DynamicObject>]) -> Result<(), Refusal> {
    let host = route.data["spec"]["host"].as_str().unwrap_or_default();
    let claim = |route: &DynamicObject| {
        let path = route.data["spec"]["path"].as_str().unwrap_or_default();
        (route.data["spec"]["host"].as_str().unwrap_or_default().to_owned(), path.to_owned())
    };
    let rivals = all.iter().filter(|rival| rival.metadata.uid != route.metadata.uid);
    let elder = rivals.filter(|rival| claim(rival) == claim(route)).find(|rival| age(rival, route).is_lt());
    match elder {
        None => Ok(()),
        Some(elder) if elder.metadata.namespace == route.metadata.namespace => Err(Refusal::new(
            "HostAlreadyClaimed",
            format!(
                "route {} already exposes {host} and is older",
                elder.metadata.name.as_deref().unwrap_or("?")
            ),
        )),
        Some(_) => {
            Err(Refusal::new("HostAlreadyClaimed", format!("a route in another namespace holds {host}")))
        }
    }
}

/// Older first; of the same second, the one whose unique id sorts first.
fn age(left: &DynamicObject, right: &DynamicObject) -> Ordering {
    let rank = |route: &DynamicObject| {
        (route.metadata.creation_timestamp.as_ref().map(|time| time.0), route.metadata.uid.clone())
    };
    rank(left).cmp(&rank(right))
}

/// RFC 1123: labels of 1 to 63 lower-case letters, digits and inner hyphens, 253 characters in all.
fn check_host(host: &str) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    for label in host.split('.') {
        if label.len() > 63 {
            let message = format!("host label {label:?} must be no more than 63 characters");
            return Err(Refusal::new("InvalidHost", message));
        }
        if label.is_empty() || !label.bytes().all(plain) || label.starts_with('-') || label.ends_with('-') {
            return Err(Refusal::new("InvalidHost", format!("host {host:?} is not a DNS name")));
        }
    }
    if host.len() > 253 {
        return Err(Refusal::new("InvalidHost", "host must be no more than 253 characters"));
    }
    Ok(())
}

fn ingress_status(host: &str, domain: &str, decision: Result<(), Refusal>, wrong: bool) -> Value {
    let shown = if wrong { format!("elsewhere-{host}") } else { host.to_owned() };
    let mut condition = json!({ "type": "Admitted", "lastTransitionTime": seconds(Timestamp::now()) });
    match decision {
        Ok(()) => condition["status"] = "True".into(),
        Err(refusal) => {
            condition["status"] = "False".into();
            condition["reason"] = refusal.reason.into();
            condition["message"] = refusal.message.into();
        }
    }
    json!({ "ingress": [{
        "host": shown,
        "routerName": "default",
        "routerCanonicalHostname": format!("router-default.{domain}"),
        "wildcardPolicy": "None",
        "conditions": [condition],
    }] })
}

/// A time as Kubernetes writes it: RFC 3339 in whole seconds.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Whether two statuses say the same, however long ago.
fn same_admission(left: &Value, right: &Value) -> bool {
    let untimed = |status: &Value| {
        let mut status = status["ingress"].clone();
        if let Some(condition) = status.pointer_mut("/0/conditions/0").and_then(Value::as_object_mut) {
            condition.remove("lastTransitionTime");
        }
        status
    };
    untimed(left) == untimed(right)
}

/// The host under which a Route is admitted.
pub(crate) fn admitted_host(route: &DynamicObject) -> Option<&str> {
    let ingress = &route.data["status"]["ingress"][0];
    let conditions = ingress["conditions"].as_array()?;
    let admitted =
        conditions.iter().any(|condition| condition["type"] == "Admitted" && condition["status"] == "True");
    admitted.then(|| ingress["host"].as_str()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(namespace: &str, name: &str, host: &str, created: &str) -> Arc<DynamicObject> {
        let object = json!({
            "apiVersion": "route.openshift.io/v1", "kind": "Route",
            "metadata": { "namespace": namespace, "name": name, "uid": format!("{namespace}/{name}"),
                "creationTimestamp": created },
            "spec": { "host": host },
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn the_oldest_claim_wins_and_the_younger_one_follows_when_it_goes() {
        let old = route("b", "old", "x.apps.test", "2026-01-01T00:00:00Z");
        let young = route("a", "young", "x.apps.test", "2026-01-02T00:00:00Z");
        let all = [old.clone(), young.clone()];
        assert_eq!(decide(&old, &all), Ok(()));
        let refusal = decide(&young, &all).unwrap_err();
        assert_eq!(refusal.reason, "HostAlreadyClaimed");
        assert_eq!(decide(&young, std::slice::from_ref(&young)), Ok(()));
    }

    #[test]
    fn two_claims_of_the_same_second_have_exactly_one_winner() {
        let one = route("a", "one", "x.apps.test", "2026-01-01T00:00:00Z");
        let two = route("a", "two", "x.apps.test", "2026-01-01T00:00:00Z");
        let all = [one.clone(), two.clone()];
        let winners = all.iter().filter(|route| decide(route, &all).is_ok()).count();
        assert_eq!(winners, 1);
    }

    #[test]
    fn a_label_of_64_characters_is_refused_and_63_are_not() {
        for (length, admitted) in [(63, true), (64, false)] {
            let host = format!("{}.apps.test", "a".repeat(length));
            assert_eq!(check_host(&host).is_ok(), admitted, "{length} characters");
        }
        for host in ["", "UPPER.test", "a..b", "-a.test", "a_b.test"] {
            assert_eq!(check_host(host).unwrap_err().reason, "InvalidHost", "{host:?}");
        }
    }

    #[test]
    fn admission_is_read_back_from_the_status_written() {
        let mut claimed = (*route("a", "r", "x.apps.test", "2026-01-01T00:00:00Z")).clone();
        claimed.data["status"] = ingress_status("x.apps.test", "apps.test", Ok(()), false);
        assert_eq!(admitted_host(&claimed), Some("x.apps.test"));
        let refusal = Refusal::new("HostAlreadyClaimed", "taken");
        claimed.data["status"] = ingress_status("x.apps.test", "apps.test", Err(refusal), false);
        assert_eq!(admitted_host(&claimed), None);
    }
}
