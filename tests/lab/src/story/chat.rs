//! A tenant's LibreChat, as its user sees it.

use anyhow::{Context as _, ensure};
use kube::Client;
use serde_json::{Value, json};

use super::{address, http, namespace, told};

/// What LibreChat takes for a browser; it refuses others.
const BROWSER: &str = "Mozilla/5.0 (tenant-lab)";

/// The servers that the tenant's configuration lists by default.
const SERVERS: [&str; 2] = ["gitea", "openshift"];

/// A tenant's LibreChat and its user's login.
pub struct Chat {
    http: reqwest::Client,
    url: String,
    user: String,
    password: String,
}

impl Chat {
    /// The LibreChat of a tenant whose provision printed `output`.
    ///
    /// # Errors
    /// When the output does not say how to log in.
    pub async fn of(client: &Client, guid: &str, output: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: http()?,
            url: address(client, &namespace("librechat", guid), "librechat").await?,
            user: told(output, "librechat_user")?,
            password: told(output, "librechat_password")?,
        })
    }

    /// The MCP servers it is connected with, each with the number of its tools.
    ///
    /// # Errors
    /// When its user cannot log in, or a server is not connected.
    pub async fn servers(&self) -> anyhow::Result<Vec<String>> {
        let login = json!({"email": self.user, "password": self.password});
        let login = self.http.post(format!("{}/api/auth/login", self.url)).json(&login);
        let session = answer(login).await?;
        let token =
            session["token"].as_str().with_context(|| format!("LibreChat gives no token: {session}"))?;
        let get = |path: &str| answer(self.http.get(format!("{}{path}", self.url)).bearer_auth(token));
        let (states, tools) = tokio::try_join!(get("/api/mcp/connection/status"), get("/api/mcp/tools"))?;
        let mut seen = Vec::new();
        for wanted in SERVERS {
            let states = states["connectionStatus"].as_object().context("a table of servers")?;
            let found = states.iter().find(|(name, _)| name.to_lowercase().contains(wanted));
            let (name, state) =
                found.with_context(|| format!("LibreChat has no server {wanted}: {states:?}"))?;
            ensure!(state["connectionState"] == "connected", "LibreChat does not reach {name}: {state}");
            let count = tools["servers"][name]["tools"].as_array().map(Vec::len).unwrap_or_default();
            ensure!(count > 0, "{name} has no tools");
            seen.push(format!("{name} ({count} tools)"));
        }
        Ok(seen)
    }
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.header("User-Agent", BROWSER).send().await.context("ask LibreChat")?;
    let (status, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await?;
    ensure!(status.is_success(), "{url} answered {status}: {text}");
    serde_json::from_str(&text).with_context(|| format!("{url} answered {text}"))
}
