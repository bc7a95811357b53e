//! Opening repositories: which master keys the secrets at hand give.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::OnceCell;

use crate::cpu::CpuPool;
use crate::crypto::{MasterKey, RepoKey};
use crate::error::{Error, Result};
use crate::format::{
    KeySlot, MAX_REMOVAL_BYTES, MAX_SLOT_BYTES, PackName, RepositoryId, SecretKind, is_removal,
    removal_name, removed_slot,
};
use crate::secret::Secret;
use crate::store::{ObjectKey, ObjectStore};

/// At most so many slots are tried for one manifest or one listing: each costs a third of a second.
pub const MAX_TRIES: usize = 16;
/// At most so much work is done in all, in slots of a passphrase: a bucket full of hostile slots costs a
/// minute and a half of one processor.
const MAX_WORK: u64 = 256;
/// At most so many objects below `keys/` are looked at.
const MAX_STORED: usize = 256;
/// Slots fetched at the same time.
const PARALLEL: usize = 6;

/// A key slot below `keys/`.
#[derive(Clone, Debug)]
pub struct StoredSlot {
    /// Name below `keys/`.
    pub name: String,
    /// The slot.
    pub slot: KeySlot,
    /// The object.
    pub bytes: Bytes,
}

/// What an object below `keys/` turned out to be.
#[derive(Clone, Debug)]
pub enum SlotObject {
    /// A slot.
    Slot(StoredSlot),
    /// Something else, or damaged.
    Unreadable(String),
    /// Not there, although it was listed.
    Gone(String),
}

/// Names below `keys/`, as far as they are looked at.
#[derive(Clone, Debug, Default)]
pub struct SlotNames {
    /// Key slots.
    pub slots: Vec<String>,
    /// Slots that are said to have been removed.
    pub removed: Vec<String>,
}

/// Names of the key slots in the bucket, as far as they are looked at, and of those that were removed. One LIST.
///
/// # Errors
/// Those of the store.
pub async fn slot_names(store: &dyn ObjectStore) -> Result<SlotNames> {
    let objects = store.list("keys/", false).await?.objects;
    let mut names = SlotNames::default();
    for name in objects.iter().filter_map(|object| object.key.strip_prefix("keys/")) {
        let (slot, all) = match removed_slot(name) {
            Some(slot) => (slot, &mut names.removed),
            None => (name, &mut names.slots),
        };
        if all.len() < MAX_STORED && PackName::parse(slot).is_some() {
            all.push(slot.to_owned());
        }
    }
    Ok(names)
}

/// Whether somebody who has the key of the repository removed a slot. One GET.
///
/// # Errors
/// Those after which trying again may help.
pub async fn is_removed(
    store: &dyn ObjectStore,
    (repository, master): (RepositoryId, &MasterKey),
    slot: &str,
) -> Result<bool> {
    match store.get(&slot_object(&removal_name(slot))?, MAX_REMOVAL_BYTES as u64).await {
        Ok(object) => Ok(is_removal(master, repository, slot, &object)),
        Err(error) if error.is_retryable() => Err(error),
        Err(_) => Ok(false),
    }
}

/// The object of a key slot.
///
/// # Errors
/// `B2_INTERNAL` for a name that is none.
pub fn slot_object(name: &str) -> Result<ObjectKey> {
    ObjectKey::new(format!("keys/{name}"))
}

/// Reads slots. One GET for each. What cannot be read is told, never fatal; but where the server cannot be reached
/// nothing is known about them.
///
/// # Errors
/// Those after which trying again may help.
pub async fn read_slots(store: &dyn ObjectStore, names: Vec<String>) -> Result<Vec<SlotObject>> {
    let read = |name: String| async move {
        match store.get(&slot_object(&name)?, MAX_SLOT_BYTES as u64).await {
            Ok(bytes) => Ok(match KeySlot::decode(&bytes) {
                Ok(slot) => SlotObject::Slot(StoredSlot { name, slot, bytes }),
                Err(_) => SlotObject::Unreadable(name),
            }),
            Err(Error::ObjectMissing { .. }) => Ok(SlotObject::Gone(name)),
            Err(error) if error.is_retryable() => Err(error),
            Err(_) => Ok(SlotObject::Unreadable(name)),
        }
    };
    futures_util::stream::iter(names).map(read).buffered(PARALLEL).try_collect().await
}

/// The key slots in the bucket, oldest first, and the names of what cannot be read. One LIST, a GET for each.
///
/// # Errors
/// Those of the LIST, and those of [`read_slots`].
pub async fn stored_slots(store: &dyn ObjectStore) -> Result<(Vec<StoredSlot>, Vec<String>)> {
    let (mut slots, mut unreadable) = (Vec::new(), Vec::new());
    for object in read_slots(store, slot_names(store).await?.slots).await? {
        match object {
            SlotObject::Slot(slot) => slots.push(slot),
            SlotObject::Unreadable(name) => unreadable.push(name),
            SlotObject::Gone(_) => {}
        }
    }
    slots.sort_by_key(|stored| stored.slot.created());
    Ok((slots, unreadable))
}

/// The user's secrets.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// The B2 application key.
    pub application_key: Option<Secret>,
    /// A passphrase from the configuration.
    pub passphrase: Option<Secret>,
    /// A recovery code, as it goes into scrypt.
    pub recovery_code: Option<Secret>,
    /// Application keys of before: they open what was made with them, and nothing is made with them.
    pub old_keys: Vec<Secret>,
}

impl Secrets {
    /// The secret that new slots are made with: a passphrase goes before the application key, because who
    /// sets one does not want the key to be enough. Never a recovery code, which is for emergencies.
    #[must_use]
    pub fn preferred(&self) -> Option<(SecretKind, &Secret)> {
        let kinds = [SecretKind::Passphrase, SecretKind::ApplicationKey];
        kinds.into_iter().find_map(|kind| Some((kind, self.of_kind(kind)?)))
    }

    /// The configured secret for slots of a kind.
    #[must_use]
    pub fn of_kind(&self, kind: SecretKind) -> Option<&Secret> {
        match kind {
            SecretKind::ApplicationKey => self.application_key.as_ref(),
            SecretKind::Passphrase => self.passphrase.as_ref(),
            SecretKind::Recovery => self.recovery_code.as_ref(),
        }
    }

    /// Every application key, that of today first.
    pub fn application_keys(&self) -> impl Iterator<Item = &Secret> {
        self.application_key.iter().chain(&self.old_keys)
    }

    /// Every secret that may open slots of a kind, and whether it is the configured one.
    ///
    /// Where there is a passphrase, the application key is not enough: not to read, and not to make a repository that
    /// this machine takes for one of its user's. Whoever has that key can write to the bucket.
    fn for_slot(&self, kind: SecretKind) -> Vec<(Secret, bool)> {
        let trusted = kind != SecretKind::ApplicationKey || self.passphrase.is_none();
        let configured =
            self.of_kind(kind).filter(|_| trusted).map(|secret| (secret.clone(), true));
        let old = self.old_keys.iter().filter(|_| kind == SecretKind::ApplicationKey);
        configured.into_iter().chain(old.map(|secret| (secret.clone(), false))).collect()
    }
}

/// Master keys by repository, and the secrets to open more.
#[derive(Debug)]
pub struct KeyRing {
    secrets: Secrets,
    /// The prefix that is read, and that from which the user says it was moved.
    prefixes: Vec<String>,
    keys: Mutex<HashMap<RepositoryId, MasterKey>>,
    /// Locked while a slot is tried: who comes meanwhile waits for the answer, and must not take a slot that is
    /// being tried for one that did not open.
    tried: tokio::sync::Mutex<Tried>,
    stored: OnceCell<Vec<KeySlot>>,
    cpu: CpuPool,
}

/// What was tried, and what came of it.
#[derive(Debug, Default)]
struct Tried {
    opened: HashMap<Vec<u8>, bool>,
    work: u64,
}

impl KeyRing {
    /// With nothing open yet.
    #[must_use]
    pub fn new(secrets: Secrets, cpu: CpuPool) -> Self {
        Self {
            secrets,
            prefixes: Vec::new(),
            keys: Mutex::default(),
            tried: tokio::sync::Mutex::default(),
            stored: OnceCell::new(),
            cpu,
        }
    }

    /// The same secrets and prefixes, with nothing open yet.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let (secrets, prefixes) = (self.secrets.clone(), self.prefixes.clone());
        Self { prefixes, ..Self::new(secrets, self.cpu.clone()) }
    }

    /// For what lies below `prefix`, and, where the user says that it was moved, what was made for `moved_from`: only
    /// slots of these prefixes are opened, and those of format 2, which are bound to none.
    #[must_use]
    pub fn below(self, prefix: &str, moved_from: Option<&str>) -> Self {
        let prefixes = [Some(prefix), moved_from].into_iter().flatten().map(str::to_owned);
        Self { prefixes: prefixes.collect(), ..self }
    }

    /// Whether a slot may be opened here: one that was made for another prefix was copied.
    #[must_use]
    pub fn is_of_here(&self, slot: &KeySlot) -> bool {
        slot.prefix().is_none_or(|prefix| self.prefixes.iter().any(|here| here == prefix))
    }

    /// The prefix that slots of a repository were made for, where that is another one.
    #[must_use]
    pub fn elsewhere<'s>(&self, repository: RepositoryId, slots: &'s [KeySlot]) -> Option<&'s str> {
        let mut slots = slots.iter().filter(|slot| slot.repository() == repository);
        slots.find(|slot| !self.is_of_here(slot)).and_then(KeySlot::prefix)
    }

    /// Where heavy work runs.
    #[must_use]
    pub fn cpu(&self) -> &CpuPool {
        &self.cpu
    }

    /// The user's secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Adds a key that is known already.
    pub fn add(&self, repository: RepositoryId, key: MasterKey) {
        if let Ok(mut keys) = self.keys.lock() {
            keys.insert(repository, key);
        }
    }

    /// The key of a repository that is open.
    #[must_use]
    pub fn key(&self, repository: RepositoryId) -> Option<MasterKey> {
        self.keys.lock().ok().and_then(|keys| keys.get(&repository).cloned())
    }

    /// Slots below `keys/`, oldest first, fetched once.
    ///
    /// # Errors
    /// Those of [`stored_slots`].
    pub async fn stored(&self, store: &dyn ObjectStore) -> Result<&[KeySlot]> {
        let fetch = async || {
            let (slots, _) = stored_slots(store).await?;
            Ok(slots.into_iter().map(|stored| stored.slot).collect())
        };
        self.stored.get_or_try_init(fetch).await.map(Vec::as_slice)
    }

    /// The key of a repository, from what is known or by trying `slots`, the last one first, which should be the
    /// newest. `None` when no secret opens one.
    ///
    /// # Errors
    /// `B2_INTERNAL` when a computation fails.
    pub async fn unlock(
        &self,
        repository: RepositoryId,
        sealed: bool,
        slots: &[KeySlot],
    ) -> Result<Option<RepoKey>> {
        if !sealed {
            return Ok(Some(RepoKey::Plain));
        }
        if let Some(key) = self.key(repository) {
            return Ok(Some(RepoKey::Sealed(key)));
        }
        let (mut tried, mut attempts) = (self.tried.lock().await, 0);
        for slot in slots.iter().rev().filter(|slot| slot.repository() == repository) {
            if attempts == MAX_TRIES || self.key(repository).is_some() {
                break;
            }
            let before = tried.work;
            self.attempt(&mut tried, slot).await?;
            attempts += usize::from(tried.work > before);
        }
        Ok(self.key(repository).map(RepoKey::Sealed))
    }

    /// Whether the configured secret opens a slot. `None` where it was not tried: there is no secret of its kind, or
    /// enough was tried already.
    ///
    /// # Errors
    /// `B2_INTERNAL` when a computation fails.
    pub async fn opens(&self, slot: &KeySlot) -> Result<Option<bool>> {
        self.attempt(&mut *self.tried.lock().await, slot).await
    }

    /// Whether a secret that is none of these opens a slot; `None` once enough work was done.
    ///
    /// # Errors
    /// `B2_INTERNAL` when a computation fails.
    pub async fn opens_with(&self, slot: &KeySlot, secret: &Secret) -> Result<Option<bool>> {
        if !self.is_of_here(slot) {
            return Ok(Some(false));
        }
        let tried = &mut *self.tried.lock().await;
        Ok(self.open(tried, slot, secret).await?.map(|key| key.is_some()))
    }

    /// The key in a slot, if `secret` opens it. `None` once enough work was done.
    async fn open(
        &self,
        tried: &mut Tried,
        slot: &KeySlot,
        secret: &Secret,
    ) -> Result<Option<Option<MasterKey>>> {
        // One that asks for 64 GiB is refused before anything is taken.
        let Some(work) = slot.work() else { return Ok(Some(None)) };
        if tried.work + work > MAX_WORK {
            tracing::warn!("too many key slots in the bucket: no more are tried");
            return Ok(None);
        }
        tried.work += work;
        let (slot, secret) = (slot.clone(), secret.clone());
        Ok(Some(self.cpu.run(move || slot.open(secret.expose())).await?))
    }

    /// Tries a slot with every secret of its kind, the configured one first, and tells whether it was that one.
    async fn attempt(&self, tried: &mut Tried, slot: &KeySlot) -> Result<Option<bool>> {
        if !self.is_of_here(slot) {
            return Ok(Some(false));
        }
        let secrets = self.secrets.for_slot(slot.kind());
        if secrets.is_empty() {
            return Ok(None);
        }
        let bytes = slot.encode();
        if let Some(opened) = tried.opened.get(&bytes) {
            return Ok(Some(*opened));
        }
        let mut opened = false;
        for (secret, configured) in secrets {
            let Some(key) = self.open(tried, slot, &secret).await? else { return Ok(None) };
            if let Some(key) = key {
                self.add(slot.repository(), key);
                opened = configured;
                break;
            }
        }
        tried.opened.insert(bytes, opened);
        Ok(Some(opened))
    }
}
