//! Small files of our own, written so that a crash leaves the old or the new one, and read so that a torn or
//! foreign one is noticed.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::Arc;

use crate::ambient::{FailPoints, private_dirs, stepped};
use crate::crypto::sha256;
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"OCLAWLM1";

/// The disk as local memory changes it: every step is told of.
#[derive(Clone, Debug)]
pub(super) struct Disk(pub(super) Arc<dyn FailPoints>);

impl Disk {
    fn step<T>(
        &self,
        action: &'static str,
        path: &Path,
        work: impl FnOnce() -> std::io::Result<T>,
    ) -> Result<T> {
        stepped(&*self.0, action, work).map_err(|error| Error::io(action, path, error))
    }

    /// Makes a directory that only its owner may enter, and those above it. One that is there, and that others may
    /// enter, is closed to them.
    pub(super) fn private_dir(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return self.close(path);
        }
        self.step("create", path, || private_dirs().recursive(true).create(path))
    }

    /// Makes a directory that only its owner may enter, where nothing is.
    pub(super) fn new_private_dir(&self, path: &Path) -> Result<()> {
        self.step("create", path, || private_dirs().create(path))
    }

    #[cfg(unix)]
    fn close(&self, path: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = fs::metadata(path).map_err(|error| Error::io("look at", path, error))?;
        if meta.permissions().mode() & 0o777 & !0o700 == 0 {
            return Ok(());
        }
        self.step("close", path, || fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "same shape as on unix")]
    fn close(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    /// Makes renames and removals in a directory durable. Windows has no such call and needs none.
    pub(super) fn sync_dir(&self, path: &Path) -> Result<()> {
        if cfg!(unix) {
            let dir = fs::File::open(path).map_err(|error| Error::io("open", path, error))?;
            self.step("sync", path, || dir.sync_all())?;
        }
        Ok(())
    }

    /// Makes the content of a file of ours durable. `false` when there is no such file.
    pub(super) fn sync_file(&self, path: &Path) -> Result<bool> {
        // Windows syncs no file that is open for reading alone.
        let file = match fs::OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|error| Error::io("open", path, error))?,
        };
        self.step("sync", path, || file.sync_all()).map(|()| true)
    }

    /// Opens a file of ours (mode 0600), making it where there is none.
    pub(super) fn open(&self, path: &Path, options: &mut fs::OpenOptions) -> Result<fs::File> {
        options.write(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        self.step("create", path, || options.open(path))
    }

    /// Writes a file (mode 0600) under a temporary name and renames it into place. With `durable` it survives a
    /// power cut from the moment this returns.
    pub(super) fn write_atomic(&self, path: &Path, parts: &[&[u8]], durable: bool) -> Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".new");
        let temporary = path.with_file_name(name);
        let mut file = self.open(&temporary, fs::OpenOptions::new().truncate(true))?;
        let write = || parts.iter().try_for_each(|part| file.write_all(part));
        if let Err(error) = self.step("write", path, write) {
            drop(file);
            let _best_effort = fs::remove_file(&temporary);
            return Err(error);
        }
        if durable {
            self.step("sync", path, || file.sync_all())?;
        }
        drop(file);
        self.rename(&temporary, path)?;
        match path.parent() {
            Some(parent) if durable => self.sync_dir(parent),
            _ => Ok(()),
        }
    }

    /// Writes a file (mode 0600) that may be torn.
    pub(super) fn write_in_place(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = self.open(path, fs::OpenOptions::new().truncate(true))?;
        self.step("write", path, || file.write_all(bytes))
    }

    /// Writes bytes behind a checksum, durable.
    pub(super) fn write_checked(&self, path: &Path, payload: &[u8]) -> Result<()> {
        self.write_atomic(path, &[MAGIC, &sha256(payload), payload], true)
    }

    /// Renames a file over whatever is there.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.step("rename", to, || fs::rename(from, to))
    }

    /// Removes a file that may be gone already.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        self.step("remove", path, || or_gone(fs::remove_file(path)))
    }

    /// Removes a directory that may be gone already, with all that is in it.
    pub(super) fn remove_tree(&self, path: &Path) -> Result<()> {
        self.step("remove", path, || or_gone(fs::remove_dir_all(path)))
    }
}

fn or_gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Whether something is there, be it a link that leads nowhere. Not being able to tell is not the same as absence.
pub(super) fn is_there(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("look at", path, error)),
    }
}

/// Reads bytes behind a checksum. `None` when there is no file, or none that is whole: local memory can be
/// made anew from the bucket, and half of it must never be believed.
pub(super) fn read_checked(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    let head = MAGIC.len() + 32;
    let whole = bytes.get(..MAGIC.len()) == Some(MAGIC)
        && bytes
            .get(head..)
            .is_some_and(|payload| bytes.get(MAGIC.len()..head) == Some(&sha256(payload)[..]));
    if !whole {
        tracing::warn!(path = %path.display(), "local file is damaged and is made anew");
        return Ok(None);
    }
    bytes.drain(..head);
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_looked_at_is_not_absent() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        assert!(!is_there(&file).unwrap());
        fs::write(&file, "").unwrap();
        assert!(is_there(&file).unwrap());
        assert_eq!(is_there(&file.join("below")).unwrap_err().code(), "B2_IO");
        #[cfg(unix)]
        {
            let link = dir.path().join("link");
            std::os::unix::fs::symlink("nowhere", &link).unwrap();
            assert!(is_there(&link).unwrap());
        }
    }

    #[cfg(unix)]
    #[test]
    fn others_are_shut_out_of_a_directory_that_is_there() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::create_dir(&path).unwrap();
        let disk = Disk(Arc::new(crate::ambient::NoFailPoints));
        for (before, after) in [(0o755, 0o700), (0o701, 0o700), (0o500, 0o500)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
            disk.private_dir(&path).unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, after);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_is_synced_through_a_handle_that_may_write() {
        use std::os::unix::fs::MetadataExt as _;
        /// Notes how the file is open when it is synced.
        #[derive(Debug)]
        struct Look(std::path::PathBuf, std::sync::Mutex<Vec<String>>);
        impl FailPoints for Look {
            fn step(&self, _name: &'static str) -> std::io::Result<()> {
                let inode = fs::metadata(&self.0)?.ino();
                for open in fs::read_dir("/proc/self/fd")?.flatten() {
                    // Others open and close meanwhile.
                    let same = fs::metadata(open.path()).is_ok_and(|meta| meta.ino() == inode);
                    let info = Path::new("/proc/self/fdinfo").join(open.file_name());
                    if let (true, Ok(info)) = (same, fs::read_to_string(info)) {
                        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
                        self.1.lock().unwrap().extend(flags.map(|flags| flags.trim().to_owned()));
                    }
                }
                Ok(())
            }
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.into_temp_path();
        let look = Arc::new(Look(path.to_path_buf(), std::sync::Mutex::default()));
        assert!(Disk(Arc::clone(&look) as Arc<dyn FailPoints>).sync_file(&path).unwrap());
        let seen = look.1.lock().unwrap();
        // The access mode is in the last octal digit; 0 is reading alone, with which Windows syncs nothing.
        assert!(!seen.is_empty() && seen.iter().all(|flags| flags.ends_with('2')), "{seen:?}");
    }

    #[test]
    fn damaged_files_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert_eq!(read_checked(&path).unwrap(), None);
        Disk(Arc::new(crate::ambient::NoFailPoints)).write_checked(&path, b"hello").unwrap();
        assert_eq!(read_checked(&path).unwrap().as_deref(), Some(&b"hello"[..]));
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(read_checked(&path).unwrap(), None, "{cut}");
        }
    }
}
