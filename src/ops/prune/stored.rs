//! What the bucket has of what may go.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::lineage::Lineage;
use crate::error::{Error, Result};
use crate::format::{MachineId, PackName, SnapshotId, pack_prefix};
use crate::store::{ObjectStore, ObjectVersion};

/// An object in the bucket with all its versions.
#[derive(Debug, Default)]
pub(super) struct StoredObject {
    pub(super) bytes: u64,
    /// The newest first; `None` on a store that keeps none.
    pub(super) versions: Option<Vec<ObjectVersion>>,
}

/// What may have to be deleted. All of it is listed before anything is.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) manifests: BTreeMap<SnapshotId, StoredObject>,
    pub(super) packs: BTreeMap<PackName, StoredObject>,
}

impl Stored {
    pub(super) async fn read(
        store: &dyn ObjectStore,
        lineage: &Lineage,
        goes: &[bool],
    ) -> Result<Self> {
        let going = lineage.held.iter().zip(goes).filter(|(_, goes)| **goes).map(|(held, _)| held);
        let ids: Vec<SnapshotId> =
            going.chain(&lineage.returned).map(|held| held.id.clone()).collect();
        let looking = ids.into_iter().map(|id| async move {
            let versions = store.list_versions(&format!("{id}/")).await?;
            let name = id.object();
            let of_manifest = |all: Vec<ObjectVersion>| {
                all.into_iter().filter(|version| version.key == name).collect()
            };
            Ok::<_, Error>((
                id,
                StoredObject { versions: versions.map(of_manifest), ..StoredObject::default() },
            ))
        });
        let manifests =
            futures_util::stream::iter(looking).buffer_unordered(PARALLEL).try_collect().await?;
        Ok(Self { manifests, packs: packs_of(store, lineage.machine).await? })
    }
}

/// The packs of `machine` that are in the bucket, hidden ones too.
pub(super) async fn packs_of(
    store: &dyn ObjectStore,
    machine: MachineId,
) -> Result<BTreeMap<PackName, StoredObject>> {
    let prefix = pack_prefix(machine);
    let name = |key: &str| PackName::parse(key.strip_prefix(&prefix)?);
    let mut stored: BTreeMap<PackName, StoredObject> = BTreeMap::new();
    if let Some(versions) = store.list_versions(&prefix).await? {
        for version in versions {
            let Some(name) = name(&version.key) else { continue };
            let pack = stored.entry(name).or_default();
            pack.bytes += version.size;
            pack.versions.get_or_insert_default().push(version);
        }
    } else {
        for object in store.list(&prefix, false).await?.objects {
            let Some(name) = name(&object.key) else { continue };
            stored.insert(name, StoredObject { bytes: object.size, versions: None });
        }
    }
    Ok(stored)
}

/// Packs deleted at the same time.
pub(super) const PARALLEL: usize = 4;
