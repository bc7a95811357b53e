//! Directories that changed while they were walked. A listing may show neither the old nor the new name of what is renamed
//! meanwhile, and what moves from one directory to another may be in neither of two listings.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::judge::Context;
use super::stat::{TICK_NS, bytes_of, fingerprint, gone, shown, unreadable};
use super::walked::{Passages, Verdict, Walk, take};
use super::{EntryKind, Fingerprint, RelPath, RootKind, Skipped, absolute};

/// A directory is listed so many times at most, until it stays as it is meanwhile.
const LISTINGS: usize = 8;

/// What is said of a directory that never stays as it is.
const RESTLESS: &str = "changed each time it was listed: what was renamed in it may be missing";

/// Lists the directories of a root again that changed since they were looked at. What is new in them is added behind what
/// was found; a directory that is new counts as gone, so that all is walked again. `found` is sorted from `first_found` on;
/// `before` is what the root itself was like before it was listed.
pub(super) fn look_again(
    context: &Context,
    before: Option<Fingerprint>,
    (first_found, first_log): (usize, usize),
    passages: &mut Passages,
    private: &mut HashSet<RelPath>,
    walk: &mut Walk,
) {
    let young_ns = now_ns().saturating_sub(TICK_NS);
    let found = walk.found.get(first_found..).unwrap_or_default();
    let directories = found.iter().chain(passages.iter().map(|(found, _)| found));
    let directories = directories.filter(|found| found.kind == EntryKind::Directory);
    let mut changed: Vec<(Option<RelPath>, Fingerprint)> = Vec::new();
    let root = before.map(|before| (None, before));
    let below = directories.map(|found| (Some(&found.path), found.fingerprint));
    for (path, before) in root.into_iter().chain(below) {
        if path.is_some_and(|path| private.contains(path)) {
            continue;
        }
        // What is gone now was there: what was in it is gone, too, or found where it is.
        let Ok(now) = fingerprint(&context.at(path), false) else { continue };
        if times(now) != times(before) || now.mtime_ns.max(now.ctime_ns) >= young_ns {
            changed.push((path.cloned(), now));
        }
    }
    let end = walk.found.len();
    for (path, now) in changed {
        let known = |path: &RelPath, walk: &Walk| {
            let found = walk.found.get(first_found..end).unwrap_or_default();
            let later = walk.found.get(end..).unwrap_or_default();
            let logs = walk.logs.get(first_log..).unwrap_or_default();
            let full = shown(&absolute(&context.place.path, path));
            found.binary_search_by(|found| found.path.cmp(path)).is_ok()
                || later.iter().chain(logs).any(|found| found.path == *path)
                || walk.skipped.iter().any(|skipped| skipped.path == full)
                || walk.excluded.iter().any(|out| out.root == context.root && out.path == *path)
                || passages_have(passages, path)
        };
        let (new, settled) = listed(context, path.as_ref(), now, |path| known(path, walk));
        for verdict in new {
            take(verdict, (context.root, context.list_excluded), walk, passages, private);
        }
        if !settled {
            let path = shown(&context.at(path.as_ref()));
            let message = RESTLESS.to_owned();
            walk.skipped.push(Skipped { path, code: "B2_SKIPPED_UNREADABLE", message });
        }
    }
}

fn passages_have(passages: &Passages, path: &RelPath) -> bool {
    passages.iter().any(|(found, _)| found.path == *path)
}

/// What is in a directory and not known, and whether it once stayed as it is while it was listed.
fn listed(
    context: &Context,
    directory: Option<&RelPath>,
    mut before: Fingerprint,
    known: impl Fn(&RelPath) -> bool,
) -> (Vec<Verdict>, bool) {
    let full = context.at(directory);
    let (mut verdicts, mut judged) = (Vec::new(), HashSet::new());
    for _ in 0..LISTINGS {
        // One that cannot be listed was named when it was walked, or it went since.
        let Ok(entries) = std::fs::read_dir(&full) else { return (verdicts, true) };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let names: Vec<OsString> = match names.collect() {
            Ok(names) => names,
            Err(error) => {
                verdicts.push(Verdict::Skipped(unreadable(&full, &error)));
                return (verdicts, true);
            }
        };
        for name in names {
            let path = RelPath::from_bytes(bytes_of(&name).into_owned());
            let path = directory.map_or_else(|| path.clone(), |above| above.join(&path));
            if !known(&path) && judged.insert(path.clone()) {
                verdicts.push(context.judge_new(directory, &name, path));
            }
        }
        let Ok(now) = fingerprint(&full, false) else { return (verdicts, true) };
        if times(now) == times(before) {
            return (verdicts, true);
        }
        before = now;
    }
    (verdicts, false)
}

impl Context {
    /// Where the root is, or something in it.
    fn at(&self, path: Option<&RelPath>) -> PathBuf {
        path.map_or_else(|| self.place.path.clone(), |path| absolute(&self.place.path, path))
    }

    /// Decides about what no listing had.
    fn judge_new(&self, directory: Option<&RelPath>, name: &OsString, path: RelPath) -> Verdict {
        let full = absolute(&self.place.path, &path);
        if self.hanging.contains(&full) {
            return Verdict::Nothing;
        }
        let meta = match std::fs::symlink_metadata(&full) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Verdict::Gone(gone(&full));
            }
            Err(error) => return Verdict::Skipped(unreadable(&full, &error)),
        };
        // All around it is private then: everything is walked again.
        if self.makes_private(directory, name) {
            return Verdict::Gone(gone(&full));
        }
        match self.judge(&full, path, meta.file_type(), || Ok(meta.clone())) {
            (_, true) if meta.is_dir() => Verdict::Gone(gone(&full)),
            (verdict, _) => verdict,
        }
    }

    fn makes_private(&self, directory: Option<&RelPath>, name: &OsString) -> bool {
        let Some(directory) = directory else { return false };
        let (kind, seen): (RootKind, _) = self.place.judged(directory);
        self.policy.marks_private(kind, seen.as_bytes(), &bytes_of(name)).is_some()
    }
}

fn times(of: Fingerprint) -> (i64, i64) {
    (of.mtime_ns, of.ctime_ns)
}

/// By the clock of this machine, which is that of its file systems.
fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// What the root itself is like.
pub(super) fn root_before(path: &Path) -> Option<Fingerprint> {
    fingerprint(path, false).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::super::{Found, Root};
    use super::*;
    use crate::source::policy::Policy;
    use crate::source::walk::walk;

    /// What another look adds to a walk after which `change` was made; all times are old before.
    fn seen_again(change: impl Fn(&Path)) -> Walk {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().canonicalize().unwrap();
        fs::create_dir_all(state.join("workspace/notes")).unwrap();
        fs::write(state.join("workspace/notes/a.md"), "a").unwrap();
        let old = SystemTime::now() - Duration::from_hours(1);
        for directory in ["", "workspace", "workspace/notes"] {
            fs::File::open(state.join(directory)).unwrap().set_modified(old).unwrap();
        }
        let roots = [Root::new(RootKind::State, state.clone())];
        let policy = Policy::new(&[], &[], false).unwrap();
        let hanging = Arc::default();
        let cancel = CancellationToken::new();
        let mut all = walk(&roots, &policy, &hanging, false, &cancel).unwrap();
        let before = root_before(&state);
        change(&state);
        let context = Context::new(0, &roots[0], &policy, &hanging);
        look_again(&context, before, (0, 0), &mut Vec::new(), &mut HashSet::new(), &mut all);
        all
    }

    fn paths(found: &[Found]) -> Vec<String> {
        found.iter().map(|found| found.path.escaped()).collect()
    }

    const WALKED: [&str; 3] = ["workspace", "workspace/notes", "workspace/notes/a.md"];

    #[test]
    fn what_is_new_in_a_directory_that_changed_is_found() {
        let same = seen_again(|_| {});
        assert_eq!(paths(&same.found), WALKED);
        let all = seen_again(|state| {
            fs::write(state.join("workspace/notes/renamed.md"), "b").unwrap();
            fs::write(state.join("top.md"), "c").unwrap();
            fs::write(state.join("gateway.lock"), "left out").unwrap();
        });
        let [walked @ .., top, renamed] = &paths(&all.found)[..] else { panic!("{all:?}") };
        assert_eq!(walked, WALKED);
        assert_eq!((top.as_str(), renamed.as_str()), ("top.md", "workspace/notes/renamed.md"));
        assert_eq!((all.gone.len(), all.skipped.len()), (0, 0));
    }

    #[test]
    fn a_new_directory_lets_all_be_walked_again() {
        let all = seen_again(|state| fs::create_dir(state.join("workspace/new")).unwrap());
        assert_eq!(paths(&all.found), WALKED);
        assert_eq!(all.gone.len(), 1);
        let gone = seen_again(|state| fs::remove_dir_all(state.join("workspace/notes")).unwrap());
        assert_eq!((gone.gone.len(), gone.skipped.len()), (0, 0));
    }

    #[test]
    fn one_that_never_stays_as_it_is_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::new(
            0,
            &Root::new(RootKind::State, dir.path().to_owned()),
            &Policy::new(&[], &[], false).unwrap(),
            &Arc::default(),
        );
        let before = root_before(dir.path()).unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        // Each listing is of another time.
        let seconds = std::cell::Cell::new(0);
        let (new, settled) = listed(&context, None, before, |_| {
            seconds.set(seconds.get() + 60);
            let time = UNIX_EPOCH + Duration::from_secs(seconds.get());
            fs::File::open(dir.path()).unwrap().set_modified(time).unwrap();
            false
        });
        assert!(!settled);
        assert_eq!((new.len(), seconds.get()), (1, 60 * LISTINGS as u64));
    }
}
