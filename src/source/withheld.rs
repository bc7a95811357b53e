//! What a snapshot never holds of the configuration: this plugin's own secrets, and where nothing is encrypted, all
//! values that OpenClaw treats as secrets. A placeholder stands where one was; a rollback puts in its place what is here.
//!
//! Works on the text as it is, so that comments, order and broken files stay what they are.

mod find;
mod loose;
mod sensitive;

pub(super) use sensitive::secret_at;

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::confidential::{Confidential, is_git_config};
use super::json5::{self, Tree};
use super::logs::base_of;
use super::{RelPath, Root, host_config, open_plain};
use crate::error::Result;
use crate::secret::Secret;

use find::{find_all, recovery_codes};
use loose::Setting;
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
/// Fields of our settings that are secrets, with what stands in their place.
const OWN: &[(&str, &str)] =
    &[("applicationKey", APPLICATION_KEY), ("passphrase", PASSPHRASE), ("recoveryCode", OTHER)];

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
    /// Our own secrets are in it, and it is no text in which a placeholder could stand.
    Binary,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Configuration of OpenClaw, or a copy of it: then it can be parsed.
    Config,
    /// Settings of git: addresses, and names with values.
    Git,
    /// Beside one of these, with the name of a log.
    Log,
    /// Any other file in which secrets may be.
    Other,
}

/// What a search for what is withheld came to.
enum Searched {
    /// Nobody can tell what is in it.
    Unclear,
    /// Nothing is withheld.
    Clean,
    /// With placeholders.
    Replaced(Vec<u8>),
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
        let own = config.value.pointer(&format!("/plugins/entries/{PLUGIN}/config"));
        let here: Vec<_> = OWN
            .iter()
            .filter_map(|(field, name)| Some((*name, own?.get(field)?.as_str()?)))
            .filter(|(_, value)| !is_placeholder(value))
            .map(|(name, value)| (name, Secret::new(value.to_owned())))
            .collect();
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
        let of = |path: &RelPath| {
            self.confidential.may_be(root, path) || self.everything && is_git_config(path)
        };
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
        let form = match () {
            () if log => Form::Log,
            () if self.confidential.is_config(root, path) => Form::Config,
            () if is_git_config(path) => Form::Git,
            () => Form::Other,
        };
        Ok(fits.then(|| self.content(bytes, form)))
    }

    /// The content with placeholders for what is withheld.
    #[must_use]
    pub fn content(&self, bytes: Vec<u8>, form: Form) -> Content {
        let binary = bytes.contains(&0) && form != Form::Log;
        match self.replaced(&bytes, form) {
            Searched::Unclear => Content::Unknown,
            Searched::Clean if binary && self.is_in_wide_letters(&bytes, form) => Content::Binary,
            Searched::Clean => Content::AsItIs(bytes),
            Searched::Replaced(_) if binary => Content::Binary,
            Searched::Replaced(replaced) => Content::Replaced(replaced),
        }
    }

    /// Whether something is withheld of a text in UTF-16, wherever in these bytes it begins.
    fn is_in_wide_letters(&self, bytes: &[u8], form: Form) -> bool {
        let units: [fn([u8; 2]) -> u16; 2] = [u16::from_le_bytes, u16::from_be_bytes];
        units.into_iter().any(|unit| {
            [0, 1].into_iter().any(|start| {
                let pairs = bytes.get(start..).unwrap_or_default().chunks_exact(2);
                let pairs = pairs.filter_map(|pair| pair.try_into().ok().map(unit));
                let text = String::from_utf16_lossy(&pairs.collect::<Vec<_>>());
                !matches!(self.replaced(text.as_bytes(), form), Searched::Clean)
            })
        })
    }

    /// Looks for what is withheld, and puts placeholders in its place.
    fn replaced(&self, bytes: &[u8], form: Form) -> Searched {
        let parsed = parse(bytes);
        let mut values: Vec<(String, Secret)> =
            self.own.iter().map(|(name, secret)| ((*name).to_owned(), secret.clone())).collect();
        let settings = loosely(bytes, parsed.is_some(), form);
        match &parsed {
            Some(tree) => {
                let mut own = Vec::new();
                own_anywhere(tree, &mut own);
                values.extend(own.into_iter().map(|(name, secret)| (name.to_owned(), secret)));
                if self.everything {
                    values.extend(self.values(tree));
                }
            }
            // Without a text and a setting it has no value either.
            None if self.everything
                && form == Form::Config
                && (has_texts(bytes) || !settings.is_empty()) =>
            {
                return Searched::Unclear;
            }
            None => {}
        }
        let mut known = HashSet::new();
        values.retain(|(_, secret)| known.insert(secret.expose().to_owned()));
        let texts: Vec<&str> = values.iter().map(|(_, secret)| secret.expose()).collect();
        let Some(found) = find_all(bytes, &texts) else { return Searched::Unclear };
        let named = found.into_iter().filter_map(|(range, number)| {
            values.get(number).map(|(name, _)| (range, name.clone()))
        });
        let codes = recovery_codes(bytes).into_iter().map(|range| (range, OTHER.to_owned()));
        let settings =
            settings.into_iter().filter(|setting| is_secret(setting, bytes, self.everything));
        let settings = settings.map(|setting| (setting.range.clone(), self.placeholder(&setting)));
        let places = apart(named.chain(codes).chain(settings).collect());
        let places: Vec<_> =
            places.iter().map(|(range, name)| (range.clone(), name.as_str())).collect();
        if places.is_empty() { Searched::Clean } else { Searched::Replaced(replace(bytes, places)) }
    }

    /// Every value that OpenClaw treats as a secret, with its placeholder, which tells where in the file it is.
    fn values(&self, tree: &Tree) -> Vec<(String, Secret)> {
        let named = sensitive(tree).into_iter();
        named.map(|(path, value)| (self.named(&path), Secret::new(value))).collect()
    }

    /// The same of what only looks like a setting.
    fn placeholder(&self, setting: &Setting) -> String {
        self.named(&format!("//{}#{}", setting.path.join("."), setting.number))
    }

    fn named(&self, place: &str) -> String {
        let hash = (self.hash)(place.as_bytes());
        let place = hash.first_chunk::<6>().map(hex::encode).unwrap_or_default();
        format!("{VALUE}{place}__")
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
        if let Some(live) = live {
            let tree = parse(live);
            let values = tree.iter().flat_map(|tree| self.values(tree));
            known.extend(values.map(|(name, secret)| (name, written(secret.expose(), escaped))));
            // What is no value goes back as it stands.
            let settings = loosely(live, tree.is_some(), Form::Git).into_iter();
            let settings = settings.filter(|setting| is_secret(setting, live, true));
            known.extend(settings.filter_map(|setting| {
                let text = std::str::from_utf8(live.get(setting.range.clone())?).ok()?;
                Some((self.placeholder(&setting), text.to_owned()))
            }));
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

fn parse(bytes: &[u8]) -> Option<Tree> {
    json5::tree(std::str::from_utf8(bytes).ok()?).ok()
}

/// What looks like a setting where nothing can be parsed.
fn loosely(bytes: &[u8], parsed: bool, form: Form) -> Vec<Setting> {
    match std::str::from_utf8(bytes) {
        Ok(text) if parsed => loose::in_comments(text),
        _ if matches!(form, Form::Config | Form::Git) => loose::anywhere(bytes),
        _ => Vec::new(),
    }
}

fn is_secret(setting: &Setting, bytes: &[u8], everything: bool) -> bool {
    let value = bytes.get(setting.range.clone()).unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    let quoted = setting.range.start.checked_sub(1).and_then(|at| bytes.get(at));
    let quoted = quoted.is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    // Of our own, what names a secret is none.
    let names = || {
        value.starts_with("${") && value.ends_with('}') || !quoted && value.starts_with(['{', '['])
    };
    let own = || setting.is_own() && !is_placeholder(&value) && !names();
    own() || everything && (secret_at(&setting.path, &value) || setting.is_of_git())
}

/// Places that do not overlap: of two, the one that begins first covers both.
fn apart(mut places: Vec<(Range<usize>, String)>) -> Vec<(Range<usize>, String)> {
    places.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut taken: Vec<(Range<usize>, String)> = Vec::new();
    for (range, name) in places {
        match taken.last_mut() {
            Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
            _ => taken.push((range, name)),
        }
    }
    taken
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

fn replace(bytes: &[u8], places: Vec<(Range<usize>, &str)>) -> Vec<u8> {
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
fn own_in(entries: &Tree, own: &mut Vec<(&'static str, Secret)>) {
    for config in entries.fields(PLUGIN).flat_map(|entry| entry.fields("config")) {
        for (field, name) in OWN {
            let values = config.fields(field).filter_map(Tree::text);
            let values = values.filter(|value| !is_placeholder(value));
            own.extend(values.map(|value| (*name, Secret::new(value.to_owned()))));
        }
    }
}

/// The same wherever in a file our entry is: one that is included begins anywhere.
fn own_anywhere(tree: &Tree, own: &mut Vec<(&'static str, Secret)>) {
    own_in(tree, own);
    match tree {
        Tree::Object(fields) => fields.iter().for_each(|(_, field)| own_anywhere(field, own)),
        Tree::Array(items) => items.iter().for_each(|item| own_anywhere(item, own)),
        _ => {}
    }
}

fn is_placeholder(value: &str) -> bool {
    value.starts_with("__B2_BACKUP_") && value.ends_with("__")
}

#[cfg(test)]
mod tests;
