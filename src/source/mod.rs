//! The state on this machine: which directories belong to it, what in them is backed up, walking them,
//! telling what changed, and capturing databases. Knows no store and no repository.

mod again;
pub mod authority;
pub mod blank;
pub mod confidential;
mod configured;
mod copies;
pub mod database;
#[cfg(test)]
mod documented;
pub mod gateway;
mod globs;
pub(crate) mod holes;
pub mod host_config;
pub(crate) mod json5;
mod judge;
pub mod links;
pub mod locks;
pub mod logs;
mod matcher;
mod mounts;
pub(crate) mod naming;
mod needles;
pub mod own;
mod passages;
pub mod place;
pub mod policy;
mod policy_rules;
mod private_copy;
mod resolve;
pub mod roots;
mod scrub;
pub mod sqlite;
mod stat;
pub mod walk;
mod walked;
pub mod withheld;

pub use crate::entry::{EntryKind, RelPath};
pub(crate) use globs::refuse_places;
pub(crate) use mounts::is_stray;
pub(crate) use policy::as_path;
pub(crate) use stat::{TICK_NS, shown as shown_path};

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What a root is to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RootKind {
    /// The state directory itself; always the first root.
    State,
    /// A workspace outside the state directory.
    Workspace,
    /// An agent directory outside the state directory.
    AgentDir,
    /// The directory of configuration files outside the state directory; only the named files belong.
    Config,
    /// A directory elsewhere, which a link in the state directory leads to. The rules of that place hold for it.
    Linked,
}

/// A directory that belongs to the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// What it is.
    pub kind: RootKind,
    /// Where it is on this machine, absolute.
    pub path: PathBuf,
    /// For `RootKind::Config`: only these file names in it. Empty for all other kinds: everything in it.
    pub only: Vec<Vec<u8>>,
    /// The path of a link in the state directory that leads here. A link below another such root counts as the path
    /// that leads to it from the state directory.
    pub at: Option<RelPath>,
}

impl Root {
    /// A root that everything in it belongs to.
    #[must_use]
    pub fn new(kind: RootKind, path: PathBuf) -> Self {
        Self { kind, path, only: Vec::new(), at: None }
    }

    /// What rules hold for a path below this root, and the path as these rules see it.
    #[must_use]
    pub fn judged<'p>(&self, path: &'p RelPath) -> (RootKind, Cow<'p, RelPath>) {
        match &self.at {
            Some(at) if self.kind == RootKind::Linked => {
                (RootKind::State, Cow::Owned(at.join(path)))
            }
            _ => (self.kind, Cow::Borrowed(path)),
        }
    }
}

/// Tells without opening a file whether it may have changed. For a database the `-wal` beside it belongs to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Size in bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Change time of the inode, nanoseconds since 1970 (0 where the system has none).
    pub ctime_ns: i64,
    /// Inode (0 where the system has none).
    pub inode: u64,
    /// Device (0 where the system has none).
    pub device: u64,
    /// Size, mtime and inode of `<file>-wal`, or of `<file>-journal`, whatever the file is; zeros where there is none.
    pub log: (u64, i64, u64),
}

/// Something on disk that belongs in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Index of the root in the list of roots.
    pub root: u16,
    /// Path below the root.
    pub path: RelPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits (07777).
    pub mode: u32,
    /// For a symlink: its target as stored.
    pub target: Option<Vec<u8>>,
    /// For telling changes; `size` and `mtime_ns` are also what the snapshot records.
    pub fingerprint: Fingerprint,
    /// Whether its name makes it a database file (`*.sqlite`, `*.sqlite3`, `*.db`), or a log lies beside it.
    pub database_name: bool,
}

/// Something that should be in the snapshot and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The path for people.
    pub path: String,
    /// A stable code, as `B2_SKIPPED_UNREADABLE`.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
}

/// The absolute path of an entry.
#[must_use]
pub fn absolute(root: &Path, path: &RelPath) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        root.join(std::ffi::OsStr::from_bytes(path.as_bytes()))
    }
    #[cfg(not(unix))]
    {
        root.join(String::from_utf8_lossy(path.as_bytes()).as_ref())
    }
}

/// Opens a file that was a regular one a moment ago: never follows a link that took its place, never waits
/// for the other end of a fifo.
///
/// # Errors
/// The system's error; `NotFound` when something else is in its place.
pub fn open_plain(path: &Path) -> std::io::Result<std::fs::File> {
    let gone = || std::io::Error::new(std::io::ErrorKind::NotFound, "is no longer a file");
    let mut options = std::fs::File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    }
    let file = match options.open(path) {
        // A link says "too many links", a socket "no such device": look at what is there.
        Err(_) if std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) => {
            return Err(gone());
        }
        opened => opened?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(gone()) }
}
