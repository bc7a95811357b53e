//! Finds what belongs to the state, by names and `stat` alone: no file is ever opened here, so the locks
//! of a host in this very process are safe. The only user of jwalk.

pub use super::stat::{GONE_AGAIN, find, fingerprint, names_in};
pub use super::walked::{Excluded, Walk};

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jwalk::{DirEntry, Parallelism, WalkDirGeneric};
use tokio_util::sync::CancellationToken;

use super::again::{look_again, root_before};
use super::judge::Context;
pub(super) use super::judge::Most;
use super::passages::open_passages;
use super::policy::Policy;
use super::stat::{bytes_of, does_not_answer, gone, unreadable};
use super::walked::{Passages, Verdict, take};
use super::{RelPath, Root, RootKind};
use crate::error::{Error, Result};

/// Walks all roots.
///
/// Blocks; call it from a plain thread, not from a pool's. `list_excluded` keeps what is left out, for
/// showing it to the user. What is in `hanging`, places of file systems that do not answer, is not touched. What vanishes meanwhile is in [`Walk::gone`]: it may have another name by now, and that one may
/// not have been seen.
///
/// # Errors
/// `B2_CANCELLED`; `B2_IO` and its like when the state directory itself cannot be read.
pub fn walk(
    roots: &[Root],
    policy: &Policy,
    hanging: &Arc<[PathBuf]>,
    list_excluded: bool,
    cancel: &CancellationToken,
) -> Result<Walk> {
    let walk = walk_from(0, roots, policy, hanging, Most::ALL, list_excluded, cancel);
    Ok(walk?.unwrap_or_default())
}

/// As [`walk`], for those of the roots that are behind the `first` ones. `None` where one of the roots is more than `most`: it is not walked to its end.
pub(super) fn walk_from(
    first: usize,
    roots: &[Root],
    policy: &Policy,
    hanging: &Arc<[PathBuf]>,
    most: Most,
    list_excluded: bool,
    cancel: &CancellationToken,
) -> Result<Option<Walk>> {
    let mut walk = Walk::default();
    for (index, root) in roots.iter().enumerate().skip(first) {
        let index = u16::try_from(index).map_err(|_| Error::internal("more than 65535 roots"))?;
        let context = Context {
            most,
            list_excluded,
            cancel: cancel.clone(),
            ..Context::new(index, root, policy, hanging)
        };
        let first_found = walk.found.len();
        let passages = if root.kind == RootKind::Config {
            walk_named(&context, root, &mut walk);
            Vec::new()
        } else {
            let Some(passages) = walk_tree(context, &mut walk)? else { return Ok(None) };
            passages
        };
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let found = walk.found.get_mut(first_found..).unwrap_or_default();
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        open_passages(index, passages, list_excluded, first_found, &mut walk);
    }
    walk.excluded.sort_unstable_by(|a, b| (a.root, &a.path).cmp(&(b.root, &b.path)));
    Ok(Some(walk))
}

/// Looks at the named files of a directory of configuration.
fn walk_named(context: &Context, root: &Root, walk: &mut Walk) {
    for name in &root.only {
        let path = RelPath::from_bytes(name.clone());
        let full = super::absolute(&root.path, &path);
        let meta = match std::fs::symlink_metadata(&full) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                walk.skipped.push(unreadable(&full, &error));
                continue;
            }
        };
        let verdict = context.judge(&full, path, meta.file_type(), || Ok(meta.clone())).0;
        let place = (context.root, context.list_excluded);
        take(verdict, place, walk, &mut Vec::new(), &mut HashSet::new());
    }
}

fn walk_tree(context: Context, walk: &mut Walk) -> Result<Option<Passages>> {
    let base = context.place.path.clone();
    // A root that is gone or unreadable is an error of its own, not an empty snapshot.
    if let Err(error) = std::fs::read_dir(&base) {
        if context.place.kind == RootKind::State {
            return Err(Error::io("read", &base, error));
        }
        walk.skipped.push(unreadable(&base, &error));
        return Ok(Some(Vec::new()));
    }
    let threads =
        std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get).min(4);
    // A pool of its own: in a busy one jwalk yields an error and nothing else.
    let before = root_before(&base);
    let parallelism =
        if threads > 1 { Parallelism::RayonNewPool(threads) } else { Parallelism::Serial };
    let context = Arc::new(context);
    let worker = Arc::clone(&context);
    let entries = WalkDirGeneric::<((), Verdict)>::new(&base)
        .skip_hidden(false)
        .follow_links(false)
        .parallelism(parallelism)
        .process_read_dir(move |depth, directory, (), children| {
            if depth.is_some() {
                worker.judge_all(directory, children);
            }
        })
        .try_into_iter()
        .map_err(|error| Error::internal(format!("walking {}: {error}", base.display())))?;
    let mut passages = Vec::new();
    let mut private = HashSet::new();
    let first_found = walk.found.len();
    let first_log = walk.logs.len();
    let mut bytes = 0u64;
    for entry in entries {
        if context.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let entries = walk.found.len() - first_found + walk.logs.len() - first_log;
        if context.most.is_less_than(entries, bytes) {
            // The threads stop, too.
            context.enough.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        match entry {
            Ok(mut entry) => {
                let error =
                    entry.read_children.as_ref().and_then(|children| children.error()?.io_error());
                match error.map(std::io::Error::kind) {
                    Some(std::io::ErrorKind::NotFound) => {
                        walk.gone.push(gone(&entry.path()));
                        continue;
                    }
                    Some(_) => {
                        walk.skipped.extend(error.map(|error| unreadable(&entry.path(), error)));
                    }
                    None => {}
                }
                if let Verdict::Found(found) | Verdict::Log(found) = &entry.client_state {
                    bytes = bytes.saturating_add(found.fingerprint.size);
                }
                take(
                    std::mem::take(&mut entry.client_state),
                    (context.root, context.list_excluded),
                    walk,
                    &mut passages,
                    &mut private,
                );
            }
            Err(error)
                if error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) =>
            {
                walk.gone.push(gone(error.path().unwrap_or(&base)));
            }
            Err(error) => {
                let path = error.path().unwrap_or(&base).to_path_buf();
                walk.skipped.push(unreadable(&path, &error));
            }
        }
    }
    let found = walk.found.get_mut(first_found..).unwrap_or_default();
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    look_again(&context, before, (first_found, first_log), &mut passages, &mut private, walk);
    if !private.is_empty() {
        let mut index = 0;
        walk.found.retain(|entry| {
            index += 1;
            index <= first_found || !private.contains(&entry.path)
        });
        passages.retain(|(entry, _)| !private.contains(&entry.path));
    }
    let entries = walk.found.len() - first_found + walk.logs.len() - first_log;
    Ok((!context.most.is_less_than(entries, bytes)).then_some(passages))
}

type Entry = DirEntry<((), Verdict)>;

impl Context {
    /// Decides about all entries of a directory, and which of its directories are entered.
    fn judge_all(&self, directory: &Path, children: &mut Vec<jwalk::Result<Entry>>) {
        if self.cancel.is_cancelled() || self.enough.load(Ordering::Relaxed) {
            children.clear();
            return;
        }
        let relative = directory.strip_prefix(&self.place.path).unwrap_or(directory);
        let relative = bytes_of(relative.as_os_str());
        let (kind, seen) = match &self.place.at {
            Some(at) if relative.is_empty() => (RootKind::State, at.as_bytes().to_vec()),
            _ => {
                let path = RelPath::from_bytes(relative.to_vec());
                let (kind, seen) = self.place.judged(&path);
                (kind, seen.as_bytes().to_vec())
            }
        };
        let marker = children.iter_mut().flatten().find_map(|child| {
            self.policy
                .marks_private(kind, &seen, &bytes_of(&child.file_name))
                .map(|reason| (&mut child.client_state, reason))
        });
        if let Some((state, reason)) = marker
            && !relative.is_empty()
        {
            *state = Verdict::Private(RelPath::from_bytes(relative.into_owned()), reason);
            children.retain_mut(|child| {
                child.as_mut().is_ok_and(|child| {
                    child.read_children = None;
                    matches!(child.client_state, Verdict::Private(_, _))
                })
            });
            return;
        }
        for child in children.iter_mut().flatten() {
            let name = bytes_of(&child.file_name);
            let mut path = Vec::with_capacity(relative.len() + 1 + name.len());
            if !relative.is_empty() {
                path.extend_from_slice(&relative);
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            let full = child.path();
            if self.hanging.contains(&full) {
                child.read_children = None;
                child.client_state = Verdict::Skipped(does_not_answer(&full));
                continue;
            }
            let stat = || std::fs::symlink_metadata(&full);
            let (verdict, enter) =
                self.judge(&full, RelPath::from_bytes(path), child.file_type, stat);
            if !enter {
                child.read_children = None;
            }
            child.client_state = verdict;
        }
    }
}
