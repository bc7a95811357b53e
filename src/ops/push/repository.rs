//! The repository that a machine writes to: the one it remembers, else one of the bucket that opens, else a new one.

use std::collections::HashSet;

use bytes::Bytes;

use crate::ambient::random;
use crate::crypto::{MasterKey, RepoKey};
use crate::engine::session::Session;
use crate::engine::slots;
use crate::error::{Error, Result};
use crate::format::{
    Header, KeySlot, MAX_MANIFEST_BYTES, MachineId, Manifest, ObjectKind, RepositoryId, SecretKind,
    SnapshotId, SnapshotName,
};
use crate::local::{LocalRepository, Proof, RepositoryRecord, SlotRecord};
use crate::repo::{KeyRing, slot_names, stored_slots};
use crate::store::ObjectKey;

/// So many manifests are looked at for a key that `keys/` does not give.
const MANIFESTS: usize = 8;

/// What the bucket's first listing says that matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed<'l> {
    pub(super) names: &'l [SnapshotName],
    pub(super) machine: MachineId,
    /// Whether there is anything below `keys/`.
    pub(super) has_keys: bool,
}

/// A repository to write to.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) key: RepoKey,
    pub(super) record: RepositoryRecord,
    /// Whether the record says what the bucket has now.
    pub(super) fresh: bool,
}

/// The key and record of the repository that this machine writes to, with a slot for the secret in use.
pub(super) async fn open(
    session: &Session,
    local: &LocalRepository,
    listed: Listed<'_>,
    warnings: &mut Vec<String>,
) -> Result<Open> {
    let entropy = &*session.ambient.entropy;
    if !session.settings.encrypt {
        let record = match local.record()? {
            Some(record) => record,
            None => {
                let record = RepositoryRecord::new(RepositoryId(random(entropy)?));
                local.save_record(&record)?;
                record
            }
        };
        return Ok(Open { key: RepoKey::Plain, record, fresh: true });
    }
    preferred(&session.ring)?;
    let (master, mut record, fresh) = match (local.key()?, local.record()?) {
        (Some(master), Some(mut record)) => {
            let lost = !listed.has_keys;
            if lost {
                // The bucket lost its slots, or is another one under the same name.
                slots::refresh(session, &master, &mut record, warnings).await?;
            }
            (master, record, lost)
        }
        (kept, _) => {
            let found = match in_keys(session, listed.has_keys).await? {
                (Some(found), _) => Some(found),
                (None, stored) => {
                    let found = in_manifests(session, listed, kept.as_ref()).await?;
                    let opens_here = |slot: &KeySlot| session.ring.is_of_here(slot);
                    let copied = stored.iter().find(|slot| !opens_here(slot));
                    if found.is_none() && stored.iter().any(opens_here) {
                        warnings.push(LOCKED.to_owned());
                    }
                    if let Some(prefix) =
                        copied.and_then(KeySlot::prefix).filter(|_| found.is_none())
                    {
                        warnings.push(copied_from(prefix));
                    }
                    found
                }
            };
            // Among what was found may be slots that were removed.
            let fresh = found.is_none();
            let (master, record) = match found {
                Some(found) => found,
                None => (
                    MasterKey::new(random(entropy)?),
                    RepositoryRecord::new(RepositoryId(random(entropy)?)),
                ),
            };
            // Kept before it is used: a snapshot must never depend on a key that was only in memory.
            local.save_key(&master)?;
            local.save_record(&record)?;
            (master, record, fresh)
        }
    };
    session.ring.add(record.repository, master.clone());
    ensure_slot(session, local, &master, &mut record, warnings).await?;
    Ok(Open { key: RepoKey::Sealed(master), record, fresh })
}

/// Said once: a mistyped passphrase gets its slot as a new one does, and only the owner knows which it is.
fn opens_too(kind: SecretKind) -> String {
    let what = if kind == SecretKind::Passphrase { "passphrase" } else { "application key" };
    format!(
        "the {what} in the configuration is a new one. It opens these backups from now on. What opened them before \
         still does: `b2-backup key list` shows it, `b2-backup key remove` takes it away"
    )
}

const LOCKED: &str = "the bucket holds backups that the secrets of this configuration do not open. They open with the \
     application key that was in use when they were made, or with their passphrase or recovery code. This machine \
     backs up under a key of its own; `b2-backup key add --unlock` makes the others open here, too";

fn copied_from(prefix: &str) -> String {
    format!(
        "the bucket holds backups that were made for the prefix {prefix} and copied here: they do not open unasked. \
         This machine backs up under a key of its own. Where you moved them here yourself, \
         `b2-backup key add --moved-from {prefix}` makes them open"
    )
}

/// The secret that new slots are made with.
fn preferred(ring: &KeyRing) -> Result<(SecretKind, &crate::secret::Secret)> {
    ring.secrets().preferred().ok_or_else(|| {
        Error::config(
            "passphrase",
            "encryption needs a secret: set `passphrase` (or `applicationKey`), or `encrypt: false`",
        )
    })
}

type Found = Option<(MasterKey, RepositoryRecord)>;

/// Looks for a repository among the key slots of the bucket, and gives the slots where none opens. A recovery code
/// comes last: where the machine's own secret opens one, that is its own.
async fn in_keys(session: &Session, has_keys: bool) -> Result<(Found, Vec<KeySlot>)> {
    if !has_keys {
        return Ok((None, vec![]));
    }
    let (stored, unreadable) = stored_slots(&*session.store).await?;
    for recovery in [false, true] {
        let candidates: Vec<KeySlot> = stored
            .iter()
            .map(|stored| stored.slot.clone())
            .filter(|slot| (slot.kind() == SecretKind::Recovery) == recovery)
            .collect();
        let mut seen = HashSet::new();
        let repositories = candidates.iter().map(KeySlot::repository);
        for repository in repositories.filter(|repository| seen.insert(*repository)) {
            let opened = session.ring.unlock(repository, true, &candidates).await?;
            let Some(RepoKey::Sealed(master)) = opened else { continue };
            let record =
                slots::record_of(session, repository, &master, &stored, unreadable).await?;
            return Ok((Some((master, record)), vec![]));
        }
    }
    Ok((None, stored.into_iter().map(|stored| stored.slot).collect()))
}

/// Looks for a repository among the newest manifests, which hold the slots of their time: by their slots, where
/// `keys/` was lost, or by the key that is still kept here, where only the name of its repository was lost.
async fn in_manifests(
    session: &Session,
    listed: Listed<'_>,
    kept: Option<&MasterKey>,
) -> Result<Found> {
    let mut ids: Vec<&SnapshotId> = listed
        .names
        .iter()
        .filter_map(|name| match name {
            SnapshotName::Current(id) => Some(id),
            SnapshotName::Legacy(_) => None,
        })
        .collect();
    ids.sort_by_key(|id| std::cmp::Reverse((id.machine == listed.machine, id.seconds())));
    for id in ids.into_iter().take(MANIFESTS) {
        let object =
            match session.store.get(&ObjectKey::new(id.object())?, MAX_MANIFEST_BYTES).await {
                Ok(object) => object,
                Err(error) if error.is_retryable() => return Err(error),
                Err(_) => continue,
            };
        if let Some(found) = in_manifest(session, &object, kept).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn in_manifest(session: &Session, object: &Bytes, kept: Option<&MasterKey>) -> Result<Found> {
    let Ok((header, slots, ..)) = Manifest::split(object) else { return Ok(None) };
    if !header.sealed {
        return Ok(None);
    }
    if let Some(master) = kept.filter(|master| is_key_of(master, &header)) {
        return Ok(Some((master.clone(), RepositoryRecord::new(header.repository))));
    }
    let opened = session.ring.unlock(header.repository, true, &slots).await?;
    let Some(RepoKey::Sealed(master)) = opened else { return Ok(None) };
    let mut record = RepositoryRecord::new(header.repository);
    // The one that opened goes back to `keys/`. Others may have been removed.
    for slot in &slots {
        let check = slots::check(session, slot, &master).await?;
        if check != [0; 32] {
            let (name, bytes) = (slots::new_name(&*session.ambient.entropy)?, slot.encode());
            record.slots.push(SlotRecord { name, check, bytes, stored: false });
        }
    }
    Ok(Some((master, record)))
}

fn is_key_of(master: &MasterKey, header: &Header) -> bool {
    let label = ObjectKind::Manifest.label();
    let key = RepoKey::Sealed(master.clone());
    key.object(label, &header.repository.0, &header.salt).1 == header.commitment
}

/// Makes sure that the secret in use opens the repository: a new or rotated one gets its slot here.
pub(super) async fn ensure_slot(
    session: &Session,
    local: &LocalRepository,
    master: &MasterKey,
    record: &mut RepositoryRecord,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let (kind, secret) = preferred(&session.ring)?;
    let check = master.secret_check(secret.expose());
    let bound = |slot: &SlotRecord| {
        KeySlot::decode(&slot.bytes).is_ok_and(|slot| slots::is_bound(&session.settings, &slot))
    };
    // One of format 2, or of a prefix that was moved, does not do.
    if !record.slots.iter().any(|slot| slot.check == check && bound(slot)) {
        let known = record.slots.iter().any(|slot| slot.check == check);
        let of = (record.repository, master);
        let slot = slots::make(session, of, (kind, secret), known).await?;
        if !known && !record.slots.is_empty() {
            warnings.push(opens_too(kind));
        }
        record.slots.push(slot);
        local.save_record(record)?;
    }
    let bad = local.proof()?.unwrap_or_default().bad_slots;
    if !bad.is_empty() {
        // Gone meanwhile: removed on another machine, and nobody's memory brings it back.
        let there = slot_names(&*session.store).await?.slots;
        let damaged = |slot: &&mut SlotRecord| bad.contains(&slot.name) && slot.is_verified();
        for slot in record.slots.iter_mut().filter(damaged) {
            slot.stored &= !there.contains(&slot.name);
        }
    }
    for slot in record.slots.iter_mut().filter(|slot| !slot.stored) {
        slots::put(&*session.store, slot).await?;
    }
    local.save_record(record)?;
    if !bad.is_empty() {
        let proof = local.proof()?.unwrap_or_default();
        local.save_proof(&Proof { bad_slots: vec![], ..proof })?;
    }
    Ok(())
}
