//! What a folder needs of the file system: whether it may be made, what a dead process left, and a rename that
//! replaces nothing.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use super::TEMP_DIR;
use crate::error::{Error, Result};

/// Older unfinished files belong to a process that died.
pub(super) const TEMP_MAX_AGE: Duration = Duration::from_hours(24);

/// A folder is made, but not what it lies in: a missing parent is more likely a disk that is not mounted than a wish.
pub(super) fn refuse_orphan(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if parent.is_none_or(Path::is_dir) {
        return Ok(());
    }
    let message = format!(
        "{} does not exist and neither does its parent: is the disk mounted?",
        path.display()
    );
    Err(Error::Bucket { message })
}

pub(super) fn ignore_existing(made: std::io::Result<()>) -> std::io::Result<()> {
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Best effort: what cannot be removed now is removed another time. Ages are compared within the file
/// system's own clock, which on a network share is not this machine's.
pub(super) fn remove_stale(root: &Dir) {
    let Ok(temp) = root.open_dir(TEMP_DIR) else { return };
    let Ok(entries) = temp.entries() else { return };
    let newest = root.metadata(TEMP_DIR).and_then(|meta| meta.modified());
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|meta| meta.modified());
        if let (Ok(newest), Ok(modified)) = (&newest, modified)
            && newest.duration_since(modified).is_ok_and(|age| age > TEMP_MAX_AGE)
        {
            drop(temp.remove_file(entry.file_name()));
        }
    }
}

/// Makes `temp` a second name of a finished file, and its content durable.
pub(super) fn link(file: &Path, bytes: u64, root: &Dir, temp: &Path) -> std::io::Result<()> {
    let (Some(dir), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    Dir::open_ambient_dir(dir, ambient_authority())?.hard_link(name, root, temp)?;
    let linked = root.open_with(temp, OpenOptions::new().write(true))?;
    if linked.metadata()?.len() != bytes {
        return Err(ErrorKind::InvalidData.into());
    }
    linked.sync_all()
}

/// Renames, unless there is something at `target`.
pub(super) fn rename_new(root: &Dir, temp: &Path, target: &Path) -> std::io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        use rustix::io::Errno;
        let open = |path: &Path| {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            root.open_dir(parent.unwrap_or(Path::new(".")))
        };
        let name = |path: &Path| path.file_name().map(std::ffi::OsStr::to_owned);
        if let (Some(from), Some(to)) = (name(temp), name(target)) {
            let (here, there) = (open(temp)?, open(target)?);
            match renameat_with(&here, from, &there, to, RenameFlags::NOREPLACE) {
                // What some file systems say that cannot do it: a network share, an old kernel.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                done => return done.map_err(Into::into),
            }
        }
    }
    // A second name for the file is refused where there is one, too.
    match root.hard_link(temp, root, target) {
        Ok(()) => return root.remove_file(temp),
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
            return Err(error);
        }
        Err(_) => {}
    }
    // Neither is there (FAT on some systems): looking first is the best that can be done.
    match root.symlink_metadata(target) {
        Ok(_) => Err(ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => root.rename(temp, root, target),
        Err(error) => Err(error),
    }
}
