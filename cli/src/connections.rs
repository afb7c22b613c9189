//! Connections that all tenants of a process share: to an API server, and to the services around it.

use std::sync::{Arc, Mutex, PoisonError};

use tenant_kit::{
    http::{ClientError, ClientSettings},
    meter::Meter,
    secret::Redactor,
};

use crate::{
    cluster::{Access, AccessError, Cluster, ClusterError},
    tenant::Web,
};

/// The connections so far. Orders mostly name the same cluster and the same services; those that do not get
/// connections of their own.
#[derive(Default)]
pub struct Connections {
    clusters: tokio::sync::Mutex<Vec<(Access, Cluster)>>,
    webs: Mutex<Vec<(ClientSettings, ClientSettings, Web)>>,
}

impl Connections {
    /// The connection to an API server, made when it is first asked for.
    ///
    /// # Errors
    ///
    /// As [`Cluster::connect`]. What failed is tried again by whoever asks next.
    pub async fn cluster(
        &self,
        access: &Access,
        meter: &Arc<Meter>,
    ) -> Result<Result<Cluster, ClusterError>, AccessError> {
        // held while connecting: the others wait for this connection instead of making their own
        let mut known = self.clusters.lock().await;
        if let Some((_, cluster)) = known.iter().find(|(one, _)| one.leads_where(access)) {
            return Ok(Ok(cluster.clone()));
        }
        let connected = Cluster::connect(access, Arc::clone(meter)).await?;
        if let Ok(cluster) = &connected {
            known.push((access.clone(), cluster.clone()));
        }
        Ok(connected)
    }

    /// The HTTP clients of these settings.
    ///
    /// # Errors
    ///
    /// As [`Web::new`].
    pub fn web(
        &self,
        routes: &ClientSettings,
        litellm: &ClientSettings,
        meter: &Arc<Meter>,
        redactor: &Arc<Redactor>,
    ) -> Result<Web, ClientError> {
        let mut known = self.webs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, web)) = known.iter().find(|(one, other, _)| one == routes && other == litellm) {
            return Ok(web.clone());
        }
        let web = Web::new(routes, litellm, Arc::clone(meter), Arc::clone(redactor))?;
        known.push((routes.clone(), litellm.clone(), web.clone()));
        Ok(web)
    }
}
