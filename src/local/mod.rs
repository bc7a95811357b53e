//! What this machine remembers in `<state>/b2-backup/`: of its buckets, of pushes and rollbacks under way, of what was proved.

mod arrival;
mod files;
mod folder;
mod journal;
mod local_repository;
mod proof;
mod pruning;
mod rollbacks;
mod spool;
mod trial;

pub use arrival::Arrival;
pub use folder::{Local, LockFile};
pub use journal::{Before, Journal, Last, Phase, Step, StepKind, Touched, Unsaved};
pub use local_repository::{LocalRepository, Newest, RepositoryRecord, SlotRecord};
pub use proof::{Drilled, PackRead, Proof};
pub use pruning::{Forgotten, Pruned, Pruning, UnusedPack};
pub use rollbacks::{RollbackFolder, Rollbacks};
pub use spool::{Captured, SealedPack, Spool};
pub use trial::TrialFolder;
