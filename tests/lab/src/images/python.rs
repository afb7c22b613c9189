//! The RHOAI and Kubeflow MCP servers, which are Python packages (lab reference, section 1).

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use tokio::process::Command;

use super::{archive::Layer, layer};
use crate::builds::{
    BuildError,
    cache::{Cache, Key},
    golang,
    progress::Progress,
    tool,
};

/// What pip is asked for, by the command it installs.
const SERVERS: [(&str, &[&str]); 2] = [
    // 0.1.1 does not start with the second generation of the MCP library
    ("rhoai-mcp", &["rhoai-mcp==0.1.1", "mcp<2"]),
    ("kubeflow-mcp", &["kubeflow-mcp==0.1.1"]),
];

/// Where the packages are in an image.
const FOLDER: &str = "/opt/packages";

/// How they are found.
pub(super) const ENVIRONMENT: [&str; 2] = ["PYTHONPATH=/opt/packages", "PYTHONDONTWRITEBYTECODE=1"];

const PYTHON: &str = "/usr/bin/python3";

/// The commands of all servers.
pub(super) fn servers() -> impl Iterator<Item = &'static str> {
    SERVERS.iter().map(|(command, _)| *command)
}

/// The layer with the server that `command` starts.
///
/// # Errors
/// When nobody has such a command, Python is missing, or a package cannot be installed.
pub(super) async fn ensure(
    cache: &Cache,
    command: &'static str,
    progress: Progress,
) -> Result<Layer, BuildError> {
    let found = SERVERS.iter().find(|(name, _)| *name == command);
    let (_, requirements) = found
        .ok_or(BuildError::Missing { program: command, hint: "the lab does not know how to build it" })?;
    let key = Key::default().with("requirements", requirements.join(" ")).with("revision", "1");
    let packages = cache.entry(command, &key, progress, async |partial| {
        install(command, requirements, partial, progress).await
    });
    let packages = packages.await?;
    layer(cache, command, key.with("layer", FOLDER), progress, |packing| {
        packing.folder(FOLDER, &packages.join("packages"))?;
        packing.link(&format!("/usr/local/bin/{command}"), &format!("{FOLDER}/bin/{command}"))
    })
    .await
}

/// Installs the packages with Debian's own Python: the image has the same.
async fn install(
    command: &'static str,
    requirements: &[&str],
    partial: &Path,
    progress: Progress,
) -> Result<(), BuildError> {
    golang::require(PYTHON, "python3", "install it: apt-get install python3-venv").await?;
    let task = progress.begin(format_args!("installing {command} (once)"));
    let (tools, packages) = (partial.join("tools"), partial.join("packages"));
    let mut environment = Command::new(PYTHON);
    environment.args(["-m", "venv"]).arg(&tools);
    tool::run(command, environment).await?;
    let mut pip = Command::new(tools.join("bin/pip"));
    pip.args(["install", "--quiet", "--no-input", "--target"]).arg(&packages).args(requirements);
    tool::run(command, pip).await?;
    let finished = start_with(&packages.join("bin").join(command)).and_then(|()| fs::remove_dir_all(&tools));
    finished.map_err(|source| BuildError::Cache { path: partial.to_owned(), source })?;
    task.done();
    Ok(())
}

/// A script names the Python that pip ran with; the image's is elsewhere.
fn start_with(script: &Path) -> io::Result<()> {
    let text = fs::read_to_string(script)?;
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    fs::write(script, format!("#!{PYTHON}\n{rest}"))?;
    fs::set_permissions(script, fs::Permissions::from_mode(0o755))
}
