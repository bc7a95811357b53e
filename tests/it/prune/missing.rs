//! A workspace that is gone or empty is told in each push, and the last snapshot that has it stays, until the user says
//! that it is right so.

use std::fs;
use std::path::PathBuf;

use b2_backup::format::Reason;
use b2_backup::ops::{self, PruneOptions, PushReport};

use super::{DAY, Life, options};
use crate::support::machine::push_options;
use crate::support::plain::write;

/// A life with a workspace on another disk.
fn with_a_disk() -> (Life, PathBuf) {
    let life = Life::new();
    let disk = life.dir.path().canonicalize().unwrap().join("disk");
    for number in 0..10 {
        write(&disk, &format!("ws/{number}.md"), "text");
    }
    let config = format!("{{ agents: {{ defaults: {{ workspace: '{}/ws' }} }} }}", disk.display());
    write(life.live(), "openclaw.json", config);
    (life, disk)
}

impl Life {
    async fn push_with(&mut self, accepted: &[&str]) -> PushReport {
        self.clock.pass(DAY);
        self.day += 1;
        super::next_day(self.live(), self.day);
        self.push_unchanged(accepted).await
    }

    async fn push_unchanged(&self, accepted: &[&str]) -> PushReport {
        let mut options = push_options(Reason::Scheduled);
        options.accept_missing = accepted.iter().map(|path| (*path).to_owned()).collect();
        ops::push(&self.machine.session().await, options).await.unwrap()
    }

    async fn ids(&self) -> Vec<String> {
        self.machine.list().await.snapshots.into_iter().map(|snapshot| snapshot.id).collect()
    }
}

/// Two snapshots, whatever goes.
fn few() -> PruneOptions {
    PruneOptions { more_than_half: true, ..options(2, 0, 0) }
}

fn codes(report: &PushReport) -> Vec<(&str, &str)> {
    report.skipped.iter().map(|it| (it.code.as_str(), it.path.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_told_and_kept_until_it_is_accepted() {
    for emptied in [false, true] {
        let (mut life, disk) = with_a_disk();
        let ws = disk.join("ws");
        let path = ws.to_str().unwrap().to_owned();
        let whole = life.push_with(&[]).await;
        assert_eq!(codes(&whole), []);
        let whole = whole.snapshot.unwrap();
        fs::rename(&ws, disk.join("unmounted")).unwrap();
        if emptied {
            fs::create_dir(&ws).unwrap();
        }
        let code = if emptied { "B2_ROOT_EMPTY" } else { "B2_ROOT_GONE" };
        for _ in 0..6 {
            let report = life.push_with(&[]).await;
            assert_eq!(codes(&report), [(code, path.as_str())]);
            assert!(report.skipped[0].message.contains(&whole), "{}", report.skipped[0].message);
        }
        // Also where nothing else has changed.
        let report = life.push_unchanged(&[]).await;
        assert_eq!(
            (report.snapshot.as_deref(), &codes(&report)[..]),
            (None, &[(code, &path[..])][..])
        );

        life.prune(few()).await.unwrap();
        let pruned = life.prune(few()).await.unwrap();
        assert_eq!(pruned.snapshots[0].id, whole);
        assert_eq!(pruned.snapshots[0].reasons, ["last with what is missing"]);
        assert_eq!(life.ids().await.len(), 3);

        let report = life.push_unchanged(&["/other", &path]).await;
        assert!(report.snapshot.is_some(), "what is accepted is in a snapshot");
        assert_eq!(codes(&report), []);
        assert_eq!(report.warnings.len(), if emptied { 1 } else { 2 }, "{:?}", report.warnings);
        assert!(report.warnings.contains(&"nothing is missing at /other".to_owned()));
        assert_eq!(codes(&life.push_with(&[]).await), []);
        life.prune(few()).await.unwrap();
        assert!(!life.ids().await.contains(&whole));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_missed_no_more() {
    let (mut life, disk) = with_a_disk();
    life.push_with(&[]).await;
    fs::rename(disk.join("ws"), disk.join("unmounted")).unwrap();
    assert_eq!(codes(&life.push_with(&[]).await).len(), 1);
    // The host fills an empty workspace by itself: that is not what was there.
    write(&disk, "ws/AGENTS.md", "");
    let report = life.push_with(&[]).await;
    assert_eq!(codes(&report), [("B2_ROOT_EMPTY", disk.join("ws").to_str().unwrap())]);
    fs::remove_dir_all(disk.join("ws")).unwrap();
    fs::rename(disk.join("unmounted"), disk.join("ws")).unwrap();
    assert_eq!(codes(&life.push_with(&[]).await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_configured_no_more_is_not_missed() {
    let (mut life, disk) = with_a_disk();
    life.push_with(&[]).await;
    fs::remove_dir_all(disk.join("ws")).unwrap();
    // A configuration that cannot be read says nothing about that.
    let config = fs::read(life.live().join("openclaw.json")).unwrap();
    write(life.live(), "openclaw.json", "{ broken");
    let codes_of =
        codes(&life.push_with(&[]).await).iter().map(|it| it.0.to_owned()).collect::<Vec<_>>();
    assert_eq!(codes_of, ["B2_ROOT_GONE", "B2_SKIPPED_CONFIG", "B2_CONFIG_AS_BYTES"]);
    write(life.live(), "openclaw.json", config);
    assert_eq!(codes(&life.push_with(&[]).await).len(), 1);
    write(life.live(), "openclaw.json", "{}");
    assert_eq!(codes(&life.push_with(&[]).await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_gone_says_nothing_of_what_was_configured() {
    // As in a shell without OPENCLAW_CONFIG_PATH; and where an included file, or what a link leads to, is not mounted.
    let gone = ["", "{ $include: './nowhere.json5' }", "a link"];
    for content in gone {
        let (mut life, disk) = with_a_disk();
        let path = disk.join("ws").to_str().unwrap().to_owned();
        let whole = life.push_with(&[]).await.snapshot.unwrap();
        let file = life.live().join("openclaw.json");
        fs::remove_file(&file).unwrap();
        match content {
            "" => {}
            #[cfg(unix)]
            "a link" => std::os::unix::fs::symlink(disk.join("nowhere"), &file).unwrap(),
            content => write(life.live(), "openclaw.json", content),
        }
        for _ in 0..3 {
            let report = life.push_with(&[]).await;
            assert_eq!(codes(&report), [("B2_ROOT_GONE", path.as_str())], "{content}");
            assert!(report.skipped[0].message.contains(&whole));
        }
        life.prune(few()).await.unwrap();
        life.prune(few()).await.unwrap();
        assert!(life.ids().await.contains(&whole), "{content}");
        assert_eq!(codes(&life.push_with(&[&path]).await), []);
        assert_eq!(codes(&life.push_with(&[]).await), []);
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_the_state_are_missed_as_well() {
    let mut life = Life::new();
    write(life.live(), "workspace-two/a.md", "a");
    let disk = life.dir.path().canonicalize().unwrap().join("disk");
    write(&disk, "skills/one/SKILL.md", "skill");
    std::os::unix::fs::symlink(disk.join("skills"), life.live().join("skills")).unwrap();
    life.push_with(&[]).await;
    let agents = life.dir.path().join("agents");
    fs::rename(life.live().join("agents"), &agents).unwrap();
    fs::rename(&disk, life.dir.path().join("unmounted")).unwrap();
    // Removed as a whole, as the host does with an agent that is deleted.
    fs::remove_dir_all(life.live().join("workspace-two")).unwrap();
    let skills = disk.join("skills").to_str().unwrap().to_owned();
    life.clock.pass(DAY);
    let report = life.push_unchanged(&[]).await;
    let expected = [("B2_ROOT_GONE", skills.as_str()), ("B2_ROOT_GONE", "agents")];
    assert_eq!(codes(&report), expected);
    // A mount point without its disk.
    fs::create_dir(life.live().join("agents")).unwrap();
    let report = life.push_unchanged(&["skills"]).await;
    assert_eq!(codes(&report), [("B2_ROOT_EMPTY", "agents")]);
    fs::remove_dir(life.live().join("agents")).unwrap();
    fs::rename(&agents, life.live().join("agents")).unwrap();
    assert_eq!(codes(&life.push_unchanged(&[]).await), []);
}

/// What the user leaves out from now on is not lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_excluded_is_not_missed() {
    for (pattern, accepted) in
        [("workspace/**", true), ("workspace", true), ("workspace/*.md", true), ("agents", false)]
    {
        let mut life = Life::new();
        fs::remove_dir_all(life.live().join("workspace")).unwrap();
        write(life.live(), "workspace/a.md", "a");
        write(life.live(), "workspace/b.md", "b");
        life.push_unchanged(&[]).await;
        life.machine.settings.exclude = vec![pattern.to_owned()];
        if !accepted {
            // Something else is gone at the same time.
            fs::remove_dir_all(life.live().join("workspace")).unwrap();
        }
        life.clock.pass(DAY);
        let expected: &[_] = if accepted { &[] } else { &[("B2_ROOT_GONE", "workspace")] };
        assert_eq!(codes(&life.push_unchanged(&[]).await), expected, "{pattern}");
        // What was missed before is missed no more.
        life.machine.settings.exclude = vec!["workspace/**".to_owned()];
        life.clock.pass(DAY);
        assert_eq!(codes(&life.push_unchanged(&[]).await), [], "{pattern}");
    }
}

/// A desktop that looks for rubbish where a disk was mounted leaves a directory of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_system_puts_by_itself_is_no_content() {
    let (mut life, disk) = with_a_disk();
    let ws = disk.join("ws");
    life.push_with(&[]).await;
    fs::rename(&ws, disk.join("unmounted")).unwrap();
    write(&ws, ".Trash-1000/info/x.trashinfo", "x");
    fs::create_dir(ws.join("lost+found")).unwrap();
    let report = life.push_with(&[]).await;
    assert_eq!(codes(&report), [("B2_ROOT_EMPTY", ws.to_str().unwrap())]);
}
