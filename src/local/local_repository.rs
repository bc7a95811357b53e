//! What this machine remembers of one bucket, prefix and kind of repository: the master key, slots, the newest manifest,
//! files, footers, pruning, proofs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use minicbor::{Decode, Encode};

use super::files::{Disk, read_checked};
use super::proof::Proof;
use super::pruning::Pruning;
use crate::crypto::MasterKey;
use crate::error::{Error, Result};
use crate::format::{KeySlot, PackName, RepositoryId};

/// A key slot as this machine knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SlotRecord {
    /// Name below `keys/`.
    #[n(0)]
    pub name: String,
    /// `MasterKey::secret_check` of the secret that opens it; zeros where this machine never saw it open.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub check: [u8; 32],
    /// The object.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
    /// Whether the bucket is known to have it.
    #[n(3)]
    pub stored: bool,
}

impl SlotRecord {
    /// Whether this machine has made it, or seen it open.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.check != [0; 32]
    }
}

/// The repository that this machine writes to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RepositoryRecord {
    /// Which repository.
    #[n(0)]
    pub repository: RepositoryId,
    /// Its slots, as the bucket had them when it was last looked at.
    #[n(1)]
    pub slots: Vec<SlotRecord>,
    /// Names below `keys/` that were looked at and are none of this repository's.
    #[n(2)]
    #[cbor(default)]
    pub others: Vec<String>,
}

impl RepositoryRecord {
    /// A repository of which nothing but the id is known.
    #[must_use]
    pub fn new(repository: RepositoryId) -> Self {
        Self { repository, slots: vec![], others: vec![] }
    }

    /// The slots for a manifest, the most important ones last: those that were seen to open. Of the others, which
    /// anybody who can write to the bucket may have made, the newest few.
    #[must_use]
    pub fn for_manifest(&self) -> Vec<Vec<u8>> {
        let (seen, mut unseen): (Vec<_>, Vec<_>) =
            self.slots.iter().partition(|slot| slot.is_verified());
        unseen.sort_by_key(|slot| KeySlot::decode(&slot.bytes).map_or(i64::MIN, |s| s.created()));
        let surplus = unseen.len().saturating_sub(MAX_UNSEEN);
        unseen.drain(..surplus);
        unseen.into_iter().chain(seen).map(|slot| slot.bytes.clone()).collect()
    }
}

/// At most so many slots that were never seen to open go into a manifest.
const MAX_UNSEEN: usize = 16;

/// The newest committed manifest of this machine's lineage.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Newest {
    /// Id of the snapshot.
    #[n(0)]
    pub snapshot: String,
    /// Its sequence number.
    #[n(1)]
    pub sequence: u64,
    /// SHA-256 of the manifest object.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub sha256: [u8; 32],
    /// The lowest pack number that was never used.
    #[n(3)]
    pub next_pack: u32,
    /// Every snapshot of this lineage that this machine wrote and did not delete.
    #[n(4)]
    pub written: Vec<String>,
    /// The manifest object.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub object: Vec<u8>,
}

/// Memory of one bucket and prefix.
#[derive(Clone, Debug)]
pub struct LocalRepository {
    dir: PathBuf,
    disk: Disk,
}

impl LocalRepository {
    pub(super) fn at(dir: PathBuf, disk: Disk) -> Self {
        Self { dir, disk }
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Creates the folder.
    ///
    /// # Errors
    /// File-system codes.
    pub fn create(&self) -> Result<()> {
        self.disk.private_dir(&self.dir.join("footers"))
    }

    fn load<T: for<'b> Decode<'b, ()>>(&self, name: &str) -> Result<Option<T>> {
        let bytes = read_checked(&self.dir.join(name))?;
        Ok(bytes.and_then(|bytes| minicbor::decode(&bytes).ok()))
    }

    fn save<T: Encode<()>>(&self, name: &str, value: &T) -> Result<()> {
        let bytes = minicbor::to_vec(value).unwrap_or_default();
        self.disk.write_checked(&self.dir.join(name), &bytes)
    }

    /// The master key that is kept here, so that a rotated secret does not lock old snapshots.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn key(&self) -> Result<Option<MasterKey>> {
        let bytes = read_checked(&self.dir.join("key"))?.map(zeroize::Zeroizing::new);
        Ok(bytes.and_then(|bytes| bytes.as_slice().try_into().ok()).map(MasterKey::new))
    }

    /// Keeps the master key, mode 0600.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save_key(&self, key: &MasterKey) -> Result<()> {
        self.disk.write_checked(&self.dir.join("key"), key.expose())
    }

    /// Which repository this machine writes to.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn record(&self) -> Result<Option<RepositoryRecord>> {
        self.load("repository")
    }

    /// Remembers which repository this machine writes to.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save_record(&self, record: &RepositoryRecord) -> Result<()> {
        self.save("repository", record)
    }

    /// The newest committed manifest.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn newest(&self) -> Result<Option<Newest>> {
        self.load("newest")
    }

    /// Remembers the newest committed manifest.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save_newest(&self, newest: &Newest) -> Result<()> {
        self.save("newest", newest)
    }

    /// Forgets the lineage: the machine was cloned, or the bucket lost it.
    ///
    /// # Errors
    /// File-system codes.
    pub fn forget_lineage(&self) -> Result<()> {
        for name in ["newest", "files"] {
            self.disk.remove(&self.dir.join(name))?;
        }
        // Machines that are to be forgotten are no part of it.
        match self.pruning()?.forgotten {
            none if none.is_empty() => self.disk.remove(&self.dir.join("pruning")),
            forgotten => self.save_pruning(&Pruning { forgotten, ..Pruning::default() }),
        }
    }

    /// What is remembered of pruning.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn pruning(&self) -> Result<Pruning> {
        Ok(self.load("pruning")?.unwrap_or_default())
    }

    /// Remembers what was pruned.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save_pruning(&self, pruning: &Pruning) -> Result<()> {
        self.save("pruning", pruning)
    }

    /// What the state looked like at the newest manifest.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn files(&self) -> Result<Option<Vec<u8>>> {
        read_checked(&self.dir.join("files"))
    }

    /// Remembers what the state looks like at the newest manifest.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save_files(&self, files: &[u8]) -> Result<()> {
        self.disk.write_checked(&self.files_path(), files)
    }

    /// Where `files` is kept.
    #[must_use]
    pub(super) fn files_path(&self) -> PathBuf {
        self.dir.join("files")
    }

    /// What this machine has seen of what it stored.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn proof(&self) -> Result<Option<Proof>> {
        self.load("proof")
    }

    /// Remembers what this machine has seen of what it stored.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save_proof(&self, proof: &Proof) -> Result<()> {
        self.save("proof", proof)
    }

    /// Remembers packs that are lost or damaged.
    ///
    /// # Errors
    /// File-system codes.
    pub fn note_bad(&self, packs: impl IntoIterator<Item = PackName>) -> Result<()> {
        let mut proof = self.proof()?.unwrap_or_default();
        let bad: BTreeSet<PackName> = proof.bad.iter().copied().chain(packs).collect();
        if bad.len() > proof.bad.len() {
            proof.reads.retain(|read| !bad.contains(&read.name));
            proof.bad = bad.into_iter().collect();
            self.save_proof(&proof)?;
        }
        Ok(())
    }

    /// The footer of a pack as the bucket has it; it is checked when it is opened, like any other.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn tail(&self, pack: PackName) -> Result<Option<Vec<u8>>> {
        let path = self.dir.join("footers").join(pack.to_string());
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    /// Keeps a footer. Written in place and not synced: a torn one is found when it is opened, and fetched again, and
    /// nothing else is left of a write that was cut off.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save_tail(&self, pack: PackName, tail: &[u8]) -> Result<()> {
        let dir = self.dir.join("footers");
        self.disk.private_dir(&dir)?;
        self.disk.write_in_place(&dir.join(pack.to_string()), tail)
    }

    /// Removes the footers of packs that are not in `keep`.
    ///
    /// # Errors
    /// File-system codes.
    pub fn retain_tails(&self, keep: &dyn Fn(PackName) -> bool) -> Result<()> {
        let dir = self.dir.join("footers");
        let Ok(entries) = fs::read_dir(&dir) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !name.to_str().and_then(PackName::parse).is_some_and(keep) {
                self.disk.remove(&entry.path())?;
            }
        }
        Ok(())
    }
}
