//! The recipe as data: an ordered list of step names with settings, and the catalogue that turns it into
//! steps.
//!
//! ```yaml
//! - step: namespaces
//! - step: gitea-instance
//!   settings: { replicas: 1 }
//! ```

use std::{collections::BTreeMap, error::Error, fmt, sync::Arc};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use thiserror::Error;

use crate::step::{Step, StepId};

type Cause = Box<dyn Error + Send + Sync>;

/// An ordered list of step names with settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recipe {
    /// The entries, in order.
    pub entries: Vec<Entry>,
}

/// One entry of a recipe.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `step` and, if any, `settings`")]
pub struct Entry {
    /// The step's name.
    pub step: String,
    /// What the recipe sets for it.
    #[serde(default)]
    pub settings: Settings,
}

/// The settings of one entry.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Settings(BTreeMap<String, Value>);

impl Settings {
    /// Reads the settings as `T`, which should deny unknown fields.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let fields = self.0.iter().map(|(key, value)| (key.clone(), value.clone()));
        serde_json::from_value(Value::Object(fields.collect()))
    }
}

/// Makes a step from what all steps share and its own settings.
pub type Make<C> = fn(&C, &Settings) -> Result<Arc<dyn Step>, Cause>;

/// Why a recipe cannot be used.
#[derive(Debug, Error)]
pub enum RecipeError {
    /// It is not a list.
    #[error("a recipe is a list of entries with `step` and, if any, `settings`; this is {found}")]
    NotAList {
        /// The kind of value there is.
        found: &'static str,
    },
    /// An entry is not as it should be.
    #[error("{place} of the recipe")]
    Entry {
        /// Which one.
        place: Place,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An entry names a step that is not in the catalogue.
    #[error("{place} of the recipe is no step{}; known are {}", 
        nearest(&.place.step, .known), .known.join(", "))]
    Unknown {
        /// Which one.
        place: Place,
        /// The catalogue's steps.
        known: Vec<StepId>,
    },
    /// A step does not accept its settings.
    #[error("settings of {place} of the recipe")]
    Settings {
        /// Which one.
        place: Place,
        /// What is wrong with them.
        source: Cause,
    },
}

/// An entry's place in the recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Counted from one.
    pub number: usize,
    /// The step it names; empty if it names none.
    pub step: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, step } = self;
        if step.is_empty() { write!(f, "entry {number}") } else { write!(f, "entry {number} (`{step}`)") }
    }
}

impl Recipe {
    /// Reads a recipe from a document, as parsed from YAML or JSON.
    pub fn read(document: Value) -> Result<Self, RecipeError> {
        let list = match document {
            Value::Array(list) => list,
            Value::Null => return Err(RecipeError::NotAList { found: "empty" }),
            Value::Object(_) => return Err(RecipeError::NotAList { found: "a mapping" }),
            _ => return Err(RecipeError::NotAList { found: "a single value" }),
        };
        let entry = |(at, value): (usize, Value)| {
            let step = value.get("step").and_then(Value::as_str).unwrap_or_default().to_owned();
            let place = Place { number: at + 1, step };
            serde_json::from_value(value).map_err(|source| RecipeError::Entry { place, source })
        };
        Ok(Self { entries: list.into_iter().enumerate().map(entry).collect::<Result<_, _>>()? })
    }

    /// Makes the steps, in order, from the catalogue: one line per step there is.
    pub fn make<C>(
        &self,
        catalogue: &[(StepId, Make<C>)],
        shared: &C,
    ) -> Result<Vec<Arc<dyn Step>>, RecipeError> {
        let make = |(at, entry): (usize, &Entry)| {
            let place = Place { number: at + 1, step: entry.step.clone() };
            let Some((_, make)) = catalogue.iter().find(|(id, _)| *id == entry.step) else {
                let known = catalogue.iter().map(|(id, _)| *id).collect();
                return Err(RecipeError::Unknown { place, known });
            };
            make(shared, &entry.settings).map_err(|source| RecipeError::Settings { place, source })
        };
        self.entries.iter().enumerate().map(make).collect()
    }
}

/// `: did you mean …?` if one of the known names is close, and nothing if not.
pub(crate) fn nearest(name: &str, known: &[StepId]) -> String {
    let distance = |id: &&StepId| strsim::damerau_levenshtein(name, id);
    match known.iter().min_by_key(distance) {
        Some(id) if distance(&id) <= 1 + id.len() / 4 => format!(": did you mean `{id}`?"),
        _ => String::new(),
    }
}
