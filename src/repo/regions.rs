//! Stretches of a pack that were fetched.

use bytes::Bytes;

/// Parts of a pack that are in memory.
#[derive(Clone, Debug, Default)]
pub struct Regions(pub(super) Vec<(u64, Bytes)>);

impl Regions {
    /// Bytes of the pack, when they are here.
    #[must_use]
    pub fn slice(&self, offset: u64, length: u64) -> Option<Bytes> {
        self.0.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(offset.checked_sub(*start)?).ok()?;
            let to = from.checked_add(usize::try_from(length).ok()?)?;
            (to <= bytes.len()).then(|| bytes.slice(from..to))
        })
    }
}
