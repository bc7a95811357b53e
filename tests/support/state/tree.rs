//! Writes files with given modes and made-up, reproducible modification times.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Result;

/// A state's folder and the clock of what is written to it.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    clock_ms: u64,
    stamps: u64,
    /// Bytes written so far that a backup includes.
    pub(crate) included_bytes: usize,
}

impl Tree {
    pub(crate) fn new(root: &Path, clock_ms: u64) -> Self {
        Self { root: root.to_owned(), clock_ms, stamps: 0, included_bytes: 0 }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Makes the parent folders of a path and returns it.
    pub(crate) fn make_room(&self, relative: &str) -> Result<PathBuf> {
        let path = self.path(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(path)
    }

    pub(crate) fn write(&mut self, relative: &str, content: impl AsRef<[u8]>) -> Result<()> {
        self.write_mode(relative, content, 0o644)
    }

    pub(crate) fn write_mode(
        &mut self,
        relative: &str,
        content: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<()> {
        let path = self.make_room(relative)?;
        let content = content.as_ref();
        fs::write(&path, content)?;
        self.finish(&path, Some(mode))?;
        if !super::excluded(relative) {
            self.included_bytes += content.len();
        }
        Ok(())
    }

    /// Appends to a file, or makes it, through a buffer.
    pub(crate) fn append(
        &mut self,
        path: &Path,
        fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<usize>,
    ) -> Result<()> {
        let fresh = !path.exists();
        let mut out = BufWriter::new(File::options().append(true).create(true).open(path)?);
        fill(&mut out)?;
        out.flush()?;
        drop(out);
        self.finish(path, fresh.then_some(0o644))
    }

    /// Sets mode and modification time. Each file gets its own time, down to the nanosecond.
    fn finish(&mut self, path: &Path, mode: Option<u32>) -> Result<()> {
        #[cfg(unix)]
        if let Some(mode) = mode {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        #[cfg(not(unix))]
        let _ = mode;
        self.stamps += 1;
        let time = UNIX_EPOCH
            + Duration::from_millis(self.clock_ms)
            + Duration::from_secs(self.stamps * 61)
            + Duration::from_nanos(self.stamps * 1_000_003 % 1_000_000_000);
        set_modified(path, time)
    }
}

fn set_modified(path: &Path, time: SystemTime) -> Result<()> {
    Ok(File::options().write(true).open(path)?.set_modified(time)?)
}
