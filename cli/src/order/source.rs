//! Where variables come from: `-e` arguments and variables files, in the order given.
//!
//! The meaning of `-e` is Ansible's (`load_extra_vars`): `@file`, a YAML or JSON map, or `key=value` pairs,
//! whose values are always text. A later argument replaces an earlier one name by name; maps are not merged.

use std::{fmt, io, path::PathBuf, sync::Arc};

use indexmap::IndexMap;
use serde_json::Value;
use tenant_kit::yaml::ansible::{self, Fault, ReadError, VAULT_HEADER};

mod pairs;

pub use pairs::PairError;

/// One source of variables, as given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// The text of `-e`: `@file`, a map in YAML or JSON, or `key=value` pairs.
    Extra(String),
    /// The path of `--vars-file`.
    File(PathBuf),
}

/// Where a variable was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File {
        /// Its path, as given.
        path: Arc<str>,
        /// Line of the name, counted from 1.
        line: usize,
    },
    /// In the given `-e` argument, counted from 1.
    Extra(usize),
    /// In a flag of the command line.
    Flag(&'static str),
    /// Nowhere: it is a default of ours.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Extra(1) => f.write_str("-e"),
            Self::Extra(number) => write!(f, "-e number {number}"),
            Self::Flag(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A variable as it was given: not rendered yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// The value, templates included.
    pub value: Value,
    /// Where it was set.
    pub origin: Origin,
    /// The spelling of an unquoted YAML scalar that was taken for something other than text.
    pub written: Option<String>,
}

/// Why variables could not be read. One line: place, problem, remedy; never a value.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read the variables file {path}: {}", reason(.cause))]
    Unreadable {
        /// Path as given.
        path: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// `@-` or an empty file name.
    #[error("{origin} names no file; write `-e @path/to/vars.yml` (standard input is not read)")]
    NoFileName {
        /// The argument.
        origin: Origin,
    },
    /// A path without `@`.
    #[error("{origin} looks like a path; write `-e @{path}` to read it")]
    MissingAt {
        /// The argument.
        origin: Origin,
        /// What was given.
        path: String,
    },
    /// The file is not text.
    #[error("{path} is not UTF-8 text; variables files are YAML or JSON")]
    NotText {
        /// Path as given.
        path: String,
    },
    /// The whole file is encrypted.
    #[error("{path} is encrypted by ansible-vault; decrypt it first (`ansible-vault view {path}`)")]
    Vaulted {
        /// Path as given.
        path: String,
    },
    /// The document is not a map of variables in proper YAML.
    #[error("{place}:{}:{}: {}", .cause.line, .cause.column, .cause.fault)]
    Document {
        /// File or argument.
        place: String,
        /// What the reader found.
        cause: ReadError,
    },
    /// The `key=value` text cannot be taken apart.
    #[error("{origin}: {cause}")]
    Pairs {
        /// The argument.
        origin: Origin,
        /// Why not.
        cause: PairError,
    },
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file; check the path after `@`".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory; name the file in it".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied; make it readable for this user".to_owned(),
        _ => error.to_string(),
    }
}

/// Reads all arguments; a later one replaces what an earlier one set under the same name.
///
/// # Errors
/// The first argument that cannot be read; nothing is used then.
pub fn read(arguments: &[Argument]) -> Result<IndexMap<String, Variable>, SourceError> {
    let mut variables = IndexMap::new();
    let mut extras = 0;
    for argument in arguments {
        match argument {
            Argument::File(path) => read_file(&path.display().to_string(), path.into(), &mut variables)?,
            Argument::Extra(text) => {
                extras += 1;
                read_extra(text, Origin::Extra(extras), &mut variables)?;
            }
        }
    }
    Ok(variables)
}

fn read_extra(
    text: &str,
    origin: Origin,
    variables: &mut IndexMap<String, Variable>,
) -> Result<(), SourceError> {
    if let Some(path) = text.strip_prefix('@') {
        if path.is_empty() || path == "-" {
            return Err(SourceError::NoFileName { origin });
        }
        return read_file(path, PathBuf::from(path), variables);
    }
    if text.starts_with(['/', '.']) {
        return Err(SourceError::MissingAt { origin, path: text.to_owned() });
    }
    if text.starts_with(['{', '[']) {
        let document =
            document(text).map_err(|cause| SourceError::Document { place: origin.to_string(), cause })?;
        variables.extend(
            document
                .into_iter()
                .map(|(name, value, _, written)| (name, Variable { value, origin: origin.clone(), written })),
        );
        return Ok(());
    }
    let pairs = pairs::parse(text).map_err(|cause| SourceError::Pairs { origin: origin.clone(), cause })?;
    variables.extend(pairs.into_iter().map(|(name, value)| {
        (name, Variable { value: Value::String(value), origin: origin.clone(), written: None })
    }));
    Ok(())
}

fn read_file(
    shown: &str,
    path: PathBuf,
    variables: &mut IndexMap<String, Variable>,
) -> Result<(), SourceError> {
    let bytes =
        std::fs::read(path).map_err(|cause| SourceError::Unreadable { path: shown.to_owned(), cause })?;
    let text = String::from_utf8(bytes).map_err(|_| SourceError::NotText { path: shown.to_owned() })?;
    if text.starts_with(VAULT_HEADER) {
        return Err(SourceError::Vaulted { path: shown.to_owned() });
    }
    let document =
        document(&text).map_err(|cause| SourceError::Document { place: shown.to_owned(), cause })?;
    let path: Arc<str> = Arc::from(shown);
    variables.extend(document.into_iter().map(|(name, value, line, written)| {
        let origin = Origin::File { path: Arc::clone(&path), line };
        (name, Variable { value, origin, written })
    }));
    Ok(())
}

type Row = (String, Value, usize, Option<String>);

/// The variables of a YAML or JSON document.
fn document(text: &str) -> Result<Vec<Row>, ReadError> {
    match ansible::read_map(text) {
        Ok(entries) => Ok(entries
            .into_iter()
            .map(|(name, entry)| (name, entry.value, entry.line, entry.written))
            .collect()),
        // some JSON is not YAML: tabs as indentation, escaped slashes, surrogate pairs
        Err(error) if matches!(error.fault, Fault::Syntax(_)) => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => {
                Ok(map.into_iter().map(|(name, value)| (name, value, 1, None)).collect())
            }
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
