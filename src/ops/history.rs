//! History: the versions of one path over all snapshots.

use std::collections::{BTreeMap, HashMap};

use futures_util::StreamExt as _;

use super::diff::Change;
use crate::engine::aspects::{Aspect, aspects};
use crate::engine::head::read_listed;
use crate::engine::select::names;
use crate::engine::session::Session;
use crate::engine::text::{MAX_READ_BYTES, MAX_TEXT_BYTES, TextOmitted, Unshown, unified, why_not};
use crate::engine::time::time;
use crate::engine::tree::{content_of, entries, shown};
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::format::{Entry, EntryFlags, SnapshotId, SnapshotName};
use crate::progress::Phase;
use crate::repo::{PackSource, find};

/// Trees read at the same time: each may be large.
const PARALLEL: usize = 3;

/// Whose history.
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// A file or symlink below the state directory, or from `/` on.
    pub path: String,
    /// Whether to say which lines of small text files differ from one version to the next.
    pub text: bool,
    /// Whether snapshots may be used that are not authenticated.
    pub allow_unauthenticated: bool,
}

/// What a path was, from one snapshot of a machine to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathVersion {
    /// The path for people; outside the state directory with its root before it.
    pub path: String,
    /// Whose snapshots these are.
    pub machine: String,
    /// What people call that machine, as its newest snapshot that was looked at says.
    pub machine_name: Option<String>,
    /// The first snapshot that has it so.
    pub snapshot: String,
    /// When that was made, ISO 8601, by the clock of its machine.
    pub created_at: String,
    /// The last snapshot in a row that has it so.
    pub last_snapshot: String,
    /// How many snapshots in a row have it so.
    pub snapshots: u64,
    /// What became of the path. [`Change::Added`] in the first snapshot there is, too.
    pub change: Change,
    /// In what it differs from the version before.
    pub what: Vec<Aspect>,
    /// What it is; what it was where it is no more.
    pub kind: EntryKind,
    /// Bytes of content; 0 where it is no file, and where it is no more.
    pub bytes: u64,
    /// When it was last written, ISO 8601; `None` where it is no more.
    pub modified_at: Option<String>,
    /// Whether it is a database.
    pub database: bool,
    /// Hunks of a unified diff from the version before, without the lines that name the files; where text was
    /// asked for. Of the first version there is none.
    pub text: Option<String>,
    /// Why there is no text of a version whose content differs, where text was asked for.
    pub text_omitted: Option<TextOmitted>,
}

/// The versions of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryReport {
    /// By machine and path, this machine first, and the oldest version of each first.
    pub versions: Vec<PathVersion>,
    /// Snapshots that were looked at.
    pub snapshots: u64,
    /// What the user should know; snapshots that could not be looked at among it.
    pub warnings: Vec<String>,
    /// Body bytes received.
    pub downloaded_bytes: u64,
    /// Requests made.
    pub requests: u64,
}

/// Follows a path through the snapshots of each machine, from the first to the last.
///
/// A GET for each manifest, and what is needed to read its tree.
///
/// # Errors
/// `B2_CONFIG` when no snapshot has the path, or only as a directory; those of the store. A snapshot that cannot be
/// read is a warning.
pub async fn history(session: &Session, options: &HistoryOptions) -> Result<HistoryReport> {
    let mut report = session.cancellable(run(session, options)).await?;
    let traffic = session.traffic();
    report.downloaded_bytes = traffic.received_bytes;
    report.requests = traffic.requests;
    Ok(report)
}

/// What one snapshot has at the path, by the path for people.
struct Seen {
    source: PackSource,
    found: HashMap<String, Entry>,
}

async fn run(session: &Session, options: &HistoryOptions) -> Result<HistoryReport> {
    let mut report =
        HistoryReport { warnings: session.warnings.clone(), ..HistoryReport::default() };
    let ids: Vec<SnapshotId> = find(&*session.store)
        .await?
        .into_iter()
        .filter_map(|name| match name {
            SnapshotName::Current(id) => Some(id),
            SnapshotName::Legacy(_) => None,
        })
        .collect();
    let looking = ids.into_iter().map(|id| async move {
        let seen = read_version(session, &id, options).await;
        (id, seen)
    });
    let mut looking = futures_util::stream::iter(looking).buffer_unordered(PARALLEL);
    let mut lineages: BTreeMap<_, Vec<Seen>> = BTreeMap::new();
    let this_machine = session.local.machine()?;
    while let Some((id, seen)) = looking.next().await {
        match seen {
            Ok(None) => {}
            Ok(Some(seen)) => {
                let other = Some(id.machine) != this_machine;
                lineages.entry((other, id.machine.to_string())).or_default().push(seen);
                report.snapshots += 1;
                session.report(Phase::Compare, session.traffic().received_bytes, None, 0);
            }
            Err(
                error @ (Error::NotAuthenticated { .. }
                | Error::WrongKey { .. }
                | Error::Damaged { .. }
                | Error::ObjectMissing { .. }
                | Error::SnapshotNotFound { .. }
                | Error::UnsafePath { .. }
                | Error::Version { .. }),
            ) => report.warnings.push(format!("{id} is passed over: {error} ({})", error.code())),
            Err(error) => return Err(error),
        }
    }
    let mut followed = Vec::new();
    for ((_, machine), mut seen) in lineages {
        seen.sort_by_key(|seen| seen.source.snapshot().manifest.sequence);
        followed.extend(follow(&machine, &seen));
    }
    if followed.iter().all(|(version, _)| version.kind == EntryKind::Directory) {
        let path = &options.path;
        let message = if followed.is_empty() {
            format!("no snapshot that can be read has a file {path}")
        } else {
            format!("{path} is a directory; name a file of it, or compare two snapshots")
        };
        return Err(Error::config("path", message));
    }
    if options.text {
        add_text(session, &mut followed, &mut report.warnings).await?;
    }
    report.versions = followed.into_iter().map(|(version, _)| version).collect();
    Ok(report)
}

async fn read_version(
    session: &Session,
    id: &SnapshotId,
    options: &HistoryOptions,
) -> Result<Option<Seen>> {
    let Some(snapshot) = read_listed(session, id).await? else { return Ok(None) };
    let trusted = snapshot.key.is_sealed() || !session.settings.encrypt;
    if !trusted && !options.allow_unauthenticated {
        return Err(Error::NotAuthenticated { snapshot: id.to_string() });
    }
    let source = content_of(session, snapshot);
    let roots = &source.snapshot().manifest.roots;
    let found = entries(&source)
        .await?
        .into_iter()
        .filter(|entry| names(&options.path, entry, roots))
        .map(|entry| (shown(roots, entry.root, &entry.path), entry))
        .collect();
    Ok(Some(Seen { source, found }))
}

/// Where the content of a version is, and that of the one before; `None` where there is no file.
#[derive(Default)]
struct Contents {
    before: Option<(PackSource, Entry)>,
    after: Option<(PackSource, Entry)>,
}

/// The versions of each path over the snapshots of one machine, which are in their order.
fn follow(machine: &str, lineage: &[Seen]) -> Vec<(PathVersion, Contents)> {
    let mut paths: Vec<&String> = lineage.iter().flat_map(|seen| seen.found.keys()).collect();
    paths.sort();
    paths.dedup();
    let newest = lineage.last().map(|seen| &seen.source.snapshot().manifest);
    let machine_name = newest.and_then(|manifest| manifest.machine_name.clone());
    let mut versions: Vec<(PathVersion, Contents)> = Vec::new();
    for path in paths {
        let mut last: Option<(&PackSource, &Entry)> = None;
        let mut any = false;
        for seen in lineage {
            let snapshot = seen.source.snapshot();
            let now = seen.found.get(path).map(|entry| (&seen.source, entry));
            let (change, what, entry) = match (last, now) {
                (None, None) if !any => continue,
                (None, Some((_, entry))) => (Some(Change::Added), Vec::new(), Some(entry)),
                (Some((_, before)), None) => (Some(Change::Removed), Vec::new(), Some(before)),
                (Some((_, before)), Some((_, after))) => {
                    let what = aspects(before, after);
                    ((!what.is_empty()).then_some(Change::Changed), what, Some(after))
                }
                (None, None) => (None, Vec::new(), None),
            };
            any = true;
            match (change, entry) {
                (Some(change), Some(entry)) => {
                    let there = now.is_some();
                    let version = PathVersion {
                        path: path.clone(),
                        machine: machine.to_owned(),
                        machine_name: machine_name.clone(),
                        snapshot: snapshot.id.to_string(),
                        created_at: time(snapshot.manifest.local_time_ms),
                        last_snapshot: snapshot.id.to_string(),
                        snapshots: 1,
                        change,
                        what,
                        kind: entry.kind,
                        bytes: if there { entry.size } else { 0 },
                        modified_at: there.then(|| time(entry.mtime_ns.div_euclid(1_000_000))),
                        database: entry.flags.has(EntryFlags::DATABASE),
                        text: None,
                        text_omitted: None,
                    };
                    let owned = |side: Option<(&PackSource, &Entry)>| {
                        side.map(|(source, entry)| (source.clone(), entry.clone()))
                    };
                    let contents = Contents { before: owned(last), after: owned(now) };
                    versions.push((version, contents));
                }
                _ => {
                    if let Some((version, _)) = versions.last_mut() {
                        version.last_snapshot = snapshot.id.to_string();
                        version.snapshots += 1;
                    }
                }
            }
            last = now;
        }
    }
    versions
}

/// Adds text to the versions, the newest first: what there is no room for is old.
async fn add_text(
    session: &Session,
    versions: &mut [(PathVersion, Contents)],
    warnings: &mut Vec<String>,
) -> Result<()> {
    let unshown = Unshown::of(session).await?;
    let (mut read_bytes, mut text_bytes) = (0u64, 0usize);
    for (version, contents) in versions.iter_mut().rev() {
        let Contents { before, after } = contents;
        let content = version.what.is_empty() || version.what.contains(&Aspect::Content);
        let sides = || before.iter().chain(after.iter());
        let plain = sides().all(|(_, entry)| entry.kind == EntryKind::File);
        // Of the first version every line would be new, which says nothing.
        if !content || !plain || before.is_none() {
            continue;
        }
        let size: u64 = sides().map(|(_, entry)| entry.size).sum();
        let with_roots = sides().map(|(source, entry)| {
            (source.snapshot().manifest.roots.get(usize::from(entry.root)), entry)
        });
        let with_roots: Vec<_> = with_roots.collect();
        let omitted = why_not(&with_roots, &unshown)
            .or((read_bytes + size > MAX_READ_BYTES).then_some(TextOmitted::Limit));
        if omitted.is_some() {
            version.text_omitted = omitted;
            continue;
        }
        read_bytes += size;
        let old = content_at(before.as_ref(), warnings).await?;
        let new = content_at(after.as_ref(), warnings).await?;
        let text = match (old, new) {
            (Some(old), Some(new)) => session.ring.cpu().run(move || unified(&old, &new)).await?,
            _ => Err(TextOmitted::Unreadable),
        };
        match text {
            Ok(text) if text_bytes + text.len() > MAX_TEXT_BYTES => {
                version.text_omitted = Some(TextOmitted::Limit);
            }
            Ok(text) => {
                text_bytes += text.len();
                version.text = Some(text);
            }
            Err(why) => version.text_omitted = Some(why),
        }
    }
    Ok(())
}

/// The content of a side; that of no file is empty. `None` where it cannot be read, which is then a warning.
async fn content_at(
    side: Option<&(PackSource, Entry)>,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<u8>>> {
    let Some((source, entry)) = side else { return Ok(Some(Vec::new())) };
    let (mut contents, problems) = source.contents(&[entry]).await?;
    warnings.extend(problems.iter().map(|error| format!("{error} ({})", error.code())));
    Ok(contents.pop().flatten())
}
