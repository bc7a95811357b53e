//! Who writes where: the machine's lineage, the repository's key, and what the bucket says about both.

use std::sync::Arc;
use std::time::SystemTime;

use super::repository::{self, Listed, Open};
use crate::ambient::{Clock, Entropy};
use crate::crypto::RepoKey;
use crate::engine::head::is_there;
use crate::engine::session::Session;
use crate::engine::slots;
use crate::error::{Error, Result};
use crate::format::{MachineId, SnapshotId, SnapshotName};
use crate::local::{Local, LocalRepository, LockFile, Newest, Pruning, RepositoryRecord, Spool};
use crate::store::ObjectStore;

/// Everything a push writes with.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) machine: MachineId,
    pub(super) key: RepoKey,
    pub(super) record: RepositoryRecord,
    /// Whether the record says what the bucket has now.
    fresh: bool,
    pub(super) local: LocalRepository,
    pub(super) spool: Spool,
    /// The newest manifest that is certainly in the bucket; what it names is known.
    pub(super) base: Option<Newest>,
    /// What the lineage goes on from, even where its newest manifest was lost.
    pub(super) lineage: Option<Newest>,
    /// What was pruned lately.
    pub(super) pruning: Pruning,
    /// When the bucket was last listed.
    pub(super) listed_at: SystemTime,
    pub(super) warnings: Vec<String>,
}

/// Snapshots of `machine` in a listing.
fn own(names: &[SnapshotName], machine: MachineId) -> impl Iterator<Item = &SnapshotId> {
    names.iter().filter_map(move |name| match name {
        SnapshotName::Current(id) if id.machine == machine => Some(id),
        _ => None,
    })
}

/// A snapshot of `machine` in a listing which this machine neither wrote, nor was about to write, nor deleted: the
/// machine was cloned.
fn foreign<'n>(
    names: &'n [SnapshotName],
    machine: MachineId,
    lineage: Option<&Newest>,
    waiting: Option<&Newest>,
    pruning: &Pruning,
) -> Option<&'n SnapshotId> {
    own(names, machine).find(|id| {
        let id = id.to_string();
        !(lineage.is_some_and(|newest| newest.written.contains(&id))
            || waiting.is_some_and(|waiting| waiting.snapshot == id)
            || pruning.knows(&id))
    })
}

/// Whether all snapshots of `machine` in a listing are its own after all: it made them while `encrypt` was the other
/// way, and remembers that.
fn were_switched(session: &Session, names: &[SnapshotName], machine: MachineId) -> Result<bool> {
    let other = session.local_repository(!session.settings.encrypt);
    let lineage = other.newest()?;
    let waiting = Spool::view(&other).captured()?.map(|captured| captured.newest);
    let pruning = other.pruning()?;
    Ok(foreign(names, machine, lineage.as_ref(), waiting.as_ref(), &pruning).is_none())
}

/// What the user is told where another machine goes on with this lineage.
pub(super) fn copied(what: &str) -> String {
    format!(
        "the bucket holds {what} which this machine did not make: the state was copied to another machine, or its \
         local folder was restored, or a new machine took over from this one. All go on safely: this one continues as \
         a new machine"
    )
}

/// What is wrong with a bucket that shows nothing and in which this machine has stored snapshots: most likely it is another
/// disk, or none, at the same place. A listing may be stale, so the newest is asked for by name.
async fn emptied(session: &Session) -> Result<Option<Error>> {
    for sealed in [true, false] {
        let Some(newest) = session.local_repository(sealed).newest()? else { continue };
        let id = SnapshotId::try_from(newest.snapshot.as_str())?;
        if is_there(&*session.store, &id).await? {
            return Ok(None);
        }
        let folder = session.settings.store.folder()?;
        let place = folder.as_ref().map_or_else(
            || format!("the bucket {}", session.settings.store.bucket),
            |folder| format!("the folder {}", folder.display()),
        );
        let (state, ask) = match folder {
            Some(folder) if !folder.is_dir() => ("is gone", "Is its disk mounted?"),
            Some(_) => ("is empty", "Is its disk mounted, and is it the right one?"),
            None => {
                ("is empty below the prefix", "Are bucket and prefix right? Did somebody empty it?")
            }
        };
        let message = format!(
            "{place} {state}, but this machine stored {} snapshots there, the newest of them {id}. {ask} Nothing was \
             written. To begin anew there, run `b2-backup push --new-bucket`",
            newest.written.len()
        );
        return Ok(Some(Error::BucketEmpty { message }));
    }
    Ok(None)
}

/// What a second look at the bucket shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecondListing {
    /// Nothing that matters has changed.
    Same,
    /// The manifest that the push builds on is gone.
    BaseGone,
    /// There is a snapshot of this machine that another one made.
    Cloned,
}

impl Writer {
    /// Opens the repository for writing, making what is missing: machine id, master key, key slot.
    ///
    /// One LIST; on a machine's first push a few requests more.
    pub(super) async fn open(
        session: &Session,
        lock: Arc<LockFile>,
        new_bucket: bool,
    ) -> Result<Self> {
        let sealed = session.settings.encrypt;
        let local = session.local_repository(sealed);
        let listing = session.store.list("", true).await?;
        let listed_at = session.ambient.clock.now();
        let names: Vec<SnapshotName> = listing
            .prefixes
            .iter()
            .filter_map(|p| SnapshotName::parse(p.strip_suffix('/')?))
            .collect();
        let empty = listing.objects.is_empty() && listing.prefixes.is_empty();
        let emptied = if empty { emptied(session).await? } else { None };
        let anew = match emptied {
            Some(error) if !new_bucket => return Err(error),
            emptied => emptied.is_some(),
        };
        local.create()?;
        let spool = Spool::open(&local, lock)?;
        spool.sweep()?;
        let entropy = &*session.ambient.entropy;
        let mut warnings = Vec::new();
        if anew {
            // What was stored at this place is somewhere else, or nowhere. Should it come back, it is another machine's.
            session.local_repository(!sealed).forget_lineage()?;
            local.forget_lineage()?;
            session.local.new_machine(entropy)?;
        }

        let machine = session.local.machine()?;
        let mut lineage = local.newest()?;
        let mut waiting = spool.captured()?;
        // Packs lie below the id of their machine: what was remembered under another id (its file was lost,
        // or a clone was noticed in another bucket) is nothing that this machine can build on.
        let of_another =
            |newest: &Newest| SnapshotId::parse(&newest.snapshot).map(|id| id.machine) != machine;
        let remembered = lineage.iter().chain(waiting.as_ref().map(|captured| &captured.newest));
        if remembered.into_iter().any(of_another) {
            local.forget_lineage()?;
            spool.clear()?;
            (lineage, waiting) = (None, None);
        }
        let machine = match machine {
            None => session.local.new_machine(entropy)?,
            Some(machine) => {
                let waiting = waiting.as_ref().map(|captured| &captured.newest);
                let foreign =
                    foreign(&names, machine, lineage.as_ref(), waiting, &local.pruning()?);
                if let Some(foreign) = foreign {
                    let switched = lineage.is_none() && were_switched(session, &names, machine)?;
                    local.forget_lineage()?;
                    spool.clear()?;
                    lineage = None;
                    let new = session.local.new_machine(entropy)?;
                    warnings.push(if switched {
                        let (before, now) =
                            if sealed { ("false", "true") } else { ("true", "false") };
                        format!(
                            "`encrypt` was {before} and is {now}: backups begin anew, as machine {new}, since the two \
                             kinds are kept apart. What was stored so far, as machine {machine}, stays as it is and \
                             can be restored; nothing prunes it any more. `b2-backup forget {machine}` deletes it, \
                             once it is not needed"
                        )
                    } else {
                        copied(&format!("snapshot {foreign} of this machine's lineage"))
                    });
                    new
                } else {
                    machine
                }
            }
        };

        let base =
            Self::find_base(&*session.store, lineage.as_ref(), &names, machine, &mut warnings)
                .await?;
        let has_keys = listing.prefixes.iter().any(|prefix| prefix == "keys/");
        let listed = Listed { names: &names, machine, has_keys };
        let Open { key, record, fresh } =
            repository::open(session, &local, listed, &mut warnings).await?;
        let pruning = local.pruning()?;
        Ok(Self {
            machine,
            key,
            record,
            fresh,
            local,
            spool,
            base,
            lineage,
            pruning,
            listed_at,
            warnings,
        })
    }

    /// Gives up what waits to be committed, and with it the lineage: a copy of this machine goes on with that.
    pub(super) fn become_another(&self, local: &Local, entropy: &dyn Entropy) -> Result<()> {
        self.local.forget_lineage()?;
        self.spool.clear()?;
        local.new_machine(entropy).map(drop)
    }

    /// The newest manifest, if the bucket still has it.
    async fn find_base(
        store: &dyn ObjectStore,
        lineage: Option<&Newest>,
        names: &[SnapshotName],
        machine: MachineId,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Newest>> {
        let Some(newest) = lineage else { return Ok(None) };
        let id = SnapshotId::try_from(newest.snapshot.as_str())?;
        if own(names, machine).any(|listed| *listed == id) || is_there(store, &id).await? {
            return Ok(Some(newest.clone()));
        }
        let older = own(names, machine).last();
        warnings.push(match older {
            Some(older) => format!(
                "the newest snapshot of this machine, {id}, is gone from the bucket, while {older} is there: the \
                 bucket was set back in time or the snapshot was deleted by hand. Everything is uploaded again"
            ),
            None => format!(
                "the snapshots of this machine are gone from the bucket (the newest was {id}). Everything is \
                 uploaded again"
            ),
        });
        Ok(None)
    }

    /// Takes note of the key slots that the bucket has now, so that the manifest to come carries these and no others.
    pub(super) async fn refresh_slots(&mut self, session: &Session) -> Result<()> {
        let RepoKey::Sealed(master) = &self.key else { return Ok(()) };
        if std::mem::replace(&mut self.fresh, true) {
            return Ok(());
        }
        slots::refresh(session, master, &mut self.record, &mut self.warnings).await?;
        repository::ensure_slot(session, &self.local, master, &mut self.record, &mut self.warnings)
            .await
    }

    /// Lists the bucket again: is the manifest that this push builds on still there, and is this still the only
    /// machine of this lineage?
    pub(super) async fn list_again(
        &mut self,
        store: &dyn ObjectStore,
        clock: &dyn Clock,
        base: Option<&str>,
    ) -> Result<SecondListing> {
        let names = crate::repo::find(store).await?;
        self.listed_at = clock.now();
        if foreign(&names, self.machine, self.lineage.as_ref(), None, &self.pruning).is_some() {
            return Ok(SecondListing::Cloned);
        }
        let Some(base) = base else { return Ok(SecondListing::Same) };
        let id = SnapshotId::try_from(base)?;
        let there = own(&names, id.machine).any(|listed| *listed == id);
        let there = there || is_there(store, &id).await?;
        Ok(if there { SecondListing::Same } else { SecondListing::BaseGone })
    }
}
