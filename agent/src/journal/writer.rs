//! The thread that owns the file: syncing blocks.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Durability, Health, frame, records};

/// Above this size the file is rewritten with the newest frame of each id, in bytes.
const COMPACT_AT: u64 = 32 * 1024 * 1024;
/// Entries written with one sync.
const TOGETHER: usize = 1_024;
/// How often a disk that refused is tried again while nothing new arrives.
const AGAIN: Duration = Duration::from_secs(2);

/// An entry on its way to disk.
#[derive(Debug)]
pub(super) struct Job {
    /// Id of the record: a newer entry replaces an older one that was refused.
    pub(super) id: String,
    pub(super) frame: Vec<u8>,
    pub(super) done: oneshot::Sender<Durability>,
}

/// Owns the file.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    file: File,
    length: u64,
    /// Length after the last rewrite: when that much is in use, rewriting again frees nothing.
    rewritten: u64,
    /// Frames the disk refused, the newest of each record; the store bounds how many records there are.
    refused: HashMap<String, Vec<u8>>,
    health: Arc<Health>,
}

impl Writer {
    pub(super) fn new(path: PathBuf, file: File, length: u64, health: Arc<Health>) -> Self {
        Self { path, file, length, rewritten: 0, refused: HashMap::new(), health }
    }

    /// Write what arrives until nobody can send any more.
    pub(super) fn run(mut self, inbox: &Receiver<Job>) {
        loop {
            let first = if self.refused.is_empty() {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(AGAIN)
            };
            match first {
                Ok(first) => self.take(std::iter::once(first).chain(inbox.try_iter().take(TOGETHER - 1))),
                Err(RecvTimeoutError::Timeout) => self.take(std::iter::empty()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.length > COMPACT_AT.max(2 * self.rewritten)
                && let Err(error) = self.compact()
            {
                tracing::warn!(%error, "the journal could not be rewritten");
            }
        }
    }

    /// Commit a group together with what was refused before, and answer everybody.
    fn take(&mut self, group: impl Iterator<Item = Job>) {
        let begun = Instant::now();
        let mut waiting = Vec::new();
        let mut bytes = Vec::new();
        let mut fresh = Vec::new();
        for job in group {
            bytes.extend_from_slice(&job.frame);
            fresh.push((job.id, job.frame));
            waiting.push(job.done);
        }
        // In front: where a record has a newer entry in this group, that one counts.
        let older: Vec<u8> = self.refused.values().flatten().copied().collect();
        let kept = match self.commit(&[older, bytes].concat()) {
            Ok(()) => {
                if !self.refused.is_empty() {
                    tracing::info!(entries = self.refused.len(), "the journal is written again");
                }
                self.refused.clear();
                self.health.commit_micros.store(micros(begun.elapsed()), Ordering::Relaxed);
                Durability::Disk
            }
            Err(error) => {
                if self.refused.is_empty() {
                    tracing::error!(%error, "the journal cannot be written; reports are kept in memory only");
                }
                self.refused.extend(fresh);
                Durability::Memory
            }
        };
        self.tell(kept);
        for done in waiting {
            // The client may have gone; the record is kept all the same.
            let _gone = done.send(kept);
        }
    }

    fn tell(&self, kept: Durability) {
        let degraded = kept == Durability::Memory;
        self.health.degraded.store(degraded, Ordering::Relaxed);
        self.health.backlog.store(self.refused.len() as u64, Ordering::Relaxed);
        let mut since = self.health.refused_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = degraded.then(|| since.unwrap_or_else(Instant::now));
    }

    pub(super) fn commit(&mut self, bytes: &[u8]) -> std::io::Result<()> {
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
    pub(super) fn compact(&mut self) -> std::io::Result<()> {
        let bytes = std::fs::read(&self.path)?;
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh)?;
        let mut length = 0;
        for record in records(frame::read(&bytes).payloads) {
            let Some(frame) = frame::build(&serde_json::to_vec(&record)?) else { continue };
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
        self.rewritten = length;
        self.health.bytes.store(length, Ordering::Relaxed);
        Ok(())
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
