//! A request body with the hashes that prove it.

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
    pub(super) md5: String,
}

impl Payload {
    pub(super) async fn new(body: Bytes) -> Result<Self> {
        let hash = |body: Bytes| Self {
            sha256: hex::encode(Sha256::digest(&body)),
            md5: STANDARD.encode(Md5::digest(&body)),
            body,
        };
        if body.len() <= HASH_INLINE_BYTES {
            return Ok(hash(body));
        }
        tokio::task::spawn_blocking(move || hash(body))
            .await
            .map_err(|_| Error::internal("hashing was aborted"))
    }
}
