//! Walking real directories: odd names, odd files, and what is gone or closed to us.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use b2_backup::source::policy::{Inside, Policy};
use b2_backup::source::walk::{Walk, fingerprint, walk};
use b2_backup::source::{EntryKind, RelPath, Root, RootKind};
use tokio_util::sync::CancellationToken;

use crate::support::system::make_pipe;

fn root(kind: RootKind, path: &Path) -> Root {
    Root::new(kind, path.to_path_buf())
}

fn run(roots: &[Root], policy: &Policy) -> Walk {
    walk(roots, policy, &Arc::default(), true, &CancellationToken::new()).unwrap()
}

fn plain() -> Policy {
    Policy::new(&[], &[], false).unwrap()
}

fn write(dir: &Path, name: impl AsRef<OsStr>, content: &str) {
    let path = dir.join(name.as_ref());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn found(walk: &Walk) -> Vec<String> {
    walk.found.iter().map(|found| format!("{}:{}", found.root, found.path.escaped())).collect()
}

fn excluded(walk: &Walk) -> Vec<String> {
    walk.excluded.iter().map(|e| format!("{}:{} {}", e.root, e.path.escaped(), e.reason)).collect()
}

#[test]
fn odd_names_links_and_modes() {
    let dir = tempfile::tempdir().unwrap();
    let long = "n".repeat(255);
    write(dir.path(), OsStr::from_bytes(b"workspace/\xff\xfe.md"), "a");
    write(dir.path(), "workspace/new\nline", "b");
    write(dir.path(), format!("workspace/{long}"), "c");
    write(dir.path(), "workspace/.hidden/.x", "d");
    std::fs::create_dir(dir.path().join("workspace/empty")).unwrap();
    symlink("../elsewhere/\u{65e5}", dir.path().join("workspace/dangling")).unwrap();
    symlink("/", dir.path().join("workspace/to-root")).unwrap();
    symlink(".", dir.path().join("workspace/circle")).unwrap();
    std::fs::set_permissions(
        dir.path().join("workspace/.hidden/.x"),
        std::fs::Permissions::from_mode(0o4710),
    )
    .unwrap();
    let walk = run(&[root(RootKind::State, dir.path())], &plain());
    assert_eq!(
        found(&walk),
        [
            "0:workspace",
            "0:workspace/.hidden",
            "0:workspace/.hidden/.x",
            "0:workspace/circle",
            "0:workspace/dangling",
            "0:workspace/empty",
            "0:workspace/new\\x0aline",
            &format!("0:workspace/{long}"),
            "0:workspace/to-root",
            "0:workspace/\\xff\\xfe.md",
        ]
    );
    assert_eq!(walk.found[2].mode, 0o4710);
    assert_eq!(walk.found[2].fingerprint.size, 1);
    assert!(walk.found[2].fingerprint.mtime_ns > 1_000_000_000_000_000_000);
    assert_eq!(walk.found[4].kind, EntryKind::Symlink);
    assert_eq!(walk.found[4].target.as_deref(), Some("../elsewhere/\u{65e5}".as_bytes()));
    assert_eq!(walk.found[5].kind, EntryKind::Directory);
    assert!(walk.excluded.is_empty() && walk.skipped.is_empty());
}

#[test]
fn sockets_pipes_and_private_directories_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "workspace/a", "");
    write(dir.path(), "workspace/hidden/.openclaw-private-update-capture", "");
    write(dir.path(), "workspace/hidden/x", "");
    write(dir.path(), "updates/one/.openclaw-private-update-capture", "");
    write(dir.path(), "updates/one/sub/x", "");
    write(dir.path(), "updates/two/x", "");
    write(dir.path(), "cache/x/y", "");
    let _socket =
        std::os::unix::net::UnixListener::bind(dir.path().join("workspace/live")).unwrap();
    let fifo = dir.path().join("workspace/fifo");
    make_pipe(&fifo);
    let policy = Policy::new(&["updates/one/**".to_owned()], &[], false).unwrap();
    for policy in [plain(), policy] {
        let walk = run(&[root(RootKind::State, dir.path())], &policy);
        assert_eq!(
            found(&walk),
            [
                "0:updates",
                "0:updates/two",
                "0:updates/two/x",
                "0:workspace",
                "0:workspace/a",
                "0:workspace/hidden",
                "0:workspace/hidden/.openclaw-private-update-capture",
                "0:workspace/hidden/x"
            ]
        );
        assert_eq!(
            excluded(&walk),
            [
                "0:cache cache",
                "0:updates/one marked by OpenClaw as private to an update",
                "0:workspace/live socket",
            ]
        );
        let skipped: Vec<&str> = walk.skipped.iter().map(|skipped| skipped.code).collect();
        assert_eq!(skipped, ["B2_SKIPPED_SPECIAL"]);
        assert!(walk.skipped[0].path.ends_with("workspace/fifo"));
    }
    let unasked = walk(
        &[root(RootKind::State, dir.path())],
        &plain(),
        &Arc::default(),
        false,
        &CancellationToken::new(),
    )
    .unwrap();
    assert!(unasked.excluded.is_empty());
}

#[test]
fn includes_open_directories_that_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "media/inbound/a.jpg",
        "media/outbound/b.jpg",
        "media/c",
        "tools/ws/x",
        "tools/y",
        "cache/z",
    ] {
        write(dir.path(), name, "");
    }
    let inside =
        Inside { kind: RootKind::Workspace, path: RelPath::from_bytes(b"tools/ws".to_vec()) };
    let policy = Policy::new(&["media/inbound/**".to_owned()], &[], false)
        .unwrap()
        .with_inside(vec![inside.clone()]);
    let walk = run(&[root(RootKind::State, dir.path())], &policy);
    assert_eq!(
        found(&walk),
        [
            "0:media",
            "0:media/inbound",
            "0:media/inbound/a.jpg",
            "0:tools",
            "0:tools/ws",
            "0:tools/ws/x"
        ]
    );
    assert_eq!(
        excluded(&walk),
        [
            "0:cache cache",
            "0:media/c media files",
            "0:media/outbound media files",
            "0:tools/y tools installed for this machine"
        ]
    );
    let policy = Policy::new(&["**/*.png".to_owned()], &[], false).unwrap();
    let walk = run(&[root(RootKind::State, dir.path())], &policy);
    assert!(walk.found.is_empty());
    assert_eq!(
        excluded(&walk),
        ["0:cache cache", "0:media media files", "0:tools tools installed for this machine"]
    );
}

#[test]
fn several_roots_in_order_and_named_files_only() {
    let dir = tempfile::tempdir().unwrap();
    for name in
        ["state/openclaw.json", "ws/cache/a", "ws/.git/index.lock", "etc/more.json5", "etc/passwd"]
    {
        write(dir.path(), name, "");
    }
    let mut config = root(RootKind::Config, &dir.path().join("etc"));
    config.only = vec![b"more.json5".to_vec(), b"gone.json5".to_vec()];
    let roots = [
        root(RootKind::State, &dir.path().join("state")),
        config,
        root(RootKind::Workspace, &dir.path().join("ws")),
        root(RootKind::Workspace, &dir.path().join("missing")),
    ];
    let walk = run(&roots, &plain());
    assert_eq!(found(&walk), ["0:openclaw.json", "1:more.json5", "2:.git", "2:cache", "2:cache/a"]);
    assert_eq!(excluded(&walk), ["2:.git/index.lock lock file of git"]);
    assert_eq!(walk.skipped.len(), 1, "{:?}", walk.skipped);
}

#[test]
fn the_log_of_a_database_is_part_of_its_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "state/openclaw.sqlite", "main");
    let look = || {
        let walk = run(&[root(RootKind::State, dir.path())], &plain());
        walk.found.into_iter().find(|found| found.database_name).unwrap().fingerprint
    };
    let bare = look();
    assert_eq!(bare.log, (0, 0, 0));
    write(dir.path(), "state/openclaw.sqlite-journal", "12345");
    assert_eq!(look().log.0, 5);
    write(dir.path(), "state/openclaw.sqlite-wal", "123");
    let logged = look();
    assert_eq!(logged.log.0, 3);
    assert_ne!(logged.log.2, 0);
    assert_eq!((logged.size, logged.inode), (bare.size, bare.inode));
    assert_eq!(fingerprint(&dir.path().join("state/openclaw.sqlite"), true).unwrap(), logged);
}

#[test]
fn unreadable_directories_are_told() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "workspace/closed/x", "");
    write(dir.path(), "workspace/open/x", "");
    let closed = dir.path().join("workspace/closed");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read it all the same.
    let effective = std::fs::read_dir(&closed).is_err();
    let walk = run(&[root(RootKind::State, dir.path())], &plain());
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(found(&walk).contains(&"0:workspace/open/x".to_owned()));
    if effective {
        assert_eq!(walk.skipped.len(), 1);
        assert_eq!(walk.skipped[0].code, "B2_SKIPPED_UNREADABLE");
        assert!(walk.skipped[0].path.ends_with("workspace/closed"));
    }
}

#[test]
fn cancelled_and_missing() {
    let dir = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error =
        walk(&[root(RootKind::State, dir.path())], &plain(), &Arc::default(), false, &cancel)
            .unwrap_err();
    assert_eq!(error.code(), "B2_CANCELLED");
    let missing = [root(RootKind::State, &dir.path().join("missing"))];
    assert_eq!(
        walk(&missing, &plain(), &Arc::default(), false, &CancellationToken::new())
            .unwrap_err()
            .code(),
        "B2_IO"
    );
}

#[test]
fn a_tree_that_changes_meanwhile_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..40 {
        write(dir.path(), format!("workspace/{i}/keep"), "");
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut i = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                i = (i + 1) % 40;
                let gone = dir.path().join(format!("workspace/{i}/gone"));
                std::fs::create_dir_all(gone.join("deep")).unwrap();
                std::fs::write(gone.join("deep/x"), "").unwrap();
                std::fs::remove_dir_all(&gone).unwrap();
            }
        });
        for _ in 0..50 {
            let walk = run(&[root(RootKind::State, dir.path())], &plain());
            assert_eq!(walk.skipped, []);
            assert!(walk.found.len() >= 81);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// `cargo test --release -- --ignored --nocapture walk_speed` shows how long 50,000 files take.
#[test]
#[ignore = "a measurement"]
fn walk_speed() {
    let dir = tempfile::tempdir().unwrap();
    for d in 0..500 {
        let top = if d % 2 == 0 { "workspace" } else { "skills" };
        for f in 0..100 {
            write(dir.path(), format!("{top}/{}/{d}/{f}.md", d % 20), "x");
        }
    }
    let policy = plain();
    for _ in 0..3 {
        let start = std::time::Instant::now();
        let walk = run(&[root(RootKind::State, dir.path())], &policy);
        println!("{} entries in {:?}", walk.found.len(), start.elapsed());
    }
}
