//! What the bucket holds of this machine's lineage, read completely and checked before anything is decided.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::retention::Candidate;
use crate::engine::head::is_there;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::format::{MachineId, PackName, SnapshotId, SnapshotName};
use crate::local::{LocalRepository, Newest, Pruning, Spool};
use crate::repo::{KeyRing, Snapshot, find, read};
use crate::store::ObjectStore;

/// Manifests read at the same time.
const PARALLEL: usize = 6;

/// A manifest in the bucket, as far as pruning needs it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: SnapshotId,
    pub(super) sequence: u64,
    pub(super) server_ms: i64,
    pub(super) packs: Vec<PackName>,
    /// Version of the host that it was made under, where known.
    pub(super) host: Option<String>,
    /// Snapshots that alone have what was missing as a whole when this one was made.
    pub(super) last_with: Vec<String>,
}

impl Held {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            id: snapshot.id.clone(),
            sequence: snapshot.manifest.sequence,
            server_ms: snapshot.manifest.server_time_ms,
            host: snapshot.manifest.host_version.clone(),
            packs: snapshot.manifest.packs.iter().map(|pack| pack.name).collect(),
            last_with: snapshot
                .manifest
                .missing
                .iter()
                .flatten()
                .map(|missing| missing.snapshot.clone())
                .collect(),
        }
    }

    /// For retention; `hosts` are the versions that were met already.
    pub(super) fn candidate<'h>(&'h self, hosts: &mut Vec<&'h str>) -> Candidate {
        let host = self.host.as_deref().map(|host| {
            hosts.iter().position(|met| *met == host).unwrap_or_else(|| {
                hosts.push(host);
                hosts.len() - 1
            })
        });
        let (sequence, server_ms) = (self.sequence, self.server_ms);
        Candidate { sequence, server_ms, safety: self.id.safety, host }
    }
}

/// The lineage, and what this machine remembers of it.
#[derive(Debug)]
pub(super) struct Lineage {
    pub(super) machine: MachineId,
    pub(super) local: LocalRepository,
    pub(super) newest: Newest,
    pub(super) pruning: Pruning,
    /// Every manifest there is, by rising number.
    pub(super) held: Vec<Held>,
    /// Manifests that were deleted, and are there all the same.
    pub(super) returned: Vec<Held>,
    /// Snapshots that were deleted by somebody else.
    pub(super) missing: Vec<SnapshotId>,
    /// Snapshots that were found gone before, and are back.
    pub(super) back: Vec<String>,
    /// Snapshots that a prune deleted which was cut off.
    pub(super) settled: Vec<SnapshotId>,
    /// Packs of a push that was interrupted.
    pub(super) spooled: HashSet<PackName>,
    /// Snapshots of other machines, and of format 1.
    pub(super) others: u64,
    /// The server's time, milliseconds since 1970. Of two readings the earlier: a local clock that jumps between
    /// an answer and its reading must not make anything older than it is.
    pub(super) now_ms: i64,
}

fn stopped(message: impl Into<String>) -> Error {
    Error::PruneStopped { message: message.into() }
}

impl Lineage {
    /// Lists the bucket and reads every manifest of this machine. `None` where it has made no snapshot here.
    ///
    /// # Errors
    /// `B2_PRUNE_STOPPED` for everything that must not be so; those of the store.
    pub(super) async fn read(session: &Session) -> Result<Option<Self>> {
        let sealed = session.settings.encrypt;
        let local = session.local_repository(sealed);
        let Some(machine) = session.local.machine()? else { return Ok(None) };
        let Some(newest) = local.newest()? else { return Ok(None) };
        let newest_id = SnapshotId::try_from(newest.snapshot.as_str())?;
        if newest_id.machine != machine {
            // Of this state under another machine id: that lineage is not ours any more.
            return Ok(None);
        }
        let pruning = local.pruning()?;
        let spool = Spool::view(&local);
        let waiting = spool.captured()?;

        let names = find(&*session.store).await?;
        let listed_ms = session.server_now_ms();
        let (own, others): (Vec<_>, Vec<_>) = names
            .into_iter()
            .partition(|name| matches!(name, SnapshotName::Current(id) if id.machine == machine));
        let mut listed = HashSet::new();
        let (mut returned, mut back) = (Vec::new(), Vec::new());
        for name in own {
            let SnapshotName::Current(id) = name else { continue };
            let text = id.to_string();
            let waits = waiting.as_ref().is_some_and(|captured| captured.newest.snapshot == text);
            if newest.written.contains(&text) || waits {
                listed.insert(id);
            } else if pruning.has_lost(&text) {
                back.push(id);
            } else if pruning.has_pruned(&text) {
                returned.push(id);
            } else {
                return Err(stopped(format!(
                    "the bucket holds snapshot {id} of this machine, which this machine did not make: its state was \
                     copied to another machine. The next push makes this one a machine of its own"
                )));
            }
        }
        if !listed.contains(&newest_id) {
            return Err(unlisted(&*session.store, &newest_id).await?);
        }

        let mut asked: Vec<(SnapshotId, Shown)> =
            listed.iter().cloned().map(|id| (id, Shown::Listed)).collect();
        for text in &newest.written {
            let id = SnapshotId::try_from(text.as_str())?;
            if !listed.contains(&id) {
                // A listing may be stale: only a name that is asked for and not there is gone.
                asked.push((id, Shown::Remembered));
            }
        }
        asked.extend(returned.into_iter().map(|id| (id, Shown::Returned)));
        asked.extend(back.into_iter().map(|id| (id, Shown::Back)));
        let reading = asked.into_iter().map(|(id, shown)| async move {
            let snapshot = manifest(&*session.store, &session.ring, &id, shown, sealed).await?;
            Ok::<_, Error>((id, shown, snapshot))
        });
        let answers: Vec<_> =
            futures_util::stream::iter(reading).buffered(PARALLEL).try_collect().await?;

        let mut lineage = Self {
            machine,
            spooled: spooled(&session.ring, &spool).await?,
            local,
            pruning,
            held: Vec::new(),
            returned: Vec::new(),
            missing: Vec::new(),
            settled: Vec::new(),
            back: Vec::new(),
            others: others.len() as u64,
            now_ms: listed_ms.min(session.server_now_ms()),
            newest,
        };
        for (id, shown, snapshot) in answers {
            match (snapshot, shown) {
                (Some(snapshot), Shown::Returned) => lineage.returned.push(Held::of(&snapshot)),
                (Some(snapshot), _) => {
                    if id == newest_id && snapshot.sha256 != lineage.newest.sha256 {
                        return Err(stopped(format!(
                            "the newest snapshot of this machine, {id}, is not the one that it made"
                        )));
                    }
                    if shown == Shown::Back {
                        lineage.back.push(id.to_string());
                    }
                    lineage.held.push(Held::of(&snapshot));
                }
                (None, Shown::Remembered) => {
                    let pruned = lineage.pruning.has_pruned(&id.to_string());
                    if pruned { &mut lineage.settled } else { &mut lineage.missing }.push(id);
                }
                (None, _) => {}
            }
        }
        lineage.held.sort_by(|a, b| (a.sequence, &a.id).cmp(&(b.sequence, &b.id)));
        Ok(Some(lineage))
    }

    /// The newest manifest: what the next push builds on.
    pub(super) fn newest_id(&self) -> &str {
        &self.newest.snapshot
    }
}

/// Why pruning stops where the newest snapshot is not listed: what else such a listing hides, nobody knows.
async fn unlisted(store: &dyn ObjectStore, newest: &SnapshotId) -> Result<Error> {
    Ok(stopped(if is_there(store, newest).await? {
        format!(
            "the bucket's listing is old: it does not show {newest}, the newest snapshot of this machine, which is \
             there. Try again later"
        )
    } else {
        format!(
            "the newest snapshot of this machine, {newest}, is not in the bucket: it was deleted by hand, or the \
             bucket was set back. Try again after the next push"
        )
    }))
}

/// Why a manifest is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Listed,
    /// Not listed, but this machine wrote it and did not delete it.
    Remembered,
    /// Listed, although it was deleted.
    Returned,
    /// Listed, although it was found gone.
    Back,
}

/// Reads one manifest; `None` when it is not there, where that is no surprise.
async fn manifest(
    store: &dyn ObjectStore,
    ring: &KeyRing,
    id: &SnapshotId,
    shown: Shown,
    sealed: bool,
) -> Result<Option<Snapshot>> {
    match read(store, ring, id).await {
        Ok(snapshot) if snapshot.key.is_sealed() == sealed => Ok(Some(snapshot)),
        Ok(_) => Err(stopped(format!(
            "snapshot {id} is {}encrypted, unlike what this machine wrote",
            if sealed { "not " } else { "" }
        ))),
        Err(Error::SnapshotNotFound { .. }) if shown != Shown::Listed => Ok(None),
        Err(Error::SnapshotNotFound { .. }) => Err(stopped(format!(
            "snapshot {id} is in the bucket's listing, and not in the bucket: the listing is old. Try again later"
        ))),
        Err(error @ (Error::WrongKey { .. } | Error::Damaged { .. } | Error::Version { .. })) => {
            Err(stopped(format!(
                "snapshot {id} cannot be read, so what it needs is not known: {error} ({})",
                error.code()
            )))
        }
        Err(error) => Err(error),
    }
}

/// Packs of an interrupted push: in the spool, or named by the snapshot that waits there.
async fn spooled(ring: &KeyRing, spool: &Spool) -> Result<HashSet<PackName>> {
    let mut names: HashSet<PackName> =
        spool.packs()?.into_iter().map(|(pack, _)| pack.name).collect();
    if let Some(captured) = spool.captured()? {
        names.extend(captured.packs);
        let id = SnapshotId::try_from(captured.newest.snapshot.as_str())?;
        let object = Bytes::from(captured.newest.object);
        let snapshot = Snapshot::open(ring, &id, &object).await?;
        names.extend(snapshot.manifest.packs.iter().map(|pack| pack.name));
    }
    Ok(names)
}
