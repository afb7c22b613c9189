//! Waiting until what Argo CD deploys serves.

use std::time::Duration;

use futures::future::{join_all, try_join, try_join_all};
use tenant_workflow::{scope::Scope, step::StepError};
use tokio::sync::watch;

use super::{
    ApplicationSets, MCP_SERVER_VERSIONS,
    handshake::{self, Handshakes},
    judgement::{Wanted, is_degraded, judge_applications, judge_sets, resync, revival},
};
use crate::{
    cluster::{APPLICATION, APPLICATION_SET, Found, MCP_SERVER, Object, ObjectRef, Select, Verdict},
    names::{Component, McpServer},
    services::web,
    steps::withdrawal,
};

/// Pause between looks at a page, which cannot be watched.
const PAGE_PAUSE: Duration = Duration::from_millis(500);

impl ApplicationSets {
    /// Has Argo CD take up the Applications again that it has given up on (by itself it does so minutes after what was
    /// wrong has been put right, or never), and takes away those the order does not choose; whether there were any.
    pub(super) async fn tidy(&self, scope: &Scope) -> Result<bool, StepError> {
        let cluster = &self.tenant.cluster;
        let found = cluster.list(&APPLICATION, self.argo_cd(), &self.tenant.selector()).await?;
        let changes = found.iter().filter_map(|object| Some((object.metadata.name.as_deref()?, object))).map(
            |(name, object)| async move {
                let mut change = revival(self.argo_cd(), name, object);
                if is_degraded(object)
                    && let Some(server) = self.server_of(name)
                    && handshake::forget_failed(&self.tenant, server).await?
                {
                    change = Some(resync(object));
                }
                let Some(change) = change else { return Ok(()) };
                let at = ObjectRef::new(APPLICATION, self.argo_cd(), name);
                cluster.apply_as(&at, "tenant-refresh", change).await?;
                Ok::<_, StepError>(())
            },
        );
        try_join_all(changes).await?;
        if withdrawal::strays(&self.tenant, &found).next().is_none() {
            return Ok(false);
        }
        withdrawal::unchosen(&self.tenant, scope).await
    }

    /// The MCP server an Application is of.
    fn server_of(&self, application: &str) -> Option<McpServer> {
        let names = &self.tenant.names;
        let is_its =
            |server: &McpServer| format!("{}-{}", server.component(), names.username()) == application;
        names.mcp_servers().iter().copied().find(is_its)
    }

    /// Waits until all Applications are synced and healthy as they are `wanted`, and every MCP server has answered a
    /// handshake; fails as soon as one never will.
    pub(super) async fn until_deployed(&self, scope: &Scope, wanted: &[Wanted]) -> Result<(), StepError> {
        let (known, handshakes) = watch::channel(Handshakes::new());
        let servers = self
            .tenant
            .names
            .mcp_servers()
            .iter()
            .map(|server| handshake::until_shaken(&self.tenant, scope, *server, handshakes.clone()));
        try_join(self.until_healthy(scope, wanted, known), try_join_all(servers)).await?;
        Ok(())
    }

    async fn until_healthy(
        &self,
        scope: &Scope,
        wanted: &[Wanted],
        known: watch::Sender<Handshakes>,
    ) -> Result<(), StepError> {
        let (cluster, selector) = (&self.tenant.cluster, self.tenant.selector());
        let select = Select::Labels(&selector);
        let applications =
            cluster.until(scope, "the applications", &APPLICATION, self.argo_cd(), select, |found| {
                let verdict = judge_applications(self.argo_cd(), wanted, found);
                // whoever waits for a handshake learns here which Job makes it
                known.send_if_modified(|known| handshake::learn(known, wanted, found));
                verdict
            });
        let sets = cluster.until::<()>(
            scope,
            "the ApplicationSets",
            &APPLICATION_SET,
            self.argo_cd(),
            select,
            |found| judge_sets(self.argo_cd(), found),
        );
        tokio::select! {
            // both may take as long as the other: what the applications lack is what counts then
            biased;
            healthy = applications => healthy,
            Err(error) = sets => Err(error),
        }?;
        scope.ready("the ApplicationSets");
        Ok(())
    }

    /// Waits until ToolHive runs every server that its chart leaves to ToolHive, once the applications are synced. Argo CD
    /// does not know what makes an `MCPServer` healthy.
    pub(super) async fn until_running(&self, scope: &Scope) -> Result<(), StepError> {
        let Some(version) = self.tenant.version(&MCP_SERVER, &MCP_SERVER_VERSIONS) else { return Ok(()) };
        let names = &self.tenant.names;
        let waits = names.mcp_servers().iter().map(|server| async move {
            let namespace = names.namespace(server.component()).as_str();
            let at = ObjectRef::new(MCP_SERVER.at(version), namespace, server.name());
            let (what, select) = (at.to_string(), Select::Name(server.name()));
            let judge = |found: &Found| match found.get(server.name()).and_then(|one| unready(one)) {
                None => Verdict::Done(()),
                Some(seen) => Verdict::NotYet(seen),
            };
            self.tenant.cluster.until(scope, &what, &at.kind, namespace, select, judge).await
        });
        try_join_all(waits).await?;
        Ok(())
    }

    /// The servers that ToolHive does not run just now, a line for each.
    pub(super) async fn unready_servers(&self) -> Result<Vec<String>, StepError> {
        let Some(version) = self.tenant.version(&MCP_SERVER, &MCP_SERVER_VERSIONS) else {
            return Ok(Vec::new());
        };
        let names = &self.tenant.names;
        let looks = names.mcp_servers().iter().map(|server| async move {
            let namespace = names.namespace(server.component()).as_str();
            let at = ObjectRef::new(MCP_SERVER.at(version), namespace, server.name());
            // a chart may run its server without ToolHive although there is one
            let Some(object) = self.tenant.cluster.get(&at).await? else { return Ok(None) };
            Ok::<_, StepError>(unready(&object).map(|seen| format!("{at}: {seen}")))
        });
        Ok(try_join_all(looks).await?.into_iter().flatten().collect())
    }

    /// Waits until LibreChat answers as it does to strangers: 401 (provisioning.md 2.5 #7).
    pub(super) async fn until_answering(&self, scope: &Scope) -> Result<(), StepError> {
        let base = format!("https://{}", self.tenant.names.host(Component::Librechat, &self.tenant.domain));
        let service = self.tenant.web.routed("LibreChat", &base);
        let what = format!("{base}/api/user");
        loop {
            match web::status(&service, "/api/user").await {
                Ok(401) => break,
                Ok(status) => scope.waiting(&what, &format!("it answers {status}")),
                Err(error) => scope.waiting(&what, &error.trouble.to_string()),
            }
            rest().await;
        }
        scope.ready(&what);
        Ok(())
    }

    /// What keeps the workloads from running, in their own words, a line for each namespace where something does.
    /// That they cannot be looked at is no failure of a look.
    pub(super) async fn hindrances(&self) -> Vec<String> {
        let looks = self.deployed().into_iter().map(|namespace| async move {
            let hindrance = self.tenant.cluster.hindrance(namespace).await.ok()??;
            Some(format!("{}; {}", hindrance.seen, hindrance.remedy))
        });
        join_all(looks).await.into_iter().flatten().collect()
    }
}

/// What ToolHive says of a server it does not run yet; `None` of one that runs.
fn unready(server: &Object) -> Option<String> {
    let status = &server.data["status"];
    match status["phase"].as_str() {
        // v1beta1 says Ready, v1alpha1 says Running
        Some("Running" | "Ready") => None,
        Some(phase) => {
            let message = status["message"].as_str().unwrap_or_default();
            Some(format!("phase {phase} {message}").trim_end().to_owned())
        }
        None => Some("ToolHive has not taken it up yet".to_owned()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a page cannot be watched, only looked at again")]
async fn rest() {
    tokio::time::sleep(PAGE_PAUSE).await;
}
