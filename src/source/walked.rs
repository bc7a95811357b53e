//! What a walk finds.

use super::{Found, RelPath, Skipped};

/// Something on disk that is left out on purpose. Of a directory that is left out, not its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// Index of the root in the list of roots.
    pub root: u16,
    /// Path below the root.
    pub path: RelPath,
    /// Why, in a few words for people.
    pub reason: &'static str,
}

/// Everything found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// What belongs in the snapshot, by root, then by the bytes of the path.
    pub found: Vec<Found>,
    /// What does not, in the same order; unless asked for, only what stays out because nothing is encrypted.
    pub excluded: Vec<Excluded>,
    /// What should be in the snapshot and could not be looked at.
    pub skipped: Vec<Skipped>,
    /// What was listed, and gone when it was looked at.
    pub gone: Vec<Skipped>,
    /// What has the name of a log of a database, until [`super::logs::settle`] has looked at what it lies beside; then
    /// the logs with something in them that belong to databases, by root, then by path.
    pub logs: Vec<Found>,
}

pub(super) type Passages = Vec<(Found, &'static str)>;
