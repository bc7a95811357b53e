//! What JavaScript hands in.

use std::time::{Duration, SystemTime};

use napi_derive::napi;

use super::mirror::{derive, mirror};
use crate::error::{Error, Result};
use crate::format::Reason;
use crate::ops;
use crate::progress::Event;
use crate::secret::Secret;
use crate::store::StoreConfig;
use crate::store::as_of::instant;

/// What the user configured.
#[napi(object, object_to_js = false)]
#[expect(missing_debug_implementations, reason = "holds secrets as plain text")]
pub struct Settings {
    /// OpenClaw's state directory; need not exist for reading from the bucket.
    pub state_dir: String,
    /// OpenClaw's configuration file, where it is not `openclaw.json` in the state directory.
    pub config_path: Option<String>,
    /// Name of the bucket, or `file:///path` of a folder.
    pub bucket: Option<String>,
    /// Id of the B2 application key.
    pub key_id: Option<String>,
    /// The B2 application key.
    pub application_key: Option<String>,
    /// Protects the backup instead of the application key.
    pub passphrase: Option<String>,
    /// A recovery code as it was typed: opens backups whose other secrets are gone.
    pub recovery_code: Option<String>,
    /// Application keys that were in use before; they open what was made with them.
    pub old_keys: Option<Vec<String>>,
    /// B2 region; found by itself.
    pub region: Option<String>,
    /// S3 endpoint, for servers other than B2.
    pub endpoint: Option<String>,
    /// Prefix of all object names; `openclaw-backup` by default.
    pub prefix: Option<String>,
    /// The prefix that what lies in the bucket was made for, where the user moved or copied it.
    pub moved_from: Option<String>,
    /// Whether what is written is encrypted; true by default.
    pub encrypt: Option<bool>,
    /// Whether credentials are backed up too; false by default.
    pub include_secrets: Option<bool>,
    /// Globs that bring back what is left out by default.
    pub include: Option<Vec<String>>,
    /// Globs that leave out more.
    pub exclude: Option<Vec<String>>,
    /// Upload limit, bytes per second.
    pub upload_limit: Option<f64>,
    /// Version of OpenClaw, for the record.
    pub host_version: Option<String>,
    /// How OpenClaw was installed, for the record: in one word, such as `npm`.
    pub host_install: Option<String>,
    /// What people call this machine, for the record: at most 64 characters, none of them a control character.
    pub machine_name: Option<String>,
    /// How OpenClaw is called, program and first arguments: a rollback asks it whether it would start afterwards.
    pub openclaw: Option<Vec<String>>,
    /// Threads for computing; all cores but one by default.
    pub threads: Option<u32>,
    /// Read everything as it was at this moment, by the server's clock: an instant, ISO 8601 with a zone. Nothing
    /// can be written then.
    pub as_of: Option<String>,
}

impl TryFrom<Settings> for ops::Settings {
    type Error = Error;

    fn try_from(settings: Settings) -> Result<Self> {
        let upload_limit = settings
            .upload_limit
            .map(|limit| {
                let usable = limit.is_finite() && (1.0..=9e15).contains(&limit);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked above"
                )]
                usable.then_some(limit as u64).ok_or_else(|| {
                    Error::config("uploadLimit", "must be a number of bytes per second, at least 1")
                })
            })
            .transpose()?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            state_dir: settings.state_dir.into(),
            config_path: filled(settings.config_path).map(Into::into),
            store: StoreConfig {
                bucket: settings.bucket.unwrap_or_default(),
                key_id: filled(settings.key_id),
                application_key: filled(settings.application_key).map(Secret::new),
                region: filled(settings.region),
                endpoint: filled(settings.endpoint),
                prefix: filled(settings.prefix).unwrap_or_else(|| "openclaw-backup".to_owned()),
                moved_from: filled(settings.moved_from),
                upload_limit,
                as_of: moment("asOf", settings.as_of.as_deref())?,
                ..StoreConfig::default()
            },
            passphrase: filled(settings.passphrase).map(Secret::new),
            #[cfg(feature = "testing")]
            weak_passphrase: false,
            recovery_code: filled(settings.recovery_code).map(Secret::new),
            old_keys: settings
                .old_keys
                .unwrap_or_default()
                .into_iter()
                .filter(|key| !key.is_empty())
                .map(Secret::new)
                .collect(),
            encrypt: settings.encrypt.unwrap_or(true),
            include_secrets: settings.include_secrets.unwrap_or(false),
            include: settings.include.unwrap_or_default(),
            exclude: settings.exclude.unwrap_or_default(),
            host_version: filled(settings.host_version),
            host_install: filled(settings.host_install),
            machine_name: machine_name(filled(settings.machine_name))?,
            openclaw: settings.openclaw.unwrap_or_default(),
        })
    }
}

/// More is no name, and fills every list of snapshots. Characters.
const MAX_MACHINE_NAME: usize = 64;

fn machine_name(name: Option<String>) -> Result<Option<String>> {
    let fits = |name: &String| {
        name.chars().count() <= MAX_MACHINE_NAME && !name.chars().any(char::is_control)
    };
    match name {
        Some(name) if !fits(&name) => Err(Error::config(
            "machineName",
            format!("must have at most {MAX_MACHINE_NAME} characters, all of which can be shown"),
        )),
        name => Ok(name),
    }
}

/// An instant.
pub(super) fn moment(field: &str, text: Option<&str>) -> Result<Option<SystemTime>> {
    text.map(|text| {
        instant(text).ok_or_else(|| {
            Error::config(
                field,
                format!("{text:?} is no instant: it looks like 2026-11-23T14:00:00Z"),
            )
        })
    })
    .transpose()
}

/// How far an operation is.
#[napi(object, object_from_js = false)]
#[derive(Debug, mirror!)]
#[custom(of = Event)]
pub struct ProgressEvent {
    /// `wait` (for another process to let go of the state directory), `open`, `scan`, `capture`, `captured`,
    /// `upload`, `restore`, `compare` or `verify`.
    pub phase: String,
    /// Bytes done in this phase.
    pub done_bytes: f64,
    /// Bytes to do in this phase, once known.
    pub total_bytes: Option<f64>,
    /// Files done in this phase.
    pub done_files: f64,
}

/// How long to wait for the lock.
pub(super) fn wait(ms: Option<f64>) -> Result<Duration> {
    Duration::try_from_secs_f64(ms.unwrap_or(0.0) / 1000.0)
        .map_err(|_| Error::config("waitMs", "must be a number of milliseconds, at least 0"))
}

/// How to push.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct PushOptions {
    /// `manual` (default), `scheduled`, `compaction`, `shutdown`, `reset` or `safety`.
    pub reason: Option<String>,
    /// How long to wait for another process that works on the same state directory, in milliseconds; 0 by
    /// default, which fails at once with `B2_LOCKED`.
    pub wait_ms: Option<f64>,
    /// Begin anew where this machine stored snapshots and there is nothing any more (`B2_BUCKET_EMPTY`); false by
    /// default.
    pub new_bucket: Option<bool>,
    /// Directories that are gone or empty, and right so: each as the problem `B2_ROOT_GONE` or `B2_ROOT_EMPTY` names
    /// it.
    pub accept_missing: Option<Vec<String>>,
}

impl TryFrom<PushOptions> for ops::PushOptions {
    type Error = Error;

    fn try_from(options: PushOptions) -> Result<Self> {
        let name = options.reason.as_deref().unwrap_or("manual");
        let reason = Reason::parse(name)
            .ok_or_else(|| Error::config("reason", format!("{name:?} is no reason")))?;
        let new_bucket = options.new_bucket.unwrap_or_default();
        let accept_missing = options.accept_missing.unwrap_or_default();
        Ok(Self { reason, wait: wait(options.wait_ms)?, new_bucket, accept_missing })
    }
}

/// What to restore.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct RestoreOptions {
    /// Id of a snapshot, or `latest`.
    pub snapshot: String,
    /// A directory that does not exist yet, or is empty.
    pub to: String,
    /// Paths or globs below the state directory; everything when left out.
    pub paths: Option<Vec<String>>,
    /// Whether a snapshot may be used that anyone with access to the bucket can have made.
    pub allow_unauthenticated: Option<bool>,
}

impl From<RestoreOptions> for ops::RestoreOptions {
    fn from(options: RestoreOptions) -> Self {
        Self {
            snapshot: options.snapshot,
            to: options.to.into(),
            paths: options.paths.unwrap_or_default(),
            allow_unauthenticated: options.allow_unauthenticated.unwrap_or(false),
        }
    }
}

/// How to verify.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct VerifyOptions {
    /// Fetch and open every frame, and compare each chunk with its id.
    pub read_data: Option<bool>,
    /// Do that with a part of this machine's packs, those that were not read for longest: per cent of their bytes,
    /// 1 to 100.
    pub sample_percent: Option<u32>,
    /// Do that with what is due, when it is done once a week, for every byte of this machine's packs to be read within
    /// so many weeks.
    pub weeks: Option<u32>,
    /// Together with `weeks`: so many bytes are read in a week at most.
    pub most_bytes: Option<f64>,
}

impl From<VerifyOptions> for ops::VerifyOptions {
    fn from(options: VerifyOptions) -> Self {
        let percent = |percent: u32| u8::try_from(percent.clamp(1, 100)).unwrap_or(100);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a bound: what is out of range becomes the nearest one"
        )]
        let most_bytes = options.most_bytes.map_or(u64::MAX, |bytes| bytes as u64);
        let reading = match (options.read_data, options.sample_percent, options.weeks) {
            (Some(true), ..) => ops::Reading::All,
            (_, Some(sample), _) => ops::Reading::Sample { percent: percent(sample) },
            (_, _, Some(weeks)) => ops::Reading::Due { weeks: weeks.max(1), most_bytes },
            _ => ops::Reading::Structure,
        };
        Self { reading }
    }
}
