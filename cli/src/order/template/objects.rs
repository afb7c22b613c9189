//! What templates see of the variables: objects that render their parts when asked, and what is not there.

use std::{fmt, sync::Arc};

use minijinja::{
    Error,
    value::{Enumerator, Kwargs, Object, ObjectRepr, Rest, Value},
};
use serde_json::{Map, Value as Json};

use super::{TemplateError, evaluation::Evaluation};

/// Names that are functions in templates, whatever the variables are called.
const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];

/// The names templates see: all variables, `omit`, `vars`, and the look-ups.
#[derive(Debug)]
pub(super) struct Root(Arc<Evaluation>);

impl Root {
    pub(super) fn new(evaluation: Arc<Evaluation>) -> Self {
        Self(evaluation)
    }
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        if FUNCTIONS.contains(&name) {
            return None;
        }
        Some(match name {
            "omit" => Value::from_object(Absent { evaluation: Arc::clone(&self.0), missing: None }),
            "vars" => Value::from_object(Root(Arc::clone(&self.0))),
            "lookup" | "query" | "q" => {
                let evaluation = Arc::clone(&self.0);
                Value::from_function(move |plugin: &str, terms: Rest<Value>| {
                    lookup(&evaluation, plugin, &terms)
                })
            }
            _ => self.0.variable(name),
        })
    }
}

/// `lookup(plugin, term, default=…)`.
fn lookup(evaluation: &Arc<Evaluation>, plugin: &str, terms: &[Value]) -> Result<Value, Error> {
    let named = terms.last().filter(|last| last.is_kwargs()).cloned();
    let default = match named {
        Some(named) => Kwargs::try_from(named)?.get::<Option<Value>>("default")?,
        None => None,
    };
    let term = terms.first().and_then(Value::as_str).unwrap_or_default();
    let chain = || evaluation.chain();
    Ok(match plugin.strip_prefix("ansible.builtin.").unwrap_or(plugin) {
        "env" => match evaluation.environment(term) {
            Some(value) => Value::from(value),
            None => default.unwrap_or_else(|| Value::from("")),
        },
        "vars" => match (evaluation.variable(term), default) {
            (value, Some(default)) if super::filters::is_absent(&value) => default,
            (value, _) => value,
        },
        "password" => evaluation.fatal(TemplateError::PasswordLookup { chain: chain() }),
        "unvault" | "unvault_string" => evaluation.fatal(TemplateError::Vaulted { chain: chain() }),
        other => {
            let what = format!("lookup('{other}')");
            evaluation.fatal(TemplateError::AnsibleOnly { what, chain: chain() })
        }
    })
}

/// A list or map whose items are rendered when they are asked for.
pub(super) struct Lazy {
    evaluation: Arc<Evaluation>,
    path: String,
    given: Json,
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lazy").field(&self.path).finish()
    }
}

impl Lazy {
    pub(super) fn new(evaluation: Arc<Evaluation>, path: &str, given: Json) -> Self {
        Self { evaluation, path: path.to_owned(), given }
    }

    fn item(&self, key: &str) -> Option<Value> {
        let item = self.given.get(key)?;
        Some(self.evaluation.rendered(&format!("{}.{key}", self.path), item))
    }

    fn element(&self, index: usize) -> Option<Value> {
        let item = self.given.get(index)?;
        Some(self.evaluation.rendered(&format!("{}[{index}]", self.path), item))
    }

    /// The whole, rendered; items that are omitted are left out.
    pub(super) fn json(&self) -> Result<Json, TemplateError> {
        Ok(match &self.given {
            Json::Object(map) => {
                let mut rendered = Map::new();
                for key in map.keys() {
                    let item = self.item(key).unwrap_or_default();
                    if let Some(item) = self.evaluation.json(&item)? {
                        rendered.insert(key.clone(), item);
                    }
                }
                Json::Object(rendered)
            }
            Json::Array(items) => {
                let mut rendered = Vec::with_capacity(items.len());
                for index in 0..items.len() {
                    let item = self.element(index).unwrap_or_default();
                    rendered.extend(self.evaluation.json(&item)?);
                }
                Json::Array(rendered)
            }
            other => other.clone(),
        })
    }
}

impl Object for Lazy {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.given.is_array() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    /// `None` for what is not there, so that `in` works.
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(key) = key.as_str() {
            return self.item(key);
        }
        // `in` does not ask lists by index, so a miss can be given a `default` here
        let index = key.as_usize()?;
        let missing =
            || self.evaluation.absent(self.evaluation.undefined(&format!("{}[{index}]", self.path)));
        Some(self.element(index).unwrap_or_else(missing))
    }

    /// Attribute access: what is not there can still be given a `default`, however deep.
    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let missing = || self.evaluation.absent(self.evaluation.undefined(&format!("{}.{key}", self.path)));
        Some(self.item(key).unwrap_or_else(missing))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.given {
            Json::Array(items) => Enumerator::Seq(items.len()),
            Json::Object(map) => {
                Enumerator::Values(map.keys().map(|key| Value::from(key.as_str())).collect())
            }
            _ => Enumerator::Empty,
        }
    }
}

/// A value that is not there: `omit`, or undefined for the given reason. Attributes of it are absent too. It
/// is an error unless `default` or `is defined` attends to it.
pub(super) struct Absent {
    evaluation: Arc<Evaluation>,
    missing: Option<(u64, TemplateError)>,
}

impl fmt::Debug for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Absent")
    }
}

impl Absent {
    /// A value that is undefined for a reason; the evaluation knows it by its number.
    pub(super) fn undefined(evaluation: Arc<Evaluation>, number: u64, error: TemplateError) -> Self {
        Self { evaluation, missing: Some((number, error)) }
    }

    /// What it means to the value it is: nothing for `omit`, otherwise the error.
    pub(super) fn outcome(&self) -> Result<Option<Json>, TemplateError> {
        self.missing.clone().map_or(Ok(None), |(_, error)| Err(error))
    }

    /// Somebody has looked after this value: it is no error any more.
    pub(super) fn attend(&self) {
        if let Some((number, _)) = &self.missing {
            self.evaluation.attend(*number);
        }
    }

    /// The value is used after all, as the result of a filter.
    pub(super) fn expose(&self) {
        if let Some((number, error)) = &self.missing {
            self.evaluation.expose(*number, error.clone());
        }
    }
}

impl Object for Absent {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_dyn_object(Arc::clone(self)))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    /// Only `omit` gets here without being an error already.
    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.missing.is_none() {
            self.evaluation.fatal(self.evaluation.failed("`omit` must be the whole value"));
        }
        Ok(())
    }
}
