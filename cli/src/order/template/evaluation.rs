//! One rendering: lazy objects over the variables, the trail that finds circles, and what went wrong first.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use minijinja::{
    Error, ErrorKind,
    value::{Enumerator, Object, ObjectRepr, Rest, Value, ValueKind},
};
use serde_json::{Map, Number, Value as Json};
use tenant_kit::yaml::ansible::VAULT_HEADER;

use super::{
    super::{known, source::Origin},
    Chain, Link, Scope, TemplateError, engine,
};

/// Most references between the value asked for and the one being rendered.
const MAX_DEPTH: usize = 32;
/// Largest rendered text, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// Names that are functions in templates, whatever the variables are called.
const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];

/// See [`super::render`].
pub(super) fn render(scope: &Arc<Scope>, path: &str) -> Result<Option<Json>, TemplateError> {
    let evaluation = Arc::new(Evaluation { scope: Arc::clone(scope), state: Mutex::default() });
    let outcome = evaluation.path(path);
    // the memo holds objects that hold the evaluation
    evaluation.state().memo.clear();
    match evaluation.state().fatal.take() {
        Some(error) => Err(error),
        None => outcome,
    }
}

pub(super) struct Evaluation {
    scope: Arc<Scope>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Paths of the values being rendered, outermost first.
    trail: Vec<String>,
    /// What has been rendered, by path; or why it is absent.
    memo: HashMap<String, Result<Value, TemplateError>>,
    /// A failure no `default` can catch.
    fatal: Option<TemplateError>,
    /// Absent values of the template being rendered that nobody has looked after yet, by number.
    absent: BTreeMap<u64, TemplateError>,
    /// Number of the next absent value.
    next: u64,
}

impl fmt::Debug for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Evaluation")
    }
}

impl Evaluation {
    fn state(&self) -> MutexGuard<'_, State> {
        // poisoned only by a panic that is being reported already
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(self: &Arc<Self>, path: &str) -> Result<Option<Json>, TemplateError> {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        if !self.scope.variables.contains_key(name) {
            return Ok(None);
        }
        let mut value = self.variable(name);
        for part in rest.split('.').filter(|part| !part.is_empty()) {
            match value.get_item(&Value::from(part)) {
                Ok(inner) if inner.is_undefined() => return Ok(None),
                Ok(inner) => value = inner,
                Err(_) => return Ok(None),
            }
        }
        self.json(&value)
    }

    /// The value of a variable, or an [`Absent`] that says why there is none.
    fn variable(self: &Arc<Self>, name: &str) -> Value {
        match self.scope.variables.get(name) {
            Some(variable) => self.rendered(name, &variable.value),
            None => self.absent(self.undefined(name)),
        }
    }

    /// The value given at `path`, rendered; texts at once, lists and maps when their items are asked for.
    fn rendered(self: &Arc<Self>, path: &str, given: &Json) -> Value {
        let text = match given {
            Json::Null => return Value::from(()),
            Json::Bool(flag) => return Value::from(*flag),
            Json::Number(number) => return Value::from_serialize(number),
            Json::Array(_) | Json::Object(_) => return self.lazy(path, given),
            Json::String(text) => text,
        };
        let known = self.state().memo.get(path).cloned();
        let outcome = match known {
            Some(outcome) => outcome,
            None => {
                if let Err(error) = self.enter(path) {
                    return self.fatal(error);
                }
                let outcome = self.text(text);
                let mut state = self.state();
                state.trail.pop();
                state.memo.insert(path.to_owned(), outcome.clone());
                outcome
            }
        };
        match outcome {
            Ok(value) => value,
            Err(error @ TemplateError::Undefined { .. }) => self.absent(error),
            Err(error) => self.fatal(error),
        }
    }

    fn lazy(self: &Arc<Self>, path: &str, given: &Json) -> Value {
        Value::from_object(Lazy { evaluation: Arc::clone(self), path: path.to_owned(), given: given.clone() })
    }

    fn enter(&self, path: &str) -> Result<(), TemplateError> {
        let mut state = self.state();
        if let Some(at) = state.trail.iter().position(|entry| entry == path) {
            let mut circle: Vec<Link> = state.trail[at..].iter().map(|path| self.link(path)).collect();
            circle.push(self.link(path));
            return Err(TemplateError::Circular(circle));
        }
        state.trail.push(path.to_owned());
        let depth = state.trail.len();
        drop(state);
        if depth > MAX_DEPTH {
            let error = TemplateError::TooDeep { chain: self.chain() };
            self.state().trail.pop();
            return Err(error);
        }
        Ok(())
    }

    /// Renders one text.
    fn text(self: &Arc<Self>, text: &str) -> Result<Value, TemplateError> {
        if text.starts_with(VAULT_HEADER) {
            return Err(TemplateError::Vaulted { chain: self.chain() });
        }
        if !engine::is_template(text) {
            return Ok(Value::from(text));
        }
        let outer = std::mem::take(&mut self.state().absent);
        let outcome = engine::render(text, Value::from_object(Root(Arc::clone(self))));
        let unattended = std::mem::replace(&mut self.state().absent, outer);
        if let Some(fatal) = self.state().fatal.clone() {
            return Err(fatal);
        }
        if let Some(error) = unattended.into_values().next() {
            return Err(error);
        }
        match outcome {
            Ok(value) if value.as_str().is_some_and(|text| text.len() > MAX_TEXT) => {
                Err(TemplateError::TooLarge { chain: self.chain() })
            }
            Ok(value) => Ok(value),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// What an error of the engine means to the reader.
    fn explained(&self, error: &Error) -> TemplateError {
        let chain = self.chain();
        let secret = chain.0.iter().any(|link| known::is_secret(&link.name));
        let detail =
            || (!secret).then(|| error.detail().map_or_else(|| error.kind().to_string(), str::to_owned));
        match error.kind() {
            ErrorKind::SyntaxError | ErrorKind::BadEscape => {
                TemplateError::Syntax { chain, detail: detail() }
            }
            ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownMethod => {
                let what = detail().unwrap_or_else(|| "a filter or function".to_owned());
                TemplateError::AnsibleOnly { what: what.replace(" is unknown", ""), chain }
            }
            ErrorKind::OutOfFuel => TemplateError::TooLarge { chain },
            _ => TemplateError::Failed { chain, detail: detail() },
        }
    }

    fn failed(&self, detail: &str) -> TemplateError {
        TemplateError::Failed { chain: self.chain(), detail: Some(detail.to_owned()) }
    }

    fn undefined(&self, name: &str) -> TemplateError {
        TemplateError::Undefined { name: name.to_owned(), chain: self.chain() }
    }

    fn absent(self: &Arc<Self>, error: TemplateError) -> Value {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.absent.insert(number, error.clone());
        Value::from_object(Absent { evaluation: Arc::clone(self), missing: Some((number, error)) })
    }

    /// Remembers a failure that ends the rendering, and gives a value that ends the template.
    fn fatal(&self, error: TemplateError) -> Value {
        self.state().fatal.get_or_insert(error);
        Value::from(Error::new(ErrorKind::InvalidOperation, "a variable cannot be rendered"))
    }

    fn chain(&self) -> Chain {
        let state = self.state();
        Chain(state.trail.iter().rev().map(|path| self.link(path)).collect())
    }

    fn link(&self, path: &str) -> Link {
        let variable = path.split(['.', '[']).next().unwrap_or(path);
        let origin = self.scope.variables.get(variable).map_or(Origin::Default, |given| given.origin.clone());
        Link { name: path.to_owned(), origin }
    }

    /// A rendered value as JSON; `None` for `omit`.
    fn json(self: &Arc<Self>, value: &Value) -> Result<Option<Json>, TemplateError> {
        if let Some(absent) = value.downcast_object_ref::<Absent>() {
            return absent.missing.clone().map_or(Ok(None), |(_, error)| Err(error));
        }
        if let Some(lazy) = value.downcast_object_ref::<Lazy>() {
            return lazy.json();
        }
        let json = match value.kind() {
            ValueKind::Undefined => return Err(self.undefined("a part of it")),
            ValueKind::None => Json::Null,
            ValueKind::Bool => Json::Bool(value.is_true()),
            ValueKind::Number => {
                number(value).ok_or_else(|| self.failed("the result is not a finite number"))?
            }
            ValueKind::String => Json::from(value.as_str().unwrap_or_default()),
            ValueKind::Map => {
                let mut map = Map::new();
                for key in value.try_iter().into_iter().flatten() {
                    let item = value.get_item(&key).unwrap_or_default();
                    if let Some(item) = self.json(&item)? {
                        map.insert(key.to_string(), item);
                    }
                }
                Json::Object(map)
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter().into_iter().flatten();
                Json::Array(items.filter_map(|item| self.json(&item).transpose()).collect::<Result<_, _>>()?)
            }
            ValueKind::Bytes => Json::from(String::from_utf8_lossy(value.as_bytes().unwrap_or_default())),
            _ => {
                let fatal = self.state().fatal.clone();
                return Err(fatal.unwrap_or_else(|| self.failed("the result is not a value")));
            }
        };
        Ok(Some(json))
    }
}

fn number(value: &Value) -> Option<Json> {
    if let Ok(number) = i64::try_from(value.clone()) {
        return Some(Json::from(number));
    }
    if value.is_integer() {
        return Some(u64::try_from(value.clone()).map_or_else(|_| Json::from(value.to_string()), Json::from));
    }
    f64::try_from(value.clone()).ok().and_then(Number::from_f64).map(Json::Number)
}

/// The names templates see: all variables, `omit`, `vars`, and the look-ups.
#[derive(Debug)]
struct Root(Arc<Evaluation>);

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

fn lookup(evaluation: &Arc<Evaluation>, plugin: &str, terms: &[Value]) -> Result<Value, Error> {
    let term = terms.first().and_then(Value::as_str).unwrap_or_default();
    match plugin.strip_prefix("ansible.builtin.").unwrap_or(plugin) {
        "env" => Ok(Value::from(evaluation.scope.environment.get(term).map_or("", String::as_str))),
        "vars" => Ok(evaluation.variable(term)),
        "password" => Ok(evaluation.fatal(TemplateError::PasswordLookup { chain: evaluation.chain() })),
        "unvault" | "unvault_string" => {
            Ok(evaluation.fatal(TemplateError::Vaulted { chain: evaluation.chain() }))
        }
        other => {
            let what = format!("lookup('{other}')");
            Ok(evaluation.fatal(TemplateError::AnsibleOnly { what, chain: evaluation.chain() }))
        }
    }
}

/// A list or map whose items are rendered when they are asked for.
struct Lazy {
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
    fn item(&self, key: &str) -> Option<Value> {
        let item = self.given.get(key)?;
        Some(self.evaluation.rendered(&format!("{}.{key}", self.path), item))
    }

    fn element(&self, index: usize) -> Option<Value> {
        let item = self.given.get(index)?;
        Some(self.evaluation.rendered(&format!("{}[{index}]", self.path), item))
    }

    fn json(&self) -> Result<Option<Json>, TemplateError> {
        let whole = match &self.given {
            Json::Object(map) => {
                let mut rendered = Map::new();
                for (key, _) in map {
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
        };
        Ok(Some(whole))
    }
}

impl Object for Lazy {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.given.is_array() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    /// `None` for what is not there, so that `in` works.
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some(key) => self.item(key),
            // `in` does not ask lists by index, so a miss can be given a `default` here
            None => {
                let index = key.as_usize()?;
                let missing =
                    || self.evaluation.absent(self.evaluation.undefined(&format!("{}[{index}]", self.path)));
                Some(self.element(index).unwrap_or_else(missing))
            }
        }
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
    /// Somebody has looked after this value: it is no error any more.
    pub(super) fn attend(&self) {
        if let Some((number, _)) = &self.missing {
            self.evaluation.state().absent.remove(number);
        }
    }

    /// The value is used after all, as the result of a filter.
    pub(super) fn expose(&self) {
        if let Some((number, error)) = &self.missing {
            self.evaluation.state().absent.insert(*number, error.clone());
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
            let error = self.evaluation.failed("`omit` must be the whole value");
            self.evaluation.state().fatal.get_or_insert(error);
        }
        Ok(())
    }
}
