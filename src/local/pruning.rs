//! What this machine remembers of pruning: which snapshots it deleted, and since when a pack is not needed.

use minicbor::{Decode, Encode};

use crate::format::{MachineId, PackName};

/// A pack that no manifest of the lineage names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct UnusedPack {
    /// Its name.
    #[n(0)]
    pub name: PackName,
    /// Since when its grace runs, milliseconds since 1970 by the server's clock.
    #[n(1)]
    pub since_ms: i64,
    /// Set where no manifest that this machine knows ever named it: its grace does not run before the lineage has
    /// a manifest with a higher number than this. A copy of this machine may have uploaded it, and commits no more
    /// once it sees that manifest.
    #[n(2)]
    pub after: Option<u64>,
}

/// A snapshot that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Pruned {
    /// Its id.
    #[n(0)]
    pub snapshot: String,
    /// When, milliseconds since 1970 by the server's clock.
    #[n(1)]
    pub at_ms: i64,
}

/// A machine whose snapshots were deleted because it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Forgotten {
    /// Its id.
    #[n(0)]
    pub machine: MachineId,
    /// Since when the grace of its packs runs, milliseconds since 1970 by the server's clock.
    #[n(1)]
    pub since_ms: i64,
    /// The packs that were there then. No others go: it may have come back since.
    #[n(2)]
    pub packs: Vec<PackName>,
}

/// All of it. Losing it costs time: packs begin their grace again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pruning {
    /// Packs whose grace runs.
    #[n(0)]
    pub unused: Vec<UnusedPack>,
    /// Snapshots that were deleted lately. A listing may show them for a while: they are no sign of a clone, and
    /// their names are not used again.
    #[n(1)]
    pub pruned: Vec<Pruned>,
    /// Whether the user was told that the key may not delete.
    #[n(2)]
    pub told_denied: bool,
    /// Machines whose packs are still to be deleted.
    #[n(3)]
    #[cbor(default)]
    pub forgotten: Vec<Forgotten>,
    /// Snapshots that this machine made and did not delete, and found gone, with the time at which it did. Somebody
    /// may have deleted them by mistake, or hidden them: for as long as they are remembered, no pack goes that only
    /// they may need, and they are this machine's again when they come back.
    #[n(4)]
    #[cbor(default)]
    pub lost: Vec<Pruned>,
}

impl Pruning {
    /// Whether a snapshot was deleted lately.
    #[must_use]
    pub fn has_pruned(&self, snapshot: &str) -> bool {
        self.pruned.iter().any(|pruned| pruned.snapshot == snapshot)
    }

    /// Whether a snapshot was found gone lately.
    #[must_use]
    pub fn has_lost(&self, snapshot: &str) -> bool {
        self.lost.iter().any(|lost| lost.snapshot == snapshot)
    }

    /// Whether this machine made a snapshot that is no more.
    #[must_use]
    pub fn knows(&self, snapshot: &str) -> bool {
        self.has_pruned(snapshot) || self.has_lost(snapshot)
    }
}
