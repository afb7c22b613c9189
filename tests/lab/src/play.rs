//! Programs that play, inside containers, what has no image to be had.
//!
//! A pod of the lab's node starts the lab's own program as `lab play <part>`, with the environment, files, arguments,
//! ports, user and probes that a chart gives the real image; [`images`] says which image holds what. Each part is one
//! module whose header names the document it imitates and what it leaves out. Unlike the stand-ins of
//! [`crate::standins`], which are controllers beside the API server, these know nothing of Kubernetes and take no
//! orders: what goes wrong with them is what would go wrong with the real ones, such as a Secret that lacks a key.

mod antora;
mod gitea_mcp;
pub mod images;
mod librechat;
mod meilisearch;
mod mongodb;
mod showroom;

use std::{collections::HashMap, ffi::OsString, net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// What can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// LibreChat's server.
    Librechat,
    /// LibreChat's `create-user.js`: email, name, user name, flags; the password is read from standard input.
    CreateUser,
    /// `MongoDB`, for LibreChat.
    Mongodb,
    /// Meilisearch, for LibreChat.
    Meilisearch,
    /// The Gitea MCP server.
    GiteaMcp,
    /// Antora, which builds the lab guide.
    Antora,
    /// Showroom's content server.
    ShowroomContent,
    /// Showroom's terminal.
    ShowroomTerminal,
}

/// What a container is given.
#[derive(Debug)]
pub struct Given {
    /// Arguments after the part's name.
    pub arguments: Vec<String>,
    /// Environment.
    pub environment: HashMap<String, String>,
    /// Working directory: what real programs find beside themselves is looked for from here.
    pub directory: PathBuf,
}

impl Given {
    /// What this process is given; variables that are not text are left out, as programs in Node.js see them.
    ///
    /// # Errors
    /// When the working directory is gone.
    pub fn from_process(arguments: Vec<String>) -> anyhow::Result<Self> {
        let text = |value: OsString| value.into_string().ok();
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        let directory = std::env::current_dir().context("find the working directory")?;
        Ok(Self { arguments, environment, directory })
    }

    /// A variable; empty ones count as unset.
    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a variable says yes, in the spelling of LibreChat and Gitea.
    fn enabled(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// The value of the first flag of `names` (without dashes) that is among the arguments, written `-flag value`,
    /// `--flag value` or `--flag=value`.
    fn flag(&self, names: &[&str]) -> Option<&str> {
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            let Some(bare) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
                continue;
            };
            let (name, value) =
                bare.split_once('=').map_or((bare, None), |(name, value)| (name, Some(value)));
            if names.contains(&name) {
                return value.or_else(|| arguments.next().map(String::as_str));
            }
        }
        None
    }

    /// A flag without a value.
    fn has(&self, names: &[&str]) -> bool {
        self.arguments.iter().any(|argument| names.contains(&argument.trim_start_matches('-')))
    }

    /// The flag's value as a port, or `default`.
    fn port(&self, names: &[&str], default: u16) -> anyhow::Result<u16> {
        let Some(text) = self.flag(names) else { return Ok(default) };
        text.parse().with_context(|| format!("-{} {text} is no port", names[0]))
    }
}

/// Plays a part until it is done, or told to end by SIGTERM or SIGINT.
///
/// # Errors
/// When the real program would not start either: a missing variable, a directory that cannot be written, a taken port.
pub async fn run(part: Part, given: Given) -> anyhow::Result<()> {
    // a container's first process gets no signal it has not asked for
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    tokio::select! {
        ended = act(part, given) => ended,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

async fn act(part: Part, given: Given) -> anyhow::Result<()> {
    match part {
        Part::Librechat => librechat::serve(&given).await,
        Part::CreateUser => librechat::create_user(&given).await,
        Part::Mongodb => mongodb::serve(&given).await,
        Part::Meilisearch => meilisearch::serve(&given).await,
        Part::GiteaMcp => gitea_mcp::serve(&given).await,
        Part::Antora => antora::build(&given),
        Part::ShowroomContent => showroom::content(&given).await,
        Part::ShowroomTerminal => showroom::terminal(&given).await,
    }
}

/// Listens, and says in the log where: port 0 is any free one.
async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
    let address = listener.local_addr().context("read the address listened on")?;
    tracing::info!(%address, "listening");
    Ok(listener)
}

/// Serves on an address until the process ends.
async fn listen(address: SocketAddr, router: Router) -> anyhow::Result<()> {
    let listener = bind(address).await?;
    axum::serve(listener, router).await.context("serve")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(arguments: &[&str]) -> Given {
        let arguments = arguments.iter().map(|&text| text.to_owned()).collect();
        Given { arguments, environment: HashMap::new(), directory: PathBuf::new() }
    }

    #[test]
    fn flags_are_read_in_every_spelling_of_the_real_programs() {
        for spelled in [&["-t", "http", "-port", "81"][..], &["--port", "81"], &["--port=81", "-d"]] {
            assert_eq!(given(spelled).port(&["p", "port"], 80).unwrap(), 81, "{spelled:?}");
        }
        assert_eq!(given(&["-t", "http"]).port(&["p", "port"], 80).unwrap(), 80);
        assert!(given(&["-p", "many"]).port(&["p", "port"], 80).is_err());
        assert!(given(&["-t", "http", "-d"]).has(&["d", "debug"]));
    }
}
