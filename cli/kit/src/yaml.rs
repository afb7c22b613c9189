//! YAML, in and out: the only module that names a YAML crate.
//!
//! Two readers, because two kinds of files exist. Files of ours (recipes, test data) are YAML 1.2 and strict
//! ([`from_str`]: unknown and repeated keys are errors). Files written for Ansible are YAML 1.1 as PyYAML
//! reads it ([`ansible`]): `no` is a boolean, `0644` is octal, `1e3` is text, `!vault` marks a secret.
//!
//! The writer of YAML 1.1 readers' files is not here: whatever an Ansible or Helm reader gets is JSON, but for
//! the user data files, whose bytes are a contract of their own.

use serde::{Serialize, de::DeserializeOwned};

pub mod ansible;
pub mod scalar;

/// A document of ours that cannot be read or written; place and cause in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Reads one YAML 1.2 document of our own making.
///
/// # Errors
/// Broken YAML, a second document, and whatever `T` refuses (derive it with `deny_unknown_fields`); the
/// message ends with line and column where the parser knows them.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    serde_yaml::from_str(text).map_err(|error| YamlError(error.to_string()))
}

/// Writes a YAML 1.2 document for people and for [`from_str`]; not for readers of YAML 1.1, which take
/// unquoted `no` for a boolean.
///
/// # Errors
/// A value YAML has no spelling for, such as a map with maps as keys.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, YamlError> {
    serde_yaml::to_string(value).map_err(|error| YamlError(error.to_string()))
}
