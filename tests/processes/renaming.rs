//! Somebody renames files all the time, also from one directory to another, while pushes walk them: what is in no
//! snapshot is named.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::support::campaign;
use crate::support::machine::restore_with;
use crate::support::plain::write;
use crate::support::plain_machine::plain_machine;

const FILES: usize = 60;
const DIRECTORIES: [&str; 3] = ["workspace/a", "workspace/b", "workspace/b/c"];

/// Somebody who renames in a thread, until it goes.
struct Renamer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Renamer {
    fn start(live: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (live, told) = (live.to_owned(), Arc::clone(&stop));
        Self { stop, thread: Some(std::thread::spawn(move || rename(&live, &told))) }
    }

    /// Ends it. Returns how often it renamed.
    fn end(&mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Renamer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Renames until it is told to stop. Each file has its number as content, whatever it is called.
fn rename(live: &Path, stop: &AtomicBool) -> u64 {
    let mut at: Vec<_> =
        (0..FILES).map(|file| live.join(DIRECTORIES[0]).join(file.to_string())).collect();
    let mut moves = 0_u64;
    let mut random = campaign::seed().wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while !stop.load(Ordering::Relaxed) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let number = usize::try_from(random >> 33).unwrap();
        let to = DIRECTORIES.get(number % DIRECTORIES.len()).unwrap();
        let to = live.join(to).join(format!("moved-{moves}"));
        let Some(from) = at.get_mut(number / 3 % FILES) else { continue };
        fs::rename(&*from, &to).unwrap();
        *from = to;
        moves += 1;
    }
    moves
}

/// What the files below a directory contain.
fn contents(of: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(of).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(contents(&entry.path()));
        } else {
            found.insert(String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_renamed_meanwhile_is_saved_or_named() {
    let (dir, machine, _store) = plain_machine();
    let live = machine.settings.state_dir.clone();
    for directory in DIRECTORIES {
        fs::create_dir_all(live.join(directory)).unwrap();
    }
    for file in 0..FILES {
        write(&live, &format!("{}/{file}", DIRECTORIES[0]), format!("content {file}"));
    }
    let all: BTreeSet<String> = (0..FILES).map(|file| format!("content {file}")).collect();
    let rounds = campaign::cases(15, 300);
    let (mut whole, mut named) = (0, 0);
    let mut silent = Vec::new();
    let mut renamer = Renamer::start(&live);
    for round in 0..rounds {
        let pushed = machine.push().await.unwrap();
        let to = dir.path().join("restored");
        let session = machine.blank(dir.path().join("blank")).session().await;
        restore_with(&session, &pushed.snapshot.unwrap(), &to).await.unwrap();
        let found = contents(&to.join("workspace"));
        let missing: Vec<_> = all.difference(&found).collect();
        let is_named = pushed
            .skipped
            .iter()
            .any(|problem| DIRECTORIES.iter().any(|directory| problem.path.contains(directory)));
        if missing.is_empty() {
            whole += 1;
        } else if is_named {
            named += 1;
        } else {
            silent.push(format!("push {round}: {missing:?}, {:?}", pushed.skipped));
        }
        fs::remove_dir_all(&to).unwrap();
    }
    let moves = renamer.end();
    let counted = [("pushes", rounds), ("whole", whole), ("named", named), ("renames", moves)];
    campaign::report("host safety", "pushes beside renaming", &counted);
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}
