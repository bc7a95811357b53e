//! A server that plays Backblaze B2: the native call about a key, and the S3 calls of one bucket with versions,
//! hide markers and B2's refusals (Backblaze: "S3-Compatible API"). It checks who asks and when, not the signature itself, which
//! the S3 server of the conformance tests does.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use b2_backup::ambient::Clock;
use b2_backup::secret::Secret;
use b2_backup::store::memory::MemoryStore;
use b2_backup::store::s3::RetryPolicy;
use b2_backup::store::{ObjectKey, ObjectStore, ObjectVersion, StoreConfig};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const KEY_ID: &str = "0044aa9865d6f0000000000b0";
pub const KEY: &str = "K004geheim";
pub const BUCKET: &str = "bkt";
/// A signature older or newer than this is refused.
const MAX_SKEW: Duration = Duration::from_mins(15);

/// What the server knows and how it is disposed. Tests change it while it runs.
#[derive(Clone, Debug)]
pub struct Rules {
    pub capabilities: Vec<&'static str>,
    /// What the key's names must start with.
    pub name_prefix: &'static str,
    pub key_id: &'static str,
    /// Milliseconds since 1970.
    pub expires: Option<u64>,
    /// Whether the key is for this bucket alone.
    pub restricted: bool,
    /// The account is at this cap: `storage` refuses uploads, `transaction` everything.
    pub cap: Option<&'static str>,
    /// Seconds that its clock is ahead.
    pub ahead: i64,
    /// Entries of a page at most.
    pub page: usize,
    pub lifecycle: Option<&'static str>,
    pub lock: Option<&'static str>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            capabilities: vec![
                "listBuckets",
                "listFiles",
                "readFiles",
                "writeFiles",
                "deleteFiles",
                "readBucketLifecycleRules",
                "readBucketRetentions",
            ],
            name_prefix: "",
            key_id: KEY_ID,
            expires: None,
            restricted: true,
            cap: None,
            ahead: 0,
            page: 1000,
            lifecycle: None,
            lock: None,
        }
    }
}

#[derive(Debug)]
struct Inner {
    store: Arc<MemoryStore>,
    rules: Mutex<Rules>,
    clock: Arc<dyn Clock>,
    requests: Mutex<Vec<String>>,
    address: SocketAddr,
}

/// The server; stops when dropped.
#[derive(Debug)]
pub struct B2Server {
    inner: Arc<Inner>,
    accepting: JoinHandle<()>,
}

impl Drop for B2Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An answer: status, body.
type Answer = (u16, Bytes);

impl B2Server {
    /// Starts it on a free port; `clock` is its time.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Arc::new(Inner {
            store: Arc::new(MemoryStore::new(Arc::clone(&clock))),
            rules: Mutex::default(),
            clock,
            requests: Mutex::default(),
            address: listener.local_addr().unwrap(),
        });
        let serving = Arc::clone(&inner);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // Answers are small: waiting to fill a packet would only slow tests down.
                drop(socket.set_nodelay(true));
                let inner = Arc::clone(&serving);
                let service = service_fn(move |request| answer(Arc::clone(&inner), request));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { inner, accepting }
    }

    /// What it holds, by full names.
    pub fn store(&self) -> &MemoryStore {
        &self.inner.store
    }

    /// Changes how it is disposed.
    pub fn set(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.inner.rules.lock().unwrap());
    }

    /// Takes capabilities from the key.
    pub fn revoke(&self, capabilities: &[&str]) {
        self.set(|rules| rules.capabilities.retain(|name| !capabilities.contains(name)));
    }

    /// `PUT p/packs/...` and the like, so far; the native call is `AUTHORIZE`.
    pub fn requests(&self) -> Vec<String> {
        self.inner.requests.lock().unwrap().clone()
    }

    /// Settings that lead here, by the native call.
    pub fn config(&self) -> StoreConfig {
        StoreConfig {
            bucket: BUCKET.into(),
            key_id: Some(self.inner.rules.lock().unwrap().key_id.into()),
            application_key: Some(Secret::new(KEY.into())),
            prefix: "p".into(),
            b2_api_url: Some(format!("http://{}", self.inner.address)),
            trusted_hosts: vec![self.inner.address.to_string()],
            retry: Some(RetryPolicy::short()),
            ..StoreConfig::default()
        }
    }
}

async fn answer(
    inner: Arc<Inner>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let rules = inner.rules.lock().unwrap().clone();
    let call = Call { inner: &inner, rules: &rules, head: &head, body };
    let (status, body) = if head.uri.path() == "/b2api/v4/b2_authorize_account" {
        inner.requests.lock().unwrap().push("AUTHORIZE".into());
        call.authorize()
    } else {
        let name = head.uri.path().trim_start_matches('/').trim_start_matches(BUCKET);
        inner.requests.lock().unwrap().push(format!(
            "{} {}",
            head.method,
            name.trim_start_matches('/')
        ));
        call.s3().await.unwrap_or_else(|refusal| refusal)
    };
    let date = jiff::Timestamp::try_from(call.now()).unwrap();
    let mut response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("date", date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    if let (206, Some((start, end))) = (status, call.range()) {
        response = response.header("content-range", format!("bytes {start}-{end}/*"));
    }
    Ok(response.body(Full::new(body)).unwrap())
}

struct Call<'a> {
    inner: &'a Inner,
    rules: &'a Rules,
    head: &'a http::request::Parts,
    body: Bytes,
}

fn refuse(status: u16, code: &str, message: &str) -> Answer {
    (
        status,
        format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        )
        .into(),
    )
}

fn json_refusal(status: u16, code: &str) -> Answer {
    let body = json!({"status": status, "code": code, "message": ""});
    (status, body.to_string().into())
}

impl Call<'_> {
    fn now(&self) -> SystemTime {
        let by = Duration::from_secs(self.rules.ahead.unsigned_abs());
        let now = self.inner.clock.now();
        if self.rules.ahead < 0 { now - by } else { now + by }
    }

    fn header(&self, name: &str) -> &str {
        self.head.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn query(&self, name: &str) -> Option<String> {
        let pairs = self.head.uri.query().unwrap_or_default().split('&');
        let found = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        found.map(|(_, value)| decode(value))
    }

    fn may(&self, capability: &str) -> Result<(), Answer> {
        if self.rules.capabilities.contains(&capability) {
            return Ok(());
        }
        Err(refuse(403, "AccessDenied", "not entitled"))
    }

    fn authorize(&self) -> Answer {
        // `Basic base64(id:key)`; the pair is fixed.
        let login = self.header("authorization").strip_prefix("Basic ").unwrap_or_default();
        let expected = json!(format!("{}:{KEY}", self.rules.key_id));
        if decode_base64(login) != expected.as_str().unwrap() {
            return json_refusal(401, "unauthorized");
        }
        if self.rules.cap == Some("transaction") {
            return json_refusal(403, "transaction_cap_exceeded");
        }
        let buckets =
            if self.rules.restricted { json!([{"id": "1", "name": BUCKET}]) } else { json!(null) };
        let body = json!({
            "accountId": "4aa9865d6f00", "authorizationToken": "geheimes-token",
            "applicationKeyExpirationTimestamp": self.rules.expires,
            "apiInfo": {"storageApi": {"apiUrl": "https://api004.backblazeb2.com",
                "s3ApiUrl": format!("http://{}", self.inner.address),
                "allowed": {"buckets": buckets, "capabilities": self.rules.capabilities,
                    "namePrefix": self.rules.name_prefix}}},
        });
        (200, body.to_string().into())
    }

    async fn s3(&self) -> Result<Answer, Answer> {
        let who = format!("Credential={}/", self.rules.key_id);
        if !self.header("authorization").contains(&who) {
            return Err(refuse(403, "InvalidAccessKeyId", "The key is not valid"));
        }
        let signed =
            jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", self.header("x-amz-date")).unwrap();
        let signed: SystemTime =
            signed.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().into();
        let (now, skew) =
            (self.now(), |one: SystemTime, other| one.duration_since(other).unwrap_or_default());
        if skew(now, signed).max(skew(signed, now)) > MAX_SKEW {
            return Err(refuse(403, "RequestTimeTooSkewed", "The difference is too large."));
        }
        if self.rules.cap == Some("transaction") {
            let message =
                "Transaction cap exceeded, see the Caps &amp; Alerts page to increase your cap.";
            return Err(refuse(403, "AccessDenied", message));
        }
        let path = self.head.uri.path();
        let Some(name) = path.strip_prefix(&format!("/{BUCKET}")) else {
            return Err(refuse(404, "NoSuchBucket", "The specified bucket does not exist"));
        };
        match name.strip_prefix('/').unwrap_or_default() {
            "" => self.bucket().await,
            name => self.object(&ObjectKey::new(name).unwrap()).await,
        }
    }

    async fn object(&self, key: &ObjectKey) -> Result<Answer, Answer> {
        let store = &self.inner.store;
        if !key.as_str().starts_with(self.rules.name_prefix) {
            return Err(refuse(403, "AccessDenied", "not entitled"));
        }
        let version = self.query("versionId");
        if self.head.method == Method::PUT {
            self.may("writeFiles")?;
            if self.rules.cap == Some("storage") {
                let message = "Cannot upload files, storage cap exceeded. See the Caps &amp; Alerts page to increase your cap.";
                return Err(refuse(403, "AccessDenied", message));
            }
            store.put(key, self.body.clone()).await.unwrap();
            return Ok((200, Bytes::new()));
        }
        if self.head.method == Method::DELETE {
            self.may(if version.is_some() { "deleteFiles" } else { "writeFiles" })?;
            store.delete(key, version.as_deref()).await.unwrap();
            return Ok((204, Bytes::new()));
        }
        self.may("readFiles")?;
        let found = match &version {
            Some(version) => store.get_version(key, version, u64::MAX).await,
            None => store.get(key, u64::MAX).await,
        };
        let Ok(body) = found else {
            // Who may not see the bucket is not told what is not in it.
            self.may("listBuckets")
                .map_err(|_| refuse(403, "AccessDenied", "Cannot access bucket"))?;
            return Err(refuse(404, "NoSuchKey", "File not present"));
        };
        match self.range() {
            None => Ok((200, body)),
            Some((start, end)) if end < body.len() => Ok((206, body.slice(start..=end))),
            Some(_) => Err(refuse(416, "InvalidRange", "The requested range is not satisfiable")),
        }
    }

    fn range(&self) -> Option<(usize, usize)> {
        let (start, end) = self.header("range").strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse().unwrap(), end.parse().unwrap()))
    }

    async fn bucket(&self) -> Result<Answer, Answer> {
        if self.query("lifecycle").is_some() {
            self.may("readBucketLifecycleRules")?;
            let none = || {
                refuse(404, "NoSuchLifecycleConfiguration", "There is no lifecycle configuration")
            };
            return Ok(self.rules.lifecycle.map_or_else(none, |rules| (200, rules.into())));
        }
        if self.query("object-lock").is_some() {
            self.may("readBucketRetentions")?;
            let none = || refuse(404, "ObjectLockConfigurationNotFoundError", "There is none");
            return Ok(self.rules.lock.map_or_else(none, |lock| (200, lock.into())));
        }
        self.may("listFiles")?;
        let prefix = self.query("prefix").unwrap_or_default();
        if !prefix.starts_with(self.rules.name_prefix) {
            return Err(refuse(403, "AccessDenied", "Not Entitled"));
        }
        if self.query("versions").is_some() {
            return Ok(self.versions(&prefix).await);
        }
        Ok(self.objects(&prefix).await)
    }

    async fn objects(&self, prefix: &str) -> Answer {
        let delimited = self.query("delimiter").is_some();
        let listing = self.inner.store.list(prefix, delimited).await.unwrap();
        let mut entries: Vec<(String, String)> = Vec::new();
        for object in listing.objects {
            let entry = format!(
                "<Contents><Key>{}</Key><Size>{}</Size><LastModified>{}</LastModified></Contents>",
                object.key,
                object.size,
                time(object.modified)
            );
            entries.push((object.key, entry));
        }
        for common in listing.prefixes {
            let entry = format!("<CommonPrefixes><Prefix>{common}</Prefix></CommonPrefixes>");
            entries.push((common, entry));
        }
        entries.sort();
        let after = self.query("continuation-token").unwrap_or_default();
        entries.retain(|(name, _)| *name > after);
        let cut = entries.len() > self.rules.page;
        entries.truncate(self.rules.page);
        let next = entries.last().filter(|_| cut).map_or(String::new(), |(name, _)| {
            format!("<NextContinuationToken>{name}</NextContinuationToken>")
        });
        let list: String = entries.into_iter().map(|(_, entry)| entry).collect();
        let body = format!(
            "<ListBucketResult><IsTruncated>{cut}</IsTruncated>{next}{list}</ListBucketResult>"
        );
        (200, body.into())
    }

    async fn versions(&self, prefix: &str) -> Answer {
        let mut all = self.inner.store.list_versions(prefix).await.unwrap().unwrap();
        if let (Some(key), Some(version)) =
            (self.query("key-marker"), self.query("version-id-marker"))
        {
            let at = all.iter().position(|one| one.key == key && one.version == version).unwrap();
            all.drain(..=at);
        }
        let cut = all.len() > self.rules.page;
        all.truncate(self.rules.page);
        let next = all.last().filter(|_| cut).map_or(String::new(), |last| {
            format!(
                "<NextKeyMarker>{}</NextKeyMarker><NextVersionIdMarker>{}</NextVersionIdMarker>",
                last.key, last.version
            )
        });
        let list: String = all.iter().map(version_entry).collect();
        let body = format!(
            "<ListVersionsResult><IsTruncated>{cut}</IsTruncated>{next}{list}</ListVersionsResult>"
        );
        (200, body.into())
    }
}

fn version_entry(one: &ObjectVersion) -> String {
    let tag = if one.hidden { "DeleteMarker" } else { "Version" };
    let content = one.etag.as_ref().map_or(String::new(), |etag| {
        format!("<ETag>&quot;{etag}&quot;</ETag><Size>{}</Size>", one.size)
    });
    format!(
        "<{tag}><Key>{}</Key><VersionId>{}</VersionId><IsLatest>{}</IsLatest>{content}<LastModified>{}</LastModified></{tag}>",
        one.key,
        one.version,
        one.latest,
        time(one.modified)
    )
}

fn time(at: Option<SystemTime>) -> String {
    let at = jiff::Timestamp::try_from(at.unwrap()).unwrap();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(hex::decode(digits).unwrap()[0]);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn decode_base64(text: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
