//! What follows from a comparison: what the snapshot does not have goes, where that was asked for, and what comes
//! gets the directories that it needs.

use std::borrow::Cow;
use std::collections::HashSet;

use super::comparison::Comparison;
use super::items::{Item, delete};
use super::request::Action;
use super::scope::Scope;
use crate::engine::problem;
use crate::engine::tree::path_for_people;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::format::{Manifest, Remark};
use crate::source::{RelPath, RootKind};

/// What the snapshot does not have because it could not be taken: that is no reason to remove it.
pub(super) struct Unread {
    paths: HashSet<String>,
    /// Whether there is more than the snapshot names.
    more: bool,
}

impl Unread {
    /// An undo removes what the rollback brought also where a whole directory was gone before it.
    pub(super) fn of(manifest: &Manifest, undo: bool) -> Self {
        let state = manifest.roots.first().map(|root| root.path.clone()).unwrap_or_default();
        let state = RelPath::from_bytes(state).escaped();
        let path = |remark: &Remark| {
            let inside = remark.path.strip_prefix(&state).and_then(|rest| rest.strip_prefix('/'));
            inside.unwrap_or(&remark.path).to_owned()
        };
        Self {
            paths: manifest.remarks.iter().filter(|it| !undo || !is_gone(it)).map(path).collect(),
            more: manifest.remarks.iter().any(|remark| remark.code == problem::MORE),
        }
    }

    /// Whether it holds a path below a root, or something above it. `root` is none for the state directory.
    fn has(&self, root: Option<&[u8]>, path: &RelPath) -> bool {
        if self.more {
            return true;
        }
        let holds = |path: &RelPath| self.paths.contains(&path_for_people(root, path));
        !self.paths.is_empty()
            && (holds(path)
                || path.above().any(|above| holds(&above))
                || root.is_some_and(|root| {
                    self.paths.contains(&RelPath::from_bytes(root.to_vec()).escaped())
                }))
    }
}

fn is_gone(remark: &Remark) -> bool {
    [problem::ROOT_GONE, problem::ROOT_EMPTY].contains(&remark.code.as_str())
}

impl Comparison<'_> {
    /// Whether the live link at a path leads to a root.
    pub(super) fn leads_to_a_root(&self, root: u16, path: &RelPath) -> Result<bool> {
        let seen = match (root, &self.live.root(root)?.at) {
            (0, _) => path.clone(),
            (_, Some(at)) => at.join(path),
            (_, None) => return Ok(false),
        };
        Ok(self.live.roots.iter().any(|root| root.at.as_ref() == Some(&seen)))
    }

    /// Plans to remove what the snapshot does not have.
    pub(super) fn delete_the_rest(
        &mut self,
        scope: &Scope,
        mapped: &HashSet<u16>,
        unread: &Unread,
    ) {
        for found in &self.live.walk.found {
            let key = (found.root, found.path.clone());
            let chosen = mapped.contains(&found.root)
                && scope.matches(self.live.root_path(found.root), &found.path);
            if !chosen || self.named.contains(&key) || self.items.contains_key(&key) {
                continue;
            }
            let place = self.live.roots.get(usize::from(found.root));
            let other = (found.root > 0).then(|| self.live.root_path(found.root));
            let (kind, path) = place.map_or_else(
                || (RootKind::State, Cow::Borrowed(&found.path)),
                |place| place.judged(&found.path),
            );
            let mut item = delete(found.clone());
            item.database =
                found.kind == EntryKind::File && self.live.is_database(found).unwrap_or(true);
            let config = self.live.config.as_ref();
            let standing = self.live.policy.standing(kind, &path, found.kind);
            let keep = if let Some((_, reason)) = standing {
                Some(reason)
            } else if config
                .is_some_and(|config| (config.0, &config.1) == (found.root, &found.path))
                || kind == RootKind::Config
            {
                Some("OpenClaw's configuration")
            } else if unread.has(other, &found.path) {
                Some("could not be read when the snapshot was made")
            } else if item.database && self.live.running.is_some() {
                Some(
                    "OpenClaw runs and may have it open; roll back with OpenClaw stopped to remove it",
                )
            } else {
                None
            };
            if let Some(reason) = keep {
                item.action = Action::Keep;
                item.reason = Some(reason.to_owned());
            }
            self.put(item);
        }
        self.keep_directories_of_what_stays();
    }

    /// A directory cannot go while something in it stays.
    fn keep_directories_of_what_stays(&mut self) {
        let stay = self.items.values().filter(|item| item.action == Action::Keep);
        let mut needed = HashSet::new();
        for item in stay {
            needed.extend(item.path.above().map(|above| (item.root, above)));
        }
        self.items.retain(|key, item| {
            let directory =
                item.found.as_ref().is_some_and(|found| found.kind == EntryKind::Directory);
            item.action != Action::Delete || !directory || !needed.contains(key)
        });
    }

    /// Plans the directories above what comes, where neither the state nor the snapshot has them.
    pub(super) fn imply_directories(&mut self) -> Result<()> {
        let comes: Vec<(u16, RelPath)> = self
            .items
            .values()
            .filter(|item| matches!(item.action, Action::Add | Action::Replace))
            .map(|item| (item.root, item.path.clone()))
            .collect();
        for (root, path) in comes {
            for above in path.above() {
                let planned = self.items.get(&(root, above.clone())).map(|item| item.action);
                let there = match planned {
                    Some(Action::Add | Action::Replace) => continue,
                    Some(Action::Delete) => return Err(crossed(&path)),
                    Some(Action::Keep) | None => self.live.kind_at(root, &above)?,
                };
                let known = self.on_the_way.get(&(root, above.clone())).cloned();
                match (there, known) {
                    (Some(EntryKind::Directory), _) => {}
                    (Some(_), _) => return Err(crossed(&path)),
                    (None, Some(entry)) => self.entry(root, entry)?,
                    (None, None) => self.put(Item {
                        root,
                        path: above,
                        action: Action::Add,
                        database: false,
                        reason: None,
                        entry: None,
                        found: None,
                        mode_only: false,
                        implied: true,
                    }),
                }
            }
        }
        Ok(())
    }
}

fn crossed(path: &RelPath) -> Error {
    let message = "something above it is no directory here".to_owned();
    Error::UnsafePath { path: path.escaped(), message }
}
