//! Trial restores, as JavaScript sees them.

use napi_derive::napi;

use super::mirror::{derive, mirror};
use super::problem::FileProblem;

/// What a trial restore found.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct DrillReport {
    /// Id of the snapshot.
    pub snapshot: String,
    /// When the snapshot was made, ISO 8601.
    pub snapshot_at: String,
    /// Files that came back as they were.
    pub files: f64,
    /// Their bytes.
    pub bytes: f64,
    /// Databases among them, each of which SQLite found in order.
    pub databases: f64,
    /// What did not come back, or not as it was; empty: the snapshot is proven.
    pub failed: Vec<FileProblem>,
    /// Whether something of the state is not in the snapshot.
    pub incomplete: bool,
    /// What is not in it, or not as it should be, the worst first.
    pub remarks: Vec<FileProblem>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Requests made.
    pub requests: f64,
    /// Bytes received.
    pub downloaded_bytes: f64,
    /// Milliseconds it took.
    pub duration_ms: f64,
}
