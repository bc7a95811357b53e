//! Looking after what is stored: checking, proving, deleting, bringing back.

use napi::bindgen_prelude::{Env, PromiseRaw, Result};
use napi_derive::napi;

use super::bucket::{DoctorOptions, DoctorReport, UndeleteOptions, UndeleteReport};
use super::convert::ambient;
use super::machines::AdoptReport;
use super::options::{Settings, VerifyOptions};
use super::proof::DrillReport;
use super::prune::{ForgetReport, PruneOptions, PruneReport};
use super::reports::{StatusReport, VerifyReport};
use super::{CancelHandle, Watcher, promise, session, token};
use crate::ops;

/// Deletes what a machine that is gone has left: its snapshots at once, its packs a day later.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<ForgetReport>")]
pub fn forget<'env>(
    env: &'env Env,
    settings: Settings,
    machine: String,
    dry_run: bool,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, ForgetReport>> {
    let token = token(cancel);
    promise(env, async move {
        let options = ops::ForgetOptions { machine, dry_run, wait: std::time::Duration::ZERO };
        ops::forget(&session(settings, token, None).await?, &options).await
    })
}

/// Deletes snapshots of this machine that are not to be kept any more, and packs that nothing needs.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<PruneReport>")]
pub fn prune<'env>(
    env: &'env Env,
    settings: Settings,
    options: PruneOptions,
    cancel: Option<&CancelHandle>,
    #[napi(ts_arg_type = "((event: ProgressEvent) => void) | undefined | null")]
    on_progress: Option<Watcher>,
) -> Result<PromiseRaw<'env, PruneReport>> {
    let token = token(cancel);
    promise(env, async move {
        let options = options.try_into()?;
        ops::prune(&session(settings, token, on_progress).await?, options).await
    })
}

/// Checks what the bucket holds: its structure, or with `readData` every byte.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<VerifyReport>")]
pub fn verify<'env>(
    env: &'env Env,
    settings: Settings,
    options: VerifyOptions,
    cancel: Option<&CancelHandle>,
    #[napi(ts_arg_type = "((event: ProgressEvent) => void) | undefined | null")]
    on_progress: Option<Watcher>,
) -> Result<PromiseRaw<'env, VerifyReport>> {
    let token = token(cancel);
    promise(env, async move {
        ops::verify(&session(settings, token, on_progress).await?, options.into()).await
    })
}

/// Restores this machine's newest snapshot for a trial, with nothing but the bucket and the secret, looks it through, and
/// removes it again. Opens databases, though none of the state: see `push`.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<DrillReport>")]
pub fn drill<'env>(
    env: &'env Env,
    settings: Settings,
    cancel: Option<&CancelHandle>,
    #[napi(ts_arg_type = "((event: ProgressEvent) => void) | undefined | null")]
    on_progress: Option<Watcher>,
) -> Result<PromiseRaw<'env, DrillReport>> {
    let token = token(cancel);
    promise(env, async move { ops::drill(&session(settings, token, on_progress).await?).await })
}

/// Tells whether this machine is backed up.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<StatusReport>")]
pub fn status<'env>(
    env: &'env Env,
    settings: Settings,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, StatusReport>> {
    let token = token(cancel);
    promise(env, async move { ops::status(&session(settings, token, None).await?).await })
}

/// Goes on with the lineage of another machine, which this one replaces.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<AdoptReport>")]
pub fn adopt<'env>(
    env: &'env Env,
    settings: Settings,
    machine: String,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, AdoptReport>> {
    let token = token(cancel);
    promise(env, async move { ops::adopt(&session(settings, token, None).await?, &machine).await })
}

/// Looks at settings, this machine, the server, the key and the bucket. What is wrong is in the report.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<DoctorReport>")]
pub fn doctor<'env>(
    env: &'env Env,
    settings: Settings,
    options: DoctorOptions,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, DoctorReport>> {
    let token = token(cancel);
    promise(env, async move {
        let ambient = ambient(settings.threads, token, None)?;
        let write = options.write.unwrap_or(false);
        ops::doctor(settings.try_into()?, ambient, ops::DoctorOptions { write }).await
    })
}

/// Tells which snapshots somebody hid or overwrote, and with `apply` brings them back.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<UndeleteReport>")]
pub fn undelete<'env>(
    env: &'env Env,
    settings: Settings,
    options: UndeleteOptions,
    cancel: Option<&CancelHandle>,
    #[napi(ts_arg_type = "((event: ProgressEvent) => void) | undefined | null")]
    on_progress: Option<Watcher>,
) -> Result<PromiseRaw<'env, UndeleteReport>> {
    let token = token(cancel);
    promise(env, async move {
        let options = options.try_into()?;
        ops::undelete(&session(settings, token, on_progress).await?, &options).await
    })
}
