//! What an error answer means: the one place where status and code become an [`Error`].

use std::time::SystemTime;

use super::http::Answer;
use super::list;
use super::retry::{Again, Failure, retry_after};
use crate::error::Error;

/// What was asked, for the words of an error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// `PUT`, `GET`, `LIST`, `DELETE`, `LIFECYCLE` or `LOCK`.
    pub(super) operation: &'static str,
    pub(super) object: &'a str,
    pub(super) deletes_version: bool,
    pub(super) endpoint: &'a str,
    pub(super) region: &'a str,
    pub(super) bucket: &'a str,
    pub(super) key_id: &'a str,
    /// Local time when it was sent.
    pub(super) now: SystemTime,
}

impl Question<'_> {
    /// An answer that cannot be used.
    pub(super) fn unusable(&self, message: impl Into<String>) -> Error {
        Error::Store {
            operation: self.operation,
            object: self.object.to_owned(),
            message: message.into(),
        }
    }

    /// The capabilities of an application key that this needs.
    fn needs(&self) -> &'static str {
        match self.operation {
            "PUT" => "writeFiles",
            // Without listBuckets B2 calls an absent object forbidden.
            "GET" => "readFiles and listBuckets",
            "DELETE" if self.deletes_version => "deleteFiles",
            "DELETE" => "writeFiles and deleteFiles",
            "LIFECYCLE" => "readBucketLifecycleRules",
            "LOCK" => "readBucketRetentions",
            _ => "listFiles and listBuckets",
        }
    }

    /// Leading three digits of a B2 key id name its cluster; a region ends in them. Good for a hint only.
    fn cluster_hint(&self) -> String {
        let cluster = self.key_id.get(..3).unwrap_or_default();
        let is_b2 = self.endpoint.ends_with(".backblazeb2.com") && self.key_id.len() == 25;
        if is_b2 && !self.region.ends_with(cluster) {
            return format!(
                "; the key looks like one of cluster {cluster}, but the region is {}",
                self.region
            );
        }
        String::new()
    }
}

/// Sorts an answer that is no success.
pub(super) fn refusal(question: &Question<'_>, answer: &Answer) -> Failure {
    let body = list::error(&answer.body);
    let (status, code) = (answer.status, body.code.as_str());
    let said = said(status, code, &body.message);
    let later = Again::Later(retry_after(&answer.headers, question.now));
    let Question { bucket, object, endpoint, .. } = question;
    let capped = body.message.to_ascii_lowercase().contains("cap exceeded")
        || code.ends_with("_cap_exceeded");
    let (error, again) = match (status, code) {
        (_, _) if capped => (Error::CapExceeded { message: said }, Again::Never),
        (300..=399, _) | (400, "AuthorizationHeaderMalformed") => {
            let message = format!(
                "{endpoint} does not serve this bucket ({said}): check endpoint and region"
            );
            (Error::config("endpoint", message), Again::Never)
        }
        (401, _)
        | (
            403,
            // B2 says the last one of a key id that it does not know.
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "ExpiredToken"
            | "NotSignedUp",
        ) => {
            let hint = question.cluster_hint();
            let check = "check keyId and applicationKey (deleted, expired, mistyped, the master key, or of another region?)";
            (
                Error::Credentials {
                    message: format!("the server refused the key ({said}): {check}{hint}"),
                },
                Again::Never,
            )
        }
        (403, "RequestTimeTooSkewed") => (Error::Clock { message: said }, Again::Once("clock")),
        (403, "AccessDenied" | "UnauthorizedAccess" | "AllAccessDisabled") => {
            let needs = question.needs();
            let message = format!(
                "the key may not {} {object} in bucket {bucket} ({said}): it needs {needs} for this bucket and prefix",
                question.operation
            );
            (Error::Capability { message }, Again::Never)
        }
        (404, "NoSuchBucket") => {
            let message = format!(
                "bucket {bucket} does not exist at {endpoint} ({said}): check its name and the region"
            );
            (Error::Bucket { message }, Again::Never)
        }
        // Only these words mean absent: another 404 may come from a proxy or a wrong endpoint.
        (404, "NoSuchKey" | "NoSuchVersion") => {
            (Error::ObjectMissing { object: (*object).to_owned() }, Again::Never)
        }
        (416, _) => (Error::damaged(*object, "it ends before the range asked for"), Again::Never),
        (400, "BadDigest" | "XAmzContentSHA256Mismatch" | "InvalidDigest") => {
            (question.unusable(format!("the body arrived damaged ({said})")), Again::Once("digest"))
        }
        (501, _) => (question.unusable(said), Again::Never),
        (400, "RequestTimeout" | "IncompleteBody") | (408 | 429 | 500..=599, _) => {
            (network(question, &said), later)
        }
        // A path that cuts uploads off.
        (400, "InvalidRequest") if body.message.contains("too small") => {
            (network(question, &said), later)
        }
        _ => (question.unusable(said), Again::Never),
    };
    Failure { error, again, status, code: body.code }
}

/// Whether a server wants `Content-MD5`, as for buckets whose objects are locked.
pub(super) fn asks_for_md5(answer: &Answer) -> bool {
    let body = list::error(&answer.body);
    answer.status == 400
        && (body.code == "MissingContentMD5"
            || (body.code == "InvalidRequest"
                && body.message.to_ascii_lowercase().contains("content-md5")))
}

fn network(question: &Question<'_>, said: &str) -> Error {
    let message = format!("{} {}: {said}", question.operation, question.object);
    Error::Network { target: question.endpoint.to_owned(), message }
}

/// The server's words, without line breaks and of bounded length.
fn said(status: u16, code: &str, message: &str) -> String {
    let words = if code.is_empty() { "no S3 error in the answer; a proxy?" } else { message };
    let clean: String = words.chars().filter(|c| !c.is_control()).take(300).collect();
    let code: String = code
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
        .take(60)
        .collect();
    match (code.is_empty(), clean.is_empty()) {
        (true, _) => format!("status {status}: {clean}"),
        // An answer to HEAD has no words.
        (false, true) => format!("status {status} {code}"),
        (false, false) => format!("status {status} {code}: {clean}"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn ask(operation: &'static str, status: u16, code: &str, message: &str) -> Failure {
        let question = Question {
            operation,
            object: "packs/x",
            deletes_version: false,
            endpoint: "s3.us-east-005.backblazeb2.com",
            region: "us-east-005",
            bucket: "bkt",
            key_id: "0044aa9865d6f0000000000b0",
            now: SystemTime::UNIX_EPOCH,
        };
        let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>").into();
        refusal(&question, &Answer { status, headers: HeaderMap::new(), body, cut: false })
    }

    #[test]
    fn every_answer_has_its_meaning() {
        let later = Again::Later(None);
        for (status, code, message, expected, again) in [
            (503, "SlowDown", "", "B2_NETWORK", later),
            (503, "ServiceUnavailable", "no tomes available", "B2_NETWORK", later),
            (500, "InternalError", "Please retry your upload.", "B2_NETWORK", later),
            (429, "too_many_requests", "", "B2_NETWORK", later),
            (408, "RequestTimeout", "", "B2_NETWORK", later),
            (400, "RequestTimeout", "", "B2_NETWORK", later),
            (502, "", "", "B2_NETWORK", later),
            (504, "", "", "B2_NETWORK", later),
            (400, "InvalidRequest", "The request body was too small", "B2_NETWORK", later),
            (400, "InvalidRequest", "no", "B2_STORE", Again::Never),
            (400, "BadDigest", "", "B2_STORE", Again::Once("digest")),
            (400, "XAmzContentSHA256Mismatch", "", "B2_STORE", Again::Once("digest")),
            (403, "RequestTimeTooSkewed", "", "B2_CLOCK", Again::Once("clock")),
            (403, "SignatureDoesNotMatch", "", "B2_CREDENTIALS", Again::Never),
            (403, "InvalidAccessKeyId", "Malformed Access Key Id", "B2_CREDENTIALS", Again::Never),
            (401, "", "", "B2_CREDENTIALS", Again::Never),
            (403, "NotSignedUp", "not signed up", "B2_CREDENTIALS", Again::Never),
            (403, "AccessDenied", "not entitled", "B2_CAPABILITY", Again::Never),
            (
                403,
                "AccessDenied",
                "Transaction cap exceeded, see the page",
                "B2_CAP_EXCEEDED",
                Again::Never,
            ),
            (403, "storage_cap_exceeded", "", "B2_CAP_EXCEEDED", Again::Never),
            (403, "", "", "B2_STORE", Again::Never),
            (404, "NoSuchBucket", "", "B2_BUCKET", Again::Never),
            (404, "NoSuchKey", "", "B2_OBJECT_MISSING", Again::Never),
            (404, "", "", "B2_STORE", Again::Never),
            (416, "InvalidRange", "", "B2_DAMAGED", Again::Never),
            (400, "InvalidArgument", "Unsupported header", "B2_STORE", Again::Never),
            (501, "NotImplemented", "", "B2_STORE", Again::Never),
            (301, "PermanentRedirect", "", "B2_CONFIG", Again::Never),
            (307, "", "", "B2_CONFIG", Again::Never),
            (400, "AuthorizationHeaderMalformed", "", "B2_CONFIG", Again::Never),
        ] {
            let failure = ask("GET", status, code, message);
            assert_eq!(
                (failure.error.code(), failure.again),
                (expected, again),
                "{status} {code} {message}"
            );
        }
    }

    #[test]
    fn messages_say_what_to_do() {
        assert!(
            ask("PUT", 403, "AccessDenied", "not entitled")
                .error
                .to_string()
                .contains("needs writeFiles")
        );
        assert!(
            ask("GET", 403, "AccessDenied", "")
                .error
                .to_string()
                .contains("readFiles and listBuckets")
        );
        let error = ask("GET", 403, "InvalidAccessKeyId", "The key is not valid").error.to_string();
        assert!(error.contains("cluster 004") && error.contains("us-east-005"), "{error}");
        let wordless = ask("GET", 403, "SignatureDoesNotMatch", "").error.to_string();
        assert!(wordless.contains("(status 403 SignatureDoesNotMatch)"), "{wordless}");
        let long = ask("GET", 400, "Odd", &"x\n".repeat(5000)).error.to_string();
        assert!(long.len() < 500 && !long.contains('\n'));
    }
}
