//! The entries of a snapshot as they are read, also where files are renamed meanwhile.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::capture::{Capture, Draft, Elsewhere};
use super::changes::{Changes, Scan};
use super::together::{Logs, logs_of};
use crate::engine::file_cache::Memory;
use crate::engine::problem::FileProblem;
use crate::engine::scan::LOOKS;
use crate::error::Result;
use crate::format::{Entry, Remark, Run, SchemaRecord};
use crate::source::logs::settle;
use crate::source::policy::Policy;
use crate::source::walk::{self, GONE_AGAIN};
use crate::source::withheld::Withheld;
use crate::source::{Fingerprint, Found, RelPath, Root};

/// The scan's part that the capturing thread takes along.
pub(super) struct Owned {
    pub(super) roots: Vec<Root>,
    /// What was found, by root and path; behind it the logs of databases.
    pub(super) found: Vec<Found>,
    /// For a file in `found` the logs beside it, which are read together with it.
    pub(super) logs: Logs,
    pub(super) before: Vec<Option<Entry>>,
    pub(super) changes: Changes,
    pub(super) skipped: Vec<FileProblem>,
    pub(super) policy: Vec<u8>,
    pub(super) elsewhere: Elsewhere,
    pub(super) withheld: Arc<Withheld>,
    /// What another look at the state goes by, and whether one says anything.
    pub(super) rules: (Policy, Arc<[PathBuf]>),
    pub(super) turned_back: bool,
    /// When the scan began, nanoseconds since 1970.
    pub(super) began_ns: i64,
    /// What tells which files were to be read again, where this scan does not.
    pub(super) young: Option<Arc<Memory>>,
    pub(super) old_tails: Vec<(u32, u64)>,
    pub(super) old_tree: Vec<Run>,
    /// What to compare with, where this push builds on the newest snapshot.
    pub(super) memory: Option<Arc<Memory>>,
    /// The entries of the previous snapshot, where they are known.
    pub(super) previous: Option<Arc<Memory>>,
    /// What the newest snapshot says about files.
    pub(super) remarks: Vec<Remark>,
    /// The schemas of the host's databases in it.
    pub(super) schemas: Vec<SchemaRecord>,
}

impl Owned {
    /// Takes the walk out of `scan`: at 50,000 files a second copy of it is worth saving.
    /// `usable` tells whether all packs of an entry of the newest snapshot can be used.
    pub(super) fn of(
        scan: &mut Scan,
        changes: Changes,
        builds_on: bool,
        usable: impl Fn(&Entry) -> bool,
    ) -> Self {
        let memory = scan.base.as_ref().map(|(_, memory)| memory);
        let before = |index: &usize| {
            let entry = memory.and_then(|memory| memory.entry(scan.walk.found.get(*index)?));
            entry.filter(|entry| usable(entry)).cloned()
        };
        Self {
            roots: scan.roots.clone(),
            before: changes.read.iter().map(before).collect(),
            logs: logs_of(&mut scan.walk, &changes.read),
            found: std::mem::take(&mut scan.walk.found),
            old_tails: Changes::old_tree(scan).map(|tree| tree.tails.clone()).unwrap_or_default(),
            old_tree: Changes::old_tree(scan).map(|tree| tree.runs.clone()).unwrap_or_default(),
            // What says the same but lies in a lost pack still needs a new snapshot.
            memory: memory
                .filter(|memory| builds_on && !scan.anew && memory.all(&usable))
                .map(Arc::clone),
            previous: memory.filter(|memory| builds_on && memory.tree.is_some()).map(Arc::clone),
            remarks: scan.base.as_ref().map(|(base, _)| base.remarks.clone()).unwrap_or_default(),
            schemas: scan
                .base
                .as_ref()
                .and_then(|(base, _)| base.host_schemas.clone())
                .unwrap_or_default(),
            changes,
            skipped: scan.skipped.clone(),
            policy: scan.policy.clone(),
            elsewhere: scan.elsewhere.clone(),
            withheld: Arc::clone(&scan.withheld),
            rules: scan.rules.clone(),
            turned_back: scan.turned_back,
            began_ns: scan.began_ns,
            young: memory.filter(|_| scan.turned_back).map(Arc::clone),
        }
    }
}

/// Reads what has to be read. Every entry in order, with its place in `found` and what to know it by next time. `found`
/// gets what is only found meanwhile.
pub(super) fn drafts(
    capture: &mut Capture<'_, '_>,
    owned: &Owned,
    found: &mut Vec<Found>,
    same: Vec<(usize, Entry)>,
) -> Result<Vec<(usize, Draft, Fingerprint)>> {
    let mut drafts: Vec<(usize, Draft, Fingerprint)> = Vec::with_capacity(found.len());
    let mut done: HashSet<usize> = HashSet::new();
    for (index, before) in owned.changes.read.iter().zip(&owned.before) {
        let Some(read) = found.get(*index).filter(|_| !done.contains(index)) else {
            continue;
        };
        let logs: &[usize] = owned.logs.get(index).map_or(&[], Vec::as_slice);
        let beside = logs.iter().filter_map(|log| found.get(*log)).cloned().collect();
        for (member, draft) in capture.entry(read.clone(), beside, before.as_ref())? {
            let index = if member == 0 { Some(index) } else { logs.get(member - 1) };
            let Some(index) = index.copied() else { continue };
            done.insert(index);
            let print = print_of(&draft, read);
            drafts.push((index, draft, print));
        }
    }
    if !owned.turned_back {
        find_again(capture, owned, found, &mut drafts)?;
    }
    let fingerprint =
        |index: usize| found.get(index).map(|found| found.fingerprint).unwrap_or_default();
    drafts.extend(
        same.into_iter().map(|(index, entry)| (index, Draft::Same(entry), fingerprint(index))),
    );
    let place = |index: usize| found.get(index).map(|found| (found.root, &found.path));
    drafts.sort_unstable_by(|(a, ..), (b, ..)| place(*a).cmp(&place(*b)));
    Ok(drafts)
}

fn print_of(draft: &Draft, found: &Found) -> Fingerprint {
    match draft {
        Draft::Read(read, _) => read.fingerprint,
        Draft::Same(_) => found.fingerprint,
    }
}

/// Files of the previous snapshot that the walk has not seen. Most likely they were deleted; but a listing that is read
/// while a file is renamed there and back shows neither of its names.
fn unseen(owned: &Owned, found: &[Found]) -> Vec<(u16, RelPath)> {
    let Some(previous) = owned.previous.as_ref().filter(|it| it.same_roots(&owned.roots)) else {
        return Vec::new();
    };
    previous.files_elsewhere(&found.iter().map(|found| (found.root, &found.path)).collect())
}

/// What was there and is not may have another name by now: looks at the state again, and reads what is new in it. What was
/// gone when it was to be read is looked for more often than what no walk has seen: that was deleted, most likely. What is
/// gone again and again when it is read is named in the end.
fn find_again(
    capture: &mut Capture<'_, '_>,
    owned: &Owned,
    found: &mut Vec<Found>,
    drafts: &mut Vec<(usize, Draft, Fingerprint)>,
) -> Result<()> {
    let mut gone = std::mem::take(&mut capture.gone);
    let mut unseen = unseen(owned, found);
    let mut last = Vec::new();
    for _ in 0..LOOKS {
        if gone.is_empty() && unseen.is_empty() {
            return Ok(());
        }
        let wanted: HashSet<_> = gone.iter().cloned().map(key).chain(unseen.drain(..)).collect();
        let known: HashSet<_> = found.iter().cloned().map(key).collect();
        let (rules, hanging) = &owned.rules;
        let cancel = &capture.chunker.cancel;
        let mut walk = walk::walk(&owned.roots, rules, hanging, false, cancel)?;
        settle(&owned.roots, &mut walk, false);
        let is_new = |found: &Found| {
            let place = key(found.clone());
            !known.contains(&place) || wanted.contains(&place)
        };
        let new: Vec<Found> = walk.found.into_iter().filter(is_new).collect();
        let around: HashSet<_> = new.iter().map(directory).collect();
        for new in new {
            for (_, draft) in capture.entry(new.clone(), Vec::new(), None)? {
                let print = print_of(&draft, &new);
                drafts.push((found.len(), draft, print));
                found.push(new.clone());
            }
        }
        // Where nothing is new, the listing may have missed both names.
        gone.retain(|one| !around.contains(&directory(one)));
        last = std::mem::take(&mut capture.gone);
        gone.extend(last.iter().cloned());
    }
    for still in last {
        capture.skip(&still, "B2_SKIPPED_UNREADABLE", GONE_AGAIN.to_owned());
    }
    Ok(())
}

fn key(found: Found) -> (u16, RelPath) {
    (found.root, found.path)
}

/// The directory that something is in.
fn directory(found: &Found) -> (u16, Vec<u8>) {
    let path = found.path.as_bytes();
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    (found.root, path.get(..end).unwrap_or_default().to_vec())
}
