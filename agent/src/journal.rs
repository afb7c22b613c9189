//! The durable journal: an accepted report survives a kill at any moment.
//!
//! One file of checksummed frames, each a whole [`Record`]; the newest frame of an id counts. A thread of
//! its own writes whatever is waiting, syncs once for all of it, and then answers everybody. A frame torn by
//! a crash is cut off on the next start. When the disk is full or read-only the journal says so, the program
//! goes on in memory, and what was refused is written as soon as the disk takes it.

mod frame;
mod writer;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::report::Record;
use writer::{Job, Writer};

/// Finished records that survive a rewrite.
const KEEP_FINISHED: usize = 1_000;

/// How an entry is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// On disk, synced.
    Disk,
    /// In memory only: the disk refuses. A restart loses it.
    Memory,
}

/// Why the journal cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory or file cannot be opened for writing.
    #[error("open the journal {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The writer thread cannot be started.
    #[error("start the journal writer")]
    Thread(#[source] std::io::Error),
}

/// Numbers for metrics and readiness.
#[derive(Debug, Default)]
pub struct Health {
    /// Whether entries are kept in memory only.
    pub degraded: AtomicBool,
    /// Bytes in the file.
    pub bytes: AtomicU64,
    /// Syncs so far; fewer than entries when commits are grouped.
    pub syncs: AtomicU64,
    /// Entries the disk has refused and that are still to be written.
    pub backlog: AtomicU64,
    refused_since: Mutex<Option<Instant>>,
    commit_micros: AtomicU64,
}

impl Health {
    /// Age of the oldest entry the disk has refused; zero when all are on disk.
    pub fn lag(&self) -> Duration {
        let since = self.refused_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|at| at.elapsed()).unwrap_or_default()
    }

    /// Time the last group of entries took to disk.
    pub fn commit(&self) -> Duration {
        Duration::from_micros(self.commit_micros.load(Ordering::Relaxed))
    }
}

/// Handle to the writer; cheap to share.
#[derive(Debug)]
pub struct Journal {
    jobs: Option<mpsc::Sender<Job>>,
    health: Arc<Health>,
}

impl Journal {
    /// Open or create the journal in `dir` and read it back: the newest record of every id, oldest first.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written; use [`Journal::in_memory`] then, and say so.
    pub fn open(dir: &Path) -> Result<(Self, Vec<Record>), JournalError> {
        let path = dir.join("journal");
        let failed = |source| JournalError::Open { path: path.clone(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(failed(e)),
        };
        let frames = frame::read(&bytes);
        let good = frames.end;
        if good < bytes.len() {
            tracing::warn!(torn = bytes.len() - good, "the journal ended in a torn frame, which was cut off");
        }
        if frames.damaged > 0 {
            tracing::error!(bytes = frames.damaged, "a part of the journal is damaged and was passed over");
        }
        let records = records(frames.payloads);
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        file.set_len(good as u64).map_err(failed)?;
        file.seek(SeekFrom::Start(good as u64)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        // The name of a new file is durable only when its directory is.
        File::open(dir).and_then(|d| d.sync_all()).map_err(failed)?;
        let health = Arc::new(Health::default());
        health.bytes.store(good as u64, Ordering::Relaxed);
        let (jobs, inbox) = mpsc::channel();
        let writer = Writer::new(path, file, good as u64, Arc::clone(&health));
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(JournalError::Thread)?;
        Ok((Self { jobs: Some(jobs), health }, records))
    }

    /// The records of a journal that can be read and not written, as on a read-only volume.
    pub fn left(dir: &Path) -> Vec<Record> {
        let bytes = std::fs::read(dir.join("journal")).unwrap_or_default();
        records(frame::read(&bytes).payloads)
    }

    /// A journal without a disk.
    pub fn in_memory() -> Self {
        let health = Arc::new(Health::default());
        health.degraded.store(true, Ordering::Relaxed);
        Self { jobs: None, health }
    }

    /// Numbers for metrics and readiness.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Keep a record. Returns when it is on disk, or when it is known that it cannot be.
    pub async fn append(&self, record: &Record) -> Durability {
        self.submit(record).kept().await
    }

    /// Hand a record over without waiting; entries reach the file in the order of these calls.
    pub(crate) fn submit(&self, record: &Record) -> Entry {
        let frame = serde_json::to_vec(record).ok().and_then(|payload| frame::build(&payload));
        let (Some(jobs), Some(frame)) = (&self.jobs, frame) else { return Entry(None) };
        let (done, wait) = oneshot::channel();
        let sent = jobs.send(Job { id: record.id.clone(), frame, done });
        Entry(sent.is_ok().then_some(wait))
    }
}

/// An entry on its way to disk.
#[must_use = "an entry is on disk only after it was waited for"]
pub(crate) struct Entry(Option<oneshot::Receiver<Durability>>);

impl Entry {
    /// Wait until it is on disk, or known that it cannot be.
    pub(crate) async fn kept(self) -> Durability {
        match self.0 {
            Some(wait) => wait.await.unwrap_or(Durability::Memory),
            None => Durability::Memory,
        }
    }
}

fn records(payloads: Vec<&[u8]>) -> Vec<Record> {
    newest(payloads.into_iter().filter_map(|payload| serde_json::from_slice(payload).ok()))
}

/// The newest record of every id, in order of acceptance; finished ones beyond the limit are dropped.
fn newest(records: impl Iterator<Item = Record>) -> Vec<Record> {
    let mut by_id = BTreeMap::new();
    for record in records {
        by_id.insert(record.id.clone(), record);
    }
    let mut all: Vec<Record> = by_id.into_values().collect();
    all.sort_by_key(|r| r.accepted);
    let mut surplus = all.iter().filter(|r| r.outcome.is_final()).count().saturating_sub(KEEP_FINISHED);
    all.retain(|r| {
        let drop = surplus > 0 && r.outcome.is_final();
        surplus -= usize::from(drop);
        !drop
    });
    all
}

#[cfg(test)]
mod tests;
