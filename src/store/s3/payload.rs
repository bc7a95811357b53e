//! A request body with the hashes that prove it.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// Hashing more than this goes to a blocking thread.
const HASH_INLINE_BYTES: usize = 256 * 1024;

/// A request body with its hashes, made once for all attempts.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) body: Bytes,
    pub(super) sha256: String,
    md5: OnceLock<String>,
}

impl Payload {
    /// `with_md5` says whether the server is known to want it: it costs as much as all else of an upload.
    pub(super) async fn new(body: Bytes, with_md5: bool) -> Result<Self> {
        let hash = move |body: Bytes| {
            let payload =
                Self { sha256: hex::encode(Sha256::digest(&body)), md5: OnceLock::new(), body };
            if with_md5 {
                payload.md5();
            }
            payload
        };
        if body.len() <= HASH_INLINE_BYTES {
            return Ok(hash(body));
        }
        tokio::task::spawn_blocking(move || hash(body))
            .await
            .map_err(|_| Error::internal("hashing was aborted"))
    }

    /// The body's MD5 in Base64.
    pub(super) fn md5(&self) -> &str {
        self.md5.get_or_init(|| STANDARD.encode(Md5::digest(&self.body)))
    }
}
