//! Roll back: a snapshot, or a part of it, over the live state. All or nothing (`docs/rollback.md`).
//!
//! [`plan_rollback`] says what would happen. [`roll_back`] takes the plan's hash, makes a safety snapshot,
//! stages, and writes the journal; then it carries it out, unless OpenClaw has to stop for that. [`recover`]
//! carries out what waits, and finishes what was cut off.
//!
//! All of it opens databases, and so belongs into a process of its own.

mod arrival;
mod arriving;
mod compare;
mod comparison;
mod consent;
mod effects;
mod gone;
mod items;
mod live;
mod new_machine;
mod plan;
mod preview;
mod request;
mod rest;
mod runs;
mod scope;
mod stage;
mod steps;
mod trial;
mod wanted;

pub(in crate::ops) use arrival::stage_arrival;
pub(in crate::ops) use arriving::in_use;
pub use plan::{RollbackEntry, RollbackPlan, Touches};
pub use request::{Action, Mode, RollbackRequest};

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::push::{push_locked, save_aside};
use super::recovery::{carry_out, databases, needs_stop, recover_locked, refuse_busy, runs};
use crate::ambient::private_dirs;
use crate::engine::problem::{FileProblem, WITHHELD};
use crate::engine::session::{Session, Settings};
use crate::error::{Error, Result};
use crate::format::Reason;
use crate::local::{Arrival, Journal, Last, Local, LockFile, Phase, Spool};
use crate::ops::recovery::{Gateway, Outcome};
use crate::source::host_config;

use preview::{Preview, preview};
use wanted::Wanted;

/// What staging, and perhaps carrying out, came to.
#[derive(Clone, Debug, Default)]
pub struct RollbackReport {
    /// What became of it: applied, or waiting for OpenClaw to stop.
    pub outcome: Outcome,
    /// Its id, which is also the name of its folder; `None` when there was nothing to do.
    pub id: Option<String>,
    /// The snapshot that is restored.
    pub snapshot: String,
    /// The snapshot of what was there.
    pub safety: Option<String>,
    /// Body bytes received.
    pub downloaded_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// Files of the snapshot that are damaged and stay as they are (`partial`), what the plan leaves out, and those that are in place, but not with the permission bits, time or owner that
    /// they should have (`B2_REFUSED`).
    pub failed: Vec<FileProblem>,
    /// Paths that changed between the plan and the end; what was there is in the folder's `old/`.
    pub late: Vec<String>,
    /// Directories that should have gone, and hold something that is no part of backups.
    pub left: Vec<String>,
    /// Set where a machine that had nothing is given what another one had.
    pub arrival: Option<Arrival>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

/// Tells what a rollback would do. Fetches the snapshot's list of files, reads files of the state whose content
/// is not known, writes nothing.
///
/// # Errors
/// `B2_SNAPSHOT_NOT_FOUND`, `B2_WRONG_KEY`, `B2_NOT_AUTHENTICATED`, `B2_UNSAFE_PATH`, `B2_DAMAGED`, `B2_CONFIG`,
/// `B2_DATABASE_IN_PROCESS`, and those of the store and the file system.
pub async fn plan_rollback(session: &Session, request: &RollbackRequest) -> Result<RollbackPlan> {
    let wanted = Wanted::of(request)?;
    let state_dir = &session.settings.state_dir;
    let made = make_state_dir(state_dir)?;
    let preview = session.cancellable(preview(session, &wanted)).await;
    if made {
        // Only looked at; it goes unless something is in it by now.
        let _nothing_was_there = std::fs::remove_dir(state_dir);
    }
    Ok(preview?.plan)
}

/// Makes the state directory of a machine on which OpenClaw never ran. Whether there was none.
fn make_state_dir(state_dir: &Path) -> Result<bool> {
    if state_dir.exists() || !state_dir.parent().is_some_and(Path::is_dir) {
        return Ok(false);
    }
    private_dirs().create(state_dir).map_err(|error| Error::io("create", state_dir, error))?;
    Ok(true)
}

/// Tells what undoing the last rollback would do. What came late is put into a snapshot first, since an undo brings
/// back what really was there.
///
/// # Errors
/// As [`plan_rollback`], and of a push; `B2_SNAPSHOT_NOT_FOUND` when there is nothing to undo.
pub async fn plan_undo(session: &Session) -> Result<RollbackPlan> {
    last(&session.local)?;
    let told = save_aside(session).await?;
    let wanted = Wanted::undo(&last(&session.local)?);
    let mut plan = session.cancellable(preview(session, &wanted)).await?.plan;
    plan.warnings.extend(told);
    Ok(plan)
}

/// Rolls back as planned: safety snapshot, staging, journal; then at once, or, where OpenClaw runs and has to stop
/// for it, by [`recover`] from its stop hook or at its next start.
///
/// # Errors
/// `B2_PLAN_CHANGED` when `hash` is not that of the present plan; `B2_ROLLBACK_OPEN` when another waits or could
/// not be finished; `B2_DATABASE_BUSY` when somebody keeps a database locked; `B2_HOST_TOO_OLD`; `B2_HOST_REFUSES`;
/// `B2_DAMAGED` with all files that cannot be restored; those of
/// [`plan_rollback`] and of a push. Whatever happens, the state is as before, or as planned.
///
/// # Cancel safety
/// Until everything is staged it can be cancelled, and leaves nothing. From then on it is finished.
pub async fn roll_back(
    session: &Session,
    request: &RollbackRequest,
    hash: &str,
) -> Result<RollbackReport> {
    carry_through(session, &Wanted::of(request)?, hash).await
}

/// Undoes the last rollback, by the same course: what it changed becomes what it was.
///
/// # Errors
/// As [`roll_back`]; `B2_SNAPSHOT_NOT_FOUND` when there is nothing to undo.
pub async fn undo(session: &Session, hash: &str) -> Result<RollbackReport> {
    carry_through(session, &Wanted::undo(&last(&session.local)?), hash).await
}

/// Gives up a rollback that waits. Nothing of the state was touched by it. `false` when none waits.
///
/// # Errors
/// `B2_LOCKED`; `B2_ROLLBACK_OPEN` when it is half done.
pub async fn discard_waiting(settings: &Settings) -> Result<bool> {
    let local = Local::at(&settings.state_dir);
    let rollbacks = local.rollbacks();
    if rollbacks.open()?.is_none() {
        return Ok(false);
    }
    let _lock = local.lock()?;
    Session::blocking(move || match rollbacks.open()? {
        None => Ok(false),
        Some((folder, _, Phase::Staged)) => folder.remove().map(|()| true),
        Some((_, journal, _)) => Err(half_done(&journal)),
    })
    .await
}

fn last(local: &Local) -> Result<Last> {
    let nothing = |message: &str| Error::SnapshotNotFound {
        snapshot: "of the last rollback".to_owned(),
        message: message.to_owned(),
    };
    let last = local.rollbacks().last()?;
    let last = last.ok_or_else(|| nothing("nothing was rolled back on this machine"))?;
    if last.safety.is_empty() {
        return Err(nothing("this machine was new when it was restored: there was nothing before"));
    }
    Ok(last)
}

fn half_done(journal: &Journal) -> Error {
    let snapshot = &journal.snapshot;
    let message = format!(
        "a rollback to {snapshot} was interrupted half way: restart OpenClaw, or stop it and run \
         `b2-backup restore --resume`"
    );
    Error::RollbackOpen { message }
}

async fn carry_through(session: &Session, wanted: &Wanted, hash: &str) -> Result<RollbackReport> {
    let started = Instant::now();
    let state_dir = &session.settings.state_dir;
    make_state_dir(state_dir)?;
    if !state_dir.is_dir() {
        return Err(Error::config(
            "stateDir",
            format!("{} is not a directory", state_dir.display()),
        ));
    }
    let lock = Arc::new(session.local.lock()?);
    none_open(session, &lock).await?;
    let preview = session.cancellable(preview(session, wanted)).await?;
    if preview.plan.hash != hash {
        let message =
            "the state, or the snapshot, is no longer what the plan was made for".to_owned();
        return Err(Error::PlanChanged { message });
    }
    let mut report = RollbackReport {
        snapshot: preview.plan.snapshot.clone(),
        failed: preview.compared.left_out.clone(),
        warnings: preview.plan.warnings.clone(),
        ..RollbackReport::default()
    };
    if !preview.plan.is_empty() {
        carry(session, wanted, &preview, &lock, &mut report).await?;
    }
    let traffic = session.traffic();
    report.downloaded_bytes = traffic.received_bytes;
    report.requests = traffic.requests;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// One rollback at a time. One that was cut off is finished first.
async fn none_open(session: &Session, lock: &Arc<LockFile>) -> Result<()> {
    let rollbacks = session.local.rollbacks();
    let Some((_, journal, phase)) = rollbacks.open()? else { return Ok(()) };
    if phase == Phase::Staged {
        let snapshot = &journal.snapshot;
        let message = format!(
            "a rollback to {snapshot} is ready already and waits for OpenClaw to restart: restart it, or give \
             that rollback up with `b2-backup restore --discard`"
        );
        return Err(Error::RollbackOpen { message });
    }
    let (settings, ambient, held) =
        (session.settings.clone(), session.ambient.clone(), Arc::clone(lock));
    if !runs(&settings.state_dir).await? {
        refuse_busy(&ambient, &databases(&journal)).await?;
    }
    let report = Session::blocking(move || {
        recover_locked(&settings, &ambient, Gateway::MustBeStopped, &held)
    });
    if report.await?.outcome == Outcome::Waiting { Err(half_done(&journal)) } else { Ok(()) }
}

async fn carry(
    session: &Session,
    wanted: &Wanted,
    preview: &Preview,
    lock: &Arc<LockFile>,
    report: &mut RollbackReport,
) -> Result<()> {
    let Preview { compared, source, hash, .. } = preview;
    let databases = compared.databases();
    refuse_busy(&session.ambient, &databases).await?;
    let safety = safety_snapshot(session, lock, &mut report.warnings).await?;
    report.safety = Some(safety.clone());
    let staged = stage::stage(session, compared, source, *hash, safety, wanted.partial).await?;
    report.id = Some(staged.folder.id().to_owned());
    report.failed.extend(staged.failed);
    report.arrival.clone_from(&staged.journal.arrival);
    report.warnings.extend(staged.warnings);
    let (state_dir, stop) = (&session.settings.state_dir, needs_stop(&staged.journal));
    let mut waits = stop && runs(state_dir).await?;
    if !waits {
        if let Err(error) = refuse_busy(&session.ambient, &databases).await {
            // Nothing was touched, and nothing is left of it.
            staged.folder.remove()?;
            return Err(error);
        }
        // It may have started while somebody was waited for.
        waits = stop && runs(state_dir).await?;
    }
    if waits {
        report.outcome = Outcome::Waiting;
        return Ok(());
    }
    let rollbacks = session.local.rollbacks();
    let (ambient, held) = (session.ambient.clone(), Arc::clone(lock));
    let (folder, journal) = (staged.folder, staged.journal);
    let applied = Session::blocking(move || {
        let applied = carry_out(&rollbacks, &folder, &journal, Phase::Staged, &ambient);
        drop(held);
        applied
    });
    let applied = applied.await?;
    report.outcome = applied.outcome;
    report.failed.extend(applied.failed);
    report.late = applied.late;
    report.left = applied.left;
    report.warnings.extend(applied.problem);
    Ok(())
}

/// Makes the snapshot of the present, and returns its id. Its content is fixed when this returns; where only the
/// upload could not be finished, the next push does that.
async fn safety_snapshot(
    session: &Session,
    lock: &Arc<LockFile>,
    warnings: &mut Vec<String>,
) -> Result<String> {
    let local = session.local_repository(session.settings.encrypt);
    let waiting = |local| Spool::view(local).captured().map(|it| it.map(|it| it.newest.snapshot));
    // One of an earlier rollback says nothing about the present.
    let before = waiting(&local)?;
    match push_locked(session, Reason::Safety, Arc::clone(lock)).await {
        Ok(report) => {
            warnings.extend(report.skipped.iter().filter_map(of_safety));
            warnings.extend(report.warnings);
            let newest = || Ok(local.newest()?.map(|newest| newest.snapshot));
            match report.snapshot {
                Some(snapshot) => Ok(snapshot),
                // Nothing has changed since the newest one: that is it.
                None => newest()
                    .transpose()
                    .ok_or_else(|| Error::internal("a push without a snapshot"))?,
            }
        }
        Err(error @ Error::Cancelled) => Err(error),
        Err(error) => match waiting(&local)? {
            Some(captured) if Some(&captured) != before.as_ref() => {
                warnings.push(format!("the safety snapshot is not uploaded yet: {error}"));
                Ok(captured)
            }
            _ => Err(error),
        },
    }
}

/// What to say of a safety snapshot; nothing of a configuration that is in it as it is.
fn of_safety(problem: &FileProblem) -> Option<String> {
    let FileProblem { path, code, message } = problem;
    match code.as_str() {
        host_config::AS_BYTES => None,
        _ if problem.is_missing() || code == WITHHELD => {
            Some(format!("the safety snapshot lacks {path}: {message}"))
        }
        _ => Some(format!("in the safety snapshot, {path}: {message}")),
    }
}
