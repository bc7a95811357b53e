//! A bucket read as it was, after somebody hid or overwrote what is in it.

use std::time::SystemTime;

use b2_backup::ambient::Clock;
use b2_backup::local::Local;
use b2_backup::ops::{self, DiffOptions, DiffTo, Reading, Settings, VerifyOptions};

use super::Agent;
use crate::support::system::url_of;

/// Settings that read as of `seconds` ago.
fn ago(agent: &Agent, settings: Settings, seconds: u64) -> Settings {
    let mut settings = settings;
    let at: SystemTime = agent.clock.now() - std::time::Duration::from_secs(seconds);
    settings.store.as_of = Some(at);
    settings
}

/// Two days of pushes, an hour each; then an attack; then an hour.
async fn attacked(junk: Option<&[u8]>) -> (Agent, [String; 2]) {
    let agent = Agent::new().await;
    // Small pages, so that listings take several.
    agent.server.set(|rules| rules.page = 2);
    let first = agent.push().await;
    agent.write("workspace/MEMORY.md", "and the bread\n");
    let second = agent.push().await;
    agent.attack_everything(junk).await;
    (agent, [first, second])
}

#[tokio::test]
async fn a_wiped_bucket_reads_as_before() {
    let (agent, [first, second]) = attacked(None).await;
    let now = ops::list(&agent.session().await).await.unwrap();
    assert_eq!(now.snapshots, []);
    let gone = agent.memory_of(agent.blank(), "latest").await.unwrap_err();
    assert_eq!(gone.code(), "B2_SNAPSHOT_NOT_FOUND");

    let before = ago(&agent, agent.blank(), 3700);
    let session = agent.try_session(before.clone()).await.unwrap();
    let listed = ops::list(&session).await.unwrap().snapshots;
    assert!(listed.iter().all(|one| one.problem.is_none()), "{listed:?}");
    let ids: Vec<&str> = listed.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, [first.as_str(), second.as_str()]);
    assert_eq!(agent.memory_of(before, "latest").await.unwrap(), "and the bread\n");
    let verified = ops::verify(&session, VerifyOptions { reading: Reading::All }).await.unwrap();
    assert_eq!((verified.snapshots, verified.problems.len()), (2, 0));
    // What was there then is no proof of what is there now.
    let memory =
        Local::at(&agent.settings.state_dir).repository(&agent.session_identity().await, true);
    let proof = memory.proof().unwrap();
    let own = agent.try_session(ago(&agent, agent.settings.clone(), 3700)).await.unwrap();
    ops::verify(&own, VerifyOptions { reading: Reading::All }).await.unwrap();
    assert_eq!(memory.proof().unwrap(), proof);
    let options = DiffOptions {
        from: first.clone(),
        to: DiffTo::Snapshot(second),
        paths: vec![],
        text: false,
        allow_unauthenticated: false,
    };
    assert_eq!(ops::diff(&session, &options).await.unwrap().entries.len(), 1);

    let earlier = ago(&agent, agent.blank(), 2 * 3600 + 100);
    assert_eq!(agent.memory_of(earlier, "latest").await.unwrap(), "remember the milk\n");
    let too_early = ago(&agent, agent.blank(), 90_000);
    let error = agent.memory_of(too_early, "latest").await.unwrap_err();
    assert_eq!(error.code(), "B2_SNAPSHOT_NOT_FOUND");
}

#[tokio::test]
async fn an_overwritten_bucket_reads_as_before() {
    let (agent, [first, _]) = attacked(Some(b"junk of somebody else")).await;
    let damaged = agent.memory_of(agent.blank(), &first).await.unwrap_err();
    assert_eq!(damaged.code(), "B2_DAMAGED");
    // A key that may not delete, as on the machine that is backed up, is enough.
    agent.server.revoke(&["deleteFiles", "writeFiles"]);
    let mut settings = ago(&agent, agent.blank(), 3700);
    // Without writeFiles B2's own word about the key would end it; a plain server has none.
    settings.store.endpoint = settings.store.b2_api_url.clone();
    assert_eq!(agent.memory_of(settings, &first).await.unwrap(), "remember the milk\n");
}

#[tokio::test]
async fn what_was_can_only_be_read() {
    let (agent, _) = attacked(None).await;
    agent.write("workspace/MEMORY.md", "new");
    let before = agent.server.store().calls().len();
    let session = agent.try_session(ago(&agent, agent.settings.clone(), 3700)).await.unwrap();
    let pushed = ops::push(
        &session,
        crate::support::machine::push_options(b2_backup::format::Reason::Manual),
    )
    .await;
    assert_eq!(pushed.unwrap_err().code(), "B2_CONFIG");
    let calls = agent.server.store().calls();
    let write = |call: &b2_backup::store::memory::Call| {
        use b2_backup::store::memory::Operation::{Delete, Put};
        matches!(call.operation, Put | Delete)
    };
    assert!(!calls[before..].iter().any(write));
    let mut folder = ago(&agent, agent.blank(), 1);
    folder.store.bucket = url_of(&agent.path("disk"));
    let session = agent.try_session(folder).await.unwrap();
    let error = ops::list(&session).await.unwrap_err();
    assert!(
        error.code() == "B2_CONFIG" && error.to_string().contains("keeps no versions"),
        "{error}"
    );
}
