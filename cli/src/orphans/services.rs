//! Orphans beside the cluster: virtual keys, logins.

use tenant_workflow::step::StepError;

use super::{Grounds, Looked, Orphan, Recorded, Removal};
use crate::{
    cluster::{GITEA, ObjectRef},
    names::{Component, Named},
    services::{gitea::Gitea, litellm::LiteLlm},
    steps::gitea_instance::admin_access,
};

/// Virtual keys, by alias. The proxy may serve other clusters, too, whose tenants have no record here.
pub(super) async fn keys(grounds: &Grounds, recorded: &Recorded) -> Result<Looked, StepError> {
    let settings = &grounds.settings.litellm_key;
    let Some((url, key)) = settings.proxy() else {
        let missing = settings.missing().unwrap_or_default();
        return Ok(Looked::Unseen(format!("keys at LiteLLM: `{missing}` is not set")));
    };
    let aliases = LiteLlm::new(grounds.web.litellm(url), key.clone()).aliases().await?;
    let orphan = |alias: String| {
        let guid = Named::Key.guid(&alias)?.to_string();
        let what = format!("key {alias} at LiteLLM");
        (!recorded.has(&guid)).then_some(Orphan { guid, what, removal: Removal::DestroyIfOurs })
    };
    Ok(Looked::Found(aliases.into_iter().filter_map(orphan).collect()))
}

/// Users of the realm.
pub(super) async fn users(grounds: &Grounds, recorded: &Recorded) -> Result<Looked, StepError> {
    let settings = &grounds.settings.keycloak_user;
    if grounds.domain.is_empty() {
        return Ok(Looked::Unseen(
            "users in Keycloak: the domain of the cluster's hosts is not known (openshift_cluster_ingress_domain)"
                .to_owned(),
        ));
    }
    let Some(realm) = settings.realm(&grounds.cluster, &grounds.web, &grounds.domain).await? else {
        return Ok(Looked::Nothing);
    };
    Ok(Looked::Found(logins(realm.users("user-").await?, recorded, "Keycloak")))
}

/// Users of a Gitea that tenants share, where the variables name one.
pub(super) async fn gitea_users(grounds: &Grounds, recorded: &Recorded) -> Result<Looked, StepError> {
    let names = &grounds.settings.names;
    if !names.gitea_shared() {
        return Ok(Looked::Nothing);
    }
    let at = ObjectRef::new(GITEA, names.namespace(Component::Gitea).as_str(), names.gitea_instance());
    let Some(object) = grounds.cluster.get(&at).await? else { return Ok(Looked::Nothing) };
    let (url, admin) = admin_access(&at, &object)?;
    grounds.web.hide(&admin.password);
    let gitea = Gitea::new(grounds.web.routed("Gitea", &url));
    Ok(Looked::Found(logins(gitea.users(&admin).await?, recorded, &at.to_string())))
}

fn logins(users: Vec<String>, recorded: &Recorded, place: &str) -> Vec<Orphan> {
    let orphan = |user: String| {
        let guid = Named::User.guid(&user)?.to_string();
        let orphaned = !recorded.has(&guid) && !recorded.has_user(&user);
        orphaned.then(|| Orphan { guid, what: format!("user {user} in {place}"), removal: Removal::Destroy })
    };
    users.into_iter().filter_map(orphan).collect()
}
