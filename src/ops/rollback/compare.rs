//! The snapshot and the live state side by side: what is different, and what is done about it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::arriving::Arriving;
use super::live::Live;
use super::names::Collisions;
use super::plan::{Action, Mode};
use super::rest::Unread;
use super::scope::Scope;
use crate::engine::file_cache::path_bytes;
use crate::engine::roots::{in_place_of_links, put_in_place, record, same_records};
use crate::engine::tree::path_for_people;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::format::{Entry, EntryFlags, Manifest, RootRecord};
use crate::source::gateway::Running;
use crate::source::logs;
use crate::source::logs::LOG_REASON;
use crate::source::policy::Standing;
use crate::source::withheld::Withheld;
use crate::source::{Found, RelPath, Root, RootKind, absolute};

/// A path that is not as in the snapshot.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Index of the live root.
    pub(super) root: u16,
    pub(super) path: RelPath,
    pub(super) action: Action,
    pub(super) database: bool,
    pub(super) reason: Option<String>,
    /// What the snapshot has there.
    pub(super) entry: Option<Entry>,
    /// What is there.
    pub(super) found: Option<Found>,
    /// Whether only permission bits change.
    pub(super) mode_only: bool,
    /// A directory that the snapshot does not name, but has something in.
    pub(super) implied: bool,
}

impl Item {
    /// Whether it is, or becomes, a directory.
    pub(super) fn is_directory(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.kind == EntryKind::Directory)
    }

    /// Bytes of content that come.
    pub(super) fn bytes(&self) -> u64 {
        let comes = matches!(self.action, Action::Add | Action::Replace) && !self.mode_only;
        self.entry.as_ref().filter(|_| comes).map_or(0, |entry| entry.size)
    }
}

/// Everything that is different, by root and path.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) items: Vec<Item>,
    pub(super) roots: Vec<Root>,
    /// Where OpenClaw's configuration is.
    pub(super) config: Option<(u16, RelPath)>,
    pub(super) running: Option<Running>,
    /// The state directory on the machine that made the snapshot, where that is another.
    pub(super) old_state: Option<String>,
    /// Set where the machine has nothing.
    pub(super) arriving: Option<Arriving>,
    /// Whether what was asked for is in the snapshot or in the state.
    pub(super) matched: bool,
    /// What snapshots do not hold.
    pub(super) withheld: Arc<Withheld>,
    pub(super) warnings: Vec<String>,
}

impl Compared {
    /// A path for people.
    pub(super) fn shown(&self, root: u16, path: &RelPath) -> String {
        let other = (root > 0).then(|| self.root_path(root));
        path_for_people(other.as_deref(), path)
    }

    /// Absolute path of a root, as bytes.
    pub(super) fn root_path(&self, root: u16) -> Vec<u8> {
        let root = self.roots.get(usize::from(root));
        root.map_or_else(Vec::new, |root| path_bytes(&root.path))
    }

    /// Databases that are there, and are written over or go.
    pub(super) fn databases(&self) -> Vec<PathBuf> {
        let changes = |item: &&Item| item.action != Action::Keep && item.database;
        let found = self.items.iter().filter(changes).filter_map(|item| item.found.as_ref());
        let path = |found: &Found| {
            Some(absolute(&self.roots.get(usize::from(found.root))?.path, &found.path))
        };
        found.filter(|found| found.kind == EntryKind::File).filter_map(path).collect()
    }

    /// Whether an item is OpenClaw's configuration, or a file that it includes from elsewhere.
    pub(super) fn is_configuration(&self, item: &Item) -> bool {
        let kind = self.roots.get(usize::from(item.root)).map(|root| root.kind);
        kind == Some(RootKind::Config) || self.is_main_config(item.root, &item.path)
    }

    /// Whether a path is OpenClaw's configuration itself.
    pub(super) fn is_main_config(&self, root: u16, path: &RelPath) -> bool {
        self.config.as_ref().is_some_and(|config| (config.0, &config.1) == (root, path))
    }
}

/// Compares. Reads files of the state whose content is not known, databases never.
pub(super) fn compare(
    live: Live,
    manifest: &Manifest,
    entries: Vec<Entry>,
    scope: &Scope,
    mode: Mode,
    arriving: Option<Arriving>,
) -> Result<Compared> {
    let (roots, mut warnings) = map_roots(&live.roots, manifest);
    let elsewhere = |root: usize| roots.get(root).copied().flatten().is_none();
    let places = in_place_of_links(&manifest.roots, &entries, elsewhere);
    let entries = put_in_place(entries, &manifest.roots, &places);
    for (root, place) in manifest.roots.iter().zip(&places) {
        if let Some(place) = place {
            let path = RelPath::from_bytes(root.path.clone());
            warnings.retain(|warning| *warning != stays(&path));
            warnings.push(format!(
                "{place} was a link to {path}, which is not so here: what was there comes into {place} itself"
            ));
        }
    }
    let old_state = manifest
        .roots
        .first()
        .filter(|record| {
            record.path != live.roots.first().map(|root| path_bytes(&root.path)).unwrap_or_default()
        })
        .map(|record| String::from_utf8_lossy(&record.path).into_owned());
    let mut comparison = Comparison {
        found: live
            .walk
            .found
            .iter()
            .chain(&live.walk.logs)
            .map(|found| ((found.root, found.path.clone()), found))
            .collect(),
        plain: HashSet::new(),
        items: BTreeMap::new(),
        named: HashSet::new(),
        collisions: Collisions::default(),
        on_the_way: HashMap::new(),
        matched: false,
        live: &live,
    };
    for entry in &entries {
        let database = entry.flags.has(EntryFlags::DATABASE);
        if let Some(Some(root)) = roots.get(usize::from(entry.root)).copied()
            && entry.kind == EntryKind::File
            && !database
        {
            comparison.plain.insert((root, entry.path.clone()));
        }
    }
    let mut elsewhere = 0u64;
    for entry in entries {
        let Some(Some(root)) = roots.get(usize::from(entry.root)).copied() else {
            elsewhere += 1;
            continue;
        };
        comparison.name(root, &entry.path);
        if scope.matches(live.root_path(root), &entry.path) {
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
        let mapped: HashSet<u16> = roots.iter().flatten().copied().collect();
        comparison.delete_the_rest(scope, &mapped, &Unread::of(manifest, scope.is_undo()));
    }
    if let Some(arriving) = &arriving {
        comparison.arrive(arriving)?;
    }
    comparison.imply_directories()?;
    let matched = comparison.matched
        || live
            .walk
            .found
            .iter()
            .any(|found| scope.matches(live.root_path(found.root), &found.path));
    let items = comparison.items.into_values().collect();
    let Live { roots, config, running, withheld, .. } = live;
    Ok(Compared { items, roots, config, running, old_state, arriving, matched, withheld, warnings })
}

/// The live root of each root of the snapshot. The state directory is the state directory wherever it is; all
/// others have to be where they were, and still be configured: a snapshot does not choose where it is written.
fn map_roots(live: &[Root], manifest: &Manifest) -> (Vec<Option<u16>>, Vec<String>) {
    let here: Vec<RootRecord> = live.iter().map(record).collect();
    let mapped = same_records(&manifest.roots, &here);
    let gone = manifest.roots.iter().zip(&mapped).filter(|(_, place)| place.is_none());
    let warnings = gone.map(|(root, _)| stays(&RelPath::from_bytes(root.path.clone())));
    let warnings = warnings.collect();
    let place = |place: Option<usize>| place.and_then(|place| u16::try_from(place).ok());
    (mapped.into_iter().map(place).collect(), warnings)
}

fn stays(path: &RelPath) -> String {
    format!("{path} is in the snapshot, but not configured now: it stays as it is")
}

/// A comparison under way.
pub(super) struct Comparison<'a> {
    pub(super) live: &'a Live,
    pub(super) found: HashMap<(u16, RelPath), &'a Found>,
    /// Files of the snapshot that are no captured databases.
    plain: HashSet<(u16, RelPath)>,
    pub(super) items: BTreeMap<(u16, RelPath), Item>,
    /// Everything that the snapshot has, chosen or not.
    pub(super) named: HashSet<(u16, RelPath)>,
    collisions: Collisions,
    /// Directories that are not chosen themselves, but something in them may be.
    pub(super) on_the_way: HashMap<(u16, RelPath), Entry>,
    /// Whether the scope means anything at all.
    matched: bool,
}

impl Comparison<'_> {
    pub(super) fn put(&mut self, item: Item) {
        self.items.insert((item.root, item.path.clone()), item);
    }

    /// Notes that the snapshot has a path, and with it the directories above.
    fn name(&mut self, root: u16, path: &RelPath) {
        if self.named.insert((root, path.clone())) {
            for above in path.above().rev() {
                if !self.named.insert((root, above)) {
                    return;
                }
            }
        }
    }

    /// What is done about an entry of the snapshot.
    pub(super) fn entry(&mut self, root: u16, entry: Entry) -> Result<()> {
        let place = self.live.root(root)?;
        let standing = self.standing(root, &entry)?;
        let only_named = place.kind == RootKind::Config
            && !place.only.iter().any(|name| name == entry.path.as_bytes());
        let found = self.found.get(&(root, entry.path.clone())).map(|found| (*found).clone());
        let database = entry.flags.has(EntryFlags::DATABASE);
        let mut item = Item {
            root,
            path: entry.path.clone(),
            action: if found.is_some() { Action::Replace } else { Action::Add },
            database,
            reason: None,
            mode_only: false,
            implied: false,
            entry: None,
            found,
        };
        let standing = match logs::base_of(&entry.path) {
            Some(base) if entry.kind == EntryKind::File => {
                self.standing_of_log(root, &base, standing)?
            }
            _ => standing,
        };
        let stays = match standing {
            Some((Standing::Never, reason)) => {
                let path = entry.path.escaped();
                return Err(Error::UnsafePath { path, message: reason.to_owned() });
            }
            Some((Standing::Live, reason)) => Some(reason),
            None if only_named => Some("is no part of the configuration now"),
            None => None,
        };
        if let Some(reason) = stays {
            item.action = Action::Keep;
            item.reason = Some(reason.to_owned());
            self.put(item);
            return Ok(());
        }
        let Some(found) = item.found.clone() else {
            item.entry = Some(entry);
            self.put(item);
            return Ok(());
        };
        if found.kind == entry.kind {
            if self.same(root, &entry, &found)? {
                let bits = |mode: u32| mode & 0o777;
                if bits(entry.mode) == bits(found.mode)
                    || entry.kind == EntryKind::Symlink
                    || !cfg!(unix)
                {
                    return Ok(());
                }
                (item.mode_only, item.reason) = (true, Some("permissions only".to_owned()));
            } else if entry.kind == EntryKind::Symlink && self.leads_to_a_root(root, &entry.path)? {
                item.action = Action::Keep;
                item.reason = Some("leads to where its content is on this machine".to_owned());
            } else if !database && self.live.is_database(&found)? && self.live.is_usable(&found)? {
                // A file in the place of a database that OpenClaw may have open would pull it from under it.
                item.action = Action::Keep;
                item.reason = Some("a database is in its place".to_owned());
                item.database = true;
            }
        } else if database && found.kind != EntryKind::File {
            item.action = Action::Keep;
            item.reason = Some("something that is no database is in its place".to_owned());
        } else if found.kind == EntryKind::Directory && !self.clear_directory(root, &found.path)? {
            item.action = Action::Keep;
            item.reason = Some("a directory with a database is in its place".to_owned());
        }
        item.entry = Some(entry);
        self.put(item);
        Ok(())
    }

    /// How an entry stands with the policy, under its name and under the one that the file system gives it.
    fn standing(&mut self, root: u16, entry: &Entry) -> Result<Option<(Standing, &'static str)>> {
        let place = self.live.root(root)?;
        let decide = |path: &RelPath| {
            let (kind, path) = place.judged(path);
            self.live.policy.standing(kind, &path, entry.kind)
        };
        let mut standing = decide(&entry.path);
        if let Some(folded) = self.live.naming.check(&place.path, &entry.path)? {
            standing =
                standing.or_else(|| decide(&RelPath::from_bytes(folded.clone().into_bytes())));
            self.collisions.see(root, folded, &entry.path)?;
        }
        // What is no directory takes the place of all that could be below it.
        if standing.is_none() && entry.kind != EntryKind::Directory {
            let (kind, path) = place.judged(&entry.path);
            standing = self.live.policy.standing(kind, &path, EntryKind::Directory);
        }
        Ok(standing)
    }

    /// How an entry stands that has the name of a log of `base`. Beside a database it would be played into it; where the
    /// snapshot has something else there, they belong together.
    fn standing_of_log(
        &self,
        root: u16,
        base: &RelPath,
        standing: Option<(Standing, &'static str)>,
    ) -> Result<Option<(Standing, &'static str)>> {
        let by_name = matches!(standing, Some((Standing::Never, LOG_REASON)));
        if standing.is_some() && !by_name {
            return Ok(standing);
        }
        let key = (root, base.clone());
        let stays = self.items.get(&key).is_some_and(|item| item.action == Action::Keep);
        if self.plain.contains(&key) {
            let in_use = match self.found.get(&key) {
                Some(found) => self.live.is_database(found)? && self.live.is_usable(found)?,
                None => false,
            };
            return Ok((stays || in_use)
                .then_some((Standing::Live, "the file that it belongs to stays as it is")));
        }
        if by_name {
            return Ok(standing);
        }
        let database = self.named.contains(&key)
            || match self.found.get(&key) {
                Some(found) => self.live.is_database(found)?,
                None => false,
            };
        Ok(database.then_some((Standing::Live, LOG_REASON)))
    }

    fn same(&self, root: u16, entry: &Entry, found: &Found) -> Result<bool> {
        Ok(match entry.kind {
            EntryKind::Directory => true,
            EntryKind::Symlink => found.target.as_deref() == Some(entry.target.as_slice()),
            EntryKind::File => {
                let database = entry.flags.has(EntryFlags::DATABASE);
                let withheld = !database && entry.flags.has(EntryFlags::REDACTED);
                if !database && !withheld && entry.size != found.fingerprint.size {
                    return Ok(false);
                }
                match self.live.known_hash(found) {
                    Some(hash) => hash == entry.sha256,
                    // Of a database the copy counts, not the file.
                    None if database => false,
                    None if self.live.is_database(found)? && self.live.is_usable(found)? => false,
                    None if withheld => self.live.hash_withheld(root, found)? == Some(entry.sha256),
                    None => self.live.hash(root, found)? == Some(entry.sha256),
                }
            }
        })
    }

    /// Plans to empty a directory that makes room for a file. `false` when a database is in it.
    fn clear_directory(&mut self, root: u16, path: &RelPath) -> Result<bool> {
        let below = |other: &RelPath| {
            other
                .as_bytes()
                .strip_prefix(path.as_bytes())
                .is_some_and(|rest| rest.starts_with(b"/"))
        };
        let inside: Vec<Found> = self
            .found
            .values()
            .filter(|found| found.root == root && below(&found.path))
            .map(|found| (*found).clone())
            .collect();
        for found in &inside {
            if found.kind == EntryKind::File && self.live.is_database(found)? {
                return Ok(false);
            }
        }
        for found in inside {
            self.put(delete(found));
        }
        Ok(true)
    }
}

pub(super) fn delete(found: Found) -> Item {
    Item {
        root: found.root,
        path: found.path.clone(),
        action: Action::Delete,
        database: false,
        reason: None,
        entry: None,
        found: Some(found),
        mode_only: false,
        implied: false,
    }
}
