//! Floats as PyYAML writes them: Python's shortest `repr`, with a `.0` before an exponent that lacks it.

/// The spelling of a finite number.
pub(super) fn spelled(number: f64) -> String {
    // Rust's exponent notation has the same shortest digits: `-1.25e-7`
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    let body = if (-4..16).contains(&exponent) {
        fixed(&digits, exponent)
    } else {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        let (sign, size) = if exponent < 0 { ('-', -exponent) } else { ('+', exponent) };
        format!("{first}.{rest}e{sign}{size:02}")
    };
    format!("{sign}{body}")
}

/// The digits with the decimal point after the first `exponent + 1` of them.
fn fixed(digits: &str, exponent: i32) -> String {
    let Ok(exponent) = usize::try_from(exponent) else {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("0.{zeros}{digits}");
    };
    if digits.len() > exponent + 1 {
        let (whole, fraction) = digits.split_at(exponent + 1);
        return format!("{whole}.{fraction}");
    }
    format!("{digits}{}.0", "0".repeat(exponent + 1 - digits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results of `yaml.safe_dump` with PyYAML 6.0.
    #[test]
    fn floats_are_spelled_as_in_python() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (0.000_1, "0.0001"),
            (0.000_01, "1.0e-05"),
            (1.25e-7, "1.25e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1.0e+16"),
            (1.234e22, "1.234e+22"),
            (1e100, "1.0e+100"),
            (123_456.789, "123456.789"),
        ] {
            assert_eq!(spelled(number), expected, "spelling of {number:?}");
        }
    }
}
