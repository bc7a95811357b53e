//! Rolling back over the live state: what comes, what goes, what stays, and what happens when something fails.

#[cfg(unix)]
mod around;
mod aside;
mod busy;
#[cfg(unix)]
mod consent;
mod databases;
#[cfg(unix)]
mod disks;
#[cfg(unix)]
mod files;
mod foreign;
#[cfg(unix)]
mod found;
#[cfg(unix)]
mod gone;
mod grants;
#[cfg(unix)]
mod hostile;
#[cfg(unix)]
mod links;
#[cfg(unix)]
mod mounts;
#[cfg(unix)]
mod names;
mod starting;
mod trouble;
mod withheld;

use std::path::PathBuf;
use std::sync::Arc;

use b2_backup::error::Result;
use b2_backup::ops::{
    self, Action, Gateway, Mode, Outcome, RecoverReport, RollbackPlan, RollbackReport,
    RollbackRequest,
};
use b2_backup::store::memory::MemoryStore;
use tempfile::{TempDir, tempdir};

use crate::support::machine::Machine;
use crate::support::plain::settled;

/// A machine with an empty state. Not encrypted: stretching a passphrase takes long.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) live: PathBuf,
    pub(crate) machine: Machine,
    pub(crate) store: Arc<MemoryStore>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::at(tempdir().unwrap())
    }

    /// Where syncing costs nothing: for tests that do the same many times.
    #[cfg(unix)]
    pub(crate) fn in_memory() -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let in_memory = || tempfile::tempdir_in(memory).unwrap();
        Self::at(if memory.is_dir() { in_memory() } else { tempdir().unwrap() })
    }

    fn at(dir: TempDir) -> Self {
        let live = dir.path().join("state");
        std::fs::create_dir(&live).unwrap();
        let store = Arc::new(MemoryStore::default());
        let mut machine = Machine::new(&live, store.clone());
        machine.settings.encrypt = false;
        Self { dir, live, machine, store }
    }

    pub(crate) async fn push(&self) -> String {
        self.machine.push().await.unwrap().snapshot.unwrap()
    }

    pub(crate) async fn plan(&self, request: &RollbackRequest) -> Result<RollbackPlan> {
        ops::plan_rollback(&self.machine.session().await, request).await
    }

    /// Looks at the plan and does what it says.
    pub(crate) async fn roll_back(&self, request: &RollbackRequest) -> Result<RollbackReport> {
        let session = self.machine.session().await;
        let plan = ops::plan_rollback(&session, request).await?;
        ops::roll_back(&session, request, &plan.hash).await
    }

    pub(crate) async fn undo(&self) -> Result<RollbackReport> {
        let session = self.machine.session().await;
        let plan = ops::plan_undo(&session).await?;
        ops::undo(&session, &plan.hash).await
    }

    pub(crate) async fn recover(&self, gateway: Gateway) -> Result<RecoverReport> {
        ops::recover(&self.machine.settings, &self.machine.ambient(), gateway).await
    }
}

/// The whole of a snapshot.
pub(crate) fn to(snapshot: &str) -> RollbackRequest {
    RollbackRequest {
        snapshot: snapshot.into(),
        paths: vec![],
        mode: Mode::Overlay,
        partial: false,
        allow_unauthenticated: false,
    }
}

pub(crate) fn exactly(snapshot: &str) -> RollbackRequest {
    RollbackRequest { mode: Mode::Exact, ..to(snapshot) }
}

pub(crate) fn only(snapshot: &str, paths: &[&str]) -> RollbackRequest {
    RollbackRequest { paths: paths.iter().map(|path| (*path).to_owned()).collect(), ..to(snapshot) }
}

/// What a plan says, as lines.
pub(crate) fn lines(plan: &RollbackPlan) -> Vec<String> {
    let line = |entry: &ops::RollbackEntry| {
        let reason =
            entry.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        format!("{} {}{reason}", entry.action.name(), entry.path)
    };
    plan.entries.iter().map(line).collect()
}

pub(crate) fn applied(report: &RollbackReport) {
    assert_eq!(report.outcome, Outcome::Applied, "{report:?}");
    assert_eq!(
        (&report.failed[..], &report.late[..], &report.left[..]),
        (&[][..], &[][..], &[][..])
    );
}

pub(crate) fn count(plan: &RollbackPlan) -> [usize; 4] {
    [Action::Add, Action::Replace, Action::Delete, Action::Keep].map(|action| plan.count(action))
}
