//! From settings to an open store: a folder, B2, or another S3 server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::b2::{DiscoveryRequest, discover, region_of_host};
use super::folder::{FolderStore, TEMP_DIR};
use super::s3::http::BaseUrl;
use super::s3::{RetryPolicy, S3Config, S3Store};
use super::{DEFAULT_REGION, ObjectStore};
use crate::ambient::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::secret::Secret;

const MAX_PREFIX_BYTES: usize = 100;

/// The settings of a store.
#[derive(Clone, Debug, Default)]
pub struct StoreConfig {
    /// Name of a bucket, or `file:///path` of a folder.
    pub bucket: String,
    /// Setting `keyId`; needed for a bucket.
    pub key_id: Option<String>,
    /// Setting `applicationKey`; needed for a bucket.
    pub application_key: Option<Secret>,
    /// Setting `region`; found by itself for B2.
    pub region: Option<String>,
    /// Setting `endpoint`, `https://` may be left out; B2 without it.
    pub endpoint: Option<String>,
    /// Prefix of all names: segments of `[A-Za-z0-9._-]` with `/` between them, 1 to 100 bytes.
    pub prefix: String,
    /// The prefix that what lies below `prefix` was made for, where the user moved or copied it.
    pub moved_from: Option<String>,
    /// Upload rate in bytes per second.
    pub upload_limit: Option<u64>,
    /// Base URL of B2's native API when it is not the usual one.
    #[cfg(feature = "testing")]
    pub b2_api_url: Option<String>,
    /// Hosts that may stand for B2's S3 endpoint.
    #[cfg(feature = "testing")]
    pub trusted_hosts: Vec<String>,
    /// When to try again; `None` is the default policy.
    pub retry: Option<RetryPolicy>,
    /// Read everything as it was at this moment, by the server's clock; nothing can be written then.
    pub as_of: Option<SystemTime>,
}

impl StoreConfig {
    /// The folder that stands for a bucket, where it is one.
    ///
    /// # Errors
    /// `B2_CONFIG` for a `file:` URL that is none.
    pub fn folder(&self) -> Result<Option<PathBuf>> {
        let scheme = self.bucket.get(..5).unwrap_or_default();
        scheme.eq_ignore_ascii_case("file:").then(|| folder_path(&self.bucket)).transpose()
    }
}

/// An open store and what its user should know.
#[derive(Clone, Debug)]
pub struct OpenedStore {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// What works, but deserves attention.
    pub warnings: Vec<String>,
}

/// What settings lead to, before anybody is asked.
#[derive(Clone, Debug)]
pub enum Opening {
    /// A folder.
    Folder(PathBuf),
    /// A server that is fully described.
    Server(S3Config),
    /// B2: endpoint and region of the [`S3Config`] are what its answer to the request says.
    B2(DiscoveryRequest, S3Config),
}

/// Checks the settings of a store, without touching anything.
///
/// # Errors
/// `B2_CONFIG` naming the setting.
pub fn opening(config: &StoreConfig) -> Result<Opening> {
    check_prefix(&config.prefix)?;
    if let Some(folder) = config.folder()? {
        return Ok(Opening::Folder(folder));
    }
    check_bucket(&config.bucket)?;
    let (key_id, application_key) = keys(config)?;
    let s3 = |endpoint: String, region: String| S3Config {
        endpoint,
        region,
        bucket: config.bucket.clone(),
        prefix: config.prefix.clone(),
        key_id: key_id.clone(),
        application_key: application_key.clone(),
        upload_limit: config.upload_limit,
        retry: config.retry.unwrap_or_default(),
        content_md5: false,
    };
    Ok(match place(config)? {
        Place::Other { endpoint, region } => Opening::Server(s3(endpoint, region)),
        Place::B2 { region } => {
            let request = DiscoveryRequest {
                #[cfg(feature = "testing")]
                api_url: config.b2_api_url.clone().unwrap_or_else(|| super::b2::API_URL.into()),
                key_id: key_id.clone(),
                application_key: application_key.clone(),
                bucket: config.bucket.clone(),
                prefix: config.prefix.clone(),
                region,
                #[cfg(feature = "testing")]
                trusted_hosts: config.trusted_hosts.clone(),
            };
            let s3 = S3Config { content_md5: true, ..s3(String::new(), String::new()) };
            Opening::B2(request, s3)
        }
    })
}

/// Opens the store that `config` describes and makes sure that it can be used.
///
/// # Errors
/// `B2_CONFIG` naming the setting; for a bucket all errors of the start-up check, for a folder those of the
/// file system.
pub async fn open(
    config: &StoreConfig,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<OpenedStore> {
    let (s3, warnings) = match opening(config)? {
        Opening::Folder(folder) => {
            let store = FolderStore::open(folder, config.prefix.clone(), entropy).await?;
            return Ok(OpenedStore { store: Arc::new(store), warnings: Vec::new() });
        }
        Opening::Server(s3) => (s3, Vec::new()),
        Opening::B2(request, s3) => {
            let found = discover(&request, s3.retry, &clock, &entropy).await?;
            (S3Config { endpoint: found.endpoint, region: found.region, ..s3 }, found.warnings)
        }
    };
    let store = S3Store::new(s3, clock, entropy)?;
    Ok(OpenedStore { store: Arc::new(store), warnings })
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Everything but the region is found by asking B2.
    B2 {
        region: Option<String>,
    },
    Other {
        endpoint: String,
        region: String,
    },
}

fn place(config: &StoreConfig) -> Result<Place> {
    let region = present(config.region.as_deref()).map(checked_region).transpose()?;
    let Some(endpoint) = present(config.endpoint.as_deref()) else {
        return Ok(Place::B2 { region });
    };
    let endpoint =
        if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
    let base = BaseUrl::new("endpoint", &endpoint)?;
    if let Some(named) = region_of_host(&base.authority) {
        return match region {
            Some(region) if region != named => {
                let message = format!(
                    "{region} does not fit the endpoint, which is in {named}: leave region out"
                );
                Err(Error::config("region", message))
            }
            _ => Ok(Place::B2 { region: Some(named.to_owned()) }),
        };
    }
    if base.authority.ends_with(".backblazeb2.com") {
        let message = format!(
            "{} is no S3 endpoint of B2: it looks like s3.us-west-004.backblazeb2.com",
            base.authority
        );
        return Err(Error::config("endpoint", message));
    }
    Ok(Place::Other {
        endpoint: base.text,
        region: region.unwrap_or_else(|| DEFAULT_REGION.into()),
    })
}

fn present(setting: Option<&str>) -> Option<&str> {
    setting.map(str::trim).filter(|text| !text.is_empty())
}

// What is wrong with a setting is said without its value: people put secrets into the wrong field.
fn checked_region(region: &str) -> Result<String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if region.len() > 60 || !region.bytes().all(good) {
        return Err(Error::config("region", "must look like us-west-004"));
    }
    Ok(region.to_owned())
}

fn keys(config: &StoreConfig) -> Result<(String, Secret)> {
    let Some(key_id) = present(config.key_id.as_deref()) else {
        return Err(Error::config(
            "keyId",
            "is missing: the id of an application key for the bucket",
        ));
    };
    let application_key =
        config.application_key.as_ref().filter(|key| !key.expose().trim().is_empty());
    let Some(application_key) = application_key else {
        return Err(Error::config(
            "applicationKey",
            "is missing: the application key that belongs to keyId",
        ));
    };
    let visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    if !visible(key_id) {
        return Err(Error::config("keyId", "holds characters that no key id has"));
    }
    // A key pasted with a line break is the usual case; its value is not repeated.
    let application_key = Secret::new(application_key.expose().trim().to_owned());
    if !visible(application_key.expose()) {
        return Err(Error::config("applicationKey", "holds characters that no key has"));
    }
    Ok((key_id.to_owned(), application_key))
}

fn check_bucket(bucket: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let edges = ends(bucket.bytes().next()) && ends(bucket.bytes().last());
    let named = (3..=63).contains(&bucket.len()) && bucket.bytes().all(good);
    if named && edges && !bucket.contains("..") {
        return Ok(());
    }
    let message = "must be a bucket name (3 to 63 letters, digits and -) or file:///path";
    Err(Error::config("bucket", message))
}

fn check_prefix(prefix: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let segment =
        |text: &str| !matches!(text, "" | "." | ".." | TEMP_DIR) && text.bytes().all(good);
    let ours = ["keys", "packs", "doctor"];
    let message = if prefix.len() > MAX_PREFIX_BYTES || !prefix.split('/').all(segment) {
        format!("needs 1 to {MAX_PREFIX_BYTES} of A-Z a-z 0-9 . _ - with single slashes inside")
    } else if let Some(folder) = prefix.split('/').skip(1).find(|part| ours.contains(part)) {
        // Backups below the prefix around it would take these for theirs.
        format!(
            "{folder:?} behind a slash is a folder of the backups themselves: take another name"
        )
    } else {
        return Ok(());
    };
    Err(Error::config("prefix", message))
}

/// The folder of `file:///path`.
fn folder_path(url: &str) -> Result<PathBuf> {
    let wrong = |message: &str| Error::config("bucket", format!("{url:?} {message}"));
    let Some(path) =
        url.get(5..).and_then(|rest| rest.strip_prefix("//")).filter(|path| path.starts_with('/'))
    else {
        return Err(wrong("must be file:///path with three slashes"));
    };
    if path.contains(['?', '#']) {
        return Err(wrong("must not hold ? or #: write %3F or %23"));
    }
    let path = decode(path).ok_or_else(|| wrong("is not properly percent-encoded UTF-8"))?;
    if path.contains('\0') || path.split(['/', '\\']).any(|part| part == "..") {
        return Err(wrong("must be a plain absolute path"));
    }
    if !cfg!(windows) {
        return Ok(PathBuf::from(path));
    }
    let found = on_windows(&path).map(PathBuf::from);
    found.ok_or_else(|| {
        wrong("must be file:///C:/path, or file:////server/share/path for a network share")
    })
}

/// A path on Windows, from that of a `file:` URL: `/C:/backup`, or `//server/share/backup`. `None` for what would be
/// looked for from wherever the process works.
fn on_windows(path: &str) -> Option<String> {
    let path = path.replace('/', "\\");
    if let Some(share) = path.strip_prefix(r"\\") {
        let mut parts = share.splitn(3, '\\');
        let named = |part: Option<&str>| part.is_some_and(|part| !matches!(part, "" | "." | "?"));
        return (named(parts.next()) && named(parts.next())).then_some(path);
    }
    let rest = path.strip_prefix('\\')?;
    let drive =
        matches!(rest.as_bytes(), [letter, b':', b'\\', ..] if letter.is_ascii_alphabetic());
    (drive && !rest.get(2..)?.contains(':')).then(|| rest.to_owned())
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(error: &Error) -> &str {
        match error {
            Error::Config { field, .. } => field,
            other => panic!("{other:?}"),
        }
    }

    fn config(region: Option<&str>, endpoint: Option<&str>) -> StoreConfig {
        StoreConfig {
            region: region.map(str::to_owned),
            endpoint: endpoint.map(str::to_owned),
            ..StoreConfig::default()
        }
    }

    #[test]
    fn folders_are_file_urls() {
        #[cfg(unix)]
        assert_eq!(folder_path("file:///a/b%20c").unwrap(), PathBuf::from("/a/b c"));
        #[cfg(unix)]
        assert_eq!(folder_path("FILE:///%C3%BC").unwrap(), PathBuf::from("/ü"));
        for bad in [
            "file:",
            "file:/a",
            "file://host/a",
            "file:a",
            "file:///a%2",
            "file:///%ff",
            "file:///a?b",
            "file:///a/../b",
            "file:///C:/a%5C..%5Cb",
            "file:///%00",
        ] {
            assert_eq!(field(&folder_path(bad).unwrap_err()), "bucket", "{bad}");
        }
    }

    #[test]
    fn folders_on_windows_are_on_a_drive_or_a_share() {
        for (path, folder) in [
            ("/C:/backup", r"C:\backup"),
            ("/c:/", r"c:\"),
            ("/C:/a b/\u{fc}", "C:\\a b\\\u{fc}"),
            (r"/C:\backup", r"C:\backup"),
            ("//nas/share", r"\\nas\share"),
            ("//nas/share/a/b", r"\\nas\share\a\b"),
        ] {
            assert_eq!(on_windows(path).as_deref(), Some(folder), "{path}");
        }
        // Each of these would be a folder below, or on the drive of, whatever directory the process works in; or a device.
        for path in [
            "/backup",
            "/",
            "/C:",
            "/C:backup",
            "//nas",
            "//nas/",
            "///nas/share",
            "//./COM1",
            "//?/C:/x",
            "/CD:/x",
            "/C:/a:b",
        ] {
            assert_eq!(on_windows(path), None, "{path}");
        }
    }

    #[test]
    fn names_are_checked() {
        for good in ["a", "openclaw", "a/b.c_d-E/9"] {
            check_prefix(good).unwrap();
        }
        let long = "x".repeat(101);
        let odd = ["", "/a", "a/", "a//b", "a b", "..", "a/./b", "ü", TEMP_DIR, &long];
        for bad in odd.into_iter().chain(["a/keys", "a/packs/b", "a/b/doctor"]) {
            assert_eq!(field(&check_prefix(bad).unwrap_err()), "prefix", "{bad}");
        }
        for good in ["abc", "my-bucket", "My.Bucket9"] {
            check_bucket(good).unwrap();
        }
        for bad in ["", "ab", "-abc", "abc-", "a_b", "a/b", "a..b", "s3://abc", &"x".repeat(64)] {
            assert_eq!(field(&check_bucket(bad).unwrap_err()), "bucket", "{bad}");
        }
    }

    #[test]
    fn places_are_told_apart() {
        let b2 = |region: Option<&str>| Place::B2 { region: region.map(str::to_owned) };
        assert_eq!(place(&config(None, None)).unwrap(), b2(None));
        assert_eq!(
            place(&config(Some("eu-central-003"), Some(" "))).unwrap(),
            b2(Some("eu-central-003"))
        );
        let endpoint = Some("s3.us-west-004.backblazeb2.com");
        assert_eq!(place(&config(None, endpoint)).unwrap(), b2(Some("us-west-004")));
        let other = |region: &str| Place::Other {
            endpoint: "https://minio.example.com:9000".into(),
            region: region.into(),
        };
        assert_eq!(
            place(&config(None, Some("minio.example.com:9000"))).unwrap(),
            other("us-east-1")
        );
        assert_eq!(
            place(&config(Some("r-1"), Some("https://minio.example.com:9000/"))).unwrap(),
            other("r-1")
        );
        for (region, endpoint, wrong) in [
            (Some("us east"), None, "region"),
            (Some("us-east-005"), endpoint, "region"),
            (None, Some("http://minio.example.com"), "endpoint"),
            (None, Some("https://f004.backblazeb2.com"), "endpoint"),
            (None, Some("https://h/bucket"), "endpoint"),
        ] {
            assert_eq!(field(&place(&config(region, endpoint)).unwrap_err()), wrong);
        }
    }

    #[test]
    fn keys_are_required_and_never_repeated() {
        let mut config = config(None, None);
        assert_eq!(field(&keys(&config).unwrap_err()), "keyId");
        config.key_id = Some("id".into());
        assert_eq!(field(&keys(&config).unwrap_err()), "applicationKey");
        config.application_key = Some(Secret::new("geheim wort".into()));
        let error = keys(&config).unwrap_err();
        assert_eq!(field(&error), "applicationKey");
        assert!(!error.to_string().contains("geheim"));
        config.application_key = Some(Secret::new("K001\n".into()));
        assert_eq!(keys(&config).unwrap().1.expose(), "K001");
    }
}
