//! How the S3 store behaves when the server, the line or the clock does not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::clock::{TestClock, Zeros};
use crate::support::scripted::{Canned, Scripted};
use b2_backup::ambient::{Clock, SystemClock};
use b2_backup::secret::Secret;
use b2_backup::store::s3::{RetryPolicy, S3Config, S3Store};
use b2_backup::store::{ObjectKey, ObjectStore};
use bytes::Bytes;

const EMPTY_LIST: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

fn key() -> ObjectKey {
    ObjectKey::new("packs/x").unwrap()
}

fn config(server: &Scripted, retry: RetryPolicy) -> S3Config {
    S3Config {
        endpoint: server.url(),
        region: "us-west-004".into(),
        bucket: "bkt".into(),
        prefix: "p".into(),
        key_id: "0044aa9865d6f0000000000b0".into(),
        application_key: Secret::new("geheim".into()),
        upload_limit: None,
        retry,
        content_md5: true,
    }
}

fn store_with(server: &Scripted, clock: Arc<dyn Clock>, retry: RetryPolicy) -> S3Store {
    S3Store::new(config(server, retry), clock, Arc::new(Zeros)).unwrap()
}

fn store(server: &Scripted) -> S3Store {
    store_with(server, TestClock::ahead(0), RetryPolicy::default())
}

#[tokio::test]
async fn a_put_has_the_profile_of_b2() {
    let server = Scripted::start([Canned::new(200, "")]).await;
    store(&server).put(&key(), Bytes::from_static(b"hello")).await.unwrap();
    let request = server.requests().remove(0);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/bkt/p/packs/x"));
    assert_eq!(request.body, "hello");
    assert_eq!(request.header("content-length"), "5");
    assert_eq!(request.header("content-md5"), "XUFAKrxLKna5cZ2REBfFkg==");
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(request.header("x-amz-content-sha256"), sha256);
    let scope = "/us-west-004/s3/aws4_request";
    assert!(request.header("authorization").contains(scope));
    assert!(request.header("authorization").contains("content-md5;content-type;host"));
    for absent in
        ["transfer-encoding", "referer", "expect", "if-none-match", "x-amz-sdk-checksum-algorithm"]
    {
        assert_eq!(request.header(absent), "", "{absent}");
    }
    assert!(!request.headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum")));
}

#[tokio::test]
async fn trouble_that_passes_is_retried_and_signed_anew() {
    for trouble in [
        Canned::error(503, "SlowDown", "wait"),
        Canned::error(503, "ServiceUnavailable", "no tomes available"),
        Canned::error(500, "InternalError", "Please retry your upload."),
        Canned::new(502, "<html>Bad Gateway</html>"),
        Canned::error(408, "RequestTimeout", ""),
        Canned::error(429, "TooManyRequests", ""),
        Canned::error(400, "InvalidRequest", "The request body was too small"),
        Canned::close(),
    ] {
        let lost = format!("{trouble:?}").contains("Close");
        let server = Scripted::start([trouble, Canned::new(200, "")]).await;
        let clock = TestClock::ahead(0);
        let store = store_with(&server, Arc::<TestClock>::clone(&clock), RetryPolicy::default());
        store.put(&key(), Bytes::from_static(b"abc")).await.unwrap();
        assert_eq!(clock.sleeps(), [Duration::from_secs(2)]);
        assert_eq!(store.traffic().requests, 2);
        if !lost {
            let requests = server.requests();
            assert_eq!(requests[0].body, requests[1].body);
            // Not the connection to a server that is out of order.
            assert_ne!(requests[0].connection, requests[1].connection);
            assert_eq!(store.traffic().sent_bytes, 6);
        }
    }
}

#[tokio::test]
async fn patience_ends_with_the_last_reason() {
    let server = Scripted::start((0..8).map(|_| Canned::error(503, "SlowDown", "too fast"))).await;
    let clock = TestClock::ahead(0);
    let store = store_with(&server, Arc::<TestClock>::clone(&clock), RetryPolicy::default());
    let error = store.get(&key(), 9).await.unwrap_err();
    assert_eq!(error.code(), "B2_NETWORK");
    assert!(error.to_string().contains("SlowDown: too fast"), "{error}");
    assert_eq!(clock.sleeps(), [2, 4, 8, 16, 32, 64, 64].map(Duration::from_secs));
    assert_eq!(server.requests().len(), 8);
}

/// Without a network nothing comes of patience: who has just typed a command wants to know.
#[tokio::test]
async fn a_server_that_never_answered_is_not_waited_for_long() {
    let server = Scripted::start([]).await;
    let clock = TestClock::ahead(0);
    let store = store_with(&server, Arc::<TestClock>::clone(&clock), RetryPolicy::default());
    drop(server);
    assert_eq!(store.list("", true).await.unwrap_err().code(), "B2_NETWORK");
    assert_eq!(clock.sleeps(), [2, 4, 8].map(Duration::from_secs));
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let slow = || Canned::error(503, "SlowDown", "");
    let tomorrow = SystemTime::now() + Duration::from_hours(24);
    let tomorrow = jiff::Timestamp::try_from(tomorrow)
        .unwrap()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    let answers = [
        slow().header("retry-after", "7"),
        slow().date(0).header("retry-after", &tomorrow),
        Canned::new(200, "ok"),
    ];
    let server = Scripted::start(answers).await;
    let clock = TestClock::ahead(0);
    let store = store_with(&server, Arc::<TestClock>::clone(&clock), RetryPolicy::default());
    assert_eq!(store.get(&key(), 9).await.unwrap(), "ok");
    assert_eq!(clock.sleeps(), [Duration::from_secs(7), Duration::from_mins(5)]);
}

#[tokio::test]
async fn what_stays_wrong_is_not_retried() {
    for (status, code, message, expected) in [
        (403, "AccessDenied", "Transaction cap exceeded, see the Caps page", "B2_CAP_EXCEEDED"),
        (403, "AccessDenied", "not entitled", "B2_CAPABILITY"),
        (403, "AccessDenied", "Cannot access bucket", "B2_CAPABILITY"),
        (403, "SignatureDoesNotMatch", "", "B2_CREDENTIALS"),
        (403, "InvalidAccessKeyId", "Malformed Access Key Id", "B2_CREDENTIALS"),
        (404, "NoSuchBucket", "", "B2_BUCKET"),
        (404, "NoSuchKey", "", "B2_OBJECT_MISSING"),
        (501, "NotImplemented", "", "B2_STORE"),
    ] {
        let server = Scripted::start([Canned::error(status, code, message)]).await;
        let error = store(&server).get(&key(), 9).await.unwrap_err();
        assert_eq!(error.code(), expected, "{code} {message}");
        assert_eq!(server.requests().len(), 1);
        assert!(!error.to_string().contains("geheim"));
    }
}

#[tokio::test]
async fn another_server_gets_an_md5_once_it_asks() {
    let asks = || {
        Canned::error(
            400,
            "InvalidRequest",
            "Content-MD5 OR x-amz-checksum- HTTP header is required",
        )
    };
    let server =
        Scripted::start([asks(), Canned::new(200, ""), Canned::new(200, ""), asks(), asks()]).await;
    let config = S3Config { content_md5: false, ..config(&server, RetryPolicy::default()) };
    let store = S3Store::new(config, TestClock::ahead(0), Arc::new(Zeros)).unwrap();
    store.put(&key(), Bytes::from_static(b"hello")).await.unwrap();
    store.put(&key(), Bytes::from_static(b"hello")).await.unwrap();
    let error = store.put(&key(), Bytes::from_static(b"hello")).await.unwrap_err();
    assert_eq!(error.code(), "B2_STORE", "a server that is never content is not asked for ever");
    let sent: Vec<String> =
        server.requests().iter().map(|request| request.header("content-md5").to_owned()).collect();
    let md5 = "XUFAKrxLKna5cZ2REBfFkg==";
    assert_eq!(sent, ["", md5, md5, md5, md5]);
}

#[tokio::test]
async fn a_damaged_upload_gets_one_more_chance() {
    let bad = || Canned::error(400, "BadDigest", "");
    let server = Scripted::start([bad(), Canned::new(200, "")]).await;
    store(&server).put(&key(), Bytes::from_static(b"x")).await.unwrap();
    let server = Scripted::start([bad(), bad(), Canned::new(200, "")]).await;
    assert_eq!(
        store(&server).put(&key(), Bytes::from_static(b"x")).await.unwrap_err().code(),
        "B2_STORE"
    );
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_once() {
    let skewed = || Canned::error(403, "RequestTimeTooSkewed", "").date(0);
    let server =
        Scripted::start([skewed(), Canned::new(200, "ok").date(0), Canned::new(200, "ok").date(0)])
            .await;
    let clock = TestClock::ahead(-7200);
    let store = store_with(&server, Arc::<TestClock>::clone(&clock), RetryPolicy::default());
    store.get(&key(), 9).await.unwrap();
    store.get(&key(), 9).await.unwrap();
    assert!((store.server_offset_ms() - 7_200_000).abs() < 5000);
    assert!(clock.sleeps().is_empty());
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H").to_string();
    let signed: Vec<_> =
        server.requests().iter().map(|request| request.header("x-amz-date").to_owned()).collect();
    assert!(
        !signed[0].starts_with(&now) && signed[0] < signed[1] && signed.len() == 3,
        "{signed:?}"
    );
    let server = Scripted::start([skewed(), skewed()]).await;
    let store = store_with(&server, TestClock::ahead(3600), RetryPolicy::default());
    let error = store.get(&key(), 9).await.unwrap_err();
    assert_eq!((error.code(), server.requests().len()), ("B2_CLOCK", 2));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Scripted::start([]).await;
    for status in [301, 302, 307, 308] {
        let server =
            Scripted::start([Canned::new(status, "").header("location", &other.url())]).await;
        assert_eq!(store(&server).get(&key(), 9).await.unwrap_err().code(), "B2_CONFIG");
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_cut_download_is_read_again() {
    let body = vec![5; 100_000];
    let server = Scripted::start([
        Canned::new(200, body.clone()).cut_after(70_000),
        Canned::new(200, body.clone()),
    ])
    .await;
    let store = store(&server);
    assert_eq!(store.get(&key(), 100_000).await.unwrap(), body);
    assert_eq!(store.traffic().requests, 2);
    assert!(store.traffic().received_bytes > 100_000);
}

#[tokio::test]
async fn too_much_is_not_read() {
    let server = Scripted::start([Canned::new(200, vec![5; 11])]).await;
    assert_eq!(store(&server).get(&key(), 10).await.unwrap_err().code(), "B2_STORE");
    let huge = Canned::new(500, vec![b'x'; 1_000_000]);
    let server = Scripted::start([huge, Canned::new(200, "ok")]).await;
    let store = store(&server);
    store.get(&key(), 10).await.unwrap();
    // The rest of the page was still on its way when the limit was reached.
    assert!(store.traffic().received_bytes < 1_000_000);
}

#[tokio::test]
async fn a_range_must_be_the_one_asked_for() {
    let part =
        |range: &str, body: &'static str| Canned::new(206, body).header("content-range", range);
    let ask = async |answer: Canned| {
        let server = Scripted::start([answer]).await;
        let result = store(&server).get_range(&key(), 2, 3).await;
        assert_eq!(server.requests()[0].header("range"), "bytes=2-4");
        result.map_err(|error| error.code())
    };
    assert_eq!(ask(part("bytes 2-4/9", "abc")).await.unwrap(), "abc");
    assert_eq!(ask(part("bytes 2-3/4", "ab")).await.unwrap_err(), "B2_DAMAGED");
    assert_eq!(ask(Canned::error(416, "InvalidRange", "")).await.unwrap_err(), "B2_DAMAGED");
    assert_eq!(ask(part("bytes 1-3/9", "abc")).await.unwrap_err(), "B2_STORE");
    assert_eq!(ask(part("bytes 2-4/9", "ab")).await.unwrap_err(), "B2_STORE");
    assert_eq!(ask(Canned::new(206, "abc")).await.unwrap_err(), "B2_STORE");
    assert_eq!(ask(Canned::new(200, "abc")).await.unwrap_err(), "B2_STORE");
}

#[tokio::test]
async fn listings_that_are_none_are_refused() {
    let wrong_name =
        "<ListBucketResult><Contents><Key>q/x</Key><Size>1</Size></Contents></ListBucketResult>";
    let no_token = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    for bad in [
        "",
        "garbage",
        "<html>please log in</html>",
        "<ListBucketResult><Conte",
        wrong_name,
        no_token,
    ] {
        let server = Scripted::start([Canned::new(200, bad)]).await;
        assert_eq!(store(&server).list("", false).await.unwrap_err().code(), "B2_STORE", "{bad}");
    }
    let circle = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
    let server = Scripted::start([circle, circle, circle].map(|page| Canned::new(200, page))).await;
    assert_eq!(store(&server).list("", false).await.unwrap_err().code(), "B2_STORE");
    assert_eq!(server.requests().len(), 2);
    let server = Scripted::start([Canned::new(200, vec![b' '; 5 * 1024 * 1024])]).await;
    assert_eq!(store(&server).list("", false).await.unwrap_err().code(), "B2_STORE");
}

#[tokio::test]
async fn pages_are_joined() {
    let first = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a+/=&amp;</NextContinuationToken>
        <Contents><Key>p/i/b</Key><Size>2</Size></Contents><CommonPrefixes><Prefix>p/i/c/</Prefix></CommonPrefixes></ListBucketResult>";
    let second = "<ListBucketResult><Contents><Key>p/i/d</Key><Size>3</Size></Contents>
        <CommonPrefixes><Prefix>p/i/c/</Prefix></CommonPrefixes></ListBucketResult>";
    let server = Scripted::start([Canned::new(200, first), Canned::new(200, second)]).await;
    let listing = store(&server).list("i/", true).await.unwrap();
    assert_eq!(
        listing.objects.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(),
        ["i/b", "i/d"]
    );
    assert_eq!(listing.prefixes, ["i/c/"]);
    let targets: Vec<_> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets[0], "/bkt?list-type=2&max-keys=1000&prefix=p%2Fi%2F&delimiter=%2F");
    assert_eq!(targets[1], format!("{}&continuation-token=a%2B%2F%3D%26", targets[0]));
}

#[tokio::test]
async fn versions_are_listed_where_there_are_some() {
    let page =
        |inner: &str| Canned::new(200, format!("<ListVersionsResult>{inner}</ListVersionsResult>"));
    let entry = |tag: &str, id: &str, latest: bool| {
        format!(
            "<{tag}><Key>p/a</Key><VersionId>{id}</VersionId><IsLatest>{latest}</IsLatest><Size>1</Size></{tag}>"
        )
    };
    let next = "<IsTruncated>true</IsTruncated><NextKeyMarker>p/a</NextKeyMarker><NextVersionIdMarker>v2</NextVersionIdMarker>";
    let first = page(&format!(
        "{next}{}{}",
        entry("Version", "v2", false),
        entry("DeleteMarker", "v3", true)
    ));
    let server = Scripted::start([first, page(&entry("Version", "v1", false))]).await;
    let found = store(&server).list_versions("a").await.unwrap().unwrap();
    let shape: Vec<_> =
        found.iter().map(|one| (one.version.as_str(), one.latest, one.hidden)).collect();
    assert_eq!(shape, [("v3", true, true), ("v2", false, false), ("v1", false, false)]);
    assert!(server.requests()[1].target.ends_with("&key-marker=p%2Fa&version-id-marker=v2"));
    for none in [
        Canned::error(501, "NotImplemented", ""),
        Canned::error(400, "InvalidArgument", ""),
        Canned::new(404, ""),
        Canned::new(200, EMPTY_LIST),
    ] {
        let server = Scripted::start([none]).await;
        assert!(store(&server).list_versions("").await.unwrap().is_none());
    }
    // What cannot be read does not say that there are none.
    for garbled in ["", "<ListVersionsResult><Version>", "<ListBucketResult><Contents>", "<html/>"]
    {
        let server = Scripted::start([Canned::new(200, garbled)]).await;
        assert_eq!(store(&server).list_versions("").await.unwrap_err().code(), "B2_STORE");
    }
    for (status, code) in
        [(404, "NoSuchBucket"), (403, "AccessDenied"), (403, "SignatureDoesNotMatch")]
    {
        let server = Scripted::start([Canned::error(status, code, "")]).await;
        store(&server).list_versions("").await.unwrap_err();
    }
}

#[tokio::test]
async fn deletions_name_the_version() {
    let answers = [Canned::new(204, ""), Canned::new(204, ""), Canned::error(404, "NoSuchKey", "")];
    let server = Scripted::start(answers).await;
    let store = store(&server);
    store.delete(&key(), None).await.unwrap();
    store.delete(&key(), Some("4_z a+b")).await.unwrap();
    store.delete(&key(), Some("gone")).await.unwrap();
    let targets: Vec<_> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets[0], "/bkt/p/packs/x");
    assert_eq!(targets[1], "/bkt/p/packs/x?versionId=4_z%20a%2Bb");
    let server = Scripted::start([Canned::error(403, "AccessDenied", "not entitled")]).await;
    let error = self::store(&server).delete(&key(), Some("v")).await.unwrap_err();
    assert!(error.to_string().contains("deleteFiles"), "{error}");
}

#[tokio::test]
async fn a_version_is_read_by_its_name() {
    let server = Scripted::start([Canned::new(200, "old"), Canned::new(200, "too much")]).await;
    let store = store(&server);
    assert_eq!(store.get_version(&key(), "4_z a+b", 5).await.unwrap(), "old");
    assert_eq!(store.get_version(&key(), "v", 5).await.unwrap_err().code(), "B2_STORE");
    let foreign = ObjectKey::listed("a b/100%.md").unwrap();
    let server = Scripted::start([Canned::new(200, "")]).await;
    self::store(&server).get(&foreign, 5).await.unwrap();
    assert_eq!(server.requests()[0].target, "/bkt/p/a%20b/100%25.md");
}

/// Paused time runs on only while everything waits: the watchdog's two minutes take none.
#[tokio::test(start_paused = true)]
async fn a_stuck_upload_is_ended_and_repeated() {
    let server = Scripted::start([Canned::silent(), Canned::new(200, "")]).await;
    let store = store_with(&server, Arc::new(SystemClock), RetryPolicy::short());
    // More than all socket buffers take.
    let body = Bytes::from(vec![1; 32 * 1024 * 1024]);
    store.put(&key(), body.clone()).await.unwrap();
    assert_eq!(server.requests()[0].body.len(), body.len());
    assert_eq!(store.traffic().requests, 2);
    let server = Scripted::start([Canned::silent(), Canned::silent(), Canned::silent()]).await;
    let store = store_with(&server, Arc::new(SystemClock), RetryPolicy::short());
    let error = store.put(&key(), Bytes::from_static(b"small")).await.unwrap_err();
    assert!(error.to_string().contains("did not move"), "{error}");
}
