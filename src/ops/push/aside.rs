//! What a rollback has set aside becomes a snapshot before it goes: the newest snapshot, with that in its places. So it
//! is what was there right before the rollback, and what an undo goes by.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::assemble::of_an_entry;
use super::capture::Elsewhere;
use super::changes::Scan;
use super::snapshot::{Made, snapshot};
use super::writer::Writer;
use crate::engine::file_cache::{Memory, path_bytes};
use crate::engine::problem::FileProblem;
use crate::engine::roots::{recorded, shown_here};
use crate::engine::session::{Session, Settings};
use crate::engine::tree::path_for_people;
use crate::engine::withheld::withheld;
use crate::error::Result;
use crate::format::{Entry, EntryFlags, Manifest, Reason};
use crate::local::Unsaved;
use crate::ops::recovery::{self, AsideItem, SetAside};
use crate::source::links::moved_away;
use crate::source::withheld::{Content, Withheld};
use crate::source::{EntryKind, Fingerprint, Found, RelPath, Root, absolute, walk};

/// So many paths are named; the rest is counted.
const NAMED: usize = 10;

/// Saves what done rollbacks have set aside, and removes it. `None` when this machine is a clone, which shows only late:
/// then `lost` has what the user should know all the same. Else says it.
pub(super) async fn save(
    session: &Session,
    writer: &mut Writer,
    lost: &mut Vec<String>,
) -> Result<Option<Vec<String>>> {
    let mut told = Vec::new();
    let under = under(session);
    for aside in recovery::set_aside(&session.local).await? {
        if let Some(known) = aside.known_unsaved(&under) {
            told.push(stays(&aside, &known.files));
            continue;
        }
        let before = load(writer).await?;
        let warnings = std::mem::take(&mut writer.warnings);
        let made = snapshot(session, writer, Reason::Safety, &[], Some(&aside.items)).await;
        let new = std::mem::replace(&mut writer.warnings, warnings);
        let made = match made? {
            Made::Cloned => {
                lost.append(&mut writer.warnings);
                lost.extend(new);
                return Ok(None);
            }
            Made::Nothing(_) => None,
            Made::Snapshot(captured) => {
                writer.warnings.extend(new);
                Some(captured.newest.snapshot)
            }
        };
        let Some(newest) = writer.base.as_ref().map(|newest| newest.snapshot.clone()) else {
            continue;
        };
        let after = load(writer).await?;
        let (have, lack) = sorted(&session.settings, &after, aside.items.clone()).await?;
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
            told.push(made_first(&id, &aside.snapshot, &late));
        }
        if !lack.is_empty() {
            let files: Vec<String> = lack.iter().map(|item| shown(&after, item)).collect();
            told.push(stays(&aside, &files));
            aside.note_unsaved(Unsaved { under: under.clone(), files }).await?;
        }
        aside.saved(&session.local, have, &newest).await?;
    }
    Ok(Some(told))
}

async fn load(writer: &Writer) -> Result<Arc<Memory>> {
    let local = writer.local.clone();
    Session::blocking(move || Ok(Arc::new(Memory::load(&local)?.unwrap_or_default()))).await
}

/// What the snapshot has of what was set aside, and what it lacks.
async fn sorted(
    settings: &Settings,
    memory: &Arc<Memory>,
    items: Vec<AsideItem>,
) -> Result<(Vec<AsideItem>, Vec<AsideItem>)> {
    let (settings, memory) = (settings.clone(), Arc::clone(memory));
    Session::blocking(move || {
        let withheld = withheld(&settings)?;
        let (have, mut lack): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| {
            has(&memory, item) && !is_last_with_a_secret(&memory, item, &withheld)
        });
        // A database that SQLite cannot read is nothing without its log.
        let of = |log: &AsideItem| Some((log.root.path.clone(), log.log_of.clone()?));
        let logs: HashSet<_> = lack.iter().filter_map(of).collect();
        let (apart, have) = have
            .into_iter()
            .partition(|item| logs.contains(&(item.root.path.clone(), item.path.clone())));
        lack.extend::<Vec<_>>(apart);
        Ok((have, lack))
    })
    .await
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
    is_shm || read_with || entry(memory, item).is_some() || has_no_content(&item.source)
}

/// Whether it is a named pipe, a socket or a device: nothing of it could be in a snapshot.
fn has_no_content(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| {
        let kind = meta.file_type();
        !kind.is_file() && !kind.is_dir() && !kind.is_symlink()
    })
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

/// That a snapshot was made of what a rollback set aside. `late` is what its safety snapshot did not have, if anything.
fn made_first(id: &str, rolled_back_to: &str, late: &[String]) -> String {
    let with = if late.is_empty() {
        String::new()
    } else {
        format!(", with what its safety snapshot did not have ({})", some(late))
    };
    format!(
        "{id} was made first: it is the state right before the rollback to {rolled_back_to}{with}; `undo` goes by it"
    )
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
    /// Blocks.
    pub(super) fn turn_back(&mut self, items: &[AsideItem]) -> Result<()> {
        let base = self.base.clone().filter(|(_, memory)| memory.tree.is_some());
        let base = base.filter(|(manifest, memory)| self.keep_roots_of(manifest, memory));
        let found = match &base {
            Some((manifest, memory)) => {
                self.skipped = of_then(manifest, &self.roots, items);
                self.missing = manifest.missing.clone().unwrap_or_default();
                self.anew = self.harmed;
                // Those of databases that SQLite could not read are in the memory.
                self.walk.logs.retain(|log| memory.entry(log).is_none());
                memory.found()
            }
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
        let memory = base.as_ref().map(|(_, memory)| &**memory);
        for item in items.iter().filter(|item| item.counts) {
            let at = self.roots.iter().position(|root| root.path == item.root.path);
            let at = at.unwrap_or_else(|| {
                self.roots.push(item.root.clone());
                self.roots.len() - 1
            });
            let root = u16::try_from(at).unwrap_or(u16::MAX);
            places.put(root, &item.path, &item.source, item.database, memory)?;
        }
        let Places { found, elsewhere } = places;
        let known = |link: &Found| {
            let entry = memory.and_then(|memory| memory.at(link.root, &link.path));
            entry.is_some_and(|entry| link.target.as_deref() == Some(entry.target.as_slice()))
        };
        let links = elsewhere.keys().filter_map(|place| found.get(place));
        let links = links.filter(|link| link.kind == EntryKind::Symlink && !known(link));
        let lost: Vec<_> = links
            .filter_map(|link| moved_away(link, &self.roots, &self.rules.1))
            .map(FileProblem::from)
            .filter(|lost| !self.skipped.iter().any(|told| told.path == lost.path))
            .collect();
        self.skipped.extend(lost);
        self.walk.found = found.into_values().collect();
        self.elsewhere = elsewhere;
        self.turned_back = true;
        Ok(())
    }

    /// Goes by the roots of the newest snapshot: others may have come or gone with the rollback. `false` where one of them
    /// is not known any more.
    fn keep_roots_of(&mut self, manifest: &Manifest, memory: &Memory) -> bool {
        let then = memory.roots.iter().enumerate().map(|(number, path)| {
            let is = |root: &&Root| path_bytes(&root.path) == *path;
            let known = manifest.roots.get(number).and_then(recorded);
            self.roots.iter().find(is).cloned().or(known.filter(|root| is(&root)))
        });
        let Some(then) = then.collect::<Option<Vec<Root>>>() else { return false };
        let number = |root: u16| {
            let root = self.roots.get(usize::from(root))?;
            u16::try_from(then.iter().position(|other| other.path == root.path)?).ok()
        };
        let renumbered = |found: Found| Some(Found { root: number(found.root)?, ..found });
        let logs = std::mem::take(&mut self.walk.logs);
        self.walk.logs = logs.into_iter().filter_map(renumbered).collect();
        self.roots = then;
        true
    }
}

/// What could not be read when the newest snapshot was made, but for what is read now. What a link leads to is not.
fn of_then(manifest: &Manifest, roots: &[Root], items: &[AsideItem]) -> Vec<FileProblem> {
    let read: HashSet<String> = items
        .iter()
        .filter(|item| item.counts && !item.source.is_symlink())
        .filter_map(|item| {
            let at = roots.iter().position(|root| root.path == item.root.path)?;
            Some(shown_here(roots, u16::try_from(at).ok()?, &item.path))
        })
        .collect();
    let remarks = manifest.remarks.iter().filter(|remark| !read.contains(&remark.path));
    remarks.cloned().map(FileProblem::from).filter(|problem| !of_an_entry(problem)).collect()
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
        let Some(found) = walk::find(root, path, source)? else { return Ok(()) };
        // Where it is read, should it be read: at its place lies what the rollback brought.
        self.elsewhere.insert((root, path.clone()), source.to_owned());
        if memory.is_some_and(|memory| memory.has_moved(&found, database)) {
            return Ok(());
        }
        if found.kind != EntryKind::Directory {
            self.clear_below(root, path);
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
        self.found.insert((root, path.clone()), found);
        if directory {
            for (name, inside) in walk::names_in(source)? {
                let path = RelPath::from_bytes([path.as_bytes(), b"/", &name].concat());
                self.put(root, &path, &inside, false, memory)?;
            }
        }
        Ok(())
    }

    /// Removes what lay in a directory.
    fn clear_below(&mut self, root: u16, path: &RelPath) {
        // All that begins with the path and a slash; what comes next after a slash is '0'.
        let [from, to] =
            [b"/", b"0"].map(|end| RelPath::from_bytes([path.as_bytes(), end].concat()));
        let below: Vec<_> =
            self.found.range((root, from)..(root, to)).map(|(key, _)| key.clone()).collect();
        for key in below {
            self.found.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::made_first;

    #[test]
    fn no_list_is_told_where_it_is_empty() {
        let told = made_first("b", "a", &[]);
        assert_eq!(
            told,
            "b was made first: it is the state right before the rollback to a; `undo` goes by it"
        );
        let told = made_first("b", "a", &["notes.md".into()]);
        assert!(
            told.contains(", with what its safety snapshot did not have (notes.md); "),
            "{told}"
        );
    }
}
