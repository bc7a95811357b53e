//! Capturing with the upload going on beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::changes::{Changes, Scan};
use super::contents::{Outcome, Plan, Start, read_all};
use super::drafts::Owned;
use super::frames::{Budget, FramePipe, PackMaker};
use super::upload;
use super::writer::Writer;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::format::{Entry, PackRef, Reason, SnapshotId};
use crate::progress::Phase;
use crate::repo::{Known, PackSource, Snapshot};
use crate::store::ObjectStore;

/// Sealed packs that may wait on disk for the upload.
const SPOOL_BYTES: u64 = 512 << 20;
/// Footers fetched at the same time, where they are not remembered.
const PARALLEL: usize = 6;

/// Captures the changes and uploads the packs; only the commit is left.
pub(super) async fn capture_and_upload(
    session: &Session,
    writer: &mut Writer,
    scan: &mut Scan,
    mut changes: Changes,
    reason: Reason,
) -> Result<Outcome> {
    writer.refresh_slots(session).await?;
    let start = prepare(&session.store, writer, scan).await?;
    let usable = |entry: &Entry| entry.runs.iter().all(|run| start.indexes.contains_key(&run.pack));
    changes.read_lost(&scan.walk.found, usable);
    let room = Budget::new(SPOOL_BYTES);
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    for (pack, sent) in &start.adopted {
        if !sent {
            let _receiver_is_here = sender.send(*pack);
        }
    }
    let maker = PackMaker {
        key: writer.key.clone(),
        repository: writer.record.repository,
        machine: writer.machine,
        entropy: Arc::clone(&session.ambient.entropy),
        spool: writer.spool.clone(),
        next_pack: start.next_pack,
    };
    let uploading = upload::upload_stream(
        Arc::clone(&session.store),
        writer.spool.clone(),
        writer.machine,
        Arc::clone(&room),
        receiver,
    );
    let pipe = FramePipe::start(session.ambient.cpu.clone(), maker, Arc::clone(&room), sender)?;
    let plan = Plan::new(session, writer, scan, reason)?;
    let owned = Owned::of(scan, changes, writer.base.is_some(), usable);
    let stop = StopOnDrop { cancel: session.ambient.cancel.child_token(), room: Arc::clone(&room) };
    let cancel = stop.cancel.clone();
    let progress = Arc::clone(&session.ambient.progress);
    let capturing = Session::blocking(move || {
        let result = read_all(plan, owned, start, pipe, cancel, progress);
        if result.is_err() {
            room.close();
        }
        result
    });
    let capturing = async {
        let captured = capturing.await;
        if let Ok(outcome) = &captured {
            let counts = outcome.counts();
            session.report(Phase::Captured, counts.bytes, Some(counts.bytes), counts.files);
        }
        captured
    };
    // Both to their end: the one that fails closes the budget that the other waits for. The failure of the
    // upload comes first, since the other is then only a consequence.
    let (captured, uploaded) = tokio::join!(capturing, watch(session, uploading));
    match (captured, uploaded) {
        (Ok(captured), Ok(())) => Ok(captured),
        (Err(Error::Cancelled) | Ok(_), Err(error)) | (Err(error), _) => Err(error),
    }
}

/// Ends the capturing threads when nobody waits for them any more.
struct StopOnDrop {
    cancel: tokio_util::sync::CancellationToken,
    room: Arc<Budget>,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.room.close();
    }
}

/// Reports the upload while it runs.
async fn watch(session: &Session, uploading: impl Future<Output = Result<()>>) -> Result<()> {
    let before = session.store.traffic().sent_bytes;
    let mut uploading = std::pin::pin!(uploading);
    loop {
        let tick = session.ambient.clock.sleep(std::time::Duration::from_millis(250));
        tokio::select! {
            done = &mut uploading => return done,
            () = tick => session.report(Phase::Upload, session.store.traffic().sent_bytes - before, None, 0),
        }
    }
}

async fn prepare(store: &Arc<dyn ObjectStore>, writer: &Writer, scan: &Scan) -> Result<Start> {
    let mut start = Start {
        known: Known::default(),
        indexes: BTreeMap::new(),
        adopted: Vec::new(),
        next_pack: writer.lineage.as_ref().map_or(0, |newest| newest.next_pack),
    };
    let adopted = upload::adopt(&**store, writer).await?;
    if let Some((manifest, _)) = scan.base.as_ref().filter(|_| writer.base.is_some()) {
        let newest = writer.base.as_ref().ok_or_else(|| Error::internal("no base"))?;
        let snapshot = Snapshot {
            id: SnapshotId::try_from(newest.snapshot.as_str())?,
            repository: writer.record.repository,
            key: writer.key.clone(),
            manifest: manifest.clone(),
            sha256: newest.sha256,
        };
        let source =
            PackSource::new(Arc::clone(store), Arc::new(snapshot), Some(writer.local.clone()));
        let bad = writer.local.proof()?.unwrap_or_default().bad;
        let good = |pack: &&PackRef| !bad.contains(&pack.name);
        let packs: Vec<PackRef> = manifest.packs.iter().filter(good).copied().collect();
        let open = |pack: PackRef| {
            let source = source.clone();
            async move { (pack, source.index(&pack, 0).await) }
        };
        let mut opening = futures_util::stream::iter(packs).map(open).buffered(PARALLEL);
        while let Some((pack, opened)) = opening.next().await {
            match opened {
                Ok((mut index, _)) => {
                    start.known.add(pack.number, &index);
                    index.forget_ids();
                    start.indexes.insert(pack.number, (pack, index));
                }
                // A pack that is lost or damaged is not known: what it held is uploaded again.
                Err(Error::Damaged { object, message }) => {
                    tracing::warn!(object, message, "pack not used");
                }
                Err(Error::ObjectMissing { object }) => tracing::warn!(object, "pack is missing"),
                Err(error) => return Err(error),
            }
        }
    }
    for (pack, mut index, sent) in adopted {
        start.next_pack = start.next_pack.max(pack.number + 1);
        start.known.add(pack.number, &index);
        start.adopted.push((pack, sent));
        index.forget_ids();
        start.indexes.insert(pack.number, (pack, index));
    }
    start.known = start.known.sorted();
    Ok(start)
}
