//! Telling the caller how far a long operation is.

use std::fmt::Debug;
use std::sync::Arc;

/// What an operation is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for another process to let go of the state directory.
    Wait,
    /// Looking at the bucket and opening the repository.
    Open,
    /// Walking the state and comparing it with the last snapshot.
    Scan,
    /// Reading, chunking and sealing what changed.
    Capture,
    /// The content of the snapshot is fixed; only the upload is left.
    Captured,
    /// Sending packs and committing.
    Upload,
    /// Fetching and writing files.
    Restore,
    /// Reading what may differ from a snapshot.
    Compare,
    /// Reading back what is stored.
    Verify,
}

impl Phase {
    /// The name that other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Open => "open",
            Self::Scan => "scan",
            Self::Capture => "capture",
            Self::Captured => "captured",
            Self::Upload => "upload",
            Self::Restore => "restore",
            Self::Compare => "compare",
            Self::Verify => "verify",
        }
    }
}

/// One report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What is being done.
    pub phase: Phase,
    /// Bytes done in this phase.
    pub done_bytes: u64,
    /// Bytes to do in this phase, once known.
    pub total_bytes: Option<u64>,
    /// Files done in this phase.
    pub done_files: u64,
}

/// Takes reports. Called often: an implementation throttles and never blocks.
pub trait Progress: Debug + Send + Sync {
    /// Takes one report.
    fn report(&self, event: Event);
}

/// Nobody is watching.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _event: Event) {}
}

/// A shared sink.
pub type Sink = Arc<dyn Progress>;
