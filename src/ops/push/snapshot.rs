//! One snapshot: scan, capture, upload, commit.

use super::changes::{self, Changes, Scan};
use super::commit::{self, Committed};
use super::compose::capture_and_upload;
use super::contents::Outcome;
use super::report::PushReport;
use super::writer::Writer;
use crate::crypto::sha256;
use crate::engine::session::{Session, Settings};
use crate::error::{Error, Result};
use crate::format::{MAX_MANIFEST_BYTES, Reason, SnapshotId};
use crate::local::Captured;
use crate::ops::recovery::AsideItem;
use crate::progress::Phase;
use crate::source::{EntryKind, Found, is_stray};
use crate::store::{ObjectKey, ObjectStore};

/// What becoming a snapshot came to.
pub(super) enum Made {
    Snapshot(Box<Captured>),
    /// Nothing had changed.
    Nothing(PushReport),
    /// This machine is a clone.
    Cloned,
}

/// Makes a snapshot of the state as it is, or with `aside` in its places as it was at the newest one.
pub(super) async fn snapshot(
    session: &Session,
    writer: &mut Writer,
    reason: Reason,
    accepted: &[String],
    aside: Option<&[AsideItem]>,
) -> Result<Made> {
    session.report(Phase::Scan, 0, None, 0);
    let scanned = async |writer: &Writer| {
        let mut scan = Scan::take(session, writer, accepted).await?;
        scan.anew |= reason != Reason::Safety && is_safety(writer);
        let Some(items) = aside.map(<[AsideItem]>::to_vec) else { return Ok(scan) };
        Session::blocking(move || scan.turn_back(&items).map(|()| scan)).await
    };
    let mut scan = scanned(writer).await?;
    // A rollback on a blank machine has nothing to keep safe, and means it.
    if writer.lineage.is_none() && aside.is_none() && reason != Reason::Safety {
        refuse_nothing(&session.settings, &scan)?;
    }
    // Once more where the newest snapshot turns out to be damaged, and once where it is gone: then it builds on nothing,
    // so nothing can vanish under it.
    for _ in 0..3 {
        let changes = Changes::between(&scan, &session.ambient.cancel, writer);
        if changes.none(&scan) {
            if newest_is_whole(&*session.store, writer).await? {
                return Ok(Made::Nothing(changes.report(&scan, writer)));
            }
            scan.anew = true;
            continue;
        }
        let captured = match capture_and_upload(session, writer, &mut scan, changes, reason).await?
        {
            Outcome::Captured(captured) => captured,
            Outcome::Unchanged { files, counts, skipped } => {
                writer.local.save_files(&files)?;
                if !newest_is_whole(&*session.store, writer).await? {
                    // The capture has used up what was scanned.
                    scan = scanned(writer).await?;
                    scan.anew = true;
                    continue;
                }
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
                writer.become_another(&session.local, &*session.ambient.entropy)?;
                return Ok(Made::Cloned);
            }
        }
    }
    Err(Error::internal("a push that builds on nothing lost its base"))
}

/// Whether the newest snapshot is one of safety. That is never `latest`: what it alone has would not come to a new machine,
/// and it goes sooner. A rollback that changed nothing leaves it so.
fn is_safety(writer: &Writer) -> bool {
    let newest = writer.base.as_ref().map(|newest| SnapshotId::try_from(newest.snapshot.as_str()));
    newest.is_some_and(|id| id.is_ok_and(|id| id.safety))
}

/// A first snapshot of nothing is not what anybody wants: a disk is not mounted, or the directory is the wrong one. To a
/// new machine it would be the latest there is.
fn refuse_nothing(settings: &Settings, scan: &Scan) -> Result<()> {
    let is_file = |found: &Found| found.kind == EntryKind::File && !is_stray(found.path.as_bytes());
    if scan.walk.found.iter().any(is_file) || !scan.skipped.is_empty() {
        return Ok(());
    }
    let message = format!(
        "there is no file in {}: is its disk mounted, and is it the right directory? Nothing was stored",
        settings.state_dir.display()
    );
    Err(Error::config("stateDir", message))
}

/// Whether the manifest of the newest snapshot is what was written: on that rests that all is saved where nothing has
/// changed. One GET. Where it is not, that is told.
async fn newest_is_whole(store: &dyn ObjectStore, writer: &mut Writer) -> Result<bool> {
    let Some(newest) = &writer.base else { return Ok(true) };
    let id = SnapshotId::try_from(newest.snapshot.as_str())?;
    let what = match store.get(&ObjectKey::new(id.object())?, MAX_MANIFEST_BYTES).await {
        Ok(object) if sha256(&object) == newest.sha256 => return Ok(true),
        Ok(_) | Err(Error::Damaged { .. }) => "is damaged",
        Err(Error::ObjectMissing { .. }) => "is gone from the bucket",
        Err(error) => return Err(error),
    };
    writer.warnings.push(format!(
        "the manifest of the newest snapshot, {id}, {what}: another snapshot of the same was made"
    ));
    Ok(false)
}
