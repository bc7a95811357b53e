//! Plan: what a push would take, and what not, and why (`push --dry-run --list`).

use std::collections::BTreeMap;

use crate::engine::file_cache::Memory;
use crate::engine::problem::FileProblem;
use crate::engine::roots::shown_here;
use crate::engine::scan::{Scanned, by_people, scan};
use crate::engine::session::Session;
use crate::error::Result;
use crate::source::EntryKind;

/// A path of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanEntry {
    /// The path for people; outside the state directory with its root before it.
    pub path: String,
    /// Whether it belongs in a snapshot.
    pub included: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Size in bytes; 0 for what is left out or is no file.
    pub bytes: u64,
    /// Whether it has to be read because it may have changed.
    pub changed: bool,
}

/// What a push would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanReport {
    /// Files that belong in a snapshot.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that have to be read.
    pub changed_files: u64,
    /// Their bytes.
    pub changed_bytes: u64,
    /// Every path, sorted.
    pub entries: Vec<PlanEntry>,
    /// What could not be looked at.
    pub skipped: Vec<FileProblem>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Walks the state and compares it with local memory. Opens no file, makes no request, writes nothing.
///
/// # Errors
/// `B2_CONFIG` and those of the file system.
pub async fn plan(session: &Session) -> Result<PlanReport> {
    let Scanned { roots, walk, mut skipped, plain, warnings, .. } =
        session.cancellable(scan(session, true)).await?;
    skipped.extend(plain);
    let local = session.local_repository(session.settings.encrypt);
    let memory = Memory::load(&local)?;
    let warnings = session.warnings.iter().cloned().chain(warnings).collect();
    let skipped = by_people(&roots, skipped);
    let mut report = PlanReport { skipped, warnings, ..PlanReport::default() };
    let shown = |root: u16, path: &crate::entry::RelPath| shown_here(&roots, root, path);
    let mut entries = BTreeMap::new();
    for found in &walk.found {
        let changed =
            memory.as_ref().and_then(|memory| memory.seems_unchanged(found.root, found)).is_none();
        let bytes = if found.kind == EntryKind::File { found.fingerprint.size } else { 0 };
        if found.kind == EntryKind::File {
            report.files += 1;
            report.bytes += bytes;
            if changed {
                report.changed_files += 1;
                report.changed_bytes += bytes;
            }
        }
        let path = shown(found.root, &found.path);
        let entry = PlanEntry { path: path.clone(), included: true, reason: None, bytes, changed };
        entries.insert((found.root, path), entry);
    }
    for excluded in &walk.excluded {
        let path = shown(excluded.root, &excluded.path);
        let reason = Some(excluded.reason.to_owned());
        let entry =
            PlanEntry { path: path.clone(), included: false, reason, bytes: 0, changed: false };
        entries.insert((excluded.root, path), entry);
    }
    report.entries = entries.into_values().collect();
    Ok(report)
}
