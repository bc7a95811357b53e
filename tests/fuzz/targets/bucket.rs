//! What a bucket answers and shows: listings, refusals, names, and objects of the original plugin.

use std::sync::OnceLock;

use b2_backup::crypto::{ScryptCost, looks_sealed, open_legacy_with, stretch};
use b2_backup::format::{ChunkId, MachineId, PackName, RepositoryId, SnapshotId, SnapshotName};
use b2_backup::legacy::Manifest;
use b2_backup::store::ObjectKey;
use b2_backup::store::s3::probe;

use super::format::stays_below;

pub fn legacy_manifest(data: &[u8]) {
    let Ok(manifest) = Manifest::parse(data, "m") else { return };
    for (path, file) in &manifest.files {
        let text = serde_json::json!({
            "version": 1, "files": { path: { "hash": hex(&file.sha256), "size": file.bytes } }
        });
        let again = Manifest::parse(text.to_string().as_bytes(), "m").unwrap();
        assert_eq!(again.files.get(path), Some(file));
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub fn legacy_manifest_seeds() -> Vec<Vec<u8>> {
    let hash = "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356";
    vec![
        format!(
            r#"{{"version": 1, "timestamp": "2026-11-22T07:15:12.904Z",
                "files": {{"a/b": {{"hash": "{hash}", "size": 3}}, "../c": {{"hash": "{hash}"}}}}}}"#
        )
        .into_bytes(),
        br#"{"version":1,"timestamp":7,"files":{}}"#.to_vec(),
    ]
}

/// Stretching costs 40 ms for each salt; here it is that of a salt of zeros, whatever the salt.
pub fn legacy_object(data: &[u8]) {
    static KEY: OnceLock<[u8; 32]> = OnceLock::new();
    let stretched = || {
        let cost = ScryptCost { log_n: 14, r: 8, p: 1 };
        *stretch(b"K004fixtureAppKeyForTestsOnly0000", &[0; 32], cost).unwrap()
    };
    let key = *KEY.get_or_init(stretched);
    let opened = open_legacy_with(data, |_| Some(key.into()));
    if let Some(content) = opened {
        assert!(looks_sealed(data));
        assert_eq!(content.len(), data.len() - 64);
    }
}

pub fn legacy_object_seeds() -> Vec<Vec<u8>> {
    // Made with the original's own code; src/crypto/legacy.rs has it, too.
    let sealed = [
        0x01, 0x11, 0x49, 0x25, 0xb5, 0x83, 0x71, 0x40, 0x98, 0x7e, 0xfe, 0x7a, 0x39, 0xc4, 0xe7,
        0x9c, 0xb9, 0xc9, 0x9b, 0x56, 0x9f,
    ];
    vec![[&b"B2EN"[..], &[0; 44], &sealed].concat(), b"B2EN".to_vec()]
}

pub fn list(data: &[u8]) {
    let documents = probe::documents(data);
    assert!(documents <= 1, "one body is {documents} documents");
}

pub fn list_seeds() -> Vec<Vec<u8>> {
    [
        r#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
        <Name>b</Name><Prefix>p/</Prefix><IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>
        <Contents><Key>p/a&lt;b</Key><Size>5</Size><LastModified>1970-01-01T00:00:02.000Z</LastModified></Contents>
        <CommonPrefixes><Prefix>p/c/</Prefix></CommonPrefixes></ListBucketResult>"#,
        "<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>a</Key><VersionId>1</VersionId>
        <IsLatest>true</IsLatest><Size>3</Size><ETag>\"x\"</ETag></Version><DeleteMarker><Key>b</Key>
        <VersionId>2</VersionId><IsLatest>true</IsLatest></DeleteMarker></ListVersionsResult>",
        "<LifecycleConfiguration><Rule><Filter><And><Prefix>t/</Prefix></And></Filter><Status>Enabled</Status>
        <Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>",
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>
        <Mode>GOVERNANCE</Mode><Years>2</Years></DefaultRetention></Rule></ObjectLockConfiguration>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult><Contents><Key>&a;</Key></Contents></ListBucketResult>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Two bytes of status, `Retry-After` up to the first line feed, the body.
pub fn error(data: &[u8]) {
    let Some((status, rest)) = data.split_first_chunk::<2>() else { return };
    let status = u16::from_be_bytes(*status) % 1000;
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (later, body) = rest.split_at(end);
    let error = probe::refused(status, later, body);
    let text = error.to_string();
    assert!(error.code().starts_with("B2_"));
    // It goes to a terminal and into a log: of what a server says, a line.
    assert!(text.len() < 1000 && !text.contains(char::is_control), "{text:?}");
}

pub fn error_seeds() -> Vec<Vec<u8>> {
    [
        (403, "", "<Error><Code>AccessDenied</Code><Message>not entitled</Message></Error>"),
        (503, "12", "<Error><Code>SlowDown</Code></Error>"),
        (429, "Sun, 06 Nov 1994 08:50:07 GMT", ""),
        (403, "", "<Error><Code>RequestTimeTooSkewed</Code><Message>x\u{1b}[2J</Message></Error>"),
        (301, "", "<html>"),
    ]
    .map(|(status, later, body): (u16, &str, &str)| {
        [&status.to_be_bytes()[..], later.as_bytes(), b"\n", body.as_bytes()].concat()
    })
    .to_vec()
}

pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match SnapshotName::parse(&text) {
        Some(SnapshotName::Current(id)) => {
            assert_eq!(id.to_string(), text);
            assert!(ObjectKey::new(id.object()).is_ok());
            assert_eq!(SnapshotId::new(id.seconds().unwrap(), id.machine, id.safety), id);
        }
        Some(SnapshotName::Legacy(name)) => {
            assert!(name == text && ObjectKey::listed(&name).is_some());
        }
        None => assert!(SnapshotId::parse(&text).is_none()),
    }
    let shown = [
        MachineId::parse(&text).map(|id| id.to_string()),
        PackName::parse(&text).map(|id| id.to_string()),
        RepositoryId::parse(&text).map(|id| id.to_string()),
        ChunkId::parse(&text).map(|id| id.to_string()),
    ];
    assert!(shown.into_iter().flatten().all(|shown| shown == text));
    for key in [ObjectKey::new(text.as_ref()).ok(), ObjectKey::listed(&text)].into_iter().flatten()
    {
        assert!(key.as_str() == text && stays_below(text.as_bytes()));
    }
}

pub fn names_seeds() -> Vec<Vec<u8>> {
    [
        "2026-02-19T00-00-00Z-83bc2bf3",
        "safety-2026-02-19T00-00-00Z-83bc2bf3",
        "2026-11-22T07-15-50-904Z-9681abb5",
        "c06afc3e213de7a09a88462bf92d3646",
        "packs/83bc2bf3/c06afc3e213de7a09a88462bf92d3646",
        "a/../b",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
