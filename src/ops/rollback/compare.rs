//! The snapshot and the live state side by side: what is different, and what is done about it.

use std::collections::HashSet;

use super::arriving::Arriving;
use super::comparison::Comparison;
use super::gone::Gone;
use super::items::Compared;
use super::live::Live;
use super::request::Mode;
use super::rest::Unread;
use super::scope::Scope;
use crate::engine::file_cache::path_bytes;
use crate::engine::roots::{in_place_of_links, put_in_place, record, same_records};
use crate::entry::EntryKind;
use crate::error::Result;
use crate::format::{Entry, Manifest, RootRecord};
use crate::source::{RelPath, Root, as_path};

/// Compares. Reads files of the state whose content is not known, databases never.
pub(super) fn compare(
    mut live: Live,
    manifest: &Manifest,
    entries: Vec<Entry>,
    scope: &Scope,
    mode: Mode,
    arriving: Option<Arriving>,
) -> Result<Compared> {
    let mut roots = map_roots(&live.roots, manifest);
    let behind = behind_links(&live, manifest, &roots, scope);
    let elsewhere =
        |root: usize| roots.get(root).copied().flatten().is_none() && !behind.contains(&root);
    let places = in_place_of_links(&manifest.roots, &entries, elsewhere);
    let entries = put_in_place(entries, &manifest.roots, &places);
    let comes_inside = |root: usize| places.get(root).is_some_and(Option::is_some);
    let mut gone = Gone::of(&mut live, manifest, &mut roots, comes_inside, scope);
    let mut warnings = about_roots(manifest, &roots, &places, |root| {
        gone.leaves_out(root) || behind.contains(&root)
    });
    let old_state = old_state(&live.roots, manifest);
    let mut comparison = Comparison::new(&live, &roots, &entries);
    // An undo is about a link alone, and what comes in its place comes whole.
    let comes_whole = |path: &RelPath| {
        let mut places = places.iter().flatten();
        scope.is_undo() && places.any(|at| path.is_in(at) && scope.matches(live.root_path(0), at))
    };
    let mut elsewhere = 0u64;
    let mut unconfigured = None;
    for entry in entries {
        let Some(Some(root)) = roots.get(usize::from(entry.root)).copied() else {
            let record = manifest.roots.get(usize::from(entry.root));
            let path = record.map(|record| record.path.as_slice()).unwrap_or_default();
            let chosen = scope.matches(path, &entry.path);
            if gone.leave_out(&entry, chosen) {
                comparison.matched |= chosen;
                continue;
            }
            if behind.contains(&usize::from(entry.root)) {
                continue;
            }
            elsewhere += 1;
            if chosen {
                unconfigured.get_or_insert_with(|| RelPath::from_bytes(path.to_vec()).escaped());
            }
            continue;
        };
        comparison.name(root, &entry.path);
        let is_chosen = scope.matches(live.root_path(root), &entry.path);
        if is_chosen || (root == 0 && comes_whole(&entry.path)) {
            comparison.matched = true;
            comparison.entry(root, entry)?;
        } else if entry.kind == EntryKind::Directory {
            comparison.on_the_way.insert((root, entry.path.clone()), entry);
        }
    }
    if elsewhere > 0 {
        warnings.push(format!(
            "{elsewhere} entries of the snapshot lie in places that are not configured now and stay out of it; \
             `restore --to` brings them back"
        ));
    }
    if mode == Mode::Exact || scope.is_undo() {
        let mapped: HashSet<u16> = roots.iter().flatten().copied().chain(gone.made()).collect();
        comparison.delete_the_rest(scope, &mapped, &Unread::of(manifest, scope.is_undo()));
    }
    if let Some(arriving) = &arriving {
        comparison.arrive(arriving)?;
    }
    comparison.imply_directories()?;
    let mtime_ns = manifest.local_time_ms.saturating_mul(1_000_000);
    let (around, told) = gone.around(&comparison, scope, mtime_ns)?;
    warnings.extend(told);
    let matched = comparison.matched
        || live
            .walk
            .found
            .iter()
            .any(|found| scope.matches(live.root_path(found.root), &found.path));
    let left_out = comparison.left_out.into_iter().chain(gone.left_out()).collect();
    let items = around.into_iter().chain(comparison.items.into_values()).collect();
    let Live { roots, config, running, withheld, .. } = live;
    Ok(Compared {
        items,
        left_out,
        roots,
        config,
        running,
        old_state,
        arriving,
        matched,
        unconfigured,
        withheld,
        warnings,
    })
}

/// The state directory on the machine that made the snapshot, where that is another.
fn old_state(live: &[Root], manifest: &Manifest) -> Option<String> {
    let here = live.first().map(|root| path_bytes(&root.path)).unwrap_or_default();
    let there = manifest.roots.first().filter(|record| record.path != here)?;
    Some(String::from_utf8_lossy(&there.path).into_owned())
}

/// The live root of each root of the snapshot. The state directory is the state directory wherever it is; all
/// others have to be where they were, and still be configured: a snapshot does not choose where it is written.
fn map_roots(live: &[Root], manifest: &Manifest) -> Vec<Option<u16>> {
    let here: Vec<RootRecord> = live.iter().map(record).collect();
    let mapped = same_records(&manifest.roots, &here);
    let place = |place: Option<usize>| place.and_then(|place| u16::try_from(place).ok());
    mapped.into_iter().map(place).collect()
}

/// Roots that an undo leaves alone: the rollback took the link to them away, and the directory behind it, which no link led to
/// then, is there still. So the link comes back, and nothing in its place.
fn behind_links(
    live: &Live,
    manifest: &Manifest,
    mapped: &[Option<u16>],
    scope: &Scope,
) -> HashSet<usize> {
    let taken_away = |record: &RootRecord| {
        let link = record.at.clone().map(RelPath::from_bytes);
        scope.is_undo() && link.is_some_and(|link| scope.matches(live.root_path(0), &link))
    };
    let is_there = |record: &RootRecord| {
        let path = as_path(&record.path);
        // What does not answer is not asked.
        live.hanging.iter().any(|place| path.starts_with(place))
            || (path.is_dir() && path.canonicalize().is_ok_and(|found| found == path))
    };
    let roots = manifest.roots.iter().zip(mapped).enumerate();
    let behind = roots
        .filter(|(_, (record, mapped))| mapped.is_none() && taken_away(record) && is_there(record));
    behind.map(|(number, _)| number).collect()
}

/// What to say of the roots of the snapshot that are not where they were.
fn about_roots(
    manifest: &Manifest,
    mapped: &[Option<u16>],
    places: &[Option<RelPath>],
    nothing_to_say: impl Fn(usize) -> bool,
) -> Vec<String> {
    let roots = manifest.roots.iter().zip(mapped).zip(places).enumerate();
    roots
        .filter_map(|(number, ((root, mapped), place))| {
            let path = RelPath::from_bytes(root.path.clone());
            match place {
                Some(place) => Some(format!(
                    "{place} was a link to {path}, which is not so here: what was there comes into {place} itself"
                )),
                None if mapped.is_none() && !nothing_to_say(number) => Some(format!(
                    "{path} is in the snapshot, but not configured now: it stays as it is"
                )),
                None => None,
            }
        })
        .collect()
}
