//! Which pushes of the original there are, and which objects they have.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Sha256;
use crate::error::Result;
use crate::format::SnapshotName;
use crate::store::{ObjectKey, ObjectStore};

/// The original could not read larger files, so it wrote no larger objects.
const MAX_OBJECT_BYTES: u64 = (2 << 30) + 64;
/// The object that makes a push a snapshot.
const MANIFEST: &str = "manifest.json";

/// An object of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub key: ObjectKey,
    /// Which version of it; the present one where that is not said.
    pub version: Option<String>,
    /// Size in bytes.
    pub bytes: u64,
    /// The push that it belongs to: its folder with a slash at the end.
    pub base: Arc<str>,
}

/// A push of the original, whole or broken off.
#[derive(Clone, Debug, Default)]
pub struct Push {
    /// Name of the folder, which is that of the snapshot.
    pub name: String,
    /// When it was made, in text that sorts by time.
    pub stamp: String,
    /// Its manifest, which makes it a snapshot.
    pub manifest: Option<Object>,
    /// What the manifest says about the paths that matter, where it was read: see [`super::Search`].
    pub claims: Option<HashMap<String, Sha256>>,
}

/// All pushes, and their objects by the path below them.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    /// By folder, with a slash at the end.
    pub pushes: BTreeMap<Arc<str>, Push>,
    /// Objects of all pushes, by path.
    pub objects: HashMap<String, Vec<Object>>,
}

/// What of the original's a plain listing shows. `names` are the folders there are; a LIST or two.
///
/// # Errors
/// Those of the store.
pub async fn visible(store: &dyn ObjectStore, names: &[SnapshotName]) -> Result<Bucket> {
    let mut bucket = Bucket::default();
    let starts: BTreeSet<&str> = names.iter().filter_map(start).collect();
    for start in starts {
        for object in store.list(start, false).await?.objects {
            bucket.add(&object.key, None, object.size);
        }
    }
    Ok(bucket)
}

/// What a listing does not show: versions that were replaced or hidden. `None` where no versions are kept.
///
/// # Errors
/// Those of the store.
pub async fn hidden(store: &dyn ObjectStore, names: &[SnapshotName]) -> Result<Option<Bucket>> {
    let mut bucket = Bucket::default();
    let mut starts: BTreeSet<&str> = names.iter().filter_map(start).collect();
    starts.insert("safety-");
    for start in starts {
        let Some(versions) = store.list_versions(start).await? else { return Ok(None) };
        for version in versions.into_iter().filter(|version| !version.hidden && !version.latest) {
            bucket.add(&version.key, Some(version.version), version.size);
        }
    }
    Ok(Some(bucket))
}

/// What to list to see a push like this, and not all of format 2's packs.
fn start(name: &SnapshotName) -> Option<&str> {
    match name {
        SnapshotName::Legacy(name) if name.starts_with("safety-") => Some("safety-"),
        SnapshotName::Legacy(name) => name.get(..1),
        SnapshotName::Current(_) => None,
    }
}

impl Bucket {
    fn add(&mut self, name: &str, version: Option<String>, bytes: u64) {
        let Some((folder, mut rest)) = name.split_once('/') else { return };
        let Some(SnapshotName::Legacy(_)) = SnapshotName::parse(folder) else { return };
        let (mut base, mut stamp) = (format!("{folder}/"), folder);
        // Safety snapshots had a folder of the same name within, for a time. No file of a state is called so.
        if let Some(time) = folder.strip_prefix("safety-") {
            stamp = time;
            if let Some((inner, below)) = rest.split_once('/')
                && !inner.starts_with("safety-")
                && matches!(SnapshotName::parse(inner), Some(SnapshotName::Legacy(_)))
            {
                base = format!("{folder}/{inner}/");
                (stamp, rest) = (inner, below);
            }
        }
        let Some(key) = ObjectKey::listed(name).filter(|_| bytes <= MAX_OBJECT_BYTES) else {
            return;
        };
        let base: Arc<str> = base.into();
        let push = self.pushes.entry(Arc::clone(&base)).or_insert_with(|| Push {
            name: folder.to_owned(),
            stamp: stamp.to_owned(),
            ..Push::default()
        });
        let object = Object { key, version, bytes, base };
        if rest == MANIFEST {
            // Of several versions the newest comes first.
            push.manifest.get_or_insert(object);
        } else {
            self.objects.entry(rest.to_owned()).or_default().push(object);
        }
    }

    /// The snapshots, oldest first: the folder of each, and the push. A name is there once.
    #[must_use]
    pub fn snapshots(&self) -> Vec<(&Arc<str>, &Push)> {
        let mut by_name: BTreeMap<&str, (&Arc<str>, &Push)> = BTreeMap::new();
        for (base, push) in self.pushes.iter().filter(|(_, push)| push.manifest.is_some()) {
            by_name.insert(&push.name, (base, push));
        }
        let mut found: Vec<_> = by_name.into_values().collect();
        found.sort_by(|(_, a), (_, b)| a.stamp.cmp(&b.stamp));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_of_every_era() {
        let mut bucket = Bucket::default();
        for name in [
            "2026-11-22T07-15-12-904Z-9681abb5/workspace/manifest.json",
            "2026-11-22T07-15-12-904Z-9681abb5/manifest.json",
            "2026-11-22T07-15-46Z/workspace/a b.md",
            "2026-11-22T07-15-47-123Z/manifest.json",
            "safety-2026-11-22T07-15-18Z/manifest.json",
            "safety-2026-11-22T07-15-52Z/2026-11-22T07-15-52Z/manifest.json",
            "safety-2026-11-22T07-15-52Z/2026-11-22T07-15-52Z/workspace/c.md",
            // Format 2, and nothing of ours.
            "2026-02-19T00-00-00Z-83bc2bf3/manifest",
            "2026-11-22/manifest.json",
            "2026-11-22T07-15-46Z/../../x",
            "other",
        ] {
            bucket.add(name, None, 7);
        }
        bucket.add("2026-11-22T07-15-46Z/huge", None, MAX_OBJECT_BYTES + 1);
        let names: Vec<_> =
            bucket.snapshots().into_iter().map(|(_, push)| push.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "2026-11-22T07-15-12-904Z-9681abb5",
                "safety-2026-11-22T07-15-18Z",
                "2026-11-22T07-15-47-123Z",
                "safety-2026-11-22T07-15-52Z",
            ]
        );
        let mut paths: Vec<_> = bucket.objects.keys().map(String::as_str).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["workspace/a b.md", "workspace/c.md", "workspace/manifest.json"]);
        let nested = &bucket.objects["workspace/c.md"][0];
        assert_eq!(&*nested.base, "safety-2026-11-22T07-15-52Z/2026-11-22T07-15-52Z/");
    }
}
