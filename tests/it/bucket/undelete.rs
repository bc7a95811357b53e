//! Snapshots that somebody hid or overwrote come back.

use b2_backup::ambient::Clock;
use b2_backup::error::Result;
use b2_backup::local::Local;
use b2_backup::ops::{self, Reading, UndeleteOptions, UndeleteReport, VerifyOptions};
use b2_backup::store::ObjectStore as _;

use super::Agent;
use crate::support::system::url_of;

const APPLY: UndeleteOptions =
    UndeleteOptions { snapshots: vec![], since: None, keys: false, apply: true };

async fn undelete(agent: &Agent, options: &UndeleteOptions) -> Result<UndeleteReport> {
    ops::undelete(&agent.session().await, options).await
}

fn ids(report: &UndeleteReport) -> Vec<&str> {
    report.snapshots.iter().map(|one| one.snapshot.as_str()).collect()
}

/// Three snapshots, an hour between each.
async fn three_days() -> (Agent, Vec<String>) {
    let agent = Agent::new().await;
    let mut snapshots = Vec::new();
    for day in 0..3 {
        agent.write("workspace/MEMORY.md", format!("day {day}"));
        // Large enough for packs of its own, and unlike on each day.
        let noise: Vec<u8> = (0..40_000u32)
            .map(|at| at.wrapping_mul(2_654_435_761 + day).to_be_bytes()[1])
            .collect();
        agent.write(&format!("workspace/{day}.bin"), noise);
        snapshots.push(agent.push().await);
    }
    (agent, snapshots)
}

async fn all_is_well(agent: &Agent) {
    let session = agent.try_session(agent.blank()).await.unwrap();
    let verified = ops::verify(&session, VerifyOptions { reading: Reading::All }).await.unwrap();
    assert_eq!((verified.snapshots, verified.problems), (3, vec![]));
}

#[tokio::test]
async fn hidden_snapshots_come_back_by_removing_markers() {
    let (agent, snapshots) = three_days().await;
    let whole = agent.objects();
    agent.attack_everything(None).await;
    assert!(agent.objects().is_empty());
    let told = undelete(&agent, &UndeleteOptions::default()).await.unwrap();
    assert_eq!(ids(&told), snapshots);
    assert!(
        told.snapshots
            .iter()
            .all(|one| one.gone && one.lost_packs == 0 && one.changed_at.is_some())
    );
    assert_eq!((told.key_slots, told.applied, told.objects), (1, false, whole.len() as u64 - 1));
    assert!(agent.objects().is_empty(), "told, not done");

    let before = agent.server.requests().len();
    let done = undelete(&agent, &APPLY).await.unwrap();
    assert_eq!((done.applied, done.removed_markers, done.written_again), (true, told.objects, 0));
    let requests = agent.server.requests().split_off(before);
    assert!(!requests.iter().any(|request| request.starts_with("PUT")));
    // A snapshot never shows before what it needs.
    let deletions: Vec<&String> = requests.iter().filter(|one| one.starts_with("DELETE")).collect();
    let first_manifest = deletions.iter().position(|one| one.ends_with("/manifest")).unwrap();
    assert!(deletions[first_manifest..].iter().all(|one| one.ends_with("/manifest")));

    let slots = whole.keys().filter(|name| name.starts_with("keys/"));
    assert!(slots.clone().all(|slot| !agent.objects().contains_key(slot)));
    undelete(&agent, &UndeleteOptions { keys: true, ..APPLY }).await.unwrap();
    assert_eq!(agent.objects(), whole);
    all_is_well(&agent).await;
    let again = undelete(&agent, &UndeleteOptions { keys: true, ..APPLY }).await.unwrap();
    assert_eq!((again.snapshots, again.objects, again.key_slots), (vec![], 0, 0));
}

#[tokio::test]
async fn without_the_right_to_delete_objects_are_written_once_more() {
    let (agent, snapshots) = three_days().await;
    let whole = agent.objects();
    agent.attack_everything(None).await;
    agent.server.revoke(&["deleteFiles"]);
    let done = undelete(&agent, &UndeleteOptions { keys: true, ..APPLY }).await.unwrap();
    assert_eq!((ids(&done).len(), done.removed_markers), (snapshots.len(), 0));
    assert_eq!(done.written_again, whole.len() as u64);
    assert_eq!(agent.objects(), whole);
    all_is_well(&agent).await;
}

#[tokio::test]
async fn overwritten_objects_come_back_and_nothing_of_others_is_deleted() {
    let (agent, snapshots) = three_days().await;
    let whole = agent.objects();
    let versions = async || agent.server.store().list_versions("p/").await.unwrap().unwrap();
    for (name, body) in &whole {
        // As long as the right one, so that only the seal tells them apart; some are hidden on top of it.
        agent.attack(name, Some(&vec![7; body.len()])).await;
        if name.ends_with('0') || name.ends_with("manifest") {
            agent.attack(name, None).await;
        }
    }
    let before = versions().await;
    let done = undelete(&agent, &UndeleteOptions { keys: true, ..APPLY }).await.unwrap();
    assert_eq!(ids(&done), snapshots);
    assert_eq!((done.written_again, done.removed_markers), (whole.len() as u64, 0));
    assert_eq!(agent.objects(), whole);
    all_is_well(&agent).await;
    let after = versions().await;
    assert!(before.iter().all(|old| after.iter().any(|new| new.version == old.version)));
    let again = undelete(&agent, &APPLY).await.unwrap();
    assert_eq!((again.snapshots, again.objects), (vec![], 0));
}

#[tokio::test]
async fn a_hidden_pack_is_found_under_a_snapshot_that_is_still_there() {
    let (agent, snapshots) = three_days().await;
    let whole = agent.objects();
    let pack = whole.keys().find(|name| name.starts_with("packs/")).unwrap();
    agent.attack(pack, None).await;
    let told = undelete(&agent, &UndeleteOptions::default()).await.unwrap();
    assert!(
        !told.snapshots.is_empty()
            && told.snapshots.iter().all(|one| !one.gone && one.objects == 1)
    );
    assert_eq!(told.objects, 1, "counted once, however many snapshots need it");
    undelete(&agent, &APPLY).await.unwrap();
    assert_eq!(agent.objects(), whole);
    assert_eq!(snapshots.len(), 3);
}

#[tokio::test]
async fn the_user_picks_by_name_or_by_time() {
    let (agent, snapshots) = three_days().await;
    let hide = async |id: &String| agent.attack(&format!("{id}/manifest"), None).await;
    hide(&snapshots[0]).await;
    agent.clock.advance(3600);
    let since = Some(agent.clock.now());
    agent.clock.advance(60);
    hide(&snapshots[2]).await;
    let told =
        undelete(&agent, &UndeleteOptions { since, ..UndeleteOptions::default() }).await.unwrap();
    assert_eq!(ids(&told), [&snapshots[2]]);
    let named = UndeleteOptions { snapshots: vec![snapshots[0].clone()], ..APPLY };
    undelete(&agent, &named).await.unwrap();
    let seen = |id: &String| agent.objects().contains_key(&format!("{id}/manifest"));
    assert_eq!(snapshots.iter().map(seen).collect::<Vec<_>>(), [true, true, false]);
    let unknown =
        UndeleteOptions { snapshots: vec!["2020-01-01T00-00-00Z-00000000".into()], ..APPLY };
    assert_eq!(undelete(&agent, &unknown).await.unwrap_err().code(), "B2_SNAPSHOT_NOT_FOUND");
}

#[tokio::test]
async fn a_snapshot_that_lost_a_pack_comes_back_only_when_it_is_named() {
    let (agent, snapshots) = three_days().await;
    let newest = &snapshots[2];
    // The pack that came with the newest snapshot alone.
    let mut packs: Vec<_> = agent.server.store().calls().into_iter().map(|call| call.key).collect();
    packs.retain(|key| key.starts_with("p/packs/"));
    agent.server.store().raw_remove(packs.last().unwrap());
    agent.attack(&format!("{newest}/manifest"), None).await;
    let done = undelete(&agent, &APPLY).await.unwrap();
    assert_eq!(
        (ids(&done), done.snapshots[0].lost_packs, done.objects),
        (vec![newest.as_str()], 1, 0)
    );
    assert!(!agent.objects().contains_key(&format!("{newest}/manifest")));
    undelete(&agent, &UndeleteOptions { snapshots: vec![newest.clone()], ..APPLY }).await.unwrap();
    assert!(agent.objects().contains_key(&format!("{newest}/manifest")));
}

/// As after a prune with a key that may not delete: the machine has forgotten what it hid.
#[tokio::test]
async fn a_machine_knows_its_own_again() {
    let (agent, snapshots) = three_days().await;
    agent.attack(&format!("{}/manifest", snapshots[0]), None).await;
    let local = Local::at(&agent.settings.state_dir);
    let machine = local.machine().unwrap();
    let memory = local.repository(&agent.session_identity().await, true);
    let mut newest = memory.newest().unwrap().unwrap();
    newest.written.retain(|name| *name != snapshots[0]);
    memory.save_newest(&newest).unwrap();
    undelete(&agent, &APPLY).await.unwrap();
    agent.write("workspace/MEMORY.md", "day 3");
    let pushed = agent.try_push().await.unwrap();
    assert!(pushed.snapshot.is_some() && pushed.warnings.is_empty(), "{:?}", pushed.warnings);
    assert_eq!(local.machine().unwrap(), machine, "it is not taken for a copy");
}

#[tokio::test]
async fn what_was_cut_off_goes_on() {
    let (agent, _) = three_days().await;
    let whole = agent.objects();
    agent.attack_everything(None).await;
    agent.server.revoke(&["deleteFiles"]);
    agent.server.set(|rules| rules.cap = Some("storage"));
    assert_eq!(undelete(&agent, &APPLY).await.unwrap_err().code(), "B2_CAP_EXCEEDED");
    assert!(agent.objects().is_empty());
    agent.server.set(|rules| rules.cap = None);
    undelete(&agent, &UndeleteOptions { keys: true, ..APPLY }).await.unwrap();
    assert_eq!(agent.objects(), whole);
}

#[tokio::test]
async fn what_cannot_be_opened_is_told_and_left() {
    let (mut agent, snapshots) = three_days().await;
    agent.attack_everything(None).await;
    agent.settings.passphrase = Some(b2_backup::secret::Secret::new("another".into()));
    agent.settings.state_dir = agent.path("blank");
    let told = undelete(&agent, &APPLY).await.unwrap();
    assert_eq!((told.snapshots, told.objects), (vec![], 0));
    let codes: Vec<_> =
        told.problems.iter().map(|one| (one.path.as_str(), one.code.as_str())).collect();
    let expected: Vec<_> = snapshots.iter().map(|id| (id.as_str(), "B2_WRONG_KEY")).collect();
    assert_eq!(codes, expected);
    assert!(!agent.path("blank").exists(), "looking makes no folder");
    let mut folder = agent.settings.clone();
    folder.store.bucket = url_of(&agent.path("disk"));
    let session = agent.try_session(folder).await.unwrap();
    assert_eq!(ops::undelete(&session, &APPLY).await.unwrap_err().code(), "B2_CONFIG");
}
