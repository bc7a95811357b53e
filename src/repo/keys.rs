//! Opening repositories: which master keys the secrets at hand give.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::cpu::CpuPool;
use crate::crypto::{MasterKey, RepoKey};
use crate::error::Result;
use crate::format::{KeySlot, MAX_SLOT_BYTES, RepositoryId, SecretKind};
use crate::secret::Secret;
use crate::store::{ObjectKey, ObjectStore};

/// At most so many slots of one repository are tried: each costs a third of a second.
const MAX_TRIES: usize = 16;
/// At most so many objects below `keys/` are looked at.
const MAX_STORED: usize = 256;

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

/// The key slots in the bucket. One that cannot be read is left out, never fatal. One LIST, a GET for each.
///
/// # Errors
/// Those of the store's LIST.
pub async fn stored_slots(store: &dyn ObjectStore) -> Result<Vec<StoredSlot>> {
    let mut slots = Vec::new();
    for object in store.list("keys/", false).await?.objects.into_iter().take(MAX_STORED) {
        let Some(name) = object.key.strip_prefix("keys/") else { continue };
        let Ok(key) = ObjectKey::new(object.key.as_str()) else { continue };
        let Ok(bytes) = store.get(&key, MAX_SLOT_BYTES as u64).await else { continue };
        let Ok(slot) = KeySlot::decode(&bytes) else { continue };
        slots.push(StoredSlot { name: name.to_owned(), slot, bytes });
    }
    Ok(slots)
}

/// The user's secrets.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// The B2 application key.
    pub application_key: Option<Secret>,
    /// A passphrase from the configuration.
    pub passphrase: Option<Secret>,
    /// Application keys of before: they open what was made with them, and nothing is made with them.
    pub old_keys: Vec<Secret>,
}

impl Secrets {
    /// The secret that new slots are made with: a passphrase goes before the application key, because who
    /// sets one does not want the key to be enough.
    #[must_use]
    pub fn preferred(&self) -> Option<(SecretKind, &Secret)> {
        let passphrase = self.passphrase.as_ref().map(|secret| (SecretKind::Passphrase, secret));
        passphrase.or_else(|| {
            self.application_key.as_ref().map(|secret| (SecretKind::ApplicationKey, secret))
        })
    }

    /// Every application key, that of today first.
    pub fn application_keys(&self) -> impl Iterator<Item = &Secret> {
        self.application_key.iter().chain(&self.old_keys)
    }

    fn for_slot(&self, kind: SecretKind) -> Vec<&Secret> {
        match kind {
            SecretKind::ApplicationKey => self.application_keys().collect(),
            SecretKind::Passphrase | SecretKind::Recovery => self.passphrase.iter().collect(),
        }
    }
}

/// Master keys by repository, and the secrets to open more.
#[derive(Debug)]
pub struct KeyRing {
    secrets: Secrets,
    keys: Mutex<HashMap<RepositoryId, MasterKey>>,
    /// Slots that were tried. Locked while one is: who comes meanwhile waits for the answer, and must not
    /// take a slot that is being tried for one that did not open.
    tried: tokio::sync::Mutex<HashSet<Vec<u8>>>,
    stored: OnceCell<Vec<KeySlot>>,
    cpu: CpuPool,
}

impl KeyRing {
    /// With nothing open yet.
    #[must_use]
    pub fn new(secrets: Secrets, cpu: CpuPool) -> Self {
        Self {
            secrets,
            keys: Mutex::default(),
            tried: tokio::sync::Mutex::default(),
            stored: OnceCell::new(),
            cpu,
        }
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

    /// Slots below `keys/`, fetched once.
    ///
    /// # Errors
    /// Those of the store's LIST.
    pub async fn stored(&self, store: &dyn ObjectStore) -> Result<&[KeySlot]> {
        let fetch = async || {
            let slots = stored_slots(store).await?;
            Ok(slots.into_iter().map(|stored| stored.slot).collect())
        };
        self.stored.get_or_try_init(fetch).await.map(Vec::as_slice)
    }

    /// The key of a repository, from what is known or by trying `slots`. `None` when no secret opens one.
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
        let known = || self.keys.lock().ok().and_then(|keys| keys.get(&repository).cloned());
        if let Some(key) = known() {
            return Ok(Some(RepoKey::Sealed(key)));
        }
        let (mut tried, mut attempts) = (self.tried.lock().await, 0);
        loop {
            if let Some(key) = known() {
                return Ok(Some(RepoKey::Sealed(key)));
            }
            let next = slots.iter().find(|slot| {
                slot.repository() == repository
                    && !self.secrets.for_slot(slot.kind()).is_empty()
                    && tried.insert(slot.encode())
            });
            let Some(slot) = next.filter(|_| attempts < MAX_TRIES) else {
                return Ok(None);
            };
            attempts += 1;
            for secret in self.secrets.for_slot(slot.kind()) {
                let (slot, secret) = (slot.clone(), secret.clone());
                if let Some(key) = self.cpu.run(move || slot.open(secret.expose())).await? {
                    self.add(repository, key);
                    break;
                }
            }
        }
    }
}
