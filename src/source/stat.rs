//! What `stat` says about a file, the same on all systems.

use std::path::{Path, PathBuf};

use super::database::is_database_name;
use super::{EntryKind, Fingerprint, Found, RelPath, Skipped};
use crate::error::{Error, Result};

/// File systems tell times to the nanosecond, or to two seconds (FAT): what was written twice within this time may look
/// the same, and be of the same size. Nanoseconds.
pub(crate) const TICK_NS: i64 = 2_000_000_000;

/// What would tell that a file changed, by `stat` alone, for looking at a single file again.
///
/// # Errors
/// The system's error when the file is gone or cannot be looked at.
pub fn fingerprint(path: &Path, database_name: bool) -> std::io::Result<Fingerprint> {
    let mut fingerprint = fingerprint_of(&std::fs::symlink_metadata(path)?);
    if database_name {
        fingerprint.log = log_of(path);
    }
    Ok(fingerprint)
}

/// What is at `place`, as if it were at `path` below a root. `None` for what is neither file, directory nor link, or gone.
///
/// # Errors
/// File-system codes.
pub fn find(root: u16, path: &RelPath, place: &Path) -> Result<Option<Found>> {
    let meta = match std::fs::symlink_metadata(place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        meta => meta.map_err(|error| Error::io("look at", place, error))?,
    };
    let kind = if meta.is_dir() {
        EntryKind::Directory
    } else if meta.is_symlink() {
        EntryKind::Symlink
    } else if meta.is_file() {
        EntryKind::File
    } else {
        return Ok(None);
    };
    let target = (kind == EntryKind::Symlink).then(|| std::fs::read_link(place)).transpose();
    let target = target.map_err(|error| Error::io("read", place, error))?;
    let database_name = is_database_name(path.as_bytes());
    let mut fingerprint = fingerprint_of(&meta);
    if database_name {
        fingerprint.log = log_of(place);
    }
    Ok(Some(Found {
        root,
        path: path.clone(),
        kind,
        mode: mode_of(&meta),
        target: target.map(|target| bytes_of(target.as_os_str()).into_owned()),
        fingerprint,
        database_name,
    }))
}

/// Names in a directory, with their paths.
///
/// # Errors
/// File-system codes.
pub fn names_in(directory: &Path) -> Result<Vec<(Vec<u8>, PathBuf)>> {
    let failed = |error| Error::io("list", directory, error);
    let named =
        |entry: std::fs::DirEntry| (bytes_of(&entry.file_name()).into_owned(), entry.path());
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    entries.map(|entry| entry.map(named).map_err(failed)).collect()
}

/// Size, mtime and inode of the log beside a database: committed rows may be only there.
pub(super) fn log_of(database: &Path) -> (u64, i64, u64) {
    let beside = |suffix: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        let meta = std::fs::symlink_metadata(PathBuf::from(name)).ok()?;
        let fingerprint = fingerprint_of(&meta);
        // An empty one comes and goes with every reader.
        if fingerprint.size == 0 {
            return None;
        }
        Some((fingerprint.size, fingerprint.mtime_ns, fingerprint.inode))
    };
    beside("-wal").or_else(|| beside("-journal")).unwrap_or_default()
}

#[cfg(unix)]
pub(super) fn fingerprint_of(meta: &std::fs::Metadata) -> Fingerprint {
    use std::os::unix::fs::MetadataExt as _;
    // Times beyond the year 2262 do not fit, and are cut off.
    let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
    Fingerprint {
        size: if meta.is_dir() { 0 } else { meta.size() },
        mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
        ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
        inode: meta.ino(),
        device: meta.dev(),
        log: Default::default(),
    }
}

#[cfg(not(unix))]
pub(super) fn fingerprint_of(meta: &std::fs::Metadata) -> Fingerprint {
    let since_1970 =
        meta.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let mtime_ns =
        since_1970.and_then(|time| i64::try_from(time.as_nanos()).ok()).unwrap_or_default();
    Fingerprint {
        size: if meta.is_dir() { 0 } else { meta.len() },
        mtime_ns,
        ..Fingerprint::default()
    }
}

#[cfg(unix)]
pub(super) fn mode_of(meta: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    meta.mode() & 0o7777
}

#[cfg(not(unix))]
pub(super) fn mode_of(meta: &std::fs::Metadata) -> u32 {
    mode_without_bits(meta.is_dir(), meta.permissions().readonly())
}

/// What stands for permission bits where a system has none: only the owner, as OpenClaw makes its state, and as who
/// restores on Linux expects it. Read-only says nothing of a directory on Windows.
#[cfg_attr(all(unix, not(test)), expect(dead_code, reason = "this system has permission bits"))]
pub(super) fn mode_without_bits(directory: bool, readonly: bool) -> u32 {
    match (directory, readonly) {
        (true, _) => 0o700,
        (false, true) => 0o400,
        (false, false) => 0o600,
    }
}

/// What [`special`] calls a socket.
pub(super) const SOCKET: &str = "socket";

#[cfg(unix)]
pub(super) fn special(file_type: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if file_type.is_socket() {
        SOCKET
    } else if file_type.is_fifo() {
        "named pipe"
    } else {
        "device"
    }
}

#[cfg(not(unix))]
pub(super) fn special(_: std::fs::FileType) -> &'static str {
    "neither file nor directory"
}

/// An absolute path for people.
pub(crate) fn shown(path: &Path) -> String {
    RelPath::from_bytes(bytes_of(path.as_os_str()).into_owned()).escaped()
}

/// What is said of a file system that does not answer.
pub(super) fn does_not_answer(path: &Path) -> Skipped {
    let shown = shown(path);
    let message = format!("{shown} is left out: its file system does not answer");
    Skipped { message, path: shown, code: "B2_SKIPPED_HANGS" }
}

/// What is said of something that has another name, or none, each time it is looked at.
pub const GONE_AGAIN: &str = "was listed, and gone when it was looked at, again and again: it is in this snapshot under \
    another name, or not at all";

/// What is said of something that is listed and not there, should that go on.
pub(super) fn gone(path: &Path) -> Skipped {
    Skipped { path: shown(path), code: "B2_SKIPPED_UNREADABLE", message: GONE_AGAIN.to_owned() }
}

/// What is said of what cannot be read.
pub(super) fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Skipped {
    let shown = shown(path);
    Skipped {
        message: format!("cannot read {shown}: {error}"),
        path: shown,
        code: "B2_SKIPPED_UNREADABLE",
    }
}

#[cfg(unix)]
pub(super) fn bytes_of(name: &std::ffi::OsStr) -> std::borrow::Cow<'_, [u8]> {
    use std::os::unix::ffi::OsStrExt as _;
    std::borrow::Cow::Borrowed(name.as_bytes())
}

#[cfg(not(unix))]
pub(super) fn bytes_of(name: &std::ffi::OsStr) -> std::borrow::Cow<'_, [u8]> {
    std::borrow::Cow::Owned(name.to_string_lossy().replace('\\', "/").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_of_a_system_without_them_let_the_owner_in_and_nobody_else() {
        assert_eq!(mode_without_bits(true, false), 0o700);
        assert_eq!(mode_without_bits(true, true), 0o700);
        assert_eq!(mode_without_bits(false, false), 0o600);
        assert_eq!(mode_without_bits(false, true), 0o400);
    }
}
