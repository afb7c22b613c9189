//! The tenant record: what a re-run must know and cannot read anywhere else.
//!
//! One Secret per tenant, [`SYSTEM_NAMESPACE`]`/tenant-<guid>`. It holds the passwords and keys chosen for the
//! tenant *before* anything is created with them, the value of the virtual key (LiteLLM never shows it again),
//! and names. Nothing requires it: with the record lost a re-run chooses anew and sets what it chose, and
//! destroy works from the guid alone.

mod content;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tenant_kit::secret::{self, Redactor};
use tenant_workflow::step::{StepError, StepId};
use tokio::sync::Mutex;

use self::content::read;
pub use self::content::{facts, variables};
use crate::{
    cluster::{Cluster, NAMESPACE, Object, ObjectRef, SECRET},
    names::Names,
    order::{Vars, known},
    rights::{KEEP, OWN, Right},
};

/// What keeping records takes.
pub const RIGHTS: &[Right] = &[Right::on(NAMESPACE, KEEP), Right::on(SECRET, OWN)];

/// Namespace of the records; made when missing, and kept: it belongs to no tenant.
pub const SYSTEM_NAMESPACE: &str = "tenant-system";

/// Version of the record's shape that this program writes. Older ones are read; newer ones are refused, so
/// that an old program never overwrites what it does not understand.
pub const SCHEMA: u32 = 1;

/// Variable, and key of the Secret.
const MASTER_KEY: &str = "litellm_master_key";

/// Key of the Secret that holds the readable part.
const FACTS: &str = "tenant.json";

/// What a record says besides its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFacts {
    /// Version of this shape.
    pub schema: u32,
    /// The order.
    pub guid: String,
    /// The tenant's login.
    pub username: String,
    /// Component → namespace.
    pub namespaces: BTreeMap<String, String>,
    /// When the tenant was first provisioned, RFC 3339.
    pub created: String,
    /// Identities of things outside the cluster, by name, such as the hash of the virtual key.
    #[serde(default)]
    pub identities: BTreeMap<String, String>,
    /// When the tenant's life is over, RFC 3339, if that is known: that of its virtual key, or as extended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// Where in its life the tenant is.
    #[serde(default)]
    pub state: Life,
    /// Steps that were begun and are not known to be undone.
    #[serde(default)]
    pub steps: BTreeSet<String>,
    /// What the order said, as far as we understand it; no secrets.
    #[serde(default)]
    pub variables: Map<String, Value>,
}

/// Where in its life a tenant is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// Being set up, or its set-up was killed.
    #[default]
    Provisioning,
    /// Set up.
    Ready,
    /// Its set-up ended with a failure.
    Unfinished,
    /// Partly removed.
    Destroying,
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provisioning => "provisioning",
            Self::Ready => "ready",
            Self::Unfinished => "unfinished",
            Self::Destroying => "destroying",
        })
    }
}

/// A tenant's record, read once and written through.
pub struct Record {
    cluster: Option<Cluster>,
    at: ObjectRef,
    labels: Map<String, Value>,
    redactor: Arc<Redactor>,
    existed: bool,
    /// `resourceVersion` it was read at.
    version: Option<String>,
    held: Mutex<Held>,
}

struct Held {
    facts: RecordFacts,
    secrets: BTreeMap<String, SecretString>,
}

/// Where a guid's record is kept.
pub fn location(guid: &str) -> ObjectRef {
    ObjectRef::new(SECRET, SYSTEM_NAMESPACE, format!("tenant-{guid}"))
}

impl Record {
    /// The tenant's record as it was `found`, or an empty one; writes nothing. Without a cluster (its API
    /// server gone for good) it lives in memory.
    ///
    /// # Errors
    ///
    /// When the record was written by a newer program.
    pub fn open(
        cluster: Option<Cluster>,
        found: Option<Object>,
        names: &Names,
        redactor: Arc<Redactor>,
    ) -> Result<Self, StepError> {
        let at = location(names.guid().as_str());
        let fresh = RecordFacts {
            schema: SCHEMA,
            guid: names.guid().to_string(),
            username: names.username().to_string(),
            namespaces: names.namespaces().map(|(part, name)| (part.to_string(), name.to_string())).collect(),
            created: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            identities: BTreeMap::new(),
            ends: None,
            state: Life::default(),
            steps: BTreeSet::new(),
            variables: Map::new(),
        };
        let existed = found.is_some();
        let version = found.as_ref().and_then(|object| object.metadata.resource_version.clone());
        let (old, secrets) = found.map(|object| read(&at, &object)).transpose()?.unwrap_or_default();
        let facts = match old {
            Some(old) => RecordFacts {
                created: old.created,
                identities: old.identities,
                ends: old.ends,
                state: old.state,
                steps: old.steps,
                variables: old.variables,
                ..fresh
            },
            None => fresh,
        };
        for secret in secrets.values() {
            redactor.learn(secret);
        }
        let held = Mutex::new(Held { facts, secrets });
        Ok(Self { cluster, at, labels: names.labels(), redactor, existed, version, held })
    }

    /// Whether the cluster still has the record as it was read.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn is_current(&self) -> Result<bool, StepError> {
        let Some(cluster) = &self.cluster else { return Ok(true) };
        let found = cluster.get(&self.at).await?;
        Ok(found.and_then(|object| object.metadata.resource_version) == self.version)
    }

    /// Whether the cluster had the record.
    pub fn existed(&self) -> bool {
        self.existed
    }

    /// Takes down what the order says, and forgets what it does not say any more, for commands that are given the
    /// guid alone. LiteLLM's master key is the one secret of the platform among it: without it such a destroy would
    /// leave the virtual key behind. Nothing is written until [`Record::begin`].
    pub async fn remember(&self, vars: &Vars) {
        let mut held = self.held.lock().await;
        for name in known::names().filter(|name| !known::is_secret(name)) {
            match vars.json(&[name]) {
                Ok(Some(value)) => drop(held.facts.variables.insert(name.to_owned(), value)),
                Ok(None) => drop(held.facts.variables.remove(name)),
                Err(_) => {}
            }
        }
        if let Ok(Some(key)) = vars.secret(&[MASTER_KEY]) {
            self.redactor.learn(&key);
            held.secrets.insert(MASTER_KEY.to_owned(), key);
        }
    }

    /// The secret called `name`.
    pub async fn secret(&self, name: &str) -> Option<SecretString> {
        self.held.lock().await.secrets.get(name).cloned()
    }

    /// An identity kept under `name`.
    pub async fn identity(&self, name: &str) -> Option<String> {
        self.held.lock().await.facts.identities.get(name).cloned()
    }

    /// The secret called `name`: as given now, else as kept, else made by `make` and kept.
    /// Nothing is written until [`Record::begin`].
    pub async fn choose(
        &self,
        name: &str,
        given: Option<SecretString>,
        make: impl FnOnce() -> SecretString,
    ) -> SecretString {
        let mut held = self.held.lock().await;
        let chosen = given.or_else(|| held.secrets.get(name).cloned()).unwrap_or_else(make);
        self.redactor.learn(&chosen);
        held.secrets.insert(name.to_owned(), chosen.clone());
        chosen
    }

    /// Keeps a secret, and identities that go with it, and writes the record.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn keep(
        &self,
        name: &str,
        value: &SecretString,
        identities: &[(&str, &str)],
    ) -> Result<(), StepError> {
        self.hold(name, value, identities).await;
        let held = self.held.lock().await;
        self.write(&held).await
    }

    /// As [`Record::keep`], but nothing is written until the record is: for what only saves work.
    pub async fn hold(&self, name: &str, value: &SecretString, identities: &[(&str, &str)]) {
        let mut held = self.held.lock().await;
        self.redactor.learn(value);
        held.secrets.insert(name.to_owned(), value.clone());
        for (key, identity) in identities {
            held.facts.identities.insert((*key).to_owned(), (*identity).to_owned());
        }
    }

    /// Notes that these steps are about to be applied, and writes the record; makes the system namespace
    /// when it is missing.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn begin(&self, steps: impl Iterator<Item = StepId>) -> Result<(), StepError> {
        let mut held = self.held.lock().await;
        held.facts.steps.extend(steps.map(str::to_owned));
        held.facts.state = Life::Provisioning;
        self.write(&held).await
    }

    /// Notes how a provision ended.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn settle(&self, done: bool) -> Result<(), StepError> {
        let mut held = self.held.lock().await;
        held.facts.state = if done { Life::Ready } else { Life::Unfinished };
        self.write(&held).await
    }

    /// Notes that these steps are undone and those are not, and removes the record when none is left.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn forget(
        &self,
        undone: impl Iterator<Item = StepId>,
        left: impl Iterator<Item = StepId>,
    ) -> Result<(), StepError> {
        let mut held = self.held.lock().await;
        for step in undone {
            held.facts.steps.remove(step);
        }
        held.facts.steps.extend(left.map(str::to_owned));
        match &self.cluster {
            Some(cluster) if held.facts.steps.is_empty() => drop(cluster.remove(&self.at, &[]).await?),
            Some(_) => {
                held.facts.state = Life::Destroying;
                self.write(&held).await?;
            }
            None => {}
        }
        Ok(())
    }

    /// When the tenant's life is over, if that is known.
    pub async fn end(&self) -> Option<Timestamp> {
        self.held.lock().await.facts.ends.as_deref().and_then(|end| end.parse().ok())
    }

    /// Where in its life the tenant is.
    pub async fn state(&self) -> Life {
        self.held.lock().await.facts.state
    }

    /// Notes when the tenant's life is over. Nothing is written until the record is.
    pub async fn note_end(&self, end: Timestamp) {
        self.held.lock().await.facts.ends = Some(end.to_string());
    }

    /// Sets when the tenant's life is over, and writes the record.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses.
    pub async fn extend(&self, end: Timestamp) -> Result<(), StepError> {
        let mut held = self.held.lock().await;
        held.facts.ends = Some(end.to_string());
        self.write(&held).await
    }

    /// Whether a step was begun and is not known to be undone.
    pub async fn holds(&self, step: StepId) -> bool {
        self.held.lock().await.facts.steps.contains(step)
    }

    async fn write(&self, held: &Held) -> Result<(), StepError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let facts = serde_json::to_string(&held.facts).expect("the facts are plain strings and maps");
        let mut data: Map<String, Value> = held
            .secrets
            .iter()
            .map(|(name, value)| (name.clone(), json!(BASE64.encode(value.expose_secret()))))
            .collect();
        data.insert(FACTS.to_owned(), json!(BASE64.encode(facts)));
        let object = json!({"metadata": {"labels": self.labels}, "type": "Opaque", "data": data});
        match cluster.apply(&self.at, object.clone()).await {
            Err(error) if error.is_not_found() => {
                let namespace = ObjectRef::cluster(NAMESPACE, SYSTEM_NAMESPACE);
                let labels = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "tenant"}}});
                cluster.apply(&namespace, labels).await?;
                cluster.apply(&self.at, object).await?;
            }
            other => drop(other?),
        }
        Ok(())
    }
}

/// A key of 64 hexadecimal characters, as LibreChat documents for its encryption and token keys.
pub fn hex64() -> SecretString {
    secret::random_hex(32)
}

/// A key of 32 hexadecimal characters.
pub fn hex32() -> SecretString {
    secret::random_hex(16)
}
