//! What a push has made and the bucket does not have yet. Survives a kill: the next push goes on from here.
//!
//! A pack is a file named after its reference, `.pack` until it is uploaded, then an empty `.sent`. A snapshot
//! whose content is fixed is in `captured`, written last.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minicbor::{Decode, Encode};

use super::files::{Disk, is_there, read_checked};
use super::folder::LockFile;
use super::local_repository::{LocalRepository, Newest};
use crate::error::{Error, Result};
use crate::format::{PackName, PackRef};

/// A snapshot that only has to be uploaded and committed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Captured {
    /// What will be remembered once the manifest is in the bucket; holds the manifest itself.
    #[n(0)]
    pub newest: Newest,
    /// The manifest whose packs this one builds on.
    #[n(1)]
    pub base: Option<String>,
    /// Files, directories, symlinks and bytes, for the report.
    #[n(2)]
    pub counts: crate::format::Counts,
    /// What was left out, for the report of the run that finishes it.
    #[n(3)]
    pub remarks: Vec<crate::format::Remark>,
    /// Packs that this snapshot uses and its base does not have: without them it must not be committed.
    #[n(4)]
    pub packs: Vec<PackName>,
}

/// A finished pack: its bytes open.
#[derive(Debug)]
pub struct SealedPack {
    /// How the manifest will name it; `used_bytes` is still 0.
    pub reference: PackRef,
    /// The object.
    pub bytes: Vec<u8>,
    /// Its footer as the bucket has it, for the local cache.
    pub tail: Vec<u8>,
}

/// The spool of one repository. Whoever can write it holds the lock of the state directory: a thread that
/// outlives a cancelled push keeps the next one out until it is done.
#[derive(Clone, Debug)]
pub struct Spool {
    dir: PathBuf,
    local: LocalRepository,
    _lock: Option<Arc<LockFile>>,
}

impl Spool {
    /// Opens the spool for writing, creating its folder.
    ///
    /// # Errors
    /// File-system codes.
    pub fn open(local: &LocalRepository, lock: Arc<LockFile>) -> Result<Self> {
        let spool = Self { _lock: Some(lock), ..Self::view(local) };
        spool.disk().private_dir(&spool.dir)?;
        Ok(spool)
    }

    /// The spool for looking at: what it shows may change at any moment, and nothing may be written.
    #[must_use]
    pub fn view(local: &LocalRepository) -> Self {
        Self { dir: local.dir().join("spool"), local: local.clone(), _lock: None }
    }

    fn disk(&self) -> &Disk {
        self.local.disk()
    }

    /// Removes what a kill in the middle of a write left behind. Only for the holder of the lock.
    ///
    /// # Errors
    /// File-system codes.
    pub fn sweep(&self) -> Result<()> {
        let failed = |error| Error::io("list", &self.dir, error);
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                self.disk().remove(&path)?;
            }
        }
        Ok(())
    }

    fn path(&self, pack: &PackRef, extension: &str) -> PathBuf {
        let PackRef { number, name, bytes, footer_bytes, .. } = pack;
        self.dir.join(format!("{number}-{name}-{bytes}-{footer_bytes}.{extension}"))
    }

    /// Keeps a sealed pack, and its footer in the local cache.
    ///
    /// # Errors
    /// `B2_DISK_FULL` and other file-system codes.
    pub fn add(&self, pack: &SealedPack) -> Result<()> {
        self.local.save_tail(pack.reference.name, &pack.tail)?;
        self.disk().write_atomic(&self.path(&pack.reference, "pack"), &[&pack.bytes], false)
    }

    /// The file of a pack that is not uploaded yet. Nobody changes it; it goes once the pack was sent.
    #[must_use]
    pub fn file(&self, pack: &PackRef) -> PathBuf {
        self.path(pack, "pack")
    }

    /// The bytes of a pack that is not uploaded yet.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn read(&self, pack: &PackRef) -> Result<Vec<u8>> {
        let path = self.path(pack, "pack");
        fs::read(&path).map_err(|error| Error::io("read", &path, error))
    }

    /// The footer of a pack that was added.
    ///
    /// # Errors
    /// `B2_IO`; `B2_INTERNAL` when it is gone.
    pub fn tail(&self, pack: &PackRef) -> Result<Vec<u8>> {
        self.local
            .tail(pack.name)?
            .ok_or_else(|| Error::internal("a footer is gone from the local cache"))
    }

    /// Notes that the bucket has a pack, and frees its space.
    ///
    /// # Errors
    /// File-system codes.
    pub fn mark_sent(&self, pack: &PackRef) -> Result<()> {
        self.disk().write_atomic(&self.path(pack, "sent"), &[], false)?;
        self.disk().remove(&self.path(pack, "pack"))
    }

    /// Forgets a pack that turned out to be useless.
    ///
    /// # Errors
    /// File-system codes.
    pub fn drop_pack(&self, pack: &PackRef) -> Result<()> {
        self.disk().remove(&self.path(pack, "pack"))?;
        self.disk().remove(&self.path(pack, "sent"))
    }

    /// All packs by rising number, and whether each is uploaded.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn packs(&self) -> Result<Vec<(PackRef, bool)>> {
        let failed = |error| Error::io("list", &self.dir, error);
        let mut packs: Vec<(PackRef, bool)> = Vec::new();
        let entries = match fs::read_dir(&self.dir) {
            // Only looked at, and never written.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(packs),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            packs.extend(parse(&path));
        }
        // A kill between the two steps of `mark_sent` leaves both files: the mark counts.
        packs.sort_by_key(|(pack, sent)| (pack.number, !*sent));
        packs.dedup_by_key(|(pack, _)| pack.name);
        Ok(packs)
    }

    /// Fixes the content of a snapshot: packs, memory of the files, then the record, all durable.
    ///
    /// # Errors
    /// File-system codes.
    pub fn seal(&self, captured: &Captured, files: &[u8]) -> Result<()> {
        for (pack, sent) in self.packs()? {
            if !sent {
                // Gone where it was uploaded since the folder was listed: the upload goes on beside this.
                self.disk().sync_file(&self.path(&pack, "pack"))?;
            }
        }
        self.disk().write_checked(&self.dir.join("files"), files)?;
        let record = minicbor::to_vec(captured).unwrap_or_default();
        self.disk().write_checked(&self.dir.join("captured"), &record)
    }

    /// The snapshot that waits to be committed.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn captured(&self) -> Result<Option<Captured>> {
        let bytes = read_checked(&self.dir.join("captured"))?;
        Ok(bytes.and_then(|bytes| minicbor::decode(&bytes).ok()))
    }

    /// The manifest is in the bucket: remembers it as the newest and empties the spool.
    ///
    /// # Errors
    /// File-system codes.
    pub fn committed(&self, captured: &Captured) -> Result<()> {
        // `newest` first: without `files` the next push reads everything again and finds it known. The
        // other way round it would take files for stored that only this snapshot stores.
        self.local.save_newest(&captured.newest)?;
        let (from, to) = (self.dir.join("files"), self.local.files_path());
        if is_there(&from)? {
            self.disk().rename(&from, &to)?;
        }
        self.clear()
    }

    /// Gives up the snapshot that waits, but keeps its packs: their chunks can be used by the next one.
    ///
    /// # Errors
    /// File-system codes.
    pub fn give_up_captured(&self) -> Result<()> {
        self.disk().remove(&self.dir.join("captured"))?;
        self.disk().remove(&self.dir.join("files"))
    }

    /// Empties the spool.
    ///
    /// # Errors
    /// File-system codes.
    pub fn clear(&self) -> Result<()> {
        // The record goes first: a snapshot without its packs must never look committable.
        self.disk().remove(&self.dir.join("captured"))?;
        self.disk().sync_dir(&self.dir)?;
        let failed = |error| Error::io("list", &self.dir, error);
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            self.disk().remove(&entry.map_err(failed)?.path())?;
        }
        Ok(())
    }
}

fn parse(path: &Path) -> Option<(PackRef, bool)> {
    let sent = match path.extension()?.to_str()? {
        "sent" => true,
        "pack" => false,
        _ => return None,
    };
    let mut parts = path.file_stem()?.to_str()?.split('-');
    let pack = PackRef {
        number: parts.next()?.parse().ok()?,
        name: PackName::parse(parts.next()?)?,
        bytes: parts.next()?.parse().ok()?,
        footer_bytes: parts.next()?.parse().ok()?,
        used_bytes: 0,
    };
    parts.next().is_none().then_some((pack, sent))
}
