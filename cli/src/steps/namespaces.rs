//! The tenant's namespaces, with quota, limits and the user's rights in them.
//!
//! A namespace that exists and is not ours (the Sandbox API's, labelled `created-by=sandbox-api`, or one the
//! order names) is adopted: the user gets rights in it, its quota and life stay its owner's.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::{BoxFuture, FutureExt as _, join_all, ready, try_join_all};
use serde_json::{Map, Value, json};
use tenant_workflow::{
    scope::Scope,
    step::{Failure, Outcome, RevertAfter, Seen, State, Step, StepError, StepId},
};

use crate::{
    cluster::{
        CLUSTER_QUOTA, Hindrance, LIMIT_RANGE, NAMESPACE, Object, ObjectRef, RESOURCE_QUOTA, ROLE_BINDING,
        Select, Verdict, remaining,
    },
    names::{GUID_LABEL, NamespaceName},
    order::{VarError, Vars},
    rights::{FOLLOW, KEEP, OWN, Right},
    steps::{Manifests, outlook::Outlook, withdrawal},
    tenant::Tenant,
};

/// What the step does at the API server.
pub const RIGHTS: &[Right] = &[
    Right::on(NAMESPACE, OWN),
    Right::on(NAMESPACE, FOLLOW),
    Right::on(ROLE_BINDING, OWN),
    Right::to_bind(&["admin"]),
    Right::on(LIMIT_RANGE, KEEP),
    Right::on(CLUSTER_QUOTA, OWN),
    Right::on(RESOURCE_QUOTA, KEEP).instead_of(CLUSTER_QUOTA),
];

const PREFIX: &str = "ocp4_workload_tenant_namespace_";

/// What an order says about namespaces.
#[derive(Debug, Clone)]
pub struct Settings {
    role: String,
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
    cluster_quota: bool,
    quota: Value,
    limit_range: Value,
}

impl Settings {
    /// Reads the order's variables (agnosticd-compat.md 3.3).
    ///
    /// # Errors
    ///
    /// When a variable has the wrong type.
    pub fn read(vars: &Vars) -> Result<Self, VarError> {
        let name = |suffix: &str| format!("{PREFIX}{suffix}");
        let metadata: Metadata = vars.map(&[&name("default_metadata")])?.unwrap_or_default();
        let quota = vars.map(&[&name("default_quota"), &name("quota")])?;
        let limits = vars.map(&[&name("default_limit_range"), &name("limit_range")])?;
        Ok(Self {
            role: vars.text(&[&name("role")])?.unwrap_or_else(|| "admin".to_owned()),
            labels: metadata.labels,
            annotations: metadata.annotations,
            cluster_quota: vars.flag(&[&name("use_cluster_quota")])?.unwrap_or(true),
            quota: quota.filter(filled).unwrap_or_else(default_quota),
            limit_range: limits.filter(filled).unwrap_or_else(default_limit_range),
        })
    }

    /// The `ClusterRole` the user gets in each namespace.
    pub fn role(&self) -> &str {
        &self.role
    }
}

#[derive(Debug, Default, serde::Deserialize)]
struct Metadata {
    #[serde(default)]
    labels: Map<String, Value>,
    #[serde(default)]
    annotations: Map<String, Value>,
}

fn filled(value: &Value) -> bool {
    value.as_object().is_some_and(|map| !map.is_empty())
}

fn default_quota() -> Value {
    json!({
        "limits.cpu": "4", "requests.cpu": "4", "limits.memory": "8Gi", "requests.memory": "8Gi",
        "requests.storage": "50Gi",
    })
}

fn default_limit_range() -> Value {
    json!({"default": {"cpu": "2", "memory": "4Gi"}, "defaultRequest": {"cpu": "250m", "memory": "128Mi"}})
}

/// The step.
pub struct Namespaces {
    tenant: Arc<Tenant>,
    settings: Settings,
}

/// Whose a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Nobody,
    Ours,
    Adopted,
}

impl Namespaces {
    /// The step for a tenant.
    pub fn new(tenant: Arc<Tenant>, settings: Settings) -> Self {
        Self { tenant, settings }
    }

    fn namespace(&self, name: &str) -> (ObjectRef, Value) {
        let mut labels = self.settings.labels.clone();
        labels.insert("tenant".to_owned(), json!(self.tenant.names.username().as_str()));
        let metadata = json!({"labels": labels, "annotations": self.settings.annotations});
        (ObjectRef::cluster(NAMESPACE, name), json!({"metadata": metadata}))
    }

    /// The quota over all of the tenant's namespaces, where the cluster has such a thing.
    fn cluster_quota(&self) -> Option<(ObjectRef, Value)> {
        let wanted = self.settings.cluster_quota && self.tenant.cluster.serves(&CLUSTER_QUOTA);
        let names = &self.tenant.names;
        wanted.then(|| {
            let selector = json!({"labels": {"matchLabels": {"tenant": names.username().as_str()}}});
            let spec = json!({"quota": {"hard": self.settings.quota}, "selector": selector});
            (ObjectRef::cluster(CLUSTER_QUOTA, names.cluster_quota()), json!({"spec": spec}))
        })
    }

    /// What belongs into a namespace; an adopted one only gets the user's rights.
    fn content(&self, namespace: &str, owner: Owner) -> Vec<(ObjectRef, Value)> {
        let Settings { role, quota, limit_range, .. } = &self.settings;
        let user = self.tenant.names.username().as_str();
        let binding = json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        let mut all =
            vec![(ObjectRef::new(ROLE_BINDING, namespace, self.tenant.names.role_binding(role)), binding)];
        if owner == Owner::Adopted {
            return all;
        }
        let mut limits = limit_range.clone();
        limits["type"] = json!("Container");
        all.push((
            ObjectRef::new(LIMIT_RANGE, namespace, "tenant-limit-range"),
            json!({"spec": {"limits": [limits]}}),
        ));
        if !(self.settings.cluster_quota && self.tenant.cluster.serves(&CLUSTER_QUOTA)) {
            let quota = json!({"spec": {"hard": quota}});
            all.push((ObjectRef::new(RESOURCE_QUOTA, namespace, "tenant-quota"), quota));
        }
        all
    }

    /// Whose each namespace is, and what it is like now.
    async fn owners(&self) -> Result<BTreeMap<String, (Owner, Option<Object>)>, StepError> {
        let names = &self.tenant.names;
        try_join_all(names.namespaces().map(|(_, namespace)| async move {
            let at = ObjectRef::cluster(NAMESPACE, namespace.as_str());
            let found = self.tenant.cluster.get(&at).await?;
            Ok((namespace.to_string(), (self.owner(&at, found.as_ref())?, found)))
        }))
        .await
        .map(|all| all.into_iter().collect())
    }

    fn owner(&self, at: &ObjectRef, found: Option<&Object>) -> Result<Owner, StepError> {
        let Some(object) = found else { return Ok(Owner::Nobody) };
        let guid = self.tenant.names.guid().as_str();
        let label = |key: &str| object.metadata.labels.as_ref().and_then(|labels| labels.get(key));
        match label(GUID_LABEL) {
            Some(other) if other != guid => Err(StepError::new(Failure::Usage, format!("use {at}"))
                .because(format!("it belongs to the tenant of guid {other}"))
                .hint("choose another namespace or guid in the order")),
            Some(_) if object.metadata.deletion_timestamp.is_some() => {
                Err(StepError::new(Failure::Busy, format!("create {at}"))
                    .because("one of that name is still being deleted")
                    .hint("run again when it is gone"))
            }
            Some(_) => Ok(Owner::Ours),
            None => Ok(Owner::Adopted),
        }
    }
}

impl Manifests for Namespaces {
    fn manifests(&self) -> BoxFuture<'_, Result<Vec<(ObjectRef, Value)>, StepError>> {
        let mut objects: Vec<_> = self.cluster_quota().into_iter().collect();
        for (_, namespace) in self.tenant.names.namespaces() {
            objects.push(self.namespace(namespace.as_str()));
            objects.extend(self.content(namespace.as_str(), Owner::Ours));
        }
        ready(Ok(objects)).boxed()
    }
}

impl Step for Namespaces {
    fn id(&self) -> StepId {
        "namespaces"
    }

    fn title(&self) -> &'static str {
        "namespaces with quota, limits and rights"
    }

    fn revert_after(&self) -> RevertAfter {
        // what holds finalizers or is run by operators goes first; the rest may go with the namespace
        RevertAfter::Only(&["application-sets", "gitea-instance", "gitea-user", "showroom"])
    }

    fn probe<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let owners = self.owners().await?;
            if owners.values().all(|(owner, _)| *owner == Owner::Nobody) {
                return Ok(Seen::new(State::Absent, []));
            }
            // an adopted namespace is as its owner wants it: nothing in it is drift
            let own = owners.iter().filter(|(_, (owner, _))| *owner != Owner::Adopted);
            let objects: Vec<_> = own
                .flat_map(|(name, (owner, _))| {
                    std::iter::once(self.namespace(name)).chain(self.content(name, *owner))
                })
                .collect();
            let listed = owners.iter().map(|(name, (owner, _))| match owner {
                Owner::Adopted => format!("{name} (adopted)"),
                Owner::Ours | Owner::Nobody => name.clone(),
            });
            let mut compared = if objects.is_empty() {
                Some(Vec::new())
            } else {
                self.tenant.compare_all(objects.into_iter().chain(self.cluster_quota()).collect()).await?
            };
            if let Some(lines) = &mut compared {
                let left = self.unchosen().await?;
                lines
                    .extend(left.iter().map(|(at, _)| format!("{at} is of no MCP server the order chooses")));
            }
            Ok(super::seen(compared, || listed.collect()))
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let names = &self.tenant.names;
            let ours = self.tenant.cluster.list(&NAMESPACE, "", &self.tenant.selector()).await?;
            let mut outlook = Outlook::default();
            for namespace in &ours {
                let name = namespace.metadata.name.clone().unwrap_or_default();
                outlook.object(&ObjectRef::cluster(NAMESPACE, name), namespace);
            }
            // adopted ones stay, without the user's rights in them
            let mut others = vec![ObjectRef::cluster(CLUSTER_QUOTA, names.cluster_quota())];
            others.extend(self.in_others(&ours));
            let adopted = names.namespaces().map(|(_, name)| ObjectRef::cluster(NAMESPACE, name.as_str()));
            others.extend(
                adopted.filter(|at| !ours.iter().any(|one| one.metadata.name.as_ref() == Some(&at.name))),
            );
            outlook.extend(Outlook::on(&self.tenant, others).await?);
            Ok(outlook.seen())
        }
        .boxed()
    }

    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let owners = self.owners().await?;
            let adopted: Vec<&str> = owners
                .iter()
                .filter_map(|(name, (owner, _))| (*owner == Owner::Adopted).then_some(name.as_str()))
                .collect();
            if !adopted.is_empty() {
                scope.note(format!("adopted, quota and life left to their owner: {}", adopted.join(", ")));
            }
            let withdrawn = self.withdraw(scope).await?;
            let own = owners.iter().filter(|(_, (owner, _))| *owner != Owner::Adopted);
            let applied = try_join_all(own.map(|(name, (_, found))| async move {
                let (at, namespace) = self.namespace(name);
                self.tenant.apply_over(&at, namespace, found.clone()).await
            }));
            let mut changed = applied.await?.iter().any(|applied| applied.changed);
            let content = owners.iter().flat_map(|(name, (owner, _))| self.content(name, *owner));
            changed |= self.tenant.apply_all(content.chain(self.cluster_quota()).collect()).await?;
            let gone = if withdrawn > 0 { format!(", {withdrawn} withdrawn") } else { String::new() };
            Ok(super::outcome(changed || withdrawn > 0, format!("{} namespaces{gone}", owners.len())))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let names = &self.tenant.names;
            let mut objects = vec![ObjectRef::cluster(CLUSTER_QUOTA, names.cluster_quota())];
            objects.retain(|at| self.tenant.cluster.serves(&at.kind));
            // by label, so that namespaces of an earlier convention or order go too
            let selector = self.tenant.selector();
            let ours = self.tenant.cluster.list(&NAMESPACE, "", &selector).await?;
            let listed = join_all(ours.iter().map(|namespace| async move {
                let name = namespace.metadata.name.clone().unwrap_or_default();
                self.tenant.cluster.remove_found(&ObjectRef::cluster(NAMESPACE, name), namespace).await
            }));
            objects.extend(self.in_others(&ours));
            let (rest, listed) = futures::join!(self.tenant.remove_all(objects), listed);
            let mut changed = rest?;
            for removal in listed {
                changed |= removal?.changed();
            }
            if !ours.is_empty() {
                self.until_gone(scope, &selector).await?;
            }
            Ok(super::reverted(changed, format!("{} namespaces gone", ours.len())))
        }
        .boxed()
    }
}

impl Namespaces {
    /// What is ours in the tenant's namespaces that are not among `ours`.
    fn in_others(&self, ours: &[Object]) -> Vec<ObjectRef> {
        let other = |name: &str| !ours.iter().any(|one| one.metadata.name.as_deref() == Some(name));
        let others = self.tenant.names.namespaces().map(|(_, name)| name.as_str()).filter(|name| other(name));
        others.flat_map(|name| self.content(name, Owner::Adopted)).map(|(at, _)| at).collect()
    }

    /// The tenant's own namespaces of MCP servers that the order does not choose.
    async fn unchosen(&self) -> Result<Vec<(ObjectRef, Object)>, StepError> {
        let unchosen: Vec<&str> = self.tenant.names.unchosen().map(NamespaceName::as_str).collect();
        if unchosen.is_empty() {
            return Ok(Vec::new());
        }
        let ours = self.tenant.cluster.list(&NAMESPACE, "", &self.tenant.selector()).await?;
        let doomed = ours.into_iter().filter_map(|object| {
            let name = object.metadata.name.clone().filter(|name| unchosen.contains(&name.as_str()))?;
            Some((ObjectRef::cluster(NAMESPACE, name), object))
        });
        Ok(doomed.collect())
    }

    /// Removes the namespaces of MCP servers that the order does not choose, after what runs in them; how many.
    async fn withdraw(&self, scope: &Scope) -> Result<usize, StepError> {
        let doomed = self.unchosen().await?;
        if doomed.is_empty() {
            return Ok(0);
        }
        withdrawal::unchosen(&self.tenant, scope).await?;
        let cluster = &self.tenant.cluster;
        let removed = doomed.iter().map(|(at, object)| async move { cluster.remove_found(at, object).await });
        try_join_all(removed).await?;
        let selector = self.tenant.selector();
        let gone = doomed.iter().map(|(at, object)| {
            let uid = object.metadata.uid.as_deref().unwrap_or_default();
            cluster.until_gone(scope, at, &selector, uid)
        });
        try_join_all(gone).await?;
        Ok(doomed.len())
    }

    async fn until_gone(&self, scope: &Scope, selector: &str) -> Result<(), StepError> {
        let what = "the namespaces to be gone";
        let select = Select::Labels(selector);
        self.tenant
            .cluster
            .until(scope, what, &NAMESPACE, "", select, |left| match left.first_key_value() {
                None => Verdict::Done(()),
                Some((name, object)) => Verdict::Held(Hindrance::to_deletion(
                    &ObjectRef::cluster(NAMESPACE, name),
                    format!("{} left; {name}: {}", left.len(), remaining(object)),
                )),
            })
            .await
    }
}
