//! What this machine has seen with its own eyes of what it stored: which packs were read again, which are damaged,
//! and which snapshot was restored for a trial.

use std::fs;
use std::path::{Path, PathBuf};

use minicbor::{Decode, Encode};

use super::folder::{Local, LockFile};
use crate::error::{Error, Result};
use crate::format::PackName;

/// A pack of which every byte was read and found to be what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PackRead {
    /// Its name.
    #[n(0)]
    pub name: PackName,
    /// When, milliseconds since 1970 by the local clock.
    #[n(1)]
    pub at_ms: i64,
}

/// A snapshot that was restored in whole for a trial.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Drilled {
    /// Its id.
    #[n(0)]
    pub snapshot: String,
    /// When, milliseconds since 1970 by the local clock.
    #[n(1)]
    pub at_ms: i64,
}

/// The local file `proof`. Losing it costs that everything is read again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Proof {
    /// Packs that were read, by name.
    #[n(0)]
    pub reads: Vec<PackRead>,
    /// Packs that are lost or damaged: the next push takes nothing in them for known.
    #[n(1)]
    pub bad: Vec<PackName>,
    /// The last trial that came back whole.
    #[n(2)]
    pub drilled: Option<Drilled>,
    /// Key slots that are not what this machine remembers: the next push puts them again, as they were.
    #[n(3)]
    #[cbor(default)]
    pub bad_slots: Vec<String>,
}

/// A folder that a snapshot is restored into for a trial: mode 0700, emptied when it is taken and when it is let go.
#[derive(Debug)]
pub struct TrialFolder {
    path: PathBuf,
    _lock: LockFile,
}

impl Local {
    /// Takes the folder for trial restores. What a killed one left there is removed.
    ///
    /// # Errors
    /// `B2_LOCKED` when another process has it; file-system codes.
    pub fn trial(&self) -> Result<TrialFolder> {
        let outer = self.root().join("drill");
        self.disk().private_dir(&outer)?;
        let lock = self.lock_at(outer.join("lock"))?;
        let folder = TrialFolder { path: outer.join("files"), _lock: lock };
        remove_tree(&folder.path)?;
        self.disk().private_dir(&folder.path)?;
        Ok(folder)
    }
}

impl TrialFolder {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TrialFolder {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!(%error, "the files of a trial restore stay until the next one");
        }
    }
}

/// Removes a directory of ours, in which there may be directories that were restored as read-only.
fn remove_tree(path: &Path) -> Result<()> {
    let failed = |error| Error::io("remove", path, error);
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            make_writable(path).map_err(failed)?;
            fs::remove_dir_all(path).map_err(failed)
        }
        done => done.map_err(failed),
    }
}

fn make_writable(dir: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}
