//! Writing what the packs hold, while they arrive: which pieces go where, and what could not be restored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::target::{Made, Target};
use crate::engine::problem::FileProblem;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::format::{Entry, Run};
use crate::repo::{PackIndex, PackSource, Regions};

/// A stretch of a pack that belongs somewhere in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(super) run: Run,
    /// Index of the entry.
    file: usize,
    /// Where the run starts in the file.
    offset: u64,
}

/// A restore under way.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) entries: Vec<Entry>,
    /// Of which entries there is a file by now.
    made: Vec<Made>,
    target: Arc<Target>,
    cancel: CancellationToken,
    /// Files of which something is wrong, by entry.
    pub(crate) failed: Mutex<BTreeMap<usize, FileProblem>>,
    /// Numbers of the packs that are lost or damaged.
    pub(crate) damaged: Mutex<BTreeSet<u32>>,
    /// Files that were written and checked.
    complete: Mutex<Vec<bool>>,
    /// How much of each file is still to be written.
    left: Vec<AtomicU64>,
    pub(super) done_bytes: AtomicU64,
    pub(super) done_files: AtomicU64,
    pub(super) total_bytes: u64,
}

impl Work {
    pub(crate) fn new(
        cancel: &CancellationToken,
        entries: Vec<Entry>,
        target: Arc<Target>,
        source: &PackSource,
    ) -> Self {
        target.place_roots(&source.snapshot().manifest.roots);
        Self {
            total_bytes: entries.iter().map(|entry| entry.size).sum(),
            complete: Mutex::new(vec![false; entries.len()]),
            made: entries.iter().map(|_| Made::default()).collect(),
            left: entries.iter().map(|entry| AtomicU64::new(entry.size)).collect(),
            entries,
            target,
            cancel: cancel.clone(),
            failed: Mutex::default(),
            damaged: Mutex::default(),
            done_bytes: AtomicU64::new(0),
            done_files: AtomicU64::new(0),
        }
    }

    /// Makes all directories and empty files. What has a name that the file system cannot hold is left out.
    pub(super) fn prepare(&self) -> Result<()> {
        for (file, (entry, made)) in self.entries.iter().zip(&self.made).enumerate() {
            if let Some(error) = self.target.unfit(&entry.path) {
                self.fail_file(file, &error);
                continue;
            }
            match entry.kind {
                EntryKind::Directory => self.or_refused(file, self.target.make_dir(entry))?,
                EntryKind::File if entry.size == 0 => {
                    self.or_refused(file, self.target.write_whole(entry, &[], made))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What a file system does not take of one file costs that file, and no other.
    fn or_refused(&self, file: usize, done: Result<()>) -> Result<()> {
        match done {
            Err(error) if is_refusal(&error) => {
                self.fail_file(file, &error);
                Ok(())
            }
            done => done,
        }
    }

    /// Notes what is wrong with a file, and not with a pack.
    fn fail_file(&self, file: usize, error: &Error) {
        let run = Run { pack: 0, first: 0, count: 0, bytes: 0 };
        self.fail(&[Piece { run, file, offset: 0 }], error);
    }

    fn has_failed(&self, file: usize) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&file)
    }

    /// What is wanted of each pack.
    pub(super) fn pieces(&self) -> BTreeMap<u32, Vec<Piece>> {
        let mut pieces: BTreeMap<u32, Vec<Piece>> = BTreeMap::new();
        for (file, entry) in self.entries.iter().enumerate() {
            if self.has_failed(file) {
                continue;
            }
            let mut offset = 0;
            for run in &entry.runs {
                pieces.entry(run.pack).or_default().push(Piece { run: *run, file, offset });
                offset += run.bytes;
            }
        }
        pieces
    }

    pub(super) fn fail(&self, pieces: &[Piece], error: &Error) {
        if matches!(error, Error::Damaged { .. } | Error::ObjectMissing { .. }) {
            let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
            damaged.extend(pieces.iter().filter(|it| it.run.count > 0).map(|it| it.run.pack));
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in pieces {
            let Some(entry) = self.entries.get(piece.file) else { continue };
            failed
                .entry(piece.file)
                .or_insert_with(|| FileProblem::new(entry.path.escaped(), error));
        }
    }

    /// Opens the frames of a pack, each once, and writes what is in them to all files that want it.
    pub(super) fn write_pack(
        &self,
        index: &PackIndex,
        regions: &Regions,
        pieces: &[Piece],
        frames: &[usize],
        object: &str,
    ) -> Result<()> {
        let mut by_frame: BTreeMap<usize, Vec<Piece>> = BTreeMap::new();
        for piece in pieces {
            let lengths = index.chunk_lengths(piece.run.first, piece.run.count);
            if lengths.map(|all| all.iter().map(|l| u64::from(*l)).sum()) != Some(piece.run.bytes) {
                self.fail(
                    &[*piece],
                    &Error::damaged(object, "its chunks are not those of the tree"),
                );
                continue;
            }
            for frame in index.frames_of(&[piece.run]) {
                by_frame.entry(frame).or_default().push(*piece);
            }
        }
        for (frame, pieces) in frames.iter().filter_map(|frame| by_frame.get_key_value(frame)) {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let Some((offset, first, entry)) = index.frame(*frame) else { continue };
            let plain = match regions.slice(offset, u64::from(entry.stored_bytes)) {
                Some(stored) => {
                    index.open_frame(*frame, &stored).map_err(|malformed| malformed.of(object))
                }
                None => Err(Error::ObjectMissing { object: object.to_owned() }),
            };
            match plain {
                Ok(plain) => self.write_frame(index, &plain, first, entry.chunks, pieces)?,
                Err(error) => self.fail(pieces, &error),
            }
        }
        Ok(())
    }

    fn write_frame(
        &self,
        index: &PackIndex,
        plain: &[u8],
        first: u32,
        chunks: u32,
        pieces: &[Piece],
    ) -> Result<()> {
        for piece in pieces {
            let (Some(entry), Some(made)) =
                (self.entries.get(piece.file), self.made.get(piece.file))
            else {
                continue;
            };
            let before = first.saturating_sub(piece.run.first);
            let (Some(part), Some(skipped)) = (
                index.part_of(plain, first, chunks, &piece.run),
                index.chunk_lengths(piece.run.first, before),
            ) else {
                continue;
            };
            let offset =
                piece.offset + skipped.iter().map(|length| u64::from(*length)).sum::<u64>();
            if part.len() as u64 == entry.size {
                if crate::crypto::sha256(part) == entry.sha256 {
                    self.or_refused(piece.file, self.target.write_whole(entry, part, made))?;
                    self.mark_complete(piece.file);
                } else {
                    self.fail(
                        &[*piece],
                        &Error::damaged(entry.path.escaped(), "its content has another hash"),
                    );
                }
            } else {
                self.or_refused(piece.file, self.target.write_part(entry, part, offset, made))?;
                let part = part.len() as u64;
                let left = self.left.get(piece.file);
                if left.is_some_and(|left| left.fetch_sub(part, Ordering::AcqRel) == part) {
                    self.complete_file(piece.file, entry, made)?;
                }
            }
            self.done_bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn mark_complete(&self, file: usize) {
        if let Some(done) =
            self.complete.lock().unwrap_or_else(PoisonError::into_inner).get_mut(file)
        {
            *done = true;
        }
        self.done_files.fetch_add(1, Ordering::Relaxed);
    }

    /// Checks a file that came in parts, and sets its mode and time: as soon as its last part is there, while others
    /// are still on their way.
    fn complete_file(&self, file: usize, entry: &Entry, made: &Made) -> Result<()> {
        if self.has_failed(file) {
            return Ok(());
        }
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if self.target.finish_file(entry, made)? {
            self.mark_complete(file);
            return Ok(());
        }
        self.target.remove(entry, made)?;
        let error = Error::damaged(entry.path.escaped(), "its content has another hash");
        self.fail_file(file, &error);
        Ok(())
    }

    /// Checks what is not yet, sets modes and times of directories, makes symlinks, and removes what failed.
    pub(super) fn finish(&self) -> Result<()> {
        let complete =
            std::mem::take(&mut *self.complete.lock().unwrap_or_else(PoisonError::into_inner));
        for (file, (entry, made)) in self.entries.iter().zip(&self.made).enumerate() {
            let done = entry.kind != EntryKind::File
                || entry.size == 0
                || complete.get(file) == Some(&true);
            if self.has_failed(file) {
                self.target.remove(entry, made)?;
            } else if !done {
                self.complete_file(file, entry, made)?;
            }
        }
        let of = |kind: EntryKind| {
            let all = self.entries.iter().enumerate();
            all.filter(move |(file, entry)| entry.kind == kind && !self.has_failed(*file))
        };
        for (file, entry) in of(EntryKind::Symlink) {
            self.or_refused(file, self.target.make_symlink(entry))?;
        }
        // Children before their parents, since making a child changes the parent's time.
        for (_, entry) in of(EntryKind::Directory).rev() {
            self.target.finish_dir(entry)?;
        }
        Ok(())
    }
}

/// Whether a file system will never take this file: its name, its size, its kind, or our rights.
fn is_refusal(error: &Error) -> bool {
    use std::io::ErrorKind as K;
    match error {
        Error::Permission { .. } => true,
        Error::Io { source, .. } => matches!(
            source.kind(),
            K::Unsupported
                | K::InvalidInput
                | K::InvalidFilename
                | K::FileTooLarge
                | K::AlreadyExists
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::NoFailPoints;
    use crate::entry::RelPath;
    use crate::format::EntryFlags;
    use crate::source::naming::Naming;

    fn entry(kind: EntryKind, path: &str) -> Entry {
        let path = RelPath::from_bytes(path.as_bytes().to_vec());
        let target = if kind == EntryKind::Symlink { b"here".to_vec() } else { Vec::new() };
        let (root, mtime_ns, size, runs) = (0, 0, 0, Vec::new());
        let (mode, sha256, flags) = (0o700, [0; 32], EntryFlags::default());
        Entry { root, path, kind, mode, mtime_ns, size, sha256, runs, flags, target }
    }

    #[test]
    fn names_that_cannot_be_held_cost_what_has_them_and_nothing_else() {
        use EntryKind::{Directory, File, Symlink};
        let dir = tempfile::tempdir().unwrap();
        let target = Target::open(&dir.path().join("out"), Arc::new(NoFailPoints)).unwrap();
        let entries = vec![
            entry(File, "a:b"),
            entry(File, r"back\slash"),
            entry(File, "con"),
            entry(Directory, "dir."),
            entry(File, "dir./inside"),
            entry(Symlink, "link?"),
            entry(Directory, "fine"),
            entry(File, "fine/file"),
        ];
        let work = Work {
            made: entries.iter().map(|_| Made::default()).collect(),
            complete: Mutex::new(vec![false; entries.len()]),
            left: entries.iter().map(|entry| AtomicU64::new(entry.size)).collect(),
            entries,
            target: Arc::new(target.with_naming(Naming::Windows)),
            cancel: CancellationToken::new(),
            failed: Mutex::default(),
            damaged: Mutex::default(),
            done_bytes: AtomicU64::new(0),
            done_files: AtomicU64::new(0),
            total_bytes: 0,
        };
        work.prepare().unwrap();
        work.finish().unwrap();
        let failed = work.failed.lock().unwrap();
        let named: Vec<&str> = failed.values().map(|problem| problem.path.as_str()).collect();
        assert_eq!(named, ["a:b", r"back\\slash", "con", "dir.", "dir./inside", "link?"]);
        assert!(failed.values().all(|problem| problem.code == "B2_UNSAFE_PATH"));
        let there = std::fs::read_dir(dir.path().join("out")).unwrap();
        let there: Vec<_> = there.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(there, ["fine"]);
        assert!(dir.path().join("out/fine/file").is_file());
    }
}
