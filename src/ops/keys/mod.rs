//! Keys: which secrets open the backups, and adding and removing them.
//!
//! Adding works on every repository of the prefix that opens here: a prefix has several where two machines made
//! their first push at the same moment, or where a machine found none that opened.

mod opened;
mod remove;
mod report;

pub use remove::remove_key;
pub use report::{AddedKeys, KeyInfo, KeyReport, NewKey, NewRecoveryCode, RemovedKey};

use std::time::Duration;

use zeroize::Zeroizing;

use crate::ambient::random;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::format::{RecoveryCode, SecretKind};

use opened::Keys;

/// Lists the key slots. One LIST, a GET for each, and a third of a second for each that is tried.
///
/// # Errors
/// Those of the store.
pub async fn keys(session: &Session) -> Result<KeyReport> {
    session
        .cancellable(async {
            let keyring = Keys::read(session, None).await?;
            let mut slots = Vec::new();
            for stored in &keyring.stored {
                slots.push(keyring.info(&session.ring, &session.settings, stored).await?);
            }
            slots.sort_by(|a, b| {
                (!a.this_machine, &a.repository).cmp(&(!b.this_machine, &b.repository))
            });
            let mut warnings = session.warnings.clone();
            if !keyring.unreadable.is_empty() {
                warnings.push(format!(
                    "{} below keys/ cannot be read as key slots and are passed over",
                    keyring.unreadable.join(", ")
                ));
            }
            Ok(KeyReport { slots, warnings })
        })
        .await
}

/// Makes a recovery code and its slots. Earlier codes stay good.
///
/// # Errors
/// `B2_WRONG_KEY` when nothing opens here; `B2_KEY_SLOT` when there is nothing to open; `B2_LOCKED`; those of the store.
pub async fn new_recovery_code(session: &Session, wait: Duration) -> Result<NewRecoveryCode> {
    session
        .cancellable(async {
            let mut keyring = Keys::open(session, wait).await?;
            let random = Zeroizing::new(random(&*session.ambient.entropy)?);
            let code = RecoveryCode::new(&random);
            let added = keyring.add(session, SecretKind::Recovery, code.secret()).await?;
            Ok(NewRecoveryCode { code: code.shown(), added })
        })
        .await
}

/// Adds slots for a secret, in every repository that opens here and has none for it.
///
/// # Errors
/// Those of [`new_recovery_code`], and `B2_CONFIG` where the secret is not set.
pub async fn add_key(session: &Session, key: &NewKey, wait: Duration) -> Result<AddedKeys> {
    let secrets = session.ring.secrets();
    let configured = match key {
        NewKey::Configured => secrets.preferred().ok_or("passphrase"),
        NewKey::ApplicationKey => secrets
            .application_key
            .as_ref()
            .map(|secret| (SecretKind::ApplicationKey, secret))
            .ok_or("applicationKey"),
        NewKey::Passphrase(secret) => Some((SecretKind::Passphrase, secret))
            .filter(|_| !secret.is_empty())
            .ok_or("passphrase"),
    };
    let (kind, secret) = configured.map_err(|field| Error::config(field, "is not set"))?;
    session
        .cancellable(async {
            let mut keyring = Keys::open(session, wait).await?;
            keyring.add(session, kind, secret).await
        })
        .await
}
