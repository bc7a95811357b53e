//! The last step: the manifest's PUT.

use std::time::Duration;

use bytes::Bytes;

use super::writer::{SecondLook, Writer};
use crate::error::{Error, Result};
use crate::format::{PackName, SnapshotId};
use crate::ops::head::is_there;
use crate::ops::session::Session;
use crate::repo::{Captured, Snapshot};
use crate::store::ObjectKey;

/// A listing older than this proves nothing about the manifest that a push builds on (docs/format.md, Push).
const LISTING_HOLDS: Duration = Duration::from_mins(10);

/// Whether the snapshot is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Committed {
    Yes,
    /// The manifest that it builds on is gone from the bucket, and with it perhaps the packs.
    BaseGone,
    /// Another machine goes on with this lineage: this one needs a lineage of its own.
    Cloned,
}

/// Commits a captured snapshot whose packs are all in the bucket. `again` for one of an earlier run, which may
/// be there already: its answer was lost, or the process died before it could note it.
pub(super) async fn commit(
    session: &Session,
    writer: &mut Writer,
    captured: &Captured,
    again: bool,
) -> Result<Committed> {
    let id = SnapshotId::try_from(captured.newest.snapshot.as_str())?;
    if !(again && is_there(session, &id).await?) {
        let age = session.ambient.clock.now().duration_since(writer.listed_at);
        let fresh = age.is_ok_and(|age| age < LISTING_HOLDS) && !again;
        if !fresh {
            match writer.look_again(session, captured.base.as_deref()).await? {
                SecondLook::Same => {}
                SecondLook::BaseGone => return Ok(Committed::BaseGone),
                SecondLook::Cloned => return Ok(Committed::Cloned),
            }
        }
        let object = Bytes::from(captured.newest.object.clone());
        session.store.put(&ObjectKey::new(id.object())?, object).await?;
    }
    writer.spool.committed(captured)?;
    writer.base = Some(captured.newest.clone());
    writer.lineage.clone_from(&writer.base);
    forget_unused(session, writer, &id, captured).await?;
    Ok(Committed::Yes)
}

/// Drops cached footers of packs that the newest snapshot does not use.
async fn forget_unused(
    session: &Session,
    writer: &Writer,
    id: &SnapshotId,
    captured: &Captured,
) -> Result<()> {
    let object = Bytes::from(captured.newest.object.clone());
    let snapshot = match Snapshot::open(&session.ring, id, &object).await {
        Ok(snapshot) => snapshot,
        // A key that was lost meanwhile: the cache keeps a few footers more.
        Err(Error::WrongKey { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let used: std::collections::HashSet<PackName> =
        snapshot.manifest.packs.iter().map(|pack| pack.name).collect();
    writer.local.retain_tails(&|name| used.contains(&name))
}
