//! Where the copy of a database goes: beside our memory, or where else there is room for it.

use std::path::{Path, PathBuf};

use crate::ambient::Entropy;
use crate::error::{Error, Result};
use crate::local::Local;

/// A directory with room for a copy. One that was made for it goes with it.
pub(super) struct Room {
    path: PathBuf,
    /// Where it is noted, if it was made.
    noted: Option<Local>,
}

impl Room {
    /// Finds room for a copy of `database` in `usual`, or else in the system's directory for temporary files.
    ///
    /// # Errors
    /// `B2_DISK_FULL` where neither has enough; other file-system codes where nothing can be made there.
    pub(super) fn for_copy(
        database: &Path,
        usual: &Path,
        local: &Local,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        let bytes = bytes_of(database);
        if has_room(usual, bytes) {
            return Ok(Self { path: usual.to_owned(), noted: None });
        }
        if has_room(&std::env::temp_dir(), bytes) {
            let path = local.temporary_elsewhere(entropy)?;
            return Ok(Self { path, noted: Some(local.clone()) });
        }
        Err(Error::DiskFull { action: "copy a database to", path: usual.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(local) = &self.noted {
            // Nobody is left to tell; the next push tries again.
            let _left_behind = local.remove_elsewhere(&self.path);
        }
    }
}

/// The bytes of a database and of its log.
fn bytes_of(database: &Path) -> u64 {
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    bytes(database).saturating_add(bytes(Path::new(&log)))
}

/// Whether a disk has room for so many bytes, and a tenth of them is left. Where that cannot be asked, the copy tells.
#[cfg(unix)]
fn has_room(directory: &Path, bytes: u64) -> bool {
    rustix::fs::statvfs(directory).map_or(true, |disk| {
        disk.f_bavail.saturating_mul(disk.f_frsize) >= bytes.saturating_add(bytes / 10)
    })
}

#[cfg(not(unix))]
fn has_room(_directory: &Path, _bytes: u64) -> bool {
    true
}
