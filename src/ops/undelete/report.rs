//! What to bring back, and what came back.

use std::time::SystemTime;

use crate::engine::problem::FileProblem;

/// What to bring back.
#[derive(Clone, Debug, Default)]
pub struct UndeleteOptions {
    /// Snapshots; all when empty.
    pub snapshots: Vec<String>,
    /// Only what was hidden or overwritten since, by the server's clock.
    pub since: Option<SystemTime>,
    /// Key slots, too: one that was removed on purpose opens the backup again then.
    pub keys: bool,
    /// Do it; else only tell.
    pub apply: bool,
}

/// A snapshot of which something is hidden or overwritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undeleted {
    /// Its id.
    pub snapshot: String,
    /// Whether its manifest itself is hidden or overwritten, so that the snapshot is not to be seen.
    pub gone: bool,
    /// When the last of it was hidden or overwritten, ISO 8601, by the server's clock.
    pub changed_at: Option<String>,
    /// Objects that come back, those of other snapshots in this list among them.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packs that are deleted for good: files in them are lost. Such a snapshot comes back only when it is named.
    pub lost_packs: u64,
}

/// What there is to bring back, or was brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndeleteReport {
    /// Oldest first.
    pub snapshots: Vec<Undeleted>,
    /// Key slots that are hidden or overwritten.
    pub key_slots: u64,
    /// Whether it was done.
    pub applied: bool,
    /// Objects that are, or would be, visible again.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Markers that were removed.
    pub removed_markers: u64,
    /// Objects that were written once more, because others' content stands above them or the key may not delete.
    pub written_again: u64,
    /// Snapshots that cannot be looked into, and what could not be brought back.
    pub problems: Vec<FileProblem>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Requests made.
    pub requests: u64,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}
