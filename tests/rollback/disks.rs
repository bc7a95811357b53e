//! Roots on other file systems, and file systems that do not take everything: whatever fails, one of forward and back
//! leads on.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use b2_backup::ambient::{NoSteps, Steps};
use b2_backup::ops::{self, Gateway, Outcome};

use super::plain::{Picture, assert_same, first_day, noise, write};
use super::skipped::skipped;
use super::{Place, applied, exactly, settled, to};

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
        self.place.machine.steps = Arc::new(NoSteps);
        let outcome = self.place.recover(Gateway::MustBeStopped).await.unwrap().outcome;
        let found = settled(&self.workspace);
        let old = found.get(longest().as_bytes()) == self.now.get(longest().as_bytes());
        assert_same(
            &found,
            if old { &self.now } else { &self.then },
            &format!("{what}: {outcome:?}"),
        );
        let nothing = self.place.recover(Gateway::MustBeStopped).await.unwrap().outcome;
        assert_eq!(nothing, Outcome::Nothing, "{what}");
        old
    }
}

/// One step fails, or from one on every step of a name does, as a file system that refuses it.
#[derive(Debug)]
struct Trouble {
    from: usize,
    /// Only once, with this error; else every step of the same name.
    once: bool,
    error: i32,
    seen: AtomicUsize,
    name: std::sync::Mutex<Option<&'static str>>,
    live: PathBuf,
}

impl Trouble {
    fn new(live: &Path, from: usize, once: bool, error: i32) -> Arc<Self> {
        let (seen, name) = (AtomicUsize::new(0), std::sync::Mutex::default());
        Arc::new(Self { from, once, error, seen, name, live: live.to_owned() })
    }
}

impl Steps for Trouble {
    fn step(&self, name: &'static str) -> std::io::Result<()> {
        let restores = self.live.join("b2-backup/restore");
        let folders = fs::read_dir(restores).into_iter().flatten().flatten();
        // Of applying, not of staging.
        if !folders.into_iter().any(|folder| folder.path().join("phase").exists()) {
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

const EPERM: i32 = 1;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Every step of applying fails, before and after its effect; and from every step on everything of its kind does, until
/// somebody mends it. Then the state is the old one or the new one.
#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_every_step() {
    for (once, error, stride) in [(true, EIO, 2), (false, ENOSPC, 5)] {
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
            from += stride;
        }
        assert!(old > 3 && new > 0, "{old} old, {new} new");
    }
}

/// A file system without permission bits: what has a content comes back, and the rest is named.
#[tokio::test(flavor = "multi_thread")]
async fn permission_bits_are_refused() {
    #[derive(Debug)]
    struct Refuses;
    impl Steps for Refuses {
        fn step(&self, name: &'static str) -> std::io::Result<()> {
            let refused = ["set mode of", "set time of"].contains(&name);
            if refused { Err(std::io::Error::from_raw_os_error(EPERM)) } else { Ok(()) }
        }
    }
    let mut two = Two::new().await;
    two.place.machine.steps = Arc::new(Refuses);
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by another test, in a namespace of its own"]
async fn job_with_a_mounted_file() {
    if std::env::var_os("B2_TEST_JOB").is_none() {
        return;
    }
    let place = Place::new();
    first_day(&place.live);
    write(&place.live, "openclaw.json", "{ agents: {} }");
    let snapshot = place.push().await;
    for name in ["openclaw.json", "workspace/MEMORY.md"] {
        let outside = place.dir.path().join(name.replace('/', "-"));
        fs::write(&outside, "{ agents: {}, tools: {} }").unwrap();
        let mounted =
            Command::new("mount").arg("--bind").arg(&outside).arg(place.live.join(name)).status();
        assert!(mounted.unwrap().success());
    }
    // The configuration is made anew each time.
    let contents = |live: &Path| {
        let mut all = settled(live);
        all.get_mut(&b"openclaw.json"[..]).unwrap().mtime = (0, 0);
        all
    };
    let now = contents(&place.live);
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    let live = place.live.clone();
    let read = |name: &str| fs::read_to_string(live.join(name)).unwrap();
    assert_eq!(read("openclaw.json"), "{ agents: {} }");
    assert_eq!(read("workspace/MEMORY.md"), "# Memory\n- first day\n");
    assert_eq!(
        fs::read_to_string(place.dir.path().join("openclaw.json")).unwrap(),
        "{ agents: {} }"
    );
    applied(&place.undo().await.unwrap());
    assert_same(&contents(&place.live), &now, "undone");
    // And back again, when something fails on the way.
    let mut place = place;
    for at in (1..60).step_by(3) {
        place.machine.steps = Trouble::new(&place.live, at, true, EIO);
        let done = place.roll_back(&to(&snapshot)).await;
        place.machine.steps = Arc::new(NoSteps);
        ops::recover(&place.machine.settings, &place.machine.ambient(), Gateway::MustBeStopped)
            .await
            .unwrap();
        match done {
            Err(_) if read("openclaw.json").contains("tools") => {
                assert_same(&contents(&place.live), &now, "back");
            }
            _ => applied(&place.undo().await.unwrap()),
        }
        assert_eq!(read("openclaw.json"), "{ agents: {}, tools: {} }", "at {at}");
        assert_eq!(read("workspace/MEMORY.md"), "{ agents: {}, tools: {} }", "at {at}");
    }
    println!("the job is done");
}

/// One file that is mounted into a container can neither be moved nor replaced.
#[test]
fn a_file_that_is_a_mount_point() {
    let own = Command::new("unshare").args(["-rm", "true"]).status();
    if !own.is_ok_and(|status| status.success()) {
        skipped("a file that is a mount point: no namespaces of mounts here");
        return;
    }
    let out = Command::new("unshare")
        .arg("-rm")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "disks::job_with_a_mounted_file", "--ignored", "--nocapture"])
        .env("B2_TEST_JOB", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(said.contains("the job is done"), "{said}{}", String::from_utf8_lossy(&out.stderr));
}
