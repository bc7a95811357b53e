//! Key slots: made, put into the bucket, and taken note of when the bucket has others than this machine remembers.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;

use super::session::{Session, millis};
use super::time::time;
use crate::ambient::{Entropy, random};
use crate::crypto::MasterKey;
use crate::engine::session::Settings;
use crate::error::{Error, Result};
use crate::format::{KeySlot, PackName, RepositoryId, SecretKind};
use crate::local::{RepositoryRecord, SlotRecord};
use crate::repo::{
    MAX_TRIES, SlotNames, SlotObject, StoredSlot, is_removed, read_slots, slot_names, slot_object,
};
use crate::secret::{Secret, Weakness};
use crate::store::{ObjectInfo, ObjectStore};

/// So many key slots of other machines are looked at.
const UNSEEN: usize = 32;

/// Seals the master key of a repository under a secret. The slot still has to be put into the bucket. `known` says
/// whether the secret opens the repository already: then it makes nothing weaker.
///
/// # Errors
/// `B2_WEAK_PASSPHRASE`, `B2_INTERNAL`.
pub(crate) async fn make(
    session: &Session,
    (repository, master): (RepositoryId, &MasterKey),
    (kind, secret): (SecretKind, &Secret),
    known: bool,
) -> Result<SlotRecord> {
    let estimated =
        kind == SecretKind::Passphrase && !known && !session.settings.allows_weak_passphrase();
    if let Some(weakness) = estimated.then(|| Weakness::of(secret)).flatten() {
        return Err(Error::WeakPassphrase { message: weakness.to_string() });
    }
    let salt = random(&*session.ambient.entropy)?;
    let created = millis(session.ambient.clock.now()) / 1000;
    let (sealing, text) = (master.clone(), secret.clone());
    let prefix = session.settings.store.prefix.clone();
    let of =
        move || KeySlot::seal(&sealing, (repository, &prefix), text.expose(), kind, salt, created);
    let slot = session
        .ring
        .cpu()
        .run(of)
        .await?
        .ok_or_else(|| Error::internal("a key slot cannot be made"))?;
    Ok(SlotRecord {
        name: new_name(&*session.ambient.entropy)?,
        check: master.secret_check(secret.expose()),
        bytes: slot.encode(),
        stored: false,
    })
}

/// A name that no slot has had.
pub(crate) fn new_name(entropy: &dyn Entropy) -> Result<String> {
    Ok(PackName(random(entropy)?).to_string())
}

/// Whether a slot is bound to the prefix of this session. Others are of format 2, or open here by the user's word.
pub(crate) fn is_bound(settings: &Settings, slot: &KeySlot) -> bool {
    slot.prefix() == Some(&settings.store.prefix)
}

/// Puts a slot into the bucket.
pub(crate) async fn put(store: &dyn ObjectStore, slot: &mut SlotRecord) -> Result<()> {
    store.put(&slot_object(&slot.name)?, Bytes::from(slot.bytes.clone())).await?;
    slot.stored = true;
    Ok(())
}

/// How a slot is named to people: the start of its name.
pub(crate) fn short(name: &str) -> &str {
    name.get(..8).unwrap_or(name)
}

/// "recovery code of 2026-02-19"
pub(crate) fn in_words(slot: &KeySlot) -> String {
    let date = time(slot.created().saturating_mul(1000));
    format!("{} of {}", slot.kind().title(), date.get(..10).unwrap_or_default())
}

/// What the bucket has of a repository, as a machine remembers it that finds it. `stored` has the newest last.
pub(crate) async fn record_of(
    session: &Session,
    repository: RepositoryId,
    master: &MasterKey,
    stored: &[StoredSlot],
    unreadable: Vec<String>,
) -> Result<RepositoryRecord> {
    let mut record = RepositoryRecord { others: unreadable, ..RepositoryRecord::new(repository) };
    let mut left = MAX_TRIES;
    for StoredSlot { name, slot, bytes } in stored.iter().rev() {
        if slot.repository() != repository {
            record.others.push(name.clone());
            continue;
        }
        let tried = left > 0 && session.ring.secrets().of_kind(slot.kind()).is_some();
        left -= usize::from(tried);
        let check = if tried { check(session, slot, master).await? } else { [0; 32] };
        let (name, bytes) = (name.clone(), bytes.to_vec());
        record.slots.push(SlotRecord { name, check, bytes, stored: true });
    }
    record.slots.reverse();
    Ok(record)
}

/// The secret check of the secret that opens a slot; zeros where none here does.
pub(crate) async fn check(
    session: &Session,
    slot: &KeySlot,
    master: &MasterKey,
) -> Result<[u8; 32]> {
    let opens = session.ring.opens(slot).await? == Some(true);
    let secret = session.ring.secrets().of_kind(slot.kind()).filter(|_| opens);
    Ok(secret.map_or([0; 32], |secret| master.secret_check(secret.expose())))
}

/// Takes note of the slots that the bucket has now: new ones of other machines, and those that are gone. One LIST,
/// a GET for each name that was not seen before, and one for the removal of each slot that is there or remembered.
///
/// A slot whose removal was sealed with the key is forgotten, so that no later manifest brings it back. Whoever may
/// write to the bucket can delete a slot, but not seal a removal: what is gone without one is to be put again.
pub(crate) async fn refresh(
    session: &Session,
    master: &MasterKey,
    record: &mut RepositoryRecord,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let (store, of) = (&*session.store, (record.repository, master));
    let SlotNames { slots: listed, removed: said } = slot_names(store).await?;
    let names: HashSet<String> = listed.into_iter().collect();
    let mut removed: HashSet<String> = HashSet::new();
    // Nothing depends on one that is gone and not remembered here.
    let matters =
        |name: &String| names.contains(name) || record.slots.iter().any(|slot| slot.name == *name);
    for name in said.into_iter().filter(|name| matters(name) && !record.others.contains(name)) {
        if is_removed(store, of, &name).await? {
            removed.insert(name);
        }
    }
    let mut gone: HashSet<String> = HashSet::new();
    for slot in record.slots.iter().filter(|slot| slot.stored && !names.contains(&slot.name)) {
        // Listings may be stale.
        let there = store.get_range(&slot_object(&slot.name)?, 0, 1).await;
        if matches!(there, Err(Error::ObjectMissing { .. })) && !removed.contains(&slot.name) {
            gone.insert(slot.name.clone());
            if is_removed(store, of, &slot.name).await? {
                removed.insert(slot.name.clone());
            }
        }
    }
    let known: HashSet<&String> =
        record.slots.iter().map(|slot| &slot.name).chain(&record.others).collect();
    let is_new = |name: &&String| !known.contains(name) && !removed.contains(*name);
    let mut new: Vec<String> = names.iter().filter(is_new).cloned().collect();
    new.sort();
    record.others.retain(|name| names.contains(name));
    for object in read_slots(store, new).await? {
        match object {
            SlotObject::Slot(found) if found.slot.repository() == record.repository => {
                let (name, bytes) = (found.name, found.bytes.to_vec());
                record.slots.push(SlotRecord { name, check: [0; 32], bytes, stored: true });
            }
            SlotObject::Slot(other) => record.others.push(other.name),
            SlotObject::Unreadable(name) => record.others.push(name),
            SlotObject::Gone(_) => {}
        }
    }
    // Of those that were never seen to open, anybody can have made any number.
    let carried: HashSet<Vec<u8>> = record.for_manifest().into_iter().collect();
    record.slots.retain_mut(|slot| {
        let (was_removed, is_gone) = (removed.contains(&slot.name), gone.contains(&slot.name));
        let stays = !was_removed && (!is_gone || carried.contains(&slot.bytes));
        slot.stored &= !is_gone;
        let words = KeySlot::decode(&slot.bytes).map_or_else(|_| String::new(), |s| in_words(&s));
        if was_removed {
            warnings.push(format!(
                "a key slot was removed ({words}), on another machine, or here and its removal was cut off: snapshots from \
                 now on do not open with it"
            ));
        } else if is_gone && stays {
            warnings.push(format!(
                "a key slot was deleted from the bucket by somebody who does not have the key ({words}): it was put \
                 back. To remove one, use `b2-backup key remove`"
            ));
        }
        stays
    });
    // What is removed and still there, or there again, is none of this repository's any more.
    removed.retain(|name| names.contains(name) && !record.others.contains(name));
    record.others.extend(removed);
    Ok(())
}

/// The kinds of the key slots that this machine's repository has in the bucket.
pub(crate) async fn opens_with(
    session: &Session,
    objects: &[ObjectInfo],
) -> Result<Vec<&'static str>> {
    let record = session.local_repository(true).record()?.filter(|_| session.settings.encrypt);
    let Some(record) = record else { return Ok(vec![]) };
    let mut kinds = BTreeSet::new();
    let mut unseen = Vec::new();
    // One that was made for another prefix opens nothing here unasked.
    let here = |slot: &KeySlot| is_bound(&session.settings, slot) || slot.prefix().is_none();
    for name in objects.iter().filter_map(|object| object.key.strip_prefix("keys/")) {
        match record.slots.iter().find(|slot| slot.name == name) {
            Some(slot) => {
                let slot = KeySlot::decode(&slot.bytes).ok().filter(here);
                kinds.extend(slot.map(|slot| slot.kind().name()));
            }
            None if record.others.iter().any(|other| other == name) => {}
            None if PackName::parse(name).is_some() => unseen.push(name.to_owned()),
            None => {}
        }
    }
    unseen.truncate(UNSEEN);
    for object in read_slots(&*session.store, unseen).await? {
        if let SlotObject::Slot(StoredSlot { slot, .. }) = object
            && slot.repository() == record.repository
            && here(&slot)
        {
            kinds.insert(slot.kind().name());
        }
    }
    Ok(kinds.into_iter().collect())
}
