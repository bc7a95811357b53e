//! Keys, as JavaScript sees them.

use napi::bindgen_prelude::{Env, PromiseRaw, Result};
use napi_derive::napi;

use super::mirror::{IntoJs, derive, mirror};
use super::options::{Settings, wait};
use super::{CancelHandle, coded, promise, session, token};
use crate::error::Error;
use crate::format::{Mistyped, RecoveryCode};
use crate::ops;
use crate::secret::Secret;

/// A key slot: what one secret opens a backup with.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct KeyInfo {
    /// Its name; the first eight characters are enough to name it.
    pub id: String,
    /// `application-key`, `passphrase` or `recovery-code`.
    pub kind: String,
    /// When it was made, ISO 8601, by the clock of who made it.
    pub created_at: String,
    /// Which repository it belongs to.
    pub repository: String,
    /// Whether this machine backs up into that repository.
    pub this_machine: bool,
    /// Whether a secret that is given opens it; not set where none of its kind is given.
    pub opens: Option<bool>,
    /// Whether it is that of the secret that this machine is configured with.
    pub in_use: bool,
    /// The prefix that it was made for; not set where it opens below every prefix (made in format 2).
    pub prefix: Option<String>,
}

/// The key slots of a prefix.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct KeyReport {
    /// Those of this machine's repository first, then by repository, oldest first.
    pub slots: Vec<KeyInfo>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Which secret gets a slot; by default the one that is configured, the passphrase before the application key.
#[napi(object, object_to_js = false)]
#[expect(missing_debug_implementations, reason = "may hold a passphrase as plain text")]
pub struct AddKeyOptions {
    /// Take the application key, even where there is a passphrase.
    pub application_key: Option<bool>,
    /// Take this passphrase, which need not be configured.
    pub passphrase: Option<String>,
    /// How long to wait for another process that works on the same state directory, in milliseconds; 0 by default.
    pub wait_ms: Option<f64>,
}

/// What was added.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct AddedKeys {
    /// The new slots; empty where the secret has one in each repository already.
    pub slots: Vec<KeyInfo>,
    /// Repositories in which nothing could be added, since nothing that is given opens them.
    pub locked: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A new recovery code.
#[napi(object, object_from_js = false)]
#[expect(missing_debug_implementations, reason = "holds the code as plain text")]
pub struct NewRecoveryCode {
    /// The code as it is to be written down. It cannot be shown again.
    pub code: String,
    /// Where it is good for.
    pub slots: Vec<KeyInfo>,
    /// Repositories of which it is not, since nothing that is given opens them.
    pub locked: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl IntoJs for ops::NewRecoveryCode {
    type Js = NewRecoveryCode;

    fn into_js(self) -> NewRecoveryCode {
        let AddedKeys { slots, locked, warnings } = self.added.into_js();
        NewRecoveryCode { code: self.code.expose().to_owned(), slots, locked, warnings }
    }
}

/// What was removed.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
pub struct RemovedKey {
    /// The slot.
    pub slot: KeyInfo,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Lists the key slots.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<KeyReport>")]
pub fn keys<'env>(
    env: &'env Env,
    settings: Settings,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, KeyReport>> {
    let token = token(cancel);
    promise(env, async move { ops::keys(&session(settings, token, None).await?).await })
}

/// Makes a recovery code for every repository that opens here. Earlier codes stay good.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<NewRecoveryCode>")]
pub fn new_recovery_code<'env>(
    env: &'env Env,
    settings: Settings,
    wait_ms: Option<f64>,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, NewRecoveryCode>> {
    let token = token(cancel);
    promise(env, async move {
        let wait = wait(wait_ms)?;
        ops::new_recovery_code(&session(settings, token, None).await?, wait).await
    })
}

/// Adds a slot for a secret to every repository that opens here and has none for it.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<AddedKeys>")]
pub fn add_key<'env>(
    env: &'env Env,
    settings: Settings,
    options: AddKeyOptions,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, AddedKeys>> {
    let token = token(cancel);
    promise(env, async move {
        let wait = wait(options.wait_ms)?;
        let key = match options.passphrase {
            Some(passphrase) => ops::NewKey::Passphrase(Secret::new(passphrase)),
            None if options.application_key == Some(true) => ops::NewKey::ApplicationKey,
            None => ops::NewKey::Configured,
        };
        ops::add_key(&session(settings, token, None).await?, &key, wait).await
    })
}

/// Removes a key slot, named by the start of its id. With `force` also one after which nothing that is given opens
/// its repository; never the last one.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<RemovedKey>")]
pub fn remove_key<'env>(
    env: &'env Env,
    settings: Settings,
    slot: String,
    force: bool,
    wait_ms: Option<f64>,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, RemovedKey>> {
    let token = token(cancel);
    promise(env, async move {
        let wait = wait(wait_ms)?;
        ops::remove_key(&session(settings, token, None).await?, &slot, force, wait).await
    })
}

/// Checks a recovery code that somebody typed, without trying it.
///
/// # Errors
/// `B2_RECOVERY_CODE`, with a message that names the group that is wrong.
#[napi(catch_unwind)]
pub fn check_recovery_code(env: &Env, code: String) -> Result<()> {
    let code = Secret::new(code);
    RecoveryCode::parse(code.expose()).map(drop).map_err(|Mistyped(message)| {
        coded(*env, &Error::RecoveryCode { message }).unwrap_or_else(|failed| failed)
    })
}
