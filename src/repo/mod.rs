//! The repository: packs written and read, manifests committed, what is known, spool and local memory.
//! Does not know where files come from or go to.

mod arrival;
mod fetch;
mod files;
mod journal;
mod keys;
mod known;
mod local;
mod local_repository;
mod pack_reader;
mod pack_writer;
mod proof;
mod pruning;
mod rollbacks;
mod snapshot;
mod spool;
mod versions;

pub use arrival::Arrival;
pub use fetch::{PackSource, Regions};
pub use journal::{Before, Journal, Last, Phase, Step, StepKind, Touched, Unsaved};
pub use keys::{
    KeyRing, MAX_TRIES, Secrets, SlotNames, SlotObject, StoredSlot, is_removed, read_slots,
    slot_names, slot_object, stored_slots,
};
pub use known::Known;
pub use local::{Local, LockFile};
pub use local_repository::{LocalRepository, Newest, RepositoryRecord, SlotRecord};
pub use pack_reader::PackIndex;
pub use pack_writer::{Frame, PackBuilder, SealedPack};
pub use proof::{Drilled, PackRead, Proof, TrialFolder};
pub use pruning::{Forgotten, Pruned, Pruning, UnusedPack};
pub use rollbacks::{RollbackFolder, Rollbacks};
pub use snapshot::{Snapshot, find, read};
pub use spool::{Captured, Spool};
pub use versions::{Cure, History, Standing, histories};
