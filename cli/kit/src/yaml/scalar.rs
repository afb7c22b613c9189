//! What an unquoted YAML 1.1 scalar means, exactly as PyYAML's `SafeLoader` decides it.
//!
//! Source: the YAML 1.1 type repository (<https://yaml.org/type/>) as narrowed by PyYAML's resolver: `y` and
//! `n` are text, floats need a dot and exponents a sign, so that `1e3` is text.

/// Meaning of an unquoted scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    /// Empty, `~` or `null`.
    Null,
    /// `yes`, `Off`, `TRUE`, …
    Bool(bool),
    /// An integer; decimal digits with an optional minus sign, for any size.
    Int(String),
    /// A number with a fraction.
    Float(f64),
    /// A date, or a date and time; stays text for us.
    Timestamp,
    /// `<<`, the merge key.
    Merge,
    /// `=`, the default-value key.
    Default,
    /// Taken for a number, but without a value (`0b_`): PyYAML writes such text in quotes and cannot read it
    /// without.
    Hollow,
    /// None of these.
    Text,
}

/// Meaning of the unquoted scalar `text`.
pub fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Plain::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Plain::Bool(false),
        "<<" => Plain::Merge,
        "=" => Plain::Default,
        _ => number(text).unwrap_or(if is_timestamp(text) { Plain::Timestamp } else { Plain::Text }),
    }
}

fn number(text: &str) -> Option<Plain> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    match integer(digits) {
        Integer::Digits(decimal) if negative && decimal != "0" => Some(Plain::Int(format!("-{decimal}"))),
        Integer::Digits(decimal) => Some(Plain::Int(decimal)),
        Integer::Hollow => Some(Plain::Hollow),
        Integer::No => {
            float(text, digits).map(|number| Plain::Float(if negative { -number } else { number }))
        }
    }
}

/// What an unsigned scalar is as an integer.
enum Integer {
    /// These decimal digits.
    Digits(String),
    /// Written like one, but without a digit, or of astronomic size.
    Hollow,
    /// None.
    No,
}

impl Integer {
    /// Digits of `base`, with `_` between them.
    fn of(text: &str, base: u32) -> Self {
        if text.is_empty() || !text.chars().all(|c| c == '_' || c.is_digit(base)) {
            return Self::No;
        }
        decimal(text.chars().filter_map(|c| c.to_digit(base)), base).map_or(Self::Hollow, Self::Digits)
    }
}

fn integer(digits: &str) -> Integer {
    if let Some(text) = digits.strip_prefix("0b") {
        return Integer::of(text, 2);
    }
    if let Some(text) = digits.strip_prefix("0x") {
        return Integer::of(text, 16);
    }
    if digits.starts_with('0') && digits != "0" {
        return Integer::of(digits, 8);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Integer::No;
    }
    match digits.split_once(':') {
        None => Integer::of(digits, 10),
        Some((head, rest)) if is_digits(head) && rest.split(':').all(is_sixtieth) => {
            sexagesimal(head, rest).map_or(Integer::Hollow, |sum| Integer::Digits(sum.to_string()))
        }
        Some(_) => Integer::No,
    }
}

/// An integer to the base of 60, such as `190:20:30`, unless it is of astronomic size.
fn sexagesimal(head: &str, rest: &str) -> Option<u128> {
    rest.split(':').try_fold(head.replace('_', "").parse::<u128>().ok()?, |sum, part| {
        sum.checked_mul(60)?.checked_add(part.parse().ok()?)
    })
}

/// Decimal text of a number given digit by digit, of any size.
fn decimal(digits: impl Iterator<Item = u32>, base: u32) -> Option<String> {
    let mut reversed: Vec<u32> = Vec::new();
    let mut any = false;
    for digit in digits {
        any = true;
        let mut carry = digit;
        for place in &mut reversed {
            let value = *place * base + carry;
            *place = value % 10;
            carry = value / 10;
        }
        while carry > 0 {
            reversed.push(carry % 10);
            carry /= 10;
        }
    }
    if !any {
        return None;
    }
    if reversed.is_empty() {
        return Some("0".to_owned());
    }
    Some(reversed.iter().rev().filter_map(|digit| char::from_digit(*digit, 10)).collect())
}

/// A float; `text` is the whole scalar, `digits` the scalar without its sign.
fn float(text: &str, digits: &str) -> Option<f64> {
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if digits.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    let (whole, rest) = digits.split_once('.')?;
    if let Some((first, sixtieths)) = whole.split_once(':') {
        // sexagesimal: 190:20:30.15
        let parts: Vec<&str> = sixtieths.split(':').collect();
        let fraction = rest.chars().all(|c| c == '_' || c.is_ascii_digit());
        if !is_digits(first) || !parts.iter().all(|part| is_sixtieth(part)) || !fraction {
            return None;
        }
        let head: f64 = first.replace('_', "").parse().ok()?;
        let sum = parts.iter().try_fold(head, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
        return Some(sum + format!("0.{}0", rest.replace('_', "")).parse::<f64>().ok()?);
    }
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    if !fraction.chars().all(|c| c == '_' || c.is_ascii_digit()) {
        return None;
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-'])?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    let signed = digits.len() != text.len();
    let leading = if whole.is_empty() {
        // `.5` is a number, `-.5` is text: PyYAML's pattern has no sign there
        !signed && fraction.starts_with(|c: char| c.is_ascii_digit())
    } else {
        is_digits(whole)
    };
    if !leading {
        return None;
    }
    let plain = format!("0{whole}.{fraction}0e{}", exponent.unwrap_or("0")).replace('_', "");
    plain.parse().ok()
}

/// `[0-9][0-9_]*`
fn is_digits(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c == '_' || c.is_ascii_digit())
}

/// `[0-5]?[0-9]`
fn is_sixtieth(text: &str) -> bool {
    match text.as_bytes() {
        [ones] => ones.is_ascii_digit(),
        [tens, ones] => (b'0'..=b'5').contains(tens) && ones.is_ascii_digit(),
        _ => false,
    }
}

/// A date (`2026-01-31`), or a date and a time with an optional zone.
fn is_timestamp(text: &str) -> bool {
    let digits = |text: &str, least: usize, most: usize| -> bool {
        (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let date = |text: &str, least: usize| -> bool {
        let parts: Vec<&str> = text.split('-').collect();
        matches!(parts.as_slice(), [year, month, day]
            if digits(year, 4, 4) && digits(month, least, 2) && digits(day, least, 2))
    };
    if date(text, 2) {
        return true;
    }
    let Some(at) = text.find(['T', 't', ' ', '\t']) else { return false };
    let (day, rest) = text.split_at(at);
    let time = if rest.starts_with(['T', 't']) { &rest[1..] } else { rest.trim_start_matches([' ', '\t']) };
    let end = time.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(time.len());
    let (clock, zone) = time.split_at(end);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<&str> = clock.split(':').collect();
    let clock = matches!(parts.as_slice(), [hour, minute, second]
        if digits(hour, 1, 2) && digits(minute, 2, 2) && digits(second, 2, 2));
    let zone = zone.trim_start_matches([' ', '\t']);
    let zone_fits = match zone.strip_prefix(['+', '-']) {
        Some(offset) => match offset.split_once(':') {
            Some((hours, minutes)) => digits(hours, 1, 2) && digits(minutes, 2, 2),
            None => digits(offset, 1, 2),
        },
        None => (zone.is_empty() && time[end..].is_empty()) || zone == "Z",
    };
    date(day, 1) && clock && digits(fraction, 0, usize::MAX) && zone_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Meanings as printed by `yaml.safe_load` of PyYAML 6.
    #[test]
    fn unquoted_scalars_mean_what_pyyaml_takes_them_for() {
        let int = |text: &str| Plain::Int(text.to_owned());
        for (text, expected) in [
            ("", Plain::Null),
            ("no", Plain::Bool(false)),
            ("On", Plain::Bool(true)),
            ("y", Plain::Text),
            ("nO", Plain::Text),
            ("0", int("0")),
            ("-0", int("0")),
            ("0123", int("83")),
            ("0o17", Plain::Text),
            ("089", Plain::Text),
            ("0x1F", int("31")),
            ("0b101", int("5")),
            ("0b", Plain::Text),
            ("0b_", Plain::Hollow),
            ("1_000", int("1000")),
            ("+12", int("12")),
            ("-12", int("-12")),
            ("190:20:30", int("685230")),
            ("12:60", Plain::Text),
            ("123456789012345678901234567890", int("123456789012345678901234567890")),
            ("1.5", Plain::Float(1.5)),
            ("1.", Plain::Float(1.0)),
            (".5", Plain::Float(0.5)),
            ("-.5", Plain::Text),
            ("-1.5", Plain::Float(-1.5)),
            ("1e3", Plain::Text),
            ("1.0e3", Plain::Text),
            ("1.0e+3", Plain::Float(1000.0)),
            ("190:20:30.5", Plain::Float(685_230.5)),
            ("-.inf", Plain::Float(f64::NEG_INFINITY)),
            ("2026-01-31", Plain::Timestamp),
            ("2026-1-31", Plain::Text),
            ("2026-1-31 10:20:30", Plain::Timestamp),
            ("2026-01-31T10:20:30.5Z", Plain::Timestamp),
            ("2026-01-31 10:20:30 +02:00", Plain::Timestamp),
            ("2026-01-31 10:20:30 ", Plain::Text),
            ("<<", Plain::Merge),
            ("=", Plain::Default),
            ("-", Plain::Text),
            (".", Plain::Text),
            ("1.2.3", Plain::Text),
            ("v1", Plain::Text),
        ] {
            assert_eq!(resolve(text), expected, "meaning of {text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_meaning(text in "[-+0-9._:eExXbTtZ ]{0,24}|.{0,12}") {
            let _ = resolve(&text);
        }
    }
}
