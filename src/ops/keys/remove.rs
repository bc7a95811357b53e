//! Removing a slot: what may go, and that all of it goes.

use std::time::Duration;

use super::opened::Keys;
use super::report::{KeyInfo, RemovedKey};
use crate::ambient::random;
use crate::engine::remove::{Removed, Remover};
use crate::engine::session::{Session, millis};
use crate::engine::slots::{in_words, short};
use crate::error::{Error, Result};
use crate::format::{removal_name, seal_removal};
use crate::repo::{StoredSlot, is_removed, slot_object};
use crate::store::ObjectVersion;

/// The shortest start of a slot's name that stands for it.
const SHORTEST: usize = 4;

/// Says under the key that a slot is removed, and removes it from `keys/`, all versions of it, and from what this machine remembers, so that later manifests do
/// not carry it. Earlier manifests keep it: what it opened it goes on opening, for whoever can read one of those.
///
/// # Errors
/// `B2_KEY_SLOT` for a slot that is not there, for the last one of its repository, and, without `force`, for one after
/// which nothing given here opens the repository, and for that of the secret in use, which the next push would make
/// again; `B2_LOCKED`; those of the store.
pub async fn remove_key(
    session: &Session,
    wanted: &str,
    force: bool,
    wait: Duration,
) -> Result<RemovedKey> {
    session
        .cancellable(async {
            let mut keyring = Keys::read(session, Some(wait)).await?;
            let stored = keyring.named(wanted)?.clone();
            let slot = keyring.info(&session.ring, &session.settings, &stored).await?;
            keyring.may_go(session, &stored, &slot, force).await?;
            let mut warnings = session.warnings.clone();
            if !keyring.say_removed(session, &stored).await? {
                warnings.push(UNSAID.to_owned());
            }
            warnings.extend(erase(session, &stored.name).await?);
            if let Some((record, _)) = &mut keyring.mine {
                record.slots.retain(|slot| slot.name != stored.name);
                session.local_repository(true).save_record(record)?;
            }
            Ok(RemovedKey { slot, warnings })
        })
        .await
}

const UNSAID: &str = "nothing that is given here opens these backups, so the removal could not be sealed with their \
     key: a machine that knows the slot puts it back. Run this where they open";

impl Keys {
    /// Puts the removal of a slot into the bucket, before the slot goes: other machines forget the slot for it.
    /// `false` where nothing opens the repository.
    async fn say_removed(&self, session: &Session, stored: &StoredSlot) -> Result<bool> {
        let (store, repository) = (&*session.store, stored.slot.repository());
        let mine = self.mine.as_ref().filter(|(mine, _)| mine.repository == repository);
        let master = match mine {
            Some((_, master)) => Some(master.clone()),
            None => {
                let all: Vec<_> = self.stored.iter().map(|stored| stored.slot.clone()).collect();
                session.ring.unlock(repository, true, &all).await?;
                session.ring.key(repository)
            }
        };
        let Some(master) = master else { return Ok(false) };
        if is_removed(store, (repository, &master), &stored.name).await? {
            return Ok(true);
        }
        let salt = random(&*session.ambient.entropy)?;
        let when = millis(session.ambient.clock.now()) / 1000;
        let object = seal_removal(&master, repository, &stored.name, salt, when)
            .ok_or_else(|| Error::internal("a removal cannot be sealed"))?;
        store.put(&slot_object(&removal_name(&stored.name))?, object.into()).await?;
        Ok(true)
    }

    /// The slot that the user means. What was typed is not repeated: it may be a secret, put in the wrong place.
    fn named(&self, wanted: &str) -> Result<&StoredSlot> {
        let refuse = |message: &str| Err(Error::KeySlot { message: message.to_owned() });
        let wanted = wanted.trim().to_ascii_lowercase();
        if wanted.len() < SHORTEST || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return refuse(
                "a key slot is named by the start of its id, four characters at least: see `b2-backup key list`",
            );
        }
        let mut fitting = self.stored.iter().filter(|stored| stored.name.starts_with(&wanted));
        match (fitting.next(), fitting.next()) {
            (Some(stored), None) => Ok(stored),
            (Some(_), Some(_)) => refuse("several key slots begin like that: give more of the id"),
            (None, _) => refuse("there is no key slot of that id: see `b2-backup key list`"),
        }
    }

    /// Whether a slot may be removed.
    async fn may_go(
        &self,
        session: &Session,
        stored: &StoredSlot,
        info: &KeyInfo,
        force: bool,
    ) -> Result<()> {
        let refuse = |why: &str| {
            let message =
                format!("the key slot {} ({}) {why}", short(&stored.name), in_words(&stored.slot));
            Err(Error::KeySlot { message })
        };
        let repository = stored.slot.repository();
        let others: Vec<&StoredSlot> = self
            .stored
            .iter()
            .filter(|other| other.name != stored.name && other.slot.repository() == repository)
            .collect();
        if others.is_empty() {
            return refuse(
                "is the last one of its repository: without it nothing would open the backups. Add another one first, with `b2-backup key add` or `b2-backup key recovery`",
            );
        }
        if force {
            return Ok(());
        }
        if info.in_use {
            return refuse(
                "is that of the secret which this machine is configured with: its next push would make it again. Change the secret first, or add --force",
            );
        }
        for other in others {
            if self.info(&session.ring, &session.settings, other).await?.opens == Some(true) {
                return Ok(());
            }
        }
        refuse(
            "would leave none that opens with the secrets given here. Give another one of them too, as B2_BACKUP_RECOVERY_CODE or B2_BACKUP_PASSPHRASE, or add --force",
        )
    }
}

/// Deletes every version of a slot. Says so where the key may only hide it.
async fn erase(session: &Session, name: &str) -> Result<Option<String>> {
    let (store, key) = (&*session.store, slot_object(name)?);
    let remover = Remover::new(store);
    let outcome = match store.list_versions(key.as_str()).await {
        Ok(versions) => {
            let own = |all: Vec<ObjectVersion>| {
                all.into_iter().filter(|version| version.key == key.as_str()).collect::<Vec<_>>()
            };
            remover.remove(&key, versions.map(own).as_deref()).await?
        }
        Err(Error::Capability { .. }) => remover.only_hide(&key).await?,
        Err(error) => return Err(error),
    };
    match outcome {
        Removed::Gone => Ok(None),
        Removed::Hidden => Ok(Some(
            "the application key may not delete versions (capability deleteFiles): the slot was only hidden, and its \
             old version stays until the bucket's lifecycle rules remove it"
                .to_owned(),
        )),
        Removed::Stays => Err(Error::Capability {
            message: "the application key may neither delete nor hide a key slot: it needs the capability \
                      writeFiles, and deleteFiles to free the space"
                .to_owned(),
        }),
    }
}
