//! What an operation that is cut off starts from, and what must be so after it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use b2_backup::ambient::{FailPoints, NoFailPoints, SystemEntropy};
use b2_backup::error::Result;
use b2_backup::ops::{self, Session, SnapshotInfo};
use b2_backup::store::folder::FolderStore;
use tempfile::TempDir;

use super::in_memory;
use super::jobs::Job;
use crate::support::calendar::{Calendar, DAY};
use crate::support::counted::{Counted, FailAt};
use crate::support::killed::kill_at;
use crate::support::machine::{Machine, restore_with};
use crate::support::plain::{Picture, assert_same, copy_all, next_day, picture};

/// A machine, its bucket (a folder) and its clock (a file) in one directory, which is put back before each trial. Paths
/// are part of what is remembered, so each trial is at the same place.
pub(crate) struct Scene {
    dir: TempDir,
    job: Job,
    /// Snapshots of the beginning, as they must restore.
    pub(crate) states: BTreeMap<String, Picture>,
    /// Those of them that the job may remove, or that are damaged from the beginning.
    pub(crate) given_up: Vec<String>,
}

/// The machine that works in a directory.
pub(crate) async fn machine_in(dir: &Path, job: Job, steps: Arc<dyn FailPoints>) -> Machine {
    let bucket = dir.join("bucket");
    let folder = FolderStore::open(bucket, "p".into(), Arc::new(SystemEntropy)).await.unwrap();
    let store = Counted { inner: Arc::new(folder), steps: steps.clone() };
    let mut machine = Machine::new(&dir.join("state"), Arc::new(store));
    machine.settings.encrypt = job.is_sealed();
    let clock = Calendar::start();
    clock.set(fs::read_to_string(dir.join("clock")).unwrap().parse().unwrap());
    machine.clock = clock;
    machine.steps = steps;
    machine
}

impl Scene {
    pub(crate) fn new(job: Job) -> Self {
        let scene = Self { dir: in_memory(), job, states: BTreeMap::new(), given_up: Vec::new() };
        fs::create_dir_all(scene.live()).unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        fs::write(scene.place().join("clock"), now.as_secs().to_string()).unwrap();
        scene
    }

    pub(crate) fn place(&self) -> PathBuf {
        self.dir.path().join("t")
    }

    pub(crate) fn live(&self) -> PathBuf {
        self.place().join("state")
    }

    fn origin(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    /// From here the trials start.
    pub(crate) fn keep(&self) {
        if self.origin().exists() {
            fs::remove_dir_all(self.origin()).unwrap();
        }
        copy_all(&self.place(), &self.origin());
    }

    pub(crate) fn reset(&self) {
        fs::remove_dir_all(self.place()).unwrap();
        copy_all(&self.origin(), &self.place());
    }

    pub(crate) fn pass(&self, days: i64) {
        let clock = self.place().join("clock");
        let now: i64 = fs::read_to_string(&clock).unwrap().parse().unwrap();
        fs::write(clock, (now + days * DAY).to_string()).unwrap();
    }

    pub(crate) async fn machine(&self) -> Machine {
        machine_in(&self.place(), self.job, Arc::new(NoFailPoints)).await
    }

    /// Pushes what is there, and remembers what it is.
    pub(crate) async fn push(&mut self) -> String {
        let id = self.machine().await.push().await.unwrap().snapshot.unwrap();
        self.states.insert(id.clone(), picture(&self.live()));
        id
    }

    /// Runs the job in a process that ends at a step. How many there are, where it did not.
    pub(crate) fn kill(&self, at: usize) -> Option<usize> {
        kill_at("jobs::job_that_is_killed", self.job.name(), &self.place(), at)
    }

    /// Runs the job with an error at a step. What it said, and how many steps it made.
    pub(crate) async fn fail(&self, at: usize) -> (Result<()>, usize) {
        let steps = FailAt::new(at);
        let machine = machine_in(&self.place(), self.job, steps.clone()).await;
        let done = self.job.run(&machine, &self.place()).await;
        (done, steps.seen())
    }

    async fn blank(&self) -> Session {
        self.machine().await.blank(self.place().join("blank")).session().await
    }

    async fn restores(&self, session: &Session, snapshot: &str, expected: &Picture, what: &str) {
        let to = self.place().join(format!("restored/{snapshot}"));
        let report = restore_with(session, snapshot, &to).await.unwrap();
        assert_eq!(report.failed, [], "{what}");
        assert_same(&picture(&to), expected, what);
        fs::remove_dir_all(to).unwrap();
    }

    /// Everything that is listed is what it was, or what is there now. Returns what is listed, by time.
    async fn reopen(&self, session: &Session, now: &Picture, what: &str) -> Vec<SnapshotInfo> {
        let listed = ops::list(session).await.unwrap().snapshots;
        for id in self.states.keys().filter(|id| !self.given_up.contains(id)) {
            assert!(listed.iter().any(|snapshot| snapshot.id == *id), "{what}: {id} is gone");
        }
        for snapshot in &listed {
            assert_eq!(snapshot.problem, None, "{what}");
            if !(self.job.begins_with_damage() && self.given_up.contains(&snapshot.id)) {
                let expected = self.states.get(&snapshot.id).unwrap_or(now);
                self.restores(session, &snapshot.id, expected, what).await;
            }
        }
        listed
    }

    /// What must hold wherever the job was cut off. `done` where it said that all went well.
    pub(crate) async fn check(&self, done: bool, what: &str) {
        let what = &format!("{}, {what}", self.job.name());
        let now = picture(&self.live());
        assert_same(&now, &picture(&self.origin().join("state")), what);
        let session = self.blank().await;
        let listed = self.reopen(&session, &now, what).await;
        if done && self.job.pushes() {
            let newest = listed.iter().map(|snapshot| &snapshot.id).max().unwrap();
            self.restores(&session, newest, &now, what).await;
        }
        self.job.finish(self, done, what).await;
        let machine = self.machine().await;
        let mut warnings = machine.push_after_kill().await.unwrap().warnings;
        if self.job == Job::RemoveKey && !done {
            // Gone from the bucket, and not yet from memory: that may be said.
            warnings.retain(|warning| !warning.contains("its removal was cut off"));
        }
        assert_eq!(warnings, Vec::<String>::new(), "{what}");
        let listed = self.reopen(&session, &now, what).await;
        let newest = listed.iter().map(|snapshot| &snapshot.id).max().unwrap();
        self.restores(&session, newest, &now, what).await;
        next_day(&self.live(), 30);
        self.pass(1);
        let machine = self.machine().await;
        let pushed = machine.push().await.unwrap();
        assert_eq!(pushed.warnings, Vec::<String>::new(), "{what}");
        let next = picture(&self.live());
        self.restores(&session, &pushed.snapshot.unwrap(), &next, what).await;
        let problems = machine.verify(true).await.problems;
        if !self.job.begins_with_damage() {
            assert_eq!(problems, [], "{what}");
        }
        let spools = fs::read_dir(self.live().join("b2-backup/repositories")).unwrap();
        for spool in spools.map(|entry| entry.unwrap().path().join("spool")) {
            assert_eq!(fs::read_dir(spool).map_or(0, Iterator::count), 0, "{what}: the spool");
        }
    }
}
