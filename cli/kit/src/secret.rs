//! Secrets: made at random, and kept out of everything people read.

use std::{
    borrow::Cow,
    fmt::Write as _,
    ops::Range,
    sync::{PoisonError, RwLock},
};

use aho_corasick::AhoCorasick;
use secrecy::{ExposeSecret, SecretString};

/// Values shorter than this are not masked: they would blank out ordinary words.
const SHORTEST_MASKED: usize = 6;

/// So many spellings are looked for one by one before an automaton is made for them.
const NEWEST: usize = 60;

/// `bytes` random bytes from the operating system, as lower-case hex (two characters a byte).
///
/// # Panics
///
/// When the operating system has no randomness to give, which no caller could survive safely.
pub fn random_hex(bytes: usize) -> SecretString {
    let mut buffer = vec![0_u8; bytes];
    getrandom::fill(&mut buffer).expect("the operating system provides randomness");
    SecretString::from(buffer.iter().fold(String::with_capacity(bytes * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string succeeds");
        text
    }))
}

/// Characters that are not mistaken for each other; 32, so that every byte is one of them.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// So many of them are 130 bits.
const RANDOM_LENGTH: usize = 26;

/// What is around them, so that every class of characters is there.
const AROUND: [&str; 2] = ["p", "7Q"];

/// A password of 130 random bits that every form, shell and YAML reader takes unquoted.
///
/// 26 characters out of 32 unambiguous ones; it always starts with a letter and contains a digit and an
/// upper-case letter at the end, so that complexity rules and number parsers leave it alone.
///
/// # Panics
///
/// As [`random_hex`].
pub fn random_password() -> SecretString {
    let mut buffer = [0_u8; RANDOM_LENGTH];
    getrandom::fill(&mut buffer).expect("the operating system provides randomness");
    let random = buffer.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let [before, after] = AROUND;
    SecretString::from(before.chars().chain(random).chain(after.chars()).collect::<String>())
}

/// Whether a password looks as [`random_password`] makes them: then nobody guesses it, however fast they try.
pub fn is_random_password(password: &SecretString) -> bool {
    let [before, after] = AROUND;
    let inner = password.expose_secret().strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    inner.is_some_and(|inner| {
        inner.len() == RANDOM_LENGTH && inner.bytes().all(|byte| ALPHABET.contains(&byte))
    })
}

/// Knows the secret values of this run and blanks them out of texts.
///
/// The last line of defence: nothing should put a secret into a text in the first place, but services
/// echo what they were sent.
#[derive(Debug, Default)]
pub struct Redactor {
    known: RwLock<Known>,
}

/// Everything to hide, in all its spellings. A run of hundreds of tenants knows thousands, and cleans every line it
/// prints: most are found by one automaton; the newest are looked for one by one until it is worth making it anew.
#[derive(Debug, Default)]
struct Known {
    spellings: Vec<SecretString>,
    automaton: Option<AhoCorasick>,
    /// So many of the spellings are in the automaton.
    covered: usize,
}

impl Known {
    fn add(&mut self, spelling: String) {
        if self.spellings.iter().any(|known| known.expose_secret() == spelling) {
            return;
        }
        self.spellings.push(SecretString::from(spelling));
        if self.spellings.len() - self.covered > NEWEST + self.covered / 8 {
            let all = self.spellings.iter().map(ExposeSecret::expose_secret);
            // without an automaton all are looked for one by one, and found as well
            self.automaton = AhoCorasick::new(all).ok();
            self.covered = self.automaton.as_ref().map_or(0, |_| self.spellings.len());
        }
    }

    /// Where secrets stand in a text, overlapping ones as one, in order.
    fn found(&self, text: &str) -> Vec<Range<usize>> {
        let newest = self.spellings[self.covered..].iter();
        let one_by_one = newest.flat_map(|spelling| {
            text.match_indices(spelling.expose_secret()).map(|(at, found)| at..at + found.len())
        });
        let at_once = self.automaton.iter().flat_map(|all| all.find_overlapping_iter(text));
        let mut found: Vec<_> = one_by_one.chain(at_once.map(|found| found.range())).collect();
        found.sort_unstable_by_key(|range| range.start);
        found.dedup_by(|next, last| {
            let overlap = next.start < last.end;
            if overlap {
                last.end = last.end.max(next.end);
            }
            overlap
        });
        found
    }
}

impl Redactor {
    /// Starts with nothing to hide.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `secret` is masked, also in its base64 and percent-encoded spellings.
    pub fn learn(&self, secret: &SecretString) {
        let plain = secret.expose_secret().trim();
        if plain.len() < SHORTEST_MASKED {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for spelling in spellings(plain) {
            known.add(spelling);
        }
    }

    /// `text` with every known secret replaced by `***`.
    pub fn clean<'text>(&self, text: &'text str) -> Cow<'text, str> {
        let found = self.known.read().unwrap_or_else(PoisonError::into_inner).found(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = String::with_capacity(text.len());
        let mut from = 0;
        for range in found {
            clean.push_str(&text[from..range.start]);
            clean.push_str("***");
            from = range.end;
        }
        clean.push_str(&text[from..]);
        Cow::Owned(clean)
    }
}

fn spellings(secret: &str) -> [String; 3] {
    let percent = secret.bytes().fold(String::with_capacity(secret.len()), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte));
            }
            other => {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{other:02X}");
            }
        }
        text
    });
    [secret.to_owned(), base64(secret.as_bytes()), percent]
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn passwords_are_long_distinct_and_plain() {
        let (one, two) = (random_password(), random_password());
        assert_ne!(one.expose_secret(), two.expose_secret());
        assert_eq!(one.expose_secret().len(), 29);
        assert!(one.expose_secret().chars().all(|c| c.is_ascii_alphanumeric()));
        assert_eq!(random_hex(16).expose_secret().len(), 32);
        assert!(is_random_password(&one), "{}", one.expose_secret());
        for other in ["", "p7Q", "correct horse battery staple!", "paaaaaaaaaaaaaaaaaaaaaaaaaa8Q"] {
            assert!(!is_random_password(&SecretString::from(other)), "{other}");
        }
    }

    #[test]
    fn secrets_are_hidden_whole_however_many_are_known_and_however_they_overlap() {
        let redactor = Redactor::new();
        for number in 0..500 {
            redactor.learn(&SecretString::from(format!("password-{number:04}")));
            redactor.learn(&SecretString::from(format!("the-password-{number:04}-of-another")));
            let text = format!("a password-{number:04}, the-password-{number:04}-of-another, password-0000.");
            assert_eq!(redactor.clean(&text), "a ***, ***, ***.");
        }
        redactor.learn(&SecretString::from("straddling-pass"));
        assert_eq!(redactor.clean("straddling-password-0007"), "***", "overlapping ones leave no rest");
        assert_eq!(redactor.clean("password-0501 and nothing else"), "password-0501 and nothing else");
        assert!(matches!(redactor.clean("nothing"), Cow::Borrowed("nothing")));
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_learned_secret_survives(secret in "[ -~]{6,40}", before in ".{0,30}", after in ".{0,30}") {
            prop_assume!(secret.trim().len() >= SHORTEST_MASKED);
            let redactor = Redactor::new();
            redactor.learn(&SecretString::from(secret.clone()));
            for spelling in spellings(secret.trim()) {
                let marked = format!("<{spelling}>");
                let shown = redactor.clean(&format!("{before}{marked}{after}")).into_owned();
                prop_assert!(!shown.contains(&marked), "{shown}");
            }
        }
    }
}
