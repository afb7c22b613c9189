//! The tenant's user in Gitea, and the repositories it starts with.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, try_join_all};
use secrecy::SecretString;
use tenant_workflow::{
    scope::Scope,
    step::{Failure, Outcome, RevertAfter, Seen, State, Step, StepError, StepId},
};

use crate::{
    cluster::{GITEA, ObjectRef},
    facts::{GiteaInstance, GiteaLogin},
    names::Component,
    order::{VarError, Vars},
    rights::{Right, Verb},
    services::gitea::{Gitea, Login, Repository, RepositoryState},
    steps::{gitea_instance::admin_access, outlook::Outlook},
    tenant::Tenant,
};

/// What the step does at the API server.
pub const RIGHTS: &[Right] = &[Right::on(GITEA, &[Verb::List])];

/// Attempts at migrating a repository: its source is somewhere on the internet.
const MIGRATIONS: u32 = 4;

/// What an order says about the user.
#[derive(Debug, Clone)]
pub struct Settings {
    email: Option<String>,
    repositories: Vec<Repository>,
}

impl Settings {
    /// Reads the order's variables (agnosticd-compat.md 3.5).
    ///
    /// # Errors
    ///
    /// When a variable has the wrong type.
    pub fn read(vars: &Vars) -> Result<Self, VarError> {
        let repositories = [
            "ocp4_workload_tenant_gitea_user_repositories",
            "ocp4_workload_tenant_gitea_repositories",
            "ocp4_workload_ocpsandbox_gitea_user_repositories",
        ];
        Ok(Self {
            email: vars.text(&["ocp4_workload_tenant_gitea_user_email"])?,
            repositories: vars.list(&repositories)?.unwrap_or_default(),
        })
    }
}

/// The step.
pub struct GiteaUser {
    tenant: Arc<Tenant>,
    settings: Settings,
    password: SecretString,
}

impl GiteaUser {
    /// The step for a tenant; `password` is the user's.
    pub fn new(tenant: Arc<Tenant>, settings: Settings, password: SecretString) -> Self {
        Self { tenant, settings, password }
    }

    fn login(&self) -> Login {
        Login { user: self.tenant.names.username().to_string(), password: self.password.clone() }
    }

    fn gitea(&self, instance: &GiteaInstance) -> Gitea {
        Gitea::new(self.tenant.web.routed("Gitea", &instance.url))
    }

    /// An instance in the tenant's place that is not the tenant's own, and how its admin logs in. One of the tenant's
    /// own goes with all that is in it.
    async fn shared(&self) -> Result<Option<(String, Login)>, StepError> {
        let namespace = self.tenant.names.namespace(Component::Gitea).as_str();
        let instances = self.tenant.cluster.list(&GITEA, namespace, "").await?;
        let Some(instance) = instances.iter().find(|instance| !self.tenant.owns(instance)) else {
            return Ok(None);
        };
        let at = ObjectRef::new(GITEA, namespace, instance.metadata.name.as_deref().unwrap_or_default());
        let (url, admin) = admin_access(&at, instance)?;
        self.tenant.web.hide(&admin.password);
        Ok(Some((url, admin)))
    }

    /// Makes sure of user and password; whether anything changed, and the user's id.
    async fn ensure_user(&self, gitea: &Gitea, admin: &Login) -> Result<(bool, u64), StepError> {
        let login = self.login();
        let email = self.settings.email.clone().unwrap_or_else(|| format!("{}@example.com", login.user));
        let mut id = gitea.user_id(admin, &login.user).await?;
        if id.is_none() {
            if let Some(id) = gitea.create_user(admin, &login, &email).await? {
                return Ok((true, id));
            }
            id = gitea.user_id(admin, &login.user).await?;
        }
        let id = id.ok_or_else(|| {
            StepError::new(Failure::Service, format!("create user {}", login.user))
                .because("Gitea says the user, or its e-mail address, exists, and does not find it")
        })?;
        let accepted = gitea.accepts(&login).await?;
        if !accepted {
            gitea.set_password(admin, &login).await?;
        }
        Ok((!accepted, id))
    }

    /// Makes sure of one repository; whether it had to be migrated.
    async fn ensure_repository(
        &self,
        gitea: &Gitea,
        admin: &Login,
        owner: u64,
        repository: &Repository,
    ) -> Result<bool, StepError> {
        let user = self.tenant.names.username().as_str();
        let mut changed = false;
        for _ in 1..MIGRATIONS {
            match gitea.repository(admin, user, &repository.name).await? {
                RepositoryState::Present => return Ok(changed),
                // what a migration that broke off left behind
                RepositoryState::Empty => {
                    changed |= gitea.delete_repository(admin, user, &repository.name).await?;
                }
                RepositoryState::Absent => {}
            }
            match gitea.migrate(admin, owner, repository).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                // the server may have acted all the same: look before trying again
                Err(error) if error.status().is_none_or(|status| status >= 500) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(gitea.migrate(admin, owner, repository).await? || changed)
    }
}

impl Step for GiteaUser {
    fn id(&self) -> StepId {
        "gitea-user"
    }

    fn title(&self) -> &'static str {
        "Gitea user and repositories"
    }

    fn needs(&self) -> &'static [StepId] {
        &["gitea-instance"]
    }

    fn revert_after(&self) -> RevertAfter {
        // as their instance: nothing that goes asks Gitea for anything (provisioning.md 10.1)
        RevertAfter::Only(&[])
    }

    fn probe<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let Some(instance) = self.tenant.facts.gitea.peek() else {
                return Ok(Seen::new(State::Absent, []));
            };
            let (gitea, login) = (self.gitea(instance), self.login());
            if gitea.user_id(&instance.admin, &login.user).await?.is_none() {
                return Ok(Seen::new(State::Absent, []));
            }
            let looked = self.settings.repositories.iter().map(|repository| {
                let (gitea, login) = (&gitea, &login);
                async move {
                    let state = gitea.repository(&instance.admin, &login.user, &repository.name).await?;
                    Ok::<_, StepError>((repository.name.clone(), state))
                }
            });
            let (accepted, repositories) = futures::join!(gitea.accepts(&login), try_join_all(looked));
            let mut differences = Vec::new();
            if accepted? {
                self.tenant.facts.gitea_login.fill(GiteaLogin(login.clone()))?;
            } else {
                differences.push(format!("the password of user {} is another one", login.user));
            }
            for (name, state) in repositories? {
                match state {
                    RepositoryState::Present => {}
                    RepositoryState::Empty => differences.push(format!("repository {name} is empty")),
                    RepositoryState::Absent => differences.push(format!("repository {name} is missing")),
                }
            }
            Ok(super::seen(Some(differences), || vec![self.summary()]))
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            if !self.tenant.cluster.serves(&GITEA) {
                return Ok(Seen::new(State::Skipped, ["no Gitea operator here".to_owned()]));
            }
            let Some((url, admin)) = self.shared().await? else {
                return Ok(Seen::new(State::Absent, ["goes with the instance".to_owned()]));
            };
            let user = self.tenant.names.username().as_str();
            let gitea = Gitea::new(self.tenant.web.routed("Gitea", &url));
            let mut outlook = Outlook::default();
            if gitea.user_id(&admin, user).await?.is_some() {
                outlook.goes(format!("user {user} of {url}, with all repositories"));
            }
            Ok(outlook.seen())
        }
        .boxed()
    }

    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let instance = self.tenant.facts.gitea.get()?;
            let (gitea, admin) = (self.gitea(instance), &instance.admin);
            let (mut changed, id) = self.ensure_user(&gitea, admin).await?;
            self.tenant.facts.gitea_login.fill(GiteaLogin(self.login()))?;
            let wait = format!("{} repositories to be copied", self.settings.repositories.len());
            scope.waiting(&wait, "the migrations are running");
            let repositories = self.settings.repositories.iter();
            let migrated =
                repositories.map(|repository| self.ensure_repository(&gitea, admin, id, repository));
            changed |= try_join_all(migrated).await?.contains(&true);
            scope.ready(&wait);
            Ok(super::outcome(changed, self.summary()))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            if !self.tenant.cluster.serves(&GITEA) {
                return Ok(Outcome::skipped("no Gitea operator here"));
            }
            let Some((url, admin)) = self.shared().await? else {
                return Ok(Outcome::unchanged("goes with the instance"));
            };
            let gitea = Gitea::new(self.tenant.web.routed("Gitea", &url));
            let gone = gitea.purge_user(&admin, self.tenant.names.username().as_str()).await?;
            Ok(super::reverted(gone, format!("user gone from {url}")))
        }
        .boxed()
    }
}

impl GiteaUser {
    fn summary(&self) -> String {
        let names: Vec<&str> =
            self.settings.repositories.iter().map(|repository| repository.name.as_str()).collect();
        let user = self.tenant.names.username();
        if names.is_empty() {
            format!("user {user}")
        } else {
            format!("user {user}, repositories {}", names.join(", "))
        }
    }
}
