//! The calls of one provision outside of the cluster's API, bare: Keycloak, LiteLLM, Gitea.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tenant_kit::http::{self, ClientSettings, Detour};
use tenant_lab::state::State;

/// The repository an order starts with, under the name it gets.
const REPOSITORY: (&str, &str) = ("mcp", "https://github.com/rhpds/ocpsandbox-mcp-with-openshift-gitops");

/// A user name and its password.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// Where the services are, and who we are there.
pub(super) struct Services {
    http: reqwest::Client,
    litellm: String,
    litellm_key: String,
    keycloak: String,
    keycloak_admin: Login,
    guid: String,
}

/// A Gitea instance and its admin.
pub(super) struct Gitea {
    pub(super) url: String,
    pub(super) admin: Login,
}

impl Services {
    pub(super) fn new(state: &State, keycloak_admin: Login, guid: &str) -> anyhow::Result<Self> {
        let detour = |address: SocketAddr| Detour { domain: state.domain.clone(), address };
        let settings = ClientSettings {
            extra_roots: Some(state.router_ca.clone()),
            timeout: Some(Duration::from_mins(1)),
            detour: state.router.map(detour),
            ..ClientSettings::new("lab-bench")
        };
        Ok(Self {
            http: http::client(&settings)?,
            litellm: state.litellm_url.clone(),
            litellm_key: state.litellm_master_key.clone(),
            keycloak: format!("https://sso.{}", state.domain),
            keycloak_admin,
            guid: guid.to_owned(),
        })
    }

    /// The same for another tenant, over the same connections.
    pub(super) fn of(&self, guid: &str) -> Self {
        Self {
            http: self.http.clone(),
            litellm: self.litellm.clone(),
            litellm_key: self.litellm_key.clone(),
            keycloak: self.keycloak.clone(),
            keycloak_admin: self.keycloak_admin.clone(),
            guid: guid.to_owned(),
        }
    }

    fn user(&self) -> String {
        format!("user-{}", self.guid)
    }

    fn alias(&self) -> String {
        format!("virtkey-{}", self.guid)
    }

    /// Opens the connections.
    pub(super) async fn warm(&self) -> anyhow::Result<()> {
        let asked = [&self.litellm, &self.keycloak].map(|url| self.http.get(url).send());
        futures::future::try_join_all(asked).await.map(drop).context("reach LiteLLM and Keycloak")
    }

    /// Makes the login: token, user, its id, its password.
    pub(super) async fn make_login(&self) -> anyhow::Result<()> {
        let token = self.keycloak_token().await?;
        let user = self.user();
        let body = json!({
            "username": user, "enabled": true, "firstName": user, "lastName": "Demo",
            "email": format!("{user}@demo.redhat.com"), "emailVerified": true,
        });
        send(self.keycloak(Method::POST, "", &token).json(&body)).await?;
        let id = self.keycloak_id(&token).await?;
        let body = json!({"type": "password", "temporary": false, "value": "bench"});
        let path = format!("/{id}/reset-password");
        send(self.keycloak(Method::PUT, &path, &token).json(&body)).await.map(drop)
    }

    /// Deletes the login.
    pub(super) async fn delete_login(&self) -> anyhow::Result<()> {
        let token = self.keycloak_token().await?;
        let id = self.keycloak_id(&token).await?;
        send(self.keycloak(Method::DELETE, &format!("/{id}"), &token)).await.map(drop)
    }

    async fn keycloak_token(&self) -> anyhow::Result<String> {
        let Login { user, password } = &self.keycloak_admin;
        let form = [
            ("client_id", "admin-cli"),
            ("grant_type", "password"),
            ("username", user),
            ("password", password),
        ];
        let url = format!("{}/realms/master/protocol/openid-connect/token", self.keycloak);
        let answer = send(self.http.post(url).form(&form)).await?;
        Ok(answer["access_token"].as_str().context("Keycloak gave no token")?.to_owned())
    }

    async fn keycloak_id(&self, token: &str) -> anyhow::Result<String> {
        let query = format!("?username={}&exact=true", self.user());
        let found = send(self.keycloak(Method::GET, &query, token)).await?;
        Ok(found[0]["id"].as_str().context("Keycloak does not find the user")?.to_owned())
    }

    fn keycloak(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let url = format!("{}/admin/realms/sso/users{path}", self.keycloak);
        self.http.request(method, url).bearer_auth(token)
    }

    /// Makes the virtual key.
    pub(super) async fn make_key(&self) -> anyhow::Result<()> {
        let body = json!({
            "models": ["llama-scout-17b", "qwen3-14b"],
            "duration": "3d",
            "key_alias": self.alias(),
            "user_id": format!("{}@lab.opentlc.com", self.guid),
            "metadata": {"guid": self.guid},
        });
        self.litellm("/key/generate", &body).await
    }

    /// Deletes the virtual key.
    pub(super) async fn delete_key(&self) -> anyhow::Result<()> {
        self.litellm("/key/delete", &json!({"key_aliases": [self.alias()]})).await
    }

    async fn litellm(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let request = self.http.post(format!("{}{path}", self.litellm)).bearer_auth(&self.litellm_key);
        send(request.json(body)).await.map(drop)
    }

    /// Makes Gitea's user and returns its id.
    pub(super) async fn make_user(&self, gitea: &Gitea, login: &Login) -> anyhow::Result<u64> {
        let body = json!({
            "username": login.user, "login_name": login.user, "email": format!("{}@example.com", login.user),
            "password": login.password, "must_change_password": false,
        });
        let answer = send(self.gitea(gitea, "/admin/users", &gitea.admin).json(&body)).await?;
        answer["id"].as_u64().context("Gitea gave no id")
    }

    /// Copies the repository.
    pub(super) async fn migrate(&self, gitea: &Gitea, owner: u64) -> anyhow::Result<()> {
        let (name, source) = REPOSITORY;
        let body = json!({
            "clone_addr": source, "repo_name": name, "uid": owner, "private": false, "description": "",
            "mirror": false, "issues": false, "milestones": false,
        });
        send(self.gitea(gitea, "/repos/migrate", &gitea.admin).json(&body)).await.map(drop)
    }

    /// Makes a token.
    pub(super) async fn make_token(&self, gitea: &Gitea, login: &Login) -> anyhow::Result<()> {
        let body = json!({"name": "bench", "scopes": ["read:user", "read:repository"]});
        let path = format!("/users/{}/tokens", login.user);
        send(self.gitea(gitea, &path, login).json(&body)).await.map(drop)
    }

    fn gitea(&self, gitea: &Gitea, path: &str, login: &Login) -> RequestBuilder {
        let url = format!("{}/api/v1{path}", gitea.url);
        self.http.post(url).basic_auth(&login.user, Some(&login.password))
    }
}

/// Sends a request that must succeed; its answer, if that is JSON.
async fn send(request: RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await.context("reach a service")?;
    let (url, status) = (answer.url().clone(), answer.status());
    let body = answer.bytes().await.context("read a service's answer")?;
    anyhow::ensure!(status.is_success(), "{url} answered {status}: {}", String::from_utf8_lossy(&body));
    Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
}
