//! Each row of the start-up check, against a server that plays B2's native API.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::clock::{TestClock, Zeros};
use crate::support::scripted::{Canned, Scripted};
use crate::support::system::url_of;
use b2_backup::ambient::{Clock, Entropy};
use b2_backup::error::{Error, Result};
use b2_backup::secret::Secret;
use b2_backup::store::b2::{Discovery, DiscoveryRequest, discover};
use b2_backup::store::open::{StoreConfig, open};
use b2_backup::store::s3::RetryPolicy;
use serde_json::{Value, json};

const KEY_ID: &str = "0044aa9865d6f0000000000b0";
const ALL: [&str; 5] = ["listBuckets", "listFiles", "readFiles", "writeFiles", "deleteFiles"];

fn account(s3_url: &str, allowed: &Value, expires: &Value) -> Canned {
    let body = json!({
        "accountId": "4aa9865d6f00", "authorizationToken": "geheimes-token",
        "applicationKeyExpirationTimestamp": expires,
        "apiInfo": {"storageApi": {"apiUrl": "https://api004.backblazeb2.com", "s3ApiUrl": s3_url,
            "recommendedPartSize": 100_000_000, "allowed": allowed}},
    });
    Canned::new(200, body.to_string())
}

fn good() -> Canned {
    account("https://s3.us-west-004.backblazeb2.com", &allowed(&json!(null), &ALL), &json!(null))
}

fn allowed(name_prefix: &Value, capabilities: &[&str]) -> Value {
    json!({"buckets": [{"id": "1", "name": "bkt"}], "capabilities": capabilities, "namePrefix": name_prefix})
}

fn request(server: &Scripted) -> DiscoveryRequest {
    DiscoveryRequest {
        api_url: server.url(),
        key_id: KEY_ID.into(),
        application_key: Secret::new("K004geheim".into()),
        bucket: "bkt".into(),
        prefix: "agent/1".into(),
        region: None,
        trusted_hosts: Vec::new(),
    }
}

async fn ask(request: &DiscoveryRequest) -> Result<Discovery> {
    let clock: Arc<dyn Clock> = TestClock::ahead(0);
    let entropy: Arc<dyn Entropy> = Arc::new(Zeros);
    discover(request, RetryPolicy::short(), &clock, &entropy).await
}

async fn answered(answer: Canned) -> Result<Discovery> {
    let server = Scripted::start([answer]).await;
    ask(&request(&server)).await
}

fn says(error: &Error, code: &str, words: &str) {
    assert_eq!(error.code(), code, "{error}");
    let text = error.to_string();
    assert!(text.contains(words), "{text:?} does not say {words:?}");
    assert!(!text.contains("geheim") && !format!("{error:?}").contains("geheim"));
}

#[tokio::test]
async fn a_good_key_is_discovered() {
    let server = Scripted::start([good()]).await;
    let found = ask(&request(&server)).await.unwrap();
    assert_eq!(found.endpoint, "https://s3.us-west-004.backblazeb2.com");
    assert_eq!((found.region.as_str(), found.capabilities.len()), ("us-west-004", 5));
    assert!(found.warnings.is_empty());
    let call = server.requests().remove(0);
    assert_eq!(
        (call.method.as_str(), call.target.as_str()),
        ("GET", "/b2api/v4/b2_authorize_account")
    );
    assert_eq!(
        call.header("authorization"),
        "Basic MDA0NGFhOTg2NWQ2ZjAwMDAwMDAwMDBiMDpLMDA0Z2VoZWlt"
    );
}

#[tokio::test]
async fn the_master_key_is_refused_unasked() {
    let server = Scripted::start([good()]).await;
    let request = DiscoveryRequest { key_id: "4aa9865d6f00".into(), ..request(&server) };
    says(&ask(&request).await.unwrap_err(), "B2_CREDENTIALS", "master key");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn refusals_are_named() {
    let refusal = |status: u16, code: &str, message: &str| {
        Canned::new(status, json!({"status": status, "code": code, "message": message}).to_string())
    };
    let error = answered(refusal(401, "unauthorized", "")).await.unwrap_err();
    says(&error, "B2_CREDENTIALS", "deleted, expired or mistyped");
    let error = answered(refusal(401, "email_not_verified", "Verify your mail")).await.unwrap_err();
    says(&error, "B2_CREDENTIALS", "Verify your mail");
    let error = answered(refusal(403, "transaction_cap_exceeded", "Cap hit")).await.unwrap_err();
    says(&error, "B2_CAP_EXCEEDED", "Caps & Alerts");
    says(
        &answered(refusal(400, "bad_request", "no")).await.unwrap_err(),
        "B2_STORE",
        "bad_request",
    );
    says(&answered(Canned::new(403, "<html>")).await.unwrap_err(), "B2_STORE", "proxy");
    says(
        &answered(Canned::new(302, "").header("location", "https://h")).await.unwrap_err(),
        "B2_STORE",
        "302",
    );
    for garbage in ["", "{}", "<html>", "{\"authorizationToken\": \"geheim"] {
        says(
            &answered(Canned::new(200, garbage)).await.unwrap_err(),
            "B2_STORE",
            "not the expected answer",
        );
    }
}

#[tokio::test]
async fn trouble_that_passes_is_retried() {
    let busy =
        || Canned::new(503, "{\"status\":503,\"code\":\"service_unavailable\",\"message\":\"\"}");
    let server = Scripted::start([busy(), Canned::close(), good()]).await;
    ask(&request(&server)).await.unwrap();
    let server = Scripted::start([busy(), busy(), busy()]).await;
    says(&ask(&request(&server)).await.unwrap_err(), "B2_NETWORK", "503");
}

#[tokio::test]
async fn an_unexpected_s3_host_gets_no_data() {
    for url in [
        "https://s3.us-west-004.backblazeb2.com.evil.com",
        "https://evil.com",
        "http://s3.us-west-004.backblazeb2.com",
        "http://127.0.0.1:9",
        "nonsense",
    ] {
        let error =
            answered(account(url, &allowed(&json!(null), &ALL), &json!(null))).await.unwrap_err();
        says(&error, "B2_BUCKET", "not sending data there");
    }
    let server = Scripted::start([account(
        "http://127.0.0.1:9",
        &allowed(&json!(null), &ALL),
        &json!(null),
    )])
    .await;
    let request =
        DiscoveryRequest { trusted_hosts: vec!["127.0.0.1:9".into()], ..request(&server) };
    assert_eq!(ask(&request).await.unwrap().endpoint, "http://127.0.0.1:9");
}

#[tokio::test]
async fn region_bucket_and_prefix_must_fit() {
    let server = Scripted::start([good(), good(), good()]).await;
    let base = request(&server);
    let elsewhere = DiscoveryRequest { region: Some("us-east-005".into()), ..base.clone() };
    says(
        &ask(&elsewhere).await.unwrap_err(),
        "B2_CONFIG",
        "belongs to us-west-004, configured is us-east-005",
    );
    let here = DiscoveryRequest { region: Some("us-west-004".into()), ..base.clone() };
    ask(&here).await.unwrap();
    let other = DiscoveryRequest { bucket: "other".into(), ..base };
    says(
        &ask(&other).await.unwrap_err(),
        "B2_BUCKET",
        "limited to bkt; bucket other is not among them",
    );

    let url = "https://s3.us-west-004.backblazeb2.com";
    for open in [
        json!({"buckets": null, "capabilities": ALL}),
        json!({"buckets": [{"id": "1", "name": null}], "capabilities": ALL}),
    ] {
        answered(account(url, &open, &json!(null))).await.unwrap();
    }
    for fits in ["", "agent/", "agent/1/", "age"] {
        answered(account(url, &allowed(&json!(fits), &ALL), &json!(null))).await.unwrap();
    }
    for wrong in ["agent/2/", "agent/1/sub/", "agent/11"] {
        let error =
            answered(account(url, &allowed(&json!(wrong), &ALL), &json!(null))).await.unwrap_err();
        says(&error, "B2_CONFIG", &format!("set prefix to {:?}", wrong.trim_end_matches('/')));
    }
}

#[tokio::test]
async fn missing_capabilities_are_named() {
    let url = "https://s3.us-west-004.backblazeb2.com";
    for missing in &ALL[..4] {
        let rest: Vec<_> = ALL.into_iter().filter(|name| name != missing).collect();
        let error =
            answered(account(url, &allowed(&json!(null), &rest), &json!(null))).await.unwrap_err();
        says(&error, "B2_CAPABILITY", &format!("lacks {missing}, needed to"));
    }
    let found =
        answered(account(url, &allowed(&json!(null), &ALL[..4]), &json!(null))).await.unwrap();
    assert!(found.warnings.len() == 1 && found.warnings[0].contains("deleteFiles"));
}

#[tokio::test]
async fn a_key_about_to_expire_is_a_warning() {
    let url = "https://s3.us-west-004.backblazeb2.com";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let in_days = |days: u64| {
        let at = now + Duration::from_hours(24 * days);
        json!(u64::try_from(at.as_millis()).unwrap())
    };
    let found = answered(account(url, &allowed(&json!(null), &ALL), &in_days(3))).await.unwrap();
    assert!(found.warnings[0].contains("expires at"), "{:?}", found.warnings);
    let found = answered(account(url, &allowed(&json!(null), &ALL), &in_days(30))).await.unwrap();
    assert!(found.warnings.is_empty());
}

#[tokio::test]
async fn open_asks_b2_once_and_leaves_the_bucket_to_the_first_listing() {
    let bucket = Scripted::start([]).await;
    let api = Scripted::start([account(
        &bucket.url(),
        &allowed(&json!("agent/"), &ALL[..4]),
        &json!(null),
    )])
    .await;
    let config = StoreConfig {
        bucket: "bkt".into(),
        key_id: Some(KEY_ID.into()),
        application_key: Some(Secret::new("K004geheim".into())),
        prefix: "agent/1".into(),
        b2_api_url: Some(api.url()),
        trusted_hosts: vec![bucket.authority()],
        retry: Some(RetryPolicy::short()),
        ..StoreConfig::default()
    };
    let opened = open(&config, TestClock::ahead(0), Arc::new(Zeros)).await.unwrap();
    assert_eq!(opened.warnings.len(), 1);
    assert_eq!(opened.store.identity(), format!("{}/bkt/agent/1", bucket.url()));
    assert_eq!(bucket.requests().len(), 0);
    assert_eq!(api.requests().len(), 1);
    let dir = tempfile::tempdir().unwrap();
    let folder =
        StoreConfig { bucket: url_of(dir.path()), prefix: "a".into(), ..StoreConfig::default() };
    open(&folder, TestClock::ahead(0), Arc::new(Zeros)).await.unwrap();
}
