//! What systems call by other names, or do not have: permission bits, times, names as bytes.

use std::fs::Metadata;
use std::path::Path;

/// A path as snapshots have it.
#[cfg(unix)]
pub(crate) fn bytes_of(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_vec()
}

/// A path as snapshots have it.
#[cfg(not(unix))]
pub(crate) fn bytes_of(path: &Path) -> Vec<u8> {
    path.to_str().unwrap().replace('\\', "/").into_bytes()
}

/// Permission bits.
#[cfg(unix)]
pub(crate) fn mode_of(meta: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    meta.permissions().mode() & 0o7777
}

/// Permission bits, which this system has not.
#[cfg(not(unix))]
pub(crate) fn mode_of(_meta: &Metadata) -> u32 {
    0
}

/// Makes a pipe with a name.
#[cfg(unix)]
pub(crate) fn make_pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Sets permission bits, where the system has them.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(not(unix))]
    let _nothing_to_set = (path, mode);
}

/// When the content changed: seconds and nanoseconds since 1970.
#[cfg(unix)]
pub(crate) fn mtime_of(meta: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (meta.mtime(), meta.mtime_nsec())
}

/// When the content changed: seconds and nanoseconds since 1970.
#[cfg(windows)]
pub(crate) fn mtime_of(meta: &Metadata) -> (i64, i64) {
    use std::os::windows::fs::MetadataExt as _;
    /// Windows counts 100 ns from 1601 on.
    const FROM_1601_TO_1970: i64 = 11_644_473_600;
    let ticks = i64::try_from(meta.last_write_time()).unwrap();
    (ticks / 10_000_000 - FROM_1601_TO_1970, ticks % 10_000_000 * 100)
}

/// What a file keeps for as long as it is the same one: the number of its inode, or on Windows when it was made.
pub(crate) fn id_of(meta: &Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::ino(meta);
    #[cfg(windows)]
    return std::os::windows::fs::MetadataExt::creation_time(meta);
}

/// Gives a file, link or directory the time of another.
#[cfg(unix)]
pub(crate) fn set_mtime(path: &Path, like: &Metadata) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let (seconds, nanoseconds) = mtime_of(like);
    let at = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: at, last_modification: at };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Gives a file or directory the time of another.
#[cfg(windows)]
pub(crate) fn set_mtime(path: &Path, like: &Metadata) {
    use std::os::windows::fs::OpenOptionsExt as _;
    /// `FILE_FLAG_BACKUP_SEMANTICS`: without it no directory is opened.
    const DIRECTORIES_TOO: u32 = 0x0200_0000;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).custom_flags(DIRECTORIES_TOO).open(path).unwrap();
    file.set_modified(like.modified().unwrap()).unwrap();
}

/// The URL of a folder, for a bucket in it.
pub(crate) fn url_of(folder: &Path) -> String {
    let path = folder.to_str().unwrap();
    let path = if cfg!(windows) { path.replace('\\', "/") } else { path.to_owned() };
    format!("file:///{}", path.trim_start_matches('/'))
}
