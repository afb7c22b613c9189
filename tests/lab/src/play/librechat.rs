//! Plays LibreChat 0.8.1's server and its `create-user.js`.
//!
//! Imitates danny-avila/LibreChat: `api/server/index.js` (nothing listens before the database answers), `/health`,
//! `api/server/routes/auth.js` with `middleware/uaParser.js`, `requireLocalAuth.js` and `localStrategy.js` (a caller
//! that is no browser gets an event stream with `Illegal request` and status 200; unknown users 404), `config/
//! create-user.js`, and of `api/server/routes/mcp.js` the addresses `/api/mcp/connection/status[/name]` and
//! `/api/mcp/tools`. It insists on what the real one insists on: `CREDS_KEY`, `CREDS_IV`, both JWT secrets, `MONGO_URI`,
//! and directories it can write to. Every MCP server in `librechat.yaml` is really connected to, by the agent's client.
//!
//! Does not imitate: chats, models, agents, files, the web pages, refresh tokens, MCP servers over stdio or with OAuth;
//! a server that was away is connected to again when its state is asked for, where the real one has a button for it.

mod doors;
mod tools;
mod users;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};

use self::{
    doors::Site,
    tools::Servers,
    users::{Registration, Users},
};
use super::{Given, listen, mongodb::Documents};
use crate::{polling, standins::pace};

/// How long `MongoDB` may take at the start, as its driver for Node.js has it.
const SERVER_SELECTION: Duration = Duration::from_secs(30);

/// Folders beside the program that it writes to.
const WRITTEN: [&str; 3] = ["api/logs", "uploads", "client/public/images"];

pub(super) async fn serve(given: &Given) -> anyhow::Result<()> {
    credentials(given)?;
    for folder in WRITTEN {
        writable(&given.directory.join(folder))?;
    }
    let documents = documents(given)?;
    let reached = polling::until(SERVER_SELECTION, async || match documents.ping().await {
        Ok(()) => Some(Ok(())),
        // it is there, and refuses us
        Err(error) if error.downcast_ref::<io::Error>().is_none() => Some(Err(error)),
        Err(error) => {
            tracing::warn!("{error:#}");
            pace::pause(Duration::from_secs(1)).await;
            None
        }
    });
    reached.await.with_context(|| format!("no MongoDB at {} within 30 s", documents.address()))??;
    look_for_search(given).await;
    let path =
        given.variable("CONFIG_PATH").map_or_else(|| given.directory.join("librechat.yaml"), Into::into);
    let servers = Servers::read(&path, &given.environment)?;
    let host: IpAddr = match given.variable("HOST") {
        None | Some("localhost") => Ipv4Addr::LOCALHOST.into(),
        Some(host) => host.parse().with_context(|| format!("HOST {host} is no address"))?,
    };
    let port: u16 = given.variable("PORT").unwrap_or("3080").parse().context("PORT is no port")?;
    let site = Arc::new(Site {
        users: Users::new(documents),
        servers,
        secret: given.variable("JWT_SECRET").unwrap_or_default().to_owned(),
        registration: given.enabled("ALLOW_REGISTRATION"),
        unverified: given.enabled("ALLOW_UNVERIFIED_EMAIL_LOGIN"),
    });
    let connecting = Arc::clone(&site);
    tokio::spawn(async move { connecting.servers.states().await });
    listen(SocketAddr::from((host, port)), doors::router(site)).await
}

/// `create-user.js <email> <name> <username> [--email-verified=…]`, the password on standard input.
pub(super) async fn create_user(given: &Given) -> anyhow::Result<()> {
    let verified = given.flag(&["email-verified"]).is_none_or(|value| !value.eq_ignore_ascii_case("false"));
    let words: Vec<&str> =
        given.arguments.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    let [email, name, username] = words[..] else {
        bail!("Error: usage: create-user <email> <name> <username> [--email-verified=false]");
    };
    let read = tokio::task::spawn_blocking(|| io::read_to_string(io::stdin())).await;
    let password = read.context("Error: read the password")?.context("Error: read the password")?;
    let registration = Registration {
        email: email.to_owned(),
        name: name.to_owned(),
        username: username.to_owned(),
        password: password.trim_end_matches(['\r', '\n']).to_owned(),
        verified,
    };
    let users = Users::new(documents(given)?);
    users.register(registration).await.map_err(|error| anyhow::anyhow!("Error: {error:#}"))?;
    tracing::info!("User created successfully!");
    Ok(())
}

fn documents(given: &Given) -> anyhow::Result<Documents> {
    let uri = given.variable("MONGO_URI").context("Please define the MONGO_URI environment variable")?;
    Documents::at(uri)
}

/// What the real one needs to start (its guide to `.env`): keys in hexadecimal, and secrets.
fn credentials(given: &Given) -> anyhow::Result<()> {
    for (name, digits) in [("CREDS_KEY", 64), ("CREDS_IV", 32)] {
        let value = given.variable(name).with_context(|| format!("{name} is not set"))?;
        let right = value.len() == digits && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(right, "{name} is not {digits} hexadecimal digits");
    }
    for name in ["JWT_SECRET", "JWT_REFRESH_SECRET"] {
        given.variable(name).with_context(|| format!("{name} is not set"))?;
    }
    Ok(())
}

fn writable(folder: &Path) -> anyhow::Result<()> {
    let failed = || format!("write to {}", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    let file = folder.join(".started");
    fs::write(&file, "").with_context(failed)?;
    fs::remove_file(&file).with_context(failed)
}

/// Without Meilisearch there is no search, and all else works.
async fn look_for_search(given: &Given) {
    if !given.enabled("SEARCH") {
        return;
    }
    let (host, key) = (given.variable("MEILI_HOST"), given.variable("MEILI_MASTER_KEY"));
    let (Some(host), Some(key)) = (host, key) else {
        tracing::warn!("[indexSync] Meilisearch not configured, search is disabled");
        return;
    };
    let client = tenant_kit::http::client(&tenant_kit::http::ClientSettings::new("librechat"));
    let Ok(client) = client else { return };
    match client.get(format!("{host}/indexes")).bearer_auth(key).send().await {
        Ok(answer) if answer.status().is_success() => tracing::info!("[indexSync] Meilisearch is there"),
        Ok(answer) => tracing::warn!("[indexSync] Meilisearch answers {}", answer.status()),
        Err(error) => tracing::warn!("[indexSync] no Meilisearch at {host}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_short_key_is_named() {
        let mut given = Given {
            arguments: Vec::new(),
            environment: [("CREDS_KEY", "ab".repeat(32)), ("CREDS_IV", "ab".to_owned())]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            directory: "/".into(),
        };
        assert_eq!(credentials(&given).unwrap_err().to_string(), "CREDS_IV is not 32 hexadecimal digits");
        given.environment.insert("CREDS_IV".to_owned(), "ab".repeat(16));
        assert_eq!(credentials(&given).unwrap_err().to_string(), "JWT_SECRET is not set");
        for name in ["JWT_SECRET", "JWT_REFRESH_SECRET"] {
            given.environment.insert(name.to_owned(), "s".to_owned());
        }
        credentials(&given).unwrap();
    }
}
