//! The machines in a bucket, as JavaScript sees them.

use napi_derive::napi;

use super::mirror::{derive, mirror};

/// What the bucket holds of one machine.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct MachineInfo {
    /// Its id.
    pub machine: String,
    /// Whether it is this one.
    pub this_machine: bool,
    /// Its snapshots, safety snapshots among them.
    pub snapshots: f64,
    /// The newest of them; absent where only packs are left.
    pub last_snapshot: Option<String>,
    /// When that was stored, ISO 8601, by the server's clock.
    pub last_snapshot_at: Option<String>,
    /// Bytes of its packs and manifests.
    pub stored_bytes: f64,
    /// Whether it is another one, and has not backed up for 30 days.
    pub silent: bool,
}

/// What an adoption did.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct AdoptReport {
    /// The id that this machine has now.
    pub machine: String,
    /// The id that it had, if it had one. Its snapshots stay, as those of another machine.
    pub before: Option<String>,
    /// Snapshots of the lineage.
    pub snapshots: f64,
    /// The newest of them, which the next push builds on.
    pub last_snapshot: String,
    /// When that was made, ISO 8601, by the clock of the machine that made it.
    pub last_snapshot_at: String,
    /// What the user should know.
    pub warnings: Vec<String>,
}
