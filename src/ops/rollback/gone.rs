//! Roots of the snapshot that are configured here, and whose directory is not there. They come back, with the
//! directories above them, unless it looks as if their disk were not mounted. An undo removes what was made so.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::comparison::Comparison;
use super::items::{Item, delete};
use super::live::Live;
use super::request::Action;
use super::scope::Scope;
use crate::engine::file_cache::path_bytes;
use crate::engine::problem::{self, FileProblem};
use crate::engine::roots::recorded;
use crate::error::Result;
use crate::format::{Entry, EntryFlags, Manifest};
use crate::source::walk::find;
use crate::source::{EntryKind, RelPath, Root, RootKind, absolute, shown_path};

/// Such roots, and those that the last rollback made, where it is undone.
#[derive(Debug, Default)]
pub(super) struct Gone {
    comes: Vec<Around>,
    goes: Vec<Around>,
    stays: Vec<Stays>,
}

/// A root and the directory that it is made in, or was.
#[derive(Debug)]
struct Around {
    /// Number of the live root.
    root: u16,
    /// Number of the directory that is there anyhow, among the live roots.
    within: u16,
    /// The root's path below that.
    path: RelPath,
}

/// A root that is left out.
#[derive(Debug)]
struct Stays {
    /// Its number in the snapshot.
    record: usize,
    path: PathBuf,
    why: Why,
    /// Whether anything of it was asked for.
    chosen: bool,
    /// Files that were asked for.
    files: u64,
}

#[derive(Debug)]
enum Why {
    Unmounted,
    Unusable(String),
}

impl Gone {
    /// Finds them, and gives those that come a number among the live roots, and in `mapped`. `placed` says of a root of
    /// the snapshot that it comes into the state directory.
    pub(super) fn of(
        live: &mut Live,
        manifest: &Manifest,
        mapped: &mut [Option<u16>],
        placed: impl Fn(usize) -> bool,
        scope: &Scope,
    ) -> Self {
        let mut gone = Self::default();
        let mut taken: Vec<PathBuf> = live.roots.iter().map(|root| root.path.clone()).collect();
        let known = |root: usize| mapped.contains(&u16::try_from(root).ok());
        let mut made: Vec<_> = scope.made(&live.roots).filter(|(root, ..)| !known(*root)).collect();
        made.sort();
        for (root, within, path) in made {
            let Ok(root) = u16::try_from(root) else { continue };
            let Some(kind) = live.root(root).ok().map(|root| root.kind) else { continue };
            let Some(within) = gone.within(live, Root::new(kind, within)) else { continue };
            gone.goes.push(Around { root, within, path });
        }
        for (record, (of_snapshot, mapped)) in manifest.roots.iter().zip(mapped).enumerate() {
            let Some(root) = recorded(of_snapshot).filter(|_| mapped.is_none()) else { continue };
            let whole = matches!(root.kind, RootKind::Workspace | RootKind::AgentDir);
            if !whole || placed(record) || !live.is_configured(&root.path) {
                continue;
            }
            let root = Root { at: None, ..root };
            match live.where_it_comes(&root.path, &taken) {
                Ok((within, path)) => {
                    taken.push(root.path.clone());
                    let within = gone.within(live, Root::new(root.kind, within));
                    let Some((within, root)) = within.zip(live.add_root(root)) else { continue };
                    *mapped = Some(root);
                    gone.comes.push(Around { root, within, path });
                }
                Err(why) => {
                    let path = root.path;
                    gone.stays.push(Stays { record, path, why, chosen: false, files: 0 });
                }
            }
        }
        gone
    }

    /// The number of a directory that roots are made in, among the live roots.
    fn within(&self, live: &mut Live, directory: Root) -> Option<u16> {
        let numbers = self.comes.iter().chain(&self.goes).map(|around| around.within);
        let is = |number: &u16| live.root(*number).is_ok_and(|it| it.path == directory.path);
        match numbers.into_iter().find(is) {
            Some(number) => Some(number),
            None => live.add_root(directory),
        }
    }

    /// Whether a root of the snapshot is left out by name.
    pub(super) fn leaves_out(&self, record: usize) -> bool {
        self.stays.iter().any(|stays| stays.record == record)
    }

    /// Counts an entry of a root that is left out. `false` where its root is none of these.
    pub(super) fn leave_out(&mut self, entry: &Entry, chosen: bool) -> bool {
        let record = usize::from(entry.root);
        let Some(stays) = self.stays.iter_mut().find(|stays| stays.record == record) else {
            return false;
        };
        stays.chosen |= chosen;
        stays.files += u64::from(chosen && entry.kind != EntryKind::Directory);
        true
    }

    /// What is left out of what was asked for.
    pub(super) fn left_out(&self) -> impl Iterator<Item = FileProblem> {
        self.stays.iter().filter(|stays| stays.chosen).map(Stays::told)
    }

    /// Roots that the last rollback made, by their numbers.
    pub(super) fn made(&self) -> impl Iterator<Item = u16> {
        self.goes.iter().map(|goes| goes.root)
    }

    /// The directories that are made for what comes, or go with what goes, the outer ones first; and what to say of it.
    pub(super) fn around(
        &self,
        comparison: &Comparison<'_>,
        scope: &Scope,
        mtime_ns: i64,
    ) -> Result<(Vec<Item>, Vec<String>)> {
        let (mut items, mut told) = (BTreeMap::new(), Vec::new());
        let mut put = |item: Item| items.insert((item.root, item.path.clone()), item);
        for Around { root, within, path } in &self.comes {
            let comes = comparison.items.values().filter(|item| {
                item.root == *root && matches!(item.action, Action::Add | Action::Replace)
            });
            let comes: Vec<&Item> = comes.collect();
            if comes.is_empty() {
                continue;
            }
            let files = comes.iter().filter(|item| !item.implied && !item.is_directory()).count();
            let at = shown_path(&comparison.live.root(*root)?.path);
            told.push(format!("{at} is not there: it comes back, with {}", files_of(files as u64)));
            let made = path.above().chain([path.clone()]);
            made.for_each(|path| drop(put(directory(*within, path, mtime_ns))));
        }
        let empties: HashSet<u16> =
            self.made().filter(|root| becomes_empty(comparison, *root)).collect();
        let live = comparison.live;
        let stays = |root: &u16| !empties.contains(root) && !self.is_added(*root);
        let numbers = (0..).zip(&live.roots).filter(|(number, _)| stays(number));
        let stay: Vec<&Path> = numbers.map(|(_, root)| root.path.as_path()).collect();
        for Around { root, within, path } in &self.goes {
            let place = &live.root(*within)?.path;
            for path in path.above().chain([path.clone()]).filter(|_| empties.contains(root)) {
                let full = absolute(place, &path);
                let needed = stay.iter().any(|root| root.starts_with(&full));
                let chosen = scope.matches(live.root_path(*within), &path) && !needed;
                let found = find(*within, &path, &full)?.filter(|_| chosen);
                if let Some(found) = found.filter(|found| found.kind == EntryKind::Directory) {
                    put(delete(found));
                }
            }
        }
        Ok((items.into_values().collect(), told))
    }

    /// Whether a live root is none that is there and belongs to the state.
    fn is_added(&self, root: u16) -> bool {
        self.comes.iter().any(|around| [around.root, around.within].contains(&root))
            || self.goes.iter().any(|around| around.within == root)
    }
}

impl Stays {
    fn told(&self) -> FileProblem {
        let path = shown_path(&self.path);
        let of_it = match self.files {
            0 => "what was in it is".to_owned(),
            1 => "1 file of it is".to_owned(),
            files => format!("{files} files of it are"),
        };
        let (code, message) = match &self.why {
            Why::Unmounted => (
                problem::ROOT_GONE,
                format!(
                    "is not there, and its disk is probably not mounted: {of_it} left out. Mount it, or make the \
                     directory: mkdir -p \"{path}\""
                ),
            ),
            Why::Unusable(why) => (
                problem::SKIPPED_ROOT,
                format!(
                    "is configured, but {why}: {of_it} left out; `restore --to` brings it back"
                ),
            ),
        };
        FileProblem { path, code: code.to_owned(), message }
    }
}

impl Live {
    /// Where the directory of a root is made: one that is there, and the path below it. `taken` are other roots.
    fn where_it_comes(
        &self,
        path: &Path,
        taken: &[PathBuf],
    ) -> std::result::Result<(PathBuf, RelPath), Why> {
        let unusable = |why: &str| Err(Why::Unusable(why.to_owned()));
        if self.hanging.iter().any(|hanging| path.starts_with(hanging)) {
            return unusable("its file system does not answer");
        }
        if !self.away.iter().any(|away| away == path) {
            return unusable("cannot be used as it is now");
        }
        let overlaps = |other: &&PathBuf| path.starts_with(other) || other.starts_with(path);
        if let Some(other) = taken.iter().find(overlaps) {
            return unusable(&format!("overlaps with {}", shown_path(other)));
        }
        let is_there = |above: &&Path| std::fs::symlink_metadata(above).is_ok();
        let Some(within) = path.ancestors().skip(1).find(is_there) else {
            return Err(Why::Unmounted);
        };
        let here = device(within);
        let mounted = match self.devices.get(&path_bytes(path)) {
            Some(known) => here == Some(*known),
            // Nothing is known of it any more. Where it would be made on a whole file system's top, that is likely to be
            // the wrong one.
            None => within.parent().is_some_and(|above| device(above) == here),
        };
        let below = path.strip_prefix(within).ok().filter(|_| mounted).ok_or(Why::Unmounted)?;
        let names: Vec<&[u8]> = below.iter().map(OsStr::as_encoded_bytes).collect();
        Ok((within.to_owned(), RelPath::from_bytes(names.join(&b'/'))))
    }
}

/// Whether all that was found in a root goes.
fn becomes_empty(comparison: &Comparison<'_>, root: u16) -> bool {
    let goes = |key| comparison.items.get(&key).is_some_and(|item| item.action == Action::Delete);
    let mut found = comparison.live.walk.found.iter().filter(|found| found.root == root);
    found.all(|found| goes((root, found.path.clone())))
}

/// The number of the file system that something is on.
fn device(path: &Path) -> Option<u64> {
    let found = find(0, &RelPath::from_bytes(Vec::new()), path).ok()??;
    Some(found.fingerprint.device)
}

fn files_of(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// A directory that is made, for its owner alone.
fn directory(root: u16, path: RelPath, mtime_ns: i64) -> Item {
    let entry = Entry {
        root,
        path: path.clone(),
        kind: EntryKind::Directory,
        mode: 0o700,
        mtime_ns,
        size: 0,
        sha256: [0; 32],
        runs: Vec::new(),
        flags: EntryFlags::default(),
        target: Vec::new(),
    };
    Item {
        root,
        path,
        action: Action::Add,
        database: false,
        reason: None,
        entry: Some(entry),
        found: None,
        mode_only: false,
        implied: true,
    }
}
