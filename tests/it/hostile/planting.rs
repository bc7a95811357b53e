//! Planting.

use b2_backup::ops::{AutoRestoreOutcome, VerifyOptions};

use super::*;

/// All that is the victim's goes on as if nothing had happened.
async fn goes_on(bucket: &mut Bucket, what: &str) {
    bucket.latest_is(bucket.days.len() - 1, what).await;
    next_day(&bucket.victim.settings.state_dir, 2);
    let machine = machine_of(&bucket.days[0].0).to_owned();
    let id = bucket.day().await;
    assert_eq!(machine_of(&id), machine, "{what}");
    bucket.latest_is(bucket.days.len() - 1, &format!("{what}, later")).await;
    let options = VerifyOptions { reading: ops::Reading::All };
    let verified = ops::verify(&bucket.victim.session().await, options).await.unwrap();
    let ours = verified.problems.iter().filter(|problem| problem.object.contains(&machine));
    assert_eq!(ours.count(), 0, "{what}: {verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_under_a_key_of_ones_own() {
    let mut bucket = Bucket::new().await;
    let planted = bucket.eve.push().await.unwrap().snapshot.unwrap();
    for confirmed in [false, true] {
        let error = bucket.named(&planted, confirmed).await.unwrap_err();
        assert_eq!(error.code(), "B2_WRONG_KEY");
    }
    let listed = bucket.victim.list().await.snapshots;
    let info = listed.iter().find(|info| info.id == planted).unwrap();
    assert_eq!((info.authenticated, info.problem_code), (false, Some("B2_WRONG_KEY")));
    goes_on(&mut bucket, "own key").await;
}

/// The application key writes to the bucket. Where there is a passphrase it makes no repository that is taken for the
/// user's, and no snapshot that is taken for a genuine one.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_under_the_application_key() {
    let mut bucket = Bucket::new().await;
    bucket.eve.settings.passphrase = None;
    let planted = bucket.eve.push().await.unwrap().snapshot.unwrap();
    for confirmed in [false, true] {
        let error = bucket.named(&planted, confirmed).await.unwrap_err();
        assert_eq!(error.code(), "B2_WRONG_KEY");
    }
    assert!(!bucket.latest_is(1, "application key").await.is_empty(), "passed over in silence");
    goes_on(&mut bucket, "application key, again").await;
    // A user who has no passphrase trusts the key.
    let mut trusting = bucket.blank("trusting");
    trusting.settings.passphrase = None;
    let to = bucket.dir.path().join("trusted");
    assert_eq!(trusting.restore("latest", &to).await.unwrap().snapshot, planted);
}

/// A new machine looks for its repository in the bucket. It must never take one whose key others know.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_for_a_new_machine_to_push_into() {
    // Even where nothing else is left: the victim's are deleted.
    for emptied in [false, true] {
        let bucket = Bucket::new().await;
        let mut eve = bucket.eve.clone();
        eve.settings.passphrase = None;
        eve.push().await.unwrap();
        if emptied {
            let (days, theirs) = (machine_of(&bucket.days[0].0), bucket.store.objects());
            let slots = theirs.keys().filter(|name| name.starts_with("keys/"));
            let opens = |name: &&String| {
                let slot = b2_backup::format::KeySlot::decode(&theirs[*name]).unwrap();
                slot.kind() == b2_backup::format::SecretKind::Passphrase
            };
            let gone: Vec<String> = slots
                .filter(opens)
                .chain(theirs.keys().filter(|name| name.contains(days)))
                .cloned()
                .collect();
            assert!(gone.len() > 3);
            for name in &gone {
                assert!(bucket.store.raw_remove(name));
            }
        }
        let new = bucket.blank(&format!("new {emptied}"));
        write(&new.settings.state_dir, "workspace/new.md", SECRETS[1]);
        let report = new.push().await.unwrap();
        let id = report.snapshot.unwrap();
        let to = bucket.dir.path().join(format!("read {emptied}"));
        assert_eq!(eve.restore(&id, &to).await.unwrap_err().code(), "B2_WRONG_KEY", "{emptied}");
        assert_eq!(report.warnings.is_empty(), !emptied, "{:?}", report.warnings);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_snapshot_of_the_victims_machine() {
    let mut bucket = Bucket::new().await;
    let mut eve = bucket.eve.clone();
    eve.settings.encrypt = false;
    let other = eve.push().await.unwrap().snapshot.unwrap();
    assert_eq!(bucket.named(&other, false).await.unwrap_err().code(), "B2_NOT_AUTHENTICATED");
    goes_on(&mut bucket, "plain").await;
    let planted = pose(&bucket, &eve, machine_of(&bucket.days[0].0)).await;
    assert_eq!(bucket.named(&planted, false).await.unwrap_err().code(), "B2_NOT_AUTHENTICATED");
    let newest = bucket.days.len() - 1;
    let warnings = bucket.latest_is(newest, "plain, posing").await;
    assert!(warnings.iter().any(|warning| warning.contains(&planted)), "{warnings:?}");
    // It looks as if the machine had a clone: it goes on as another one, and says so. Nothing is lost.
    next_day(&bucket.victim.settings.state_dir, 3);
    let report = bucket.victim.push().await.unwrap();
    let id = report.snapshot.unwrap();
    assert_ne!(machine_of(&id), machine_of(&planted));
    assert!(!report.warnings.is_empty());
    bucket.named(&id, false).await.unwrap();
}

/// Sealed, under a key of one's own, and the victim's machine id: the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_lineage_that_is_taken_over() {
    let mut bucket = Bucket::new().await;
    let before = machine_of(&bucket.days[0].0).to_owned();
    pose(&bucket, &bucket.eve, &before).await;
    bucket.latest_is(1, "taken over").await;
    next_day(&bucket.victim.settings.state_dir, 2);
    let report = bucket.victim.push().await.unwrap();
    let id = report.snapshot.unwrap();
    assert_ne!(machine_of(&id), before);
    bucket.days.push((id.clone(), picture(&bucket.victim.settings.state_dir)));
    let report = bucket.named(&id, false).await.unwrap();
    assert_eq!(report.failed, []);
    for day in 0..2 {
        assert_eq!(bucket.named(&bucket.days[day].0, false).await.unwrap().failed, []);
    }
}

/// Nothing of format 1 is authenticated. It is never chosen, and never comes without a word of the user's.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_the_original_plugin() {
    let mut bucket = Bucket::new().await;
    let content = br#"{"planted":true}"#;
    let hash = hex::encode(b2_backup::crypto::sha256(content));
    let manifest = format!(
        r#"{{"version":1,"timestamp":"2028-01-01T00:00:00.000Z","files":{{"openclaw.json":{{"hash":"{hash}","size":16}}}}}}"#
    );
    for folder in
        ["2028-01-01T00-00-00Z", "safety-2028-01-01T00-00-01Z", "2028-01-01T00-00-02-904Z-9681abb5"]
    {
        bucket.store.raw_replace(&format!("{folder}/manifest.json"), manifest.clone().into_bytes());
        bucket.store.raw_replace(&format!("{folder}/openclaw.json"), content.to_vec());
        assert_eq!(bucket.named(folder, false).await.unwrap_err().code(), "B2_NOT_AUTHENTICATED");
        let listed = bucket.victim.list().await.snapshots;
        assert!(listed.iter().any(|info| info.id == folder && !info.authenticated));
    }
    goes_on(&mut bucket, "format 1").await;
}

/// A machine that has nothing takes a snapshot by itself. Of those that a writer can make, none.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_for_a_new_machine_to_take_by_itself() {
    let bucket = Bucket::new().await;
    for (name, phrase, encrypt) in
        [("sealed", true, true), ("key", false, true), ("plain", false, false)]
    {
        let store = Arc::new(MemoryStore::default());
        let mut eve = bucket.eve.blank(bucket.dir.path().join(name)).through(store.clone());
        eve.settings.encrypt = encrypt;
        if !phrase {
            eve.settings.passphrase = None;
        }
        write(&eve.settings.state_dir, "openclaw.json", r#"{"planted":true}"#);
        write(&eve.settings.state_dir, "workspace/AGENTS.md", "planted");
        write(&eve.settings.state_dir, "agents/main/sessions/one.jsonl", "{}\n");
        eve.push().await.unwrap();
        let state = bucket.dir.path().join(format!("new {name}"));
        std::fs::create_dir(&state).unwrap();
        let new = bucket.victim.blank(state.clone()).through(store);
        let options = ops::RollbackRequest {
            snapshot: "latest".into(),
            paths: vec![],
            mode: ops::Mode::Exact,
            partial: false,
            allow_unauthenticated: false,
        };
        let error = ops::plan_rollback(&new.session().await, &options).await.unwrap_err();
        assert!(
            ["B2_WRONG_KEY", "B2_NOT_AUTHENTICATED"].contains(&error.code()),
            "{name}: {error}"
        );
        match ops::auto_restore(&new.session().await).await {
            Err(error) => {
                assert!(
                    ["B2_WRONG_KEY", "B2_NOT_AUTHENTICATED"].contains(&error.code()),
                    "{name}: {error}"
                );
            }
            Ok(report) => assert_ne!(report.outcome, AutoRestoreOutcome::Staged, "{name}"),
        }
        assert!(!state.join("openclaw.json").exists(), "{name}");
    }
}
