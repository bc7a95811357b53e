//! What a snapshot never holds of the configuration: this plugin's own secrets, and where nothing is encrypted, all
//! values that OpenClaw treats as secrets. A placeholder stands where one was; a rollback puts in its place what is here.
//!
//! Works on the text as it is, so that comments, order and broken files stay what they are.

mod find;
mod sensitive;

pub(super) use sensitive::secret_at;

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::confidential::Confidential;
use super::logs::base_of;
use super::{RelPath, Root, host_config, json5, open_plain};
use crate::error::Result;
use crate::secret::Secret;

use find::{find_all, recovery_codes};
use sensitive::sensitive;

/// A file of configuration that is larger than this is none.
const MAX_BYTES: u64 = 16 << 20;
/// What stands in place of the application key.
const APPLICATION_KEY: &str = "__B2_BACKUP_APPLICATION_KEY__";
/// What stands in place of the passphrase.
const PASSPHRASE: &str = "__B2_BACKUP_PASSPHRASE__";
/// What stands in place of a recovery code, or of an application key of before.
const OTHER: &str = "__B2_BACKUP_SECRET__";
/// How a placeholder of another value begins; what follows tells where in the file it was.
const VALUE: &str = "__B2_BACKUP_WITHHELD_";
/// Our id among the plugins.
const PLUGIN: &str = "b2-backup";

/// What must not get into a snapshot, as it is written in files.
#[derive(Debug)]
pub struct Withheld {
    confidential: Confidential,
    /// Placeholder and secret.
    own: Vec<(&'static str, Secret)>,
    /// What the live configuration itself says, for putting it back. A secret that it takes from elsewhere is not in it.
    here: Vec<(&'static str, Secret)>,
    everything: bool,
    hash: Hash,
}

/// SHA-256.
pub type Hash = fn(&[u8]) -> [u8; 32];

/// The secrets of the settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnSecrets<'a> {
    /// The B2 application key.
    pub application_key: Option<&'a Secret>,
    /// The passphrase.
    pub passphrase: Option<&'a Secret>,
    /// A recovery code, as it was typed.
    pub recovery_code: Option<&'a Secret>,
    /// Application keys of before.
    pub old_keys: &'a [Secret],
}

/// What becomes of a file on its way into a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It holds nothing that is withheld.
    AsItIs(Vec<u8>),
    /// With placeholders.
    Replaced(Vec<u8>),
    /// It cannot be read as configuration, so nobody can tell what in it is a secret.
    Unknown,
}

impl Withheld {
    /// `config_path` is `<state_dir>/openclaw.json` unless given; it need not exist. With `everything` all values that
    /// OpenClaw treats as secrets are withheld, not our own alone.
    ///
    /// # Errors
    /// `B2_INTERNAL` when the rules themselves are broken.
    pub fn new(
        state_dir: &Path,
        config_path: Option<&Path>,
        secrets: OwnSecrets<'_>,
        everything: bool,
        hash: Hash,
    ) -> Result<Self> {
        let usual = state_dir.join("openclaw.json");
        let config = host_config::read(config_path.unwrap_or(&usual), None);
        let mut here = Vec::new();
        own_in(config.value.pointer("/plugins/entries").unwrap_or(&Value::Null), &mut here);
        let OwnSecrets { application_key, passphrase, recovery_code, old_keys } = secrets;
        let given =
            [(APPLICATION_KEY, application_key), (PASSPHRASE, passphrase), (OTHER, recovery_code)];
        let given = given.into_iter().filter_map(|(name, secret)| Some((name, secret?.clone())));
        let old = old_keys.iter().map(|key| (OTHER, key.clone()));
        let own = given.chain(here.iter().cloned()).chain(old);
        Ok(Self {
            confidential: Confidential::new(state_dir, config_path)?,
            own: own.filter(|(_, secret)| !secret.is_empty()).collect(),
            here,
            everything,
            hash,
        })
    }

    /// Whether the file at `path` may hold something that is withheld.
    #[must_use]
    pub fn concerns(&self, root: &Root, path: &RelPath) -> bool {
        let of = |path: &RelPath| self.confidential.may_be(root, path);
        of(path) || base_of(path).is_some_and(|base| of(&base))
    }

    /// Tells whether a later set of secrets is the same, and nothing else about them: four bytes.
    #[must_use]
    pub fn print(&self) -> [u8; 4] {
        let mut all: Vec<&str> = self.own.iter().map(|(_, secret)| secret.expose()).collect();
        all.sort_unstable();
        all.dedup();
        let hash = (self.hash)(all.join("\0").as_bytes());
        hash.first_chunk().copied().unwrap_or_default()
    }

    /// Reads the file `at` as a snapshot has it under its name. `None` when it is too large to be configuration.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, root: &Root, path: &RelPath, at: &Path) -> std::io::Result<Option<Content>> {
        use std::io::Read as _;
        let file = open_plain(at)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        let fits = bytes.len() as u64 <= MAX_BYTES;
        // What has the name of a log is no text, and parts of what it lies beside may be anywhere in it.
        let log = base_of(path).is_some_and(|base| self.concerns(root, &base));
        if self.everything && log && !bytes.is_empty() && (!fits || parse(&bytes).is_none()) {
            return Ok(Some(Content::Unknown));
        }
        Ok(fits.then(|| self.content(bytes, self.is_config(root, path))))
    }

    /// Whether a file is configuration of OpenClaw, or a copy of it: then it can be read.
    fn is_config(&self, root: &Root, path: &RelPath) -> bool {
        let bytes = path.as_bytes();
        let name = bytes.rsplit(|byte| *byte == b'/').next().unwrap_or(bytes);
        name.starts_with(b"openclaw.json")
            || name == b"models.json"
            || self.confidential.is_config(root, path)
    }

    /// The content with placeholders for what is withheld. `config` says whether it is configuration of OpenClaw.
    #[must_use]
    pub fn content(&self, bytes: Vec<u8>, config: bool) -> Content {
        let parsed = parse(&bytes);
        let mut values: Vec<(String, Secret)> =
            self.own.iter().map(|(name, secret)| ((*name).to_owned(), secret.clone())).collect();
        match &parsed {
            Some(value) => {
                let mut own = Vec::new();
                own_anywhere(value, &mut own);
                values.extend(own.into_iter().map(|(name, secret)| (name.to_owned(), secret)));
                if self.everything {
                    values.extend(self.values(value));
                }
            }
            // Without a quoted text it has no value either.
            None if self.everything && config && has_texts(&bytes) => return Content::Unknown,
            None => {}
        }
        let mut known = HashSet::new();
        values.retain(|(_, secret)| known.insert(secret.expose().to_owned()));
        let texts: Vec<&str> = values.iter().map(|(_, secret)| secret.expose()).collect();
        let Some(places) = find_all(&bytes, &texts) else { return Content::Unknown };
        let codes = recovery_codes(&bytes).into_iter().filter(|code| {
            let at = places.partition_point(|(range, _)| range.end <= code.start);
            places.get(at).is_none_or(|(range, _)| code.end <= range.start)
        });
        let codes: Vec<_> = codes.map(|range| (range, OTHER)).collect();
        let named = places.into_iter().filter_map(|(range, number)| {
            values.get(number).map(|(name, _)| (range, name.as_str()))
        });
        let places: Vec<_> = named.chain(codes).collect();
        if places.is_empty() {
            return Content::AsItIs(bytes);
        }
        Content::Replaced(replace(&bytes, places))
    }

    /// Every value that OpenClaw treats as a secret, with its placeholder, which tells where in the file it is.
    fn values(&self, value: &Value) -> Vec<(String, Secret)> {
        let named = sensitive(value).into_iter().map(|(path, value)| {
            let hash = (self.hash)(path.as_bytes());
            let place = hash.first_chunk::<6>().map(hex::encode).unwrap_or_default();
            (format!("{VALUE}{place}__"), Secret::new(value))
        });
        named.collect()
    }

    /// Puts what is here in place of the placeholders of a file that comes back, as far as it is here. `live` is what lies
    /// at its place now. With how many placeholders are left: of our own secrets, and of others.
    #[must_use]
    pub fn put_back(&self, bytes: &[u8], live: Option<&[u8]>) -> (Vec<u8>, [usize; 2]) {
        let escaped = parse(bytes).is_some();
        let mut known: Vec<(String, String)> = self
            .here
            .iter()
            .map(|(name, secret)| ((*name).to_owned(), written(secret.expose(), escaped)))
            .collect();
        if let Some(value) = live.and_then(parse) {
            let values = self.values(&value).into_iter();
            known.extend(values.map(|(name, secret)| (name, written(secret.expose(), escaped))));
        }
        let mut names = HashSet::new();
        known.retain(|(name, _)| names.insert(name.clone()));
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        // What is too much to look for stays a placeholder.
        let found = find_all(bytes, &names).unwrap_or_default().into_iter();
        let places =
            found.filter_map(|(range, number)| Some((range, known.get(number)?.1.as_str())));
        let out = replace(bytes, places.collect());
        let left = |names: &[&str]| find_all(&out, names).map_or(1, |found| found.len());
        let left = [left(&[APPLICATION_KEY, PASSPHRASE, OTHER]), left(&[VALUE])];
        (out, left)
    }
}

fn has_texts(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'"' | b'\''))
}

fn parse(bytes: &[u8]) -> Option<Value> {
    json5::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// How a value is written: in JSON with escapes, also for single quotes.
fn written(value: &str, escaped: bool) -> String {
    if !escaped {
        return value.to_owned();
    }
    let text = Value::String(value.to_owned()).to_string();
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    inner.replace('\'', "\\u0027")
}

fn replace(bytes: &[u8], mut places: Vec<(Range<usize>, &str)>) -> Vec<u8> {
    places.sort_by_key(|(range, _)| range.start);
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    for (range, by) in places {
        out.extend_from_slice(bytes.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(by.as_bytes());
        at = range.end;
    }
    out.extend_from_slice(bytes.get(at..).unwrap_or_default());
    out
}

/// Our own secrets among the plugins' entries.
fn own_in(entries: &Value, own: &mut Vec<(&'static str, Secret)>) {
    let Some(config) = entries.get(PLUGIN).and_then(|entry| entry.get("config")) else { return };
    let fields =
        [("applicationKey", APPLICATION_KEY), ("passphrase", PASSPHRASE), ("recoveryCode", OTHER)];
    for (field, name) in fields {
        let value =
            config.get(field).and_then(Value::as_str).filter(|value| !is_placeholder(value));
        own.extend(value.map(|value| (name, Secret::new(value.to_owned()))));
    }
}

/// The same wherever in a file our entry is: one that is included begins anywhere.
fn own_anywhere(value: &Value, own: &mut Vec<(&'static str, Secret)>) {
    match value {
        Value::Object(fields) => {
            own_in(value, own);
            fields.values().for_each(|field| own_anywhere(field, own));
        }
        Value::Array(items) => items.iter().for_each(|item| own_anywhere(item, own)),
        _ => {}
    }
}

fn is_placeholder(value: &str) -> bool {
    value.starts_with("__B2_BACKUP_") && value.ends_with("__")
}

#[cfg(test)]
mod tests;
