//! Removing a slot: gone from `keys/` and from all later manifests, on every machine.

use b2_backup::error::Error;
use b2_backup::store::ObjectStore as _;
use b2_backup::store::memory::{Call, Fault, Operation};

use super::*;

fn of_kind<'k>(all: &'k [KeyInfo], kind: &str) -> &'k KeyInfo {
    all.iter().find(|key| key.kind == kind).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn later_manifests_do_not_carry_a_removed_slot() {
    let (dir, machine, store) = machine();
    push(&machine).await;
    let code = recovery(&machine).await;
    let before = day(&machine, 1).await;
    let id = &code.added.slots[0].id;
    let removed = remove(&machine, &id[..6], false).await.unwrap();
    assert_eq!((&removed.slot.id, removed.slot.kind), (id, "recovery-code"));
    let left = store.list_versions("keys/").await.unwrap().unwrap();
    let left = left.into_iter().filter(|version| !version.key.ends_with(".removed"));
    assert_eq!(left.count(), 1, "every version went");
    let after = day(&machine, 2).await;
    assert_eq!(in_manifest(&store, &after.0), ["application-key"]);
    // What was said: an earlier manifest still opens, one that came later does not.
    let reader = stranger(&machine, &dir.path().join("blank"));
    let reader = with_code(&reader, code.code.expose());
    comes_back(&reader, &before).await;
    assert_eq!(refused(&reader, &after).await, "B2_WRONG_KEY");
    // But the earlier one gives the key, and `latest` is the newest that opens with that.
    let latest = reader.restore("latest", &dir.path().join("latest")).await.unwrap();
    assert_eq!(latest.snapshot, after.0);
    assert!(!latest.warnings.iter().any(|text| text.contains("passed over")), "{latest:?}");
    assert_eq!(warned(&machine).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_machines_memory_does_not_bring_it_back() {
    let (dir, machine, store) = machine();
    push(&machine).await;
    let other = machine.blank(dir.path().join("other"));
    first_day(live(&other));
    push(&other).await;
    let code = recovery(&machine).await;
    let theirs = day(&other, 1).await;
    assert_eq!(in_manifest(&store, &theirs.0), ["recovery-code", "application-key"]);
    remove(&machine, &code.added.slots[0].id, false).await.unwrap();
    let kept = slots(&store);
    // Not even where the listing shows nothing at all.
    store.set_faults(|call| match call.operation {
        Operation::List => vec![Fault::EmptyListing],
        _ => vec![],
    });
    next_day(live(&other), 2);
    let report = other.push().await.unwrap();
    store.clear_faults();
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    assert!(report.warnings[0].contains("recovery code of 20"), "{:?}", report.warnings);
    assert_eq!(slots(&store), kept);
    assert_eq!(in_manifest(&store, &report.snapshot.unwrap()), ["application-key"]);
    next_day(live(&other), 3);
    assert_eq!(warned(&other).await, Vec::<String>::new(), "once is enough");
    assert_eq!(slots(&store), kept);
}

/// A listing that shows a slot which is gone, or does not show one that is there.
#[tokio::test(flavor = "multi_thread")]
async fn stale_listings_neither_remove_nor_bring_back() {
    let (_dir, machine, store) = machine();
    push(&machine).await;
    let stale = |store: &MemoryStore| {
        store.set_faults(|call| match (call.operation, call.key.as_str()) {
            (Operation::List, "keys/") => vec![Fault::StaleListing],
            _ => vec![],
        });
    };
    store.freeze_listings();
    let code = recovery(&machine).await;
    stale(&store);
    let with = day(&machine, 1).await;
    assert_eq!(in_manifest(&store, &with.0), ["application-key", "recovery-code"]);
    store.clear_faults();
    store.freeze_listings();
    remove(&machine, &code.added.slots[0].id, false).await.unwrap();
    stale(&store);
    let without = day(&machine, 2).await;
    assert_eq!(in_manifest(&store, &without.0), ["application-key"]);
}

/// The last slot cannot be removed, so an empty `keys/` is an accident: all are put again.
#[tokio::test(flavor = "multi_thread")]
async fn slots_that_were_all_lost_come_back() {
    let (dir, machine, store) = machine();
    push(&machine).await;
    let code = recovery(&machine).await;
    let before = slots(&store);
    for name in &before {
        store.raw_remove(&format!("keys/{name}"));
    }
    let snapshot = day(&machine, 1).await;
    assert_eq!(slots(&store), before);
    let reader = stranger(&machine, &dir.path().join("blank"));
    comes_back(&with_code(&reader, code.code.expose()), &snapshot).await;
    assert_eq!(warned(&machine).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn some_slots_stay() {
    let (dir, mut machine, store) = machine();
    push(&machine).await;
    let refusal = async |machine: &Machine, slot: &str, force: bool| {
        let error = remove(machine, slot, force).await.unwrap_err();
        assert_eq!(error.code(), "B2_KEY_SLOT");
        error.to_string()
    };
    let all = keys(&machine).await;
    assert_eq!(all.len(), 1);
    let first = all[0].id.clone();
    assert_eq!(all[0].opens, Some(true));
    assert!(all[0].in_use && all[0].this_machine);
    for force in [false, true] {
        assert!(refusal(&machine, &first, force).await.contains("is the last one"));
    }
    for (typed, why) in [
        ("", "named by the start"),
        ("ab", "named by the start"),
        ("xyzw", "named by the start"),
        ("0000000000000000", "there is no key slot"),
    ] {
        assert!(refusal(&machine, typed, true).await.contains(why), "{typed}");
    }
    let last = if first.ends_with('0') { '1' } else { '0' };
    let twin = format!("keys/{}{last}", &first[..31]);
    store.raw_replace(&twin, store.raw_read(&format!("keys/{first}")).unwrap());
    assert!(refusal(&machine, &first[..8], true).await.contains("several"));
    store.raw_remove(&twin);

    // With a code besides, it is the one in use, which the next push would make again.
    let code = recovery(&machine).await.code;
    assert!(refusal(&machine, &first, false).await.contains("configured with"));
    // Rotated and not pushed yet: nothing that is configured opens any. The code has to be shown.
    machine.settings.store.application_key = secret("K001new");
    assert!(refusal(&machine, &first, false).await.contains("would leave none"));
    let shown = with_code(&machine, code.expose());
    remove(&shown, &first, false).await.unwrap();
    assert_eq!(slots(&store).len(), 1);
    // The next push gives the new secret its slot, and then the code may go.
    let snapshot = day(&machine, 1).await;
    assert_eq!(in_manifest(&store, &snapshot.0), ["recovery-code", "application-key"]);
    let recovery = of_kind(&keys(&machine).await, "recovery-code").id.clone();
    // Who has neither secret may remove it only with force.
    let other = stranger(&machine, &dir.path().join("blank"));
    assert!(refusal(&other, &recovery, false).await.contains("would leave none"));
    remove(&other, &recovery, true).await.unwrap();
    comes_back(&machine.blank(dir.path().join("again")), &snapshot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_of_a_machines_own_secret_is_made_again() {
    let (dir, machine, store) = machine();
    push(&machine).await;
    let other = machine.blank(dir.path().join("other"));
    first_day(live(&other));
    push(&other).await;
    recovery(&machine).await;
    let used = of_kind(&keys(&machine).await, "application-key").id.clone();
    remove(&machine, &used, true).await.unwrap();
    // Both are configured with it: whoever pushes first makes it again, and the other takes that one.
    let first = day(&machine, 1).await;
    let second = day(&other, 2).await;
    for snapshot in [&first, &second] {
        let mut kinds = in_manifest(&store, &snapshot.0);
        kinds.sort_unstable();
        assert!(kinds.starts_with(&["application-key"]), "{kinds:?}");
        comes_back(&machine.blank(dir.path().join("blank")), snapshot).await;
    }
    assert!(!slots(&store).contains(&used));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_goes_or_the_user_hears_of_it() {
    // A store without versions.
    let (_dir, machine, _) = machine();
    let store = Arc::new(MemoryStore::default().without_versions());
    let machine = machine.through(store.clone());
    push(&machine).await;
    let code = recovery(&machine).await;
    let removed = remove(&machine, &code.added.slots[0].id, false).await.unwrap();
    assert_eq!((removed.warnings, slots(&store).len()), (vec![], 1));

    // A key that may not delete versions, or not even list them.
    for denied in [Operation::Delete, Operation::ListVersions] {
        let (_dir, machine, store) = super::machine();
        push(&machine).await;
        let code = recovery(&machine).await;
        let mut calls = 0;
        store.set_faults(move |call| {
            calls += u32::from(call.operation == denied);
            let refuse = call.operation == denied && calls == 1;
            let error = Error::Capability { message: "deleteFiles".into() };
            if refuse { vec![Fault::FailBefore(error)] } else { vec![] }
        });
        let removed = remove(&machine, &code.added.slots[0].id, false).await.unwrap();
        store.clear_faults();
        assert!(removed.warnings[0].contains("only hidden"), "{:?}", removed.warnings);
        assert_eq!(slots(&store).len(), 1);
        let after = day(&machine, 1).await;
        assert_eq!(in_manifest(&store, &after.0), ["application-key"]);
    }

    // Cut off in the middle, the same command finishes it.
    let (_dir, machine, store) = super::machine();
    push(&machine).await;
    let code = recovery(&machine).await;
    let id = code.added.slots[0].id.clone();
    let key = b2_backup::store::ObjectKey::new(format!("keys/{id}")).unwrap();
    store.put(&key, store.raw_read(key.as_str()).unwrap()).await.unwrap();
    let mut deletes = 0;
    store.set_faults(move |call| {
        deletes += u32::from(call.operation == Operation::Delete);
        let error = Error::Network { target: "test".into(), message: "cut off".into() };
        let cut = call.operation == Operation::Delete && deletes == 2;
        if cut { vec![Fault::FailBefore(error)] } else { vec![] }
    });
    assert_eq!(remove(&machine, &id, false).await.unwrap_err().code(), "B2_NETWORK");
    store.clear_faults();
    remove(&machine, &id, false).await.unwrap();
    assert_eq!(store.list_versions(&format!("keys/{id}")).await.unwrap().unwrap().len(), 1);
    assert_eq!(slots(&store).len(), 1);
}

/// Whoever may write to the bucket can delete a slot, and cannot say that it was removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_somebody_deleted_is_put_back() {
    let (dir, machine, store) = machine();
    push(&machine).await;
    let other = machine.blank(dir.path().join("other"));
    first_day(live(&other));
    push(&other).await;
    let code = recovery(&machine).await;
    let id = code.added.slots[0].id.clone();
    day(&other, 1).await;
    let before = slots(&store);
    let genuine = store.raw_read(&format!("keys/{id}")).unwrap();
    // Of another slot, of nobody's key, and nothing at all.
    let unused = ops::NewKey::Passphrase(Secret::new("to be removed".into()));
    let unused = ops::add_key(&machine.session().await, &unused, Duration::ZERO).await.unwrap();
    let unused = unused.slots[0].id.clone();
    remove(&machine, &unused, true).await.unwrap();
    let of_another = store.raw_read(&format!("keys/{}", removal_name(&unused))).unwrap();
    let mut changed = of_another.to_vec();
    changed[40] ^= 1;
    for (number, forged) in (2..).zip([Some(of_another.to_vec()), Some(changed), None]) {
        assert!(store.raw_remove(&format!("keys/{id}")));
        let removal = format!("keys/{}", removal_name(&id));
        match forged {
            Some(forged) => store.raw_replace(&removal, forged),
            None => drop(store.raw_remove(&removal)),
        }
        // By the machine that made it, or by one that has only seen it.
        let pusher = if number == 2 { &other } else { &machine };
        next_day(live(pusher), number);
        let report = pusher.push().await.unwrap();
        assert_eq!(slots(&store), before, "{number}");
        assert_eq!(store.raw_read(&format!("keys/{id}")).unwrap(), genuine);
        assert!(report.warnings[0].contains("was put back"), "{:?}", report.warnings);
        let carried = in_manifest(&store, &report.snapshot.unwrap());
        assert!(carried.contains(&"recovery-code"), "{carried:?}");
        let reader = with_code(&stranger(&machine, &dir.path().join("blank")), code.code.expose());
        reader.restore("latest", &dir.path().join(format!("to {number}"))).await.unwrap();
    }
}

/// One that was removed stays away, also where somebody puts it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_slot_that_somebody_puts_back_is_not_carried() {
    let (dir, machine, store) = machine();
    push(&machine).await;
    let code = recovery(&machine).await;
    let id = code.added.slots[0].id.clone();
    let kept = store.raw_read(&format!("keys/{id}")).unwrap();
    remove(&machine, &id, false).await.unwrap();
    store.raw_replace(&format!("keys/{id}"), kept);
    for number in 1..3 {
        let after = day(&machine, number).await;
        assert_eq!(in_manifest(&store, &after.0), ["application-key"]);
    }
    // Nor by a machine that comes new to the repository.
    let new = machine.blank(dir.path().join("new"));
    first_day(live(&new));
    let theirs = push(&new).await;
    assert_eq!(in_manifest(&store, &theirs), ["application-key"]);
}

/// What was removed once costs nothing ever after.
#[tokio::test(flavor = "multi_thread")]
async fn old_removals_are_not_read_again() {
    let (_dir, machine, store) = machine();
    push(&machine).await;
    let code = recovery(&machine).await;
    remove(&machine, &code.added.slots[0].id, false).await.unwrap();
    assert!(store.objects().into_keys().any(|key| key.ends_with(".removed")));
    store.clear_calls();
    day(&machine, 1).await;
    let asked = |call: &Call| call.operation == Operation::Get && call.key.ends_with(".removed");
    assert_eq!(store.calls().into_iter().filter(asked).collect::<Vec<_>>(), []);
}
