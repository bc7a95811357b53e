//! An object store: moves opaque bytes under short names, and knows no keys and no format.
//!
//! Names ([`ObjectKey`]) are relative to the configured prefix, which the store adds by itself.
//! Every object is written once and never changed; a repeated PUT of the same bytes is harmless.

pub mod as_of;
pub mod b2;
mod bucket;
pub mod folder;
#[cfg(feature = "testing")]
pub mod memory;
pub mod open;
pub mod s3;

pub use bucket::{BucketRules, LifecycleRule, ObjectLock, Setting};
pub use open::{OpenedStore, StoreConfig, open};

use std::fmt::{Debug, Display};
use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, Result};

/// What S3 servers without regions expect.
const DEFAULT_REGION: &str = "us-east-1";

/// Name of an object below the configured prefix: 1 to 200 bytes of `[A-Za-z0-9/._-]`, no empty, `.` or `..` segment.
///
/// The alphabet is what every server, proxy and file system takes as it is (docs/format.md, Objects).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Checks a name.
    ///
    /// # Errors
    /// `B2_INTERNAL` for a name outside the alphabet: names are made here, never by a user.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-');
        let segments_ok = name.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if name.len() > 200 || !name.bytes().all(allowed) || !segments_ok {
            return Err(Error::internal(format!("bad object name {name:?}")));
        }
        Ok(Self(name))
    }

    /// A name that a listing gave, for reading what others wrote: any text of at most 1,024 bytes (S3's bound)
    /// without NUL and without an empty, `.` or `..` segment, which would mean something else on the way. `None` for
    /// others.
    #[must_use]
    pub fn listed(name: &str) -> Option<Self> {
        let segments_ok = name.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        let good = name.len() <= 1024 && !name.contains('\0') && segments_ok;
        good.then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Name below the prefix, as the server gave it: not checked against our alphabet.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// `LastModified` by the server's clock, if it was readable.
    pub modified: Option<SystemTime>,
}

/// The answer to a LIST: all pages together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Objects, sorted by name.
    pub objects: Vec<ObjectInfo>,
    /// Common prefixes up to and including the next `/`, sorted; only with a delimiter.
    pub prefixes: Vec<String>,
}

/// One version of an object, or a marker that hides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Name below the prefix.
    pub key: String,
    /// The server's version id.
    pub version: String,
    /// Whether this is the version that a plain GET sees.
    pub latest: bool,
    /// A hide marker has no content.
    pub hidden: bool,
    /// Size in bytes; 0 for a marker.
    pub size: u64,
    /// `LastModified` by the server's clock.
    pub modified: Option<SystemTime>,
    /// What the server says is equal for equal content of one name; `None` for a marker, and where it says nothing.
    pub etag: Option<String>,
}

/// What has passed since the store was opened; retries count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// HTTP requests, or file operations that stand for one.
    pub requests: u64,
    /// Body bytes sent, including those of failed attempts.
    pub sent_bytes: u64,
    /// Body bytes received.
    pub received_bytes: u64,
}

/// An object store. Implementations retry by themselves and are safe to use from many tasks at once.
///
/// Errors common to all methods: `B2_NETWORK`, `B2_CREDENTIALS`, `B2_CAPABILITY`, `B2_BUCKET`,
/// `B2_CAP_EXCEEDED`, `B2_CLOCK`, `B2_STORE`, and the file-system codes for a folder.
#[async_trait]
pub trait ObjectStore: Debug + Send + Sync {
    /// Which bucket and prefix this is: endpoint, bucket and prefix, without secrets. Two stores with the
    /// same identity hold the same objects.
    fn identity(&self) -> String;

    /// Writes an object. When it returns, the object is durable.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have written the object; it never leaves a partial one.
    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()>;

    /// As [`Self::put`], of a finished file on this machine of which nobody changes anything any more, and that has so
    /// many bytes. A folder on the same file system takes the file itself: it is then written once, and not twice.
    ///
    /// # Errors
    /// `B2_DAMAGED` when the file has another size.
    async fn put_file(&self, key: &ObjectKey, file: &Path, bytes: u64) -> Result<()> {
        let (named, file) = (key.clone(), file.to_owned());
        let body = tokio::task::spawn_blocking(move || read_file(&named, &file, bytes))
            .await
            .map_err(|_| Error::internal("reading was aborted"))??;
        self.put(key, body).await
    }

    /// As [`Self::put`], but replaces nothing: `false`, and nothing is changed, where there is an object of that name.
    /// A server is asked first, so another writer may still come between; a folder does both at once.
    async fn put_new(&self, key: &ObjectKey, body: Bytes) -> Result<bool> {
        match self.get_range(key, 0, 1).await {
            Ok(_) => Ok(false),
            Err(Error::ObjectMissing { .. }) => self.put(key, body).await.map(|()| true),
            Err(error) => Err(error),
        }
    }

    /// Reads a whole object of at most `max_bytes`.
    ///
    /// # Errors
    /// `B2_OBJECT_MISSING`; `B2_STORE` when it is larger than `max_bytes`.
    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes>;

    /// Reads exactly `length` bytes from `start`. Nothing is asked of the server when `length` is 0.
    ///
    /// # Errors
    /// `B2_OBJECT_MISSING`; `B2_DAMAGED` when the object ends before `start + length`.
    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes>;

    /// Everything whose name starts with `prefix` (may be empty or end in `/`). With `delimited`, names are
    /// cut at the next `/` after `prefix` and given as prefixes.
    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing>;

    /// Every version of everything below `prefix`, by name, the newest first; `None` when this store keeps no
    /// versions.
    async fn list_versions(&self, prefix: &str) -> Result<Option<Vec<ObjectVersion>>>;

    /// As [`Self::get`], of one version.
    ///
    /// # Errors
    /// `B2_OBJECT_MISSING`, also where this store keeps no versions; `B2_STORE` when it is larger than `max_bytes`.
    async fn get_version(&self, key: &ObjectKey, _version: &str, _max_bytes: u64) -> Result<Bytes> {
        Err(Error::ObjectMissing { object: key.to_string() })
    }

    /// As [`Self::get_range`], of one version.
    ///
    /// # Errors
    /// `B2_OBJECT_MISSING`, also where this store keeps no versions; `B2_DAMAGED` when it ends early.
    async fn get_version_range(
        &self,
        key: &ObjectKey,
        _version: &str,
        _start: u64,
        _length: u64,
    ) -> Result<Bytes> {
        Err(Error::ObjectMissing { object: key.to_string() })
    }

    /// What the bucket does with objects by itself, as far as the key may know. Forbidden or unknown is no error.
    async fn bucket_rules(&self) -> Result<BucketRules> {
        Ok(BucketRules::default())
    }

    /// Deletes one version, or without a version the object (which on a store with versions hides it).
    /// Deleting what is not there is no error.
    async fn delete(&self, key: &ObjectKey, version: Option<&str>) -> Result<()>;

    /// Offset of the server's clock from this machine's in milliseconds (positive: the server is ahead), as
    /// of the last answer; 0 before the first.
    fn server_offset_ms(&self) -> i64;

    /// What has passed so far. Grows while a body is being sent, so that it can drive a progress display.
    fn traffic(&self) -> Traffic;
}

/// The content of a finished file.
fn read_file(key: &ObjectKey, file: &Path, bytes: u64) -> Result<Bytes> {
    let body = std::fs::read(file).map_err(|error| Error::io("read", file, error))?;
    if body.len() as u64 != bytes {
        return Err(Error::damaged(key.as_str(), "its file in the spool is cut off"));
    }
    Ok(body.into())
}

/// The error of a `get` whose object is larger than the caller takes.
fn too_large(key: &ObjectKey, max_bytes: u64) -> Error {
    let message = format!("the object is larger than the {max_bytes} bytes it may have");
    Error::Store { operation: "GET", object: key.to_string(), message }
}

/// The error of a `get_range` beyond the end of the object.
fn ends_early(key: &ObjectKey, end: u64) -> Error {
    Error::damaged(key.as_str(), format!("it ends before byte {end}"))
}

/// The first byte after a range.
fn range_end(key: &ObjectKey, start: u64, length: u64) -> Result<u64> {
    start
        .checked_add(length)
        .ok_or_else(|| Error::internal(format!("range of {key} beyond 64 bits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_keys_are_checked() {
        assert!(ObjectKey::new("packs/0a1b2c3d/00ff").is_ok());
        for bad in ["", "/a", "a/", "a//b", "a/../b", "a b", "a%20", "ü", &"x".repeat(201)] {
            assert!(ObjectKey::new(bad).is_err(), "{bad}");
        }
        for listed in ["a b", "a%20/ü", "a/b\\c:*?", &"x".repeat(1024)] {
            assert_eq!(ObjectKey::listed(listed).unwrap().as_str(), listed);
        }
        for bad in ["", "/a", "a/", "a//b", "a/../b", "./a", "a\0", &"x".repeat(1025)] {
            assert!(ObjectKey::listed(bad).is_none(), "{bad:?}");
        }
    }
}
