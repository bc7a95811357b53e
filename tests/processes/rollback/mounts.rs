//! Disks that are full, or only for reading, and files that are mounted: in a mount namespace of a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use b2_backup::ambient::{FailPoints, NoFailPoints};
use b2_backup::ops::{self, Gateway, Outcome};

use super::disks::{EIO, Trouble, folders};
use super::trouble::{AtStep, folders as count_folders};
use super::{Place, applied, only, settled, to};
use crate::support::host::{databases, integrity, run, shared, value};
use crate::support::plain::{assert_same, first_day, noise, write};
use crate::support::skipped::skipped;

/// Runs one of the jobs below in a mount namespace of its own; says so where the system does not allow that.
fn in_namespace(mount: &str, job: &str) {
    let namespace = ["--user", "--map-root-user", "--mount", "sh", "-e", "-c"];
    let allowed = Command::new("unshare")
        .args(namespace)
        .arg("mount -t tmpfs -o size=64k x /mnt")
        .status()
        .is_ok_and(|status| status.success());
    if !allowed {
        return skipped(&format!("{job}: no namespaces of mounts here"));
    }
    let binary = std::env::current_exe().unwrap();
    let test = format!(
        "{mount}; exec '{}' --exact rollback::mounts::{job} --ignored --nocapture",
        binary.display()
    );
    let done =
        Command::new("unshare").args(namespace).arg(test).env("B2_TEST_JOB", "1").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("job is done"), "{said}");
}

#[test]
fn a_full_disk() {
    in_namespace("mount -t tmpfs -o size=24m x /mnt", "job_on_a_full_disk");
}

#[test]
fn a_read_only_state() {
    in_namespace("mount -t tmpfs x /mnt", "job_on_a_read_only_disk");
}

fn in_mnt() -> Option<Place> {
    std::env::var_os("B2_TEST_JOB")?;
    let mut place = Place::new();
    place.live = "/mnt/state".into();
    fs::create_dir(&place.live).unwrap();
    place.machine.settings.state_dir = place.live.clone();
    Some(place)
}

/// Fills the disk up, and leaves a little.
fn fill(path: &str, leave: usize) {
    use std::io::Write as _;
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let size = file.metadata().unwrap().len();
    file.set_len(size - leave as u64).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by another test, in a namespace of its own"]
async fn job_on_a_full_disk() {
    let Some(mut place) = in_mnt() else { return };
    databases(&place.live);
    write(&place.live, "workspace/large.bin", noise(1, 2 << 20));
    write(&place.live, "workspace/MEMORY.md", "then");
    let snapshot = place.push().await;
    let then = settled(&place.live);
    write(&place.live, "workspace/large.bin", noise(2, 2 << 20));
    write(&place.live, "workspace/MEMORY.md", "now");
    run(&shared(&place.live), "DELETE FROM cron_jobs; DELETE FROM schema_meta; VACUUM");
    let now = settled(&place.live);
    let jobs = || value(&shared(&place.live), "SELECT count(*) FROM cron_jobs");
    // No room for the safety snapshot, or for staging.
    for leave in [16 << 10, 64 << 10, 3 << 20] {
        fill("/mnt/filler", leave);
        let error = place.roll_back(&to(&snapshot)).await.unwrap_err();
        assert_eq!(error.code(), "B2_DISK_FULL", "{error}");
        fs::remove_file("/mnt/filler").unwrap();
        assert_same(&settled(&place.live), &now, "nothing changed");
        assert_eq!(count_folders(&place.live), 0);
    }
    // It runs full while it is carried out.
    for (name, at) in
        [("copy database", 3), ("keep rows", 1), ("write database", 1), ("close database", 1)]
    {
        place.machine.steps = AtStep::new(name, at, || fill("/mnt/filler", 0));
        let result = place.roll_back(&to(&snapshot)).await;
        place.machine.steps = Arc::new(NoFailPoints);
        match &result {
            Ok(report) => assert_eq!(report.outcome, Outcome::Applied),
            Err(error) => assert!(
                ["B2_DISK_FULL", "B2_ROLLBACK_OPEN"].contains(&error.code()),
                "{name}: {error}"
            ),
        }
        fs::remove_file("/mnt/filler").unwrap();
        place.recover(Gateway::MustBeStopped).await.unwrap();
        assert_eq!(integrity(&shared(&place.live)), "ok", "{name}");
        let memory = fs::read(place.live.join("workspace/MEMORY.md")).unwrap();
        if memory == b"then" {
            assert_eq!(jobs(), "2", "{name}");
            applied(&place.undo().await.unwrap());
        }
        assert_eq!(
            (jobs(), fs::read(place.live.join("workspace/MEMORY.md")).unwrap()),
            ("0".into(), b"now".to_vec()),
            "{name}"
        );
        place.machine.push().await.unwrap();
    }
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    let files = |picture: crate::support::plain::Picture| -> crate::support::plain::Picture {
        picture.into_iter().filter(|(path, _)| path.starts_with(b"workspace")).collect()
    };
    assert_same(&files(settled(&place.live)), &files(then), "in the end");
    println!("job is done");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by another test, in a namespace of its own"]
async fn job_on_a_read_only_disk() {
    let Some(place) = in_mnt() else { return };
    // The plugin's own folder can be written, the state cannot.
    first_day(&place.live);
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "other");
    write(&place.live, "openclaw.json", "{ a: 1 }");
    let now = settled(&place.live);
    let mount = |arguments: &[&str]| {
        assert!(Command::new("mount").args(arguments).status().unwrap().success());
    };
    mount(&["--bind", "/mnt/state/workspace", "/mnt/state/workspace"]);
    mount(&["-o", "remount,ro,bind", "/mnt/state/workspace"]);
    let error = place.roll_back(&to(&snapshot)).await.unwrap_err();
    assert_eq!(error.code(), "B2_PERMISSION", "{error}");
    assert_same(&settled(&place.live), &now, "nothing changed");
    mount(&["-o", "remount,rw,bind", "/mnt/state/workspace"]);
    // It was put back, so nothing is open; and now it works, across what counts as another file system.
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Nothing);
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    let memory = fs::read_to_string(place.live.join("workspace/MEMORY.md")).unwrap();
    assert_eq!(memory, "# Memory\n- first day\n");
    // All of it.
    mount(&["-o", "remount,ro", "/mnt"]);
    let error = place.roll_back(&to(&snapshot)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "B2_PERMISSION");
    println!("job is done");
}

/// One step of applying fails, the first once a file is in its place; and one more, so many later, on the way back.
#[derive(Debug)]
struct Twice {
    placed: PathBuf,
    content: &'static str,
    again: usize,
    seen: AtomicUsize,
    live: PathBuf,
}

impl Twice {
    fn is_in_place(&self) -> bool {
        let is = |path: PathBuf| fs::read(path).is_ok_and(|it| it == self.content.as_bytes());
        let Some(newest) = folders(&self.live).filter(|it| it.is_dir()).max() else { return false };
        let mut staged = fs::read_dir(newest.join("new")).into_iter().flatten();
        let staged = staged.any(|file| is(file.unwrap().path()));
        newest.join("phase").exists() && is(self.placed.clone()) && !staged
    }
}

impl FailPoints for Twice {
    fn step(&self, _: &'static str) -> std::io::Result<()> {
        let before = self.seen.load(Ordering::SeqCst);
        if before == 0 && !self.is_in_place() {
            return Ok(());
        }
        self.seen.store(before + 1, Ordering::SeqCst);
        let fails = before == 0 || before == self.again;
        if fails { Err(std::io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }
}

/// A file that is mounted over another one until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn over(path: &Path, file: &Path) -> Self {
        let mounted = Command::new("mount").arg("--bind").args([file, path]).status();
        assert!(mounted.unwrap().success());
        Self(path.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _or_with_the_namespace = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by another test, in a namespace of its own"]
async fn job_with_a_mounted_file() {
    if std::env::var_os("B2_TEST_JOB").is_none() {
        return;
    }
    let mut place = Place::new();
    first_day(&place.live);
    write(&place.live, "openclaw.json", "{ agents: {} }");
    let snapshot = place.push().await;
    // Dropped before the place is, which can be removed then.
    let mut mounts = Vec::new();
    for name in ["openclaw.json", "workspace/MEMORY.md"] {
        let outside = place.dir.path().join(name.replace('/', "-"));
        fs::write(&outside, "{ agents: {}, tools: {} }").unwrap();
        mounts.push(Mounted::over(&place.live.join(name), &outside));
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
    // And back again, when something fails on the way, and when that fails on the way, too.
    let once = (1..60).step_by(3).map(|at| (at, false));
    let twice = [13, 19, 31, 50].map(|at| (at, true));
    for (at, again) in once.chain(twice) {
        let (placed, content) = (live.join("workspace/MEMORY.md"), "# Memory\n- first day\n");
        let seen = AtomicUsize::new(0);
        let twice = Twice { placed, content, again: at, seen, live: live.clone() };
        place.machine.steps =
            if again { Arc::new(twice) } else { Trouble::new(&live, at, true, EIO) };
        let done = place.roll_back(&to(&snapshot)).await;
        place.machine.steps = Arc::new(NoFailPoints);
        ops::recover(&place.machine.settings, &place.machine.ambient(), Gateway::MustBeStopped)
            .await
            .unwrap_or_else(|error| panic!("{at}, {again}: {error} after {done:?}"));
        match done {
            Err(_) if read("openclaw.json").contains("tools") => {
                assert_same(&contents(&place.live), &now, "back");
            }
            _ => applied(&place.undo().await.unwrap()),
        }
        assert_eq!(read("openclaw.json"), "{ agents: {}, tools: {} }", "at {at}, {again}");
        assert_eq!(read("workspace/MEMORY.md"), "{ agents: {}, tools: {} }", "at {at}, {again}");
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
        .args(["--exact", "rollback::mounts::job_with_a_mounted_file", "--ignored", "--nocapture"])
        .env("B2_TEST_JOB", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(said.contains("the job is done"), "{said}{}", String::from_utf8_lossy(&out.stderr));
}

/// The disk of a workspace is taken off, with the directory that it was mounted on: what is on it is left out by name,
/// and nothing is made in its place.
#[test]
fn a_workspace_whose_disk_is_gone() {
    in_namespace("mount -t tmpfs x /mnt", "job_with_a_disk_that_goes");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by another test, in a namespace of its own"]
async fn job_with_a_disk_that_goes() {
    let Some(place) = in_mnt() else { return };
    first_day(&place.live);
    let (disk, workspace) = (Path::new("/mnt/disk"), Path::new("/mnt/disk/w"));
    fs::create_dir(disk).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        assert!(Command::new(program).args(arguments).status().unwrap().success());
    };
    run("mount", &["-t", "tmpfs", "x", "/mnt/disk"]);
    write(workspace, "MEMORY.md", "then");
    let config = serde_json::json!({ "agents": { "defaults": { "workspace": workspace } } });
    write(&place.live, "openclaw.json", config.to_string());
    let snapshot = place.push().await;
    run("umount", &["/mnt/disk"]);
    fs::remove_dir(disk).unwrap();
    let left_out = |plan: &ops::RollbackPlan| {
        let left: Vec<_> = plan.left_out.iter().map(|it| (&it.path[..], &it.code[..])).collect();
        assert_eq!(left, [("/mnt/disk/w", "B2_ROOT_GONE")], "{plan:?}");
        let message = &plan.left_out[0].message;
        for part in ["1 file of it is left out", "Mount it", "mkdir -p \"/mnt/disk/w\""] {
            assert!(message.contains(part), "{message}");
        }
        let told = plan.warnings.join("\n");
        assert!(!told.contains("not configured") && !told.contains("comes back"), "{told}");
    };
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    left_out(&plan);
    assert!(plan.is_empty());
    left_out(&place.plan(&only(&snapshot, &["/mnt/disk/w/MEMORY.md"])).await.unwrap());
    // The rest comes, and the report says what does not.
    write(&place.live, "workspace/MEMORY.md", "now");
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    assert_eq!((report.outcome, &report.failed), (Outcome::Applied, &plan.left_out));
    assert!(!disk.exists());
    // By now the newest snapshot does not know the disk: what is there is another file system's top.
    left_out(&place.plan(&to(&snapshot)).await.unwrap());
    // Somebody makes the directory, as was said.
    run("mkdir", &["-p", "/mnt/disk/w"]);
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(fs::read_to_string(workspace.join("MEMORY.md")).unwrap(), "then");
    println!("job is done");
}
