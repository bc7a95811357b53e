//! Trees that somebody made to do harm, with the right key: only our own checks stand between them and the state.
//! All are refused, and nothing is written.

use std::fs;
use std::os::unix::fs::symlink;

use b2_backup::format::{Entry, Manifest, RootRecord};
use b2_backup::ops::Action;

use super::{Place, exactly, lines, settled, to};
use crate::support::forge::{Twist, directory, file, forge, link, paths, shapes, tree};
use crate::support::host::databases;
use crate::support::plain::{assert_same, first_day, write};

async fn refused(place: &Place, snapshot: &str, what: &str) {
    let before = settled(&place.live);
    let ours = plain_names(place);
    for request in [to(snapshot), exactly(snapshot)] {
        let error = match place.plan(&request).await {
            Err(error) => error,
            // What only the content shows is found while staging.
            Ok(_) => place.roll_back(&request).await.map(|_| ()).unwrap_err(),
        };
        let codes = ["B2_UNSAFE_PATH", "B2_DAMAGED", "B2_DATABASE"];
        assert!(codes.contains(&error.code()), "{what}: {error}");
        assert_same(&settled(&place.live), &before, what);
    }
    let restore = place.live.join("b2-backup/restore");
    let left = fs::read_dir(restore).map_or(0, Iterator::count);
    assert_eq!(left, 0, "{what}");
    if what.starts_with("path") {
        assert_eq!(plain_names(place), ours, "{what}: not even a safety snapshot");
    }
}

fn plain_names(place: &Place) -> Vec<String> {
    place.store.objects().into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_trees_are_refused_before_any_write() {
    let place = Place::in_memory();
    first_day(&place.live);
    databases(&place.live);
    fs::create_dir(place.dir.path().join("outside")).unwrap();
    symlink(place.dir.path().join("outside"), place.live.join("workspace/out")).unwrap();
    place.push().await;
    // The same machinery takes a tree that is harmless.
    let fine = forge(&place.store, &place.live, &tree(&[file("workspace/fine.md")]), &|_| {});
    assert_eq!(lines(&place.plan(&to(&fine)).await.unwrap()), ["add workspace/fine.md"]);
    let mut shapes_refused = 0;
    for entry in paths() {
        let snapshot =
            forge(&place.store, &place.live, &tree(std::slice::from_ref(&entry)), &|_| {});
        let shown: String = entry.path.escaped().chars().take(60).collect();
        refused(&place, &snapshot, &format!("path {shown:?}")).await;
        place.store.raw_replace(&format!("{snapshot}/manifest"), b"gone".to_vec());
        shapes_refused += 1;
    }
    for (what, tree) in shapes() {
        let snapshot = forge(&place.store, &place.live, &tree, &|_| {});
        refused(&place, &snapshot, what).await;
        shapes_refused += 1;
    }
    let fine = tree(&[file("workspace/fine.md")]);
    let twists: [(&str, Twist<'_>); 5] = [
        ("another tree", &|manifest| manifest.tree.sha256 = [3; 32]),
        ("a tree of another size", &|manifest| manifest.tree.bytes += 1),
        ("a tree that fills the memory", &|manifest| {
            (manifest.tree.bytes, manifest.tree.runs[0].bytes) = (1 << 40, 1 << 40);
        }),
        ("a tree that repeats itself", &|manifest| {
            let run = manifest.tree.runs[0];
            manifest.tree.runs = vec![run; 100_000];
            manifest.tree.bytes = run.bytes * 100_000;
        }),
        ("no roots", &|manifest| manifest.roots.clear()),
    ];
    for (what, twist) in twists {
        let snapshot = forge(&place.store, &place.live, &fine, twist);
        refused(&place, &snapshot, what).await;
        shapes_refused += 1;
    }
    assert!(shapes_refused >= 60, "{shapes_refused}");
    assert_eq!(fs::read_dir(place.dir.path().join("outside")).unwrap().count(), 0);
}

/// A million entries, of which the last one does harm: refused like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_tree_of_a_million_entries() {
    let place = Place::in_memory();
    write(&place.live, "workspace/a.md", "a");
    let mut bytes = Vec::new();
    for number in 0..1_000_000 {
        directory(&format!("workspace/{number:07}")).encode(&mut bytes);
    }
    file("workspace/x.sqlite-wal").encode(&mut bytes);
    let snapshot = forge(&place.store, &place.live, &bytes, &|_| {});
    let before = settled(&place.live);
    let error = place.plan(&exactly(&snapshot)).await.unwrap_err();
    assert_eq!(error.code(), "B2_UNSAFE_PATH");
    assert_same(&settled(&place.live), &before, "a million");
    let peak = peak_memory_mb();
    assert!(peak < 1500, "{peak} MB");
}

/// The most memory that this process ever had, as the kernel says. 0 where it does not.
fn peak_memory_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// What backups leave out stays live, even where a snapshot has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_backups_leave_out_stays_live() {
    let place = Place::in_memory();
    first_day(&place.live);
    let outside = [
        "credentials/oauth.json",
        "identity/device.json",
        ".env",
        "agents/main/agent/auth-profiles.json",
        "workspace/auth-profiles.json",
        "tmp/openclaw-0/gateway.state.lock",
        "extensions/evil/index.js",
        "npm/projects/x/package.json",
        "logs/x.log",
    ];
    write(&place.live, "credentials/oauth.json", "mine");
    place.push().await;
    let mut entries: Vec<Entry> = outside.iter().map(|path| file(path)).collect();
    entries.push(link("credentials"));
    entries.push(link("npm"));
    for entry in entries {
        let snapshot =
            forge(&place.store, &place.live, &tree(std::slice::from_ref(&entry)), &|_| {});
        let plan = place.plan(&to(&snapshot)).await.unwrap();
        let kept: Vec<Action> = plan.entries.iter().map(|entry| entry.action).collect();
        assert_eq!(kept, [Action::Keep], "{entry:?}");
        assert!(plan.is_empty() && plan.entries[0].reason.is_some());
    }
}

/// Two directories of a snapshot must not be laid over each other by giving both the name of one that is configured.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_named_twice() {
    let place = Place::in_memory();
    first_day(&place.live);
    let outside = place.dir.path().canonicalize().unwrap().join("outside");
    write(&outside, "here.md", "mine");
    let config = serde_json::json!({ "agents": { "defaults": { "workspace": outside } } });
    write(&place.live, "openclaw.json", config.to_string());
    place.push().await;
    let entries = [Entry { root: 1, ..file("a.md") }, Entry { root: 2, ..file("b.md") }];
    let named = RootRecord { kind: 1, path: outside.to_str().unwrap().into(), at: None };
    let twice = |manifest: &mut Manifest| manifest.roots.extend([named.clone(), named.clone()]);
    let snapshot = forge(&place.store, &place.live, &tree(&entries), &twice);
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    assert_eq!(lines(&plan), [format!("add {}/a.md", outside.display())]);
    let warned = plan.warnings.iter().filter(|warning| warning.contains("stays as it is"));
    assert_eq!(warned.count(), 1, "{:?}", plan.warnings);
}
