//! What is done in another way on each system: modes, times, links, and not following them.

use std::ffi::OsString;
use std::fs::FileTimes;
use std::io::ErrorKind;
use std::path::Path;

use cap_std::fs::{Dir, Metadata, OpenOptions};

use super::stat::Stat;
use crate::entry::EntryKind;
use crate::source::stat::TICK_NS;
#[cfg(not(unix))]
use crate::source::stat::mode_without_bits;

pub(super) fn stat_of(meta: &Metadata) -> Stat {
    let kind = if meta.is_dir() {
        Some(EntryKind::Directory)
    } else if meta.is_symlink() {
        Some(EntryKind::Symlink)
    } else {
        meta.is_file().then_some(EntryKind::File)
    };
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt as _;
        let mtime_ns = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
        let (mode, inode) = (meta.mode() & 0o7777, meta.ino());
        let owner = (meta.uid(), meta.gid());
        Stat { kind, size: meta.len(), mode, mtime_ns, inode, owner }
    }
    #[cfg(not(unix))]
    {
        let time = meta.modified().ok().map(cap_std::time::SystemTime::into_std);
        let mtime_ns = time.and_then(|time| match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).ok(),
            Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|ns| -ns),
        });
        let mode = mode_without_bits(meta.is_dir(), meta.permissions().readonly());
        Stat {
            kind,
            size: meta.len(),
            mode,
            mtime_ns: mtime_ns.unwrap_or_default(),
            inode: 0,
            owner: (0, 0),
        }
    }
}

pub(super) fn no_follow(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use cap_std::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    }
    #[cfg(not(unix))]
    let _no_such_flag = options;
}

pub(super) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use cap_std::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _no_modes_here = options;
}

pub(super) fn set_mode(file: &std::fs::File, mode: u32) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(mode))
    }
    #[cfg(not(unix))]
    {
        let _no_modes_here = (file, mode);
        Ok(())
    }
}

pub(super) fn set_mode_at(dir: &Dir, name: &OsString, mode: u32) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use cap_std::fs::PermissionsExt as _;
        dir.set_permissions(name, cap_std::fs::Permissions::from_mode(mode))
    }
    #[cfg(not(unix))]
    {
        let _no_modes_here = (dir, name, mode);
        Ok(())
    }
}

/// Never follows a link.
pub(super) fn set_owner(dir: &Dir, name: &OsString, owner: (u32, u32)) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{AtFlags, Gid, Uid, chownat};
        let (user, group) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        chownat(dir, name, Some(user), Some(group), flags).map_err(std::io::Error::from)
    }
    #[cfg(not(unix))]
    {
        let _no_owners_here = (dir, name, owner);
        Ok(())
    }
}

/// Whom a directory's user and group are, where files made here would be somebody else's and can be given away.
pub(crate) fn owner_to_give(directory: &Path) -> std::io::Result<Option<(u32, u32)>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let meta = std::fs::metadata(directory)?;
        let owner = (meta.uid(), meta.gid());
        Ok(Some(owner).filter(|_| rustix::process::geteuid().is_root() && owner != (0, 0)))
    }
    #[cfg(not(unix))]
    {
        let _no_owners_here = directory;
        Ok(None)
    }
}

/// Gives an open file away.
pub(crate) fn give(file: &std::fs::File, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{Gid, Uid, fchown};
        owner.map_or(Ok(()), |(user, group)| {
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            fchown(file, Some(user), Some(group)).map_err(std::io::Error::from)
        })
    }
    #[cfg(not(unix))]
    {
        let _no_owners_here = (file, owner);
        Ok(())
    }
}

/// Gives a link itself away.
#[cfg(unix)]
pub(crate) fn give_link(
    dir: &Dir,
    name: &std::ffi::OsStr,
    owner: Option<(u32, u32)>,
) -> std::io::Result<()> {
    owner.map_or(Ok(()), |owner| set_owner(dir, &name.to_owned(), owner))
}

/// Sets the times of what is open, in nanoseconds since 1970.
///
/// # Errors
/// The system's, and `InvalidInput` where the file system holds another time now: ext4 with inodes of 128 bytes ends with
/// 2038, and changes a later time without a word.
pub(crate) fn set_times(file: &std::fs::File, ns: i64) -> std::io::Result<()> {
    let distance = std::time::Duration::from_nanos(ns.unsigned_abs());
    let epoch = std::time::UNIX_EPOCH;
    let time = if ns < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
    let time = time.unwrap_or(epoch);
    file.set_times(FileTimes::new().set_modified(time).set_accessed(time))?;
    holds(ns, stat_of(&Metadata::from_file(file)?).mtime_ns)
}

/// Whether a time was held, but for what a coarse file system cuts off it.
fn holds(wanted: i64, held: i64) -> std::io::Result<()> {
    if held.abs_diff(wanted) <= TICK_NS.unsigned_abs() {
        return Ok(());
    }
    let message = "the file system has no time so far from now";
    Err(std::io::Error::new(ErrorKind::InvalidInput, message))
}

/// Never follows a link.
pub(super) fn set_time_at(dir: &Dir, name: &OsString, ns: i64) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        set_link_time(dir, name, ns)
    }
    #[cfg(not(unix))]
    {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        set_times(&dir.open_with(name, &options)?.into_std(), ns)
    }
}

pub(super) fn make_link(dir: &Dir, target: &Path, name: &OsString) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        dir.symlink_contents(target, name)
    }
    #[cfg(not(unix))]
    {
        let _needs_a_privilege = (dir, target, name);
        Err(ErrorKind::Unsupported.into())
    }
}

#[cfg(unix)]
pub(super) fn open_below(dir: &Dir, name: &OsString) -> std::io::Result<Dir> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    Ok(Dir::from_std_file(std::fs::File::from(opened)))
}

#[cfg(not(unix))]
pub(super) fn open_below(dir: &Dir, name: &OsString) -> std::io::Result<Dir> {
    if dir.symlink_metadata(name)?.is_symlink() {
        return Err(ErrorKind::NotADirectory.into());
    }
    dir.open_dir(name)
}

/// Opens a directory to set its mode and time, which a handle for looking things up below it (`open_dir`) may not.
pub(crate) fn open_to_set(dir: &Dir, path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(windows)]
    {
        use cap_std::fs::OpenOptionsExt as _;
        // FILE_READ_ATTRIBUTES and FILE_WRITE_ATTRIBUTES; FILE_FLAG_BACKUP_SEMANTICS, without which no directory opens.
        options.access_mode(0x80 | 0x100).custom_flags(0x0200_0000);
    }
    dir.open_with(path, &options).map(cap_std::fs::File::into_std)
}

/// Sets the time of a link itself.
#[cfg(unix)]
pub(crate) fn set_link_time(dir: &Dir, name: &std::ffi::OsStr, ns: i64) -> std::io::Result<()> {
    use rustix::fs::{AtFlags, Timespec, Timestamps, utimensat};
    let time =
        Timespec { tv_sec: ns.div_euclid(1_000_000_000), tv_nsec: ns.rem_euclid(1_000_000_000) };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    holds(ns, stat_of(&dir.symlink_metadata(name)?).mtime_ns)
}
