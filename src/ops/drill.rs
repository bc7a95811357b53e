//! Drill: this machine's newest snapshot is restored for a trial, as a machine that has nothing but the bucket and
//! the configured secret would do it, looked through, and removed again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::crypto::ContentHash;
use crate::engine::problem::{self, FileProblem};
use crate::engine::roots::{in_place_of_links, put_in_place};
use crate::engine::session::{Session, Settings, millis};
use crate::engine::time::time;
use crate::engine::tree::{entries, source, without_logs};
use crate::engine::unpack::fetch;
use crate::engine::unpack::target::Target;
use crate::engine::unpack::work::Work;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::format::{Entry, EntryFlags, PackName, SnapshotId, pack_prefix};
use crate::local::{Drilled, TrialFolder};
use crate::source::sqlite;

/// Free space that a drill leaves on the disk, in bytes.
#[cfg(unix)]
const SPARE_BYTES: u64 = 256 << 20;

/// What a drill found.
#[derive(Clone, Debug, Default)]
pub struct DrillReport {
    /// Id of the snapshot.
    pub snapshot: String,
    /// When the snapshot was made, ISO 8601.
    pub snapshot_at: String,
    /// Files that came back as they were.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Databases among them, each of which `SQLite` found in order.
    pub databases: u64,
    /// What did not come back, or not as it was; empty: the snapshot is proven.
    pub failed: Vec<FileProblem>,
    /// Whether something of the state is not in the snapshot.
    pub incomplete: bool,
    /// What is not in it, or not as it should be, the worst first.
    pub remarks: Vec<FileProblem>,
    /// Body bytes received.
    pub downloaded_bytes: u64,
    /// Requests made.
    pub requests: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

/// Restores the newest snapshot of this machine into a folder of its own, without the help of anything that this
/// machine remembers: neither its key nor its cache. Every file is read back from the disk and its hash compared, every
/// database goes through `integrity_check`. When all is well, that is remembered as the last proof; packs that are found lost
/// or damaged are, too, and the next push stores again what is in them.
///
/// Opens databases, though none of the state: run it in a process of its own all the same.
///
/// # Errors
/// `B2_SNAPSHOT_NOT_FOUND` before the first push, `B2_LOCKED` while another drill runs, `B2_DISK_FULL` when there is not room enough,
/// and those of a restore. Damage that costs single files is in the report.
pub async fn drill(session: &Session) -> Result<DrillReport> {
    let started = Instant::now();
    let local = session.local_repository(session.settings.encrypt);
    let Some(newest) = local.newest()? else {
        return Err(Error::SnapshotNotFound {
            snapshot: "latest".to_owned(),
            message: "this machine has not backed up yet".to_owned(),
        });
    };
    let folder = session.local.trial()?;
    // What is proven is that it can be had now, with what is configured: not with a code or a key of before that
    // somebody gave.
    let mut settings = Settings {
        state_dir: folder.path().join("blank"),
        recovery_code: None,
        old_keys: vec![],
        ..session.settings.clone()
    };
    (settings.store.as_of, settings.store.moved_from) = (None, None);
    let blank = Session::open(settings, session.ambient.clone()).await?;
    let found = session.cancellable(run(&blank, &newest.snapshot, &folder)).await;
    drop(folder);
    let (mut report, bad) = match found {
        Ok(found) => found,
        Err(error) => {
            // The tree itself cannot be read.
            let bad = SnapshotId::parse(&newest.snapshot).and_then(|id| {
                PackName::parse(error.object()?.strip_prefix(&pack_prefix(id.machine))?)
            });
            local.note_bad(bad)?;
            return Err(error);
        }
    };
    local.note_bad(bad)?;
    if report.failed.is_empty() {
        let mut proof = local.proof()?.unwrap_or_default();
        let at_ms = millis(session.ambient.clock.now());
        proof.drilled = Some(Drilled { snapshot: report.snapshot.clone(), at_ms });
        local.save_proof(&proof)?;
    }
    let traffic = blank.traffic();
    report.downloaded_bytes = traffic.received_bytes;
    report.requests = traffic.requests;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// The report, and the packs that are lost or damaged.
async fn run(
    blank: &Session,
    snapshot: &str,
    folder: &TrialFolder,
) -> Result<(DrillReport, Vec<PackName>)> {
    // Confirmed, since it is named: what this machine wrote itself it may read, sealed or not.
    let (source, warnings) = source(blank, snapshot, true).await?;
    let manifest = &source.snapshot().manifest;
    has_room_for(folder.path(), manifest.counts.bytes)?;
    let target = Target::open(&folder.path().join("restored"), Arc::clone(&blank.ambient.steps))?;
    let target = Arc::new(target);
    let (all, logs) = without_logs(entries(&source).await?);
    let places = in_place_of_links(&manifest.roots, &all, |_| true);
    let all = put_in_place(all, &manifest.roots, &places);
    let work = Arc::new(Work::new(&blank.ambient.cancel, all, Arc::clone(&target), &source));
    fetch(blank, &source, &work, true).await?;
    let mut seen = Seen { cancel: blank.ambient.cancel.clone(), ..Seen::default() };
    let mut seen = Session::blocking(move || {
        seen.damaged.clone_from(&work.damaged.lock().unwrap_or_else(PoisonError::into_inner));
        seen.failed = work.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (index, entry) in work.entries.iter().enumerate() {
            if entry.kind == EntryKind::File && !seen.failed.contains_key(&index) {
                seen.read(index, &target.path_of(entry), entry)?;
            }
        }
        Ok(seen)
    })
    .await?;
    let mut warnings = warnings;
    warnings.extend(logs);
    warnings.splice(0..0, blank.warnings.iter().cloned());
    let bad = seen.damaged.iter().filter_map(|number| Some(source.pack(*number).ok()?.name));
    let bad = bad.collect();
    let remarks = problem::of_manifest(manifest);
    let report = DrillReport {
        incomplete: problem::is_incomplete(&remarks),
        remarks,
        snapshot: snapshot.to_owned(),
        snapshot_at: time(manifest.local_time_ms),
        files: seen.files,
        bytes: seen.bytes,
        databases: seen.databases,
        failed: std::mem::take(&mut seen.failed).into_values().collect(),
        warnings,
        ..DrillReport::default()
    };
    Ok((report, bad))
}

/// What was found on the disk.
#[derive(Default)]
struct Seen {
    cancel: CancellationToken,
    files: u64,
    bytes: u64,
    databases: u64,
    failed: BTreeMap<usize, FileProblem>,
    damaged: BTreeSet<u32>,
}

impl Seen {
    fn read(&mut self, index: usize, path: &Path, entry: &Entry) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let database = entry.flags.has(EntryFlags::DATABASE);
        let same = hash(path).and_then(|found| {
            let other = || Error::damaged(entry.path.escaped(), "it came back as something else");
            (found == entry.sha256).then_some(()).ok_or_else(other)
        });
        match same.and_then(|()| if database { sqlite::check(path) } else { Ok(()) }) {
            Ok(()) => {
                self.files += 1;
                self.bytes += entry.size;
                self.databases += u64::from(database);
            }
            Err(error) => {
                self.failed.insert(index, FileProblem::new(entry.path.to_string(), &error));
            }
        }
        Ok(())
    }
}

fn hash(path: &Path) -> Result<[u8; 32]> {
    let failed = |error| Error::io("read", path, error);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let (mut hash, mut buffer) = (ContentHash::default(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hash.finish()),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// Checks that a restore of `bytes` leaves some room on the disk. Where that cannot be asked, the restore itself tells.
#[cfg(unix)]
fn has_room_for(folder: &Path, bytes: u64) -> Result<()> {
    let disk = rustix::fs::statvfs(folder)
        .map_err(|error| Error::io("look at the disk of", folder, error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < bytes.saturating_add(SPARE_BYTES) {
        return Err(Error::DiskFull {
            action: "restore for a trial, and leave some room, in",
            path: folder.to_owned(),
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn has_room_for(_folder: &Path, _bytes: u64) -> Result<()> {
    Ok(())
}
