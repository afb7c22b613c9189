//! The five ApplicationSets, and the readiness of what Argo CD deploys from them.
//!
//! No secret is in them: the charts read Secrets that this step (and `mcp-servers`) writes into the tenant's
//! namespaces. Readiness is read from the Applications, so that a project that forbids a destination or a
//! manifest that does not render ends the run with Argo CD's own words instead of a time-out.

mod judgement;
mod librechat;
mod values;

use std::{collections::BTreeMap, sync::Arc};

use futures::future::{BoxFuture, FutureExt as _, try_join_all};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tenant_workflow::{
    scope::Scope,
    step::{Outcome, RevertAfter, Seen, State, Step, StepError, StepId},
};

pub use self::values::Settings;
use self::{
    judgement::{deleting, judge_applications, judge_sets, revival},
    values::{AGENT_CREDENTIALS, LIBRECHAT_CREDENTIALS, Revisions, Sets},
};
use crate::{
    cluster::{APPLICATION, APPLICATION_SET, Hindrance, MCP_SERVER, ObjectRef, SECRET, Select, Verdict},
    names::{Component, Names},
    record,
    rights::{FOLLOW, OWN, Right, Verb},
    services::web,
    steps::{Manifests, outlook::Outlook},
    tenant::{Tenant, secret_data},
};

/// What the step does at the API server.
pub const RIGHTS: &[Right] = &[
    Right::on(APPLICATION_SET, OWN),
    Right::on(APPLICATION_SET, FOLLOW),
    Right::on(APPLICATION, &[Verb::Get, Verb::List, Verb::Watch, Verb::Patch]),
    Right::on(SECRET, OWN),
    Right::on(MCP_SERVER, FOLLOW),
];

/// Versions of `ToolHive`'s API we read, the newest first (mcp-servers.md 3).
pub const MCP_SERVER_VERSIONS: [&str; 2] = ["v1beta1", "v1alpha1"];
/// What the applications deploy into.
const DEPLOYED: [Component; 4] =
    [Component::McpOpenshift, Component::McpGitea, Component::Agent, Component::Librechat];
/// Pause between looks at a page, which cannot be watched.
const PAGE_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// The step.
pub struct ApplicationSets {
    tenant: Arc<Tenant>,
    settings: Settings,
    librechat_password: SecretString,
}

impl ApplicationSets {
    /// The step for a tenant.
    pub fn new(tenant: Arc<Tenant>, settings: Settings, librechat_password: SecretString) -> Self {
        Self { tenant, settings, librechat_password }
    }

    /// Namespace of Argo CD.
    fn argo_cd(&self) -> &str {
        self.tenant.names.argo_cd_namespace().as_str()
    }

    /// The Secrets, and the sets that go with them.
    async fn objects(&self) -> Result<(Vec<(ObjectRef, Value)>, Vec<(ObjectRef, Value)>), StepError> {
        let secrets = self.secrets().await?;
        let token = &self.tenant.facts.gitea_token.get()?.0;
        let revisions = Revisions {
            gitea: revision(token.expose_secret()),
            librechat: revision(&secrets[0].1.to_string()),
            agent: revision(&secrets[1].1.to_string()),
        };
        let sets = Sets {
            revisions: &revisions,
            names: &self.tenant.names,
            settings: &self.settings,
            domain: &self.tenant.domain,
        };
        let sets = sets.all(self.tenant.has_routes()).into_iter();
        let sets =
            sets.map(|(name, set)| (ObjectRef::new(APPLICATION_SET, self.argo_cd(), name), set)).collect();
        Ok((secrets, sets))
    }

    /// The Secrets that hold what the charts must not: keys of LibreChat, the virtual key.
    async fn secrets(&self) -> Result<Vec<(ObjectRef, Value)>, StepError> {
        let (names, record) = (&self.tenant.names, &self.tenant.record);
        let key = self.tenant.facts.litellm.get()?;
        let base = format!("{}/v1", key.endpoint);
        let mut chosen = BTreeMap::new();
        for name in ["creds-key", "jwt-secret", "jwt-refresh-secret", "meili-master-key"] {
            chosen.insert(name, record.choose(&format!("librechat-{name}"), None, record::hex64).await);
        }
        chosen.insert("creds-iv", record.choose("librechat-creds-iv", None, record::hex32).await);
        let librechat = secret_data([
            ("CREDS_KEY", chosen["creds-key"].expose_secret()),
            ("CREDS_IV", chosen["creds-iv"].expose_secret()),
            ("JWT_SECRET", chosen["jwt-secret"].expose_secret()),
            ("JWT_REFRESH_SECRET", chosen["jwt-refresh-secret"].expose_secret()),
            ("MEILI_MASTER_KEY", chosen["meili-master-key"].expose_secret()),
            ("CUSTOM_MODEL_URL", &base),
            ("CUSTOM_MODEL_KEY", key.value.expose_secret()),
            ("DEFAULT_USER_NAME", names.username().as_str()),
            ("DEFAULT_USER_EMAIL", &self.settings.librechat_user(names)),
            ("DEFAULT_USER_PASSWORD", self.librechat_password.expose_secret()),
        ]);
        let agent =
            secret_data([("LITELLM_URL", base.as_str()), ("LITELLM_API_KEY", key.value.expose_secret())]);
        let secret = |component, name, data| {
            let at = ObjectRef::new(SECRET, names.namespace(component).as_str(), name);
            (at, json!({"type": "Opaque", "data": data}))
        };
        Ok(vec![
            secret(Component::Librechat, LIBRECHAT_CREDENTIALS, librechat),
            secret(Component::Agent, AGENT_CREDENTIALS, agent),
        ])
    }

    fn at_sets(&self) -> Vec<ObjectRef> {
        let names = self.tenant.names.application_sets();
        names.map(|name| ObjectRef::new(APPLICATION_SET, self.argo_cd(), name.to_string())).collect()
    }

    fn at_secrets(&self) -> Vec<ObjectRef> {
        let namespace = |component| self.tenant.names.namespace(component).as_str();
        vec![
            ObjectRef::new(SECRET, namespace(Component::Librechat), LIBRECHAT_CREDENTIALS),
            agent_credentials(&self.tenant.names),
        ]
    }

    /// Has Argo CD take up the Applications again that it has given up on: by itself it does so minutes after what was
    /// wrong has been put right, or never.
    async fn revive(&self) -> Result<(), StepError> {
        let cluster = &self.tenant.cluster;
        let found = cluster.list(&APPLICATION, self.argo_cd(), &self.tenant.selector()).await?;
        let given_up = found.iter().filter_map(|object| {
            let name = object.metadata.name.as_deref()?;
            Some((name, revival(self.argo_cd(), name, object)?))
        });
        let asked = given_up.map(|(name, change)| async move {
            let at = ObjectRef::new(APPLICATION, self.argo_cd(), name);
            cluster.apply_as(&at, "tenant-refresh", change).await
        });
        try_join_all(asked).await?;
        Ok(())
    }

    /// Waits until all five Applications are synced and healthy; fails as soon as one never will be.
    async fn until_healthy(&self, scope: &Scope) -> Result<(), StepError> {
        let (cluster, selector) = (&self.tenant.cluster, self.tenant.selector());
        let select = Select::Labels(&selector);
        let wanted: Vec<String> = self.tenant.names.applications().map(ToString::to_string).collect();
        let applications =
            cluster.until(scope, "the applications", &APPLICATION, self.argo_cd(), select, |found| {
                judge_applications(self.argo_cd(), &wanted, found)
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
            healthy = applications => healthy,
            Err(error) = sets => Err(error),
        }?;
        scope.ready("the ApplicationSets");
        Ok(())
    }

    /// Waits until ToolHive runs a server, where ToolHive runs them. Argo CD does not know what makes an
    /// `MCPServer` healthy.
    async fn until_running(
        &self,
        scope: &Scope,
        component: Component,
        server: &str,
    ) -> Result<(), StepError> {
        let Some(version) = self.tenant.version(&MCP_SERVER, &MCP_SERVER_VERSIONS) else { return Ok(()) };
        let at =
            ObjectRef::new(MCP_SERVER.at(version), self.tenant.names.namespace(component).as_str(), server);
        let cluster = &self.tenant.cluster;
        cluster
            .until(scope, &at.to_string(), &at.kind, &at.namespace, Select::Name(server), |found| {
                let status = found.get(server).map(|object| &object.data["status"]);
                match status.and_then(|status| status["phase"].as_str()) {
                    // v1beta1 says Ready, v1alpha1 says Running
                    Some("Running" | "Ready") => Verdict::Done(()),
                    Some(phase) => {
                        let message =
                            status.and_then(|status| status["message"].as_str()).unwrap_or_default();
                        Verdict::NotYet(format!("phase {phase} {message}").trim_end().to_owned())
                    }
                    None => Verdict::NotYet("ToolHive has not taken it up yet".to_owned()),
                }
            })
            .await
    }

    /// Waits until LibreChat answers as it does to strangers: 401 (provisioning.md 2.5 #7).
    async fn until_answering(&self, scope: &Scope) -> Result<(), StepError> {
        let base = self.librechat_url();
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

    fn librechat_url(&self) -> String {
        format!("https://{}", self.tenant.names.host(Component::Librechat, &self.tenant.domain))
    }

    /// A look without the key and the token the sets depend on: whether anything is there at all.
    async fn probe_bare(&self) -> Result<Seen, StepError> {
        let selector = self.tenant.selector();
        let found = self.tenant.cluster.list(&APPLICATION_SET, self.argo_cd(), &selector).await?;
        Ok(if found.is_empty() {
            Seen::new(State::Absent, [])
        } else {
            Seen::new(
                State::Drifted,
                ["they are there, but the virtual key or the Gitea token is not".to_owned()],
            )
        })
    }

    async fn until_applications_gone(&self, scope: &Scope) -> Result<(), StepError> {
        let selector = self.tenant.selector();
        let (what, select) = ("the applications to be gone", Select::Labels(&selector));
        let cluster = &self.tenant.cluster;
        cluster
            .until(scope, what, &APPLICATION, self.argo_cd(), select, |left| match left.first_key_value() {
                None => Verdict::Done(()),
                Some((name, object)) => Verdict::Held(Hindrance::to_deletion(
                    &ObjectRef::new(APPLICATION, self.argo_cd(), name),
                    format!("{} left; {name}: {}", left.len(), deleting(object)),
                )),
            })
            .await
    }
}

/// The Secret with the virtual key in the agent's namespace.
pub fn agent_credentials(names: &Names) -> ObjectRef {
    ObjectRef::new(SECRET, names.namespace(Component::Agent).as_str(), AGENT_CREDENTIALS)
}

/// Eight hexadecimal digits that change with `text` and tell nothing about it.
fn revision(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(&Sha256::digest(text.as_bytes())[..4])
}

#[expect(clippy::disallowed_methods, reason = "a page cannot be watched, only looked at again")]
async fn rest() {
    tokio::time::sleep(PAGE_PAUSE).await;
}

impl Manifests for ApplicationSets {
    fn manifests(&self) -> BoxFuture<'_, Result<Vec<(ObjectRef, Value)>, StepError>> {
        async move {
            let (secrets, sets) = self.objects().await?;
            Ok(secrets.into_iter().chain(sets).collect())
        }
        .boxed()
    }
}

impl Step for ApplicationSets {
    fn id(&self) -> StepId {
        "application-sets"
    }

    fn title(&self) -> &'static str {
        "ApplicationSets and what they deploy"
    }

    fn needs(&self) -> &'static [StepId] {
        &["app-project", "litellm-key", "mcp-servers"]
    }

    fn revert_after(&self) -> RevertAfter {
        RevertAfter::Only(&[])
    }

    fn probe<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let facts = &self.tenant.facts;
            if facts.litellm.peek().is_none() || facts.gitea_token.peek().is_none() {
                return self.probe_bare().await;
            }
            let (secrets, sets) = self.objects().await?;
            let Some(mut differences) = self.tenant.compare_all(sets).await? else {
                return Ok(Seen::new(State::Absent, []));
            };
            differences.extend(self.tenant.compare_all(secrets).await?.unwrap_or_default());
            let selector = self.tenant.selector();
            let found = self.tenant.cluster.list(&APPLICATION, self.argo_cd(), &selector).await?;
            let found = found
                .into_iter()
                .map(|one| (one.metadata.name.clone().unwrap_or_default(), Arc::new(one)))
                .collect();
            let wanted: Vec<String> = self.tenant.names.applications().map(ToString::to_string).collect();
            match judge_applications(self.argo_cd(), &wanted, &found) {
                Verdict::Done(()) => Ok(super::seen(Some(differences), || wanted)),
                Verdict::NotYet(_) | Verdict::Held(_) | Verdict::Never(_) if !differences.is_empty() => {
                    Ok(Seen::new(State::Drifted, differences))
                }
                Verdict::NotYet(seen) | Verdict::Held(Hindrance { seen, .. }) => {
                    Ok(Seen::new(State::NotReady, [seen]))
                }
                Verdict::Never(error) => {
                    let cause = error.cause.map(|cause| cause.to_string()).unwrap_or_default();
                    Ok(Seen::new(State::NotReady, [format!("{}: {cause}", error.what)]))
                }
            }
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            if !self.tenant.cluster.serves(&APPLICATION_SET) {
                return Ok(Seen::new(State::Skipped, ["no Argo CD here".to_owned()]));
            }
            let objects = self.at_sets().into_iter().chain(self.at_secrets()).collect();
            let mut outlook = Outlook::on(&self.tenant, objects).await?;
            let selector = self.tenant.selector();
            for application in self.tenant.cluster.list(&APPLICATION, self.argo_cd(), &selector).await? {
                let name = application.metadata.name.clone().unwrap_or_default();
                let at = ObjectRef::new(APPLICATION, self.argo_cd(), name);
                outlook.goes(format!("{at}, with all it deployed"));
            }
            Ok(outlook.seen())
        }
        .boxed()
    }

    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let (secrets, sets) = self.objects().await?;
            let mut changed = self.tenant.apply_all(secrets).await?;
            changed |= self.tenant.apply_all(sets).await?;
            self.revive().await?;
            let namespaces: Vec<&str> =
                DEPLOYED.iter().map(|at| self.tenant.names.namespace(*at).as_str()).collect();
            self.tenant.cluster.explained(scope, &namespaces, self.until_healthy(scope)).await?;
            let servers = [(Component::McpOpenshift, "openshift"), (Component::McpGitea, "gitea")];
            let running = try_join_all(servers.map(|(at, server)| self.until_running(scope, at, server)));
            futures::try_join!(running, self.until_answering(scope))?;
            Ok(super::outcome(changed, "five applications, synced and healthy".to_owned()))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            if !self.tenant.cluster.serves(&APPLICATION_SET) {
                return Ok(Outcome::skipped("no Argo CD here"));
            }
            let mut changed = self.tenant.remove_all(self.at_sets()).await?;
            self.until_applications_gone(scope).await?;
            // only now: pods must not lose what they read before they are gone
            changed |= self.tenant.remove_all(self.at_secrets()).await?;
            Ok(super::reverted(changed, "applications and all they deployed gone"))
        }
        .boxed()
    }
}
