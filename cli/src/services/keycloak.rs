//! Keycloak's admin API (provisioning.md 2.0.a and 3.2).

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{Service, ServiceError, call::Answer, web::encoded};

/// Users a page: Keycloak's own default.
const PAGE: usize = 100;

/// A realm of a Keycloak server, used as an admin of the server.
pub struct Realm {
    service: Service,
    name: String,
    token: SecretString,
}

impl Realm {
    /// Logs in at the master realm (client `admin-cli`). The token lives for about a minute.
    ///
    /// # Errors
    ///
    /// When Keycloak does not answer or refuses the credentials.
    pub async fn log_in(
        service: Service,
        realm: &str,
        user: &str,
        password: &SecretString,
    ) -> Result<Self, ServiceError> {
        let operation = format!("log in as {user}");
        let form = [
            ("client_id", "admin-cli"),
            ("grant_type", "password"),
            ("username", user),
            ("password", password.expose_secret()),
        ];
        let path = "/realms/master/protocol/openid-connect/token";
        let answer = service.send(&operation, Method::POST, path, |request| request.form(&form)).await?;
        match (answer.status, answer.body["access_token"].as_str()) {
            (200, Some(token)) => {
                let token = SecretString::from(token.to_owned());
                Ok(Self { service, name: realm.to_owned(), token })
            }
            (200, None) => Err(service.malformed(&operation, "the answer holds no access_token")),
            _ => Err(service.unexpected(&operation, &answer)),
        }
    }

    /// Id of the user of exactly this name.
    ///
    /// # Errors
    ///
    /// When Keycloak does not answer or refuses.
    pub async fn find(&self, username: &str) -> Result<Option<String>, ServiceError> {
        let operation = format!("look up user {username}");
        let query = format!("/users?username={}&exact=true", encoded(username));
        let answer = self.call(&operation, Method::GET, &query, None).await?;
        let Some(users) = answer.body.as_array().filter(|_| answer.status == 200) else {
            return Err(self.service.unexpected(&operation, &answer));
        };
        let found = users.iter().find(|user| user["username"] == username);
        Ok(found.and_then(|user| user["id"].as_str()).map(str::to_owned))
    }

    /// Names of the users that contain `part`.
    ///
    /// # Errors
    ///
    /// When Keycloak does not answer or refuses.
    pub async fn users(&self, part: &str) -> Result<Vec<String>, ServiceError> {
        let operation = format!("list users called {part}…");
        let mut names = Vec::new();
        loop {
            let query = format!("/users?username={}&first={}&max={PAGE}", encoded(part), names.len());
            let answer = self.call(&operation, Method::GET, &query, None).await?;
            let Some(users) = answer.body.as_array().filter(|_| answer.status == 200) else {
                return Err(self.service.unexpected(&operation, &answer));
            };
            names.extend(users.iter().map(|user| user["username"].as_str().unwrap_or_default().to_owned()));
            if users.len() < PAGE {
                return Ok(names);
            }
        }
    }

    /// Creates a user with a password; `false` when there is one of that name already.
    ///
    /// # Errors
    ///
    /// When Keycloak does not answer or refuses.
    pub async fn create(&self, username: &str, password: &SecretString) -> Result<bool, ServiceError> {
        let operation = format!("create user {username}");
        let user = json!({
            "username": username,
            "enabled": true,
            "firstName": username,
            "lastName": "Demo",
            "email": format!("{username}@demo.redhat.com"),
            "emailVerified": true,
            "credentials": [credential(password)],
        });
        let answer = self.call(&operation, Method::POST, "/users", Some(&user)).await?;
        match answer.status {
            201 => Ok(true),
            409 => Ok(false),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Sets a user's password.
    ///
    /// # Errors
    ///
    /// When Keycloak does not answer or refuses.
    pub async fn set_password(&self, id: &str, password: &SecretString) -> Result<(), ServiceError> {
        let operation = "set the user's password";
        let body = credential(password);
        let path = format!("/users/{id}/reset-password");
        let answer = self.call(operation, Method::PUT, &path, Some(&body)).await?;
        match answer.status {
            204 => Ok(()),
            _ => Err(self.service.unexpected(operation, &answer)),
        }
    }

    /// Deletes a user; `false` when there was none.
    ///
    /// # Errors
    ///
    /// When Keycloak does not answer or refuses.
    pub async fn delete(&self, id: &str) -> Result<bool, ServiceError> {
        let operation = "delete the user";
        let answer = self.call(operation, Method::DELETE, &format!("/users/{id}"), None).await?;
        match answer.status {
            204 => Ok(true),
            404 => Ok(false),
            _ => Err(self.service.unexpected(operation, &answer)),
        }
    }

    async fn call(
        &self,
        operation: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ServiceError> {
        let path = format!("/admin/realms/{}{path}", encoded(&self.name));
        let authorised = |request: RequestBuilder| request.bearer_auth(self.token.expose_secret());
        self.service.send_json(operation, method, &path, body, authorised).await
    }
}

/// A password as Keycloak's `CredentialRepresentation`.
fn credential(password: &SecretString) -> Value {
    json!({"type": "password", "temporary": false, "value": password.expose_secret()})
}
