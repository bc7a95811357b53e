//! Looking after the bucket: what the doctor finds, and what can be brought back.

use napi_derive::napi;

use super::mirror::{derive, mirror};
use super::options::moment;
use super::problem::FileProblem;
use crate::error;
use crate::ops;

/// How to look.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct DoctorOptions {
    /// Also write a small object to the bucket, read it, and delete it.
    pub write: Option<bool>,
}

/// What one look showed.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct Finding {
    /// What was looked at: `settings`, `encryption`, `state`, `memory`, `disk`, `modes`, `server`, `key`,
    /// `capabilities`, `expiry`, `scope`, `bucket`, `clock`, `lifecycle`, `lock`, `versions`, `keys`, `newest` or
    /// `write`.
    pub check: String,
    /// `ok`, `note` or `problem`.
    pub level: String,
    /// One of `errorCodes()`, of a problem.
    pub code: Option<String>,
    /// What is so.
    pub message: String,
    /// What to do.
    pub advice: Option<String>,
}

/// All findings.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct DoctorReport {
    /// In the order of looking.
    pub findings: Vec<Finding>,
    /// How many are problems.
    #[custom(|report| report.problems())]
    pub problems: f64,
    /// Requests made, but for those to B2's native API.
    pub requests: f64,
    /// How long it took.
    pub duration_ms: f64,
}

/// What to bring back.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct UndeleteOptions {
    /// Snapshots; all when left out.
    pub snapshots: Option<Vec<String>>,
    /// Only what was hidden or overwritten since: an instant, ISO 8601 with a zone, by the server's clock.
    pub since: Option<String>,
    /// Key slots, too: one that was removed on purpose opens the backup again then.
    pub keys: Option<bool>,
    /// Do it; else only tell.
    pub apply: Option<bool>,
}

impl TryFrom<UndeleteOptions> for ops::UndeleteOptions {
    type Error = error::Error;

    fn try_from(options: UndeleteOptions) -> error::Result<Self> {
        Ok(Self {
            snapshots: options.snapshots.unwrap_or_default(),
            since: moment("since", options.since.as_deref())?,
            keys: options.keys.unwrap_or(false),
            apply: options.apply.unwrap_or(false),
        })
    }
}

/// A snapshot of which something is hidden or overwritten.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct Undeleted {
    /// Its id.
    pub snapshot: String,
    /// Whether the snapshot is not to be seen at all; else only some of its packs are hidden or overwritten.
    pub gone: bool,
    /// When the last of it was hidden or overwritten, ISO 8601, by the server's clock.
    pub changed_at: Option<String>,
    /// Objects that come back, those of other snapshots in this list among them.
    pub objects: f64,
    /// Their bytes.
    pub bytes: f64,
    /// Packs that are deleted for good: files in them are lost. Such a snapshot comes back only when it is named.
    pub lost_packs: f64,
}

/// What there is to bring back, or was brought back.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct UndeleteReport {
    /// Oldest first.
    pub snapshots: Vec<Undeleted>,
    /// Key slots that are hidden or overwritten.
    pub key_slots: f64,
    /// Whether it was done.
    pub applied: bool,
    /// Objects that are, or would be, visible again.
    pub objects: f64,
    /// Their bytes.
    pub bytes: f64,
    /// Markers that were removed.
    pub removed_markers: f64,
    /// Objects that were written once more, because others' content stands above them or the key may not delete.
    pub written_again: f64,
    /// Snapshots that cannot be looked into.
    pub problems: Vec<FileProblem>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Requests made.
    pub requests: f64,
    /// How long it took.
    pub duration_ms: f64,
}
