//! One rendering: the trail that finds circles, what has been rendered, and what went wrong.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use minijinja::{
    Error, ErrorKind,
    value::{Value, ValueKind},
};
use serde_json::{Map, Number, Value as Json};
use tenant_kit::yaml::ansible::VAULT_HEADER;

use super::{
    super::{known, source::Origin},
    Chain, Link, Scope, TemplateError, engine,
    objects::{Absent, Lazy, Root},
};

/// Most references between the value asked for and the one being rendered.
const MAX_DEPTH: usize = 32;
/// Largest rendered text, in bytes.
const MAX_TEXT: usize = 1 << 20;

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

/// The rendering of one value that was asked for.
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
    pub(super) fn variable(self: &Arc<Self>, name: &str) -> Value {
        match self.scope.variables.get(name) {
            Some(variable) => self.rendered(name, &variable.value),
            None => self.absent(self.undefined(name)),
        }
    }

    /// The value given at `path`, rendered; texts at once, lists and maps when their items are asked for.
    pub(super) fn rendered(self: &Arc<Self>, path: &str, given: &Json) -> Value {
        let text = match given {
            Json::Null => return Value::from(()),
            Json::Bool(flag) => return Value::from(*flag),
            Json::Number(number) => return Value::from_serialize(number),
            Json::Array(_) | Json::Object(_) => return self.lazy(path, given),
            Json::String(text) => text,
        };
        let known = self.state().memo.get(path).cloned();
        let outcome = if let Some(outcome) = known {
            outcome
        } else {
            if let Err(error) = self.enter(path) {
                return self.fatal(error);
            }
            let outcome = self.text(text);
            let mut state = self.state();
            state.trail.pop();
            state.memo.insert(path.to_owned(), outcome.clone());
            outcome
        };
        match outcome {
            Ok(value) => value,
            Err(error @ TemplateError::Undefined { .. }) => self.absent(error),
            Err(error) => self.fatal(error),
        }
    }

    fn lazy(self: &Arc<Self>, path: &str, given: &Json) -> Value {
        Value::from_object(Lazy::new(Arc::clone(self), path, given.clone()))
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
        let outcome = engine::render(text, Value::from_object(Root::new(Arc::clone(self))));
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

    pub(super) fn failed(&self, detail: &str) -> TemplateError {
        TemplateError::Failed { chain: self.chain(), detail: Some(detail.to_owned()) }
    }

    pub(super) fn undefined(&self, name: &str) -> TemplateError {
        TemplateError::Undefined { name: name.to_owned(), chain: self.chain() }
    }

    /// A value that is not there, which is an error unless somebody attends to it.
    pub(super) fn absent(self: &Arc<Self>, error: TemplateError) -> Value {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.absent.insert(number, error.clone());
        Value::from_object(Absent::undefined(Arc::clone(self), number, error))
    }

    /// An absent value is no error any more.
    pub(super) fn attend(&self, number: u64) {
        self.state().absent.remove(&number);
    }

    /// An absent value is used after all.
    pub(super) fn expose(&self, number: u64, error: TemplateError) {
        self.state().absent.insert(number, error);
    }

    /// A variable of the process's environment.
    pub(super) fn environment(&self, name: &str) -> Option<&str> {
        self.scope.environment.get(name).map(String::as_str)
    }

    /// Remembers a failure that ends the rendering, and gives a value that ends the template.
    pub(super) fn fatal(&self, error: TemplateError) -> Value {
        self.state().fatal.get_or_insert(error);
        Value::from(Error::new(ErrorKind::InvalidOperation, "a variable cannot be rendered"))
    }

    pub(super) fn chain(&self) -> Chain {
        let state = self.state();
        Chain(state.trail.iter().rev().map(|path| self.link(path)).collect())
    }

    fn link(&self, path: &str) -> Link {
        let variable = path.split(['.', '[']).next().unwrap_or(path);
        let origin = self.scope.variables.get(variable).map_or(Origin::Default, |given| given.origin.clone());
        Link { name: path.to_owned(), origin }
    }

    /// A rendered value as JSON; `None` for `omit`.
    pub(super) fn json(self: &Arc<Self>, value: &Value) -> Result<Option<Json>, TemplateError> {
        if let Some(absent) = value.downcast_object_ref::<Absent>() {
            return absent.outcome();
        }
        if let Some(lazy) = value.downcast_object_ref::<Lazy>() {
            return lazy.json().map(Some);
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
