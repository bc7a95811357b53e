//! What was copied from another prefix under the same secret.

use crate::support::plain;
use b2_backup::format::KeySlot;

use super::*;

/// Another bucket or prefix of the victim's, under the same passphrase.
fn other_prefix(bucket: &Bucket, name: &str) -> (Machine, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut machine = bucket.blank(name).through(store.clone());
    machine.settings.store.prefix = "q".into();
    (machine, store)
}

fn copy(from: &MemoryStore, to: &MemoryStore) {
    for (name, body) in from.objects() {
        to.raw_replace(&name, body);
    }
}

/// Alone, so that a new machine would take it, and beside what the prefix has of its own: a snapshot that is newer.
#[tokio::test(flavor = "multi_thread")]
async fn copies_from_another_prefix_do_not_open_unasked() {
    let bucket = Bucket::new().await;
    let (machine, store) = other_prefix(&bucket, "other");
    copy(&bucket.store, &store);
    let to = bucket.dir.path().join("alone");
    for wanted in ["latest", &bucket.days[1].0] {
        let error = machine.restore(wanted, &to).await.unwrap_err();
        assert_eq!(error.code(), "B2_WRONG_KEY", "{wanted}");
        assert!(error.to_string().contains("made for the prefix p"), "{error}");
    }
    let listed = machine.list().await.snapshots;
    assert!(listed.iter().all(|one| !one.authenticated && one.problem_code.is_some()));

    // A push is not talked into a repository that lives elsewhere, and says what lies there.
    write(&machine.settings.state_dir, "workspace/own.md", "own");
    let report = machine.push().await.unwrap();
    assert!(report.warnings.iter().any(|text| text.contains("--moved-from p")), "{report:?}");
    let own = report.snapshot.unwrap();
    let eve = machine.blank(bucket.dir.path().join("blank q"));
    copy(&bucket.store, &store);
    let to = bucket.dir.path().join("beside");
    assert_eq!(eve.restore("latest", &to).await.unwrap().snapshot, own);
    let there = store.objects();
    let repositories = there.iter().filter(|(name, _)| name.starts_with("keys/"));
    let repositories = repositories.map(|(_, slot)| KeySlot::decode(slot).unwrap().repository());
    assert_eq!(repositories.collect::<std::collections::BTreeSet<_>>().len(), 2);
}

/// The clear text that says which prefix a slot is for is part of what is sealed.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_relabelled_does_not_open() {
    let bucket = Bucket::new().await;
    let (machine, store) = other_prefix(&bucket, "other");
    let relabel = |body: &[u8]| {
        let mut body = body.to_vec();
        // Map key 6, a text of one character.
        let places: Vec<_> =
            body.windows(3).enumerate().filter(|(_, w)| w == b"\x06\x61p").collect();
        let places: Vec<usize> = places.into_iter().map(|(at, _)| at + 2).collect();
        assert!(!places.is_empty());
        for at in places {
            body[at] = b'q';
        }
        body
    };
    for (name, body) in bucket.store.objects() {
        let relabelled = name.starts_with("keys/") || name.ends_with("/manifest");
        store.raw_replace(&name, if relabelled { relabel(&body).into() } else { body });
    }
    let error = machine.restore("latest", &bucket.dir.path().join("to")).await.unwrap_err();
    assert_eq!(error.code(), "B2_WRONG_KEY");

    // Nor does one that says it is of the format before, which knew no prefixes.
    for (name, body) in
        bucket.store.objects().into_iter().filter(|(name, _)| name.starts_with("keys/"))
    {
        let mut older = body.to_vec();
        older[8..10].copy_from_slice(&[2, 2]);
        assert_eq!(KeySlot::decode(&older).unwrap().prefix(), None);
        store.raw_replace(&name, older);
    }
    let error = machine.restore("latest", &bucket.dir.path().join("to")).await.unwrap_err();
    assert_eq!(error.code(), "B2_WRONG_KEY");
}

/// The user's own copy: opened with a word, at home after it, and the machine goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_that_the_user_moved_opens_with_a_word() {
    let bucket = Bucket::new().await;
    let (mut moved, store) = other_prefix(&bucket, "moved");
    copy(&bucket.store, &store);
    moved.settings.store.moved_from = Some("p".into());
    let to = bucket.dir.path().join("with a word");
    assert_eq!(moved.restore("latest", &to).await.unwrap().snapshot, bucket.days[1].0);
    assert_same(&picture(&to), &bucket.days[1].1, "moved");
    moved.settings.store.moved_from = Some("r".into());
    let error = moved.restore("latest", &bucket.dir.path().join("r")).await.unwrap_err();
    assert_eq!(error.code(), "B2_WRONG_KEY", "another word");

    moved.settings.store.moved_from = Some("p".into());
    let session = moved.session().await;
    let added = ops::add_key(&session, &ops::NewKey::Configured, std::time::Duration::ZERO).await;
    assert_eq!(added.unwrap().slots.len(), 1);
    moved.settings.store.moved_from = None;
    for (number, (id, expected)) in bucket.days.iter().enumerate() {
        let to = bucket.dir.path().join(format!("at home {number}"));
        assert_eq!(moved.restore(id, &to).await.unwrap().failed, []);
        assert_same(&picture(&to), expected, "at home");
    }
    plain::first_day(&moved.settings.state_dir);
    assert_eq!(moved.push().await.unwrap().warnings, Vec::<String>::new());
    let slots = store.objects().into_iter().filter(|(name, _)| name.starts_with("keys/"));
    let slots: Vec<_> = slots.map(|(_, body)| KeySlot::decode(&body).unwrap()).collect();
    assert_eq!(slots.len(), 2, "one for each prefix");
    assert_eq!(slots[0].repository(), slots[1].repository());
}
