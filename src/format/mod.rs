//! Bytes to types and back. Pure: no I/O, no clock, no randomness. `docs/format.md` is the specification;
//! the section numbers in these files are its own.

mod header;
mod manifest;
mod names;
mod pack;
mod recovery;
mod removal;
mod slot;
mod tree;

pub use header::{FORMAT_VERSION, HEADER_BYTES, Header, ObjectKind};
pub use manifest::{
    ChangeSummary, Counts, GrownPath, MAX_MANIFEST_BYTES, Manifest, MissingRecord, PackRef, Parts,
    Reason, Remark, RootRecord, SchemaRecord, TreeRef,
};
pub use names::{
    ChunkId, MachineId, PackName, RepositoryId, SnapshotId, SnapshotName, pack_prefix,
};
pub use pack::{
    Footer, FrameEntry, MAX_FOOTER_BYTES, MAX_FRAME_BYTES, MAX_PACK_BYTES, MAX_PACK_CHUNKS,
};
pub use recovery::{Mistyped, RecoveryCode};
pub use removal::{MAX_REMOVAL_BYTES, is_removal, removal_name, removed_slot, seal_removal};
pub use slot::{KeySlot, MAX_SLOT_BYTES, SecretKind};
pub use tree::{Entry, EntryFlags, MAX_TREE_BYTES, Run, TreeReader, is_bounded};

/// Why bytes could not be read; the caller adds which object it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes do not follow the format.
    Bytes(String),
    /// They need a newer version.
    Version(u8),
}

impl Malformed {
    fn new(message: impl Into<String>) -> Self {
        Self::Bytes(message.into())
    }

    /// The error about `object`.
    #[must_use]
    pub fn of(self, object: &str) -> crate::error::Error {
        match self {
            Self::Bytes(message) => crate::error::Error::damaged(object, message),
            Self::Version(needed) => crate::error::Error::Version {
                object: object.to_owned(),
                needed,
                known: FORMAT_VERSION,
            },
        }
    }
}

impl From<minicbor::decode::Error> for Malformed {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// CBOR of a value; writing into memory cannot fail.
fn cbor<T: minicbor::Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).unwrap_or_default()
}

/// Appends a length (u32, little-endian) and the zstd-compressed bytes: docs/format.md, Compressed parts.
fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(plain.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    if let Some(small) = crate::chunk::compress(plain) {
        out.push(1);
        out.extend_from_slice(&small);
    } else {
        out.push(0);
        out.extend_from_slice(plain);
    }
    out
}

fn inflate(bytes: &[u8], max: usize) -> Result<Vec<u8>, Malformed> {
    let (length, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or_else(|| Malformed::new("compressed part is too short"))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > max {
        return Err(Malformed::new(format!("declares {length} bytes, at most {max} are allowed")));
    }
    match rest.split_first() {
        Some((0, plain)) if plain.len() == length => Ok(plain.to_vec()),
        Some((1, small)) => crate::chunk::decompress(small, length)
            .ok_or_else(|| Malformed::new("does not decompress")),
        _ => Err(Malformed::new("unknown compression")),
    }
}

/// Whether there are at most `max` arrays and maps: in memory each is up to ten times as large as it is in CBOR.
fn has_few_lists(bytes: &[u8], max: usize) -> bool {
    use minicbor::data::Type;
    let (mut decoder, mut lists) = (minicbor::Decoder::new(bytes), 0);
    let mut pass = || {
        match decoder.datatype()? {
            Type::Array | Type::ArrayIndef => drop(decoder.array()?),
            Type::Map | Type::MapIndef => drop(decoder.map()?),
            Type::Tag => return decoder.tag().map(|_| 0),
            Type::Break => {
                decoder.set_position(decoder.position() + 1);
                return Ok(0);
            }
            _ => return decoder.skip().map(|()| 0),
        }
        Ok::<_, minicbor::decode::Error>(1)
    };
    // What is no CBOR says so when it is read.
    while let Ok(list) = pass() {
        lists += list;
        if lists > max {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests;
