//! The last step: the manifest's PUT.

use std::time::Duration;

use bytes::Bytes;

use super::writer::{SecondListing, Writer};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::format::{MAX_MANIFEST_BYTES, PackName, SnapshotId};
use crate::local::Captured;
use crate::repo::{KeyRing, Snapshot};
use crate::store::{ObjectKey, ObjectStore};

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

/// What lies under the name of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Nobody,
    /// What this machine made.
    Ours,
    /// Something else: a copy of this machine made a snapshot in the same second.
    Others,
}

/// Reads what lies under the name of a manifest, and compares it with the one that this machine made.
pub(super) async fn whose(
    store: &dyn ObjectStore,
    id: &SnapshotId,
    object: &[u8],
) -> Result<Whose> {
    match store.get(&ObjectKey::new(id.object())?, MAX_MANIFEST_BYTES).await {
        Ok(found) if found == object => Ok(Whose::Ours),
        Ok(_) => Ok(Whose::Others),
        Err(Error::ObjectMissing { .. }) => Ok(Whose::Nobody),
        Err(error) => Err(error),
    }
}

/// Commits a captured snapshot whose packs are all in the bucket. `again` for one of an earlier run.
pub(super) async fn commit(
    session: &Session,
    writer: &mut Writer,
    captured: &Captured,
    again: bool,
) -> Result<Committed> {
    let id = SnapshotId::try_from(captured.newest.snapshot.as_str())?;
    let age = session.ambient.clock.now().duration_since(writer.listed_at);
    let fresh = age.is_ok_and(|age| age < LISTING_HOLDS) && !again;
    if !fresh {
        match writer
            .list_again(&*session.store, &*session.ambient.clock, captured.base.as_deref())
            .await?
        {
            SecondListing::Same => {}
            SecondListing::BaseGone => return Ok(Committed::BaseGone),
            SecondListing::Cloned => return Ok(Committed::Cloned),
        }
    }
    if !put(session, &id, &captured.newest.object, &mut writer.warnings).await? {
        return Ok(Committed::Cloned);
    }
    committed(&session.ring, writer, captured, &id).await?;
    Ok(Committed::Yes)
}

/// Writes the manifest, and tells whether it is there now. Not where a copy of this machine has written another one
/// of that name: whoever comes second makes way.
async fn put(
    session: &Session,
    id: &SnapshotId,
    object: &[u8],
    warnings: &mut Vec<String>,
) -> Result<bool> {
    let store = &session.store;
    let key = ObjectKey::new(id.object())?;
    if !store.put_new(&key, Bytes::copy_from_slice(object)).await? {
        // Of an attempt whose answer was lost, or another's.
        return Ok(whose(&*session.store, id, object).await? == Whose::Ours);
    }
    let (visible, versions) =
        tokio::join!(whose(&*session.store, id, object), store.list_versions(key.as_str()));
    let versions = match versions {
        Ok(versions) => versions.unwrap_or_default(),
        // Not every server has versions, and not every key may list them: what is visible has to do.
        Err(Error::Capability { .. } | Error::Store { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    let contents: Vec<_> =
        versions.iter().filter(|one| one.key == key.as_str() && !one.hidden).collect();
    let several = contents.windows(2).any(|pair| match pair {
        [one, other] => one.size != other.size || one.etag.is_none() || one.etag != other.etag,
        _ => false,
    });
    if several {
        // Between the look and the PUT another one came: what came first is right, and is to be seen again.
        let first = contents.last().map(|first| first.version.as_str()).unwrap_or_default();
        if store.get_version(&key, first, MAX_MANIFEST_BYTES).await? != object {
            for one in &contents {
                if store.get_version(&key, &one.version, MAX_MANIFEST_BYTES).await? == object
                    && let Err(error) = store.delete(&key, Some(&one.version)).await
                {
                    warnings.push(hides(&key, &error));
                }
            }
            return Ok(false);
        }
    }
    match visible? {
        Whose::Ours => Ok(true),
        Whose::Others => Ok(false),
        Whose::Nobody => {
            let message = "is not there, although the server took it".to_owned();
            Err(Error::Store { operation: "PUT", object: key.to_string(), message })
        }
    }
}

/// What the user is told where what came second stays visible.
fn hides(key: &ObjectKey, error: &Error) -> String {
    format!(
        "{key} of the copy lies hidden behind one that this machine wrote in the same second, and could not delete ({error}). \
         That snapshot cannot be restored until `b2-backup undelete` brings it back"
    )
}

/// Remembers a snapshot whose manifest is in the bucket.
pub(super) async fn committed(
    ring: &KeyRing,
    writer: &mut Writer,
    captured: &Captured,
    id: &SnapshotId,
) -> Result<()> {
    writer.spool.committed(captured)?;
    writer.base = Some(captured.newest.clone());
    writer.lineage.clone_from(&writer.base);
    forget_unused(ring, writer, id, captured).await
}

/// Drops cached footers of packs that the newest snapshot does not use.
async fn forget_unused(
    ring: &KeyRing,
    writer: &Writer,
    id: &SnapshotId,
    captured: &Captured,
) -> Result<()> {
    let object = Bytes::from(captured.newest.object.clone());
    let snapshot = match Snapshot::open(ring, id, &object).await {
        Ok(snapshot) => snapshot,
        // A key that was lost meanwhile: the cache keeps a few footers more.
        Err(Error::WrongKey { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let used: std::collections::HashSet<PackName> =
        snapshot.manifest.packs.iter().map(|pack| pack.name).collect();
    writer.local.retain_tails(&|name| used.contains(&name))
}
