//! What somebody without the key can put into the bucket: objects of its own, and those of others elsewhere.

use b2_backup::ambient::SystemEntropy;
use b2_backup::crypto::RepoKey;
use b2_backup::format::ChunkId;
use b2_backup::repo::{Frame, KeyRing, PackBuilder, Secrets, Snapshot, read};

use super::{Repository, assert_named, machine, open_pack};
use crate::support::plain::{assert_same, picture};

async fn newest(repository: &Repository) -> Snapshot {
    let passphrase = repository.machine.settings.passphrase.clone();
    let secrets = Secrets { passphrase, ..Secrets::default() };
    let ring = KeyRing::new(secrets, repository.machine.ambient().cpu).below("p", None);
    let id = repository.days[1].0.as_str().try_into().unwrap();
    read(&*repository.store, &ring, &id).await.unwrap()
}

/// A manifest that is not sealed is no snapshot of a machine that seals, unless the user says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_manifest_in_place_of_a_sealed_one() {
    let repository = Repository::new().await;
    let sealed = newest(&repository).await;
    let forged = Snapshot::seal(
        &sealed.manifest,
        &sealed.id,
        &RepoKey::Plain,
        sealed.repository,
        &[],
        &SystemEntropy,
    )
    .unwrap();
    repository.store.raw_replace(&sealed.id.object(), forged);
    assert_eq!(repository.restore(1, "forged").await.unwrap_err(), "B2_NOT_AUTHENTICATED");
    let listed = b2_backup::ops::list(&repository.session).await.unwrap().snapshots;
    let authenticated: Vec<bool> = listed.iter().map(|snapshot| snapshot.authenticated).collect();
    assert_eq!(authenticated, [true, false]);
    // `latest` is the newest that is sealed, and the user hears of the other.
    let to = repository.dir.path().join("latest");
    let report = machine::restore_with(&repository.session, "latest", &to).await.unwrap();
    assert_eq!(report.snapshot, repository.days[0].0);
    assert!(report.warnings.iter().any(|warning| warning.contains("not authenticated")));
    assert_same(&picture(&to), &repository.days[0].1, "latest");
    // Even a user who confirms gets no sealed pack opened by it.
    let options = b2_backup::ops::RestoreOptions {
        snapshot: sealed.id.to_string(),
        to: repository.dir.path().join("confirmed"),
        paths: vec![],
        allow_unauthenticated: true,
    };
    let error = b2_backup::ops::restore(&repository.session, &options).await.unwrap_err();
    assert_eq!(error.code(), "B2_DAMAGED");
}

/// The same content in a pack that anybody can make: it must never stand in for the sealed one.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_pack_in_place_of_a_sealed_one() {
    let repository = Repository::new().await;
    let sealed = newest(&repository).await;
    for reference in &sealed.manifest.packs {
        let name = reference.name.object(sealed.id.machine);
        let body = repository.store.raw_read(&name).unwrap();
        let index = open_pack(&repository.store, &sealed, reference);
        let mut forged = PackBuilder::new(
            &RepoKey::Plain,
            sealed.repository,
            sealed.id.machine,
            reference.number,
            reference.name,
            [7; 32],
        );
        let mut ids: &[ChunkId] = &index.footer().chunk_ids;
        for frame in 0..index.footer().frames.len() {
            let (offset, first, entry) = index.frame(frame).unwrap();
            let start = usize::try_from(offset).unwrap();
            let stored = &body[start..start + entry.stored_bytes as usize];
            let lengths = index.chunk_lengths(first, entry.chunks).unwrap().to_vec();
            let (here, rest) = ids.split_at(lengths.len());
            ids = rest;
            let raw = index.open_frame(frame, stored).unwrap();
            forged.add(Frame::compress(raw, lengths, here.to_vec()).unwrap()).unwrap();
        }
        let forged = forged.finish().unwrap();
        assert_eq!(forged.bytes.len(), body.len(), "nothing but the seal is different");
        repository.store.raw_replace(&name, forged.bytes);
        assert_named(&repository.verify(false).await, &name, "forged");
        match repository.restore(1, "forged").await {
            Ok(report) => assert!(!report.failed.is_empty()),
            Err(code) => assert_eq!(code, "B2_DAMAGED"),
        }
        repository.store.raw_replace(&name, body);
    }
    assert_eq!(repository.verify(true).await.problems, []);
}

/// A bucket may hold both: plain snapshots of before encryption was switched on are used when named.
#[tokio::test(flavor = "multi_thread")]
async fn plain_snapshots_are_used_only_when_confirmed() {
    let repository = Repository::new().await;
    let mut plain = repository.machine.clone();
    plain.settings.encrypt = false;
    let id = plain.push().await.unwrap().snapshot.unwrap();
    let expected = picture(&plain.settings.state_dir);
    let to = repository.dir.path().join("latest");
    let report = machine::restore_with(&repository.session, "latest", &to).await.unwrap();
    assert_eq!(report.snapshot, repository.days[1].0);
    let to = repository.dir.path().join("named");
    let error = machine::restore_with(&repository.session, &id, &to).await.unwrap_err();
    assert_eq!(error.code(), "B2_NOT_AUTHENTICATED");
    let options = b2_backup::ops::RestoreOptions {
        snapshot: id.clone(),
        to: to.clone(),
        paths: vec![],
        allow_unauthenticated: true,
    };
    let report = b2_backup::ops::restore(&repository.session, &options).await.unwrap();
    assert_eq!(report.failed, []);
    assert_same(&picture(&to), &expected, "confirmed");
    // Without encryption there is nothing to confirm.
    let to = repository.dir.path().join("plain");
    assert_eq!(plain.restore("latest", &to).await.unwrap().snapshot, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_in_each_others_place() {
    let repository = Repository::new().await;
    let whole = repository.store.objects();
    let mut packs = repository.packs.keys();
    let (a, b) = (packs.next().unwrap(), packs.next().unwrap());
    repository.store.raw_replace(a, whole[b].clone());
    repository.store.raw_replace(b, whole[a].clone());
    let verified = repository.verify(true).await;
    for name in [a, b] {
        assert_named(&verified, name, "swapped packs");
    }
    for day in 0..2 {
        match repository.restore(day, "swapped packs").await {
            Ok(report) => assert!(!report.failed.is_empty()),
            Err(code) => assert_eq!(code, "B2_DAMAGED"),
        }
    }
    repository.put_back(&whole);
    let (a, b) = (repository.manifest(0), repository.manifest(1));
    repository.store.raw_replace(&a, whole[&b].clone());
    repository.store.raw_replace(&b, whole[&a].clone());
    let verified = repository.verify(false).await;
    for (day, name) in [&a, &b].into_iter().enumerate() {
        assert_named(&verified, name, "swapped manifests");
        assert_eq!(repository.restore(day, "swapped").await.unwrap_err(), "B2_DAMAGED");
    }
    repository.put_back(&whole);

    // An old snapshot under a new name would be a rollback that nobody sees.
    let newest = format!("29{}", &repository.days[1].0[2..]);
    repository.store.raw_replace(&format!("{newest}/manifest"), whole[&a].clone());
    assert_named(&repository.verify(false).await, &format!("{newest}/manifest"), "old under new");
    let to = repository.dir.path().join("latest");
    let report = machine::restore_with(&repository.session, "latest", &to).await.unwrap();
    assert_eq!(report.snapshot, repository.days[1].0);
    assert!(report.warnings.iter().any(|warning| warning.contains(&newest)), "{report:?}");
    assert_same(&picture(&to), &repository.days[1].1, "latest");
}
