//! Snapshots of the original plugin: found, put together from all that is left, and never trusted.

use std::collections::{BTreeMap, BTreeSet};

use b2_backup::error::Error;
use b2_backup::ops::{self, Mode, RollbackRequest, ShowOptions};
use b2_backup::secret::Secret;
use b2_backup::store::memory::{Fault, Operation};
use b2_backup::store::{ObjectKey, ObjectStore as _};
use sha2::{Digest as _, Sha256};

mod bucket;
mod hostile;

use bucket::{Bucket, KEY, content_of, expected, manifest, seal};

const FIRST: &str = "2026-02-19T00-00-00-123Z-ab12cd34";
const SECOND: &str = "2026-02-20T00-00-00-123Z-cd34ef56";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn hashes(content: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    let hash = |content: &Vec<u8>| hex::encode(Sha256::digest(content));
    content.iter().map(|(path, content)| (path.clone(), hash(content))).collect()
}

/// Every snapshot of every bucket that the original made: what can be had comes back, what cannot is named.
#[tokio::test(flavor = "multi_thread")]
async fn everything_that_the_original_made() {
    let expected = expected();
    let (mut restored, mut lost) = (0, 0);
    for (name, truth) in expected["buckets"].as_object().unwrap() {
        let bucket = Bucket::fixture(name);
        let mut listed = BTreeSet::new();
        for snapshot in truth["snapshots"].as_array().unwrap() {
            if snapshot["pruned"] == true {
                continue;
            }
            let id = snapshot["id"].as_str().unwrap().split('/').next().unwrap();
            listed.insert(id.to_owned());
            let mut whole = BTreeMap::new();
            let mut missing = Vec::new();
            for (path, file) in snapshot["files"].as_object().unwrap() {
                let hash = file["sha256"].as_str().unwrap().to_owned();
                // What an empty file holds is known without any object.
                if file["status"] == "ok" || hash == EMPTY {
                    whole.insert(path.clone(), hash);
                } else {
                    missing.push(path.clone());
                }
            }
            let (report, to) = bucket.restore(id).await.unwrap();
            assert_eq!(hashes(&content_of(&to)), whole, "{name} {id}");
            let named: Vec<&str> = report.failed.iter().map(|one| one.path.as_str()).collect();
            assert_eq!(named, missing, "{name} {id}");
            assert!(report.failed.iter().all(|one| one.code == "B2_OBJECT_MISSING"));
            assert_eq!(report.files, whole.len() as u64);
            assert!(report.warnings.iter().all(|warning| !warning.contains("is damaged")));
            (restored, lost) = (restored + whole.len(), lost + missing.len());
        }
        let found = bucket.machine.list().await;
        let ids: BTreeSet<String> = found.snapshots.iter().map(|one| one.id.clone()).collect();
        assert_eq!(ids, listed, "{name}");
        for one in &found.snapshots {
            assert!(!one.authenticated && one.format == 1 && one.problem.is_none(), "{one:?}");
            assert!(one.files >= 14 && one.bytes > 3000, "{one:?}");
        }
    }
    assert!(restored > 150 && lost > 15, "{restored} {lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn never_without_a_name_and_a_word() {
    let bucket = Bucket::fixture("enc-chain");
    let id = "2026-11-22T07-15-12-904Z-9681abb5";
    let to = bucket.dir.path().join("to");
    let code = |error: Error| error.code();
    let restore = async |snapshot: &str| bucket.machine.restore(snapshot, &to).await;
    assert_eq!(restore(id).await.map_err(code).unwrap_err(), "B2_NOT_AUTHENTICATED");
    assert_eq!(restore("latest").await.map_err(code).unwrap_err(), "B2_SNAPSHOT_NOT_FOUND");
    assert_eq!(content_of(&to).len(), 0);
    // Who does not encrypt has decided to trust the bucket.
    let mut trusting = bucket.machine.clone();
    trusting.settings.encrypt = false;
    assert_eq!(trusting.restore(id, &to).await.unwrap().failed, []);

    std::fs::create_dir_all(&bucket.machine.settings.state_dir).unwrap();
    let session = bucket.machine.session().await;
    let request = RollbackRequest {
        snapshot: id.into(),
        paths: vec![],
        mode: Mode::Overlay,
        partial: false,
        allow_unauthenticated: true,
    };
    let error = ops::plan_rollback(&session, &request).await.unwrap_err();
    assert_eq!(error.code(), "B2_OLD_FORMAT");
    assert!(error.to_string().contains(&format!("restore {id} --to DIR")), "{error}");
    assert_eq!(bucket.machine.diff(id, "live").await.unwrap_err().code(), "B2_OLD_FORMAT");
    let error = bucket.restore("2026-11-22T07-15-12Z").await.unwrap_err();
    assert_eq!(error.code(), "B2_SNAPSHOT_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_before() {
    let id = "2026-11-22T07-15-17-455Z-218d2a03";
    let mut bucket = Bucket::fixture("enc-chain");
    bucket.machine.settings.store.application_key = Some(Secret::new("K004new".into()));
    let error = bucket.restore(id).await.unwrap_err();
    assert_eq!(error.code(), "B2_WRONG_KEY");
    assert!(error.to_string().contains("B2_BACKUP_OLD_KEYS"), "{error}");

    // After a rotation some objects are under the old key, some under the new one.
    let new = seal(b"newer than the rest", "K004new");
    bucket.store.raw_replace(&format!("{id}/workspace/MEMORY.md"), new);
    let list = bucket.store.raw_read(&format!("{id}/manifest.json")).unwrap();
    let mut list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    list["files"]["workspace/MEMORY.md"]["hash"] =
        hex::encode(Sha256::digest(b"newer than the rest")).into();
    bucket.store.raw_replace(&format!("{id}/manifest.json"), serde_json::to_vec(&list).unwrap());
    let (report, to) = bucket.restore(id).await.unwrap();
    assert_eq!(std::fs::read(to.join("workspace/MEMORY.md")).unwrap(), b"newer than the rest");
    assert_eq!(report.failed.len(), 12, "{:?}", report.failed);
    assert!(report.failed.iter().all(|one| one.code == "B2_WRONG_KEY"));

    bucket.machine.settings.old_keys =
        ["K004never", KEY].into_iter().map(|key| Secret::new(key.into())).collect();
    assert_eq!(bucket.restore(id).await.unwrap().0.failed, []);
    bucket.machine.settings.old_keys = vec![Secret::new("x".into()); 17];
    let session = ops::Session::open(bucket.machine.settings.clone(), bucket.machine.ambient());
    assert_eq!(session.await.unwrap_err().code(), "B2_CONFIG");
}

/// An application key that was replaced opens repositories of format 2 as well, where no newer slot is.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_before_open_our_own_snapshots() {
    let mut bucket = Bucket::empty();
    std::fs::create_dir_all(&bucket.machine.settings.state_dir).unwrap();
    std::fs::write(bucket.machine.settings.state_dir.join("a.md"), "a").unwrap();
    let id = bucket.machine.push().await.unwrap().snapshot.unwrap();
    bucket.machine = bucket.machine.blank(bucket.dir.path().join("blank"));
    bucket.machine.settings.store.application_key = Some(Secret::new("K004new".into()));
    assert_eq!(bucket.restore(&id).await.unwrap_err().code(), "B2_WRONG_KEY");
    bucket.machine.settings.old_keys = vec![Secret::new(KEY.into())];
    assert_eq!(bucket.restore(&id).await.unwrap().0.failed, []);
}

/// The original's retention hides objects that later snapshots need; a bucket with versions still has them.
#[tokio::test(flavor = "multi_thread")]
async fn hidden_versions_are_the_last_resort() {
    let (pruned, id) = ("2026-11-22T07-15-12-904Z-9681abb5", "2026-11-22T07-15-17-455Z-218d2a03");
    let bucket = Bucket::fixture("enc-chain");
    for key in bucket.store.objects().into_keys() {
        if key.starts_with(pruned) || key.starts_with("safety-") {
            let key = ObjectKey::new(key).unwrap();
            bucket.store.delete(&key, None).await.unwrap();
        }
    }
    bucket.store.clear_calls();
    let (report, to) = bucket.restore(id).await.unwrap();
    assert_eq!(report.failed, []);
    assert_eq!(content_of(&to).len(), 14);
    // What is in plain sight needs no look at versions.
    bucket.store.clear_calls();
    let (report, _) = bucket.restore_paths(id, &["workspace/new.md"]).await.unwrap();
    assert_eq!((report.files, report.failed.len()), (1, 0));
    assert!(bucket.store.calls().iter().all(|call| call.operation != Operation::ListVersions));

    // The key may not list versions: said, and the rest is restored.
    bucket.store.set_faults(|call| {
        let refused = || Error::Capability { message: "listFiles is missing".into() };
        let is_it = call.operation == Operation::ListVersions;
        is_it.then(|| Fault::FailBefore(refused())).into_iter().collect()
    });
    let (report, to) = bucket.restore(id).await.unwrap();
    assert!(report.warnings.iter().any(|warning| warning.contains("listFiles")), "{report:?}");
    assert_eq!(report.failed.len() + content_of(&to).len(), 14);
    assert!(report.failed.iter().any(|one| one.path == "workspace/SOUL.md"));
}

/// A push that broke off is no snapshot, but what it uploaded is there.
#[tokio::test(flavor = "multi_thread")]
async fn broken_pushes_are_sources_and_no_snapshots() {
    let (torn, id) = ("2026-11-22T07-15-30-602Z-3d708dd6", "2026-11-22T07-15-32-572Z-c2a03f8b");
    let bucket = Bucket::fixture("plain-chain");
    bucket.store.raw_remove(&format!("{torn}/manifest.json"));
    let listed = bucket.machine.list().await.snapshots;
    assert!(listed.iter().all(|one| one.id != torn), "{listed:?}");
    assert_eq!(bucket.restore(id).await.unwrap().0.failed, []);
    let error = bucket.restore(torn).await.unwrap_err();
    assert_eq!(error.code(), "B2_SNAPSHOT_NOT_FOUND");
    assert!(error.to_string().contains("did not finish"), "{error}");
    // Damaged manifests are told, and take nothing with them.
    bucket.store.raw_replace(&format!("{torn}/manifest.json"), b"{".to_vec());
    let listed = bucket.machine.list().await.snapshots;
    let problem = listed.iter().find(|one| one.id == torn).unwrap().problem.clone().unwrap();
    assert!(problem.contains("B2_DAMAGED"), "{problem}");
    let (report, _) = bucket.restore(id).await.unwrap();
    assert_eq!(report.failed, []);
    assert!(report.warnings.iter().any(|warning| warning.contains("passed over")), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_found_under_other_names_and_in_newer_pushes() {
    let bucket = Bucket::empty();
    let grown: &[u8] = b"line 1\nline 2\n";
    bucket.push(
        FIRST,
        &[("workspace/p q.md", b"percent"), ("agents/log.jsonl", grown)],
        &[
            ("workspace/p%20q.md", b"percent"),
            ("workspace/later.md", b"later"),
            ("workspace/renamed.md", b"moved"),
            // Hashed first and read later, when it had grown: no object has what the manifest says.
            ("agents/log.jsonl", b"line 1\n"),
        ],
    );
    let sealed_look = [b"B2EN".as_slice(), &[1; 80]].concat();
    bucket.push(
        SECOND,
        &[
            ("workspace/later.md", b"later"),
            ("workspace/old name.md", b"moved"),
            ("agents/log.jsonl", grown),
            ("workspace/odd.bin", &sealed_look),
        ],
        &[
            ("workspace/old name.md", b"moved"),
            ("agents/log.jsonl", grown),
            ("workspace/odd.bin", &sealed_look),
            ("workspace/again.bin", &sealed_look),
        ],
    );
    let (report, to) = bucket.restore(FIRST).await.unwrap();
    let found = content_of(&to);
    assert_eq!(found["workspace/p%20q.md"], b"percent");
    assert_eq!(found["workspace/later.md"], b"later");
    assert_eq!(found["workspace/renamed.md"], b"moved");
    let [lost] = report.failed.as_slice() else { panic!("{:?}", report.failed) };
    assert_eq!((lost.path.as_str(), lost.code.as_str()), ("agents/log.jsonl", "B2_DAMAGED"));
    // Not everything that starts like something sealed is; and one object can serve several paths.
    let (report, to) = bucket.restore(SECOND).await.unwrap();
    assert_eq!(report.failed, []);
    let found = content_of(&to);
    assert_eq!(found["workspace/odd.bin"], sealed_look);
    assert_eq!(found["workspace/again.bin"], sealed_look);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn files_are_for_the_user_alone_and_databases_are_looked_at() {
    use std::os::unix::fs::PermissionsExt as _;
    let bucket = Bucket::empty();
    let whole = bucket.dir.path().join("whole.sqlite");
    let connection = rusqlite::Connection::open(&whole).unwrap();
    let rows = "create table t (x); with recursive n(i) as (select 1 union all select i + 1 from n limit 3000) \
                insert into t select hex(randomblob(20)) from n; create index ix on t (x);";
    connection.execute_batch(rows).unwrap();
    drop(connection);
    let whole = std::fs::read(whole).unwrap();
    let mut torn = whole.clone();
    // Pages of another moment.
    let half = torn.len() / 2;
    torn[half..].fill(0);
    let files: [(&str, &[u8]); 3] = [
        ("agents/whole.sqlite", &whole),
        ("agents/torn.sqlite", &torn),
        ("hooks/a.sh", b"#!/bin/sh"),
    ];
    bucket.push(FIRST, &files, &files);
    let (report, to) = bucket.restore(FIRST).await.unwrap();
    assert_eq!(report.failed, []);
    assert_eq!(content_of(&to).len(), 3, "the check leaves nothing beside a database");
    let damaged: Vec<_> =
        report.warnings.iter().filter(|warning| warning.contains("is damaged")).collect();
    let [warning] = damaged.as_slice() else { panic!("{:?}", report.warnings) };
    assert!(warning.starts_with("the database agents/torn.sqlite is damaged"), "{warning}");
    let meta = std::fs::metadata(to.join("hooks/a.sh")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o600);
    let modified = meta.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(modified.as_secs(), 1_771_459_200, "as old as the snapshot");
}

/// The successor of the original sealed its manifests, too.
#[tokio::test(flavor = "multi_thread")]
async fn sealed_manifests() {
    let mut bucket = Bucket::empty();
    let id = "2026-02-19T00-00-00-123Z";
    let list = manifest(&[("state/a.md", hex::encode(Sha256::digest(b"a")), 1)]);
    bucket.store.raw_replace(&format!("{id}/manifest.json"), seal(&list, KEY));
    bucket.store.raw_replace(&format!("{id}/state/a.md"), seal(b"a", KEY));
    let (report, to) = bucket.restore(id).await.unwrap();
    assert_eq!(report.failed, []);
    assert_eq!(content_of(&to)["state/a.md"], b"a");
    bucket.machine.settings.store.application_key = None;
    assert_eq!(bucket.restore(id).await.unwrap_err().code(), "B2_WRONG_KEY");
    let listed = bucket.machine.list().await.snapshots;
    assert!(listed[0].problem.as_ref().unwrap().contains("B2_WRONG_KEY"), "{listed:?}");
}

/// Two plugins in one prefix: ours pushes, and leaves alone what it finds.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_leaves_them_alone() {
    let bucket = Bucket::fixture("v018-enc");
    let before = bucket.store.objects();
    std::fs::create_dir_all(&bucket.machine.settings.state_dir).unwrap();
    std::fs::write(bucket.machine.settings.state_dir.join("a.md"), "a").unwrap();
    let id = bucket.machine.push().await.unwrap().snapshot.unwrap();
    let after = bucket.store.objects();
    assert!(before.iter().all(|(key, body)| after.get(key) == Some(body)));
    let listed = bucket.machine.list().await;
    let formats: Vec<(u8, bool)> =
        listed.snapshots.iter().map(|one| (one.format, one.authenticated)).collect();
    assert_eq!(formats, [(1, false), (1, false), (1, false), (1, false), (2, true)]);
    assert!(listed.warnings.iter().any(|warning| warning.starts_with("4 of these were made by")));
    let to = bucket.dir.path().join("newest");
    let report = bucket.machine.restore("latest", &to).await.unwrap();
    assert_eq!(report.snapshot, id, "a newer one of the original is not the latest");
    assert_eq!(bucket.machine.verify(true).await.snapshots, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn show_lists_one_and_gives_a_file() {
    let bucket = Bucket::fixture("pruned");
    let id = "2026-11-22T07-16-25-635Z-6e07a3be";
    let session = bucket.machine.session().await;
    let show = async |path: Option<&str>| {
        let options = ShowOptions {
            snapshot: id.into(),
            path: path.map(str::to_owned),
            allow_unauthenticated: true,
        };
        ops::show(&session, &options).await
    };
    let report = show(None).await.unwrap();
    assert_eq!(
        (report.entries.len(), report.created_at.as_str()),
        (14, "2026-11-22T07:16:25.635Z")
    );
    assert_eq!(show(Some("workspace/new.md")).await.unwrap().content.unwrap().len(), 11);
    assert_eq!(show(Some("workspace")).await.unwrap().entries.len(), 6);
    let error = show(Some("hooks/on-start.sh")).await.unwrap_err();
    assert!(error.to_string().contains("no copy of it is left"), "{error}");
    assert_eq!(show(Some("nothing")).await.unwrap_err().code(), "B2_CONFIG");
    let plain = ShowOptions { snapshot: id.into(), path: None, allow_unauthenticated: false };
    assert_eq!(ops::show(&session, &plain).await.unwrap_err().code(), "B2_NOT_AUTHENTICATED");
}
