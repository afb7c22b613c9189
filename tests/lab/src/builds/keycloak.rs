//! Keycloak, as its distribution on Maven's central repository brings it, made ready for a quick start.
//!
//! Two things that Keycloak would do at every first start are done once: fitting itself to its options
//! (`build`) and laying out its database with an administrator in it. A start then takes 8 s of one core
//! instead of 32. Facts: OAuth reference, section 1.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::{
    BuildError,
    cache::{Cache, Key},
    golang,
    progress::Progress,
    tool,
};
use crate::{
    files::{copy_folder, private},
    random_text,
};

const WHAT: &str = "Keycloak";
const VERSION: &str = "26.4.7";
/// Brings an artifact and unpacks it. Its version is fixed, for Maven would take the newest.
const UNPACK: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack";
/// Bump when what is made of the distribution changes.
const REVISION: &str = "1";

/// The database is a file: there is one process, and nobody needs it longer than a lab lives.
const DATABASE: &str = "--db=dev-file";
/// The administrator of the realm `master`.
const ADMINISTRATOR: &str = "lab-admin";
/// Where the password of [`ADMINISTRATOR`] is kept, beside the distribution.
const PASSWORD: &str = "administrator-password";
/// The variable that hands it to the program.
const PASSWORD_VARIABLE: &str = "LAB_KEYCLOAK_PASSWORD";

/// What `bin/kc.sh` of this version starts the program with, but for the memory and the compiler: the quick
/// one does for a process that lives for minutes.
const JAVA: [&str; 15] = [
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dfile.encoding=UTF-8",
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=\
     io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "-Dpicocli.disable.closures=true",
    "-Duser.country=US",
    "-Duser.language=en",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
];

/// Keycloak, ready to be started from a home of its own.
#[derive(Clone, Debug)]
pub struct Distribution {
    folder: PathBuf,
    /// The name of the administrator that every home begins with.
    pub administrator: &'static str,
    /// That administrator's password.
    pub password: String,
}

impl Distribution {
    /// Makes a home in `folder`: the programs are those of the cache, the database is a copy.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn furnish(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder.join("tmp"))?;
        for part in ["conf", "lib", "providers", "themes"] {
            symlink(unpacked(&self.folder).join(part), folder.join(part))?;
        }
        copy_folder(&unpacked(&self.folder).join("data/h2"), &folder.join("data/h2"))
    }
}

/// Arguments of `java` that run Keycloak in the home `home`, with its own `arguments`.
pub(crate) fn java(home: &Path, arguments: &[impl AsRef<OsStr>]) -> Vec<OsString> {
    let property = |name: &str, folder: &Path| {
        let mut property = OsString::from(format!("-D{name}="));
        property.push(folder);
        property
    };
    let folders = [
        property("java.io.tmpdir", &home.join("tmp")),
        property("jboss.server.config.dir", &home.join("conf")),
        property("kc.home.dir", home),
    ];
    let program: [&OsStr; 3] = [
        "-cp".as_ref(),
        &home.join("lib/quarkus-run.jar").into_os_string(),
        "io.quarkus.bootstrap.runner.QuarkusEntryPoint".as_ref(),
    ];
    let own = arguments.iter().map(|argument| argument.as_ref().to_owned());
    JAVA.iter()
        .map(OsString::from)
        .chain(folders)
        .chain(program.into_iter().map(ToOwned::to_owned))
        .chain(own)
        .collect()
}

/// Keycloak, fetched and prepared if it is not cached.
///
/// # Errors
/// When Java or Maven is missing, Maven cannot bring it, it cannot be prepared, or the cache cannot be written.
pub async fn ensure(cache: &Cache, progress: Progress) -> Result<Distribution, BuildError> {
    let key = Key::default().with("version", VERSION).with("database", DATABASE).with("revision", REVISION);
    let folder = cache.entry("keycloak", &key, progress, async |partial| prepare(partial, progress).await);
    let folder = folder.await?;
    let kept = folder.join(PASSWORD);
    let password =
        fs::read_to_string(&kept).map_err(|source| BuildError::Cache { path: kept.clone(), source })?;
    Ok(Distribution { folder, administrator: ADMINISTRATOR, password })
}

async fn prepare(partial: &Path, progress: Progress) -> Result<(), BuildError> {
    let unwritable = |source| BuildError::Cache { path: partial.to_owned(), source };
    golang::require(
        "java",
        "java",
        "Keycloak runs on Java 17 or later: apt-get install openjdk-17-jre-headless",
    )
    .await?;
    golang::require("mvn", "mvn", "Maven brings Keycloak: apt-get install maven").await?;

    let task = progress.begin(format_args!("fetching {WHAT} {VERSION} (once, 159 MB)"));
    let repository = partial.join("repository");
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--quiet", UNPACK]).current_dir(partial);
    maven.arg(format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"));
    maven.arg(format!("-DoutputDirectory={}", partial.display()));
    // What it downloads on the way is of no use to anybody else.
    maven.arg(format!("-Dmaven.repo.local={}", repository.display()));
    tool::run(WHAT, maven).await?;
    fs::remove_dir_all(&repository).map_err(unwritable)?;
    task.done();

    let task = progress.begin(format_args!("preparing {WHAT} (once)"));
    let home = unpacked(partial);
    fs::create_dir(home.join("tmp")).map_err(unwritable)?;
    let mut build = Command::new("java");
    build.args(java(&home, &["build", DATABASE]));
    tool::run(WHAT, build).await?;
    let password = random_text();
    private(&partial.join(PASSWORD), &password).map_err(unwritable)?;
    let mut layout = Command::new("java");
    let (name, secret) =
        (format!("--username={ADMINISTRATOR}"), format!("--password:env={PASSWORD_VARIABLE}"));
    layout.args(java(&home, &["bootstrap-admin", "user", "--optimized", &name, &secret]));
    layout.env(PASSWORD_VARIABLE, password);
    tool::run(WHAT, layout).await?;
    task.done();
    Ok(())
}

/// Where the distribution lies within a cache entry.
fn unpacked(entry: &Path) -> PathBuf {
    entry.join(format!("keycloak-{VERSION}"))
}
