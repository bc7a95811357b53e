//! Opening repositories: which master keys the secrets at hand give.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use crate::cpu::CpuPool;
use crate::crypto::{MasterKey, RepoKey};
use crate::error::Result;
use crate::format::{KeySlot, RepositoryId, SecretKind};
use crate::secret::Secret;

/// At most so many slots of one repository are tried: each costs a third of a second.
const MAX_TRIES: usize = 16;

/// The user's secrets.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// The B2 application key.
    pub application_key: Option<Secret>,
    /// A passphrase from the configuration.
    pub passphrase: Option<Secret>,
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

    fn for_slot(&self, kind: SecretKind) -> Option<&Secret> {
        match kind {
            SecretKind::ApplicationKey => self.application_key.as_ref(),
            SecretKind::Passphrase | SecretKind::Recovery => self.passphrase.as_ref(),
        }
    }
}

/// Master keys by repository, and the secrets to open more.
#[derive(Debug)]
pub struct KeyRing {
    secrets: Secrets,
    keys: Mutex<HashMap<RepositoryId, MasterKey>>,
    tried: Mutex<HashSet<Vec<u8>>>,
    /// One unlocking at a time: who comes second finds the key, and not only that its slots were tried.
    unlocking: tokio::sync::Mutex<()>,
    /// Repositories for which the bucket's slots were looked through.
    pub(super) looked_for: tokio::sync::Mutex<HashSet<RepositoryId>>,
    cpu: CpuPool,
}

impl KeyRing {
    /// With nothing open yet.
    #[must_use]
    pub fn new(secrets: Secrets, cpu: CpuPool) -> Self {
        Self {
            secrets,
            keys: Mutex::default(),
            tried: Mutex::default(),
            unlocking: tokio::sync::Mutex::default(),
            looked_for: tokio::sync::Mutex::default(),
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
        let _one_at_a_time = self.unlocking.lock().await;
        let mut tries = 0;
        loop {
            let known = self.keys.lock().ok().and_then(|keys| keys.get(&repository).cloned());
            if let Some(key) = known {
                return Ok(Some(RepoKey::Sealed(key)));
            }
            let next = slots.iter().find_map(|slot| {
                let secret = self.secrets.for_slot(slot.kind())?;
                let fresh = slot.repository() == repository
                    && self.tried.lock().is_ok_and(|mut tried| tried.insert(slot.encode()));
                fresh.then(|| (slot.clone(), secret.clone()))
            });
            let Some((slot, secret)) = next.filter(|_| tries < MAX_TRIES) else { return Ok(None) };
            tries += 1;
            if let Some(key) = self.cpu.run(move || slot.open(secret.expose())).await? {
                self.add(repository, key);
            }
        }
    }
}
