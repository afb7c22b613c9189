//! Filters and tests of Jinja and Ansible that orders use and that `minijinja` lacks or has differently.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Digest as _;
use minijinja::{
    Environment, Error, ErrorKind,
    value::{Kwargs, Value},
};

use super::{objects::Absent, python};

pub(super) fn register(engine: &mut Environment<'static>) {
    for name in ["default", "d"] {
        engine.add_filter(name, default);
    }
    engine.add_filter("bool", boolean);
    engine.add_filter("int", int);
    engine.add_filter("string", |value: &Value| python::string(value));
    engine.add_filter("hash", hash);
    engine.add_filter("b64encode", |value: &Value| STANDARD.encode(python::string(value)));
    engine.add_filter("b64decode", b64decode);
    engine.add_filter("ternary", ternary);
    engine.add_test("defined", |value: &Value| !is_absent(value));
    engine.add_test("undefined", is_absent);
}

/// Whether there is no value; whoever asks has looked after that.
pub(super) fn is_absent(value: &Value) -> bool {
    if let Some(absent) = value.downcast_object_ref::<Absent>() {
        absent.attend();
        return true;
    }
    value.is_undefined()
}

fn fault(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail.into())
}

/// `default(fallback, boolean)`: the fallback for what is undefined and, with `boolean`, for what is false.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands keyword arguments over by value")]
fn default(
    value: Value,
    fallback: Option<Value>,
    boolean: Option<bool>,
    named: Kwargs,
) -> Result<Value, Error> {
    let fallback = match fallback {
        Some(fallback) => fallback,
        None => named.get::<Option<Value>>("default_value")?.unwrap_or_else(|| Value::from("")),
    };
    let boolean = match boolean {
        Some(boolean) => boolean,
        None => named.get::<Option<bool>>("boolean")?.unwrap_or(false),
    };
    named.assert_all_used()?;
    Ok(if is_absent(&value) || (boolean && !value.is_true()) {
        fallback
    } else {
        is_absent(&fallback);
        value
    })
}

/// Ansible's `bool`: true for true, 1, `yes`, `on`, `true` and `1` in any case.
fn boolean(value: &Value) -> bool {
    match value.as_str() {
        Some(text) => ["yes", "on", "true", "1"].iter().any(|yes| text.eq_ignore_ascii_case(yes)),
        None => value.is_true(),
    }
}

/// Jinja's `int(default, base)`: the default, 0 unless given, for what is no integer. Up to 128 bits.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands keyword arguments over by value")]
fn int(value: &Value, default: Option<Value>, base: Option<u32>, named: Kwargs) -> Result<Value, Error> {
    let default = match default {
        Some(default) => default,
        None => named.get::<Option<Value>>("default")?.unwrap_or_else(|| Value::from(0)),
    };
    let base = match base {
        Some(base) => base,
        None => named.get::<Option<u32>>("base")?.unwrap_or(10),
    };
    named.assert_all_used()?;
    if !(2..=36).contains(&base) {
        return Err(fault("the base of `int` must be from 2 to 36"));
    }
    let Some(text) = value.as_str() else {
        if value.is_integer() {
            return Ok(value.clone());
        }
        return Ok(match f64::try_from(value.clone()) {
            #[expect(clippy::cast_possible_truncation, reason = "`int` cuts the fraction off")]
            Ok(number) if number.is_finite() => Value::from(number.trunc() as i128),
            _ if value.is_true() && value.kind() == minijinja::value::ValueKind::Bool => Value::from(1),
            _ => default,
        });
    };
    let text = text.trim().replace('_', "");
    let digits = match base {
        16 => text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(&text),
        _ => &text,
    };
    if let Ok(number) = u128::from_str_radix(digits, base) {
        return Ok(Value::from(number));
    }
    if digits.len() > 24 && digits.chars().all(|c| c.is_digit(base)) {
        return Err(fault("`int` of more than 128 bits"));
    }
    if let Ok(number) = i128::from_str_radix(digits, base) {
        return Ok(Value::from(number));
    }
    #[expect(clippy::cast_possible_truncation, reason = "`int` cuts the fraction off")]
    match text.parse::<f64>() {
        Ok(number) if base == 10 && number.is_finite() => Ok(Value::from(number.trunc() as i128)),
        _ => Ok(default),
    }
}

/// Ansible's `hash`: the digest in lower-case hex; SHA-1 unless named otherwise.
fn hash(value: &Value, algorithm: Option<&str>) -> Result<String, Error> {
    let text = python::string(value);
    match algorithm.unwrap_or("sha1") {
        "md5" => Ok(hex::encode(md5::Md5::digest(text))),
        "sha1" => Ok(hex::encode(sha1::Sha1::digest(text))),
        "sha256" => Ok(hex::encode(sha2::Sha256::digest(text))),
        "sha512" => Ok(hex::encode(sha2::Sha512::digest(text))),
        other => Err(fault(format!("hash('{other}') is not supported; md5, sha1, sha256 and sha512 are"))),
    }
}

fn b64decode(value: &Value) -> Result<String, Error> {
    let bytes = STANDARD.decode(python::string(value).trim()).map_err(|_| fault("not base64"))?;
    String::from_utf8(bytes).map_err(|_| fault("base64 of something that is not text"))
}

/// Ansible's `ternary(if_true, if_false, if_none)`.
fn ternary(value: &Value, if_true: Value, if_false: Value, if_none: Option<Value>) -> Value {
    for choice in [Some(&if_true), Some(&if_false), if_none.as_ref()].into_iter().flatten() {
        is_absent(choice);
    }
    let chosen = match if_none {
        Some(if_none) if value.is_none() => if_none,
        _ if value.is_true() => if_true,
        _ => if_false,
    };
    if let Some(absent) = chosen.downcast_object_ref::<Absent>() {
        absent.expose();
    }
    chosen
}
