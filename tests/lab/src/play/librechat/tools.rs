//! The MCP servers of `librechat.yaml`: connected to at the start, and their tools.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use agent_mcp::{Client, Credential, Endpoint, TransportChoice};
use anyhow::{Context as _, bail};
use futures::future::join_all;
use serde_json::{Map, Value, json};
use tenant_kit::http::{ClientSettings, client};

/// Between a tool's name and its server's in LibreChat's keys.
const DELIMITER: &str = "_mcp_";

/// One server of the configuration.
struct Server {
    name: String,
    client: Result<Client, String>,
}

/// How a server is.
pub(super) struct Seen {
    pub(super) name: String,
    /// Names of its tools, or why it is not connected.
    pub(super) tools: Result<Vec<String>, String>,
}

impl Seen {
    /// As an entry of `/api/mcp/connection/status`.
    pub(super) fn status(&self) -> Value {
        let state = if self.tools.is_ok() { "connected" } else { "error" };
        let mut status = json!({"requiresOAuth": false, "connectionState": state});
        if let Err(why) = &self.tools {
            status["error"] = why.as_str().into();
        }
        status
    }

    /// As an entry of `/api/mcp/tools`.
    pub(super) fn listed(&self) -> Value {
        let name = &self.name;
        let tool = |tool: &String| json!({"name": tool, "pluginKey": format!("{tool}{DELIMITER}{name}"), "description": ""});
        let tools: Vec<Value> = self.tools.iter().flatten().map(tool).collect();
        json!({"name": name, "icon": "", "authenticated": true, "authConfig": [], "tools": tools})
    }
}

/// All servers, in the file's order.
pub(super) struct Servers(Vec<Server>);

impl Servers {
    /// Reads `librechat.yaml`; without the file there are none, as with the real one.
    pub(super) fn read(path: &Path, environment: &HashMap<String, String>) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                tracing::info!("no {}, so defaults are used", path.display());
                return Ok(Self(Vec::new()));
            }
            read => read.with_context(|| format!("read {}", path.display()))?,
        };
        let file: Value =
            tenant_kit::yaml::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        if !file["version"].is_string() {
            bail!("{}: version is missing", path.display());
        }
        let none = Map::new();
        let servers = file["mcpServers"].as_object().unwrap_or(&none);
        let server = |(name, settings): (&String, &Value)| Server {
            name: name.clone(),
            client: open(name, settings, environment).map_err(|error| format!("{error:#}")),
        };
        Ok(Self(servers.iter().map(server).collect()))
    }

    /// How all are, connecting to those that are not connected to.
    pub(super) async fn states(&self) -> Vec<Seen> {
        join_all(self.0.iter().map(Server::seen)).await
    }
}

impl Server {
    async fn seen(&self) -> Seen {
        let tools = match &self.client {
            Err(why) => Err(why.clone()),
            Ok(client) => match client.probe(&[]).await {
                Ok(_) => Ok(client.tools()),
                Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
            },
        };
        match &tools {
            Ok(tools) => tracing::info!("[MCP][{}] connected, {} tools", self.name, tools.len()),
            Err(why) => tracing::error!("[MCP][{}] not connected: {why}", self.name),
        }
        Seen { name: self.name.clone(), tools }
    }
}

fn open(name: &str, settings: &Value, environment: &HashMap<String, String>) -> anyhow::Result<Client> {
    let url = settings["url"].as_str().context("it has no url; servers over stdio are not played")?;
    let transport = match settings["type"].as_str() {
        Some("sse") => TransportChoice::Sse,
        Some("streamable-http" | "http") => TransportChoice::StreamableHttp,
        None => TransportChoice::Auto,
        Some(other) => bail!("transport {other} is not played"),
    };
    let endpoint = Endpoint::new(name, &filled(url, environment), transport)
        .map_err(|why| anyhow::anyhow!("url: {why}"))?;
    let header = settings["headers"]["Authorization"].as_str().map(|header| filled(header, environment));
    let token = header.as_deref().and_then(|header| header.strip_prefix("Bearer "));
    let credential = token.map(|token| Credential::Token(token.to_owned().into()));
    // streams stay open for as long as there is a session
    let settings = ClientSettings { timeout: None::<Duration>, ..ClientSettings::new("LibreChat") };
    let http = client(&settings).context("build a client")?;
    Ok(Client::new(endpoint.with_credential(credential), http))
}

/// Puts the environment's values in place of `${NAME}`; unknown names stay as they are.
fn filled(text: &str, environment: &HashMap<String, String>) -> String {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}').and_then(|(name, rest)| Some((environment.get(name)?, rest))) {
            Some((value, rest)) => filled.extend([value, rest]),
            None => filled.extend(["${", part]),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_from_the_environment() {
        let environment = [("TOKEN".to_owned(), "t0".to_owned())].into();
        assert_eq!(filled("Bearer ${TOKEN}!", &environment), "Bearer t0!");
        assert_eq!(filled("${OTHER} ${TOKEN}", &environment), "${OTHER} t0");
        assert_eq!(filled("plain ${", &environment), "plain ${");
    }

    #[test]
    fn a_file_without_a_version_is_refused_and_no_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("librechat.yaml");
        let read = || Servers::read(&path, &HashMap::new());
        assert_eq!(read().unwrap().0.len(), 0);
        fs::write(&path, "mcpServers: {}").unwrap();
        assert!(read().is_err());
        fs::write(
            &path,
            r#"{"version": "1.3.1", "mcpServers": {"a": {"command": "x"}, "b": {"url": "http://b/mcp"}}}"#,
        )
        .unwrap();
        let servers = read().unwrap().0;
        assert_eq!(servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(servers[0].client.is_err() && servers[1].client.is_ok());
    }
}
