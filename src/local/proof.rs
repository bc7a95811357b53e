//! What this machine has seen with its own eyes of what it stored: which packs were read again, which are damaged,
//! and which snapshot was restored for a trial.

use minicbor::{Decode, Encode};

use crate::format::PackName;

/// A pack of which every byte was read and found to be what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PackRead {
    /// Its name.
    #[n(0)]
    pub name: PackName,
    /// When, milliseconds since 1970 by the local clock.
    #[n(1)]
    pub at_ms: i64,
}

/// A snapshot that was restored in whole for a trial.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Drilled {
    /// Its id.
    #[n(0)]
    pub snapshot: String,
    /// When, milliseconds since 1970 by the local clock.
    #[n(1)]
    pub at_ms: i64,
}

/// The local file `proof`. Losing it costs that everything is read again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Proof {
    /// Packs that were read, by name.
    #[n(0)]
    pub reads: Vec<PackRead>,
    /// Packs that are lost or damaged: the next push takes nothing in them for known.
    #[n(1)]
    pub bad: Vec<PackName>,
    /// The last trial that came back whole.
    #[n(2)]
    pub drilled: Option<Drilled>,
    /// Key slots that are not what this machine remembers: the next push puts them again, as they were.
    #[n(3)]
    #[cbor(default)]
    pub bad_slots: Vec<String>,
}
