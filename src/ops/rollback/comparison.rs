//! A comparison under way: what is done about each entry of the snapshot.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::items::{Item, delete};
use super::live::Live;
use super::request::Action;
use crate::engine::problem::FileProblem;
use crate::engine::tree::path_for_people;
use crate::error::{Error, Result};
use crate::format::{Entry, EntryFlags};
use crate::source::logs::{self, LOG_REASON};
use crate::source::naming::Collisions;
use crate::source::policy::Standing;
use crate::source::{EntryKind, Found, RelPath, RootKind, absolute};

/// A comparison under way.
pub(super) struct Comparison<'a> {
    pub(super) live: &'a Live,
    pub(super) found: HashMap<(u16, RelPath), &'a Found>,
    /// Files of the snapshot that are no captured databases.
    pub(super) plain: HashSet<(u16, RelPath)>,
    pub(super) items: BTreeMap<(u16, RelPath), Item>,
    /// Everything that the snapshot has, chosen or not.
    pub(super) named: HashSet<(u16, RelPath)>,
    pub(super) collisions: Collisions,
    /// What cannot be here.
    pub(super) left_out: Vec<FileProblem>,
    /// Directories that are not chosen themselves, but something in them may be.
    pub(super) on_the_way: HashMap<(u16, RelPath), Entry>,
    /// Whether the scope means anything at all.
    pub(super) matched: bool,
}

impl<'a> Comparison<'a> {
    /// Of the live state and of `entries`, those of a snapshot. `roots` has the live root of each of its roots.
    pub(super) fn new(live: &'a Live, roots: &[Option<u16>], entries: &[Entry]) -> Self {
        let found = live.walk.found.iter().chain(&live.walk.logs);
        let plain = entries.iter().filter_map(|entry| {
            let root = roots.get(usize::from(entry.root)).copied().flatten()?;
            let is_plain = entry.kind == EntryKind::File && !entry.flags.has(EntryFlags::DATABASE);
            is_plain.then(|| (root, entry.path.clone()))
        });
        Self {
            live,
            found: found.map(|found| ((found.root, found.path.clone()), found)).collect(),
            plain: plain.collect(),
            items: BTreeMap::new(),
            named: HashSet::new(),
            collisions: Collisions::default(),
            left_out: Vec::new(),
            on_the_way: HashMap::new(),
            matched: false,
        }
    }
}

impl Comparison<'_> {
    pub(super) fn put(&mut self, item: Item) {
        self.items.insert((item.root, item.path.clone()), item);
    }

    /// Notes that the snapshot has a path, and with it the directories above.
    pub(super) fn name(&mut self, root: u16, path: &RelPath) {
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
        if let Err(unfit) = self.live.naming.name(&entry.path) {
            let why = match &unfit {
                Error::UnsafePath { message, .. } => message.clone(),
                other => other.to_string(),
            };
            self.leave_out(root, entry.path, &unfit, &why);
            return Ok(());
        }
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
        if entry.kind == EntryKind::Symlink
            && let Some(why) = self.live.naming.without_links()
            && item.found.as_ref().and_then(|found| found.target.as_ref()) != Some(&entry.target)
        {
            let source = std::io::Error::new(std::io::ErrorKind::Unsupported, why);
            let error =
                Error::io("link", &absolute(&self.live.root(root)?.path, &entry.path), source);
            self.leave_out(root, entry.path, &error, why);
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

    /// Plans nothing for what cannot be here, a name or a link: it costs this entry, and no other.
    fn leave_out(&mut self, root: u16, path: RelPath, unfit: &Error, why: &str) {
        let other = (root > 0).then(|| self.live.root_path(root));
        self.left_out.push(FileProblem::new(path_for_people(other, &path), unfit));
        let found = self.found.get(&(root, path.clone())).map(|found| (*found).clone());
        self.put(Item {
            root,
            path,
            action: Action::Keep,
            database: false,
            reason: Some(why.to_owned()),
            entry: None,
            found,
            mode_only: false,
            implied: false,
        });
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
