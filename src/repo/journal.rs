//! What a rollback is about to do, on disk before it is done: `<state>/b2-backup/restore/`.
//!
//! Each rollback has a folder of its own, with the journal, the phase it is in, what is to come (`new/`), what
//! was there (`old/`), and what is used up (`used/`). A folder without a whole journal is an unfinished staging
//! and of no meaning. `last` remembers the newest that was carried out, for undo.

use std::fs;
use std::path::{Path, PathBuf};

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::arrival::Arrival;
use super::files::{Disk, read_checked};
use super::local::Local;
use crate::error::{Error, Result};

/// How far a rollback is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Phase {
    /// Everything is staged, nothing of the state is touched.
    #[n(0)]
    Staged,
    /// The state is being changed; it is finished forward if it can be.
    #[n(1)]
    Applying,
    /// It could not be finished, and what was there is put back.
    #[n(2)]
    Reverting,
    /// All done; `old/` is kept until the next push.
    #[n(3)]
    Applied,
    /// All back as it was.
    #[n(4)]
    Reverted,
}

/// What one step does. The order of steps is the order in which they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum StepKind {
    /// A file or link that goes.
    #[n(0)]
    Remove,
    /// A directory that goes, if nothing is left in it.
    #[n(1)]
    RemoveDir,
    /// A directory that comes.
    #[n(2)]
    MakeDir,
    /// Permission bits of what stays.
    #[n(3)]
    SetMode,
    /// A file or link that comes, or takes the place of another.
    #[n(4)]
    Place,
    /// A database, written into the live one.
    #[n(5)]
    Database,
    /// OpenClaw's configuration, in which some settings stay as they are.
    #[n(6)]
    Config,
}

/// What was at the place of a step when it was planned, for telling late changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Before {
    /// Size in bytes.
    #[n(0)]
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    #[n(1)]
    pub mtime_ns: i64,
    /// Inode.
    #[n(2)]
    pub inode: u64,
    /// Permission bits.
    #[n(3)]
    pub mode: u32,
    /// Size of the log beside a database.
    #[n(4)]
    pub log_size: u64,
    /// Its modification time.
    #[n(5)]
    pub log_mtime_ns: i64,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Step {
    /// What it does.
    #[n(0)]
    pub kind: StepKind,
    /// Index into the journal's roots.
    #[n(1)]
    pub root: u16,
    /// Path below the root.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub path: Vec<u8>,
    /// Permission bits that it gets.
    #[n(3)]
    pub mode: u32,
    /// Modification time that it gets.
    #[n(4)]
    pub mtime_ns: i64,
    /// Size of what is staged for it.
    #[n(5)]
    pub size: u64,
    /// SHA-256 of what is staged for it; empty where nothing is, and for a link.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub sha256: Vec<u8>,
    /// What was there.
    #[n(7)]
    pub before: Option<Before>,
    /// Its files have this name in `new/`, `old/` and `used/`.
    #[n(8)]
    pub name: u32,
}

/// What a rollback does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Journal {
    /// The snapshot that is restored.
    #[n(0)]
    pub snapshot: String,
    /// The snapshot of what was there; empty when there was nothing.
    #[n(1)]
    pub safety: String,
    /// Hash of the plan that the user agreed to.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub plan: [u8; 32],
    /// When it was staged, local clock, milliseconds since 1970.
    #[n(3)]
    pub staged_at_ms: i64,
    /// Absolute paths of the roots.
    #[n(4)]
    pub roots: Vec<ByteVec>,
    /// Kinds of the roots, as in a manifest.
    #[n(5)]
    pub root_kinds: Vec<u8>,
    /// The steps, in order.
    #[n(6)]
    pub steps: Vec<Step>,
    /// Where the state directory was when the snapshot was made, where that is not where it is now.
    #[n(7)]
    pub moved_from: Option<String>,
    /// Set where a machine that has nothing is given what another one had.
    #[n(8)]
    pub arrival: Option<Arrival>,
}

/// A path that the last rollback changed, and what it did there.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Touched {
    /// Absolute path of the root.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub root: Vec<u8>,
    /// Path below it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub path: Vec<u8>,
}

/// The last rollback that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Last {
    /// Its id.
    #[n(0)]
    pub id: String,
    /// The snapshot that was restored.
    #[n(1)]
    pub snapshot: String,
    /// The snapshot of what was there; empty when there was nothing.
    #[n(2)]
    pub safety: String,
    /// When it was done, local clock, milliseconds since 1970.
    #[n(3)]
    pub applied_at_ms: i64,
    /// What it changed.
    #[n(4)]
    pub touched: Vec<Touched>,
    /// Paths that changed between the plan and the end; what was there is in `old/`.
    #[n(5)]
    pub late: Vec<String>,
    /// Directories that should have gone, and hold something that is no part of backups.
    #[n(6)]
    pub left: Vec<String>,
}

/// The folder of all rollbacks.
#[derive(Clone, Debug)]
pub struct Rollbacks {
    dir: PathBuf,
    disk: Disk,
}

/// The folder of one.
#[derive(Clone, Debug)]
pub struct RollbackFolder {
    dir: PathBuf,
    id: String,
    disk: Disk,
}

impl Local {
    /// The folder of rollbacks; nothing is created.
    #[must_use]
    pub fn rollbacks(&self) -> Rollbacks {
        Rollbacks { dir: self.root().join("restore"), disk: self.disk().clone() }
    }
}

impl Rollbacks {
    /// All folders of rollbacks, by id.
    ///
    /// # Errors
    /// File-system codes.
    pub fn all(&self) -> Result<Vec<RollbackFolder>> {
        let failed = |error| Error::io("list", &self.dir, error);
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                let id = entry.file_name().to_string_lossy().into_owned();
                folders.push(RollbackFolder { dir: entry.path(), id, disk: self.disk.clone() });
            }
        }
        folders.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(folders)
    }

    /// The rollback that is staged or under way, if there is one.
    ///
    /// # Errors
    /// File-system codes.
    pub fn open(&self) -> Result<Option<(RollbackFolder, Journal, Phase)>> {
        for folder in self.all()? {
            if let Some((journal, phase)) = folder.read()?
                && !matches!(phase, Phase::Applied | Phase::Reverted)
            {
                return Ok(Some((folder, journal, phase)));
            }
        }
        Ok(None)
    }

    /// Makes the folder of a new rollback. What an earlier, unfinished staging left behind is removed.
    ///
    /// # Errors
    /// File-system codes.
    pub fn create(&self, id: &str) -> Result<RollbackFolder> {
        self.sweep()?;
        let (dir, disk) = (self.dir.join(id), self.disk.clone());
        let folder = RollbackFolder { dir, id: id.to_owned(), disk };
        for name in ["new", "old", "used"] {
            self.disk.private_dir(&folder.dir.join(name))?;
        }
        Ok(folder)
    }

    /// Removes folders without a journal.
    ///
    /// # Errors
    /// File-system codes.
    pub fn sweep(&self) -> Result<()> {
        self.all()?.iter().try_for_each(|folder| match folder.read()? {
            None => folder.remove(),
            Some(_) => Ok(()),
        })
    }

    /// Removes rollbacks that are done. Only once a push has saved what came of them.
    ///
    /// # Errors
    /// File-system codes.
    pub fn clear_done(&self) -> Result<()> {
        self.all()?.iter().try_for_each(|folder| match folder.read()? {
            Some((_, Phase::Staged | Phase::Applying | Phase::Reverting)) => Ok(()),
            None | Some((_, Phase::Applied | Phase::Reverted)) => folder.remove(),
        })
    }

    /// Whether something was to be given to this machine, and all was put back.
    ///
    /// # Errors
    /// As [`RollbackFolder::read`].
    pub fn arrival_failed(&self) -> Result<bool> {
        for folder in self.all()? {
            if let Some((Journal { arrival: Some(_), .. }, Phase::Reverted)) = folder.read()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The last rollback that was carried out.
    ///
    /// # Errors
    /// `B2_IO`.
    pub fn last(&self) -> Result<Option<Last>> {
        let bytes = read_checked(&self.dir.join("last"))?;
        Ok(bytes.and_then(|bytes| minicbor::decode(&bytes).ok()))
    }

    /// Remembers it.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save_last(&self, last: &Last) -> Result<()> {
        write(&self.disk, &self.dir.join("last"), last)
    }
}

fn write<T: Encode<()>>(disk: &Disk, path: &Path, value: &T) -> Result<()> {
    disk.write_checked(path, &minicbor::to_vec(value).unwrap_or_default())
}

impl RollbackFolder {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Journal and phase. `None` when it has no phase: then nothing of the state was touched, since the phase is
    /// on disk, for good, before that, and the journal before the phase.
    ///
    /// # Errors
    /// `B2_IO`; `B2_ROLLBACK_OPEN` when they are damaged, or another version of this program made them. What
    /// was there is still in `old/`, and nothing may remove it.
    pub fn read(&self) -> Result<Option<(Journal, Phase)>> {
        let (journal, phase) = (self.dir.join("journal"), self.dir.join("phase"));
        if fs::symlink_metadata(&phase).is_err() {
            return Ok(None);
        }
        let journal = read_checked(&journal)?.map(|bytes| minicbor::decode(&bytes));
        let phase = read_checked(&phase)?.map(|bytes| minicbor::decode(&bytes));
        match (journal, phase) {
            (Some(Ok(journal)), Some(Ok(phase))) => Ok(Some((journal, phase))),
            _ => Err(Error::RollbackOpen {
                message: format!(
                    "the journal of a rollback in {} is damaged, or was written by another version of this \
                     plugin. What was there before is in its folder `old`; move the whole folder away to go on",
                    self.dir.display()
                ),
            }),
        }
    }

    /// Writes the journal, durable, and what it takes to turn back: on a full disk there is no room for that later.
    ///
    /// # Errors
    /// File-system codes.
    pub fn save(&self, journal: &Journal) -> Result<()> {
        write(&self.disk, &self.dir.join("turned-back"), &Phase::Reverting)?;
        write(&self.disk, &self.dir.join("journal"), journal)
    }

    /// Writes the phase, durable.
    ///
    /// # Errors
    /// File-system codes.
    pub fn set_phase(&self, phase: Phase) -> Result<()> {
        let (prepared, path) = (self.dir.join("turned-back"), self.dir.join("phase"));
        if phase != Phase::Reverting || fs::symlink_metadata(&prepared).is_err() {
            return write(&self.disk, &path, &phase);
        }
        self.disk.rename(&prepared, &path)?;
        self.disk.sync_dir(&self.dir)
    }

    /// Frees the space of what was staged.
    ///
    /// # Errors
    /// File-system codes.
    pub fn clear_staged(&self) -> Result<()> {
        // Directories that were staged may be closed even to their owner; nothing in `new/` or `old/` is one, but for
        // what took the place of a file late.
        ["new", "used"].iter().try_for_each(|name| self.disk.remove_tree(&self.dir.join(name)))
    }

    /// Removes it all. The phase goes first: a folder without it means nothing.
    ///
    /// # Errors
    /// File-system codes.
    pub fn remove(&self) -> Result<()> {
        self.disk.remove(&self.dir.join("phase"))?;
        self.disk.sync_dir(&self.dir)?;
        self.disk.remove_tree(&self.dir)
    }
}
