//! Verify: is what the bucket holds complete, and is every byte of it what was written?

mod check;
mod consequences;
mod report;
mod sample;
mod turns;

pub use report::{Reading, VerifyOptions, VerifyProblem, VerifyReport};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};

use crate::engine::head::{Unlisted, read_listed};
use crate::engine::session::Session;
use crate::engine::tree::entries;
use crate::error::{Error, Result};
use crate::format::{
    Entry, KeySlot, MAX_SLOT_BYTES, MachineId, PackName, PackRef, RepositoryId, SnapshotId,
    SnapshotName, pack_prefix, removed_slot,
};
use crate::progress::Phase;
use crate::repo::{PackSource, find};
use crate::store::{ObjectInfo, ObjectKey};

use check::{Checked, Packs, check_pack, is_finding};
use consequences::consequences;

/// Packs looked at at the same time.
const PARALLEL: usize = 3;

/// Checks every snapshot of every machine that can be opened. Damage is a finding, not an error.
///
/// # Errors
/// Those of the store, when it cannot be listed or reached. Those of the file system, when all is well and that cannot
/// be noted.
pub async fn verify(session: &Session, options: VerifyOptions) -> Result<VerifyReport> {
    let started = Instant::now();
    let mut report = session.cancellable(run(session, options)).await?;
    let traffic = session.traffic();
    report.requests = traffic.requests;
    report.downloaded_bytes = traffic.received_bytes;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

async fn run(session: &Session, options: VerifyOptions) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let this_machine = session.local.machine()?;
    let own = matches!(options.reading, Reading::Sample { .. } | Reading::Due { .. });
    let only = own.then_some(this_machine).flatten();
    let mut opened: Vec<(PackSource, Vec<Entry>)> = Vec::new();
    let mut unreadable: Vec<VerifyProblem> = Vec::new();
    let mut names = find(&*session.store).await?;
    let unlisted = Unlisted::find_all(session, &names).await?;
    for gone in &unlisted.gone {
        unreadable.push(VerifyProblem {
            object: gone.id.object(),
            code: Error::ObjectMissing { object: gone.id.object() }.code(),
            message: gone.to_string(),
            snapshots: vec![gone.id.to_string()],
            paths: vec![],
        });
    }
    unlisted.complete(&mut names, &mut Vec::new());
    for name in names {
        let SnapshotName::Current(id) = name else { continue };
        if only.is_some_and(|only| only != id.machine) {
            continue;
        }
        let mut unreadable_by = |error: &Error| {
            unreadable.push(VerifyProblem {
                object: error.object().map_or_else(|| id.object(), ToOwned::to_owned),
                code: error.code(),
                message: error.to_string(),
                snapshots: vec![id.to_string()],
                paths: vec![],
            });
        };
        let snapshot = match read_listed(session, &id).await {
            Ok(Some(snapshot)) => Arc::new(snapshot),
            Ok(None) => continue,
            Err(error) if is_finding(&error) => {
                report.snapshots += 1;
                unreadable_by(&error);
                continue;
            }
            Err(error) => return Err(error),
        };
        report.snapshots += 1;
        // Without local memory: what is verified is the bucket.
        let source = PackSource::new(Arc::clone(&session.store), snapshot, None);
        match entries(&source).await {
            Ok(entries) => opened.push((source, entries)),
            Err(error) if is_finding(&error) => {
                if matches!(error, Error::ObjectMissing { .. })
                    && matches!(read_listed(session, &id).await, Ok(None))
                {
                    report.snapshots -= 1;
                    continue;
                }
                unreadable_by(&error);
                // Its packs are looked at all the same: more than one may be damaged.
                opened.push((source, vec![]));
            }
            Err(error) => return Err(error),
        }
    }
    let bad_slots = check_slots(session, &opened, &mut report).await?;
    // What was once there says nothing about what is.
    let noted = this_machine.filter(|_| session.settings.store.as_of.is_none());
    let mut rotation = sample::Rotation::load(session, noted)?;
    let mut packs = check_packs(session, &opened, options, &mut rotation, &mut report).await?;
    forgive_deleted(session, &opened, &mut packs).await?;
    rotation.note(&packs, bad_slots);
    report.problems.extend(consequences(unreadable, &opened, &packs));
    match rotation.failed() {
        Some(error) if report.problems.is_empty() => Err(error),
        Some(error) => {
            tracing::warn!(%error, "what was found could not be noted");
            Ok(report)
        }
        None => Ok(report),
    }
}

/// Checks that the key slots can be read, and that each sealed repository has one. Without them its snapshots
/// still open, by the copies in their manifests, but a new machine would not find the key to go on with.
///
/// Returns those that are not what this machine remembers. Others that were changed show only when they are opened.
async fn check_slots(
    session: &Session,
    opened: &[(PackSource, Vec<Entry>)],
    report: &mut VerifyReport,
) -> Result<Vec<String>> {
    let sealed = opened
        .iter()
        .map(|(source, _)| source.snapshot())
        .filter(|snapshot| snapshot.key.is_sealed());
    let mut without: BTreeSet<RepositoryId> = sealed.map(|snapshot| snapshot.repository).collect();
    let mut bad = Vec::new();
    if without.is_empty() {
        return Ok(bad);
    }
    let remembered = session.local_repository(true).record()?;
    let problem = |object: String, error: &Error| VerifyProblem {
        object,
        code: error.code(),
        message: error.to_string(),
        ..VerifyProblem::default()
    };
    let mut looked = BTreeSet::new();
    // Twice where something is missing: slots may be replaced while this one looks.
    for last in [false, true] {
        for object in session.store.list("keys/", false).await?.objects {
            let Ok(key) = ObjectKey::new(object.key.as_str()) else { continue };
            if removed_slot(&object.key).is_some() || looked.contains(&object.key) {
                continue;
            }
            let read = session.store.get(&key, MAX_SLOT_BYTES as u64).await;
            if !last && matches!(read, Err(Error::ObjectMissing { .. })) {
                continue;
            }
            looked.insert(object.key.clone());
            let known = remembered.iter().flat_map(|record| &record.slots).find(|slot| {
                object.key.strip_prefix("keys/").is_some_and(|name| name == slot.name)
            });
            let slot = read.and_then(|bytes| {
                let slot =
                    KeySlot::decode(&bytes).map_err(|malformed| malformed.of(&object.key))?;
                match known {
                    Some(known) if known.bytes != bytes => {
                        Err(Error::damaged(&object.key, "it is not what it was"))
                    }
                    _ => Ok(slot),
                }
            });
            if let (Err(_), Some(known)) = (&slot, known) {
                bad.push(known.name.clone());
            }
            match slot {
                Ok(slot) => drop(without.remove(&slot.repository())),
                Err(error @ Error::Network { .. }) => return Err(error),
                Err(error) => report.problems.push(problem(object.key, &error)),
            }
        }
        if without.is_empty() {
            break;
        }
    }
    for repository in without {
        let object = format!("keys/ of repository {repository}");
        let error = Error::ObjectMissing { object: object.clone() };
        report.problems.push(problem(object, &error));
    }
    Ok(bad)
}

/// Forgets packs that are missing because all snapshots that name them were deleted while this one looked.
async fn forgive_deleted(
    session: &Session,
    opened: &[(PackSource, Vec<Entry>)],
    packs: &mut Packs,
) -> Result<()> {
    let missing = |checked: &Checked| matches!(checked.error, Some(Error::ObjectMissing { .. }));
    let mut stays: BTreeMap<SnapshotId, bool> = BTreeMap::new();
    for name in
        packs.iter().filter(|(_, it)| missing(it)).map(|(name, _)| *name).collect::<Vec<_>>()
    {
        let mut needed = false;
        for snapshot in opened.iter().map(|(source, _)| source.snapshot()) {
            let names_it = snapshot.manifest.packs.iter().any(|pack| pack.name == name.1);
            if snapshot.id.machine != name.0 || !names_it {
                continue;
            }
            let there = match stays.get(&snapshot.id) {
                Some(there) => *there,
                None => match read_listed(session, &snapshot.id).await {
                    Err(error) if !is_finding(&error) => return Err(error),
                    found => !matches!(found, Ok(None)),
                },
            };
            stays.insert(snapshot.id.clone(), there);
            needed |= there;
        }
        if !needed {
            packs.remove(&name);
        }
    }
    Ok(())
}

async fn check_packs(
    session: &Session,
    opened: &[(PackSource, Vec<Entry>)],
    options: VerifyOptions,
    rotation: &mut sample::Rotation,
    report: &mut VerifyReport,
) -> Result<Packs> {
    let mut wanted: BTreeMap<(MachineId, PackName), (PackRef, &PackSource)> = BTreeMap::new();
    for (source, _) in opened {
        for pack in &source.snapshot().manifest.packs {
            wanted.entry((source.snapshot().id.machine, pack.name)).or_insert((*pack, source));
        }
    }
    let mut listed: HashMap<String, ObjectInfo> = HashMap::new();
    let machines: BTreeSet<MachineId> = wanted.keys().map(|(machine, _)| *machine).collect();
    for machine in machines {
        let objects = session.store.list(&pack_prefix(machine), false).await?.objects;
        listed.extend(objects.into_iter().map(|object| (object.key.clone(), object)));
    }
    let of = |machine: MachineId, name: PackName| listed.get(&name.object(machine));
    let packs: Vec<_> = wanted
        .iter()
        .map(|((machine, name), (pack, _))| (*machine, *name, pack.bytes, of(*machine, *name)))
        .collect();
    let read = rotation.choose(options.reading, &packs);
    let total: u64 = wanted.values().map(|(pack, _)| pack.bytes).sum();
    // What is read comes first: that is remembered, should the rest be cut off.
    let mut wanted: Vec<_> = wanted.into_iter().collect();
    wanted.sort_by_key(|(name, _)| !read.contains(name));
    // Boxed: the compiler cannot see through closures over borrowed sources that these are `Send`.
    let checks: Vec<BoxFuture<'_, Result<_>>> = wanted
        .into_iter()
        .map(|(name, (pack, source))| {
            let size = of(name.0, name.1).map(|object| object.size);
            let read = read.contains(&name);
            async move {
                Ok((name, pack.bytes, check_pack(&session.ring, source, &pack, size, read).await?))
            }
            .boxed()
        })
        .collect();
    let mut checks = futures_util::stream::iter(checks).buffer_unordered(PARALLEL);
    let mut packs = Packs::new();
    while let Some(check) = checks.next().await {
        let (name, bytes, checked) = check?;
        report.packs += 1;
        report.bytes += bytes;
        report.read_bytes += if checked.read { bytes } else { 0 };
        rotation.note_read(name, &checked);
        session.report(Phase::Verify, report.bytes, Some(total), report.packs);
        packs.insert(name, checked);
        // Also where everything that was asked for is here already: whoever cuts it off waits for its end.
        if session.ambient.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
    }
    Ok(packs)
}
