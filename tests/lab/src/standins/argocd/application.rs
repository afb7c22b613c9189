//! The application controller: permission, source, sync, health, and deletion of what was deployed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::future::try_join_all;
use kube::api::{DynamicObject, PropagationPolicy};
use serde_json::{Value, json};

use super::{
    components::{Bundle, Target},
    health::{self, Health, HealthStatus},
    project,
    source::{Chart, Repositories},
    status::{Deployed, Report, SyncOutcome},
    template::RESOURCES_FINALIZER,
};
use crate::{
    platform::{Behaviour, StandIn, parking::Guarded},
    standins::{
        cluster::{Change, Cluster, ClusterError, ObjectKey},
        controller::{Next, Reconciler},
        kinds::Kind,
    },
};

const MANAGER: &str = "argocd-controller";

/// The label by which Argo CD knows what it deployed.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// How often an Application whose source cannot be read is tried again: the sync period that the
/// sandbox clusters set.
const REFRESH: Duration = Duration::from_secs(30);

/// Kinds that components are made of.
const MANAGED: [Kind; 6] =
    [Kind::MCPServer, Kind::Deployment, Kind::Job, Kind::Service, Kind::Route, Kind::Ingress];

/// What the controller remembers of an Application while it runs.
#[derive(Clone, Default)]
struct Memory {
    /// The source looked at last, and what was found.
    source: Option<(Value, Chart)>,
    /// The spec synced last, and how that went.
    synced: Option<(Value, SyncOutcome)>,
    /// Objects seen since they were created: only those can go missing.
    seen: HashSet<ObjectKey>,
}

/// Deploys Applications.
pub(super) struct Controller {
    pub(super) cluster: Cluster,
    pub(super) repositories: Repositories,
    pub(super) openshift: bool,
    pub(super) domain: String,
    memory: Guarded<HashMap<ObjectKey, Memory>>,
}

impl Reconciler for Controller {
    const STAND_IN: StandIn = StandIn::Argocd;
    const WATCHES: &'static [Kind] = &[
        Kind::Application,
        Kind::AppProject,
        Kind::MCPServer,
        Kind::Deployment,
        Kind::Job,
        Kind::Service,
        Kind::Route,
        Kind::Ingress,
        Kind::Secret,
        Kind::Namespace,
    ];

    fn affected(&self, change: &Change) -> Vec<ObjectKey> {
        let key = &change.key;
        let applications = || self.cluster.list(Kind::Application).into_iter();
        let keys = |found: Vec<Arc<DynamicObject>>| -> Vec<ObjectKey> {
            found.iter().map(|application| ObjectKey::of(Kind::Application, application)).collect()
        };
        match key.kind {
            Kind::Application => vec![key.clone()],
            Kind::AppProject => keys(
                applications()
                    .filter(|application| application.data["spec"]["project"] == key.name)
                    .collect(),
            ),
            Kind::Secret | Kind::Namespace => {
                let namespace = if key.kind == Kind::Namespace { &key.name } else { &key.namespace };
                let goes_there = |application: &Arc<DynamicObject>| {
                    application.data["spec"]["destination"]["namespace"] == *namespace
                };
                keys(applications().filter(goes_there).collect())
            }
            _ => {
                let Some(name) = instance(&change.object) else { return Vec::new() };
                keys(applications().filter(|known| known.metadata.name.as_deref() == Some(name)).collect())
            }
        }
    }

    async fn reconcile(&self, key: &ObjectKey, behaviour: Behaviour) -> anyhow::Result<Next> {
        let Some(application) = self.cluster.get(key) else {
            self.memory.with(|memory| memory.remove(key));
            return Ok(Next::Wait);
        };
        let report = Report { cluster: &self.cluster, key, application: &application };
        if application.metadata.deletion_timestamp.is_some() {
            match behaviour {
                Behaviour::Failing(_) => report.deletion_error("the controller was told to fail").await?,
                Behaviour::Wrong => self.release(key, &application).await?,
                _ => self.finalize(key, &application, &report).await?,
            }
            return Ok(Next::Wait);
        }
        match behaviour {
            Behaviour::Failing(_) => {
                report.error("ComparisonError", &["the controller was told to fail".to_owned()]).await?;
                Ok(Next::Wait)
            }
            Behaviour::Wrong => {
                report.deployed(&Deployed::lie()).await?;
                Ok(Next::Wait)
            }
            _ => self.deploy(key, &application, &report).await,
        }
    }
}

fn instance(object: &DynamicObject) -> Option<&str> {
    object.metadata.labels.as_ref()?.get(INSTANCE).map(String::as_str)
}

impl Controller {
    pub(super) fn new(cluster: Cluster, repositories: Repositories, openshift: bool, domain: String) -> Self {
        Self { cluster, repositories, openshift, domain, memory: Guarded::default() }
    }

    fn recall(&self, key: &ObjectKey) -> Memory {
        self.memory.with(|memory| memory.get(key).cloned().unwrap_or_default())
    }

    fn remember(&self, key: &ObjectKey, entry: Memory) {
        self.memory.with(|memory| memory.insert(key.clone(), entry));
    }

    async fn deploy(
        &self,
        key: &ObjectKey,
        application: &DynamicObject,
        report: &Report<'_>,
    ) -> anyhow::Result<Next> {
        let spec = &application.data["spec"];
        let project_name = spec["project"].as_str().unwrap_or("default");
        let Some(project) = self.cluster.find(Kind::AppProject, &key.namespace, project_name) else {
            let message = format!("Application referencing project {project_name} which does not exist");
            report.error("InvalidSpecError", &[message]).await?;
            return Ok(Next::Wait);
        };
        let violations = project::violations(project_name, &project.data["spec"], spec);
        if !violations.is_empty() {
            report.error("InvalidSpecError", &violations).await?;
            return Ok(Next::Wait);
        }
        let mut memory = self.recall(key);
        let refreshed = report.refresh_requested();
        let known = memory.source.clone().filter(|(source, _)| *source == spec["source"] && !refreshed);
        let chart = match known {
            Some((_, chart)) => chart,
            None => match self.repositories.find(&spec["source"]).await {
                Ok(chart) => chart,
                Err(message) => {
                    report.error("ComparisonError", &[message]).await?;
                    return Ok(Next::Again(REFRESH));
                }
            },
        };
        memory.source = Some((spec["source"].clone(), chart.clone()));
        let namespace = spec["destination"]["namespace"].as_str().unwrap_or_default();
        let target = Target {
            application: &key.name,
            namespace,
            openshift: self.openshift,
            domain: &self.domain,
            values: spec["source"]["helm"]["values"].as_str().unwrap_or_default(),
        };
        let bundle = target.bundle();
        let automated = spec["syncPolicy"]["automated"].is_object();
        let attempted = memory.synced.as_ref().is_some_and(|(synced, _)| synced == spec);
        if report.sync_requested() || automated && !attempted {
            let outcome = self.sync(&project, namespace, &chart, &bundle).await;
            if outcome == SyncOutcome::Succeeded {
                self.prune(&key.name, namespace, &bundle).await?;
            }
            memory.synced = Some((spec.clone(), outcome));
        }
        let outcome = memory.synced.as_ref().map(|(_, outcome)| outcome.clone());
        let deployed = self.compare(&bundle, namespace, &chart, outcome, &mut memory.seen);
        self.remember(key, memory);
        report.deployed(&deployed).await?;
        Ok(Next::Wait)
    }

    /// One sync operation. Failures are final for this spec, as there: the same revision with the same
    /// parameters is not tried again, unless someone asks for it.
    async fn sync(
        &self,
        project: &DynamicObject,
        namespace: &str,
        chart: &Chart,
        bundle: &Bundle,
    ) -> SyncOutcome {
        let name = project.metadata.name.as_deref().unwrap_or_default();
        for (group, kind) in cluster_scoped(chart) {
            if !project::permits_cluster_kind(&project.data["spec"], group, kind) {
                let message = format!("resource {group}:{kind} is not permitted in project {name}");
                return SyncOutcome::Failed(message);
            }
        }
        let objects = bundle.objects.iter();
        let writes = objects.map(|(target, object)| self.cluster.apply(MANAGER, target, object.clone()));
        match try_join_all(writes).await {
            Ok(_) => SyncOutcome::Succeeded,
            Err(error) => SyncOutcome::Failed(refusal(&error, namespace)),
        }
    }

    /// Takes away what the Application had before and has not now: Jobs alone change their names.
    async fn prune(&self, application: &str, namespace: &str, bundle: &Bundle) -> anyhow::Result<()> {
        let jobs = self.cluster.list_live(Kind::Job, namespace, &format!("{INSTANCE}={application}")).await?;
        let old = jobs.iter().filter(|(key, _)| bundle.objects.iter().all(|(wanted, _)| wanted != key));
        try_join_all(old.map(|(key, _)| self.cluster.delete(key, PropagationPolicy::Background))).await?;
        Ok(())
    }

    /// What is there against what should be.
    fn compare(
        &self,
        bundle: &Bundle,
        namespace: &str,
        chart: &Chart,
        outcome: Option<SyncOutcome>,
        seen: &mut HashSet<ObjectKey>,
    ) -> Deployed {
        let succeeded = outcome == Some(SyncOutcome::Succeeded);
        let parts: Vec<(ObjectKey, bool, Health)> = bundle
            .objects
            .iter()
            .map(|(target, _)| match self.cluster.get(target) {
                Some(object) => {
                    seen.insert(target.clone());
                    (target.clone(), true, health::of(target.kind, &object))
                }
                // Just created: the watch will show it in a moment.
                None if succeeded && !seen.contains(target) => {
                    (target.clone(), true, Health::new(HealthStatus::Progressing, "being created"))
                }
                None => (target.clone(), false, Health::new(HealthStatus::Missing, "")),
            })
            .collect();
        let lacking =
            bundle.secrets.iter().filter(|name| self.cluster.find(Kind::Secret, namespace, name).is_none());
        let lacking =
            lacking.map(|name| Health::new(HealthStatus::Progressing, format!("secret {name:?} not found")));
        let health = health::worst(parts.iter().map(|(_, _, health)| health.clone()).chain(lacking));
        let synced = succeeded && parts.iter().all(|(_, present, _)| *present);
        Deployed { revision: chart.revision.clone(), synced, health, parts, outcome }
    }

    /// Deletes what was deployed and releases the Application when it is gone. Without its project
    /// nothing is known to be permitted, so nothing is deleted and the Application stays.
    async fn finalize(
        &self,
        key: &ObjectKey,
        application: &DynamicObject,
        report: &Report<'_>,
    ) -> anyhow::Result<()> {
        if !application.metadata.finalizers.iter().flatten().any(|finalizer| is_ours(finalizer)) {
            return Ok(());
        }
        let spec = &application.data["spec"];
        let name = spec["project"].as_str().unwrap_or("default");
        let Some(project) = self.cluster.find(Kind::AppProject, &key.namespace, name) else {
            let message =
                format!("error getting project {name:?}: appprojects.argoproj.io {name:?} not found");
            return report.deletion_error(&message).await;
        };
        let namespace = spec["destination"]["namespace"].as_str().unwrap_or_default();
        if project::permits_destination(&project.data["spec"], namespace) {
            let selector = format!("{INSTANCE}={}", key.name);
            let kinds = MANAGED.into_iter().filter(|kind| kind.is_watched(self.openshift));
            // Asked of the API server, not of the cache: an object overlooked here would stay for ever.
            let lists = kinds.map(|kind| self.cluster.list_live(kind, namespace, &selector));
            let living: Vec<(ObjectKey, DynamicObject)> =
                try_join_all(lists).await?.into_iter().flatten().collect();
            let doomed = living.iter().filter(|(_, object)| object.metadata.deletion_timestamp.is_none());
            let deletions =
                doomed.map(|(target, _)| self.cluster.delete(target, PropagationPolicy::Foreground));
            try_join_all(deletions).await?;
            if !living.is_empty() {
                return Ok(());
            }
        }
        self.release(key, application).await
    }

    /// Lets the Application go.
    async fn release(&self, key: &ObjectKey, application: &DynamicObject) -> anyhow::Result<()> {
        let finalizers = application.metadata.finalizers.iter().flatten();
        let rest: Vec<_> = finalizers.filter(|finalizer| !is_ours(finalizer)).collect();
        match self.cluster.merge(key, json!({ "metadata": { "finalizers": rest } })).await {
            Err(error) if error.code() == Some(404) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// The finalizer comes in variants that say how to delete: `…/background`, `…/foreground`.
fn is_ours(finalizer: &str) -> bool {
    finalizer.starts_with(RESOURCES_FINALIZER)
}

/// Cluster-scoped kinds among the chart's templates, told by their file names: charts are not rendered.
fn cluster_scoped(chart: &Chart) -> Vec<(&'static str, &'static str)> {
    const KINDS: [(&str, &str, &str); 5] = [
        ("clusterrolebinding", "rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("clusterrole", "rbac.authorization.k8s.io", "ClusterRole"),
        ("namespace", "", "Namespace"),
        ("customresourcedefinition", "apiextensions.k8s.io", "CustomResourceDefinition"),
        ("securitycontextconstraints", "security.openshift.io", "SecurityContextConstraints"),
    ];
    let kind_of = |file: &String| {
        let file = file.to_lowercase();
        KINDS.iter().find(|(prefix, ..)| file.starts_with(prefix)).map(|(_, group, kind)| (*group, *kind))
    };
    chart.templates.iter().filter_map(kind_of).collect()
}

/// Why the API server refused, in words for the sync operation.
fn refusal(error: &ClusterError, namespace: &str) -> String {
    let said = error.message().unwrap_or("the API server did not answer");
    format!("one or more objects failed to apply in namespace {namespace}, reason: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_scoped_templates_are_told_by_their_names() {
        let chart = Chart {
            revision: String::new(),
            templates: ["mcpserver.yaml", "clusterrolebinding-clusterview.yaml", "rolebinding-edit.yaml"]
                .map(str::to_owned)
                .to_vec(),
        };
        assert_eq!(cluster_scoped(&chart), [("rbac.authorization.k8s.io", "ClusterRoleBinding")]);
    }
}
