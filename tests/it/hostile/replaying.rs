//! Rolling back: old objects instead of new ones.

use b2_backup::store::{ObjectKey, ObjectStore as _};

use super::*;

/// Whoever may delete can set a bucket back. The machine that wrote it knows what it wrote; another one sees an honest
/// bucket, some days old.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_is_hidden() {
    for hide in [true, false] {
        let mut bucket = Bucket::new().await;
        let newest = bucket.manifest(1);
        if hide {
            bucket.store.delete(&ObjectKey::new(newest.clone()).unwrap(), None).await.unwrap();
        } else {
            bucket.store.raw_remove(&newest);
        }
        // docs/security.md says so: a machine without memory cannot know.
        let told = bucket.latest_is(0, "hidden").await;
        // The victim's clock was a day behind then: that is told, and nothing else.
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("its times do not agree"), "{told:?}");
        next_day(&bucket.victim.settings.state_dir, 2);
        let report = bucket.victim.push().await.unwrap();
        assert!(
            report.warnings.iter().any(|warning| warning.contains("gone")),
            "{:?}",
            report.warnings
        );
        let id = report.snapshot.unwrap();
        bucket.days.push((id, picture(&bucket.victim.settings.state_dir)));
        // Complete in itself: nothing was built on what is gone.
        bucket.latest_is(2, "after it").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_manifest_under_another_name() {
    let bucket = Bucket::new().await;
    let old = bucket.store.raw_read(&bucket.manifest(0)).unwrap();
    let other = bucket.days[0].0.replace(machine_of(&bucket.days[0].0), "0badc0de");
    let newer = format!("29{}", &bucket.days[0].0[2..]);
    let safety = format!("safety-{}", bucket.days[0].0);
    for name in [&other, &newer, &safety] {
        bucket.store.raw_replace(&format!("{name}/manifest"), old.clone());
        for confirmed in [false, true] {
            assert_eq!(
                bucket.named(name, confirmed).await.unwrap_err().code(),
                "B2_DAMAGED",
                "{name}"
            );
        }
    }
    bucket.store.raw_replace(&bucket.manifest(1), old);
    assert_eq!(bucket.named(&bucket.days[1].0, true).await.unwrap_err().code(), "B2_DAMAGED");
    let warnings = bucket.latest_is(0, "overwritten").await;
    assert!(warnings.iter().any(|warning| warning.contains(&bucket.days[1].0)), "{warnings:?}");
}

/// What was deleted and kept by somebody can come back. It is the genuine one, under its own name and time.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_snapshot_comes_back() {
    let mut bucket = Bucket::new().await;
    let kept = bucket.store.objects();
    let keep = ops::Keep::new(1, 0, 0).unwrap();
    let options = ops::PruneOptions {
        keep,
        dry_run: false,
        more_than_half: true,
        wait: std::time::Duration::ZERO,
    };
    let pruned = ops::prune(&bucket.victim.session().await, options).await.unwrap();
    assert_eq!(pruned.deleted_snapshots, 1, "{pruned:?}");
    assert!(bucket.store.raw_read(&bucket.manifest(0)).is_none());
    for (name, body) in kept {
        bucket.store.raw_replace(&name, body);
    }
    assert_eq!(bucket.named(&bucket.days[0].0, false).await.unwrap().failed, []);
    bucket.latest_is(1, "returned").await;
    next_day(&bucket.victim.settings.state_dir, 2);
    let id = bucket.day().await;
    // Not taken for a clone: it was deleted lately.
    assert_eq!(machine_of(&id), machine_of(&bucket.days[0].0));
}
