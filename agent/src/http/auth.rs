//! Who may report: a bearer token, or a signature over time and body.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A signature is good for this long, in seconds, either way: clocks differ.
const FRESH: i64 = 300;
/// Signatures remembered against replay; more cannot arrive within the time at the allowed rate.
const REMEMBERED: usize = 20_000;

/// Times and signatures that were used.
type Seen = Arc<Mutex<VecDeque<(i64, Vec<u8>)>>>;

/// The scheme.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    token: Option<SecretString>,
    key: Option<SecretString>,
    seen: Seen,
}

/// The verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caller {
    /// May report.
    Known,
    /// May not, and why.
    Unknown(&'static str),
}

impl Auth {
    /// Token and signing key; with neither, everybody may report.
    pub fn new(token: Option<SecretString>, key: Option<SecretString>) -> Self {
        Self { token, key, seen: Arc::default() }
    }

    /// Whether anything is checked.
    pub fn is_open(&self) -> bool {
        self.token.is_none() && self.key.is_none()
    }

    /// Check a request.
    pub fn check(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Caller {
        if self.is_open() {
            return Caller::Known;
        }
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        if let (Some(token), Some(given)) = (&self.token, text("authorization").and_then(bearer)) {
            // Equal digests take equal time, whatever was guessed right.
            let same = Sha256::digest(given.as_bytes()) == Sha256::digest(token.expose_secret().as_bytes());
            return if same { Caller::Known } else { Caller::Unknown("the token is not valid") };
        }
        match (&self.key, text("x-signature")) {
            (Some(key), Some(signature)) => self.signature(key, signature, body, now),
            _ => Caller::Unknown("a bearer token or a signature is required"),
        }
    }

    /// `X-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
    fn signature(&self, key: &SecretString, header: &str, body: &[u8], now: Timestamp) -> Caller {
        let part =
            |name: &str| header.split(',').find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='));
        let time = part("t").and_then(|t| t.parse::<i64>().ok());
        let (Some(time), Some(Ok(given))) = (time, part("v1").map(hex::decode)) else {
            return Caller::Unknown("the signature is malformed");
        };
        if (now.as_second() - time).abs() > FRESH {
            return Caller::Unknown("the signature is too old");
        }
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else {
            return Caller::Unknown("the signature is not valid");
        };
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        if mac.verify_slice(&given).is_err() {
            return Caller::Unknown("the signature is not valid");
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.iter().any(|(_, s)| *s == given) {
            return Caller::Unknown("the signature was used before");
        }
        seen.retain(|(t, _)| now.as_second() - t <= FRESH);
        if seen.len() >= REMEMBERED {
            seen.pop_front();
        }
        seen.push_back((time, given));
        Caller::Known
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("header"));
        headers
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("valid")
    }

    fn signed(time: i64, body: &[u8]) -> HeaderMap {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").expect("any length");
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        headers("x-signature", &format!("t={time},v1={}", hex::encode(mac.finalize().into_bytes())))
    }

    #[test]
    fn only_the_right_token_passes() {
        let auth = Auth::new(Some("secret".to_owned().into()), None);
        assert_eq!(auth.check(&headers("authorization", "bearer secret"), b"", at(0)), Caller::Known);
        for bad in ["Bearer wrong", "Bearer ", "Basic secret", "secret"] {
            assert_ne!(auth.check(&headers("authorization", bad), b"", at(0)), Caller::Known, "{bad}");
        }
        assert_ne!(auth.check(&HeaderMap::new(), b"", at(0)), Caller::Known);
    }

    #[test]
    fn a_signature_covers_the_body_ages_and_works_once() {
        let auth = Auth::new(None, Some("key".to_owned().into()));
        assert_eq!(auth.check(&signed(1_000, b"body"), b"body", at(1_010)), Caller::Known);
        assert_eq!(
            auth.check(&signed(1_000, b"body"), b"body", at(1_011)),
            Caller::Unknown("the signature was used before")
        );
        assert_ne!(auth.check(&signed(1_001, b"body"), b"other", at(1_010)), Caller::Known);
        assert_ne!(auth.check(&signed(1_000, b"old"), b"old", at(1_400)), Caller::Known);
        assert_ne!(auth.check(&headers("x-signature", "t=x,v1=zz"), b"", at(0)), Caller::Known);
    }
}
