//! The durable journal: an accepted report survives a kill at any moment.
//!
//! One file of checksummed frames, each a whole [`Record`]; the newest frame of an id counts. A thread of
//! its own writes whatever is waiting, syncs once for all of it, and then answers everybody. A frame torn by
//! a crash is cut off on the next start. When the disk is full or read-only the journal says so and the
//! program goes on in memory.

mod frame;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::report::Record;

/// Above this size the file is rewritten with the newest frame of each id, in bytes.
const COMPACT_AT: u64 = 32 * 1024 * 1024;
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
}

type Job = (Vec<u8>, oneshot::Sender<Durability>);

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
        let (frames, good) = frame::read(&bytes);
        if good < bytes.len() {
            tracing::warn!(torn = bytes.len() - good, "the journal ended in a torn frame, which was cut off");
        }
        let records = newest(frames.filter_map(|f| serde_json::from_slice(f).ok()));
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
        let writer = Writer { path, file, length: good as u64, health: Arc::clone(&health) };
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(JournalError::Thread)?;
        Ok((Self { jobs: Some(jobs), health }, records))
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
        let Some(jobs) = &self.jobs else { return Durability::Memory };
        let Ok(payload) = serde_json::to_vec(record) else { return Durability::Memory };
        let (done, wait) = oneshot::channel();
        match jobs.send((frame::build(&payload), done)) {
            Ok(()) => wait.await.unwrap_or(Durability::Memory),
            Err(_) => Durability::Memory,
        }
    }
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

/// Owns the file; lives on its own thread because syncing blocks.
struct Writer {
    path: PathBuf,
    file: File,
    length: u64,
    health: Arc<Health>,
}

impl Writer {
    fn run(mut self, inbox: &mpsc::Receiver<Job>) {
        while let Ok(first) = inbox.recv() {
            let mut group = vec![first];
            group.extend(inbox.try_iter().take(1_023));
            let bytes: Vec<u8> = group.iter().flat_map(|(b, _)| b).copied().collect();
            let kept = match self.commit(&bytes) {
                Ok(()) => Durability::Disk,
                Err(error) => {
                    tracing::error!(%error, "the journal cannot be written; reports are kept in memory only");
                    Durability::Memory
                }
            };
            self.health.degraded.store(kept == Durability::Memory, Ordering::Relaxed);
            for (_, done) in group {
                // The client may have gone; the record is kept all the same.
                let _gone = done.send(kept);
            }
            if self.length > COMPACT_AT
                && let Err(error) = self.compact()
            {
                tracing::warn!(%error, "the journal could not be rewritten");
            }
        }
    }

    fn commit(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What was written in part must not stand in front of later frames.
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.health.bytes.store(self.length, Ordering::Relaxed);
        self.health.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Write the newest records to a new file and put it in place of the old one in one step.
    fn compact(&mut self) -> std::io::Result<()> {
        let bytes = std::fs::read(&self.path)?;
        let (frames, _) = frame::read(&bytes);
        let kept = newest(frames.filter_map(|f| serde_json::from_slice(f).ok()));
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh)?;
        let mut length = 0;
        for record in kept {
            let frame = frame::build(&serde_json::to_vec(&record)?);
            file.write_all(&frame)?;
            length += frame.len() as u64;
        }
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.file = file;
        self.length = length;
        self.health.bytes.store(length, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
