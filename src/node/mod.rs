//! The Node-API binding: converts, runs, maps errors. No logic and no I/O of its own.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over by value")]

mod bucket;
mod care;
mod convert;
mod diff;
mod history;
mod keys;
mod machines;
mod mirror;
mod options;
mod problem;
mod proof;
mod prune;
mod reports;
mod rollback;

use std::path::PathBuf;

use napi::bindgen_prelude::{Env, JsValue as _, PromiseRaw, Result, ToNapiValue};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Error, Status};
use napi_derive::napi;
use tokio_util::sync::CancellationToken;

use crate::core_dump;
use crate::error;
use crate::ops;
pub use care::{adopt, doctor, drill, forget, prune, status, undelete, verify};
use convert::{Events, ambient};
use diff::{DiffOptions, DiffReport};
use history::{HistoryOptions, HistoryReport, ShowOptions, ShowReport};
pub use keys::{
    AddKeyOptions, AddedKeys, KeyInfo, KeyReport, NewRecoveryCode, RemovedKey, add_key,
    check_recovery_code, keys, new_recovery_code, remove_key,
};
use mirror::IntoJs;
use options::{ProgressEvent, PushOptions, RestoreOptions, Settings};
use reports::{ListReport, PlanReport, PushReport, RestoreReport};
use rollback::{AutoRestoreReport, RollbackOptions, RollbackPlan, RollbackReport};

/// Called with each event; bounded, and weak, so that it never keeps the process alive.
type Watcher = ThreadsafeFunction<ProgressEvent, (), ProgressEvent, Status, false, true, 16>;

/// Cancels the operations that it is given to. The TypeScript side drives it from an `AbortSignal`.
#[napi]
#[derive(Debug, Default)]
pub struct CancelHandle {
    token: CancellationToken,
}

#[napi]
impl CancelHandle {
    /// A handle that has not been used.
    #[napi(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every operation with this handle to stop; they reject with `B2_CANCELLED`.
    #[napi]
    pub fn cancel(&self) {
        self.token.cancel();
    }
}

/// Turns a future of the core into a promise whose rejections carry `code`.
fn promise<T, F>(env: &Env, future: F) -> Result<PromiseRaw<'_, T::Js>>
where
    T: IntoJs<Js: ToNapiValue> + Send + 'static,
    F: Future<Output = error::Result<T>> + Send + 'static,
{
    env.spawn_future_with_callback(async move { Ok(future.await) }, |env, outcome| match outcome {
        Ok(value) => Ok(value.into_js()),
        Err(error) => Err(coded(*env, &error)?),
    })
}

/// A JavaScript error with the stable code, retained inside napi's.
fn coded(env: Env, error: &error::Error) -> Result<Error> {
    let mut object = env.create_error(Error::from_reason(error.to_string()))?;
    object.set("code", error.code())?;
    object.set("retryable", error.is_retryable())?;
    Ok(Error::from(object.to_unknown()))
}

/// An open session with cancellation and progress from JavaScript.
async fn session(
    settings: Settings,
    cancel: CancellationToken,
    watcher: Option<Watcher>,
) -> error::Result<ops::Session> {
    let events = watcher.map(|watcher| {
        Events::new(move |event| {
            // A full queue drops the event: the next one says more.
            let _status = watcher.call(event, ThreadsafeFunctionCallMode::NonBlocking);
        })
    });
    let ambient = ambient(settings.threads, cancel, events)?;
    ops::Session::open(settings.try_into()?, ambient).await
}

fn token(cancel: Option<&CancelHandle>) -> CancellationToken {
    cancel.map(|handle| handle.token.clone()).unwrap_or_default()
}

/// Backs the state up. Opens the state's databases: never call it in the gateway's process, but in a
/// process of its own (`dist/worker.js`), since closing a database file drops all locks that the process
/// holds on it (POSIX).
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<PushReport>")]
pub fn push<'env>(
    env: &'env Env,
    settings: Settings,
    options: PushOptions,
    cancel: Option<&CancelHandle>,
    #[napi(ts_arg_type = "((event: ProgressEvent) => void) | undefined | null")]
    on_progress: Option<Watcher>,
) -> Result<PromiseRaw<'env, PushReport>> {
    let token = token(cancel);
    promise(env, async move {
        let options = options.try_into()?;
        ops::push(&session(settings, token, on_progress).await?, options).await
    })
}

/// Tells what a push would take and what not, and why. Opens no file and makes no request.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<PlanReport>")]
pub fn plan<'env>(
    env: &'env Env,
    settings: Settings,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, PlanReport>> {
    let token = token(cancel);
    promise(env, async move { ops::plan(&session(settings, token, None).await?).await })
}

/// Lists every snapshot of every machine.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<ListReport>")]
pub fn list<'env>(
    env: &'env Env,
    settings: Settings,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, ListReport>> {
    let token = token(cancel);
    promise(env, async move { ops::list(&session(settings, token, None).await?).await })
}

/// Compares a snapshot with another one, or with the present state. In the latter case it opens files of the
/// state: never call it so in the gateway's process, see `push`.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<DiffReport>")]
pub fn diff<'env>(
    env: &'env Env,
    settings: Settings,
    options: DiffOptions,
    cancel: Option<&CancelHandle>,
    #[napi(ts_arg_type = "((event: ProgressEvent) => void) | undefined | null")]
    on_progress: Option<Watcher>,
) -> Result<PromiseRaw<'env, DiffReport>> {
    let token = token(cancel);
    promise(env, async move {
        let workspace = options.agent_workspace.clone().map(PathBuf::from);
        let session = session(settings, token, on_progress).await?.for_agent(workspace);
        ops::diff(&session, &options.into()).await
    })
}

/// Tells what a snapshot holds, or what is in one file of it.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<ShowReport>")]
pub fn show<'env>(
    env: &'env Env,
    settings: Settings,
    options: ShowOptions,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, ShowReport>> {
    let token = token(cancel);
    promise(
        env,
        async move { ops::show(&session(settings, token, None).await?, &options.into()).await },
    )
}

/// Follows a path through all snapshots.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<HistoryReport>")]
pub fn history<'env>(
    env: &'env Env,
    settings: Settings,
    options: HistoryOptions,
    cancel: Option<&CancelHandle>,
    #[napi(ts_arg_type = "((event: ProgressEvent) => void) | undefined | null")]
    on_progress: Option<Watcher>,
) -> Result<PromiseRaw<'env, HistoryReport>> {
    let token = token(cancel);
    promise(env, async move {
        let workspace = options.agent_workspace.clone().map(PathBuf::from);
        let session = session(settings, token, on_progress).await?.for_agent(workspace);
        ops::history(&session, &options.into()).await
    })
}

/// Restores a snapshot, or a part of it, into a fresh directory.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<RestoreReport>")]
pub fn restore<'env>(
    env: &'env Env,
    settings: Settings,
    options: RestoreOptions,
    cancel: Option<&CancelHandle>,
    #[napi(ts_arg_type = "((event: ProgressEvent) => void) | undefined | null")]
    on_progress: Option<Watcher>,
) -> Result<PromiseRaw<'env, RestoreReport>> {
    let token = token(cancel);
    promise(env, async move {
        ops::restore(&session(settings, token, on_progress).await?, &options.into()).await
    })
}

/// Tells what a rollback would do. Opens the state's files: see `push`.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<RollbackPlan>")]
pub fn plan_rollback<'env>(
    env: &'env Env,
    settings: Settings,
    options: RollbackOptions,
    cancel: Option<&CancelHandle>,
) -> Result<PromiseRaw<'env, RollbackPlan>> {
    let token = token(cancel);
    promise(env, async move {
        let workspace = options.agent_workspace.clone().map(PathBuf::from);
        let session = session(settings, token, None).await?.for_agent(workspace);
        if options.undo == Some(true) {
            return ops::plan_undo(&session).await;
        }
        ops::plan_rollback(&session, &options.into()).await
    })
}

/// Makes the newest snapshot ready for a machine that has nothing: it is carried out when OpenClaw stops. Opens the
/// state's databases: see `push`.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<AutoRestoreReport>")]
pub fn auto_restore<'env>(
    env: &'env Env,
    settings: Settings,
    cancel: Option<&CancelHandle>,
    #[napi(ts_arg_type = "((event: ProgressEvent) => void) | undefined | null")]
    on_progress: Option<Watcher>,
) -> Result<PromiseRaw<'env, AutoRestoreReport>> {
    let token = token(cancel);
    promise(
        env,
        async move { ops::auto_restore(&session(settings, token, on_progress).await?).await },
    )
}

/// Rolls back as planned: safety snapshot, staging, and then at once, or when OpenClaw stops. Opens the state's
/// databases: see `push`.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<RollbackReport>")]
pub fn roll_back<'env>(
    env: &'env Env,
    settings: Settings,
    options: RollbackOptions,
    hash: String,
    cancel: Option<&CancelHandle>,
    #[napi(ts_arg_type = "((event: ProgressEvent) => void) | undefined | null")]
    on_progress: Option<Watcher>,
) -> Result<PromiseRaw<'env, RollbackReport>> {
    let token = token(cancel);
    promise(env, async move {
        let session = session(settings, token, on_progress).await?;
        if options.undo == Some(true) {
            return ops::undo(&session, &hash).await;
        }
        ops::roll_back(&session, &options.into(), &hash).await
    })
}

/// Finishes a rollback that waits or was cut off. With `agentsStopped`, OpenClaw itself says that its agents do
/// not work now. Opens the state's databases: see `push`.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<RollbackReport>")]
pub fn recover_rollback(
    env: &Env,
    settings: Settings,
    agents_stopped: bool,
) -> Result<PromiseRaw<'_, RollbackReport>> {
    promise(env, async move {
        let ambient = ambient(settings.threads, token(None), None)?;
        let gateway =
            if agents_stopped { ops::Gateway::AgentsStopped } else { ops::Gateway::MustBeStopped };
        let settings: ops::Settings = settings.try_into()?;
        ops::recover(&settings, &ambient, gateway).await
    })
}

/// Gives up a rollback that waits; `false` when none does.
///
/// # Errors
/// The promise rejects with an error whose `code` is one of `errorCodes()`.
#[napi(ts_return_type = "Promise<boolean>")]
pub fn discard_rollback(env: &Env, settings: Settings) -> Result<PromiseRaw<'_, bool>> {
    promise(env, async move { ops::discard_waiting(&settings.try_into()?).await })
}

/// The plugin's settings in OpenClaw's configuration file, as JSON:
/// `{"config": object | null, "warning": string | null}`. A file that is not there has no settings.
///
/// # Errors
/// `B2_CONFIG` when the file cannot be read.
#[napi(catch_unwind)]
pub fn read_host_config(env: &Env, config_path: String) -> Result<String> {
    ops::plugin_settings(config_path.as_ref())
        .map_err(|error| coded(*env, &error).unwrap_or_else(|failed| failed))
}

/// Keeps this process, and those that it starts, from leaving core dumps, as far as the system lets: keys are in its
/// memory. It cannot be taken back, so it is for processes of our own, never for the gateway's.
#[napi(catch_unwind)]
pub fn forbid_core_dumps() {
    core_dump::forbid_core_dumps();
}

/// Every stable code that an error of this addon can carry.
#[napi(catch_unwind)]
#[must_use]
pub fn error_codes() -> Vec<String> {
    error::CODES.iter().map(|code| (*code).to_owned()).collect()
}

/// Two I/O threads are plenty for uploads; computing has its own pool.
#[napi_derive::module_init]
fn init() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .thread_name("b2-io")
        .enable_all()
        .build();
    if let Ok(runtime) = runtime {
        napi::bindgen_prelude::create_custom_tokio_runtime(runtime);
    }
}
