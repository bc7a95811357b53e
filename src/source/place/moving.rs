//! Moving files, also where that takes a copy: onto another file system, and over a mount point.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, ErrorKind};

use cap_std::fs::{Dir, OpenOptions};

#[cfg(unix)]
use super::system::set_link_time;
use super::system::{make_link, private, set_mode, set_times, stat_of};
use super::{SET_MODE, SET_TIME, Spot, Stat};
use crate::ambient::stepped;
use crate::entry::{EntryKind, PART};
use crate::error::Result;
use crate::source::holes::copy_with_holes;

/// The mode of a directory in which nothing may be changed, and of which we may change that.
fn locked(dir: &Dir) -> Option<u32> {
    let stat = stat_of(&dir.dir_metadata().ok()?);
    (stat.mode & 0o300 != 0o300).then_some(stat.mode)
}

impl Spot {
    /// Does something in this spot's directory, also where that is its owner's and says that nothing may change in it (Go's
    /// module cache, say): it may for that moment. Killed in between, the directory stays open to its owner.
    pub(super) fn in_directory<T>(&self, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let done = work();
        if done.as_ref().err().map(io::Error::kind) != Some(ErrorKind::PermissionDenied) {
            return done;
        }
        let Some(mode) = locked(&self.dir) else { return done };
        set_mode(&self.dir.open(".")?.into_std(), mode | 0o300)?;
        let done = work();
        set_mode(&self.dir.open(".")?.into_std(), mode)?;
        done
    }

    /// Where a file is written before it gets this name: in the same directory, under a name that is never too long.
    fn part(&self) -> Self {
        // The same for the same name, so that what was cut off is found again.
        let mut hash = DefaultHasher::new();
        self.name.hash(&mut hash);
        let name = format!("{PART}{:016x}", hash.finish());
        // Messages are about the file that it becomes.
        Self { name: name.into(), ..self.clone() }
    }

    /// Removes what a move that was cut off has left here.
    ///
    /// # Errors
    /// File-system codes.
    pub fn clear_part(&self) -> Result<()> {
        self.part().remove()
    }

    /// Moves what is here to `to`, over what is there. On another file system a file or link is copied, made
    /// durable under another name, put in place, and removed here: whatever happens, one of both is whole.
    ///
    /// A file that is a mount point itself can neither be moved nor replaced: it is copied, and written over.
    ///
    /// # Errors
    /// File-system codes.
    pub fn move_to(&self, to: &Self) -> Result<()> {
        match self.rename_to(to) {
            Err(error)
                if matches!(error.kind(), ErrorKind::CrossesDevices | ErrorKind::ResourceBusy) =>
            {
                self.copy_to(to)
            }
            // One of the two is in a folder of ours: what may not be changed is around the other.
            Err(error)
                if error.kind() == ErrorKind::PermissionDenied && locked(&to.dir).is_some() =>
            {
                Err(to.failed("move something to")(error))
            }
            moved => moved.map_err(self.failed("move")),
        }
    }

    fn rename_to(&self, to: &Self) -> io::Result<()> {
        let rename = || self.dir.rename(&self.name, &to.dir, &to.name);
        stepped(&*self.steps, "rename", || self.in_directory(|| to.in_directory(rename)))
    }

    /// Copies a file to a new one that only its owner may read.
    ///
    /// # Errors
    /// File-system codes.
    pub fn copy_file(&self, to: &Self) -> Result<()> {
        to.remove()?;
        let mut from = self.open(false).map_err(self.failed("read"))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        let mut file = to.step("create", || to.dir.open_with(&to.name, &options))?.into_std();
        to.step("write", || copy_with_holes(&mut from, &mut file))
    }

    fn copy_to(&self, to: &Self) -> Result<()> {
        let part = to.part();
        part.remove()?;
        let stat = self.stat()?.ok_or_else(|| self.failed("move")(ErrorKind::NotFound.into()))?;
        let fresh = to.stat()?.is_none();
        self.copy_as(&part, stat).and_then(|()| to.replace(&part, stat)).inspect_err(|_| {
            // On a full disk it would keep the room that going back may need.
            let _best_effort = part.remove();
        })?;
        to.sync_dir()?;
        let remove = || self.in_directory(|| self.dir.remove_file(&self.name));
        match stepped(&*self.steps, "remove", remove) {
            // A mount point stays what it is.
            Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(()),
            removed => removed.map_err(self.failed("remove")).inspect_err(|_| {
                // If it stays here, it must not be there as well; if not, that is the only one.
                if fresh && self.stat().is_ok_and(|here| here.is_some()) {
                    let _best_effort = to.remove();
                }
            }),
        }
    }

    /// Copies the file or link that is here to `part`, with all that belongs to it, and makes the copy durable.
    fn copy_as(&self, part: &Self, stat: Stat) -> Result<()> {
        match stat.kind {
            Some(EntryKind::File) => {
                let mut from = self.open(false).map_err(self.failed("read"))?;
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                private(&mut options);
                let create = || part.in_directory(|| part.dir.open_with(&part.name, &options));
                let mut file = part.step("create", create)?.into_std();
                part.step("write", || copy_with_holes(&mut from, &mut file))?;
                part.set_owner(stat.owner)?;
                part.attempt(SET_MODE, || set_mode(&file, stat.mode))?;
                part.attempt(SET_TIME, || set_times(&file, stat.mtime_ns))?;
                part.step("sync", || file.sync_all())
            }
            Some(EntryKind::Symlink) => {
                let target = self.dir.read_link_contents(&self.name);
                let target = target.map_err(self.failed("read"))?;
                let link = || make_link(&part.dir, &target, &part.name);
                part.step("link", || part.in_directory(link))?;
                part.set_owner(stat.owner)?;
                #[cfg(unix)]
                part.attempt(SET_TIME, || set_link_time(&part.dir, &part.name, stat.mtime_ns))?;
                Ok(())
            }
            _ => Err(self.failed("move")(ErrorKind::CrossesDevices.into())),
        }
    }

    /// Puts `part` in the place of what is here.
    fn replace(&self, part: &Self, stat: Stat) -> Result<()> {
        match part.rename_to(self) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => self.write_over(part, stat),
            moved => moved.map_err(self.failed("move")),
        }
    }

    /// Writes the content of `part`, which goes, into the file that is here.
    fn write_over(&self, part: &Self, stat: Stat) -> Result<()> {
        let mut from = part.open(false).map_err(part.failed("read"))?;
        let mut file = self.open(true).map_err(self.failed("open"))?;
        self.step("write", || {
            let bytes = io::copy(&mut from, &mut file)?;
            file.set_len(bytes)
        })?;
        self.attempt(SET_MODE, || set_mode(&file, stat.mode))?;
        self.attempt(SET_TIME, || set_times(&file, stat.mtime_ns))?;
        self.step("sync", || file.sync_all())?;
        part.remove()
    }
}
