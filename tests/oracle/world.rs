//! One machine with a wild state: what it pushes, and what a blank one brings back.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use b2_backup::ambient::{Clock, SystemEntropy};
use b2_backup::ops::{self, PushReport, RestoreReport};
use b2_backup::store::folder::FolderStore;
use futures_util::future::BoxFuture;
use tempfile::TempDir;

use crate::disks::{Disk, Inside};
use crate::judge::{self, Rules, Said, losses};
use crate::machine::Machine;
use crate::moment::Moment;
use crate::tree;
use crate::wild::Wild;

/// The system's clock, set wrong by so many seconds.
#[derive(Debug, Default)]
pub(crate) struct WrongClock(AtomicI64);

impl Clock for WrongClock {
    fn now(&self) -> SystemTime {
        let wrong = self.0.load(Ordering::SeqCst);
        let by = Duration::from_secs(wrong.unsigned_abs());
        if wrong < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // Nobody whom something waits for here ends by himself.
        Box::pin(tokio::time::sleep(duration.min(Duration::from_millis(1))))
    }
}

/// One machine with a wild state.
pub(crate) struct World {
    pub(crate) wild: Wild,
    clock: Arc<WrongClock>,
    pub(crate) machine: Machine,
    elsewhere: TempDir,
    restores: u32,
    newest: Option<String>,
    /// What each push found, and its snapshot holds.
    pub(crate) kept: Vec<Kept>,
    _inside: Option<Inside>,
}

/// What a snapshot was made of.
pub(crate) struct Kept {
    pub(crate) snapshot: String,
    pub(crate) moment: Moment,
    pub(crate) said: Said,
    /// Directories outside the state that it has, too.
    pub(crate) roots: Vec<PathBuf>,
}

/// What the product names of what it does not save.
pub(crate) async fn said(machine: &Machine, pushed: &PushReport) -> Said {
    let mut said = left_out(machine).await;
    for problem in &pushed.skipped {
        said.problem(&problem.path, &problem.code);
    }
    said
}

/// What a rule leaves out, as a dry run lists it.
pub(crate) async fn left_out(machine: &Machine) -> Said {
    let plan = ops::plan(&machine.session().await).await.unwrap();
    let left_out = plan.entries.into_iter().filter(|entry| !entry.included);
    Said { left_out: left_out.map(|entry| entry.path).collect(), ..Said::default() }
}

impl World {
    pub(crate) async fn new(base: PathBuf, seed: u64, disk: Disk) -> Self {
        let elsewhere = TempDir::new().unwrap();
        let mut wild = Wild::new(base, seed);
        // FAT has one time alone: whoever sets it back leaves no trace.
        wild.notes_changes = disk != Disk::Fat;
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
        if wild.rng().chance(0.5) && !disk.is_coarse() {
            clock.0.store(60, Ordering::SeqCst);
        }
        Self {
            wild,
            clock,
            machine,
            elsewhere,
            restores: 0,
            newest: None,
            kept: vec![],
            _inside: inside,
        }
    }

    /// What happens until the next push: to the state, to the disk of a workspace, and to the clock.
    pub(crate) fn live_on(&mut self, disk: Disk) {
        self.wild.live_on();
        if self.wild.rng().chance(0.15) {
            self.wild.workspace_comes_and_goes();
        }
        if self.wild.rng().chance(0.1) {
            // Whole seconds are known to be young by a clock that is right to a day: that of the disk is right here.
            let wrong: &[i64] = if disk.is_coarse() {
                &[-80_000, -3600, -1, 0]
            } else {
                &[-90_000, 90_000, 400 * 86_400, 0]
            };
            let wrong = *self.wild.rng().pick(wrong);
            self.clock.0.store(wrong, Ordering::SeqCst);
        }
    }

    /// Restores a snapshot on a blank machine. Returns the directory, too.
    pub(crate) async fn restored(
        &mut self,
        snapshot: &str,
    ) -> Result<(RestoreReport, PathBuf), String> {
        self.restores += 1;
        let to = self.elsewhere.path().join(format!("restored-{}", self.restores));
        let blank = self.elsewhere.path().join(format!("blank-{}", self.restores));
        match self.machine.blank(blank).restore(snapshot, &to).await {
            Ok(report) => Ok((report, to)),
            Err(error) => Err(format!("the restore failed: {error} [{}]", error.code())),
        }
    }

    /// Pushes, restores the newest snapshot on a blank machine, and gives every loss.
    pub(crate) async fn round(&mut self) -> Vec<String> {
        let moment = Moment::of(&self.wild.base);
        let pushed = match self.machine.push().await {
            Ok(pushed) => pushed,
            Err(error) => return vec![format!("the push failed: {error} [{}]", error.code())],
        };
        let said = said(&self.machine, &pushed).await;
        // Where nothing was new the last one has to be what is here.
        self.newest = pushed.snapshot.clone().or(self.newest.take());
        let (report, to) = match self.restored("latest").await {
            Ok(restored) => restored,
            Err(problem) => return vec![problem],
        };
        let mut found = self.told_again(&pushed, &report).await;
        if Some(&report.snapshot) != self.newest.as_ref() {
            found.push(format!("latest is {} and not {:?}", report.snapshot, self.newest));
        }
        // What a file system holds here, the one that is restored to holds, too.
        let failed = report.failed.iter();
        found.extend(failed.map(|problem| format!("{}: {}", problem.path, problem.message)));
        let (lost, roots) = self.lost(&moment, &said, &report, &to);
        found.extend(lost);
        std::fs::remove_dir_all(&to).unwrap();
        if let Some(snapshot) = pushed.snapshot {
            self.kept.push(Kept { snapshot, moment, said, roots });
        }
        found
    }

    /// What was there and did not come back, and the directories outside that did.
    pub(crate) fn lost(
        &self,
        moment: &Moment,
        said: &Said,
        report: &RestoreReport,
        to: &Path,
    ) -> (Vec<String>, Vec<PathBuf>) {
        let state = self.wild.state();
        // What a link leads to may be looked at in the link's place.
        let came_back = |path: &Path| {
            place_of(report, path).is_some_and(|place| place.is_dir()) || moment.in_place(to, path)
        };
        let outside = moment.outside.iter().map(|(path, _)| path.clone());
        let roots: Vec<PathBuf> = outside.filter(|path| came_back(path)).collect();
        let covered =
            |path: &Path| path.starts_with(&state) || roots.iter().any(|it| path.starts_with(it));
        let secrets = self.machine.settings.include_secrets;
        let may_go = |path: &[u8], is_dir| judge::may_be_left_out(path, is_dir, secrets);
        let inside = |path: &Path| moment.inside(path);
        let precious = |path: &[u8], is_dir| !may_go(path, is_dir);
        let rules = Rules { said, precious: &precious, covered: &covered, inside: &inside };
        let mut found = losses(&moment.state, None, to, rules);
        for (path, picture) in &moment.outside {
            if let Some(place) = place_of(report, path).filter(|place| place.is_dir()) {
                let start = self.start(path);
                let precious = |path: &[u8], is_dir| !may_go(&[start, path].concat(), is_dir);
                let rules = Rules { precious: &precious, ..rules };
                let more = losses(picture, Some(path), &place, rules);
                found.extend(more.into_iter().map(|loss| format!("{}: {loss}", path.display())));
            } else if !roots.contains(path) {
                let start = self.start(path);
                let precious = |path: &[u8], is_dir| !may_go(&[start, path].concat(), is_dir);
                let rules = Rules { precious: &precious, ..rules };
                if picture.tree.keys().all(|inner| rules.told(picture, Some(path), inner)) {
                    continue;
                }
                let untold = self.untold(moment, said, &roots, path);
                if !untold.is_empty() || *path == self.wild.workspace() {
                    found.push(format!("{}: no root came back {untold:?}", path.display()));
                }
            }
        }
        (found, roots)
    }

    /// The links to a directory outside that are neither named, nor left out themselves as they may be.
    fn untold(&self, moment: &Moment, said: &Said, roots: &[PathBuf], path: &Path) -> Vec<String> {
        let secrets = self.machine.settings.include_secrets;
        let state = self.wild.state();
        let outside = moment.outside.iter().filter(|(root, _)| roots.contains(root));
        let pictures = outside.map(|(root, picture)| (root, picture, Some(root.as_path())));
        let mut untold = Vec::new();
        for (root, picture, name) in [(&state, &moment.state, None)].into_iter().chain(pictures) {
            for (link, _) in picture.links.iter().filter(|(_, target)| *target == path) {
                let place = [self.start(root), link].concat();
                let left_out = judge::may_be_left_out(&place, false, secrets)
                    && judge::named(&said.left_out, name, link);
                let shown = judge::shown(name, link);
                if !left_out && !said.links.contains(&shown) {
                    untold.push(shown);
                }
            }
        }
        untold
    }

    /// What a path in a root begins with where the rules are asked: only the state has those of its top.
    pub(crate) fn start(&self, root: &Path) -> &'static [u8] {
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
    let to = report.roots.iter().find_map(|line| line.strip_prefix(&start))?;
    Some(PathBuf::from(OsString::from_vec(judge::unescaped(to))))
}
