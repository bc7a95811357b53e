//! Rollback of any state to any other: what the plan says happens, all of it and nothing else, and undo takes it back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use b2_backup::ops::{self, Action, Mode, Outcome, RollbackRequest};
use b2_backup::store::memory::MemoryStore;
use tempfile::{tempdir, tempdir_in};

use super::*;
use crate::support::campaign;
use crate::support::machine::Machine;
use crate::support::plain::{Content, Item, assert_same, settled};
use crate::support::system::set_mode;

/// What may be at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    File(u64, u32),
    Directory(u32),
    Link(u64),
}

type State = BTreeMap<String, Thing>;

/// Names that meet each other often: what is a file in one state is a directory in another.
fn state(draw: &mut Draw) -> State {
    let mut state = State::new();
    for _ in 0..draw.below(draw.size() * 2 + 1) {
        let mut path = "workspace".to_owned();
        for _ in 0..=draw.below(3) {
            path = format!("{path}/{}", ["a", "b", "c", "a-b", "A b"][draw.below(5)]);
        }
        let thing = match draw.below(6) {
            0 => Thing::Link(draw.word() % 3),
            1 => Thing::Directory([0o700, 0o755][draw.below(2)]),
            _ => Thing::File(draw.word() % 4, [0o600, 0o644, 0o755][draw.below(3)]),
        };
        // A directory above it; what was there as a file gives way.
        let above = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        for above in above.collect::<Vec<_>>() {
            if !matches!(state.get(&above), Some(Thing::Directory(_))) {
                state.insert(above, Thing::Directory(0o755));
            }
        }
        if !matches!(thing, Thing::Directory(_)) {
            let below = format!("{path}/");
            state.retain(|other, _| !other.starts_with(&below));
        }
        state.insert(path, thing);
    }
    state
}

/// A state that came of another one: some of it as it was.
fn later(draw: &mut Draw, before: &State) -> State {
    let mut after = before.clone();
    for (path, thing) in state(draw) {
        let gives_way = |other: &String| {
            other.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'))
                || path.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        after.retain(|other, there| {
            !gives_way(other)
                || path.starts_with(other.as_str()) && matches!(there, Thing::Directory(_))
                || matches!(thing, Thing::Directory(_))
        });
        after.insert(path, thing);
    }
    let gone: Vec<String> = after.keys().filter(|_| draw.below(4) == 0).cloned().collect();
    for path in gone {
        let below = format!("{path}/");
        after.retain(|other, _| *other != path && !other.starts_with(&below));
    }
    after
}

fn make(root: &Path, state: &State) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name != "b2-backup") {
            fs::remove_dir_all(path).unwrap();
        }
    }
    for (path, thing) in state {
        let path = root.join(path);
        match thing {
            Thing::Directory(_) => fs::create_dir(&path).unwrap(),
            Thing::Link(to) => symlink(format!("target-{to}"), &path).unwrap(),
            Thing::File(content, mode) => {
                fs::write(&path, content.to_string().repeat(50 + *content as usize)).unwrap();
                set_mode(&path, *mode);
            }
        }
    }
    for (path, thing) in state {
        if let Thing::Directory(mode) = thing {
            set_mode(&root.join(path), *mode);
        }
    }
}

/// What a rollback brings back. The time of what is the same already stays.
fn says(item: &Item) -> (u32, &Content) {
    (item.mode, &item.content)
}

fn meant(wanted: &[String], path: &[u8]) -> bool {
    let path = std::str::from_utf8(path).unwrap();
    wanted.is_empty()
        || wanted.iter().any(|one| {
            path == one || path.strip_prefix(one).is_some_and(|rest| rest.starts_with('/'))
        })
}

#[test]
fn a_rollback_does_what_its_plan_says() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (changed, same) = (std::cell::Cell::new(0_u64), std::cell::Cell::new(0_u64));
    cases("plan and apply", campaign::cases(200, 1000), |mut draw| {
        let moved = runtime.block_on(one(&mut draw));
        let count = if moved { &changed } else { &same };
        count.set(count.get() + 1);
    });
    assert!(changed.get() > same.get(), "{} {}", changed.get(), same.get());
}

async fn one(draw: &mut Draw) -> bool {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempdir_in(memory).unwrap() } else { tempdir().unwrap() };
    let live = dir.path().join("state");
    fs::create_dir(&live).unwrap();
    let mut machine = Machine::new(&live, Arc::new(MemoryStore::default()));
    machine.settings.encrypt = false;
    let mut old = state(draw);
    old.entry("workspace".into()).or_insert(Thing::Directory(0o755));
    // A first push of nothing is refused.
    old.insert("workspace/always".into(), Thing::File(0, 0o644));
    make(&live, &old);
    let then = settled(&live);
    let snapshot = machine.push().await.unwrap().snapshot.unwrap();
    make(&live, &later(draw, &old));
    let now = settled(&live);

    let mut paths: Vec<String> = old.keys().filter(|_| draw.below(5) == 0).cloned().collect();
    if draw.flag() {
        paths.clear();
    }
    let mode = if draw.flag() { Mode::Exact } else { Mode::Overlay };
    let request = RollbackRequest {
        snapshot,
        paths: paths.clone(),
        mode,
        partial: false,
        allow_unauthenticated: false,
    };
    let session = machine.session().await;
    let plan = match ops::plan_rollback(&session, &request).await {
        Ok(plan) => plan,
        // What is wanted lies below what is a file now, and that was not asked for.
        Err(error) => {
            let shut = |path: &Vec<u8>| {
                let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
                let mut above = above.map(|(at, _)| &path[..at]);
                above.any(|above| {
                    let there =
                        now.get(above).is_some_and(|item| item.content != Content::Directory);
                    there && !meant(&paths, above)
                })
            };
            let below_a_file = then.keys().any(|path| meant(&paths, path) && shut(path));
            assert!(error.code() == "B2_UNSAFE_PATH" && below_a_file, "{error}");
            assert_same(&settled(&live), &now, "refused");
            return false;
        }
    };
    assert_same(&settled(&live), &now, "a plan writes nothing");
    let report = ops::roll_back(&session, &request, &plan.hash).await.unwrap();
    let after = settled(&live);
    let what = format!("{mode:?} {paths:?}, {:?}", plan.entries);

    // What the plan names is as it says; what it does not name is as it was.
    let mut named = BTreeMap::new();
    for entry in &plan.entries {
        let path = entry.path.clone().into_bytes();
        match entry.action {
            Action::Add | Action::Replace => {
                assert_eq!(after.get(&path).map(says), then.get(&path).map(says), "{what}");
            }
            Action::Delete => assert_eq!(after.get(&path), None, "{what}"),
            Action::Keep => assert_eq!(after.get(&path), now.get(&path), "{what}"),
        }
        assert!(named.insert(path, entry.action).is_none(), "{what}");
    }
    let below_a_change = |path: &[u8]| {
        path.iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .any(|(at, _)| matches!(named.get(&path[..at]), Some(Action::Replace | Action::Delete)))
    };
    for path in then.keys().chain(now.keys()).chain(after.keys()) {
        if !named.contains_key(path) && !below_a_change(path) {
            assert_eq!(after.get(path), now.get(path), "{}: {what}", String::from_utf8_lossy(path));
        }
    }
    // And it is what was asked for.
    for (path, item) in &then {
        if meant(&paths, path) {
            let shown = String::from_utf8_lossy(path);
            assert_eq!(after.get(path).map(says), Some(says(item)), "{shown}: {what}");
        }
    }
    let in_the_way = |path: &[u8]| {
        path.iter().enumerate().filter(|(_, byte)| **byte == b'/').any(|(at, _)| {
            then.get(&path[..at]).is_some_and(|item| item.content != Content::Directory)
                && meant(&paths, &path[..at])
        })
    };
    for path in now.keys().filter(|path| !then.contains_key(*path)) {
        let gone = mode == Mode::Exact && meant(&paths, path) || in_the_way(path);
        assert_eq!(after.contains_key(path), !gone, "{}: {what}", String::from_utf8_lossy(path));
    }
    if plan.entries.iter().all(|entry| entry.action == Action::Keep) {
        assert_same(&after, &now, "nothing to do");
        return false;
    }
    assert_eq!(report.outcome, Outcome::Applied, "{what}");
    let undo = ops::plan_undo(&session).await.unwrap();
    let undone = ops::undo(&session, &undo.hash).await.unwrap();
    assert_eq!(undone.outcome, Outcome::Applied, "{what}");
    assert_same(&settled(&live), &now, &format!("undone: {what}"));
    true
}
