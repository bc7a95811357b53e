//! What the doctor finds.

use b2_backup::ops::{DoctorOptions, DoctorReport, Finding, Level, Settings, doctor};
use b2_backup::store::{ObjectKey, ObjectStore};

use super::Agent;
use crate::support::b2_server::KEY;
use crate::support::system::url_of;

async fn look_with(agent: &Agent, settings: Settings, write: bool) -> DoctorReport {
    let report = doctor(settings, agent.ambient(), DoctorOptions { write }).await.unwrap();
    let text = format!("{report:?}");
    assert!(!text.contains(KEY) && !text.contains("correct horse"), "a secret is in {text}");
    for Finding { check, level, code, message, advice } in &report.findings {
        assert_eq!(*level == Level::Problem, code.is_some(), "{check}: {message}");
        let advised = advice.as_ref().is_some_and(|advice| !advice.is_empty());
        assert!(*level != Level::Problem || advised, "{check}: {message} without advice");
    }
    report
}

async fn look(agent: &Agent) -> DoctorReport {
    look_with(agent, agent.settings.clone(), false).await
}

/// `check level`, in order.
fn outline(report: &DoctorReport) -> Vec<String> {
    report.findings.iter().map(|one| format!("{} {}", one.check, one.level.name())).collect()
}

#[track_caller]
fn says(report: &DoctorReport, check: &str, level: Level, words: &str) {
    let fits = |one: &&Finding| {
        one.check == check
            && one.level == level
            && (one.message.contains(words) || one.code == Some(words))
    };
    assert!(
        report.findings.iter().any(|one| fits(&one)),
        "no {check} {level:?} {words:?} in {report:#?}"
    );
}

#[tokio::test]
async fn all_is_well() {
    let agent = Agent::new().await;
    agent.server.set(|rules| {
        rules.lifecycle = Some(
            "<LifecycleConfiguration><Rule><Filter><Prefix>p/</Prefix></Filter><Status>Enabled</Status>
            <NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>",
        );
    });
    let before = outline(&look(&agent).await);
    assert!(before.contains(&"newest note".to_owned()), "{before:?}");
    agent.push().await;
    let report = look(&agent).await;
    let expected = [
        "encryption ok",
        "state ok",
        "memory ok",
        "disk ok",
        "modes ok",
        "server ok",
        "capabilities ok",
        "scope ok",
        "bucket ok",
        "clock ok",
        "lifecycle ok",
        "versions ok",
        "keys ok",
        "newest ok",
    ];
    let looked: Vec<_> =
        outline(&report).into_iter().filter(|line| !line.starts_with("disk")).collect();
    assert_eq!(
        looked,
        expected.into_iter().filter(|line| !line.starts_with("disk")).collect::<Vec<_>>()
    );
    assert_eq!(report.problems(), 0);
    says(&report, "keys", Level::Ok, "1 of a passphrase");
    says(&report, "newest", Level::Ok, "opens with the secret at hand");
    // Nothing is written, here or there.
    let own: Vec<_> =
        std::fs::read_dir(agent.settings.state_dir.join("b2-backup")).unwrap().collect();
    assert!(own.iter().all(|entry| entry.as_ref().unwrap().file_name() != "doctor"));
    assert!(agent.server.requests().iter().all(|request| !request.contains("doctor")));
}

#[tokio::test]
async fn a_key_that_lacks_something_is_examined_as_far_as_it_goes() {
    let agent = Agent::new().await;
    agent.push().await;
    agent.server.revoke(&[
        "listBuckets",
        "writeFiles",
        "deleteFiles",
        "readBucketLifecycleRules",
        "readBucketRetentions",
    ]);
    let report = look(&agent).await;
    assert_eq!(report.problems(), 2, "{report:#?}");
    says(
        &report,
        "capabilities",
        Level::Problem,
        "lacks listBuckets: it cannot tell absent objects",
    );
    says(&report, "capabilities", Level::Problem, "lacks writeFiles");
    says(&report, "capabilities", Level::Note, "may not delete");
    says(&report, "lifecycle", Level::Note, "may not read lifecycle rules");
    says(&report, "newest", Level::Ok, "");
    agent.server.revoke(&["listFiles"]);
    let report = look(&agent).await;
    says(&report, "bucket", Level::Problem, "B2_CAPABILITY");
    says(&report, "lifecycle", Level::Note, "");
    agent.server.set(|rules| {
        rules.capabilities.extend([
            "listBuckets",
            "listFiles",
            "writeFiles",
            "bypassGovernance",
            "writeKeys",
        ]);
    });
    agent.server.set(|rules| rules.restricted = false);
    let report = look(&agent).await;
    says(&report, "capabilities", Level::Note, "writeKeys, bypassGovernance");
    says(&report, "scope", Level::Note, "every bucket");
}

#[tokio::test]
async fn keys_that_do_not_fit_are_named() {
    let agent = Agent::new().await;
    let in_days = |days: i64| {
        let now = jiff::Timestamp::now().as_millisecond() + days * 24 * 3_600_000;
        Some(u64::try_from(now).unwrap())
    };
    agent.server.set(|rules| (rules.expires, rules.name_prefix) = (in_days(3), "other/"));
    let report = look(&agent).await;
    says(&report, "expiry", Level::Problem, "the key ends at");
    says(&report, "scope", Level::Problem, "set prefix to \"other\"");
    says(&report, "bucket", Level::Problem, "Not Entitled");
    agent.server.set(|rules| (rules.expires, rules.name_prefix) = (in_days(20), ""));
    says(&look(&agent).await, "expiry", Level::Note, "the key ends at");

    let mut settings = agent.settings.clone();
    settings.store.bucket = "another".into();
    says(
        &look_with(&agent, settings.clone(), false).await,
        "scope",
        Level::Problem,
        "limited to bkt",
    );
    settings.store.key_id = Some("4aa9865d6f00".into());
    says(&look_with(&agent, settings.clone(), false).await, "key", Level::Problem, "master key");
    settings.store.key_id = Some("0044aa9865d6f0000000000ff".into());
    says(
        &look_with(&agent, settings.clone(), false).await,
        "key",
        Level::Problem,
        "B2_CREDENTIALS",
    );
    settings.store.region = Some("not a region".into());
    says(&look_with(&agent, settings.clone(), false).await, "settings", Level::Problem, "region");
    settings.store.region = None;
    settings.store.b2_api_url = Some("http://127.0.0.1:1".into());
    says(&look_with(&agent, settings, false).await, "server", Level::Problem, "B2_NETWORK");
    agent.server.set(|rules| rules.cap = Some("transaction"));
    says(&look(&agent).await, "key", Level::Problem, "B2_CAP_EXCEEDED");
}

#[tokio::test]
async fn the_clock_and_the_rules_of_the_bucket_are_looked_at() {
    let agent = Agent::new().await;
    agent.push().await;
    agent.server.set(|rules| {
        rules.ahead = 1200;
        rules.lifecycle = Some(
            "<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration><Days>90</Days></Expiration>
            <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>",
        );
        rules.lock = Some(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>
            <Mode>GOVERNANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
        );
    });
    let report = look(&agent).await;
    let clock = report.findings.iter().find(|one| one.check == "clock").unwrap();
    // The second in which the question was asked may be over when it is answered.
    assert!(clock.level == Level::Problem && clock.message.contains("s behind"), "{clock:?}");
    says(&report, "lifecycle", Level::Problem, "90 days after uploading");
    says(&report, "lifecycle", Level::Note, "after 1 days");
    says(&report, "lock", Level::Ok, "GOVERNANCE");
    agent.server.set(|rules| (rules.ahead, rules.lifecycle) = (-120, None));
    let report = look(&agent).await;
    says(&report, "clock", Level::Note, "ahead of");
    says(
        &report,
        "lifecycle",
        Level::Note,
        "no lifecycle rule deletes hidden versions: what others",
    );
    let advice =
        report.findings.iter().find(|one| one.check == "lifecycle").unwrap().advice.clone();
    assert!(advice.unwrap().contains("fileNamePrefix \"p/\""));
}

#[tokio::test]
async fn hidden_overwritten_and_lost_snapshots_are_seen() {
    let agent = Agent::new().await;
    let first = agent.push().await;
    agent.write("workspace/MEMORY.md", "and the bread");
    let second = agent.push().await;
    let name = |id: &str| ObjectKey::new(format!("p/{id}/manifest")).unwrap();
    agent.server.store().delete(&name(&second), None).await.unwrap();
    let report = look(&agent).await;
    says(&report, "versions", Level::Note, "1 objects are hidden, 1 snapshots among them");
    says(&report, "newest", Level::Problem, &format!("{second}, is gone from the bucket"));
    agent.server.store().put(&name(&first), "junk".into()).await.unwrap();
    let report = look(&agent).await;
    says(&report, "versions", Level::Note, "1 objects were written more than once");
    says(&report, "newest", Level::Problem, "B2_DAMAGED");
    agent.server.revoke(&["readFiles"]);
    says(&look(&agent).await, "newest", Level::Problem, "B2_CAPABILITY");
}

#[tokio::test]
async fn an_older_snapshot_that_is_gone_is_said_once() {
    let agent = Agent::new().await;
    let first = agent.push().await;
    agent.write("workspace/MEMORY.md", "and the bread");
    agent.push().await;
    let name = ObjectKey::new(format!("p/{first}/manifest")).unwrap();
    agent.server.store().delete(&name, None).await.unwrap();
    let report = look(&agent).await;
    says(&report, "snapshots", Level::Problem, &format!("{first} of this machine is gone"));
    let said = report.findings.iter().filter(|one| one.message.contains(&first));
    assert_eq!(said.count(), 1, "{report:?}");
}

#[tokio::test]
async fn the_secrets_at_hand_must_open_it_whatever_this_machine_remembers() {
    let agent = Agent::new().await;
    agent.push().await;
    let mut settings = agent.settings.clone();
    settings.passphrase = Some(b2_backup::secret::Secret::new("another".into()));
    says(
        &look_with(&agent, settings.clone(), false).await,
        "newest",
        Level::Problem,
        "B2_WRONG_KEY",
    );
    settings.passphrase = None;
    says(
        &look_with(&agent, settings.clone(), false).await,
        "encryption",
        Level::Note,
        "application key",
    );
    settings.encrypt = false;
    let report = look_with(&agent, settings, false).await;
    says(&report, "encryption", Level::Note, "off");
    says(&report, "newest", Level::Problem, "B2_WRONG_KEY");
}

#[tokio::test]
async fn a_write_is_only_tried_when_asked_for_and_leaves_nothing() {
    let agent = Agent::new().await;
    agent.push().await;
    let before = agent.server.store().objects();
    let report = look_with(&agent, agent.settings.clone(), true).await;
    says(&report, "write", Level::Ok, "written and read back");
    says(&report, "write", Level::Ok, "deleted again");
    assert_eq!(agent.server.store().objects(), before);
    let versions = agent.server.store().list_versions("p/doctor/").await.unwrap().unwrap();
    assert_eq!(versions, []);
    agent.server.revoke(&["deleteFiles"]);
    let report = look_with(&agent, agent.settings.clone(), true).await;
    says(&report, "write", Level::Note, "hidden, not deleted");
    assert_eq!(agent.server.store().objects(), before);
    agent.server.set(|rules| rules.cap = Some("storage"));
    let report = look_with(&agent, agent.settings.clone(), true).await;
    says(&report, "write", Level::Problem, "B2_CAP_EXCEEDED");
}

#[cfg(unix)]
#[tokio::test]
async fn this_machine_is_looked_at() {
    use std::os::unix::fs::PermissionsExt as _;
    let agent = Agent::new().await;
    agent.push().await;
    let own = agent.settings.state_dir.join("b2-backup");
    let modes: Vec<u32> = ["", "lock", "machine"]
        .map(|name| std::fs::metadata(own.join(name)).unwrap().permissions().mode() & 0o777)
        .into();
    assert_eq!(modes, [0o700, 0o600, 0o600]);
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
    let report = look(&agent).await;
    says(&report, "modes", Level::Problem, "other users");
    let settings = Settings { state_dir: agent.path("nowhere"), ..agent.settings.clone() };
    says(&look_with(&agent, settings, false).await, "state", Level::Problem, "nowhere");
}

#[tokio::test]
async fn a_folder_and_a_plain_server_are_examined_with_what_applies() {
    let agent = Agent::new().await;
    let mut settings = agent.settings.clone();
    settings.store.bucket = url_of(&agent.path("disk"));
    let report = look_with(&agent, settings.clone(), true).await;
    says(&report, "bucket", Level::Problem, "is not there");
    std::fs::create_dir(agent.path("disk")).unwrap();
    let report = look_with(&agent, settings, true).await;
    assert_eq!(report.problems(), 0, "{report:#?}");
    says(&report, "write", Level::Ok, "deleted again");
    for check in ["clock", "lifecycle", "versions", "capabilities"] {
        assert!(report.findings.iter().all(|one| one.check != check), "{check}");
    }
    let mut settings = agent.settings.clone();
    settings.store.endpoint = agent.settings.store.b2_api_url.clone();
    let report = look_with(&agent, settings, false).await;
    assert_eq!(report.problems(), 0, "{report:#?}");
    assert!(report.findings.iter().all(|one| one.check != "capabilities"));
    says(&report, "bucket", Level::Ok, "0 snapshots");
}
