//! What B2 answers, and what comes of it: the tables of errors and differences in its documentation, row by row.
//!
//! | row | tests |
//! |---|---|
//! | 503 `SlowDown` | `store_s3`: `trouble_that_passes_…`, `patience_ends_…`, `retry_after_is_honoured` |
//! | 503 "no tomes available", 500 "Please retry", 502, 504, 408, `RequestTimeout` | `store_s3`: `trouble_that_passes_…`; `s3/refusal.rs` |
//! | 429, native `too_many_requests` with `Retry-After` | `store_s3`: `trouble_that_passes_…`; here: `the_native_call_waits_as_long_as_it_is_told` |
//! | no connection, reset, cut answer, silence | `store_s3`: `a_server_that_never_answered_…`, `a_cut_download_…`, `a_stuck_upload_…`; here: `a_download_that_stands_still_is_read_again` |
//! | 400 "request body was too small" | `store_s3`: `trouble_that_passes_…` |
//! | 400 `BadDigest`, `XAmzContentSHA256Mismatch` | `store_s3`: `a_damaged_upload_…`; `s3/refusal.rs` |
//! | 403 `RequestTimeTooSkewed` | `store_s3`: `a_wrong_clock_…`; here: `a_push_with_a_wrong_clock_goes_by_the_servers` |
//! | 403 `SignatureDoesNotMatch`, `InvalidAccessKeyId` (wrong cluster, master key) | `store_s3`: `what_stays_wrong_…`; `store_b2`: `the_master_key_…`; `s3/refusal.rs` |
//! | 403 "not entitled": capability, bucket, prefix | here: `a_key_that_may_not_…`, `a_key_of_our_prefix_alone_is_enough`; `doctor`: `keys_that_do_not_fit_…` |
//! | 403 "Cannot access bucket" for what is absent | here: `forbidden_is_never_taken_for_absent` |
//! | caps, S3 and native | here: `caps_end_the_work_and_lose_nothing`, `every_native_cap_is_one`; `store_b2`: `refusals_are_named` |
//! | 404 `NoSuchBucket`, `NoSuchKey`; 404 of something else; 416 | `store_s3`: `what_stays_wrong_…`, `a_range_must_…`; `s3/refusal.rs` |
//! | 400 `InvalidArgument`, 501 | `store_s3`: `what_stays_wrong_…`; `s3/refusal.rs` |
//! | 200 with an error or something else in it | `store_s3`: `listings_that_are_none_…`; here: `an_error_with_status_200_is_no_listing` |
//! | pages, `IsTruncated` | `store_s3`: `pages_are_joined`, `versions_are_listed_…`; `as_of`: all, with pages of two |
//! | delete hides; delete of a version | `store_s3`: `deletions_name_the_version`; `undelete`: all |
//! | a repeated PUT makes a second version | `repo/versions.rs` |
//! | ETag is no checksum to rely on | here: `another_etag_is_no_error` |
//! | redirects, other endpoints, other regions | `store_s3`: `a_redirect_…`; `store_b2`: `an_unexpected_s3_host_…`, `region_bucket_and_prefix_…` |
//! | profile of a PUT: MD5, SHA-256, no checksum headers, no conditions | `store_s3`: `a_put_has_the_profile_of_b2` |
//! | lifecycle rules, object lock, hidden versions | `doctor`; `s3/rules.rs` |

use std::sync::Arc;
use std::time::Duration;

use b2_backup::ambient::{Entropy, SystemClock};
use b2_backup::ops;
use b2_backup::secret::Secret;
use b2_backup::store::b2::{DiscoveryRequest, discover};
use b2_backup::store::s3::{RetryPolicy, S3Config, S3Store};
use b2_backup::store::{ObjectKey, ObjectStore};

use super::Agent;
use crate::support::clock::{TestClock, Zeros};
use crate::support::scripted::{Canned, Scripted};

fn request(server: &Scripted) -> DiscoveryRequest {
    DiscoveryRequest {
        api_url: server.url(),
        key_id: "0044aa9865d6f0000000000b0".into(),
        application_key: Secret::new("K004geheim".into()),
        bucket: "bkt".into(),
        prefix: "p".into(),
        region: None,
        trusted_hosts: vec![],
    }
}

fn native(status: u16, code: &str) -> Canned {
    Canned::new(status, format!("{{\"status\":{status},\"code\":\"{code}\",\"message\":\"\"}}"))
}

fn store(server: &Scripted, clock: Arc<dyn b2_backup::ambient::Clock>) -> S3Store {
    let config = S3Config {
        endpoint: server.url(),
        region: "us-west-004".into(),
        bucket: "bkt".into(),
        prefix: "p".into(),
        key_id: "0044aa9865d6f0000000000b0".into(),
        application_key: Secret::new("geheim".into()),
        upload_limit: None,
        retry: RetryPolicy::short(),
        content_md5: true,
    };
    S3Store::new(config, clock, Arc::new(Zeros)).unwrap()
}

fn key() -> ObjectKey {
    ObjectKey::new("packs/x").unwrap()
}

#[tokio::test]
async fn the_native_call_waits_as_long_as_it_is_told() {
    let busy = native(429, "too_many_requests").header("retry-after", "9");
    let server = Scripted::start([busy, native(401, "unauthorized")]).await;
    let clock = TestClock::ahead(0);
    let (dynamic, entropy): (Arc<dyn b2_backup::ambient::Clock>, Arc<dyn Entropy>) =
        (Arc::<TestClock>::clone(&clock), Arc::new(Zeros));
    let policy = RetryPolicy::default();
    let error = discover(&request(&server), policy, &dynamic, &entropy).await.unwrap_err();
    assert_eq!((error.code(), clock.sleeps()), ("B2_CREDENTIALS", vec![Duration::from_secs(9)]));
}

#[tokio::test]
async fn every_native_cap_is_one() {
    for cap in ["transaction_cap_exceeded", "storage_cap_exceeded", "download_cap_exceeded"] {
        let server = Scripted::start([native(403, cap)]).await;
        let (clock, entropy): (Arc<dyn b2_backup::ambient::Clock>, Arc<dyn Entropy>) =
            (TestClock::ahead(0), Arc::new(Zeros));
        let asked = discover(&request(&server), RetryPolicy::short(), &clock, &entropy).await;
        assert_eq!(asked.unwrap_err().code(), "B2_CAP_EXCEEDED", "{cap}");
        assert_eq!(server.requests().len(), 1);
    }
}

/// Paused time runs on only while everything waits: the two minutes take none.
#[tokio::test(start_paused = true)]
async fn a_download_that_stands_still_is_read_again() {
    let server = Scripted::start([Canned::silent(), Canned::new(200, "ok")]).await;
    let store = store(&server, Arc::new(SystemClock));
    assert_eq!(store.get(&key(), 9).await.unwrap(), "ok");
    assert_eq!(store.traffic().requests, 2);
}

#[tokio::test]
async fn an_error_with_status_200_is_no_listing() {
    let error =
        || Canned::new(200, "<Error><Code>InternalError</Code><Message>x</Message></Error>");
    let server = Scripted::start([error(), error()]).await;
    let store = store(&server, TestClock::ahead(0));
    assert_eq!(store.list("", true).await.unwrap_err().code(), "B2_STORE");
    // Nor does it say that the server keeps no versions.
    assert_eq!(store.list_versions("").await.unwrap_err().code(), "B2_STORE");
}

#[tokio::test]
async fn another_etag_is_no_error() {
    // With encryption by the server, and on other servers, it is not the MD5; what arrived is proved by Content-MD5.
    let server = Scripted::start([Canned::new(200, "").header("etag", "\"0123\"")]).await;
    store(&server, TestClock::ahead(0)).put(&key(), "body".into()).await.unwrap();
    assert_eq!(server.requests()[0].header("content-md5").len(), 24);
}

#[tokio::test]
async fn a_push_with_a_wrong_clock_goes_by_the_servers() {
    let agent = Agent::new().await;
    agent.server.set(|rules| rules.ahead = 3 * 3600);
    agent.push().await;
    let report = ops::list(&agent.session().await).await.unwrap();
    assert_eq!(report.snapshots.len(), 1);
}

#[tokio::test]
async fn caps_end_the_work_and_lose_nothing() {
    let agent = Agent::new().await;
    agent.push().await;
    agent.write("workspace/MEMORY.md", "more");
    for cap in ["storage", "transaction"] {
        agent.server.set(|rules| rules.cap = Some(cap));
        let error = agent.try_push().await.unwrap_err();
        assert_eq!(error.code(), "B2_CAP_EXCEEDED", "{error}");
        assert!(error.is_retryable() && error.to_string().contains("Caps & Alerts"));
    }
    agent.server.set(|rules| rules.cap = None);
    let report = agent.try_push().await.unwrap();
    assert!(report.resumed.is_some() || report.snapshot.is_some());
    assert_eq!(agent.memory_of(agent.blank(), "latest").await.unwrap(), "more");
}

#[tokio::test]
async fn a_key_that_may_not_delete_backs_up() {
    let agent = Agent::new().await;
    agent.server.revoke(&["deleteFiles"]);
    let report = agent.try_push().await.unwrap();
    assert!(report.snapshot.is_some());
    assert!(report.warnings.iter().any(|warning| warning.contains("deleteFiles")), "{report:?}");
    assert_eq!(agent.memory_of(agent.blank(), "latest").await.unwrap(), "remember the milk\n");
}

#[tokio::test]
async fn a_key_that_may_not_do_enough_is_told_what_it_lacks() {
    for missing in ["listBuckets", "listFiles", "readFiles", "writeFiles"] {
        let agent = Agent::new().await;
        agent.server.revoke(&[missing]);
        let error = agent.try_push().await.unwrap_err();
        assert_eq!(error.code(), "B2_CAPABILITY");
        assert!(error.to_string().contains(missing), "{error}");
        assert_eq!(agent.server.requests(), ["AUTHORIZE"], "nothing is tried with it");
    }
    // A server that is not asked about the key first: the refused call names what it takes.
    for (missing, named) in [("listFiles", "listFiles"), ("writeFiles", "writeFiles")] {
        let mut agent = Agent::new().await;
        agent.settings.store.endpoint = agent.settings.store.b2_api_url.clone();
        agent.server.revoke(&[missing]);
        let error = agent.try_push().await.unwrap_err();
        assert_eq!(error.code(), "B2_CAPABILITY");
        assert!(error.to_string().contains(named), "{error}");
        assert!(agent.objects().is_empty());
    }
}

#[tokio::test]
async fn forbidden_is_never_taken_for_absent() {
    let mut agent = Agent::new().await;
    let snapshot = agent.push().await;
    agent.settings.store.endpoint = agent.settings.store.b2_api_url.clone();
    agent.server.revoke(&["listBuckets"]);
    let session = agent.session().await;
    let gone = "2019-01-01T00-00-00Z-00000000";
    let missing = agent.memory_of(agent.blank(), gone).await.unwrap_err();
    assert_eq!(missing.code(), "B2_CAPABILITY", "{missing}");
    // A pack that cannot be asked for is not one that is gone: no damage is reported.
    agent.server.revoke(&["readFiles"]);
    let verified = ops::verify(&session, ops::VerifyOptions { reading: ops::Reading::All }).await;
    match verified {
        Err(error) => assert_eq!(error.code(), "B2_CAPABILITY"),
        Ok(report) => {
            let codes: Vec<_> = report.problems.iter().map(|one| one.code).collect();
            assert!(
                !codes.is_empty() && codes.iter().all(|code| *code == "B2_CAPABILITY"),
                "{report:?}"
            );
        }
    }
    assert_eq!(
        agent.memory_of(agent.blank(), &snapshot).await.unwrap_err().code(),
        "B2_CAPABILITY"
    );
}

#[tokio::test]
async fn a_key_of_our_prefix_alone_is_enough() {
    let agent = Agent::new().await;
    agent.server.set(|rules| (rules.name_prefix, rules.page) = ("p/", 1));
    agent.push().await;
    agent.write("workspace/MEMORY.md", "second");
    agent.push().await;
    assert_eq!(agent.memory_of(agent.blank(), "latest").await.unwrap(), "second");
    assert_eq!(ops::status(&agent.session().await).await.unwrap().snapshots, 2);
}
