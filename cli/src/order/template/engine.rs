//! The template engine, set up to behave like Ansible's.

use std::sync::LazyLock;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::{filters, objects::Absent, python};

/// Work a single template may do, in engine instructions.
const FUEL: u64 = 200_000;

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    // debug builds would look names up again for the message, and keep their values
    engine.set_debug(false);
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_keep_trailing_newline(true);
    engine.set_trim_blocks(true);
    engine.set_fuel(Some(FUEL));
    engine.set_formatter(|out, _, value| {
        if value.is_undefined() || value.downcast_object_ref::<Absent>().is_some() {
            // printing `omit` is an error the value itself reports
            let _ = value.to_string();
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        out.write_str(&python::text(value)).map_err(Error::from)
    });
    filters::register(&mut engine);
    engine
});

/// Whether `text` has anything for the engine to do.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Renders `text`: to the value of its expression if it is exactly one, to text otherwise.
pub(super) fn render(text: &str, names: Value) -> Result<Value, Error> {
    if let Some(expression) = sole_expression(text)
        && let Ok(expression) = ENGINE.compile_expression_owned(expression.to_owned())
    {
        let value = expression.eval(names)?;
        return if value.is_undefined() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(value) };
    }
    ENGINE.render_str(text, names).map(Value::from)
}

/// What is between the brackets of a text that is exactly one expression.
///
/// The engine must not be given an expression with `}}` outside of brackets and quotes: it panics on it
/// (minijinja 2.24, `empty lexer stack`).
fn sole_expression(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    let mut open = 0_i32;
    let mut quote = None;
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', Some(_)) => drop(chars.next()),
            (c, Some(end)) if c == end => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('(' | '[' | '{', None) => open += 1,
            ('}', None) if open == 0 && chars.peek() == Some(&'}') => return None,
            (')' | ']' | '}', None) => open -= 1,
            _ => {}
        }
    }
    Some(inner)
}
