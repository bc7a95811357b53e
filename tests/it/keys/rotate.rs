//! Secrets that change, memory that is lost, machines that meet.

use b2_backup::error::Error;
use b2_backup::store::memory::{Fault, Operation};

use super::*;
use crate::support::clock;
use crate::support::cut::{CutStore, How};

/// The answer to the request that stores a slot is lost: adding the same secret again makes no second slot, which would
/// go on opening everything when the other is removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_no_second_slot() {
    let (_dir, machine, store) = machine();
    push(&machine).await;
    let key = ops::NewKey::Passphrase(Secret::new("another phrase".into()));
    let add = || async { ops::add_key(&machine.session().await, &key, Duration::ZERO).await };
    store.set_faults(|call| {
        let lost = Error::Network { target: "test".into(), message: "no answer".into() };
        if call.operation == Operation::Put { vec![Fault::FailAfter(lost)] } else { vec![] }
    });
    assert_eq!(add().await.unwrap_err().code(), "B2_NETWORK");
    store.clear_faults();
    assert_eq!(slots(&store).len(), 2);
    assert!(add().await.unwrap().slots.is_empty());
    assert_eq!(slots(&store).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_gets_its_slot_although_nothing_has_changed() {
    let (dir, mut machine, store) = machine();
    // What was written within two seconds before a push is read again by the next.
    machine.clock = clock::TestClock::ahead(60);
    let first = (push(&machine).await, picture(live(&machine)));
    machine.settings.store.application_key = secret("K001new");
    let report = machine.push().await.unwrap();
    assert_eq!(report.snapshot, None);
    assert!(report.warnings[0].contains("application key in the configuration is a new one"));
    assert_eq!(report.warnings.len(), 1);
    assert_eq!(slots(&store).len(), 2);
    let blank = machine.blank(dir.path().join("blank"));
    comes_back(&blank, &first).await;
    // It is noticed once: then a listing and the newest manifest are all that a push without changes asks for.
    store.clear_calls();
    assert_eq!(machine.push().await.unwrap().warnings, [""; 0]);
    assert_eq!(store.calls().len(), 2, "{:?}", store.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_change_at_once() {
    let (dir, mut machine, store) = machine();
    machine.settings.passphrase = secret("first phrase");
    let first = (push(&machine).await, picture(live(&machine)));
    machine.settings.store.application_key = secret("K001new");
    machine.settings.passphrase = secret("second phrase");
    let second = day(&machine, 1).await;
    let mut blank = machine.blank(dir.path().join("blank"));
    for snapshot in [&first, &second] {
        comes_back(&blank, snapshot).await;
    }
    // A passphrase is there so that the application key is not enough.
    blank.settings.passphrase = None;
    assert_eq!(refused(&blank, &first).await, "B2_WRONG_KEY");
    // Taken out of the configuration, the application key takes its place.
    machine.settings.passphrase = None;
    let third = day(&machine, 2).await;
    for snapshot in [&first, &second, &third] {
        comes_back(&blank, snapshot).await;
    }
    assert_eq!(repositories(&store).len(), 1);
    assert_eq!(in_manifest(&store, &third.0), ["passphrase", "passphrase", "application-key"]);
}

/// The local folder is lost, and a passphrase is new. With one the application key is not enough, unless the user names
/// it: whoever has it could have made what it opens.
#[tokio::test(flavor = "multi_thread")]
async fn lost_memory_and_a_new_passphrase() {
    let (dir, mut machine, store) = machine();
    let first = (push(&machine).await, picture(live(&machine)));
    let mut doubtful = machine.blank(dir.path().join("doubtful"));
    first_day(live(&doubtful));
    doubtful.settings.passphrase = secret("a phrase");
    assert_eq!(refused(&doubtful, &first).await, "B2_WRONG_KEY");
    doubtful = doubtful.through(Arc::new(store.fork()));
    assert!(warned(&doubtful).await[0].contains("do not open"));

    fs::remove_dir_all(live(&machine).join("b2-backup")).unwrap();
    machine.settings.passphrase = secret("a phrase");
    machine.settings.old_keys = secret("K001old").into_iter().collect();
    let second = day(&machine, 1).await;
    machine.settings.old_keys.clear();
    assert_eq!(repositories(&store).len(), 1);
    assert_eq!(in_manifest(&store, &second.0), ["application-key", "passphrase"]);
    let mut blank = machine.blank(dir.path().join("blank"));
    blank.settings.store.application_key = None;
    for snapshot in [&first, &second] {
        comes_back(&blank, snapshot).await;
    }
}

/// The local folder and `keys/` are lost: the slots in the manifests are left.
#[tokio::test(flavor = "multi_thread")]
async fn lost_memory_and_lost_slots() {
    let (_dir, machine, store) = machine();
    let first = (push(&machine).await, picture(live(&machine)));
    for name in slots(&store) {
        store.raw_remove(&format!("keys/{name}"));
    }
    fs::remove_dir_all(live(&machine).join("b2-backup")).unwrap();
    let second = day(&machine, 1).await;
    let repository = |snapshot: &str| {
        let object = store.raw_read(&format!("{snapshot}/manifest")).unwrap();
        Manifest::split(&object).unwrap().0.repository
    };
    assert_eq!(repository(&first.0), repository(&second.0));
    assert_eq!(slots(&store).len(), 1);
}

/// The file that says whose key it is gets lost, and no secret of then is left. The key itself is still there.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_key_finds_its_repository_again() {
    let (dir, mut machine, store) = machine();
    let first = (push(&machine).await, picture(live(&machine)));
    fs::remove_file(local_file(&machine, "repository")).unwrap();
    machine.settings.store.application_key = secret("K001new");
    next_day(live(&machine), 1);
    assert_eq!(warned(&machine).await, Vec::<String>::new());
    assert_eq!(repositories(&store).len(), 1);
    comes_back(&machine.blank(dir.path().join("blank")), &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_make_their_first_push_at_the_same_moment() {
    let (dir, machine, store) = machine();
    let other = machine.blank(dir.path().join("other"));
    first_day(live(&other));
    // The slower one has seen an empty bucket; its next request waits until the other is done.
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let gate = done.clone();
    let slow = CutStore::held_until(
        store.clone(),
        2,
        Box::new(move || gate.load(std::sync::atomic::Ordering::SeqCst)),
    );
    let slow = other.through(slow);
    let quick = async {
        let snapshot = push(&machine).await;
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        snapshot
    };
    let (mine, theirs) = tokio::join!(quick, push(&slow));
    assert_eq!(repositories(&store).len(), 2, "each has a key of its own");
    let mine = (mine, picture(live(&machine)));
    let theirs = (theirs, picture(live(&other)));
    // The same secret opens both, on either and on a blank machine; and so does one recovery code.
    let code = recovery(&machine).await;
    assert_eq!((code.added.slots.len(), code.added.locked), (2, vec![]));
    let mut blank = stranger(&machine, &dir.path().join("blank"));
    blank = with_code(&blank, code.code.expose());
    for reader in [&machine, &other, &blank] {
        comes_back(reader, &mine).await;
        comes_back(reader, &theirs).await;
    }
    // Each goes on with its own.
    let (mine, theirs) = (day(&machine, 1).await, day(&other, 2).await);
    assert_eq!(repositories(&store).len(), 2);
    comes_back(&other, &mine).await;
    comes_back(&blank, &theirs).await;
    // Lost memory finds one of them again.
    fs::remove_dir_all(live(&other).join("b2-backup")).unwrap();
    day(&other, 3).await;
    assert_eq!(repositories(&store).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_opens_nothing_says_so_and_backs_up_all_the_same() {
    let (dir, machine, store) = machine();
    let first = (push(&machine).await, picture(live(&machine)));
    let code = recovery(&machine).await.code;
    let other = stranger(&machine, &dir.path().join("other"));
    first_day(live(&other));
    let warnings = warned(&other).await;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for way_out in
        ["application key that was in use", "passphrase", "recovery code", "key add --unlock"]
    {
        assert!(warnings[0].contains(way_out), "{way_out}: {warnings:?}");
    }
    assert_eq!(repositories(&store).len(), 2);
    let theirs = day(&other, 1).await;
    comes_back(&other, &theirs).await;
    assert_eq!(refused(&other, &first).await, "B2_WRONG_KEY");
    // With the code once, its own secret opens the other repository from then on.
    let session = with_code(&other, code.expose()).session().await;
    let added = ops::add_key(&session, &ops::NewKey::Configured, Duration::ZERO).await.unwrap();
    assert_eq!((added.slots.len(), added.locked), (1, vec![]));
    comes_back(&other, &first).await;
    let again = ops::add_key(&session, &ops::NewKey::Configured, Duration::ZERO).await.unwrap();
    assert_eq!(again.slots, [], "it has one in each");
}

/// A server that does not answer says nothing about what it holds: no second repository for that.
#[tokio::test(flavor = "multi_thread")]
async fn slots_that_cannot_be_reached_are_not_slots_that_do_not_open() {
    let (dir, machine, store) = machine();
    push(&machine).await;
    let other = machine.blank(dir.path().join("other"));
    first_day(live(&other));
    store.set_faults(|call| {
        let slot = call.operation == Operation::Get && call.key.starts_with("keys/");
        let error = || Error::Network { target: "test".into(), message: "no answer".into() };
        if slot { vec![Fault::FailBefore(error())] } else { vec![] }
    });
    assert_eq!(other.push().await.unwrap_err().code(), "B2_NETWORK");
    store.clear_faults();
    push(&other).await;
    assert_eq!(repositories(&store).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_cut_off_anywhere_leaves_no_snapshot_without_its_slot() {
    for how in [How::FailBefore, How::FailAfter] {
        for at in 1.. {
            let (dir, machine, store) = machine();
            let cut = CutStore::new(store.clone(), at, how);
            let first = machine.through(cut.clone()).push().await;
            if !cut.was_reached() {
                assert!(at > 3, "{first:?}");
                break;
            }
            let second = machine.push().await.unwrap();
            let snapshot = second.snapshot.or(second.resumed).or_else(|| first.ok()?.snapshot);
            let snapshot = snapshot.unwrap_or_else(|| newest(&store));
            let blank = machine.blank(dir.path().join("blank"));
            comes_back(&blank, &(snapshot, picture(live(&machine)))).await;
            assert_eq!(repositories(&store).len(), 1, "{how:?} {at}");
        }
    }
}

fn newest(store: &MemoryStore) -> String {
    let manifests = store.objects().into_keys();
    let mut manifests =
        manifests.filter_map(|key| key.strip_suffix("/manifest").map(str::to_owned));
    manifests.next_back().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_what_opens_the_backups() {
    let (dir, machine, store) = machine();
    let status =
        async |machine: &Machine| ops::status(&machine.session().await).await.unwrap().opens_with;
    assert_eq!(status(&machine).await, [""; 0]);
    push(&machine).await;
    assert_eq!(status(&machine).await, ["application-key"]);
    // A code that was made elsewhere counts, and what is none of this repository's does not.
    let admin = machine.blank(dir.path().join("admin"));
    recovery(&admin).await;
    assert!(!live(&admin).exists(), "who only looks after the bucket is given no state");
    store.raw_replace("keys/0123456789abcdef0123456789abcdef", &b"nonsense"[..]);
    assert_eq!(status(&machine).await, ["application-key", "recovery-code"]);
    let mut plain = machine.clone();
    plain.settings.encrypt = false;
    assert_eq!(status(&plain).await, [""; 0]);
}

/// A weak passphrase gets no first slot. One that has a slot goes on: refusing that would lose backups and protect nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_weak_passphrase_encrypts_nothing_new() {
    let (dir, mut machine, store) = machine();
    machine.settings.passphrase = secret("Sommer2026!");
    machine.settings.weak_passphrase = false;
    for _ in 0..2 {
        assert_eq!(machine.push().await.unwrap_err().code(), "B2_WEAK_PASSPHRASE");
        assert_eq!(store.objects().len(), 0);
    }
    // Set when nobody looked.
    machine.settings.weak_passphrase = true;
    let first = (push(&machine).await, picture(live(&machine)));
    machine.settings.weak_passphrase = false;
    let second = day(&machine, 1).await;
    let blank = machine.blank(dir.path().join("blank"));
    for snapshot in [&first, &second] {
        comes_back(&blank, snapshot).await;
    }
    // Nor after a change, nor beside another one.
    let weak = ops::NewKey::Passphrase(Secret::new("openclaw1".into()));
    let added = ops::add_key(&machine.session().await, &weak, Duration::ZERO).await;
    assert_eq!(added.unwrap_err().code(), "B2_WEAK_PASSPHRASE");
    machine.settings.passphrase = secret("Winter2026!");
    assert_eq!(machine.push().await.unwrap_err().code(), "B2_WEAK_PASSPHRASE");
    machine.settings.passphrase = secret("tulip granite orbit velvet mango");
    let third = day(&machine, 2).await;
    comes_back(&machine.blank(dir.path().join("blank")), &third).await;
    assert_eq!(slots(&store).len(), 2);
}
