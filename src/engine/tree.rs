//! Choosing a snapshot and reading its entries, with everything checked before anything is done with them.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::head::{Unlisted, read_listed};
use super::newest::Heads;
use super::problem;
use super::session::Session;
use crate::entry::{EntryKind, RelPath};
use crate::error::{Error, Result};
use crate::format::{
    Entry, EntryFlags, RootRecord, SnapshotId, SnapshotName, TreeReader, is_bounded,
};
use crate::repo::{PackSource, Snapshot, find, read};
use crate::source::logs::base_of;

/// Finds the snapshot that the user means: an id, or `latest`.
///
/// `latest` is this machine's newest by its number; on a machine without snapshots that of the machine which the server
/// says stored one last. It never takes one that is not authenticated, unless the configuration says that nothing is
/// encrypted. What is odd about the times of what is taken is told.
pub(crate) async fn choose(
    session: &Session,
    wanted: &str,
    confirmed: bool,
) -> Result<(Snapshot, Vec<String>)> {
    if wanted != "latest" {
        return named(session, wanted, confirmed).await.map(|snapshot| (snapshot, Vec::new()));
    }
    let mut names = find(&*session.store).await?;
    let mut warnings = Vec::new();
    Unlisted::find(session, &names).await?.complete(&mut names, &mut warnings);
    let this_machine = session.local.machine()?;
    let mut ids: Vec<SnapshotId> = names
        .into_iter()
        .filter_map(|name| match name {
            SnapshotName::Current(id) if !id.safety => Some(id),
            _ => None,
        })
        .collect();
    if ids.iter().any(|id| Some(id.machine) == this_machine) {
        ids.retain(|id| Some(id.machine) == this_machine);
    }
    let Some((snapshot, told)) = Heads::find(session, ids).await?.newest()? else {
        return Err(Error::SnapshotNotFound {
            snapshot: "latest".to_owned(),
            message: format!("there are no snapshots below {}", session.store.identity()),
        });
    };
    warnings.extend(told);
    Ok((snapshot, warnings))
}

/// The content of the snapshot that the user means; see [`choose`].
pub(crate) async fn source(
    session: &Session,
    wanted: &str,
    confirmed: bool,
) -> Result<(PackSource, Vec<String>)> {
    let (snapshot, mut warnings) = choose(session, wanted, confirmed).await?;
    warnings.extend(incomplete(session, wanted, &snapshot).await?);
    Ok((content_of(session, snapshot), warnings))
}

/// What to say about a snapshot that is incomplete; where it was found as `latest`, also which complete one is newest.
pub(crate) async fn incomplete(
    session: &Session,
    wanted: &str,
    snapshot: &Snapshot,
) -> Result<Option<String>> {
    let Some(lacks) = problem::lacks(&problem::of_manifest(&snapshot.manifest)) else {
        return Ok(None);
    };
    let id = &snapshot.id;
    if wanted != "latest" {
        return Ok(Some(format!("{id} is incomplete: {lacks}")));
    }
    let complete = match older_complete(session, snapshot).await? {
        Some(older) => format!("the newest complete one is {older}"),
        None => "no older one of this machine is complete".to_owned(),
    };
    Ok(Some(format!("{id} is incomplete: {lacks}; {complete}")))
}

/// Manifests read at the same time.
const PARALLEL: usize = 6;

async fn older_complete(session: &Session, than: &Snapshot) -> Result<Option<SnapshotId>> {
    let of_machine = |name| match name {
        SnapshotName::Current(id) if id.machine == than.id.machine && !id.safety => Some(id),
        _ => None,
    };
    let ids: Vec<SnapshotId> =
        find(&*session.store).await?.into_iter().filter_map(of_machine).collect();
    let reading = ids.into_iter().map(|id| async move { read_listed(session, &id).await });
    let read: Vec<_> = futures_util::stream::iter(reading).buffered(PARALLEL).collect().await;
    let mut newest: Option<(u64, SnapshotId)> = None;
    for snapshot in read {
        let snapshot = match snapshot {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => continue,
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => {
                // One that cannot be read is no advice.
                tracing::debug!(%error, "passed over");
                continue;
            }
        };
        let sequence = snapshot.manifest.sequence;
        let trusted = snapshot.key.is_sealed() || !session.settings.encrypt;
        if trusted
            && sequence < than.manifest.sequence
            && newest.as_ref().is_none_or(|(newer, _)| *newer < sequence)
            && !problem::is_incomplete(&problem::of_manifest(&snapshot.manifest))
        {
            newest = Some((sequence, snapshot.id));
        }
    }
    Ok(newest.map(|(_, id)| id))
}

/// The content of a snapshot that is open already.
pub(crate) fn content_of(session: &Session, snapshot: Snapshot) -> PackSource {
    // A cache of footers only where there is a state directory: reading never creates one.
    let local = session.local_repository(snapshot.key.is_sealed());
    let local = Some(local).filter(|local| local.dir().is_dir());
    PackSource::new(Arc::clone(&session.store), Arc::new(snapshot), local)
}

async fn named(session: &Session, wanted: &str, confirmed: bool) -> Result<Snapshot> {
    let id = match SnapshotName::parse(wanted) {
        Some(SnapshotName::Current(id)) => id,
        Some(SnapshotName::Legacy(name)) => return Err(Error::OldFormat { snapshot: name }),
        None => SnapshotId::try_from(wanted)?,
    };
    let snapshot = read(&*session.store, &session.ring, &id).await?;
    if session.settings.encrypt && !snapshot.key.is_sealed() && !confirmed {
        return Err(Error::NotAuthenticated { snapshot: id.to_string() });
    }
    Ok(snapshot)
}

/// A path for people and JSON: below the state directory as it is, below another root with that root before it.
pub(crate) fn path_for_people(other_root: Option<&[u8]>, path: &RelPath) -> String {
    match other_root {
        Some(root) => format!("{}/{path}", RelPath::from_bytes(root.to_vec())),
        None => path.to_string(),
    }
}

/// The path of something in a snapshot with these roots, for people; see [`path_for_people`].
pub(crate) fn shown(roots: &[RootRecord], root: u16, path: &RelPath) -> String {
    let other = roots.get(usize::from(root)).filter(|_| root > 0);
    path_for_people(other.map(|root| root.path.as_slice()), path)
}

/// No snapshot holds more: what a file offset can express, so that no sum of sizes can overflow.
const MAX_CONTENT_BYTES: u64 = i64::MAX.unsigned_abs();

/// Takes out the logs of captured databases, which older versions stored beside the copies that contain them and
/// which would spoil these. With what to say about it.
pub(crate) fn without_logs(mut entries: Vec<Entry>) -> (Vec<Entry>, Option<String>) {
    let databases: HashSet<(u16, RelPath)> = entries
        .iter()
        .filter(|entry| entry.flags.has(EntryFlags::DATABASE))
        .map(|entry| (entry.root, entry.path.clone()))
        .collect();
    let all = entries.len();
    entries.retain(|entry| {
        base_of(&entry.path).is_none_or(|base| !databases.contains(&(entry.root, base)))
    });
    let left = all - entries.len();
    let said = format!(
        "{left} logs of databases are left out: what is in them is in the databases already"
    );
    (entries, (left > 0).then_some(said))
}

/// All entries of a snapshot, checked: paths that stay below their root, parents that are directories, and
/// runs that add up to the size of their file.
pub(crate) async fn entries(source: &PackSource) -> Result<Vec<Entry>> {
    let bytes = source.tree().await?;
    let snapshot = source.snapshot();
    checked(&bytes, &snapshot.id.object(), snapshot.manifest.roots.len())
}

/// Reads and checks the entries of a tree with so many roots; `name` is the object for errors.
pub(crate) fn checked(bytes: &[u8], name: &str, roots: usize) -> Result<Vec<Entry>> {
    if !is_bounded(bytes) {
        return Err(Error::damaged(name, "its tree has more entries than one may have"));
    }
    let entries: Vec<Entry> =
        TreeReader::new(bytes).collect::<Result<_, _>>().map_err(|malformed| malformed.of(name))?;
    refuse_unsafe(&entries, roots)?;
    let mut total = 0u64;
    for entry in &entries {
        let runs = entry.runs.iter().try_fold(0, |sum: u64, run| sum.checked_add(run.bytes));
        let expected = if entry.kind == EntryKind::File { entry.size } else { 0 };
        total = total.saturating_add(entry.size);
        if runs != Some(expected) || total > MAX_CONTENT_BYTES {
            return Err(Error::damaged(
                name,
                format!("{} has another size than its content", entry.path),
            ));
        }
    }
    Ok(entries)
}

/// Refuses entries that must not be written: paths that leave their root, parents that are no directories.
///
/// # Errors
/// `B2_UNSAFE_PATH`
pub(crate) fn refuse_unsafe(entries: &[Entry], roots: usize) -> Result<()> {
    let no_directory: HashSet<(u16, &[u8])> = entries
        .iter()
        .filter(|entry| entry.kind != EntryKind::Directory)
        .map(|entry| (entry.root, entry.path.as_bytes()))
        .collect();
    for entry in entries {
        let path = entry.path.as_bytes();
        let refuse = |message: &str| {
            Err(Error::UnsafePath { path: entry.path.escaped(), message: message.to_owned() })
        };
        if usize::from(entry.root) >= roots {
            return refuse("it belongs to no root");
        }
        if path.contains(&0) {
            return refuse("it holds a character that no path has");
        }
        if path.split(|byte| *byte == b'/').any(|part| matches!(part, b"" | b"." | b"..")) {
            return refuse("it would leave its directory");
        }
        let ancestors = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (at, _) in ancestors {
            if no_directory.contains(&(entry.root, path.get(..at).unwrap_or_default())) {
                return refuse("something above it is not a directory");
            }
        }
        if entry.kind == EntryKind::Symlink
            && (entry.target.is_empty() || entry.target.contains(&0))
        {
            return refuse("it is a symlink to nothing that can be");
        }
    }
    Ok(())
}
