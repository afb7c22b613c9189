//! Where one lab lives while it runs: its folder, and a lock that says that somebody runs it.
//!
//! The kernel gives the lock back however its holder ends, so "locked" means running, and "not locked
//! but there" means crashed: to be cleaned.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::{directories::Directories, files::private_folder, processes};

/// The names of temporary labs start with this; they are swept once nobody holds them.
const TEMPORARY: &str = "test-";

/// Longer names would not leave room for hosts below the lab's domain.
const LONGEST_NAME: usize = 20;

/// A place for a lab of that name.
#[derive(Clone, Debug)]
pub struct Residence {
    directory: PathBuf,
    lock: PathBuf,
}

/// Held while a lab runs.
#[derive(Debug)]
pub struct Held {
    residence: Residence,
    _lock: File,
}

/// The text cannot name a lab.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} cannot name a lab: use up to {LONGEST_NAME} lower-case letters, digits and inner dashes")]
pub struct NameError(String);

impl Residence {
    /// The place of the lab `name`.
    ///
    /// # Errors
    /// When `name` cannot be part of a domain.
    pub fn new(directories: &Directories, name: &str) -> Result<Self, NameError> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let edges = !name.starts_with('-') && !name.ends_with('-');
        if name.is_empty() || name.len() > LONGEST_NAME || !edges || !name.bytes().all(inner) {
            return Err(NameError(name.to_owned()));
        }
        Ok(Self::below(&directories.labs(), name))
    }

    fn below(labs: &Path, name: &str) -> Self {
        Self { directory: labs.join(name), lock: labs.join(format!("{name}.lock")) }
    }

    /// A name nobody else has, for a lab of one test.
    pub fn temporary_name() -> String {
        format!("{TEMPORARY}{}", &crate::random_text()[..8])
    }

    fn temporary(&self) -> bool {
        self.directory
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes()))
    }

    /// The lab's folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Takes the place; `None` if somebody runs that lab.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn take(&self) -> io::Result<Option<Held>> {
        private_folder(self.lock.parent().unwrap_or(&self.directory))?;
        let lock = File::options().create(true).append(true).open(&self.lock)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Held { residence: self.clone(), _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether somebody runs that lab.
    ///
    /// # Errors
    /// When the lock cannot be read.
    pub fn taken(&self) -> io::Result<bool> {
        if !self.lock.exists() {
            return Ok(false);
        }
        Ok(self.take()?.is_none())
    }
}

impl Held {
    /// Ends what a crashed lab left running here, and empties the folder. Returns what was ended.
    ///
    /// # Errors
    /// When the folder cannot be emptied.
    pub fn clean(&self) -> io::Result<Vec<String>> {
        let ended = processes::clean(&self.residence.directory);
        self.remove()?;
        private_folder(&self.residence.directory)?;
        Ok(ended)
    }

    /// Removes the folder.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.residence.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the folder, and the lock of a temporary lab with it. Another lab's lock stays: somebody
    /// may be about to take it, and a new file of that name would let two hold it.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn leave(self) -> io::Result<()> {
        self.remove()?;
        if self.residence.temporary() {
            let _ = fs::remove_file(&self.residence.lock);
        }
        Ok(())
    }
}

/// Cleans temporary labs whose owners are gone.
///
/// # Errors
/// When a folder cannot be read or removed.
pub fn sweep(directories: &Directories) -> io::Result<()> {
    let labs = directories.labs();
    let entries = match fs::read_dir(&labs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(TEMPORARY)) else { continue };
        let residence = Residence::below(&labs, name);
        if residence.directory.is_dir()
            && let Some(held) = residence.take()?
        {
            held.clean()?;
            held.leave()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_domains() {
        let directories = Directories::new("anywhere");
        for good in ["default", "a", "x-1", "test-0123abcd"] {
            assert!(Residence::new(&directories, good).is_ok(), "{good:?} was refused");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "..", "ein-viel-zu-langer-name"] {
            assert!(Residence::new(&directories, bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn one_holder_at_a_time_and_a_crashed_one_is_cleaned() {
        let root = tempfile::tempdir().unwrap();
        let residence = Residence::new(&Directories::new(root.path()), "one").unwrap();
        assert!(!residence.taken().unwrap());
        let held = residence.take().unwrap().unwrap();
        assert!(residence.taken().unwrap());
        assert!(residence.take().unwrap().is_none());
        held.clean().unwrap();
        fs::write(residence.directory().join("state.json"), "{}").unwrap();
        drop(held);

        let next = residence.take().unwrap().unwrap();
        next.clean().unwrap();
        assert_eq!(fs::read_dir(residence.directory()).unwrap().count(), 0);
    }

    #[test]
    fn sweeping_takes_abandoned_temporary_labs_only() {
        let root = tempfile::tempdir().unwrap();
        let directories = Directories::new(root.path());
        let make = |name: &str| {
            let residence = Residence::new(&directories, name).unwrap();
            let held = residence.take().unwrap().unwrap();
            held.clean().unwrap();
            held
        };
        let (running, abandoned, named) = (make("test-1"), make("test-2"), make("named"));
        drop((abandoned, named));
        sweep(&directories).unwrap();
        let labs = directories.labs();
        let there = ["test-1", "test-2", "named"].map(|name| labs.join(name).is_dir());
        assert_eq!(there, [true, false, true]);
        let locks = ["test-1.lock", "test-2.lock", "named.lock"].map(|name| labs.join(name).exists());
        assert_eq!(locks, [true, false, true]);
        drop(running);
    }
}
