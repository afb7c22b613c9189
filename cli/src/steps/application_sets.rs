//! The ApplicationSets, one for each application, and the readiness of what Argo CD deploys from them.
//!
//! No secret is in them: the charts read Secrets that this step (and `mcp-servers`) writes into the tenant's
//! namespaces. Readiness is read from the Applications, so that a project that forbids a destination or a
//! manifest that does not render ends the run with Argo CD's own words instead of a time-out.

mod handshake;
mod judgement;
mod librechat;
mod readiness;
mod servers;
mod values;

use std::{collections::BTreeMap, sync::Arc};

use futures::future::{BoxFuture, FutureExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tenant_workflow::{
    scope::Scope,
    step::{Outcome, RevertAfter, Seen, State, Step, StepError, StepId},
};

pub use self::values::Settings;
use self::{
    judgement::{Wanted, judge_applications},
    values::{AGENT_CREDENTIALS, LIBRECHAT_CREDENTIALS, Revisions, Sets},
};
use crate::{
    cluster::{APPLICATION, APPLICATION_SET, Hindrance, JOB, MCP_SERVER, ObjectRef, POD, SECRET, Verdict},
    names::{Component, McpServer, Names},
    record,
    rights::{FOLLOW, OWN, Right, Verb},
    steps::{Manifests, outlook::Outlook, withdrawal},
    tenant::{Tenant, secret_data},
};

/// What the step does at the API server.
pub const RIGHTS: &[Right] = &[
    Right::on(APPLICATION_SET, OWN),
    Right::on(APPLICATION_SET, FOLLOW),
    Right::on(APPLICATION, &[Verb::Get, Verb::List, Verb::Watch, Verb::Patch]),
    Right::on(SECRET, OWN),
    Right::on(MCP_SERVER, FOLLOW),
    // looking asks for each server by name
    Right::on(MCP_SERVER, &[Verb::Get]),
    // the handshakes of the MCP servers: followed, and taken away when they have failed for good
    Right::on(JOB, &[Verb::Get, Verb::List, Verb::Watch, Verb::Delete]),
    Right::on(POD, &[Verb::List]),
];

/// Versions of `ToolHive`'s API we read, the newest first (mcp-servers.md 3).
pub const MCP_SERVER_VERSIONS: [&str; 2] = ["v1beta1", "v1alpha1"];

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
        let gitea = if self.tenant.names.has(McpServer::Gitea) {
            revision(self.tenant.facts.gitea_token.get()?.0.expose_secret())
        } else {
            String::new()
        };
        let revisions = Revisions {
            gitea,
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

    fn at_secrets(&self) -> Vec<ObjectRef> {
        let namespace = |component| self.tenant.names.namespace(component).as_str();
        vec![
            ObjectRef::new(SECRET, namespace(Component::Librechat), LIBRECHAT_CREDENTIALS),
            agent_credentials(&self.tenant.names),
        ]
    }

    /// What the applications deploy into.
    fn deployed(&self) -> Vec<&str> {
        let names = &self.tenant.names;
        let servers = names.mcp_servers().iter().map(|server| server.component());
        let parts = servers.chain([Component::Agent, Component::Librechat]);
        parts.map(|part| names.namespace(part).as_str()).collect()
    }

    /// Whether facts the sets depend on are missing.
    fn lacks_facts(&self) -> bool {
        let Tenant { facts, names, .. } = &*self.tenant;
        facts.litellm.peek().is_none() || names.has(McpServer::Gitea) && facts.gitea_token.peek().is_none()
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
}

/// The Secret with the virtual key in the agent's namespace.
pub fn agent_credentials(names: &Names) -> ObjectRef {
    ObjectRef::new(SECRET, names.namespace(Component::Agent).as_str(), AGENT_CREDENTIALS)
}

/// A small number as a word.
fn in_words(number: usize) -> String {
    const WORDS: [&str; 9] = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight"];
    WORDS.get(number).map_or_else(|| number.to_string(), ToString::to_string)
}

/// Eight hexadecimal digits that change with `text` and tell nothing about it.
fn revision(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(&Sha256::digest(text.as_bytes())[..4])
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
            if self.lacks_facts() {
                return self.probe_bare().await;
            }
            let (secrets, sets) = self.objects().await?;
            let wanted = Wanted::of(&self.tenant.names, &sets);
            let Some(mut differences) = self.tenant.compare_all(sets).await? else {
                return Ok(Seen::new(State::Absent, []));
            };
            differences.extend(self.tenant.compare_all(secrets).await?.unwrap_or_default());
            let selector = self.tenant.selector();
            let found = self.tenant.cluster.list(&APPLICATION, self.argo_cd(), &selector).await?;
            differences.extend(withdrawal::strays(&self.tenant, &found).map(|name| {
                format!(
                    "{} is of no server the order chooses",
                    ObjectRef::new(APPLICATION, self.argo_cd(), name)
                )
            }));
            let found = found
                .into_iter()
                .map(|one| (one.metadata.name.clone().unwrap_or_default(), Arc::new(one)))
                .collect();
            let seen = match judge_applications(self.argo_cd(), &wanted, &found) {
                Verdict::Done(()) => {
                    // Argo CD's health knows nothing of what an operator makes of an object
                    let unready = self.unready_servers().await?;
                    if unready.is_empty() || !differences.is_empty() {
                        let names = || wanted.into_iter().map(|one| one.name).collect();
                        return Ok(super::seen(Some(differences), names));
                    }
                    unready.join("; ")
                }
                _ if !differences.is_empty() => return Ok(Seen::new(State::Drifted, differences)),
                Verdict::NotYet(seen) | Verdict::Held(Hindrance { seen, .. }) => seen,
                Verdict::Never(error) => {
                    let cause = error.cause.map(|cause| cause.to_string()).unwrap_or_default();
                    format!("{}: {cause}", error.what)
                }
            };
            Ok(Seen::new(State::NotReady, std::iter::once(seen).chain(self.hindrances().await)))
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            if !self.tenant.cluster.serves(&APPLICATION_SET) {
                return Ok(Seen::new(State::Skipped, ["no Argo CD here".to_owned()]));
            }
            let selector = self.tenant.selector();
            let list = |kind| self.tenant.cluster.list(kind, self.argo_cd(), &selector);
            let (sets, applications, mut outlook) = futures::try_join!(
                async { Ok::<_, StepError>(list(&APPLICATION_SET).await?) },
                async { Ok(list(&APPLICATION).await?) },
                Outlook::on(&self.tenant, self.at_secrets()),
            )?;
            for set in sets {
                let name = set.metadata.name.clone().unwrap_or_default();
                outlook.object(&ObjectRef::new(APPLICATION_SET, self.argo_cd(), name), &set);
            }
            for application in applications {
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
            for lack in servers::agent_lacks(&self.tenant.names) {
                scope.warn(lack);
            }
            let (secrets, sets) = self.objects().await?;
            let wanted = Wanted::of(&self.tenant.names, &sets);
            let mut changed = self.tenant.apply_all(secrets).await?;
            changed |= self.tenant.apply_all(sets).await?;
            changed |= self.tidy(scope).await?;
            let namespaces = self.deployed();
            self.tenant.cluster.explained(scope, &namespaces, self.until_deployed(scope, &wanted)).await?;
            futures::try_join!(self.until_running(scope), self.until_answering(scope))?;
            let summary = format!("{} applications, synced and healthy", in_words(wanted.len()));
            Ok(super::outcome(changed, summary))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            if !self.tenant.cluster.serves(&APPLICATION_SET) {
                return Ok(Outcome::skipped("no Argo CD here"));
            }
            // by label, so that those of servers of an earlier order go too
            let mut changed = withdrawal::all(&self.tenant, scope).await?;
            // only now: pods must not lose what they read before they are gone
            changed |= self.tenant.remove_all(self.at_secrets()).await?;
            Ok(super::reverted(changed, "applications and all they deployed gone"))
        }
        .boxed()
    }
}
