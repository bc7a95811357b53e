//! The XML answers of S3: listings and errors. What is not the expected document is refused.

use std::time::SystemTime;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;

/// Why an answer cannot be used, in words for a message.
pub(super) type Unusable = &'static str;

/// One page of `ListObjectsV2`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ObjectPage {
    pub(super) is_truncated: bool,
    pub(super) next_continuation_token: Option<String>,
    pub(super) contents: Vec<Content>,
    pub(super) common_prefixes: Vec<CommonPrefix>,
}

/// An object of a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Content {
    pub(super) key: String,
    pub(super) size: u64,
    #[serde(default)]
    last_modified: String,
}

/// A common prefix of a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CommonPrefix {
    pub(super) prefix: String,
}

/// One page of `ListObjectVersions`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct VersionPage {
    pub(super) is_truncated: bool,
    pub(super) next_key_marker: Option<String>,
    pub(super) next_version_id_marker: Option<String>,
    #[serde(rename = "Version")]
    pub(super) versions: Vec<VersionEntry>,
    #[serde(rename = "DeleteMarker")]
    pub(super) markers: Vec<VersionEntry>,
}

/// A version, or a hide marker, of a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VersionEntry {
    pub(super) key: String,
    pub(super) version_id: String,
    #[serde(default)]
    pub(super) is_latest: bool,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default)]
    last_modified: String,
    #[serde(default, rename = "ETag")]
    pub(super) etag: Option<String>,
}

/// The body of an error answer; empty where there is none.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ErrorBody {
    pub(super) code: String,
    pub(super) message: String,
}

impl Content {
    pub(super) fn modified(&self) -> Option<SystemTime> {
        timestamp(&self.last_modified)
    }
}

impl VersionEntry {
    pub(super) fn modified(&self) -> Option<SystemTime> {
        timestamp(&self.last_modified)
    }
}

fn timestamp(text: &str) -> Option<SystemTime> {
    text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

/// Reads a page of objects.
pub(super) fn objects(body: &[u8]) -> Result<ObjectPage, Unusable> {
    document(body, "ListBucketResult")
}

/// Reads a page of versions.
pub(super) fn versions(body: &[u8]) -> Result<VersionPage, Unusable> {
    document(body, "ListVersionsResult")
}

/// Reads an error; one without a body has no code.
pub(super) fn error(body: &[u8]) -> ErrorBody {
    document(body, "Error").unwrap_or_default()
}

/// The deserialiser itself accepts any root element, and a document that ends early.
pub(super) fn document<'a, T: Deserialize<'a>>(body: &'a [u8], root: &str) -> Result<T, Unusable> {
    let text = std::str::from_utf8(body).map_err(|_| "the answer is not UTF-8")?;
    let mut reader = Reader::from_str(text);
    let mut depth = 0_u32;
    loop {
        match reader.read_event().map_err(|_| "the answer is not well-formed XML")? {
            Event::Start(_) if depth > 16 => return Err("the answer is nested too deeply"),
            // The first element is the one that is read below, also where it is an empty one.
            Event::Start(start) | Event::Empty(start)
                if depth == 0 && start.local_name().as_ref() != root =>
            {
                return Err("the answer is a different document than asked for");
            }
            Event::Start(_) => depth += 1,
            Event::Empty(_) if depth == 0 => break,
            Event::End(_) if depth == 1 => break,
            Event::End(_) => depth -= 1,
            Event::Eof => return Err("the answer ends early"),
            _ => {}
        }
    }
    quick_xml::de::from_str(text).map_err(|_| "the answer does not have the expected fields")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn pages_are_read() {
        let page = objects(
            br#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>p/</Prefix>
            <IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>
            <Contents><Key>p/a&lt;b</Key><Size>5</Size><LastModified>1970-01-01T00:00:02.000Z</LastModified>
            <Owner><ID>x</ID></Owner></Contents><CommonPrefixes><Prefix>p/c/</Prefix></CommonPrefixes>
            <Contents><Key>p/d</Key><Size>0</Size></Contents></ListBucketResult>"#,
        )
        .unwrap();
        assert!(page.is_truncated);
        assert_eq!(page.next_continuation_token.as_deref(), Some("t&1"));
        assert_eq!((page.contents[0].key.as_str(), page.contents[0].size), ("p/a<b", 5));
        assert_eq!(
            page.contents[0].modified(),
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(2))
        );
        assert_eq!((page.contents.len(), page.common_prefixes[0].prefix.as_str()), (2, "p/c/"));
        assert!(objects(b"<ListBucketResult/>").unwrap().contents.is_empty());
    }

    #[test]
    fn versions_and_markers_may_alternate() {
        let page = versions(
            b"<ListVersionsResult><IsTruncated>false</IsTruncated>
            <Version><Key>a</Key><VersionId>1</VersionId><IsLatest>true</IsLatest><Size>3</Size></Version>
            <DeleteMarker><Key>b</Key><VersionId>2</VersionId><IsLatest>true</IsLatest></DeleteMarker>
            <Version><Key>b</Key><VersionId>3</VersionId><IsLatest>false</IsLatest><Size>4</Size></Version>
            </ListVersionsResult>",
        )
        .unwrap();
        assert_eq!((page.versions.len(), page.markers.len()), (2, 1));
        assert!(page.markers[0].is_latest && !page.versions[1].is_latest);
    }

    #[test]
    fn other_documents_are_refused() {
        for bad in [
            "",
            "hello",
            "<html><body>Log in</body></html>",
            "<Error><Code>x</Code></Error>",
            "<html/><ListBucketResult/>",
            "<ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Size>1</Size>",
            "<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult><Contents><Key>&a;</Key><Size>1</Size></Contents></ListBucketResult>",
        ] {
            assert!(objects(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(objects(&[0xff, 0xfe]).is_err());
        assert_eq!(error(b"<html>").code, "");
        assert_eq!(error(b"<Error><Code>SlowDown</Code></Error>").code, "SlowDown");
    }
}
