//! Snapshots of the original plugin: listed, shown, and restored into a directory.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::info::SnapshotInfo;
use super::problem::FileProblem;
use super::session::Session;
use super::tree::refuse_unsafe;
use crate::crypto::sha256;
use crate::entry::{EntryKind, RelPath};
use crate::error::{Error, Result};
use crate::format::{Entry, EntryFlags, SnapshotName};
use crate::legacy::{
    Bucket, Content, FileRecord, Found, Keys, MAX_MANIFEST_BYTES, Manifest, Object, Push, Search,
    Sha256, Tried, Wanted, fetch, hidden, read_manifest, visible,
};
use crate::repo::{KeyRing, find};
use crate::store::ObjectStore;

/// Manifests and small objects that are fetched at the same time.
const PARALLEL: usize = 6;
/// Objects beyond this are fetched one at a time: each is in memory as a whole, sealed and open.
const LARGE_BYTES: u64 = 16 << 20;
/// Manifests are read up to so many bytes together; what later ones say is not known.
const MAX_MANIFESTS_BYTES: u64 = 4 * MAX_MANIFEST_BYTES;

/// A snapshot of the original, with everything that its files may be in.
#[derive(Debug)]
pub(crate) struct Legacy<'s> {
    session: &'s Session,
    names: Vec<SnapshotName>,
    bucket: Bucket,
    base: Arc<str>,
    stamp: String,
    keys: Arc<Keys>,
    /// When it was made, milliseconds since 1970.
    pub(crate) made_ms: i64,
    files: BTreeMap<String, FileRecord>,
}

fn keys(ring: &KeyRing) -> Arc<Keys> {
    Arc::new(Keys::new(ring.secrets().application_keys().cloned().collect()))
}

/// Takes a content that was found, with the paths that have it. It may block.
pub(crate) type Take = Arc<dyn Fn(&Wanted, Content) -> Result<()> + Send + Sync>;

impl<'s> Legacy<'s> {
    /// Finds the snapshot in the folder `name` and reads its manifest. The user must have confirmed it, as anything
    /// that is not authenticated.
    pub(crate) async fn open(session: &'s Session, name: &str, confirmed: bool) -> Result<Self> {
        let missing = |message: &str| Error::SnapshotNotFound {
            snapshot: name.to_owned(),
            message: message.to_owned(),
        };
        let names = find(&*session.store).await?;
        if !names.contains(&SnapshotName::Legacy(name.to_owned())) {
            return Err(missing("`list` shows what there is"));
        }
        if session.settings.encrypt && !confirmed {
            return Err(Error::NotAuthenticated { snapshot: name.to_owned() });
        }
        let bucket = visible(&*session.store, &names).await?;
        let found = bucket.snapshots().into_iter().find(|(_, push)| push.name == name);
        let (base, push) = found.ok_or_else(|| {
            missing("the original plugin did not finish it: it has no manifest; take another")
        })?;
        let (base, stamp, manifest) = (Arc::clone(base), push.stamp.clone(), push.manifest.clone());
        let keys = keys(&session.ring);
        let manifest = manifest.ok_or_else(|| missing("it has no manifest"))?;
        let Manifest { made_ms, files } =
            read_manifest(&*session.store, session.ring.cpu(), &keys, &manifest).await?;
        Ok(Self { session, names, bucket, base, stamp, keys, made_ms, files })
    }

    /// Its files, checked as those of any snapshot are. What the original did not keep is made up: only the user may
    /// read a file, and all are as old as the snapshot.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        let entry = |(path, file): (&String, &FileRecord)| Entry {
            root: 0,
            path: RelPath::from_bytes(path.clone().into_bytes()),
            kind: EntryKind::File,
            mode: 0o600,
            mtime_ns: self.made_ms.saturating_mul(1_000_000),
            size: file.bytes,
            sha256: file.sha256,
            runs: vec![],
            flags: EntryFlags::default(),
            target: vec![],
        };
        let entries: Vec<Entry> = self.files.iter().map(entry).collect();
        refuse_unsafe(&entries, 1)?;
        Ok(entries)
    }

    /// Looks for the content of each entry and hands it over, once for all that have the same. Returns those that
    /// are lost, and what the user should know.
    pub(crate) async fn contents(
        mut self,
        entries: &[Entry],
        take: &Take,
    ) -> Result<(Vec<FileProblem>, Vec<String>)> {
        let mut by_hash: BTreeMap<Sha256, Wanted> = BTreeMap::new();
        for entry in entries {
            let Ok(path) = String::from_utf8(entry.path.as_bytes().to_vec()) else { continue };
            let fresh = || Wanted { sha256: entry.sha256, paths: vec![], bytes: entry.size };
            by_hash.entry(entry.sha256).or_insert_with(fresh).paths.push(path);
        }
        // What an empty file holds is known without an object.
        if let Some(empty) = by_hash.remove(&sha256(&[])) {
            hand_over(take, empty, Content::new()).await?;
        }
        let wanted: Vec<Wanted> = by_hash.into_values().collect();
        let mut warnings = Vec::new();
        claim(
            &*self.session.store,
            &self.session.ring,
            &self.keys,
            &mut self.bucket,
            &wanted,
            &mut warnings,
        )
        .await?;
        let mut lost = self.read(&self.bucket, wanted, take).await?;
        let mut versions = true;
        if !lost.is_empty() {
            match hidden(&*self.session.store, &self.names).await {
                Ok(Some(mut older)) => {
                    let wanted: Vec<Wanted> = lost.iter().map(|(one, _)| one.clone()).collect();
                    claim(
                        &*self.session.store,
                        &self.session.ring,
                        &self.keys,
                        &mut older,
                        &wanted,
                        &mut warnings,
                    )
                    .await?;
                    // Of a push that is not hidden, the manifest is not either.
                    for (base, push) in &mut older.pushes {
                        let seen =
                            self.bucket.pushes.get(base).and_then(|seen| seen.claims.clone());
                        push.claims = push.claims.take().or(seen);
                    }
                    let before: BTreeMap<Sha256, Tried> =
                        lost.iter().map(|(one, tried)| (one.sha256, *tried)).collect();
                    lost = self.read(&older, wanted, take).await?;
                    for (one, tried) in &mut lost {
                        let earlier = before.get(&one.sha256).copied().unwrap_or_default();
                        tried.objects += earlier.objects;
                        tried.wrong_key |= earlier.wrong_key;
                    }
                }
                Ok(None) => versions = false,
                Err(error @ (Error::Capability { .. } | Error::Store { .. })) => {
                    versions = false;
                    warnings.push(format!("hidden versions could not be looked at: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        let problems = lost
            .iter()
            .flat_map(|(one, tried)| one.paths.iter().map(|path| problem(path, *tried, versions)));
        let mut problems: Vec<FileProblem> = problems.collect();
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((problems, warnings))
    }

    /// Looks in one bucket. Returns what is not there, and what was tried.
    async fn read(
        &self,
        bucket: &Bucket,
        wanted: Vec<Wanted>,
        take: &Take,
    ) -> Result<Vec<(Wanted, Tried)>> {
        let search = Search::new(bucket);
        let with_candidates = wanted.into_iter().map(|one| {
            let candidates = search.candidates(&one, &self.base, &self.stamp);
            (one, candidates)
        });
        let (large, small): (Vec<_>, Vec<_>) = with_candidates
            .partition(|(_, objects)| objects.iter().any(|one| one.object.bytes > LARGE_BYTES));
        let mut lost = Vec::new();
        for (several, parallel) in [(small, PARALLEL), (large, 1)] {
            let jobs = several.into_iter().map(|(one, candidates)| async move {
                let (store, cpu) = (&*self.session.store, self.session.ring.cpu());
                let found = fetch(store, cpu, &self.keys, &candidates, one.sha256).await?;
                Ok::<_, Error>((one, found))
            });
            let mut jobs = futures_util::stream::iter(jobs).buffer_unordered(parallel);
            while let Some((one, found)) = jobs.try_next().await? {
                match found {
                    Found::Content(content) => hand_over(take, one, content).await?,
                    Found::No(tried) => lost.push((one, tried)),
                }
            }
        }
        Ok(lost)
    }
}

async fn hand_over(take: &Take, wanted: Wanted, content: Content) -> Result<()> {
    let take = Arc::clone(take);
    Session::blocking(move || take(&wanted, content)).await
}

/// Reads the manifests of a bucket, as far as they can be read, for what they say about what is wanted.
async fn claim(
    store: &dyn ObjectStore,
    ring: &KeyRing,
    keys: &Arc<Keys>,
    bucket: &mut Bucket,
    wanted: &[Wanted],
    warnings: &mut Vec<String>,
) -> Result<()> {
    let mut left = MAX_MANIFESTS_BYTES;
    for (base, manifest) in manifests(bucket, &mut left) {
        let read = read_manifest(store, ring.cpu(), keys, &manifest);
        match read.await {
            Ok(manifest) => bucket.claim(&base, &manifest, wanted),
            Err(error) if is_finding(&error) => {
                warnings.push(format!("a manifest is passed over: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The manifests of a bucket, newest first, up to so many bytes.
fn manifests(bucket: &Bucket, left: &mut u64) -> Vec<(Arc<str>, Object)> {
    let mut pushes: Vec<(&Arc<str>, &Push)> = bucket.pushes.iter().collect();
    pushes.sort_by(|(_, a), (_, b)| b.stamp.cmp(&a.stamp));
    let mut found = Vec::new();
    for (base, push) in pushes {
        let Some(manifest) = &push.manifest else { continue };
        let Some(rest) = left.checked_sub(manifest.bytes) else { continue };
        *left = rest;
        found.push((Arc::clone(base), manifest.clone()));
    }
    found
}

/// Whether an error says something about one object, and nothing about the others.
fn is_finding(error: &Error) -> bool {
    matches!(
        error,
        Error::Damaged { .. }
            | Error::WrongKey { .. }
            | Error::ObjectMissing { .. }
            | Error::Store { .. }
    )
}

fn problem(path: &str, tried: Tried, versions: bool) -> FileProblem {
    let (code, message) = match tried {
        Tried { wrong_key: true, .. } => (
            "B2_WRONG_KEY",
            "it was encrypted with another application key; set B2_BACKUP_OLD_KEYS to the keys that \
             were in use then"
                .to_owned(),
        ),
        Tried { objects: 0, .. } if versions => {
            ("B2_OBJECT_MISSING", "no copy of it is left in the bucket, not even a hidden one".to_owned())
        }
        Tried { objects: 0, .. } => {
            ("B2_OBJECT_MISSING", "no copy of it is in the bucket any more".to_owned())
        }
        Tried { objects, .. } => (
            "B2_DAMAGED",
            format!(
                "of {objects} copies in the bucket none is what the manifest says; the original \
                 plugin stored files otherwise than it had hashed them when they grew meanwhile"
            ),
        ),
    };
    let path = RelPath::from_bytes(path.as_bytes().to_vec()).escaped();
    FileProblem { path, code: code.to_owned(), message }
}

/// What `list` says of the snapshots of the original; nothing of pushes that broke off.
pub(crate) async fn infos(
    store: &dyn ObjectStore,
    ring: &KeyRing,
    names: &[SnapshotName],
) -> Result<(Vec<SnapshotInfo>, Vec<String>)> {
    let bucket = visible(store, names).await?;
    let keys = keys(ring);
    let mut left = MAX_MANIFESTS_BYTES;
    let within: Vec<Arc<str>> =
        manifests(&bucket, &mut left).into_iter().map(|(base, _)| base).collect();
    let snapshots: Vec<(bool, Push)> = bucket
        .snapshots()
        .into_iter()
        .map(|(base, push)| (within.contains(base), push.clone()))
        .collect();
    let keys = &keys;
    let reading = snapshots.into_iter().map(|(within, push)| async move {
        let read = match &push.manifest {
            Some(manifest) if within => read_manifest(store, ring.cpu(), keys, manifest).await,
            _ => {
                let message = "there are too many manifests to read them all";
                Err(Error::damaged(&push.name, message))
            }
        };
        match read {
            Err(error) if !is_finding(&error) => Err(error),
            read => Ok(info(&push, read)),
        }
    });
    let infos: Vec<SnapshotInfo> =
        futures_util::stream::iter(reading).buffered(PARALLEL).try_collect().await?;
    let mut warnings = Vec::new();
    if let [some, ..] = infos.as_slice() {
        warnings.push(format!(
            "{} of these were made by the original plugin. Its later snapshots rest on earlier ones, and it deleted \
             those: `restore {} --to DIR` tells what is left of one",
            infos.len(),
            some.id
        ));
    }
    Ok((infos, warnings))
}

fn info(push: &Push, manifest: Result<Manifest>) -> SnapshotInfo {
    let safety = push.name.starts_with("safety-");
    let (date, clock) = push.stamp.split_at_checked(10).unwrap_or((&push.stamp, ""));
    let clock = clock.get(1..9).unwrap_or_default().replace('-', ":");
    let mut info = SnapshotInfo {
        id: push.name.clone(),
        kind: if safety { "safety" } else { "regular" },
        created_at: format!("{date}T{clock}.000Z"),
        format: 1,
        ..SnapshotInfo::default()
    };
    match manifest {
        Ok(manifest) => {
            info.files = manifest.files.len() as u64;
            info.bytes =
                manifest.files.values().fold(0, |sum, file| sum.saturating_add(file.bytes));
        }
        Err(error) => info.problem = Some(format!("{error} ({})", error.code())),
    }
    info
}
