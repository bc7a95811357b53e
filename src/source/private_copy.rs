//! Files that only we may read: copies of databases, made where nobody else works with them.

use std::path::{Path, PathBuf};

use super::stat;
use crate::ambient::private_dirs;
use crate::error::{Error, Result};

/// Makes a new, empty file that only this user may read.
///
/// # Errors
/// `B2_IO` and its like, also when there is such a file.
pub(super) fn create_private(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map(drop).map_err(|error| Error::io("create", path, error))
}

/// A database with its log in a directory of its own, where the log can be played back. Removed when dropped.
pub(super) struct PrivateCopy(PathBuf);

impl PrivateCopy {
    /// `None` when the database changed meanwhile.
    pub(super) fn new(source: &Path, copy: &Path) -> Result<Option<Self>> {
        let stat =
            || stat::fingerprint(source, true).map_err(|error| Error::io("read", source, error));
        let before = stat()?;
        let directory = with_suffix(copy, ".private");
        private_dirs()
            .create(&directory)
            .map_err(|error| Error::io("create", &directory, error))?;
        let private = Self(directory);
        for suffix in std::iter::once("").chain(logs(source)) {
            let (from, to) =
                (with_suffix(source, suffix), with_suffix(&private.database(), suffix));
            create_private(&to)?;
            let mut to_file = std::fs::OpenOptions::new()
                .write(true)
                .open(&to)
                .map_err(|error| Error::io("write", &to, error))?;
            let mut from_file =
                std::fs::File::open(&from).map_err(|error| Error::io("read", &from, error))?;
            std::io::copy(&mut from_file, &mut to_file)
                .map_err(|error| Error::io("write", &to, error))?;
        }
        Ok((stat()? == before).then_some(private))
    }

    /// The database in it.
    pub(super) fn database(&self) -> PathBuf {
        self.0.join("database")
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        // Nobody is left to tell; it lies beside the copy and is cleared away with it.
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}

/// The write-ahead log and the rollback journal beside a database, if there is something in them.
pub(super) fn logs(database: &Path) -> Vec<&'static str> {
    let filled = |suffix: &&str| {
        std::fs::metadata(with_suffix(database, suffix)).is_ok_and(|meta| meta.len() > 0)
    };
    ["-wal", "-journal"].into_iter().filter(filled).collect()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
