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
mod frames;
mod missing;
mod repository;
mod room;
mod sparse;
mod summary;
mod together;
mod upload;
mod withhold;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::adopt;
use super::recovery::AsideItem;
use crate::engine::lock::lock;
use crate::engine::problem::FileProblem;
use crate::engine::scan::refuse_bucket_inside;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::format::{Reason, SnapshotId};
use crate::local::{Captured, LockFile};
use crate::ops::recovery;
use crate::progress::Phase;

use changes::{Changes, Scan};
use commit::{Committed, Whose};
use compose::capture_and_upload;
use contents::Outcome;
use writer::{Writer, copied};

/// How to push.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// Why; is recorded in the snapshot.
    pub reason: Reason,
    /// How long to wait for another process that works on the same state directory. Zero: not at all.
    pub wait: Duration,
    /// Begin anew where this machine stored snapshots and there is nothing any more.
    pub new_bucket: bool,
    /// Directories that are gone or empty, and right so: each as the problem `B2_ROOT_GONE` or `B2_ROOT_EMPTY` names it.
    pub accept_missing: Vec<String>,
}

/// What a push did.
#[derive(Clone, Debug, Default)]
pub struct PushReport {
    /// Id of the new snapshot; `None` when nothing had changed.
    pub snapshot: Option<String>,
    /// Id of a snapshot of an earlier, interrupted push that was committed first.
    pub resumed: Option<String>,
    /// Snapshots of this machine in the bucket that are not safety snapshots, as it remembers.
    pub snapshots: u64,
    /// Files in the snapshot (in the newest one, when nothing had changed).
    pub files: u64,
    /// Bytes of content of those files.
    pub bytes: u64,
    /// Body bytes sent.
    pub uploaded_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// What is not in the newest snapshot, or not as it should be, the worst first. Also of a push that found nothing new.
    pub skipped: Vec<FileProblem>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

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
                writer.become_another(session)?;
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
    if recovery::set_aside(session).await?.is_empty() {
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

/// What becoming a snapshot came to.
enum Made {
    Snapshot(Box<Captured>),
    /// Nothing had changed.
    Nothing(PushReport),
    /// This machine is a clone.
    Cloned,
}

/// Makes a snapshot of the state as it is, or with `aside` in its places as it was at the newest one.
async fn snapshot(
    session: &Session,
    writer: &mut Writer,
    reason: Reason,
    accepted: &[String],
    aside: Option<&[AsideItem]>,
) -> Result<Made> {
    session.report(Phase::Scan, 0, None, 0);
    let scanned = async |writer: &Writer| {
        let mut scan = Scan::take(session, writer, accepted).await?;
        let Some(items) = aside.map(<[AsideItem]>::to_vec) else { return Ok(scan) };
        Session::blocking(move || scan.turn_back(&items).map(|()| scan)).await
    };
    let mut scan = scanned(writer).await?;
    // At most twice: the second time builds on nothing, so nothing can vanish under it.
    for _ in 0..2 {
        let changes = Changes::between(&scan, session, writer);
        if let Some(report) = changes.none(&scan, writer) {
            return Ok(Made::Nothing(report));
        }
        let captured = match capture_and_upload(session, writer, &mut scan, changes, reason).await?
        {
            Outcome::Captured(captured) => captured,
            Outcome::Unchanged { files, counts, skipped } => {
                writer.local.save_files(&files)?;
                let report = changes::unchanged(counts.files, counts.bytes, skipped, &scan, writer);
                return Ok(Made::Nothing(report));
            }
        };
        match commit::commit(session, writer, &captured, false).await? {
            Committed::Yes => {
                writer.warnings.append(&mut scan.warnings);
                return Ok(Made::Snapshot(captured));
            }
            Committed::BaseGone => {
                // Chunks that were taken for known have to be uploaded after all.
                writer.spool.give_up_captured()?;
                writer.base = None;
                scan = scanned(writer).await?;
            }
            Committed::Cloned => {
                writer.become_another(session)?;
                return Ok(Made::Cloned);
            }
        }
    }
    Err(Error::internal("a push that builds on nothing lost its base"))
}

/// Finishes the upload of a push that was cut off. What was sent then is not there for sure now: the bucket may have
/// been emptied, or be another one at the same place.
async fn resume(session: &Session, writer: &mut Writer, waiting: &Captured) -> Result<Committed> {
    let id = SnapshotId::try_from(waiting.newest.snapshot.as_str())?;
    let whose = commit::whose(session, &id, &waiting.newest.object).await?;
    if whose == Whose::Others {
        return Ok(Committed::Cloned);
    }
    let lost = upload::lost(session, writer, waiting).await?;
    // What only the waiting snapshot has comes with the next one, unless the waiting one is in the bucket already.
    let (new, old): (Vec<_>, Vec<_>) = lost.iter().partition(|name| waiting.packs.contains(name));
    if writer.base.is_some() {
        writer.local.note_bad(old)?;
    }
    if whose == Whose::Ours {
        writer.local.note_bad(new)?;
        return commit::committed(session, writer, waiting, &id).await.map(|()| Committed::Yes);
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
