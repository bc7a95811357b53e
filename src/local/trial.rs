//! The folder for trial restores.

use std::fs;
use std::path::{Path, PathBuf};

use super::folder::{Local, LockFile};
use crate::error::{Error, Result};

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
