//! Applications that go: all of a tenant's, or those of MCP servers that its order chooses no more.
//!
//! Argo CD takes away what it deployed as long as the namespace is there and the project admits it. So an application
//! goes before either, whichever step comes to it first.

use std::collections::BTreeSet;

use futures::future::{BoxFuture, FutureExt as _, try_join_all};
use tenant_workflow::{scope::Scope, step::StepError};

use crate::{
    cluster::{
        APPLICATION, APPLICATION_SET, Hindrance, Object, ObjectRef, Removal, Select, Verdict, remaining,
    },
    rights::{Right, Verb},
    tenant::Tenant,
};

/// What this does at the API server.
pub const RIGHTS: &[Right] = &[
    Right::on(APPLICATION_SET, &[Verb::List, Verb::Delete]),
    Right::on(APPLICATION, &[Verb::List, Verb::Watch]),
];

/// Takes all of the tenant's applications away; whether there were any.
///
/// # Errors
///
/// When the API server does not answer or refuses, or they do not go in time.
pub(super) async fn all(tenant: &Tenant, scope: &Scope) -> Result<bool, StepError> {
    let changed = remove(tenant, &BTreeSet::new()).await?;
    until_gone(tenant, scope, &BTreeSet::new()).await?;
    Ok(changed)
}

/// Takes the applications of servers away that the order does not choose; whether there were any.
///
/// # Errors
///
/// As [`all`].
pub(super) fn unchosen<'a>(tenant: &'a Tenant, scope: &'a Scope) -> BoxFuture<'a, Result<bool, StepError>> {
    async move {
        if !tenant.cluster.serves(&APPLICATION_SET) {
            return Ok(false);
        }
        let sets = tenant.names.application_sets().map(ToString::to_string).collect();
        let changed = remove(tenant, &sets).await?;
        let found = tenant.cluster.list(&APPLICATION, argo_cd(tenant), &tenant.selector()).await?;
        if strays(tenant, &found).next().is_some() {
            until_gone(tenant, scope, &wanted(tenant)).await?;
        }
        Ok(changed)
    }
    .boxed()
}

/// Those of the tenant's applications that are of no server the order chooses.
pub(super) fn strays<'a>(tenant: &Tenant, found: &'a [Object]) -> impl Iterator<Item = &'a str> {
    let wanted = wanted(tenant);
    let names = found.iter().filter_map(|object| object.metadata.name.as_deref());
    names.filter(move |name| !wanted.contains(*name))
}

fn wanted(tenant: &Tenant) -> BTreeSet<String> {
    tenant.names.applications().map(ToString::to_string).collect()
}

fn argo_cd(tenant: &Tenant) -> &str {
    tenant.names.argo_cd_namespace().as_str()
}

/// Deletes the tenant's ApplicationSets but those to `keep`.
async fn remove(tenant: &Tenant, keep: &BTreeSet<String>) -> Result<bool, StepError> {
    let sets = tenant.cluster.list(&APPLICATION_SET, argo_cd(tenant), &tenant.selector()).await?;
    let doomed = sets.iter().filter_map(|set| {
        let name = set.metadata.name.as_deref().filter(|name| !keep.contains(*name))?;
        Some((ObjectRef::new(APPLICATION_SET, argo_cd(tenant), name), set))
    });
    let removed = doomed.map(|(at, set)| async move { tenant.cluster.remove_found(&at, set).await });
    Ok(try_join_all(removed).await?.iter().any(Removal::changed))
}

async fn until_gone(tenant: &Tenant, scope: &Scope, keep: &BTreeSet<String>) -> Result<(), StepError> {
    let selector = tenant.selector();
    let (what, select) = ("the applications to be gone", Select::Labels(&selector));
    let argo_cd = argo_cd(tenant);
    tenant
        .cluster
        .until(scope, what, &APPLICATION, argo_cd, select, |found| {
            let left: Vec<_> = found.iter().filter(|(name, _)| !keep.contains(*name)).collect();
            match left.first() {
                None => Verdict::Done(()),
                Some((name, object)) => Verdict::Held(Hindrance::to_deletion(
                    &ObjectRef::new(APPLICATION, argo_cd, name.as_str()),
                    format!("{} left; {name}: {}", left.len(), deleting(object)),
                )),
            }
        })
        .await
}

/// Why an Application is still there.
fn deleting(object: &Object) -> String {
    let mut conditions = object.data["status"]["conditions"].as_array().into_iter().flatten();
    let error = conditions.find(|one| one["type"].as_str().is_some_and(|kind| kind.ends_with("Error")));
    let message = error.and_then(|error| error["message"].as_str()).map(str::to_owned);
    message.unwrap_or_else(|| remaining(object))
}
