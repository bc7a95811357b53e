//! Operations on the bucket and on local memory, cut off at each of their steps.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use b2_backup::error::Result;
use b2_backup::ops::{self, Keep, NewKey, PruneOptions, Reading, VerifyOptions};
use b2_backup::secret::Secret;

use super::scene::{Scene, machine_in};
use super::{campaign, points};
use crate::support::killed::KillAt;
use crate::support::machine::{Machine, restore_with};
use crate::support::plain::{assert_same, first_day, next_day, picture};

/// What is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    FirstPush,
    Push,
    /// A push that finds a snapshot that only has to be uploaded.
    Resume,
    Prune,
    /// Verify finds a damaged pack, and the push after it stores again what was in it.
    Heal,
    Restore,
    Drill,
    AddKey,
    RemoveKey,
    /// The passphrase of the configuration is another now.
    RotateKey,
}

const JOBS: [Job; 10] = [
    Job::FirstPush,
    Job::Push,
    Job::Resume,
    Job::Prune,
    Job::Heal,
    Job::Restore,
    Job::Drill,
    Job::AddKey,
    Job::RemoveKey,
    Job::RotateKey,
];

fn second() -> Secret {
    Secret::new("battery staple".into())
}

fn keep(newest: u32) -> PruneOptions {
    PruneOptions {
        keep: Keep::new(newest, 0, 0).unwrap(),
        dry_run: false,
        more_than_half: false,
        wait: Duration::ZERO,
    }
}

/// Names of all files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut open = vec![dir.to_owned()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Job {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FirstPush => "first push",
            Self::Push => "daily push",
            Self::Resume => "resume",
            Self::Prune => "prune",
            Self::Heal => "verify with repair",
            Self::Restore => "restore",
            Self::Drill => "drill",
            Self::AddKey => "add a key",
            Self::RemoveKey => "remove a key",
            Self::RotateKey => "rotate the key",
        }
    }

    /// Stretching a passphrase takes long, so only where keys are what it is about.
    pub(crate) fn is_sealed(self) -> bool {
        matches!(self, Self::AddKey | Self::RemoveKey | Self::RotateKey)
    }

    pub(crate) fn begins_with_damage(self) -> bool {
        self == Self::Heal
    }

    pub(crate) fn pushes(self) -> bool {
        matches!(self, Self::FirstPush | Self::Push | Self::Resume | Self::Heal | Self::RotateKey)
    }

    async fn scene(self) -> Scene {
        let mut scene = Scene::new(self);
        let live = scene.live();
        first_day(&live);
        if self != Self::FirstPush {
            scene.push().await;
        }
        match self {
            Self::Push | Self::RotateKey => next_day(&live, 1),
            Self::Resume => {
                next_day(&live, 1);
                scene.keep();
                let waits = |files: &[PathBuf]| files.iter().any(|f| f.ends_with("spool/captured"));
                for at in 1.. {
                    scene.reset();
                    assert!(scene.fail(at).await.0.is_err(), "nothing waits");
                    if waits(&files(&live)) {
                        break;
                    }
                }
            }
            Self::Prune => {
                for day in 1..6 {
                    scene.pass(1);
                    next_day(&live, day);
                    scene.push().await;
                }
                // Its packs are waiting for their day to end when the next prune comes.
                let session = scene.machine().await.session().await;
                let pruned = ops::prune(&session, keep(5)).await.unwrap();
                let kept = pruned.snapshots.iter().filter(|snapshot| !snapshot.reasons.is_empty());
                let kept: Vec<&String> = kept.map(|snapshot| &snapshot.id).collect();
                scene.states.retain(|id, _| kept.contains(&id));
                assert_eq!(scene.states.len(), 5);
                scene.given_up = scene.states.keys().take(2).cloned().collect();
                scene.pass(2);
            }
            Self::Heal => {
                scene.pass(1);
                next_day(&live, 1);
                scene.push().await;
                let packs = files(&scene.place().join("bucket/p/packs"));
                let first = packs.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
                let mut bytes = fs::read(first).unwrap();
                // In a file of which nothing changed since.
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(first, bytes).unwrap();
                scene.given_up = scene.states.keys().cloned().collect();
            }
            Self::FirstPush | Self::Restore | Self::Drill | Self::AddKey => {}
            Self::RemoveKey => {
                let session = scene.machine().await.session().await;
                let key = NewKey::Passphrase(second());
                let added = ops::add_key(&session, &key, Duration::ZERO).await.unwrap();
                fs::write(scene.place().join("slot"), &added.slots[0].id).unwrap();
            }
        }
        scene.keep();
        scene
    }

    /// Does it, as a user of the machine in `dir` would.
    pub(crate) async fn run(self, machine: &Machine, dir: &Path) -> Result<()> {
        let session = machine.session().await;
        match self {
            Self::FirstPush | Self::Push | Self::Resume => machine.push().await.map(drop),
            Self::Prune => ops::prune(&session, keep(3)).await.map(drop),
            Self::Heal => {
                let options = VerifyOptions { reading: Reading::All };
                let verified = ops::verify(&session, options).await?;
                assert!(!verified.problems.is_empty(), "damage is not seen");
                machine.push().await.map(drop)
            }
            Self::Restore => {
                let restored = restore_with(&session, "latest", &dir.join("to")).await?;
                match restored.failed.first() {
                    None => Ok(()),
                    Some(file) => Err(b2_backup::error::Error::internal(file.message.clone())),
                }
            }
            Self::Drill => ops::drill(&session).await.map(drop),
            Self::AddKey => {
                let key = NewKey::Passphrase(second());
                ops::add_key(&session, &key, Duration::ZERO).await.map(drop)
            }
            Self::RemoveKey => {
                let slot = fs::read_to_string(dir.join("slot")).unwrap();
                ops::remove_key(&session, &slot, false, Duration::ZERO).await.map(drop)
            }
            Self::RotateKey => {
                let mut machine = machine.clone();
                machine.settings.passphrase = Some(second());
                machine.push().await.map(drop)
            }
        }
    }

    /// Does it again in peace, and looks whether it is done then.
    pub(crate) async fn finish(self, scene: &Scene, done: bool, what: &str) {
        let (machine, dir) = (scene.machine().await, scene.place());
        match self {
            Self::FirstPush | Self::Push | Self::Resume => {}
            Self::Restore => {
                // Whatever of it is there is right, where it was not ended in the middle of a write.
                let expected = scene.states.values().next_back().unwrap();
                if done {
                    assert_same(&picture(&dir.join("to")), expected, what);
                }
                let left = fs::read_dir(dir.join("to")).map_or(0, Iterator::count);
                let again = self.run(&machine, &dir).await;
                match again {
                    Ok(()) => assert_eq!(left, 0, "{what}"),
                    Err(error) => assert_eq!(error.code(), "B2_TARGET_NOT_EMPTY", "{what}"),
                }
            }
            Self::RemoveKey => {
                match self.run(&machine, &dir).await {
                    Ok(()) => {}
                    // It was gone already.
                    Err(error) => assert_eq!(error.code(), "B2_KEY_SLOT", "{what}"),
                }
                let left = files(&dir.join("bucket/p/keys"));
                let slots = left.iter().filter(|path| path.extension().is_none());
                assert_eq!(slots.count(), 1, "{what}");
                assert_eq!(left.len(), 2, "{what}: the removal stays");
            }
            Self::Prune | Self::Heal | Self::Drill | Self::AddKey | Self::RotateKey => {
                self.run(&machine, &dir).await.unwrap();
            }
        }
        match self {
            Self::Prune => {
                let listed = machine.list().await.snapshots.len();
                assert_eq!(listed, 3, "{what}");
            }
            Self::AddKey | Self::RotateKey => {
                assert_eq!(files(&dir.join("bucket/p/keys")).len(), 2, "{what}");
                let mut other = machine.blank(dir.join("other"));
                other.settings.passphrase = Some(second());
                let restored = other.restore("latest", &dir.join("by-other")).await.unwrap();
                assert_eq!(restored.failed, [], "{what}");
            }
            Self::Drill => {
                let folder = scene.live().join("b2-backup/drill/files");
                assert!(!folder.exists(), "{what}: what was tried is cleared away");
            }
            _ => {}
        }
    }

    /// Of so many points one is tried in `npm test`. Those that stretch passphrases take a second each.
    fn stride(self) -> u64 {
        if self.is_sealed() { 9 } else { 1 }
    }

    async fn killed_everywhere(self) {
        let scene = self.scene().await;
        let last = scene.kill(0).unwrap();
        scene.check(true, "undisturbed").await;
        let mut tried = 0;
        for at in points(last, self.stride()) {
            scene.reset();
            // Threads do not always do the same in the same order: it may end a step earlier.
            if scene.kill(at).is_some() {
                assert!(at + 8 > last, "{at} of {last} steps were made");
                continue;
            }
            scene.check(false, &format!("killed at step {at} of {last}")).await;
            tried += 1;
        }
        campaign::report("crash", &format!("{}, killed", self.name()), &[("points", tried)]);
        assert!(tried >= self.least(), "{tried}");
    }

    async fn failing_everywhere(self) {
        let scene = self.scene().await;
        let (done, last) = scene.fail(0).await;
        done.unwrap();
        let mut tried = 0;
        for at in points(last, self.stride()) {
            scene.reset();
            let (done, seen) = scene.fail(at).await;
            if seen < at {
                assert!(at + 8 > last, "{at} of {last} steps were made");
                continue;
            }
            let what = format!("an error at step {at} of {last}: {done:?}");
            if let Err(error) = &done {
                let codes = ["B2_NETWORK", "B2_DISK_FULL", "B2_IO", "B2_INTERNAL"];
                assert!(codes.contains(&error.code()), "{what}");
                assert!(error.code() != "B2_INTERNAL" || self == Self::Restore, "{what}");
            }
            scene.check(done.is_ok(), &what).await;
            tried += 1;
        }
        campaign::report("crash", &format!("{}, failing", self.name()), &[("points", tried)]);
        assert!(tried >= self.least(), "{tried}");
    }

    /// Fewer points than this, and something is not counted any more.
    fn least(self) -> u64 {
        match self {
            Self::FirstPush | Self::Push | Self::Heal | Self::Prune => 30,
            Self::Resume | Self::Restore | Self::Drill => 20,
            Self::AddKey | Self::RemoveKey | Self::RotateKey => 2,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by other tests, in a process of its own"]
async fn job_that_is_killed() {
    let Ok(name) = std::env::var("B2_TEST_JOB") else { return };
    let dir = PathBuf::from(std::env::var_os("B2_TEST_DIR").unwrap());
    let job = JOBS.into_iter().find(|job| job.name() == name).unwrap();
    let steps = KillAt::from_parent();
    let machine = machine_in(&dir, job, steps.clone()).await;
    job.run(&machine, &dir).await.unwrap();
    println!("{}", steps.told());
}

/// Each job has two tests of its own, which run beside each other.
macro_rules! cut_off {
    ($($name:ident: $job:expr;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn killed() {
                $job.killed_everywhere().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn failing() {
                $job.failing_everywhere().await;
            }
        }
    )*};
}

cut_off! {
    first_push: Job::FirstPush;
    push: Job::Push;
    resume: Job::Resume;
    prune: Job::Prune;
    heal: Job::Heal;
    restore: Job::Restore;
    drill: Job::Drill;
    add_key: Job::AddKey;
    remove_key: Job::RemoveKey;
    rotate_key: Job::RotateKey;
}
