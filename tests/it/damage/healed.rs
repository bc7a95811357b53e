//! Every kind of damage, found by verify, and what the next push makes good: the newest state is whole again, what is
//! not damaged restores all along, and what is lost is named and nothing else is.

use std::collections::BTreeSet;

use b2_backup::ops::VerifyReport;

use super::*;
use crate::support::plain::copy_all;
use crate::support::{campaign, machine};

type Objects = BTreeMap<String, Bytes>;

/// One kind of damage.
struct Kind {
    name: String,
    /// What the bucket holds then.
    objects: Objects,
    /// What verify must name; nothing where the bucket alone cannot tell.
    named: Vec<String>,
    /// Days that it may harm.
    harms: Vec<usize>,
    /// What verify may still name after the next push.
    stays: Vec<String>,
}

/// Damages to one object: the bytes at a place, cuts, another's bytes.
fn of_object(body: &Bytes, places: &[(&'static str, usize)]) -> Vec<(&'static str, Option<Bytes>)> {
    let mut all: Vec<_> = cuts(body).into_iter().map(|(n, b)| (n, b.map(Bytes::from))).collect();
    all.extend(places.iter().map(|&(name, at)| (name, Some(Bytes::from(flipped(body, at))))));
    all.extend(other_versions(body).map(|(name, _, bytes)| (name, Some(Bytes::from(bytes)))));
    let mut future = body.to_vec();
    (future[8], future[9]) = (4, 4);
    all.push(("future version", Some(future.into())));
    all
}

fn kinds(repository: &Repository, whole: &Objects, foreign: &Objects) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let below = |objects: &Objects, part: &str| -> Vec<(String, Bytes)> {
        let fits = |name: &&String| name.starts_with(part) || name.ends_with(part);
        objects.iter().filter(|(name, _)| fits(name)).map(|(n, b)| (n.clone(), b.clone())).collect()
    };
    let with = |changes: &[(String, Option<Bytes>)]| {
        let mut objects = whole.clone();
        for (name, body) in changes {
            match body {
                Some(body) => objects.insert(name.clone(), body.clone()),
                None => objects.remove(name),
            };
        }
        objects
    };
    let mut one = |what: &str, object: &str, body: Option<Bytes>, harms: &[usize], named: bool| {
        let named = if named { vec![object.to_owned()] } else { vec![] };
        kinds.push(Kind {
            name: format!("{object}: {what}"),
            objects: with(&[(object.to_owned(), body)]),
            stays: vec![object.to_owned()],
            named,
            harms: harms.to_vec(),
        });
    };
    for (name, pack) in &repository.packs {
        let body = &whole[name];
        let harms: Vec<usize> = pack.entries.iter().copied().collect();
        let (offset, _, entry) = pack.index.frame(0).unwrap();
        let frame = usize::try_from(offset).unwrap();
        let places = [
            ("bit in magic", 0),
            ("bit in salt", 40),
            ("bit in commitment", 80),
            ("bit in a frame", frame + 1),
            ("bit in a frame's tag", frame + entry.stored_bytes as usize - 1),
            ("bit in the footer", body.len() - pack.footer_bytes + 3),
            ("bit in the footer's tag", body.len() - 101),
            ("bit in the last length", body.len() - 1),
        ];
        for (what, bytes) in of_object(body, &places) {
            one(what, name, bytes, &harms, true);
        }
        let other = below(foreign, "packs/").swap_remove(0).1;
        one("of another repository", name, Some(other), &harms, true);
    }
    for day in 0..2 {
        let name = repository.manifest(day);
        let body = &whole[&name];
        let places = [
            ("bit in magic", 0),
            ("bit in salt", 40),
            ("bit in commitment", 80),
            ("bit in the body", body.len() / 2),
            ("bit in the tag", body.len() - 1),
        ];
        for (what, bytes) in of_object(body, &places) {
            // That there was another one the bucket alone does not tell; of the newest the machine knows.
            let named = bytes.is_some() || day == 1;
            one(what, &name, bytes, &[day], named);
        }
        let other = below(foreign, "/manifest").swap_remove(0).1;
        one("of another repository", &name, Some(other), &[day], true);
    }
    for (name, body) in below(whole, "keys/") {
        let places =
            [("bit in magic", 0), ("bit in salt", 40), ("bit in the seal", body.len() - 1)];
        for (what, bytes) in of_object(&body, &places) {
            let named =
                !["bit in salt", "bit in the seal", "a byte longer", "deleted"].contains(&what);
            one(what, &name, bytes, &[], named);
        }
        // log2 N stands behind the header, the map, and the first pair.
        let mut huge = body.to_vec();
        assert_eq!(huge[96 + 3..96 + 5], [1, 17]);
        huge.splice(96 + 4..96 + 5, [0x18, 40]);
        one("huge parameters", &name, Some(huge.into()), &[], false);
        let other = below(foreign, "keys/").swap_remove(0).1;
        one("of another repository", &name, Some(other), &[], false);
    }
    for (part, what) in [("packs/", "packs"), ("/manifest", "manifests")] {
        let two = below(whole, part);
        let (a, b) = (&two[0], &two[1]);
        kinds.push(Kind {
            name: format!("two {what} swapped"),
            objects: with(&[(a.0.clone(), Some(b.1.clone())), (b.0.clone(), Some(a.1.clone()))]),
            named: vec![a.0.clone(), b.0.clone()],
            harms: vec![0, 1],
            stays: vec![a.0.clone(), b.0.clone()],
        });
    }
    kinds
}

fn named(report: &VerifyReport) -> BTreeSet<&str> {
    report.problems.iter().map(|problem| problem.object.as_str()).collect()
}

/// Runs every `share`-th of the kinds: each test has its own.
async fn heals(share: usize) {
    let repository = Repository::new().await;
    let whole = repository.store.objects();
    let other = Repository::new().await;
    let origin = repository.dir.path().join("origin");
    let live = repository.machine.settings.state_dir.clone();
    copy_all(&live, &origin);
    let kinds = kinds(&repository, &whole, &other.store.objects());
    let distinct: BTreeSet<&str> =
        kinds.iter().filter_map(|kind| kind.name.split(": ").last()).collect();
    assert!(distinct.len() >= 20, "{distinct:?}");
    let mut tried = 0;
    for kind in kinds.iter().skip(share).step_by(SHARES) {
        let what = &kind.name;
        std::fs::remove_dir_all(&live).unwrap();
        copy_all(&origin, &live);
        repository.put_back(&kind.objects);
        // Found.
        let report = repository.machine.verify(true).await;
        for object in &kind.named {
            assert_named(&report, object, what);
        }
        // It costs what is in it, and nothing else.
        for day in 0..2 {
            let restored = repository.restore(day, what).await;
            if !kind.harms.contains(&day) {
                assert_eq!(restored.map(|report| report.failed), Ok(vec![]), "{what}");
            }
        }
        // Healed.
        let pushed = repository.machine.push().await;
        assert!(pushed.is_ok(), "{what}: {pushed:?}");
        let pushed = pushed.unwrap();
        let newest = pushed.snapshot.unwrap();
        let to = repository.dir.path().join("healed");
        let restored = machine::restore_with(&repository.session, &newest, &to).await.unwrap();
        assert_eq!(restored.failed, [], "{what}");
        assert_same(&picture(&to), &picture(&live), what);
        std::fs::remove_dir_all(&to).unwrap();
        let after = repository.machine.verify(true).await;
        for problem in &after.problems {
            assert!(!problem.snapshots.contains(&newest), "{what}: {problem:?}");
        }
        let allowed: BTreeSet<&str> = kind.stays.iter().map(String::as_str).collect();
        assert!(named(&after).is_subset(&allowed), "{what}: {:?}", after.problems);
        // A machine that has nothing but the passphrase finds its key.
        let keys =
            repository.store.objects().into_iter().filter(|(name, _)| name.starts_with("keys/"));
        let good =
            keys.filter(|(name, body)| whole.get(name) == Some(body) || !whole.contains_key(name));
        assert!(good.count() >= 1, "{what}: no slot below keys/ is whole");
        tried += 1;
    }
    campaign::report("damage", &format!("share {share}"), &[("damages", tried)]);
}

const SHARES: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn first_share() {
    heals(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_share() {
    heals(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn third_share() {
    heals(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fourth_share() {
    heals(3).await;
}

/// A bucket that was emptied is not one in which all is well.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_was_emptied() {
    let repository = Repository::new().await;
    let newest = &repository.days[1].0;
    repository.put_back(&BTreeMap::new());
    let report = repository.machine.verify(false).await;
    let found = assert_named(&report, &repository.manifest(1), "emptied");
    assert_eq!((found.code, &found.snapshots[0]), ("B2_OBJECT_MISSING", newest));
    let listed = repository.machine.list().await;
    assert!(listed.snapshots.is_empty());
    assert!(listed.warnings.iter().any(|text| text.contains(newest)), "{listed:?}");
    // Set back by a day: what is restored is not the newest, and that is said.
    let whole = Repository::new().await;
    whole.store.raw_remove(&whole.manifest(1));
    let to = whole.dir.path().join("latest");
    let restored = whole.machine.restore("latest", &to).await.unwrap();
    assert_eq!(restored.snapshot, whole.days[0].0);
    let gone = |text: &String| text.contains(&whole.days[1].0) && text.contains("is gone");
    assert!(restored.warnings.iter().any(gone), "{restored:?}");
    // The next push uploads everything again; what was made before stays lost.
    let refused = repository.machine.push().await.unwrap_err();
    assert_eq!(refused.code(), "B2_BUCKET_EMPTY");
    assert!(repository.machine.push_to_new_bucket().await.unwrap().snapshot.is_some());
    let mut bad = repository.machine.verify(true).await.problems;
    bad.retain(|problem| !repository.days.iter().any(|(id, _)| problem.snapshots == [id.as_str()]));
    assert_eq!(bad, []);
}

/// The manifest of the first day once more, under a name that is newer than all: it is not opened, and no machine goes
/// on from it.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_manifest_under_a_new_name() {
    let repository = Repository::new().await;
    let (id, _) = repository.days[1].0.rsplit_once('-').unwrap();
    let machine = repository.days[1].0.rsplit_once('-').unwrap().1;
    let later = format!("2999{}-{machine}", &id[4..]);
    let old = repository.store.raw_read(&repository.manifest(0)).unwrap();
    repository.store.raw_replace(&format!("{later}/manifest"), old);
    let report = repository.machine.verify(true).await;
    assert_named(&report, &format!("{later}/manifest"), "planted");
    for day in 0..2 {
        assert_eq!(repository.restore(day, "planted").await.unwrap().failed, []);
    }
    let to = repository.dir.path().join("latest");
    let restored = machine::restore_with(&repository.session, "latest", &to).await.unwrap();
    assert_eq!(restored.snapshot, repository.days[1].0);
    // It looks as if a copy of this machine had made it: both go on, this one under another name.
    let pushed = repository.machine.push().await.unwrap();
    assert!(pushed.warnings.iter().any(|text| text.contains("was copied")), "{pushed:?}");
    let to = repository.dir.path().join("newest");
    let newest = pushed.snapshot.unwrap();
    machine::restore_with(&repository.session, &newest, &to).await.unwrap();
    assert_same(&picture(&to), &picture(&repository.machine.settings.state_dir), "newest");
}
