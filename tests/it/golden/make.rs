//! Makes golden repositories, once for each version of the format.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use b2_backup::format::Reason;
use b2_backup::ops;
use serde_json::json;
use tempfile::tempdir;

use super::{NEWEST, Standing, changes, describe, fill, golden, log, machine, put, rows, snapshot};
use crate::support::machine::push_options;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "made once for each change of the format, never again"]
async fn make_golden() {
    let dir = tempdir().unwrap();
    let (mut expected, mut told) = (json!({}), json!({}));
    for (name, sealed) in [("sealed", true), ("plain", false)] {
        let bucket = golden(NEWEST).join(name);
        assert!(!bucket.exists(), "{} is there already", bucket.display());
        let state = dir.path().join(name);
        fill(&state);
        let machine = machine(&bucket, &state, sealed).await;
        let mut all = vec![snapshot(&machine, 0, Reason::Manual).await];
        let workspace = state.join("workspace");
        put(&workspace.join("log.txt"), log(9100).as_bytes(), 0o644, 86_400);
        put(&workspace.join("new.md"), b"# New\n", 0o644, 86_401);
        std::fs::remove_file(workspace.join("empty")).unwrap();
        rows(&rusqlite::Connection::open(workspace.join("data.sqlite")).unwrap(), 5);
        all.push(snapshot(&machine, 1, Reason::Scheduled).await);
        if sealed {
            put(&workspace.join("notes.md"), b"# Notes\nbefore a rollback\n", 0o600, 90_000);
            all.push(snapshot(&machine, 1, Reason::Safety).await);
        }
        expected[name] = json!(all.into_iter().collect::<BTreeMap<_, _>>());
        told[name] = changes(&machine).await;
        std::fs::remove_dir(bucket.join(".b2-backup-tmp")).unwrap();
    }
    for (name, all) in [("expected.json", expected), ("changes.json", told)] {
        std::fs::write(golden(NEWEST).join(name), format!("{all:#}\n")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "made once, never again"]
async fn make_golden_recovery() {
    let dir = tempdir().unwrap();
    let bucket = golden("golden-recovery").join("sealed");
    assert!(!bucket.exists(), "{} is there already", bucket.display());
    let state = dir.path().join("state");
    fill(&state);
    let mut machine = machine(&bucket, &state, true).await;
    machine.clock = Arc::new(Standing(UNIX_EPOCH + Duration::from_secs(1_771_480_000)));
    let mut all = vec![snapshot(&machine, 0, Reason::Manual).await];
    let made = ops::new_recovery_code(&machine.session().await, Duration::ZERO).await.unwrap();
    put(&state.join("workspace/new.md"), b"# New\n", 0o644, 86_401);
    all.push(snapshot(&machine, 1, Reason::Scheduled).await);
    std::fs::remove_dir(bucket.join(".b2-backup-tmp")).unwrap();
    let expected = json!(all.into_iter().collect::<BTreeMap<_, _>>());
    let here = golden("golden-recovery");
    std::fs::write(here.join("expected.json"), format!("{expected:#}\n")).unwrap();
    std::fs::write(here.join("code.txt"), format!("{}\n", made.code.expose())).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "made once, never again"]
async fn make_golden_remarks() {
    let dir = tempdir().unwrap();
    let bucket = golden("golden-remarks").join("sealed");
    assert!(!bucket.exists(), "{} is there already", bucket.display());
    let (state, disk) = (dir.path().join("state"), dir.path().join("disk"));
    put(&disk.join("side/two.md"), b"on another disk\n", 0o644, 7);
    put(&disk.join("ws/three.md"), b"a workspace elsewhere\n", 0o644, 8);
    let config = format!("{{ agents: {{ defaults: {{ workspace: '{}/ws' }} }} }}", disk.display());
    put(&state.join("openclaw.json"), config.as_bytes(), 0o600, 1);
    std::os::unix::fs::symlink(disk.join("side"), state.join("side")).unwrap();
    // Begins as a database does, and is none that SQLite can read.
    let foreign = [&b"SQLite format 3\0"[..], &[0xa5; 9000]].concat();
    put(&state.join("foreign.db"), &foreign, 0o640, 9);
    put(&state.join("foreign.db-wal"), &[0x5a; 5000], 0o640, 10);
    let mut machine = machine(&bucket, &state, true).await;
    let (mut all, mut codes) = (BTreeMap::new(), Vec::new());
    for day in 0..2 {
        machine.clock =
            Arc::new(Standing(UNIX_EPOCH + Duration::from_secs(1_771_500_000 + day * 86_400)));
        if day == 1 {
            std::fs::rename(disk.join("ws"), disk.join("unmounted")).unwrap();
            let session = machine.session().await;
            let made = ops::new_recovery_code(&session, Duration::ZERO).await.unwrap();
            let slot = &made.added.slots[0].id;
            ops::remove_key(&session, slot, false, Duration::ZERO).await.unwrap();
        }
        let session = machine.session().await;
        let report = ops::push(&session, push_options(Reason::Manual)).await.unwrap();
        codes.push(report.skipped.into_iter().map(|problem| problem.code).collect::<Vec<_>>());
        let id = report.snapshot.unwrap();
        let to = dir.path().join(&id);
        let blank = machine.blank(dir.path().join("none"));
        assert_eq!(blank.restore(&id, &to).await.unwrap().failed, []);
        for name in ["foreign.db", "foreign.db-wal", "openclaw.json", "side/two.md"] {
            assert_eq!(
                std::fs::read(to.join(name)).unwrap(),
                std::fs::read(state.join(name)).unwrap()
            );
        }
        all.insert(id, describe(&to));
    }
    assert_eq!(codes, [vec!["B2_DATABASE_AS_BYTES"], vec!["B2_ROOT_GONE", "B2_DATABASE_AS_BYTES"]]);
    std::fs::remove_dir(bucket.join(".b2-backup-tmp")).unwrap();
    let expected = json!({ "sealed": all });
    let here = golden("golden-remarks");
    std::fs::write(here.join("expected.json"), format!("{expected:#}\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "made once, never again"]
async fn make_golden_names() {
    let dir = tempdir().unwrap();
    let here = golden("golden-names");
    let bucket = here.join("sealed");
    assert!(!bucket.exists(), "{} is there already", bucket.display());
    let state = dir.path().join("state");
    fill(&state);
    let mut machine = machine(&bucket, &state, true).await;
    machine.settings.machine_name = Some("Anna's laptop".into());
    let (id, restored) = snapshot(&machine, 2, Reason::Manual).await;
    std::fs::remove_dir(bucket.join(".b2-backup-tmp")).unwrap();
    let expected = json!({ "sealed": { id: restored } });
    std::fs::write(here.join("expected.json"), format!("{expected:#}\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "made once, never again"]
async fn make_golden_hosts() {
    let dir = tempdir().unwrap();
    let here = golden("golden-hosts");
    let bucket = here.join("sealed");
    assert!(!bucket.exists(), "{} is there already", bucket.display());
    let state = dir.path().join("state");
    fill(&state);
    let agent = state.join("agents/main/agent/openclaw-agent.sqlite");
    for (path, version) in [(&agent, 41), (&state.join("state/openclaw.sqlite"), 23)] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let database = rusqlite::Connection::open(path).unwrap();
        database.execute_batch("CREATE TABLE notes (text)").unwrap();
        rows(&database, 2);
        database.pragma_update(None, "user_version", version).unwrap();
    }
    let mut machine = machine(&bucket, &state, true).await;
    machine.settings.host_install = Some("npm".into());
    let mut all = vec![snapshot(&machine, 3, Reason::Manual).await];
    rusqlite::Connection::open(&agent).unwrap().pragma_update(None, "user_version", 42).unwrap();
    // The other database is not read again.
    machine.settings.host_install = Some("pnpm".into());
    all.push(snapshot(&machine, 4, Reason::Manual).await);
    std::fs::remove_dir(bucket.join(".b2-backup-tmp")).unwrap();
    let expected = json!({ "sealed": all.into_iter().collect::<BTreeMap<_, _>>() });
    std::fs::write(here.join("expected.json"), format!("{expected:#}\n")).unwrap();
}
