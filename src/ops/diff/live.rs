//! The state as it is now, as one side of a comparison.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::pairs::Item;
use crate::crypto::ContentHash;
use crate::engine::file_cache::{Memory, path_bytes};
use crate::engine::problem::FileProblem;
use crate::engine::roots::{self, Places, same_roots};
use crate::engine::scan::{Scanned, refuse_open_databases, scan};
use crate::engine::select::Selection;
use crate::engine::session::Session;
use crate::engine::withheld::withheld;
use crate::entry::{EntryKind, RelPath};
use crate::error::{Error, Result};
use crate::format::{Entry, EntryFlags};
use crate::progress::{Event, Phase, Sink};
use crate::repo::PackSource;
use crate::source::database::is_database;
use crate::source::policy::{Decision, Policy};
use crate::source::withheld::{Content, Withheld};
use crate::source::{Found, Root, absolute, open_plain, shown_path};

/// How much is read at once.
const READ_BYTES: u64 = 1 << 20;

/// Both sides of a comparison with the state.
pub(super) struct Live {
    pub(super) places: Places,
    /// Directories of the state's roots by place.
    pub(super) directories: HashMap<usize, PathBuf>,
    /// What is left of the snapshot without what cannot be compared.
    pub(super) before: Vec<Item>,
    pub(super) after: Vec<Item>,
    pub(super) skipped: Vec<FileProblem>,
    pub(super) warnings: Vec<String>,
}

impl Live {
    /// Walks the state and reads what may have changed since the newest push, as far as a comparison with
    /// `before` needs it.
    pub(super) async fn read(
        session: &Session,
        source: &PackSource,
        before: Vec<Item>,
        paths: Selection,
    ) -> Result<Self> {
        session.report(Phase::Scan, 0, None, 0);
        let Scanned { roots, walk, skipped, warnings, policy, hanging, .. } =
            scan(session, false).await?;
        let settings = session.settings.clone();
        let withheld = Session::blocking(move || withheld(&settings)).await?;
        refuse_open_databases(&roots, &walk)?;
        let records: Vec<_> = roots.iter().map(roots::record).collect();
        let places = Places::of(&source.snapshot().manifest.roots, &records);
        let memory = Memory::load(&session.local_repository(session.settings.encrypt))?;
        let remembered = memory.as_ref().map(|memory| {
            let present: Vec<_> = roots.iter().map(|root| path_bytes(&root.path)).collect();
            same_roots(&present, &memory.roots)
        });
        // What a link led to may lie there as well.
        let hanging = hanging.iter().map(|place| shown_path(place));
        let unknown = skipped.iter().map(|problem| problem.path.clone()).chain(hanging);
        let mut reader = Reader {
            unknown: unknown.collect(),
            roots,
            places,
            withheld: Some(withheld),
            memory,
            remembered: remembered.unwrap_or_default(),
            skipped,
            cancel: session.ambient.cancel.clone(),
            progress: Arc::clone(&session.ambient.progress),
            done_bytes: 0,
            done_files: 0,
        };
        let found = walk.found;
        Session::blocking(move || {
            let after = reader.items(found, &before, &paths)?;
            let before = reader.comparable(before, &after, &policy);
            Ok(Self {
                directories: reader.directories(),
                places: reader.places,
                before,
                after,
                skipped: reader.skipped,
                warnings,
            })
        })
        .await
    }
}

/// Makes items of files.
struct Reader {
    roots: Vec<Root>,
    places: Places,
    /// What snapshots do not hold.
    withheld: Option<Withheld>,
    memory: Option<Memory>,
    /// For each root its number in memory.
    remembered: Vec<Option<usize>>,
    /// Escaped absolute paths that could not be looked at.
    unknown: HashSet<String>,
    skipped: Vec<FileProblem>,
    cancel: CancellationToken,
    progress: Sink,
    done_bytes: u64,
    done_files: u64,
}

impl Reader {
    fn items(
        &mut self,
        found: Vec<Found>,
        before: &[Item],
        paths: &Selection,
    ) -> Result<Vec<Item>> {
        let old: HashMap<(usize, &RelPath), &Entry> =
            before.iter().map(|item| ((item.place, &item.entry.path), &item.entry)).collect();
        let mut items = Vec::new();
        let directories: Vec<_> = self.roots.iter().map(|root| path_bytes(&root.path)).collect();
        let directory = |root| directories.get(usize::from(root)).map(Vec::as_slice);
        let wanted =
            |found: &Found| paths.wants(directory(found.root).unwrap_or_default(), &found.path);
        for found in found.into_iter().filter(wanted) {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let place = self.places.of_second(found.root);
            let old = old.get(&(place, &found.path)).copied();
            if let Some((entry, other_content)) = self.entry(found, old)? {
                items.push(Item { place, entry, other_content });
            }
        }
        Ok(items)
    }

    /// An entry as a push would record it, but without runs, and whether its content is known to be another than
    /// that of `old`: then its hash is left out. `None` when it is gone or cannot be read.
    fn entry(&mut self, found: Found, old: Option<&Entry>) -> Result<Option<(Entry, bool)>> {
        let Some(directory) = self.roots.get(usize::from(found.root)).map(|root| &root.path) else {
            return Err(Error::internal("an entry without a root"));
        };
        let path = absolute(directory, &found.path);
        if found.kind == EntryKind::File
            && let Some(entry) = self.unchanged(&found)
        {
            return Ok(Some((Entry { root: found.root, runs: vec![], ..entry.clone() }, false)));
        }
        let mut entry = Entry {
            root: found.root,
            path: found.path,
            kind: found.kind,
            mode: found.mode,
            mtime_ns: found.fingerprint.mtime_ns,
            size: if found.kind == EntryKind::File { found.fingerprint.size } else { 0 },
            sha256: [0; 32],
            runs: vec![],
            flags: EntryFlags::default(),
            target: found.target.unwrap_or_default(),
        };
        if found.kind != EntryKind::File {
            return Ok(Some((entry, false)));
        }
        let read = match is_database(&path) {
            Ok(true) => {
                entry.flags = EntryFlags::DATABASE;
                return Ok(Some((entry, true)));
            }
            Ok(false) if old.is_some_and(|old| old.flags.has(EntryFlags::REDACTED)) => {
                self.hash_withheld(&entry)
            }
            // A file of another size has another content, and one that is new is compared with nothing.
            Ok(false) if old.is_none_or(|old| old.size != entry.size) => {
                return Ok(Some((entry, true)));
            }
            Ok(false) => self.hash(&path),
            Err(error) => Err(Unread::File(error)),
        };
        match read {
            Ok((size, sha256)) => Ok(Some((Entry { size, sha256, ..entry }, false))),
            Err(Unread::Cancelled) => Err(Error::Cancelled),
            Err(Unread::File(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(Unread::File(error)) => {
                let place = self.places.of_second(entry.root);
                self.unknown.insert(shown_path(&path));
                self.skipped.push(FileProblem {
                    path: self.places.shown(place, &entry.path),
                    code: "B2_SKIPPED_UNREADABLE".to_owned(),
                    message: format!("cannot be read: {error}"),
                });
                Ok(None)
            }
        }
    }

    /// What the newest snapshot holds of a file that was not touched since.
    fn unchanged(&self, found: &Found) -> Option<&Entry> {
        let root = self.remembered.get(usize::from(found.root)).copied().flatten()?;
        self.memory.as_ref()?.unchanged_in(u16::try_from(root).ok()?, found)
    }

    /// The hash of what a snapshot would hold of a file.
    fn hash_withheld(&mut self, entry: &Entry) -> Result<(u64, [u8; 32]), Unread> {
        let root = self.roots.get(usize::from(entry.root)).zip(self.withheld.as_ref());
        let Some((root, withheld)) = root else { return Ok((0, [0; 32])) };
        let at = absolute(&root.path, &entry.path);
        let read = withheld.read(root, &entry.path, &at).map_err(Unread::File)?;
        let bytes = match read {
            Some(Content::AsItIs(bytes) | Content::Replaced(bytes)) => bytes,
            Some(Content::Unknown | Content::Binary) | None => return Ok((0, [0; 32])),
        };
        let mut hash = ContentHash::default();
        hash.update(&bytes);
        Ok((bytes.len() as u64, hash.finish()))
    }

    fn hash(&mut self, path: &Path) -> Result<(u64, [u8; 32]), Unread> {
        let mut file = open_plain(path).map_err(Unread::File)?;
        let (mut hash, mut size, mut buffer) = (ContentHash::default(), 0, Vec::new());
        loop {
            if self.cancel.is_cancelled() {
                return Err(Unread::Cancelled);
            }
            buffer.clear();
            let got =
                file.by_ref().take(READ_BYTES).read_to_end(&mut buffer).map_err(Unread::File)?;
            if got == 0 {
                break;
            }
            hash.update(&buffer);
            size += got as u64;
            self.done_bytes += got as u64;
            self.progress.report(Event {
                phase: Phase::Compare,
                done_bytes: self.done_bytes,
                total_bytes: None,
                done_files: self.done_files,
            });
        }
        self.done_files += 1;
        Ok((size, hash.finish()))
    }

    /// The snapshot's side without what the state's side cannot have: what the settings leave out, and what could
    /// not be looked at. It would look as if it had been removed.
    fn comparable(&self, before: Vec<Item>, after: &[Item], policy: &Policy) -> Vec<Item> {
        let here: HashSet<(usize, &RelPath)> =
            after.iter().map(|item| (item.place, &item.entry.path)).collect();
        let directories = self.directories();
        let keep = |item: &Item| {
            here.contains(&(item.place, &item.entry.path))
                || (self.belongs(item, policy) && self.is_known(item, &directories))
        };
        before.into_iter().filter(keep).collect()
    }

    fn belongs(&self, item: &Item, policy: &Policy) -> bool {
        let root = self.places.root(item.place);
        let kind = root.and_then(|root| roots::judged(root, &item.entry.path));
        kind.is_none_or(|(kind, path)| {
            policy.decide(kind, &path, item.entry.kind) == Decision::Include
        })
    }

    fn is_known(&self, item: &Item, directories: &HashMap<usize, PathBuf>) -> bool {
        if self.unknown.is_empty() {
            return true;
        }
        let directory = match (directories.get(&item.place), self.places.root(item.place)) {
            (Some(directory), _) => path_bytes(directory),
            (None, Some(root)) => root.path.clone(),
            (None, None) => return true,
        };
        let path = [&directory, &b"/"[..], item.entry.path.as_bytes()].concat();
        let path = RelPath::from_bytes(path).escaped();
        let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        !self.unknown.contains(&path)
            && !above.into_iter().any(|above| self.unknown.contains(above))
    }

    fn directories(&self) -> HashMap<usize, PathBuf> {
        let places = (0..).map(|root| self.places.of_second(root));
        places.zip(self.roots.iter().map(|root| root.path.clone())).collect()
    }
}

/// Why a file has no hash.
enum Unread {
    Cancelled,
    File(std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::RootRecord;

    fn item(place: usize, path: &str) -> Item {
        let entry = Entry {
            root: 0,
            path: RelPath::from_bytes(path.as_bytes().to_vec()),
            kind: EntryKind::File,
            mode: 0o644,
            mtime_ns: 0,
            size: 0,
            sha256: [0; 32],
            runs: vec![],
            flags: EntryFlags::default(),
            target: vec![],
        };
        Item { place, entry, other_content: false }
    }

    /// Root reads everything, so no test can make a directory that is not readable for everybody.
    #[test]
    fn what_could_not_be_looked_at_was_not_removed() {
        let root = |kind, path: &str| RootRecord { kind, path: path.into(), at: None };
        let now = [root(0, "/here"), root(1, "/ws")];
        let before = [root(0, "/there"), root(1, "/ws"), root(1, "/gone"), root(1, "/locked")];
        let directory = |root: &RootRecord| {
            let path = PathBuf::from(std::str::from_utf8(&root.path).unwrap());
            Root::new(roots::kind(root).unwrap(), path)
        };
        let reader = Reader {
            roots: now.iter().map(directory).collect(),
            places: Places::of(&before, &now),
            withheld: None,
            memory: None,
            remembered: vec![],
            unknown: ["/here/a", "/ws/x.md", "/locked"].map(str::to_owned).into(),
            skipped: vec![],
            cancel: CancellationToken::new(),
            progress: Arc::new(crate::progress::Silent),
            done_bytes: 0,
            done_files: 0,
        };
        let before = [(0, "a"), (0, "a/b/c.md"), (0, "ab.md"), (1, "x.md"), (1, "y.md")]
            .into_iter()
            .chain([(2, "z.md"), (3, "z.md"), (0, "logs/x")])
            .map(|(place, path)| item(place, path));
        let policy = Policy::new(&[], &[], false).unwrap();
        let left = reader.comparable(before.collect(), &[item(0, "a")], &policy);
        let left: Vec<_> =
            left.iter().map(|item| (item.place, item.entry.path.to_string())).collect();
        // `a` is there, `ab.md`, `y.md` and `z.md` of a root that is gone were removed.
        let wanted = [(0, "a"), (0, "ab.md"), (1, "y.md"), (2, "z.md")];
        assert_eq!(left, wanted.map(|(place, path)| (place, path.to_owned())));
    }
}
