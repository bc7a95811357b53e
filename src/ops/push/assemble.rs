//! From what was read to what a manifest says: entries, counts, remarks, the pack table.

use std::collections::{BTreeMap, HashSet};

use super::capture::{Content, Draft, runs};
use crate::engine::problem::{self, FileProblem};
use crate::engine::roots::shown_here;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::format::{Counts, Entry, EntryFlags, PackRef, Run, SchemaRecord};
use crate::repo::PackIndex;
use crate::source::database::host_database;
use crate::source::{Root, RootKind, host_config};

/// A draft with its frames in their places.
pub(super) fn complete(draft: Draft, places: &[(u32, u32)]) -> Result<Entry> {
    let (found, content) = match draft {
        Draft::Same(entry) => return Ok(entry),
        Draft::Read(found, content) => (found, content),
    };
    let Content { size, sha256, stretches, flags, schema: _ } = content;
    Ok(Entry {
        root: found.root,
        path: found.path,
        kind: found.kind,
        mode: found.mode,
        mtime_ns: found.fingerprint.mtime_ns,
        size,
        sha256: if found.kind == EntryKind::File { sha256 } else { [0; 32] },
        runs: runs(&stretches, places)?,
        flags,
        target: found.target.unwrap_or_default(),
    })
}

/// The schemas of the host's own databases in the state directory. What was not read again is as `before` says, the previous
/// snapshot.
pub(super) fn schemas<'a>(
    drafts: impl Iterator<Item = &'a Draft>,
    before: &[SchemaRecord],
) -> Vec<SchemaRecord> {
    let schema = |draft: &Draft| {
        let (root, path) = match draft {
            Draft::Read(found, _) => (found.root, &found.path),
            Draft::Same(entry) => (entry.root, &entry.path),
        };
        // Backups and copies that lie beside them have names that end otherwise.
        let is_own = root == 0
            && path.as_bytes().ends_with(b".sqlite")
            && host_database(path, RootKind::State).is_some();
        if !is_own {
            return None;
        }
        let known = || before.iter().find(|one| one.path == path.as_bytes());
        let version = match draft {
            Draft::Read(_, content) => content.schema,
            Draft::Same(_) => known().map(|one| one.version),
        };
        Some(SchemaRecord { path: path.as_bytes().to_vec(), version: version? })
    };
    drafts.filter_map(schema).take(MOST_SCHEMAS).collect()
}

/// So many agents' databases are told of.
const MOST_SCHEMAS: usize = 1000;

/// What the snapshot holds.
pub(super) fn count(entries: &[Entry]) -> Counts {
    let mut counts = Counts::default();
    for entry in entries {
        match entry.kind {
            EntryKind::File => {
                counts.files += 1;
                counts.bytes += entry.size;
            }
            EntryKind::Directory => counts.directories += 1,
            EntryKind::Symlink => counts.symlinks += 1,
        }
    }
    counts
}

const CHANGED: &str = "B2_CHANGED_WHILE_READ";
const AS_BYTES: &str = "B2_DATABASE_AS_BYTES";
const HOST_AS_BYTES: &str = "B2_HOST_DATABASE_AS_BYTES";

/// Whether a problem is one that an entry of the snapshot tells by itself.
pub(super) fn of_an_entry(problem: &FileProblem) -> bool {
    [CHANGED, AS_BYTES, HOST_AS_BYTES].contains(&problem.code.as_str())
}

fn is_saved_config(problem: &FileProblem) -> bool {
    problem.code == host_config::AS_BYTES
}

/// What the user should know of single files: what was skipped, and what changed while it was read.
pub(super) fn problems<'e>(
    skipped: &[FileProblem],
    entries: impl Iterator<Item = &'e Entry> + Clone,
    roots: &[Root],
) -> Vec<FileProblem> {
    let changed = entries.clone().filter(|entry| entry.flags.has(EntryFlags::CHANGED_WHILE_READ));
    let changed = changed.map(|entry| FileProblem {
        path: shown_here(roots, entry.root, &entry.path),
        code: CHANGED.to_owned(),
        message: "changed while it was read, twice; it is in the snapshot as it was read"
            .to_owned(),
    });
    let unreadable = entries.clone().filter(|entry| entry.flags.has(EntryFlags::AS_BYTES));
    let unreadable = unreadable.map(|entry| {
        let kind = roots.get(usize::from(entry.root)).map_or(RootKind::State, |root| root.kind);
        let host = host_database(&entry.path, kind).is_some();
        let what = if host { "this database of OpenClaw" } else { "this database" };
        FileProblem {
            path: shown_here(roots, entry.root, &entry.path),
            code: if host { HOST_AS_BYTES } else { AS_BYTES }.to_owned(),
            message: format!(
                "SQLite cannot read {what}, or not all of it: the bytes of the file and of its logs are in the snapshot as they lay on the disk"
            ),
        }
    });
    // What is said to be saved as it is may be left out for another reason, which is told.
    let saved = |entry: &'e Entry| shown_here(roots, entry.root, &entry.path);
    let saved: HashSet<String> = if skipped.iter().any(is_saved_config) {
        entries.map(saved).collect()
    } else {
        HashSet::new()
    };
    let is_there =
        |problem: &&FileProblem| !is_saved_config(problem) || saved.contains(&problem.path);
    let skipped = skipped.iter().filter(is_there).cloned();
    problem::sorted(skipped.chain(changed).chain(unreadable).collect())
}

/// The pack table: packs of which a chunk is used, and how many bytes of their frames are.
pub(super) fn packs_in_use(
    entries: &[Entry],
    tree: &[Run],
    indexes: &BTreeMap<u32, (PackRef, PackIndex)>,
) -> Result<Vec<PackRef>> {
    let mut frames: BTreeMap<u32, HashSet<usize>> = BTreeMap::new();
    for run in entries.iter().flat_map(|entry| &entry.runs).chain(tree) {
        let (_, index) = indexes
            .get(&run.pack)
            .ok_or_else(|| Error::internal("an entry uses a pack that is not known"))?;
        frames.entry(run.pack).or_default().extend(index.frames_of(&[*run]));
    }
    let packs = frames.into_iter().filter_map(|(number, frames)| {
        let (pack, index) = indexes.get(&number)?;
        let stored = frames
            .into_iter()
            .filter_map(|frame| Some(u64::from(index.frame(frame)?.2.stored_bytes)));
        Some(PackRef { used_bytes: stored.sum(), ..*pack })
    });
    Ok(packs.collect())
}

/// How much of a pack's end holds the tree, so that a reader fetches it together with the footer.
pub(super) fn tails(
    old: &[(u32, u64)],
    runs: &[Run],
    places: &[(u32, u32)],
    indexes: &BTreeMap<u32, (PackRef, PackIndex)>,
) -> Vec<(u32, u64)> {
    let mut tails: BTreeMap<u32, u64> = old
        .iter()
        .copied()
        .filter(|(number, _)| runs.iter().any(|run| run.pack == *number))
        .collect();
    for (number, chunk) in places {
        let Some((pack, index)) = indexes.get(number) else { continue };
        let start =
            index.frame_of(*chunk).and_then(|frame| index.frame(frame)).map(|(offset, ..)| offset);
        if let Some(bytes) = start.and_then(|start| pack.bytes.checked_sub(start)) {
            tails.entry(*number).or_insert(bytes);
        }
    }
    tails.into_iter().collect()
}
