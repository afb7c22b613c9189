//! Files: private ones, ends of logs, copies of folders.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// How much of a log an error quotes.
const TAIL_LINES: usize = 15;

/// Writes a file that only its owner can read.
///
/// # Errors
/// When it cannot be written.
pub fn private(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = File::options().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content.as_ref())
}

/// Makes a folder, and what is missing above it, that only its owner can enter.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The last lines of a log; nothing if there is none.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Copies a folder and everything in it; the copies are writable, as a module cache's files are not.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            io::copy(&mut File::open(entry.path())?, &mut File::create(target)?)?;
        }
    }
    Ok(())
}

/// Copies a file, leaving holes where it holds nothing but zeros: etcd's log is 64 MB of them.
pub(crate) fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    const BLOCK: usize = 1 << 18;
    let zeros = vec![0; BLOCK];
    let mut block = vec![0; BLOCK];
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    loop {
        let length = from.read(&mut block)?;
        match &block[..length] {
            [] => break,
            data if *data == zeros[..length] => {
                to.seek_relative(i64::try_from(length).expect("a block is smaller than an i64"))?;
            }
            data => to.write_all(data)?,
        }
    }
    // A hole at the end is no part of the file until its length says so.
    let length = to.stream_position()?;
    to.set_len(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_copied_as_zeros_and_lengths_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let mut content = vec![0; 700_000];
        content[300_000] = 7;
        fs::write(&from, &content).unwrap();
        copy_sparse(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), content);
    }
}
