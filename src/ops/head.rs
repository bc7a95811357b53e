//! The snapshots that this machine remembers, against what a listing shows: a bucket that was emptied or set back must
//! not look like one in which all is well, and a listing may be stale.

use std::collections::HashSet;
use std::fmt::{Display, Formatter};

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::session::Session;
use crate::error::{Error, Result};
use crate::format::{SnapshotId, SnapshotName};
use crate::store::ObjectKey;

/// Names asked for at the same time.
const PARALLEL: usize = 6;

/// Snapshots that this machine made and did not delete, and that a listing does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unlisted {
    /// In the bucket: the listing is stale.
    pub(super) there: Vec<SnapshotId>,
    /// Not in the bucket any more. The newest of the machine comes first.
    pub(super) gone: Vec<Gone>,
}

/// A snapshot that somebody else deleted or hid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) id: SnapshotId,
    /// Whether it is the newest of this machine.
    pub(super) newest: bool,
}

impl Unlisted {
    /// Looks for those that pruning has not found gone yet. One request for each that the listing does not show.
    pub(super) async fn find(session: &Session, names: &[SnapshotName]) -> Result<Self> {
        Self::look(session, names, false).await
    }

    /// Looks for all of the last month, those that pruning found gone among them.
    pub(super) async fn find_all(session: &Session, names: &[SnapshotName]) -> Result<Self> {
        Self::look(session, names, true).await
    }

    async fn look(session: &Session, names: &[SnapshotName], lost: bool) -> Result<Self> {
        let local = session.local_repository(session.settings.encrypt);
        let Some(newest) = local.newest()?.filter(|_| session.settings.store.as_of.is_none())
        else {
            return Ok(Self::default());
        };
        let pruning = local.pruning()?;
        let mut remembered = vec![newest.snapshot.clone()];
        // Of a prune that was cut off: noted as deleted, and not yet taken from those that were written.
        remembered.extend(newest.written.into_iter().filter(|name| !pruning.has_pruned(name)));
        if lost {
            remembered.extend(pruning.lost.into_iter().map(|lost| lost.snapshot));
        }
        let listed: HashSet<&SnapshotId> = names
            .iter()
            .filter_map(|name| match name {
                SnapshotName::Current(id) => Some(id),
                SnapshotName::Legacy(_) => None,
            })
            .collect();
        let mut asked = Vec::new();
        for name in remembered {
            let id = SnapshotId::try_from(name.as_str())?;
            if !listed.contains(&id) && !asked.contains(&id) {
                asked.push(id);
            }
        }
        let asking = asked.into_iter().map(|id| async move {
            let there = is_there(session, &id).await?;
            Ok::<_, Error>((id, there))
        });
        let answers: Vec<_> =
            futures_util::stream::iter(asking).buffered(PARALLEL).try_collect().await?;
        let (there, gone): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, there)| *there);
        let gone =
            gone.into_iter().map(|(id, _)| Gone { newest: id.to_string() == newest.snapshot, id });
        Ok(Self { there: there.into_iter().map(|(id, _)| id).collect(), gone: gone.collect() })
    }

    /// Adds to a listing what is missing from it, and tells of what is gone.
    pub(super) fn complete(self, names: &mut Vec<SnapshotName>, warnings: &mut Vec<String>) {
        names.extend(self.there.into_iter().map(SnapshotName::Current));
        warnings.extend(self.gone.iter().map(Gone::to_string));
    }
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
pub(super) async fn is_there(session: &Session, id: &SnapshotId) -> Result<bool> {
    let key = ObjectKey::new(id.object())?;
    match session.store.get_range(&key, 0, 1).await {
        Ok(_) => Ok(true),
        Err(Error::ObjectMissing { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
