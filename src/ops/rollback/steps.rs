//! The steps that a comparison comes to, in the order in which they are done: what goes, then directories, then
//! what comes, databases after files, and OpenClaw's configuration last.

use super::items::{Compared, Item};
use super::request::Action;
use crate::entry::EntryKind;
use crate::format::Entry;
use crate::local::{Before, Step, StepKind};
use crate::ops::recovery::LOGS;
use crate::source::{Found, RelPath};

/// Steps, and the entries of the snapshot that are staged for them.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) steps: Vec<Step>,
    /// By the name of the step.
    pub(super) wanted: Vec<(u32, Entry)>,
}

impl Steps {
    pub(super) fn of(compared: &Compared) -> Self {
        let mut steps = Self::default();
        let is_dir = |found: &Option<Found>| {
            found.as_ref().is_some_and(|found| found.kind == EntryKind::Directory)
        };
        let entry_kind = |item: &Item| item.entry.as_ref().map(|entry| entry.kind);
        let comes = |item: &&Item| matches!(item.action, Action::Add | Action::Replace);
        let goes = |item: &&Item| item.action == Action::Delete;
        for item in compared.items.iter().filter(goes).filter(|item| !is_dir(&item.found)) {
            steps.push(item, StepKind::Remove);
            if item.database {
                for log in LOGS {
                    let path = [item.path.as_bytes(), log.as_bytes()].concat();
                    let log = Item { path: RelPath::from_bytes(path), found: None, ..item.clone() };
                    steps.push(&log, StepKind::Remove);
                }
            }
        }
        // A directory makes room when it goes, and when something else takes its place. Deepest first.
        let room = |item: &&Item| {
            let replaced = comes(item) && entry_kind(item) != Some(EntryKind::Directory);
            is_dir(&item.found) && !item.implied && (goes(item) || replaced)
        };
        for item in compared.items.iter().rev().filter(room) {
            steps.push(item, StepKind::RemoveDir);
        }
        let coming: Vec<&Item> = compared.items.iter().filter(comes).collect();
        let kind = |item: &Item| {
            if item.mode_only {
                return StepKind::SetMode;
            }
            match entry_kind(item) {
                None | Some(EntryKind::Directory) => StepKind::MakeDir,
                Some(_) if compared.is_main_config(item.root, &item.path) => StepKind::Config,
                Some(EntryKind::File) if item.database => StepKind::Database,
                Some(_) => StepKind::Place,
            }
        };
        for wanted in [
            StepKind::MakeDir,
            StepKind::Place,
            StepKind::SetMode,
            StepKind::Database,
            StepKind::Config,
        ] {
            for item in coming.iter().filter(|item| kind(item) == wanted) {
                steps.push(item, wanted);
                if wanted == StepKind::Database && has_other_bits(item) {
                    // It is written into, and keeps those that it has.
                    steps.push(item, StepKind::SetMode);
                }
            }
        }
        steps
    }

    fn push(&mut self, item: &Item, kind: StepKind) {
        let name = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        let entry = item.entry.as_ref();
        let staged = matches!(kind, StepKind::Place | StepKind::Database | StepKind::Config);
        if let Some(entry) = entry.filter(|_| staged) {
            self.wanted.push((name, entry.clone()));
        }
        let is_file = entry.is_some_and(|entry| entry.kind == EntryKind::File);
        self.steps.push(Step {
            kind,
            root: item.root,
            path: item.path.as_bytes().to_vec(),
            mode: entry.map_or(0o700, |entry| entry.mode & 0o777),
            mtime_ns: entry.map_or(0, |entry| entry.mtime_ns),
            size: entry.filter(|_| staged).map_or(0, |entry| entry.size),
            sha256: entry
                .filter(|_| staged && is_file)
                .map_or_else(Vec::new, |entry| entry.sha256.to_vec()),
            // A directory that makes room is gone by then.
            before: item
                .found
                .as_ref()
                .filter(|found| !staged || found.kind != EntryKind::Directory)
                .map(before),
            name,
            broken: false,
        });
    }
}

/// Whether what comes has other permission bits than what is there.
fn has_other_bits(item: &Item) -> bool {
    let bits = |mode: u32| mode & 0o777;
    let Some(entry) = &item.entry else { return false };
    cfg!(unix) && item.found.as_ref().is_none_or(|found| bits(found.mode) != bits(entry.mode))
}

fn before(found: &Found) -> Before {
    Before {
        size: found.fingerprint.size,
        mtime_ns: found.fingerprint.mtime_ns,
        inode: found.fingerprint.inode,
        mode: found.mode,
        log_size: found.fingerprint.log.0,
        log_mtime_ns: found.fingerprint.log.1,
    }
}
