//! A bucket behind the S3 API: Backblaze B2 and servers that speak alike.
//!
//! What goes over the line is the smallest common ground (Backblaze: "S3-Compatible API"): path-style URLs, a real SHA-256
//! with each PUT, Content-MD5 where B2 or another server wants it, no checksum headers, no conditions, no multipart, no redirects. Every
//! attempt is signed anew, with the server's time when this machine's clock is wrong.

mod body;
pub(super) mod http;
mod list;
mod payload;
#[cfg(feature = "testing")]
pub mod probe;
mod refusal;
pub(super) mod retry;
mod rules;
mod sign;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use ::http::Method;
use ::http::header::{CONTENT_TYPE, DATE, HeaderName, RANGE};
use aws_credential_types::Credentials;

pub use self::retry::RetryPolicy;

use self::body::{Counters, FrameBody, Limiter, Progress, STALL};
use self::http::{Answer, BaseUrl, Clients};
use self::payload::Payload;
use self::refusal::Question;
use self::retry::{Again, Attempts, Failure};
use crate::ambient::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A clock that is this far off is corrected before the server complains (it does at 15 minutes).
const MAX_SKEW_MS: u64 = 10 * 60 * 1000;
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Where a bucket is and who asks.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// `https://host[:port]`; plain `http` only to this machine.
    pub endpoint: String,
    /// Region of the signature.
    pub region: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Prefix of all names, without a slash at the end.
    pub prefix: String,
    /// Id of the application key.
    pub key_id: String,
    /// The application key.
    pub application_key: Secret,
    /// Upload rate in bytes per second, all uploads together.
    pub upload_limit: Option<u64>,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Whether uploads have a `Content-MD5` from the first on, as B2 wants it. A server that asks for it gets it anyway.
    pub content_md5: bool,
}

/// A bucket behind the S3 API.
#[derive(Debug)]
pub struct S3Store {
    base: BaseUrl,
    region: String,
    bucket: String,
    prefix: String,
    key_id: String,
    credentials: Credentials,
    retry: RetryPolicy,
    /// Whether the server has ever answered.
    reached: AtomicBool,
    clients: Clients,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    limiter: Option<Arc<Limiter>>,
    counters: Arc<Counters>,
    server_offset_ms: AtomicI64,
    /// What signatures add to the local time; 0 unless the local clock is far off.
    signing_offset_ms: AtomicI64,
    /// Whether the server wants `Content-MD5`.
    content_md5: AtomicBool,
}

/// One request, to be sent as often as needed.
#[derive(Debug)]
struct Request<'a> {
    operation: &'static str,
    object: &'a str,
    method: Method,
    url: String,
    range: Option<String>,
    payload: Option<&'a Payload>,
    deletes_version: bool,
    max_bytes: u64,
}

impl S3Store {
    /// Makes a store; nothing is sent yet.
    ///
    /// # Errors
    /// `B2_CONFIG` for a bad endpoint.
    pub fn new(config: S3Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let base = BaseUrl::new("endpoint", &config.endpoint)?;
        let credentials = Credentials::from_keys(
            config.key_id.clone(),
            config.application_key.expose().to_owned(),
            None,
        );
        let limiter =
            config.upload_limit.map(|rate| Arc::new(Limiter::new(rate, Arc::clone(&clock))));
        Ok(Self {
            clients: Clients::new(base.local)?,
            base,
            region: config.region,
            bucket: config.bucket,
            prefix: config.prefix,
            key_id: config.key_id,
            credentials,
            retry: config.retry,
            reached: AtomicBool::new(false),
            clock,
            entropy,
            limiter,
            counters: Arc::default(),
            server_offset_ms: AtomicI64::new(0),
            signing_offset_ms: AtomicI64::new(0),
            content_md5: AtomicBool::new(config.content_md5),
        })
    }

    /// The URL of an object or, with an empty name, of the bucket.
    fn url(&self, key: &str, query: &[(&str, String)]) -> String {
        let mut url = format!("{}/{}", self.base.text, encode(&self.bucket, false));
        if !key.is_empty() {
            url.push('/');
            url.push_str(&encode(&format!("{}/{key}", self.prefix), true));
        }
        for (place, (name, value)) in query.iter().enumerate() {
            url.push(if place == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&encode(value, false));
        }
        url
    }

    fn question<'a>(&'a self, operation: &'static str, object: &'a str) -> Question<'a> {
        Question {
            operation,
            object,
            deletes_version: false,
            endpoint: &self.base.authority,
            region: &self.region,
            bucket: &self.bucket,
            key_id: &self.key_id,
            now: self.clock.now(),
        }
    }

    /// Sends a request until it is answered or not worth another attempt.
    async fn send(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let mut attempts = Attempts::new(
            self.retry,
            self.reached.load(Ordering::Relaxed),
            &*self.clock,
            &*self.entropy,
        );
        loop {
            match self.attempt(request, attempts.any_failed()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => attempts.after(failure).await?,
            }
        }
    }

    async fn attempt(&self, request: &Request<'_>, fresh: bool) -> Result<Answer, Failure> {
        let mut http_request = self.signed(request).map_err(Failure::permanent)?;
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let target = &self.base.authority;
        let exchange = async |client: &reqwest::Client, request_: reqwest::Request| {
            let response =
                client.execute(request_).await.map_err(|error| http::no_answer(target, &error))?;
            http::receive(response, request.max_bytes, &self.counters.received)
                .await
                .map_err(|error| http::no_answer(target, &error))
        };
        let answer = if let Some(payload) = request.payload {
            let progress = Progress::new(payload.body.len());
            let body = payload.body.clone();
            let body = FrameBody::new(
                body,
                Arc::clone(&progress),
                Arc::clone(&self.counters),
                self.limiter.clone(),
            );
            *http_request.body_mut() = Some(reqwest::Body::wrap(body));
            tokio::select! {
                answer = exchange(self.clients.upload(fresh), http_request) => answer.map_err(cut_upload)?,
                () = progress.stalled() => return Err(self.stall()),
            }
        } else {
            exchange(self.clients.download(fresh), http_request).await?
        };
        self.judge(request, answer)
    }

    /// Learns the time from an answer and sorts it.
    fn judge(&self, request: &Request<'_>, answer: Answer) -> Result<Answer, Failure> {
        self.reached.store(true, Ordering::Relaxed);
        let corrected = self.learn_time(&answer);
        let mut question = self.question(request.operation, request.object);
        question.deletes_version = request.deletes_version;
        if answer.is_success() {
            if answer.cut {
                let message = format!(
                    "the answer is larger than the {} bytes it may have",
                    request.max_bytes
                );
                return Err(Failure::permanent(question.unusable(message)));
            }
            return Ok(answer);
        }
        let mut failure = refusal::refusal(&question, &answer);
        if failure.code == "RequestTimeTooSkewed" {
            let offset =
                Duration::from_millis(self.server_offset_ms.load(Ordering::Relaxed).unsigned_abs());
            let message =
                format!("the server's differs by {} s and refuses the signature", offset.as_secs());
            failure.error = Error::Clock { message };
        } else if refusal::asks_for_md5(&answer) {
            self.content_md5.store(true, Ordering::Relaxed);
            failure.again = Again::Once("md5");
        } else if corrected && answer.status == 403 {
            // Some servers call a wrong time a wrong signature.
            failure.again = Again::Once("clock");
        }
        Err(failure)
    }

    /// Takes the server's `Date`; whether the time of signatures has changed by it.
    fn learn_time(&self, answer: &Answer) -> bool {
        let Some(server) = retry::http_date(&answer.headers, &DATE) else { return false };
        let offset = offset_ms(server, self.clock.now());
        self.server_offset_ms.store(offset, Ordering::Relaxed);
        let signing = self.signing_offset_ms.load(Ordering::Relaxed);
        let skewed =
            !answer.is_success() && list::error(&answer.body).code == "RequestTimeTooSkewed";
        if skewed || offset.abs_diff(signing) > MAX_SKEW_MS {
            tracing::warn!(
                offset_ms = offset,
                "the clock of this machine is wrong; using the server's time"
            );
            self.signing_offset_ms.store(offset, Ordering::Relaxed);
            return true;
        }
        false
    }

    fn signed(&self, request: &Request<'_>) -> Result<reqwest::Request> {
        let url = reqwest::Url::parse(&request.url).map_err(|_| Error::internal("bad URL"))?;
        if url.as_str() != request.url {
            // The server would check the signature of another path.
            return Err(Error::internal(format!("{} cannot be signed", request.object)));
        }
        let mut headers = Vec::new();
        if let Some(range) = &request.range {
            headers.push((RANGE, range.clone()));
        }
        if let Some(payload) = request.payload {
            headers.push((CONTENT_TYPE, "application/octet-stream".to_owned()));
            if self.content_md5.load(Ordering::Relaxed) {
                headers.push((CONTENT_MD5, payload.md5().to_owned()));
            }
        }
        let signable = sign::Signable {
            method: request.method.as_str(),
            url: &request.url,
            headers: &headers,
            payload_sha256: request.payload.map_or(sign::EMPTY_SHA256, |payload| &payload.sha256),
        };
        let now = shift(self.clock.now(), self.signing_offset_ms.load(Ordering::Relaxed));
        let signature = sign::headers(&signable, &self.credentials, &self.region, now)?;
        let mut http_request = reqwest::Request::new(request.method.clone(), url);
        for (name, value) in headers {
            let value = value.parse().map_err(|_| Error::internal("bad header value"))?;
            http_request.headers_mut().insert(name, value);
        }
        http_request.headers_mut().extend(signature);
        Ok(http_request)
    }

    fn stall(&self) -> Failure {
        let message = format!("the upload did not move for {} s", STALL.as_secs());
        let error = Error::Network { target: self.base.authority.clone(), message };
        Failure { again: Again::Later(None), ..Failure::permanent(error) }
    }
}

/// Names the usual reason of uploads that are cut again and again.
fn cut_upload(mut failure: Failure) -> Failure {
    if let Error::Network { message, .. } = &mut failure.error {
        message.push_str(
            " (during an upload; if this repeats, a proxy or firewall may limit uploads)",
        );
    }
    failure
}

/// Percent-encodes all but the unreserved characters, as signatures demand it.
fn encode(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || (keep_slash && byte == b'/')
        {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

fn offset_ms(server: SystemTime, local: SystemTime) -> i64 {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match server.duration_since(local) {
        Ok(ahead) => millis(ahead),
        Err(behind) => -millis(behind.duration()),
    }
}

fn shift(time: SystemTime, offset_ms: i64) -> SystemTime {
    let by = Duration::from_millis(offset_ms.unsigned_abs());
    let shifted = if offset_ms < 0 { time.checked_sub(by) } else { time.checked_add(by) };
    shifted.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::{SystemClock, SystemEntropy};

    #[test]
    fn urls_are_encoded_once() {
        assert_eq!(encode("a b/ü+~", true), "a%20b/%C3%BC%2B~");
        assert_eq!(encode("p/", false), "p%2F");
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = S3Config {
            endpoint: "http://127.0.0.1:1".into(),
            region: "r".into(),
            bucket: "b".into(),
            prefix: "p".into(),
            key_id: "id".into(),
            application_key: Secret::new("geheimer-schluessel".into()),
            upload_limit: Some(5),
            retry: RetryPolicy::short(),
            content_md5: false,
        };
        assert!(!format!("{config:?}").contains("geheim"));
        let store = S3Store::new(config, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
        assert!(!format!("{store:?}").contains("geheim"));
        let url = store.url("packs/a", &[]);
        let request = Request {
            operation: "GET",
            object: "packs/a",
            method: Method::GET,
            url,
            range: None,
            payload: None,
            deletes_version: false,
            max_bytes: 1,
        };
        let signed = store.signed(&request).unwrap();
        assert_eq!(signed.url().path(), "/b/p/packs/a");
        assert!(!format!("{signed:?}").contains("Signature="), "{signed:?}");
    }
}
