//! What the state looked like at the newest snapshot: each entry with its fingerprint, so that an unchanged
//! file is not read again.

use std::collections::{HashMap, HashSet};

use minicbor::{Decode, Encode};

use crate::entry::{EntryKind, RelPath};
use crate::error::Result;
use crate::format::{Entry, EntryFlags, TreeRef};
use crate::local::LocalRepository;
use crate::source::database::is_database_name;
use crate::source::{Fingerprint, Found, Root, TICK_NS};

/// Times further ahead than this are wrong, and do not come again soon. Nanoseconds.
const SOON_NS: i64 = 24 * 3600 * 1_000_000_000;

/// Entries of the newest snapshot by root and path.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    entries: HashMap<(u16, RelPath), (Fingerprint, Entry)>,
    /// Files that may have been written since, and look the same: see [`Memory::encode`].
    young: HashSet<(u16, RelPath)>,
    /// Settings that decide what belongs to a snapshot; when they change, every entry is looked at again.
    pub(crate) policy: Vec<u8>,
    /// Paths of the roots.
    pub(crate) roots: Vec<Vec<u8>>,
    /// The tree of the newest snapshot.
    pub(crate) tree: Option<TreeRef>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Head {
    #[n(0)]
    snapshot: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    policy: Vec<u8>,
    #[n(2)]
    roots: Vec<minicbor::bytes::ByteVec>,
    #[n(3)]
    tree: TreeRef,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Print {
    #[n(0)]
    size: u64,
    #[n(1)]
    mtime_ns: i64,
    #[n(2)]
    ctime_ns: i64,
    #[n(3)]
    inode: u64,
    #[n(4)]
    device: u64,
    #[n(5)]
    log_size: u64,
    #[n(6)]
    log_mtime_ns: i64,
    #[n(7)]
    log_inode: u64,
    #[n(8)]
    young: Option<bool>,
}

impl Memory {
    /// What is remembered of the newest snapshot, if anything is.
    pub(crate) fn load(local: &LocalRepository) -> Result<Option<Self>> {
        let Some(newest) = local.newest()? else { return Ok(None) };
        Ok(local.files()?.and_then(|bytes| Self::decode(&bytes, &newest.snapshot)))
    }

    /// Reads what was remembered for `snapshot`; anything else, or anything odd, is as if nothing was.
    pub(crate) fn decode(bytes: &[u8], snapshot: &str) -> Option<Self> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let head: Head = decoder.decode().ok()?;
        if head.snapshot != snapshot {
            return None;
        }
        let mut memory = Self {
            entries: HashMap::new(),
            young: HashSet::new(),
            policy: head.policy,
            roots: head.roots.into_iter().map(Vec::from).collect(),
            tree: Some(head.tree),
        };
        while decoder.position() < bytes.len() {
            let p: Print = decoder.decode().ok()?;
            let entry = Entry::decode(&mut decoder).ok()?;
            let print = Fingerprint {
                size: p.size,
                mtime_ns: p.mtime_ns,
                ctime_ns: p.ctime_ns,
                inode: p.inode,
                device: p.device,
                log: (p.log_size, p.log_mtime_ns, p.log_inode),
            };
            if p.young == Some(true) {
                memory.young.insert((entry.root, entry.path.clone()));
            }
            memory.entries.insert((entry.root, entry.path.clone()), (print, entry));
        }
        Some(memory)
    }

    /// The bytes to remember. A file that was written within a tick of `began_ns`, when the scan began (since 1970),
    /// or that seems to be written later, may be written again and look the same: it is read again next time. So is what
    /// was to be read again and was not, which `young` remembers.
    pub(crate) fn encode<'e>(
        began_ns: i64,
        young: Option<&Self>,
        snapshot: &str,
        policy: &[u8],
        roots: &[Root],
        tree: &TreeRef,
        entries: impl Iterator<Item = (&'e Fingerprint, &'e Entry)>,
    ) -> Vec<u8> {
        let head = Head {
            snapshot: snapshot.to_owned(),
            policy: policy.to_vec(),
            roots: roots.iter().map(|root| path_bytes(&root.path).into()).collect(),
            tree: tree.clone(),
        };
        let mut out = minicbor::to_vec(&head).unwrap_or_default();
        let still_young =
            |entry: &Entry| young.is_some_and(|it| it.was_young(entry.root, &entry.path));
        for (f, entry) in entries {
            let print = Print {
                size: f.size,
                mtime_ns: f.mtime_ns,
                ctime_ns: f.ctime_ns,
                inode: f.inode,
                device: f.device,
                log_size: f.log.0,
                log_mtime_ns: f.log.1,
                log_inode: f.log.2,
                young: Some(
                    entry.kind == EntryKind::File && (is_young(f, began_ns) || still_young(entry)),
                ),
            };
            let _infallible = minicbor::encode(&print, &mut out);
            entry.encode(&mut out);
        }
        out
    }

    /// Every entry as it was found then, in no order.
    pub(crate) fn found(&self) -> Vec<Found> {
        let found = |(print, entry): &(Fingerprint, Entry)| Found {
            root: entry.root,
            path: entry.path.clone(),
            kind: entry.kind,
            mode: entry.mode,
            target: (entry.kind == EntryKind::Symlink).then(|| entry.target.clone()),
            fingerprint: *print,
            database_name: is_database_name(entry.path.as_bytes()),
        };
        self.entries.values().map(found).collect()
    }

    /// Whether a file that was moved here is certainly the one of the newest snapshot. A copy that was made of a
    /// database that nobody had written to has its time.
    pub(crate) fn has_moved(&self, found: &Found, database: bool) -> bool {
        let Some((print, entry)) = self.entries.get(&(found.root, found.path.clone())) else {
            return false;
        };
        let now = &found.fingerprint;
        if database {
            return entry.flags.has(EntryFlags::DATABASE) && print.mtime_ns == now.mtime_ns;
        }
        let same = match entry.kind {
            EntryKind::File => {
                (print.size, print.inode, print.device) == (now.size, now.inode, now.device)
            }
            EntryKind::Symlink => found.target.as_deref() == Some(entry.target.as_slice()),
            EntryKind::Directory => false,
        };
        same && (entry.kind, entry.mode) == (found.kind, found.mode)
            && (print.mtime_ns, print.log) == (now.mtime_ns, now.log)
    }

    /// How many files and links lie in a root, or at and below a path in it, of those that count.
    pub(crate) fn files_in(
        &self,
        root: u16,
        path: Option<&RelPath>,
        counts: impl Fn(&Entry) -> bool,
    ) -> u64 {
        let files = self.entries.iter().filter(|((of, it), (_, entry))| {
            *of == root
                && entry.kind != EntryKind::Directory
                && path.is_none_or(|path| it.is_in(path))
                && counts(entry)
        });
        files.count() as u64
    }

    /// Files that are at none of these places.
    pub(crate) fn files_elsewhere(&self, seen: &HashSet<(u16, &RelPath)>) -> Vec<(u16, RelPath)> {
        let elsewhere = self.entries.iter().filter(|((root, path), (_, entry))| {
            entry.kind == EntryKind::File && !seen.contains(&(*root, path))
        });
        elsewhere.map(|(place, _)| place.clone()).collect()
    }

    /// What lies directly in the state directory.
    pub(crate) fn tops(&self) -> impl Iterator<Item = RelPath> {
        let tops = self.entries.keys().filter(|(root, path)| *root == 0 && is_top(path));
        tops.map(|(_, path)| path.clone())
    }

    /// The device of a directory. Of a root it is that of a file in it: a directory in it may be another file system.
    pub(crate) fn device(&self, root: u16, path: Option<&RelPath>) -> Option<u64> {
        if let Some(path) = path {
            return self.entries.get(&(root, path.clone())).map(|(print, _)| print.device);
        }
        let tops = self.entries.iter().filter(|((of, path), _)| *of == root && is_top(path));
        let files = tops.clone().filter(|(_, (_, entry))| entry.kind != EntryKind::Directory);
        files.chain(tops).map(|(_, (print, _))| print.device).next()
    }

    /// The devices that roots are on, by their paths.
    pub(crate) fn devices(&self) -> HashMap<Vec<u8>, u64> {
        let roots = (0..).zip(&self.roots);
        roots.filter_map(|(at, path)| Some((path.clone(), self.device(at, None)?))).collect()
    }

    /// Directories of a root that are another file system than what is around them.
    pub(crate) fn mounts(&self, root: u16) -> Vec<RelPath> {
        let around = self.device(root, None);
        let directories = self
            .entries
            .iter()
            .filter(|((of, _), (_, entry))| *of == root && entry.kind == EntryKind::Directory);
        let mounted = directories.filter(|((_, path), (print, _))| {
            let outside = match path.above().next_back() {
                Some(above) => self.device(root, Some(&above)),
                None => around,
            };
            outside.is_some_and(|outside| outside != print.device)
        });
        mounted.map(|((_, path), _)| path.clone()).collect()
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many of them are no directories.
    pub(crate) fn files(&self) -> u64 {
        let entries = self.entries.values().map(|(_, entry)| entry);
        entries.filter(|entry| entry.kind != EntryKind::Directory).count() as u64
    }

    /// Whether the roots are still the same, in the same order.
    pub(crate) fn same_roots(&self, roots: &[Root]) -> bool {
        self.roots.len() == roots.len()
            && self.roots.iter().zip(roots).all(|(old, new)| *old == path_bytes(&new.path))
    }

    /// Whether something holds for every entry.
    pub(crate) fn all(&self, holds: impl Fn(&Entry) -> bool) -> bool {
        self.entries.values().all(|(_, entry)| holds(entry))
    }

    /// What to remember where there is no new snapshot: the entry is the one of the newest snapshot. A directory whose
    /// time is another one by now keeps its old fingerprint too, so that the next snapshot takes the new time.
    pub(crate) fn kept<'a>(
        &'a self,
        print: &'a Fingerprint,
        entry: &'a Entry,
    ) -> (&'a Fingerprint, &'a Entry) {
        match self.entries.get(&(entry.root, entry.path.clone())) {
            Some((old_print, old)) if old.mtime_ns != entry.mtime_ns => (old_print, old),
            Some((_, old)) => (print, old),
            None => (print, entry),
        }
    }

    /// The entry at a path.
    pub(crate) fn at(&self, root: u16, path: &RelPath) -> Option<&Entry> {
        self.entries.get(&(root, path.clone())).map(|(_, entry)| entry)
    }

    /// The entry at the path of a file, whatever became of it.
    pub(crate) fn entry(&self, found: &Found) -> Option<&Entry> {
        self.at(found.root, &found.path)
    }

    /// Whether entries say the same as those of the newest snapshot, but for the times of directories.
    pub(crate) fn says(&self, entries: &[Entry]) -> bool {
        let same = |entry: &Entry| {
            let Some((_, old)) = self.entries.get(&(entry.root, entry.path.clone())) else {
                return false;
            };
            if entry.kind == EntryKind::Directory {
                return old.kind == entry.kind && old.mode == entry.mode;
            }
            (old.kind, old.mode, old.mtime_ns, old.size, old.sha256, old.flags, &old.target)
                == (
                    entry.kind,
                    entry.mode,
                    entry.mtime_ns,
                    entry.size,
                    entry.sha256,
                    entry.flags,
                    &entry.target,
                )
        };
        self.entries.len() == entries.len() && entries.iter().all(same)
    }

    /// The entry of a file that is certainly the same: kind, mode and fingerprint agree, and that of a file that is
    /// written again would not.
    pub(crate) fn unchanged(&self, found: &Found) -> Option<&Entry> {
        let young = self.was_young(found.root, &found.path);
        self.seems_unchanged(found.root, found).filter(|_| !young)
    }

    /// The same for comparing with a snapshot, where the root of the file has another number here. What is in a
    /// database cannot be read for that: how it looks has to do.
    pub(crate) fn unchanged_in(&self, root: u16, found: &Found) -> Option<&Entry> {
        let young = self.was_young(root, &found.path);
        let entry = self.seems_unchanged(root, found)?;
        (!young || entry.flags.has(EntryFlags::DATABASE)).then_some(entry)
    }

    fn was_young(&self, root: u16, path: &RelPath) -> bool {
        self.young.contains(&(root, path.clone()))
    }

    /// The entry of a file that looks the same.
    pub(crate) fn seems_unchanged(&self, root: u16, found: &Found) -> Option<&Entry> {
        let (print, entry) = self.entries.get(&(root, found.path.clone()))?;
        let same_target = entry.target == found.target.as_deref().unwrap_or_default();
        (entry.kind == found.kind
            && entry.mode == found.mode
            && *print == found.fingerprint
            && same_target)
            .then_some(entry)
    }
}

/// Whether what was written after a fingerprint was taken may have the same one.
fn is_young(print: &Fingerprint, began_ns: i64) -> bool {
    let span = began_ns.saturating_sub(TICK_NS)..=began_ns.saturating_add(SOON_NS);
    [print.mtime_ns, print.ctime_ns, print.log.1].iter().any(|time| span.contains(time))
}

fn is_top(path: &RelPath) -> bool {
    !path.as_bytes().contains(&b'/')
}

/// A path as bytes.
pub(crate) fn path_bytes(path: &std::path::Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}
