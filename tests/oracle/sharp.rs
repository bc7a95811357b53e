//! The judge itself: of a restore that is right it says nothing, and each single loss it sees, whatever reports say.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;

use crate::judge::{self, Rules, Said, losses};
use crate::picture::Picture;

/// What is done to what came back.
type Damage = Box<dyn Fn(&Path)>;

/// A state, and outside of it a file that a link leads to.
fn plant(base: &Path) {
    let state = base.join("state");
    fs::create_dir_all(state.join("mine/empty")).unwrap();
    fs::write(base.join("outside"), "outside of everything").unwrap();
    for name in ["a.md", "Cargo.lock", "x.tmp", "vault.db", "vault.db-wal", "gone.data-journal"] {
        fs::write(state.join("mine").join(name), format!("content of {name}")).unwrap();
    }
    symlink("a.md", state.join("mine/near")).unwrap();
    symlink(base.join("outside"), state.join("mine/far")).unwrap();
    let database = Connection::open(state.join("mine/b.db")).unwrap();
    database.execute_batch("CREATE TABLE t (v); INSERT INTO t VALUES (1)").unwrap();
}

fn said(problems: &[(&str, &str)], left_out: &[&str]) -> Said {
    let left_out = left_out.iter().map(|path| (*path).to_owned()).collect();
    let mut said = Said { left_out, ..Said::default() };
    said.problem("mine/far", "B2_SKIPPED_LINK");
    for (path, code) in problems {
        said.problem(path, code);
    }
    said
}

fn judged(base: &Path, said: &Said) -> Vec<String> {
    let live = Picture::of(&base.join("state"));
    let covered = |path: &Path| path.starts_with(base.join("state"));
    let precious = |path: &[u8], is_dir| !judge::may_be_left_out(path, is_dir, true);
    let rules = Rules { said, precious: &precious, covered: &covered, inside: &Picture::of };
    losses(&live, None, &base.join("back"), rules)
}

fn set_time(path: &Path, by: Duration) {
    let file = fs::File::open(path).unwrap();
    file.set_modified(file.metadata().unwrap().modified().unwrap() + by).unwrap();
}

fn sql(path: &Path, sql: &str) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn the_judge_sees_each_loss() {
    let nothing = said(&[], &[]);
    let remove = |name: &'static str| move |back: &Path| fs::remove_file(back.join(name)).unwrap();
    let cases: Vec<(&str, Damage, Said)> = vec![
        ("a file", Box::new(remove("a.md")), nothing.clone()),
        (
            "named in words",
            Box::new(remove("a.md")),
            said(&[("mine/a.md", "B2_CHANGED_WHILE_READ")], &[]),
        ),
        (
            "named as bytes",
            Box::new(remove("b.db")),
            said(&[("mine/b.db", "B2_DATABASE_AS_BYTES")], &[]),
        ),
        ("named as a link", Box::new(remove("far")), nothing.clone()),
        ("left out", Box::new(remove("a.md")), said(&[], &["mine/a.md"])),
        ("left out with all", Box::new(remove("a.md")), said(&[], &["mine"])),
        ("a pin", Box::new(remove("Cargo.lock")), said(&[], &["mine/Cargo.lock"])),
        ("a log", Box::new(remove("vault.db-wal")), said(&[], &["mine/vault.db-wal"])),
        (
            "an orphan",
            Box::new(remove("gone.data-journal")),
            said(&[], &["mine/gone.data-journal"]),
        ),
        ("in silence", Box::new(remove("x.tmp")), nothing.clone()),
        (
            "a directory",
            Box::new(|back| fs::remove_dir(back.join("empty")).unwrap()),
            nothing.clone(),
        ),
        (
            "one more",
            Box::new(|back| fs::write(back.join("b.db-wal"), "x").unwrap()),
            nothing.clone(),
        ),
        (
            "bytes",
            Box::new(|back| {
                let time = fs::metadata(back.join("a.md")).unwrap().modified().unwrap();
                fs::write(back.join("a.md"), "content of a.mx").unwrap();
                fs::File::open(back.join("a.md")).unwrap().set_modified(time).unwrap();
            }),
            said(&[("mine/a.md", "B2_CHANGED_WHILE_READ")], &[]),
        ),
        (
            "a time",
            Box::new(|back| set_time(&back.join("a.md"), Duration::from_micros(1))),
            nothing.clone(),
        ),
        (
            "a mode",
            Box::new(|back| {
                fs::set_permissions(back.join("a.md"), fs::Permissions::from_mode(0o755)).unwrap();
            }),
            nothing.clone(),
        ),
        (
            "a target",
            Box::new(|back| {
                fs::remove_file(back.join("near")).unwrap();
                symlink("x.tmp", back.join("near")).unwrap();
            }),
            nothing.clone(),
        ),
        ("a row", Box::new(|back| sql(&back.join("b.db"), "UPDATE t SET v = 2")), nothing.clone()),
        (
            "a version",
            Box::new(|back| sql(&back.join("b.db"), "PRAGMA user_version = 3")),
            nothing.clone(),
        ),
        (
            "an id",
            Box::new(|back| sql(&back.join("b.db"), "PRAGMA application_id = 3")),
            nothing.clone(),
        ),
        ("an unnamed link", Box::new(|_| {}), Said::default()),
    ];
    if crate::dump::reader().is_none() {
        return crate::skipped::skipped("the judge: neither sqlite3 nor python3 is here");
    }
    let fresh = || {
        let dir = tempfile::tempdir().unwrap();
        plant(dir.path());
        let copied = Command::new("cp").args(["-a", "state", "back"]).current_dir(&dir).status();
        assert!(copied.unwrap().success());
        dir
    };
    let whole = fresh();
    assert_eq!(judged(whole.path(), &nothing), Vec::<String>::new());
    fs::remove_file(whole.path().join("back/mine/x.tmp")).unwrap();
    keep_times(whole.path());
    assert_eq!(judged(whole.path(), &said(&[], &["mine/x.tmp"])), Vec::<String>::new());
    for (what, damage, said) in cases {
        let dir = fresh();
        damage(&dir.path().join("back/mine"));
        keep_times(dir.path());
        let found = judged(dir.path(), &said);
        assert_eq!(found.len(), 1, "{what}: {found:?}");
    }
}

/// Damage must not show by the time of the directory that it is in.
fn keep_times(base: &Path) {
    let time = fs::metadata(base.join("state/mine")).unwrap().modified().unwrap();
    fs::File::open(base.join("back/mine")).unwrap().set_modified(time).unwrap();
}
