//! Reading.

use crate::support::plain;
use std::collections::BTreeSet;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_state_is_in_any_object() {
    let bucket = Bucket::new().await;
    let mut needles: Vec<Vec<u8>> = SECRETS.iter().map(|text| text.as_bytes().to_vec()).collect();
    needles.extend(
        ["MEMORY.md", "openclaw.json", "first day", "correct horse", "K004stolen"].map(Into::into),
    );
    let found = |store: &MemoryStore| {
        let holds = |needle: &Vec<u8>| {
            store.objects().iter().any(|(name, bytes)| {
                let within = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
                within(name.as_bytes()) || within(bytes)
            })
        };
        needles.iter().filter(|needle| holds(needle)).count()
    };
    assert_eq!(found(&bucket.store), 0);
    // The same search finds it where nothing is sealed.
    let open = Arc::new(MemoryStore::default());
    let mut plain = bucket.blank("plain").through(open.clone());
    plain.settings.encrypt = false;
    write(&plain.settings.state_dir, &format!("{}.md", SECRETS[0]), SECRETS[1]);
    plain.push().await.unwrap();
    assert!(found(&open) >= 2, "{}", found(&open));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_key_opens_nothing() {
    let bucket = Bucket::new().await;
    bucket.eve.push().await.unwrap();
    let mut no_phrase = bucket.eve.clone();
    no_phrase.settings.passphrase = None;
    for reader in [&bucket.eve, &no_phrase] {
        for info in reader.list().await.snapshots {
            if machine_of(&info.id) == machine_of(&bucket.days[0].0) {
                assert_eq!(info.problem_code, Some("B2_WRONG_KEY"), "{info:?}");
                assert_eq!((info.files, info.bytes, info.authenticated), (0, 0, false));
                let to = bucket.dir.path().join("stolen");
                assert_eq!(reader.restore(&info.id, &to).await.unwrap_err().code(), "B2_WRONG_KEY");
            }
        }
    }
}

/// Whoever has a file cannot tell by storing it, too, whether somebody else has it.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_looks_different_in_each_repository() {
    let bucket = Bucket::new().await;
    let before: BTreeSet<String> = bucket.objects("packs/").into_iter().collect();
    plain::first_day(&bucket.eve.settings.state_dir);
    bucket.eve.push().await.unwrap();
    let parts = |names: Vec<String>| -> BTreeSet<Vec<u8>> {
        let bodies = names.iter().map(|name| bucket.store.raw_read(name).unwrap());
        bodies
            .flat_map(|body| {
                body[96..body.len() - 100].windows(16).map(<[u8]>::to_vec).collect::<Vec<_>>()
            })
            .collect()
    };
    let theirs =
        bucket.objects("packs/").into_iter().filter(|name| !before.contains(name)).collect();
    let (ours, theirs) = (parts(before.iter().cloned().collect()), parts(theirs));
    assert!(ours.len() > 1000 && theirs.len() > 1000);
    assert_eq!(ours.intersection(&theirs).count(), 0);
}
