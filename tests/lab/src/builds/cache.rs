//! Finished builds by content: one folder per hash of everything that went in, put in place by one
//! rename, each made by one process at a time.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{BuildError, progress::Progress};
use crate::files::private_folder;

/// Changed charts and modules leave builds behind; this long after their last use they go.
const KEPT_UNUSED: Duration = Duration::from_hours(14 * 24);

/// The hash of everything a build depends on.
#[derive(Clone, Debug, Default)]
pub struct Key(Sha256);

impl Key {
    /// Adds an input. Name and content are hashed with their lengths, so that no two different lists of
    /// inputs look the same.
    #[must_use]
    pub fn with(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        for part in [name.as_bytes(), content.as_ref()] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Sixteen hexadecimal characters.
    pub fn text(&self) -> String {
        hex::encode(&self.0.clone().finalize()[..8])
    }
}

/// The folder of finished builds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Keeps builds in `directory`.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The finished build `name` of that key, made by `build` in an empty folder if it is not there yet.
    ///
    /// # Errors
    /// What `build` says, or that the folder cannot be written.
    pub async fn entry(
        &self,
        name: &str,
        key: &Key,
        progress: Progress,
        build: impl AsyncFnOnce(&Path) -> Result<(), BuildError>,
    ) -> Result<PathBuf, BuildError> {
        let entry = self.directory.join(format!("{name}-{}", key.text()));
        if used(&entry) {
            return Ok(entry);
        }
        let failed = |source| BuildError::Cache { path: self.directory.clone(), source };
        private_folder(&self.directory).map_err(failed)?;
        let _lock = self.lock(name, progress).await.map_err(failed)?;
        if used(&entry) {
            return Ok(entry);
        }
        let partial = self.directory.join(format!(".{name}.partial"));
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => fs::create_dir(&partial).map_err(failed)?,
        }
        build(&partial).await?;
        fs::rename(&partial, &entry).map_err(failed)?;
        self.prune(SystemTime::now() - KEPT_UNUSED);
        Ok(entry)
    }

    /// A folder that a build keeps from one time to the next, whatever its key.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Removes builds that nobody has used since `limit`. What cannot be removed stays.
    fn prune(&self, limit: SystemTime) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let last = entry.metadata().and_then(|metadata| metadata.modified());
            if entry.path().is_dir() && last.is_ok_and(|last| last < limit) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// One build of a name at a time on this machine: what one lab builds, others wait for. The lock goes with the
    /// process that holds it, however that ends.
    async fn lock(&self, name: &str, progress: Progress) -> io::Result<File> {
        let lock = self.directory.join(format!("{name}.lock"));
        let lock = File::options().create(true).append(true).open(lock)?;
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let task = progress.begin("waiting for another lab's build");
        let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
        let locked = locked.map_err(io::Error::other)??;
        task.done();
        Ok(locked)
    }
}

/// Whether the entry is there; if so, its time of change becomes its time of last use.
fn used(entry: &Path) -> bool {
    let Ok(folder) = File::open(entry) else { return false };
    let _ = folder.set_modified(SystemTime::now());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::default().with("input", text)
    }

    #[test]
    fn every_input_counts_and_boundaries_do_too() {
        let base = Key::default().with("go.mod", "ab").with("go.sum", "c").text();
        assert_eq!(base, Key::default().with("go.mod", "ab").with("go.sum", "c").text());
        assert_ne!(base, Key::default().with("go.mod", "a").with("go.sum", "bc").text());
        assert_ne!(base, Key::default().with("go.mod", "ab").with("go.su", "mc").text());
        assert_ne!(base, Key::default().with("go.sum", "c").with("go.mod", "ab").text());
    }

    #[tokio::test]
    async fn a_build_happens_once_per_key_and_a_failed_one_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("builds"));
        let write = |text: &'static str| {
            async move |partial: &Path| {
                fs::write(partial.join("out"), text).unwrap();
                Ok(())
            }
        };
        let fail = async |partial: &Path| {
            fs::write(partial.join("half"), "x").unwrap();
            Err(BuildError::Missing { program: "go", hint: "" })
        };
        assert!(cache.entry("part", &key("1"), Progress::Silent, fail).await.is_err());
        let made = cache.entry("part", &key("1"), Progress::Silent, write("first")).await.unwrap();
        let again = cache.entry("part", &key("1"), Progress::Silent, write("second")).await.unwrap();
        let other = cache.entry("part", &key("2"), Progress::Silent, write("third")).await.unwrap();
        assert_eq!((made.clone(), fs::read_to_string(again.join("out")).unwrap()), (again, "first".into()));
        assert_ne!(made, other);
        assert!(!made.join("half").exists(), "the failed attempt's files were kept");
    }

    #[tokio::test]
    async fn only_builds_unused_for_long_are_pruned() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().into());
        let old = SystemTime::now() - Duration::from_hours(24);
        for name in ["unused", "used"] {
            let made =
                cache.entry(name, &key(name), Progress::Silent, async |_: &Path| Ok(())).await.unwrap();
            File::open(made).unwrap().set_modified(old).unwrap();
        }
        let build = async |_: &Path| panic!("it was there");
        let kept = cache.entry("used", &key("used"), Progress::Silent, build).await.unwrap();
        cache.prune(SystemTime::now() - Duration::from_hours(1));
        let left = fs::read_dir(directory.path()).unwrap().flatten().map(|entry| entry.path());
        assert_eq!(left.filter(|path| path.is_dir()).collect::<Vec<_>>(), [kept]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_who_want_the_same_build_get_one() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("builds"));
        let count = std::sync::atomic::AtomicUsize::new(0);
        let build = async |_: &Path| {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(())
        };
        let wanted = key("shared");
        let (first, second) = tokio::join!(
            cache.entry("part", &wanted, Progress::Silent, build),
            cache.entry("part", &wanted, Progress::Silent, build)
        );
        assert_eq!(first.unwrap(), second.unwrap());
        assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 1);
    }
}
