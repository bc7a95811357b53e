//! Which chunks the bucket is known to hold: those in packs of the newest manifest of this lineage, and those
//! of an interrupted push of this machine. Nothing else is ever assumed.

use std::collections::HashMap;

use super::PackIndex;
use crate::format::ChunkId;

/// Chunk ids and where they are: `(pack number, chunk)`.
#[derive(Debug, Default)]
pub struct Known(HashMap<ChunkId, (u32, u32)>);

impl Known {
    /// Takes the chunks of a pack. Where a chunk is in two packs the newer one counts: older packs should die.
    pub fn add(&mut self, number: u32, index: &PackIndex) {
        let ids = &index.footer().chunk_ids;
        self.0.reserve(ids.len());
        for (chunk, id) in (0u32..).zip(ids) {
            self.0.insert(*id, (number, chunk));
        }
    }

    /// Where a chunk is.
    #[must_use]
    pub fn get(&self, id: &ChunkId) -> Option<(u32, u32)> {
        self.0.get(id).copied()
    }
}
