//! What the state looks like now, and what of it has to be read.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::assemble::problems;
use super::capture::Elsewhere;
use super::missing::{self, Before, Missing};
use super::report::PushReport;
use super::together;
use super::writer::Writer;
use crate::engine::file_cache::Memory;
use crate::engine::problem::{self, FileProblem};
use crate::engine::scan::{Scanned, by_people, refuse_open_databases, scan};
use crate::engine::session::{Session, Settings, millis};
use crate::engine::withheld::withheld;
use crate::error::Result;
use crate::format::{Entry, Manifest, MissingRecord, TreeRef};
use crate::repo::{KeyRing, Snapshot};
use crate::source::policy::Policy;
use crate::source::walk::Walk;
use crate::source::withheld::Withheld;
use crate::source::{EntryKind, Found, Root};

/// The state as it is now.
#[derive(Debug)]
pub(in crate::ops) struct Scan {
    pub(in crate::ops) roots: Vec<Root>,
    pub(in crate::ops) walk: Walk,
    pub(in crate::ops) skipped: Vec<FileProblem>,
    pub(in crate::ops) warnings: Vec<String>,
    /// The settings that decide what belongs to a snapshot, as bytes to compare.
    pub(super) policy: Vec<u8>,
    /// What the snapshot must not hold.
    pub(super) withheld: Arc<Withheld>,
    /// When it began by the clock of this machine, nanoseconds since 1970.
    pub(super) began_ns: i64,
    /// The newest manifest and what was remembered with it.
    pub(super) base: Option<(Manifest, Arc<Memory>)>,
    /// What is missing as a whole.
    pub(super) missing: Vec<MissingRecord>,
    /// Whether there is a new snapshot even where nothing changed: a pack of the base was found to be damaged, and what
    /// it held is stored again; or something else is missing than before.
    pub(super) anew: bool,
    /// Whether a pack of the base was found to be damaged.
    pub(super) harmed: bool,
    /// What is read from somewhere else than its place.
    pub(super) elsewhere: Elsewhere,
    /// Whether it is of the time of the newest snapshot: what is in its places by now says nothing.
    pub(super) turned_back: bool,
    /// What belongs in a snapshot, and places of file systems that do not answer: for another look.
    pub(super) rules: (Policy, Arc<[PathBuf]>),
}

impl Scan {
    /// `accepted` are directories that are gone or empty, and right so.
    pub(super) async fn take(
        session: &Session,
        writer: &Writer,
        accepted: &[String],
    ) -> Result<Self> {
        let began_ns = millis(session.ambient.clock.now()).saturating_mul(1_000_000);
        let mut scanned = scan(session, false).await?;
        refuse_open_databases(&scanned.roots, &scanned.walk)?;
        let settings = session.settings.clone();
        let withheld = Session::blocking(move || withheld(&settings)).await?;
        // Even where the newest manifest was lost, what it says of the state still holds.
        let newest = writer.base.as_ref().or(writer.lineage.as_ref());
        let previous = match newest {
            None => None,
            Some(newest) => Self::base(&session.ring, writer, newest).await?,
        };
        let missing = match (&previous, newest) {
            (Some((manifest, memory)), Some(newest)) => {
                let before = Before { id: &newest.snapshot, manifest, memory };
                missing::compare(before, &scanned, accepted)
            }
            _ => Missing::default(),
        };
        let known = previous.iter().flat_map(|(manifest, _)| &manifest.missing).flatten();
        let anew = !known.eq(&missing.records);
        let base = previous.filter(|_| writer.base.is_some());
        scanned.skipped.extend(missing.problems);
        scanned.warnings.extend(missing.warnings);
        scanned.skipped.append(&mut scanned.plain);
        let Scanned { roots, mut walk, skipped, warnings, policy: rules, hanging, .. } = scanned;
        let skipped = by_people(&roots, skipped);
        if let Some((_, memory)) = &base {
            together::keep_known_logs(&mut walk, memory);
        }
        let policy = policy_bytes(&session.settings, withheld.print());
        let bad = writer.local.proof()?.unwrap_or_default().bad;
        let harmed = base.as_ref().is_some_and(|(manifest, _): &(Manifest, _)| {
            manifest.packs.iter().any(|pack| bad.contains(&pack.name))
        });
        let anew = anew || harmed;
        let missing = missing.records;
        let withheld = Arc::new(withheld);
        let elsewhere = Elsewhere::new();
        Ok(Self {
            roots,
            walk,
            skipped,
            warnings,
            policy,
            withheld,
            began_ns,
            base,
            missing,
            anew,
            harmed,
            elsewhere,
            turned_back: false,
            rules: (rules, hanging),
        })
    }

    /// The newest manifest from local memory. One that does not open here (another key, damage) is no base:
    /// everything is uploaded again, which is always safe.
    async fn base(
        ring: &KeyRing,
        writer: &Writer,
        newest: &crate::local::Newest,
    ) -> Result<Option<(Manifest, Arc<Memory>)>> {
        let id = crate::format::SnapshotId::try_from(newest.snapshot.as_str())?;
        let object = bytes::Bytes::from(newest.object.clone());
        let Ok(snapshot) = Snapshot::open(ring, &id, &object).await else {
            return Ok(None);
        };
        if snapshot.repository != writer.record.repository || snapshot.sha256 != newest.sha256 {
            return Ok(None);
        }
        let memory =
            writer.local.files()?.and_then(|bytes| Memory::decode(&bytes, &newest.snapshot));
        Ok(Some((snapshot.manifest, Arc::new(memory.unwrap_or_default()))))
    }
}

/// With the print of our secrets: a file that did not change may hold the new one.
fn policy_bytes(settings: &Settings, secrets: [u8; 4]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let Settings { include, exclude, include_secrets, encrypt, .. } = settings;
    let parts = (include, exclude, include_secrets, encrypt, secrets, version);
    format!("{parts:?}").into_bytes()
}

/// What to do with each entry of the walk.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Unchanged since the newest snapshot.
    pub(super) same: Vec<(usize, Entry)>,
    /// To be read, in this order.
    pub(super) read: Vec<usize>,
    /// Bytes to be read.
    pub(super) read_bytes: u64,
    /// Whether anything at all is different.
    pub(super) any: bool,
    /// What is known to be wrong before anything is read.
    problems: Vec<FileProblem>,
}

impl Changes {
    pub(super) fn between(scan: &Scan, cancel: &CancellationToken, writer: &Writer) -> Self {
        let memory = scan.base.as_ref().filter(|_| writer.base.is_some()).map(|(_, memory)| memory);
        let memory =
            memory.filter(|memory| memory.policy == scan.policy && memory.same_roots(&scan.roots));
        let mut changes = Self::default();
        for (index, found) in scan.walk.found.iter().enumerate() {
            let unchanged = |memory: &'_ Arc<Memory>| {
                let entry = if scan.turned_back {
                    memory.seems_unchanged(found.root, found)
                } else {
                    memory.unchanged(found)
                };
                entry.cloned()
            };
            match memory.and_then(unchanged) {
                Some(entry) => changes.same.push((index, entry)),
                None => {
                    changes.read.push(index);
                    if found.kind == EntryKind::File {
                        changes.read_bytes += found.fingerprint.size + found.fingerprint.log.0;
                    }
                }
            }
        }
        // A directory's time changes with every temporary file in it: that alone is no change.
        let counts = |index: &usize| {
            let Some(found) = scan.walk.found.get(*index) else { return true };
            let before = memory.and_then(|memory| memory.entry(found));
            found.kind != EntryKind::Directory
                || before.is_none_or(|entry| entry.kind != found.kind || entry.mode != found.mode)
        };
        changes.any = memory.is_none_or(|memory| {
            memory.len() != scan.walk.found.len() || changes.read.iter().any(counts)
        });
        changes.any |= scan.anew;
        // What the manifest says about files has to be what is so now.
        changes.problems =
            problems(&scan.skipped, changes.same.iter().map(|(_, entry)| entry), &scan.roots);
        changes.any |= scan
            .base
            .as_ref()
            .is_none_or(|(manifest, _)| !problem::same(&changes.problems, &manifest.remarks));
        // Databases first, so that all of them are of nearly one moment; then what only they refer to (cold
        // transcripts are written after their row); then the rest.
        changes.read.sort_by_key(|index| scan.walk.found.get(*index).map(order));
        tracing::debug!(
            read = changes.read.len(),
            same = changes.same.len(),
            cancel = cancel.is_cancelled(),
            "compared"
        );
        changes
    }

    /// Reads again what is unchanged but lies in a pack that cannot be used.
    pub(super) fn read_lost(&mut self, found: &[Found], usable: impl Fn(&Entry) -> bool) {
        let (same, lost): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.same).into_iter().partition(|(_, entry)| usable(entry));
        self.same = same;
        self.read_bytes += lost.iter().map(|(_, entry)| entry.size).sum::<u64>();
        self.read.extend(lost.iter().map(|(index, _)| *index));
        self.read.sort_by_key(|index| found.get(*index).map(order));
    }

    /// Whether there is nothing new.
    pub(super) const fn none(&self, scan: &Scan) -> bool {
        !self.any && scan.base.is_some()
    }

    /// The report of a push that did not have to read anything.
    pub(super) fn report(self, scan: &Scan, writer: &mut Writer) -> PushReport {
        let counts = scan.base.as_ref().map(|(manifest, _)| manifest.counts).unwrap_or_default();
        unchanged(counts.files, counts.bytes, self.problems, scan, writer)
    }

    /// Where the tree of the newest snapshot is.
    pub(super) fn old_tree(scan: &Scan) -> Option<&TreeRef> {
        scan.base.as_ref().and_then(|(_, memory)| memory.tree.as_ref())
    }
}

/// The report of a push that found nothing new.
pub(super) fn unchanged(
    files: u64,
    bytes: u64,
    skipped: Vec<FileProblem>,
    scan: &Scan,
    writer: &mut Writer,
) -> PushReport {
    let warnings = writer.warnings.drain(..).chain(scan.warnings.iter().cloned()).collect();
    PushReport { files, bytes, skipped, warnings, ..PushReport::default() }
}

fn order(found: &Found) -> u8 {
    if found.database_name {
        return 0;
    }
    let cold = found.path.as_bytes().windows(15).any(|part| part == b"/sessions/cold/");
    if cold { 1 } else { 2 }
}
