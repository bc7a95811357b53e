//! Findings, as they come.

use crate::error::Error;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but should be known.
    Note,
    /// Something does not work, or will not.
    Problem,
}

impl Level {
    /// `ok`, `note` or `problem`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

/// What one look showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, a stable name.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// A stable code of [`Error::code`], of a problem.
    pub code: Option<&'static str>,
    /// What is so.
    pub message: String,
    /// What to do.
    pub advice: Option<String>,
}

/// Findings as they come.
#[derive(Debug, Default)]
pub(super) struct Chart(pub(super) Vec<Finding>);

impl Chart {
    pub(super) fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.0.push(Finding {
            check,
            level: Level::Ok,
            code: None,
            message: message.into(),
            advice: None,
        });
    }

    pub(super) fn note(
        &mut self,
        check: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let advice = Some(advice.into()).filter(|advice| !advice.is_empty());
        let message = message.into();
        self.0.push(Finding { check, level: Level::Note, code: None, message, advice });
    }

    pub(super) fn problem(
        &mut self,
        check: &'static str,
        code: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let (message, advice) = (message.into(), Some(advice.into()));
        self.0.push(Finding { check, level: Level::Problem, code: Some(code), message, advice });
    }

    pub(super) fn error(&mut self, check: &'static str, error: &Error) {
        self.problem(check, error.code(), error.to_string(), advice(error));
    }
}

/// What to do about an error whose own words do not say it: the short form of docs/errors.md.
pub(super) fn advice(error: &Error) -> &'static str {
    match error {
        Error::Config { .. } => {
            "Correct it under plugins.entries[\"b2-backup\"].config, or set its environment variable"
        }
        Error::Network { .. } => {
            "Check the network, a proxy or firewall, and the settings endpoint and region"
        }
        Error::Credentials { .. } => {
            "Make an application key for the bucket and put both halves, keyId and applicationKey, into the settings"
        }
        Error::Capability { .. } => "Make a key with the capabilities that the message names",
        Error::Bucket { .. } => "Check the setting bucket, and which bucket the key is for",
        Error::BucketEmpty { .. } => {
            "Mount the disk, or correct bucket and prefix; to begin anew: b2-backup push --new-bucket"
        }
        Error::CapExceeded { .. } => {
            "Raise the cap under Caps & Alerts in the Backblaze account, or wait until it is reset (midnight UTC)"
        }
        Error::Clock { .. } => "Set the clock; switch on time synchronisation (NTP)",
        Error::Permission { .. } => {
            "Correct its permissions, or run as the user that OpenClaw runs as"
        }
        Error::DiskFull { .. } => "Make room",
        Error::WrongKey { .. } => {
            "Give the application key or the passphrase that the backup was made with"
        }
        Error::Damaged { .. } | Error::ObjectMissing { .. } => {
            "Run b2-backup verify to see what is affected, and b2-backup undelete to see what can be brought back"
        }
        Error::Version { .. } => "Update the plugin",
        _ => "See docs/errors.md for this code; trying again is safe",
    }
}
