//! A machine that goes on with the lineage of another, and what `status` says of machines.

use std::fs;

use b2_backup::error::{Error, Result};
use b2_backup::ops::{self, AdoptReport, StatusReport};
use b2_backup::secret::Secret;
use b2_backup::store::ObjectStore as _;
use b2_backup::store::memory::{Fault, MemoryStore, Operation};

use super::{comes_back, live, plain_machine, push, state};
use crate::support::clock::TestClock;
use crate::support::machine::Machine;
use crate::support::plain::{copy_all, next_day, noise, write};

async fn adopt(machine: &Machine, whose: &str) -> Result<AdoptReport> {
    ops::adopt(&machine.session().await, whose).await
}

async fn status(machine: &Machine) -> StatusReport {
    ops::status(&machine.session().await).await.unwrap()
}

fn id(snapshot: &str) -> String {
    snapshot[snapshot.len() - 8..].to_owned()
}

/// A second machine with the files of the first one, as after a restore: without our own folder.
fn heir(machine: &Machine, dir: &tempfile::TempDir) -> Machine {
    let heir = machine.blank(dir.path().join("heir"));
    copy_all(live(machine), live(&heir));
    fs::remove_dir_all(live(&heir).join("b2-backup")).unwrap();
    heir
}

async fn goes_on(mut machine: Machine, store: &MemoryStore, dir: &tempfile::TempDir) {
    write(live(&machine), "workspace/big.bin", noise(7, 300_000));
    let first = push(&machine).await;
    next_day(live(&machine), 1);
    let second = push(&machine).await;
    let yesterday = state(&machine);
    let heir = heir(&machine, dir);
    // It had begun a lineage of its own.
    next_day(live(&heir), 2);
    let own = push(&heir).await;
    let before: Vec<_> = store.objects().into_iter().collect();
    let report = adopt(&heir, &id(&first)).await.unwrap();
    assert_eq!(
        report,
        AdoptReport {
            machine: id(&first),
            before: Some(id(&own)),
            snapshots: 2,
            last_snapshot: second.clone(),
            last_snapshot_at: report.last_snapshot_at.clone(),
            warnings: vec![],
        }
    );
    assert_eq!(store.objects().into_iter().collect::<Vec<_>>(), before, "nothing there changes");

    store.clear_calls();
    next_day(live(&heir), 3);
    let pushed = heir.push().await.unwrap();
    assert_eq!(pushed.warnings, Vec::<String>::new());
    let third = pushed.snapshot.unwrap();
    assert_eq!(id(&third), id(&first), "one lineage");
    assert!(pushed.uploaded_bytes < 100_000, "only what changed: {}", pushed.uploaded_bytes);
    let slots = store
        .calls()
        .iter()
        .filter(|call| call.operation == Operation::Put && call.key.starts_with("keys/"))
        .count();
    assert_eq!(slots, 0, "the slot that is there is its slot, too");
    comes_back(&heir, &second, &yesterday).await;
    comes_back(&heir, &third, &state(&heir)).await;
    assert_eq!(heir.push().await.unwrap().snapshot, None);

    // The one that was thought dead comes back. It finds what it did not make, and nothing is lost.
    next_day(live(&machine), 4);
    machine.settings.exclude = vec![];
    let back = machine.push().await.unwrap();
    assert!(back.warnings[0].contains("did not make"), "{:?}", back.warnings);
    let fourth = back.snapshot.unwrap();
    assert_ne!(id(&fourth), id(&first));
    comes_back(&machine, &fourth, &state(&machine)).await;
    for known in [&first, &second, &third, &own] {
        assert!(
            heir.list().await.snapshots.iter().any(|it| &it.id == known && it.problem.is_none())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heir_goes_on_with_a_plain_lineage() {
    let (dir, machine, store) = plain_machine();
    goes_on(machine, &store, &dir).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heir_goes_on_with_a_sealed_lineage() {
    let (dir, mut machine, store) = plain_machine();
    machine.settings.encrypt = true;
    goes_on(machine, &store, &dir).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_whose_own_folder_was_lost_takes_its_lineage_back() {
    let (_dir, machine, _store) = plain_machine();
    write(live(&machine), "workspace/big.bin", noise(7, 300_000));
    let first = push(&machine).await;
    fs::remove_dir_all(live(&machine).join("b2-backup")).unwrap();
    let report = adopt(&machine, &id(&first)).await.unwrap();
    assert_eq!((report.before, report.snapshots), (None, 1));
    next_day(live(&machine), 1);
    let pushed = machine.push().await.unwrap();
    assert!(pushed.uploaded_bytes < 100_000, "{}", pushed.uploaded_bytes);
    let second = pushed.snapshot.unwrap();
    assert_eq!(id(&second), id(&first));
    comes_back(&machine, &second, &state(&machine)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_adopted() {
    let (dir, mut machine, store) = plain_machine();
    let plain = push(&machine).await;
    for (whose, why) in
        [("nonsense", "no machine"), ("00000000", "no snapshot"), ("", "no machine")]
    {
        let error = adopt(&machine, whose).await.unwrap_err();
        assert_eq!(error.code(), "B2_CONFIG", "{error}");
        assert!(
            error.to_string().contains(why) || error.to_string().contains("there is no"),
            "{error}"
        );
    }
    let error = adopt(&machine, &id(&plain)).await.unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");

    // What is not encrypted is nothing to build encrypted backups on.
    let heir = Machine { settings: machine.settings.clone(), ..heir(&machine, &dir) };
    let mut heir = heir.blank(dir.path().join("heir"));
    heir.settings.encrypt = true;
    let error = adopt(&heir, &id(&plain)).await.unwrap_err();
    assert_eq!(error.code(), "B2_CONFIG", "{error}");

    // A key that does not open it is a wrong key, and nothing here changes.
    machine.settings.encrypt = true;
    machine.settings.state_dir = dir.path().join("sealed");
    copy_all(live(&heir), live(&machine));
    let sealed = push(&machine).await;
    heir.settings.passphrase = Some(Secret::new("battery staple".into()));
    let error = adopt(&heir, &id(&sealed)).await.unwrap_err();
    assert_eq!(error.code(), "B2_WRONG_KEY", "{error}");
    assert_eq!(status(&heir).await.machine, None);

    // An older snapshot that is damaged is no reason not to go on.
    next_day(live(&machine), 1);
    push(&machine).await;
    let key = b2_backup::store::ObjectKey::new(format!("{sealed}/manifest")).unwrap();
    store.put(&key, b"rubbish".to_vec().into()).await.unwrap();
    heir.settings.passphrase = machine.settings.passphrase.clone();
    let report = adopt(&heir, &id(&sealed)).await.unwrap();
    assert_eq!(report.snapshots, 2);
    assert!(report.warnings[0].contains(&sealed), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_was_cut_off_comes_first() {
    let (_dir, machine, store) = plain_machine();
    let (_other_dir, other, _) = plain_machine();
    let other = Machine { settings: other.settings, ..machine.clone() };
    let theirs = push(&other).await;
    store.set_faults(|call| {
        let lost = Error::Network { target: "test".into(), message: "cut off".into() };
        if call.operation == Operation::Put { vec![Fault::FailBefore(lost)] } else { vec![] }
    });
    machine.push().await.unwrap_err();
    store.clear_faults();
    let error = adopt(&machine, &id(&theirs)).await.unwrap_err();
    assert!(error.to_string().contains("push first"), "{error}");
    assert!(machine.push().await.unwrap().resumed.is_some());
    adopt(&machine, &id(&theirs)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_of_machines_and_names_the_silent_ones() {
    let (_dir, machine, store) = plain_machine();
    let (_other_dir, other, _) = plain_machine();
    let other = Machine { settings: other.settings, ..machine.clone() };
    let theirs = push(&other).await;
    let mine = push(&machine).await;
    let report = status(&machine).await;
    let shown: Vec<_> = report
        .machines
        .iter()
        .map(|of| (of.last_snapshot.as_deref(), of.snapshots, of.this_machine, of.silent))
        .collect();
    let expected =
        [(Some(mine.as_str()), 1, true, false), (Some(theirs.as_str()), 1, false, false)];
    assert_eq!(shown, expected);
    let bytes = |of: &str| -> u64 {
        let objects = store.objects();
        let own = objects.iter().filter(|(key, _)| key.contains(&id(of)));
        own.map(|(_, object)| object.len() as u64).sum()
    };
    let stored: Vec<_> = report.machines.iter().map(|of| of.stored_bytes).collect();
    assert_eq!(stored, [bytes(&mine), bytes(&theirs)]);
    assert_eq!(report.warnings, Vec::<String>::new());

    // A month later only this machine has gone on.
    for (days, silent) in [(29, false), (31, true)] {
        let later = Machine { clock: TestClock::ahead(days * 24 * 3600), ..machine.clone() };
        let report = status(&later).await;
        let told = report.warnings.iter().any(|warning| warning.contains(&id(&theirs)));
        assert_eq!((report.machines[1].silent, told), (silent, silent), "{days}: {report:?}");
        assert!(!report.machines[0].silent);
    }
}
