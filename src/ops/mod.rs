//! One file for each thing a user can ask for.

mod adopt;
mod compare;
mod diff;
mod doctor;
mod drill;
mod head;
mod history;
mod host;
mod keys;
mod legacy;
mod list;
mod plan;
#[doc(hidden)]
pub mod probe;
mod prune;
mod push;
mod remove;
mod restore;
mod rollback;
mod roots;
mod session;
mod show;
mod slots;
mod status;
mod tree;
mod undelete;
mod verify;

pub use adopt::{AdoptReport, adopt};
pub use compare::Aspect;
pub use diff::{Change, DiffEntry, DiffOptions, DiffReport, DiffTo, LIVE, TextOmitted, diff};
pub use doctor::{DoctorOptions, DoctorReport, Finding, Level, doctor};
pub use drill::{DrillReport, drill};
pub use history::{HistoryOptions, HistoryReport, PathVersion, history};
pub use host::plugin_settings;
pub use keys::{
    AddedKeys, KeyInfo, KeyReport, NewKey, NewRecoveryCode, RemovedKey, add_key, keys,
    new_recovery_code, remove_key,
};
pub use list::{ChangedPath, ListReport, SnapshotChanges, SnapshotInfo, list, time as iso_time};
pub use plan::{PlanEntry, PlanReport, plan};
pub use prune::{
    ForgetOptions, ForgetReport, Keep, PruneOptions, PruneReport, PrunedSnapshot, forget, prune,
};
pub use push::{PushOptions, PushReport, push};
pub use restore::{RestoreOptions, RestoreReport, restore};
pub use rollback::{
    Action, ArriveOutcome, ArriveReport, Gateway, Mode, Outcome, RecoverReport, RollbackEntry,
    RollbackPlan, RollbackReport, RollbackRequest, Touches, arrive, discard_waiting, plan_rollback,
    plan_undo, recover, stage_rollback, stage_undo,
};
pub use session::{Ambient, Session, Settings};
pub use show::{MAX_SHOWN_BYTES, ShowOptions, ShowReport, ShownEntry, show};
pub use status::{MachineInfo, StatusReport, status};
pub use undelete::{UndeleteOptions, UndeleteReport, Undeleted, undelete};
pub use verify::{Reading, VerifyOptions, VerifyProblem, VerifyReport, verify};

pub use crate::repo::Arrival;
use crate::source::Skipped;

/// Something that could not be backed up or restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The path for people, or the object where there is no path.
    pub path: String,
    /// A stable code.
    pub code: String,
    /// A sentence.
    pub message: String,
}

impl FileProblem {
    fn new(path: impl Into<String>, error: &crate::error::Error) -> Self {
        Self { path: path.into(), code: error.code().to_owned(), message: error.to_string() }
    }
}

impl From<Skipped> for FileProblem {
    fn from(skipped: Skipped) -> Self {
        Self { path: skipped.path, code: skipped.code.to_owned(), message: skipped.message }
    }
}

impl From<crate::format::Remark> for FileProblem {
    fn from(remark: crate::format::Remark) -> Self {
        Self { path: remark.path, code: remark.code, message: remark.message }
    }
}

impl From<FileProblem> for crate::format::Remark {
    fn from(problem: FileProblem) -> Self {
        Self { path: problem.path, code: problem.code, message: problem.message }
    }
}
