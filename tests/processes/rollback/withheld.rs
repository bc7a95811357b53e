//! What is not in a snapshot comes from here when it is rolled back to.

use std::fs;
use std::sync::Arc;

use b2_backup::ops::Outcome;
use b2_backup::secret::Secret;

use super::trouble::Refuses;
use super::{Place, applied, lines, to};
use crate::support::plain::write;

const KEY: &str = "K004ownApplicationKey/0123456789";

fn config(key: &str, word: &str) -> String {
    format!(
        "{{ // {word}\n  plugins: {{ entries: {{ 'b2-backup': {{ config: {{ applicationKey: '{key}' }} }} }} }},\n  \
         a: '{word}',\n}}\n"
    )
}

fn encrypted() -> Place {
    let mut place = Place::new();
    place.machine.settings.encrypt = true;
    place.machine.settings.store.application_key = Some(Secret::new(KEY.into()));
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn our_key_comes_back_from_here() {
    let place = encrypted();
    write(&place.live, "openclaw.json", config(KEY, "then"));
    write(&place.live, "openclaw.json.bak", config(KEY, "before"));
    let snapshot = place.push().await;
    // Nothing is different, although the snapshot has other bytes.
    assert_eq!(lines(&place.plan(&to(&snapshot)).await.unwrap()), [""; 0]);
    assert!(place.machine.diff(&snapshot, "live").await.unwrap().entries.is_empty());
    write(&place.live, "openclaw.json", config(KEY, "now"));
    write(&place.live, "openclaw.json.bak", config(KEY, "later"));
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    assert_eq!(lines(&plan), ["replace openclaw.json", "replace openclaw.json.bak"]);
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    let read = |name: &str| fs::read_to_string(place.live.join(name)).unwrap();
    assert_eq!(read("openclaw.json"), config(KEY, "then"));
    assert_eq!(read("openclaw.json.bak"), config(KEY, "before"));
    applied(&place.undo().await.unwrap());
    assert_eq!(read("openclaw.json"), config(KEY, "now"));
    assert_eq!(read("openclaw.json.bak"), config(KEY, "later"));
}

/// A file system that takes no times takes what is put back all the same.
#[tokio::test(flavor = "multi_thread")]
async fn our_key_comes_back_where_times_are_refused() {
    let mut place = encrypted();
    write(&place.live, "openclaw.json", config(KEY, "then"));
    write(&place.live, "openclaw.json.bak", config(KEY, "before"));
    let snapshot = place.push().await;
    write(&place.live, "openclaw.json.bak", config(KEY, "later"));
    place.machine.steps = Arc::new(Refuses(&["set time of"]));
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    assert_eq!(report.outcome, Outcome::Applied);
    let failed: Vec<&str> = report.failed.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(failed, ["B2_REFUSED"], "{report:?}");
    let path = &report.failed[0].path;
    assert!(path.ends_with("state/openclaw.json.bak"), "{path}");
    let text = fs::read_to_string(place.live.join("openclaw.json.bak")).unwrap();
    assert_eq!(text, config(KEY, "before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_here_either_is_told() {
    let place = encrypted();
    write(&place.live, "openclaw.json", config(KEY, "then"));
    write(&place.live, "openclaw.json.bak", config(KEY, "before"));
    let snapshot = place.push().await;
    // The key comes from elsewhere now.
    write(
        &place.live,
        "openclaw.json",
        "{ plugins: { entries: { 'b2-backup': { config: {} } } } }",
    );
    fs::remove_file(place.live.join("openclaw.json.bak")).unwrap();
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    applied(&report);
    let told: Vec<_> =
        report.warnings.iter().filter(|warning| warning.contains("placeholders")).collect();
    assert_eq!(told.len(), 1, "{:?}", report.warnings);
    assert!(told[0].starts_with("openclaw.json.bak: 1 of its secrets"), "{told:?}");
    let main = fs::read_to_string(place.live.join("openclaw.json")).unwrap();
    assert!(main.contains("then") && !main.contains("__B2_BACKUP"), "{main}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_encryption_all_secrets_of_the_configuration_come_from_here() {
    let place = Place::new();
    let config = |token: &str, word: &str| {
        format!("{{ channels: {{ telegram: {{ botToken: '{token}', name: '{word}' }} }} }}")
    };
    write(&place.live, "openclaw.json", config("secret-then", "then"));
    write(&place.live, "workspace/.env", "TOKEN=secret-env");
    let snapshot = place.push().await;
    write(&place.live, "openclaw.json", config("secret-now", "now"));
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    let read = |name: &str| fs::read_to_string(place.live.join(name)).unwrap();
    assert_eq!(read("openclaw.json"), config("secret-now", "then"));
    // A file that such a snapshot cannot have is none that was planted since.
    let plan = place.plan(&super::exactly(&snapshot)).await.unwrap();
    assert!(!lines(&plan).iter().any(|line| line.contains(".env")), "{:?}", lines(&plan));
    assert_eq!(read("workspace/.env"), "TOKEN=secret-env");
}

/// Without encryption a snapshot has a placeholder for it, so the file that was set aside is the last that has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_only_the_replaced_configuration_has_stays() {
    let place = Place::new();
    let token = "secret-that-is-nowhere-else";
    write(&place.live, "openclaw.json", "{ a: 1 }");
    let snapshot = place.push().await;
    let later = format!("{{ a: 2, channels: {{ telegram: {{ botToken: '{token}' }} }} }}");
    write(&place.live, "openclaw.json", &later);
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    for _ in 0..2 {
        let report = place.machine.push().await.unwrap();
        let told = report.warnings.iter().find(|told| told.contains("openclaw.json"));
        let told = told.unwrap_or_else(|| panic!("{:?}", report.warnings));
        let (_, rest) = told.split_once("stays in ").unwrap();
        let (old, _) = rest.split_once(": openclaw.json").unwrap();
        let kept = fs::read_dir(old).unwrap().map(|entry| entry.unwrap().path());
        let kept: Vec<String> = kept.filter_map(|path| fs::read_to_string(path).ok()).collect();
        assert!(kept.contains(&later), "{kept:?}");
    }
}
