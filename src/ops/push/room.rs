//! Where the copy of a database goes: beside our memory, or where else there is room for it.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A directory with room for a copy. One that was made for it goes with it.
pub(super) struct Room {
    path: PathBuf,
    made: bool,
}

impl Room {
    /// Finds room for a copy of `database` in `usual`, or else in the system's directory for temporary files.
    ///
    /// # Errors
    /// `B2_DISK_FULL` where neither has enough.
    pub(super) fn for_copy(database: &Path, usual: &Path) -> Result<Self> {
        let bytes = bytes_of(database);
        if has_room(usual, bytes) {
            return Ok(Self { path: usual.to_owned(), made: false });
        }
        let elsewhere = std::env::temp_dir();
        let path = elsewhere.join(format!("openclaw-b2-backup-{}", std::process::id()));
        if has_room(&elsewhere, bytes) && make_private(&path).is_ok() {
            return Ok(Self { path, made: true });
        }
        Err(Error::DiskFull { action: "copy a database to", path: usual.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.made {
            // Nobody is left to tell; only we may look into it.
            let _left_behind = std::fs::remove_dir_all(&self.path);
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

fn make_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
