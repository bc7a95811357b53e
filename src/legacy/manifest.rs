//! `manifest.json`: every file of a snapshot with its hash.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Sha256;
use crate::error::{Error, Result};

/// No manifest is larger: with the shortest names there is room for 600,000 files.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// What the original knew of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Its size some time before it was read, in bytes: files grew meanwhile. A hint.
    pub bytes: u64,
}

/// A manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// When it was made, milliseconds since 1970; 0 where that cannot be read.
    pub made_ms: i64,
    /// Files by path below the state directory. Paths are not checked.
    pub files: BTreeMap<String, FileRecord>,
}

#[derive(Deserialize)]
struct Wire {
    version: u64,
    #[serde(default)]
    timestamp: serde_json::Value,
    files: BTreeMap<String, WireFile>,
}

#[derive(Deserialize)]
struct WireFile {
    hash: String,
    #[serde(default)]
    size: serde_json::Value,
}

impl Manifest {
    /// Reads a manifest; `object` is its name, for errors.
    ///
    /// # Errors
    /// `B2_DAMAGED` for anything that is not exactly of this form.
    pub fn parse(bytes: &[u8], object: &str) -> Result<Self> {
        // What serde says could repeat a path: it is not for a message.
        let wire: Wire = serde_json::from_slice(bytes)
            .map_err(|_| Error::damaged(object, "it is no manifest of the original plugin"))?;
        if wire.version != 1 {
            return Err(Error::damaged(object, "it says that it is of another version than 1"));
        }
        let mut files = BTreeMap::new();
        for (path, file) in wire.files {
            let mut sha256 = [0; 32];
            hex::decode_to_slice(&file.hash, &mut sha256)
                .map_err(|_| Error::damaged(object, "a hash in it is none"))?;
            files.insert(path, FileRecord { sha256, bytes: file.size.as_u64().unwrap_or(0) });
        }
        let made = wire.timestamp.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        Ok(Self { made_ms: made.map_or(0, jiff::Timestamp::as_millisecond), files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_original_wrote() {
        let hash = "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356";
        let text = format!(
            r#"{{"version": 1, "timestamp": "2026-11-22T07:15:12.904Z", "more": [],
                "files": {{"a/b": {{"hash": "{hash}", "size": 3}}, "c": {{"hash": "{hash}"}}}}}}"#
        );
        let manifest = Manifest::parse(text.as_bytes(), "m").unwrap();
        assert_eq!(manifest.made_ms, 1_795_331_712_904);
        assert_eq!(manifest.files["a/b"].bytes, 3);
        assert_eq!(hex::encode(manifest.files["c"].sha256), hash);
    }

    #[test]
    fn refuses_the_rest() {
        let deep = format!(r#"{{"version":1,"files":{}"#, "[".repeat(100_000));
        for bad in [
            "",
            "null",
            "{}",
            r#"{"version":1}"#,
            r#"{"version":1,"files":[]}"#,
            r#"{"version":2,"files":{}}"#,
            r#"{"version":99,"files":{}}"#,
            r#"{"version":1,"files":{"a":{}}}"#,
            r#"{"version":1,"files":{"a":{"hash":"00"}}}"#,
            r#"{"version":1,"files":{"a":{"hash":7}}}"#,
            r#"{"version":1,"files":{"a":null}}"#,
            r#"{"version":1,"files":{}"#,
            deep.as_str(),
        ] {
            let error = Manifest::parse(bad.as_bytes(), "m").unwrap_err();
            assert_eq!(error.code(), "B2_DAMAGED", "{bad:.40}");
        }
    }
}
