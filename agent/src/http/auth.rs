//! Who may report, and who may read: a bearer token, a signature over time and body, or the token of a
//! Kubernetes service account.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::review::TokenReview;

/// A signature is good for this long, in seconds, either way: clocks differ.
const FRESH: i64 = 300;
/// Signatures remembered against replay. Only who has the key can fill it; then new ones have to wait.
const REMEMBERED: usize = 20_000;

/// Times and signatures that were used.
type Seen = Arc<Mutex<VecDeque<(i64, Vec<u8>)>>>;

/// The schemes; any that is set admits.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    token: Option<SecretString>,
    key: Option<SecretString>,
    review: Option<Arc<TokenReview>>,
    seen: Seen,
}

/// Somebody who may report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// How they are called in the audit log: the scheme, or the service account.
    pub name: String,
    /// The one namespace they may speak for; `None` for every namespace of this agent.
    pub namespace: Option<String>,
}

impl Caller {
    pub(super) fn any(name: &str) -> Self {
        Self { name: name.to_owned(), namespace: None }
    }

    /// Whether they may report, and see reports, of a namespace.
    pub fn may(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// 401, 403, or 503 when it cannot be found out.
    pub status: StatusCode,
    /// A sentence for them.
    pub why: &'static str,
}

impl Refusal {
    pub(super) const fn unknown(why: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, why }
    }
}

/// What the caller wants to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// Something that has consequences.
    Act,
    /// Look; browsers may do so with the token as a password.
    Look,
}

impl Auth {
    /// Token and signing key; with neither, and without reviews, everybody may report.
    pub fn new(token: Option<SecretString>, key: Option<SecretString>) -> Self {
        Self { token, key, ..Self::default() }
    }

    /// The same, and service accounts may report for their own namespace.
    #[must_use]
    pub fn with_review(mut self, review: Option<TokenReview>) -> Self {
        self.review = review.map(Arc::new);
        self
    }

    /// Whether nothing is checked.
    pub fn is_open(&self) -> bool {
        self.token.is_none() && self.key.is_none() && self.review.is_none()
    }

    /// Names of the schemes that are set.
    pub fn schemes(&self) -> Vec<&'static str> {
        let set = [
            ("token", self.token.is_some()),
            ("signature", self.key.is_some()),
            ("service account", self.review.is_some()),
        ];
        set.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect()
    }

    /// Check a request.
    pub(super) async fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
        wish: Wish,
    ) -> Result<Caller, Refusal> {
        if self.is_open() {
            return Ok(Caller::any("anonymous"));
        }
        if let Some(given) = presented(headers, wish) {
            return match (&self.token, &self.review) {
                (Some(token), _) if same(token, &given) => Ok(Caller::any("token")),
                (_, Some(review)) => review.caller(&given).await,
                _ => Err(Refusal::unknown("the token is not valid")),
            };
        }
        let signature = headers.get("x-signature").and_then(|v| v.to_str().ok());
        match (&self.key, signature) {
            (Some(key), Some(signature)) => self.signature(key, signature, body, now),
            _ => Err(Refusal::unknown("a bearer token or a signature is required")),
        }
    }

    /// `X-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
    fn signature(
        &self,
        key: &SecretString,
        header: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let refused = |why| Err(Refusal::unknown(why));
        let part =
            |name: &str| header.split(',').find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='));
        let time = part("t").and_then(|t| t.parse::<i64>().ok());
        let (Some(time), Some(Ok(given))) = (time, part("v1").map(hex::decode)) else {
            return refused("the signature is malformed");
        };
        if now.as_second().abs_diff(time) > FRESH.unsigned_abs() {
            return refused("the signature is too old");
        }
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else {
            return refused("the signature is not valid");
        };
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        if mac.verify_slice(&given).is_err() {
            return refused("the signature is not valid");
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.iter().any(|(_, s)| *s == given) {
            return refused("the signature was used before");
        }
        seen.retain(|(t, _)| now.as_second() - t <= FRESH);
        if seen.len() >= REMEMBERED {
            // Forgetting one would let it in again.
            return Err(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, why: "too many signatures" });
        }
        seen.push_back((time, given));
        Ok(Caller::any("signature"))
    }
}

/// The bearer token, or for looking the password of basic authentication, which browsers know to ask for.
/// They send it along with requests other pages make them send, so it is good for nothing else.
fn presented(headers: &HeaderMap, wish: Wish) -> Option<SecretString> {
    let (scheme, value) = headers.get("authorization")?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned().into());
    }
    if wish == Wish::Look && scheme.eq_ignore_ascii_case("basic") {
        let pair = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        return pair.split_once(':').map(|(_, password)| password.to_owned().into());
    }
    None
}

/// Equal digests take equal time, whatever was guessed right.
fn same(token: &SecretString, given: &SecretString) -> bool {
    let digest = |secret: &SecretString| Sha256::digest(secret.expose_secret().as_bytes());
    digest(token) == digest(given)
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

    #[tokio::test]
    async fn only_the_right_token_passes() {
        let auth = Auth::new(Some("secret".to_owned().into()), None);
        let check = async |value: &str, wish| {
            auth.check(&headers("authorization", value), b"", at(0), wish).await.map(|c| c.name)
        };
        assert_eq!(check("bearer secret", Wish::Act).await, Ok("token".to_owned()));
        // `any:secret`
        assert_eq!(check("Basic YW55OnNlY3JldA==", Wish::Look).await, Ok("token".to_owned()));
        assert!(check("Basic YW55OnNlY3JldA==", Wish::Act).await.is_err(), "a browser's password acts");
        for bad in ["Bearer wrong", "Bearer ", "Basic secret", "Basic YW55OndvcmRz", "secret"] {
            assert!(check(bad, Wish::Look).await.is_err(), "{bad}");
        }
        assert!(auth.check(&HeaderMap::new(), b"", at(0), Wish::Act).await.is_err());
    }

    #[tokio::test]
    async fn a_signature_covers_the_body_ages_and_works_once() {
        let auth = Auth::new(None, Some("key".to_owned().into()));
        let check = async |headers: HeaderMap, body: &[u8], now| {
            auth.check(&headers, body, at(now), Wish::Act).await.map_err(|r| r.why)
        };
        assert_eq!(check(signed(1_000, b"body"), b"body", 1_010).await, Ok(Caller::any("signature")));
        let again = check(signed(1_000, b"body"), b"body", 1_011).await;
        assert_eq!(again, Err("the signature was used before"));
        assert!(check(signed(1_001, b"body"), b"other", 1_010).await.is_err());
        assert_eq!(check(signed(1_000, b"old"), b"old", 1_400).await, Err("the signature is too old"));
        assert_eq!(check(signed(2_000, b"new"), b"new", 1_400).await, Err("the signature is too old"));
        for bad in ["t=x,v1=zz", "t=-9223372036854775808,v1=00", "v1=00", ""] {
            assert!(check(headers("x-signature", bad), b"", 0).await.is_err(), "{bad}");
        }
    }
}
