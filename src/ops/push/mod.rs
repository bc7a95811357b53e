//! Push: capture what changed, upload it, commit.
//!
//! Two phases (`docs/format.md`, section 15). Capture leaves sealed packs and the sealed manifest in
//! the spool; from then on the snapshot's content is fixed. Upload sends the spool and commits, and can be cut
//! off anywhere: the next push goes on with it.

mod aside;
mod assemble;
mod capture;
mod changes;
mod commit;
mod compose;
mod contents;
mod drafts;
mod frames;
mod missing;
mod report;
mod repository;
mod room;
mod snapshot;
mod sparse;
mod summary;
mod together;
mod upload;
mod withhold;
mod writer;

pub use report::{PushOptions, PushReport};

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::adopt;
use crate::engine::lock::lock;
use crate::engine::problem::FileProblem;
use crate::engine::scan::refuse_bucket_inside;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::format::{Reason, SnapshotId};
use crate::local::{Captured, LockFile};
use crate::ops::recovery;

use commit::{Committed, Whose};
use snapshot::{Made, snapshot};
use writer::{Writer, copied};

/// Backs the state up.
///
/// # Errors
/// `B2_LOCKED` when another operation runs on this state directory, and still does after the wait; `B2_CONFIG`, `B2_DATABASE_IN_PROCESS`, and
/// those of the store and of the file system. Whatever happens, no committed snapshot is harmed, and what was
/// captured or uploaded is used by the next push.
///
/// # Cancel safety
/// Stops at the session's cancellation token within a moment; dropping the future is like a kill.
pub async fn push(session: &Session, options: PushOptions) -> Result<PushReport> {
    let started = Instant::now();
    let state_dir = &session.settings.state_dir;
    if !state_dir.is_dir() {
        return Err(Error::config(
            "stateDir",
            format!("{} is not a directory", state_dir.display()),
        ));
    }
    let lock = Arc::new(lock(session, options.wait).await?);
    let open = recovery::before_push(session, &lock).await?;
    let taken_over = session.cancellable(adopt::take_over(session, &lock)).await?;
    let mut report = session.cancellable(run(session, &options, lock)).await?;
    report.warnings.extend(open);
    if !taken_over.is_empty() {
        report.warnings.extend(taken_over);
        session.local.forget_untold()?;
    }
    // What came of a rollback is saved, and what it set aside.
    let rollbacks = session.local.rollbacks();
    if let Err(error) = Session::blocking(move || rollbacks.clear_done()).await {
        report.warnings.push(format!("the files of a rollback that is done stay: {error}"));
    }
    let newest = session.local_repository(session.settings.encrypt).newest()?;
    let written = newest.iter().flat_map(|newest| &newest.written);
    report.snapshots = written.filter(|id| !id.starts_with("safety-")).count() as u64;
    let traffic = session.traffic();
    report.uploaded_bytes = traffic.sent_bytes;
    report.requests = traffic.requests;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.warnings.splice(0..0, session.warnings.iter().cloned());
    Ok(report)
}

/// As [`push`], for the holder of the lock, who knows about rollbacks.
pub(in crate::ops) async fn push_locked(
    session: &Session,
    reason: Reason,
    lock: Arc<LockFile>,
) -> Result<PushReport> {
    let options =
        PushOptions { reason, wait: Duration::ZERO, new_bucket: false, accept_missing: Vec::new() };
    session.cancellable(run(session, &options, lock)).await
}

async fn run(session: &Session, options: &PushOptions, lock: Arc<LockFile>) -> Result<PushReport> {
    // Again where another machine turned out to go on with this lineage: then with a lineage of its own.
    let mut told = Vec::new();
    for _ in 0..3 {
        let done = attempt(session, options, Arc::clone(&lock), &mut told).await?;
        if let Some(mut report) = done {
            told.retain(|text| !report.warnings.contains(text));
            report.warnings.splice(0..0, told);
            return Ok(report);
        }
        told.push(copied("a snapshot of this machine's lineage"));
    }
    Err(Error::internal("the lineage of this machine is never its own"))
}

/// What a push begins with.
struct Begun {
    writer: Writer,
    /// The snapshot of an earlier push that was committed first.
    resumed: Option<String>,
    /// What was set aside and is saved now.
    told: Vec<String>,
}

/// Finishes what an earlier push began, and saves what rollbacks set aside; `None` when this machine is a clone, which
/// shows only late: then `lost` has what the user should know all the same.
async fn begin(
    session: &Session,
    lock: Arc<LockFile>,
    new_bucket: bool,
    lost: &mut Vec<String>,
) -> Result<Option<Begun>> {
    refuse_bucket_inside(session).await?;
    let mut writer = Writer::open(session, lock, new_bucket).await?;
    let mut resumed = None;
    if let Some(waiting) = writer.spool.captured()? {
        match resume(session, &mut writer, &waiting).await? {
            Committed::Yes => resumed = Some(waiting.newest.snapshot),
            Committed::BaseGone => writer.spool.give_up_captured()?,
            Committed::Cloned => {
                writer.become_another(&session.local, &*session.ambient.entropy)?;
                lost.append(&mut writer.warnings);
                return Ok(None);
            }
        }
    }
    // Before the state is looked at: on a full disk it makes room.
    let told = aside::save(session, &mut writer, lost).await?;
    Ok(told.map(|told| Begun { writer, resumed, told }))
}

/// Saves what rollbacks that are done have set aside, if anything is. Says what the user should know.
///
/// # Errors
/// As [`push`].
pub(in crate::ops) async fn save_aside(session: &Session) -> Result<Vec<String>> {
    if recovery::set_aside(&session.local).await?.is_empty() {
        return Ok(Vec::new());
    }
    let lock = Arc::new(session.local.lock()?);
    let mut told = Vec::new();
    for _ in 0..3 {
        let begun = begin(session, Arc::clone(&lock), false, &mut told);
        if let Some(begun) = session.cancellable(begun).await? {
            told.extend(begun.told);
            return Ok(told);
        }
    }
    Err(Error::internal("the lineage of this machine is never its own"))
}

/// One push; `None` when this machine is a clone: then `lost` has what the user should know all the same.
async fn attempt(
    session: &Session,
    options: &PushOptions,
    lock: Arc<LockFile>,
    lost: &mut Vec<String>,
) -> Result<Option<PushReport>> {
    let Some(Begun { mut writer, resumed, told }) =
        begin(session, lock, options.new_bucket, lost).await?
    else {
        return Ok(None);
    };
    let mut report = match snapshot(
        session,
        &mut writer,
        options.reason,
        &options.accept_missing,
        None,
    )
    .await?
    {
        Made::Cloned => {
            lost.append(&mut writer.warnings);
            return Ok(None);
        }
        Made::Nothing(report) => PushReport { resumed, ..report },
        Made::Snapshot(captured) => finished(*captured, resumed, writer),
    };
    report.warnings.extend(told);
    Ok(Some(report))
}

/// Finishes the upload of a push that was cut off. What was sent then is not there for sure now: the bucket may have
/// been emptied, or be another one at the same place.
async fn resume(session: &Session, writer: &mut Writer, waiting: &Captured) -> Result<Committed> {
    let id = SnapshotId::try_from(waiting.newest.snapshot.as_str())?;
    let whose = commit::whose(&*session.store, &id, &waiting.newest.object).await?;
    if whose == Whose::Others {
        return Ok(Committed::Cloned);
    }
    let lost = upload::lost(&session.ring, &*session.store, writer, waiting).await?;
    // What only the waiting snapshot has comes with the next one, unless the waiting one is in the bucket already.
    let (new, old): (Vec<_>, Vec<_>) = lost.iter().partition(|name| waiting.packs.contains(name));
    if writer.base.is_some() {
        writer.local.note_bad(old)?;
    }
    if whose == Whose::Ours {
        writer.local.note_bad(new)?;
        return commit::committed(&session.ring, writer, waiting, &id)
            .await
            .map(|()| Committed::Yes);
    }
    if !lost.is_empty() {
        tracing::warn!(
            packs = lost.len(),
            "the interrupted snapshot cannot be finished: what it needs is not in the bucket any more"
        );
        return Ok(Committed::BaseGone);
    }
    match upload::upload_waiting(session, writer, waiting).await {
        Ok(()) => commit::commit(session, writer, waiting, true).await,
        // A pack of it is damaged in the spool (a power cut): the state is still here to be captured again.
        Err(Error::Damaged { object, message }) => {
            tracing::warn!(object, message, "the interrupted snapshot cannot be finished");
            Ok(Committed::BaseGone)
        }
        Err(error) => Err(error),
    }
}

fn finished(captured: Captured, resumed: Option<String>, writer: Writer) -> PushReport {
    PushReport {
        snapshot: Some(captured.newest.snapshot),
        resumed,
        files: captured.counts.files,
        bytes: captured.counts.bytes,
        skipped: captured.remarks.into_iter().map(FileProblem::from).collect(),
        warnings: writer.warnings,
        ..PushReport::default()
    }
}
