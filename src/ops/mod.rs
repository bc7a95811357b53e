//! What a user can ask for: a module for each verb. A verb may use what another one offers in its own `mod.rs`, never that
//! one's insides.

mod adopt;
mod auto_restore;
mod diff;
mod doctor;
mod drill;
mod history;
mod host;
mod keys;
mod list;
mod plan;
#[cfg(feature = "testing")]
pub mod probe;
mod prune;
mod push;
mod recovery;
mod restore;
mod rollback;
mod show;
mod status;
mod undelete;
mod verify;

pub use crate::engine::aspects::Aspect;
pub use crate::engine::info::{ChangedPath, HostSchema, SnapshotChanges, SnapshotInfo};
pub use crate::engine::problem::{FileProblem, is_incomplete};
pub use crate::engine::session::{Ambient, Session, Settings};
pub use crate::engine::text::TextOmitted;
pub use crate::engine::time::time as iso_time;
pub use crate::local::Arrival;
pub use crate::source::authority::{Effect, Weight};
pub use adopt::{AdoptReport, adopt};
pub use auto_restore::{AutoRestoreOutcome, AutoRestoreReport, auto_restore};
pub use diff::{Change, DiffEntry, DiffOptions, DiffReport, DiffTo, LIVE, diff};
pub use doctor::{DoctorOptions, DoctorReport, Finding, Level, doctor};
pub use drill::{DrillReport, drill};
pub use history::{HistoryOptions, HistoryReport, PathVersion, history};
pub use host::plugin_settings;
pub use keys::{
    AddedKeys, KeyInfo, KeyReport, NewKey, NewRecoveryCode, RemovedKey, add_key, keys,
    new_recovery_code, remove_key,
};
pub use list::{ListReport, list};
pub use plan::{PlanEntry, PlanReport, plan};
pub use prune::{
    ForgetOptions, ForgetReport, Keep, PruneOptions, PruneReport, PrunedSnapshot, forget, prune,
};
pub use push::{PushOptions, PushReport, push};
pub use recovery::{Gateway, Outcome, RecoverReport, recover};
pub use restore::{RestoreOptions, RestoreReport, restore};
pub use rollback::{
    Action, Mode, RollbackEntry, RollbackPlan, RollbackReport, RollbackRequest, Touches,
    discard_waiting, plan_rollback, plan_undo, roll_back, undo,
};
pub use show::{MAX_SHOWN_BYTES, ShowOptions, ShowReport, ShownEntry, show};
pub use status::{MachineInfo, StatusReport, status};
pub use undelete::{UndeleteOptions, UndeleteReport, Undeleted, undelete};
pub use verify::{Reading, VerifyOptions, VerifyProblem, VerifyReport, verify};
