//! What is around a rollback: other roots, pushes, the host in the same process, and rollbacks that wait.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use b2_backup::ops::{self, Gateway, Outcome};
use tempfile::{TempDir, tempdir_in};

use super::{Place, applied, exactly, lines, settled, to};
use crate::support::host::{databases, run, running_gateway, shared, value};
use crate::support::plain::{assert_same, first_day, noise, write};

/// A workspace that is configured elsewhere, on another file system where there is one.
fn elsewhere(place: &Place) -> (TempDir, PathBuf) {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let workspace = dir.path().canonicalize().unwrap().join("my work");
    let config = serde_json::json!({ "agents": { "defaults": { "workspace": workspace } } });
    fs::create_dir(&workspace).unwrap();
    write(&place.live, "openclaw.json", config.to_string());
    (dir, workspace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_from_elsewhere() {
    let place = Place::new();
    first_day(&place.live);
    let (_dir, workspace) = elsewhere(&place);
    write(&workspace, "plan.md", "the plan");
    write(&workspace, "old/a.bin", noise(1, 100_000));
    fs::set_permissions(workspace.join("plan.md"), fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("plan.md", workspace.join("link")).unwrap();
    let snapshot = place.push().await;
    let then = settled(&workspace);
    write(&workspace, "plan.md", "another plan");
    fs::remove_dir_all(workspace.join("old")).unwrap();
    fs::remove_file(workspace.join("link")).unwrap();
    write(&workspace, "link", "a file");
    write(&workspace, "new/x.md", "new");
    let now = settled(&workspace);
    let plan = place.plan(&exactly(&snapshot)).await.unwrap();
    let root = workspace.display();
    assert_eq!(
        lines(&plan),
        [
            format!("replace {root}/link"),
            format!("delete {root}/new"),
            format!("delete {root}/new/x.md"),
            format!("add {root}/old"),
            format!("add {root}/old/a.bin"),
            format!("replace {root}/plan.md"),
        ]
    );
    applied(&place.roll_back(&exactly(&snapshot)).await.unwrap());
    assert_same(&settled(&workspace), &then, "rolled back");
    applied(&place.undo().await.unwrap());
    assert_same(&settled(&workspace), &now, "undone");
    // A link that comes in the way of the whole place while a rollback waits.
    fs::create_dir_all(place.live.join("state")).unwrap();
    let gateway = running_gateway(&place.live);
    let config = fs::read_to_string(place.live.join("openclaw.json")).unwrap();
    write(&place.live, "openclaw.json", config.replace('{', "{ "));
    assert_eq!(place.roll_back(&to(&snapshot)).await.unwrap().outcome, Outcome::Waiting);
    let aside = workspace.with_extension("aside");
    fs::rename(&workspace, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &workspace).unwrap();
    assert_eq!(place.recover(Gateway::AgentsStopped).await.unwrap_err().code(), "B2_UNSAFE_PATH");
    assert_same(&settled(&aside), &now, "not through the link");
    fs::remove_file(&workspace).unwrap();
    fs::rename(&aside, &workspace).unwrap();
    assert!(ops::discard_waiting(&place.machine.settings).await.unwrap());
    drop(gateway);
    // A snapshot does not choose where it is written: only what is configured now is.
    write(&place.live, "openclaw.json", "{}");
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    assert_eq!(lines(&plan), ["replace openclaw.json"]);
    assert!(plan.warnings.iter().any(|text| text.contains("my work")), "{:?}", plan.warnings);
}

/// The host holds a database open in this very process: closing it here would drop its locks.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn never_in_the_process_of_the_host() {
    let place = Place::new();
    databases(&place.live);
    let snapshot = place.push().await;
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    let session = place.machine.session().await;
    let plan = ops::plan_rollback(&session, &to(&snapshot)).await.unwrap();
    let gateway = running_gateway(&place.live);
    assert_eq!(place.roll_back(&to(&snapshot)).await.unwrap().outcome, Outcome::Waiting);
    let host = rusqlite::Connection::open(shared(&place.live)).unwrap();
    host.query_row("SELECT count(*) FROM cron_jobs", [], |_| Ok(())).unwrap();
    let refused = place.recover(Gateway::AgentsStopped).await.unwrap_err();
    assert_eq!(refused.code(), "B2_DATABASE_IN_PROCESS");
    assert_eq!(place.plan(&to(&snapshot)).await.unwrap_err().code(), "B2_DATABASE_IN_PROCESS");
    assert!(ops::discard_waiting(&place.machine.settings).await.unwrap());
    let refused = ops::roll_back(&session, &to(&snapshot), &plan.hash).await.unwrap_err();
    assert_eq!(refused.code(), "B2_DATABASE_IN_PROCESS");
    drop(host);
    drop(gateway);
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
}

/// A rollback that waits can be given up, and leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn giving_up_what_waits() {
    let place = Place::new();
    databases(&place.live);
    let snapshot = place.push().await;
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    assert!(!ops::discard_waiting(&place.machine.settings).await.unwrap());
    let _gateway = running_gateway(&place.live);
    assert_eq!(place.roll_back(&to(&snapshot)).await.unwrap().outcome, Outcome::Waiting);
    assert!(ops::discard_waiting(&place.machine.settings).await.unwrap());
    assert_eq!(place.recover(Gateway::AgentsStopped).await.unwrap().outcome, Outcome::Nothing);
    // Nothing is open, so whoever works there is not waited for.
    let folder = place.live.join("b2-backup/restore/unfinished/new");
    fs::create_dir_all(&folder).unwrap();
    let held = b2_backup::local::Local::at(&place.live).lock().unwrap();
    assert_eq!(place.recover(Gateway::AgentsStopped).await.unwrap().outcome, Outcome::Nothing);
    assert!(folder.exists());
    drop(held);
    assert_eq!(place.recover(Gateway::AgentsStopped).await.unwrap().outcome, Outcome::Nothing);
    assert!(!folder.exists());
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "0");
    assert_eq!(fs::read_dir(place.live.join("b2-backup/restore")).unwrap().count(), 0);
    assert_eq!(place.undo().await.unwrap_err().code(), "B2_SNAPSHOT_NOT_FOUND");
}

/// A journal that cannot be read may be about a state that is half changed: nothing is cleared away.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal() {
    let place = Place::new();
    databases(&place.live);
    let snapshot = place.push().await;
    run(&shared(&place.live), "DELETE FROM cron_jobs");
    let gateway = running_gateway(&place.live);
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    drop(gateway);
    let folder = place.live.join("b2-backup/restore").join(report.id.unwrap());
    for name in ["journal", "phase"] {
        let whole = fs::read(folder.join(name)).unwrap();
        let mut bytes = whole.clone();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(folder.join(name), bytes).unwrap();
        let error = place.recover(Gateway::MustBeStopped).await.unwrap_err();
        assert_eq!(error.code(), "B2_ROLLBACK_OPEN");
        assert!(error.to_string().contains("`old`"), "{error}");
        assert_eq!(place.machine.push().await.unwrap_err().code(), "B2_ROLLBACK_OPEN");
        assert_eq!(place.roll_back(&to(&snapshot)).await.unwrap_err().code(), "B2_ROLLBACK_OPEN");
        assert!(folder.join("new").exists());
        fs::write(folder.join(name), whole).unwrap();
    }
    // Whole again, the next push finishes it first, since OpenClaw does not run.
    let pushed = place.machine.push().await.unwrap();
    assert!(pushed.warnings.iter().any(|text| text.contains("is finished now")), "{pushed:?}");
    assert_eq!(value(&shared(&place.live), "SELECT count(*) FROM cron_jobs"), "2");
    assert!(!folder.exists(), "and clears it away");
}

/// Exact removes what the snapshot does not have, but not what was there and could not be read.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_then_is_not_removed() {
    let place = Place::new();
    first_day(&place.live);
    // A file that only root may read would be read here; a broken database of the host's stays out where nothing is sealed.
    let mut broken = b"SQLite format 3\0".to_vec();
    broken.extend_from_slice(&noise(3, 5000));
    write(&place.live, "agents/old/agent/openclaw-agent.sqlite", &broken);
    let pushed = place.machine.push().await.unwrap();
    assert_eq!(pushed.skipped.len(), 1, "{pushed:?}");
    write(&place.live, "workspace/later.md", "later");
    let request = exactly(&pushed.snapshot.unwrap());
    let plan = place.plan(&request).await.unwrap();
    assert_eq!(
        lines(&plan),
        [
            "keep-live agents/old/agent/openclaw-agent.sqlite (could not be read when the snapshot was made)",
            "delete workspace/later.md"
        ]
    );
    assert_eq!(place.roll_back(&request).await.unwrap().outcome, Outcome::Applied);
    assert_eq!(
        fs::read(place.live.join("agents/old/agent/openclaw-agent.sqlite")).unwrap(),
        broken
    );
}

/// What is no part of backups keeps the directory that it is in.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_empty_stays() {
    let place = Place::new();
    first_day(&place.live);
    let snapshot = place.push().await;
    write(&place.live, "workspace/project/main.rs", "fn main() {}");
    write(&place.live, "workspace/project/.fs-safe-write-1.lock", "held");
    let report = place.roll_back(&exactly(&snapshot)).await.unwrap();
    assert_eq!(
        (report.outcome, &report.left[..]),
        (Outcome::Applied, &["workspace/project".to_owned()][..])
    );
    assert!(place.live.join("workspace/project/.fs-safe-write-1.lock").exists());
    assert!(!place.live.join("workspace/project/main.rs").exists());
    assert_eq!(place.undo().await.unwrap().outcome, Outcome::Applied);
    assert!(place.live.join("workspace/project/main.rs").exists());
}

/// Whoever does not know how a rollback ended is told the last one that was carried out, also once its folder is gone.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_one_is_named_where_none_is_open() {
    let place = Place::in_memory();
    write(&place.live, "workspace/MEMORY.md", "then");
    let snapshot = place.push().await;
    assert_eq!(place.recover(Gateway::AgentsStopped).await.unwrap().id, None);
    write(&place.live, "workspace/MEMORY.md", "now");
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    applied(&report);
    for folders in [1, 0] {
        let found = place.recover(Gateway::AgentsStopped).await.unwrap();
        assert_eq!((found.outcome, found.id), (Outcome::Nothing, report.id.clone()), "{folders}");
        assert_eq!(found.snapshot.as_ref(), Some(&snapshot));
        place.machine.push().await.unwrap();
    }
}
