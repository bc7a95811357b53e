//! Times as users and other programs see them.

/// Milliseconds since 1970 as ISO 8601.
#[must_use]
pub fn time(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
