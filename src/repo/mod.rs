//! The bucket as a repository: packs written and read, manifests committed, keys, what is known.
//! Does not know where files come from or go to.

mod fetch;
mod keys;
mod known;
mod pack_reader;
mod pack_writer;
mod regions;
mod snapshot;
mod versions;

pub use fetch::PackSource;
pub use keys::{
    KeyRing, MAX_TRIES, Secrets, SlotNames, SlotObject, StoredSlot, is_removed, read_slots,
    slot_names, slot_object, stored_slots,
};
pub use known::Known;
pub use pack_reader::PackIndex;
pub use pack_writer::{Frame, PackBuilder};
pub use regions::Regions;
pub use snapshot::{Snapshot, find, read};
pub use versions::{Cure, History, Standing, histories};
