//! Configured directories outside the state directory that are not there any more: they come back, and go again when
//! that is undone; or they are left out by name.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use b2_backup::ambient::{FailPoints, NoFailPoints};
use b2_backup::ops::Gateway;

use super::disks::{EIO, folders};
use super::{Place, applied, exactly, lines, only, settled, to};
use crate::support::campaign::cases;
use crate::support::plain::{Picture, assert_same, first_day, write};

/// A state with a workspace and an agent's directory elsewhere, which are removed after the snapshot.
struct Elsewhere {
    place: Place,
    /// What is removed.
    outside: PathBuf,
    snapshot: String,
    then: Picture,
}

impl Elsewhere {
    async fn new() -> Self {
        Self::at(Place::in_memory()).await
    }

    async fn at(place: Place) -> Self {
        first_day(&place.live);
        let outside = place.dir.path().canonicalize().unwrap().join("out side");
        configure(&place.live, &outside);
        write(&outside, "deep/w/MEMORY.md", "then");
        write(&outside, "deep/w/notes/a.md", "a");
        write(&outside, "deep/w/notes/b.md", "b");
        write(&outside, "agent/settings/models.json", "{}");
        private(&outside);
        let snapshot = place.push().await;
        let then = settled(&outside);
        fs::remove_dir_all(&outside).unwrap();
        Self { place, outside, snapshot, then }
    }

    fn memory(&self) -> PathBuf {
        self.outside.join("deep/w/MEMORY.md")
    }

    /// As it was, but for the times of directories that are made.
    fn is_back(&self, what: &str) {
        let timeless = |picture: &Picture| -> Picture {
            let tops = [&b"deep"[..], b"deep/w", b"agent"];
            let mut picture = picture.clone();
            for (path, item) in &mut picture {
                if tops.contains(&path.as_slice()) {
                    item.mtime = (0, 0);
                }
            }
            picture
        };
        assert_same(&timeless(&settled(&self.outside)), &timeless(&self.then), what);
    }
}

fn configure(live: &Path, outside: &Path) {
    let (workspace, agent) = (outside.join("deep/w"), outside.join("agent"));
    let list = serde_json::json!([{ "id": "a", "workspace": workspace, "agentDir": agent }]);
    write(live, "openclaw.json", serde_json::json!({ "agents": { "list": list } }).to_string());
}

/// Directories as a rollback makes them.
fn private(outside: &Path) {
    for path in ["", "deep", "deep/w", "agent"] {
        fs::set_permissions(outside.join(path), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_that_were_removed_come_back() {
    let it = Elsewhere::new().await;
    // Something is set aside, too: it comes into a snapshot of its own before the undo.
    write(&it.place.live, "workspace/MEMORY.md", "now");
    let plan = it.place.plan(&to(&it.snapshot)).await.unwrap();
    let out = it.outside.display();
    assert_eq!(
        lines(&plan),
        [
            format!("add {out}"),
            format!("add {out}/agent"),
            format!("add {out}/deep"),
            format!("add {out}/deep/w"),
            "replace workspace/MEMORY.md".to_owned(),
            format!("add {out}/agent/settings"),
            format!("add {out}/agent/settings/models.json"),
            format!("add {out}/deep/w/MEMORY.md"),
            format!("add {out}/deep/w/notes"),
            format!("add {out}/deep/w/notes/a.md"),
            format!("add {out}/deep/w/notes/b.md"),
        ]
    );
    let told = plan.warnings.join("\n");
    assert!(
        told.contains(&format!("{out}/deep/w is not there: it comes back, with 3 files")),
        "{told}"
    );
    assert!(
        told.contains(&format!("{out}/agent is not there: it comes back, with 1 file")),
        "{told}"
    );
    assert!(!told.contains("not configured"), "{told}");
    assert_eq!(plan.left_out, []);
    assert!(!it.outside.exists(), "a plan writes nothing");
    applied(&it.place.roll_back(&to(&it.snapshot)).await.unwrap());
    it.is_back("rolled back");
    assert!(it.place.plan(&to(&it.snapshot)).await.unwrap().is_empty());
    // An undo takes the directories away again, and an undo of that brings them back.
    applied(&it.place.undo().await.unwrap());
    assert!(!it.outside.exists(), "undone");
    assert_eq!(fs::read_to_string(it.place.live.join("workspace/MEMORY.md")).unwrap(), "now");
    applied(&it.place.undo().await.unwrap());
    it.is_back("the undo is undone");
    // What came there since stays, and so does what it is in.
    write(&it.outside, "deep/w/new.md", "new");
    applied(&it.place.undo().await.unwrap());
    let left = settled(&it.outside);
    let left: Vec<_> = left.keys().map(|path| String::from_utf8_lossy(path)).collect();
    assert_eq!(left, ["deep", "deep/w", "deep/w/new.md"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_of_a_directory_that_was_removed() {
    let it = Elsewhere::new().await;
    // A push notes that it is gone; nothing is known of its disk any more.
    it.place.push().await;
    let memory = it.memory();
    let request = only(&it.snapshot, &[memory.to_str().unwrap()]);
    applied(&it.place.roll_back(&request).await.unwrap());
    assert_eq!(fs::read_to_string(&memory).unwrap(), "then");
    let beside: Vec<_> = fs::read_dir(memory.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
    assert!(!it.outside.join("agent").exists());
    applied(&it.place.undo().await.unwrap());
    assert!(!it.outside.exists());
}

/// What is not configured any more is named as that, and what lies in it is not said to be missing from the snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_configured_any_more() {
    let it = Elsewhere::new().await;
    write(&it.place.live, "openclaw.json", "{}");
    let plan = it.place.plan(&only(&it.snapshot, &["workspace"])).await.unwrap();
    let told = plan.warnings.join("\n");
    let workspace = it.outside.join("deep/w");
    let named = format!("{} is in the snapshot, but not configured now", workspace.display());
    assert!(told.contains(&named), "{told}");
    let request = only(&it.snapshot, &[it.memory().to_str().unwrap()]);
    let error = it.place.plan(&request).await.unwrap_err();
    assert_eq!(error.code(), "B2_CONFIG");
    let told = error.to_string();
    assert!(told.contains("lies in") && told.contains("not configured now"), "{told}");
    let error = it.place.plan(&only(&it.snapshot, &["nowhere"])).await.unwrap_err();
    assert!(error.to_string().contains("has nothing at nowhere"), "{error}");
}

/// A file in the place of a configured directory, and one that lies in another: left out by name.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_used() {
    let it = Elsewhere::new().await;
    write(&it.outside, "deep/w", "a file");
    write(&it.outside, "agent/settings/models.json", "{}");
    let plan = it.place.plan(&to(&it.snapshot)).await.unwrap();
    let left: Vec<_> = plan.left_out.iter().map(|it| (&it.path[..], &it.code[..])).collect();
    let workspace = it.outside.join("deep/w").display().to_string();
    assert_eq!(left, [(&workspace[..], "B2_SKIPPED_ROOT")], "{plan:?}");
    assert!(plan.left_out[0].message.contains("3 files of it are left out"), "{plan:?}");
    let report = it.place.roll_back(&to(&it.snapshot)).await.unwrap();
    assert_eq!(report.failed, plan.left_out);
}

/// What happens at a step of applying.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It fails.
    Fails,
    /// So does another one, so many steps later, on the way back.
    FailsAgain(usize),
    /// The process ends.
    Ends,
}

#[derive(Debug)]
struct Failing {
    live: PathBuf,
    /// The folders of rollbacks before this one.
    before: Vec<PathBuf>,
    at: usize,
    trouble: Trouble,
    seen: AtomicUsize,
}

impl FailPoints for Failing {
    fn step(&self, _: &'static str) -> std::io::Result<()> {
        let ours = |folder: &PathBuf| !self.before.contains(folder);
        if !folders(&self.live).filter(ours).any(|folder| folder.join("phase").exists()) {
            return Ok(());
        }
        let seen = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        let ends = matches!(self.trouble, Trouble::Ends) && seen == self.at;
        assert!(!ends, "the process ends here");
        let again = matches!(self.trouble, Trouble::FailsAgain(more) if seen == self.at + more);
        if seen == self.at || again { Err(std::io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }
}

impl Elsewhere {
    /// Rolls back, or undoes that, with a step that fails, and finishes what is open. Whether it came to that step.
    async fn with_trouble(&mut self, undo: bool, at: usize, trouble: Trouble) -> bool {
        let live = self.place.live.clone();
        let before = folders(&live).collect();
        let failing = Arc::new(Failing { before, live, at, trouble, seen: AtomicUsize::new(0) });
        self.place.machine.steps = failing.clone();
        let done = if undo {
            self.place.undo().await.map(|_| ())
        } else {
            self.place.roll_back(&exactly(&self.snapshot)).await.map(|_| ())
        };
        self.place.machine.steps = Arc::new(NoFailPoints);
        let finished = self.place.recover(Gateway::MustBeStopped).await;
        let what = format!("undo {undo}, step {at}, {trouble:?}: {done:?}");
        assert!(finished.is_ok(), "{what}: {finished:?}");
        if self.outside.exists() {
            self.is_back(&what);
        }
        assert!(done.is_err() || self.outside.exists() != undo, "{what}");
        failing.seen.load(Ordering::SeqCst) >= at
    }
}

/// Whatever fails, on the way there and on the way back, in a rollback and in its undo: the directories are there as a
/// whole, or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn they_come_and_go_as_a_whole() {
    let stride = usize::try_from(cases(17, 1)).unwrap();
    for trouble in [Trouble::Fails, Trouble::FailsAgain(3), Trouble::Ends] {
        let mut it = Elsewhere::new().await;
        let (mut at, mut reached) = (1, true);
        while reached {
            reached = it.with_trouble(false, at, trouble).await;
            if !it.outside.exists() {
                applied(&it.place.roll_back(&exactly(&it.snapshot)).await.unwrap());
            }
            reached |= it.with_trouble(true, at, trouble).await;
            if it.outside.exists() {
                applied(&it.place.undo().await.unwrap());
            }
            assert!(!it.outside.exists(), "at {at}");
            at += stride;
        }
        assert!(at > 3 * stride, "{trouble:?}: {at}");
    }
}
