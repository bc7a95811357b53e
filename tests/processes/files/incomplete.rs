//! Whatever is in the state and not in the snapshot is named, wherever the snapshot is shown.

use std::fs;
use std::path::PathBuf;

use b2_backup::ops::{self, DoctorOptions, Finding, Level, ShowOptions, is_incomplete};
use tempfile::{TempDir, tempdir};

use super::{codes, empty_machine};
use crate::support::machine::Machine;
use crate::support::plain::write;
use crate::support::system::make_pipe;

/// A machine with a file and a workspace elsewhere that was not made yet.
fn machine_with_workspace() -> (TempDir, Machine, PathBuf) {
    let (dir, machine) = empty_machine();
    let workspace = dir.path().canonicalize().unwrap().join("other");
    let config =
        format!("{{ agents: {{ defaults: {{ workspace: '{}' }} }} }}", workspace.display());
    write(&machine.settings.state_dir, "openclaw.json", config);
    write(&machine.settings.state_dir, "workspace/a.md", "a");
    (dir, machine, workspace)
}

/// What the doctor says of the newest snapshot.
async fn complete_by_doctor(machine: &Machine) -> Finding {
    let doctor =
        ops::doctor(machine.settings.clone(), machine.ambient(), DoctorOptions::default()).await;
    let findings = doctor.unwrap().findings;
    findings.into_iter().find(|finding| finding.check == "complete").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_without_any_other_change_makes_a_snapshot_that_names_it() {
    let (_dir, machine, workspace) = machine_with_workspace();
    let complete = machine.push().await.unwrap().snapshot.unwrap();
    fs::write(&workspace, "no directory").unwrap();
    let expected = [(workspace.to_str().unwrap(), "B2_SKIPPED_ROOT")];

    let report = machine.push().await.unwrap();
    assert_eq!(codes(&report.skipped), expected);
    let lacking = report.snapshot.expect("what the snapshot says of itself has changed");
    let listed = machine.list().await.snapshots;
    assert_eq!(
        listed.iter().map(|one| (one.id.as_str(), one.incomplete)).collect::<Vec<_>>(),
        [(complete.as_str(), false), (lacking.as_str(), true)]
    );
    assert_eq!(codes(&listed[1].remarks), expected);

    // While it is so, each push says it, and none more is made for it.
    let again = machine.push().await.unwrap();
    assert_eq!((again.snapshot, codes(&again.skipped)), (None, expected.to_vec()));

    // Once it is over there is a snapshot that is complete.
    fs::remove_file(&workspace).unwrap();
    let whole = machine.push().await.unwrap();
    assert_eq!(whole.skipped, []);
    assert!(whole.snapshot.is_some());
    assert!(!machine.list().await.snapshots[2].incomplete);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_named_wherever_the_snapshot_is_shown() {
    let (dir, machine, workspace) = machine_with_workspace();
    let complete = machine.push().await.unwrap().snapshot.unwrap();
    fs::write(&workspace, "no directory").unwrap();
    let lacking = machine.push().await.unwrap().snapshot.unwrap();
    let expected = [(workspace.to_str().unwrap(), "B2_SKIPPED_ROOT")];

    let status = ops::status(&machine.session().await).await.unwrap();
    assert!(status.incomplete);
    assert_eq!(codes(&status.remarks), expected);

    // Also by who has nothing but the bucket.
    let blank = machine.blank(dir.path().join("blank"));
    let restored = blank.restore("latest", &dir.path().join("to")).await.unwrap();
    assert!(restored.incomplete);
    assert_eq!(codes(&restored.remarks), expected);
    let said = format!(
        "{lacking} is incomplete: it lacks {}; the newest complete one is {complete}",
        expected[0].0
    );
    assert!(restored.warnings.contains(&said), "{:?}", restored.warnings);

    let show = |snapshot: &str, path: Option<&str>| ShowOptions {
        snapshot: snapshot.into(),
        path: path.map(str::to_owned),
        allow_unauthenticated: false,
    };
    let shown = ops::show(&blank.session().await, &show(&lacking, None)).await.unwrap();
    assert!(shown.incomplete);
    assert_eq!(codes(&shown.remarks), expected);
    let whole = ops::show(&blank.session().await, &show(&complete, None)).await.unwrap();
    assert!(!whole.incomplete && whole.remarks.is_empty() && whole.warnings.is_empty());
    // It is no concern of who asks for something else.
    let part = ops::show(&blank.session().await, &show(&lacking, Some("workspace"))).await.unwrap();
    assert!(!part.incomplete && part.remarks.is_empty());
    let to = tempdir().unwrap();
    let part = blank.restore_paths(&lacking, to.path(), &["workspace"]).await.unwrap();
    assert!(!part.incomplete && part.remarks.is_empty());

    let drilled = ops::drill(&machine.session().await).await.unwrap();
    assert!(drilled.incomplete && drilled.failed.is_empty());
    assert_eq!(codes(&drilled.remarks), expected);

    let found = complete_by_doctor(&machine).await;
    assert_eq!((found.level, found.code), (Level::Problem, Some("B2_SKIPPED_ROOT")));
    assert!(found.message.contains(expected[0].0), "{found:?}");

    let diff = machine.diff(&lacking, &complete).await.unwrap();
    assert!(diff.warnings.iter().any(|warning| warning.contains("is incomplete")), "{diff:?}");
}

/// A single file that has no content is no failure.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_saved_is_noted_by_the_doctor() {
    let (_dir, machine) = empty_machine();
    write(&machine.settings.state_dir, "workspace/a.md", "a");
    let pipe = machine.settings.state_dir.join("workspace/pipe");
    make_pipe(&pipe);
    machine.push().await.unwrap();
    let found = complete_by_doctor(&machine).await;
    assert_eq!(found.level, Level::Note);
    assert!(found.message.contains("workspace/pipe"), "{found:?}");
}

/// A configuration that nobody understands is saved as it is, and said to be. What is not known for want of it is said, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_configuration_is_in_the_snapshot() {
    let (dir, machine, workspace) = machine_with_workspace();
    let live = machine.settings.state_dir.clone();
    fs::create_dir(&workspace).unwrap();
    write(&workspace, "a.md", "a");
    let config = fs::read(live.join("openclaw.json")).unwrap();
    write(&live, "openclaw.json", "{ agents: [");
    let named = format!("what {}/openclaw.json names", live.canonicalize().unwrap().display());
    let report = machine.push().await.unwrap();
    assert_eq!(
        codes(&report.skipped),
        [(named.as_str(), "B2_SKIPPED_CONFIG"), ("openclaw.json", "B2_CONFIG_AS_BYTES")]
    );
    assert!(is_incomplete(&report.skipped));

    // OpenClaw's own copy knows where the workspace is.
    write(&live, "openclaw.json.last-good", config);
    let report = machine.push().await.unwrap();
    assert_eq!(codes(&report.skipped), [("openclaw.json", "B2_CONFIG_AS_BYTES")]);
    assert!(!is_incomplete(&report.skipped));
    let again = machine.push().await.unwrap();
    assert_eq!((again.snapshot, again.skipped), (None, report.skipped));
    let restored = dir.path().join("restored");
    let report = machine.restore("latest", &restored).await.unwrap();
    assert!(!report.incomplete);
    assert_eq!(fs::read_to_string(restored.join("openclaw.json")).unwrap(), "{ agents: [");
    assert_eq!(fs::read_to_string(restored.join(".b2-roots/1-other/a.md")).unwrap(), "a");

    // Without encryption what may hold a secret stays out, and nobody says that it is saved.
    write(&live, "openclaw.json", "{ token: 'abc'");
    let report = machine.push().await.unwrap();
    assert_eq!(codes(&report.skipped), [("openclaw.json", "B2_SKIPPED_SECRET")]);
}
