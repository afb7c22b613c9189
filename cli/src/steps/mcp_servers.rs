//! What the MCP servers need before Argo CD deploys them: a Gitea token in a Secret, and on OpenShift the
//! security context constraints their pods run under.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, ready, try_join};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tenant_workflow::{
    scope::Scope,
    step::{Outcome, Seen, State, Step, StepError, StepId},
};

use crate::{
    cluster::{ObjectRef, SCC, SECRET},
    facts::Token,
    names::{Component, McpServer},
    rights::{OWN, Right},
    services::gitea::Gitea,
    steps::{Manifests, outlook::Outlook},
    tenant::{Tenant, secret_data},
};

/// What the step does at the API server.
pub const RIGHTS: &[Right] = &[Right::on(SECRET, OWN), Right::on(SCC, OWN)];

/// Secret the Gitea MCP server reads its instance and token from (provisioning.md 8.2).
pub const GITEA_CREDENTIALS: &str = "gitea-creds";
/// Where the record keeps the token.
const RECORDED: &str = "gitea-token";

/// The step.
pub struct McpServers {
    tenant: Arc<Tenant>,
}

impl McpServers {
    /// The step for a tenant.
    pub fn new(tenant: Arc<Tenant>) -> Self {
        Self { tenant }
    }

    fn gitea(&self) -> Result<Gitea, StepError> {
        let instance = self.tenant.facts.gitea.get()?;
        Ok(Gitea::new(self.tenant.web.routed("Gitea", &instance.url)))
    }

    /// The token of the record, if Gitea still takes it.
    async fn kept(&self) -> Result<Option<SecretString>, StepError> {
        let Some(token) = self.tenant.record.secret(RECORDED).await else { return Ok(None) };
        Ok(self.gitea()?.accepts_token(&token).await?.then_some(token))
    }

    async fn ensure_token(&self) -> Result<(bool, SecretString), StepError> {
        if let Some(token) = self.kept().await? {
            return Ok((false, token));
        }
        let login = &self.tenant.facts.gitea_login.get()?.0;
        let token = self.gitea()?.create_token(login, self.tenant.names.gitea_token()).await?;
        self.tenant.record.keep(RECORDED, &token, &[]).await?;
        Ok((true, token))
    }

    fn credentials(&self, token: &SecretString) -> (ObjectRef, Value) {
        let url = self.tenant.names.gitea_internal_url();
        let data = secret_data([("url", url), ("token", token.expose_secret())]);
        (self.credentials_at(), json!({"type": "Opaque", "data": data}))
    }

    /// Where the credentials are; only its own server reads them.
    fn credentials_at(&self) -> ObjectRef {
        let namespace = self.tenant.names.namespace(Component::McpGitea).as_str();
        ObjectRef::new(SECRET, namespace, GITEA_CREDENTIALS)
    }

    /// Whether the tenant has the server the credentials are for.
    fn has_gitea(&self) -> bool {
        self.tenant.names.has(McpServer::Gitea)
    }

    /// provisioning.md 2.5.1: what `restricted` allows, plus the fixed user of the server images.
    fn constraints(&self) -> Option<(ObjectRef, Value)> {
        if !self.tenant.has_scc() {
            return None;
        }
        let names = &self.tenant.names;
        let accounts: Vec<String> = names
            .mcp_servers()
            .iter()
            .flat_map(|server| {
                let namespace = names.namespace(server.component());
                ["sa", "proxy-runner"]
                    .map(|suffix| format!("system:serviceaccount:{namespace}:{server}-{suffix}"))
            })
            .collect();
        let constraints = json!({
            "allowHostDirVolumePlugin": false,
            "allowHostIPC": false,
            "allowHostNetwork": false,
            "allowHostPID": false,
            "allowHostPorts": false,
            "allowPrivilegedContainer": false,
            "allowPrivilegeEscalation": false,
            // these three must be there, and null says "none" (OpenShift's CRD)
            "allowedCapabilities": null,
            "defaultAddCapabilities": null,
            "priority": null,
            "requiredDropCapabilities": ["KILL", "MKNOD", "SETUID", "SETGID"],
            "readOnlyRootFilesystem": true,
            "runAsUser": {"type": "MustRunAs", "uid": 1000},
            "seLinuxContext": {"type": "MustRunAs"},
            "fsGroup": {"type": "RunAsAny"},
            "supplementalGroups": {"type": "RunAsAny"},
            "groups": [],
            "users": accounts,
            "volumes": ["configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"],
        });
        Some((ObjectRef::cluster(SCC, names.scc()), constraints))
    }

    /// The objects this step makes.
    fn made(&self) -> Vec<ObjectRef> {
        let constraints = self.tenant.has_scc().then(|| ObjectRef::cluster(SCC, self.tenant.names.scc()));
        constraints.into_iter().chain([self.credentials_at()]).collect()
    }

    /// The token and the Secret with it, or no Secret where no server reads one; whether anything changed.
    async fn apply_credentials(&self) -> Result<bool, StepError> {
        if !self.has_gitea() {
            return Ok(self.tenant.remove(&self.credentials_at()).await?.changed());
        }
        let (fresh, token) = self.ensure_token().await?;
        let (at, secret) = self.credentials(&token);
        let applied = self.tenant.apply(&at, secret).await?;
        self.tenant.facts.gitea_token.fill(Token(token))?;
        Ok(fresh || applied.changed)
    }

    /// What the step has made, in a few words.
    fn summary(&self) -> String {
        let credentials = self.has_gitea().then(|| format!("Gitea token in Secret {GITEA_CREDENTIALS}"));
        let constraints = self.tenant.has_scc().then(|| "SCC".to_owned());
        match (credentials, constraints) {
            (Some(credentials), Some(constraints)) => format!("{credentials} and {constraints}"),
            (None, None) => "no server needs any".to_owned(),
            (one, other) => one.or(other).unwrap_or_default(),
        }
    }

    async fn apply_constraints(&self, scope: &Scope) -> Result<bool, StepError> {
        let Some((at, constraints)) = self.constraints() else {
            scope.note("no SecurityContextConstraints here: the pods run under the cluster's own policy");
            return Ok(false);
        };
        Ok(self.tenant.apply(&at, constraints).await?.changed)
    }
}

impl Manifests for McpServers {
    fn manifests(&self) -> BoxFuture<'_, Result<Vec<(ObjectRef, Value)>, StepError>> {
        let token = self.tenant.facts.gitea_token.get();
        let credentials = |token: &Token| self.has_gitea().then(|| self.credentials(&token.0));
        ready(token.map(|token| self.constraints().into_iter().chain(credentials(token)).collect())).boxed()
    }
}

impl Step for McpServers {
    fn id(&self) -> StepId {
        "mcp-servers"
    }

    fn title(&self) -> &'static str {
        "credentials of the MCP servers"
    }

    fn needs(&self) -> &'static [StepId] {
        &["gitea-user"]
    }

    fn probe<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let wanted = self.has_gitea();
            let token = match self.tenant.facts.gitea.peek() {
                Some(_) if wanted => self.kept().await?,
                _ => None,
            };
            let mut objects: Vec<_> = self.constraints().into_iter().collect();
            objects.extend(token.as_ref().map(|token| self.credentials(token)));
            let mut differences = match objects.as_slice() {
                [] if !wanted => Some(Vec::new()),
                _ => self.tenant.compare_all(objects).await?,
            };
            match (token, &mut differences) {
                (Some(token), _) => drop(self.tenant.facts.gitea_token.fill(Token(token))?),
                (None, Some(lines)) if wanted => {
                    lines.push("the Gitea token is not on record, or no longer valid".to_owned());
                }
                (None, Some(_)) => {}
                (None, None) => return Ok(Seen::new(State::Absent, [])),
            }
            let present = || if wanted { format!("Secret {GITEA_CREDENTIALS}") } else { self.summary() };
            Ok(super::seen(differences, || vec![present()]))
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move { Ok(Outlook::on(&self.tenant, self.made()).await?.seen()) }.boxed()
    }

    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let (credentials, constraints) =
                try_join(self.apply_credentials(), self.apply_constraints(scope)).await?;
            Ok(super::outcome(credentials || constraints, self.summary()))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            // the token goes with its user, and the user with the instance or in `gitea-user`
            let changed = self.tenant.remove_all(self.made()).await?;
            Ok(super::reverted(changed, "credentials gone"))
        }
        .boxed()
    }
}
