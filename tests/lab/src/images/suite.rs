//! The image that brings a suite into an existing cluster: everything is at the path it has here.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Maker,
    archive::{Image, Packing},
    key_of, lab,
};
use crate::{
    builds::{BuildError, cache::Key},
    supervisor::Prepared,
    visit,
};
use anyhow::Context as _;
use serde_json::json;

/// Its name.
pub(crate) const REFERENCE: &str = "localhost/tenant-lab-suite:1";

/// What the suite reads of the checkout.
const SOURCES: [&str; 2] = ["tenant-charts", "tests/data"];

/// What is in the image, beside what every image has.
#[derive(Debug)]
pub(crate) struct Suite {
    /// What the container starts.
    program: PathBuf,
    /// Programs of this checkout.
    programs: Vec<PathBuf>,
    /// Finished builds: what lies at such a path never changes.
    builds: Vec<PathBuf>,
    /// [`Prepared`], for the suite to read.
    prepared: Vec<u8>,
}

impl Suite {
    /// A suite that needs what was prepared, and `tenant`.
    ///
    /// # Errors
    /// When the lab's own program is not where cargo puts it.
    pub(crate) fn new(prepared: &Prepared, suite: &Path, tenant: &Path) -> anyhow::Result<Self> {
        let programs = prepared.programs.as_ref().context("nothing was prepared for pods")?;
        let parts = &prepared.parts;
        let builds =
            [&parts.crds, &parts.gitea, &parts.gitea_static, &prepared.gitea.data, &prepared.forge.data];
        let own = lab().context("find the program `lab`")?;
        Ok(Self {
            program: suite.to_owned(),
            programs: vec![suite.to_owned(), tenant.to_owned(), own],
            builds: builds.into_iter().chain(programs.in_pods()).cloned().collect(),
            prepared: serde_json::to_vec(prepared)?,
        })
    }
}

impl Maker<'_> {
    /// The image.
    pub(super) async fn suite(&self, suite: &Suite) -> Result<Image, BuildError> {
        let paths: String = suite.builds.iter().map(|path| path.display().to_string() + "\n").collect();
        let builds = self.layer("suite-builds", Key::default().with("paths", &paths), |packing| {
            suite.builds.iter().try_for_each(|path| as_here(packing, path))
        });
        let builds = builds.await?;

        let mut key = Key::default().with("prepared", &suite.prepared);
        let mut programs = Vec::new();
        for program in &suite.programs {
            let (version, stripped) = self.stripped(program).await?;
            key = key.with("program", version);
            programs.push((program, stripped));
        }
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let unreadable = |source| BuildError::Cache { path: checkout.clone(), source };
        let checkout = checkout.canonicalize().map_err(unreadable)?;
        let key = key_of(key, &checkout, &SOURCES).map_err(unreadable)?;
        let own = self.layer("suite", key, |packing| {
            for (path, stripped) in &programs {
                packing.file(&path.to_string_lossy(), 0o755, stripped)?;
            }
            packing.content(visit::PREPARED, 0o600, &suite.prepared)?;
            SOURCES.iter().try_for_each(|path| as_here(packing, &checkout.join(path)))
        });
        let config = json!({
            "Entrypoint": [suite.program],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "WorkingDir": checkout.join("tests/lab"),
        });
        let layers = vec![self.debian.clone(), self.forge().await?, builds, own.await?];
        Ok(Image { reference: REFERENCE.to_owned(), layers, config })
    }
}

/// Adds a file or a folder of this machine, at its own path.
fn as_here(packing: &mut Packing, path: &Path) -> io::Result<()> {
    let name = path.to_string_lossy();
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() { packing.folder(&name, path) } else { packing.file(&name, 0o755, path) }
}
