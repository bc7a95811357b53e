//! What every operation starts from: settings, an open store, keys, local memory.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock, Entropy, FailPoints, NoFailPoints, SystemClock, SystemEntropy};
use crate::cpu::CpuPool;
use crate::error::{Error, Result};
use crate::format::{Mistyped, RecoveryCode};
use crate::local::{Local, LocalRepository};
use crate::progress::{Event, Phase, Silent, Sink};
use crate::repo::{KeyRing, Secrets};
use crate::source::own::Own;
use crate::store::as_of::AsOfStore;
use crate::store::{ObjectStore, StoreConfig, Traffic};

/// Former application keys that are tried. Each costs a third of a second with a key slot that it does not open.
const MAX_OLD_KEYS: usize = 16;

/// What the user configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// OpenClaw's state directory; need not exist for reading from the bucket.
    pub state_dir: PathBuf,
    /// OpenClaw's configuration file, where it is not `openclaw.json` in the state directory.
    pub config_path: Option<PathBuf>,
    /// Bucket, keys, prefix.
    pub store: StoreConfig,
    /// Protects the repository instead of the application key.
    pub passphrase: Option<crate::secret::Secret>,
    /// Whether also a weak passphrase may encrypt something new.
    #[cfg(feature = "testing")]
    pub weak_passphrase: bool,
    /// Opens backups whose other secrets are gone, as it was typed; never used for new slots.
    pub recovery_code: Option<crate::secret::Secret>,
    /// Application keys that were in use before, to open what was made with them.
    pub old_keys: Vec<crate::secret::Secret>,
    /// Whether what is written is sealed.
    pub encrypt: bool,
    /// Whether credentials are backed up too.
    pub include_secrets: bool,
    /// Globs that bring back what the policy leaves out.
    pub include: Vec<String>,
    /// Globs that leave out more.
    pub exclude: Vec<String>,
    /// Version of the host, for the manifest.
    pub host_version: Option<String>,
    /// What people call this machine, for the manifest.
    pub machine_name: Option<String>,
    /// How the host was installed, for the manifest.
    pub host_install: Option<String>,
    /// How the host is called, program and first arguments: a rollback asks it whether it would start. Empty where that
    /// is not known.
    pub openclaw: Vec<String>,
}

impl Settings {
    #[cfg(feature = "testing")]
    pub(crate) fn allows_weak_passphrase(&self) -> bool {
        self.weak_passphrase
    }

    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_self, reason = "as for tests, which alone can allow it")]
    pub(crate) fn allows_weak_passphrase(&self) -> bool {
        false
    }
}

/// What comes from outside an operation: time, randomness, processors, cancellation, somebody watching.
#[derive(Clone, Debug)]
pub struct Ambient {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where computing runs.
    pub cpu: CpuPool,
    /// Stops the operation.
    pub cancel: CancellationToken,
    /// Watches it.
    pub progress: Sink,
    /// Used instead of the configured bucket: for tests.
    pub store: Option<Arc<dyn ObjectStore>>,
    /// Is told of the steps that change this machine's disk: for tests.
    pub steps: Arc<dyn FailPoints>,
}

impl Ambient {
    /// The real ones, nobody watching.
    ///
    /// # Errors
    /// `B2_INTERNAL` when the system gives no threads.
    pub fn system() -> Result<Self> {
        Ok(Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            cpu: CpuPool::new(0)?,
            cancel: CancellationToken::new(),
            progress: Arc::new(Silent),
            store: None,
            steps: Arc::new(NoFailPoints),
        })
    }
}

/// An open store with the user's keys.
#[derive(Debug)]
pub struct Session {
    pub(crate) settings: Settings,
    pub(crate) ambient: Ambient,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) local: Local,
    pub(crate) warnings: Vec<String>,
    /// What had passed through the store before; only tests share one between sessions.
    pub(crate) before: Traffic,
    /// Where the agent works that asks, if one does.
    pub(crate) agent_workspace: Option<PathBuf>,
}

impl Session {
    /// Checks the settings and opens the store. One request where B2 has to be asked for the region, else none.
    ///
    /// # Errors
    /// `B2_CONFIG`, `B2_RECOVERY_CODE`, and those of opening the store.
    pub async fn open(settings: Settings, ambient: Ambient) -> Result<Self> {
        if settings.include_secrets && !settings.encrypt {
            return Err(Error::config(
                "includeSecrets",
                "secrets are only backed up with `encrypt: true`",
            ));
        }
        let code = settings.recovery_code.as_ref().filter(|code| !code.is_empty());
        let code = code.map(|code| RecoveryCode::parse(code.expose())).transpose();
        let code = code.map_err(|Mistyped(message)| Error::RecoveryCode { message })?;
        if settings.old_keys.len() > MAX_OLD_KEYS {
            let message = format!("at most {MAX_OLD_KEYS} keys: each costs time with every object");
            return Err(Error::config("oldKeys", message));
        }
        let secrets = Secrets {
            application_key: settings
                .store
                .application_key
                .clone()
                .filter(|secret| !secret.is_empty()),
            passphrase: settings.passphrase.clone().filter(|secret| !secret.is_empty()),
            recovery_code: code.map(|code| code.secret().clone()),
            old_keys: settings.old_keys.clone(),
        };
        ambient.progress.report(Event {
            phase: Phase::Open,
            done_bytes: 0,
            total_bytes: None,
            done_files: 0,
        });
        let (store, warnings) = match &ambient.store {
            Some(store) => (Arc::clone(store), Vec::new()),
            None => {
                let opening = crate::store::open(
                    &settings.store,
                    Arc::clone(&ambient.clock),
                    Arc::clone(&ambient.entropy),
                );
                let opened = tokio::select! {
                    opened = opening => opened?,
                    () = ambient.cancel.cancelled() => return Err(Error::Cancelled),
                };
                (opened.store, opened.warnings)
            }
        };
        let store: Arc<dyn ObjectStore> = match settings.store.as_of {
            Some(at) => Arc::new(AsOfStore::new(store, at)),
            None => store,
        };
        let StoreConfig { prefix, moved_from, .. } = &settings.store;
        let ring = KeyRing::new(secrets, ambient.cpu.clone()).below(prefix, moved_from.as_deref());
        let ring = Arc::new(ring);
        let local = Local::at(&settings.state_dir).with_fail_points(&ambient.steps);
        let before = store.traffic();
        let agent_workspace = None;
        let session =
            Self { settings, ambient, store, ring, local, warnings, before, agent_workspace };
        session.load_local_keys()?;
        Ok(session)
    }

    /// For an agent that works in `workspace`, an absolute path: comparisons and histories tell it lines of its own
    /// plain files alone, and plans say whether it needs somebody's word for them.
    #[must_use]
    pub fn for_agent(self, workspace: Option<PathBuf>) -> Self {
        Self { agent_workspace: workspace, ..self }
    }

    /// What is the agent's own, if one asks. Looks the configuration up.
    ///
    /// # Errors
    /// As [`Own::new`].
    pub(crate) async fn own(&self) -> Result<Option<Own>> {
        let Some(workspace) = self.agent_workspace.clone() else { return Ok(None) };
        let settings = self.settings.clone();
        let own = Self::blocking(move || {
            Own::new(&settings.state_dir, settings.config_path.as_deref(), &workspace)
        });
        own.await.map(Some)
    }

    /// What passed through the store since the session was opened.
    pub(crate) fn traffic(&self) -> Traffic {
        let (now, before) = (self.store.traffic(), self.before);
        Traffic {
            requests: now.requests.saturating_sub(before.requests),
            sent_bytes: now.sent_bytes.saturating_sub(before.sent_bytes),
            received_bytes: now.received_bytes.saturating_sub(before.received_bytes),
        }
    }

    /// The server's time as of its last answer, milliseconds since 1970. A folder has no clock of its own: there it
    /// is this machine's.
    pub(crate) fn server_now_ms(&self) -> i64 {
        millis(self.ambient.clock.now()).saturating_add(self.store.server_offset_ms())
    }

    /// Memory of this bucket, for sealed or for plain repositories.
    pub(crate) fn local_repository(&self, sealed: bool) -> LocalRepository {
        self.local.repository(&self.store.identity(), sealed)
    }

    fn load_local_keys(&self) -> Result<()> {
        let local = self.local_repository(true);
        if let (Some(record), Some(key)) = (local.record()?, local.key()?) {
            self.ring.add(record.repository, key);
        }
        Ok(())
    }

    /// Runs an operation until it ends or is cancelled.
    pub(crate) async fn cancellable<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = work => result,
            () = self.ambient.cancel.cancelled() => Err(Error::Cancelled),
        }
    }

    /// Tells how far the operation is.
    pub(crate) fn report(
        &self,
        phase: Phase,
        done_bytes: u64,
        total_bytes: Option<u64>,
        done_files: u64,
    ) {
        self.ambient.progress.report(Event { phase, done_bytes, total_bytes, done_files });
    }

    /// Runs blocking work (reading directories, files) off the async threads.
    pub(crate) async fn blocking<T: Send + 'static>(
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Error::internal("a background task failed"))?
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: std::time::SystemTime) -> i64 {
    match time.duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}
