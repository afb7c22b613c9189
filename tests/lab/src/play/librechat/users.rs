//! LibreChat's users, kept in `MongoDB` under the fields of its `User` schema, passwords as bcrypt hashes.

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::play::mongodb::Documents;

/// Cost of a hash, as LibreChat's `registerUser` has it.
const COST: u32 = 10;

/// Who wants to be a user.
pub(super) struct Registration {
    pub(super) email: String,
    pub(super) name: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) verified: bool,
}

/// Why a login is refused, with the texts of LibreChat's `localStrategy.js`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NoUser,
    WrongPassword,
    NotVerified,
}

impl Refusal {
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::NoUser => "Email does not exist.",
            Self::WrongPassword => "Incorrect password.",
            Self::NotVerified => "Email not verified.",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Users(Documents);

impl Users {
    pub(super) fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// Makes a user; the first is an administrator.
    pub(super) async fn register(&self, wanted: Registration) -> anyhow::Result<()> {
        wanted.check()?;
        let first = self.0.find("users", &json!({})).await?.is_empty();
        let hash = hash(wanted.password).await?;
        let user = json!({
            "email": wanted.email.trim().to_lowercase(),
            "name": wanted.name,
            "username": wanted.username.to_lowercase(),
            "password": hash,
            "provider": "local",
            "role": if first { "ADMIN" } else { "USER" },
            "emailVerified": wanted.verified,
            "createdAt": jiff::Timestamp::now().to_string(),
        });
        match self.0.insert("users", user, &["email", "username"]).await {
            Err(error) if format!("{error:#}").contains("E11000") => {
                bail!("A user with that email or username already exists!")
            }
            other => other.map(drop),
        }
    }

    /// The user without the hash, if the password is right.
    pub(super) async fn login(
        &self,
        email: &str,
        password: &str,
        unverified: bool,
    ) -> anyhow::Result<Result<Value, Refusal>> {
        let found = self.0.find("users", &json!({"email": email.trim().to_lowercase()})).await?;
        let Some(mut user) = found.into_iter().next() else { return Ok(Err(Refusal::NoUser)) };
        let hash = user["password"].as_str().unwrap_or_default().to_owned();
        if !matches(password.to_owned(), hash).await? {
            return Ok(Err(Refusal::WrongPassword));
        }
        if user["emailVerified"] != true && !unverified {
            return Ok(Err(Refusal::NotVerified));
        }
        user["id"] = user["_id"].clone();
        if let Some(fields) = user.as_object_mut() {
            fields.remove("password");
        }
        Ok(Ok(user))
    }
}

impl Registration {
    /// The rules of LibreChat's `registerSchema`.
    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.email.contains('@'), "Invalid email address!");
        let length =
            |text: &str, range: std::ops::RangeInclusive<usize>| range.contains(&text.chars().count());
        ensure!(length(&self.name, 3..=80), "name: must have 3 to 80 characters");
        ensure!(length(&self.username, 2..=80), "username: must have 2 to 80 characters");
        ensure!(length(&self.password, 8..=128), "password: must have 8 to 128 characters");
        Ok(())
    }
}

/// Hashing takes tens of milliseconds, which other requests should not wait for.
async fn hash(password: String) -> anyhow::Result<String> {
    let hashed = tokio::task::spawn_blocking(move || bcrypt::hash(password, COST)).await;
    hashed.context("hash a password")?.context("hash a password")
}

async fn matches(password: String, hash: String) -> anyhow::Result<bool> {
    let matching = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash)).await;
    matching.context("compare a password")?.context("compare a password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_keeps_to_the_rules() {
        let wanted = |email: &str, name: &str, password: &str| Registration {
            email: email.to_owned(),
            name: name.to_owned(),
            username: name.to_owned(),
            password: password.to_owned(),
            verified: true,
        };
        assert!(wanted("user-x1@lab.example", "user-x1", "long enough").check().is_ok());
        for (email, name, password) in [
            ("nobody", "user-x1", "long enough"),
            ("u@x.example", "u", "long enough"),
            ("u@x.example", "user-x1", "short"),
        ] {
            assert!(wanted(email, name, password).check().is_err(), "{email} {name} {password}");
        }
    }
}
