//! A tenant's Gitea, as its owner sees it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use kube::Client;
use serde_json::{Value, json};

use super::{address, http, namespace, told};
use crate::polling;

/// A tenant's Gitea and its owner's login.
pub struct Forge {
    http: reqwest::Client,
    url: String,
    user: String,
    password: String,
}

/// An issue.
#[derive(Clone, Debug)]
pub struct Issue {
    /// Its number in the repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
}

const REPOSITORY: &str = "mcp";

impl Forge {
    /// The Gitea of a tenant whose provision printed `output`.
    ///
    /// # Errors
    /// When the output does not say how to log in.
    pub async fn of(client: &Client, guid: &str, output: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: http()?,
            url: address(client, &namespace("gitea", guid), "gitea").await?,
            user: told(output, "gitea_user")?,
            password: told(output, "gitea_password")?,
        })
    }

    /// `owner/name` of the repository.
    pub fn repository(&self) -> String {
        format!("{}/{REPOSITORY}", self.user)
    }

    /// All issues of the repository.
    ///
    /// # Errors
    /// When Gitea does not answer.
    pub async fn issues(&self) -> anyhow::Result<Vec<Issue>> {
        let answer = self.call(reqwest::Method::GET, "issues?state=all&type=issues", None).await?;
        let issue = |issue: &Value| Issue {
            number: issue["number"].as_u64().unwrap_or_default(),
            title: issue["title"].as_str().unwrap_or_default().to_owned(),
            text: issue["body"].as_str().unwrap_or_default().to_owned(),
        };
        Ok(answer.as_array().into_iter().flatten().map(issue).collect())
    }

    /// The one issue, once there is one.
    ///
    /// # Errors
    /// When there is none within `limit`, or there are several.
    pub async fn issue(&self, limit: Duration) -> anyhow::Result<Issue> {
        let seen = polling::until(limit, async || {
            let issues = self.issues().await;
            issues.map(|issues| (!issues.is_empty()).then_some(issues)).transpose()
        });
        let issues = seen.await.with_context(|| format!("no issue was filed within {limit:?}"))??;
        ensure!(issues.len() == 1, "there should be one issue: {issues:?}");
        issues.into_iter().next().context("there is one")
    }

    /// Commits a new file.
    ///
    /// # Errors
    /// When Gitea refuses.
    pub async fn commit(&self, branch: &str, path: &str, content: &str) -> anyhow::Result<()> {
        let content = base64::engine::general_purpose::STANDARD.encode(content);
        let body = json!({"branch": branch, "content": content, "message": format!("Add {path}")});
        self.call(reqwest::Method::POST, &format!("contents/{path}"), Some(body)).await.map(drop)
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1/repos/{}/{path}", self.url, self.repository());
        let request = self.http.request(method.clone(), &url).basic_auth(&self.user, Some(&self.password));
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.with_context(|| format!("{method} {url}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{method} {url} answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}
