//! Where the lab keeps what it builds and what it runs.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The lab's folders, all below one root.
#[derive(Clone, Debug)]
pub struct Directories {
    root: PathBuf,
}

impl Directories {
    /// Folders below `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `TENANT_LAB_CACHE`, else `tenant-lab` in `XDG_CACHE_HOME`, else in `~/.cache`.
    #[expect(clippy::disallowed_methods, reason = "the lab's settings: this is their one reader")]
    pub fn from_environment() -> Self {
        let given = |name| env::var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from);
        Self::new(given("TENANT_LAB_CACHE").unwrap_or_else(|| {
            given("XDG_CACHE_HOME")
                .or_else(|| given("HOME").map(|home| home.join(".cache")))
                .unwrap_or_else(env::temp_dir)
                .join("tenant-lab")
        }))
    }

    /// The root itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Finished builds, one folder per content hash.
    pub fn builds(&self) -> PathBuf {
        self.root.join("builds")
    }

    /// The images of nodes, as containerd keeps them.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Running labs, one folder each.
    pub fn labs(&self) -> PathBuf {
        self.root.join("labs")
    }
}
