//! Finishing a rollback that is staged or was cut off, with nothing but what is on this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::apply::Apply;
use super::blank::no_longer_blank;
use super::places::full_path;
use crate::engine::problem::FileProblem;
use crate::engine::session::{Ambient, Session, Settings, millis};
use crate::error::{Error, Result};
use crate::local::{
    Arrival, Journal, Last, Local, LockFile, Phase, RollbackFolder, Rollbacks, StepKind, Touched,
};
use crate::source::database::open_in_this_process;
use crate::source::gateway::running;
use crate::source::locks;

/// How long others may keep a database locked.
const LOCKED: Duration = Duration::from_secs(10);
/// How often its lock is asked for.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// Whether a rollback may be carried out while OpenClaw runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// No: it would go on with what it has in memory. Whether it runs is found out.
    MustBeStopped,
    /// It says itself that its agents do not work: in its stop hook, or before they start.
    AgentsStopped,
}

/// What became of a rollback that was open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// There was none.
    #[default]
    Nothing,
    /// It waits until OpenClaw restarts.
    Waiting,
    /// It is done.
    Applied,
    /// It could not be finished, and everything is as it was before.
    RolledBack,
    /// It was not begun: it was for a machine that has nothing, and somebody uses it by now.
    GivenUp,
}

impl Outcome {
    /// The name that users and other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Waiting => "waiting",
            Self::Applied => "applied",
            Self::RolledBack => "rolled-back",
            Self::GivenUp => "given-up",
        }
    }
}

/// What became of a rollback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoverReport {
    /// What became of it.
    pub outcome: Outcome,
    /// Its id, which is also the name of its folder. Where none was open, that of the last one that was carried out.
    pub id: Option<String>,
    /// The snapshot that is restored.
    pub snapshot: Option<String>,
    /// The snapshot of what was there.
    pub safety: Option<String>,
    /// Paths that changed between the plan and the end; what was there is in the folder's `old/`.
    pub late: Vec<String>,
    /// Directories that should have gone, and hold something that is no part of backups.
    pub left: Vec<String>,
    /// What is in place, but not with the permission bits, time or owner that it should have.
    pub failed: Vec<FileProblem>,
    /// Why it could not be finished.
    pub problem: Option<String>,
    /// Set where a machine that had nothing was given what another one had.
    pub arrival: Option<Arrival>,
}

impl RecoverReport {
    /// None was open. What is named is the last one that was carried out, for whoever does not know how one ended.
    fn nothing(rollbacks: &Rollbacks) -> Result<Self> {
        Ok(rollbacks.last()?.map_or_else(Self::default, |last| Self {
            id: Some(last.id),
            snapshot: Some(last.snapshot),
            late: last.late,
            left: last.left,
            ..Self::default()
        }))
    }

    fn of(outcome: Outcome, folder: &RollbackFolder, journal: &Journal) -> Self {
        Self {
            outcome,
            id: Some(folder.id().to_owned()),
            snapshot: Some(journal.snapshot.clone()),
            safety: Some(journal.safety.clone()).filter(|safety| !safety.is_empty()),
            arrival: journal.arrival.clone(),
            ..Self::default()
        }
    }
}

/// Finishes the rollback that is open, if there is one: forward when all that is staged is whole, else back to
/// what was there. With OpenClaw running and no word of it, nothing is done.
///
/// Makes no request. Opens databases: only for a process in which nobody else does.
///
/// # Errors
/// `B2_LOCKED`, `B2_DATABASE_IN_PROCESS`; `B2_DATABASE_BUSY` when somebody keeps a database locked: it stays as it was,
/// and can be finished later; `B2_ROLLBACK_OPEN` when the journal is damaged. When a step fails,
/// everything is put back and the error is that of the step; what could not be put back stays open.
pub async fn recover(
    settings: &Settings,
    ambient: &Ambient,
    gateway: Gateway,
) -> Result<RecoverReport> {
    let local = Local::at(&settings.state_dir).with_fail_points(&ambient.steps);
    let rollbacks = local.rollbacks();
    if rollbacks.all()?.is_empty() {
        return RecoverReport::nothing(&rollbacks);
    }
    let open = rollbacks.open()?.is_some();
    let lock = match local.lock() {
        // Whoever works there clears away what was left of a staging.
        Err(Error::Locked { .. }) if !open => return RecoverReport::nothing(&rollbacks),
        lock => Arc::new(lock?),
    };
    if let Some((_, journal, _)) = rollbacks.open()?
        && (gateway == Gateway::AgentsStopped || !runs(&settings.state_dir).await?)
    {
        refuse_busy(ambient, &databases(&journal)).await?;
    }
    let (settings, ambient) = (settings.clone(), ambient.clone());
    Session::blocking(move || recover_locked(&settings, &ambient, gateway, &lock)).await
}

/// Waits until nobody writes to these databases, and keeps off them otherwise: one that is in use is not broken.
///
/// # Errors
/// `B2_DATABASE_BUSY`.
pub(in crate::ops) async fn refuse_busy(ambient: &Ambient, databases: &[PathBuf]) -> Result<()> {
    for path in databases {
        let mut left = LOCKED;
        while let Some(holder) = writer(path).await? {
            if left.is_zero() {
                let by = holder.pid.map_or_else(String::new, |pid| format!(" by process {pid}"));
                let message = format!("locked{by} for more than {} s", LOCKED.as_secs());
                return Err(Error::DatabaseBusy { path: path.clone(), message });
            }
            ambient.clock.sleep(LOCK_INTERVAL).await;
            left = left.saturating_sub(LOCK_INTERVAL);
        }
    }
    Ok(())
}

/// Who keeps a database locked. Looks at files, and so keeps off the async threads.
async fn writer(path: &Path) -> Result<Option<locks::Holder>> {
    let path = path.to_owned();
    Session::blocking(move || Ok(locks::writer(&path))).await
}

/// Whether OpenClaw runs, asked in the same way.
pub(in crate::ops) async fn runs(state_dir: &Path) -> Result<bool> {
    let state_dir = state_dir.to_owned();
    Session::blocking(move || Ok(running(&state_dir).is_some())).await
}

/// The databases that a rollback writes.
pub(in crate::ops) fn databases(journal: &Journal) -> Vec<PathBuf> {
    let written = journal.steps.iter().filter(|step| step.kind == StepKind::Database);
    written.filter_map(|step| full_path(journal, step)).collect()
}

/// As [`recover`], for the holder of the lock. Blocks.
pub(in crate::ops) fn recover_locked(
    settings: &Settings,
    ambient: &Ambient,
    gateway: Gateway,
    _lock: &LockFile,
) -> Result<RecoverReport> {
    let rollbacks = Local::at(&settings.state_dir).with_fail_points(&ambient.steps).rollbacks();
    // Copies of databases are in it.
    rollbacks.sweep()?;
    let Some((folder, journal, phase)) = rollbacks.open()? else {
        return RecoverReport::nothing(&rollbacks);
    };
    if gateway == Gateway::MustBeStopped
        && needs_stop(&journal)
        && running(&settings.state_dir).is_some()
    {
        return Ok(RecoverReport::of(Outcome::Waiting, &folder, &journal));
    }
    if phase == Phase::Staged
        && let Some(used) = no_longer_blank(settings, &journal)?
    {
        folder.remove()?;
        let report = RecoverReport::of(Outcome::GivenUp, &folder, &journal);
        return Ok(RecoverReport { problem: Some(in_use(&used)), ..report });
    }
    carry_out(&rollbacks, &folder, &journal, phase, ambient)
}

fn in_use(path: &str) -> String {
    format!("this machine was used meanwhile: {path} was not there before")
}

/// Whether OpenClaw would be disturbed: it holds databases and its configuration in memory.
pub(in crate::ops) fn needs_stop(journal: &Journal) -> bool {
    journal.steps.iter().any(|step| matches!(step.kind, StepKind::Database | StepKind::Config))
}

/// Carries a rollback out from whatever phase it is in.
pub(in crate::ops) fn carry_out(
    rollbacks: &Rollbacks,
    folder: &RollbackFolder,
    journal: &Journal,
    phase: Phase,
    ambient: &Ambient,
) -> Result<RecoverReport> {
    if let Some(path) = open_in_this_process(&databases(journal)) {
        return Err(Error::DatabaseInProcess { path });
    }
    let steps = &ambient.steps;
    let mut apply = Apply::new(folder, journal, phase == Phase::Staged, steps)?;
    let problem = match phase {
        Phase::Reverting => None,
        _ if apply.can_go_forward()? => {
            folder.set_phase(Phase::Applying)?;
            match apply.forward() {
                Ok(()) => return finish(rollbacks, folder, journal, apply, ambient),
                Err(error) => Some(error),
            }
        }
        _ => None,
    };
    folder.set_phase(Phase::Reverting)?;
    apply.backward().map_err(|error| stuck(folder, problem.as_ref(), &error))?;
    folder.set_phase(Phase::Reverted)?;
    let failed = apply.refused(&apply.old);
    let late = std::mem::take(&mut apply.late);
    // Some systems remove no folder that somebody has open.
    drop(apply);
    let _everything_is_back_all_the_same = folder.clear_staged();
    match problem {
        Some(error) if failed.is_empty() => Err(error),
        Some(error) => Err(not_as_before(error, &failed)),
        None => Ok(RecoverReport {
            failed,
            late,
            problem: Some("what was staged for it is damaged".to_owned()),
            ..RecoverReport::of(Outcome::RolledBack, folder, journal)
        }),
    }
}

fn not_as_before(error: Error, failed: &[FileProblem]) -> Error {
    let refused: Vec<String> =
        failed.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    Error::NotAsBefore { error: Box::new(error), refused: refused.join("; ") }
}

fn stuck(folder: &RollbackFolder, problem: Option<&Error>, error: &Error) -> Error {
    let problem = problem.map_or_else(String::new, |problem| format!("{problem}; then "));
    let message = format!(
        "a rollback could neither be finished nor taken back: {problem}{error}. What was there before is in \
         {}; correct what stands in the way, and start OpenClaw again or run `b2-backup restore --resume`",
        folder.dir().join("old").display()
    );
    Error::RollbackOpen { message }
}

/// Remembers what was done.
fn finish(
    rollbacks: &Rollbacks,
    folder: &RollbackFolder,
    journal: &Journal,
    mut apply: Apply<'_>,
    ambient: &Ambient,
) -> Result<RecoverReport> {
    let failed = apply.refused(&apply.new);
    let (late, left) = (std::mem::take(&mut apply.late), std::mem::take(&mut apply.left));
    // Some systems remove no folder that somebody has open.
    drop(apply);
    let touched = journal.steps.iter().filter_map(|step| {
        let root = journal.roots.get(usize::from(step.root))?;
        Some(Touched { root: root.to_vec(), path: step.path.clone() })
    });
    let last = Last {
        id: folder.id().to_owned(),
        snapshot: journal.snapshot.clone(),
        safety: journal.safety.clone(),
        applied_at_ms: millis(ambient.clock.now()),
        touched: touched.collect(),
        late,
        left,
    };
    rollbacks.save_last(&last)?;
    folder.set_phase(Phase::Applied)?;
    folder.clear_staged()?;
    let report = RecoverReport::of(Outcome::Applied, folder, journal);
    Ok(RecoverReport { late: last.late, left: last.left, failed, ..report })
}

/// What a push does about a rollback that is open: it never runs over one that is half done.
///
/// One that was cut off is finished first. One that waits for OpenClaw to stop has touched nothing yet: the push
/// takes the present, and the warning says that it is about to go.
pub(in crate::ops) async fn before_push(
    session: &Session,
    lock: &Arc<LockFile>,
) -> Result<Option<String>> {
    let rollbacks = session.local.rollbacks();
    let Some((folder, journal, phase)) = rollbacks.open()? else { return Ok(None) };
    if !runs(&session.settings.state_dir).await? {
        match refuse_busy(&session.ambient, &databases(&journal)).await {
            // Nothing is touched yet, and what is there is worth having.
            Err(error) if phase == Phase::Staged => {
                return Ok(Some(format!(
                    "a rollback to {} is ready and cannot be carried out now: {error}; this is the state before it",
                    journal.snapshot
                )));
            }
            other => other?,
        }
    }
    let (settings, ambient) = (session.settings.clone(), session.ambient.clone());
    let held = Arc::clone(lock);
    let report = Session::blocking(move || {
        recover_locked(&settings, &ambient, Gateway::MustBeStopped, &held)
    })
    .await?;
    let Journal { snapshot, .. } = journal;
    match (report.outcome, phase) {
        (Outcome::Waiting, Phase::Staged) => Ok(Some(format!(
            "a rollback to {snapshot} is ready and waits for OpenClaw to restart; this is the state before it"
        ))),
        (Outcome::Waiting, _) => Err(Error::RollbackOpen {
            message: format!(
                "a rollback to {snapshot} was interrupted half way ({}): restart OpenClaw, or stop it and run \
                 `b2-backup restore --resume`; nothing is backed up before that",
                folder.dir().display()
            ),
        }),
        (Outcome::Applied, _) => {
            Ok(Some(format!("a rollback to {snapshot} that was interrupted is finished now")))
        }
        (Outcome::RolledBack, _) => Ok(Some(format!(
            "a rollback to {snapshot} that was interrupted could not be finished; everything is as before it"
        ))),
        (Outcome::GivenUp, _) => Ok(Some(format!(
            "{snapshot} was to be restored on this new machine, and is not: it is in use by now"
        ))),
        (Outcome::Nothing, _) => Ok(None),
    }
}
