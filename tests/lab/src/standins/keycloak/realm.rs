//! The users of a realm and the tokens of its administrators.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A user as sent and answered (`UserRepresentation`, reduced).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) username: String,
    #[serde(default)]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) first_name: Option<String>,
    #[serde(default)]
    pub(super) last_name: Option<String>,
    #[serde(default)]
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) email_verified: bool,
    /// Taken, never answered.
    #[serde(default, skip_serializing)]
    pub(super) credentials: Vec<Credential>,
}

/// A password as sent (`CredentialRepresentation`, reduced).
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Credential {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) value: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credential").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A password nobody can read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HashedPassword {
    salt: String,
    hash: String,
}

impl HashedPassword {
    pub(super) fn new(password: &str) -> Self {
        let salt = tenant_kit::secret::random_hex(16).expose_secret().to_owned();
        let hash = Self::digest(&salt, password);
        Self { salt, hash }
    }

    /// A fast digest on purpose: the passwords live for one lab, and provisioning is measured against it.
    fn digest(salt: &str, password: &str) -> String {
        hex::encode(Sha256::new().chain_update(salt).chain_update(password).finalize())
    }

    pub(super) fn matches(&self, password: &str) -> bool {
        Self::digest(&self.salt, password) == self.hash
    }
}

/// What a call on users can be refused with: status and Keycloak's `errorMessage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400.
    Invalid(&'static str),
    /// 409.
    Conflict(&'static str),
    /// 404.
    NotFound,
}

/// The users of one realm.
#[derive(Debug, Default)]
pub(super) struct Realm {
    users: Vec<User>,
    passwords: HashMap<String, HashedPassword>,
}

impl Realm {
    /// Adds the user under a fresh id, which is returned. Names are stored in lower case.
    pub(super) fn create(&mut self, mut user: User) -> Result<String, Refusal> {
        user.username = user.username.to_lowercase();
        if user.username.is_empty() {
            return Err(Refusal::Invalid("User name is missing"));
        }
        if !(3..=255).contains(&user.username.chars().count()) {
            return Err(Refusal::Invalid("error-invalid-length"));
        }
        if self.users.iter().any(|other| other.username == user.username) {
            return Err(Refusal::Conflict("User exists with same username"));
        }
        if user.email.is_some() && self.users.iter().any(|other| other.email == user.email) {
            return Err(Refusal::Conflict("User exists with same email"));
        }
        let credentials = std::mem::take(&mut user.credentials);
        user.id = uuid();
        let id = user.id.clone();
        self.users.push(user);
        for credential in credentials {
            self.set_password(&id, &credential)?;
        }
        Ok(id)
    }

    /// Users whose name contains `username` in any case, or is exactly it; all of them without one.
    pub(super) fn search(&self, username: Option<&str>, exact: bool) -> Vec<User> {
        let wanted = username.map(str::to_lowercase);
        let fits = |user: &&User| match &wanted {
            None => true,
            Some(wanted) if exact => user.username == *wanted,
            Some(wanted) => user.username.contains(wanted.as_str()),
        };
        let mut found: Vec<_> = self.users.iter().filter(fits).cloned().collect();
        found.sort_by(|left, right| left.username.cmp(&right.username));
        found
    }

    pub(super) fn get(&self, id: &str) -> Result<&User, Refusal> {
        self.users.iter().find(|user| user.id == id).ok_or(Refusal::NotFound)
    }

    pub(super) fn delete(&mut self, id: &str) -> Result<(), Refusal> {
        self.get(id)?;
        self.users.retain(|user| user.id != id);
        self.passwords.remove(id);
        Ok(())
    }

    pub(super) fn set_password(&mut self, id: &str, credential: &Credential) -> Result<(), Refusal> {
        self.get(id)?;
        if credential.value.is_empty() {
            return Err(Refusal::Invalid("No password provided"));
        }
        self.passwords.insert(id.to_owned(), HashedPassword::new(&credential.value));
        Ok(())
    }

    /// The enabled user of that name and password.
    pub(super) fn login(&self, username: &str, password: &str) -> Option<&User> {
        let user = self.users.iter().find(|user| user.username == username.to_lowercase() && user.enabled)?;
        self.passwords.get(&user.id)?.matches(password).then_some(user)
    }
}

/// A random (version 4) UUID.
fn uuid() -> String {
    let hex = tenant_kit::secret::random_hex(16).expose_secret().to_owned();
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// Access tokens of administrators, kept as hashes.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    expiry: HashMap<String, Timestamp>,
}

impl Tokens {
    /// A new opaque token, good for `life`.
    pub(super) fn issue(&mut self, life: SignedDuration, now: Timestamp) -> String {
        self.expiry.retain(|_, expiry| *expiry > now);
        let token = tenant_kit::secret::random_hex(32).expose_secret().to_owned();
        self.expiry.insert(hash(&token), now.saturating_add(life).unwrap_or(Timestamp::MAX));
        token
    }

    pub(super) fn is_valid(&self, token: &str, now: Timestamp) -> bool {
        self.expiry.get(&hash(token)).is_some_and(|expiry| *expiry > now)
    }
}

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> User {
        User { username: name.to_owned(), enabled: true, ..User::default() }
    }

    #[test]
    fn search_is_by_substring_unless_exact_is_asked_for() {
        let mut realm = Realm::default();
        for name in ["user-x10", "user-x1", "other"] {
            realm.create(user(name)).unwrap();
        }
        let names = |found: Vec<User>| found.into_iter().map(|user| user.username).collect::<Vec<_>>();
        assert_eq!(names(realm.search(Some("user-x1"), false)), ["user-x1", "user-x10"]);
        assert_eq!(names(realm.search(Some("USER-X1"), true)), ["user-x1"]);
        assert_eq!(realm.search(None, false).len(), 3);
    }

    #[test]
    fn names_and_addresses_are_unique_and_names_are_checked() {
        let mut realm = Realm::default();
        let mut first = user("User-X1");
        first.email = Some("x@example.com".to_owned());
        realm.create(first.clone()).unwrap();
        assert_eq!(realm.create(user("user-x1")), Err(Refusal::Conflict("User exists with same username")));
        first.username = "user-x2".to_owned();
        assert_eq!(realm.create(first), Err(Refusal::Conflict("User exists with same email")));
        assert!(matches!(realm.create(user("ab")), Err(Refusal::Invalid(_))));
        assert!(matches!(realm.create(user("")), Err(Refusal::Invalid(_))));
    }

    #[test]
    fn a_password_logs_in_and_cannot_be_read_back() {
        let mut realm = Realm::default();
        let id = realm.create(user("user-x1")).unwrap();
        let credential = |value: &str| Credential { kind: "password".into(), value: value.into() };
        realm.set_password(&id, &credential("correct horse")).unwrap();
        assert!(realm.login("user-x1", "correct horse").is_some());
        assert!(realm.login("user-x1", "wrong horse").is_none());
        assert!(!format!("{realm:?}{:?}", credential("correct horse")).contains("horse"));
        realm.delete(&id).unwrap();
        assert_eq!(realm.delete(&id), Err(Refusal::NotFound));
        assert!(realm.login("user-x1", "correct horse").is_none());
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let (mut tokens, now) = (Tokens::default(), Timestamp::UNIX_EPOCH);
        let token = tokens.issue(SignedDuration::from_secs(60), now);
        assert!(tokens.is_valid(&token, now + SignedDuration::from_secs(59)));
        assert!(!tokens.is_valid(&token, now + SignedDuration::from_secs(60)));
        assert!(!tokens.is_valid("", now));
    }
}
