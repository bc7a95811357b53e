//! Sending packs from the spool.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc::UnboundedReceiver;

use super::frames::Budget;
use super::writer::Writer;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::format::{MachineId, PackName, PackRef, SnapshotId, pack_prefix};
use crate::local::{Captured, Spool};
use crate::progress::Phase;
use crate::repo::{KeyRing, PackIndex, Snapshot};
use crate::store::{ObjectKey, ObjectStore};

/// Packs sent at the same time. A home uplink is filled by one; more only hide the latency of requests.
const PARALLEL: usize = 2;

/// Sends packs as they come, until the sender is gone.
pub(super) async fn upload_stream(
    store: Arc<dyn ObjectStore>,
    spool: Spool,
    machine: MachineId,
    room: Arc<Budget>,
    mut packs: UnboundedReceiver<PackRef>,
) -> Result<()> {
    let stream = futures_util::stream::poll_fn(move |context| packs.poll_recv(context));
    let mut sending = stream
        .map(|pack| {
            let (store, spool, room) = (Arc::clone(&store), spool.clone(), Arc::clone(&room));
            async move {
                send(&*store, &spool, machine, pack).await?;
                room.give(pack.bytes);
                Ok(())
            }
        })
        .buffer_unordered(PARALLEL);
    while let Some(sent) = sending.next().await {
        if let Err(error) = sent {
            // Whoever waits for room must not wait for ever.
            room.close();
            return Err(error);
        }
    }
    Ok(())
}

async fn send(
    store: &dyn ObjectStore,
    spool: &Spool,
    machine: MachineId,
    pack: PackRef,
) -> Result<()> {
    let key = ObjectKey::new(pack.name.object(machine))?;
    let marking = spool.clone();
    store.put_file(&key, &spool.file(&pack), pack.bytes).await?;
    Session::blocking(move || marking.mark_sent(&pack)).await
}

/// Packs that a waiting snapshot uses, and that are neither in the spool nor in the bucket with their size.
///
/// One LIST. All of them, those of its base too, where the manifest does not open any more.
pub(super) async fn lost(
    ring: &KeyRing,
    store: &dyn ObjectStore,
    writer: &Writer,
    waiting: &Captured,
) -> Result<Vec<PackName>> {
    let id = SnapshotId::try_from(waiting.newest.snapshot.as_str())?;
    let object = Bytes::from(waiting.newest.object.clone());
    let manifest = match Snapshot::open(ring, &id, &object).await {
        Ok(snapshot) => snapshot.manifest,
        Err(Error::WrongKey { .. }) => return Ok(waiting.packs.clone()),
        Err(error) => return Err(error),
    };
    let unsent = writer.spool.packs()?.into_iter().filter(|(_, sent)| !sent);
    let unsent: HashSet<PackName> = unsent.map(|(pack, _)| pack.name).collect();
    if manifest.packs.iter().all(|pack| unsent.contains(&pack.name)) {
        return Ok(Vec::new());
    }
    let stored = store.list(&pack_prefix(writer.machine), false).await?.objects;
    let stored: HashMap<&str, u64> =
        stored.iter().map(|object| (object.key.as_str(), object.size)).collect();
    let needed = manifest.packs.iter().filter(|pack| !unsent.contains(&pack.name));
    let lost = needed
        .filter(|pack| stored.get(pack.name.object(writer.machine).as_str()) != Some(&pack.bytes));
    Ok(lost.map(|pack| pack.name).collect())
}

/// Sends what an interrupted push left in the spool.
///
/// # Errors
/// `B2_DAMAGED` when a pack of the snapshot is gone or cut off.
pub(super) async fn upload_waiting(
    session: &Session,
    writer: &Writer,
    waiting: &Captured,
) -> Result<()> {
    let packs = writer.spool.packs()?;
    if let Some(lost) =
        waiting.packs.iter().find(|name| !packs.iter().any(|(pack, _)| pack.name == **name))
    {
        return Err(Error::damaged(lost.object(writer.machine), "is gone from the spool"));
    }
    let total: u64 = packs.iter().filter(|(_, sent)| !sent).map(|(pack, _)| pack.bytes).sum();
    let before = session.store.traffic().sent_bytes;
    let waiting = packs.into_iter().filter(|(_, sent)| !sent);
    let mut sending = futures_util::stream::iter(waiting)
        .map(|(pack, _)| send(&*session.store, &writer.spool, writer.machine, pack))
        .buffer_unordered(PARALLEL);
    while let Some(sent) = sending.next().await {
        sent?;
        let done = session.store.traffic().sent_bytes - before;
        session.report(Phase::Upload, done, Some(total.max(done)), 0);
    }
    Ok(())
}

/// Packs of an interrupted push whose snapshot was never fixed: those that are whole in the spool, and those
/// that the bucket certainly has. Their chunks need not be made again. All others are forgotten.
pub(super) async fn adopt(
    store: &dyn ObjectStore,
    writer: &Writer,
) -> Result<Vec<(PackRef, PackIndex, bool)>> {
    let packs = writer.spool.packs()?;
    let mut adopted = Vec::new();
    let stored = if packs.iter().any(|(_, sent)| *sent) {
        store.list(&pack_prefix(writer.machine), false).await?.objects
    } else {
        Vec::new()
    };
    for (pack, sent) in packs {
        let name = pack.name.object(writer.machine);
        let index = if sent {
            let there = stored.iter().any(|object| object.key == name && object.size == pack.bytes);
            let tail = writer.local.tail(pack.name)?.filter(|_| there);
            tail.and_then(|tail| open(writer, &pack, &tail).ok())
        } else {
            let bytes = writer.spool.read(&pack)?;
            whole(writer, &pack, &bytes)
        };
        match index {
            Some(index) => adopted.push((pack, index, sent)),
            None => writer.spool.drop_pack(&pack)?,
        }
    }
    Ok(adopted)
}

fn open(writer: &Writer, pack: &PackRef, tail: &[u8]) -> Result<PackIndex> {
    PackIndex::open(&writer.key, writer.record.repository, writer.machine, pack, tail)
}

/// The index of a pack of which every frame opens; a power cut may have left only a part of it.
fn whole(writer: &Writer, pack: &PackRef, bytes: &[u8]) -> Option<PackIndex> {
    if bytes.len() as u64 != pack.bytes {
        return None;
    }
    let tail = bytes.get(bytes.len().checked_sub(usize::try_from(pack.footer_bytes).ok()?)?..)?;
    let index = open(writer, pack, tail).ok()?;
    for frame in 0..index.footer().frames.len() {
        let (offset, _, entry) = index.frame(frame)?;
        let start = usize::try_from(offset).ok()?;
        let stored = bytes.get(start..start + usize::try_from(entry.stored_bytes).ok()?)?;
        index.open_frame(frame, stored).ok()?;
    }
    Some(index)
}
