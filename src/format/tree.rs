//! The tree: every entry of a snapshot, sorted by root and path, one CBOR item after the other.

use minicbor::{Decode, Encode};

use super::Malformed;
use crate::entry::{EntryKind, RelPath};

/// Consecutive chunks of one pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Run {
    /// Number of the pack in the manifest's table.
    #[n(0)]
    pub pack: u32,
    /// First chunk in that pack.
    #[n(1)]
    pub first: u32,
    /// How many chunks.
    #[n(2)]
    pub count: u32,
    /// How many bytes they are together, so that a pack can be restored without the footers of others.
    #[n(3)]
    pub bytes: u64,
}

/// Remarks about an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryFlags(pub u32);

impl EntryFlags {
    /// An `SQLite` database, captured consistently.
    pub const DATABASE: Self = Self(1);
    /// The file changed while it was read, twice; what is stored is what was read.
    pub const CHANGED_WHILE_READ: Self = Self(2);
    /// Rows with secrets were removed from the captured database.
    pub const REDACTED: Self = Self(4);
    /// `SQLite` cannot read it though it begins as a database does: its bytes, and those of its logs beside it.
    pub const AS_BYTES: Self = Self(8);

    /// Whether all of `other` is set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One file, directory or symlink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Index into the manifest's roots.
    pub root: u16,
    /// Path below the root.
    pub path: RelPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits (07777).
    pub mode: u32,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Bytes of content; 0 for what is no file.
    pub size: u64,
    /// SHA-256 of the content of a file.
    pub sha256: [u8; 32],
    /// Where the content is; empty for an empty file.
    pub runs: Vec<Run>,
    /// Remarks.
    pub flags: EntryFlags,
    /// Target of a symlink.
    pub target: Vec<u8>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Wire<'b> {
    #[n(0)]
    root: u16,
    #[cbor(b(1), with = "minicbor::bytes")]
    path: &'b [u8],
    #[n(2)]
    kind: u8,
    #[n(3)]
    mode: u32,
    #[n(4)]
    mtime_ns: i64,
    #[n(5)]
    size: u64,
    #[cbor(b(6), with = "minicbor::bytes")]
    sha256: &'b [u8],
    #[n(7)]
    runs: Vec<Run>,
    #[n(8)]
    flags: u32,
    #[cbor(b(9), with = "minicbor::bytes")]
    target: &'b [u8],
}

impl Entry {
    /// Appends the entry's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let is_file = self.kind == EntryKind::File;
        let wire = Wire {
            root: self.root,
            path: self.path.as_bytes(),
            kind: match self.kind {
                EntryKind::File => 0,
                EntryKind::Directory => 1,
                EntryKind::Symlink => 2,
            },
            mode: self.mode,
            mtime_ns: self.mtime_ns,
            size: self.size,
            sha256: if is_file { &self.sha256 } else { &[] },
            runs: self.runs.clone(),
            flags: self.flags.0,
            target: &self.target,
        };
        let _infallible = minicbor::encode(&wire, out);
    }

    /// Reads the entry at the decoder's place.
    ///
    /// # Errors
    /// [`Malformed`] for other bytes.
    pub fn decode(decoder: &mut minicbor::Decoder<'_>) -> Result<Self, Malformed> {
        let wire: Wire<'_> = decoder.decode()?;
        let kind = match wire.kind {
            0 => EntryKind::File,
            1 => EntryKind::Directory,
            2 => EntryKind::Symlink,
            other => return Err(Malformed::new(format!("unknown kind of entry {other}"))),
        };
        let sha256 = match (kind, wire.sha256) {
            (EntryKind::File, bytes) => {
                bytes.try_into().map_err(|_| Malformed::new("hash of wrong length"))?
            }
            (_, []) => [0; 32],
            _ => return Err(Malformed::new("a hash where no content is")),
        };
        if wire.path.is_empty() || wire.path.contains(&0) || wire.path.len() > 65_535 {
            return Err(Malformed::new("bad path"));
        }
        Ok(Self {
            root: wire.root,
            path: RelPath::from_bytes(wire.path.to_vec()),
            kind,
            mode: wire.mode & 0o7777,
            mtime_ns: wire.mtime_ns,
            size: wire.size,
            sha256,
            runs: wire.runs,
            flags: EntryFlags(wire.flags),
            target: wire.target.to_vec(),
        })
    }
}

/// No tree is larger: room for four million files.
pub const MAX_TREE_BYTES: u64 = 512 << 20;
/// Entries, lists of runs and runs, all together.
const MAX_LISTS: usize = 12_000_000;

/// Whether the bytes of a tree can be read into bounded memory: at most 512 MiB, and 12 million entries, lists of runs
/// and runs. No other tree is written.
#[must_use]
pub fn is_bounded(tree: &[u8]) -> bool {
    tree.len() as u64 <= MAX_TREE_BYTES && super::has_few_lists(tree, MAX_LISTS)
}

/// Reads a whole tree, entry by entry, and checks that it is sorted without doubles.
#[derive(Debug)]
pub struct TreeReader<'b> {
    decoder: minicbor::Decoder<'b>,
    length: usize,
    last: Option<(u16, RelPath)>,
}

impl<'b> TreeReader<'b> {
    /// Over the bytes of a tree.
    #[must_use]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { decoder: minicbor::Decoder::new(bytes), length: bytes.len(), last: None }
    }
}

impl Iterator for TreeReader<'_> {
    type Item = Result<Entry, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.decoder.position() >= self.length {
            return None;
        }
        let entry = match Entry::decode(&mut self.decoder) {
            Ok(entry) => entry,
            Err(error) => {
                self.decoder.set_position(self.length);
                return Some(Err(error));
            }
        };
        let here = (entry.root, entry.path.clone());
        if self.last.as_ref().is_some_and(|last| *last >= here) {
            self.decoder.set_position(self.length);
            return Some(Err(Malformed::new("entries are not in order")));
        }
        self.last = Some(here);
        Some(Ok(entry))
    }
}
