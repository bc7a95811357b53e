//! Doctor: looks at one thing after the other and says what is wrong and what to do about it.
//!
//! Nothing is changed, and nothing written but one file of some bytes in our own folder, which is removed at once;
//! with [`DoctorOptions::write`] also one object in the bucket.

mod bucket;
mod key;
mod local;
mod rules;
mod trial;

use std::sync::Arc;
use std::time::Instant;

use crate::engine::session::{Ambient, Session, Settings};
use crate::error::{Error, Result};
use crate::store::b2::KeyFacts;
use crate::store::folder::FolderStore;
use crate::store::open::{Opening, opening};
use crate::store::s3::{S3Config, S3Store};
use crate::store::{ObjectStore, Traffic};

/// How to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct DoctorOptions {
    /// Also write a small object to the bucket, read it, and delete it.
    pub write: bool,
}

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

/// All findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoctorReport {
    /// In the order of looking.
    pub findings: Vec<Finding>,
    /// Requests made, but for those to B2's native API.
    pub requests: u64,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

impl DoctorReport {
    /// How many findings are problems.
    #[must_use]
    pub fn problems(&self) -> u64 {
        self.findings.iter().filter(|finding| finding.level == Level::Problem).count() as u64
    }
}

/// Findings as they come.
#[derive(Debug, Default)]
struct Chart(Vec<Finding>);

impl Chart {
    fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.0.push(Finding {
            check,
            level: Level::Ok,
            code: None,
            message: message.into(),
            advice: None,
        });
    }

    fn note(&mut self, check: &'static str, message: impl Into<String>, advice: impl Into<String>) {
        let advice = Some(advice.into()).filter(|advice| !advice.is_empty());
        let message = message.into();
        self.0.push(Finding { check, level: Level::Note, code: None, message, advice });
    }

    fn problem(
        &mut self,
        check: &'static str,
        code: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let (message, advice) = (message.into(), Some(advice.into()));
        self.0.push(Finding { check, level: Level::Problem, code: Some(code), message, advice });
    }

    fn error(&mut self, check: &'static str, error: &Error) {
        self.problem(check, error.code(), error.to_string(), advice(error));
    }
}

/// What to do about an error whose own words do not say it: the short form of docs/errors.md.
fn advice(error: &Error) -> &'static str {
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

/// Looks at settings, this machine, the server, the key and the bucket.
///
/// # Errors
/// `B2_CANCELLED`; whatever else goes wrong is a finding.
pub async fn doctor(
    settings: Settings,
    ambient: Ambient,
    options: DoctorOptions,
) -> Result<DoctorReport> {
    let cancel = ambient.cancel.clone();
    tokio::select! {
        report = run(settings, ambient, options) => report,
        () = cancel.cancelled() => Err(Error::Cancelled),
    }
}

async fn run(
    settings: Settings,
    mut ambient: Ambient,
    options: DoctorOptions,
) -> Result<DoctorReport> {
    let started = Instant::now();
    let mut chart = Chart::default();
    let (looking, around) = (settings.clone(), ambient.clone());
    let local = Session::blocking(move || {
        let mut chart = Chart::default();
        local::look(&looking, &around, &mut chart);
        Ok(chart)
    });
    chart.0.append(&mut local.await?.0);
    let mut traffic = Traffic::default();
    if let Some((store, facts)) = open(&settings, &ambient, &mut chart).await? {
        ambient.store = Some(Arc::clone(&store));
        let session = match Session::open(settings, ambient).await {
            Ok(session) => session,
            Err(error) => {
                chart.error("settings", &error);
                return Ok(report(chart, traffic, started));
            }
        };
        bucket::look(&session, facts.as_ref(), &mut chart).await?;
        if options.write {
            trial::write(&session, &mut chart).await?;
        }
        traffic = session.traffic();
    }
    Ok(report(chart, traffic, started))
}

fn report(chart: Chart, traffic: Traffic, started: Instant) -> DoctorReport {
    DoctorReport {
        findings: chart.0,
        requests: traffic.requests,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// A store, and what B2 says about its key.
type Opened = (Arc<dyn ObjectStore>, Option<KeyFacts>);

/// The store, as far as it can be opened: also with a key that lacks what a backup needs.
async fn open(settings: &Settings, ambient: &Ambient, chart: &mut Chart) -> Result<Option<Opened>> {
    if let Some(store) = &ambient.store {
        return Ok(Some((Arc::clone(store), None)));
    }
    let (clock, entropy) = (Arc::clone(&ambient.clock), Arc::clone(&ambient.entropy));
    let server = |s3: S3Config, chart: &mut Chart| match S3Store::new(s3, clock, entropy) {
        Ok(store) => Some(Arc::new(store) as Arc<dyn ObjectStore>),
        Err(error) => {
            chart.error("settings", &error);
            None
        }
    };
    match opening(&settings.store) {
        Err(error) => {
            chart.error("settings", &error);
            Ok(None)
        }
        Ok(Opening::Folder(path)) => {
            if !path.is_dir() {
                let message = format!("{} is not there", path.display());
                let advice = "Connect or mount the disk; where its parent is there, the first push makes the folder";
                chart.problem("bucket", "B2_BUCKET", message, advice);
                return Ok(None);
            }
            let prefix = settings.store.prefix.clone();
            match FolderStore::open(path, prefix, Arc::clone(&ambient.entropy)).await {
                Ok(store) => Ok(Some((Arc::new(store), None))),
                Err(error) => {
                    chart.error("bucket", &error);
                    Ok(None)
                }
            }
        }
        Ok(Opening::Server(s3)) => Ok(server(s3, chart).map(|store| (store, None))),
        Ok(Opening::B2(request, s3)) => {
            let Some((facts, endpoint, region)) = key::look(&request, &s3, ambient, chart).await
            else {
                return Ok(None);
            };
            let s3 = S3Config { endpoint, region, ..s3 };
            Ok(server(s3, chart).map(|store| (store, Some(facts))))
        }
    }
}
