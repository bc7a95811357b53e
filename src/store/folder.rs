//! A folder as a store: `file:///path`, a USB disk, a network share.
//!
//! An object is a file. It gets a temporary name, is synced, renamed and its directory synced, so that a crash leaves
//! the whole object or none. Every path is opened relative to the folder's handle
//! (cap-std), so that no symbolic link leads out of it. The folder itself is made by the first write: whoever looks
//! at it before sees that it is not there, as where its disk is not mounted. Only its owner may enter what is made here
//! (0700, 0600): who may read the folder tries passphrases, who may write to it deletes.

mod place;
#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, OpenOptions};

use place::{ignore_existing, link, refuse_orphan, remove_stale, rename_new};

use super::{Listing, ObjectInfo, ObjectKey, ObjectStore, ObjectVersion, Traffic};
use crate::ambient::{Entropy, private_dirs, random};
use crate::error::{Error, Result};

/// Holds unfinished files; lies beside the prefix, so that no listing sees it.
pub(super) const TEMP_DIR: &str = ".b2-backup-tmp";

/// A store in a folder.
#[derive(Clone, Debug)]
pub struct FolderStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The folder, once it is known to be there.
    root: OnceLock<Dir>,
    path: PathBuf,
    prefix: String,
    entropy: Arc<dyn Entropy>,
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl FolderStore {
    /// Opens the folder; one that is not there is made by the first write, where its parent exists. `prefix` is a
    /// checked relative path.
    ///
    /// # Errors
    /// `B2_BUCKET` when neither the folder nor its parent exists, `B2_PERMISSION`, `B2_DISK_FULL`, `B2_IO`.
    pub async fn open(path: PathBuf, prefix: String, entropy: Arc<dyn Entropy>) -> Result<Self> {
        blocking(move || {
            let root = OnceLock::new();
            match Dir::open_ambient_dir(&path, ambient_authority()) {
                Ok(dir) => {
                    remove_stale(&dir);
                    drop(root.set(dir));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => refuse_orphan(&path)?,
                Err(error) => return Err(Error::io("open", &path, error)),
            }
            let (requests, sent, received) = Default::default();
            Ok(Self {
                inner: Arc::new(Inner { root, path, prefix, entropy, requests, sent, received }),
            })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&inner)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal(format!("file work: {error}")))?
}

impl Inner {
    /// The folder, if it is there.
    fn root(&self) -> std::io::Result<&Dir> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let root = Dir::open_ambient_dir(&self.path, ambient_authority())?;
        Ok(self.root.get_or_init(|| root))
    }

    /// The folder, made where it is missing.
    fn made_root(&self) -> std::io::Result<&Dir> {
        match self.root() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                ignore_existing(private_dirs().create(&self.path))?;
                self.root()
            }
            root => root,
        }
    }

    fn relative(&self, key: &str) -> PathBuf {
        Path::new(&self.prefix).join(key)
    }

    fn error(&self, action: &'static str, relative: &Path, error: std::io::Error) -> Error {
        Error::io(action, &self.path.join(relative), error)
    }

    /// Tells whether it was written: not where `replace` is false and there is such a file already.
    fn put(&self, key: &ObjectKey, body: &[u8], replace: bool) -> Result<bool> {
        let target = self.relative(key.as_str());
        let temp = Path::new(TEMP_DIR).join(hex::encode(random::<16>(&*self.entropy)?));
        let written =
            self.write_temp(&temp, body).and_then(|()| self.publish(&temp, &target, replace));
        if written.is_err() {
            drop(self.root().and_then(|root| root.remove_file(&temp)));
        }
        match written {
            Err(error) if !replace && error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            written => written.map_err(|error| self.error("write", &target, error))?,
        }
        self.sent.fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(true)
    }

    /// Takes a file of this machine as the object: by a second name, which the first one does not outlive for long.
    fn take(&self, key: &ObjectKey, file: &Path, bytes: u64) -> std::io::Result<()> {
        let name = random::<16>(&*self.entropy).map_err(std::io::Error::other)?;
        let temp = Path::new(TEMP_DIR).join(hex::encode(name));
        let root = self.made_temp_dir()?;
        let taken = link(file, bytes, root, &temp)
            .and_then(|()| self.publish(&temp, &self.relative(key.as_str()), true));
        // A rename onto another name of the same file leaves both.
        drop(root.remove_file(&temp));
        taken?;
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Made by the first write and not when opening: a folder may be given for reading only.
    fn made_temp_dir(&self) -> std::io::Result<&Dir> {
        self.made_root()?;
        ignore_existing(self.create_dir(Path::new(TEMP_DIR)))?;
        self.root()
    }

    fn write_temp(&self, temp: &Path, body: &[u8]) -> std::io::Result<()> {
        self.made_temp_dir()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = self.root()?.open_with(temp, &options)?;
        file.write_all(body)?;
        file.sync_all()
    }

    fn publish(&self, temp: &Path, target: &Path, replace: bool) -> std::io::Result<()> {
        let parent = target.parent().unwrap_or(Path::new(""));
        let root = self.root()?;
        let publish = || {
            if replace { root.rename(temp, root, target) } else { rename_new(root, temp, target) }
        };
        if let Err(error) = publish() {
            if error.kind() != ErrorKind::NotFound {
                return Err(error);
            }
            self.create_dirs(parent)?;
            publish()?;
        }
        self.sync_dir(parent)
    }

    fn create_dir(&self, dir: &Path) -> std::io::Result<()> {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "same shape as on unix"))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
        self.root()?.create_dir_with(dir, &builder)
    }

    /// Makes each missing directory below the folder and syncs the one that holds it.
    fn create_dirs(&self, dir: &Path) -> std::io::Result<()> {
        let mut done = PathBuf::new();
        for part in dir.components() {
            let holder = done.clone();
            done.push(part);
            match self.create_dir(&done) {
                Ok(()) => self.sync_dir(&holder)?,
                made => ignore_existing(made)?,
            }
        }
        Ok(())
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> std::io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        match self.root()?.open(dir)?.sync_all() {
            // Some network file systems cannot sync a directory; the rename is as durable as it gets there.
            Err(error)
                if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Windows flushes a rename by itself and opens no directory for writing.
    #[cfg(not(unix))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "same shape as on unix")]
    fn sync_dir(&self, _dir: &Path) -> std::io::Result<()> {
        Ok(())
    }

    fn open_object(&self, key: &ObjectKey) -> Result<(cap_std::fs::File, u64)> {
        let path = self.relative(key.as_str());
        let missing = || Error::ObjectMissing { object: key.to_string() };
        let file = match self.root().and_then(|root| root.open(&path)) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Err(missing());
            }
            // Windows opens no directory so.
            Err(_) if self.is_dir(&path) => return Err(missing()),
            opened => opened.map_err(|error| self.error("read", &path, error))?,
        };
        let meta = file.metadata().map_err(|error| self.error("read", &path, error))?;
        if !meta.is_file() {
            return Err(missing());
        }
        Ok((file, meta.len()))
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.root().and_then(|root| root.metadata(path)).is_ok_and(|meta| meta.is_dir())
    }

    fn read(
        &self,
        key: &ObjectKey,
        mut file: cap_std::fs::File,
        start: u64,
        length: u64,
    ) -> Result<Bytes> {
        let path = self.relative(key.as_str());
        let size =
            usize::try_from(length).map_err(|_| Error::internal("object larger than memory"))?;
        let mut buffer = Vec::with_capacity(size);
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.take(length).read_to_end(&mut buffer))
            .map_err(|error| self.error("read", &path, error))?;
        if buffer.len() < size {
            return Err(super::ends_early(key, start + length));
        }
        self.received.fetch_add(length, Ordering::Relaxed);
        Ok(buffer.into())
    }

    fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        let mut listing = Listing::default();
        // `packs/ab` lies in the directory `packs`; `..` never gets past cap-std.
        let base = prefix.rfind('/').and_then(|cut| prefix.get(..=cut)).unwrap_or_default();
        let mut pending = vec![base.to_owned()];
        while let Some(dir) = pending.pop() {
            let path = self.relative(&dir);
            for (name, is_dir) in self.entries(&path)? {
                let key = format!("{dir}{name}");
                if is_dir {
                    let below = format!("{key}/");
                    if !below.starts_with(prefix) && !prefix.starts_with(&below) {
                        continue;
                    }
                    if delimited && below.len() > prefix.len() {
                        // A directory without files is no prefix on any other store.
                        if self.has_objects(&self.relative(&below))? {
                            listing.prefixes.push(below);
                        }
                    } else {
                        pending.push(below);
                    }
                } else if key.starts_with(prefix) {
                    // Deleted since the directory was read: not there.
                    let Ok(meta) =
                        self.root().and_then(|root| root.symlink_metadata(self.relative(&key)))
                    else {
                        continue;
                    };
                    let modified = meta.modified().ok().map(cap_std::time::SystemTime::into_std);
                    listing.objects.push(ObjectInfo { key, size: meta.len(), modified });
                }
            }
        }
        listing.objects.sort_by(|a, b| a.key.cmp(&b.key));
        listing.prefixes.sort();
        Ok(listing)
    }

    /// Names in a directory and whether each is a directory; links and special files are no objects.
    fn entries(&self, path: &Path) -> Result<Vec<(String, bool)>> {
        let dir = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let entries = match self.root().and_then(|root| root.read_dir(dir)) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(vec![]);
            }
            entries => entries.map_err(|error| self.error("list", path, error))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.error("list", path, error))?;
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else {
                continue;
            };
            if kind.is_dir() || kind.is_file() {
                found.push((name, kind.is_dir()));
            }
        }
        Ok(found)
    }

    fn has_objects(&self, path: &Path) -> Result<bool> {
        let mut pending = vec![path.to_path_buf()];
        while let Some(dir) = pending.pop() {
            for (name, is_dir) in self.entries(&dir)? {
                if !is_dir {
                    return Ok(true);
                }
                pending.push(dir.join(name));
            }
        }
        Ok(false)
    }

    fn delete(&self, key: &ObjectKey) -> Result<()> {
        let path = self.relative(key.as_str());
        match self.root().and_then(|root| root.remove_file(&path)) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(())
            }
            removed => removed
                .and_then(|()| self.sync_dir(path.parent().unwrap_or(Path::new(""))))
                .map_err(|error| self.error("delete", &path, error)),
        }
    }
}

#[async_trait]
impl ObjectStore for FolderStore {
    fn identity(&self) -> String {
        format!("file://{}/{}", self.inner.path.display(), self.inner.prefix)
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        let key = key.clone();
        self.run(move |inner| inner.put(&key, &body, true).map(drop)).await
    }

    async fn put_file(&self, key: &ObjectKey, file: &Path, bytes: u64) -> Result<()> {
        let (key, file) = (key.clone(), file.to_owned());
        self.run(move |inner| match inner.take(&key, &file, bytes) {
            Ok(()) => Ok(()),
            // On another file system, or one where a file has one name: what is really wrong shows in writing.
            Err(_) => inner.put(&key, &super::read_file(&key, &file, bytes)?, true).map(drop),
        })
        .await
    }

    async fn put_new(&self, key: &ObjectKey, body: Bytes) -> Result<bool> {
        let key = key.clone();
        self.run(move |inner| inner.put(&key, &body, false)).await
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        let key = key.clone();
        self.run(move |inner| {
            let (file, size) = inner.open_object(&key)?;
            if size > max_bytes {
                Err(super::too_large(&key, max_bytes))
            } else {
                inner.read(&key, file, 0, size)
            }
        })
        .await
    }

    async fn get_version(&self, key: &ObjectKey, _version: &str, _max_bytes: u64) -> Result<Bytes> {
        Err(Error::ObjectMissing { object: key.to_string() })
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        let end = super::range_end(key, start, length)?;
        if length == 0 {
            return Ok(Bytes::new());
        }
        let key = key.clone();
        self.run(move |inner| {
            let (file, size) = inner.open_object(&key)?;
            if end > size {
                Err(super::ends_early(&key, end))
            } else {
                inner.read(&key, file, start, length)
            }
        })
        .await
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        let prefix = prefix.to_owned();
        self.run(move |inner| inner.list(&prefix, delimited)).await
    }

    async fn list_versions(&self, _prefix: &str) -> Result<Option<Vec<ObjectVersion>>> {
        Ok(None)
    }

    async fn delete(&self, key: &ObjectKey, _version: Option<&str>) -> Result<()> {
        let key = key.clone();
        self.run(move |inner| inner.delete(&key)).await
    }

    fn server_offset_ms(&self) -> i64 {
        0
    }

    fn traffic(&self) -> Traffic {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Inner { requests, sent, received, .. } = &*self.inner;
        Traffic { requests: load(requests), sent_bytes: load(sent), received_bytes: load(received) }
    }
}
