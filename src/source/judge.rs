//! What a walk makes of one entry: it belongs in a snapshot, or it does not, or nobody can tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio_util::sync::CancellationToken;

use super::database::is_database_name;
use super::logs::base_of;
use super::policy::{Decision, Policy};
use super::policy_rules::LOG_REASON;
use super::stat::{
    SOCKET, bytes_of, fingerprint_of, gone, log_of, mode_of, shown, special, unreadable,
};
use super::walked::Verdict;
use super::{EntryKind, Found, RelPath, Root, Skipped};

/// So much is walked, and no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

impl Most {
    /// No end.
    pub(super) const ALL: Self = Self { entries: usize::MAX, bytes: u64::MAX };

    /// Whether this is more than that.
    pub(super) fn is_less_than(self, entries: usize, bytes: u64) -> bool {
        entries > self.entries || bytes > self.bytes
    }
}

/// What the threads need to know.
pub(super) struct Context {
    pub(super) root: u16,
    pub(super) place: Root,
    pub(super) policy: Policy,
    pub(super) hanging: Arc<[PathBuf]>,
    pub(super) most: Most,
    /// Whether more than that was found.
    pub(super) enough: AtomicBool,
    pub(super) list_excluded: bool,
    pub(super) cancel: CancellationToken,
}

impl Context {
    /// All of a root, with no list of what is left out.
    pub(super) fn new(root: u16, place: &Root, policy: &Policy, hanging: &Arc<[PathBuf]>) -> Self {
        Self {
            root,
            place: place.clone(),
            policy: policy.clone(),
            hanging: Arc::clone(hanging),
            most: Most::ALL,
            enough: AtomicBool::new(false),
            list_excluded: false,
            cancel: CancellationToken::new(),
        }
    }

    /// Decides about one entry, and whether to enter it.
    pub(super) fn judge(
        &self,
        full: &Path,
        path: RelPath,
        file_type: std::fs::FileType,
        stat: impl FnOnce() -> std::io::Result<std::fs::Metadata>,
    ) -> (Verdict, bool) {
        let kind = if file_type.is_dir() {
            EntryKind::Directory
        } else if file_type.is_symlink() {
            EntryKind::Symlink
        } else if file_type.is_file() {
            EntryKind::File
        } else {
            return (self.judge_special(full, path, special(file_type)), false);
        };
        let (rules, seen) = self.place.judged(&path);
        let reason = match self.policy.decide(rules, &seen, kind) {
            Decision::Include => None,
            Decision::Exclude { reason }
                if kind == EntryKind::Directory && !self.policy.prunes(rules, &seen) =>
            {
                Some(reason)
            }
            // It may lie beside what is no database.
            Decision::Exclude { reason: LOG_REASON } if kind == EntryKind::File => {
                match self.policy.decide_no_log(rules, &seen) {
                    Decision::Include => None,
                    Decision::Exclude { reason } => {
                        return (Verdict::Excluded(path, reason), false);
                    }
                }
            }
            Decision::Exclude { reason } => return (Verdict::Excluded(path, reason), false),
        };
        let log = kind == EntryKind::File && base_of(&path).is_some();
        let examined = stat().and_then(|meta| self.examine(full, path, kind, &meta));
        match (examined, reason) {
            (Ok(Some(found)), None) if log => (Verdict::Log(Box::new(found)), false),
            (Ok(Some(found)), None) => (Verdict::Found(Box::new(found)), true),
            (Ok(Some(found)), Some(reason)) => (Verdict::Passage(Box::new(found), reason), true),
            (Ok(None), _) => (Verdict::Nothing, false),
            (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => {
                // Logs of databases come and go.
                (if log { Verdict::Nothing } else { Verdict::Gone(gone(full)) }, false)
            }
            (Err(error), _) => (Verdict::Skipped(unreadable(full, &error)), false),
        }
    }

    /// Decides about what is neither file nor directory nor link. A socket is there only while a process listens.
    fn judge_special(&self, full: &Path, path: RelPath, what: &'static str) -> Verdict {
        let (rules, seen) = self.place.judged(&path);
        match self.policy.decide(rules, &seen, EntryKind::File) {
            Decision::Exclude { reason } => Verdict::Excluded(path, reason),
            Decision::Include if what == SOCKET => Verdict::Excluded(path, what),
            Decision::Include => {
                let message = format!("a {what} has no content that could be saved");
                let path = shown(full);
                Verdict::Skipped(Skipped { path, code: "B2_SKIPPED_SPECIAL", message })
            }
        }
    }

    /// What the snapshot records. `None` when it became something else since its directory was read.
    fn examine(
        &self,
        full: &Path,
        path: RelPath,
        kind: EntryKind,
        meta: &std::fs::Metadata,
    ) -> std::io::Result<Option<Found>> {
        let target = if kind == EntryKind::Symlink {
            Some(bytes_of(std::fs::read_link(full)?.as_os_str()).into_owned())
        } else {
            None
        };
        let same = match kind {
            EntryKind::File => meta.is_file(),
            EntryKind::Directory => meta.is_dir(),
            EntryKind::Symlink => meta.is_symlink(),
        };
        if !same {
            return Ok(None);
        }
        let name = path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let database_name = kind == EntryKind::File && is_database_name(name);
        let mut fingerprint = fingerprint_of(meta);
        if database_name {
            fingerprint.log = log_of(full);
        }
        Ok(Some(Found {
            root: self.root,
            mode: mode_of(meta),
            path,
            kind,
            target,
            fingerprint,
            database_name,
        }))
    }
}
