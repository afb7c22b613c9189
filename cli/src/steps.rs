//! The steps of a tenant: one file each, with `probe`, `apply` and `revert` side by side, and the recipe that
//! lists them.

pub mod app_project;
pub mod application_sets;
pub mod console_embed;
pub mod gitea_instance;
pub mod gitea_user;
pub mod keycloak_user;
pub mod litellm_key;
pub mod mcp_servers;
pub mod namespaces;
mod outlook;
pub mod showroom;
pub mod withdrawal;

use futures::future::BoxFuture;
use serde_json::Value;
use tenant_workflow::step::{Failure, Outcome, Seen, State, StepError, StepId};

use crate::cluster::{Object, ObjectRef};

/// The recipe that is compiled in: the order people see, of `--serial`, and (reversed) of destroy.
pub const DEFAULT_RECIPE: [StepId; 10] = [
    "keycloak-user",
    "namespaces",
    "app-project",
    "gitea-instance",
    "gitea-user",
    "litellm-key",
    "mcp-servers",
    "application-sets",
    "console-embed",
    "showroom",
];

/// A step whose objects can be shown without a cluster, as far as the order decides them.
pub trait Manifests {
    /// The objects it would apply. Facts it needs must be filled.
    ///
    /// # Errors
    ///
    /// When a fact is missing.
    fn manifests(&self) -> BoxFuture<'_, Result<Vec<(ObjectRef, Value)>, StepError>>;
}

/// What a comparison found, as a probe's result.
fn seen(differences: Option<Vec<String>>, present: impl FnOnce() -> Vec<String>) -> Seen {
    match differences {
        None => Seen::new(State::Absent, []),
        Some(lines) if lines.is_empty() => Seen::new(State::Present, present()),
        Some(lines) => Seen::new(State::Drifted, lines),
    }
}

fn outcome(changed: bool, summary: String) -> Outcome {
    if changed { Outcome::changed(summary) } else { Outcome::unchanged(summary) }
}

/// What a revert did: `gone` says what it was about.
fn reverted(changed: bool, gone: impl Into<String>) -> Outcome {
    if changed { Outcome::changed(gone) } else { Outcome::unchanged("nothing there") }
}

/// One entry of a Secret, decoded.
fn secret_entry(at: &ObjectRef, secret: &Object, key: &str) -> Result<String, StepError> {
    use base64::Engine as _;
    let held = secret.data["data"][key].as_str();
    let bytes = held.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| text.trim().to_owned()).ok_or_else(
        || {
            StepError::new(Failure::Service, format!("read {at}"))
                .because(format!("it has no readable entry `{key}`"))
        },
    )
}
