//! The directory that is restored into. All access goes through a handle of it, so that nothing can lead out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, OpenOptions};

use crate::ambient::{FailPoints, private_dirs, stepped};
use crate::crypto::ContentHash;
use crate::engine::problem::FileProblem;
use crate::entry::RelPath;
use crate::error::{Error, Result};
use crate::format::{Entry, RootRecord};
use crate::source::holes::without_holes;
use crate::source::naming::Naming;
use crate::source::place::{self, Refusal, Refused, SET_OWNER, SET_TIME};
use crate::source::shown_path;

/// Where roots other than the state directory go, below the target.
const OTHER_ROOTS: &str = ".b2-roots";

/// Whether the file of an entry was made.
#[derive(Debug, Default)]
pub(crate) struct Made(Mutex<bool>);

impl Made {
    fn is_made(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open, empty directory.
#[derive(Debug)]
pub(crate) struct Target {
    path: PathBuf,
    dir: Dir,
    /// Directory of each root, below the target; empty for the state directory.
    roots: Mutex<Vec<PathBuf>>,
    /// Set once the restore was given up. Held for reading by whoever writes.
    closed: RwLock<bool>,
    steps: Arc<dyn FailPoints>,
    refused: Refused,
    naming: Naming,
    /// Who gets what is restored, where that is not who runs this.
    owner: Option<(u32, u32)>,
}

impl Target {
    /// Creates the directory, for its owner alone, or takes an empty one.
    pub(crate) fn open(path: &Path, steps: Arc<dyn FailPoints>) -> Result<Self> {
        let made: Vec<&Path> = path.ancestors().take_while(|above| !is_there(above)).collect();
        private_dirs().recursive(true).create(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::NotADirectory => {
                Error::TargetNotEmpty { path: path.to_owned() }
            }
            _ => Error::io("create", path, error),
        })?;
        let failed = |error| Error::io("open", path, error);
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(failed)?;
        if dir.entries().map_err(failed)?.next().is_some() {
            return Err(Error::TargetNotEmpty { path: path.to_owned() });
        }
        let around = made.last().map_or(Some(path), |outermost| outermost.parent());
        let around = around.filter(|around| !around.as_os_str().is_empty());
        let owner = place::owner_to_give(around.unwrap_or(Path::new("."))).map_err(failed)?;
        for above in owner.iter().flat_map(|_| &made) {
            let file = std::fs::File::open(above).map_err(failed)?;
            place::give(&file, owner).map_err(failed)?;
        }
        Ok(Self {
            path: path.to_owned(),
            dir,
            roots: Mutex::default(),
            closed: RwLock::default(),
            steps,
            refused: Refused::default(),
            naming: Naming::of(path),
            owner,
        })
    }

    /// Why the file system here cannot hold a path, if so: to it `a\b` may be another path, and `con` no file.
    pub(crate) fn unfit(&self, path: &RelPath) -> Option<Error> {
        self.naming.name(path).err()
    }

    #[cfg(test)]
    pub(super) fn with_naming(self, naming: Naming) -> Self {
        Self { naming, ..self }
    }

    /// What the file system did not take beside content.
    pub(crate) fn refused(&self) -> Vec<Refusal> {
        self.refused.take()
    }

    /// For as long as something is written: [`Self::clear`] waits for it, and nothing is written after that.
    fn writing(&self) -> Result<RwLockReadGuard<'_, bool>> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        if *closed { Err(Error::Cancelled) } else { Ok(closed) }
    }

    /// Removes everything in it, for good: threads of the restore that still run write nothing more.
    pub(crate) fn clear(&self) -> Result<()> {
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = true;
        let failed = |error| Error::io("empty", &self.path, error);
        for entry in self.dir.entries().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if self.dir.symlink_metadata(&name).map_err(failed)?.is_dir() {
                self.dir.remove_dir_all(&name).map_err(failed)?;
            } else {
                self.dir.remove_file(&name).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Decides where each root goes. The first is the state directory, and goes to the target itself.
    pub(super) fn place_roots(&self, records: &[RootRecord]) {
        let places = records.iter().enumerate().map(|(index, record)| {
            if index == 0 {
                return PathBuf::new();
            }
            let name = record.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            let safe = |byte: &u8| {
                if byte.is_ascii_alphanumeric() || b"-_".contains(byte) {
                    *byte as char
                } else {
                    '_'
                }
            };
            let name: String = name.iter().take(80).map(safe).collect();
            Path::new(OTHER_ROOTS).join(format!("{index}-{name}"))
        });
        *self.roots.lock().unwrap_or_else(PoisonError::into_inner) = places.collect();
    }

    /// `original path -> directory` of each root, where there are several.
    /// What `places` says came in the place of a link in the state directory.
    pub(crate) fn describe(
        &self,
        records: &[RootRecord],
        places: &[Option<RelPath>],
    ) -> Vec<String> {
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |(index, (record, root)): (usize, (&RootRecord, &PathBuf))| {
            let original = RelPath::from_bytes(record.path.clone()).escaped();
            let place = match places.get(index) {
                Some(Some(place)) => crate::source::absolute(&self.path, place),
                _ => self.path.join(root),
            };
            format!("{original} -> {}", shown_path(&place))
        };
        if records.len() < 2 {
            Vec::new()
        } else {
            records.iter().zip(roots.iter()).enumerate().map(text).collect()
        }
    }

    fn place(&self, entry: &Entry) -> PathBuf {
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let root = roots.get(usize::from(entry.root)).cloned().unwrap_or_default();
        crate::source::absolute(&root, &entry.path)
    }

    /// Where an entry was restored to. A path, for looking at it: nothing is written by it.
    pub(crate) fn path_of(&self, entry: &Entry) -> PathBuf {
        self.path.join(self.place(entry))
    }

    fn failed(&self, action: &'static str, place: &Path, error: std::io::Error) -> Error {
        Error::io(action, &self.path.join(place), error)
    }

    /// Makes the directories above an entry that the snapshot does not hold (a single path was asked for).
    fn make_parents(&self, place: &Path) -> Result<()> {
        match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                let mut below = PathBuf::new();
                parent.iter().try_for_each(|name| {
                    below.push(name);
                    self.private_dir(&below)
                })
            }
            _ => Ok(()),
        }
    }

    /// Makes a directory that only its owner may enter, if it is not there.
    fn private_dir(&self, place: &Path) -> Result<()> {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "same shape as on unix"))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        {
            use cap_std::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        match self.dir.create_dir_with(place, &builder) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(self.failed("create", place, error)),
            Ok(()) => {
                let dir = place::open_to_set(&self.dir, place)
                    .map_err(|error| self.failed("open", place, error))?;
                self.give(&dir, place)
            }
        }
    }

    fn give(&self, file: &std::fs::File, place: &Path) -> Result<()> {
        let given = place::give(file, self.owner);
        let given = self.refused.note(&self.path.join(place), SET_OWNER, given);
        given.map_err(|error| self.failed(SET_OWNER, place, error))
    }

    /// Makes a directory that only its owner may enter until it is finished.
    pub(super) fn make_dir(&self, entry: &Entry) -> Result<()> {
        let _writing = self.writing()?;
        let place = self.place(entry);
        self.make_parents(&place)?;
        self.private_dir(&place)
    }

    /// Makes a file, or opens the one that was made for the same entry before. What else is there is left alone: to a
    /// file system that folds case, say, another entry's name may be the same.
    fn create(&self, place: &Path, made: &Made) -> Result<std::fs::File> {
        let mut made = made.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut options = OpenOptions::new();
        options.write(true).create_new(!*made);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut open = || {
            let opened = self.dir.open_with(place, &options);
            *made |= opened.is_ok();
            opened
        };
        match stepped(&*self.steps, "create", &mut open) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.make_parents(place)?;
                open()
            }
            other => other,
        }
        .map(cap_std::fs::File::into_std)
        .map_err(|error| self.failed("create", place, error))
    }

    /// Writes a file of which all content is here, and finishes it.
    pub(crate) fn write_whole(&self, entry: &Entry, content: &[u8], made: &Made) -> Result<()> {
        let _writing = self.writing()?;
        let place = self.place(entry);
        let file = self.create(&place, made)?;
        stepped(&*self.steps, "write", || {
            write_at(&file, content, 0)?;
            file.set_len(content.len() as u64)
        })
        .map_err(|error| self.failed("write", &place, error))?;
        self.set_meta(&file, entry, &place)
    }

    /// Writes a part of a file.
    pub(super) fn write_part(
        &self,
        entry: &Entry,
        part: &[u8],
        offset: u64,
        made: &Made,
    ) -> Result<()> {
        let _writing = self.writing()?;
        let place = self.place(entry);
        let file = self.create(&place, made)?;
        stepped(&*self.steps, "write", || write_at(&file, part, offset))
            .map_err(|error| self.failed("write", &place, error))
    }

    /// Reads a file that came in parts; when it is what it should be, finishes it.
    pub(super) fn finish_file(&self, entry: &Entry, made: &Made) -> Result<bool> {
        let _writing = self.writing()?;
        if !made.is_made() {
            return Ok(false);
        }
        let place = self.place(entry);
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = match self.dir.open_with(&place, &options) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|error| self.failed("open", &place, error))?,
        };
        let mut file = file.into_std();
        // A hole at its end was not written.
        file.set_len(entry.size).map_err(|error| self.failed("write", &place, error))?;
        let (mut hash, mut size) = (ContentHash::default(), 0);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let got = file.read(&mut buffer).map_err(|error| self.failed("read", &place, error))?;
            if got == 0 {
                break;
            }
            hash.update(buffer.get(..got).unwrap_or_default());
            size += got as u64;
        }
        if size != entry.size || hash.finish() != entry.sha256 {
            return Ok(false);
        }
        self.set_meta(&file, entry, &place)?;
        Ok(true)
    }

    /// Removes a file of which something is wrong, if anything of it is there. What else is in its place stays.
    pub(super) fn remove(&self, entry: &Entry, made: &Made) -> Result<()> {
        let _writing = self.writing()?;
        if !made.is_made() {
            return Ok(());
        }
        let place = self.place(entry);
        match self.dir.remove_file(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(self.failed("remove", &place, error))
            }
            _ => Ok(()),
        }
    }

    /// Makes a symlink as it was; what it points to is not looked at.
    pub(super) fn make_symlink(&self, entry: &Entry) -> Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt as _;
            let _writing = self.writing()?;
            let place = self.place(entry);
            self.make_parents(&place)?;
            let text = std::ffi::OsStr::from_bytes(&entry.target);
            self.dir
                .symlink_contents(text, &place)
                .map_err(|error| self.failed("link", &place, error))?;
            let done = set_link_meta(&self.dir, &place, entry.mtime_ns, self.owner);
            let done = self.refused.note(&self.path.join(&place), SET_TIME, done);
            done.map_err(|error| self.failed(SET_TIME, &place, error))
        }
        #[cfg(not(unix))]
        {
            let why = self.naming.without_links().unwrap_or_default();
            let error = std::io::Error::new(std::io::ErrorKind::Unsupported, why);
            Err(self.failed("link", &self.place(entry), error))
        }
    }

    /// Sets mode and time of a directory whose content is complete.
    pub(super) fn finish_dir(&self, entry: &Entry) -> Result<()> {
        let _writing = self.writing()?;
        let place = self.place(entry);
        let dir = place::open_to_set(&self.dir, &place)
            .map_err(|error| self.failed("open", &place, error))?;
        self.set_meta(&dir, entry, &place)
    }

    fn set_meta(&self, file: &std::fs::File, entry: &Entry, place: &Path) -> Result<()> {
        let note = |action: &'static str, done| {
            let done = self.refused.note(&self.path.join(place), action, done);
            done.map_err(|error| self.failed(action, place, error))
        };
        self.give(file, place)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // Never a right to act as somebody else.
            let mode = std::fs::Permissions::from_mode(entry.mode & 0o777);
            let set = || file.set_permissions(mode);
            note(place::SET_MODE, stepped(&*self.steps, place::SET_MODE, set))?;
        }
        let set = || place::set_times(file, entry.mtime_ns);
        note(SET_TIME, stepped(&*self.steps, SET_TIME, set))
    }
}

fn is_there(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.symlink_metadata().is_ok()
}

/// One problem for each kind of refusal: on such a file system it is the same for all files.
pub(crate) fn refused(all: Vec<Refusal>) -> Vec<FileProblem> {
    let mut kinds = BTreeMap::<String, BTreeSet<PathBuf>>::new();
    for refusal in all {
        kinds.entry(refusal.text()).or_default().insert(refusal.path);
    }
    let problem = |(what, paths): (String, BTreeSet<PathBuf>)| {
        let first = paths.first().map(|path| shown_path(path)).unwrap_or_default();
        let path = match paths.len() {
            0 | 1 => first,
            more => format!("{first} and {} others", more - 1),
        };
        let message =
            format!("its content is in place, but the file system refuses the rest: {what}");
        FileProblem { path, code: "B2_REFUSED".to_owned(), message }
    };
    kinds.into_iter().map(problem).collect()
}

/// Writes a part of a file, but for stretches of zeros: where nothing is written there are zeros.
fn write_at(file: &std::fs::File, part: &[u8], offset: u64) -> std::io::Result<()> {
    without_holes(part, offset)
        .into_iter()
        .try_for_each(|(offset, part)| write_all_at(file, part, offset))
}

#[cfg(unix)]
fn write_all_at(file: &std::fs::File, part: &[u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, part, offset)
}

#[cfg(windows)]
fn write_all_at(file: &std::fs::File, mut part: &[u8], mut offset: u64) -> std::io::Result<()> {
    while !part.is_empty() {
        let wrote = std::os::windows::fs::FileExt::seek_write(file, part, offset)?;
        part = part.get(wrote..).unwrap_or_default();
        offset += wrote as u64;
    }
    Ok(())
}

#[cfg(unix)]
fn set_link_meta(
    dir: &Dir,
    path: &Path,
    ns: i64,
    owner: Option<(u32, u32)>,
) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.map_or_else(|| dir.try_clone(), |parent| dir.open_dir(parent))?;
    let name = path.file_name().unwrap_or_default();
    place::give_link(&parent, name, owner)?;
    place::set_link_time(&parent, name, ns)
}
