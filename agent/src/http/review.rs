//! Callers with a service account's token: the API server says whose it is (`TokenReview`,
//! `authentication.k8s.io/v1`).
//!
//! A service account speaks for its own namespace and no other. The token has to be made for this agent
//! (audience), so that it is good for nothing else when it is stolen; a token for the API server is refused.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::auth::{Caller, Refusal};

/// A verdict is good for this long; tokens live for ten minutes at least.
const GOOD: Duration = Duration::from_mins(1);
/// Verdicts kept; beyond that they start over.
const KEPT: usize = 1_000;
/// Longest token looked at, in bytes.
const LONGEST: usize = 8 * 1024;
/// Questions under way at once: guessing tokens must not become a flood for the API server.
const ASKED: usize = 8;
/// Time for one question.
const WITHIN: Duration = Duration::from_secs(5);

const NOT_VALID: Refusal = Refusal::unknown("the token is not valid");
const NOT_NOW: Refusal =
    Refusal { status: StatusCode::SERVICE_UNAVAILABLE, why: "the token cannot be checked at the moment" };

/// What was found out about tokens, by their digest, and when.
type Known = HashMap<[u8; 32], (Instant, Result<Caller, Refusal>)>;

/// Asks the API server.
#[derive(Debug)]
pub struct TokenReview {
    http: Client,
    url: String,
    /// Our own token, which has to be allowed to create token reviews; read every time, because it is renewed.
    own: PathBuf,
    audience: String,
    known: Mutex<Known>,
    turns: Semaphore,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    authenticated: bool,
    audiences: Vec<String>,
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    username: String,
}

impl TokenReview {
    /// Questions to the API server at `server`, with the token in the file `own`, for tokens made for
    /// `audience`. `http` has to trust the server.
    pub fn new(http: Client, server: &str, own: PathBuf, audience: String) -> Self {
        let url = format!("{}/apis/authentication.k8s.io/v1/tokenreviews", server.trim_end_matches('/'));
        Self { http, url, own, audience, known: Mutex::default(), turns: Semaphore::new(ASKED) }
    }

    /// Whose token it is.
    pub(super) async fn caller(&self, token: &SecretString) -> Result<Caller, Refusal> {
        let text = token.expose_secret();
        // Service account tokens are JWTs: anything else is not worth a question.
        if text.len() > LONGEST || text.split('.').count() != 3 {
            return Err(NOT_VALID);
        }
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        if let Some((at, verdict)) = self.known().get(&digest)
            && at.elapsed() < GOOD
        {
            return verdict.clone();
        }
        let Ok(_turn) = self.turns.try_acquire() else { return Err(NOT_NOW) };
        let Some(status) = self.ask(text).await else { return Err(NOT_NOW) };
        let verdict = judge(&status, &self.audience);
        let mut known = self.known();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(digest, (Instant::now(), verdict.clone()));
        verdict
    }

    async fn ask(&self, token: &str) -> Option<Status> {
        let own = match tokio::fs::read_to_string(&self.own).await {
            Ok(own) => own,
            Err(error) => {
                tracing::error!(%error, "the agent's own service account token cannot be read");
                return None;
            }
        };
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self.audience]},
        });
        let request = self.http.post(&self.url).bearer_auth(own.trim()).json(&review).timeout(WITHIN);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let error = tenant_kit::cause::innermost(&error);
                tracing::error!(error, "the API server cannot be asked about a token");
                return None;
            }
        };
        if !response.status().is_success() {
            let status = response.status().as_u16();
            tracing::error!(
                status,
                "the API server refuses token reviews; the agent needs the role system:auth-delegator"
            );
            return None;
        }
        response.json::<Answer>().await.ok().map(|answer| answer.status)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An authenticator that knows no audiences returns none; then the token may be one for the API server.
fn judge(status: &Status, audience: &str) -> Result<Caller, Refusal> {
    if !status.authenticated {
        return Err(NOT_VALID);
    }
    if !status.audiences.iter().any(|a| a == audience) {
        return Err(Refusal::unknown("the token was not made for this agent"));
    }
    let account = status.user.username.strip_prefix("system:serviceaccount:");
    let Some((namespace, _)) = account.and_then(|a| a.split_once(':')) else {
        return Err(Refusal { status: StatusCode::FORBIDDEN, why: "only service accounts may report" });
    };
    Ok(Caller { name: status.user.username.clone(), namespace: Some(namespace.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(authenticated: bool, audience: &str, username: &str) -> Status {
        let user = User { username: username.to_owned() };
        Status { authenticated, audiences: vec![audience.to_owned()], user }
    }

    #[test]
    fn a_service_account_speaks_for_its_namespace_and_others_do_not_speak() {
        let good = judge(&status(true, "agent", "system:serviceaccount:user1:pipeline"), "agent");
        let good = good.expect("a service account with the right audience");
        assert!(good.may("user1") && !good.may("user2"));
        for (bad, code) in [
            (status(false, "agent", "system:serviceaccount:user1:pipeline"), 401),
            (status(true, "https://kubernetes.default.svc", "system:serviceaccount:user1:pipeline"), 401),
            (status(true, "agent", "alice"), 403),
            (status(true, "agent", "system:serviceaccount:"), 403),
        ] {
            assert_eq!(judge(&bad, "agent").map_err(|r| r.status.as_u16()), Err(code));
        }
    }
}
