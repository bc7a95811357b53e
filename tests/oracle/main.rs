//! The oracle: wild states are pushed, restored on a blank machine, and compared by eyes that are not the product's.
//!
//! Each state is drawn from a seed, lives on for some rounds (edits that keep size and time, a workspace that goes
//! and comes back, clocks that jump), and is pushed in each. After each push the newest snapshot is restored with
//! nothing but bucket and secret. What is in the state and did not come back as it was, and that no report named, is
//! a loss. `B2_ORACLE_SEED=N` runs one state alone.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers may panic as the tests do"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use b2_backup::ambient::{Clock, SystemEntropy};
use b2_backup::ops::{self, PushReport, RestoreReport};
use b2_backup::store::folder::FolderStore;
use futures_util::future::BoxFuture;
use tempfile::TempDir;

#[path = "../support/campaign.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]
#[allow(clippy::print_stderr, clippy::must_use_candidate, reason = "for tests only")]
#[allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]
mod campaign;
mod days;
mod dump;
#[path = "../support/elsewhere.rs"]
mod elsewhere;
mod hold;
mod judge;
#[path = "../support/machine.rs"]
mod machine;
mod sharp;
#[path = "../support/skipped.rs"]
mod skipped;
#[path = "../support/state/mod.rs"]
#[allow(dead_code, unused_imports, reason = "each test binary uses a part")]
#[allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]
mod state;
mod tree;
mod wild;

use judge::{Picture, Said, losses};
use machine::Machine;
use skipped::skipped;
use state::rng;
use wild::Wild;

/// The system's clock, set wrong by so many seconds.
#[derive(Debug, Default)]
struct WrongClock(AtomicI64);

impl Clock for WrongClock {
    fn now(&self) -> SystemTime {
        let wrong = self.0.load(Ordering::SeqCst);
        let by = Duration::from_secs(wrong.unsigned_abs());
        if wrong < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Where states are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    /// The usual place for temporary files.
    Usual,
    /// `/dev/shm`.
    Memory,
    /// ext4 with inodes of 128 bytes: times in whole seconds, no time of birth.
    CoarseExt4,
}

/// A file system in a file, mounted for as long as this lives.
struct Mounted {
    _image: TempDir,
    at: TempDir,
}

/// A file system in memory, mounted inside a state for as long as this lives.
struct Inside(PathBuf);

impl Inside {
    /// `None` where this process may not mount.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=16m", "none"];
        let mounted = quiet(Command::new("mount").args(options).arg(&at));
        if !mounted {
            skipped("a disk that is mounted in a workspace: this process may not mount");
        }
        mounted.then_some(Self(at))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        quiet(Command::new("umount").arg("-l").arg(&self.0));
    }
}

impl Mounted {
    /// `None` where this process may not mount, or the tools are missing.
    fn coarse() -> Option<Self> {
        let image = TempDir::new().unwrap();
        let file = image.path().join("image");
        std::fs::File::create(&file).unwrap().set_len(96 << 20).unwrap();
        let at = TempDir::new().unwrap();
        let made = quiet(Command::new("mkfs.ext4").args(["-q", "-I", "128"]).arg(&file));
        let mounted =
            made && quiet(Command::new("mount").args(["-o", "loop"]).arg(&file).arg(at.path()));
        mounted.then_some(Self { _image: image, at })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        quiet(Command::new("umount").arg("-l").arg(self.at.path()));
    }
}

fn quiet(command: &mut Command) -> bool {
    use std::process::Stdio;
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// One machine with a wild state.
struct World {
    wild: Wild,
    clock: Arc<WrongClock>,
    machine: Machine,
    elsewhere: TempDir,
    restores: u32,
    newest: Option<String>,
    _inside: Option<Inside>,
}

/// What the product names of what it does not save.
async fn said(machine: &Machine, pushed: &PushReport) -> Said {
    let plan = ops::plan(&machine.session().await).await.unwrap();
    let left_out = plan.entries.into_iter().filter(|entry| !entry.included);
    let mut said = Said { left_out: left_out.map(|entry| entry.path).collect(), ..Said::default() };
    for problem in &pushed.skipped {
        said.problem(&problem.path, &problem.code);
    }
    said
}

impl World {
    async fn new(base: PathBuf, seed: u64, disk: Disk) -> Self {
        let elsewhere = TempDir::new().unwrap();
        let mut wild = Wild::new(base, seed);
        let inside = wild.rng().chance(0.1).then(|| wild.state().join("workspace/mounted"));
        let inside = inside.and_then(Inside::mount);
        if let Some(Inside(at)) = &inside {
            std::fs::write(at.join("on another disk.md"), "kept elsewhere\n").unwrap();
        }
        let bucket = elsewhere.path().join("bucket");
        let store = FolderStore::open(bucket, "p".into(), Arc::new(SystemEntropy)).await.unwrap();
        let clock = Arc::new(WrongClock::default());
        let mut machine = Machine::new(&wild.state(), Arc::new(store));
        machine.clock = Arc::<WrongClock>::clone(&clock);
        machine.settings.include_secrets = wild.rng().chance(0.5);
        // What was written within two seconds before a push is read again by the next: half of the lives go on later.
        // Not where times are whole seconds: they do not really go on later, and what is written twice within one looks
        // the same.
        if wild.rng().chance(0.5) && disk != Disk::CoarseExt4 {
            clock.0.store(60, Ordering::SeqCst);
        }
        Self { wild, clock, machine, elsewhere, restores: 0, newest: None, _inside: inside }
    }

    /// Pushes, restores the newest snapshot on a blank machine, and gives every loss.
    async fn round(&mut self) -> Vec<String> {
        let state = Picture::of(&self.wild.state());
        let outside: Vec<(PathBuf, Picture)> = self
            .outside()
            .into_iter()
            .map(|path| {
                let picture = Picture::of(&path);
                (path, picture)
            })
            .collect();
        let pushed = match self.machine.push().await {
            Ok(pushed) => pushed,
            Err(error) => return vec![format!("the push failed: {error} [{}]", error.code())],
        };
        let said = said(&self.machine, &pushed).await;
        self.restores += 1;
        let to = self.elsewhere.path().join(format!("restored-{}", self.restores));
        let blank = self.elsewhere.path().join(format!("blank-{}", self.restores));
        let blank = self.machine.blank(blank);
        // Where nothing was new the last one has to be what is here.
        self.newest = pushed.snapshot.clone().or(self.newest.take());
        let report = match blank.restore("latest", &to).await {
            Ok(report) => report,
            Err(error) => return vec![format!("the restore failed: {error} [{}]", error.code())],
        };
        let mut found = self.told_again(&pushed, &report).await;
        if Some(&report.snapshot) != self.newest.as_ref() {
            found.push(format!("latest is {} and not {:?}", report.snapshot, self.newest));
        }
        // What a file system holds here, the one that is restored to holds, too.
        let failed = report.failed.iter();
        found.extend(failed.map(|problem| format!("{}: {}", problem.path, problem.message)));
        // What a link leads to may be looked at in the link's place.
        let came_back = |path: &Path| {
            place_of(&report, path).is_some_and(|place| place.is_dir()) || self.in_place(&to, path)
        };
        let mut saved = vec![self.wild.state()];
        saved.extend(outside.iter().map(|(path, _)| path.clone()).filter(|path| came_back(path)));
        let covered = |path: &Path| saved.iter().any(|root| path.starts_with(root));
        let secrets = self.machine.settings.include_secrets;
        let may_go = |path: &[u8], is_dir| judge::may_be_left_out(path, is_dir, secrets);
        let precious = |path: &[u8], is_dir| !may_go(path, is_dir);
        found.extend(losses(&state, None, &to, &said, &precious, &covered));
        for (path, picture) in outside {
            if let Some(place) = place_of(&report, &path).filter(|place| place.is_dir()) {
                let start = self.start(&path);
                let precious = |path: &[u8], is_dir| !may_go(&[start, path].concat(), is_dir);
                let more = losses(&picture, Some(&path), &place, &said, &precious, &covered);
                found.extend(more.into_iter().map(|loss| format!("{}: {loss}", path.display())));
            } else if !picture.is_empty() && !came_back(&path) {
                let untold = self.untold(&said, &saved, &path);
                if !untold.is_empty() || path == self.wild.workspace() {
                    found.push(format!("{}: no root came back {untold:?}", path.display()));
                }
            }
        }
        std::fs::remove_dir_all(&to).unwrap();
        found
    }

    /// Directories outside the state that belong to it: the configured workspace, and where links lead.
    fn outside(&self) -> Vec<PathBuf> {
        let mut outside = vec![];
        let mut open = vec![self.wild.state()];
        if self.wild.workspace().is_dir() {
            outside.push(self.wild.workspace());
            open.push(self.wild.workspace());
        }
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = std::fs::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    open.push(path);
                } else if meta.is_symlink()
                    && let Ok(target) = path.canonicalize()
                    && target.is_dir()
                    && !target.starts_with(self.wild.state())
                    && !self.wild.state().starts_with(&target)
                    && !self.wild.workspace().starts_with(&target)
                    && !outside.iter().any(|other| target.starts_with(other))
                {
                    outside.push(target.clone());
                    open.push(target);
                }
            }
        }
        outside.sort();
        outside.dedup();
        outside
    }

    /// Whether a link of the state that leads to a directory came back as a directory.
    fn in_place(&self, restored: &Path, outside: &Path) -> bool {
        let state = self.wild.state();
        tree::links(&state).iter().any(|link| {
            tree::on_disk(&state, link).canonicalize().is_ok_and(|real| real == outside)
                && std::fs::symlink_metadata(tree::on_disk(restored, link))
                    .is_ok_and(|meta| meta.is_dir())
        })
    }

    /// The links to a directory outside that are neither named, nor left out themselves as they may be.
    fn untold(&self, said: &Said, roots: &[PathBuf], path: &Path) -> Vec<String> {
        let secrets = self.machine.settings.include_secrets;
        let mut untold = Vec::new();
        for root in roots {
            let name = (*root != self.wild.state()).then_some(root.as_path());
            for link in tree::links(root) {
                if !tree::on_disk(root, &link).canonicalize().is_ok_and(|real| real == path) {
                    continue;
                }
                let place = [self.start(root), &link].concat();
                let left_out = judge::may_be_left_out(&place, false, secrets)
                    && judge::named(&said.left_out, name, &link);
                let shown = judge::shown(name, &link);
                if !left_out && !said.links.contains(&shown) {
                    untold.push(shown);
                }
            }
        }
        untold
    }

    /// What a path in a root begins with where the rules are asked: only the state has those of its top.
    fn start(&self, root: &Path) -> &'static [u8] {
        if root == self.wild.state() {
            b""
        } else if root == self.wild.workspace() {
            b"workspace/"
        } else {
            b"linked/"
        }
    }

    /// What a push names as missing stands in the list and in the restore, too, whoever asks later.
    async fn told_again(&self, pushed: &PushReport, restored: &RestoreReport) -> Vec<String> {
        let list = self.machine.list().await;
        let info = list.snapshots.iter().find(|info| Some(&info.id) == self.newest.as_ref());
        let listed = info.is_some_and(|info| info.incomplete);
        let missing = ops::is_incomplete(&pushed.skipped);
        let mut found = Vec::new();
        if missing && !restored.incomplete {
            found.push(format!(
                "a push lacks something, and the restore does not say so: {:?}",
                pushed.skipped
            ));
        }
        if restored.incomplete != listed {
            found.push(
                "the list and the restore do not agree whether a snapshot is incomplete".into(),
            );
        }
        found
    }
}

/// Where a restore put a root, as its report says.
fn place_of(report: &RestoreReport, root: &Path) -> Option<PathBuf> {
    let start = format!("{} -> ", judge::escaped(&tree::bytes_of(root)));
    report.roots.iter().find_map(|line| line.strip_prefix(&start)).map(PathBuf::from)
}

/// The life of one state; its losses, each with the round.
async fn life(base: PathBuf, seed: u64, disk: Disk) -> Vec<String> {
    let mut world = World::new(base, seed, disk).await;
    let mut found = Vec::new();
    let rounds = world.wild.rng().between(2, 4);
    for round in 0..rounds {
        let losses = world.round().await;
        found.extend(losses.into_iter().map(|loss| format!("seed {seed}, round {round}: {loss}")));
        world.wild.live_on();
        if world.wild.rng().chance(0.15) {
            world.wild.workspace_comes_and_goes();
        }
        if world.wild.rng().chance(0.1) {
            // Whole seconds are known to be young by a clock that is right to a day: that of the disk is right here.
            let wrong = match disk {
                Disk::CoarseExt4 => [-80_000, -3600, -1, 0],
                Disk::Usual | Disk::Memory => [-90_000, 90_000, 400 * 86_400, 0],
            };
            let wrong = *world.wild.rng().pick(&wrong);
            world.clock.0.store(wrong, Ordering::SeqCst);
        }
    }
    found
}

async fn lives(disk: Disk, bounded: u64, whole: u64) {
    if dump::reader().is_none() {
        skipped("wild states: neither sqlite3 nor python3 is here to look into databases");
        return;
    }
    let mounted = if disk == Disk::CoarseExt4 {
        let Some(mounted) = Mounted::coarse() else {
            skipped("wild states on ext4 with inodes of 128 bytes: this process may not mount");
            return;
        };
        Some(mounted)
    } else {
        None
    };
    let memory = Path::new("/dev/shm");
    if disk == Disk::Memory && !memory.is_dir() {
        skipped("wild states in memory: there is no /dev/shm");
        return;
    }
    let mut found = Vec::new();
    let first = campaign::seed() * 1_000_000;
    let count = campaign::cases(bounded, whole);
    let one: Option<u64> = std::env::var("B2_ORACLE_SEED").ok().map(|seed| seed.parse().unwrap());
    for seed in one.map_or(first..first + count, |seed| seed..seed + 1) {
        let dir = match (&mounted, disk) {
            (Some(mounted), _) => TempDir::new_in(mounted.at.path()),
            (None, Disk::Memory) => TempDir::new_in(memory),
            (None, _) => TempDir::new(),
        };
        let dir = dir.unwrap();
        let base = dir.path().canonicalize().unwrap().join("machine");
        std::fs::create_dir(&base).unwrap();
        let losses = life(base, seed, disk).await;
        for loss in &losses {
            eprintln!("{loss}");
        }
        found.extend(losses);
    }
    campaign::report("oracle", &format!("wild states, {disk:?}"), &[("states", count)]);
    assert!(found.is_empty(), "{} losses:\n{}", found.len(), found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wild_states_on_the_usual_disk() {
    lives(Disk::Usual, 20, 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wild_states_in_memory() {
    lives(Disk::Memory, 20, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wild_states_where_times_are_whole_seconds() {
    lives(Disk::CoarseExt4, 20, 300).await;
}
