//! What JavaScript gets back.

use napi_derive::napi;

use super::machines::MachineInfo;
use super::options::number;
pub(super) use super::problem::{FileProblem, problems};
use crate::ops;

/// What a push did.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct PushReport {
    /// Id of the new snapshot; not set when nothing had changed.
    pub snapshot: Option<String>,
    /// Whether there is a new snapshot.
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

impl From<ops::PushReport> for PushReport {
    fn from(report: ops::PushReport) -> Self {
        Self {
            changed: report.snapshot.is_some(),
            snapshots: number(report.snapshots),
            snapshot: report.snapshot,
            files: number(report.files),
            bytes: number(report.bytes),
            uploaded_bytes: number(report.uploaded_bytes),
            requests: number(report.requests),
            incomplete: ops::is_incomplete(&report.skipped),
            skipped: problems(report.skipped),
            warnings: report.warnings,
            duration_ms: number(report.duration_ms),
            resumed: report.resumed,
        }
    }
}

/// A path of the state.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
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
#[derive(Debug)]
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

impl From<ops::PlanReport> for PlanReport {
    fn from(report: ops::PlanReport) -> Self {
        let entry = |entry: ops::PlanEntry| PlanEntry {
            path: entry.path,
            included: entry.included,
            reason: entry.reason,
            bytes: number(entry.bytes),
            changed: entry.changed,
        };
        Self {
            files: number(report.files),
            bytes: number(report.bytes),
            changed_files: number(report.changed_files),
            changed_bytes: number(report.changed_bytes),
            entries: report.entries.into_iter().map(entry).collect(),
            skipped: problems(report.skipped),
            warnings: report.warnings,
        }
    }
}

/// A file that has much new content.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct ChangedPath {
    /// The path.
    pub path: String,
    /// Bytes of its content that were new, before compression.
    pub bytes: f64,
}

/// What is new against the previous snapshot of the same machine. Directories are not counted.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
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

impl From<ops::SnapshotChanges> for SnapshotChanges {
    fn from(changes: ops::SnapshotChanges) -> Self {
        let path = |one: ops::ChangedPath| ChangedPath { path: one.path, bytes: number(one.bytes) };
        Self {
            added: number(changes.added),
            changed: number(changes.changed),
            removed: number(changes.removed),
            stored_bytes: number(changes.stored_bytes),
            most: changes.most.into_iter().map(path).collect(),
        }
    }
}

/// One snapshot.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
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
#[derive(Debug)]
pub struct ListReport {
    /// The snapshots.
    pub snapshots: Vec<SnapshotInfo>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl From<ops::ListReport> for ListReport {
    fn from(report: ops::ListReport) -> Self {
        let info = |info: ops::SnapshotInfo| SnapshotInfo {
            id: info.id,
            kind: info.kind.to_owned(),
            reason: info.reason.map(str::to_owned),
            machine: info.machine,
            machine_name: info.machine_name,
            this_machine: info.this_machine,
            created_at: info.created_at,
            host_version: info.host_version,
            files: number(info.files),
            bytes: number(info.bytes),
            authenticated: info.authenticated,
            format: info.format.into(),
            problem: info.problem,
            problem_code: info.problem_code.map(str::to_owned),
            doubt: info.doubt,
            changes: info.changes.map(SnapshotChanges::from),
            incomplete: info.incomplete,
            remarks: problems(info.remarks),
            more_remarks: number(info.more_remarks),
        };
        Self {
            snapshots: report.snapshots.into_iter().map(info).collect(),
            warnings: report.warnings,
        }
    }
}

/// What a restore did.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
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

impl From<ops::RestoreReport> for RestoreReport {
    fn from(report: ops::RestoreReport) -> Self {
        Self {
            snapshot: report.snapshot,
            files: number(report.files),
            bytes: number(report.bytes),
            downloaded_bytes: number(report.downloaded_bytes),
            requests: number(report.requests),
            failed: problems(report.failed),
            incomplete: report.incomplete,
            remarks: problems(report.remarks),
            roots: report.roots,
            warnings: report.warnings,
            duration_ms: number(report.duration_ms),
        }
    }
}

/// Something that is not as it should be.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
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
#[derive(Debug)]
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

impl From<ops::VerifyReport> for VerifyReport {
    fn from(report: ops::VerifyReport) -> Self {
        let problem = |problem: ops::VerifyProblem| VerifyProblem {
            object: problem.object,
            code: problem.code.to_owned(),
            message: problem.message,
            snapshots: problem.snapshots,
            paths: problem.paths,
        };
        Self {
            snapshots: number(report.snapshots),
            packs: number(report.packs),
            bytes: number(report.bytes),
            read_bytes: number(report.read_bytes),
            problems: report.problems.into_iter().map(problem).collect(),
            requests: number(report.requests),
            downloaded_bytes: number(report.downloaded_bytes),
            duration_ms: number(report.duration_ms),
        }
    }
}

/// Whether this machine is backed up.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
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

impl From<ops::StatusReport> for StatusReport {
    fn from(report: ops::StatusReport) -> Self {
        Self {
            state_dir: report.state_dir,
            bucket: report.bucket,
            prefix: report.prefix,
            encrypt: report.encrypt,
            machine: report.machine,
            last_snapshot: report.last_snapshot,
            last_snapshot_at: report.last_snapshot_at,
            incomplete: report.incomplete,
            remarks: problems(report.remarks),
            snapshots: number(report.snapshots),
            machines: report.machines.into_iter().map(MachineInfo::from).collect(),
            stored_bytes: number(report.stored_bytes),
            proven_snapshot: report.proven_snapshot,
            proven_at: report.proven_at,
            damaged_packs: number(report.damaged_packs),
            pending: report.pending,
            opens_with: report.opens_with.into_iter().map(str::to_owned).collect(),
            warnings: report.warnings,
        }
    }
}
