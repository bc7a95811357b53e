//! When something fails, the state is as it was or as it was planned, and never in between.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use b2_backup::ambient::FailPoints;
use b2_backup::error::Error;
use b2_backup::ops::{self, Gateway, Outcome};
use b2_backup::store::memory::{Fault, Operation};

use super::{Place, applied, exactly, settled, to};
use crate::support::host::{databases, integrity, run, shared, value};
use crate::support::plain::{assert_same, first_day, noise, picture, write};

/// Does something at one of the steps, once.
pub(crate) struct AtStep {
    name: &'static str,
    after: usize,
    seen: std::sync::atomic::AtomicUsize,
    act: Box<dyn Fn() + Send + Sync>,
    done: AtomicBool,
}

impl std::fmt::Debug for AtStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AtStep({})", self.name)
    }
}

impl AtStep {
    /// At the `after`-th step of that name, from 1.
    pub(crate) fn new(
        name: &'static str,
        after: usize,
        act: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        let act = Box::new(act);
        Arc::new(Self { name, after, seen: 0.into(), act, done: AtomicBool::new(false) })
    }
}

impl FailPoints for AtStep {
    fn step(&self, name: &'static str) -> std::io::Result<()> {
        if name == self.name
            && self.seen.fetch_add(1, Ordering::SeqCst) + 1 >= self.after
            && !self.done.swap(true, Ordering::SeqCst)
        {
            (self.act)();
        }
        Ok(())
    }
}

/// Does something once, at the first step after everything is staged: there is a phase.
pub(crate) struct Staged {
    restores: PathBuf,
    act: Box<dyn Fn() + Send + Sync>,
    done: AtomicBool,
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Staged")
    }
}

impl Staged {
    pub(crate) fn new(live: &Path, act: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        let restores = live.join("b2-backup/restore");
        Arc::new(Self { restores, act: Box::new(act), done: AtomicBool::new(false) })
    }

    fn has_phase(&self) -> bool {
        let Ok(mut folders) = fs::read_dir(&self.restores) else { return false };
        folders.any(|folder| folder.unwrap().path().join("phase").exists())
    }
}

impl FailPoints for Staged {
    fn step(&self, _: &'static str) -> std::io::Result<()> {
        if self.has_phase() && !self.done.swap(true, Ordering::SeqCst) {
            (self.act)();
        }
        Ok(())
    }
}

/// Fails once, at the first step of a name.
#[derive(Debug)]
pub(crate) struct FailsOnce(&'static str, AtomicBool);

impl FailsOnce {
    pub(crate) fn at(name: &'static str) -> Arc<Self> {
        Arc::new(Self(name, AtomicBool::new(false)))
    }
}

impl FailPoints for FailsOnce {
    fn step(&self, name: &'static str) -> std::io::Result<()> {
        let fails = name == self.0 && !self.1.swap(true, Ordering::SeqCst);
        if fails { Err(std::io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

pub(crate) fn folders(live: &Path) -> usize {
    let folder = live.join("b2-backup/restore");
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
}

/// One damaged pack fails all of it with the files that it costs; `partial` restores the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_pack() {
    let place = Place::new();
    first_day(&place.live);
    place.push().await;
    write(&place.live, "workspace/other.bin", noise(77, 50_000));
    let snapshot = place.push().await;
    let then = settled(&place.live);
    // The second pack holds the later file, and the tree: only its first frame is damaged.
    let packs: Vec<String> =
        place.store.objects().into_keys().filter(|key| key.starts_with("packs/")).collect();
    let later = packs.iter().find(|key| {
        place.store.raw_read(key).unwrap().len() > 40_000 && {
            let bytes = place.store.raw_read(key).unwrap();
            bytes.windows(64).any(|part| part == &noise(77, 50_000)[1000..1064])
        }
    });
    let name = later.unwrap();
    let mut bytes = place.store.raw_read(name).unwrap().to_vec();
    bytes[1000] ^= 1;
    place.store.raw_replace(name, bytes);
    fs::remove_file(place.live.join("workspace/other.bin")).unwrap();
    fs::remove_file(place.live.join("workspace/MEMORY.md")).unwrap();
    let now = settled(&place.live);
    let error = place.roll_back(&to(&snapshot)).await.unwrap_err();
    assert_eq!(error.code(), "B2_DAMAGED");
    let text = error.to_string();
    assert!(text.contains("workspace/other.bin") && text.contains("--partial"), "{text}");
    assert!(!text.contains("MEMORY"), "{text}");
    assert_same(&settled(&place.live), &now, "nothing changed");
    assert_eq!(folders(&place.live), 0);
    let mut request = to(&snapshot);
    request.partial = true;
    let report = place.roll_back(&request).await.unwrap();
    assert_eq!(report.outcome, Outcome::Applied);
    let failed: Vec<&str> = report.failed.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(failed, ["workspace/other.bin"]);
    let mut wanted = then;
    wanted.remove(&b"workspace/other.bin"[..]);
    assert_same(&settled(&place.live), &wanted, "the rest");
    applied(&place.undo().await.unwrap());
    assert_same(&settled(&place.live), &now, "undone");
}

/// Without a safety snapshot nothing happens.
#[tokio::test(flavor = "multi_thread")]
async fn no_safety_snapshot_no_rollback() {
    let place = Place::new();
    first_day(&place.live);
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "other");
    let before = settled(&place.live);
    let session = place.machine.session().await;
    let plan = ops::plan_rollback(&session, &to(&snapshot)).await.unwrap();
    place.store.set_faults(|call| {
        let lost = Error::Network { target: "test".into(), message: "cut off".into() };
        if call.operation == Operation::List { vec![Fault::FailBefore(lost)] } else { vec![] }
    });
    let failed = ops::roll_back(&session, &to(&snapshot), &plan.hash).await;
    assert_eq!(failed.unwrap_err().code(), "B2_NETWORK");
    place.store.clear_faults();
    assert_same(&settled(&place.live), &before, "nothing changed");
    assert_eq!(folders(&place.live), 0);
}

/// Captured is enough: when only the commit does not get through, the rollback goes on, and so does the next push.
#[tokio::test(flavor = "multi_thread")]
async fn a_safety_snapshot_that_is_not_uploaded_yet() {
    let place = Place::new();
    first_day(&place.live);
    let snapshot = place.push().await;
    let then = settled(&place.live);
    write(&place.live, "workspace/MEMORY.md", "other");
    let now = settled(&place.live);
    let session = place.machine.session().await;
    let plan = ops::plan_rollback(&session, &to(&snapshot)).await.unwrap();
    place.store.set_faults(|call| {
        let lost = Error::Network { target: "test".into(), message: "cut off".into() };
        let commit = call.operation == Operation::Put && call.key.ends_with("/manifest");
        if commit { vec![Fault::FailBefore(lost)] } else { vec![] }
    });
    let report = ops::roll_back(&session, &to(&snapshot), &plan.hash).await.unwrap();
    place.store.clear_faults();
    applied(&report);
    assert!(report.warnings.iter().any(|text| text.contains("not uploaded yet")), "{report:?}");
    assert_same(&settled(&place.live), &then, "rolled back");
    // It says nothing about a later moment: the next one needs a snapshot of its own.
    write(&place.live, "workspace/MEMORY.md", "later");
    let later = ops::plan_rollback(&session, &to(&snapshot)).await.unwrap();
    place.store.set_faults(|call| {
        let lost = Error::Network { target: "test".into(), message: "cut off".into() };
        let commit = call.operation == Operation::Put && call.key.ends_with("/manifest");
        if commit { vec![Fault::FailBefore(lost)] } else { vec![] }
    });
    let refused = ops::roll_back(&session, &to(&snapshot), &later.hash).await;
    assert_eq!(refused.unwrap_err().code(), "B2_NETWORK");
    place.store.clear_faults();
    assert_eq!(fs::read_to_string(place.live.join("workspace/MEMORY.md")).unwrap(), "later");
    write(&place.live, "workspace/MEMORY.md", "# Memory\n- first day\n");
    let safety = report.safety.unwrap();
    assert_eq!(place.machine.push().await.unwrap().resumed, Some(safety.clone()));
    let restored = place.dir.path().join("restored");
    place.machine.restore(&safety, &restored).await.unwrap();
    assert_same(&settled(&restored), &now, "the safety snapshot");
}

/// The agent writes to a file between the plan and the moment that it is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_late_is_kept_and_named() {
    let mut place = Place::new();
    first_day(&place.live);
    write(&place.live, "workspace/gone.md", "was there");
    let snapshot = place.push().await;
    let then = settled(&place.live);
    write(&place.live, "workspace/MEMORY.md", "other");
    fs::remove_file(place.live.join("workspace/gone.md")).unwrap();
    write(&place.live, "workspace/new.md", "new");
    let live = place.live.clone();
    place.machine.steps = Staged::new(&place.live, move || {
        for (path, text) in [("MEMORY.md", "late"), ("gone.md", "late, too"), ("new.md", "later")] {
            fs::write(live.join("workspace").join(path), text).unwrap();
        }
    });
    let report = place.roll_back(&exactly(&snapshot)).await.unwrap();
    assert_eq!(report.outcome, Outcome::Applied);
    assert_eq!(report.late, ["workspace/new.md", "workspace/MEMORY.md", "workspace/gone.md"]);
    assert_same(&settled(&place.live), &then, "rolled back");
    let old = place.live.join("b2-backup/restore").join(report.id.unwrap()).join("old");
    let mut kept: Vec<String> = fs::read_dir(old)
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    kept.sort();
    assert_eq!(kept, ["late", "late, too", "later"]);
}

/// Somebody puts a link in the place of a directory while files are moved: nothing is written through it.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_the_place_of_a_directory() {
    for at in (1..).step_by(4) {
        let mut place = Place::in_memory();
        for number in 0..6 {
            write(&place.live, &format!("workspace/a/{number}.md"), format!("then {number}"));
            write(&place.live, &format!("workspace/b/{number}.md"), format!("then {number}"));
        }
        let snapshot = place.push().await;
        for number in 0..6 {
            write(&place.live, &format!("workspace/a/{number}.md"), format!("now {number}, other"));
            write(&place.live, &format!("workspace/b/{number}.md"), format!("now {number}, other"));
        }
        let now = settled(&place.live);
        let outside = place.dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        for number in 0..6 {
            write(&outside, &format!("{number}.md"), "precious");
        }
        let precious = settled(&outside);
        let (victim, aside) = (place.live.join("workspace/a"), place.live.join("workspace/aside"));
        let (from, to_link, way) = (victim.clone(), outside.clone(), aside.clone());
        let step = AtStep::new("rename", at, move || {
            fs::rename(&from, &way).unwrap();
            std::os::unix::fs::symlink(&to_link, &from).unwrap();
        });
        place.machine.steps = step.clone();
        let result = place.roll_back(&to(&snapshot)).await;
        assert_same(&settled(&outside), &precious, &format!("through the link, at {at}"));
        if !step.done.load(Ordering::SeqCst) {
            assert!(at > 40, "journal and phase, and two for each file: {at}");
            return;
        }
        // Put right, it is finished, or was never begun.
        place.machine.steps = Arc::new(b2_backup::ambient::NoFailPoints);
        fs::remove_file(&victim).unwrap();
        fs::rename(&aside, &victim).unwrap();
        place.recover(Gateway::MustBeStopped).await.unwrap();
        let state = settled(&place.live);
        if result.is_ok() {
            let memory = fs::read_to_string(place.live.join("workspace/b/5.md")).unwrap();
            assert_eq!(memory, "then 5", "at {at}");
        } else {
            assert_same(&state, &now, &format!("back, at {at}"));
        }
    }
}

/// The process ends right after the rows of the snapshot are in the live database, and the next one cannot write: what
/// was there comes back from its copy, which only a first run may do without.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_written_before_the_cut() {
    let mut place = Place::new();
    first_day(&place.live);
    databases(&place.live);
    let snapshot = place.push().await;
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    let now = settled(&place.live);
    let jobs = |live: &Path| value(&shared(live), "SELECT count(*) FROM cron_jobs");
    place.machine.steps = AtStep::new("close database", 1, || panic!("the process ends here"));
    place.roll_back(&to(&snapshot)).await.unwrap_err();
    assert_eq!(jobs(&place.live), "2", "it is written");
    place.machine.steps = FailsOnce::at("write database");
    place.recover(Gateway::MustBeStopped).await.unwrap_err();
    place.machine.steps = Arc::new(b2_backup::ambient::NoFailPoints);
    assert_eq!(place.recover(Gateway::MustBeStopped).await.unwrap().outcome, Outcome::Nothing);
    assert_eq!((jobs(&place.live), integrity(&shared(&place.live))), ("0".into(), "ok".into()));
    let files = |mut picture: crate::support::plain::Picture| {
        picture.retain(|path, _| !path.ends_with(b".sqlite"));
        picture
    };
    assert_same(&files(settled(&place.live)), &files(now), "back");
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!(jobs(&place.live), "2");
}

/// A database that nobody but the rollback wrote to is not kept a second time when it is finished after a cut: no snapshot
/// gets a file that never was.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_kept_once_where_nobody_wrote_to_it() {
    for cut in ["keep rows", "write database", "close database"] {
        let mut place = Place::new();
        first_day(&place.live);
        databases(&place.live);
        let snapshot = place.push().await;
        run(&shared(&place.live), "DELETE FROM cron_jobs");
        place.machine.steps = AtStep::new(cut, 1, || panic!("the process ends here"));
        place.roll_back(&to(&snapshot)).await.unwrap_err();
        place.machine.steps = Arc::new(b2_backup::ambient::NoFailPoints);
        let done = place.recover(Gateway::MustBeStopped).await.unwrap();
        assert_eq!((done.outcome, done.late), (Outcome::Applied, vec![]), "{cut}");
        place.push().await;
        for (number, made) in place.machine.list().await.snapshots.iter().enumerate() {
            let to = place.dir.path().join(format!("{cut} {number}"));
            place.machine.restore(&made.id, &to).await.unwrap();
            let late = picture(&to).into_keys().find(|path| path.ends_with(b".late"));
            assert_eq!(late, None, "{cut}: {}", made.id);
        }
    }
}

/// A file system that does not take some steps.
#[derive(Debug)]
pub(crate) struct Refuses(pub(crate) &'static [&'static str]);

impl FailPoints for Refuses {
    fn step(&self, name: &'static str) -> std::io::Result<()> {
        let refused = self.0.contains(&name);
        if refused { Err(ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }
}
