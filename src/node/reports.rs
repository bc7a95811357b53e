//! What JavaScript gets back.

use napi_derive::napi;

use super::machines::MachineInfo;
use super::mirror::{derive, mirror};
use super::problem::FileProblem;
use crate::ops;

/// What a push did.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct PushReport {
    /// Id of the new snapshot; not set when nothing had changed.
    pub snapshot: Option<String>,
    /// Whether there is a new snapshot.
    #[custom(|report| report.snapshot.is_some())]
    pub changed: bool,
    /// Snapshots of this machine in the bucket that are not safety snapshots, as it remembers.
    pub snapshots: f64,
    /// Files in the snapshot.
    pub files: f64,
    /// Bytes of content of those files.
    pub bytes: f64,
    /// Bytes sent.
    pub uploaded_bytes: f64,
    /// Requests made.
    pub requests: f64,
    /// Whether something of the state is not in the newest snapshot.
    #[custom(|report| ops::is_incomplete(&report.skipped))]
    pub incomplete: bool,
    /// What is not in it, or not as it should be, the worst first. Also of a push that found nothing new.
    pub skipped: Vec<FileProblem>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Milliseconds it took.
    pub duration_ms: f64,
    /// Id of a snapshot of an interrupted push that was finished first.
    pub resumed: Option<String>,
}

/// A path of the state.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct PlanEntry {
    /// The path.
    pub path: String,
    /// Whether it belongs in a snapshot.
    pub included: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Size in bytes.
    pub bytes: f64,
    /// Whether it has to be read because it may have changed.
    pub changed: bool,
}

/// What a push would do.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct PlanReport {
    /// Files that belong in a snapshot.
    pub files: f64,
    /// Their bytes.
    pub bytes: f64,
    /// Files that have to be read.
    pub changed_files: f64,
    /// Their bytes.
    pub changed_bytes: f64,
    /// Every path.
    pub entries: Vec<PlanEntry>,
    /// What could not be looked at.
    pub skipped: Vec<FileProblem>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A file that has much new content.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct ChangedPath {
    /// The path.
    pub path: String,
    /// Bytes of its content that were new, before compression.
    pub bytes: f64,
}

/// What is new against the previous snapshot of the same machine. Directories are not counted.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct SnapshotChanges {
    /// New files.
    pub added: f64,
    /// Files with another content or mode, links to elsewhere.
    pub changed: f64,
    /// Files that are gone.
    pub removed: f64,
    /// Bytes that were stored for it.
    pub stored_bytes: f64,
    /// At most five files, those with most new content first.
    pub most: Vec<ChangedPath>,
}

/// The schema of one of OpenClaw's databases.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct HostSchema {
    /// Path below the state directory.
    pub path: String,
    /// Its version, as OpenClaw counts it.
    pub version: i32,
}

/// One snapshot.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct SnapshotInfo {
    /// Its name.
    pub id: String,
    /// `regular` or `safety`.
    pub kind: String,
    /// Why it was made, where it can be read.
    pub reason: Option<String>,
    /// Whose it is.
    pub machine: String,
    /// What people call that machine, where the snapshot says so.
    pub machine_name: Option<String>,
    /// Whether this machine made it.
    pub this_machine: bool,
    /// When, ISO 8601.
    pub created_at: String,
    /// Version of OpenClaw that it was made under, where known.
    pub host_version: Option<String>,
    /// How that was installed, where known: `npm`, `pnpm`, `bun`, `git`, `container` or `other`.
    pub host_install: Option<String>,
    /// The schemas of OpenClaw's databases in it, where known.
    pub host_schemas: Option<Vec<HostSchema>>,
    /// Files in it.
    pub files: f64,
    /// Bytes of content of those files.
    pub bytes: f64,
    /// Whether only somebody with the key can have made it.
    pub authenticated: bool,
    /// Format of the repository.
    pub format: u32,
    /// Why more is not known.
    pub problem: Option<String>,
    /// The stable code of the problem; `B2_WRONG_KEY` where nothing that is given opens it.
    pub problem_code: Option<String>,
    /// What cannot be about its times: then it is never taken by itself, and `latest` says so.
    pub doubt: Option<String>,
    /// What is new in it; not set for the first of a machine, and where it is not known.
    pub changes: Option<SnapshotChanges>,
    /// Whether something of the state is not in it.
    pub incomplete: bool,
    /// What is not in it, or not as it should be: at most 20, the worst first.
    pub remarks: Vec<FileProblem>,
    /// How many more there are.
    pub more_remarks: f64,
}

/// Every snapshot, oldest first.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct ListReport {
    /// The snapshots.
    pub snapshots: Vec<SnapshotInfo>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What a restore did.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct RestoreReport {
    /// Id of the snapshot.
    pub snapshot: String,
    /// Files written.
    pub files: f64,
    /// Their bytes.
    pub bytes: f64,
    /// Bytes received.
    pub downloaded_bytes: f64,
    /// Requests made.
    pub requests: f64,
    /// Files that could not be restored.
    pub failed: Vec<FileProblem>,
    /// Whether something of the state is not in the snapshot, of what was asked for.
    pub incomplete: bool,
    /// What is not in it, or not as it should be, as far as it is about what was asked for, the worst first.
    pub remarks: Vec<FileProblem>,
    /// Where each root went, where there are several.
    pub roots: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Milliseconds it took.
    pub duration_ms: f64,
}

/// Something that is not as it should be.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct VerifyProblem {
    /// The object.
    pub object: String,
    /// A stable code.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// Snapshots that it harms.
    pub snapshots: Vec<String>,
    /// Files that it costs, at most 200.
    pub paths: Vec<String>,
}

/// What was verified.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct VerifyReport {
    /// Snapshots looked at.
    pub snapshots: f64,
    /// Packs looked at.
    pub packs: f64,
    /// Bytes of those packs.
    pub bytes: f64,
    /// Bytes of the packs that were read in whole.
    pub read_bytes: f64,
    /// What is wrong; empty when all is well.
    pub problems: Vec<VerifyProblem>,
    /// Requests made.
    pub requests: f64,
    /// Bytes received.
    pub downloaded_bytes: f64,
    /// Milliseconds it took.
    pub duration_ms: f64,
}

/// Whether this machine is backed up.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct StatusReport {
    /// OpenClaw's state directory.
    pub state_dir: String,
    /// The bucket as configured.
    pub bucket: String,
    /// The prefix in it.
    pub prefix: String,
    /// Whether what is written is encrypted.
    pub encrypt: bool,
    /// This machine's id, once it has one.
    pub machine: Option<String>,
    /// This machine's newest snapshot.
    pub last_snapshot: Option<String>,
    /// When it was made, ISO 8601.
    pub last_snapshot_at: Option<String>,
    /// Whether something of the state is not in it.
    pub incomplete: bool,
    /// What is not in it, or not as it should be, the worst first.
    pub remarks: Vec<FileProblem>,
    /// Snapshots of all machines.
    pub snapshots: f64,
    /// Every machine that has something in the bucket: this one first, then by newest snapshot, the latest first.
    pub machines: Vec<MachineInfo>,
    /// Bytes of all objects below the prefix.
    pub stored_bytes: f64,
    /// This machine's snapshot that last came back whole from a trial restore.
    pub proven_snapshot: Option<String>,
    /// When that was, ISO 8601.
    pub proven_at: Option<String>,
    /// Packs of this machine that were found to be lost or damaged, and that snapshots still name.
    pub damaged_packs: f64,
    /// Whether an interrupted push waits to be finished.
    pub pending: bool,
    /// What opens this machine's backups, of `application-key`, `passphrase` and `recovery-code`; empty where nothing
    /// is encrypted, or nothing was backed up yet.
    pub opens_with: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}
