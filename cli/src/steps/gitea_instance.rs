//! The tenant's Gitea: one `Gitea` resource, run by the Gitea operator (provisioning.md 4).
//!
//! The admin's password reaches the operator through a Secret, not through the resource. Users and
//! repositories are not left to the operator: it never corrects them, and never says that an empty list of
//! repositories is done; `gitea-user` does both.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, ready};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tenant_workflow::{
    scope::Scope,
    step::{Failure, Outcome, RevertAfter, Seen, State, Step, StepError, StepId},
};

use crate::{
    cluster::{Found, GITEA, Hindrance, Object, ObjectRef, SECRET, Select, Verdict},
    facts::GiteaInstance as Fact,
    names::Component,
    order::{VarError, Vars},
    rights::{FOLLOW, OWN, Right},
    services::gitea::Login,
    steps::{Manifests, outlook::Outlook},
    tenant::{Tenant, secret_data},
};

/// What the step does at the API server.
pub const RIGHTS: &[Right] = &[Right::on(GITEA, OWN), Right::on(GITEA, FOLLOW), Right::on(SECRET, OWN)];

/// Secret with the admin's password, in the key the operator reads.
const PASSWORDS: &str = "gitea-passwords";

/// What an order says about the instance.
#[derive(Debug, Clone)]
pub struct Settings {
    image: String,
    image_tag: String,
    volume_size: String,
    postgresql_image: String,
    postgresql_image_tag: String,
    postgresql_volume_size: String,
    admin_user: String,
}

impl Settings {
    /// Reads the order's variables (agnosticd-compat.md 3.5).
    ///
    /// # Errors
    ///
    /// When a variable has the wrong type.
    pub fn read(vars: &Vars) -> Result<Self, VarError> {
        let both = |suffix: &str| {
            [
                format!("ocp4_workload_tenant_gitea_{suffix}"),
                format!("ocp4_workload_ocpsandbox_gitea_instance_{suffix}"),
            ]
        };
        let text = |suffix: &str, default: &str| {
            let [tenant, sandbox] = both(suffix);
            vars.text(&[&tenant, &sandbox]).map(|found| found.unwrap_or_else(|| default.to_owned()))
        };
        Ok(Self {
            image: text("image", "quay.io/rhpds/gitea")?,
            image_tag: text("image_tag", "1.25.4")?,
            volume_size: text("volume_size", "2Gi")?,
            postgresql_image: text("postgresql_image", "registry.redhat.io/rhel10/postgresql-16")?,
            postgresql_image_tag: text("postgresql_image_tag", "10.1")?,
            postgresql_volume_size: text("postgresql_volume_size", "2Gi")?,
            admin_user: text("admin_user", "gitea-admin")?,
        })
    }
}

/// The step.
pub struct GiteaInstance {
    tenant: Arc<Tenant>,
    settings: Settings,
    admin_password: SecretString,
}

/// Whose an instance is.
enum Instance {
    Absent,
    Ours,
    /// Set up by somebody else, for several tenants: used, never changed.
    Shared(Box<Object>),
}

impl GiteaInstance {
    /// The step for a tenant.
    pub fn new(tenant: Arc<Tenant>, settings: Settings, admin_password: SecretString) -> Self {
        Self { tenant, settings, admin_password }
    }

    fn at(&self) -> ObjectRef {
        let namespace = self.tenant.names.namespace(Component::Gitea).as_str();
        ObjectRef::new(GITEA, namespace, self.tenant.names.gitea_instance())
    }

    fn passwords_at(&self) -> ObjectRef {
        ObjectRef::new(SECRET, self.at().namespace, PASSWORDS)
    }

    fn passwords(&self, admin: &SecretString) -> (ObjectRef, Value) {
        let data = secret_data([("adminPassword", admin.expose_secret())]);
        (self.passwords_at(), json!({"type": "Opaque", "data": data}))
    }

    /// The admin's password: the one the operator was given first, for it sets it once. One chosen anew because
    /// the record was lost would lock us out.
    async fn admin_password(&self) -> Result<SecretString, StepError> {
        let at = self.passwords_at();
        let Some(kept) = self.tenant.cluster.get(&at).await?.filter(|secret| self.tenant.owns(secret)) else {
            return Ok(self.admin_password.clone());
        };
        let password = SecretString::from(super::secret_entry(&at, &kept, "adminPassword")?);
        self.tenant.web.hide(&password);
        Ok(password)
    }

    fn resource(&self) -> (ObjectRef, Value) {
        let Settings { image, image_tag, volume_size, admin_user, .. } = &self.settings;
        let spec = json!({
            "giteaImage": image,
            "giteaImageTag": image_tag,
            "giteaVolumeSize": volume_size,
            "giteaSsl": true,
            "postgresqlImage": self.settings.postgresql_image,
            "postgresqlImageTag": self.settings.postgresql_image_tag,
            "postgresqlVolumeSize": self.settings.postgresql_volume_size,
            "giteaAdminUser": admin_user,
            "giteaAdminPasswordSecretName": PASSWORDS,
            "giteaAdminEmail": "admin@demo.redhat.com",
            "giteaDisableRegistration": true,
            "giteaEnableCaptcha": false,
            "giteaAllowCreateOrganization": true,
            "giteaRegisterEmailConfirm": false,
            "giteaEnableNotifyMail": false,
            "giteaCreateUsers": false,
            "giteaMigrateRepositories": false,
        });
        (self.at(), json!({"spec": spec}))
    }

    async fn instance(&self) -> Result<Instance, StepError> {
        let found = self.tenant.cluster.get(&self.at()).await?;
        Ok(match found {
            None => Instance::Absent,
            Some(object) if self.tenant.owns(&object) => Instance::Ours,
            Some(object) => Instance::Shared(Box::new(object)),
        })
    }

    /// Waits until the operator says where the instance answers and that its admin is there.
    async fn until_ready(&self, scope: &Scope) -> Result<Ready, StepError> {
        let at = self.at();
        let select = Select::Name(&at.name);
        let judge = |found: &Found| match found.get(&at.name) {
            None => Verdict::NotYet("it does not exist (any more)".to_owned()),
            Some(object) => judge(&at, object),
        };
        self.tenant.cluster.until(scope, &at.to_string(), &GITEA, &at.namespace, select, judge).await
    }

    /// Fills the fact; `own` is the admin's password of an instance of the tenant's own.
    fn fill(&self, ready: Ready, own: Option<SecretString>) -> Result<(), StepError> {
        let owned = own.is_some();
        let admin = if let Some(password) = own {
            Login { user: self.settings.admin_user.clone(), password }
        } else {
            let (user, password) = ready.admin.ok_or_else(|| {
                StepError::new(Failure::Service, format!("read the admin's login of {}", self.at()))
                    .because("spec.giteaAdminUser or status.adminPassword is missing")
            })?;
            self.tenant.web.hide(&password);
            Login { user, password }
        };
        self.tenant.facts.gitea.fill(Fact { url: ready.url, admin, owned })?;
        Ok(())
    }
}

/// Where an instance answers that others set up, and how its admin logs in.
///
/// # Errors
///
/// When its status does not say.
pub fn admin_access(at: &ObjectRef, object: &Object) -> Result<(String, Login), StepError> {
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    let (Some(url), Some(user), Some(password)) =
        (status["giteaRoute"].as_str(), spec["giteaAdminUser"].as_str(), status["adminPassword"].as_str())
    else {
        return Err(StepError::new(Failure::Service, format!("use {at}"))
            .because("it does not say where it answers, or who its admin is")
            .hint(format!("kubectl -n {} get gitea {} -o yaml", at.namespace, at.name)));
    };
    let login = Login { user: user.to_owned(), password: SecretString::from(password.to_owned()) };
    Ok((url.trim_end_matches('/').to_owned(), login))
}

/// What a ready instance says about itself.
struct Ready {
    url: String,
    admin: Option<(String, SecretString)>,
}

/// Decides from the resource's status whether the instance can be used.
fn judge(at: &ObjectRef, object: &Object) -> Verdict<Ready> {
    let status = &object.data["status"];
    if let Some(message) = status["adminSetupError"].as_str().filter(|message| !message.is_empty()) {
        return Verdict::Never(
            StepError::new(Failure::Service, format!("set up {at}"))
                .because(format!("the Gitea operator could not create its admin: {message}"))
                .hint(format!("kubectl -n {} describe gitea {}", at.namespace, at.name)),
        );
    }
    match (status["giteaRoute"].as_str(), status["adminSetupComplete"].as_bool()) {
        (Some(url), Some(true)) => {
            let user = object.data["spec"]["giteaAdminUser"].as_str();
            let admin = user.zip(status["adminPassword"].as_str());
            let admin =
                admin.map(|(user, password)| (user.to_owned(), SecretString::from(password.to_owned())));
            Verdict::Done(Ready { url: url.trim_end_matches('/').to_owned(), admin })
        }
        (Some(_), _) => Verdict::NotYet(format!("its admin is not set up yet{}", failing(status))),
        (None, _) => Verdict::NotYet(format!("it has no address yet{}", failing(status))),
    }
}

/// The message of a condition `Failure`, if the operator reports one; it tries again by itself.
fn failing(status: &Value) -> String {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut failures =
        conditions.filter(|condition| condition["type"] == "Failure" && condition["status"] == "True");
    failures
        .next()
        .and_then(|condition| condition["message"].as_str())
        .map(|message| format!(" (the operator says: {})", message.lines().next().unwrap_or_default()))
        .unwrap_or_default()
}

impl Manifests for GiteaInstance {
    fn manifests(&self) -> BoxFuture<'_, Result<Vec<(ObjectRef, Value)>, StepError>> {
        ready(Ok(vec![self.passwords(&self.admin_password), self.resource()])).boxed()
    }
}

impl Step for GiteaInstance {
    fn id(&self) -> StepId {
        "gitea-instance"
    }

    fn title(&self) -> &'static str {
        "Gitea"
    }

    fn needs(&self) -> &'static [StepId] {
        &["namespaces"]
    }

    fn revert_after(&self) -> RevertAfter {
        // Applications go without their repositories; the operator's finalizer may take minutes (provisioning.md 10.1)
        RevertAfter::Only(&[])
    }

    fn probe<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let found = self.tenant.cluster.get(&self.at()).await?;
            let Some(object) = found else { return Ok(Seen::new(State::Absent, [])) };
            let mut differences = Vec::new();
            let mut own = None;
            if self.tenant.owns(&object) {
                let password = self.admin_password().await?;
                let objects = vec![self.passwords(&password), self.resource()];
                differences = self.tenant.compare_all(objects).await?.unwrap_or_default();
                own = Some(password);
            }
            match judge(&self.at(), &object) {
                Verdict::Done(ready) => {
                    let url = ready.url.clone();
                    self.fill(ready, own)?;
                    Ok(super::seen(Some(differences), || vec![url]))
                }
                Verdict::NotYet(seen) | Verdict::Held(Hindrance { seen, .. }) => {
                    Ok(Seen::new(State::NotReady, [format!("{}: {seen}", self.at())]))
                }
                Verdict::Never(error) => Err(error),
            }
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            if !self.tenant.cluster.serves(&GITEA) {
                return Ok(Seen::new(State::Skipped, ["no Gitea operator here".to_owned()]));
            }
            Ok(Outlook::on(&self.tenant, vec![self.at(), self.passwords_at()]).await?.seen())
        }
        .boxed()
    }

    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let (changed, own) = match self.instance().await? {
                Instance::Shared(object) => {
                    scope.note(format!("{} is not this tenant's alone: used as it is", self.at()));
                    if let Verdict::Done(ready) = judge(&self.at(), &object) {
                        let summary = ready.url.clone();
                        self.fill(ready, None)?;
                        return Ok(Outcome::unchanged(summary));
                    }
                    (false, None)
                }
                Instance::Absent | Instance::Ours => {
                    let password = self.admin_password().await?;
                    let (at, secret) = self.passwords(&password);
                    let secret = self.tenant.apply(&at, secret).await?;
                    let (at, resource) = self.resource();
                    (secret.changed | self.tenant.apply(&at, resource).await?.changed, Some(password))
                }
            };
            let at = self.at();
            let namespaces = [at.namespace.as_str()];
            let ready = self.tenant.cluster.explained(scope, &namespaces, self.until_ready(scope)).await?;
            let summary = ready.url.clone();
            self.fill(ready, own)?;
            Ok(super::outcome(changed, summary))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            if !self.tenant.cluster.serves(&GITEA) {
                return Ok(Outcome::skipped("no Gitea operator here"));
            }
            let at = self.at();
            let removal = self.tenant.remove(&at).await?;
            let secret = self.tenant.remove_all(vec![self.passwords_at()]).await?;
            if let crate::cluster::Removal::Deleted { uid } = &removal {
                self.tenant.cluster.until_gone(scope, &at, &self.tenant.selector(), uid).await?;
            }
            Ok(super::reverted(removal.changed() || secret, format!("{at} gone")))
        }
        .boxed()
    }
}
