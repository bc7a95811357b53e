//! What a rollback is about to do, on disk before it is done: `<state>/b2-backup/restore/`.
//!
//! Each rollback has a folder of its own, with the journal, the phase it is in, what is to come (`new/`), what
//! was there (`old/`), and what is used up (`used/`). A folder without a whole journal is an unfinished staging
//! and of no meaning. `last` remembers the newest that was carried out, for undo.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::arrival::Arrival;

/// How far a rollback is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Phase {
    /// Everything is staged, nothing of the state is touched.
    #[n(0)]
    Staged,
    /// The state is being changed; it is finished forward if it can be.
    #[n(1)]
    Applying,
    /// It could not be finished, and what was there is put back.
    #[n(2)]
    Reverting,
    /// All done; what is in `old/` is kept until a snapshot has it.
    #[n(3)]
    Applied,
    /// All back as it was.
    #[n(4)]
    Reverted,
}

/// What one step does. The order of steps is the order in which they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum StepKind {
    /// A file or link that goes.
    #[n(0)]
    Remove,
    /// A directory that goes, if nothing is left in it.
    #[n(1)]
    RemoveDir,
    /// A directory that comes.
    #[n(2)]
    MakeDir,
    /// Permission bits of what stays.
    #[n(3)]
    SetMode,
    /// A file or link that comes, or takes the place of another.
    #[n(4)]
    Place,
    /// A database, written into the live one.
    #[n(5)]
    Database,
    /// OpenClaw's configuration, in which some settings stay as they are.
    #[n(6)]
    Config,
}

/// What was at the place of a step when it was planned, for telling late changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Before {
    /// Size in bytes.
    #[n(0)]
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    #[n(1)]
    pub mtime_ns: i64,
    /// Inode.
    #[n(2)]
    pub inode: u64,
    /// Permission bits.
    #[n(3)]
    pub mode: u32,
    /// Size of the log beside a database.
    #[n(4)]
    pub log_size: u64,
    /// Its modification time.
    #[n(5)]
    pub log_mtime_ns: i64,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Step {
    /// What it does.
    #[n(0)]
    pub kind: StepKind,
    /// Index into the journal's roots.
    #[n(1)]
    pub root: u16,
    /// Path below the root.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub path: Vec<u8>,
    /// Permission bits that it gets.
    #[n(3)]
    pub mode: u32,
    /// Modification time that it gets.
    #[n(4)]
    pub mtime_ns: i64,
    /// Size of what is staged for it.
    #[n(5)]
    pub size: u64,
    /// SHA-256 of what is staged for it; empty where nothing is, and for a link.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub sha256: Vec<u8>,
    /// What was there.
    #[n(7)]
    pub before: Option<Before>,
    /// Its files have this name in `new/`, `old/` and `used/`.
    #[n(8)]
    pub name: u32,
    /// Whether the live database was found to be broken, and makes room as it is.
    #[cbor(n(9), default)]
    pub broken: bool,
}

/// What a rollback does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Journal {
    /// The snapshot that is restored.
    #[n(0)]
    pub snapshot: String,
    /// The snapshot of what was there; empty when there was nothing.
    #[n(1)]
    pub safety: String,
    /// Hash of the plan that the user agreed to.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub plan: [u8; 32],
    /// When it was staged, local clock, milliseconds since 1970.
    #[n(3)]
    pub staged_at_ms: i64,
    /// Absolute paths of the roots.
    #[n(4)]
    pub roots: Vec<ByteVec>,
    /// Kinds of the roots, as in a manifest.
    #[n(5)]
    pub root_kinds: Vec<u8>,
    /// The steps, in order.
    #[n(6)]
    pub steps: Vec<Step>,
    /// Where the state directory was when the snapshot was made, where that is not where it is now.
    #[n(7)]
    pub moved_from: Option<String>,
    /// Set where a machine that has nothing is given what another one had.
    #[n(8)]
    pub arrival: Option<Arrival>,
}

/// A path that the last rollback changed, and what it did there.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Touched {
    /// Absolute path of the root.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub root: Vec<u8>,
    /// Path below it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub path: Vec<u8>,
}

/// The last rollback that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Last {
    /// Its id.
    #[n(0)]
    pub id: String,
    /// The snapshot that was restored.
    #[n(1)]
    pub snapshot: String,
    /// The snapshot of what was there; empty when there was nothing.
    #[n(2)]
    pub safety: String,
    /// When it was done, local clock, milliseconds since 1970.
    #[n(3)]
    pub applied_at_ms: i64,
    /// What it changed.
    #[n(4)]
    pub touched: Vec<Touched>,
    /// Paths that changed between the plan and the end; what was there is in `old/`.
    #[n(5)]
    pub late: Vec<String>,
    /// Directories that should have gone, and hold something that is no part of backups.
    #[n(6)]
    pub left: Vec<String>,
}

/// What is set aside in a rollback's `old/` and no snapshot took.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Unsaved {
    /// The settings under which that was so: under others it is tried again.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub under: Vec<u8>,
    /// Where it was, for people.
    #[n(1)]
    pub files: Vec<String>,
}
