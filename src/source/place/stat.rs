//! What lies at a place.

use crate::source::EntryKind;

/// What is at a spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is; `None` for what is neither file, directory nor link.
    pub kind: Option<EntryKind>,
    /// Size in bytes.
    pub size: u64,
    /// Permission bits (07777).
    pub mode: u32,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Inode (0 where the system has none).
    pub inode: u64,
    /// User and group that it belongs to (0 where the system has none).
    pub owner: (u32, u32),
}
