//! Fetching what is wanted from packs with few requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::pack_reader::PackIndex;
use super::regions::Regions;
use super::snapshot::Snapshot;
use crate::crypto::sha256;
use crate::error::{Error, Result};
use crate::format::{Entry, MAX_TREE_BYTES, PackRef, Run};
use crate::local::LocalRepository;
use crate::store::{ObjectKey, ObjectStore};

/// Frames closer than this are fetched together: on a home line 256 KiB take as long as a request.
const GAP_BYTES: u64 = 256 << 10;
/// No single request is for more, so that memory stays bounded and a broken one is cheap to repeat.
const MAX_RANGE_BYTES: u64 = 20 << 20;
/// A pack up to this size is fetched whole at once instead of footer first.
const SMALL_PACK_BYTES: u64 = 1 << 20;
/// Requests at the same time.
const PARALLEL: usize = 4;

/// The packs of one snapshot.
#[derive(Clone, Debug)]
pub struct PackSource {
    store: Arc<dyn ObjectStore>,
    snapshot: Arc<Snapshot>,
    local: Option<LocalRepository>,
}

impl PackSource {
    /// Over a snapshot; footers are taken from `local` where it has them, and kept there.
    #[must_use]
    pub fn new(
        store: Arc<dyn ObjectStore>,
        snapshot: Arc<Snapshot>,
        local: Option<LocalRepository>,
    ) -> Self {
        Self { store, snapshot, local }
    }

    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The pack of that number.
    ///
    /// # Errors
    /// `B2_DAMAGED` when the manifest does not have it.
    pub fn pack(&self, number: u32) -> Result<PackRef> {
        self.snapshot.manifest.pack(number).copied().ok_or_else(|| {
            Error::damaged(
                self.snapshot.id.object(),
                format!("names a pack {number} that is not in its table"),
            )
        })
    }

    fn open(&self, reference: &PackRef, tail: &[u8]) -> Result<PackIndex> {
        PackIndex::open(
            &self.snapshot.key,
            self.snapshot.repository,
            self.snapshot.id.machine,
            reference,
            tail,
        )
    }

    /// Opens a pack's footer; `want_bytes` are fetched from the pack's end along with it where that costs
    /// no further request.
    ///
    /// # Errors
    /// `B2_OBJECT_MISSING`, `B2_DAMAGED`, and those of the store.
    pub async fn index(
        &self,
        reference: &PackRef,
        want_bytes: u64,
    ) -> Result<(PackIndex, Regions)> {
        if let Some(local) = &self.local {
            // A cached footer that does not open is fetched again.
            let tail = local.tail(reference.name)?;
            if let Some(index) = tail.and_then(|tail| self.open(reference, &tail).ok()) {
                return Ok((index, Regions::default()));
            }
        }
        let footer = u64::from(reference.footer_bytes);
        if footer > reference.bytes {
            return Err(Error::damaged(
                self.snapshot.id.object(),
                "a pack is smaller than its footer",
            ));
        }
        let whole = reference.bytes <= SMALL_PACK_BYTES || want_bytes >= reference.bytes;
        let length =
            if whole { reference.bytes } else { footer.max(want_bytes).min(reference.bytes) };
        let start = reference.bytes - length;
        let bytes = self.get(reference, start, length).await?;
        let tail = bytes.slice(bytes.len() - usize::try_from(footer).unwrap_or(0)..);
        let index = self.open(reference, &tail)?;
        // It only saves a request: a full disk keeps nobody from reading what is in the bucket.
        if let Some(local) = &self.local
            && let Err(error) = local.save_tail(reference.name, &tail)
        {
            tracing::debug!(%error, "a footer is not kept");
        }
        Ok((index, Regions(vec![(start, bytes)])))
    }

    async fn get(&self, reference: &PackRef, start: u64, length: u64) -> Result<Bytes> {
        let object = reference.name.object(self.snapshot.id.machine);
        self.store.get_range(&ObjectKey::new(object)?, start, length).await
    }

    /// Fetches the frames (sorted) that `have` does not hold, neighbours together, several requests at once.
    /// A range that cannot be had is left out: its frames are then missing from the result, and the first
    /// error is given beside it.
    pub async fn regions(
        &self,
        reference: &PackRef,
        index: &PackIndex,
        frames: &[usize],
        have: Regions,
    ) -> (Regions, Option<Error>) {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (offset, _, entry) in frames.iter().filter_map(|frame| index.frame(*frame)) {
            let end = offset + u64::from(entry.stored_bytes);
            if have.slice(offset, end - offset).is_some() {
                continue;
            }
            match ranges.last_mut() {
                Some((start, last))
                    if offset <= *last + GAP_BYTES && end - *start <= MAX_RANGE_BYTES =>
                {
                    *last = end;
                }
                _ => ranges.push((offset, end)),
            }
        }
        let requests = ranges.into_iter().map(|(start, end)| async move {
            self.get(reference, start, end - start).await.map(|bytes| (start, bytes))
        });
        let mut answers = futures_util::stream::iter(requests).buffer_unordered(PARALLEL);
        let (mut regions, mut failed) = (have, None);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(region) => regions.0.push(region),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        (regions, failed)
    }

    /// The tree of the snapshot, checked against its hash.
    ///
    /// # Errors
    /// `B2_DAMAGED`, `B2_OBJECT_MISSING`, and those of the store.
    pub async fn tree(&self) -> Result<Vec<u8>> {
        let tree = &self.snapshot.manifest.tree;
        let bad = |message: &str| {
            Error::damaged(self.snapshot.id.object(), format!("its tree {message}"))
        };
        let total: u64 = tree.runs.iter().map(|run| run.bytes).fold(0, u64::saturating_add);
        if total != tree.bytes || total > MAX_TREE_BYTES {
            return Err(bad("has another size"));
        }
        let mut packs: Vec<u32> = tree.runs.iter().map(|run| run.pack).collect();
        packs.sort_unstable();
        packs.dedup();
        let parts = packs.into_iter().map(|number| self.tree_part(number));
        let mut parts = futures_util::stream::iter(parts).buffer_unordered(PARALLEL);
        let mut chunks = HashMap::new();
        while let Some(part) = parts.next().await {
            chunks.extend(part?);
        }
        let mut bytes = Vec::new();
        for run in &tree.runs {
            let part: &Vec<u8> = chunks.get(&key(run)).ok_or_else(|| bad("is not complete"))?;
            bytes.extend_from_slice(part);
        }
        if sha256(&bytes) != tree.sha256 {
            return Err(bad("is not what was written"));
        }
        Ok(bytes)
    }

    /// The content of files, checked against their hashes; small ones, since all of it is in memory at once.
    /// `None` where damage makes it impossible, which is then among the errors beside.
    ///
    /// # Errors
    /// Those of the store but `B2_OBJECT_MISSING`.
    pub async fn contents(&self, files: &[&Entry]) -> Result<(Vec<Option<Vec<u8>>>, Vec<Error>)> {
        let mut by_pack: BTreeMap<u32, Vec<Run>> = BTreeMap::new();
        for run in files.iter().flat_map(|file| &file.runs) {
            by_pack.entry(run.pack).or_default().push(*run);
        }
        let parts = by_pack.into_iter().map(|(number, runs)| self.runs_of(number, runs, 0));
        let mut parts = futures_util::stream::iter(parts).buffered(PARALLEL);
        let (mut parts_of_runs, mut problems) = (HashMap::new(), Vec::new());
        while let Some(part) = parts.next().await {
            match part {
                Ok(part) => parts_of_runs.extend(part),
                Err(error) if costs_only_its_files(&error) => problems.push(error),
                Err(error) => return Err(error),
            }
        }
        let mut contents = Vec::with_capacity(files.len());
        for file in files {
            let part = |run| parts_of_runs.get(&key(run)).and_then(|part| part.as_ref().ok());
            let parts: Option<Vec<&[u8]>> =
                file.runs.iter().map(|run| part(run).map(Vec::as_slice)).collect();
            let content = parts.map(|parts| parts.concat());
            if content.as_ref().is_some_and(|content| sha256(content) != file.sha256) {
                problems.push(Error::damaged(file.path.escaped(), "its content has another hash"));
                contents.push(None);
            } else {
                contents.push(content);
            }
        }
        problems.extend(parts_of_runs.into_values().filter_map(Result::err));
        Ok((contents, problems))
    }

    /// The content of all runs of the tree that lie in one pack.
    async fn tree_part(&self, number: u32) -> Result<Vec<(RunKey, Vec<u8>)>> {
        let tree = &self.snapshot.manifest.tree;
        let want =
            tree.tails.iter().find(|(pack, _)| *pack == number).map_or(0, |(_, bytes)| *bytes);
        let runs = tree.runs.iter().copied().filter(|run| run.pack == number).collect();
        let parts = self.runs_of(number, runs, want).await?;
        parts.into_iter().map(|(key, part)| Ok((key, part?))).collect()
    }

    /// What runs of one pack hold; damage that costs a run alone is that run's error. `want_bytes` as in
    /// [`Self::index`].
    async fn runs_of(
        &self,
        number: u32,
        mut runs: Vec<Run>,
        want_bytes: u64,
    ) -> Result<Vec<(RunKey, Result<Vec<u8>>)>> {
        let reference = self.pack(number)?;
        let (index, have) = self.index(&reference, want_bytes).await?;
        // What repeats itself names the same run many times.
        runs.sort_unstable_by_key(key);
        runs.dedup();
        let frames = index.frames_of(&runs);
        let (regions, failed) = self.regions(&reference, &index, &frames, have).await;
        if let Some(error) = failed {
            return Err(error);
        }
        let object = reference.name.object(self.snapshot.id.machine);
        let read = |run: &Run| {
            let mut bytes = Vec::new();
            let sink = &mut |piece: &[u8]| {
                bytes.extend_from_slice(piece);
                Ok(())
            };
            index.read_run(run, &regions, sink).map_err(|malformed| malformed.of(&object))?;
            Ok(bytes)
        };
        Ok(runs.iter().map(|run| (key(run), read(run))).collect())
    }
}

/// Pack, first chunk and count.
type RunKey = (u32, u32, u32);

fn key(run: &Run) -> RunKey {
    (run.pack, run.first, run.count)
}

/// Whether an error about an object leaves everything usable that does not need the object.
fn costs_only_its_files(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. } | Error::ObjectMissing { .. } | Error::Version { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::RepoKey;
    use crate::format::{
        ChunkId, Counts, MachineId, Manifest, PackName, Reason, RepositoryId, SnapshotId, TreeRef,
    };
    use crate::repo::{Frame, PackBuilder};
    use crate::store::memory::MemoryStore;

    /// A tree repeats itself where a file has many equal chunks: then runs start alike and differ in length.
    #[tokio::test]
    async fn a_tree_may_repeat_itself() {
        let (key, repository, machine) = (RepoKey::Plain, RepositoryId([1; 16]), MachineId([2; 4]));
        let mut pack = PackBuilder::new(&key, repository, machine, 0, PackName([3; 16]), [4; 32]);
        let ids = vec![ChunkId(sha256(b"aa")), ChunkId(sha256(b"bb"))];
        pack.add(Frame::compress(b"aabb".to_vec(), vec![2, 2], ids).unwrap()).unwrap();
        let pack = pack.finish().unwrap();
        let store = MemoryStore::default();
        let name = ObjectKey::new(pack.reference.name.object(machine)).unwrap();
        store.put(&name, pack.bytes.into()).await.unwrap();
        let run = |first, count| Run { pack: 0, first, count, bytes: u64::from(count) * 2 };
        let content = b"aabbaaaabbaa";
        let tree = TreeRef {
            bytes: content.len() as u64,
            sha256: sha256(content),
            runs: vec![run(0, 2), run(0, 1), run(0, 2), run(0, 1)],
            tails: vec![],
        };
        let manifest = Manifest {
            sequence: 1,
            previous: None,
            reason: Reason::Manual,
            local_time_ms: 0,
            server_time_ms: 0,
            host_version: None,
            program_version: String::new(),
            includes_secrets: false,
            roots: vec![],
            counts: Counts::default(),
            packs: vec![pack.reference],
            tree,
            remarks: vec![],
            changes: None,
            missing: None,
            machine_name: None,
            host_install: None,
            host_schemas: None,
        };
        let id = SnapshotId::new(0, machine, false);
        let snapshot = Snapshot { id, repository, key, manifest, sha256: [0; 32] };
        let source = PackSource::new(Arc::new(store), Arc::new(snapshot), None);
        assert_eq!(source.tree().await.unwrap(), content);
    }
}
