//! What can be planned to go wrong, and what the log of calls holds.

use std::time::Duration;

#[cfg(doc)]
use super::{MemoryStore, ObjectStore};
use crate::error::Error;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// [`ObjectStore::put`]
    Put,
    /// [`ObjectStore::get`]
    Get,
    /// [`ObjectStore::get_range`]
    GetRange,
    /// [`ObjectStore::list`]
    List,
    /// [`ObjectStore::list_versions`]
    ListVersions,
    /// [`ObjectStore::delete`]
    Delete,
}

/// One call, as the fault plan and the log see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked for.
    pub operation: Operation,
    /// The object's name, or the prefix of a listing.
    pub key: String,
    /// The how-many-th call of this operation it is, from 1.
    pub number: u64,
    /// Bytes given to a put, or asked for by a range; 0 otherwise.
    pub bytes: u64,
}

/// What goes wrong with one call.
#[derive(Debug)]
pub enum Fault {
    /// The call fails and changes nothing.
    FailBefore(Error),
    /// The call takes effect, then its answer is lost.
    FailAfter(Error),
    /// The call waits first (by the store's clock).
    Delay(Duration),
    /// A read returns only this many bytes.
    Truncate(usize),
    /// A read returns the byte at this place inverted.
    Flip(usize),
    /// A listing shows what there was at the last [`MemoryStore::freeze_listings`].
    StaleListing,
    /// A listing shows nothing.
    EmptyListing,
}

/// Decides what goes wrong with a call.
pub type FaultPlan = Box<dyn FnMut(&Call) -> Vec<Fault> + Send>;
