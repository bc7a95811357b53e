//! What is wrong with a snapshot, and which version of each of its objects is the right one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::format::{
    KeySlot, MAX_MANIFEST_BYTES, MAX_SLOT_BYTES, PackRef, SnapshotId, pack_prefix,
};
use crate::repo::{Cure, History, KeyRing, PackIndex, Snapshot, Standing};
use crate::store::{ObjectKey, ObjectStore, ObjectVersion};

/// A snapshot as the versions have it.
#[derive(Debug)]
pub(super) struct Examined {
    /// What is to be done to have all of it.
    pub(super) fixes: Fixes,
    /// Packs that no version is right of.
    pub(super) lost_packs: u64,
    /// Whether it is a sealed one.
    pub(super) sealed: bool,
}

/// Where packs lie of which one is hidden or overwritten.
pub(super) fn touched_machines(all: &BTreeMap<String, History>) -> BTreeSet<String> {
    let packs = all
        .iter()
        .filter(|(key, history)| key.starts_with("packs/") && history.standing() != Standing::Seen);
    packs.filter_map(|(key, _)| Some(format!("{}/", key.rsplit_once('/')?.0))).collect()
}

/// Examines one snapshot. Nothing is read of one whose objects all stand as they were written.
pub(super) async fn snapshot(
    store: &dyn ObjectStore,
    ring: &KeyRing,
    all: &BTreeMap<String, History>,
    id: &SnapshotId,
    touched: &BTreeSet<String>,
) -> Result<Examined> {
    let mut examined = Examined { fixes: Fixes::new(), lost_packs: 0, sealed: true };
    let Some(history) = all.get(&id.object()) else { return Ok(examined) };
    let machine = pack_prefix(id.machine);
    if history.standing() == Standing::Seen && !touched.contains(&machine) {
        return Ok(examined);
    }
    let (right, snapshot) = manifest(store, ring, history, id).await?;
    add(&mut examined.fixes, history, right);
    examined.sealed = snapshot.key.is_sealed();
    for reference in &snapshot.manifest.packs {
        let name = reference.name.object(id.machine);
        match all.get(&name) {
            Some(history) => match pack(store, history, &snapshot, reference).await? {
                Some(right) => add(&mut examined.fixes, history, right),
                None => examined.lost_packs += 1,
            },
            None => examined.lost_packs += 1,
        }
    }
    Ok(examined)
}

fn add(fixes: &mut Fixes, history: &History, right: &ObjectVersion) {
    let cure = history.cure(right);
    if cure != Cure::Nothing {
        let fix = Fix { right: right.clone(), cure, changed: history.changed(right) };
        fixes.insert(right.key.clone(), fix);
    }
}

/// The version that opens as the snapshot's manifest. With a plain repository anybody can make one that does: then
/// it is the first.
async fn manifest<'a>(
    store: &dyn ObjectStore,
    ring: &KeyRing,
    history: &'a History,
    id: &SnapshotId,
) -> Result<(&'a ObjectVersion, Snapshot)> {
    let key = ObjectKey::new(id.object())?;
    let mut first = None;
    for candidate in history.candidates().collect::<Vec<_>>() {
        let bytes = store.get_version(&key, &candidate.version, MAX_MANIFEST_BYTES).await;
        let opened = match bytes {
            Ok(bytes) => Snapshot::open(ring, id, &bytes).await,
            // Larger than a manifest may be: not one.
            Err(error @ Error::Store { .. }) => Err(error),
            Err(error) => return Err(error),
        };
        match opened {
            Ok(snapshot) => return Ok((candidate, snapshot)),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| Error::ObjectMissing { object: id.object() }))
}

/// The version that is the pack. Where there is one content of the right size alone, it is not read: `verify` does.
async fn pack<'a>(
    store: &dyn ObjectStore,
    history: &'a History,
    snapshot: &Snapshot,
    reference: &PackRef,
) -> Result<Option<&'a ObjectVersion>> {
    let mut sized: Vec<_> = history.candidates().collect();
    let alone = sized.len() == 1;
    sized.retain(|version| version.size == reference.bytes);
    if alone {
        return Ok(sized.pop());
    }
    let machine = snapshot.id.machine;
    let key = ObjectKey::new(reference.name.object(machine))?;
    let footer = u64::from(reference.footer_bytes).min(reference.bytes);
    for candidate in sized {
        let (id, start) = (&candidate.version, reference.bytes - footer);
        let tail = store.get_version_range(&key, id, start, footer).await?;
        if PackIndex::open(&snapshot.key, snapshot.repository, machine, reference, &tail).is_ok() {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// Key slots that are hidden or overwritten.
pub(super) async fn keys(
    store: &dyn ObjectStore,
    all: &BTreeMap<String, History>,
) -> Result<Fixes> {
    let mut fixes = Fixes::new();
    let stored = all.range("keys/".to_owned()..).take_while(|(key, _)| key.starts_with("keys/"));
    let changed: Vec<_> =
        stored.filter(|(_, history)| history.standing() != Standing::Seen).collect();
    for (name, history) in changed {
        let Ok(key) = ObjectKey::new(name.as_str()) else { continue };
        for candidate in history.candidates().collect::<Vec<_>>() {
            let max = MAX_SLOT_BYTES as u64;
            if candidate.size > max {
                continue;
            }
            let bytes = store.get_version(&key, &candidate.version, max).await?;
            if KeySlot::decode(&bytes).is_ok() {
                add(&mut fixes, history, candidate);
                break;
            }
        }
    }
    Ok(fixes)
}

/// One object to be made visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fix {
    pub(super) right: ObjectVersion,
    pub(super) cure: Cure,
    pub(super) changed: Option<SystemTime>,
}

/// By name; packs come before the manifests that need them.
pub(super) type Fixes = BTreeMap<String, Fix>;
