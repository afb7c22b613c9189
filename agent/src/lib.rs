//! The pipeline-failure agent: one failed pipeline in, one correct issue out.
//!
//! The path of a report: intake, evidence, redaction, reduction, rules, fingerprint, model (optional),
//! verification, issue, filing. The model diagnoses; code files.

pub mod command;
pub mod diagnosis;
pub mod evidence;
pub mod excerpt;
pub mod fingerprint;
pub mod injection;
pub mod issue;
pub mod lines;
pub mod redact;
pub mod rules;
pub mod text;
