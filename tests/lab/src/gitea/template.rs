//! The prepared data folder that instances start from: a migrated database and one administrator.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{
    GiteaProgram,
    config::{self, Settings},
};
use crate::{
    builds::{BuildError, Parts, progress::Progress, tool},
    files::private,
    platform::Credentials,
};

const ADMIN: &str = "lab-admin";

/// A prepared data folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Template {
    /// To be copied.
    pub data: PathBuf,
    /// The administrator in its database.
    pub admin: Credentials,
}

/// The template of tenants' instances, prepared if it is not cached.
///
/// # Errors
/// When Gitea's own commands fail or the cache cannot be written.
pub async fn ensure(parts: &Parts, progress: Progress) -> Result<Template, BuildError> {
    let key = parts.gitea_key.clone().with("template", config::REVISION);
    let entry = parts
        .cache
        .entry("gitea-data", &key, progress, async |partial| {
            let task = progress.begin("preparing Gitea's database (once)");
            prepare(&GiteaProgram::from(parts), partial).await?;
            task.done();
            Ok(())
        })
        .await?;
    open(&entry)
}

/// Notes the administrator of a template.
pub(super) fn store(entry: &Path, admin: &Credentials) -> io::Result<()> {
    private(&entry.join("admin.json"), serde_json::to_vec(admin)?)
}

/// Reads a finished template.
pub(super) fn open(entry: &Path) -> Result<Template, BuildError> {
    let path = entry.join("admin.json");
    let admin = fs::read(&path)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .map_err(|source| BuildError::Cache { path, source })?;
    Ok(Template { data: entry.join("data"), admin })
}

async fn prepare(program: &GiteaProgram, partial: &Path) -> Result<(), BuildError> {
    let data = partial.join("data");
    let unwritable = |source| BuildError::Cache { path: partial.to_owned(), source };
    fs::create_dir_all(&data).map_err(unwritable)?;
    let address = ([127, 0, 0, 1], 3000).into();
    let root_url = "http://localhost";
    Settings { program, directory: &data, address, root_url, forge: None }.write().map_err(unwritable)?;

    run(program, &data, &["migrate"]).await?;
    // Gitea prints the password it makes up: that keeps ours out of the process list.
    let create = ["admin", "user", "create", "--admin", "--username", ADMIN, "--email", "lab-admin@lab.test"];
    let random = ["--random-password", "--random-password-length", "32", "--must-change-password=false"];
    let output = run(program, &data, &[&create[..], &random[..]].concat()).await?;
    let password = output
        .lines()
        .find_map(|line| line.strip_prefix("generated random password is '")?.strip_suffix('\''))
        .ok_or_else(|| BuildError::Failed { what: WHAT, output: "no password was printed".into() })?;
    let admin = Credentials { username: ADMIN.into(), password: password.into() };
    store(partial, &admin).map_err(unwritable)
}

const WHAT: &str = "Gitea's database";

async fn run(program: &GiteaProgram, data: &Path, arguments: &[&str]) -> Result<String, BuildError> {
    let mut command = Command::new(&program.binary);
    command.args(arguments).arg("--config").arg(config::file(data)).current_dir(data);
    tool::run(WHAT, command).await
}
