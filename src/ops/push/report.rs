//! How to push, and what a push did.

use std::time::Duration;

use crate::engine::problem::FileProblem;
use crate::format::Reason;

/// How to push.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// Why; is recorded in the snapshot.
    pub reason: Reason,
    /// How long to wait for another process that works on the same state directory. Zero: not at all.
    pub wait: Duration,
    /// Begin anew where this machine stored snapshots and there is nothing any more.
    pub new_bucket: bool,
    /// Directories that are gone or empty, and right so: each as the problem `B2_ROOT_GONE` or `B2_ROOT_EMPTY` names it.
    pub accept_missing: Vec<String>,
}

/// What a push did.
#[derive(Clone, Debug, Default)]
pub struct PushReport {
    /// Id of the new snapshot; `None` when nothing had changed.
    pub snapshot: Option<String>,
    /// Id of a snapshot of an earlier, interrupted push that was committed first.
    pub resumed: Option<String>,
    /// Snapshots of this machine in the bucket that are not safety snapshots, as it remembers.
    pub snapshots: u64,
    /// Files in the snapshot (in the newest one, when nothing had changed).
    pub files: u64,
    /// Bytes of content of those files.
    pub bytes: u64,
    /// Body bytes sent.
    pub uploaded_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// What is not in the newest snapshot, or not as it should be, the worst first. Also of a push that found nothing new.
    pub skipped: Vec<FileProblem>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}
