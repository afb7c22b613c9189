//! Recorded evidence, for `agent replay`: one file per report, the newest ones, within a bound.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;

/// Space for recordings, in bytes; the oldest make room.
const SPACE: u64 = 256 * 1024 * 1024;
/// Space is looked after every so many recordings.
const EVERY: u64 = 20;

/// What is kept of an investigation.
#[derive(Debug, Deserialize, Serialize)]
pub struct Recording {
    /// Version of this shape.
    pub version: u32,
    /// Repository, part of the fingerprint.
    pub repository: String,
    /// The evidence, redacted.
    pub evidence: Evidence,
}

/// The directory of recordings.
#[derive(Debug)]
pub struct Recordings {
    dir: PathBuf,
    written: AtomicU64,
}

impl Recordings {
    /// Recordings below `dir`, which is made if it is missing.
    pub fn new(dir: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir, written: AtomicU64::new(0) })
    }

    /// Record the evidence of a report. Losing a recording costs a replay, not a report.
    pub async fn keep(&self, id: &str, recording: &Recording) {
        if let Err(error) = self.write(id, recording).await {
            tracing::warn!(%error, report = id, "the evidence was not recorded");
        }
        if self.written.fetch_add(1, Ordering::Relaxed).is_multiple_of(EVERY) {
            let dir = self.dir.clone();
            let pruned = tokio::task::spawn_blocking(move || prune(&dir, SPACE)).await;
            if let Ok(Err(error)) = pruned {
                tracing::warn!(%error, "old recordings could not be removed");
            }
        }
    }

    /// Whole or not at all: a crash leaves no half a file under the report's name.
    async fn write(&self, id: &str, recording: &Recording) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(recording)?;
        let unfinished = self.dir.join(format!("{id}.new"));
        tokio::fs::write(&unfinished, bytes).await?;
        tokio::fs::rename(&unfinished, self.dir.join(format!("{id}.json"))).await
    }
}

/// Remove the oldest files until the rest fits.
fn prune(dir: &Path, space: u64) -> std::io::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let data = entry.metadata()?;
        if data.is_file() {
            files.push((data.modified()?, data.len(), entry.path()));
        }
    }
    files.sort();
    let mut used: u64 = files.iter().map(|(_, length, _)| length).sum();
    for (_, length, path) in files {
        if used <= space {
            break;
        }
        std::fs::remove_file(path)?;
        used -= length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_recordings_make_room() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for (name, age) in [("old", 30), ("new", 10), ("middle", 20)] {
            let path = dir.path().join(name);
            std::fs::write(&path, [0; 100]).expect("written");
            let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age);
            let file = std::fs::File::options().write(true).open(&path).expect("opens");
            file.set_modified(at).expect("dated");
        }
        prune(dir.path(), 250).expect("pruned");
        let mut left: Vec<_> =
            std::fs::read_dir(dir.path()).expect("reads").map(|e| e.expect("entry").file_name()).collect();
        left.sort();
        assert_eq!(left, ["middle", "new"]);
    }
}
