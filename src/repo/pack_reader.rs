//! Reading packs: the footer first, then whatever frames are wanted.

use super::regions::Regions;
use crate::chunk;
use crate::crypto::{Cipher, Domain, RepoKey};
use crate::error::{Error, Result};
use crate::format::{
    Footer, FrameEntry, HEADER_BYTES, Header, MAX_FOOTER_BYTES, MAX_PACK_BYTES, MachineId,
    Malformed, ObjectKind, PackName, PackRef, RepositoryId, Run,
};

/// An opened footer: knows where every chunk of the pack is, and opens frames.
#[derive(Clone, Debug)]
pub struct PackIndex {
    cipher: Cipher,
    context: Vec<u8>,
    footer: Footer,
    /// Offset in the pack and first chunk of each frame.
    starts: Vec<(u64, u32)>,
}

impl PackIndex {
    /// What every seal in the pack is bound to: its header and its place in the bucket.
    #[must_use]
    pub(super) fn context(header: &Header, machine: MachineId, name: PackName) -> Vec<u8> {
        let mut context = header.encode().to_vec();
        context.extend_from_slice(name.object(machine).as_bytes());
        context
    }

    /// Opens the last `reference.footer_bytes` of a pack.
    ///
    /// # Errors
    /// `B2_DAMAGED`, `B2_VERSION`.
    pub fn open(
        key: &RepoKey,
        repository: RepositoryId,
        machine: MachineId,
        reference: &PackRef,
        tail: &[u8],
    ) -> Result<Self> {
        let object = reference.name.object(machine);
        let index = Self::open_tail(key, repository, machine, reference.name, tail)
            .map_err(|malformed| malformed.of(&object))?;
        if index.frames_end() + u64::from(reference.footer_bytes) != reference.bytes {
            return Err(Error::damaged(object, "its frames do not fill it"));
        }
        Ok(index)
    }

    fn open_tail(
        key: &RepoKey,
        repository: RepositoryId,
        machine: MachineId,
        name: PackName,
        tail: &[u8],
    ) -> Result<Self, Malformed> {
        let bad = |message: &str| Malformed::Bytes(message.to_owned());
        let at =
            tail.len().checked_sub(4 + HEADER_BYTES).ok_or_else(|| bad("footer is too short"))?;
        let (header, _) = Header::decode(tail.get(at..).unwrap_or_default(), ObjectKind::Pack)?;
        if header.sealed != key.is_sealed() || header.repository != repository {
            return Err(bad("belongs to another repository"));
        }
        let (cipher, commitment) =
            key.object(ObjectKind::Pack.label(), &repository.0, &header.salt);
        if commitment != header.commitment {
            return Err(bad("its header was changed"));
        }
        Self::open_with(&cipher, Self::context(&header, machine, name), tail)
    }

    pub(super) fn open_with(
        cipher: &Cipher,
        context: Vec<u8>,
        tail: &[u8],
    ) -> Result<Self, Malformed> {
        let bad = |message: &str| Malformed::Bytes(message.to_owned());
        let (rest, length) =
            tail.split_last_chunk::<4>().ok_or_else(|| bad("footer is too short"))?;
        if usize::try_from(u32::from_le_bytes(*length)) != Ok(tail.len())
            || tail.len() > MAX_FOOTER_BYTES
        {
            return Err(bad("footer has another length"));
        }
        let (sealed, _header) = rest
            .split_at_checked(rest.len().saturating_sub(HEADER_BYTES))
            .ok_or_else(|| bad("footer is too short"))?;
        let mut plain = sealed.to_vec();
        cipher
            .open(Domain::Footer, 0, &context, &mut plain)
            .map_err(|_| bad("its footer was changed"))?;
        let footer = Footer::decode(&plain)?;
        let (mut offset, mut chunk) = (HEADER_BYTES as u64, 0);
        let mut starts = Vec::with_capacity(footer.frames.len());
        for frame in &footer.frames {
            starts.push((offset, chunk));
            offset += u64::from(frame.stored_bytes);
            chunk += frame.chunks;
        }
        if offset > MAX_PACK_BYTES {
            return Err(bad("is larger than a pack may be"));
        }
        Ok(Self { cipher: cipher.clone(), context, footer, starts })
    }

    /// The footer.
    #[must_use]
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Drops the chunk ids, most of what a footer takes: places and lengths stay.
    pub fn forget_ids(&mut self) {
        self.footer.chunk_ids = Vec::new();
    }

    /// Whether a pack's header is the one that its footer was sealed with.
    #[must_use]
    pub fn has_header(&self, header: &[u8]) -> bool {
        self.context.get(..HEADER_BYTES) == Some(header)
    }

    fn frames_end(&self) -> u64 {
        let last = self.starts.last().zip(self.footer.frames.last());
        last.map_or(HEADER_BYTES as u64, |(start, frame)| start.0 + u64::from(frame.stored_bytes))
    }

    /// The frame that holds a chunk.
    #[must_use]
    pub fn frame_of(&self, chunk: u32) -> Option<usize> {
        let after = self.starts.partition_point(|(_, first)| *first <= chunk);
        let frame = after.checked_sub(1)?;
        (usize::try_from(chunk).ok()? < self.footer.chunk_bytes.len()).then_some(frame)
    }

    /// Offset in the pack, first chunk, and entry of a frame.
    #[must_use]
    pub fn frame(&self, frame: usize) -> Option<(u64, u32, FrameEntry)> {
        let (offset, first) = self.starts.get(frame)?;
        Some((*offset, *first, *self.footer.frames.get(frame)?))
    }

    /// Lengths of `count` chunks from `first`.
    #[must_use]
    pub fn chunk_lengths(&self, first: u32, count: u32) -> Option<&[u32]> {
        let first = usize::try_from(first).ok()?;
        self.footer.chunk_bytes.get(first..first.checked_add(usize::try_from(count).ok()?)?)
    }

    /// Opens and decompresses a frame from its stored bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they were changed.
    pub fn open_frame(&self, frame: usize, stored: &[u8]) -> Result<Vec<u8>, Malformed> {
        let bad = || Malformed::Bytes(format!("frame {frame} was changed"));
        let entry = self.footer.frames.get(frame).ok_or_else(bad)?;
        if usize::try_from(entry.stored_bytes) != Ok(stored.len()) {
            return Err(bad());
        }
        let mut payload = stored.to_vec();
        self.cipher
            .open(Domain::Frame, frame as u64, &self.context, &mut payload)
            .map_err(|_| bad())?;
        let raw_bytes = usize::try_from(entry.raw_bytes).map_err(|_| bad())?;
        if entry.compressed {
            chunk::decompress(&payload, raw_bytes).ok_or_else(bad)
        } else {
            (payload.len() == raw_bytes).then_some(payload).ok_or_else(bad)
        }
    }
}

impl PackIndex {
    /// The frames that hold any chunk of `runs`, sorted, each once.
    #[must_use]
    pub fn frames_of(&self, runs: &[Run]) -> Vec<usize> {
        let mut frames: Vec<usize> = runs
            .iter()
            .filter_map(|run| {
                let last = run.first.checked_add(run.count)?.checked_sub(1)?;
                Some(self.frame_of(run.first)?..=self.frame_of(last)?)
            })
            .flatten()
            .collect();
        frames.sort_unstable();
        frames.dedup();
        frames
    }

    /// Hands out the content of a run, piece by piece in order.
    ///
    /// # Errors
    /// [`Malformed`] when the run does not fit the pack, or a frame is missing or was changed.
    pub fn read_run(
        &self,
        run: &Run,
        regions: &Regions,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let bad = |message: &str| Malformed::Bytes(message.to_owned());
        let lengths = self
            .chunk_lengths(run.first, run.count)
            .ok_or_else(|| bad("has fewer chunks than are asked for"))?;
        if lengths.iter().map(|length| u64::from(*length)).sum::<u64>() != run.bytes {
            return Err(bad("its chunks have other lengths"));
        }
        for frame in self.frames_of(&[*run]) {
            let (offset, first, entry) =
                self.frame(frame).ok_or_else(|| bad("has no such frame"))?;
            let stored = regions
                .slice(offset, u64::from(entry.stored_bytes))
                .ok_or_else(|| bad("a frame could not be fetched"))?;
            let plain = self.open_frame(frame, &stored)?;
            sink(
                self.part_of(&plain, first, entry.chunks, run)
                    .ok_or_else(|| bad("has no such chunks"))?,
            )?;
        }
        Ok(())
    }

    /// The part of an opened frame (`chunks` chunks from `first`) that belongs to a run.
    #[must_use]
    pub fn part_of<'b>(
        &self,
        plain: &'b [u8],
        first: u32,
        chunks: u32,
        run: &Run,
    ) -> Option<&'b [u8]> {
        let from = run.first.max(first);
        let to = run.first.checked_add(run.count)?.min(first.checked_add(chunks)?);
        let sum = |from: u32, to: u32| -> Option<usize> {
            let lengths = self.chunk_lengths(from, to.checked_sub(from)?)?;
            usize::try_from(lengths.iter().map(|length| u64::from(*length)).sum::<u64>()).ok()
        };
        let start = sum(first, from)?;
        plain.get(start..start + sum(from, to)?)
    }
}
