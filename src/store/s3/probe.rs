//! A door for `tests/fuzz` to what reads a server's answers. No part of the interface.

use std::time::SystemTime;

use ::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;

use super::http::Answer;
use super::refusal::{Question, refusal};
use super::{list, rules};
use crate::error::Error;

/// Reads a body as every document that is expected of a server; how many of them it is.
#[must_use]
pub fn documents(body: &[u8]) -> usize {
    let objects = list::objects(body)
        .map(|page| page.contents.iter().filter_map(list::Content::modified).count());
    let versions = list::versions(body).map(|page| {
        let all = page.versions.iter().chain(&page.markers);
        all.filter_map(list::VersionEntry::modified).count()
    });
    usize::from(objects.is_ok())
        + usize::from(versions.is_ok())
        + usize::from(rules::lifecycle(body).is_ok())
        + usize::from(rules::lock(body).is_ok())
}

/// What an answer that is no success means. `later` is its `Retry-After`.
#[must_use]
pub fn refused(status: u16, later: &[u8], body: &[u8]) -> Error {
    let mut headers = HeaderMap::new();
    if let Ok(later) = HeaderValue::from_bytes(later) {
        headers.insert(header::RETRY_AFTER, later.clone());
        headers.insert(header::DATE, later);
    }
    let body = Bytes::copy_from_slice(body);
    let question = Question {
        operation: "GET",
        object: "packs/00000000/00",
        deletes_version: false,
        endpoint: "https://s3.us-west-004.backblazeb2.com",
        region: "us-west-004",
        bucket: "bucket",
        key_id: "0050123456789ab0000000001",
        now: SystemTime::UNIX_EPOCH,
    };
    refusal(&question, &Answer { status, headers, body, cut: false }).error
}
