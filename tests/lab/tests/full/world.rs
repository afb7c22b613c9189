//! The one full lab, and whose turn it is.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
};

use tenant_lab::{
    builds::{self, programs::Programs, progress::Progress},
    directories::Directories,
    lab::Lab,
    node,
    skip::skipped,
    snapshot::Snapshot,
};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// A full lab, with the programs its node was made from.
///
/// It is never dropped: its processes end with this one, and the next lab sweeps its folder.
pub(crate) struct World {
    lab: Lab,
    pub(crate) programs: Programs,
}

static SHARED: OnceCell<Option<World>> = OnceCell::const_new();
/// One node on few cores: what one test waits for, another would delay; and each compares before with after.
static TURN: Mutex<()> = Mutex::const_new(());

/// A test's turn with the lab.
pub(crate) struct Turn {
    world: &'static World,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Turn {
    type Target = World;

    fn deref(&self) -> &World {
        self.world
    }
}

impl World {
    /// Waits for its turn; `None` on a machine that cannot have a node.
    pub(crate) async fn turn() -> Option<Turn> {
        let turn = TURN.lock().await;
        let world = SHARED.get_or_init(Self::start).await.as_ref()?;
        Some(Turn { world, _turn: turn })
    }

    async fn start() -> Option<Self> {
        let directories = Directories::from_environment();
        if let Err(lacks) = node::possible(&directories) {
            skipped("what needs a real node", &lacks.to_string());
            return None;
        }
        let parts = builds::ensure(&directories, Progress::stderr()).await;
        let parts = parts.unwrap_or_else(|error| panic!("the lab cannot be built: {error:#}"));
        let programs = Programs::ensure(&parts.cache, Progress::stderr()).await;
        let programs = programs.unwrap_or_else(|error| panic!("the node cannot be built: {error:#}"));
        let lab = Lab::full().await;
        let lab = lab.unwrap_or_else(|error| panic!("the full lab does not start: {error:#}"));
        Some(Self { lab, programs })
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    pub(crate) async fn client(&self) -> kube::Client {
        self.lab.client().await.expect("the lab's kubeconfig is usable")
    }

    /// A folder that goes with the lab.
    pub(crate) fn folder(&self) -> &Path {
        self.lab.state().folder()
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        self.lab.snapshot().await.unwrap_or_else(|error| panic!("no snapshot of the lab: {error:#}"))
    }
}

/// A file or folder of this checkout.
pub(crate) fn checkout(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::canonicalize(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The program under test, which `cargo test --workspace` builds beside the lab's.
pub(crate) fn tenant() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_lab")).with_file_name("tenant");
    assert!(path.is_file(), "{} does not exist: run `cargo test --workspace`", path.display());
    path
}
