//! Checking one pack: its size, its footer, and every frame of it.

use std::collections::{BTreeSet, HashMap};

use crate::crypto::ChunkIds;
use crate::error::{Error, Result};
use crate::format::{ChunkId, HEADER_BYTES, MachineId, PackName, PackRef};
use crate::repo::{KeyRing, PackIndex, PackSource, Regions};

/// A pack and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) index: Option<PackIndex>,
    pub(super) error: Option<Error>,
    /// Frames that do not open.
    pub(super) bad_frames: BTreeSet<usize>,
    /// Whether every byte of it was read.
    pub(super) read: bool,
}

/// Looks at a pack of `size` bytes, or of unknown size; with `read` at every byte of it.
pub(super) async fn check_pack(
    ring: &KeyRing,
    source: &PackSource,
    pack: &PackRef,
    size: Option<u64>,
    read: bool,
) -> Result<Checked> {
    let object = pack.name.object(source.snapshot().id.machine);
    if size.is_some_and(|size| size != pack.bytes) {
        let message =
            format!("is {} bytes long instead of {}", size.unwrap_or_default(), pack.bytes);
        return Ok(Checked { error: Some(Error::damaged(object, message)), ..Checked::default() });
    }
    // A pack that is not listed is asked for all the same: a listing may be stale.
    let (index, regions) = match source.index(pack, if read { pack.bytes } else { 0 }).await {
        Ok(opened) => opened,
        Err(error) if is_finding(&error) => {
            return Ok(Checked { error: Some(error), ..Checked::default() });
        }
        Err(error) => return Err(error),
    };
    if !read {
        return Ok(Checked { index: Some(index), ..Checked::default() });
    }
    let ids = source.snapshot().key.chunk_ids(&source.snapshot().repository.0);
    ring.cpu().run(move || check_frames(index, &regions, &ids, &object)).await
}

/// Opens every frame and compares every chunk with its id.
fn check_frames(index: PackIndex, regions: &Regions, ids: &ChunkIds, object: &str) -> Checked {
    let mut bad_frames = BTreeSet::new();
    for frame in 0..index.footer().frames.len() {
        let good = index.frame(frame).and_then(|(offset, first, entry)| {
            let stored = regions.slice(offset, u64::from(entry.stored_bytes))?;
            let plain = index.open_frame(frame, &stored).ok()?;
            let chunks =
                usize::try_from(first).ok()?..usize::try_from(first + entry.chunks).ok()?;
            let expected = index.footer().chunk_ids.get(chunks)?;
            let mut rest = plain.as_slice();
            for (length, id) in index.chunk_lengths(first, entry.chunks)?.iter().zip(expected) {
                let (chunk, after) = rest.split_at_checked(usize::try_from(*length).ok()?)?;
                (ChunkId(ids.of(chunk)) == *id).then_some(())?;
                rest = after;
            }
            Some(())
        });
        if good.is_none() {
            bad_frames.insert(frame);
        }
    }
    // The header is not needed for reading (the footer has a copy), so it is compared here.
    let header_differs =
        regions.slice(0, HEADER_BYTES as u64).is_some_and(|header| !index.has_header(&header));
    let error = if !bad_frames.is_empty() {
        Some(Error::damaged(
            object,
            format!(
                "{} of its {} frames do not open",
                bad_frames.len(),
                index.footer().frames.len()
            ),
        ))
    } else if header_differs {
        Some(Error::damaged(object, "its header was changed; all content can still be read"))
    } else {
        None
    };
    Checked { index: Some(index), error, bad_frames, read: true }
}

/// Whether an error is about what is stored, and not about reaching it.
pub(super) fn is_finding(error: &Error) -> bool {
    matches!(
        error,
        Error::Damaged { .. }
            | Error::ObjectMissing { .. }
            | Error::SnapshotNotFound { .. }
            | Error::WrongKey { .. }
            | Error::Version { .. }
            | Error::UnsafePath { .. }
    )
}

pub(super) type Packs = HashMap<(MachineId, PackName), Checked>;
