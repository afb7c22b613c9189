//! One instance's `app.ini` and Git configuration.
//!
//! What users of the API can tell apart is as the Gitea operator sets it (provisioning reference, 4.3:
//! no password rules, CORS for everybody, no sign-in to read, no OAuth); the rest is set for a fast
//! start and cheap writes, because the data is thrown away.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{GiteaProgram, forge};
use crate::{files::private, random_text};

/// Bump when what is written here changes the prepared data.
pub(super) const REVISION: &str = "1";

pub(super) struct Settings<'a> {
    pub(super) program: &'a GiteaProgram,
    pub(super) directory: &'a Path,
    pub(super) address: SocketAddr,
    pub(super) root_url: &'a str,
    pub(super) forge: Option<SocketAddr>,
}

/// Where an instance's `app.ini` is.
pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join("app.ini")
}

impl Settings<'_> {
    /// Writes `app.ini` and the Git configuration; the latter makes this instance find the forge under
    /// the public names, so that an order's clone addresses work unchanged.
    pub(super) fn write(&self) -> io::Result<()> {
        let home = self.directory.join("home");
        fs::create_dir_all(&home)?;
        if let Some(forge) = self.forge {
            let rule = format!("[url \"http://{forge}/\"]\n\tinsteadOf = {}\n", forge::PUBLIC_URL);
            let path = home.join(".gitconfig");
            let known = fs::read_to_string(&path).unwrap_or_default();
            fs::write(path, known + &rule)?;
        }
        private(&file(self.directory), self.text())
    }

    fn text(&self) -> String {
        let [secret_key, internal_token] = [(); 2].map(|()| random_text());
        // A template must be one file that can be copied; an instance must write fast.
        let journal = if self.forge.is_some() { "WAL" } else { "DELETE" };
        let directory = self.directory.to_string_lossy();
        AppIni {
            directory: &directory,
            static_root: &self.program.static_root.to_string_lossy(),
            address: self.address,
            root_url: self.root_url,
            as_root: rustix::process::geteuid().is_root(),
            database: &format!(
                "DB_TYPE = sqlite3\nPATH = {directory}/gitea.db\nSQLITE_JOURNAL_MODE = {journal}"
            ),
            secret_key: &secret_key,
            internal_token: &internal_token,
        }
        .to_string()
    }
}

/// What is in an `app.ini`.
pub(crate) struct AppIni<'a> {
    /// Where data are.
    pub(crate) directory: &'a str,
    /// `STATIC_ROOT_PATH`.
    pub(crate) static_root: &'a str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The address users see.
    pub(crate) root_url: &'a str,
    /// Whether root runs it.
    pub(crate) as_root: bool,
    /// Lines of the section `database`.
    pub(crate) database: &'a str,
    /// Encrypts what is in the database.
    pub(crate) secret_key: &'a str,
    /// Lets Gitea's own commands call its server.
    pub(crate) internal_token: &'a str,
}

impl fmt::Display for AppIni<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, static_root, as_root, database, secret_key, internal_token, .. } = self;
        let (host, port) = (self.address.ip(), self.address.port());
        let root_url = self.root_url.trim_end_matches('/');
        write!(
            formatter,
            "APP_NAME = Gitea
RUN_MODE = prod
WORK_PATH = {directory}
; Only ever true for a lab that root started; Gitea refuses root otherwise.
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = {as_root}

[server]
PROTOCOL = http
HTTP_ADDR = {host}
HTTP_PORT = {port}
ROOT_URL = {root_url}/
STATIC_ROOT_PATH = {static_root}
OFFLINE_MODE = true
DISABLE_SSH = true
LFS_START_SERVER = false

[database]
{database}

[repository]
ROOT = {directory}/repositories
DEFAULT_BRANCH = main

[git]
HOME_PATH = {directory}/home

[security]
INSTALL_LOCK = true
SECRET_KEY = {secret_key}
INTERNAL_TOKEN = {internal_token}
; Hashing a password is half a second of a provision with the default.
PASSWORD_HASH_ALGO = pbkdf2$1000$50
PASSWORD_COMPLEXITY = off
MIN_PASSWORD_LENGTH = 1

[service]
DISABLE_REGISTRATION = true
REQUIRE_SIGNIN_VIEW = false

[cors]
ENABLED = true
ALLOW_DOMAIN = *

[oauth2]
ENABLED = false

[migrations]
ALLOW_LOCALNETWORKS = true
; Names that resolve nowhere, too: Git finds the public ones at the forge.
ALLOWED_DOMAINS = *

[session]
PROVIDER = memory

[cache]
ADAPTER = memory

[queue]
TYPE = channel

[indexer]
ISSUE_INDEXER_TYPE = db
REPO_INDEXER_ENABLED = false

[cron]
ENABLED = false

[actions]
ENABLED = false

[packages]
ENABLED = false

[mailer]
ENABLED = false

[i18n]
LANGS = en-US
NAMES = English

[log]
MODE = console
LEVEL = Warn
logger.router.MODE =
"
        )
    }
}
