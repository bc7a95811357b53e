//! The newest snapshot that this machine remembers, against what a listing shows: a bucket that was emptied or set
//! back must not look like one in which all is well, and a listing may be stale.

use super::session::Session;
use crate::error::{Error, Result};
use crate::format::{SnapshotId, SnapshotName};
use crate::store::ObjectKey;

/// Where the newest snapshot of this machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// In the listing; or there is none; or it is not the present that is looked at.
    Listed,
    /// In the bucket: the listing is stale.
    Unlisted(SnapshotId),
    /// Not in the bucket any more.
    Gone(SnapshotId),
}

impl Head {
    /// Looks for it. One request where the listing does not show it, else none.
    pub(super) async fn find(session: &Session, names: &[SnapshotName]) -> Result<Self> {
        let newest = session.local_repository(session.settings.encrypt).newest()?;
        let Some(newest) = newest.filter(|_| session.settings.store.as_of.is_none()) else {
            return Ok(Self::Listed);
        };
        let id = SnapshotId::try_from(newest.snapshot.as_str())?;
        let listed = |name: &SnapshotName| matches!(name, SnapshotName::Current(one) if *one == id);
        Ok(if names.iter().any(listed) {
            Self::Listed
        } else if is_there(session, &id).await? {
            Self::Unlisted(id)
        } else {
            Self::Gone(id)
        })
    }

    /// Adds to a listing what is missing from it, and tells of what is gone.
    pub(super) fn complete(self, names: &mut Vec<SnapshotName>, warnings: &mut Vec<String>) {
        match self {
            Self::Listed => {}
            Self::Unlisted(id) => names.push(SnapshotName::Current(id)),
            Self::Gone(id) => warnings.push(gone(&id.to_string())),
        }
    }
}

/// What is said of it.
pub(super) fn gone(id: &str) -> String {
    format!("the newest snapshot of this machine, {id}, is gone from the bucket")
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
