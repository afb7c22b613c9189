//! The tenant's virtual key at LiteLLM. It needs no cluster, and is deleted even when the cluster is gone.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tenant_workflow::{
    scope::Scope,
    step::{Failure, Outcome, RevertAfter, Seen, State, Step, StepError, StepId},
};

use crate::{
    facts::{Facts, LiteLlmKey as Fact},
    order::{VarError, Vars},
    record::Record,
    services::litellm::{Created, LiteLlm, VirtualKey},
    steps::{application_sets::agent_credentials, outlook::Outlook},
};

const PREFIX: &str = "ocp4_workload_litellm_virtual_keys_";
/// Where the record keeps the key's value, and its identity.
pub const RECORDED: &str = "litellm-key";

/// What an order says about the key.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The proxy.
    pub url: Option<String>,
    /// Its admin's key.
    pub master_key: Option<SecretString>,
    /// Whether its certificate is verified.
    pub verify: bool,
    /// Seconds for one exchange.
    pub timeout: u64,
    models: Vec<String>,
    duration: String,
    user_id: String,
    metadata: Map<String, Value>,
    max_budget: Option<f64>,
    /// Whether the messages tell the key.
    pub told: bool,
}

impl Settings {
    /// Reads the order's variables (agnosticd-compat.md 3.6, provisioning.md 2.4).
    ///
    /// # Errors
    ///
    /// When a variable has the wrong type.
    pub fn read(vars: &Vars, guid: &str) -> Result<Self, VarError> {
        let name = |suffix: &str| format!("{PREFIX}{suffix}");
        let mut models = vars.text_list(&[&name("models")])?.filter(|models| !models.is_empty());
        if models.is_none() {
            models =
                Some(vec!["granite-3-2-8b-instruct".to_owned(), "deepseek-r1-distill-qwen-14b".to_owned()]);
        }
        let mut models = models.unwrap_or_default();
        if vars.flag(&[&name("include_docling")])?.unwrap_or(false) {
            let docling = vars.text(&[&name("docling_model")])?.unwrap_or_else(|| "Docling".to_owned());
            if !models.contains(&docling) {
                models.push(docling);
            }
        }
        let configured = vars.text(&[&name("duration")])?.unwrap_or_else(|| "30d".to_owned());
        let email = vars.text(&["email", "requester_email", "requester"])?;
        let text = |names: &[&str], default: &str| {
            vars.text(names).map(|found| found.unwrap_or_else(|| default.to_owned()))
        };
        let mut metadata: Map<String, Value> = vars.map(&[&name("metadata")])?.unwrap_or_default();
        for (key, value) in [
            ("created_by", "babylon".to_owned()),
            ("environment", text(&["env_type"], "sandbox")?),
            ("owner", email.clone().unwrap_or_else(|| "unknown".to_owned())),
            ("catalog_item", text(&["catalog_item", "catalog_item_name"], "unknown")?),
        ] {
            metadata.entry(key).or_insert(json!(value));
        }
        Ok(Self {
            url: vars.text(&["litellm_url"])?,
            master_key: vars.secret(&["litellm_master_key"])?,
            verify: vars.flag(&[&name("verify_ssl")])?.unwrap_or(true),
            timeout: vars.integer(&[&name("api_timeout")])?.and_then(|s| u64::try_from(s).ok()).unwrap_or(30),
            models,
            duration: runtime(vars)?.unwrap_or(configured),
            user_id: vars
                .text(&[&name("user_id_format")])?
                .or(email)
                .unwrap_or_else(|| format!("{guid}@lab.opentlc.com")),
            metadata,
            max_budget: vars.text(&[&name("max_budget")])?.and_then(|budget| budget.parse().ok()),
            told: vars.flag(&[&name("enable_user_info_messages")])?.unwrap_or(true),
        })
    }

    /// The proxy and its master key, if the order gives both.
    pub fn proxy(&self) -> Option<(&str, &SecretString)> {
        self.url.as_deref().zip(self.master_key.as_ref())
    }

    /// The first variable the order lacks for reaching the proxy.
    pub fn missing(&self) -> Option<&'static str> {
        match (&self.url, &self.master_key) {
            (None, _) => Some("litellm_url"),
            (_, None) => Some("litellm_master_key"),
            _ => None,
        }
    }

    /// Models the key may use.
    pub fn models(&self) -> &[String] {
        &self.models
    }
}

/// How long the order is to run, such as `72h`, if it says so (provisioning.md 5.5).
///
/// # Errors
///
/// When the variable is no map.
pub fn runtime(vars: &Vars) -> Result<Option<String>, VarError> {
    let info: Option<Map<String, Value>> = vars.map(&["agnosticd_user_info"])?;
    Ok(info.as_ref().and_then(|info| info.get("runtime")).and_then(|hours| match hours {
        Value::Number(hours) => Some(format!("{hours}h")),
        Value::String(hours) if !hours.trim().is_empty() => Some(format!("{}h", hours.trim())),
        _ => None,
    }))
}

/// The step. It works without a cluster, so it holds the few parts of the tenant it needs.
pub struct LiteLlmKey {
    /// `None` when the order does not say where the proxy is.
    litellm: Option<LiteLlm>,
    settings: Settings,
    guid: String,
    alias: String,
    parts: Arc<dyn Parts>,
}

/// The parts of a tenant this step works with.
pub trait Parts: Send + Sync {
    /// The tenant's record.
    fn record(&self) -> &Record;
    /// The run's facts.
    fn facts(&self) -> &Facts;
    /// Whether something on the cluster holds a virtual key of the tenant.
    fn key_in_use(&self) -> BoxFuture<'_, Result<bool, StepError>>;
}

impl Parts for crate::tenant::Tenant {
    fn record(&self) -> &Record {
        &self.record
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn key_in_use(&self) -> BoxFuture<'_, Result<bool, StepError>> {
        async move { Ok(self.cluster.get(&agent_credentials(&self.names)).await?.is_some()) }.boxed()
    }
}

impl LiteLlmKey {
    /// The step for a tenant's parts.
    pub fn new(
        parts: Arc<dyn Parts>,
        litellm: Option<LiteLlm>,
        settings: Settings,
        guid: impl Into<String>,
        alias: impl Into<String>,
    ) -> Self {
        Self { litellm, settings, guid: guid.into(), alias: alias.into(), parts }
    }

    fn litellm(&self) -> Result<&LiteLlm, StepError> {
        self.litellm.as_ref().ok_or_else(|| {
            let missing = self.settings.missing().unwrap_or_default();
            StepError::new(Failure::Usage, "reach LiteLLM")
                .because(format!("the order does not set `{missing}`"))
                .hint("set litellm_url and litellm_master_key, or leave the step out: --skip litellm-key")
        })
    }

    /// Body of `/key/generate` (provisioning.md 5.2).
    fn request(&self) -> Value {
        let Settings { models, duration, user_id, metadata, max_budget, .. } = &self.settings;
        let mut metadata = metadata.clone();
        metadata.insert("guid".to_owned(), json!(self.guid));
        metadata.insert("models".to_owned(), json!(models.join(",")));
        metadata.insert("models_count".to_owned(), json!(models.len().to_string()));
        metadata.insert("duration".to_owned(), json!(duration));
        let mut body = json!({
            "models": models,
            "duration": duration,
            "user_id": user_id,
            "key_alias": self.alias,
            "metadata": metadata,
        });
        if let Some(budget) = max_budget {
            body["max_budget"] = json!(budget);
        }
        body
    }

    /// The key of the record, if LiteLLM still knows it.
    async fn kept(&self) -> Result<Option<VirtualKey>, StepError> {
        let record = self.parts.record();
        let (Some(value), Some(id)) = (record.secret(RECORDED).await, record.identity(RECORDED).await) else {
            return Ok(None);
        };
        let known = self.litellm()?.info(&id, &self.alias).await?;
        Ok(known.map(|info| VirtualKey { value, id, ends: info.ends }))
    }

    /// A new key. One that holds the alias already is of no use to anyone (its value cannot be read), and is
    /// replaced.
    async fn create(&self, scope: &Scope) -> Result<VirtualKey, StepError> {
        let request = self.request();
        for _ in 0..3 {
            match self.litellm()?.generate(&request).await? {
                Created::Key(key) => return Ok(key),
                Created::AliasTaken => {
                    scope.note(format!("key {} existed, its value unknown: replaced", self.alias));
                    self.litellm()?.delete(&self.alias).await?;
                }
            }
        }
        Err(StepError::new(Failure::Busy, format!("create key {}", self.alias))
            .because("its name is taken again as soon as it is freed")
            .hint("is another provision of this guid running?"))
    }

    /// A revert without a word about where LiteLLM is: fine if there was never a key.
    async fn without_proxy(&self) -> Result<Outcome, StepError> {
        let recorded = self.parts.record().holds(self.id()).await;
        if !recorded && !self.parts.key_in_use().await? {
            return Ok(Outcome::skipped("no LiteLLM in the order, and no trace of a key"));
        }
        let missing = self.settings.missing().unwrap_or_default();
        Err(StepError::new(Failure::Leftover, format!("delete key {}", self.alias))
            .because(format!("neither the order nor the record sets `{missing}`"))
            .hint("run destroy again with -e litellm_url=… and -e @file that sets litellm_master_key"))
    }

    fn fill(&self, key: VirtualKey) -> Result<(), StepError> {
        self.parts.facts().litellm.fill(Fact {
            endpoint: self.litellm()?.endpoint().to_owned(),
            value: key.value,
            id: key.id,
            alias: self.alias.clone(),
            models: self.settings.models.clone(),
            duration: self.settings.duration.clone(),
        })?;
        Ok(())
    }
}

impl Step for LiteLlmKey {
    fn id(&self) -> StepId {
        "litellm-key"
    }

    fn title(&self) -> &'static str {
        "virtual key at LiteLLM"
    }

    fn revert_after(&self) -> RevertAfter {
        RevertAfter::Only(&[])
    }

    fn probe<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            if let Some(missing) = self.settings.missing() {
                return Ok(Seen::new(
                    State::Skipped,
                    [format!("neither the order nor a record sets `{missing}`")],
                ));
            }
            if let Some(key) = self.kept().await? {
                self.fill(key)?;
                return Ok(Seen::new(State::Present, [format!("key {}", self.alias)]));
            }
            Ok(match self.litellm()?.count(&self.alias).await? {
                0 => Seen::new(State::Absent, []),
                _ => Seen::new(
                    State::Drifted,
                    [format!("key {} exists, its value is not on record", self.alias)],
                ),
            })
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let Some(litellm) = &self.litellm else {
                let told = self.without_proxy().await?;
                return Ok(Seen::new(State::Skipped, [told.summary]));
            };
            let mut outlook = Outlook::default();
            if litellm.count(&self.alias).await? > 0 {
                outlook.goes(format!("key {} at LiteLLM", self.alias));
            }
            Ok(outlook.seen())
        }
        .boxed()
    }

    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let summary = format!("key {}", self.alias);
            if let Some(key) = self.kept().await? {
                self.fill(key)?;
                return Ok(Outcome::unchanged(summary));
            }
            let key = self.create(scope).await?;
            if let Some(end) = key.ends {
                self.parts.record().note_end(end).await;
            }
            self.parts.record().keep(RECORDED, &key.value, &[(RECORDED, &key.id)]).await?;
            self.fill(key)?;
            Ok(Outcome::changed(summary))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            if self.litellm.is_none() {
                return self.without_proxy().await;
            }
            let deleted = self.litellm()?.delete(&self.alias).await?;
            let left = self.litellm()?.count(&self.alias).await?;
            if left > 0 {
                return Err(StepError::new(Failure::Leftover, format!("delete key {}", self.alias))
                    .because(format!("LiteLLM says it is deleted and still lists {left}"))
                    .hint("run destroy again"));
            }
            Ok(super::reverted(deleted, format!("key {} gone", self.alias)))
        }
        .boxed()
    }
}
