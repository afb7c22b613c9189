//! One writer per tenant: a Lease next to the record serialises provision and destroy of one guid.
//!
//! A holder renews it; one that was killed is taken over when its time has passed, or at once from the same
//! machine. Losing the Lease (somebody
//! deleted it, or took it over while we could not renew) stops the run at its next safe point: two writers at
//! once are worse than one that has to be called again.

mod process;

use std::time::Duration;

use futures::future::{Either, select};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tenant_workflow::step::{Failure, StepError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, ClusterError, LEASE, NAMESPACE, Object, ObjectRef},
    names::{GUID_LABEL, MANAGED_BY_LABEL, MANAGER},
    record::SYSTEM_NAMESPACE,
    report::printer::Printer,
};

/// How long a Lease lives without being renewed.
const LIFE: Duration = Duration::from_secs(15);
/// How often it is renewed; three attempts fit into its life.
const RENEWAL: Duration = Duration::from_secs(5);
/// Annotation that tells a killed holder on the same machine from one that works.
const PROCESS: &str = "tenant.rhpds.io/process";
/// How far the clocks of two holders may be apart.
const SKEW: Duration = Duration::from_secs(5);
/// Pause between looks at a Lease somebody else holds.
const LOOK: Duration = Duration::from_millis(500);

/// A Lease that is held. Release it when the work is done; dropped without, it is left to expire.
pub struct Lease {
    cluster: Cluster,
    at: ObjectRef,
    uid: String,
    renewal: JoinHandle<()>,
}

/// Who holds a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The tenant.
    pub guid: String,
    /// What it does, and where.
    pub name: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// Who holds a Lease; nobody if it is over, or its holder is known to be gone.
pub fn holder(lease: &Object, now: Timestamp) -> Option<Holder> {
    if expired(lease, now) {
        return None;
    }
    let spec = &lease.data["spec"];
    Some(Holder {
        guid: lease.metadata.labels.as_ref()?.get(GUID_LABEL)?.clone(),
        name: spec["holderIdentity"].as_str()?.to_owned(),
        since: spec["acquireTime"].as_str().and_then(|time| time.parse().ok()),
    })
}

/// Who wants a Lease, and what for.
pub struct Request<'a> {
    /// The tenant.
    pub guid: &'a str,
    /// `provision`, `destroy` or `extend`.
    pub verb: &'a str,
    /// How long to wait for somebody else to finish.
    pub patience: Duration,
    /// Whether to make the system namespace when it is missing. A destroy leaves that be: where it is missing
    /// there was never a tenant, and nobody to wait for.
    pub found_namespace: bool,
}

impl Lease {
    /// Takes the Lease of a tenant, waiting for whoever holds it. `lost` is cancelled when it is taken away.
    /// `None` where there is no place for Leases and none is to be made.
    ///
    /// # Errors
    ///
    /// [`Failure::Busy`], naming the holder, when patience runs out; whatever the API server refuses.
    pub async fn take(
        cluster: &Cluster,
        request: &Request<'_>,
        printer: &Printer,
        lost: CancellationToken,
    ) -> Result<Option<Self>, StepError> {
        let at = ObjectRef::new(LEASE, SYSTEM_NAMESPACE, format!("tenant-{}", request.guid));
        let me = identity(request.verb);
        let started = tokio::time::Instant::now();
        let mut told = false;
        loop {
            let body = body(request.guid, &me, Timestamp::now());
            match create(cluster, &at, body.clone(), request.found_namespace).await {
                Ok(Some(object)) => {
                    return Ok(Some(Self::held(cluster, at, &object, request.guid, me, lost)));
                }
                Ok(None) => {}
                Err(error) if error.is_not_found() && !request.found_namespace => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            let Some(found) = cluster.get(&at).await? else { continue };
            if expired(&found, Timestamp::now()) {
                if let Some(object) = cluster.replace(&at, body, &found).await? {
                    printer.status(&format!("took over from {}, which is gone", told_of(&found)));
                    return Ok(Some(Self::held(cluster, at, &object, request.guid, me, lost)));
                }
                continue;
            }
            if started.elapsed() >= request.patience {
                return Err(busy(request, &found));
            }
            if !told {
                printer.status(&format!("waiting for {}", told_of(&found)));
                told = true;
            }
            let pause = std::pin::pin!(rest(LOOK));
            if let Either::Right(_) = select(pause, std::pin::pin!(lost.cancelled())).await {
                return Err(StepError::new(Failure::Interrupted, format!("wait for {}", told_of(&found))));
            }
        }
    }

    fn held(
        cluster: &Cluster,
        at: ObjectRef,
        object: &Object,
        guid: &str,
        me: String,
        lost: CancellationToken,
    ) -> Self {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let keeper = Keeper {
            cluster: cluster.clone(),
            at: at.clone(),
            uid: uid.clone(),
            guid: guid.to_owned(),
            holder: me,
        };
        Self { cluster: cluster.clone(), at, uid, renewal: tokio::spawn(keeper.renew(lost)) }
    }

    /// Gives the Lease back.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses; the Lease then expires by itself.
    pub async fn release(self) -> Result<(), ClusterError> {
        self.renewal.abort();
        match self.cluster.get(&self.at).await? {
            Some(object) if object.metadata.uid.as_deref() == Some(&self.uid) => {
                self.cluster.remove_found(&self.at, &object).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Keeps a Lease alive while its holder works.
struct Keeper {
    cluster: Cluster,
    at: ObjectRef,
    uid: String,
    guid: String,
    holder: String,
}

impl Keeper {
    async fn renew(self, lost: CancellationToken) {
        let mut renewed = tokio::time::Instant::now();
        loop {
            rest(RENEWAL).await;
            match self.once().await {
                Ok(true) => renewed = tokio::time::Instant::now(),
                // an API server that does not answer may be back before the Lease is over
                Err(_) if renewed.elapsed() < LIFE => {}
                Ok(false) | Err(_) => {
                    lost.cancel();
                    return;
                }
            }
        }
    }

    /// Renews once; `false` when the Lease is no longer ours.
    async fn once(&self) -> Result<bool, ClusterError> {
        let Some(found) = self.cluster.get(&self.at).await? else { return Ok(false) };
        let ours = found.metadata.uid.as_deref() == Some(&self.uid)
            && found.data["spec"]["holderIdentity"] == self.holder;
        if !ours {
            return Ok(false);
        }
        let acquired = found.data["spec"]["acquireTime"].clone();
        let mut body = body(&self.guid, &self.holder, Timestamp::now());
        body["spec"]["acquireTime"] = acquired;
        Ok(self.cluster.replace(&self.at, body, &found).await?.is_some())
    }
}

async fn create(
    cluster: &Cluster,
    at: &ObjectRef,
    body: Value,
    found_namespace: bool,
) -> Result<Option<Object>, ClusterError> {
    match cluster.create(at, body.clone()).await {
        Err(error) if error.is_not_found() && found_namespace => {
            let namespace = ObjectRef::cluster(NAMESPACE, SYSTEM_NAMESPACE);
            let labels = json!({"metadata": {"labels": {MANAGED_BY_LABEL: MANAGER}}});
            cluster.apply(&namespace, labels).await?;
            cluster.create(at, body).await
        }
        other => other,
    }
}

fn body(guid: &str, holder: &str, now: Timestamp) -> Value {
    let now = now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    json!({
        "metadata": {
            "labels": {MANAGED_BY_LABEL: MANAGER, GUID_LABEL: guid},
            "annotations": {PROCESS: process::mark().unwrap_or_default()},
        },
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": LIFE.as_secs(),
            "acquireTime": now,
            "renewTime": now,
        },
    })
}

/// `provision on host, process 123`.
fn identity(verb: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "an unknown host" } else { host.trim() };
    format!("{verb} on {host}, process {}", std::process::id())
}

/// Whether a Lease's holder had its time and more. One that cannot be read counts as held.
fn expired(lease: &Object, now: Timestamp) -> bool {
    let spec = &lease.data["spec"];
    if spec["holderIdentity"].as_str().is_none_or(str::is_empty) {
        return true;
    }
    let mark = lease.metadata.annotations.as_ref().and_then(|all| all.get(PROCESS));
    if mark.is_some_and(|mark| process::is_gone(mark)) {
        return true;
    }
    let renewed = spec["renewTime"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let life = spec["leaseDurationSeconds"].as_u64().map_or(LIFE, Duration::from_secs);
    renewed.is_some_and(|renewed| {
        now.duration_since(renewed) > SignedDuration::try_from(life + SKEW).unwrap_or(SignedDuration::MAX)
    })
}

fn told_of(lease: &Object) -> String {
    let spec = &lease.data["spec"];
    let (holder, since) = (spec["holderIdentity"].as_str(), spec["acquireTime"].as_str());
    format!("{} (since {})", holder.unwrap_or("somebody"), since.unwrap_or("an unknown time"))
}

fn busy(request: &Request<'_>, lease: &Object) -> StepError {
    let Request { guid, verb, patience, .. } = request;
    StepError::new(Failure::Busy, format!("{verb} tenant {guid}"))
        .because(format!("it is held by {}", told_of(lease)))
        .hint(format!(
            "waited {} s; run again later, or with a longer --lock-timeout. A holder that was killed is taken \
             over {} s after its last sign of life",
            patience.as_secs(),
            (LIFE + SKEW).as_secs()
        ))
}

#[expect(
    clippy::disallowed_methods,
    reason = "renewal is about time itself; a look may come late, not never"
)]
async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(renewed: &str, holder: &str) -> Object {
        let spec = json!({"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15});
        serde_json::from_value(json!({"metadata": {"name": "tenant-x1"}, "spec": spec})).unwrap()
    }

    #[test]
    fn a_holder_has_its_time_and_the_clocks_difference() {
        let now: Timestamp = "2026-11-21T09:00:20Z".parse().unwrap();
        assert!(!expired(&lease("2026-11-21T09:00:01.000000Z", "a"), now));
        assert!(expired(&lease("2026-11-21T08:59:59.000000Z", "a"), now));
        assert!(!expired(&lease("2026-11-21T09:10:00.000000Z", "a"), now), "a clock that is ahead");
        assert!(!expired(&lease("soon", "a"), now), "what cannot be read is not taken away");
        assert!(expired(&lease("2026-11-21T09:00:19.000000Z", ""), now), "given back");
    }
}
