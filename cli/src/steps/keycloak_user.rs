//! The tenant's user in Keycloak, where the Sandbox API has not made one.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use tenant_workflow::{
    scope::Scope,
    step::{Failure, Outcome, RevertAfter, Seen, State, Step, StepError, StepId},
};

use crate::{
    cluster::{CONSOLE_CONFIG, Cluster, IDENTITY, ObjectRef, SECRET, USER},
    facts::KeycloakUser as Fact,
    order::{VarError, Vars},
    rights::{Right, Verb},
    services::keycloak::Realm,
    steps::outlook::Outlook,
    tenant::{Tenant, Web},
};

/// What the step does at the API server.
pub const RIGHTS: &[Right] = &[
    Right::on(SECRET, &[Verb::Get]),
    Right::on(CONSOLE_CONFIG, &[Verb::Get]).named(&["cluster"]),
    Right::on(USER, &[Verb::Get, Verb::Delete]),
    Right::on(IDENTITY, &[Verb::Get, Verb::Delete]),
];

/// Name of the identity provider the cluster knows the realm by (provisioning.md 3.2).
const PROVIDER: &str = "rhbk";

/// What an order says about Keycloak.
#[derive(Debug, Clone)]
pub struct Settings {
    namespace: String,
    admin_secret: String,
    realm: String,
    skipped: Option<String>,
}

impl Settings {
    /// Reads the order's variables (agnosticd-compat.md 3.2).
    ///
    /// # Errors
    ///
    /// When a variable has the wrong type.
    pub fn read(vars: &Vars) -> Result<Self, VarError> {
        let both = |suffix: &str| {
            [
                format!("ocp4_workload_tenant_keycloak_user_{suffix}"),
                format!("ocp4_workload_ocpsandbox_keycloak_user_{suffix}"),
            ]
        };
        let text = |suffix: &str, default: &str| {
            let [tenant, sandbox] = both(suffix);
            vars.text(&[&tenant, &sandbox]).map(|found| found.unwrap_or_else(|| default.to_owned()))
        };
        let given = vars.text(&["sandbox_openshift_user"])?;
        Ok(Self {
            namespace: text("keycloak_namespace", "keycloak")?,
            admin_secret: text("keycloak_admin_secret", "keycloak-initial-admin")?,
            realm: text("keycloak_realm", "sso")?,
            skipped: given.map(|user| format!("the Sandbox API has made user {user}")),
        })
    }

    /// Why this order needs no user there, if so.
    pub fn skipped(&self) -> Option<&str> {
        self.skipped.as_deref()
    }

    /// Logs in as Keycloak's admin; `None` when there is no Keycloak here.
    ///
    /// # Errors
    ///
    /// When the admin's Secret cannot be read, or Keycloak does not answer or refuses.
    pub async fn realm(
        &self,
        cluster: &Cluster,
        web: &Web,
        domain: &str,
    ) -> Result<Option<Realm>, StepError> {
        let at = ObjectRef::new(SECRET, &self.namespace, &self.admin_secret);
        let Some(secret) = cluster.get(&at).await? else { return Ok(None) };
        let entry = |key: &str| super::secret_entry(&at, &secret, key);
        let (user, password) = (entry("username")?, SecretString::from(entry("password")?));
        web.hide(&password);
        let service = web.routed("Keycloak", &format!("https://sso.{domain}"));
        Ok(Some(Realm::log_in(service, &self.realm, &user, &password).await?))
    }

    /// What is told where there is none.
    pub fn missing(&self) -> String {
        let Self { namespace, admin_secret, .. } = self;
        format!("no Keycloak here (Secret {namespace}/{admin_secret} does not exist)")
    }
}

/// The record's name for the id of the user whose password we have set.
const USER_ON_RECORD: &str = "keycloak-user";

/// The record's name for the password that was set.
const PASSWORD_SET: &str = "keycloak-password";

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

/// The step.
pub struct KeycloakUser {
    tenant: Arc<Tenant>,
    settings: Settings,
    password: SecretString,
}

impl KeycloakUser {
    /// The step for a tenant; `password` is the user's.
    pub fn new(tenant: Arc<Tenant>, settings: Settings, password: SecretString) -> Self {
        Self { tenant, settings, password }
    }

    async fn realm(&self) -> Result<Option<Realm>, StepError> {
        let Tenant { cluster, web, domain, .. } = &*self.tenant;
        self.settings.realm(cluster, web, domain).await
    }

    /// What a login leaves on the cluster: it carries no label of ours, but names this very user.
    fn logins(&self, id: Option<&str>) -> Vec<ObjectRef> {
        let identity = id.map(|id| ObjectRef::cluster(IDENTITY, format!("{PROVIDER}:{id}")));
        let user = ObjectRef::cluster(USER, self.tenant.names.username().as_str());
        identity.into_iter().chain([user]).filter(|at| self.tenant.cluster.serves(&at.kind)).collect()
    }

    /// Makes sure of user and password; whether anything changed.
    ///
    /// An existing password cannot be compared. So the record keeps which user was given which; a user or
    /// password it does not know is set.
    async fn ensure_user(&self, realm: &Realm) -> Result<bool, StepError> {
        let (username, record) = (self.tenant.names.username().as_str(), &self.tenant.record);
        let mut created = false;
        let mut found = realm.find(username).await?;
        if found.is_none() {
            created = realm.create(username, &self.password).await?;
            found = realm.find(username).await?;
        }
        let id = found.ok_or_else(|| {
            StepError::new(Failure::Service, format!("look up user {username}"))
                .because("Keycloak says the user exists and does not find it")
        })?;
        let known = record.identity(USER_ON_RECORD).await.as_ref() == Some(&id)
            && record.secret(PASSWORD_SET).await.is_some_and(|set| same(&set, &self.password));
        if !created && !known {
            realm.set_password(&id, &self.password).await?;
        }
        record.hold(PASSWORD_SET, &self.password, &[(USER_ON_RECORD, &id)]).await;
        Ok(created || !known)
    }

    async fn find_out(&self) -> Result<(), StepError> {
        let mut console_url = None;
        if self.tenant.cluster.serves(&CONSOLE_CONFIG) {
            let console = self.tenant.cluster.get(&ObjectRef::cluster(CONSOLE_CONFIG, "cluster")).await?;
            console_url =
                console.and_then(|found| found.data["status"]["consoleURL"].as_str().map(str::to_owned));
        }
        self.tenant.facts.keycloak.fill(Fact { console_url })?;
        Ok(())
    }
}

impl Step for KeycloakUser {
    fn id(&self) -> StepId {
        "keycloak-user"
    }

    fn title(&self) -> &'static str {
        "login in Keycloak"
    }

    fn revert_after(&self) -> RevertAfter {
        RevertAfter::Only(&[])
    }

    fn skipped(&self) -> Option<String> {
        self.settings.skipped.clone()
    }

    fn probe<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let username = self.tenant.names.username();
            let Some(realm) = self.realm().await? else {
                return Ok(Seen::new(State::Skipped, [self.settings.missing()]));
            };
            let Some(_id) = realm.find(username.as_str()).await? else {
                return Ok(Seen::new(State::Absent, []));
            };
            self.find_out().await?;
            Ok(Seen::new(State::Present, [format!("user {username} in realm {}", self.settings.realm)]))
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let username = self.tenant.names.username();
            let Some(realm) = self.realm().await? else {
                return Ok(Seen::new(State::Skipped, [self.settings.missing()]));
            };
            let id = realm.find(username.as_str()).await?;
            let mut outlook = Outlook::default();
            if id.is_some() {
                outlook.goes(format!("user {username} in realm {}", self.settings.realm));
            }
            for at in self.logins(id.as_deref()) {
                if let Some(object) = self.tenant.cluster.get(&at).await? {
                    outlook.object(&at, &object);
                }
            }
            Ok(outlook.seen())
        }
        .boxed()
    }

    fn apply<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let username = self.tenant.names.username();
            let Some(realm) = self.realm().await? else {
                return Ok(Outcome::skipped(self.settings.missing()));
            };
            let (ensured, found_out) = futures::join!(self.ensure_user(&realm), self.find_out());
            let changed = ensured?;
            found_out?;
            Ok(super::outcome(changed, format!("user {username} in realm {}", self.settings.realm)))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let username = self.tenant.names.username();
            let Some(realm) = self.realm().await? else {
                return Ok(Outcome::skipped(self.settings.missing()));
            };
            let id = realm.find(username.as_str()).await?;
            let mut changed = false;
            if let Some(id) = &id {
                changed |= realm.delete(id).await?;
            }
            for at in self.logins(id.as_deref()) {
                changed |= self.tenant.cluster.remove(&at, &[]).await?.changed();
            }
            Ok(super::reverted(changed, format!("user {username} gone")))
        }
        .boxed()
    }
}
