//! What the previous snapshot had and is not there now, as a whole: a disk that is not mounted looks like a directory
//! that somebody emptied. It is told until the user says that it is right so, and the last snapshot that has it stays.

use std::collections::HashSet;

use crate::engine::file_cache::{Memory, path_bytes};
use crate::engine::problem::{self, FileProblem};
use crate::engine::roots::kind;
use crate::engine::scan::Scanned;
use crate::entry::{EntryKind, RelPath};
use crate::format::{Manifest, MissingRecord, RootRecord};
use crate::source::policy::Decision;
use crate::source::{Found, RootKind, host_config, is_stray, shown_path};

/// Directories of the state in which there is always something, once there was: not even to be gone.
const ALWAYS: &[&[u8]] = &[b"agents", b"workspace"];

/// What is missing.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) records: Vec<MissingRecord>,
    pub(super) problems: Vec<FileProblem>,
    /// What was accepted and is not missing at all.
    pub(super) warnings: Vec<String>,
}

/// The previous snapshot, and what is remembered of it.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) id: &'a str,
    pub(super) manifest: &'a Manifest,
    pub(super) memory: &'a Memory,
}

/// A directory that had something in it: a root, or a part of one.
struct Place {
    record: MissingRecord,
    /// The device that it was on, where that is known.
    device: Option<u64>,
    /// Whether it was missing before.
    told: bool,
    /// Whether nothing of what it had belongs in a snapshot any more.
    excluded: bool,
}

/// What became of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Whole,
    Gone,
    Empty,
}

/// Compares. `accepted` are places that are right as they are.
pub(super) fn compare(before: Before<'_>, scanned: &Scanned, accepted: &[String]) -> Missing {
    let mut missing = Missing::default();
    let mut used = HashSet::new();
    for mut place in places(before, scanned) {
        let mut now = scanned.now(&place);
        if now != Now::Whole {
            // What the user leaves out by now is not missed.
            scanned.forget_excluded(&mut place, before);
            now = scanned.now(&place);
        }
        let record = place.record;
        if now == Now::Whole || missing.records.iter().any(|outer| holds(outer, &record)) {
            continue;
        }
        let names = names(&record, scanned);
        if let Some(accepted) =
            accepted.iter().find(|path| names.iter().any(|name| name == path.trim_end_matches('/')))
        {
            used.insert(accepted);
            continue;
        }
        missing.problems.push(told(&record, now));
        missing.records.push(record);
    }
    let unused = accepted.iter().filter(|path| !used.contains(path));
    missing.warnings = unused.map(|path| format!("nothing is missing at {path}")).collect();
    missing
}

fn told(record: &MissingRecord, now: Now) -> FileProblem {
    let path = record.shown();
    let (code, what) = match now {
        Now::Gone => (problem::ROOT_GONE, "is not there"),
        Now::Empty | Now::Whole => (problem::ROOT_EMPTY, "has little or nothing in it"),
    };
    let held = match record.files {
        0 => "It was".to_owned(),
        1 => "It had 1 file".to_owned(),
        files => format!("It had {files} files"),
    };
    let message = format!(
        "{what}. {held} in {}, which is kept. Is its disk mounted? If it is right so, run \
         `b2-backup push --accept-missing {path}`",
        record.snapshot
    );
    FileProblem { path, code: code.to_owned(), message }
}

/// How a user may name a place.
fn names(record: &MissingRecord, scanned: &Scanned) -> Vec<String> {
    let state = scanned.roots.first().map(|root| shown_path(&root.path)).unwrap_or_default();
    let mut names = vec![record.shown()];
    if record.root.is_empty() {
        names.push(format!("{state}/{}", record.shown()));
    }
    if let (Some(at), None) = (&record.at, &record.path) {
        let at = RelPath::from_bytes(at.clone()).escaped();
        names.extend([format!("{state}/{at}"), at]);
    }
    names
}

/// Whether one place lies in another.
fn holds(outer: &MissingRecord, inner: &MissingRecord) -> bool {
    let path = |of: &MissingRecord| of.path.clone().map(RelPath::from_bytes);
    let inside = |outer: RelPath| path(inner).is_some_and(|inner| inner.is_in(&outer));
    outer.root == inner.root && path(outer).is_none_or(inside)
}

/// All places that are to be looked at, the outer ones before those in them.
fn places(before: Before<'_>, scanned: &Scanned) -> Vec<Place> {
    let told = before.manifest.missing.iter().flatten();
    let mut places: Vec<Place> = told
        .map(|record| Place { record: record.clone(), device: None, told: true, excluded: false })
        .collect();
    let Before { id, manifest, memory } = before;
    for (root, known) in (0..).zip(&manifest.roots) {
        if kind(known) == Some(RootKind::Config) {
            continue;
        }
        let mut add = |path: Option<RelPath>| {
            let place = Place {
                record: MissingRecord {
                    root: if root == 0 { Vec::new() } else { known.path.clone() },
                    at: known.at.clone(),
                    path: path.as_ref().map(|path| path.as_bytes().to_vec()),
                    files: memory.files_in(root, path.as_ref(), |_| true),
                    snapshot: id.to_owned(),
                },
                device: memory.device(root, path.as_ref()),
                told: false,
                excluded: false,
            };
            let known = |other: &Place| other.told && other.record.shown() == place.record.shown();
            if !places.iter().any(known) {
                places.push(place);
            }
        };
        let mut inner = memory.mounts(root);
        if root == 0 {
            let top = memory.tops().filter(|name| {
                ALWAYS.contains(&name.as_bytes()) || name.as_bytes().starts_with(b"workspace-")
            });
            inner.extend(top);
            inner.extend(scanned.inside.iter().map(|inside| inside.path.clone()));
        } else {
            add(None);
        }
        inner.sort();
        inner.dedup();
        for path in inner {
            add(Some(path));
        }
    }
    places
}

impl Scanned {
    /// Takes what belongs in no snapshot any more from the files of a place.
    fn forget_excluded(&self, place: &mut Place, before: Before<'_>) {
        let Before { manifest, memory, .. } = before;
        let record = &mut place.record;
        let belongs = |root: &RootRecord, path: &RelPath| {
            let kind = kind(root).unwrap_or(RootKind::State);
            let at = root.at.clone().filter(|_| kind == RootKind::Linked).map(RelPath::from_bytes);
            let (kind, path) = match at {
                Some(at) => (RootKind::State, at.join(path)),
                None => (kind, path.clone()),
            };
            self.policy.decide(kind, &path, EntryKind::File) == Decision::Include
        };
        let path = record.path.clone().map(RelPath::from_bytes);
        let mut roots = (0..).zip(&manifest.roots);
        let Some((number, root)) = roots.find(|(number, known)| match record.root.as_slice() {
            [] => *number == 0,
            path => known.path == path,
        }) else {
            return;
        };
        let had = record.files;
        record.files = if place.told {
            // Of what was gone before, nothing but its place is remembered.
            let any = RelPath::from_bytes(b"*".to_vec());
            let inside = path.map_or_else(|| any.clone(), |path| path.join(&any));
            if belongs(root, &inside) { record.files } else { 0 }
        } else {
            memory.files_in(number, path.as_ref(), |entry| belongs(root, &entry.path))
        };
        place.excluded = had > 0 && record.files == 0;
    }

    fn now(&self, place: &Place) -> Now {
        if place.excluded {
            return Now::Whole;
        }
        let record = &place.record;
        let mut path = record.path.clone().map(RelPath::from_bytes);
        let at = record.at.clone().map(RelPath::from_bytes);
        let root = if record.root.is_empty() {
            Some(0)
        } else {
            let same = |root: &crate::source::Root| {
                root.kind != RootKind::Config && path_bytes(&root.path) == record.root
            };
            let linked = |root: &crate::source::Root| at.is_some() && root.at == at;
            let roots = &self.roots;
            roots.iter().position(same).or_else(|| roots.iter().position(linked))
        };
        let root = root.or_else(|| {
            // What a link led to may have come into the state directory itself.
            let at = at.clone()?;
            let inside = match &path {
                Some(path) => at.join(path),
                None => at,
            };
            let there = self.walk.found.iter().any(|it| it.root == 0 && it.path == inside);
            let is_directory = |it: &&Found| it.root == 0 && it.path == inside;
            let is_link = self.walk.found.iter().find(is_directory);
            let is_link = is_link.is_some_and(|it| it.kind == EntryKind::Symlink);
            path = Some(inside);
            (there && !is_link).then_some(0)
        });
        let Some(root) = root else {
            let awaited = self.away.iter().any(|away| path_bytes(away) == record.root);
            // Where the configuration cannot be read or is gone, it does not say that something belongs to the state no
            // more.
            let unread = [host_config::UNREAD, host_config::AS_BYTES];
            let unsure = (self.unknown && at.is_none())
                || self.skipped.iter().any(|problem| unread.contains(&problem.code.as_str()));
            let always = at.is_some_and(|at| ALWAYS.contains(&at.as_bytes()));
            return if awaited || unsure || always { Now::Gone } else { Now::Whole };
        };
        let inside = |found: &Found| {
            usize::from(found.root) == root
                && path.as_ref().is_none_or(|path| found.path.is_in(path))
        };
        let here = self.walk.found.iter().filter(|it| inside(it));
        // What a system puts where a disk was mounted says nothing.
        let counts = |it: &&Found| {
            let bytes = it.path.as_bytes();
            let start = path.as_ref().map_or(0, |path| path.as_bytes().len() + 1);
            it.kind != EntryKind::Directory && !is_stray(bytes.get(start..).unwrap_or_default())
        };
        let files = here.clone().filter(counts).count() as u64;
        let little = files == 0 || files.saturating_mul(2) < record.files;
        if record.files == 0 || !little {
            return Now::Whole;
        }
        let another = || {
            let top = |it: &&Found| match &path {
                Some(path) => it.path == *path,
                None => it.kind != EntryKind::Directory && !it.path.as_bytes().contains(&b'/'),
            };
            let top = here.clone().find(top).or_else(|| here.clone().next());
            place.device.is_some() && top.map(|it| it.fingerprint.device) != place.device
        };
        if files > 0 {
            // The host fills an empty workspace with files of its own at once.
            return if place.told || another() { Now::Empty } else { Now::Whole };
        }
        let Some(path) = &path else { return Now::Empty };
        if here.clone().any(|it| it.path == *path) {
            return Now::Empty;
        }
        // An unmounted disk leaves an empty directory: what is not there was removed, by somebody or by the host. But
        // the directories that are always there are missed, and what does not answer is only away.
        let always = record.root.is_empty() && ALWAYS.contains(&path.as_bytes());
        let full = self.roots.get(root).map(|root| crate::source::absolute(&root.path, path));
        let away = full.is_some_and(|full| {
            let full = shown_path(&full);
            self.skipped.iter().any(|problem| problem.path == full)
        });
        if always || away || place.told { Now::Gone } else { Now::Whole }
    }
}
