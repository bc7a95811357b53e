//! Show: what a snapshot holds, or the content of one file of it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::legacy::{Legacy, Take};
use crate::engine::problem::{self, FileProblem};
use crate::engine::select::{Selection, names, nothing_at};
use crate::engine::session::Session;
use crate::engine::time::time;
use crate::engine::tree::{entries, shown, source};
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::format::{Entry, EntryFlags, RootRecord, SnapshotName};

/// A larger file is not shown, since all of it is in memory: it is restored into a directory.
pub const MAX_SHOWN_BYTES: u64 = 64 << 20;

/// What to show.
#[derive(Clone, Debug)]
pub struct ShowOptions {
    /// Id of a snapshot, or `latest`.
    pub snapshot: String,
    /// A file, a directory or a glob below the state directory, or from `/` on; everything when left out.
    pub path: Option<String>,
    /// Whether a snapshot may be used that is not authenticated.
    pub allow_unauthenticated: bool,
}

/// One path of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownEntry {
    /// The path for people; outside the state directory with its root before it.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of content; 0 where it is no file.
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// When it was last written, ISO 8601.
    pub modified_at: String,
    /// Whether it is a database.
    pub database: bool,
    /// Where a symlink points, for people.
    pub target: Option<String>,
}

/// What `show` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShowReport {
    /// Id of the snapshot.
    pub snapshot: String,
    /// When it was made, ISO 8601, by the clock of the machine that made it.
    pub created_at: String,
    /// Everything that is meant, by root, the state directory first, then by path.
    pub entries: Vec<ShownEntry>,
    /// Whether something of the state is not in the snapshot.
    pub incomplete: bool,
    /// What is not in it, or not as it should be, as far as it is about what is meant, the worst first.
    pub remarks: Vec<FileProblem>,
    /// What is in the file, where the path is that of one file.
    pub content: Option<Vec<u8>>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Lists a snapshot or a part of it. Where the path names one file, gives its content, checked against its hash.
///
/// # Errors
/// `B2_CONFIG` when the snapshot has nothing at the path, or a file of more than [`MAX_SHOWN_BYTES`] there;
/// `B2_SNAPSHOT_NOT_FOUND`, `B2_WRONG_KEY`, `B2_NOT_AUTHENTICATED`, `B2_DAMAGED`, `B2_UNSAFE_PATH`, and those of
/// the store.
pub async fn show(session: &Session, options: &ShowOptions) -> Result<ShowReport> {
    session.cancellable(run(session, options)).await
}

async fn run(session: &Session, options: &ShowOptions) -> Result<ShowReport> {
    let paths = Selection::new(options.path.as_slice())?;
    if let Some(SnapshotName::Legacy(name)) = SnapshotName::parse(&options.snapshot) {
        return original(session, options, &name, &paths).await;
    }
    let (source, warnings) =
        source(session, &options.snapshot, options.allow_unauthenticated).await?;
    let manifest = &source.snapshot().manifest;
    let remarks = paths.concerned(problem::of_manifest(manifest), &manifest.roots);
    let mut report = ShowReport {
        snapshot: source.snapshot().id.to_string(),
        incomplete: problem::is_incomplete(&remarks),
        remarks,
        created_at: time(manifest.local_time_ms),
        warnings: session.warnings.iter().cloned().chain(warnings).collect(),
        ..ShowReport::default()
    };
    let all = entries(&source).await?;
    let wanted: Vec<&Entry> =
        all.iter().filter(|entry| paths.wants_entry(entry, &manifest.roots)).collect();
    report.entries = wanted.iter().map(|entry| describe(entry, &manifest.roots)).collect();
    let Some(path) = &options.path else { return Ok(report) };
    match wanted.as_slice() {
        [] => {
            let asked = std::slice::from_ref(path);
            Err(nothing_at("path", &report.snapshot, asked, &all, &manifest.roots))
        }
        // A glob that happens to match one file asks for a list all the same.
        [file] if file.kind == EntryKind::File && names(path, file, &manifest.roots) => {
            if file.size > MAX_SHOWN_BYTES {
                return Err(too_large(path));
            }
            let (mut contents, mut problems) = source.contents(&[file]).await?;
            match (contents.pop().flatten(), problems.pop()) {
                (Some(content), _) => report.content = Some(content),
                (None, Some(problem)) => return Err(problem),
                (None, None) => return Err(Error::damaged(path, "its content is not there")),
            }
            Ok(report)
        }
        _ => Ok(report),
    }
}

/// A snapshot of the original plugin. Whether a file can still be found shows only when its content is asked for.
async fn original(
    session: &Session,
    options: &ShowOptions,
    name: &str,
    paths: &Selection,
) -> Result<ShowReport> {
    let snapshot = Legacy::open(session, name, options.allow_unauthenticated).await?;
    let wanted: Vec<Entry> =
        snapshot.entries()?.into_iter().filter(|entry| paths.wants_entry(entry, &[])).collect();
    let mut report = ShowReport {
        snapshot: name.to_owned(),
        created_at: time(snapshot.made_ms),
        entries: wanted.iter().map(|entry| describe(entry, &[])).collect(),
        warnings: session.warnings.clone(),
        ..ShowReport::default()
    };
    let Some(path) = &options.path else { return Ok(report) };
    match wanted.as_slice() {
        [] => return Err(Error::config("path", format!("{name} has nothing at {path}"))),
        [file] if names(path, file, &[]) => {
            if file.size > MAX_SHOWN_BYTES {
                return Err(too_large(path));
            }
            let content: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
            let shown = Arc::clone(&content);
            let take: Take = Arc::new(move |_, found| {
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                Ok(())
            });
            let (lost, warnings) = snapshot.contents(&wanted, &take).await?;
            if let Some(FileProblem { path, message, .. }) = lost.into_iter().next() {
                return Err(Error::damaged(format!("{name}/{path}"), message));
            }
            report.content = content.lock().unwrap_or_else(PoisonError::into_inner).take();
            report.warnings.extend(warnings);
        }
        _ => {}
    }
    Ok(report)
}

fn too_large(path: &str) -> Error {
    let message = format!(
        "{path} is larger than {} MiB; bring it into a directory with restore --to",
        MAX_SHOWN_BYTES >> 20
    );
    Error::config("path", message)
}

fn describe(entry: &Entry, roots: &[RootRecord]) -> ShownEntry {
    let escaped = |bytes: &[u8]| crate::entry::RelPath::from_bytes(bytes.to_vec()).escaped();
    ShownEntry {
        path: shown(roots, entry.root, &entry.path),
        kind: entry.kind,
        bytes: entry.size,
        mode: entry.mode,
        modified_at: time(entry.mtime_ns.div_euclid(1_000_000)),
        database: entry.flags.has(EntryFlags::DATABASE),
        target: (entry.kind == EntryKind::Symlink).then(|| escaped(&entry.target)),
    }
}
