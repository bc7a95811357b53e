//! Small files of our own, written so that a crash leaves the old or the new one, and read so that a torn or
//! foreign one is noticed.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::ambient::{NoSteps, Steps, stepped};
use crate::crypto::sha256;
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"OCLAWLM1";

/// Makes a directory that only its owner may enter.
pub(super) fn private_dir(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|error| Error::io("create", path, error))
}

/// Makes renames and removals in a directory durable. Windows has no such call and needs none.
pub(super) fn sync_dir(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let dir = fs::File::open(path).map_err(|error| Error::io("open", path, error))?;
        dir.sync_all().map_err(|error| Error::io("sync", path, error))?;
    }
    Ok(())
}

/// Writes a file (mode 0600) under a temporary name and renames it into place. With `durable` it survives a
/// power cut from the moment this returns.
pub(super) fn write_atomic(path: &Path, parts: &[&[u8]], durable: bool) -> Result<()> {
    write_atomic_stepped(path, parts, durable, &NoSteps)
}

fn write_atomic_stepped(
    path: &Path,
    parts: &[&[u8]],
    durable: bool,
    steps: &dyn Steps,
) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let failed = |error| Error::io("write", path, error);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = stepped(steps, "create", || options.open(&temporary)).map_err(failed)?;
    let write = || parts.iter().try_for_each(|part| file.write_all(part));
    let written = stepped(steps, "write", write);
    if let Err(error) = written {
        drop(file);
        let _best_effort = fs::remove_file(&temporary);
        return Err(failed(error));
    }
    if durable {
        stepped(steps, "sync", || file.sync_all()).map_err(failed)?;
    }
    drop(file);
    stepped(steps, "rename", || fs::rename(&temporary, path)).map_err(failed)?;
    match path.parent() {
        Some(parent) if durable => stepped(steps, "sync directory", || sync_dir(parent)),
        _ => Ok(()),
    }
}

/// Writes bytes behind a checksum.
pub(super) fn write_checked(path: &Path, payload: &[u8]) -> Result<()> {
    write_atomic(path, &[MAGIC, &sha256(payload), payload], true)
}

/// As [`write_checked`], step by step.
pub(super) fn write_checked_stepped(path: &Path, payload: &[u8], steps: &dyn Steps) -> Result<()> {
    write_atomic_stepped(path, &[MAGIC, &sha256(payload), payload], true, steps)
}

/// Reads bytes behind a checksum. `None` when there is no file, or none that is whole: local memory can be
/// made anew from the bucket, and half of it must never be believed.
pub(super) fn read_checked(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    let head = MAGIC.len() + 32;
    let whole = bytes.get(..MAGIC.len()) == Some(MAGIC)
        && bytes
            .get(head..)
            .is_some_and(|payload| bytes.get(MAGIC.len()..head) == Some(&sha256(payload)[..]));
    if !whole {
        tracing::warn!(path = %path.display(), "local file is damaged and is made anew");
        return Ok(None);
    }
    bytes.drain(..head);
    Ok(Some(bytes))
}

/// Removes a file that may be gone already.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert_eq!(read_checked(&path).unwrap(), None);
        write_checked(&path, b"hello").unwrap();
        assert_eq!(read_checked(&path).unwrap().as_deref(), Some(&b"hello"[..]));
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(read_checked(&path).unwrap(), None, "{cut}");
        }
    }
}
