//! Secrets: made at random, and kept out of everything people read.

use std::{borrow::Cow, sync::RwLock};

use secrecy::{ExposeSecret, SecretString};

/// Values shorter than this are not masked: they would blank out ordinary words.
const SHORTEST_MASKED: usize = 6;

/// `bytes` random bytes from the operating system, as lower-case hex (two characters a byte).
///
/// # Panics
///
/// When the operating system has no randomness to give, which no caller could survive safely.
pub fn random_hex(bytes: usize) -> SecretString {
    let mut buffer = vec![0_u8; bytes];
    getrandom::fill(&mut buffer).expect("the operating system provides randomness");
    SecretString::from(buffer.iter().fold(String::with_capacity(bytes * 2), |mut text, byte| {
        use std::fmt::Write as _;
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
    known: RwLock<Vec<SecretString>>,
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
        let mut known = self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.iter().any(|other| other.expose_secret() == plain) {
            return;
        }
        known.push(SecretString::from(plain.to_owned()));
        // longest first: a secret that contains another must go as a whole
        known.sort_by_key(|value| std::cmp::Reverse(value.expose_secret().len()));
    }

    /// `text` with every known secret replaced by `***`.
    pub fn clean<'text>(&self, text: &'text str) -> Cow<'text, str> {
        let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut clean = Cow::Borrowed(text);
        for secret in known.iter() {
            for spelling in spellings(secret.expose_secret()) {
                if clean.contains(&spelling) {
                    clean = Cow::Owned(clean.replace(&spelling, "***"));
                }
            }
        }
        clean
    }
}

fn spellings(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned(), base64(secret.as_bytes())];
    let percent: String = secret
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    if percent != secret {
        all.push(percent);
    }
    all
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
