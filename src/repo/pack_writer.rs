//! Building a pack: frames are sealed one after the other, then the footer, and all of it is opened again
//! before it leaves.

use super::pack_reader::PackIndex;
use crate::chunk;
use crate::crypto::{Cipher, Domain, RepoKey};
use crate::error::{Error, Result};
use crate::format::{
    ChunkId, Footer, FrameEntry, HEADER_BYTES, Header, MAX_PACK_CHUNKS, MachineId, ObjectKind,
    PackName, PackRef, RepositoryId,
};
use crate::local::SealedPack;

/// A pack is closed once it holds this much: large enough that requests do not matter, small enough that a
/// failed upload is repeated quickly and memory stays bounded.
const TARGET_BYTES: usize = 16 << 20;

/// New chunks of one file, compressed together.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// What is stored: zstd, or the chunks as they are.
    payload: Vec<u8>,
    compressed: bool,
    raw_bytes: u32,
    chunk_bytes: Vec<u32>,
    chunk_ids: Vec<ChunkId>,
}

impl Frame {
    /// Compresses chunks that lie behind each other in `raw`, and proves that they come back. Slow: run it
    /// on the CPU pool.
    ///
    /// # Errors
    /// `B2_INTERNAL` when what was compressed does not decompress to the same bytes.
    pub fn compress(raw: Vec<u8>, chunk_bytes: Vec<u32>, chunk_ids: Vec<ChunkId>) -> Result<Self> {
        let raw_bytes =
            u32::try_from(raw.len()).map_err(|_| Error::internal("a frame is too large"))?;
        let (payload, compressed) = match chunk::compress(&raw) {
            Some(small) => {
                if !chunk::gives_back(&small, &raw) {
                    return Err(Error::internal(
                        "a frame does not decompress to what it was made of",
                    ));
                }
                (small, true)
            }
            None => (raw, false),
        };
        Ok(Self { payload, compressed, raw_bytes, chunk_bytes, chunk_ids })
    }

    /// Bytes of its chunks before compression.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        u64::from(self.raw_bytes)
    }

    /// Bytes it will take in a pack.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        self.payload.len() + crate::crypto::TAG_BYTES
    }
}

/// A pack under construction.
#[derive(Debug)]
pub struct PackBuilder {
    number: u32,
    name: PackName,
    header: Header,
    cipher: Cipher,
    context: Vec<u8>,
    bytes: Vec<u8>,
    footer: Footer,
    /// Where frames are opened again.
    again: Vec<u8>,
}

impl PackBuilder {
    /// Starts a pack. `name` and `salt` are random and used for nothing else.
    #[must_use]
    pub fn new(
        key: &RepoKey,
        repository: RepositoryId,
        machine: MachineId,
        number: u32,
        name: PackName,
        salt: [u8; 32],
    ) -> Self {
        let (cipher, commitment) = key.object(ObjectKind::Pack.label(), &repository.0, &salt);
        let header = Header::new(ObjectKind::Pack, key.is_sealed(), repository, salt, commitment);
        let context = PackIndex::context(&header, machine, name);
        let mut bytes = Vec::with_capacity(TARGET_BYTES + (2 << 20));
        bytes.extend_from_slice(&header.encode());
        let (footer, again) = Default::default();
        Self { number, name, header, cipher, context, bytes, footer, again }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether it should be closed before `frame` is added.
    #[must_use]
    pub fn is_full_for(&self, frame: &Frame) -> bool {
        let chunks = self.footer.chunk_ids.len();
        chunks > 0
            && (self.bytes.len() + frame.stored_bytes() > TARGET_BYTES
                || chunks + frame.chunk_ids.len() > MAX_PACK_CHUNKS / 2)
    }

    /// Seals a frame into the pack and returns the number of its first chunk.
    ///
    /// # Errors
    /// `B2_INTERNAL` when what was sealed does not open again.
    pub fn add(&mut self, frame: Frame) -> Result<u32> {
        let broken = |_| Error::internal("a frame does not open again");
        let counter = self.footer.frames.len() as u64;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&frame.payload);
        self.cipher
            .seal(Domain::Frame, counter, &self.context, &mut self.bytes, start)
            .map_err(broken)?;
        self.again.clear();
        self.again.extend_from_slice(self.bytes.get(start..).unwrap_or_default());
        let stored_bytes =
            u32::try_from(self.again.len()).map_err(|_| Error::internal("a frame is too large"))?;
        self.cipher.open(Domain::Frame, counter, &self.context, &mut self.again).map_err(broken)?;
        if self.again != frame.payload {
            return Err(Error::internal("a frame opens to other bytes"));
        }
        let too_many = |_| Error::internal("a pack has too many chunks");
        let first = u32::try_from(self.footer.chunk_ids.len()).map_err(too_many)?;
        self.footer.frames.push(FrameEntry {
            stored_bytes,
            raw_bytes: frame.raw_bytes,
            compressed: frame.compressed,
            chunks: u32::try_from(frame.chunk_ids.len()).map_err(too_many)?,
        });
        self.footer.chunk_bytes.extend(frame.chunk_bytes);
        self.footer.chunk_ids.extend(frame.chunk_ids);
        Ok(first)
    }

    /// Seals the footer and reads it back as a stranger would.
    ///
    /// # Errors
    /// `B2_INTERNAL` when it does not come back.
    pub fn finish(mut self) -> Result<SealedPack> {
        let mut tail = self.footer.encode();
        self.cipher
            .seal(Domain::Footer, 0, &self.context, &mut tail, 0)
            .map_err(|_| Error::internal("a footer cannot be sealed"))?;
        tail.extend_from_slice(&self.header.encode());
        let footer_bytes =
            u32::try_from(tail.len() + 4).map_err(|_| Error::internal("a footer is too large"))?;
        tail.extend_from_slice(&footer_bytes.to_le_bytes());
        self.bytes.extend_from_slice(&tail);
        let opened = PackIndex::open_with(&self.cipher, self.context, &tail)
            .map_err(|_| Error::internal("a footer does not open again"))?;
        let frames: u64 =
            self.footer.frames.iter().map(|frame| u64::from(frame.stored_bytes)).sum();
        if *opened.footer() != self.footer
            || self.bytes.len() as u64 != HEADER_BYTES as u64 + frames + u64::from(footer_bytes)
        {
            return Err(Error::internal("a footer opens to something else"));
        }
        let reference = PackRef {
            number: self.number,
            name: self.name,
            bytes: self.bytes.len() as u64,
            footer_bytes,
            used_bytes: 0,
        };
        Ok(SealedPack { reference, bytes: self.bytes, tail })
    }
}
