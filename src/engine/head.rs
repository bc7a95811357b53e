//! The snapshots that this machine remembers, against what a listing shows: a bucket that was emptied or set back must
//! not look like one in which all is well, and a listing may be stale.

use std::collections::HashSet;
use std::fmt::{Display, Formatter};

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::session::Session;
use crate::error::{Error, Result};
use crate::format::{SnapshotId, SnapshotName};
use crate::repo::{Snapshot, find, read};
use crate::store::{ObjectKey, ObjectStore};

/// Names asked for at the same time.
const PARALLEL: usize = 6;

/// Snapshots that this machine made and did not delete, and that a listing does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unlisted {
    /// In the bucket: the listing is stale.
    pub(crate) there: Vec<SnapshotId>,
    /// Not in the bucket any more. The newest of the machine comes first.
    pub(crate) gone: Vec<Gone>,
}

/// A snapshot that somebody else deleted or hid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) id: SnapshotId,
    /// Whether it is the newest of this machine.
    pub(crate) newest: bool,
}

impl Unlisted {
    /// Looks for those that pruning has not found gone yet. One request for each that the listing does not show.
    pub(crate) async fn find(session: &Session, names: &[SnapshotName]) -> Result<Self> {
        Self::read(session, names, false).await
    }

    /// Looks for all of the last month, those that pruning found gone among them.
    pub(crate) async fn find_all(session: &Session, names: &[SnapshotName]) -> Result<Self> {
        Self::read(session, names, true).await
    }

    async fn read(session: &Session, names: &[SnapshotName], lost: bool) -> Result<Self> {
        let Some(remembered) = Remembered::load(session, lost)? else { return Ok(Self::default()) };
        let listed: HashSet<&SnapshotId> = names
            .iter()
            .filter_map(|name| match name {
                SnapshotName::Current(id) => Some(id),
                SnapshotName::Legacy(_) => None,
            })
            .collect();
        let mut asked = Vec::new();
        for name in &remembered.names {
            let id = SnapshotId::try_from(name.as_str())?;
            if !listed.contains(&id) && !asked.contains(&id) {
                asked.push(id);
            }
        }
        let asking = asked.into_iter().map(|id| async move {
            let there = is_there(&*session.store, &id).await?;
            Ok::<_, Error>((id, there))
        });
        let answers: Vec<_> =
            futures_util::stream::iter(asking).buffered(PARALLEL).try_collect().await?;
        let (there, gone): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, there)| *there);
        // Another command may have pruned it since memory was read: it notes what it deletes before it does.
        let again = if gone.is_empty() { None } else { Remembered::load(session, lost)? };
        let gone = gone.into_iter().map(|(id, _)| (id.to_string(), id));
        let gone =
            gone.filter(|(name, _)| again.as_ref().is_some_and(|it| it.names.contains(name)));
        let gone = gone.map(|(name, id)| Gone { newest: name == remembered.newest, id });
        Ok(Self { there: there.into_iter().map(|(id, _)| id).collect(), gone: gone.collect() })
    }

    /// Adds to a listing what is missing from it, and tells of what is gone.
    pub(crate) fn complete(self, names: &mut Vec<SnapshotName>, warnings: &mut Vec<String>) {
        names.extend(self.there.into_iter().map(SnapshotName::Current));
        warnings.extend(self.gone.iter().map(Gone::to_string));
    }
}

/// What this machine made here and did not delete, as it remembers at this moment.
struct Remembered {
    newest: String,
    names: Vec<String>,
}

impl Remembered {
    /// `None` where it has made nothing, and where what is looked at is how things were. With `lost` also what pruning
    /// found gone.
    fn load(session: &Session, lost: bool) -> Result<Option<Self>> {
        let local = session.local_repository(session.settings.encrypt);
        let Some(newest) = local.newest()?.filter(|_| session.settings.store.as_of.is_none())
        else {
            return Ok(None);
        };
        let pruning = local.pruning()?;
        let mut names = vec![newest.snapshot.clone()];
        // Of a prune that was cut off: noted as deleted, and not yet taken from those that were written.
        names.extend(newest.written.into_iter().filter(|name| !pruning.has_pruned(name)));
        if lost {
            names.extend(pruning.lost.into_iter().map(|lost| lost.snapshot));
        }
        Ok(Some(Self { newest: newest.snapshot, names }))
    }
}

/// Reads the manifest of a snapshot that a listing showed. `None` where it was deleted since then as it should be: pruned
/// by this machine, or by whoever else it belongs to.
///
/// # Errors
/// As [`read`]. `B2_SNAPSHOT_NOT_FOUND` is for one that should be there.
pub(crate) async fn read_listed(session: &Session, id: &SnapshotId) -> Result<Option<Snapshot>> {
    match read(&*session.store, &session.ring, id).await {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(error @ Error::SnapshotNotFound { .. }) => {
            if was_deleted(session, id).await? {
                Ok(None)
            } else {
                Err(error)
            }
        }
        Err(error) => Err(error),
    }
}

/// Whether a snapshot that a listing showed, and that is not there when it is asked for, was deleted meanwhile as it
/// should be.
async fn was_deleted(session: &Session, id: &SnapshotId) -> Result<bool> {
    if session.local.machine()? == Some(id.machine)
        && let Some(remembered) = Remembered::load(session, true)?
    {
        return Ok(!remembered.names.contains(&id.to_string()));
    }
    Ok(!find(&*session.store).await?.contains(&SnapshotName::Current(id.clone())))
}

impl Display for Gone {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { id, newest } = self;
        if *newest {
            write!(f, "the newest snapshot of this machine, {id}, is gone from the bucket")
        } else {
            write!(
                f,
                "snapshot {id} of this machine is gone from the bucket, and this machine did not delete it"
            )
        }
    }
}

/// Asks for a manifest by name: a listing may be stale, so absence from it proves nothing.
pub(crate) async fn is_there(store: &dyn ObjectStore, id: &SnapshotId) -> Result<bool> {
    let key = ObjectKey::new(id.object())?;
    match store.get_range(&key, 0, 1).await {
        Ok(_) => Ok(true),
        Err(Error::ObjectMissing { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
