//! What there is: the slots of the bucket, and the repositories that open with what is given.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::report::{AddedKeys, KeyInfo};
use crate::crypto::MasterKey;
use crate::engine::lock::lock;
use crate::engine::session::{Session, Settings};
use crate::engine::slots::{is_bound, make, put, short};
use crate::engine::time::time;
use crate::error::{Error, Result};
use crate::format::{RepositoryId, SecretKind};
use crate::local::{LockFile, RepositoryRecord, SlotRecord};
use crate::repo::{KeyRing, MAX_TRIES, StoredSlot, stored_slots};
use crate::secret::Secret;

/// What a secret has in a repository.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Has {
    Nothing,
    /// A slot that is not bound to this prefix: of format 2, or of one that was moved.
    Unbound,
    Bound,
}

/// The slots of the bucket, and the repositories that open.
pub(super) struct Keys {
    pub(super) stored: Vec<StoredSlot>,
    pub(super) unreadable: Vec<String>,
    /// The repository that this machine writes to.
    pub(super) mine: Option<(RepositoryRecord, MasterKey)>,
    /// Keeps pushes away while something is changed.
    _lock: Option<Arc<LockFile>>,
}

impl Keys {
    /// What is there. With `wait` to change it.
    pub(super) async fn read(session: &Session, wait: Option<Duration>) -> Result<Self> {
        // A machine that only looks after the bucket has no state, and is not given one.
        let lock = match wait {
            Some(wait) if session.settings.state_dir.is_dir() => {
                Some(Arc::new(lock(session, wait).await?))
            }
            _ => None,
        };
        let local = session.local_repository(true);
        let mine = local.record()?.zip(local.key()?);
        let (stored, unreadable) = stored_slots(&*session.store).await?;
        Ok(Self { stored, unreadable, mine, _lock: lock })
    }

    /// The same, where something has to open.
    pub(super) async fn open(session: &Session, wait: Duration) -> Result<Self> {
        let keyring = Self::read(session, Some(wait)).await?;
        if keyring.stored.is_empty() && keyring.mine.is_none() {
            return Err(Error::KeySlot {
                message: "there is no encrypted backup here yet: run `b2-backup push` first"
                    .to_owned(),
            });
        }
        Ok(keyring)
    }

    /// Every repository, this machine's first, with its key where it opens.
    async fn repositories(&self, ring: &KeyRing) -> Result<Vec<(RepositoryId, Option<MasterKey>)>> {
        let mut all: Vec<(RepositoryId, Option<MasterKey>)> = Vec::new();
        all.extend(self.mine.iter().map(|(record, key)| (record.repository, Some(key.clone()))));
        let slots: Vec<_> = self.stored.iter().map(|stored| stored.slot.clone()).collect();
        let mut seen: HashSet<RepositoryId> = all.iter().map(|(id, _)| *id).collect();
        for slot in &slots {
            let repository = slot.repository();
            if seen.insert(repository) {
                ring.unlock(repository, true, &slots).await?;
                all.push((repository, ring.key(repository)));
            }
        }
        Ok(all)
    }

    pub(super) async fn add(
        &mut self,
        session: &Session,
        kind: SecretKind,
        secret: &Secret,
    ) -> Result<AddedKeys> {
        let repositories = self.repositories(&session.ring).await?;
        if repositories.iter().all(|(_, key)| key.is_none()) {
            return Err(Error::WrongKey {
                message: "none of the secrets given here opens a backup in this bucket. They open with the \
                          application key that was in use when they were made, or with their passphrase or \
                          recovery code"
                    .to_owned(),
            });
        }
        let mut added = AddedKeys { warnings: session.warnings.clone(), ..AddedKeys::default() };
        for (repository, key) in repositories {
            let Some(master) = key else {
                added.locked.push(short(&repository.to_string()).to_owned());
                continue;
            };
            let has = self
                .has(&session.settings, &session.ring, repository, &master, kind, secret)
                .await?;
            if has == Has::Bound {
                continue;
            }
            let known = has == Has::Unbound;
            let mut slot = make(session, (repository, &master), (kind, secret), known).await?;
            put(&*session.store, &mut slot).await?;
            added.slots.push(self.note(session, repository, slot)?);
        }
        Ok(added)
    }

    /// Whether a secret opens a slot of a repository already.
    async fn has(
        &self,
        settings: &Settings,
        ring: &KeyRing,
        repository: RepositoryId,
        master: &MasterKey,
        kind: SecretKind,
        secret: &Secret,
    ) -> Result<Has> {
        let check = master.secret_check(secret.expose());
        let (mut tries, mut has) = (0, Has::Nothing);
        for stored in self.stored.iter().filter(|stored| stored.slot.repository() == repository) {
            let bound = is_bound(settings, &stored.slot);
            if self.remembered(stored).is_some_and(|slot| slot.check == check) {
                has = has.max(if bound { Has::Bound } else { Has::Unbound });
                continue;
            }
            // A new recovery code opens nothing yet.
            if stored.slot.kind() != kind || kind == SecretKind::Recovery {
                continue;
            }
            let given = ring.secrets().of_kind(kind);
            let opens = if given.is_some_and(|given| given.expose() == secret.expose()) {
                ring.opens(&stored.slot).await?
            } else if self.remembered(stored).is_none() && tries < MAX_TRIES {
                // Made by another machine, or by this one, which ended before it could remember it: a second slot for
                // the same secret would go on opening everything when the first is removed.
                tries += 1;
                ring.opens_with(&stored.slot, secret).await?
            } else {
                None
            };
            if opens == Some(true) {
                has = has.max(if bound { Has::Bound } else { Has::Unbound });
            }
        }
        Ok(has)
    }

    /// Remembers a new slot, where it is of this machine's repository.
    fn note(
        &mut self,
        session: &Session,
        repository: RepositoryId,
        slot: SlotRecord,
    ) -> Result<KeyInfo> {
        let info = describe(&slot, repository)?;
        let Some((record, _)) =
            self.mine.as_mut().filter(|(mine, _)| mine.repository == repository)
        else {
            return Ok(info);
        };
        record.slots.push(slot);
        session.local_repository(true).save_record(record)?;
        Ok(KeyInfo { this_machine: true, ..info })
    }

    fn remembered(&self, stored: &StoredSlot) -> Option<&SlotRecord> {
        let (record, _) = self.mine.as_ref()?;
        record.slots.iter().find(|slot| slot.name == stored.name && slot.is_verified())
    }

    pub(super) async fn info(
        &self,
        ring: &KeyRing,
        settings: &Settings,
        stored: &StoredSlot,
    ) -> Result<KeyInfo> {
        let StoredSlot { name, slot, .. } = stored;
        let secrets = ring.secrets();
        let mine = self.mine.as_ref().filter(|(mine, _)| mine.repository == slot.repository());
        let known = mine.and_then(|(_, master)| {
            let remembered = self.remembered(stored)?;
            let secret = secrets.of_kind(slot.kind())?;
            Some(remembered.check == master.secret_check(secret.expose()))
        });
        let opens = match known {
            Some(known) => Some(known),
            None => ring.opens(slot).await?,
        };
        let preferred = secrets.preferred().map(|(kind, _)| kind);
        // Its secret has another one here, so that the next push does not make it again.
        let replaced = !is_bound(settings, slot)
            && self.stored.iter().any(|other| {
                (other.slot.repository(), other.slot.kind()) == (slot.repository(), slot.kind())
                    && is_bound(settings, &other.slot)
            });
        Ok(KeyInfo {
            id: name.clone(),
            kind: slot.kind().name(),
            created_at: time(slot.created().saturating_mul(1000)),
            repository: short(&slot.repository().to_string()).to_owned(),
            this_machine: mine.is_some(),
            opens,
            in_use: mine.is_some()
                && opens == Some(true)
                && preferred == Some(slot.kind())
                && !replaced,
            prefix: slot.prefix().map(str::to_owned),
        })
    }
}

fn describe(slot: &SlotRecord, repository: RepositoryId) -> Result<KeyInfo> {
    let decoded = crate::format::KeySlot::decode(&slot.bytes)
        .map_err(|malformed| malformed.of(&slot.name))?;
    Ok(KeyInfo {
        id: slot.name.clone(),
        kind: decoded.kind().name(),
        created_at: time(decoded.created().saturating_mul(1000)),
        repository: short(&repository.to_string()).to_owned(),
        this_machine: false,
        opens: Some(true),
        in_use: false,
        prefix: decoded.prefix().map(str::to_owned),
    })
}
