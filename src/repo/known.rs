//! Which chunks the bucket is known to hold: those in packs of the newest manifest of this lineage, and those
//! of an interrupted push of this machine. Nothing else is ever assumed.

use std::collections::BTreeSet;

use super::pack_reader::PackIndex;
use crate::format::ChunkId;

/// Chunk ids and where they are: `(pack number, chunk)`. A sorted list takes half the memory of a map, which
/// counts with a database of gigabytes: 40 bytes for each 4 KiB.
#[derive(Debug, Default)]
pub struct Known(Vec<(ChunkId, u32, u32)>);

impl Known {
    /// Takes the chunks of a pack; [`Self::sorted`] makes them findable.
    pub fn add(&mut self, number: u32, index: &PackIndex) {
        let ids = &index.footer().chunk_ids;
        self.0.reserve_exact(ids.len());
        self.0.extend((0u32..).zip(ids).map(|(chunk, id)| (*id, number, chunk)));
    }

    /// Ready to be asked. Where a chunk is in two packs the newer one counts: older packs should die.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    /// Forgets what is in some packs.
    pub fn forget(&mut self, packs: &BTreeSet<u32>) {
        self.0.retain(|(_, pack, _)| !packs.contains(pack));
    }

    /// Where a chunk is.
    #[must_use]
    pub fn get(&self, id: &ChunkId) -> Option<(u32, u32)> {
        let after = self.0.partition_point(|(known, ..)| known <= id);
        let (known, pack, chunk) = self.0.get(after.checked_sub(1)?)?;
        (known == id).then_some((*pack, *chunk))
    }
}
