//! Every kind of file goes there and back: odd names, odd modes, files that change under the push.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use b2_backup::progress::{Event, Phase, Progress};
use b2_backup::store::memory::MemoryStore;
use tempfile::{TempDir, tempdir};

mod foreign;
mod incomplete;

use crate::support::calendar::Calendar;
use crate::support::machine::Machine;
use crate::support::plain::{assert_same, noise, picture, write};
use crate::support::system::make_pipe;

/// A machine with an empty state. Not encrypted: stretching a passphrase takes long.
fn empty_machine() -> (TempDir, Machine) {
    let dir = tempdir().unwrap();
    let live = dir.path().join("state");
    fs::create_dir(&live).unwrap();
    let mut machine = Machine::new(&live, Arc::new(MemoryStore::default()));
    machine.settings.encrypt = false;
    (dir, machine)
}

/// Paths and codes of problems.
fn codes(problems: &[b2_backup::ops::FileProblem]) -> Vec<(&str, &str)> {
    problems.iter().map(|one| (one.path.as_str(), one.code.as_str())).collect()
}

/// Pushes, restores on a blank machine, and compares. Links are saved as such, also those to what is not saved: `links`
/// are those, and nothing else is named.
async fn there_and_back(dir: &TempDir, machine: &Machine, links: &[&str]) {
    let report = machine.push().await.unwrap();
    let expected: Vec<_> = links.iter().map(|link| (*link, "B2_SKIPPED_LINK")).collect();
    assert_eq!(codes(&report.skipped), expected);
    let to = dir.path().join("restored");
    let blank = machine.blank(dir.path().join("blank"));
    let restored = blank.restore("latest", &to).await.unwrap();
    assert_eq!(restored.failed, []);
    assert_eq!(restored.files, report.files);
    let mut live = picture(&machine.settings.state_dir);
    // Nothing comes back with more than the rights to read, write and execute.
    for item in live.values_mut() {
        item.mode &= 0o777;
    }
    assert_same(&picture(&to), &live, "restored");
}

const ODD_NAMES: &[&[u8]] = &[
    b"with space",
    b" leading and trailing ",
    b"100%",
    b"%20",
    b"a#b?c&d=e",
    b"a+b",
    b"new\nline",
    b"tab\tand\rreturn",
    b"quote\"and'apostrophe`",
    b"back\\slash",
    b"-rf",
    b"--help",
    b"*",
    b"[a-z]",
    b"{x,y}",
    b"~",
    b"$HOME",
    b"...",
    b"a:b|c<d>",
    b"\xff\xfe not utf-8",
    b"caf\xe9",
    "na\u{ef}ve \u{65e5}\u{672c} \u{1f980}".as_bytes(),
    "e\u{301}".as_bytes(),
    "\u{202e}right to left".as_bytes(),
    b"\x01\x1f\x7f",
    b"CON",
];

#[tokio::test(flavor = "multi_thread")]
async fn odd_names() {
    let (dir, machine) = empty_machine();
    let live = &machine.settings.state_dir;
    let long = [b'x'; 255];
    let path = |name: &[u8]| live.join("workspace").join(std::ffi::OsStr::from_bytes(name));
    for (number, name) in ODD_NAMES.iter().copied().chain([&long[..]]).enumerate() {
        // As a file, as a directory, in a directory, as a link and as a link's target.
        fs::create_dir_all(path(b"dirs").join(path(name).file_name().unwrap())).unwrap();
        fs::write(path(name), noise(number as u64, 10 + number)).unwrap();
        let inside = path(b"dirs").join(path(name).file_name().unwrap()).join("x");
        fs::write(inside, "inside").unwrap();
        fs::create_dir_all(path(b"links")).unwrap();
        symlink(
            path(name).file_name().unwrap(),
            path(b"links").join(path(name).file_name().unwrap()),
        )
        .unwrap();
    }
    there_and_back(&dir, &machine, &[]).await;
    // Each can be asked for by name, even where its name looks like a glob.
    for name in ODD_NAMES.iter().filter_map(|name| std::str::from_utf8(name).ok()) {
        let to = tempdir().unwrap();
        let wanted = format!("workspace/{name}");
        let report = machine.restore_paths("latest", to.path(), &[&wanted]).await.unwrap();
        assert!(to.path().join(&wanted).is_file(), "{name:?}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_modes_and_times() {
    let (dir, machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    let workspace = live.join("workspace");
    for name in ["empty", "deep/er/est", "a dir"] {
        fs::create_dir_all(workspace.join(name)).unwrap();
    }
    write(&live, "workspace/empty file", "");
    write(&live, "workspace/deep/file", "x");
    for (name, target) in [
        ("dangling", "nowhere/at all"),
        ("to-dir", "deep/er"),
        ("up", "../.."),
        ("absolute", "/etc/hostname"),
        ("itself", "itself"),
        ("long", &"y/".repeat(1500)),
    ] {
        symlink(target, workspace.join(name)).unwrap();
    }
    symlink(std::ffi::OsStr::from_bytes(b"\xff\xfe\n"), workspace.join("odd")).unwrap();
    let modes = [0o400, 0o600, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o111, 0o000];
    for mode in modes {
        let path = workspace.join(format!("mode-{mode:o}"));
        fs::write(&path, format!("{mode:o}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        if File::open(&path).is_err() {
            fs::remove_file(&path).unwrap(); // Only root reads what nobody may.
        }
    }
    for mode in [0o700, 0o755, 0o1777, 0o2775, 0o555] {
        let path = workspace.join(format!("dir-{mode:o}"));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x"), "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = |seconds, ns| UNIX_EPOCH - Duration::new(seconds, ns);
    let after = |seconds, ns| UNIX_EPOCH + Duration::new(seconds, ns);
    let times = [
        before(1, 1),
        before(0, 1),
        before(2_000_000_000, 999_999_999),
        after(0, 0),
        after(1_700_000_000, 123_456_789),
        after(5_000_000_000, 1),
    ];
    for (number, time) in times.into_iter().enumerate() {
        let path = workspace.join(format!("time-{number}"));
        fs::write(&path, "t").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let path = workspace.join(format!("dir-time-{number}"));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x"), "x").unwrap();
        File::open(&path).unwrap().set_modified(time).unwrap();
    }
    there_and_back(&dir, &machine, &["workspace/absolute", "workspace/up"]).await;
    assert_eq!(machine.push().await.unwrap().snapshot, None, "and nothing of it looks changed");
}

/// Neither waits for the other end of a fifo nor stumbles over a socket.
#[tokio::test(flavor = "multi_thread")]
async fn sockets_and_fifos() {
    let (dir, machine) = empty_machine();
    let live = &machine.settings.state_dir;
    write(live, "workspace/a.md", "a");
    let _socket = std::os::unix::net::UnixListener::bind(live.join("workspace/s")).unwrap();
    make_pipe(&live.join("workspace/fifo"));
    make_pipe(&live.join("workspace/pipe.sqlite"));
    let report = machine.push().await.unwrap();
    assert_eq!(report.files, 1);
    let to = dir.path().join("restored");
    machine.restore("latest", &to).await.unwrap();
    assert_same(&picture(&to), &picture(live), "restored");
    assert!(!to.join("workspace/fifo").exists() && !to.join("workspace/s").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_at_every_edge() {
    let (dir, machine) = empty_machine();
    let live = &machine.settings.state_dir;
    // Smallest, mean and largest chunk; frame and read buffer; pack.
    for size in [1, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 16 << 20] {
        for size in [size - 1, size, size + 1] {
            write(live, &format!("workspace/{size}"), noise(size as u64, size));
        }
    }
    there_and_back(&dir, &machine, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sparse_and_identical_files_cost_little() {
    let (dir, machine) = empty_machine();
    let live = &machine.settings.state_dir;
    write(live, "workspace/sparse", "start");
    let sparse = File::options().write(true).open(live.join("workspace/sparse")).unwrap();
    sparse.set_len(100 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 99 << 20).unwrap();
    for copy in 0..20 {
        write(live, &format!("workspace/copies/{copy}"), noise(5, 500_000));
    }
    there_and_back(&dir, &machine, &[]).await;
    let stored = machine.store.traffic().sent_bytes;
    assert!(stored < 700_000, "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files() {
    let (dir, machine) = empty_machine();
    for number in 0..3000_u64 {
        let path = format!("workspace/{}/{}/{number}.md", number % 7, number % 50);
        write(&machine.settings.state_dir, &path, noise(number, 100));
    }
    there_and_back(&dir, &machine, &[]).await;
}

/// Does something at each report of the capture.
struct AtCapture(Box<dyn Fn(Event) + Send + Sync>);

impl std::fmt::Debug for AtCapture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AtCapture")
    }
}

impl Progress for AtCapture {
    fn report(&self, event: Event) {
        if event.phase == Phase::Capture {
            (self.0)(event);
        }
    }
}

impl AtCapture {
    fn new(act: impl Fn(Event) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self(Box::new(act)))
    }
}

/// What vim does when it saves, and what rotates logs: a file is listed under a name that it has no more when it is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_renamed_during_the_push() {
    let (dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/a.md", "read first");
    write(&live, "workspace/SOUL.md", "read when it has another name");
    let renamed = live.clone();
    machine.progress = AtCapture::new(move |_| {
        let _once =
            fs::rename(renamed.join("workspace/SOUL.md"), renamed.join("workspace/.SOUL.md"));
    });
    assert_eq!(machine.push().await.unwrap().skipped, []);
    let to = dir.path().join("restored");
    machine.blank(dir.path().join("blank")).restore("latest", &to).await.unwrap();
    assert!(!live.join("workspace/SOUL.md").exists());
    assert_eq!(
        fs::read_to_string(to.join("workspace/.SOUL.md")).unwrap(),
        "read when it has another name"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_renamed_again_and_again_is_named() {
    let (dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/a.md", "read first");
    write(&live, "workspace/z0", "never there when it is read");
    let (at, number) = (live.join("workspace"), AtomicU64::new(0));
    machine.progress = AtCapture::new(move |_| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        fs::rename(at.join(format!("z{number}")), at.join(format!("z{}", number + 1))).unwrap();
        // The next look reads this before it.
        fs::write(at.join(format!("b{number}")), "new").unwrap();
    });
    let report = machine.push().await.unwrap();
    assert_eq!(codes(&report.skipped), [("workspace/z3", "B2_SKIPPED_UNREADABLE")]);
    let to = dir.path().join("restored");
    machine.blank(dir.path().join("blank")).restore("latest", &to).await.unwrap();
    assert!(to.join("workspace/b2").exists() && !to.join("workspace/z3").exists());
}

/// To OpenClaw it begins where the gateway was started. The rest is saved all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_with_a_relative_path_is_named() {
    let (_dir, machine) = empty_machine();
    write(
        &machine.settings.state_dir,
        "openclaw.json",
        r#"{ "agents": { "list": [{ "id": "a", "workspace": "relws" }] } }"#,
    );
    let report = machine.push().await.unwrap();
    assert_eq!(codes(&report.skipped), [("relws", "B2_SKIPPED_ROOT")]);
    assert!(report.snapshot.is_some());
}

/// The directory was read while the file had its other name, and that one while it had the first again.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_no_listing_shows_is_found_again() {
    let (dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/SOUL.md", "there at each moment");
    machine.push().await.unwrap();
    write(&live, "workspace/a.md", "read first");
    let (aside, place) = (dir.path().join("SOUL.md"), live.join("workspace/SOUL.md"));
    fs::rename(&place, &aside).unwrap();
    machine.progress = AtCapture::new(move |_| drop(fs::rename(&aside, &place)));
    machine.push().await.unwrap();
    let to = dir.path().join("restored");
    machine.blank(dir.path().join("blank")).restore("latest", &to).await.unwrap();
    assert!(to.join("workspace/SOUL.md").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_goes_during_the_push_is_gone() {
    let (dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/a.md", "read first");
    write(&live, "workspace/draft.tmp", "goes");
    let at = live.join("workspace/draft.tmp");
    machine.progress = AtCapture::new(move |_| drop(fs::remove_file(&at)));
    assert_eq!(machine.push().await.unwrap().skipped, []);
    let to = dir.path().join("restored");
    machine.blank(dir.path().join("blank")).restore("latest", &to).await.unwrap();
    assert_eq!(fs::read_dir(to.join("workspace")).unwrap().count(), 1);
}

/// The mount point of a disk that did not come up, or a path with a mistake in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_push_of_nothing_is_refused() {
    let (_dir, machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    fs::create_dir(live.join("workspace")).unwrap();
    for stray in [".Trash-1000/info/x", ".DS_Store", "lost+found/1"] {
        write(&live, stray, "x");
        let error = machine.push().await.unwrap_err();
        assert_eq!(error.code(), "B2_CONFIG");
        assert!(error.to_string().contains("is its disk mounted"), "{error}");
    }
    assert!(machine.list().await.snapshots.is_empty());
    write(&live, "openclaw.json", "{}");
    assert!(machine.push().await.unwrap().snapshot.is_some());
}

fn append(path: &Path, text: &str) {
    use std::io::Write as _;
    File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// A legacy-named trap: the original remembered the size after the push, and never saw what came meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_appended_to_during_the_push() {
    for always in [false, true] {
        let (dir, mut machine) = empty_machine();
        let live = machine.settings.state_dir.clone();
        write(&live, "workspace/log.jsonl", noise(1, 3 << 20));
        let log = live.join("workspace/log.jsonl");
        let appending = log.clone();
        machine.progress = AtCapture::new(move |event| {
            if always || event.done_bytes == 1 << 20 {
                append(&appending, "{\"more\":1}\n");
            }
        });
        let report = machine.push().await.unwrap();
        let to = dir.path().join("restored");
        machine.restore("latest", &to).await.unwrap();
        let restored = fs::read(to.join("workspace/log.jsonl")).unwrap();
        let now = fs::read(&log).unwrap();
        assert!(now.starts_with(&restored));
        if always {
            assert_eq!(report.skipped[0].code, "B2_CHANGED_WHILE_READ");
        } else {
            assert_eq!(report.skipped, []);
            assert_eq!(restored.len(), now.len());
        }
        // The next push sees what this one did not.
        machine.progress = Arc::new(b2_backup::progress::Silent);
        assert_eq!(machine.push().await.unwrap().snapshot.is_some(), always);
        let to = dir.path().join("again");
        machine.restore("latest", &to).await.unwrap();
        assert_same(&picture(&to), &picture(&live), "the next push");
    }
}

/// Where times are coarse, a file that was written just now may be written again and look the same. It is read again,
/// and then, when its time is over, trusted.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_just_now_is_read_again_once() {
    let (_dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/a.md", noise(1, 1000));
    write(&live, "workspace/future.md", noise(2, 100));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let future = SystemTime::now() + Duration::from_hours(9600);
    let file = File::options().write(true).open(live.join("workspace/future.md")).unwrap();
    file.set_modified(future).unwrap();
    machine.push().await.unwrap();
    for (hours, expected) in [(-1, 1100), (0, 1100), (1, 1100), (1, 0)] {
        let read = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&read);
        machine.progress = AtCapture::new(move |event| {
            counted.store(event.done_bytes, Ordering::Relaxed);
        });
        let clock = Calendar::start();
        clock.set(now + hours * 3600);
        machine.clock = clock;
        assert_eq!(machine.push().await.unwrap().snapshot, None);
        assert_eq!(read.load(Ordering::Relaxed), expected, "{hours} hours ahead");
    }
}

/// The time of a directory alone makes no snapshot; the next one has it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_directory_waits_for_the_next_snapshot() {
    let (dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    write(&live, "workspace/a.md", noise(1, 1000));
    machine.push().await.unwrap();
    write(&live, "workspace/b.md", noise(2, 100));
    fs::remove_file(live.join("workspace/b.md")).unwrap();
    // Other settings: all is read again.
    machine.settings.exclude = vec!["nothing-like-this".to_owned()];
    assert_eq!(machine.push().await.unwrap().snapshot, None);
    write(&live, "workspace/a.md", noise(3, 1000));
    machine.push().await.unwrap().snapshot.unwrap();
    let to = dir.path().join("restored");
    machine.restore("latest", &to).await.unwrap();
    assert_same(&picture(&to), &picture(&live), "the time of the directory too");
}

/// Between the walk and the reading, files go, or something else takes their place.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_turn_into_something_else() {
    let (dir, mut machine) = empty_machine();
    let live = machine.settings.state_dir.clone();
    let names = ["z-gone", "z-dir", "z-link", "z-fifo", "z-fifo.sqlite", "z-gone-dir/x"];
    for name in names {
        write(&live, &format!("workspace/{name}"), name);
    }
    write(&live, "workspace/a.md", "read first");
    write(&live, "workspace/z-stays", "read last");
    write(dir.path(), "secret", "never to be followed to");
    let (workspace, secret) = (live.join("workspace"), dir.path().join("secret"));
    let once = std::sync::Once::new();
    machine.progress = AtCapture::new(move |_| {
        once.call_once(|| {
            for name in names {
                fs::remove_file(workspace.join(name)).unwrap();
            }
            fs::remove_dir(workspace.join("z-gone-dir")).unwrap();
            fs::create_dir(workspace.join("z-dir")).unwrap();
            symlink(&secret, workspace.join("z-link")).unwrap();
            make_pipe(&workspace.join("z-fifo"));
            make_pipe(&workspace.join("z-fifo.sqlite"));
        });
    });
    let report = machine.push().await.unwrap();
    assert_eq!(report.files, 2, "{report:?}");
    let told: Vec<&str> = report.skipped.iter().map(|problem| problem.path.as_str()).collect();
    let changed =
        ["z-dir", "z-fifo", "z-fifo.sqlite", "z-link"].map(|it| format!("workspace/{it}"));
    assert_eq!(told, changed);
    let to = dir.path().join("restored");
    machine.restore("latest", &to).await.unwrap();
    assert_eq!(fs::read(to.join("workspace/z-stays")).unwrap(), b"read last");
    assert!(fs::symlink_metadata(to.join("workspace/z-link")).is_err());
    // The next push takes them as what they are.
    machine.push().await.unwrap();
    let to = dir.path().join("again");
    machine.restore("latest", &to).await.unwrap();
    assert_same(&picture(&to), &picture(&live), "the next push");
}
