//! The pipeline-failure agent: one failed pipeline in, one correct issue out.
pub mod redact;
pub mod text;
