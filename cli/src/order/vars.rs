//! Typed access to an order's variables.
//!
//! A getter takes the names a value may be given under, most specific first; a dotted name looks into a map.
//! The first name that is *set* wins: empty text, `unknown` (what the platform writes for absent placement
//! fields), null and `omit` count as not set. Text loses surrounding white space. Nothing is rendered before
//! it is asked for.

use std::{collections::BTreeMap, sync::Arc};

use indexmap::IndexMap;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tenant_kit::yaml::ansible::{self, kind_of};

use super::{
    known, lenient,
    source::{self, Argument, Origin, SourceError, Variable},
    template::{self, Scope, TemplateError},
};

/// The variables of one order.
#[derive(Debug, Clone, Default)]
pub struct Vars {
    scope: Arc<Scope>,
}

/// Why a variable cannot be used. One line: name, place, problem; never the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VarError {
    /// Not set under any of its names.
    #[error("`{name}` is not set; give it with `-e {name}=…` or in a variables file{}", other(.synonyms))]
    Missing {
        /// The first of its names.
        name: String,
        /// The others.
        synonyms: Vec<String>,
    },
    /// Its template cannot be rendered.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// It is of another kind.
    #[error("`{name}` ({origin}) must be {expected}, but is {found}")]
    WrongType {
        /// Its name, with the path inside of it.
        name: String,
        /// Where it was set.
        origin: Origin,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// YAML takes it for something other than what is written.
    #[error(
        "`{name}` ({origin}) is written without quotes, and YAML reads it as {found}; write {name}: \"…\""
    )]
    Unquoted {
        /// Its name.
        name: String,
        /// Where it was set.
        origin: Origin,
        /// What YAML takes it for.
        found: String,
    },
    /// Its contents do not fit.
    #[error("`{name}` ({origin}) cannot be used: {problem}")]
    Invalid {
        /// Its name, with the path inside of it.
        name: String,
        /// Where it was set.
        origin: Origin,
        /// What is wrong with it.
        problem: String,
    },
}

fn other(synonyms: &[String]) -> String {
    match synonyms {
        [] => String::new(),
        names => format!(" (also read from {})", names.join(", ")),
    }
}

/// A variable that is set, rendered.
struct Found {
    name: String,
    origin: Origin,
    value: Value,
    written: Option<String>,
}

impl Found {
    fn wrong(&self, expected: &str) -> VarError {
        VarError::WrongType {
            name: self.name.clone(),
            origin: self.origin.clone(),
            expected: expected.to_owned(),
            found: kind_of(&self.value).to_owned(),
        }
    }

    fn text(&self) -> Result<String, VarError> {
        match &self.value {
            Value::String(text) => Ok(text.trim().to_owned()),
            Value::Number(number) => {
                let text = number.to_string();
                match &self.written {
                    Some(written) if *written != text => Err(VarError::Unquoted {
                        name: self.name.clone(),
                        origin: self.origin.clone(),
                        found: "another number".to_owned(),
                    }),
                    _ => Ok(text),
                }
            }
            Value::Bool(_) if self.written.is_some() => Err(VarError::Unquoted {
                name: self.name.clone(),
                origin: self.origin.clone(),
                found: "a boolean".to_owned(),
            }),
            _ => Err(self.wrong("text")),
        }
    }

    /// The value, with text that looks like a list or map taken for one: `-e` knows nothing but text.
    fn structured(&self) -> Value {
        match &self.value {
            Value::String(text) if text.trim_start().starts_with(['[', '{']) => {
                ansible::read(text).unwrap_or_else(|_| self.value.clone())
            }
            value => value.clone(),
        }
    }
}

impl Vars {
    /// Reads all arguments, in order; `environment` is what `lookup('env', …)` sees.
    ///
    /// # Errors
    /// An argument that cannot be read.
    pub fn read(arguments: &[Argument], environment: BTreeMap<String, String>) -> Result<Self, SourceError> {
        let variables = source::read(arguments)?;
        Ok(Self { scope: Arc::new(Scope { variables, environment }) })
    }

    /// Sets a variable over whatever the sources say, as a flag of the command line does.
    #[must_use]
    pub fn with(self, name: &str, value: impl Into<Value>, origin: Origin) -> Self {
        let mut scope = Arc::unwrap_or_clone(self.scope);
        scope.variables.insert(name.to_owned(), Variable { value: value.into(), origin, written: None });
        Self { scope: Arc::new(scope) }
    }

    /// Adds variables below all others: they count where no source has the name at all.
    #[must_use]
    pub fn with_defaults(self, defaults: Map<String, Value>) -> Self {
        let mut scope = Arc::unwrap_or_clone(self.scope);
        for (name, value) in defaults {
            scope.variables.entry(name).or_insert(Variable { value, origin: Origin::Default, written: None });
        }
        Self { scope: Arc::new(scope) }
    }

    /// The names of all variables, in the order given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.scope.variables.keys().map(String::as_str)
    }

    /// Where a variable was set.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        let variable = name.split('.').next().unwrap_or(name);
        self.scope.variables.get(variable).map(|variable| &variable.origin)
    }

    /// The first of `names` that is set, so that messages can say which one was used.
    ///
    /// # Errors
    /// A template that cannot be rendered.
    pub fn first_set<'a>(&self, names: &[&'a str]) -> Result<Option<&'a str>, VarError> {
        for name in names {
            if self.find_one(name)?.is_some() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Warnings about names that are nearly one we know, with the right name.
    pub fn near_misses(&self) -> Vec<String> {
        let given: Vec<&str> = self.names().collect();
        given
            .iter()
            .filter_map(|name| {
                let meant = known::near_miss(name).filter(|meant| !given.contains(meant))?;
                let origin = self.origin(name)?;
                Some(format!("`{name}` ({origin}) is not a variable known here; did you mean `{meant}`?"))
            })
            .collect()
    }

    /// Text; numbers become text.
    ///
    /// # Errors
    /// A template that cannot be rendered, or another type. Unquoted YAML that reads differently from what
    /// is written (`0123`, `no`) is refused rather than guessed.
    pub fn text(&self, names: &[&str]) -> Result<Option<String>, VarError> {
        self.find(names)?.map(|found| found.text()).transpose()
    }

    /// As [`Vars::text`], and an error where it is not set.
    ///
    /// # Errors
    /// As [`Vars::text`], and [`VarError::Missing`].
    pub fn required_text(&self, names: &[&str]) -> Result<String, VarError> {
        self.text(names)?.ok_or_else(|| missing(names))
    }

    /// Text that must never be shown.
    ///
    /// # Errors
    /// As [`Vars::text`].
    pub fn secret(&self, names: &[&str]) -> Result<Option<SecretString>, VarError> {
        Ok(self.text(names)?.map(SecretString::from))
    }

    /// As [`Vars::secret`], and an error where it is not set.
    ///
    /// # Errors
    /// As [`Vars::secret`], and [`VarError::Missing`].
    pub fn required_secret(&self, names: &[&str]) -> Result<SecretString, VarError> {
        self.secret(names)?.ok_or_else(|| missing(names))
    }

    /// A boolean, also as text in any of YAML 1.1's spellings, and as 1 or 0.
    ///
    /// # Errors
    /// A template that cannot be rendered, or another type.
    pub fn flag(&self, names: &[&str]) -> Result<Option<bool>, VarError> {
        self.find(names)?
            .map(|found| {
                lenient::boolean(&found.value).ok_or_else(|| found.wrong("a boolean (true or false)"))
            })
            .transpose()
    }

    /// An integer, also as text.
    ///
    /// # Errors
    /// A template that cannot be rendered, or another type.
    pub fn integer(&self, names: &[&str]) -> Result<Option<i64>, VarError> {
        self.find(names)?
            .map(|found| {
                let parsed = match &found.value {
                    Value::String(text) => text.trim().parse().ok(),
                    value => value.as_i64(),
                };
                parsed.ok_or_else(|| found.wrong("a whole number"))
            })
            .transpose()
    }

    /// A list of texts; a single text counts as its items between commas.
    ///
    /// # Errors
    /// A template that cannot be rendered, or another type.
    pub fn text_list(&self, names: &[&str]) -> Result<Option<Vec<String>>, VarError> {
        let Some(found) = self.find(names)? else { return Ok(None) };
        let items = match found.structured() {
            Value::Array(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, value)| {
                    let name = format!("{}[{index}]", found.name);
                    Found { name, origin: found.origin.clone(), value, written: None }.text()
                })
                .collect::<Result<Vec<_>, _>>()?,
            Value::String(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            _ => return Err(found.wrong("a list of texts")),
        };
        Ok(Some(items.into_iter().filter(|item| !item.is_empty()).collect()))
    }

    /// A list of `T`, item by item, so that an error names the item.
    ///
    /// # Errors
    /// A template that cannot be rendered, another type, or an item that is no `T`.
    pub fn list<T: DeserializeOwned>(&self, names: &[&str]) -> Result<Option<Vec<T>>, VarError> {
        let Some(found) = self.find(names)? else { return Ok(None) };
        let Value::Array(items) = found.structured() else { return Err(found.wrong("a list")) };
        items
            .into_iter()
            .enumerate()
            .map(|(index, item)| typed(&format!("{}[{index}]", found.name), &found.origin, item))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A map as `T`; an empty map counts as not set.
    ///
    /// # Errors
    /// A template that cannot be rendered, another type, or contents that are no `T`.
    pub fn map<T: DeserializeOwned>(&self, names: &[&str]) -> Result<Option<T>, VarError> {
        let Some(found) = self.find(names)? else { return Ok(None) };
        match found.structured() {
            Value::Object(map) if map.is_empty() => Ok(None),
            value @ Value::Object(_) => typed(&found.name, &found.origin, value).map(Some),
            _ => Err(found.wrong("a map")),
        }
    }

    /// The rendered value, of whatever type.
    ///
    /// # Errors
    /// A template that cannot be rendered.
    pub fn json(&self, names: &[&str]) -> Result<Option<Value>, VarError> {
        Ok(self.find(names)?.map(|found| found.structured()))
    }

    /// The error for a value that is well-formed but cannot be used, with its place.
    pub fn invalid(&self, name: &str, problem: impl Into<String>) -> VarError {
        let origin = self.origin(name).cloned().unwrap_or(Origin::Default);
        VarError::Invalid { name: name.to_owned(), origin, problem: problem.into() }
    }

    fn find(&self, names: &[&str]) -> Result<Option<Found>, VarError> {
        names.iter().find_map(|name| self.find_one(name).transpose()).transpose()
    }

    fn find_one(&self, name: &str) -> Result<Option<Found>, VarError> {
        let Some(value) = template::render(&self.scope, name)?.filter(is_set) else { return Ok(None) };
        let variable = self.scope.variables.get(name);
        Ok(Some(Found {
            name: name.to_owned(),
            origin: self.origin(name).cloned().unwrap_or(Origin::Default),
            value,
            written: variable.and_then(|variable| variable.written.clone()),
        }))
    }
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !matches!(text.trim(), "" | "unknown"),
        _ => true,
    }
}

fn missing(names: &[&str]) -> VarError {
    let mut names = names.iter().map(|name| (*name).to_owned());
    VarError::Missing { name: names.next().unwrap_or_default(), synonyms: names.collect() }
}

fn typed<T: DeserializeOwned>(name: &str, origin: &Origin, value: Value) -> Result<T, VarError> {
    lenient::typed(value).map_err(|problem| VarError::Invalid {
        name: name.to_owned(),
        origin: origin.clone(),
        problem,
    })
}

/// Variables straight from pairs, for tests and defaults.
impl FromIterator<(String, Value)> for Vars {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(pairs: I) -> Self {
        let variables: IndexMap<String, Variable> = pairs
            .into_iter()
            .map(|(name, value)| (name, Variable { value, origin: Origin::Default, written: None }))
            .collect();
        Self { scope: Arc::new(Scope { variables, environment: BTreeMap::new() }) }
    }
}

#[cfg(test)]
mod tests;
