//! What B2 says about the key.

use std::time::{Duration, SystemTime};

use super::chart::Chart;
use crate::engine::session::Ambient;
use crate::error::Error;
use crate::store::b2::{
    DiscoveryRequest, KeyFacts, REQUIRED, ask, check_bucket, check_prefix, place,
};
use crate::store::s3::S3Config;

const SOON: Duration = Duration::from_hours(30 * 24);
const VERY_SOON: Duration = Duration::from_hours(7 * 24);

/// What a thief of the key could do to the account with it, and no backup needs.
const TOO_MUCH: [&str; 7] = [
    "writeKeys",
    "deleteKeys",
    "writeBuckets",
    "deleteBuckets",
    "bypassGovernance",
    "writeBucketRetentions",
    "writeBucketLifecycleRules",
];

/// Facts about the key, and endpoint and region of the account; `None` where it is of no use to go on.
pub(super) async fn check(
    request: &DiscoveryRequest,
    s3: &S3Config,
    ambient: &Ambient,
    chart: &mut Chart,
) -> Option<(KeyFacts, String, String)> {
    let facts = match ask(request, s3.retry, &ambient.clock, &ambient.entropy).await {
        Ok(facts) => facts,
        Err(error) => {
            chart.error(
                if matches!(error, Error::Network { .. }) { "server" } else { "key" },
                &error,
            );
            return None;
        }
    };
    let (endpoint, region) = match place(request, &facts) {
        Ok(place) => place,
        Err(error) => {
            chart.error("server", &error);
            return None;
        }
    };
    chart.ok("server", format!("Backblaze B2 answers; the account is in {region}"));
    capabilities(&facts, chart);
    expiry(&facts, ambient.clock.now(), chart);
    scope(request, &facts, chart);
    Some((facts, endpoint, region))
}

fn capabilities(facts: &KeyFacts, chart: &mut Chart) {
    let missing: Vec<_> = REQUIRED.iter().filter(|(name, _)| !facts.may(name)).collect();
    for (name, need) in &missing {
        let message = format!("the key lacks {name}: it cannot {need}");
        chart.problem("capabilities", "B2_CAPABILITY", message, CAPABILITIES);
    }
    if missing.is_empty() {
        chart.ok("capabilities", "the key may list, read and write");
    }
    if !facts.may("deleteFiles") {
        let message = "the key may not delete (no deleteFiles): whoever steals it can hide and overwrite, but \
                       nothing is lost; prune hides instead of deleting";
        let advice =
            "Good on the machine that is backed up. Have a lifecycle rule free what is hidden";
        chart.note("capabilities", message, advice);
    }
    let too_much: Vec<&str> = TOO_MUCH.into_iter().filter(|name| facts.may(name)).collect();
    if !too_much.is_empty() {
        let message = format!("the key may do more than backups need: {}", too_much.join(", "));
        chart.note("capabilities", message, "Make a key that has only what docs/bucket.md lists");
    }
}

const CAPABILITIES: &str = "Make a key with listBuckets, listFiles, readFiles and writeFiles (and deleteFiles where \
                            it is to prune): with the b2 command, since the web pages only offer \"read and write\"";

fn expiry(facts: &KeyFacts, now: SystemTime, chart: &mut Chart) {
    let Some(expires) = facts.expires else { return };
    let date = jiff::Timestamp::try_from(expires).unwrap_or_default();
    let message = format!("the key ends at {}", date.strftime("%Y-%m-%d %H:%M UTC"));
    let left = expires.duration_since(now).unwrap_or_default();
    let make = "Make a new key in time. Where the old one encrypts, keep it or set a passphrase: it still opens old snapshots";
    if left < VERY_SOON {
        chart.problem("expiry", "B2_CREDENTIALS", message, make);
    } else if left < SOON {
        chart.note("expiry", message, make);
    } else {
        chart.ok("expiry", message);
    }
}

fn scope(request: &DiscoveryRequest, facts: &KeyFacts, chart: &mut Chart) {
    for failed in [check_bucket(request, facts), check_prefix(request, facts)] {
        if let Err(error) = failed {
            chart.error("scope", &error);
        }
    }
    if facts.buckets.is_none() {
        let message = "the key opens every bucket of the account";
        chart.note("scope", message, "Make a key that is restricted to this bucket");
    } else if chart.0.iter().all(|finding| finding.check != "scope") {
        let within = match facts.name_prefix.as_str() {
            "" => String::new(),
            prefix => format!(", and to names that start with {prefix:?}"),
        };
        chart.ok("scope", format!("the key is restricted to bucket {}{within}", request.bucket));
    }
}
