//! A bucket that somebody has to look after: seen by the doctor, read as it was, brought back, and refusing.

mod answers;
mod as_of;
mod doctor;
mod undelete;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use b2_backup::ambient::{Clock, NoFailPoints, SystemEntropy};
use b2_backup::cpu::CpuPool;
use b2_backup::error::Result;
use b2_backup::format::Reason;
use b2_backup::ops::{self, Ambient, PushReport, Session, Settings};
use b2_backup::progress::Silent;
use b2_backup::store::{ObjectKey, ObjectStore};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::support::b2_server::B2Server;
use crate::support::machine;

/// The real clock, shifted by as much as a test lets pass.
#[derive(Debug, Default)]
pub(crate) struct Shifted(AtomicU64);

impl Shifted {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for Shifted {
    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A machine with a small state that backs up to a server that plays B2, through all of the S3 client.
pub(crate) struct Agent {
    pub(crate) server: B2Server,
    pub(crate) clock: Arc<Shifted>,
    pub(crate) settings: Settings,
    pub(crate) dir: tempfile::TempDir,
}

impl Agent {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        std::fs::create_dir_all(state.join("workspace")).unwrap();
        std::fs::write(state.join("workspace/MEMORY.md"), "remember the milk\n").unwrap();
        let clock = Arc::new(Shifted::default());
        let server = B2Server::start(Arc::<Shifted>::clone(&clock)).await;
        let settings = Settings { store: server.config(), ..machine::settings(&state) };
        Self { server, clock, settings, dir }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.settings.state_dir.join(name), content).unwrap();
    }

    pub(crate) fn ambient(&self) -> Ambient {
        Ambient {
            clock: Arc::<Shifted>::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SystemEntropy),
            cpu: CpuPool::new(2).unwrap(),
            cancel: CancellationToken::new(),
            progress: Arc::new(Silent),
            store: None,
            steps: Arc::new(NoFailPoints),
        }
    }

    /// The same secrets and bucket on a machine that has nothing.
    pub(crate) fn blank(&self) -> Settings {
        Settings { state_dir: self.path("blank"), ..self.settings.clone() }
    }

    pub(crate) async fn try_session(&self, settings: Settings) -> Result<Session> {
        Session::open(settings, self.ambient()).await
    }

    pub(crate) async fn session(&self) -> Session {
        self.try_session(self.settings.clone()).await.unwrap()
    }

    /// The name that local memory goes by.
    pub(crate) async fn session_identity(&self) -> String {
        let entropy = Arc::new(SystemEntropy);
        let clock: Arc<dyn Clock> = Arc::<Shifted>::clone(&self.clock);
        let opened = b2_backup::store::open(&self.settings.store, clock, entropy).await.unwrap();
        opened.store.identity()
    }

    /// What lies below the prefix, by name without it.
    pub(crate) fn objects(&self) -> BTreeMap<String, Bytes> {
        let below = |(key, body): (String, Bytes)| Some((key.strip_prefix("p/")?.to_owned(), body));
        self.server.store().objects().into_iter().filter_map(below).collect()
    }

    /// What somebody with another key does: hides an object, or writes something else in its place.
    pub(crate) async fn attack(&self, name: &str, junk: Option<&[u8]>) {
        let key = ObjectKey::new(format!("p/{name}")).unwrap();
        match junk {
            None => self.server.store().delete(&key, None).await.unwrap(),
            Some(junk) => self.server.store().put(&key, junk.to_vec().into()).await.unwrap(),
        }
    }

    pub(crate) async fn attack_everything(&self, junk: Option<&[u8]>) {
        for name in self.objects().into_keys() {
            self.attack(&name, junk).await;
        }
        self.clock.advance(3600);
    }

    /// Restores onto a blank machine and gives what is in MEMORY.md.
    pub(crate) async fn memory_of(&self, settings: Settings, snapshot: &str) -> Result<String> {
        let to = tempfile::tempdir().unwrap();
        let report = self.restore(settings, snapshot, &to.path().join("x")).await?;
        assert_eq!(report.failed, []);
        Ok(std::fs::read_to_string(to.path().join("x/workspace/MEMORY.md")).unwrap())
    }

    pub(crate) async fn try_push(&self) -> Result<PushReport> {
        let session = self.try_session(self.settings.clone()).await?;
        ops::push(&session, machine::push_options(Reason::Manual)).await
    }

    /// A push that made a snapshot; an hour passes after it.
    pub(crate) async fn push(&self) -> String {
        let snapshot = self.try_push().await.unwrap().snapshot.unwrap();
        self.clock.advance(3600);
        snapshot
    }

    pub(crate) async fn restore(
        &self,
        settings: Settings,
        snapshot: &str,
        to: &Path,
    ) -> Result<ops::RestoreReport> {
        machine::restore_with(&self.try_session(settings).await?, snapshot, to).await
    }
}
