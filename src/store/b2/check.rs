//! Whether a key fits what is planned with it: the rows of the start-up check.

use std::time::{Duration, SystemTime};

use super::super::s3::http::BaseUrl;
use super::{DiscoveryRequest, KeyFacts, region_of_host};
use crate::error::{Error, Result};

const EXPIRY_WARNING: Duration = Duration::from_hours(7 * 24);

/// What a key needs for backups, and for what.
pub const REQUIRED: [(&str, &str); 4] = [
    ("listBuckets", "tell absent objects from forbidden ones"),
    ("listFiles", "list snapshots"),
    ("readFiles", "read snapshots"),
    ("writeFiles", "write snapshots"),
];

/// Where to go with a key, and what its user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// S3 endpoint, as `https://host`.
    pub endpoint: String,
    /// Region of the account.
    pub region: String,
    /// What the key may do.
    pub capabilities: Vec<String>,
    /// What works, but deserves attention.
    pub warnings: Vec<String>,
}

/// All of the start-up check.
///
/// # Errors
/// `B2_CAPABILITY`, and those of [`place`], [`check_bucket`] and [`check_prefix`].
pub fn check(request: &DiscoveryRequest, facts: &KeyFacts, now: SystemTime) -> Result<Discovery> {
    let (endpoint, region) = place(request, facts)?;
    check_bucket(request, facts)?;
    check_prefix(request, facts)?;
    let missing: Vec<_> = REQUIRED.iter().filter(|(name, _)| !facts.may(name)).collect();
    if !missing.is_empty() {
        let list: Vec<_> =
            missing.iter().map(|(name, need)| format!("{name}, needed to {need}")).collect();
        let message =
            format!("the key lacks {}: make a key with these capabilities", list.join("; "));
        return Err(Error::Capability { message });
    }
    let mut warnings = Vec::new();
    if !facts.may("deleteFiles") {
        let text = "the key lacks deleteFiles, needed to delete old versions: prune only hides objects, and a lifecycle rule of the bucket must free their space";
        warnings.push(text.to_owned());
    }
    warnings.extend(expiry_warning(facts.expires, now));
    Ok(Discovery { endpoint, region, capabilities: facts.capabilities.clone(), warnings })
}

/// Endpoint (`https://host`) and region of the account.
///
/// # Errors
/// `B2_BUCKET` for an endpoint that is not one of B2, `B2_CONFIG` when another region is configured.
pub fn place(request: &DiscoveryRequest, facts: &KeyFacts) -> Result<(String, String)> {
    let refuse = |host: &str| Error::Bucket {
        message: format!("B2 named the unexpected S3 endpoint {host:?}; not sending data there"),
    };
    let base = BaseUrl::new("endpoint", &facts.s3_url).map_err(|_| refuse(&facts.s3_url))?;
    let region = match region_of_host(&base.authority) {
        Some(region) if !base.local => region.to_owned(),
        #[cfg(feature = "testing")]
        _ if request.trusted_hosts.contains(&base.authority) => {
            request.region.clone().unwrap_or_else(|| super::super::DEFAULT_REGION.into())
        }
        _ => return Err(refuse(&base.authority)),
    };
    if let Some(configured) = &request.region
        && *configured != region
    {
        return Err(Error::config(
            "region",
            format!("the key belongs to {region}, configured is {configured}"),
        ));
    }
    Ok((base.text, region))
}

/// Whether the key is for the bucket.
///
/// # Errors
/// `B2_BUCKET`.
pub fn check_bucket(request: &DiscoveryRequest, facts: &KeyFacts) -> Result<()> {
    let Some(buckets) = &facts.buckets else { return Ok(()) };
    // A deleted bucket has no name: nothing to compare, the first listing will tell.
    let names: Option<Vec<&str>> = buckets.iter().map(Option::as_deref).collect();
    match names {
        Some(names) if !names.contains(&request.bucket.as_str()) => {
            let message = format!(
                "the key is limited to {}; bucket {} is not among them",
                names.join(", "),
                request.bucket
            );
            Err(Error::Bucket { message })
        }
        _ => Ok(()),
    }
}

/// Whether the key is for the prefix.
///
/// # Errors
/// `B2_CONFIG`.
pub fn check_prefix(request: &DiscoveryRequest, facts: &KeyFacts) -> Result<()> {
    let name_prefix = facts.name_prefix.as_str();
    if format!("{}/", request.prefix).starts_with(name_prefix) {
        return Ok(());
    }
    let advice = name_prefix.trim_end_matches('/');
    let message = format!(
        "the key may only use names starting with {name_prefix:?}; set prefix to {advice:?}"
    );
    Err(Error::config("prefix", message))
}

fn expiry_warning(expires: Option<SystemTime>, now: SystemTime) -> Option<String> {
    let expires = expires?;
    if expires.duration_since(now).is_ok_and(|left| left >= EXPIRY_WARNING) {
        return None;
    }
    let date = jiff::Timestamp::try_from(expires).ok()?;
    Some(format!(
        "the application key expires at {}: make a new one in time",
        date.strftime("%Y-%m-%d %H:%M UTC")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_announced_a_week_ahead() {
        let at = |days: u64| Some(SystemTime::UNIX_EPOCH + Duration::from_hours(24 * days));
        let now = at(10).unwrap();
        assert_eq!(expiry_warning(None, now), None);
        assert_eq!(expiry_warning(at(17), now), None);
        assert!(expiry_warning(at(16), now).unwrap().contains("1970-01-17 00:00 UTC"));
        assert!(expiry_warning(at(3), now).is_some());
    }
}
