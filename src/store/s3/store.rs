//! The S3 calls behind each method of [`ObjectStore`].

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use ::http::Method;
use async_trait::async_trait;
use bytes::Bytes;

use super::Request;
use super::S3Store;
use super::list;
use super::retry::{Again, Failure};
use crate::error::{Error, Result};
use crate::store::s3::payload::Payload;
use crate::store::{
    BucketRules, Listing, ObjectInfo, ObjectKey, ObjectStore, ObjectVersion, Traffic,
};

/// A page of 1,000 names of up to 1,024 bytes with all their tags.
const MAX_PAGE_BYTES: u64 = 4 * 1024 * 1024;
/// A listing beyond this is no backup's, and would not fit into memory.
const MAX_LISTED: usize = 5_000_000;

impl S3Store {
    fn object<'a>(
        &self,
        operation: &'static str,
        method: Method,
        key: &'a ObjectKey,
        version: Option<&str>,
    ) -> Request<'a> {
        let version = version.map(|version| ("versionId", version.to_owned()));
        Request {
            operation,
            object: key.as_str(),
            method,
            url: self.url(key.as_str(), version.as_slice()),
            range: None,
            payload: None,
            deletes_version: false,
            max_bytes: super::http::MAX_ERROR_BYTES,
        }
    }

    pub(super) fn listing<'a>(&self, prefix: &'a str, query: &[(&str, String)]) -> Request<'a> {
        Request {
            operation: "LIST",
            object: prefix,
            method: Method::GET,
            url: self.url("", query),
            range: None,
            payload: None,
            deletes_version: false,
            max_bytes: MAX_PAGE_BYTES,
        }
    }

    /// A name as the server gave it, without our prefix.
    fn below_prefix(&self, full: &str, prefix: &str) -> Result<String> {
        full.strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_prefix('/'))
            .filter(|name| name.starts_with(prefix))
            .map(str::to_owned)
            .ok_or_else(|| {
                self.question("LIST", prefix)
                    .unusable("the answer names objects that were not asked for")
            })
    }

    fn check_listed(&self, prefix: &str, count: usize) -> Result<()> {
        if count <= MAX_LISTED {
            return Ok(());
        }
        Err(self
            .question("LIST", prefix)
            .unusable(format!("there are more than {MAX_LISTED} objects")))
    }

    /// A range comes as 206 with the bytes asked for; a shorter body is the object's end or a cut line.
    async fn ranged(
        &self,
        key: &ObjectKey,
        version: Option<&str>,
        start: u64,
        length: u64,
    ) -> Result<Bytes, Failure> {
        let end = crate::store::range_end(key, start, length).map_err(Failure::permanent)?;
        if length == 0 {
            return Ok(Bytes::new());
        }
        let mut request = self.object("GET", Method::GET, key, version);
        request.range = Some(format!("bytes={start}-{}", end - 1));
        request.max_bytes = end - start;
        let answer = self.send(&request).await?;
        let unusable = |message: &str| {
            Failure::permanent(self.question("GET", key.as_str()).unusable(message))
        };
        if answer.status != 206 {
            return Err(unusable("the server ignores ranges"));
        }
        let content_range =
            answer.headers.get("content-range").and_then(|value| value.to_str().ok());
        let Some((first, last)) = content_range.and_then(parse_content_range) else {
            return Err(unusable("the server does not say which range it sent"));
        };
        if first != start || last >= end || answer.body.len() as u64 != last - first + 1 {
            return Err(unusable("the server sent another range than asked for"));
        }
        if last + 1 < end {
            return Err(Failure::permanent(crate::store::ends_early(key, end)));
        }
        Ok(answer.body)
    }

    async fn whole(&self, key: &ObjectKey, version: Option<&str>, max_bytes: u64) -> Result<Bytes> {
        let mut request = self.object("GET", Method::GET, key, version);
        request.max_bytes = max_bytes;
        let answer = self.send(&request).await?;
        if answer.status != 200 {
            return Err(self
                .question("GET", key.as_str())
                .unusable(format!("unexpected status {}", answer.status)));
        }
        Ok(answer.body)
    }

    /// The first page of versions, or `None` from a server that has none.
    async fn version_page(
        &self,
        prefix: &str,
        query: &[(&str, String)],
        first: bool,
    ) -> Result<Option<list::VersionPage>> {
        let answer = match self.send(&self.listing(prefix, query)).await {
            Ok(answer) => answer,
            Err(failure) if first && is_unknown_call(&failure) => return Ok(None),
            Err(failure) => return Err(failure.error),
        };
        match list::versions(&answer.body) {
            Ok(page) => Ok(Some(page)),
            // A server that does not know what was asked lists the objects. What cannot be read says nothing: taken
            // for a store without versions, it would have deletions only hide what they should remove.
            Err(_) if first && list::objects(&answer.body).is_ok() => Ok(None),
            Err(message) => Err(self.question("LIST", prefix).unusable(message)),
        }
    }

    fn version(
        &self,
        entry: list::VersionEntry,
        hidden: bool,
        prefix: &str,
    ) -> Result<ObjectVersion> {
        Ok(ObjectVersion {
            key: self.below_prefix(&entry.key, prefix)?,
            modified: entry.modified(),
            version: entry.version_id,
            latest: entry.is_latest,
            hidden,
            size: if hidden { 0 } else { entry.size },
            etag: entry.etag.filter(|_| !hidden),
        })
    }
}

/// Whether the server does not know `ListObjectVersions`; a missing bucket is something else.
fn is_unknown_call(failure: &Failure) -> bool {
    failure.again == Again::Never
        && matches!(failure.status, 400 | 404 | 405 | 501)
        && matches!(failure.error, Error::Store { .. } | Error::ObjectMissing { .. })
}

/// First and last byte of `bytes 1-3/10`.
fn parse_content_range(text: &str) -> Option<(u64, u64)> {
    let (range, _) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

#[async_trait]
impl ObjectStore for S3Store {
    fn identity(&self) -> String {
        format!("{}/{}/{}", self.base.text, self.bucket, self.prefix)
    }

    async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        let payload = Payload::new(body, self.content_md5.load(Ordering::Relaxed)).await?;
        let mut request = self.object("PUT", Method::PUT, key, None);
        request.payload = Some(&payload);
        self.send(&request).await?;
        Ok(())
    }

    async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes> {
        self.whole(key, None, max_bytes).await
    }

    async fn get_range(&self, key: &ObjectKey, start: u64, length: u64) -> Result<Bytes> {
        Ok(self.ranged(key, None, start, length).await?)
    }

    async fn get_version(&self, key: &ObjectKey, version: &str, max_bytes: u64) -> Result<Bytes> {
        self.whole(key, Some(version), max_bytes).await
    }

    async fn get_version_range(
        &self,
        key: &ObjectKey,
        version: &str,
        start: u64,
        length: u64,
    ) -> Result<Bytes> {
        Ok(self.ranged(key, Some(version), start, length).await?)
    }

    async fn bucket_rules(&self) -> Result<BucketRules> {
        Ok(BucketRules { lifecycle: self.lifecycle().await?, lock: self.lock().await? })
    }

    async fn list(&self, prefix: &str, delimited: bool) -> Result<Listing> {
        let mut listing = Listing::default();
        let mut prefixes = BTreeSet::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("list-type", "2".to_owned()), ("max-keys", "1000".to_owned())];
            query.push(("prefix", format!("{}/{prefix}", self.prefix)));
            query.extend(delimited.then(|| ("delimiter", "/".to_owned())));
            query.extend(token.clone().map(|token| ("continuation-token", token)));
            let answer = self.send(&self.listing(prefix, &query)).await?;
            let unusable = |message| self.question("LIST", prefix).unusable(message);
            let page = list::objects(&answer.body).map_err(unusable)?;
            for content in page.contents {
                let (key, modified) =
                    (self.below_prefix(&content.key, prefix)?, content.modified());
                listing.objects.push(ObjectInfo { key, size: content.size, modified });
            }
            for common in page.common_prefixes {
                prefixes.insert(self.below_prefix(&common.prefix, prefix)?);
            }
            self.check_listed(prefix, listing.objects.len() + prefixes.len())?;
            if !page.is_truncated {
                break;
            }
            // Without progress this would go on forever.
            match page.next_continuation_token {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                _ => {
                    return Err(unusable(
                        "the answer is truncated but does not say where to go on",
                    ));
                }
            }
        }
        listing.objects.sort_by(|a, b| a.key.cmp(&b.key));
        listing.objects.dedup_by(|a, b| a.key == b.key);
        listing.prefixes = prefixes.into_iter().collect();
        Ok(listing)
    }

    async fn list_versions(&self, prefix: &str) -> Result<Option<Vec<ObjectVersion>>> {
        let mut found = Vec::new();
        let mut marker: Option<(String, String)> = None;
        loop {
            let mut query = vec![("versions", String::new()), ("max-keys", "1000".to_owned())];
            query.push(("prefix", format!("{}/{prefix}", self.prefix)));
            if let Some((key, version)) = &marker {
                query.push(("key-marker", key.clone()));
                query.extend((!version.is_empty()).then(|| ("version-id-marker", version.clone())));
            }
            let Some(page) = self.version_page(prefix, &query, marker.is_none()).await? else {
                return Ok(None);
            };
            for entry in page.versions {
                found.push(self.version(entry, false, prefix)?);
            }
            for entry in page.markers {
                found.push(self.version(entry, true, prefix)?);
            }
            self.check_listed(prefix, found.len())?;
            if !page.is_truncated {
                break;
            }
            let next = (
                page.next_key_marker.unwrap_or_default(),
                page.next_version_id_marker.unwrap_or_default(),
            );
            if next.0.is_empty() || marker.as_ref() == Some(&next) {
                let message = "the answer is truncated but does not say where to go on";
                return Err(self.question("LIST", prefix).unusable(message));
            }
            marker = Some(next);
        }
        // Versions of one name keep the server's order, the newest first, but for markers: by time.
        found.sort_by(|a, b| (&a.key, !a.latest, b.modified).cmp(&(&b.key, !b.latest, a.modified)));
        Ok(Some(found))
    }

    async fn delete(&self, key: &ObjectKey, version: Option<&str>) -> Result<()> {
        let mut request = self.object("DELETE", Method::DELETE, key, version);
        request.deletes_version = version.is_some();
        match self.send(&request).await {
            Err(Failure { error: Error::ObjectMissing { .. }, .. }) | Ok(_) => Ok(()),
            Err(failure) => Err(failure.error),
        }
    }

    fn server_offset_ms(&self) -> i64 {
        self.server_offset_ms.load(Ordering::Relaxed)
    }

    fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.counters.requests.load(Ordering::Relaxed),
            sent_bytes: self.counters.sent.load(Ordering::Relaxed),
            received_bytes: self.counters.received.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(parse_content_range("bytes 1-3/10"), Some((1, 3)));
        assert_eq!(parse_content_range("bytes 0-0/*"), Some((0, 0)));
        for bad in ["", "bytes */10", "1-3/10", "bytes 3-1/10", "bytes a-b/c"] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }
}
