//! A machine with an OpenClaw state, for tests: pushes to a store and restores from it.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use b2_backup::ambient::{Clock, FailPoints, NoFailPoints, SystemClock, SystemEntropy};
use b2_backup::cpu::CpuPool;
use b2_backup::error::{Error, Result};
use b2_backup::format::Reason;
use b2_backup::ops::{
    self, Ambient, DiffOptions, DiffReport, DiffTo, ListReport, PushOptions, PushReport, Reading,
    RestoreOptions, RestoreReport, Session, Settings, VerifyOptions, VerifyReport,
};
use b2_backup::progress::{Silent, Sink};
use b2_backup::secret::Secret;
use b2_backup::store::{ObjectStore, StoreConfig};
use tokio_util::sync::CancellationToken;

/// One machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cancel: CancellationToken,
    pub(crate) progress: Sink,
    pub(crate) steps: Arc<dyn FailPoints>,
}

/// Settings of a machine with its state in `state`.
pub(crate) fn settings(state: &Path) -> Settings {
    Settings {
        state_dir: state.to_owned(),
        config_path: None,
        store: StoreConfig { prefix: "p".into(), ..StoreConfig::default() },
        passphrase: Some(Secret::new("correct horse".into())),
        weak_passphrase: true,
        recovery_code: None,
        old_keys: vec![],
        encrypt: true,
        include_secrets: false,
        include: vec![],
        exclude: vec![],
        host_version: None,
        machine_name: None,
        host_install: None,
        openclaw: Vec::new(),
    }
}

impl Machine {
    pub(crate) fn new(state: &Path, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            settings: settings(state),
            store,
            clock: Arc::new(SystemClock),
            cancel: CancellationToken::new(),
            progress: Arc::new(Silent),
            steps: Arc::new(NoFailPoints),
        }
    }

    pub(crate) fn ambient(&self) -> Ambient {
        Ambient {
            clock: Arc::clone(&self.clock),
            entropy: Arc::new(SystemEntropy),
            cpu: CpuPool::new(2).unwrap(),
            cancel: self.cancel.clone(),
            progress: Arc::clone(&self.progress),
            store: Some(Arc::clone(&self.store)),
            steps: Arc::clone(&self.steps),
        }
    }

    pub(crate) async fn session(&self) -> Session {
        Session::open(self.settings.clone(), self.ambient()).await.unwrap()
    }

    pub(crate) async fn push(&self) -> Result<PushReport> {
        ops::push(&self.session().await, push_options(Reason::Manual)).await
    }

    /// Begins anew in a bucket that is empty.
    pub(crate) async fn push_to_new_bucket(&self) -> Result<PushReport> {
        let options = PushOptions { new_bucket: true, ..push_options(Reason::Manual) };
        ops::push(&self.session().await, options).await
    }

    pub(crate) async fn list(&self) -> ListReport {
        ops::list(&self.session().await).await.unwrap()
    }

    pub(crate) async fn restore(&self, snapshot: &str, to: &Path) -> Result<RestoreReport> {
        self.restore_paths(snapshot, to, &[]).await
    }

    pub(crate) async fn restore_paths(
        &self,
        snapshot: &str,
        to: &Path,
        paths: &[&str],
    ) -> Result<RestoreReport> {
        let options = RestoreOptions {
            snapshot: snapshot.into(),
            to: to.to_owned(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            allow_unauthenticated: false,
        };
        ops::restore(&self.session().await, &options).await
    }

    /// Compares a snapshot with another, or with the state where it is `live`.
    pub(crate) async fn diff(&self, from: &str, to: &str) -> Result<DiffReport> {
        self.diff_with(diff_options(from, to)).await
    }

    pub(crate) async fn diff_with(&self, options: DiffOptions) -> Result<DiffReport> {
        ops::diff(&self.session().await, &options).await
    }

    pub(crate) async fn verify(&self, read_data: bool) -> VerifyReport {
        let reading = if read_data { Reading::All } else { Reading::Structure };
        self.verify_with(reading).await
    }

    pub(crate) async fn verify_with(&self, reading: Reading) -> VerifyReport {
        ops::verify(&self.session().await, VerifyOptions { reading }).await.unwrap()
    }

    /// The same machine with another way to its bucket.
    pub(crate) fn through(&self, store: Arc<dyn ObjectStore>) -> Self {
        Self { store, ..self.clone() }
    }

    /// Pushes as soon as the threads of a push that was dropped have let go of the lock.
    pub(crate) async fn push_after_kill(&self) -> Result<PushReport> {
        loop {
            match self.push().await {
                Err(Error::Locked { .. }) => tokio::task::yield_now().await,
                done => return done,
            }
        }
    }

    /// The same secrets and bucket on a machine that has nothing.
    pub(crate) fn blank(&self, state: PathBuf) -> Self {
        let mut blank = self.clone();
        blank.settings.state_dir = state;
        blank
    }
}

/// Everything, without text.
pub(crate) fn diff_options(from: &str, to: &str) -> DiffOptions {
    DiffOptions {
        from: from.into(),
        to: if to == "live" { DiffTo::Live } else { DiffTo::Snapshot(to.into()) },
        paths: vec![],
        text: false,
        allow_unauthenticated: false,
    }
}

/// Options of a push that does not wait for another.
pub(crate) fn push_options(reason: Reason) -> PushOptions {
    PushOptions { reason, wait: Duration::ZERO, new_bucket: false, accept_missing: vec![] }
}

/// Restores a whole snapshot with an open session: many restores on one blank machine unlock the key once.
pub(crate) async fn restore_with(
    session: &Session,
    snapshot: &str,
    to: &Path,
) -> Result<RestoreReport> {
    let options = RestoreOptions {
        snapshot: snapshot.into(),
        to: to.to_owned(),
        paths: vec![],
        allow_unauthenticated: false,
    };
    ops::restore(session, &options).await
}
