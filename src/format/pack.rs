//! The footer of a pack: where its frames are and which chunks they hold.

use minicbor::{Decode, Encode};

use super::{ChunkId, Malformed, cbor, deflate, inflate};

/// No pack is larger: 64 MiB, four times what is written.
pub const MAX_PACK_BYTES: u64 = 64 << 20;
/// No pack holds more chunks.
pub const MAX_PACK_CHUNKS: usize = 131_072;
/// No footer is larger when it is opened: ids of 32 bytes and lengths of at most 5.
pub const MAX_FOOTER_BYTES: usize = 8 << 20;

/// No frame is larger when it is opened, so that a footer cannot ask for much memory.
pub const MAX_FRAME_BYTES: u32 = 16 << 20;

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct FrameEntry {
    /// Bytes in the pack, with the tag.
    #[n(0)]
    pub stored_bytes: u32,
    /// Bytes of its chunks together.
    #[n(1)]
    pub raw_bytes: u32,
    /// Whether zstd was used.
    #[n(2)]
    pub compressed: bool,
    /// How many chunks it holds.
    #[n(3)]
    pub chunks: u32,
}

/// What a pack holds. Chunks are numbered from 0 through all frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// Frames in the order of the pack, the first behind the header.
    pub frames: Vec<FrameEntry>,
    /// Length of each chunk.
    pub chunk_bytes: Vec<u32>,
    /// Id of each chunk.
    pub chunk_ids: Vec<ChunkId>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Wire {
    #[n(0)]
    frames: Vec<FrameEntry>,
    #[n(1)]
    chunk_bytes: Vec<u32>,
    #[cbor(n(2), with = "minicbor::bytes")]
    chunk_ids: Vec<u8>,
}

impl Footer {
    /// The bytes before sealing.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let wire = Wire {
            frames: self.frames.clone(),
            chunk_bytes: self.chunk_bytes.clone(),
            chunk_ids: self.chunk_ids.iter().flat_map(|id| id.0).collect(),
        };
        deflate(&cbor(&wire))
    }

    /// Reads opened bytes and checks that all counts and lengths agree.
    ///
    /// # Errors
    /// [`Malformed`] when they do not.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let wire: Wire = minicbor::decode(&inflate(bytes, MAX_FOOTER_BYTES)?)?;
        let (ids, rest) = wire.chunk_ids.as_chunks::<32>();
        if !rest.is_empty() || ids.len() != wire.chunk_bytes.len() || ids.len() > MAX_PACK_CHUNKS {
            return Err(Malformed::new("footer: chunk ids and lengths do not agree"));
        }
        let mut lengths = wire.chunk_bytes.iter();
        for frame in &wire.frames {
            let count = usize::try_from(frame.chunks).unwrap_or(usize::MAX);
            if count == 0 || count > lengths.len() {
                return Err(Malformed::new("footer: a frame has more chunks than there are"));
            }
            let sum: u64 = lengths.by_ref().take(count).map(|l| u64::from(*l)).sum();
            if frame.raw_bytes > MAX_FRAME_BYTES {
                return Err(Malformed::new("footer: a frame is larger than one may be"));
            }
            if sum != u64::from(frame.raw_bytes) {
                return Err(Malformed::new("footer: a frame is not as long as its chunks"));
            }
        }
        if lengths.len() != 0 {
            return Err(Malformed::new("footer: chunks without a frame"));
        }
        let chunk_ids = ids.iter().copied().map(ChunkId).collect();
        Ok(Self { frames: wire.frames, chunk_bytes: wire.chunk_bytes, chunk_ids })
    }
}
