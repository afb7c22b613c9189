//! `cargo lab demo`: from nothing to a tenant. The programs of this checkout are built while the lab's
//! parts are; the tenant's data is printed as `tenant provision` prints it.

mod agent;
mod full;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tenant_lab::{
    builds::progress::Progress, directories::Directories, files::private, state::State, supervisor::Prepared,
};
use tokio::process::Command;

use crate::{
    args::{DemoArguments, Show, UpArguments},
    commands,
};

/// The demo's order.
const GUID: &str = "demo";
/// An order as a catalog sends it, in this checkout.
pub(crate) const ORDER: &str = "tests/data/order.yml";

pub(crate) async fn run(directories: &Directories, arguments: DemoArguments) -> anyhow::Result<()> {
    if arguments.show == Some(Show::Agent) {
        return agent::run(directories).await;
    }
    if arguments.full {
        return full::run(directories, arguments.up).await;
    }
    let arguments = arguments.up;
    let (tenant, state) = open(directories, arguments).await?;

    let vars = vars_file(&state)?;
    let arguments = ["--guid", GUID, "-e", &format!("@{ORDER}"), "-e", &format!("@{}", vars.display())];
    commands::say(&format!("\ntenant provision {}\n\n", arguments.join(" ")));
    let status = Command::new(&tenant)
        .arg("provision")
        .args(arguments)
        .args(["--output-dir".as_ref(), output_folder(&state)?.as_os_str()])
        .current_dir(checkout())
        .envs(state.env())
        .stdin(Stdio::null())
        .status()
        .await
        .context("run tenant")?;
    let name = commands::option(&state.name);
    if !status.success() {
        bail!("tenant provision ended with {status}; the lab is still up: `cargo lab status{name}`");
    }
    commands::say(&format!(
        "\nto destroy it again:\n  eval \"$(cargo lab env{name})\"\n  {} destroy --guid {GUID}\nand the lab: cargo lab down{name}\n",
        tenant.display(),
    ));
    Ok(())
}

/// Builds `tenant` and starts the lab.
async fn open(directories: &Directories, arguments: UpArguments) -> anyhow::Result<(PathBuf, State)> {
    let options = commands::options(directories, arguments)?;
    // The compilers share the machine: linking one program leaves cores for the others.
    let (tenant, prepared) =
        tokio::join!(build_tenant(&[]), Prepared::ensure(directories, &options, Progress::stderr()));
    prepared?;
    Ok((tenant?, commands::start(directories, &options).await?))
}

pub(crate) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The platform's share of the order, readable by its owner only.
fn vars_file(state: &State) -> anyhow::Result<PathBuf> {
    let path = state.folder().join("vars.yml");
    private(&path, commands::vars(state)).context("write the platform's variables")?;
    Ok(path)
}

fn output_folder(state: &State) -> anyhow::Result<PathBuf> {
    let path = state.folder().join("demo");
    std::fs::create_dir_all(&path).context("make the folder for user data")?;
    Ok(path)
}

/// Builds `tenant`, with these options of `cargo build`, and returns the executable.
pub(crate) async fn build_tenant(options: &[&str]) -> anyhow::Result<PathBuf> {
    build("tenant", options).await
}

/// Builds a program of this checkout, with these options of `cargo build`, and returns the executable.
pub(crate) async fn build(program: &str, options: &[&str]) -> anyhow::Result<PathBuf> {
    cargo(&[&["build", "--bin", program], options].concat()).await
}

/// Has cargo build something of this checkout, and returns the last executable it names.
pub(crate) async fn cargo(arguments: &[&str]) -> anyhow::Result<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let output = Command::new(cargo_program())
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(checkout())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("run cargo")?
        .wait_with_output()
        .await
        .context("wait for cargo")?;
    if !output.status.success() {
        bail!("cargo {} failed, see above", arguments.join(" "));
    }
    let mut executables = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok()?.executable);
    executables.next_back().context("cargo names no executable")
}

/// The cargo that runs this program, if one does.
#[expect(clippy::disallowed_methods, reason = "cargo's own way of saying where it is")]
fn cargo_program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
