//! The OpenShift MCP server (`kubernetes-mcp-server`), as its npm package brings it: a static program. It is in no Go
//! module that could be built (lab reference, section 1).

use std::path::PathBuf;

use tokio::process::Command;

use super::{
    BuildError,
    cache::{Cache, Key},
    golang,
    progress::Progress,
    tool,
};

const WHAT: &str = "the OpenShift MCP server";

/// A release of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 0.0.66, which still serves the legacy SSE transport beside streamable HTTP.
    Legacy,
    /// 0.0.67, which serves streamable HTTP alone.
    Current,
}

impl Release {
    /// Its version.
    pub fn version(self) -> &'static str {
        match self {
            Self::Legacy => "0.0.66",
            Self::Current => "0.0.67",
        }
    }

    /// The transport it is spoken to over, in the agent's words.
    pub fn transport(self) -> &'static str {
        match self {
            Self::Legacy => "sse",
            Self::Current => "streamable-http",
        }
    }

    /// The path it serves that transport at.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Legacy => "/sse",
            Self::Current => "/mcp",
        }
    }
}

/// The program, installed if it is not cached.
///
/// # Errors
/// When `npm` is missing or cannot install it, or the cache cannot be written.
pub async fn ensure(cache: &Cache, release: Release, progress: Progress) -> Result<PathBuf, BuildError> {
    let package = format!("kubernetes-mcp-server-{}", platform());
    let wanted = format!("{package}@{}", release.version());
    let entry = cache
        .entry("openshift-mcp", &Key::default().with("package", &wanted), progress, async |partial| {
            golang::require("npm", "npm", "the OpenShift MCP server comes from it: apt-get install npm")
                .await?;
            let task = progress.begin(format_args!("installing {WHAT} {} (once)", release.version()));
            let mut npm = Command::new("npm");
            npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]);
            npm.args(["--loglevel=error", "--prefix"]).arg(partial).arg(&wanted);
            tool::run(WHAT, npm).await?;
            task.done();
            Ok(())
        })
        .await?;
    Ok(entry.join("node_modules").join(&package).join("bin").join(package))
}

/// The words of npm packages for this machine.
fn platform() -> String {
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let processor = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    format!("{system}-{processor}")
}
