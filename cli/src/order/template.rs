//! Templates in variables: Jinja as Ansible applies it to an order's values.
//!
//! A value that contains `{{ … }}` is rendered when it is asked for, with the variables it names, which may be
//! templates again; what nobody asks for may stay broken. A value that is exactly one expression keeps the type
//! of its result, everything else becomes text. Undefined names are errors, unless `default` or `is defined`
//! looks at them first. There is no access to files, commands or the network: look-ups other than `env` and
//! `vars` are refused, because only Ansible can do them.
//!
//! Owner of `minijinja`.

use std::{collections::BTreeMap, fmt, sync::Arc};

use indexmap::IndexMap;
use serde_json::Value;

use super::source::{Origin, Variable};

mod engine;
mod evaluation;
mod filters;
mod objects;
mod python;

/// What templates may refer to.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The variables, as given.
    pub variables: IndexMap<String, Variable>,
    /// What `lookup('env', …)` sees.
    pub environment: BTreeMap<String, String>,
}

/// Renders one variable, or with a dotted path one value inside of it, completely.
///
/// `None` when there is no such variable or path, and for `omit`.
///
/// # Errors
/// The first reference, operation or limit that stopped the rendering.
pub fn render(scope: &Arc<Scope>, path: &str) -> Result<Option<Value>, TemplateError> {
    evaluation::render(scope, path)
}

/// A variable whose template was being rendered, and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Name or path of the value.
    pub name: String,
    /// Where its variable was set.
    pub origin: Origin,
}

/// How the rendering came to the place of the error: the failing value first, what was asked for last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(pub Vec<Link>);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut links = self.0.iter();
        if let Some(first) = links.next() {
            write!(f, "`{}` ({})", first.name, first.origin)?;
        }
        for link in links {
            write!(f, ", used by `{}`", link.name)?;
        }
        Ok(())
    }
}

/// Why a value cannot be rendered. One line; never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A name that no source sets.
    #[error("`{name}` is not defined, but needed by {chain}; set it, or write `{name} | default(…)`")]
    Undefined {
        /// The name or path.
        name: String,
        /// Who needs it.
        chain: Chain,
    },
    /// Variables that need each other.
    #[error("variables refer to each other in a circle: {}", circle(.0))]
    Circular(Vec<Link>),
    /// Not a template.
    #[error("the template in {chain} cannot be parsed{}", detailed(.detail.as_deref()))]
    Syntax {
        /// Where.
        chain: Chain,
        /// What the parser says, unless the variable is secret.
        detail: Option<String>,
    },
    /// A filter, function, test or look-up that we do not have.
    #[error(
        "{what} in {chain} is not supported here; have Ansible render the variable, or give a plain value"
    )]
    AnsibleOnly {
        /// Which.
        what: String,
        /// Where.
        chain: Chain,
    },
    /// A password made anew at every reading.
    #[error(
        "lookup('password') in {chain} makes another password at every reading; give the password, or \
         leave it out and a random one is made and kept"
    )]
    PasswordLookup {
        /// Where.
        chain: Chain,
    },
    /// An encrypted value.
    #[error(
        "{chain} is encrypted by ansible-vault; only Ansible can resolve it, so give it in plain with `-e @file`"
    )]
    Vaulted {
        /// Where.
        chain: Chain,
    },
    /// An operation on the wrong kind of value.
    #[error("the template in {chain} failed{}", detailed(.detail.as_deref()))]
    Failed {
        /// Where.
        chain: Chain,
        /// What went wrong, unless the variable is secret.
        detail: Option<String>,
    },
    /// More references than any catalog has.
    #[error("references are nested too deep at {chain}")]
    TooDeep {
        /// Where.
        chain: Chain,
    },
    /// A rendered text of absurd size, or a template that does not end.
    #[error("the template in {chain} does too much: more than a variable can need")]
    TooLarge {
        /// Where.
        chain: Chain,
    },
}

fn circle(links: &[Link]) -> String {
    let names: Vec<String> = links.iter().map(|link| format!("`{}`", link.name)).collect();
    let first = links.first().map_or_else(String::new, |link| format!(" ({})", link.origin));
    format!("{}{first}", names.join(" → "))
}

fn detailed(detail: Option<&str>) -> String {
    detail.map_or_else(String::new, |detail| format!(": {detail}"))
}

#[cfg(test)]
mod tests;
