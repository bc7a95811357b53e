//! The manifest: what a snapshot is made of. Its PUT is the commit.

use minicbor::{Decode, Encode};

use super::{
    Header, KeySlot, MAX_FOOTER_BYTES, MAX_PACK_BYTES, Malformed, ObjectKind, PackName, Run, cbor,
    deflate, has_few_lists, inflate,
};
use crate::entry::RelPath;

/// Why a snapshot was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Reason {
    /// The user asked for it.
    #[n(0)]
    Manual,
    /// The schedule.
    #[n(1)]
    Scheduled,
    /// Before the host compacted a session.
    #[n(2)]
    Compaction,
    /// The gateway stopped.
    #[n(3)]
    Shutdown,
    /// Before a rollback.
    #[n(4)]
    Safety,
    /// Before a session was reset.
    #[n(5)]
    Reset,
}

impl Reason {
    /// The name that users and other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Scheduled => "scheduled",
            Self::Compaction => "compaction",
            Self::Shutdown => "shutdown",
            Self::Safety => "safety",
            Self::Reset => "reset",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Manual, Self::Scheduled, Self::Compaction, Self::Shutdown, Self::Safety, Self::Reset]
            .into_iter()
            .find(|reason| reason.name() == name)
    }
}

/// A pack that the snapshot uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PackRef {
    /// Number within the lineage; never used for another pack.
    #[n(0)]
    pub number: u32,
    /// Its name.
    #[n(1)]
    pub name: PackName,
    /// Size of the object.
    #[n(2)]
    pub bytes: u64,
    /// Bytes at its end that hold the sealed footer and its length.
    #[n(3)]
    pub footer_bytes: u32,
    /// Bytes of frames of which this snapshot uses at least one chunk.
    #[n(4)]
    pub used_bytes: u64,
}

/// Where the tree is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TreeRef {
    /// Bytes.
    #[n(0)]
    pub bytes: u64,
    /// SHA-256 of those bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub sha256: [u8; 32],
    /// Chunks.
    #[n(2)]
    pub runs: Vec<Run>,
    /// How much of the end of each pack to fetch to get the tree's frames together with the footer:
    /// `(pack, bytes)`. A hint that saves requests; nothing depends on it.
    #[n(3)]
    pub tails: Vec<(u32, u64)>,
}

/// A root as it was on the machine that made the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RootRecord {
    /// 0 state directory, 1 workspace, 2 agent directory, 3 configuration files, 4 only there because a link leads to it.
    #[n(0)]
    pub kind: u8,
    /// Absolute path there.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub path: Vec<u8>,
    /// Path of a link in the state directory that leads to it.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub at: Option<Vec<u8>>,
}

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Counts {
    /// Regular files.
    #[n(0)]
    pub files: u64,
    /// Directories.
    #[n(1)]
    pub directories: u64,
    /// Symbolic links.
    #[n(2)]
    pub symlinks: u64,
    /// Content of all files.
    #[n(3)]
    pub bytes: u64,
}

/// Something that could not be backed up as it should.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Remark {
    /// The path for people.
    #[n(0)]
    pub path: String,
    /// A stable code.
    #[n(1)]
    pub code: String,
    /// A sentence.
    #[n(2)]
    pub message: String,
}

/// A directory that was whole in an earlier snapshot, and is gone or empty in this one: a disk that was not mounted, say.
/// The user has not said that it is right so.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct MissingRecord {
    /// Path of the root, as in [`RootRecord`]; empty for the state directory.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub root: Vec<u8>,
    /// As in [`RootRecord`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub at: Option<Vec<u8>>,
    /// Path below the root; `None` is the whole root.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub path: Option<Vec<u8>>,
    /// Files and links that it held.
    #[n(3)]
    pub files: u64,
    /// The last snapshot that holds it. Pruning keeps that one.
    #[n(4)]
    pub snapshot: String,
}

impl MissingRecord {
    /// The path for people: below the state directory as it is, of another root with that root before it.
    #[must_use]
    pub fn shown(&self) -> String {
        let parts = [Some(self.root.clone()).filter(|root| !root.is_empty()), self.path.clone()];
        let parts: Vec<Vec<u8>> = parts.into_iter().flatten().collect();
        RelPath::from_bytes(parts.join(b"/".as_slice())).escaped()
    }
}

/// The schema of one of the host's databases.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SchemaRecord {
    /// Path below the state directory.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub path: Vec<u8>,
    /// Its version, as the host counts it (`PRAGMA user_version`).
    #[n(1)]
    pub version: i32,
}

/// A file that has much new content.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct GrownPath {
    /// Index into the manifest's roots.
    #[n(0)]
    pub root: u16,
    /// Path below the root.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub path: Vec<u8>,
    /// Bytes of its content that are in packs which were made for this snapshot, before compression.
    #[n(2)]
    pub bytes: u64,
}

/// What is new against the previous snapshot of the lineage. Directories are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChangeSummary {
    /// Files and symlinks that are new.
    #[n(0)]
    pub added: u64,
    /// Those that differ in kind, content, mode or target.
    #[n(1)]
    pub changed: u64,
    /// Those that are gone.
    #[n(2)]
    pub removed: u64,
    /// Bytes of the packs that were made for this snapshot.
    #[n(3)]
    pub stored_bytes: u64,
    /// The files with most new content, most first.
    #[n(4)]
    pub most: Vec<GrownPath>,
}

/// The sealed body of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Manifest {
    /// Position in the lineage, from 1.
    #[n(0)]
    pub sequence: u64,
    /// SHA-256 of the previous manifest object of the lineage.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub previous: Option<[u8; 32]>,
    /// Why it was made.
    #[n(2)]
    pub reason: Reason,
    /// When the state was captured, local clock, milliseconds since 1970.
    #[n(3)]
    pub local_time_ms: i64,
    /// The same by the server's clock as it was last seen.
    #[n(4)]
    pub server_time_ms: i64,
    /// Version of the host, where known.
    #[n(5)]
    pub host_version: Option<String>,
    /// Version of this program.
    #[n(6)]
    pub program_version: String,
    /// Whether secrets are in it.
    #[n(7)]
    pub includes_secrets: bool,
    /// Roots, in the order that the tree's entries number them.
    #[n(8)]
    pub roots: Vec<RootRecord>,
    /// What it holds.
    #[n(9)]
    pub counts: Counts,
    /// Packs that it uses, by rising number.
    #[n(10)]
    pub packs: Vec<PackRef>,
    /// Its tree.
    #[n(11)]
    pub tree: TreeRef,
    /// What could not be backed up.
    #[n(12)]
    pub remarks: Vec<Remark>,
    /// What is new in it; `None` in the first of a lineage, and where the previous one was not known.
    #[n(13)]
    pub changes: Option<ChangeSummary>,
    /// What is missing as a whole; `None` where nothing is.
    #[n(14)]
    pub missing: Option<Vec<MissingRecord>>,
    /// What people call the machine that made it, where that is known.
    #[n(15)]
    pub machine_name: Option<String>,
    /// How the host was installed, where that is known.
    #[n(16)]
    pub host_install: Option<String>,
    /// The schemas of the host's databases in the state directory; `None` where none is known.
    #[n(17)]
    pub host_schemas: Option<Vec<SchemaRecord>>,
}

/// No manifest object is larger.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;
/// A million packs, or as much text.
const MAX_BODY_BYTES: usize = 64 << 20;
/// What a body lists, all together.
const MAX_LISTS: usize = 2_000_000;
const MAX_SLOTS: usize = 64;

/// A manifest object's header, key slots, whole clear part, and sealed body.
pub type Parts<'b> = (Header, Vec<KeySlot>, &'b [u8], &'b [u8]);

impl Manifest {
    /// The body before sealing.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        deflate(&cbor(self))
    }

    /// Reads an opened body and checks that its pack table is in order.
    ///
    /// # Errors
    /// [`Malformed`] for other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let body = inflate(bytes, MAX_BODY_BYTES)?;
        if !has_few_lists(&body, MAX_LISTS) {
            return Err(Malformed::new("lists more than fits into memory"));
        }
        let manifest: Self = minicbor::decode(&body)?;
        if !manifest.packs.is_sorted_by(|a, b| a.number < b.number) {
            return Err(Malformed::new("packs are not in order"));
        }
        let fits = |pack: &PackRef| {
            pack.bytes <= MAX_PACK_BYTES
                && u64::from(pack.footer_bytes) <= pack.bytes.min(MAX_FOOTER_BYTES as u64)
        };
        if !manifest.packs.iter().all(fits) {
            return Err(Malformed::new("a pack is larger than one may be"));
        }
        Ok(manifest)
    }

    /// The pack of that number.
    #[must_use]
    pub fn pack(&self, number: u32) -> Option<&PackRef> {
        let index = self.packs.binary_search_by_key(&number, |pack| pack.number).ok()?;
        self.packs.get(index)
    }

    /// The clear part of the object: header, then the number of key slots and each with its length. Where
    /// there are too many slots (given oldest first) the newest are taken: the secret in use has one of them.
    #[must_use]
    pub fn encode_clear(header: &Header, slots: &[Vec<u8>]) -> Vec<u8> {
        let newest = slots.get(slots.len().saturating_sub(MAX_SLOTS)..).unwrap_or_default();
        let mut out = header.encode().to_vec();
        out.push(u8::try_from(newest.len()).unwrap_or(0));
        for slot in newest {
            out.extend_from_slice(&u16::try_from(slot.len()).unwrap_or(0).to_le_bytes());
            out.extend_from_slice(slot);
        }
        out
    }

    /// Splits an object into header, the key slots that can be read, the whole clear part and the sealed body.
    ///
    /// # Errors
    /// [`Malformed`] for other bytes. A damaged slot is left out, not an error.
    pub fn split(bytes: &[u8]) -> Result<Parts<'_>, Malformed> {
        let (header, rest) = Header::decode(bytes, ObjectKind::Manifest)?;
        let short = || Malformed::new("ends within its key slots");
        let (count, mut rest) = rest.split_first().ok_or_else(short)?;
        if usize::from(*count) > MAX_SLOTS {
            return Err(Malformed::new("has too many key slots"));
        }
        let mut slots = Vec::new();
        for _ in 0..*count {
            let (length, after) = rest.split_first_chunk::<2>().ok_or_else(short)?;
            let (slot, after) = after
                .split_at_checked(usize::from(u16::from_le_bytes(*length)))
                .ok_or_else(short)?;
            slots.extend(KeySlot::decode(slot).ok());
            rest = after;
        }
        let (clear, body) = bytes.split_at_checked(bytes.len() - rest.len()).ok_or_else(short)?;
        Ok((header, slots, clear, body))
    }
}
