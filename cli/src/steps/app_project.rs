//! The tenant's Argo CD project: exactly its namespaces and its repositories, no cluster-scoped kinds.
//!
//! Where Argo CD is OpenShift GitOps the user also gets a local account. The account lives in two shared
//! objects (the `ArgoCD` resource and `argocd-secret`); our share of them is applied under a field manager of
//! the tenant's own, so concurrent tenants never overwrite each other and withdrawing it is exact.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, ready, try_join};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tenant_kit::secret::is_random_password;
use tenant_workflow::{
    scope::Scope,
    step::{Failure, Outcome, Seen, Step, StepError, StepId},
};

use crate::{
    cluster::{APP_PROJECT, ARGO_CD, ObjectRef, ROUTE, SECRET},
    facts::ArgoCdProject,
    names::Names,
    order::{VarError, Vars},
    rights::{OWN, Right, Verb},
    steps::{Manifests, outlook::Outlook, withdrawal},
    tenant::{Tenant, secret_data},
};

/// What the step does at the API server.
pub const RIGHTS: &[Right] = &[
    Right::on(APP_PROJECT, OWN),
    Right::on(ARGO_CD, &[Verb::Get, Verb::Patch]),
    Right::on(SECRET, &[Verb::Get, Verb::Patch]),
    Right::on(ROUTE, &[Verb::Get]),
];

/// A tenant's share of Argo CD's objects is kept under a field manager of this and the guid.
pub const FIELD_MANAGER_PREFIX: &str = "tenant-";
/// Argo CD's secret, in which local accounts have their password hashes.
pub const ACCOUNTS: &str = "argocd-secret";

/// What an order says about Argo CD.
#[derive(Debug, Clone)]
pub struct Settings {
    argo_cd: String,
    repositories: Vec<String>,
    cluster_kinds: Vec<Value>,
    destinations: Vec<Value>,
}

impl Settings {
    /// Reads the order's variables (agnosticd-compat.md 3.4). `repositories` are those of the tenant's
    /// applications outside of its own Gitea.
    ///
    /// # Errors
    ///
    /// When a variable has the wrong type.
    pub fn read(vars: &Vars, repositories: Vec<String>) -> Result<Self, VarError> {
        let gitops = |suffix: &str| format!("ocp4_workload_tenant_openshift_gitops_{suffix}");
        let user = |suffix: &str| format!("ocp4_workload_ocpsandbox_argocd_user_{suffix}");
        let text = |names: &[&str], default: &str| {
            vars.text(names).map(|found| found.unwrap_or_else(|| default.to_owned()))
        };
        Ok(Self {
            argo_cd: text(&[&gitops("argocd_cr_name")], "openshift-gitops")?,
            repositories,
            cluster_kinds: vars
                .list(&[&gitops("user_cluster_resource_whitelist"), &user("cluster_resource_whitelist")])?
                .unwrap_or_default(),
            destinations: vars.list(&[&user("extra_destinations")])?.unwrap_or_default(),
        })
    }

    /// Name of the `ArgoCD` resource.
    pub fn argo_cd(&self) -> &str {
        &self.argo_cd
    }
}

/// The step.
pub struct AppProject {
    tenant: Arc<Tenant>,
    settings: Settings,
    password: SecretString,
}

impl AppProject {
    /// The step for a tenant; `password` is that of the local account.
    pub fn new(tenant: Arc<Tenant>, settings: Settings, password: SecretString) -> Self {
        Self { tenant, settings, password }
    }

    fn project(&self) -> (ObjectRef, Value) {
        let names = &self.tenant.names;
        let (user, project) = (names.username().as_str(), names.app_project());
        let server = "https://kubernetes.default.svc";
        let own = names.namespaces().map(|(_, name)| json!({"namespace": name.as_str(), "server": server}));
        let destinations: Vec<Value> = own.chain(self.settings.destinations.iter().cloned()).collect();
        // a star does not match a slash: these are the user's repositories and nobody else's
        let gitea = format!("{}/{user}/*", names.gitea_internal_url());
        let sources: Vec<&str> = std::iter::once(gitea.as_str())
            .chain(self.settings.repositories.iter().map(String::as_str))
            .collect();
        let policy = format!("p, proj:{project}:user-role, applications, *, {project}/*, allow");
        let spec = json!({
            "description": format!("Project for {user}"),
            "destinations": destinations,
            "sourceRepos": sources,
            "clusterResourceWhitelist": self.settings.cluster_kinds,
            "roles": [{
                "name": "user-role",
                "description": format!("Role for {user}"),
                "policies": [policy],
                "groups": [user],
            }],
        });
        (self.at(), json!({"spec": spec}))
    }

    /// Namespace of Argo CD.
    fn namespace(&self) -> &str {
        self.tenant.names.argo_cd_namespace().as_str()
    }

    fn at(&self) -> ObjectRef {
        ObjectRef::new(APP_PROJECT, self.namespace(), self.tenant.names.app_project())
    }

    fn argo_cd(&self) -> ObjectRef {
        ObjectRef::new(ARGO_CD, self.namespace(), &self.settings.argo_cd)
    }

    fn accounts(&self) -> ObjectRef {
        ObjectRef::new(SECRET, self.namespace(), ACCOUNTS)
    }

    fn manager(&self) -> String {
        format!("{FIELD_MANAGER_PREFIX}{}", self.tenant.names.guid())
    }

    /// Applies the project; whether it changed. Applications of servers the order chooses no more go first: Argo CD
    /// takes nothing away in a namespace the project does not admit.
    async fn apply_project(&self, scope: &Scope) -> Result<bool, StepError> {
        let (at, project) = self.project();
        let found = self.tenant.cluster.get(&at).await?;
        let admits = |namespace: &str| {
            let destinations =
                found.iter().filter_map(|object| object.data["spec"]["destinations"].as_array());
            destinations.flatten().any(|one| one["namespace"] == namespace)
        };
        if self.tenant.names.unchosen().any(|namespace| admits(namespace.as_str())) {
            withdrawal::unchosen(&self.tenant, scope).await?;
        }
        Ok(self.tenant.apply_over(&at, project, found).await?.changed)
    }

    /// Gives the user a local account; `None` where Argo CD is not OpenShift GitOps.
    async fn apply_account(&self, scope: &Scope) -> Result<Option<bool>, StepError> {
        let cluster = &self.tenant.cluster;
        if !cluster.serves(&ARGO_CD) || cluster.get(&self.argo_cd()).await?.is_none() {
            scope.note("no ArgoCD resource here: the project comes without a local account");
            return Ok(None);
        }
        let account = account_key(&self.tenant.names);
        let share = json!({"spec": {"extraConfig": {account.clone(): "apiKey, login"}}});
        let (argo_cd, manager) = (self.argo_cd(), self.manager());
        let granted =
            async { Ok::<_, StepError>(cluster.apply_as(&argo_cd, &manager, share).await?.changed) };
        let (granted, hashed) = try_join(granted, self.apply_password(&account)).await?;
        Ok(Some(granted || hashed))
    }

    async fn apply_password(&self, account: &str) -> Result<bool, StepError> {
        let at = self.accounts();
        let Some(secret) = self.tenant.cluster.get(&at).await? else {
            return Err(StepError::new(Failure::Service, format!("set the password of account {account}"))
                .because(format!("{at} does not exist"))
                .hint("is Argo CD up? its operator makes this Secret"));
        };
        let key = format!("{account}.password");
        let held = secret.data["data"][&key].as_str().and_then(decoded);
        let password = self.password.clone();
        let hash = tokio::task::spawn_blocking(move || fresh_hash(&password, held.as_deref())).await;
        let hash =
            hash.map_err(|error| StepError::new(Failure::Internal, "hash the password").because(error))?;
        let Some(hash) = hash? else { return Ok(false) };
        let changed = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mtime = format!("{account}.passwordMtime");
        let data = secret_data([(key.as_str(), hash.as_str()), (mtime.as_str(), changed.as_str())]);
        let applied = self.tenant.cluster.apply_as(&at, &self.manager(), json!({"data": data})).await?;
        Ok(applied.changed)
    }

    /// Takes our share out of a shared object, if it is there and has one.
    async fn withdraw(&self, at: &ObjectRef, holds: impl Fn(&Value) -> bool) -> Result<bool, StepError> {
        if !self.share(at, holds).await? {
            return Ok(false);
        }
        Ok(self.tenant.cluster.apply_as(at, &self.manager(), json!({})).await?.changed)
    }

    /// Whether a shared object is there and holds a share of ours.
    async fn share(&self, at: &ObjectRef, holds: impl Fn(&Value) -> bool) -> Result<bool, StepError> {
        let served = self.tenant.cluster.serves(&at.kind);
        Ok(served && self.tenant.cluster.get(at).await?.is_some_and(|object| holds(&object.data)))
    }

    /// Fills the fact; asks for Argo CD's address where there is an account.
    async fn find_out(&self, account: bool) -> Result<(), StepError> {
        let mut server = None;
        if account && self.tenant.has_routes() {
            let route = format!("{}-server", self.settings.argo_cd);
            let at = ObjectRef::new(ROUTE, self.namespace(), route);
            let found = self.tenant.cluster.get(&at).await?;
            server =
                found.and_then(|route| Some(format!("https://{}", route.data["spec"]["host"].as_str()?)));
        }
        let project = self.tenant.names.app_project().to_owned();
        self.tenant.facts.argo_cd.fill(ArgoCdProject { project, server })?;
        Ok(())
    }
}

fn account_key(names: &Names) -> String {
    format!("accounts.{}", names.username())
}

/// What Argo CD hashes passwords with (`bcrypt.DefaultCost` of golang.org/x/crypto). It slows down who guesses; a
/// random password of ours cannot be guessed, and gets the least there is.
const COST: u32 = 10;

/// The least bcrypt has.
const LEAST_COST: u32 = 4;

/// A hash for `password`, unless `held` is one already (each hash has a salt of its own, so they cannot be
/// compared).
fn fresh_hash(password: &SecretString, held: Option<&str>) -> Result<Option<String>, StepError> {
    if held.is_some_and(|hash| bcrypt::verify(password.expose_secret(), hash).unwrap_or(false)) {
        return Ok(None);
    }
    let cost = if is_random_password(password) { LEAST_COST } else { COST };
    bcrypt::hash(password.expose_secret(), cost)
        .map(Some)
        .map_err(|error| StepError::new(Failure::Usage, "hash the password").because(error))
}

fn decoded(text: &str) -> Option<String> {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok()
}

impl Manifests for AppProject {
    fn manifests(&self) -> BoxFuture<'_, Result<Vec<(ObjectRef, Value)>, StepError>> {
        ready(Ok(vec![self.project()])).boxed()
    }
}

impl Step for AppProject {
    fn id(&self) -> StepId {
        "app-project"
    }

    fn title(&self) -> &'static str {
        "Argo CD project"
    }

    fn needs(&self) -> &'static [StepId] {
        &["namespaces"]
    }

    fn probe<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let compared = self.tenant.compare_all(vec![self.project()]).await?;
            let mut account = None;
            if self.tenant.cluster.serves(&ARGO_CD) {
                account = self.tenant.cluster.get(&self.argo_cd()).await?;
            }
            let mut lines = compared;
            if let (Some(argo_cd), Some(lines)) = (&account, &mut lines) {
                let key = account_key(&self.tenant.names);
                if argo_cd.data["spec"]["extraConfig"][&key].is_null() {
                    lines.push(format!("{} has no {key}", self.argo_cd()));
                }
            }
            if lines.is_some() {
                self.find_out(account.is_some()).await?;
            }
            Ok(super::seen(lines, || vec![self.tenant.names.app_project().to_owned()]))
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let account = account_key(&self.tenant.names);
            let password = format!("{account}.password");
            let (argo_cd, accounts) = (self.argo_cd(), self.accounts());
            let mut outlook = Outlook::on(&self.tenant, vec![self.at()]).await?;
            let granted = self.share(&argo_cd, |data| !data["spec"]["extraConfig"][&account].is_null());
            let hashed = self.share(&accounts, |data| !data["data"][&password].is_null());
            let (granted, hashed) = futures::try_join!(granted, hashed)?;
            for (at, share) in [(&argo_cd, granted), (&accounts, hashed)] {
                if share {
                    outlook.goes(format!("{account} in {at}"));
                }
            }
            Ok(outlook.seen())
        }
        .boxed()
    }

    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let (applied, account) =
                try_join(self.apply_project(scope).boxed(), self.apply_account(scope)).await?;
            self.find_out(account.is_some()).await?;
            let at = self.at();
            let summary =
                if account.is_some() { format!("{at} and a local account") } else { at.to_string() };
            Ok(super::outcome(applied || account == Some(true), summary))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let account = account_key(&self.tenant.names);
            let password = format!("{account}.password");
            let (argo_cd, accounts) = (self.argo_cd(), self.accounts());
            let granted = self.withdraw(&argo_cd, |data| !data["spec"]["extraConfig"][&account].is_null());
            let hashed = self.withdraw(&accounts, |data| !data["data"][&password].is_null());
            let project = async {
                let there = self.tenant.cluster.serves(&APP_PROJECT);
                if there { self.tenant.remove_all(vec![self.at()]).await } else { Ok(false) }
            };
            let (granted, hashed, project) = futures::join!(granted, hashed, project);
            let changed = granted? | hashed? | project?;
            Ok(super::reverted(changed, "project and account gone"))
        }
        .boxed()
    }
}
