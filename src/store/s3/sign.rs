//! Signature version 4 for S3, on an already encoded URL.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::error::{Error, Result};

/// SHA-256 of nothing, in hexadecimal.
pub(super) const EMPTY_SHA256: &str =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What is signed.
#[derive(Debug)]
pub(super) struct Signable<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    /// Everything sent beside `host`, `user-agent` and what the signature adds.
    pub(super) headers: &'a [(HeaderName, String)],
    pub(super) payload_sha256: &'a str,
}

/// The headers that make a request signed; `authorization` is marked as sensitive.
///
/// # Errors
/// `B2_INTERNAL` when the request cannot be signed, which its checked parts do not allow.
pub(super) fn headers(
    request: &Signable<'_>,
    credentials: &Credentials,
    region: &str,
    now: SystemTime,
) -> Result<Vec<(HeaderName, HeaderValue)>> {
    // S3 takes the path as it is sent; the defaults encode and normalise it a second time.
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| Error::internal(format!("signing: {error}")))?
        .into();
    let pairs = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::Precomputed(request.payload_sha256.to_owned());
    let (instructions, _) = SignableRequest::new(request.method, request.url, pairs, body)
        .and_then(|signable| sign(signable, &params))
        .map_err(|error| Error::internal(format!("signing: {error}")))?
        .into_parts();
    let mut signed = Vec::new();
    for (name, value) in instructions.headers() {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::internal("signing: header name"))?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| Error::internal("signing: header value"))?;
        value.set_sensitive(name == AUTHORIZATION);
        signed.push((name, value));
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sha2::{Digest, Sha256};

    use super::*;

    const HOST: &str = "https://examplebucket.s3.amazonaws.com";

    /// The four examples of "Signature Calculations for the Authorization Header" in the S3 documentation.
    fn signature(method: &str, path: &str, extra: &[(&'static str, &str)], body: &[u8]) -> String {
        // 2013-05-24T00:00:00Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(380_376);
        let credentials = Credentials::from_keys(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            None,
        );
        let extra: Vec<_> =
            extra.iter().map(|(n, v)| (HeaderName::from_static(n), (*v).to_owned())).collect();
        let url = format!("{HOST}{path}");
        let payload_sha256 = &hex::encode(Sha256::digest(body));
        let request = Signable { method, url: &url, headers: &extra, payload_sha256 };
        let headers = headers(&request, &credentials, "us-east-1", now).unwrap();
        let (_, value) = headers.iter().find(|(name, _)| name == AUTHORIZATION).unwrap();
        assert!(value.is_sensitive());
        value.to_str().unwrap().rsplit_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn documented_examples_are_reproduced() {
        assert_eq!(
            signature("GET", "/test.txt", &[("range", "bytes=0-9")], b""),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert_eq!(
            signature(
                "PUT",
                "/test%24file.text",
                &[
                    ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY")
                ],
                b"Welcome to Amazon S3."
            ),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        assert_eq!(
            signature("GET", "/?lifecycle", &[], b""),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        assert_eq!(
            signature("GET", "/?max-keys=2&prefix=J", &[], b""),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
        assert_eq!(EMPTY_SHA256, hex::encode(Sha256::digest(b"")));
    }
}
