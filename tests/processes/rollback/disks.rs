//! Roots on other file systems, and file systems that do not take everything: whatever fails, one of forward and back
//! leads on.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use b2_backup::ambient::{FailPoints, NoFailPoints};
use b2_backup::ops::{Gateway, Outcome};

use super::trouble::{AtStep, Refuses};
use super::{Place, applied, exactly, settled, to};
use crate::support::campaign::cases;
use crate::support::host::{databases, run, shared};
use crate::support::plain::{Picture, assert_same, first_day, noise, write};
use crate::support::skipped::skipped;

/// A workspace on another file system than the state's, and both pictures.
struct Two {
    place: Place,
    _elsewhere: tempfile::TempDir,
    workspace: PathBuf,
    snapshot: String,
    then: Picture,
    now: Picture,
}

/// The longest name that there is.
fn longest() -> String {
    "n".repeat(255)
}

impl Two {
    async fn new() -> Self {
        let place = Place::new();
        first_day(&place.live);
        let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
        let workspace = elsewhere.path().canonicalize().unwrap().join("work");
        fs::create_dir(&workspace).unwrap();
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        assert_ne!(device(&workspace), device(&place.live), "it takes two file systems");
        let config = serde_json::json!({ "agents": { "defaults": { "workspace": workspace } } });
        write(&place.live, "openclaw.json", config.to_string());
        write(&workspace, &longest(), "then");
        write(&workspace, "a.md", "then a");
        write(&workspace, "gone/b.md", "then b");
        std::os::unix::fs::symlink("then", workspace.join("link")).unwrap();
        let snapshot = place.push().await;
        let then = settled(&workspace);
        write(&workspace, &longest(), "now, and longer");
        write(&workspace, "a.md", "now a, and longer");
        fs::remove_dir_all(workspace.join("gone")).unwrap();
        fs::remove_file(workspace.join("link")).unwrap();
        std::os::unix::fs::symlink("now", workspace.join("link")).unwrap();
        write(&workspace, "new/c.md", "now c");
        let now = settled(&workspace);
        Self { place, _elsewhere: elsewhere, workspace, snapshot, then, now }
    }

    /// Finishes whatever is open, without any trouble, and tells whether the workspace is as it was.
    async fn is_old(&mut self, what: &str) -> bool {
        self.place.machine.steps = Arc::new(NoFailPoints);
        let outcome = self.place.recover(Gateway::MustBeStopped).await.unwrap().outcome;
        let found = settled(&self.workspace);
        let old = found.get(longest().as_bytes()) == self.now.get(longest().as_bytes());
        assert_same(
            &found,
            if old { &self.now } else { &self.then },
            &format!("{what}: {outcome:?}"),
        );
        for folder in folders(&self.place.live) {
            let kept = fs::read_dir(folder.join("old")).into_iter().flatten();
            let kept: Vec<_> = kept.map(|it| it.unwrap().file_name()).collect();
            let half = |name: &std::ffi::OsString| name.to_string_lossy().contains("part");
            assert!(!kept.iter().any(half), "{what}: half-written copies stay: {kept:?}");
        }
        let nothing = self.place.recover(Gateway::MustBeStopped).await.unwrap().outcome;
        assert_eq!(nothing, Outcome::Nothing, "{what}");
        old
    }
}

/// The folders of rollbacks.
pub(super) fn folders(live: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let folders = fs::read_dir(live.join("b2-backup/restore"));
    folders.into_iter().flatten().flatten().map(|folder| folder.path())
}

/// Whether a rollback has a phase.
fn is_staged(live: &Path) -> bool {
    folders(live).any(|folder| folder.join("phase").exists())
}

/// One step fails, or from one on every step of a name does, as a file system that refuses it.
#[derive(Debug)]
pub(super) struct Trouble {
    from: usize,
    /// Only once, with this error; else every step of the same name.
    once: bool,
    error: i32,
    seen: AtomicUsize,
    name: std::sync::Mutex<Option<&'static str>>,
    live: PathBuf,
}

impl Trouble {
    pub(super) fn new(live: &Path, from: usize, once: bool, error: i32) -> Arc<Self> {
        let (seen, name) = (AtomicUsize::new(0), std::sync::Mutex::default());
        Arc::new(Self { from, once, error, seen, name, live: live.to_owned() })
    }
}

impl FailPoints for Trouble {
    fn step(&self, name: &'static str) -> std::io::Result<()> {
        // Of applying, not of staging.
        if !is_staged(&self.live) {
            return Ok(());
        }
        let at = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        let mut failing = self.name.lock().unwrap();
        if at == self.from {
            *failing = Some(name);
        } else if self.once || *failing != Some(name) {
            return Ok(());
        }
        Err(std::io::Error::from_raw_os_error(self.error))
    }
}

pub(super) const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Every step of applying fails, before and after its effect; and from every step on everything of its kind does, until
/// somebody mends it. Then the state is the old one or the new one.
#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_every_step() {
    // Odd, so that both sides of a step have their turn.
    for (once, error, stride) in [(true, EIO, cases(3, 1)), (false, ENOSPC, cases(5, 1))] {
        let (mut from, mut old, mut new) = (1, 0, 0);
        loop {
            let mut two = Two::new().await;
            let steps = Trouble::new(&two.place.live, from, once, error);
            two.place.machine.steps = steps.clone();
            let done = two.place.roll_back(&exactly(&two.snapshot)).await;
            let what = format!(
                "error {error} at step {from}, {}: {done:?}",
                if once { "once" } else { "on" }
            );
            if two.is_old(&what).await {
                assert!(done.is_err(), "{what}");
                old += 1;
            } else {
                new += 1;
            }
            if steps.seen.load(Ordering::SeqCst) < from {
                break;
            }
            from += usize::try_from(stride).unwrap();
        }
        assert!(old > 3 && new > 0, "{old} old, {new} new");
    }
}

/// A file system without permission bits: what has a content comes back, and the rest is named.
#[tokio::test(flavor = "multi_thread")]
async fn permission_bits_are_refused() {
    let mut two = Two::new().await;
    two.place.machine.steps = Arc::new(Refuses(&["set mode of", "set time of"]));
    let report = two.place.roll_back(&exactly(&two.snapshot)).await.unwrap();
    assert_eq!(report.outcome, Outcome::Applied);
    assert!(report.failed.iter().all(|problem| problem.code == "B2_REFUSED"), "{report:?}");
    assert!(!report.failed.is_empty() && report.failed.len() <= 4, "{report:?}");
    let found = settled(&two.workspace);
    for (path, item) in &two.then {
        assert_eq!(found[path].content, item.content);
    }
    let restored = two.place.dir.path().join("restored");
    let report = two.place.machine.restore(&two.snapshot, &restored).await.unwrap();
    assert!(report.failed.iter().all(|problem| problem.code == "B2_REFUSED"), "{report:?}");
    assert!(!report.failed.is_empty() && report.failed.len() <= 4, "{report:?}");
    assert_eq!(
        fs::read_to_string(restored.join("workspace/MEMORY.md")).unwrap(),
        "# Memory\n- first day\n"
    );
}

/// Whether this process may mount and give files away.
fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// As root, say with sudo: what is restored belongs to whom it belonged to, or whose directory it is.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_user_stay_theirs() {
    if !is_root() {
        skipped("files of another user stay theirs: only root can give files away");
        return;
    }
    let place = Place::new();
    first_day(&place.live);
    write(&place.live, "workspace/gone/x.md", "x");
    write(&place.live, "openclaw.json", "{}");
    let snapshot = place.push().await;
    write(&place.live, "openclaw.json", "{ agents: {} }");
    write(&place.live, "workspace/MEMORY.md", "other");
    fs::remove_dir_all(place.live.join("workspace/gone")).unwrap();
    let owned = |path: &Path| {
        (fs::symlink_metadata(path).unwrap().uid(), fs::symlink_metadata(path).unwrap().gid())
    };
    let status =
        Command::new("chown").args(["-Rh", "1234:2345"]).arg(&place.live).status().unwrap();
    assert!(status.success());
    std::os::unix::fs::lchown(place.live.join("workspace/MEMORY.md"), Some(77), Some(88)).unwrap();
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    let live = |path: &str| owned(&place.live.join(path));
    assert_eq!(live("workspace/MEMORY.md"), (77, 88));
    for path in ["openclaw.json", "workspace/gone", "workspace/gone/x.md"] {
        assert_eq!(live(path), (1234, 2345), "{path}");
    }
    // Into a directory of that user's, whether it is there or made.
    let home = place.dir.path().join("home");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(1234), Some(2345)).unwrap();
    let target = home.join("a/b");
    place.machine.restore(&snapshot, &target).await.unwrap();
    for path in ["", "..", "workspace", "workspace/gone/x.md", "workspace/link", "openclaw.json"] {
        assert_eq!(owned(&target.join(path)), (1234, 2345), "{path}");
    }
}

/// As root: owners that are refused are named, by the path that people know.
#[tokio::test(flavor = "multi_thread")]
async fn owners_that_are_refused_are_named() {
    if !is_root() {
        skipped("owners that are refused are named: only root can give files away");
        return;
    }
    let mut place = Place::new();
    first_day(&place.live);
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "other");
    let memory = place.live.join("workspace/MEMORY.md");
    std::os::unix::fs::lchown(&memory, Some(77), Some(88)).unwrap();
    place.machine.steps = Arc::new(Refuses(&["set owner of"]));
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    let failed: Vec<_> = report.failed.iter().map(|it| (&it.code[..], it.path.clone())).collect();
    let path = place.live.canonicalize().unwrap().join("workspace/MEMORY.md");
    assert_eq!(failed, [("B2_REFUSED", path.display().to_string())], "{report:?}");
}

/// What is refused while files are staged they lack in their places, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_while_staging_is_named() {
    #[derive(Debug)]
    struct Staging(Refuses, PathBuf);
    impl FailPoints for Staging {
        fn step(&self, name: &'static str) -> std::io::Result<()> {
            if is_staged(&self.1) { Ok(()) } else { self.0.step(name) }
        }
    }
    let mut place = Place::new();
    first_day(&place.live);
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "other");
    place.machine.steps = Arc::new(Staging(Refuses(&["set mode of"]), place.live.clone()));
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    let failed: Vec<_> = report.failed.iter().map(|it| (&it.code[..], it.path.clone())).collect();
    let path = place.live.canonicalize().unwrap().join("workspace/MEMORY.md");
    assert_eq!(failed, [("B2_REFUSED", path.display().to_string())], "{report:?}");
}

/// On the way back, too, what is refused is named.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_on_the_way_back_is_named() {
    let mut place = Place::new();
    first_day(&place.live);
    databases(&place.live);
    let script = place.live.join("workspace/run.sh");
    write(&place.live, "workspace/run.sh", "then");
    let snapshot = place.push().await;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    place.machine.steps = AtStep::new("open database", 1, || panic!("the process ends here"));
    place.roll_back(&to(&snapshot)).await.unwrap_err();
    for folder in fs::read_dir(place.live.join("b2-backup/restore")).unwrap() {
        let staged = fs::read_dir(folder.unwrap().path().join("new"));
        staged.into_iter().flatten().for_each(|file| fs::write(file.unwrap().path(), "x").unwrap());
    }
    place.machine.steps = Arc::new(Refuses(&["set mode of"]));
    let report = place.recover(Gateway::MustBeStopped).await.unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack);
    let failed: Vec<_> = report.failed.iter().map(|it| (&it.code[..], it.path.clone())).collect();
    let path = place.live.canonicalize().unwrap().join("workspace/run.sh");
    assert_eq!(failed, [("B2_REFUSED", path.display().to_string())], "{report:?}");
}

/// Where a step fails, and something is refused on the way back from it, the error names it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_after_an_error_is_named() {
    #[derive(Debug)]
    struct Failing(Refuses, PathBuf);
    impl FailPoints for Failing {
        fn step(&self, name: &'static str) -> std::io::Result<()> {
            if name == "keep rows" && is_staged(&self.1) {
                return Err(std::io::Error::from_raw_os_error(EIO));
            }
            self.0.step(name)
        }
    }
    let mut place = Place::new();
    first_day(&place.live);
    databases(&place.live);
    let script = place.live.join("workspace/run.sh");
    write(&place.live, "workspace/run.sh", "then");
    let snapshot = place.push().await;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    place.machine.steps = Arc::new(Failing(Refuses(&["set mode of"]), place.live.clone()));
    let error = place.roll_back(&to(&snapshot)).await.unwrap_err();
    assert_eq!(error.code(), "B2_IO", "{error}");
    let path = place.live.canonicalize().unwrap().join("workspace/run.sh");
    let told = error.to_string();
    assert!(told.contains("not exactly") && told.contains(path.to_str().unwrap()), "{told}");
}

/// Nothing that a snapshot says gives anybody the rights of another user; and what we make is its owner's alone.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_rights_than_read_write_and_execute() {
    let place = Place::new();
    first_day(&place.live);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let file = place.live.join("workspace/run.sh");
    write(&place.live, "workspace/run.sh", "then");
    write(&place.live, "workspace/sub/x.md", "then");
    set(&file, 0o6755);
    set(&place.live.join("workspace/sub"), 0o2755);
    let snapshot = place.push().await;
    let target = place.dir.path().join("new/target");
    place.machine.restore(&snapshot, &target).await.unwrap();
    assert_eq!([mode(&target), mode(target.parent().unwrap())], [0o700, 0o700]);
    assert_eq!(mode(&target.join("workspace/run.sh")), 0o755);
    assert_eq!(mode(&target.join("workspace/sub")), 0o755);
    let part = place.dir.path().join("part");
    place.machine.restore_paths(&snapshot, &part, &["workspace/sub/x.md"]).await.unwrap();
    assert_eq!(
        [mode(&part), mode(&part.join("workspace"))],
        [0o700, mode(&place.live.join("workspace"))]
    );
    // What stays is not touched for that, and what comes has none.
    assert!(place.plan(&to(&snapshot)).await.unwrap().is_empty());
    write(&place.live, "workspace/run.sh", "now");
    set(&place.live.join("workspace/sub"), 0o2700);
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(mode(&file), 0o755);
    assert_eq!(mode(&place.live.join("workspace/sub")), 0o2755, "a group that is inherited here");
}

/// A disk image of a few bytes stays small.
#[tokio::test(flavor = "multi_thread")]
async fn holes_stay_holes() {
    let place = Place::new();
    first_day(&place.live);
    let image = place.live.join("workspace/disk.img");
    let file = fs::File::create(&image).unwrap();
    file.set_len(40 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &noise(1, 5000), 9 << 20).unwrap();
    drop(file);
    let snapshot = place.push().await;
    let bytes = fs::read(&image).unwrap();
    let target = place.dir.path().join("target");
    place.machine.restore(&snapshot, &target).await.unwrap();
    fs::remove_file(&image).unwrap();
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    for path in [target.join("workspace/disk.img"), image] {
        assert!(fs::read(&path).unwrap() == bytes);
        let used = fs::metadata(&path).unwrap().blocks() * 512;
        assert!(used < 1 << 20, "{} takes {used} bytes", path.display());
    }
}

/// Runs one of these tests again, as a user who is not root, and so is asked for rights. `false` where it cannot be.
fn passes_as_another_user(test: &str) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).uid(65_534).gid(65_534).env("HOME", "/tmp");
    match command.env_remove("TMPDIR").status() {
        Ok(status) => {
            assert!(status.success(), "{test} as another user");
            true
        }
        Err(_) => false,
    }
}

/// Go's module cache is made of such directories.
#[tokio::test(flavor = "multi_thread")]
async fn directories_in_which_nothing_may_change() {
    if is_root() {
        if !passes_as_another_user("rollback::disks::directories_in_which_nothing_may_change") {
            skipped("directories in which nothing may change: no other user can run this test");
        }
        return;
    }
    let place = Place::new();
    first_day(&place.live);
    let locked = |path: &str, mode: u32| {
        let path = place.live.join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write(&place.live, "workspace/mod/inner/a", "then");
    for path in ["workspace/mod/inner", "workspace/mod"] {
        locked(path, 0o555);
    }
    let snapshot = place.push().await;
    let then = settled(&place.live);
    for path in ["workspace/mod", "workspace/mod/inner"] {
        locked(path, 0o755);
    }
    fs::remove_dir_all(place.live.join("workspace/mod/inner")).unwrap();
    write(&place.live, "workspace/mod/new/b", "now");
    for path in ["workspace/mod/new", "workspace/mod"] {
        locked(path, 0o555);
    }
    let now = settled(&place.live);
    applied(&place.roll_back(&exactly(&snapshot)).await.unwrap());
    assert_same(&settled(&place.live), &then, "rolled back");
    applied(&place.undo().await.unwrap());
    assert_same(&settled(&place.live), &now, "undone");
    // So that it can be removed.
    for path in ["workspace/mod", "workspace/mod/new"] {
        locked(path, 0o755);
    }
}
