//! What a rollback has set aside becomes a snapshot before it goes: the newest snapshot, with that in its places. So it
//! is what was there right before the rollback, and what an undo goes by.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::changes::Scan;
use super::memory::{Memory, path_bytes};
use super::writer::Writer;
use super::{Made, snapshot};
use crate::error::Result;
use crate::format::{Entry, EntryFlags, Reason};
use crate::ops::rollback::{self, AsideItem, SetAside};
use crate::ops::session::Session;
use crate::ops::tree::path_for_people;
use crate::ops::withheld::withheld;
use crate::repo::Unsaved;
use crate::source::withheld::{Content, Withheld};
use crate::source::{EntryKind, Fingerprint, Found, RelPath, absolute, walk};

/// So many paths are named; the rest is counted.
const NAMED: usize = 10;

/// Where files are read that are not in their place.
pub(super) type Elsewhere = HashMap<(u16, RelPath), PathBuf>;

/// Saves what done rollbacks have set aside, and removes it. `None` when this machine is a clone, which shows only late.
/// Says what the user should know.
pub(super) async fn save(session: &Session, writer: &mut Writer) -> Result<Option<Vec<String>>> {
    let mut told = Vec::new();
    let under = under(session);
    for aside in rollback::set_aside(session).await? {
        if let Some(known) = aside.known_unsaved(&under) {
            told.push(stays(&aside, &known.files));
            continue;
        }
        let before = Memory::load(&writer.local)?.unwrap_or_default();
        let warnings = std::mem::take(&mut writer.warnings);
        let made = snapshot(session, writer, Reason::Safety, &[], Some(&aside.items)).await;
        let new = std::mem::replace(&mut writer.warnings, warnings);
        let made = match made? {
            Made::Cloned => return Ok(None),
            Made::Nothing(_) => None,
            Made::Snapshot(captured) => {
                writer.warnings.extend(new);
                Some(captured.newest.snapshot)
            }
        };
        let Some(newest) = writer.base.as_ref().map(|newest| newest.snapshot.clone()) else {
            continue;
        };
        let after = Memory::load(&writer.local)?.unwrap_or_default();
        let withheld = withheld(&session.settings)?;
        let (have, lack): (Vec<_>, Vec<_>) =
            aside.items.iter().cloned().partition(|item| {
                has(&after, item) && !is_last_with_a_secret(&after, item, &withheld)
            });
        if let Some(id) = made {
            let same = |item: &&AsideItem| match (entry(&before, item), entry(&after, item)) {
                (Some(before), Some(after)) => {
                    before.sha256 == after.sha256 && before.target == after.target
                }
                _ => false,
            };
            let late: Vec<String> = have
                .iter()
                .filter(|item| item.counts && !same(item))
                .map(|item| shown(&after, item))
                .collect();
            told.push(format!(
                "{id} was made first: it is the state right before the rollback to {}, with what its safety snapshot \
                 did not have ({}), and `undo` goes by it",
                aside.snapshot,
                some(&late)
            ));
        }
        if !lack.is_empty() {
            let files: Vec<String> = lack.iter().map(|item| shown(&after, item)).collect();
            told.push(stays(&aside, &files));
            aside.note_unsaved(Unsaved { under: under.clone(), files }).await?;
        }
        aside.saved(session, have, &newest).await?;
    }
    Ok(Some(told))
}

fn stays(aside: &SetAside, files: &[String]) -> String {
    format!(
        "what the rollback to {} replaced could not be put into a snapshot, and stays in {}: {}. Take from there what you \
         need, then delete it",
        aside.snapshot,
        aside.place().display(),
        some(files)
    )
}

fn root_in(memory: &Memory, item: &AsideItem) -> Option<u16> {
    let path = path_bytes(&item.root.path);
    let at = memory.roots.iter().position(|root| *root == path)?;
    u16::try_from(at).ok()
}

fn entry<'m>(memory: &'m Memory, item: &AsideItem) -> Option<&'m Entry> {
    memory.at(root_in(memory, item)?, &item.path)
}

/// Whether the snapshot has all that an item says.
fn has(memory: &Memory, item: &AsideItem) -> bool {
    let is_shm =
        item.log_of.is_some() && item.source.as_os_str().as_encoded_bytes().ends_with(b"-shm");
    let read_with = item.log_of.as_ref().is_some_and(|of| {
        let of = root_in(memory, item).and_then(|root| memory.at(root, of));
        !item.counts && of.is_some_and(|of| of.flags.has(EntryFlags::DATABASE))
    });
    is_shm || read_with || entry(memory, item).is_some()
}

/// Whether the snapshot has a file with placeholders for values that are in no other place than this file.
fn is_last_with_a_secret(memory: &Memory, item: &AsideItem, withheld: &Withheld) -> bool {
    let flags = entry(memory, item).map(|entry| entry.flags).unwrap_or_default();
    if !flags.has(EntryFlags::REDACTED) || flags.has(EntryFlags::DATABASE) {
        return false;
    }
    let read = |at: &Path| withheld.read(&item.root, &item.path, at);
    let Ok(Some(Content::Replaced(replaced))) = read(&item.source) else { return true };
    let live = std::fs::read(absolute(&item.root.path, &item.path)).ok();
    let (_, [ours, others]) = withheld.put_back(&replaced, live.as_deref());
    ours + others > 0
}

fn shown(memory: &Memory, item: &AsideItem) -> String {
    let root = path_bytes(&item.root.path);
    path_for_people(Some(root.as_slice()).filter(|_| root_in(memory, item) != Some(0)), &item.path)
}

fn some(paths: &[String]) -> String {
    let named = paths.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// What decides whether something can be saved.
fn under(session: &Session) -> Vec<u8> {
    let settings = &session.settings;
    format!("{} {} {}", settings.encrypt, settings.include_secrets, env!("CARGO_PKG_VERSION"))
        .into_bytes()
}

impl Scan {
    /// Makes this the state right before a rollback: what the newest snapshot has, with what was set aside in its places.
    pub(super) fn turn_back(&mut self, items: &[AsideItem]) -> Result<()> {
        let memory = self.base.as_ref().map(|(_, memory)| Arc::clone(memory));
        let memory =
            memory.filter(|memory| memory.tree.is_some() && memory.same_roots(&self.roots));
        let found = match &memory {
            Some(memory) => memory.found(),
            // Nothing is known of it: the state as it is now comes nearest.
            None => std::mem::take(&mut self.walk.found),
        };
        let mut places = Places {
            found: found
                .into_iter()
                .map(|found| ((found.root, found.path.clone()), found))
                .collect(),
            elsewhere: Elsewhere::new(),
        };
        for item in items.iter().filter(|item| item.counts) {
            let at = self.roots.iter().position(|root| root.path == item.root.path);
            let at = at.unwrap_or_else(|| {
                self.roots.push(item.root.clone());
                self.roots.len() - 1
            });
            let root = u16::try_from(at).unwrap_or(u16::MAX);
            places.put(root, &item.path, &item.source, item.database, memory.as_deref())?;
        }
        let Places { found, elsewhere } = places;
        self.walk.found = found.into_values().collect();
        self.elsewhere = elsewhere;
        self.turned_back = true;
        Ok(())
    }
}

struct Places {
    found: BTreeMap<(u16, RelPath), Found>,
    elsewhere: Elsewhere,
}

impl Places {
    fn put(
        &mut self,
        root: u16,
        path: &RelPath,
        source: &Path,
        database: bool,
        memory: Option<&Memory>,
    ) -> Result<()> {
        let Some(found) = walk::look(root, path, source)? else { return Ok(()) };
        if memory.is_some_and(|memory| memory.has_moved(&found, database)) {
            return Ok(());
        }
        let below = |other: &RelPath| {
            other
                .as_bytes()
                .strip_prefix(path.as_bytes())
                .is_some_and(|rest| rest.starts_with(b"/"))
        };
        if found.kind != EntryKind::Directory {
            self.found.retain(|(of, other), _| *of != root || !below(other));
        }
        for above in path.above() {
            let directory = Found {
                root,
                path: above.clone(),
                kind: EntryKind::Directory,
                mode: 0o700,
                target: None,
                fingerprint: Fingerprint::default(),
                database_name: false,
            };
            let there = self.found.entry((root, above)).or_insert_with(|| directory.clone());
            if there.kind != EntryKind::Directory {
                *there = directory;
            }
        }
        let directory = found.kind == EntryKind::Directory;
        self.elsewhere.insert((root, path.clone()), source.to_owned());
        self.found.insert((root, path.clone()), found);
        if directory {
            for (name, inside) in walk::names_in(source)? {
                let path = RelPath::from_bytes([path.as_bytes(), b"/", &name].concat());
                self.put(root, &path, &inside, false, memory)?;
            }
        }
        Ok(())
    }
}
