//! The pipeline-failure agent: one failed pipeline in, one correct issue out.
//!
//! The path of a report: intake, evidence, redaction, reduction, rules, fingerprint, model (optional),
//! verification, issue, filing. The model diagnoses; code files.

pub mod cluster;
pub mod command;
pub mod diagnosis;
pub mod dialogue;
pub mod evidence;
pub mod excerpt;
pub mod filing;
pub mod fingerprint;
pub mod http;
pub mod injection;
pub mod investigation;
pub mod issue;
pub mod journal;
pub mod ledger;
pub mod lines;
pub mod metrics;
pub mod model;
pub mod recording;
pub mod redact;
pub mod report;
pub mod routes;
pub mod rules;
pub mod settings;
mod source;
pub mod store;
pub mod text;
pub mod traces;

/// Sent with every request of ours.
pub const USER_AGENT: &str = concat!("pipeline-agent/", env!("CARGO_PKG_VERSION"));
