//! Splicing: genuine objects, or parts of them, in places that are not theirs.

use crate::support::{clock, plain};
use b2_backup::crypto::MasterKey;
use b2_backup::format::{HEADER_BYTES, KeySlot, Manifest, SecretKind};

use super::*;

/// Puts `body` where a pack is: no snapshot may show anything of it, and all is well when it is put back.
async fn refused(bucket: &Bucket, pack: &str, body: Vec<u8>, what: &str) {
    let whole = bucket.store.raw_read(pack).unwrap();
    assert_ne!(whole, body, "{what}");
    bucket.store.raw_replace(pack, body);
    let mut hurt = 0;
    for (id, expected) in &bucket.days {
        let dir = tempdir().unwrap();
        let to = dir.path().join("to");
        match bucket.blank("blank").restore(id, &to).await {
            Err(error) => {
                assert_eq!(error.code(), "B2_DAMAGED", "{what}: {error}");
                assert_eq!(std::fs::read_dir(&to).map_or(0, Iterator::count), 0);
                hurt += 1;
            }
            Ok(report) => {
                assert!(report.failed.iter().all(|one| one.code == "B2_DAMAGED"), "{report:?}");
                hurt += usize::from(!report.failed.is_empty());
                // What comes is genuine.
                let found = picture(&to);
                for (path, item) in
                    found.iter().filter(|(_, item)| item.content != plain::Content::Directory)
                {
                    assert_eq!(Some(item), expected.get(path), "{what}");
                }
            }
        }
    }
    assert!(hurt > 0, "{what}: nobody noticed");
    bucket.store.raw_replace(pack, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_of_others() {
    let mut bucket = Bucket::new().await;
    // Another machine of the same repository, with the same files; and another repository.
    let mut other = bucket.blank("other machine");
    plain::first_day(&other.settings.state_dir);
    other.clock = clock::TestClock::ahead(-40_000);
    let ours: Vec<String> = bucket.objects("packs/");
    other.push().await.unwrap();
    let machines: Vec<String> =
        bucket.objects("packs/").into_iter().filter(|name| !ours.contains(name)).collect();
    plain::first_day(&bucket.eve.settings.state_dir);
    bucket.eve.push().await.unwrap();
    let strangers: Vec<String> = bucket
        .objects("packs/")
        .into_iter()
        .filter(|name| !ours.contains(name) && !machines.contains(name))
        .collect();
    bucket.days.truncate(2);
    assert!(ours.len() >= 2 && !machines.is_empty() && !strangers.is_empty());
    let read = |name: &String| bucket.store.raw_read(name).unwrap().to_vec();
    for pack in &ours {
        for (what, others) in
            [("snapshot", &ours), ("machine", &machines), ("repository", &strangers)]
        {
            let other = others.iter().find(|other| *other != pack).unwrap();
            refused(&bucket, pack, read(other), what).await;
            // Its frames under the header and tail that belong here.
            let (mut spliced, here) = (read(other), read(pack));
            let length = u32::from_le_bytes(here[here.len() - 4..].try_into().unwrap()) as usize;
            let end = spliced.len() - 4;
            let theirs = u32::from_le_bytes(spliced[end..].try_into().unwrap()) as usize;
            spliced.truncate(spliced.len() - theirs);
            spliced[..HEADER_BYTES].copy_from_slice(&here[..HEADER_BYTES]);
            spliced.extend_from_slice(&here[here.len() - length..]);
            refused(&bucket, pack, spliced, "frames of another").await;
        }
        // Sealed, said to be plain.
        let mut plain = read(pack);
        let end = plain.len() - 4 - HEADER_BYTES;
        (plain[11], plain[end + 11]) = (0, 0);
        refused(&bucket, pack, plain, "plain flag").await;
    }
}

/// A body under the clear part of another manifest, or with key slots that were exchanged, opens nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_manifests() {
    let bucket = Bucket::new().await;
    let read = |day: usize| bucket.store.raw_read(&bucket.manifest(day)).unwrap();
    let (first, second) = (read(0), read(1));
    let (_, _, clear, body) = Manifest::split(&first).unwrap();
    let (header, _, other_clear, other_body) = Manifest::split(&second).unwrap();
    let slot = {
        let master = MasterKey::new([9; 32]);
        let kind = SecretKind::ApplicationKey;
        KeySlot::seal(&master, (header.repository, "p"), "K004stolen", kind, [8; 32], 0).unwrap()
    };
    let exchanged = Manifest::encode_clear(&header, &[slot.encode()]);
    let mut unsealed = second.to_vec();
    unsealed[11] = 0;
    for (what, spliced) in [
        ("body of another", [other_clear, body].concat()),
        ("clear part of another", [clear, other_body].concat()),
        ("other slots", [&exchanged[..], other_body].concat()),
        ("no slots", [&Manifest::encode_clear(&header, &[])[..], other_body].concat()),
        ("said to be plain", unsealed),
    ] {
        bucket.store.raw_replace(&bucket.manifest(1), spliced);
        for confirmed in [false, true] {
            let code = bucket.named(&bucket.days[1].0, confirmed).await.unwrap_err().code();
            assert!(["B2_DAMAGED", "B2_NOT_AUTHENTICATED"].contains(&code), "{what}: {code}");
        }
        assert!(!bucket.latest_is(0, what).await.is_empty(), "{what}");
    }
}

/// A slot that says it is of the victim's repository, and holds a key of somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn key_slots_of_others() {
    let mut bucket = Bucket::new().await;
    let mut theirs = bucket.objects("keys/");
    assert_eq!(theirs.len(), 1);
    let genuine = bucket.store.raw_read(&theirs.pop().unwrap()).unwrap();
    let repository = KeySlot::decode(&genuine).unwrap().repository();
    let seal = |secret: &str, kind, created| {
        let master = MasterKey::new([9; 32]);
        KeySlot::seal(&master, (repository, "p"), secret, kind, [8; 32], created).unwrap().encode()
    };
    // Newer and older than the genuine one.
    for (number, created) in [(1, 0), (2, 4_000_000_000)] {
        let name = |kind: u8| format!("keys/{kind:016x}{number:016x}");
        bucket.store.raw_replace(&name(0), seal("K004stolen", SecretKind::ApplicationKey, created));
        bucket.store.raw_replace(&name(1), seal("a guess", SecretKind::Passphrase, created));
    }
    // The genuine slot's key under another repository's header, and the other way round.
    let mut moved = genuine.to_vec();
    moved[16] ^= 1;
    bucket.store.raw_replace("keys/00000000000000000000000000000099", moved);
    bucket.latest_is(1, "slots").await;
    let blank = bucket.blank("new");
    write(&blank.settings.state_dir, "workspace/x.md", "x");
    let id = blank.push().await.unwrap().snapshot.unwrap();
    let object = bucket.store.raw_read(&format!("{id}/manifest")).unwrap();
    assert_eq!(Manifest::split(&object).unwrap().0.repository, repository);
    // Under the real key: the victim reads it, eve does not.
    let to = bucket.dir.path().join("mine");
    assert_eq!(bucket.victim.restore(&id, &to).await.unwrap().failed, []);
    bucket.eve.settings.passphrase = None;
    let to = bucket.dir.path().join("hers");
    let code = bucket.eve.restore(&id, &to).await.unwrap_err().code();
    assert!(["B2_WRONG_KEY", "B2_DAMAGED"].contains(&code), "{code}");
}
