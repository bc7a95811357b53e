//! What the bucket does with objects by itself.

use super::chart::{Chart, advice};
use crate::engine::session::Settings;
use crate::error::{Error, Result};
use crate::store::b2::KeyFacts;
use crate::store::{LifecycleRule, ObjectLock, ObjectStore, Setting};

/// With fewer days there is little time to notice that somebody hid or overwrote things.
const SHORT_DAYS: u32 = 7;
/// What docs/bucket.md recommends.
const RECOMMENDED: &str = "Set this lifecycle rule for the bucket: fileNamePrefix \"PREFIX/\", \
                           daysFromHidingToDeleting 30, daysFromUploadingToHiding empty. It frees what is hidden, \
                           and leaves 30 days to notice and undelete";

pub(super) async fn check(
    settings: &Settings,
    store: &dyn ObjectStore,
    facts: Option<&KeyFacts>,
    chart: &mut Chart,
) -> Result<()> {
    if matches!(settings.store.folder(), Ok(Some(_))) {
        return Ok(());
    }
    let rules = match store.bucket_rules().await {
        Ok(rules) => rules,
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        Err(error) => {
            let text = format!("the rules of the bucket cannot be read: {error}");
            chart.note("lifecycle", text, advice(&error));
            return Ok(());
        }
    };
    let prefix = &settings.store.prefix;
    match rules.lifecycle {
        Setting::Known(rules) => lifecycle(&rules, prefix, facts, chart),
        Setting::Forbidden => {
            let message = "the key may not read lifecycle rules (readBucketLifecycleRules), which backups do not need";
            let advice = "Look in the web pages, at Lifecycle Settings: no rule may hide objects, one should delete hidden ones";
            chart.note("lifecycle", message, advice);
        }
        Setting::Unknown => {}
    }
    match rules.lock {
        Setting::Known(lock) => locked(lock.as_ref(), chart),
        Setting::Forbidden | Setting::Unknown => {}
    }
    Ok(())
}

fn lifecycle(rules: &[LifecycleRule], prefix: &str, facts: Option<&KeyFacts>, chart: &mut Chart) {
    let ours: Vec<&LifecycleRule> = rules.iter().filter(|rule| rule.touches(prefix)).collect();
    for rule in ours.iter().filter(|rule| rule.hides()) {
        let when = match rule.hides_after_days {
            Some(days) => format!("{days} days after uploading"),
            None => "from a date on".to_owned(),
        };
        let message = format!(
            "a lifecycle rule hides everything that starts with {:?} {when}: snapshots that are still in use would be \
             lost bit by bit",
            rule.prefix
        );
        chart.problem(
            "lifecycle",
            "B2_BUCKET",
            message,
            "Remove daysFromUploadingToHiding (Expiration) from it",
        );
    }
    let deleting = ours.iter().filter(|rule| rule.covers(prefix));
    match deleting.filter_map(|rule| rule.deletes_hidden_after_days).min() {
        None => {
            let message = if facts.is_some_and(|facts| facts.may("deleteFiles")) {
                "no lifecycle rule deletes hidden versions: what others hide or overwrite is paid for until it is deleted"
            } else {
                "no lifecycle rule deletes hidden versions: what a key without deleteFiles hides is paid for for ever"
            };
            chart.note("lifecycle", message, RECOMMENDED.replace("PREFIX", prefix));
        }
        Some(days) if days < SHORT_DAYS => {
            let message = format!(
                "hidden versions are deleted after {days} days: so long what somebody hid or overwrote can be brought back"
            );
            chart.note("lifecycle", message, RECOMMENDED.replace("PREFIX", prefix));
        }
        Some(days) => {
            chart.ok(
                "lifecycle",
                format!("hidden versions are deleted after {days} days, and nothing else is"),
            );
        }
    }
}

fn locked(lock: Option<&ObjectLock>, chart: &mut Chart) {
    match lock {
        None => {}
        Some(ObjectLock { mode: Some(mode), days: Some(days) }) => {
            let message = format!(
                "object lock ({mode}) keeps everything for {days} days: prune cannot free it earlier"
            );
            chart.ok("lock", message);
        }
        Some(_) => chart.ok(
            "lock",
            "object lock is on, without a default retention: nothing is locked by itself",
        ),
    }
}
