//! What to restore, and what a restore did.

use crate::engine::problem::FileProblem;

/// What to restore.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Id of a snapshot, or `latest`.
    pub snapshot: String,
    /// A directory that does not exist yet, or is empty.
    pub to: std::path::PathBuf,
    /// Paths or globs below the state directory; all when empty. A directory stands for everything in it.
    pub paths: Vec<String>,
    /// Whether a snapshot may be used that is not authenticated.
    pub allow_unauthenticated: bool,
}

/// What a restore did.
#[derive(Clone, Debug, Default)]
pub struct RestoreReport {
    /// Id of the snapshot.
    pub snapshot: String,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Body bytes received.
    pub downloaded_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// Files that could not be restored, of which nothing is left in the directory; and what is there, but not with its
    /// permission bits, time or owner (`B2_REFUSED`).
    pub failed: Vec<FileProblem>,
    /// Whether something of the state is not in the snapshot, of what was asked for.
    pub incomplete: bool,
    /// What is not in it, or not as it should be, as far as it is about what was asked for, the worst first.
    pub remarks: Vec<FileProblem>,
    /// Where each root of the snapshot went: `original path -> directory`, where there are several.
    pub roots: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}
