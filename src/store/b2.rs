//! What B2 itself says about a key: endpoint, region and rights, by one native call before any S3 request.
//!
//! The key is sent to the API host only, and never to an S3 host of an unexpected name.

mod check;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;

pub use self::check::{Discovery, REQUIRED, check, check_bucket, check_prefix, place};

use super::s3::RetryPolicy;
use super::s3::http::{Answer, BaseUrl, Clients, no_answer, receive};
use super::s3::retry::{Again, Attempts, Failure, retry_after};
use crate::ambient::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Where B2's native API is.
pub const API_URL: &str = "https://api.backblazeb2.com";
/// The answer is a few kilobytes, more with many buckets.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;
/// A key and what is planned with it.
#[derive(Clone, Debug)]
pub struct DiscoveryRequest {
    /// Base URL of the native API, normally [`API_URL`].
    #[cfg(feature = "testing")]
    pub api_url: String,
    /// Id of the application key.
    pub key_id: String,
    /// The application key.
    pub application_key: Secret,
    /// Name of the bucket.
    pub bucket: String,
    /// Prefix of all names, without a slash at the end.
    pub prefix: String,
    /// Region that the user configured.
    pub region: Option<String>,
    /// Hosts (`host` or `host:port`) that may be named as S3 endpoint beside B2's own.
    #[cfg(feature = "testing")]
    pub trusted_hosts: Vec<String>,
}

impl DiscoveryRequest {
    #[cfg(feature = "testing")]
    fn api_url(&self) -> &str {
        &self.api_url
    }

    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_self, reason = "as for tests, which alone can name another")]
    fn api_url(&self) -> &str {
        API_URL
    }
}

/// What B2 says about a key, as it says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// URL of the account's S3 endpoint; not checked.
    pub s3_url: String,
    /// What the key may do.
    pub capabilities: Vec<String>,
    /// The buckets that it is restricted to, where it is; one that was deleted has no name.
    pub buckets: Option<Vec<Option<String>>>,
    /// What every name must start with; often empty.
    pub name_prefix: String,
    /// When the key ends, if it does.
    pub expires: Option<SystemTime>,
}

impl KeyFacts {
    /// Whether the key may do this.
    #[must_use]
    pub fn may(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|have| have == capability)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    #[serde(default)]
    application_key_expiration_timestamp: Option<u64>,
    api_info: ApiInfo,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiInfo {
    storage_api: StorageApi,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StorageApi {
    s3_api_url: String,
    allowed: Allowed,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Allowed {
    #[serde(default)]
    buckets: Option<Vec<AllowedBucket>>,
    capabilities: Vec<String>,
    #[serde(default)]
    name_prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AllowedBucket {
    #[serde(default)]
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: String,
    message: String,
}

/// The region in the name of a B2 S3 host: `s3.<region>.backblazeb2.com`.
#[must_use]
pub fn region_of_host(host: &str) -> Option<&str> {
    let region = host.strip_prefix("s3.")?.strip_suffix(".backblazeb2.com")?;
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (!region.is_empty() && region.bytes().all(good)).then_some(region)
}

/// Asks B2 about the key.
///
/// # Errors
/// `B2_CREDENTIALS`, `B2_CAP_EXCEEDED`, `B2_CONFIG`, `B2_NETWORK`, or `B2_STORE` for an answer that cannot be used.
pub async fn ask(
    request: &DiscoveryRequest,
    retry: RetryPolicy,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<KeyFacts> {
    if request.key_id.len() == 12
        && request.key_id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        let message = "keyId is the master key id (account id); B2's S3 API needs an application key: make one for the bucket";
        return Err(Error::Credentials { message: message.into() });
    }
    let base = BaseUrl::new("b2ApiUrl", request.api_url())?;
    let clients = Clients::new(base.local)?;
    let mut attempts = Attempts::new(retry, false, &**clock, &**entropy);
    let account = loop {
        match authorize(request, &base, &clients, attempts.any_failed(), clock.now()).await {
            Ok(account) => break account,
            Err(failure) => attempts.after(failure).await?,
        }
    };
    let StorageApi { s3_api_url, allowed } = account.api_info.storage_api;
    let expires = account.application_key_expiration_timestamp.map(Duration::from_millis);
    Ok(KeyFacts {
        s3_url: s3_api_url,
        capabilities: allowed.capabilities,
        buckets: allowed.buckets.map(|all| all.into_iter().map(|bucket| bucket.name).collect()),
        name_prefix: allowed.name_prefix.unwrap_or_default(),
        expires: expires.and_then(|after| SystemTime::UNIX_EPOCH.checked_add(after)),
    })
}

/// Asks B2 about the key and checks that it fits what is planned.
///
/// # Errors
/// `B2_CREDENTIALS`, `B2_CAPABILITY`, `B2_BUCKET`, `B2_CAP_EXCEEDED`, `B2_CONFIG`, `B2_NETWORK`, or `B2_STORE`
/// for an answer that cannot be used.
pub async fn discover(
    request: &DiscoveryRequest,
    retry: RetryPolicy,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Discovery> {
    let facts = ask(request, retry, clock, entropy).await?;
    check(request, &facts, clock.now())
}

async fn authorize(
    request: &DiscoveryRequest,
    base: &BaseUrl,
    clients: &Clients,
    fresh: bool,
    now: SystemTime,
) -> Result<Account, Failure> {
    let url = format!("{}/b2api/v4/b2_authorize_account", base.text);
    let url =
        reqwest::Url::parse(&url).map_err(|_| Failure::permanent(Error::internal("bad URL")))?;
    let login = STANDARD.encode(format!("{}:{}", request.key_id, request.application_key.expose()));
    let mut login = HeaderValue::from_str(&format!("Basic {login}"))
        .map_err(|_| Failure::permanent(Error::internal("bad header value")))?;
    login.set_sensitive(true);
    let mut call = reqwest::Request::new(Method::GET, url);
    call.headers_mut().insert(AUTHORIZATION, login);
    let broken = |error| no_answer(&base.authority, &error);
    let response = clients.download(fresh).execute(call).await.map_err(broken)?;
    let answer = receive(response, MAX_ANSWER_BYTES, &AtomicU64::new(0)).await.map_err(broken)?;
    if answer.status != 200 {
        return Err(refused(base, &answer, now));
    }
    // The parser's message is not repeated: it may quote the answer, which holds a token.
    serde_json::from_slice(&answer.body)
        .map_err(|_| Failure::permanent(unusable(base, "not the expected answer")))
}

fn unusable(base: &BaseUrl, message: impl Into<String>) -> Error {
    Error::Store { operation: "AUTHORIZE", object: base.authority.clone(), message: message.into() }
}

fn refused(base: &BaseUrl, answer: &Answer, now: SystemTime) -> Failure {
    let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    let words: String = refusal.message.chars().filter(|c| !c.is_control()).take(300).collect();
    let said = format!(
        "status {} {}: {words}",
        answer.status,
        refusal.code.chars().take(60).collect::<String>()
    );
    let capped = refusal.code.ends_with("cap_exceeded")
        || words.to_ascii_lowercase().contains("cap exceeded");
    let (error, again) = match (answer.status, refusal.code.as_str()) {
        (_, _) if capped => (Error::CapExceeded { message: words }, Again::Never),
        (401, "" | "unauthorized" | "bad_auth_token" | "expired_auth_token") => {
            let message = "B2 refused the keyId/applicationKey pair (deleted, expired or mistyped)";
            (Error::Credentials { message: message.into() }, Again::Never)
        }
        (401 | 403, code) if !code.is_empty() => (
            Error::Credentials { message: format!("B2 refused the account of this key: {said}") },
            Again::Never,
        ),
        (408 | 429 | 500..=599, _) => {
            let error = Error::Network { target: base.authority.clone(), message: said };
            (error, Again::Later(retry_after(&answer.headers, now)))
        }
        _ => (unusable(base, format!("{said} (not B2, or a proxy?)")), Again::Never),
    };
    Failure { error, again, status: answer.status, code: refusal.code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_come_from_b2_hosts_only() {
        assert_eq!(region_of_host("s3.us-east-005.backblazeb2.com"), Some("us-east-005"));
        for other in [
            "s3..backblazeb2.com",
            "s3.us.evil.com/.backblazeb2.com",
            "s3.a.b.backblazeb2.com",
            "s3.us-west-004.backblazeb2.com.evil.com",
            "s3.us-west-004.backblazeb2.com:444",
            "s3.amazonaws.com",
        ] {
            assert_eq!(region_of_host(other), None, "{other}");
        }
    }
}
