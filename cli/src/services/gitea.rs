//! Gitea's API: users, repositories, tokens (provisioning.md 2.3 and 2.5; Gitea 1.25 and 1.26).

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{Service, ServiceError, call::Answer, web::encoded};
use crate::order::lenient;

/// What a token may do: read the user and repositories, read and write issues (provisioning.md 2.5).
pub const TOKEN_SCOPES: [&str; 4] = ["read:user", "read:repository", "read:issue", "write:issue"];

/// Users a page: the most Gitea gives unless configured otherwise.
const PAGE: u32 = 50;

/// A Gitea instance.
#[derive(Clone)]
pub struct Gitea {
    service: Service,
}

/// Who calls.
#[derive(Debug, Clone)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

/// A repository to migrate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Repository {
    /// Its name in Gitea.
    pub name: String,
    /// Where it is cloned from.
    pub repo: String,
    /// Whether only its owner sees it.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub private: bool,
}

impl Gitea {
    /// The instance at `service`.
    pub fn new(service: Service) -> Self {
        Self { service }
    }

    /// Base URL without a trailing slash.
    pub fn url(&self) -> &str {
        &self.service.base
    }

    /// Id of a user.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer or refuses.
    pub async fn user_id(&self, admin: &Login, user: &str) -> Result<Option<u64>, ServiceError> {
        let operation = format!("look up user {user}");
        let answer =
            self.call(&operation, Method::GET, &format!("/users/{}", encoded(user)), admin, None).await?;
        match (answer.status, answer.body["id"].as_u64()) {
            (200, Some(id)) => Ok(Some(id)),
            (404, _) => Ok(None),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Names of all users.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer or refuses.
    pub async fn users(&self, admin: &Login) -> Result<Vec<String>, ServiceError> {
        let operation = "list users";
        let mut names = Vec::new();
        for page in 1.. {
            let path = format!("/admin/users?page={page}&limit={PAGE}");
            let answer = self.call(operation, Method::GET, &path, admin, None).await?;
            let Some(users) = answer.body.as_array().filter(|_| answer.status == 200) else {
                return Err(self.service.unexpected(operation, &answer));
            };
            names.extend(users.iter().filter_map(|user| user["login"].as_str().map(str::to_owned)));
            if users.is_empty() {
                break;
            }
        }
        Ok(names)
    }

    /// Creates a user; `None` when there is one of that name already.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer or refuses.
    pub async fn create_user(
        &self,
        admin: &Login,
        login: &Login,
        email: &str,
    ) -> Result<Option<u64>, ServiceError> {
        let operation = format!("create user {}", login.user);
        let body = json!({
            "username": login.user,
            "login_name": login.user,
            "email": email,
            "password": login.password.expose_secret(),
            "must_change_password": false,
        });
        let answer = self.call(&operation, Method::POST, "/admin/users", admin, Some(&body)).await?;
        match (answer.status, answer.body["id"].as_u64()) {
            (201, Some(id)) => Ok(Some(id)),
            (422, _) if answer.body.to_string().contains("already exists") => Ok(None),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Sets a user's password.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer or refuses.
    pub async fn set_password(&self, admin: &Login, login: &Login) -> Result<(), ServiceError> {
        let operation = format!("set the password of user {}", login.user);
        let path = format!("/admin/users/{}", encoded(&login.user));
        let body = json!({
            "login_name": login.user,
            "source_id": 0,
            "password": login.password.expose_secret(),
            "must_change_password": false,
        });
        let answer = self.call(&operation, Method::PATCH, &path, admin, Some(&body)).await?;
        match answer.status {
            200 => Ok(()),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Deletes a user and all that is theirs; `false` when there was none.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer or refuses.
    pub async fn purge_user(&self, admin: &Login, user: &str) -> Result<bool, ServiceError> {
        let operation = format!("delete user {user}");
        let path = format!("/admin/users/{}?purge=true", encoded(user));
        let answer = self.call(&operation, Method::DELETE, &path, admin, None).await?;
        match answer.status {
            204 => Ok(true),
            404 => Ok(false),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Whether a login works.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer.
    pub async fn accepts(&self, login: &Login) -> Result<bool, ServiceError> {
        let operation = format!("log in as {}", login.user);
        let answer = self.call(&operation, Method::GET, "/user", login, None).await?;
        match answer.status {
            200 => Ok(true),
            401 | 403 => Ok(false),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Whether a user has a repository. (A migration that broke off leaves an empty one.)
    ///
    /// # Errors
    ///
    /// When Gitea does not answer or refuses.
    pub async fn repository(
        &self,
        admin: &Login,
        owner: &str,
        name: &str,
    ) -> Result<RepositoryState, ServiceError> {
        let operation = format!("look up repository {owner}/{name}");
        let path = format!("/repos/{}/{}", encoded(owner), encoded(name));
        let answer = self.call(&operation, Method::GET, &path, admin, None).await?;
        match answer.status {
            200 if answer.body["empty"] == true => Ok(RepositoryState::Empty),
            200 => Ok(RepositoryState::Present),
            404 => Ok(RepositoryState::Absent),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Copies a repository from where it is into a user's account; `false` when it is there already.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer, refuses, or cannot reach the source.
    pub async fn migrate(
        &self,
        admin: &Login,
        owner_id: u64,
        repository: &Repository,
    ) -> Result<bool, ServiceError> {
        let operation = format!("migrate {} to repository {}", repository.repo, repository.name);
        let body = json!({
            "clone_addr": repository.repo,
            "repo_name": repository.name,
            "uid": owner_id,
            "private": repository.private,
            "description": "",
            "mirror": false,
            "issues": false,
            "milestones": false,
        });
        let answer = self.call(&operation, Method::POST, "/repos/migrate", admin, Some(&body)).await?;
        match answer.status {
            201 => Ok(true),
            409 => Ok(false),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Deletes a repository; `false` when there was none.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer or refuses.
    pub async fn delete_repository(
        &self,
        admin: &Login,
        owner: &str,
        name: &str,
    ) -> Result<bool, ServiceError> {
        let operation = format!("delete repository {owner}/{name}");
        let path = format!("/repos/{}/{}", encoded(owner), encoded(name));
        let answer = self.call(&operation, Method::DELETE, &path, admin, None).await?;
        match answer.status {
            204 => Ok(true),
            404 => Ok(false),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Creates a token of this name, replacing one whose value nobody knows any more.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer or refuses.
    pub async fn create_token(&self, login: &Login, name: &str) -> Result<SecretString, ServiceError> {
        let operation = format!("create token {name} of user {}", login.user);
        let path = format!("/users/{}/tokens", encoded(&login.user));
        let body = json!({"name": name, "scopes": TOKEN_SCOPES});
        let mut answer = self.call(&operation, Method::POST, &path, login, Some(&body)).await?;
        // Gitea says 400 "access token name has been used already"; older versions 422
        if matches!(answer.status, 400 | 422) && self.delete_token(login, name).await? {
            answer = self.call(&operation, Method::POST, &path, login, Some(&body)).await?;
        }
        match (answer.status, answer.body["sha1"].as_str()) {
            (201, Some(token)) => Ok(SecretString::from(token.to_owned())),
            (201, None) => Err(self.service.malformed(&operation, "the answer holds no sha1")),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Deletes a token by name; `false` when there was none.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer or refuses.
    pub async fn delete_token(&self, login: &Login, name: &str) -> Result<bool, ServiceError> {
        let operation = format!("delete token {name} of user {}", login.user);
        let path = format!("/users/{}/tokens/{}", encoded(&login.user), encoded(name));
        let answer = self.call(&operation, Method::DELETE, &path, login, None).await?;
        match answer.status {
            204 => Ok(true),
            404 => Ok(false),
            _ => Err(self.service.unexpected(&operation, &answer)),
        }
    }

    /// Whether a token is still good.
    ///
    /// # Errors
    ///
    /// When Gitea does not answer.
    pub async fn accepts_token(&self, token: &SecretString) -> Result<bool, ServiceError> {
        let operation = "check the API token";
        let header = format!("token {}", token.expose_secret());
        let shape = |request: RequestBuilder| request.header(reqwest::header::AUTHORIZATION, &header);
        let answer = self.service.send(operation, Method::GET, "/api/v1/user", shape).await?;
        match answer.status {
            200 => Ok(true),
            401 | 403 => Ok(false),
            _ => Err(self.service.unexpected(operation, &answer)),
        }
    }

    async fn call(
        &self,
        operation: &str,
        method: Method,
        path: &str,
        login: &Login,
        body: Option<&Value>,
    ) -> Result<Answer, ServiceError> {
        let path = format!("/api/v1{path}");
        let authorised =
            |request: RequestBuilder| request.basic_auth(&login.user, Some(login.password.expose_secret()));
        self.service.send_json(operation, method, &path, body, authorised).await
    }
}

/// Whether a repository is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryState {
    /// Not there.
    Absent,
    /// There, without content.
    Empty,
    /// There, with content.
    Present,
}
