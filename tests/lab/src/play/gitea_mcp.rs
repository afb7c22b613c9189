//! Plays gitea-mcp 1.8 (MCP reference, sections 2.1 to 2.4): `-t http -port 8080`, `/mcp` and `/healthz`.
//!
//! It really speaks MCP and calls the Gitea at `GITEA_HOST` with `GITEA_ACCESS_TOKEN`, through the tracker that the
//! agent's evaluation uses, too; `GITEA_READONLY` and `GITEA_TOOLS` leave tools out. Not played: stdio, OAuth, a
//! caller's own token in place of the process's, and tools outside issues, labels and files.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use axum::routing::get;
use serde_json::{Value, json};
use tenant_kit::http::{ClientSettings, client};

use super::{Given, listen};
use crate::eval::{
    mcp::{Dialect, Server, Tools, tool},
    tracker::{Generation, Issues, Tracker},
};

/// Whether the real server hides a tool of this name in read-only mode.
fn writes(name: &str) -> bool {
    name.ends_with("_write") || name.starts_with("create_") || name.starts_with("delete_")
}

/// The tracker's tools as the process's settings show them.
struct Offer {
    tracker: Tracker,
    http: reqwest::Client,
    api: String,
    token: String,
    read_only: bool,
    only: Vec<String>,
}

pub(super) async fn serve(given: &Given) -> anyhow::Result<()> {
    // the variable wins over the flag
    let mode = given.variable("MCP_MODE").or_else(|| given.flag(&["t", "transport"])).unwrap_or("stdio");
    ensure!(mode == "http", "only the transport http is played, not {mode}");
    let port = given.port(&["p", "port"], 8080)?;
    let host = given.flag(&["H", "host"]).or_else(|| given.variable("GITEA_HOST"));
    let host = host.unwrap_or("https://gitea.com").trim_end_matches('/');
    let token = given.flag(&["T", "token"]).or_else(|| given.variable("GITEA_ACCESS_TOKEN"));
    let token = token.unwrap_or_default().to_owned();
    let insecure = given.has(&["k", "insecure"]) || given.enabled("GITEA_INSECURE");
    let settings = ClientSettings { verify: !insecure, ..ClientSettings::new("gitea-mcp-server") };
    let http = client(&settings).context("build a client for Gitea")?;
    let api = format!("{host}/api/v1");
    let issues = Issues::Gitea { http: http.clone(), api: api.clone(), token: token.clone() };
    let only = given.variable("GITEA_TOOLS").or_else(|| given.flag(&["O", "tools"])).unwrap_or_default();
    let offer = Offer {
        tracker: Tracker::new(issues, Generation::C),
        http,
        api,
        token,
        read_only: given.has(&["r", "read-only"]) || given.enabled("GITEA_READONLY"),
        only: only.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect(),
    };
    tracing::info!(gitea = host, token = !offer.token.is_empty(), "Gitea MCP Server (stand-in)");
    let (_server, router) = Server::router(Arc::new(offer), Dialect::Stream);
    let router = router.route("/healthz", get(async || "ok"));
    listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), router).await
}

impl Offer {
    fn offers(&self, name: &str) -> bool {
        (!self.read_only || !writes(name))
            && (self.only.is_empty() || self.only.iter().any(|one| one == name))
    }

    async fn me(&self) -> Result<String, String> {
        let mut request = self.http.get(format!("{}/user", self.api));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("token {}", self.token));
        }
        let failed = |error: reqwest::Error| format!("get user info err: {error}");
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body: Value = response.json().await.map_err(failed)?;
        if status.is_success() {
            Ok(json!({"id": body["id"], "login": body["login"], "email": body["email"]}).to_string())
        } else {
            Err(format!("get user info err: {}", body["message"].as_str().unwrap_or(status.as_str())))
        }
    }
}

impl Tools for Offer {
    fn server(&self) -> &'static str {
        "Gitea MCP Server"
    }

    fn list(&self) -> Value {
        let tracked = self.tracker.list();
        let own = [tool("get_me", &[])];
        let all = own.into_iter().chain(tracked.as_array().into_iter().flatten().cloned());
        all.filter(|tool| tool["name"].as_str().is_some_and(|name| self.offers(name))).collect()
    }

    async fn call(&self, name: &str, arguments: &Value) -> Result<String, String> {
        if !self.offers(name) {
            return Err(format!("unknown tool {name:?}"));
        }
        match name {
            "get_me" => self.me().await,
            _ => self.tracker.call(name, arguments).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_only_hides_what_writes_and_a_choice_hides_the_rest() {
        let http = client(&ClientSettings::new("test")).unwrap();
        let issues = Issues::Memory(crate::eval::tracker::Memory::default());
        let mut offer = Offer {
            tracker: Tracker::new(issues, Generation::C),
            http,
            api: String::new(),
            token: String::new(),
            read_only: true,
            only: Vec::new(),
        };
        let names = |offer: &Offer| -> Vec<String> {
            let list = offer.list();
            list.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&offer), ["get_me", "issue_read", "list_issues", "label_read", "get_file_contents"]);
        offer.only = vec!["get_me".to_owned(), "issue_write".to_owned()];
        assert_eq!(names(&offer), ["get_me"]);
        offer.read_only = false;
        assert_eq!(names(&offer), ["get_me", "issue_write"]);
    }
}
