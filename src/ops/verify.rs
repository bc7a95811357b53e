//! Verify: is what the bucket holds complete, and is every byte of it what was written?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};

use super::session::Session;
use super::tree::entries;
use crate::crypto::ChunkIds;
use crate::error::{Error, Result};
use crate::format::{
    ChunkId, Entry, HEADER_BYTES, KeySlot, MAX_SLOT_BYTES, MachineId, PackName, PackRef,
    RepositoryId, SnapshotName, pack_prefix,
};
use crate::progress::Phase;
use crate::repo::{PackIndex, PackSource, Regions, Snapshot, find, read};
use crate::store::ObjectKey;

/// Packs looked at at the same time.
const PARALLEL: usize = 3;
/// So many affected paths are named for each problem.
const MAX_PATHS: usize = 200;

/// How to verify.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// Fetch and open every frame, and compare each chunk with its id; else only structure.
    pub read_data: bool,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyProblem {
    /// The object.
    pub object: String,
    /// A stable code.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
    /// Snapshots that it harms.
    pub snapshots: Vec<String>,
    /// Files that it costs, at most 200.
    pub paths: Vec<String>,
}

/// What was verified.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Snapshots looked at.
    pub snapshots: u64,
    /// Packs looked at.
    pub packs: u64,
    /// Bytes of those packs.
    pub bytes: u64,
    /// What is wrong; empty when all is well.
    pub problems: Vec<VerifyProblem>,
    /// Requests made.
    pub requests: u64,
    /// Body bytes received.
    pub downloaded_bytes: u64,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

/// A pack and what is wrong with it.
#[derive(Debug, Default)]
struct Checked {
    index: Option<PackIndex>,
    error: Option<Error>,
    /// Frames that do not open.
    bad_frames: BTreeSet<usize>,
}

/// Checks every snapshot of every machine that can be opened. Damage is a finding, not an error.
///
/// # Errors
/// Those of the store, when it cannot be listed or reached.
pub async fn verify(session: &Session, options: VerifyOptions) -> Result<VerifyReport> {
    let started = Instant::now();
    let mut report = session.cancellable(run(session, options)).await?;
    let traffic = session.traffic();
    report.requests = traffic.requests;
    report.downloaded_bytes = traffic.received_bytes;
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// Whether an error is about what is stored, and not about reaching it.
fn is_finding(error: &Error) -> bool {
    matches!(
        error,
        Error::Damaged { .. }
            | Error::ObjectMissing { .. }
            | Error::SnapshotNotFound { .. }
            | Error::WrongKey { .. }
            | Error::Version { .. }
            | Error::UnsafePath { .. }
    )
}

/// The object that is at fault: of a snapshot whose tree cannot be read it is often a pack.
fn object_of(error: &Error) -> Option<&str> {
    match error {
        Error::Damaged { object, .. }
        | Error::ObjectMissing { object }
        | Error::Version { object, .. } => Some(object),
        _ => None,
    }
}

async fn run(session: &Session, options: VerifyOptions) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let mut opened: Vec<(PackSource, Vec<Entry>)> = Vec::new();
    let mut unreadable: Vec<VerifyProblem> = Vec::new();
    for name in find(&*session.store).await? {
        let SnapshotName::Current(id) = name else { continue };
        report.snapshots += 1;
        let mut unreadable_by = |error: &Error| {
            unreadable.push(VerifyProblem {
                object: object_of(error).map_or_else(|| id.object(), ToOwned::to_owned),
                code: error.code(),
                message: error.to_string(),
                snapshots: vec![id.to_string()],
                paths: vec![],
            });
        };
        let snapshot = match read(&*session.store, &session.ring, &id).await {
            Ok(snapshot) => Arc::new(snapshot),
            Err(error) if is_finding(&error) => {
                unreadable_by(&error);
                continue;
            }
            Err(error) => return Err(error),
        };
        // Without local memory: what is verified is the bucket.
        let source = PackSource::new(Arc::clone(&session.store), snapshot, None);
        match entries(&source).await {
            Ok(entries) => opened.push((source, entries)),
            Err(error) if is_finding(&error) => {
                unreadable_by(&error);
                // Its packs are looked at all the same: more than one may be damaged.
                opened.push((source, vec![]));
            }
            Err(error) => return Err(error),
        }
    }
    check_slots(session, &opened, &mut report).await?;
    let packs = check_packs(session, &opened, options, &mut report).await?;
    report.problems.extend(consequences(unreadable, &opened, &packs));
    Ok(report)
}

/// Checks that the key slots can be read, and that each sealed repository has one. Without them its snapshots
/// still open, by the copies in their manifests, but a new machine would not find the key to go on with.
async fn check_slots(
    session: &Session,
    opened: &[(PackSource, Vec<Entry>)],
    report: &mut VerifyReport,
) -> Result<()> {
    let sealed = opened
        .iter()
        .map(|(source, _)| source.snapshot())
        .filter(|snapshot| snapshot.key.is_sealed());
    let mut without: BTreeSet<RepositoryId> = sealed.map(|snapshot| snapshot.repository).collect();
    if without.is_empty() {
        return Ok(());
    }
    let problem = |object: String, error: &Error| VerifyProblem {
        object,
        code: error.code(),
        message: error.to_string(),
        ..VerifyProblem::default()
    };
    for object in session.store.list("keys/", false).await?.objects {
        let read = match ObjectKey::new(object.key.as_str()) {
            Ok(key) => session.store.get(&key, MAX_SLOT_BYTES as u64).await,
            Err(_) => continue,
        };
        let slot = read.and_then(|bytes| {
            KeySlot::decode(&bytes).map_err(|malformed| malformed.of(&object.key))
        });
        match slot {
            Ok(slot) => drop(without.remove(&slot.repository())),
            Err(error @ Error::Network { .. }) => return Err(error),
            Err(error) => report.problems.push(problem(object.key, &error)),
        }
    }
    for repository in without {
        let object = format!("keys/ of repository {repository}");
        let error = Error::ObjectMissing { object: object.clone() };
        report.problems.push(problem(object, &error));
    }
    Ok(())
}

type Packs = HashMap<(MachineId, PackName), Checked>;

async fn check_packs(
    session: &Session,
    opened: &[(PackSource, Vec<Entry>)],
    options: VerifyOptions,
    report: &mut VerifyReport,
) -> Result<Packs> {
    let mut wanted: BTreeMap<(MachineId, PackName), (PackRef, &PackSource)> = BTreeMap::new();
    for (source, _) in opened {
        for pack in &source.snapshot().manifest.packs {
            wanted.entry((source.snapshot().id.machine, pack.name)).or_insert((*pack, source));
        }
    }
    let mut sizes: HashMap<String, u64> = HashMap::new();
    let machines: BTreeSet<MachineId> = wanted.keys().map(|(machine, _)| *machine).collect();
    for machine in machines {
        let objects = session.store.list(&pack_prefix(machine), false).await?.objects;
        sizes.extend(objects.into_iter().map(|object| (object.key, object.size)));
    }
    let total: u64 = wanted.values().map(|(pack, _)| pack.bytes).sum();
    // Boxed: the compiler cannot see through closures over borrowed sources that these are `Send`.
    let checks: Vec<BoxFuture<'_, Result<_>>> = wanted
        .into_iter()
        .map(|(name, (pack, source))| {
            let size = sizes.get(&name.1.object(name.0)).copied();
            async move {
                Ok((name, pack.bytes, check_pack(session, source, &pack, size, options).await?))
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
        session.report(Phase::Verify, report.bytes, Some(total), report.packs);
        packs.insert(name, checked);
    }
    Ok(packs)
}

async fn check_pack(
    session: &Session,
    source: &PackSource,
    pack: &PackRef,
    size: Option<u64>,
    options: VerifyOptions,
) -> Result<Checked> {
    let object = pack.name.object(source.snapshot().id.machine);
    if size.is_some_and(|size| size != pack.bytes) {
        let message =
            format!("is {} bytes long instead of {}", size.unwrap_or_default(), pack.bytes);
        return Ok(Checked { error: Some(Error::damaged(object, message)), ..Checked::default() });
    }
    // A pack that is not listed is asked for all the same: a listing may be stale.
    let (index, regions) =
        match source.index(pack, if options.read_data { pack.bytes } else { 0 }).await {
            Ok(opened) => opened,
            Err(error) if is_finding(&error) => {
                return Ok(Checked { error: Some(error), ..Checked::default() });
            }
            Err(error) => return Err(error),
        };
    if !options.read_data {
        return Ok(Checked { index: Some(index), ..Checked::default() });
    }
    let ids = source.snapshot().key.chunk_ids(&source.snapshot().repository.0);
    session.ring.cpu().run(move || check_frames(index, &regions, &ids, &object)).await
}

/// Opens every frame and compares every chunk with its id.
fn check_frames(index: PackIndex, regions: &Regions, ids: &ChunkIds, object: &str) -> Checked {
    let mut bad_frames = BTreeSet::new();
    for frame in 0..index.footer().frames.len() {
        let good = index.frame(frame).and_then(|(offset, first, entry)| {
            let stored = regions.slice(offset, u64::from(entry.stored_bytes))?;
            let plain = index.open_frame(frame, &stored).ok()?;
            let chunks =
                usize::try_from(first).ok()?..usize::try_from(first + entry.chunks).ok()?;
            let expected = index.footer().chunk_ids.get(chunks)?;
            let mut rest = plain.as_slice();
            for (length, id) in index.chunk_lengths(first, entry.chunks)?.iter().zip(expected) {
                let (chunk, after) = rest.split_at_checked(usize::try_from(*length).ok()?)?;
                (ChunkId(ids.of(chunk)) == *id).then_some(())?;
                rest = after;
            }
            Some(())
        });
        if good.is_none() {
            bad_frames.insert(frame);
        }
    }
    // The header is not needed for reading (the footer has a copy), so it is compared here.
    let header_differs =
        regions.slice(0, HEADER_BYTES as u64).is_some_and(|header| !index.has_header(&header));
    let error = if !bad_frames.is_empty() {
        Some(Error::damaged(
            object,
            format!(
                "{} of its {} frames do not open",
                bad_frames.len(),
                index.footer().frames.len()
            ),
        ))
    } else if header_differs {
        Some(Error::damaged(object, "its header was changed; all content can still be read"))
    } else {
        None
    };
    Checked { index: Some(index), error, bad_frames }
}

/// Which snapshots and files each damaged pack harms, and runs that do not fit their pack.
fn consequences(
    unreadable: Vec<VerifyProblem>,
    opened: &[(PackSource, Vec<Entry>)],
    packs: &Packs,
) -> Vec<VerifyProblem> {
    let mut problems: BTreeMap<String, VerifyProblem> = BTreeMap::new();
    // A pack that holds a part of the tree of several snapshots is one problem.
    for problem in unreadable {
        match problems.get_mut(&problem.object) {
            Some(known) => known.snapshots.extend(problem.snapshots),
            None => drop(problems.insert(problem.object.clone(), problem)),
        }
    }
    for ((machine, name), checked) in packs {
        if let Some(error) = &checked.error {
            let object = name.object(*machine);
            let problem = VerifyProblem {
                object: object.clone(),
                code: error.code(),
                message: error.to_string(),
                ..VerifyProblem::default()
            };
            problems.entry(object).or_insert(problem);
        }
    }
    for (source, entries) in opened {
        let snapshot: &Snapshot = source.snapshot();
        for entry in entries {
            for run in &entry.runs {
                let Ok(pack) = source.pack(run.pack) else {
                    note(
                        &mut problems,
                        snapshot.id.object(),
                        "names a pack that is not in its table",
                        snapshot,
                        entry,
                    );
                    continue;
                };
                let Some(checked) = packs.get(&(snapshot.id.machine, pack.name)) else { continue };
                let object = pack.name.object(snapshot.id.machine);
                let Some(index) = &checked.index else {
                    note(&mut problems, object, "cannot be read", snapshot, entry);
                    continue;
                };
                let lengths = index.chunk_lengths(run.first, run.count);
                if lengths.map(|all| all.iter().map(|l| u64::from(*l)).sum()) != Some(run.bytes) {
                    note(
                        &mut problems,
                        object,
                        "does not hold the chunks that the tree names",
                        snapshot,
                        entry,
                    );
                } else if index
                    .frames_of(&[*run])
                    .iter()
                    .any(|frame| checked.bad_frames.contains(frame))
                {
                    note(&mut problems, object, "is damaged", snapshot, entry);
                }
            }
        }
    }
    problems.into_values().collect()
}

fn note(
    problems: &mut BTreeMap<String, VerifyProblem>,
    object: String,
    message: &str,
    snapshot: &Snapshot,
    entry: &Entry,
) {
    let problem = problems.entry(object.clone()).or_insert_with(|| {
        let error = Error::damaged(&object, message);
        VerifyProblem {
            code: error.code(),
            message: error.to_string(),
            object,
            ..VerifyProblem::default()
        }
    });
    let (id, path) = (snapshot.id.to_string(), entry.path.escaped());
    if !problem.snapshots.contains(&id) {
        problem.snapshots.push(id);
    }
    if problem.paths.len() < MAX_PATHS && !problem.paths.contains(&path) {
        problem.paths.push(path);
    }
}
