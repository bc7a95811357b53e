//! What B2 itself says about a key: endpoint, region and rights, by one native call before any S3 request.
//!
//! The key is sent to the API host only, and never to an S3 host of an unexpected name.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;

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
const EXPIRY_WARNING: Duration = Duration::from_hours(7 * 24);

/// What a key needs for backups, and for what.
const REQUIRED: [(&str, &str); 4] = [
    ("listBuckets", "tell absent objects from forbidden ones"),
    ("listFiles", "list snapshots"),
    ("readFiles", "read snapshots"),
    ("writeFiles", "write snapshots"),
];

/// A key and what is planned with it.
#[derive(Clone, Debug)]
pub struct DiscoveryRequest {
    /// Base URL of the native API, normally [`API_URL`].
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
    /// Hosts (`host` or `host:port`) that may be named as S3 endpoint beside B2's own; for tests.
    pub trusted_hosts: Vec<String>,
}

/// What B2 says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// S3 endpoint, as `https://host`.
    pub endpoint: String,
    /// Region of the account.
    pub region: String,
    /// What the key may do.
    pub capabilities: Vec<String>,
    /// What works, but deserves attention.
    pub warnings: Vec<String>,
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
    if request.key_id.len() == 12
        && request.key_id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        let message = "keyId is the master key id (account id); B2's S3 API needs an application key: make one for the bucket";
        return Err(Error::Credentials { message: message.into() });
    }
    let base = BaseUrl::new("b2ApiUrl", &request.api_url)?;
    let clients = Clients::new(base.local)?;
    let mut attempts = Attempts::new(retry, false, &**clock, &**entropy);
    let account = loop {
        match authorize(request, &base, &clients, attempts.any_failed(), clock.now()).await {
            Ok(account) => break account,
            Err(failure) => attempts.after(failure).await?,
        }
    };
    check(request, account, clock.now())
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

/// The rows of the start-up check.
fn check(request: &DiscoveryRequest, account: Account, now: SystemTime) -> Result<Discovery> {
    let StorageApi { s3_api_url, allowed } = account.api_info.storage_api;
    let refuse = |host: &str| Error::Bucket {
        message: format!("B2 named the unexpected S3 endpoint {host:?}; not sending data there"),
    };
    let base = BaseUrl::new("endpoint", &s3_api_url).map_err(|_| refuse(&s3_api_url))?;
    let region = match region_of_host(&base.authority) {
        Some(region) if !base.local => region.to_owned(),
        _ if request.trusted_hosts.contains(&base.authority) => {
            request.region.clone().unwrap_or_else(|| super::DEFAULT_REGION.into())
        }
        _ => return Err(refuse(&base.authority)),
    };
    if let Some(configured) = &request.region
        && *configured != region
    {
        return Err(Error::config(
            "region",
            format!("the key belongs to {region}, configured is {configured}"),
        ));
    }
    check_bucket(request, allowed.buckets.as_deref())?;
    check_prefix(request, allowed.name_prefix.as_deref().unwrap_or_default())?;
    let lacks = |name: &str| !allowed.capabilities.iter().any(|have| have == name);
    let missing: Vec<_> = REQUIRED.iter().filter(|(name, _)| lacks(name)).collect();
    if !missing.is_empty() {
        let list: Vec<_> =
            missing.iter().map(|(name, need)| format!("{name}, needed to {need}")).collect();
        let message =
            format!("the key lacks {}: make a key with these capabilities", list.join("; "));
        return Err(Error::Capability { message });
    }
    let mut warnings = Vec::new();
    if lacks("deleteFiles") {
        let text = "the key lacks deleteFiles, needed to delete old versions: prune only hides objects, and a lifecycle rule of the bucket must free their space";
        warnings.push(text.to_owned());
    }
    warnings.extend(expiry_warning(account.application_key_expiration_timestamp, now));
    Ok(Discovery { endpoint: base.text, region, capabilities: allowed.capabilities, warnings })
}

fn check_bucket(request: &DiscoveryRequest, buckets: Option<&[AllowedBucket]>) -> Result<()> {
    let Some(buckets) = buckets else { return Ok(()) };
    // A deleted bucket has no name: nothing to compare, the first listing will tell.
    let names: Option<Vec<&str>> = buckets.iter().map(|bucket| bucket.name.as_deref()).collect();
    match names {
        Some(names) if !names.contains(&request.bucket.as_str()) => {
            let message = format!(
                "the key is limited to {}; bucket {} is not among them",
                names.join(", "),
                request.bucket
            );
            Err(Error::Bucket { message })
        }
        _ => Ok(()),
    }
}

fn check_prefix(request: &DiscoveryRequest, name_prefix: &str) -> Result<()> {
    if format!("{}/", request.prefix).starts_with(name_prefix) {
        return Ok(());
    }
    let advice = name_prefix.trim_end_matches('/');
    let message = format!(
        "the key may only use names starting with {name_prefix:?}; set prefix to {advice:?}"
    );
    Err(Error::config("prefix", message))
}

fn expiry_warning(expires_ms: Option<u64>, now: SystemTime) -> Option<String> {
    let expires = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(expires_ms?))?;
    if expires.duration_since(now).is_ok_and(|left| left >= EXPIRY_WARNING) {
        return None;
    }
    let date = jiff::Timestamp::try_from(expires).ok()?;
    Some(format!(
        "the application key expires at {}: make a new one in time",
        date.strftime("%Y-%m-%d %H:%M UTC")
    ))
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

    #[test]
    fn expiry_is_announced_a_week_ahead() {
        let at = |days: u64| Some(days * 24 * 3600 * 1000);
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 10);
        assert_eq!(expiry_warning(None, now), None);
        assert_eq!(expiry_warning(at(17), now), None);
        assert!(expiry_warning(at(16), now).unwrap().contains("1970-01-17 00:00 UTC"));
        assert!(expiry_warning(at(3), now).is_some());
    }
}
