//! What a pruning did.

use super::packs::Fate;
use crate::engine::remove::Removed;

/// A snapshot of this machine, and what becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrunedSnapshot {
    /// Its name.
    pub id: String,
    /// When it was made by the server's clock, ISO 8601.
    pub created_at: String,
    /// Why it is kept: `newest 3`, `daily 2`, `weekly 1`, `safety`, `future`, `undo`, `before update 1`, `last with what is missing`. Empty:
    /// it goes.
    pub reasons: Vec<String>,
}

/// What pruning did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Every snapshot of this machine, oldest first.
    pub snapshots: Vec<PrunedSnapshot>,
    /// Snapshots that are deleted.
    pub deleted_snapshots: u64,
    /// Packs that are deleted.
    pub deleted_packs: u64,
    /// Bytes that this frees now.
    pub freed_bytes: u64,
    /// Packs that nothing needs, and that wait for their day to be over.
    pub waiting_packs: u64,
    /// Bytes that these will free.
    pub waiting_bytes: u64,
    /// Objects that were hidden, because the key may not delete.
    pub hidden: u64,
    /// Snapshots of other machines and of format 1, which are left alone.
    pub others: u64,
    /// Why nothing would be deleted; only of a dry run.
    pub stop: Option<String>,
    /// Requests made.
    pub requests: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

/// What became of a pack that was to go. Where the key may not delete, it waits for one that may.
pub(super) fn fate_of(outcome: Removed) -> Fate {
    if outcome == Removed::Gone { Fate::Goes } else { Fate::Waits }
}

pub(super) fn count(report: &mut PruneReport, fate: Fate, bytes: u64) {
    let (packs, sum) = match fate {
        Fate::Goes => (&mut report.deleted_packs, &mut report.freed_bytes),
        Fate::Waits => (&mut report.waiting_packs, &mut report.waiting_bytes),
        Fate::Kept => return,
    };
    *packs += 1;
    *sum += bytes;
}
