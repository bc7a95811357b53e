//! Copies of what was live at one moment, and what is different between two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::dump;
use crate::tree::{self, Item, Kind, Tree};

/// The folder that the product keeps for itself, and where a restore puts what lay elsewhere.
const OURS: [&str; 2] = ["b2-backup", ".b2-roots"];

/// Logs of SQLite beside a database.
pub(crate) const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Extensions of databases: a log beside nothing, of such a one, may be left out by its name.
const DATABASES: [&[u8]; 3] = [b".sqlite", b".sqlite3", b".db"];

/// What was in a directory at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) tree: Tree,
    /// Content of databases, as SQL.
    pub(crate) dumps: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Files that say they are databases, readable or not.
    claims: BTreeSet<Vec<u8>>,
    /// Where links lead that lead somewhere.
    pub(crate) links: BTreeMap<Vec<u8>, PathBuf>,
}

impl Picture {
    /// Looks at a directory.
    pub(crate) fn of(root: &Path) -> Self {
        let mut picture = Self { tree: tree::read(root, &OURS), ..Self::default() };
        for (path, item) in &picture.tree {
            let on_disk = tree::on_disk(root, path);
            if matches!(item.kind, Kind::File { .. }) && dump::says_so(&on_disk) {
                picture.claims.insert(path.clone());
                picture.dumps.extend(dump::dump(&on_disk).map(|dump| (path.clone(), dump)));
            } else if let (Kind::Link(_), Ok(target)) = (&item.kind, on_disk.canonicalize()) {
                picture.links.insert(path.clone(), target);
            }
        }
        picture
    }

    /// Whether a path has the name of a database's log, and nothing is there that it could belong to.
    pub(crate) fn is_orphan(&self, path: &[u8]) -> bool {
        bases(path).any(|base| {
            let is_file = |item: &Item| matches!(item.kind, Kind::File { .. });
            DATABASES.iter().any(|end| base.ends_with(end))
                && !self.tree.get(base).is_some_and(is_file)
        })
    }

    /// Whether a path is the log of a database that can be read: then its content is the database's.
    pub(crate) fn is_log(&self, path: &[u8]) -> bool {
        bases(path).any(|base| self.dumps.contains_key(base))
    }

    /// Whether a path is what SQLite leaves beside what it cannot read: what its processes share in memory says nothing of
    /// a database, nor does an empty log.
    pub(crate) fn is_trace(&self, path: &[u8]) -> bool {
        let is_empty =
            self.tree.get(path).is_some_and(|it| matches!(it.kind, Kind::File { bytes: 0, .. }));
        (is_empty || path.ends_with(b"-shm")) && bases(path).any(|base| self.claims.contains(base))
    }

    /// What is other at a path than it was in `self`; not the time.
    pub(crate) fn difference(&self, now: &Self, path: &[u8]) -> Option<String> {
        match (self.tree.get(path), now.tree.get(path)) {
            (None, None) => None,
            (Some(_), None) => Some("is gone".into()),
            (None, Some(_)) => Some("is there and was not".into()),
            (Some(then), Some(found)) => {
                let (was, is) = (self.dumps.get(path), now.dumps.get(path));
                content(then, found, was, is).or_else(|| mode(then, found))
            }
        }
    }

    /// Whether the time at a path is not what it was. That of a database changes with every checkpoint, and says nothing.
    pub(crate) fn time(&self, now: &Self, path: &[u8]) -> Option<String> {
        let (then, found) = (self.tree.get(path)?, now.tree.get(path)?);
        // Of a directory SQLite changes it by looking into a database, and alone it makes no snapshot.
        let counts = then.kind != Kind::Directory && !self.dumps.contains_key(path);
        (then.mtime != found.mtime && counts)
            .then(|| format!("is of {:?} and says {:?}", then.mtime, found.mtime))
    }
}

/// What the log of a name would belong to.
fn bases(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    LOGS.iter().filter_map(move |log| path.strip_suffix(log.as_bytes()))
}

fn content(
    then: &Item,
    now: &Item,
    rows: Option<&Vec<u8>>,
    rows_now: Option<&Vec<u8>>,
) -> Option<String> {
    match (&then.kind, &now.kind) {
        (Kind::File { .. }, Kind::File { .. }) if rows.is_some() => {
            (rows != rows_now).then(|| "has other rows".to_owned())
        }
        (
            Kind::File { bytes, sha256, taken },
            Kind::File { bytes: size, sha256: hash, taken: disk },
        ) => {
            if (bytes, sha256) == (size, hash) {
                (*disk > taken + (1 << 20) && taken + (1 << 20) < *bytes)
                    .then(|| format!("takes {disk} bytes on the disk instead of {taken}"))
            } else {
                Some(format!("has other content ({bytes} bytes then, {size} now)"))
            }
        }
        (then, now) => (then != now).then(|| format!("was {then:?} and is {now:?}")),
    }
}

fn mode(then: &Item, now: &Item) -> Option<String> {
    (then.mode != now.mode).then(|| format!("had the mode {:o} and has {:o}", then.mode, now.mode))
}
