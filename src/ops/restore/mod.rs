//! Restore: a snapshot, or a part of it, into a fresh directory.

mod select;
mod target;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::StreamExt as _;

use super::FileProblem;
use super::session::Session;
use super::tree::{choose, entries};
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::format::{Entry, Run};
use crate::progress::Phase;
use crate::repo::{PackIndex, PackSource, Regions};

use select::Selection;
use target::Target;

/// Packs that are fetched and opened at the same time.
const PARALLEL: usize = 3;

/// What to restore.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Id of a snapshot, or `latest`.
    pub snapshot: String,
    /// A directory that does not exist yet, or is empty.
    pub to: std::path::PathBuf,
    /// Paths or globs below the state directory; all when empty. A directory stands for everything in it.
    pub paths: Vec<String>,
    /// Whether a snapshot may be used that is not authenticated.
    pub allow_unauthenticated: bool,
}

/// What a restore did.
#[derive(Clone, Debug, Default)]
pub struct RestoreReport {
    /// Id of the snapshot.
    pub snapshot: String,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Body bytes received.
    pub downloaded_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// Files that could not be restored; nothing of them is left in the directory.
    pub failed: Vec<FileProblem>,
    /// Where each root of the snapshot went: `original path -> directory`, where there are several.
    pub roots: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

/// A stretch of a pack that belongs somewhere in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    run: Run,
    /// Index of the entry.
    file: usize,
    /// Where the run starts in the file.
    offset: u64,
}

/// Restores into a fresh directory. Every byte is checked: seals, chunk lengths, and the hash of each file.
///
/// # Errors
/// `B2_TARGET_NOT_EMPTY`, `B2_SNAPSHOT_NOT_FOUND`, `B2_WRONG_KEY`, `B2_NOT_AUTHENTICATED`, `B2_UNSAFE_PATH`,
/// `B2_DAMAGED` when manifest or tree are, and those of the store and the file system. Damage of a pack
/// costs the files in it, which are in the report, and no others.
pub async fn restore(session: &Session, options: &RestoreOptions) -> Result<RestoreReport> {
    let started = Instant::now();
    let paths = Selection::new(&options.paths)?;
    let target = Arc::new(Target::open(&options.to)?);
    let result = session.cancellable(run(session, options, &paths, &target)).await;
    let mut report = match result {
        Ok(report) => report,
        Err(error) => {
            // Half a restore looks like a whole one: nothing is left of it.
            let clearing = Arc::clone(&target);
            Session::blocking(move || clearing.clear()).await?;
            return Err(error);
        }
    };
    let traffic = session.traffic();
    report.downloaded_bytes = traffic.received_bytes;
    report.requests = traffic.requests;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

async fn run(
    session: &Session,
    options: &RestoreOptions,
    paths: &Selection,
    target: &Arc<Target>,
) -> Result<RestoreReport> {
    let (snapshot, mut warnings) =
        choose(session, &options.snapshot, options.allow_unauthenticated).await?;
    warnings.splice(0..0, session.warnings.iter().cloned());
    let sealed = snapshot.key.is_sealed();
    // A cache of footers only where there is a state directory: reading never creates one.
    let local = Some(session.local_repository(sealed)).filter(|local| local.dir().is_dir());
    let source = PackSource::new(Arc::clone(&session.store), Arc::new(snapshot), local);
    let all = entries(&source).await?;
    let whole = options.paths.is_empty();
    let chosen = paths.choose(all);
    let id = source.snapshot().id.to_string();
    if chosen.is_empty() && !whole {
        return Err(Error::config(
            "--path",
            format!("{id} has nothing at {}", options.paths.join(", ")),
        ));
    }
    let work = Arc::new(Work::new(session, chosen, Arc::clone(target), &source));
    let preparing = Arc::clone(&work);
    Session::blocking(move || preparing.prepare()).await?;

    let by_pack = work.pieces();
    let jobs = by_pack
        .into_iter()
        .map(|(number, pieces)| fetch_pack(session, &source, &work, number, pieces, whole));
    let mut jobs = futures_util::stream::iter(jobs).buffer_unordered(PARALLEL);
    while let Some(done) = jobs.next().await {
        done?;
        let bytes = work.done_bytes.load(Ordering::Relaxed);
        session.report(
            Phase::Restore,
            bytes,
            Some(work.total_bytes),
            work.done_files.load(Ordering::Relaxed),
        );
    }
    let finishing = Arc::clone(&work);
    session.ring.cpu().run(move || finishing.finish()).await??;

    let failed: Vec<FileProblem> = {
        let failed = work.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.values().cloned().collect()
    };
    let lost = |index: &usize| {
        work.failed.lock().unwrap_or_else(PoisonError::into_inner).contains_key(index)
    };
    let restored = (0..work.entries.len()).filter(|index| !lost(index));
    let files = restored
        .filter_map(|index| work.entries.get(index))
        .filter(|entry| entry.kind == EntryKind::File);
    let (count, bytes) =
        files.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.size));
    Ok(RestoreReport {
        snapshot: id,
        files: count,
        bytes,
        failed,
        roots: target.describe(&source.snapshot().manifest.roots),
        warnings,
        ..RestoreReport::default()
    })
}

/// Fetches what is needed of one pack and writes it. An error is one of writing or of the connection; damage
/// is noted with the files that it costs.
async fn fetch_pack(
    session: &Session,
    source: &PackSource,
    work: &Arc<Work>,
    number: u32,
    pieces: Vec<Piece>,
    whole: bool,
) -> Result<()> {
    let damaged = |error: Error| match error {
        Error::Damaged { .. } | Error::ObjectMissing { .. } | Error::Version { .. } => {
            work.fail(&pieces, &error);
            Ok(())
        }
        error => Err(error),
    };
    let reference = match source.pack(number) {
        Ok(reference) => reference,
        Err(error) => return damaged(error),
    };
    // When most of a pack is wanted, one request brings it together with its footer.
    let mostly = whole && reference.used_bytes.saturating_mul(2) >= reference.bytes;
    let (index, have) =
        match source.index(&reference, if mostly { reference.bytes } else { 0 }).await {
            Ok(opened) => opened,
            Err(error) => return damaged(error),
        };
    let runs: Vec<Run> = pieces.iter().map(|piece| piece.run).collect();
    let frames = index.frames_of(&runs);
    let (regions, failed) = source.regions(&reference, &index, &frames, have).await;
    match failed {
        None | Some(Error::Damaged { .. } | Error::ObjectMissing { .. }) => {}
        Some(error) => return Err(error),
    }
    let (writing, object) = (Arc::clone(work), reference.name.object(source.snapshot().id.machine));
    session
        .ring
        .cpu()
        .run(move || writing.write_pack(&index, &regions, &pieces, &frames, &object))
        .await?
}

/// A restore under way.
#[derive(Debug)]
struct Work {
    entries: Vec<Entry>,
    target: Arc<Target>,
    cancel: tokio_util::sync::CancellationToken,
    /// Files of which something is wrong, by entry.
    failed: Mutex<BTreeMap<usize, FileProblem>>,
    /// Files that were written and checked in one go.
    complete: Mutex<Vec<bool>>,
    done_bytes: AtomicU64,
    done_files: AtomicU64,
    total_bytes: u64,
}

impl Work {
    fn new(
        session: &Session,
        entries: Vec<Entry>,
        target: Arc<Target>,
        source: &PackSource,
    ) -> Self {
        target.place_roots(&source.snapshot().manifest.roots);
        Self {
            total_bytes: entries.iter().map(|entry| entry.size).sum(),
            complete: Mutex::new(vec![false; entries.len()]),
            entries,
            target,
            cancel: session.ambient.cancel.clone(),
            failed: Mutex::default(),
            done_bytes: AtomicU64::new(0),
            done_files: AtomicU64::new(0),
        }
    }

    /// Makes all directories and empty files.
    fn prepare(&self) -> Result<()> {
        for entry in &self.entries {
            match entry.kind {
                EntryKind::Directory => self.target.make_dir(entry)?,
                EntryKind::File if entry.size == 0 => self.target.write_whole(entry, &[])?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What is wanted of each pack.
    fn pieces(&self) -> BTreeMap<u32, Vec<Piece>> {
        let mut pieces: BTreeMap<u32, Vec<Piece>> = BTreeMap::new();
        for (file, entry) in self.entries.iter().enumerate() {
            let mut offset = 0;
            for run in &entry.runs {
                pieces.entry(run.pack).or_default().push(Piece { run: *run, file, offset });
                offset += run.bytes;
            }
        }
        pieces
    }

    fn fail(&self, pieces: &[Piece], error: &Error) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in pieces {
            let Some(entry) = self.entries.get(piece.file) else { continue };
            failed
                .entry(piece.file)
                .or_insert_with(|| FileProblem::new(entry.path.escaped(), error));
        }
    }

    /// Opens the frames of a pack, each once, and writes what is in them to all files that want it.
    fn write_pack(
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
            let Some(entry) = self.entries.get(piece.file) else { continue };
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
                    self.target.write_whole(entry, part)?;
                    self.mark_complete(piece.file);
                } else {
                    self.fail(
                        &[*piece],
                        &Error::damaged(entry.path.escaped(), "its content has another hash"),
                    );
                }
            } else {
                self.target.write_part(entry, part, offset)?;
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

    /// Checks files that came in parts, sets modes and times, makes symlinks, and removes what failed.
    fn finish(&self) -> Result<()> {
        let complete =
            std::mem::take(&mut *self.complete.lock().unwrap_or_else(PoisonError::into_inner));
        for (file, entry) in self.entries.iter().enumerate() {
            let done = entry.kind != EntryKind::File
                || entry.size == 0
                || complete.get(file) == Some(&true);
            let failed =
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&file);
            if failed {
                self.target.remove(entry)?;
            } else if !done {
                if self.cancel.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                if self.target.finish_file(entry)? {
                    self.done_files.fetch_add(1, Ordering::Relaxed);
                } else {
                    self.target.remove(entry)?;
                    let piece = Piece {
                        run: Run { pack: 0, first: 0, count: 0, bytes: 0 },
                        file,
                        offset: 0,
                    };
                    let error =
                        Error::damaged(entry.path.escaped(), "its content has another hash");
                    self.fail(&[piece], &error);
                }
            }
        }
        for entry in self.entries.iter().filter(|entry| entry.kind == EntryKind::Symlink) {
            self.target.make_symlink(entry)?;
        }
        // Children before their parents, since making a child changes the parent's time.
        for entry in self.entries.iter().rev().filter(|entry| entry.kind == EntryKind::Directory) {
            self.target.finish_dir(entry)?;
        }
        Ok(())
    }
}
