//! The kill matrix: whatever request a run is struck at, the next run sets things right.
//!
//! A [`Cell`] names a course of two runs, the request at which the first one is struck, and how. It is played with a
//! guid and a proxy of its own, so that cells run side by side in one lab. The second run goes to the services
//! directly. Afterwards the tenant must look like one that was never disturbed, or be gone without a trace.
//!
//! Being struck before the service has acted on request `n` is the same as being struck after it has acted on
//! `n - 1`, and has no cells of its own.

mod cell;
mod play;
mod run;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use self::run::{Struck, Verb};
pub use self::{
    cell::{Blow, Cell, Course},
    play::{Finding, Misfit},
};
use crate::{control::Caller, proxy::Proxy, snapshot::Snapshot, state::State};

/// A tenant nobody disturbs.
const REFERENCE: &str = "mxref";

/// All that is needed to play cells.
pub struct Matrix {
    program: PathBuf,
    order: PathBuf,
    lab: State,
    caller: Caller,
    /// The platform's variables for runs that go to the services directly.
    direct: PathBuf,
    _folder: tempfile::TempDir,
    reference: Snapshot,
    provision: u64,
    destroy: u64,
}

impl Matrix {
    /// Sets up and removes one tenant undisturbed, to learn what it looks like and how many requests that takes.
    ///
    /// `program` is `tenant`, `order` a variables file without the platform's share.
    ///
    /// # Errors
    /// When that fails, or leaves anything behind.
    pub async fn prepare(program: &Path, order: &Path, lab: &State) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("tenant-matrix-").tempdir()?;
        let direct = folder.path().join("vars.json");
        crate::files::private(&direct, serde_json::Value::Object(lab.vars()).to_string())?;
        let mut matrix = Self {
            program: program.to_owned(),
            order: order.to_owned(),
            lab: lab.clone(),
            caller: Caller::new(lab)?,
            direct,
            _folder: folder,
            reference: Snapshot::default(),
            provision: 0,
            destroy: 0,
        };
        matrix.provision = matrix.count(Verb::Provision).await?;
        matrix.reference = matrix.caller.snapshot().await?.portrait(REFERENCE, &[]);
        matrix.destroy = matrix.count(Verb::Destroy).await?;
        let left = matrix.caller.snapshot().await?.traces(REFERENCE);
        ensure!(left.is_empty(), "undisturbed, destroy leaves {}", left.join(", "));
        Ok(matrix)
    }

    /// How many requests an undisturbed run of the struck command sends.
    pub fn requests(&self, course: Course) -> u64 {
        match course {
            Course::ProvisionAgain | Course::ProvisionDestroy => self.provision,
            Course::DestroyAgain => self.destroy,
        }
    }

    /// Every cell there is.
    pub fn cells(&self) -> Vec<Cell> {
        let courses = Course::ALL.into_iter().flat_map(|course| Blow::ALL.map(|blow| (course, blow)));
        courses
            .flat_map(|(course, blow)| {
                (1..=self.requests(course)).map(move |number| Cell { course, blow, number })
            })
            .collect()
    }

    /// Runs a command through a proxy that only counts. The provision's second pass goes to the services directly,
    /// as in every cell: what it leaves is what a cell is compared with.
    async fn count(&self, verb: Verb) -> anyhow::Result<u64> {
        let proxy = Proxy::start(&self.lab, Vec::new())?;
        let ended = match self.run(verb, REFERENCE, Some(&proxy)).await? {
            Struck::Ended(ended) => ended,
            Struck::Killed => anyhow::bail!("nobody asked to kill it"),
        };
        ensure!(ended.code == Some(0), "undisturbed, {verb} fails:\n{}", ended.stderr);
        if verb == Verb::Provision {
            let ended = self.directly(verb, REFERENCE).await.context("run it again")?;
            ensure!(ended.code == Some(0), "undisturbed, {verb} again fails:\n{}", ended.stderr);
        }
        Ok(u64::try_from(proxy.exchanges().len())?)
    }
}

/// Every `step`-th cell from `offset` on; all of them for a step of 1.
pub fn sample(cells: &[Cell], step: usize, offset: usize) -> Vec<Cell> {
    let step = step.max(1);
    cells.iter().skip(offset % step).step_by(step).copied().collect()
}
