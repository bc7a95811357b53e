//! A machine with an OpenClaw state, for tests: pushes to a store and restores from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use b2_backup::ambient::{Clock, SystemClock, SystemEntropy};
use b2_backup::cpu::CpuPool;
use b2_backup::error::Result;
use b2_backup::format::Reason;
use b2_backup::ops::{
    self, Ambient, ListReport, PushOptions, PushReport, RestoreOptions, RestoreReport, Session,
    Settings, VerifyOptions, VerifyReport,
};
use b2_backup::progress::Silent;
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
}

/// Settings of a machine with its state in `state`.
pub(crate) fn settings(state: &Path) -> Settings {
    Settings {
        state_dir: state.to_owned(),
        config_path: None,
        store: StoreConfig { prefix: "p".into(), ..StoreConfig::default() },
        passphrase: Some(Secret::new("correct horse".into())),
        encrypt: true,
        include_secrets: false,
        include: vec![],
        exclude: vec![],
        host_version: None,
    }
}

impl Machine {
    pub(crate) fn new(state: &Path, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            settings: settings(state),
            store,
            clock: Arc::new(SystemClock),
            cancel: CancellationToken::new(),
        }
    }

    pub(crate) fn ambient(&self) -> Ambient {
        Ambient {
            clock: Arc::clone(&self.clock),
            entropy: Arc::new(SystemEntropy),
            cpu: CpuPool::new(2).unwrap(),
            cancel: self.cancel.clone(),
            progress: Arc::new(Silent),
            store: Some(Arc::clone(&self.store)),
        }
    }

    pub(crate) async fn session(&self) -> Session {
        Session::open(self.settings.clone(), self.ambient()).await.unwrap()
    }

    pub(crate) async fn push(&self) -> Result<PushReport> {
        ops::push(&self.session().await, PushOptions { reason: Reason::Manual }).await
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

    pub(crate) async fn verify(&self, read_data: bool) -> VerifyReport {
        ops::verify(&self.session().await, VerifyOptions { read_data }).await.unwrap()
    }

    /// The same secrets and bucket on a machine that has nothing.
    pub(crate) fn blank(&self, state: PathBuf) -> Self {
        let mut blank = self.clone();
        blank.settings.state_dir = state;
        blank
    }
}
