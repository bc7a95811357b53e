//! One cell of the matrix: an operation under some trouble, what it claims, and what is true.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use b2_backup::ambient::{Clock, FailPoints, NoFailPoints, SystemEntropy};
use b2_backup::cpu::CpuPool;
use b2_backup::error::{Error, Result};
use b2_backup::format::Reason;
use b2_backup::ops::{
    self, Ambient, DoctorOptions, Keep, Mode, NewKey, PruneOptions, Reading, RollbackRequest,
    Session, Settings, UndeleteOptions, VerifyOptions,
};
use b2_backup::progress::Silent;
use b2_backup::secret::Secret;
use b2_backup::store::{ObjectKey, ObjectStore as _, StoreConfig};
use bytes::Bytes;
use tempfile::{TempDir, tempdir, tempdir_in};
use tokio_util::sync::CancellationToken;

use super::proxy::{Proxy, Spoil, Which};
use super::{OPS, Op};
use crate::support::b2_server::B2Server;
use crate::support::campaign;
use crate::support::clock::TestClock;
use crate::support::machine::{push_options, restore_with, settings};
use crate::support::plain::{
    Picture, assert_same, copy_all, first_day, next_day, picture, settled,
};

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// Requests of a kind, so many of them.
    Line(Which, Spoil, usize),
    /// The server's clock is so many seconds ahead of this machine's.
    Clock(i64),
    /// No step on this machine's disk succeeds.
    Disk(ErrorKind),
}

/// No step on a disk succeeds.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) ErrorKind);

impl FailPoints for Broken {
    fn step(&self, _name: &'static str) -> std::io::Result<()> {
        Err(self.0.into())
    }
}

/// A machine, the line, the server.
pub(crate) struct Bench {
    dir: TempDir,
    server: B2Server,
    proxy: Proxy,
    steps: Mutex<Arc<dyn FailPoints>>,
    /// What the bucket held before each trial.
    objects: BTreeMap<String, Bytes>,
    states: BTreeMap<String, Picture>,
    sealed: bool,
}

impl Bench {
    /// Tries all operations under one kind of trouble.
    pub(crate) async fn row(name: &str, trouble: &Trouble, expected: &[&str]) {
        let plain = Self::new(false).await;
        let sealed = Self::new(true).await;
        let (mut found, mut said) = (Vec::new(), Vec::new());
        for op in OPS {
            let bench = if op == Op::AddKey { &sealed } else { &plain };
            let (outcome, error) = bench.cell(op, trouble, &format!("{name}, {op:?}")).await;
            found.push(outcome);
            said.extend(error.map(|error| format!("{op:?}: {error}")));
        }
        campaign::report("faults", name, &[("cells", found.len() as u64)]);
        assert_eq!(found, expected, "{name}: {said:#?}");
    }

    async fn new(sealed: bool) -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempdir_in(memory) } else { tempdir() }.unwrap();
        let server = B2Server::start(TestClock::ahead(0)).await;
        let address = server.config().trusted_hosts[0].clone();
        let proxy = Proxy::start(address).await;
        let mut bench = Self {
            dir,
            server,
            proxy,
            steps: Mutex::new(Arc::new(NoFailPoints)),
            objects: BTreeMap::new(),
            states: BTreeMap::new(),
            sealed,
        };
        first_day(&bench.live());
        for day in 1..=2 {
            let session = bench.session().await;
            let pushed = ops::push(&session, push_options(Reason::Manual)).await.unwrap();
            bench.states.insert(pushed.snapshot.unwrap(), picture(&bench.live()));
            next_day(&bench.live(), day);
        }
        bench.objects = bench.server.store().objects();
        copy_all(&bench.live(), &bench.path("origin"));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn live(&self) -> PathBuf {
        self.path("state")
    }

    fn settings(&self) -> Settings {
        let mut settings = settings(&self.live());
        settings.encrypt = self.sealed;
        settings.store = StoreConfig {
            endpoint: Some(self.proxy.url()),
            region: Some("us-east-005".into()),
            b2_api_url: None,
            trusted_hosts: vec![],
            retry: None,
            ..self.server.config()
        };
        settings
    }

    fn ambient(&self) -> Ambient {
        let clock: Arc<dyn Clock> = TestClock::ahead(0);
        Ambient {
            clock,
            entropy: Arc::new(SystemEntropy),
            cpu: CpuPool::new(2).unwrap(),
            cancel: CancellationToken::new(),
            progress: Arc::new(Silent),
            store: None,
            steps: self.steps.lock().unwrap().clone(),
        }
    }

    async fn session(&self) -> Session {
        Session::open(self.settings(), self.ambient()).await.unwrap()
    }

    /// Everything as it was.
    async fn reset(&self, op: Op) {
        let store = self.server.store();
        for name in store.objects().into_keys() {
            store.raw_remove(&name);
        }
        for name in ["state", "to", "blank", "drill"] {
            let path = self.path(name);
            if path.exists() {
                std::fs::remove_dir_all(path).unwrap();
            }
        }
        copy_all(&self.path("origin"), &self.live());
        if op == Op::FirstPush {
            std::fs::remove_dir_all(self.live().join("b2-backup")).unwrap();
            return;
        }
        for (name, body) in &self.objects {
            store.raw_replace(name, body.clone());
        }
        if op == Op::Undelete {
            let newest = self.states.keys().next_back().unwrap();
            let key = ObjectKey::new(format!("p/{newest}/manifest")).unwrap();
            store.delete(&key, None).await.unwrap();
        }
    }

    /// Runs one operation. `done` only where what it claims is everything that was asked for.
    async fn run(&self, op: Op, what: &str) -> Result<&'static str> {
        let told = |right: bool| if right { "done" } else { "told" };
        if op == Op::Doctor {
            let options = DoctorOptions { write: true };
            let report = ops::doctor(self.settings(), self.ambient(), options).await?;
            return Ok(told(report.problems() == 0));
        }
        let session = Session::open(self.settings(), self.ambient()).await?;
        let newest = self.states.keys().next_back().unwrap().clone();
        match op {
            Op::FirstPush | Op::Push => {
                let report = ops::push(&session, push_options(Reason::Manual)).await?;
                assert!(report.snapshot.is_some() || report.resumed.is_some(), "{what}");
                assert_eq!(report.skipped, [], "{what}");
                Ok("done")
            }
            Op::List => {
                let report = ops::list(&session).await?;
                let listed = report.snapshots;
                let whole = listed.iter().filter(|snapshot| snapshot.problem.is_none());
                let names: Vec<&String> = whole.map(|snapshot| &snapshot.id).collect();
                Ok(told(names == self.states.keys().collect::<Vec<_>>()))
            }
            Op::Status => {
                let report = ops::status(&session).await?;
                Ok(told(report.snapshots == self.states.len() as u64))
            }
            Op::Restore => {
                let to = self.path("to");
                let restored = restore_with(&session, "latest", &to).await;
                let found = if to.exists() { picture(&to) } else { Picture::new() };
                let report = restored.inspect_err(|error| {
                    assert!(found.is_empty(), "{what}: {error} leaves {}", found.len());
                })?;
                let mut expected = self.states[&report.snapshot].clone();
                for lost in &report.failed {
                    expected.remove(lost.path.as_bytes()).unwrap();
                }
                assert_same(&found, &expected, what);
                assert!(report.snapshot == newest || !report.warnings.is_empty(), "{what}");
                Ok(told(report.failed.is_empty() && report.snapshot == newest))
            }
            Op::Rollback => {
                let request = RollbackRequest {
                    snapshot: newest.clone(),
                    paths: vec![],
                    mode: Mode::Exact,
                    partial: false,
                    allow_unauthenticated: false,
                };
                let before = settled(&self.live());
                let rolled = async {
                    let plan = ops::plan_rollback(&session, &request).await?;
                    ops::roll_back(&session, &request, &plan.hash).await
                }
                .await;
                let after = settled(&self.live());
                rolled.inspect_err(|error| {
                    assert_same(&after, &before, &format!("{what}: {error}"));
                })?;
                for (path, item) in &self.states[&newest] {
                    assert_eq!(after[path].content, item.content, "{what}");
                }
                Ok("done")
            }
            Op::Verify => {
                let options = VerifyOptions { reading: Reading::All };
                let report = ops::verify(&session, options).await?;
                let all = report.snapshots == self.states.len() as u64;
                Ok(told(report.problems.is_empty() && all))
            }
            Op::Prune => {
                let options = PruneOptions {
                    keep: Keep::new(1, 0, 0).unwrap(),
                    dry_run: false,
                    more_than_half: true,
                    wait: Duration::ZERO,
                };
                let report = ops::prune(&session, options).await?;
                Ok(told(report.deleted_snapshots == 1))
            }
            Op::AddKey => {
                let key = NewKey::Passphrase(Secret::new("battery staple".into()));
                let added = ops::add_key(&session, &key, Duration::ZERO).await?;
                Ok(told(added.locked.is_empty()))
            }
            Op::Drill => {
                let report = ops::drill(&session).await?;
                Ok(told(report.failed.is_empty()))
            }
            Op::Undelete => {
                let options = UndeleteOptions { apply: true, ..UndeleteOptions::default() };
                let report = ops::undelete(&session, &options).await?;
                Ok(told(report.problems.is_empty() && report.objects == 1))
            }
            Op::Doctor => Err(Error::internal("is above")),
        }
    }

    async fn begin(&self, trouble: &Trouble) {
        match trouble {
            Trouble::Line(which, spoil, count) => {
                if matches!(spoil, Spoil::Stale) {
                    // What it will be stale from: before the last snapshot.
                    self.before_the_last().await;
                }
                self.proxy.spoil(*which, spoil.clone(), *count);
            }
            Trouble::Clock(seconds) => self.server.set(|rules| rules.ahead = *seconds),
            Trouble::Disk(kind) => *self.steps.lock().unwrap() = Arc::new(Broken(*kind)),
        }
    }

    /// Lets the proxy see the listings as they were before the newest snapshot.
    async fn before_the_last(&self) {
        let store = self.server.store();
        let newest = self.states.keys().next_back();
        let name = newest.map(|id| format!("p/{id}/manifest")).unwrap_or_default();
        let body = store.raw_read(&name);
        if body.is_some() {
            store.raw_remove(&name);
        }
        self.proxy.remember();
        let mut blank = self.settings();
        blank.state_dir = self.path("blank");
        let opened = Session::open(blank, self.ambient()).await.unwrap();
        ops::list(&opened).await.unwrap();
        ops::status(&opened).await.unwrap();
        if let Some(body) = body {
            store.raw_replace(&name, body);
        }
    }

    async fn end(&self) {
        self.proxy.heal().await;
        self.server.set(|rules| rules.ahead = 0);
        *self.steps.lock().unwrap() = Arc::new(NoFailPoints);
    }

    async fn cell(&self, op: Op, trouble: &Trouble, what: &str) -> (&'static str, Option<String>) {
        self.reset(op).await;
        let live = settled(&self.live());
        self.begin(trouble).await;
        let done = self.run(op, what).await;
        self.end().await;
        let outcome = done.as_ref().copied().unwrap_or_else(Error::code);
        if op != Op::Rollback {
            assert_same(&settled(&self.live()), &live, what);
        }
        let pushed = outcome == "done" && matches!(op, Op::FirstPush | Op::Push);
        self.holds(op, pushed, what).await;
        // The trouble is over: the same again.
        if !(outcome == "done"
            && matches!(op, Op::Restore | Op::Undelete | Op::Prune | Op::FirstPush | Op::Push))
        {
            if op == Op::Restore && self.path("to").exists() {
                std::fs::remove_dir_all(self.path("to")).unwrap();
            }
            let again = self.run(op, &format!("{what}, again")).await;
            assert!(again.is_ok(), "{what}, again: {again:?}");
            let again = again.unwrap();
            // A prune or an undelete may have come half way before.
            let half = matches!(op, Op::Prune | Op::Undelete) && again == "told";
            assert!(again == "done" || half, "{what}, again: {again}");
        }
        self.holds(op, matches!(op, Op::FirstPush | Op::Push), &format!("{what}, again")).await;
        (outcome, done.err().map(|error| error.to_string()))
    }

    /// On a machine that has nothing: every snapshot is there and restores, and what was `pushed` is the state.
    async fn holds(&self, op: Op, pushed: bool, what: &str) {
        let blank = self.path("blank");
        if blank.exists() {
            std::fs::remove_dir_all(&blank).unwrap();
        }
        let session =
            Session::open(Settings { state_dir: blank, ..self.settings() }, self.ambient()).await;
        let session = session.unwrap();
        let listed = ops::list(&session).await.unwrap().snapshots;
        let (mut newest, now) = (None, picture(&self.live()));
        for snapshot in &listed {
            assert_eq!(snapshot.problem, None, "{what}");
            let to = self.path("check");
            let report = restore_with(&session, &snapshot.id, &to).await.unwrap();
            assert_eq!(report.failed, [], "{what}: {}", snapshot.id);
            let found = picture(&to);
            match self.states.get(&snapshot.id) {
                Some(expected) => assert_same(&found, expected, what),
                None if op != Op::Rollback => assert_same(&found, &now, what),
                None => {}
            }
            newest = Some(found);
            std::fs::remove_dir_all(&to).unwrap();
        }
        assert!(!pushed || newest == Some(now), "{what}: said to be pushed, and is not there");
        let gone = |id: &&String| !listed.iter().any(|snapshot| snapshot.id == **id);
        let gone = self.states.keys().filter(gone).count();
        let allowed = match op {
            Op::FirstPush => self.states.len(),
            Op::Prune | Op::Undelete => 1,
            _ => 0,
        };
        assert!(gone <= allowed, "{what}: {gone} are gone");
    }
}
