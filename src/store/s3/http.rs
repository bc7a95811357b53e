//! HTTP clients as B2 wants them: HTTP/1, no redirects, short-lived idle connections, own TLS settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use reqwest::Client;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::retry::{Again, Failure};
use crate::error::{Error, Result};

/// Error bodies are a few hundred bytes; a proxy's may be a whole web page.
pub(super) const MAX_ERROR_BYTES: u64 = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const READ_TIMEOUT: Duration = Duration::from_mins(2);
/// B2 closes idle connections after 5 seconds; using one later races into a reset.
const POOL_IDLE: Duration = Duration::from_secs(4);
const USER_AGENT: &str = concat!("openclaw-b2-backup/", env!("CARGO_PKG_VERSION"));

/// Clients for both directions. Each has a twin without connection reuse for attempts after a failure: the
/// old connection may lead to a server that is out of order.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    upload: [Client; 2],
    download: [Client; 2],
}

impl Clients {
    /// `local` is for a server on this machine: plain HTTP, no proxy.
    pub(crate) fn new(local: bool) -> Result<Self> {
        let tls = tls_config(local)?;
        let build = |upload: bool, reuse: bool| {
            let mut builder = Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .http1_only()
                .https_only(!local)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .retry(reqwest::retry::never())
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(POOL_IDLE)
                .user_agent(USER_AGENT);
            // The default of 30 s ends a connection whose line is merely full of our own upload.
            #[cfg(target_os = "linux")]
            {
                builder = builder.tcp_user_timeout(READ_TIMEOUT);
            }
            if !upload {
                builder = builder.read_timeout(READ_TIMEOUT);
            }
            if !reuse {
                builder = builder.pool_max_idle_per_host(0);
            }
            if local {
                builder = builder.no_proxy();
            }
            builder
                .build()
                .map_err(|error| Error::internal(format!("HTTP client: {}", reason(&error))))
        };
        Ok(Self {
            upload: [build(true, true)?, build(true, false)?],
            download: [build(false, true)?, build(false, false)?],
        })
    }

    pub(crate) fn upload(&self, fresh: bool) -> &Client {
        let [reusing, single] = &self.upload;
        if fresh { single } else { reusing }
    }

    pub(crate) fn download(&self, fresh: bool) -> &Client {
        let [reusing, single] = &self.download;
        if fresh { single } else { reusing }
    }
}

fn tls_config(local: bool) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal(format!("TLS: {error}")))?;
    let verifier = if local { None } else { Verifier::new(provider).ok() };
    let builder = if let Some(verifier) = verifier {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        // Slim containers have no certificates at all; local servers need none.
        let mut roots = RootCertStore::empty();
        if !local {
            let bundled = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
            roots.add_parsable_certificates(bundled);
        }
        builder.with_root_certificates(roots)
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body is longer than allowed and was not read to its end.
    pub(crate) cut: bool,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Reads the body of `response`, at most `max_bytes` (for an error [`MAX_ERROR_BYTES`]).
pub(crate) async fn receive(
    mut response: reqwest::Response,
    max_bytes: u64,
    received: &AtomicU64,
) -> Result<Answer, reqwest::Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let limit = if status.is_success() { max_bytes } else { MAX_ERROR_BYTES };
    let mut answer = Answer { status: status.as_u16(), headers, body: Bytes::new(), cut: false };
    // Not trusted for the allocation beyond the limit the caller set.
    let announced = response.content_length().unwrap_or(0);
    if announced > limit && status.is_success() {
        answer.cut = true;
        return Ok(answer);
    }
    let mut body = BytesMut::with_capacity(usize::try_from(announced.min(limit)).unwrap_or(0));
    while let Some(chunk) = response.chunk().await? {
        received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(body.len());
        if chunk.len() > room {
            body.extend_from_slice(&chunk.slice(..room));
            answer.cut = true;
            break;
        }
        body.extend_from_slice(&chunk);
    }
    answer.body = body.freeze();
    Ok(answer)
}

/// A request without an answer.
pub(crate) fn no_answer(target: &str, error: &reqwest::Error) -> Failure {
    let message = reason(error);
    // A wrong certificate stays wrong, and is the user's to look at.
    let certificate = message.contains("invalid peer certificate");
    let again = if error.is_builder() || certificate { Again::Never } else { Again::Later(None) };
    let hint = if certificate { " (a proxy that reads along, or a wrong clock?)" } else { "" };
    let error = Error::Network { target: target.to_owned(), message: format!("{message}{hint}") };
    Failure { again, ..Failure::permanent(error) }
}

/// The chain of reasons, without the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = next {
        let text = error.to_string();
        // Many wrappers repeat the text of what they wrap.
        if reasons.last().is_none_or(|last| !last.contains(&text)) {
            reasons.push(text);
        }
        next = error.source();
    }
    if reasons.is_empty() {
        let kind = if error.is_timeout() { "timeout" } else { "the request failed" };
        reasons.push(kind.to_owned());
    }
    reasons.join(": ")
}

/// Scheme, host and port of a base URL, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    /// `https://host[:port]`, in lower case and without a slash at the end.
    pub(crate) text: String,
    /// `host`, or `host:port` when the port is not the default.
    pub(crate) authority: String,
    /// Whether it is plain HTTP to this machine.
    pub(crate) local: bool,
}

impl BaseUrl {
    /// Checks a URL of the form `https://host[:port]`; plain `http` is for this machine only.
    pub(crate) fn new(field: &str, url: &str) -> Result<Self> {
        // The URL is not repeated: it may hold a password, or be a key that was put into the wrong field.
        let wrong = |message: &str| Error::config(field, message);
        let parsed =
            reqwest::Url::parse(url).map_err(|_| wrong("is not a URL like https://host"))?;
        let bare = parsed.path() == "/" && parsed.query().is_none() && parsed.fragment().is_none();
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(Error::config(field, "must not hold a user name or password"));
        }
        let (true, Some(host)) = (bare, parsed.host_str()) else {
            return Err(wrong("must be https://host or https://host:port and nothing more"));
        };
        let address =
            host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        let local = match parsed.scheme() {
            "https" => false,
            "http" if loopback => true,
            "http" => return Err(wrong("would send everything unencrypted: use https://")),
            _ => return Err(wrong("must start with https://")),
        };
        let authority =
            parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { text: format!("{}://{authority}", parsed.scheme()), authority, local })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_checked() {
        let base = |url: &str| BaseUrl::new("endpoint", url);
        assert_eq!(base("https://S3.example.com/").unwrap().text, "https://s3.example.com");
        assert_eq!(base("https://s3.example.com:443").unwrap().authority, "s3.example.com");
        assert_eq!(base("https://s3.example.com:9000").unwrap().authority, "s3.example.com:9000");
        for local in
            ["http://127.0.0.1:9000", "http://127.9.9.9", "http://[::1]:80", "http://localhost:1"]
        {
            assert!(base(local).unwrap().local, "{local}");
        }
        for bad in [
            "http://s3.example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "https://",
            "https://h/path",
            "https://h?q",
            "https://u:geheim@h",
            "s3.example.com",
        ] {
            let error = base(bad).unwrap_err();
            assert_eq!(error.code(), "B2_CONFIG", "{bad}");
            assert!(!error.to_string().contains("geheim"));
        }
    }

    #[test]
    fn clients_build_with_and_without_tls() {
        assert!(Clients::new(false).is_ok());
        assert!(Clients::new(true).is_ok());
    }
}
