//! Places in the state that are written to: found through handles of directories, never through a link.
//!
//! A path as text can lead anywhere by the time it is used: somebody may put a link in the place of a directory.
//! Here each directory on the way is opened from the one above it, and a link on the way is refused.

mod moving;
mod stat;
mod system;

pub use self::stat::Stat;
pub(crate) use self::system::{give, open_to_set, owner_to_give, set_times};

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(unix)]
pub(crate) use self::system::{give_link, set_link_time};
use self::system::{
    no_follow, open_below, private, set_mode, set_mode_at, set_owner, set_time_at, stat_of,
};
use super::{EntryKind, RelPath};
use crate::ambient::{FailPoints, stepped};
use crate::error::{Error, Result};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, OpenOptions};

/// An open directory: a root of the state, or a folder of our own.
#[derive(Clone, Debug)]
pub struct Place {
    dir: Arc<Dir>,
    path: PathBuf,
    steps: Arc<dyn FailPoints>,
    refused: Refused,
}

/// What a file system did not take of what belongs to a file beside its content: permission bits, times, owners.
#[derive(Clone, Debug, Default)]
pub struct Refused(Arc<Mutex<Vec<Refusal>>>);

/// One of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of which file.
    pub path: PathBuf,
    /// What was to be done, as the step is called.
    pub action: &'static str,
    /// What the system said.
    pub error: String,
}

impl Refusal {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let action = match self.action {
            SET_MODE => "set the permissions of",
            SET_TIME => "set the time of",
            SET_OWNER => "set the owner of",
            other => other,
        };
        format!("cannot {action} it: {}", self.error)
    }
}

/// What these steps are called.
pub(crate) const SET_MODE: &str = "set mode of";
pub(crate) const SET_TIME: &str = "set time of";
pub(crate) const SET_OWNER: &str = "set owner of";

impl Refused {
    /// What was refused since it was last asked.
    #[must_use]
    pub fn take(&self) -> Vec<Refusal> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a refusal; other errors stay errors.
    ///
    /// # Errors
    /// Those that are no refusal.
    pub fn note(&self, path: &Path, action: &'static str, done: io::Result<()>) -> io::Result<()> {
        match done {
            Err(error) if is_refusal(&error) => {
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(Refusal { path: path.to_owned(), action, error: error.to_string() });
                Ok(())
            }
            done => done,
        }
    }
}

/// Whether an error says that a file system, or our rights, do not allow for something: trying again is of no use.
fn is_refusal(error: &io::Error) -> bool {
    use ErrorKind as K;
    matches!(error.kind(), K::PermissionDenied | K::Unsupported | K::InvalidInput)
}

/// A name in an open directory, whether something is there or not.
#[derive(Clone, Debug)]
pub struct Spot {
    dir: Arc<Dir>,
    name: OsString,
    path: PathBuf,
    steps: Arc<dyn FailPoints>,
    refused: Refused,
}

impl Place {
    /// Opens a directory by its path. Only for roots, which are resolved already, and for our own folders.
    ///
    /// # Errors
    /// File-system codes.
    pub fn open(path: &Path, steps: Arc<dyn FailPoints>) -> Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|error| Error::io("open", path, error))?;
        Ok(Self { dir: Arc::new(dir), path: path.to_owned(), steps, refused: Refused::default() })
    }

    /// As [`Self::open`], for a root that was resolved some time ago: a link may have come in its way since.
    ///
    /// # Errors
    /// `B2_UNSAFE_PATH` when it leads somewhere else now; file-system codes.
    pub fn open_root(path: &Path, steps: Arc<dyn FailPoints>) -> Result<Self> {
        let now = path.canonicalize().map_err(|error| Error::io("open", path, error))?;
        if now != path {
            let message = format!("it is a link to {} now", now.display());
            return Err(Error::UnsafePath { path: path.display().to_string(), message });
        }
        Self::open(path, steps)
    }

    /// What was refused below it.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    /// The spot of a path below this directory.
    ///
    /// # Errors
    /// `B2_UNSAFE_PATH` when a link is on the way; `B2_IO` when a directory on the way is missing.
    pub fn spot(&self, path: &RelPath) -> Result<Spot> {
        let full = super::absolute(&self.path, path);
        let below = super::absolute(Path::new(""), path);
        let mut names: Vec<OsString> = below.iter().map(ToOwned::to_owned).collect();
        let name = names.pop().ok_or_else(|| Error::internal("an empty path"))?;
        let mut dir = Arc::clone(&self.dir);
        for part in names {
            dir = Arc::new(open_below(&dir, &part).map_err(|error| {
                if dir.symlink_metadata(&part).is_ok_and(|meta| meta.is_symlink()) {
                    let message = "a link is in the place of a directory above it".to_owned();
                    return Error::UnsafePath { path: path.escaped(), message };
                }
                Error::io("open the directory of", &full, error)
            })?);
        }
        Ok(Spot {
            dir,
            name,
            path: full,
            steps: Arc::clone(&self.steps),
            refused: self.refused.clone(),
        })
    }

    /// The spot of a plain name in this directory.
    #[must_use]
    pub fn name(&self, name: &str) -> Spot {
        Spot {
            dir: Arc::clone(&self.dir),
            name: name.into(),
            path: self.path.join(name),
            steps: Arc::clone(&self.steps),
            refused: self.refused.clone(),
        }
    }

    /// Makes what was done in this directory durable.
    ///
    /// # Errors
    /// File-system codes.
    pub fn sync(&self) -> Result<()> {
        sync_dir(&self.dir, &self.path, &*self.steps)
    }
}

fn sync_dir(dir: &Dir, path: &Path, steps: &dyn FailPoints) -> Result<()> {
    if cfg!(unix) {
        // Not the handle itself: where the system has them, such handles are for looking things up only.
        stepped(steps, "sync directory", || dir.open(".")?.sync_all())
            .map_err(|error| Error::io("sync", path, error))?;
    }
    Ok(())
}

impl Spot {
    /// The absolute path: for messages, and for SQLite, which is told to follow no links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A spot beside this one: the same name with something after it.
    #[must_use]
    pub fn beside(&self, suffix: &str) -> Self {
        let with = |name: &std::ffi::OsStr| {
            let mut name = name.to_owned();
            name.push(suffix);
            name
        };
        Self { name: with(&self.name), path: with(self.path.as_os_str()).into(), ..self.clone() }
    }

    /// Does something that a file system may refuse.
    fn attempt(&self, action: &'static str, work: impl FnOnce() -> io::Result<()>) -> Result<()> {
        let done = stepped(&*self.steps, action, work);
        self.refused.note(&self.path, action, done).map_err(self.failed(action))
    }

    fn failed(&self, action: &'static str) -> impl Fn(io::Error) -> Error {
        let path = self.path.clone();
        move |error| Error::io(action, &path, error)
    }

    fn step<T>(&self, action: &'static str, work: impl FnOnce() -> io::Result<T>) -> Result<T> {
        stepped(&*self.steps, action, work).map_err(self.failed(action))
    }

    /// What is here, if anything is.
    ///
    /// # Errors
    /// File-system codes.
    pub fn stat(&self) -> Result<Option<Stat>> {
        match self.dir.symlink_metadata(&self.name) {
            Ok(meta) => Ok(Some(stat_of(&meta))),
            // What is called too long for the file system is not on it: a log beside a name of 255 bytes.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidFilename) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.failed("look at")(error)),
        }
    }

    /// Whether the file system takes a name of this length.
    #[must_use]
    pub fn can_be(&self) -> bool {
        let seen = self.dir.symlink_metadata(&self.name);
        !seen.is_err_and(|error| error.kind() == ErrorKind::InvalidFilename)
    }

    fn open(&self, write: bool) -> io::Result<std::fs::File> {
        let mut options = OpenOptions::new();
        options.read(true).write(write);
        no_follow(&mut options);
        self.dir.open_with(&self.name, &options).map(cap_std::fs::File::into_std)
    }

    /// The content of a small file of at most `max_bytes`.
    ///
    /// # Errors
    /// File-system codes; `B2_IO` when it is larger.
    pub fn read(&self, max_bytes: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.open(false).map_err(self.failed("read"))?;
        file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(self.failed("read"))?;
        if bytes.len() as u64 > max_bytes {
            return Err(self.failed("read")(io::Error::from(ErrorKind::FileTooLarge)));
        }
        Ok(bytes)
    }

    /// Gives the content to `take`, piece by piece.
    ///
    /// # Errors
    /// File-system codes.
    pub fn read_all(&self, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        let mut file = self.open(false).map_err(self.failed("read"))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let got = file.read(&mut buffer).map_err(self.failed("read"))?;
            if got == 0 {
                return Ok(());
            }
            take(buffer.get(..got).unwrap_or_default());
        }
    }

    /// Writes a file that survives a power cut, in place of whatever file is here.
    ///
    /// # Errors
    /// File-system codes.
    pub fn write(&self, content: &[u8], mode: u32) -> Result<()> {
        self.remove()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        let mut file = self.step("create", || self.dir.open_with(&self.name, &options))?.into_std();
        self.step("write", || file.write_all(content))?;
        self.attempt(SET_MODE, || set_mode(&file, mode))?;
        self.step("sync", || file.sync_all())
    }

    /// Makes the content of the file durable.
    ///
    /// # Errors
    /// File-system codes.
    pub fn sync(&self) -> Result<()> {
        let stat = self.stat()?;
        if stat.is_none_or(|stat| stat.kind != Some(EntryKind::File)) {
            return Ok(());
        }
        // Windows syncs no file that is open for reading alone.
        let write = cfg!(windows);
        let file = match self.open(write) {
            // Its owner may not read it, but may say otherwise for a moment.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let mode = stat.map_or(0o600, |stat| stat.mode);
                self.set_mode(0o600)?;
                let file = self.open(write).map_err(self.failed("open"))?;
                self.set_mode(mode)?;
                file
            }
            opened => opened.map_err(self.failed("open"))?,
        };
        self.step("sync", || file.sync_all())
    }

    /// Makes what was done in this spot's directory durable.
    ///
    /// # Errors
    /// File-system codes.
    pub fn sync_dir(&self) -> Result<()> {
        sync_dir(&self.dir, &self.path, &*self.steps)
    }

    /// User and group of what is here, or else of the directory.
    ///
    /// # Errors
    /// File-system codes.
    pub fn owner(&self) -> Result<(u32, u32)> {
        if let Some(here) = self.stat()? {
            return Ok(here.owner);
        }
        self.dir.dir_metadata().map(|meta| stat_of(&meta).owner).map_err(self.failed("look at"))
    }

    /// Gives what is here to a user and a group, if it is not theirs.
    ///
    /// # Errors
    /// File-system codes.
    pub fn set_owner(&self, owner: (u32, u32)) -> Result<()> {
        if self.stat()?.is_none_or(|stat| stat.owner == owner) {
            return Ok(());
        }
        self.attempt(SET_OWNER, || set_owner(&self.dir, &self.name, owner))
    }

    /// Removes the file or link that is here, if there is one.
    ///
    /// # Errors
    /// File-system codes.
    pub fn remove(&self) -> Result<()> {
        if self.stat()?.is_none() {
            return Ok(());
        }
        self.step("remove", || self.in_directory(|| self.dir.remove_file(&self.name)))
    }

    /// Sets the modification time of the file that is here, nanoseconds since 1970. It need not be one that we may read or
    /// write.
    ///
    /// # Errors
    /// File-system codes.
    pub fn set_time(&self, mtime_ns: i64) -> Result<()> {
        self.attempt(SET_TIME, || set_time_at(&self.dir, &self.name, mtime_ns))
    }

    /// Makes a directory that only its owner may enter.
    ///
    /// # Errors
    /// File-system codes.
    pub fn make_dir(&self) -> Result<()> {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "same shape as on unix"))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        {
            use cap_std::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        self.step("create", || self.in_directory(|| self.dir.create_dir_with(&self.name, &builder)))
    }

    /// Removes the directory that is here. `false` when something is still in it.
    ///
    /// # Errors
    /// File-system codes.
    pub fn remove_dir(&self) -> Result<bool> {
        let remove = || self.in_directory(|| self.dir.remove_dir(&self.name));
        match stepped(&*self.steps, "remove", remove) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(self.failed("remove")(error)),
        }
    }

    /// Sets the permission bits of the file or directory that is here. Of a link nothing is changed.
    ///
    /// # Errors
    /// File-system codes.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        if self.stat()?.is_none_or(|stat| stat.kind == Some(EntryKind::Symlink)) {
            return Ok(());
        }
        self.attempt(SET_MODE, || set_mode_at(&self.dir, &self.name, mode))
    }

    /// Sets permission bits and time of the directory that is here.
    ///
    /// # Errors
    /// File-system codes.
    pub fn finish_dir(&self, mode: u32, mtime_ns: i64) -> Result<()> {
        let dir = open_below(&self.dir, &self.name).map_err(self.failed("open"))?;
        self.attempt(SET_TIME, || set_times(&open_to_set(&dir, Path::new("."))?, mtime_ns))?;
        self.set_mode(mode)
    }
}
