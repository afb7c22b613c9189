//! The user data files of an output directory, as AgnosticD's set-up role and plugin leave them.
//!
//! `<action>-user-info.yaml` holds one message a line, `<action>-user-data.yaml` the data, and
//! `<action>-user-body.yaml` the bodies. `user-info.yaml` and `user-data.yaml` point to the files of the
//! provision, whatever the action. Files are replaced whole and at once, so that a reader never sees half of one.
//!
//! One deliberate difference: files made here cannot be read by everyone on the machine (0660, not 0664), because
//! they hold passwords. A file that is there already keeps its mode.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use tenant_kit::yaml::ansible::{self, ReadError};

use super::{UserData, pyyaml};

/// Mode of a new directory: `ug=rwx,o=rx`, as the framework makes it.
const DIRECTORY_MODE: u32 = 0o775;
/// Mode of a new file with user data.
const FILE_MODE: u32 = 0o660;

/// The directory to write to, and under which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputDir {
    /// The directory; made if missing.
    pub path: PathBuf,
    /// What was done, and what the files' names start with: `provision`, `destroy` or `status`.
    pub action: String,
    /// Keep what is in the files already (`agnosticd_preserve_user_data`).
    pub preserve: bool,
}

/// Why user data could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The directory cannot be made.
    #[error("cannot create the output directory {}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of an earlier run is broken.
    #[error("cannot keep what is in {}: it is no YAML map; delete it", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        source: ReadError,
    },
    /// A file cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl OutputDir {
    /// Writes all files.
    ///
    /// # Errors
    /// The first file that cannot be read or written; each file is either replaced or as it was.
    pub fn write(&self, data: &UserData) -> Result<(), OutputError> {
        self.prepare()?;
        self.write_info(data)?;
        self.write_data(data)?;
        self.write_bodies(data)
    }

    fn file(&self, action: &str, kind: &str) -> PathBuf {
        self.path.join(format!("{action}-user-{kind}.yaml"))
    }

    /// Directory, the provision's files, and the links to them.
    fn prepare(&self) -> Result<(), OutputError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&self.path)
            .map_err(|source| OutputError::Directory { path: self.path.clone(), source })?;
        for kind in ["info", "data"] {
            let file = self.file("provision", kind);
            if !file.exists() {
                replace(&file, b"", FILE_MODE)?;
            }
            let link = self.path.join(format!("user-{kind}.yaml"));
            let target = format!("provision-user-{kind}.yaml");
            link_to(&link, Path::new(&target)).map_err(|source| OutputError::Write { path: link, source })?;
        }
        Ok(())
    }

    fn write_info(&self, data: &UserData) -> Result<(), OutputError> {
        let path = self.file(&self.action, "info");
        let kept = if self.preserve { read(&path)? } else { None };
        let mut text = kept.filter(|kept| !kept.is_empty()).unwrap_or_else(|| "---\n".to_owned());
        text.extend(data.messages().iter().map(|message| format!("- {}\n", pyyaml::json_text(message))));
        replace(&path, text.as_bytes(), FILE_MODE)
    }

    fn write_data(&self, data: &UserData) -> Result<(), OutputError> {
        let path = self.file(&self.action, "data");
        let kept = if self.preserve { read(&path)? } else { None };
        let text = match kept {
            Some(kept) if data.has_no_data() && !kept.is_empty() => kept,
            _ if data.has_no_data() => "---\n".to_owned(),
            kept => pyyaml::dump(&data.merged_into(parsed(&path, kept.as_deref().unwrap_or_default())?)),
        };
        replace(&path, text.as_bytes(), FILE_MODE)
    }

    /// The framework never empties the file of bodies, and makes none without a body.
    fn write_bodies(&self, data: &UserData) -> Result<(), OutputError> {
        if data.bodies().is_empty() {
            return Ok(());
        }
        let path = self.file(&self.action, "body");
        let mut text = read(&path)?.unwrap_or_default();
        text.extend(data.bodies().iter().map(|body| format!("- {}\n", pyyaml::json_text(body))));
        replace(&path, text.as_bytes(), FILE_MODE)
    }
}

fn parsed(path: &Path, text: &str) -> Result<Map<String, Value>, OutputError> {
    let entries =
        ansible::read_map(text).map_err(|source| OutputError::Broken { path: path.to_owned(), source })?;
    Ok(entries.into_iter().map(|(key, entry)| (key, entry.value)).collect())
}

fn read(path: &Path) -> Result<Option<String>, OutputError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OutputError::Read { path: path.to_owned(), source }),
    }
}

/// Makes `link` point to `target`, replacing whatever is there.
fn link_to(link: &Path, target: &Path) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|current| current == target) {
        return Ok(());
    }
    let new = beside(link);
    let _ = fs::remove_file(&new);
    symlink(target, &new)?;
    fs::rename(&new, link)
}

/// Replaces a file at once; a new one gets `mode`, one that is there keeps its own.
pub(super) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), OutputError> {
    let written = || -> io::Result<()> {
        let mode = fs::symlink_metadata(path)
            .ok()
            .filter(fs::Metadata::is_file)
            .map_or(mode, |metadata| metadata.permissions().mode() & 0o777);
        let new = beside(path);
        let _ = fs::remove_file(&new);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        io::Write::write_all(&mut file, content)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        fs::rename(&new, path)
    };
    written().map_err(|source| OutputError::Write { path: path.to_owned(), source })
}

/// Where the new content of `path` is written before it takes its place.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

#[cfg(test)]
mod tests;
