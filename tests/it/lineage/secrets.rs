//! Which secrets open what.

use b2_backup::secret::Secret;
use tempfile::tempdir;

use super::{comes_back, live, plain_machine, push, state};
use crate::support::machine::Machine;
use crate::support::plain::{Picture, assert_same, next_day, picture};

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_in_one_prefix() {
    let (_dir, mut machine, _store) = plain_machine();
    machine.settings.encrypt = true;
    let (other_dir, other, _) = plain_machine();
    next_day(live(&other), 1);
    let other = machine.blank(other_dir.path().join("state"));
    let mine = push(&machine).await;
    let theirs = push(&other).await;
    for (reader, expected) in [(&machine, &mine), (&other, &theirs)] {
        let listed = reader.list().await.snapshots;
        assert_eq!(listed.len(), 2);
        for snapshot in &listed {
            assert_eq!((snapshot.authenticated, &snapshot.problem), (true, &None));
            assert_eq!(snapshot.this_machine, &snapshot.id == expected);
        }
    }
    comes_back_on(&machine, &theirs, &state(&other)).await;
    comes_back_on(&other, &mine, &state(&machine)).await;
    // Each has its own `latest`.
    let to = other_dir.path().join("latest");
    assert_eq!(machine.restore("latest", &to).await.unwrap().snapshot, mine);
}

async fn comes_back_on(machine: &Machine, snapshot: &str, expected: &Picture) {
    let dir = tempdir().unwrap();
    let report = machine.restore(snapshot, &dir.path().join("to")).await.unwrap();
    assert_eq!(report.failed, []);
    assert_same(&picture(&dir.path().join("to")), expected, snapshot);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_another_passphrase() {
    let (_dir, mut machine, _store) = plain_machine();
    machine.settings.encrypt = true;
    let mine = push(&machine).await;
    let (other_dir, _, _) = plain_machine();
    let mut other = machine.blank(other_dir.path().join("state"));
    other.settings.passphrase = Some(Secret::new("battery staple".into()));
    let report = other.push().await.unwrap();
    assert_eq!(report.warnings.len(), 1);
    assert!(report.warnings[0].contains("under a key of its own"), "{:?}", report.warnings);
    let theirs = report.snapshot.unwrap();
    for (reader, own) in [(&machine, &mine), (&other, &theirs)] {
        for snapshot in reader.list().await.snapshots {
            let opens = &snapshot.id == own;
            assert_eq!(snapshot.authenticated, opens);
            assert_eq!(snapshot.problem.is_none(), opens, "{:?}", snapshot.problem);
        }
        comes_back(reader, own, &state(reader)).await;
    }
    let error = machine.restore(&theirs, &other_dir.path().join("to")).await.unwrap_err();
    assert_eq!(error.code(), "B2_WRONG_KEY");
    // The second push knows its own key and has nothing to say.
    next_day(live(&other), 1);
    assert_eq!(other.push().await.unwrap().warnings, Vec::<String>::new());
}

/// In the original, snapshots from before a rotation were lost for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_application_key() {
    let (dir, mut machine, store) = plain_machine();
    machine.settings.encrypt = true;
    machine.settings.passphrase = None;
    machine.settings.store.application_key = Some(Secret::new("K001old".into()));
    let (first, first_state) = (push(&machine).await, state(&machine));
    machine.settings.store.application_key = Some(Secret::new("K001new".into()));
    comes_back_on(&machine, &first, &first_state).await;
    next_day(live(&machine), 1);
    let report = machine.push().await.unwrap();
    let [told] = &report.warnings[..] else { panic!("{report:?}") };
    assert!(told.contains("is a new one"), "{told}");
    let second = report.snapshot.unwrap();
    let slots = store.objects().into_keys().filter(|key| key.starts_with("keys/")).count();
    assert_eq!(slots, 2);
    comes_back(&machine, &second, &state(&machine)).await;
    comes_back(&machine, &first, &first_state).await;
    // Manifests are read at the same time; each must find the key that another one unlocks.
    let listed = machine.blank(dir.path().join("blank")).list().await.snapshots;
    assert!(listed.iter().all(|snapshot| snapshot.authenticated), "{listed:?}");
    let mut old = machine.blank(dir.path().join("old"));
    old.settings.store.application_key = Some(Secret::new("K001old".into()));
    comes_back(&old, &first, &first_state).await;
    comes_back(&old, &second, &state(&machine)).await;
}
