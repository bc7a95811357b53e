//! Reading what changed: files are cut into chunks, chunks that the bucket has are pointed at, new ones go
//! into frames. Runs on a plain thread; opens files, so it must not run in the gateway's process.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::frames::FramePipe;
use super::room::Room;
use crate::ambient::{Clock, Entropy};
use crate::chunk::Cutter;
use crate::crypto::{ChunkIds, ContentHash};
use crate::engine::problem::{self, FileProblem};
use crate::engine::roots::shown_here;
use crate::error::{Error, Result};
use crate::format::{ChunkId, Entry, EntryFlags, Run};
use crate::local::Local;
use crate::progress::{Event, Phase, Sink};
use crate::repo::Known;
use crate::source::database::{Redact, host_database, is_database};
use crate::source::withheld::Withheld;
use crate::source::{
    EntryKind, Fingerprint, Found, RelPath, Root, absolute, holes, open_plain, sqlite, walk,
};

/// New chunks of a file are compressed together up to this much: the ratio of large blocks, while a chunk of
/// 4 KiB is still found again by itself (docs/benchmarks.md).
const FRAME_BYTES: usize = 2 << 20;
/// How much is read at once.
const READ_BYTES: usize = 1 << 20;
/// Where a stretch of a file's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a pack that the bucket has.
    Stored(u32),
    /// In a frame of this push.
    New(u32),
}

/// Consecutive chunks: `first` counts within the pack or the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) place: Place,
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) bytes: u64,
}

/// The content of a file that was read.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
    pub(super) stretches: Vec<Stretch>,
    pub(super) flags: EntryFlags,
    /// The version of a database's schema.
    pub(super) schema: Option<i32>,
}

/// An entry of the new snapshot.
#[derive(Debug)]
pub(super) enum Draft {
    /// As in the newest snapshot.
    Same(Entry),
    /// To be completed when its frames have their places.
    Read(Found, Content),
}

/// Cuts content into chunks and sends new ones on their way.
pub(super) struct Chunker<'a> {
    pub(super) ids: ChunkIds,
    pub(super) known: Known,
    pub(super) pipe: &'a mut FramePipe,
    pub(super) cancel: CancellationToken,
    fresh: HashMap<ChunkId, (u32, u32)>,
    frame: (Vec<u8>, Vec<u32>, Vec<ChunkId>),
    /// Bytes of frames that were new.
    pub(super) new_bytes: u64,
}

impl<'a> Chunker<'a> {
    pub(super) fn new(
        ids: ChunkIds,
        known: Known,
        pipe: &'a mut FramePipe,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            ids,
            known,
            pipe,
            cancel,
            fresh: HashMap::new(),
            frame: Default::default(),
            new_bytes: 0,
        }
    }

    /// Takes the content of one reader, from its start to its end.
    pub(super) fn take(
        &mut self,
        cutter: &Cutter,
        reader: &mut dyn std::io::Read,
        read: &mut dyn FnMut(u64),
    ) -> Result<Content, ReadError> {
        // A file that could not be read to its end leaves chunks behind; two files never share a frame.
        self.flush().map_err(ReadError::Fatal)?;
        let mut content = Content::default();
        let mut hash = ContentHash::default();
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            if self.cancel.is_cancelled() {
                return Err(ReadError::Fatal(Error::Cancelled));
            }
            let before = buffer.len();
            let got =
                reader.take(READ_BYTES as u64).read_to_end(&mut buffer).map_err(ReadError::File)?;
            let last = got < READ_BYTES;
            hash.update(buffer.get(before..).unwrap_or_default());
            content.size += got as u64;
            read(got as u64);
            let mut rest = buffer.as_slice();
            for length in cutter.lengths(&buffer, last) {
                let (chunk, after) = rest.split_at(length);
                rest = after;
                self.chunk(chunk, &mut content.stretches).map_err(ReadError::Fatal)?;
            }
            let done = buffer.len() - rest.len();
            buffer.drain(..done);
            if last {
                break;
            }
        }
        self.flush().map_err(ReadError::Fatal)?;
        content.sha256 = hash.finish();
        Ok(content)
    }

    fn chunk(&mut self, data: &[u8], stretches: &mut Vec<Stretch>) -> Result<()> {
        let id = ChunkId(self.ids.of(data));
        let (place, chunk) = if let Some((pack, chunk)) = self.known.get(&id) {
            (Place::Stored(pack), chunk)
        } else if let Some((frame, chunk)) = self.fresh.get(&id) {
            (Place::New(*frame), *chunk)
        } else {
            if self.frame.0.len() + data.len() > FRAME_BYTES {
                self.flush()?;
            }
            let place = (self.pipe.next(), u32::try_from(self.frame.1.len()).unwrap_or(u32::MAX));
            self.fresh.insert(id, place);
            self.frame.0.extend_from_slice(data);
            self.frame.1.push(u32::try_from(data.len()).unwrap_or(u32::MAX));
            self.frame.2.push(id);
            (Place::New(place.0), place.1)
        };
        let bytes = data.len() as u64;
        match stretches.last_mut() {
            Some(last) if last.place == place && last.first + last.count == chunk => {
                last.count += 1;
                last.bytes += bytes;
            }
            _ => stretches.push(Stretch { place, first: chunk, count: 1, bytes }),
        }
        Ok(())
    }

    /// Sends the frame that is being filled. Two files never share one: its size would tell of both.
    fn flush(&mut self) -> Result<()> {
        if self.frame.0.is_empty() {
            return Ok(());
        }
        let (raw, lengths, ids) = std::mem::take(&mut self.frame);
        self.new_bytes += raw.len() as u64;
        self.pipe.push(raw, lengths, ids)
    }
}

/// Why content could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// This file only.
    File(std::io::Error),
    /// This database only.
    Database(Error),
    /// This file only: it may hold secrets, and nothing is encrypted.
    Withheld,
    /// This file only: our own secrets are in it, and it is no text.
    Binary,
    /// The whole push.
    Fatal(Error),
}

/// Reads files of the state.
pub(super) struct Capture<'a, 'p> {
    pub(super) chunker: Chunker<'p>,
    pub(super) roots: &'a [Root],
    /// What is read from somewhere else than its place.
    pub(super) elsewhere: &'a Elsewhere,
    /// Whether nobody can read the snapshot without a key.
    pub(super) sealed: bool,
    pub(super) seed: u64,
    pub(super) redact: bool,
    pub(super) clock: Arc<dyn Clock>,
    /// How long this push still waits for databases that others lock.
    pub(super) patience: Duration,
    pub(super) withheld: Arc<Withheld>,
    pub(super) temporary: PathBuf,
    pub(super) local: Local,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) progress: Sink,
    pub(super) total_bytes: u64,
    pub(super) done_bytes: u64,
    pub(super) done_files: u64,
    pub(super) skipped: Vec<FileProblem>,
    /// What was gone when it was to be read.
    pub(super) gone: Vec<Found>,
}

impl Capture<'_, '_> {
    /// Reads one entry, where it takes them together with the logs beside it: 0 is the entry, 1 its first log. Empty when
    /// it is gone, or cannot be read (then it is in `skipped`).
    pub(super) fn entry(
        &mut self,
        mut found: Found,
        logs: Vec<Found>,
        before: Option<&Entry>,
    ) -> Result<Vec<(usize, Draft)>> {
        if found.kind != EntryKind::File {
            return Ok(vec![(0, Draft::Read(found, Content::default()))]);
        }
        let Some(root) = self.roots.get(usize::from(found.root)) else {
            return Err(Error::internal("an entry without a root"));
        };
        let elsewhere = self.elsewhere.get(&(found.root, found.path.clone()));
        let path = elsewhere.cloned().unwrap_or_else(|| absolute(&root.path, &found.path));
        let result = match is_database(&path) {
            Ok(true) => match self.database_in_time(&path, &found, root) {
                // It goes once a snapshot has it: its bytes are better than nothing, where secrets may be in them. One that
                // is only locked, or too large to be copied, stays where it is.
                Err(ReadError::Database(Error::Database { .. }))
                    if elsewhere.is_some()
                        && (self.sealed || host_database(&found.path, root.kind).is_none())
                        && !self.may_leak(&path, &found, &logs, root) =>
                {
                    self.file(&path, &mut found).map(|content| Content {
                        flags: content.flags.with(EntryFlags::AS_BYTES),
                        ..content
                    })
                }
                Err(ReadError::Database(error)) if elsewhere.is_none() => {
                    self.done_files += 1;
                    return self.instead(found, logs, root, &error);
                }
                result => result,
            },
            Ok(false) if self.withheld.concerns(root, &found.path) => {
                self.configuration(&path, &mut found, root)
            }
            Ok(false) if !logs.is_empty() && elsewhere.is_none() => {
                self.done_files += 1;
                return self.together(found, logs, root, EntryFlags::default());
            }
            Ok(false) => self.file(&path, &mut found),
            Err(error) => Err(ReadError::File(error)),
        };
        self.done_files += 1;
        match result {
            Ok(content) => {
                // A database's times change with every checkpoint: when its content is the same, so is the entry.
                let same = before.filter(|entry| {
                    content.flags.has(EntryFlags::DATABASE)
                        && entry.flags == content.flags
                        && entry.sha256 == content.sha256
                        && entry.size == content.size
                        && entry.mode == found.mode
                });
                let draft = match same {
                    Some(entry) => Draft::Same(entry.clone()),
                    None => Draft::Read(found, content),
                };
                Ok(vec![(0, draft)])
            }
            Err(error) => self.unread(&found, &path, error).map(|()| Vec::new()),
        }
    }

    /// Notes that a file could not be read, or that it is gone.
    pub(super) fn unread(&mut self, found: &Found, path: &Path, error: ReadError) -> Result<()> {
        let (code, message) = match error {
            ReadError::Fatal(error) => return Err(error),
            ReadError::File(error) if error.kind() == ErrorKind::NotFound => {
                if std::fs::symlink_metadata(path).is_err() {
                    self.gone.push(found.clone());
                    return Ok(());
                }
                ("B2_SKIPPED_UNREADABLE", "became something else while it was backed up".to_owned())
            }
            ReadError::File(error) => ("B2_SKIPPED_UNREADABLE", format!("cannot be read: {error}")),
            ReadError::Withheld if self.sealed => {
                let message = "is left out: too much in it looks like this plugin's own keys to search all of it";
                ("B2_SKIPPED_UNREADABLE", message.to_owned())
            }
            ReadError::Binary => {
                let message = "is left out: this plugin's own secrets are in it, and it is no plain text in which \
                    placeholders could stand for them";
                (problem::WITHHELD, message.to_owned())
            }
            ReadError::Withheld => {
                let message = "is left out: it cannot be read as configuration, so nobody can tell what in it is a \
                    secret, and nothing is encrypted";
                (problem::WITHHELD, message.to_owned())
            }
            ReadError::Database(error) => (error.code(), error.to_string()),
        };
        self.skip(found, code, message);
        Ok(())
    }

    pub(super) fn skip(&mut self, found: &Found, code: &str, message: String) {
        self.skipped.push(FileProblem {
            path: shown_here(self.roots, found.root, &found.path),
            code: code.to_owned(),
            message,
        });
    }

    pub(super) fn take(
        &mut self,
        cutter: &Cutter,
        reader: &mut dyn std::io::Read,
    ) -> Result<Content, ReadError> {
        let (progress, total, files) =
            (Arc::clone(&self.progress), self.total_bytes, self.done_files);
        let mut done = self.done_bytes;
        let content = self.chunker.take(cutter, reader, &mut |bytes| {
            done += bytes;
            progress.report(Event {
                phase: Phase::Capture,
                done_bytes: done,
                total_bytes: Some(total.max(done)),
                done_files: files,
            });
        });
        self.done_bytes = done;
        content
    }

    /// Reads a plain file; once more when it changed meanwhile, and then as it is, with a remark.
    pub(super) fn file(&mut self, path: &Path, found: &mut Found) -> Result<Content, ReadError> {
        let cutter = Cutter::file(self.seed);
        let stat = |path: &Path| walk::fingerprint(path, false).map_err(ReadError::File);
        let mut before = stat(path)?;
        let mut again = true;
        loop {
            let mut file = holes::reader(open_plain(path).map_err(ReadError::File)?);
            let mut content = self.take(&cutter, &mut *file)?;
            let after = stat(path)?;
            let stable = before == after && content.size == after.size;
            if stable || !again {
                if !stable {
                    content.flags = content.flags.with(EntryFlags::CHANGED_WHILE_READ);
                }
                // Remembered as it was before reading: a later change is seen by the next push.
                found.fingerprint = Fingerprint { log: found.fingerprint.log, ..before };
                return Ok(content);
            }
            before = after;
            again = false;
        }
    }

    /// Captures a database into a private copy and reads that.
    pub(super) fn database(
        &mut self,
        path: &Path,
        found: &Found,
        root: &Root,
    ) -> Result<Content, ReadError> {
        let space = Room::for_copy(path, &self.temporary, &self.local, &*self.entropy)
            .map_err(ReadError::Database)?;
        let copy = space.path().join("database.sqlite");
        let named = host_database(&found.path, root.kind).unwrap_or(Redact::BySchema);
        let redact = if self.redact { named } else { Redact::None };
        let cancel = self.chunker.cancel.clone();
        let options = sqlite::CaptureOptions { redact, deadline: Duration::ZERO, cancel: &cancel };
        let captured = sqlite::capture(path, &copy, &options).map_err(|error| match error {
            Error::Cancelled | Error::Internal { .. } => ReadError::Fatal(error),
            error => ReadError::Database(error),
        })?;
        let failed = |error| ReadError::Fatal(Error::io("read", &copy, error));
        let remove = || {
            let removed = std::fs::remove_file(&copy);
            removed.map_err(|error| ReadError::Fatal(Error::io("remove", &copy, error)))
        };
        // Of OpenClaw's own, and of copies of them, nothing but the database is state.
        if captured.appendix && named == Redact::BySchema && captured.redacted == Redact::None {
            remove()?;
            let message =
                "there is something after its last page that is not part of it".to_owned();
            return Err(ReadError::Database(Error::Database { path: path.to_owned(), message }));
        }
        let mut file = File::open(&copy).map_err(failed)?;
        let cutter = Cutter::database(usize::try_from(captured.page_bytes).unwrap_or(4096));
        let mut content = self.take(&cutter, &mut file).map_err(|error| match error {
            ReadError::File(error) => failed(error),
            other => other,
        })?;
        drop(file);
        remove()?;
        content.flags = EntryFlags::DATABASE;
        content.schema = Some(captured.schema);
        if captured.redacted != Redact::None {
            content.flags = content.flags.with(EntryFlags::REDACTED);
        }
        Ok(content)
    }
}

/// Turns stretches into runs, now that every frame has its place.
pub(super) fn runs(stretches: &[Stretch], places: &[(u32, u32)]) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for stretch in stretches {
        let (pack, first) = match stretch.place {
            Place::Stored(pack) => (pack, stretch.first),
            Place::New(frame) => {
                let (pack, base) = places
                    .get(frame as usize)
                    .copied()
                    .ok_or_else(|| Error::internal("a frame without a place"))?;
                (pack, base + stretch.first)
            }
        };
        match runs.last_mut() {
            Some(last) if last.pack == pack && last.first + last.count == first => {
                last.count += stretch.count;
                last.bytes += stretch.bytes;
            }
            _ => runs.push(Run { pack, first, count: stretch.count, bytes: stretch.bytes }),
        }
    }
    Ok(runs)
}

/// Where files are read that are not in their place.
pub(super) type Elsewhere = HashMap<(u16, RelPath), PathBuf>;
