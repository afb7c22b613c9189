//! Users and repositories inside a running Gitea, by its REST API.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::platform::GiteaInstance;

/// Time for one call; migrations are the slow ones, and the operator gives them as much.
const PATIENCE: Duration = Duration::from_mins(1);

/// Acts as the administrator that every prepared instance has.
pub(super) struct Accounts<'a> {
    instance: &'a GiteaInstance,
    client: Client,
}

impl<'a> Accounts<'a> {
    pub(super) fn new(instance: &'a GiteaInstance) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().context("build a client")?;
        Ok(Self { instance, client })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let admin = &self.instance.admin;
        let request = self.client.request(method, format!("{}/api/v1/{path}", self.instance.url()));
        request.basic_auth(&admin.username, Some(&admin.password))
    }

    /// Makes the site administrator that the resource names; of one that exists, sets the password.
    pub(super) async fn ensure_administrator(
        &self,
        name: &str,
        password: &str,
        email: &str,
    ) -> anyhow::Result<()> {
        let created = self.create(name, password, email).await?;
        let mut change = json!({ "login_name": name, "source_id": 0, "admin": true });
        if !created {
            change["password"] = password.into();
            change["must_change_password"] = false.into();
        }
        let path = format!("admin/users/{name}");
        let answer = self.request(Method::PATCH, &path).json(&change).send().await;
        let answer = answer.with_context(|| format!("make {name} an administrator"))?;
        accept(answer, &[StatusCode::OK], &format!("make {name} an administrator")).await.map(drop)
    }

    /// Makes the user; one that exists is left as it is.
    pub(super) async fn ensure_user(&self, name: &str, password: &str, email: &str) -> anyhow::Result<()> {
        self.create(name, password, email).await.map(drop)
    }

    /// True if the user did not exist.
    async fn create(&self, name: &str, password: &str, email: &str) -> anyhow::Result<bool> {
        let body = json!({
            "username": name,
            "login_name": name,
            "email": email,
            "password": password,
            "must_change_password": false,
            "send_notify": false,
        });
        let what = format!("create user {name}");
        let answer = self.request(Method::POST, "admin/users").json(&body).send().await;
        let answer = answer.with_context(|| what.clone())?;
        let status = answer.status();
        if status == StatusCode::UNPROCESSABLE_ENTITY && self.exists(&format!("users/{name}")).await? {
            return Ok(false);
        }
        accept(answer, &[StatusCode::CREATED], &what).await?;
        Ok(true)
    }

    async fn exists(&self, path: &str) -> anyhow::Result<bool> {
        let answer =
            self.request(Method::GET, path).send().await.with_context(|| format!("look for {path}"))?;
        Ok(answer.status() == StatusCode::OK)
    }

    /// Migrates the repository that an entry of `giteaRepositoriesList` names; one that exists is left.
    pub(super) async fn ensure_repository(&self, owner: &str, entry: &Value) -> anyhow::Result<()> {
        let (Some(name), Some(source)) = (entry["name"].as_str(), entry["repo"].as_str()) else {
            anyhow::bail!("an entry of giteaRepositoriesList lacks name or repo");
        };
        if self.exists(&format!("repos/{owner}/{name}")).await? {
            return Ok(());
        }
        let body = json!({
            "clone_addr": source,
            "repo_name": name,
            "repo_owner": owner,
            "private": entry["private"] == true,
            "description": "",
            "issues": false,
            "milestones": false,
            "mirror": false,
        });
        let what = format!("migrate {source} to {owner}/{name}");
        let answer = self.request(Method::POST, "repos/migrate").json(&body).send().await;
        let answer = answer.with_context(|| what.clone())?;
        accept(answer, &[StatusCode::CREATED], &what).await.map(drop)
    }

    /// Every user with the names of its repositories (`repo owner/name`) and tokens (`token user/name`).
    pub(super) async fn inventory(&self) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        for user in self.names("admin/users", "login").await? {
            if user == self.instance.admin.username {
                continue;
            }
            for token in self.names(&format!("users/{user}/tokens"), "name").await? {
                lines.push(format!("token {user}/{token}"));
            }
            lines.push(format!("user {user}"));
        }
        for repository in self.names("repos/search", "full_name").await? {
            lines.push(format!("repo {repository}"));
        }
        lines.sort();
        Ok(lines)
    }

    /// That field of every item of a paged list, all pages.
    async fn names(&self, path: &str, field: &str) -> anyhow::Result<Vec<String>> {
        const PAGE: usize = 50;
        let mut names = Vec::new();
        for page in 1_usize.. {
            let what = format!("list {path}");
            let query = [("page", page), ("limit", PAGE)];
            let answer = self.request(Method::GET, path).query(&query).send().await;
            let answer = accept(answer.with_context(|| what.clone())?, &[StatusCode::OK], &what).await?;
            let body: Value = answer.json().await.with_context(|| what.clone())?;
            let items = body["data"].as_array().or(body.as_array()).map(Vec::as_slice).unwrap_or_default();
            names.extend(items.iter().filter_map(|item| item[field].as_str().map(str::to_owned)));
            if items.len() < PAGE {
                break;
            }
        }
        Ok(names)
    }
}

/// The answer, if its status is one of these; else an error that quotes what Gitea said.
async fn accept(
    answer: reqwest::Response,
    statuses: &[StatusCode],
    what: &str,
) -> anyhow::Result<reqwest::Response> {
    let status = answer.status();
    if statuses.contains(&status) {
        return Ok(answer);
    }
    let said: Value = answer.json().await.unwrap_or_default();
    anyhow::bail!("{what}: Gitea answered {status}: {}", said["message"].as_str().unwrap_or("no message"))
}
