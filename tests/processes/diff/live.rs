//! The present state: what is read of it, and what must not be.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use b2_backup::ops::TextOmitted;
use rusqlite::Connection;
use rustix::fs::inotify;

use super::*;
use crate::gateway::Gateway;
use crate::support::clock;
use crate::support::plain::first_day;

/// Hears which files below a directory are opened.
struct Opens {
    watch: OwnedFd,
}

impl Opens {
    fn below(root: &Path) -> Self {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        let mut open = vec![root.to_owned()];
        while let Some(dir) = open.pop() {
            inotify::add_watch(&watch, &dir, inotify::WatchFlags::OPEN).unwrap();
            let inside = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
            open.extend(inside.filter(|path| path.is_dir() && !path.is_symlink()));
        }
        Self { watch }
    }

    /// Names of files that were opened since the last call.
    fn since(&mut self) -> BTreeSet<String> {
        let mut buffer = [MaybeUninit::uninit(); 16384];
        let mut events = inotify::Reader::new(&self.watch, &mut buffer);
        let mut names = BTreeSet::new();
        while let Ok(event) = events.next() {
            if !event.events().contains(inotify::ReadFlags::ISDIR) {
                names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
            }
        }
        names
    }
}

fn nothing() -> BTreeSet<String> {
    BTreeSet::new()
}

fn these<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_may_have_changed_is_read() {
    let (_dir, mut machine, _store) = plain_machine();
    // What was written within two seconds before a push is read again.
    machine.clock = clock::TestClock::ahead(60);
    let live = state(&machine);
    write(&live, "workspace/same size.md", "abc");
    write(&live, "workspace/between.md", "first");
    Connection::open(live.join("workspace/notes/x.sqlite"))
        .unwrap()
        .execute_batch("CREATE TABLE t(x)")
        .unwrap();
    let first = push(&machine).await;
    write(&live, "workspace/between.md", "second");
    let second = push(&machine).await;
    let mut opens = Opens::below(&live.join("workspace"));
    fs::read(live.join("workspace/MEMORY.md")).unwrap();
    assert_eq!(opens.since(), these(["MEMORY.md"]), "it does hear");

    assert_eq!(lines(&machine.diff(&second, "live").await.unwrap()), Vec::<String>::new());
    assert_eq!(opens.since(), nothing());
    // What the newest snapshot holds is known to be in the state: an older one is compared with that.
    let older = machine.diff(&first, "live").await.unwrap();
    assert_eq!(lines(&older), ["changed file workspace/between.md 5>6 (content)"]);
    assert_eq!(opens.since(), nothing());

    write(&live, "workspace/same size.md", "abd");
    write(&live, "workspace/link target.md", "");
    let touched =
        fs::File::options().write(true).open(live.join("workspace/notes/same.md")).unwrap();
    touched.set_modified(std::time::UNIX_EPOCH).unwrap();
    opens.since();
    let now = machine.diff(&second, "live").await.unwrap();
    assert_eq!(
        lines(&now),
        [
            "added file workspace/link target.md 0>0",
            "changed file workspace/same size.md 3>3 (content)"
        ]
    );
    assert_eq!(opens.since(), these(["link target.md", "same size.md", "same.md"]));
    // Of paths that nobody asked for, nothing is read either.
    let paths = vec!["workspace/same size.md".to_owned()];
    let options = DiffOptions { paths, text: true, ..diff_options(&second, "live") };
    let asked = machine.diff_with(options).await.unwrap();
    assert!(asked.entries[0].text.as_ref().unwrap().contains("-abc"), "{asked:?}");
    assert_eq!(opens.since(), these(["same size.md"]));
}

/// Without memory of the newest push everything is read, and the answer is the same.
#[tokio::test(flavor = "multi_thread")]
async fn without_local_memory() {
    let (_dir, machine, _store) = plain_machine();
    let live = state(&machine);
    before_changes(&live);
    let first = push(&machine).await;
    change_everything(&live);
    let with = machine.diff(&first, "live").await.unwrap();
    fs::remove_dir_all(live.join("b2-backup")).unwrap();
    let without = machine.diff(&first, "live").await.unwrap();
    assert_eq!(essence(&without), essence(&with));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_another_process_holds_open() {
    let (_dir, machine, _store) = plain_machine();
    let live = state(&machine);
    let database = live.join("memory/main.sqlite");
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    let mut gateway = Gateway::start(&database, "serve");
    let first = push(&machine).await;
    let quiet = machine.diff(&first, "live").await.unwrap();
    assert_eq!(lines(&quiet), Vec::<String>::new(), "its rows are in the log, and in the snapshot");

    gateway.write_row();
    let options = DiffOptions { text: true, ..diff_options(&first, "live") };
    let mut opens = Opens::below(database.parent().unwrap());
    let now = machine.diff_with(options).await.unwrap();
    let [entry] = &now.entries[..] else { panic!("{now:?}") };
    assert!(line(entry).starts_with("changed database memory/main.sqlite "), "{entry:?}");
    assert_eq!(entry.text_omitted, Some(TextOmitted::Database));
    assert_eq!(opens.since(), these(["main.sqlite"]), "only its first bytes, to see what it is");

    // The log alone has the row: the file is as it was.
    let second = push(&machine).await;
    assert_eq!(lines(&machine.diff(&second, "live").await.unwrap()), Vec::<String>::new());
    let older = machine.diff(&first, "live").await.unwrap();
    assert_eq!(older.entries.len(), 1, "an older copy is another copy: {older:?}");
    assert!(older.entries[0].database);
    assert_eq!(essence(&machine.diff(&first, &second).await.unwrap()), essence(&older));
    gateway.write_row();
    assert!(gateway.end(), "it could write all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_this_process_holds_open() {
    let (_dir, machine, _store) = plain_machine();
    let live = state(&machine);
    let database = live.join("memory/main.sqlite");
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    Connection::open(&database).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    let first = push(&machine).await;
    write(&live, "workspace/new.md", "new");
    let second = push(&machine).await;
    let open = Connection::open(&database).unwrap();
    open.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = machine.diff(&first, "live").await.unwrap_err();
    assert_eq!(error.code(), "B2_DATABASE_IN_PROCESS");
    let snapshots = machine.diff(&first, &second).await.unwrap();
    assert_eq!(snapshots.entries.len(), 1, "what is in the bucket can be compared anywhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_of_backups_is_on_neither_side() {
    let (_dir, mut machine, _store) = plain_machine();
    machine.settings.encrypt = true;
    machine.settings.include_secrets = true;
    let live = state(&machine);
    write(&live, "credentials/oauth.json", "a secret");
    write(&live, "workspace/drafts/one.md", "a draft");
    write(&live, "workspace/drafts/kept/two.md", "another");
    let first = push(&machine).await;
    let everything = push_and_back(&machine, &first).await;
    assert_eq!(everything, Vec::<String>::new());

    // From now on less is backed up: what is left out was not removed.
    machine.settings.include_secrets = false;
    machine.settings.exclude = vec!["workspace/drafts/*.md".into()];
    write(&live, "credentials/planted.json", "planted");
    write(&live, "logs/gateway.log", "planted");
    write(&live, "workspace/drafts/three.md", "planted");
    fs::remove_file(live.join("workspace/drafts/one.md")).unwrap();
    write(&live, "workspace/drafts/kept/two.md", "another one");
    assert_eq!(
        lines(&machine.diff(&first, "live").await.unwrap()),
        ["changed file workspace/drafts/kept/two.md 7>11 (content)"]
    );
}

async fn push_and_back(machine: &Machine, first: &str) -> Vec<String> {
    assert_eq!(machine.push().await.unwrap().snapshot, None);
    lines(&machine.diff(first, "live").await.unwrap())
}

/// A machine that is compared with the snapshot of another one.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_snapshot_of_another_machine() {
    let (dir, mut machine, _store) = plain_machine();
    // What was written within two seconds before a push is read again.
    machine.clock = clock::TestClock::ahead(60);
    let first = push(&machine).await;
    let other = machine.blank(dir.path().join("other"));
    first_day(&other.settings.state_dir);
    write(&other.settings.state_dir, "workspace/only here.md", "x");
    let by_reading = lines(&other.diff(&first, "live").await.unwrap());
    assert_eq!(by_reading, ["added file workspace/only here.md 0>1"]);
    push(&other).await;
    let mut opens = Opens::below(&other.settings.state_dir.join("workspace"));
    assert_eq!(lines(&other.diff(&first, "live").await.unwrap()), by_reading);
    assert_eq!(opens.since(), nothing(), "its own memory knows what its files hold");
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_when_it_is_cancelled() {
    let (_dir, machine, _store) = plain_machine();
    let first = push(&machine).await;
    machine.cancel.cancel();
    let error = machine.diff(&first, "live").await.unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
}
