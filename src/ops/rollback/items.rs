//! What is different, by root and path.

use std::path::PathBuf;
use std::sync::Arc;

use super::arriving::Arriving;
use super::request::Action;
use crate::engine::file_cache::path_bytes;
use crate::engine::problem::FileProblem;
use crate::engine::tree::path_for_people;
use crate::format::Entry;
use crate::source::gateway::Running;
use crate::source::withheld::Withheld;
use crate::source::{EntryKind, Found, RelPath, Root, RootKind, absolute};

/// A path that is not as in the snapshot.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Index of the live root.
    pub(super) root: u16,
    pub(super) path: RelPath,
    pub(super) action: Action,
    pub(super) database: bool,
    pub(super) reason: Option<String>,
    /// What the snapshot has there.
    pub(super) entry: Option<Entry>,
    /// What is there.
    pub(super) found: Option<Found>,
    /// Whether only permission bits change.
    pub(super) mode_only: bool,
    /// A directory that the snapshot does not name, but has something in.
    pub(super) implied: bool,
}

impl Item {
    /// Whether it is, or becomes, a directory.
    pub(super) fn is_directory(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.kind == EntryKind::Directory)
    }

    /// Bytes of content that come.
    pub(super) fn bytes(&self) -> u64 {
        let comes = matches!(self.action, Action::Add | Action::Replace) && !self.mode_only;
        self.entry.as_ref().filter(|_| comes).map_or(0, |entry| entry.size)
    }
}

/// Everything that is different, by root and path.
#[derive(Debug)]
pub(super) struct Compared {
    /// Directories around roots that come or go are before all others.
    pub(super) items: Vec<Item>,
    /// What of the snapshot does not come: what the file system here cannot hold, and roots whose disk is not there.
    pub(super) left_out: Vec<FileProblem>,
    pub(super) roots: Vec<Root>,
    /// Where OpenClaw's configuration is.
    pub(super) config: Option<(u16, RelPath)>,
    pub(super) running: Option<Running>,
    /// The state directory on the machine that made the snapshot, where that is another.
    pub(super) old_state: Option<String>,
    /// Set where the machine has nothing.
    pub(super) arriving: Option<Arriving>,
    /// Whether what was asked for is in the snapshot or in the state.
    pub(super) matched: bool,
    /// A root that is not configured here, where something in it was asked for.
    pub(super) unconfigured: Option<String>,
    /// What snapshots do not hold.
    pub(super) withheld: Arc<Withheld>,
    pub(super) warnings: Vec<String>,
}

impl Compared {
    /// A path for people.
    pub(super) fn shown(&self, root: u16, path: &RelPath) -> String {
        let other = (root > 0).then(|| self.root_path(root));
        path_for_people(other.as_deref(), path)
    }

    /// Absolute path of a root, as bytes.
    pub(super) fn root_path(&self, root: u16) -> Vec<u8> {
        let root = self.roots.get(usize::from(root));
        root.map_or_else(Vec::new, |root| path_bytes(&root.path))
    }

    /// Databases that are there, and are written over or go.
    pub(super) fn databases(&self) -> Vec<PathBuf> {
        let changes = |item: &&Item| item.action != Action::Keep && item.database;
        let found = self.items.iter().filter(changes).filter_map(|item| item.found.as_ref());
        let path = |found: &Found| {
            Some(absolute(&self.roots.get(usize::from(found.root))?.path, &found.path))
        };
        found.filter(|found| found.kind == EntryKind::File).filter_map(path).collect()
    }

    /// Whether an item is OpenClaw's configuration, or a file that it includes from elsewhere.
    pub(super) fn is_configuration(&self, item: &Item) -> bool {
        let kind = self.roots.get(usize::from(item.root)).map(|root| root.kind);
        kind == Some(RootKind::Config) || self.is_main_config(item.root, &item.path)
    }

    /// Whether a path is OpenClaw's configuration itself.
    pub(super) fn is_main_config(&self, root: u16, path: &RelPath) -> bool {
        self.config.as_ref().is_some_and(|config| (config.0, &config.1) == (root, path))
    }
}

pub(super) fn delete(found: Found) -> Item {
    Item {
        root: found.root,
        path: found.path.clone(),
        action: Action::Delete,
        database: false,
        reason: None,
        entry: None,
        found: Some(found),
        mode_only: false,
        implied: false,
    }
}
