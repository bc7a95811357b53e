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
mod newest;
mod plan;
#[doc(hidden)]
pub mod probe;
mod problem;
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
mod withheld;

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
pub use problem::{FileProblem, is_incomplete};
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
pub use crate::source::authority::{Effect, Weight};
