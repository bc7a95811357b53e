//! Directories of the state that are links to another disk: they are saved, and come back where there is no such disk.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use b2_backup::ops::{ListReport, Outcome};

use super::{Place, applied, exactly, lines, to};
use crate::support::plain::write;

/// A state of which the agents, one agent's directory below them, and a workspace are on another disk.
fn on_another_disk(place: &Place) {
    let disk = place.dir.path().join("disk");
    write(&disk, "agents/main/sessions/one.jsonl", "one");
    write(&disk, "agents/main/agent/auth.json", "a secret");
    write(&disk, "elsewhere/sessions/two.jsonl", "two");
    write(&disk, "ws/MEMORY.md", "# Memory");
    write(&place.live, "openclaw.json", "{}");
    symlink(disk.join("agents"), place.live.join("agents")).unwrap();
    symlink(disk.join("elsewhere"), disk.join("agents/side")).unwrap();
    symlink("../disk/ws", place.live.join("workspace")).unwrap();
}

#[track_caller]
fn is_whole(state: &Path) {
    let read = |path: &str| fs::read_to_string(state.join(path)).unwrap();
    assert_eq!(read("agents/main/sessions/one.jsonl"), "one");
    assert_eq!(read("agents/side/sessions/two.jsonl"), "two");
    assert_eq!(read("workspace/MEMORY.md"), "# Memory");
}

fn problems(list: &ListReport) -> usize {
    list.snapshots.iter().filter(|snapshot| snapshot.problem.is_some()).count()
}

/// The local folder may itself be on another disk: its keys must not get into a snapshot by another name.
#[tokio::test(flavor = "multi_thread")]
async fn no_link_leads_to_the_folder_of_this_plugin() {
    let place = Place::new();
    let disk = place.dir.path().canonicalize().unwrap().join("disk");
    fs::create_dir_all(disk.join("ours")).unwrap();
    write(&disk, "notes.md", "of the user");
    write(&place.live, "workspace/MEMORY.md", "# Memory");
    symlink(disk.join("ours"), place.live.join("b2-backup")).unwrap();
    place.machine.push().await.unwrap();
    symlink(disk.join("ours"), place.live.join("straight")).unwrap();
    symlink(&disk, place.live.join("around")).unwrap();
    symlink(disk.join("ours/repositories"), place.live.join("below")).unwrap();
    let report = place.machine.push().await.unwrap();
    let named: Vec<_> = report.skipped.iter().map(|it| (&*it.code, &*it.path)).collect();
    let code = "B2_SKIPPED_LINK";
    assert_eq!(named, [(code, "around"), (code, "below"), (code, "straight")]);
    let restored = place.dir.path().join("restored");
    place.machine.restore(&report.snapshot.unwrap(), &restored).await.unwrap();
    assert!(fs::symlink_metadata(restored.join("straight")).unwrap().is_symlink());
    assert!(!restored.join(".b2-roots").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_directories_come_back_on_a_blank_machine() {
    let place = Place::new();
    on_another_disk(&place);
    let report = place.machine.push().await.unwrap();
    assert_eq!((report.skipped, report.warnings), (vec![], vec![]));
    let snapshot = report.snapshot.unwrap();
    assert_eq!(place.machine.push().await.unwrap().snapshot, None);
    assert_eq!(problems(&place.machine.list().await), 0);

    fs::rename(place.dir.path().join("disk"), place.dir.path().join("far away")).unwrap();
    let restored = place.dir.path().join("restored");
    let report = place.machine.restore(&snapshot, &restored).await.unwrap();
    is_whole(&restored);
    // The rules of the place where the link is: a login stays with its machine.
    assert!(!restored.join("agents/main/agent/auth.json").exists());
    assert!(!restored.join(".b2-roots").exists());
    let agents = format!("agents -> {}", restored.join("agents").display());
    assert!(report.roots.iter().any(|root| root.ends_with(&agents)), "{:?}", report.roots);

    // A part is named by the path that leads to it.
    let part = place.dir.path().join("part");
    place.machine.restore_paths(&snapshot, &part, &["agents/side"]).await.unwrap();
    assert_eq!(fs::read_to_string(part.join("agents/side/sessions/two.jsonl")).unwrap(), "two");
    assert!(!part.join("workspace").exists());

    let blank = Place { live: place.dir.path().join("blank"), ..Place::new() };
    let blank = Place { machine: place.machine.blank(blank.live.clone()), ..blank };
    fs::create_dir(&blank.live).unwrap();
    applied(&blank.roll_back(&to(&snapshot)).await.unwrap());
    is_whole(&blank.live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_writes_where_the_links_lead() {
    let place = Place::new();
    on_another_disk(&place);
    let snapshot = place.push().await;
    let disk = place.dir.path().join("disk");
    write(&disk, "agents/main/sessions/one.jsonl", "changed");
    write(&disk, "ws/MEMORY.md", "changed");
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    is_whole(&place.live);
    assert_eq!(fs::read_to_string(disk.join("agents/main/sessions/one.jsonl")).unwrap(), "one");
    assert!(place.live.join("agents").is_symlink());

    // The disk has another name by now: the link of today stays.
    let moved = place.dir.path().join("moved");
    fs::rename(&disk, &moved).unwrap();
    write(&moved, "agents/main/sessions/one.jsonl", "changed");
    fs::remove_file(place.live.join("agents")).unwrap();
    symlink(moved.join("agents"), place.live.join("agents")).unwrap();
    fs::remove_file(moved.join("agents/side")).unwrap();
    symlink("../elsewhere", moved.join("agents/side")).unwrap();
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    let kept = "keep-live agents (leads to where its content is on this machine)".to_owned();
    assert!(lines(&plan).contains(&kept), "{:#?}", lines(&plan));
    assert_eq!(place.roll_back(&to(&snapshot)).await.unwrap().outcome, Outcome::Applied);
    is_whole(&place.live);
    assert_eq!(fs::read_link(place.live.join("agents")).unwrap(), moved.join("agents"));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_are_not_saved_are_named() {
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    write(&outside, "dir/a.md", "a");
    write(&outside, "notes.md", "n");
    write(&place.live, "openclaw.json", "{}");
    write(&place.live, "workspace/MEMORY.md", "m");
    let links = [
        ("all", "/"),
        ("above", ".."),
        ("circle", "circle"),
        ("notes.md", "../outside/notes.md"),
        ("workspace/dir", "../../outside/dir"),
        ("workspace/notes.md", "../../outside/notes.md"),
        // Saved already, or nothing of the user's.
        ("memory", "workspace"),
        ("workspace/self", ".."),
        ("workspace/sh", "/usr/bin/sh"),
        ("workspace/null", "/dev/null"),
        ("workspace/gone", "nowhere"),
    ];
    for (link, target) in links {
        symlink(target, place.live.join(link)).unwrap();
    }
    let named = |problems: &[b2_backup::ops::FileProblem]| -> Vec<String> {
        let links = problems.iter().filter(|problem| problem.code == "B2_SKIPPED_LINK");
        let mut paths: Vec<String> = links.map(|problem| problem.path.clone()).collect();
        paths.sort();
        paths
    };
    let expected: Vec<&str> = links[..6].iter().map(|(link, _)| *link).collect();
    let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
    expected.sort();
    let report = place.machine.push().await.unwrap();
    assert_eq!(named(&report.skipped), expected, "{:#?}", report.skipped);
    assert_eq!(named(&place.machine.push().await.unwrap().skipped), expected);
}

/// An undo is about what the rollback did: it took the link away, and nothing behind it.
#[tokio::test(flavor = "multi_thread")]
async fn an_undo_brings_a_link_back_or_all_that_it_led_to() {
    let place = Place::new();
    write(&place.live, "openclaw.json", "{}");
    write(&place.live, "agents/main/sessions/zero.jsonl", "zero");
    let before_the_links = place.push().await;
    fs::remove_dir_all(place.live.join("agents")).unwrap();
    on_another_disk(&place);
    applied(&place.roll_back(&exactly(&before_the_links)).await.unwrap());
    let agents = place.live.join("agents");
    assert!(!agents.is_symlink() && agents.join("main/sessions/zero.jsonl").exists());
    assert!(!place.live.join("workspace").exists());

    applied(&place.undo().await.unwrap());
    let disk = place.dir.path().join("disk");
    assert_eq!(fs::read_link(&agents).unwrap(), disk.join("agents"));
    assert_eq!(fs::read_link(place.live.join("workspace")).unwrap(), Path::new("../disk/ws"));
    is_whole(&place.live);
    assert!(!agents.join("main/sessions/zero.jsonl").exists());

    // The same, and the disk went meanwhile.
    applied(&place.roll_back(&exactly(&before_the_links)).await.unwrap());
    fs::remove_dir_all(disk).unwrap();
    applied(&place.undo().await.unwrap());
    assert!(!agents.is_symlink());
    is_whole(&place.live);
}
