//! Restore: a snapshot, or a part of it, into a fresh directory.

mod legacy;
mod report;

pub use report::{RestoreOptions, RestoreReport};

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::engine::problem::{self, FileProblem};
use crate::engine::roots::{in_place_of_links, put_in_place};
use crate::engine::scan::judge_target;
use crate::engine::select::{Selection, nothing_at};
use crate::engine::session::Session;
use crate::engine::tree::{entries, source, without_logs};
use crate::engine::unpack::fetch;
use crate::engine::unpack::target::{Target, refused};
use crate::engine::unpack::work::Work;
use crate::entry::EntryKind;
use crate::error::Result;
use crate::format::SnapshotName;

/// Restores into a fresh directory. Every byte is checked: seals, chunk lengths, and the hash of each file. Of a
/// snapshot of the original plugin, what can be found is restored.
///
/// # Errors
/// `B2_TARGET_NOT_EMPTY`, `B2_CONFIG` for a place where nothing may be restored to, `B2_SNAPSHOT_NOT_FOUND`, `B2_WRONG_KEY`, `B2_NOT_AUTHENTICATED`, `B2_UNSAFE_PATH`,
/// `B2_DAMAGED` when manifest or tree are, and those of the store and the file system. Damage of a pack
/// costs the files in it, which are in the report, and no others.
pub async fn restore(session: &Session, options: &RestoreOptions) -> Result<RestoreReport> {
    let started = Instant::now();
    let paths = Selection::new(&options.paths)?;
    let place = judge_target(session, &options.to).await?;
    let target = Arc::new(Target::open(&options.to, Arc::clone(&session.ambient.steps))?);
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
    report.warnings.extend(place);
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
    if let Some(SnapshotName::Legacy(name)) = SnapshotName::parse(&options.snapshot) {
        return legacy::run(session, options, &name, paths, target).await;
    }
    let (source, mut warnings) =
        source(session, &options.snapshot, options.allow_unauthenticated).await?;
    warnings.splice(0..0, session.warnings.iter().cloned());
    let (all, logs) = without_logs(entries(&source).await?);
    warnings.extend(logs);
    let whole = options.paths.is_empty();
    let roots = &source.snapshot().manifest.roots;
    let places = in_place_of_links(roots, &all, |_| true);
    let id = source.snapshot().id.to_string();
    if !whole && !all.iter().any(|entry| paths.wants_entry(entry, roots)) {
        return Err(nothing_at("--path", &id, &options.paths, &all, roots));
    }
    let chosen = put_in_place(paths.choose(all, roots), roots, &places);
    let work = Arc::new(Work::new(&session.ambient.cancel, chosen, Arc::clone(target), &source));
    fetch(session, &source, &work, whole).await?;

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
    let manifest = &source.snapshot().manifest;
    let remarks = paths.concerned(problem::of_manifest(manifest), &manifest.roots);
    Ok(RestoreReport {
        snapshot: id,
        incomplete: problem::is_incomplete(&remarks),
        remarks,
        files: count,
        bytes,
        failed: failed.into_iter().chain(refused(target.refused())).collect(),
        roots: target.describe(&source.snapshot().manifest.roots, &places),
        warnings,
        ..RestoreReport::default()
    })
}
