//! When to ask again, and after which wait.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};

use crate::ambient::{Clock, Entropy, random};
use crate::error::Error;

/// No wait the server asks for is longer; a day of `Retry-After` is a mistake or an attack.
const RETRY_AFTER_CAP: Duration = Duration::from_mins(5);

/// Attempts to reach a server that has not answered once: without a network, patience is only silence.
const UNREACHED_ATTEMPTS: u32 = 4;

/// How often and how patiently a request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// The first wait; each further one is twice as long, and up to half is added at random.
    pub first_delay: Duration,
    /// The longest wait, unless the server asks for more with `Retry-After` (at most 5 minutes).
    pub max_delay: Duration,
    /// All waits of one request together.
    pub total: Duration,
}

impl Default for RetryPolicy {
    /// For B2, where a vault that moves can be out for minutes: 3 to 5 minutes of waiting.
    fn default() -> Self {
        Self {
            attempts: 8,
            first_delay: Duration::from_secs(2),
            max_delay: Duration::from_secs(64),
            total: Duration::from_mins(10),
        }
    }
}

impl RetryPolicy {
    /// Three attempts within milliseconds, for tests.
    #[must_use]
    pub fn short() -> Self {
        let delay = Duration::from_millis(1);
        Self { attempts: 3, first_delay: delay, max_delay: delay, total: Duration::from_secs(1) }
    }
}

/// Whether a failed attempt is worth another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// After a wait; at least the given one.
    Later(Option<Duration>),
    /// At once, but only one time for each such reason.
    Once(&'static str),
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) again: Again,
    /// HTTP status; 0 without an answer.
    pub(crate) status: u16,
    /// S3 error code; empty without one.
    pub(crate) code: String,
}

impl Failure {
    /// Without an answer that says more, and not worth a repetition.
    pub(crate) fn permanent(error: Error) -> Self {
        Self { error, again: Again::Never, status: 0, code: String::new() }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// The attempts of one request.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    policy: RetryPolicy,
    clock: &'a dyn Clock,
    entropy: &'a dyn Entropy,
    made: u32,
    waited: Duration,
    excused: Vec<&'static str>,
    reached: bool,
}

impl<'a> Attempts<'a> {
    /// `reached` says whether the server has ever answered.
    pub(crate) fn new(
        policy: RetryPolicy,
        reached: bool,
        clock: &'a dyn Clock,
        entropy: &'a dyn Entropy,
    ) -> Self {
        let waited = Duration::ZERO;
        Self { policy, clock, entropy, made: 0, waited, excused: Vec::new(), reached }
    }

    /// Whether an attempt has failed already.
    pub(crate) fn any_failed(&self) -> bool {
        self.made > 0
    }

    /// Waits as the failure demands, or gives it back when it is the last.
    pub(crate) async fn after(&mut self, failure: Failure) -> Result<(), Failure> {
        self.made += 1;
        self.reached |= failure.status != 0;
        let asked = match failure.again {
            Again::Never => return Err(failure),
            Again::Once(reason) if self.excused.contains(&reason) => return Err(failure),
            Again::Once(reason) => {
                self.excused.push(reason);
                // Not one of the policy's attempts: nothing is overloaded.
                self.made -= 1;
                return Ok(());
            }
            Again::Later(asked) => asked.map(|wait| wait.min(RETRY_AFTER_CAP)),
        };
        let wait = match self.backoff() {
            Ok(own) => asked.map_or(own, |asked| asked.max(own)),
            Err(error) => return Err(Failure::permanent(error)),
        };
        let limit = if self.reached { u32::MAX } else { UNREACHED_ATTEMPTS };
        if self.made >= self.policy.attempts.min(limit) || self.waited + wait > self.policy.total {
            return Err(failure);
        }
        self.waited += wait;
        tracing::debug!(attempt = self.made, wait_ms = wait.as_millis(), error = %failure.error, "retrying");
        self.clock.sleep(wait).await;
        Ok(())
    }

    fn backoff(&self) -> Result<Duration, Error> {
        let doubled = 2u32.saturating_pow(self.made.saturating_sub(1));
        let delay = self.policy.first_delay.saturating_mul(doubled).min(self.policy.max_delay);
        // Jitter, so that the clients a busy server turned away do not come back together.
        let [share] = random::<1>(self.entropy)?;
        Ok(delay + delay * u32::from(share) / 512)
    }
}

/// `Retry-After` as a wait: seconds, or a date compared with the answer's own `Date`.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = http_date(headers, &DATE).unwrap_or(now);
    Some(http_date(headers, &RETRY_AFTER)?.duration_since(now).unwrap_or_default())
}

/// A date header.
pub(crate) fn http_date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp().into())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::BoxFuture;
    use http::HeaderValue;

    use super::*;
    use crate::ambient::SystemEntropy;

    #[derive(Debug, Default)]
    struct Recording(Mutex<Vec<Duration>>);

    impl Clock for Recording {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            self.0.lock().unwrap().push(duration);
            Box::pin(std::future::ready(()))
        }
    }

    fn failure(again: Again) -> Failure {
        Failure { again, ..Failure::permanent(Error::internal("planned")) }
    }

    async fn waits(policy: RetryPolicy, again: Again) -> Vec<Duration> {
        let clock = Recording::default();
        let mut attempts = Attempts::new(policy, true, &clock, &SystemEntropy);
        while attempts.after(failure(again)).await.is_ok() {}
        clock.0.into_inner().unwrap()
    }

    #[tokio::test]
    async fn waits_grow_to_the_limit_with_jitter() {
        let waits = waits(RetryPolicy::default(), Again::Later(None)).await;
        let lower = [2, 4, 8, 16, 32, 64, 64].map(Duration::from_secs);
        assert_eq!(waits.len(), lower.len());
        for (wait, lower) in waits.iter().zip(lower) {
            assert!(*wait >= lower && *wait < lower * 3 / 2, "{wait:?} {lower:?}");
        }
    }

    #[tokio::test]
    async fn the_servers_wish_is_honoured_up_to_a_limit() {
        let policy = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
        let seconds = Duration::from_secs;
        assert_eq!(waits(policy, Again::Later(Some(seconds(77)))).await, [seconds(77)]);
        assert_eq!(waits(policy, Again::Later(Some(seconds(86_400)))).await, [RETRY_AFTER_CAP]);
        let policy = RetryPolicy { total: seconds(60), ..policy };
        assert!(waits(policy, Again::Later(Some(seconds(77)))).await.is_empty());
        assert!(waits(policy, Again::Never).await.is_empty());
    }

    #[tokio::test]
    async fn an_excuse_counts_once() {
        let clock = Recording::default();
        let mut attempts = Attempts::new(RetryPolicy::short(), true, &clock, &SystemEntropy);
        assert!(attempts.after(failure(Again::Once("clock"))).await.is_ok());
        assert!(attempts.after(failure(Again::Once("digest"))).await.is_ok());
        assert!(attempts.after(failure(Again::Once("clock"))).await.is_err());
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static("12"));
        assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), Some(Duration::from_secs(12)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Sun, 06 Nov 1994 08:50:07 GMT"));
        headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), Some(Duration::from_secs(30)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("soon"));
        assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), None);
    }
}
