//! How durations, counts and foreign texts are put for people.

use std::time::Duration;

use tenant_kit::secret::Redactor;

/// A duration for people, rounded down: `850 ms`, `2.4 s`, `3 min 12 s`, `1 h 5 min`, `3 d 4 h`.
pub fn duration(duration: Duration) -> String {
    let (millis, seconds) = (duration.as_millis(), duration.as_secs());
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis / 100 % 10),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A number of things: `1 step`, `3 steps`. For nouns whose plural is made with an `s`.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A text from elsewhere, fit to be shown in one line: known secrets masked, no control characters.
pub fn line(redactor: &Redactor, text: &str) -> String {
    // Masked first: a secret may span lines.
    let clean = redactor.clean(text);
    let words = clean.split(|c: char| c.is_control() || c.is_whitespace());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The messages of an error and its causes, each fit for one line, without those that only repeat what the
/// one above them says (many libraries show their cause and also return it as the source).
pub(super) fn chain<'a>(redactor: &Redactor, errors: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut chain: Vec<String> = Vec::new();
    for error in errors {
        let error = line(redactor, error);
        if !error.is_empty() && !chain.last().is_some_and(|above| above.contains(&error)) {
            chain.push(error);
        }
    }
    chain
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn durations() {
        for (millis, expected) in [
            (0, "0 ms"),
            (850, "850 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (2449, "2.4 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min 0 s"),
            (192_000, "3 min 12 s"),
            (3_599_999, "59 min 59 s"),
            (3_900_000, "1 h 5 min"),
            (86_399_999, "23 h 59 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), expected, "{millis} ms");
        }
        assert!(duration(Duration::MAX).ends_with('h'));
    }

    #[test]
    fn numbers_of_things() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "step")), ["0 steps", "1 step", "2 steps"]);
    }

    #[test]
    fn a_line_is_one_line_and_harmless() {
        let redactor = Redactor::new();
        redactor.learn(&SecretString::from("first\nsecond"));
        let text = "one\r\n\ttwo \u{1b}[31mred\u{1b}[0m key first\nsecond end\n";
        assert_eq!(line(&redactor, text), "one two [31mred [0m key *** end");
    }

    #[test]
    fn a_cause_that_is_already_told_is_not_told_again() {
        let told = chain(&Redactor::new(), ["create x: refused", "refused", "connection reset", ""]);
        assert_eq!(told, ["create x: refused", "connection reset"]);
    }
}
