//! Doctor: looks at one thing after the other and says what is wrong and what to do about it.
//!
//! Nothing is changed, and nothing written but one file of some bytes in our own folder, which is removed at once;
//! with [`DoctorOptions::write`] also one object in the bucket.

mod bucket;
mod chart;
mod key;
mod local;
mod rules;
mod trial;

pub use chart::{Finding, Level};

use std::sync::Arc;
use std::time::Instant;

use crate::engine::session::{Ambient, Session, Settings};
use crate::error::{Error, Result};
use crate::store::b2::KeyFacts;
use crate::store::folder::FolderStore;
use crate::store::open::{Opening, opening};
use crate::store::s3::{S3Config, S3Store};
use crate::store::{ObjectStore, Traffic};

use chart::Chart;

/// How to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct DoctorOptions {
    /// Also write a small object to the bucket, read it, and delete it.
    pub write: bool,
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
        local::check(&looking, &around, &mut chart);
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
        bucket::check(&session, facts.as_ref(), &mut chart).await?;
        if options.write {
            trial::write(&*session.ambient.entropy, &*session.store, &mut chart).await?;
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
            let Some((facts, endpoint, region)) = key::check(&request, &s3, ambient, chart).await
            else {
                return Ok(None);
            };
            let s3 = S3Config { endpoint, region, ..s3 };
            Ok(server(s3, chart).map(|store| (store, Some(facts))))
        }
    }
}
