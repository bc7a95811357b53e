//! Reads the host's configuration: which other directories and files belong to the state.
//!
//! A broken configuration must not stop a backup: going back may be needed just because it is broken.
//! So what cannot be read is a warning, and the rest is used.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::configured::{begins_elsewhere, expand};
use super::resolve::hangs;
use super::stat::shown;
use super::{Skipped, mounts};

/// How deep `$include` may nest: the host's own limit.
const MAX_DEPTH: usize = 10;
/// A configuration of more bytes than this is none.
const MAX_BYTES: u64 = 16 << 20;
const INCLUDE: &str = "$include";
/// The code of a file of the configuration that cannot be read, and of what one names that nobody understands.
pub const UNREAD: &str = "B2_SKIPPED_CONFIG";
/// The code of one that cannot be understood, and is saved as it is.
pub const AS_BYTES: &str = "B2_CONFIG_AS_BYTES";
/// Copies of the configuration that the host keeps beside it, best first.
pub const OLDER: &[&str] = &[".last-good", ".bak"];

/// The host's configuration, as far as it could be read.
#[derive(Clone, Debug, Default)]
pub struct HostConfig {
    /// The configuration with everything included. An empty object when there is none.
    pub value: Value,
    /// All files it was made from, the main one first, as absolute paths. Also those that are broken.
    pub files: Vec<PathBuf>,
    /// Files that it includes and that are not there, or are none: what comes there is configuration.
    pub missing: Vec<PathBuf>,
    /// Where agents work: workspaces, and what holds their sandboxes and checkouts, absolute.
    pub workspaces: Vec<PathBuf>,
    /// Directories of agents, absolute.
    pub agent_dirs: Vec<PathBuf>,
    /// What could not be read ([`UNREAD`]) or understood ([`AS_BYTES`]).
    pub warnings: Vec<Skipped>,
    /// Paths of warnings about files that are not there.
    pub gone: HashSet<String>,
    /// Workspaces and agents' directories that nobody but OpenClaw itself can find.
    pub elsewhere: Vec<Skipped>,
}

/// What is in files that are not as they are: by their path, links resolved. `None` is no file.
pub type Other = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Reads `path` and what it includes. A file that is not there is an empty configuration.
///
/// `home` is what `~` stands for; relative directories are relative to the directory of `path`.
#[must_use]
pub fn read(path: &Path, home: Option<&Path>) -> HostConfig {
    read_as(path, home, &Other::new())
}

/// As [`read`], where `hanging` are places of file systems that do not answer.
pub(super) fn read_beside(path: &Path, home: Option<&Path>, hanging: &[PathBuf]) -> HostConfig {
    read_all(path, home, &Other::new(), hanging)
}

/// As [`read`], with other content in some files.
#[must_use]
pub fn read_as(path: &Path, home: Option<&Path>, other: &Other) -> HostConfig {
    read_all(path, home, other, &mounts::hanging())
}

fn read_all(path: &Path, home: Option<&Path>, other: &Other, hanging: &[PathBuf]) -> HostConfig {
    let new = || Reader {
        files: Vec::new(),
        missing: Vec::new(),
        warnings: Vec::new(),
        gone: HashSet::new(),
        unknown: Vec::new(),
        other,
        hanging,
    };
    let mut reader = new();
    // One that cannot be looked at is not one that is not there: it may name workspaces.
    let exists = match other.get(&real_beside(path, hanging)) {
        Some(content) => content.is_some(),
        None if hangs(path, hanging).is_some() => true,
        None => {
            !matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == ErrorKind::NotFound)
        }
    };
    let mut value = if exists { reader.file(path, &mut Vec::new()) } else { None };
    let main_failed = value.is_none();
    if exists && main_failed {
        // The host's own copies still know where the workspaces are.
        value = OLDER.iter().find_map(|suffix| {
            let mut older = path.as_os_str().to_owned();
            older.push(suffix);
            let mut quiet = new();
            let value = quiet.file(Path::new(&older), &mut Vec::new())?;
            reader.files.append(&mut quiet.files);
            reader.missing.append(&mut quiet.missing);
            Some(value)
        });
    }
    let known_from_a_copy = main_failed && value.is_some();
    let value = value.unwrap_or_else(|| Value::Object(Map::new()));
    if !known_from_a_copy {
        reader.tell_unknown();
    }
    let base = path.parent().unwrap_or(Path::new("/"));
    let places = |names: Vec<&str>| -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> =
            names.into_iter().filter_map(|name| expand(name, base, home)).collect();
        places.sort();
        places.dedup();
        places
    };
    let worktrees = value.get("worktreeRoot").and_then(Value::as_str);
    let workspaces = ["/workspace", "/sandbox/workspaceRoot"].map(|field| settings(&value, field));
    let workspaces: Vec<&str> = workspaces.into_iter().flatten().chain(worktrees).collect();
    let agent_dirs = settings(&value, "/agentDir");
    let all: BTreeSet<&str> = workspaces.iter().chain(&agent_dirs).copied().collect();
    let elsewhere = all.into_iter().filter_map(|name| begins_elsewhere(name, base)).collect();
    let workspaces = places(workspaces);
    let agent_dirs = places(agent_dirs);
    let Reader { files, missing, warnings, gone, .. } = reader;
    HostConfig { value, files, missing, workspaces, agent_dirs, warnings, gone, elsewhere }
}

/// Where a path leads, also where nothing is yet.
#[must_use]
pub fn real(path: &Path) -> PathBuf {
    real_beside(path, &mounts::hanging())
}

fn real_beside(path: &Path, hanging: &[PathBuf]) -> PathBuf {
    if let Some(place) = hangs(path, hanging) {
        return place;
    }
    let whole = path.canonicalize().ok();
    let parent = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    whole.or_else(parent).unwrap_or_else(|| path.to_path_buf())
}

struct Reader<'a> {
    files: Vec<PathBuf>,
    missing: Vec<PathBuf>,
    warnings: Vec<Skipped>,
    gone: HashSet<String>,
    /// Files that are there, and of which nobody knows what they name.
    unknown: Vec<String>,
    other: &'a Other,
    hanging: &'a [PathBuf],
}

impl Reader<'_> {
    /// The content of a file with its includes. `above` are the files that include it.
    fn file(&mut self, path: &Path, above: &mut Vec<PathBuf>) -> Option<Value> {
        // The same file under two names must not hide a cycle.
        let real = real_beside(path, self.hanging);
        if above.contains(&real) {
            return self.not_understood(path, "it includes itself");
        }
        if above.len() > MAX_DEPTH {
            return self.not_understood(path, "its includes nest too deeply");
        }
        let other = self.other.get(&real);
        let mut look = || match std::fs::metadata(path) {
            Ok(meta) if meta.is_file() && meta.len() <= MAX_BYTES => Ok(()),
            Ok(_) => Err("it is no file, or too large to be a configuration".to_owned()),
            Err(error) => {
                if error.kind() == ErrorKind::NotFound {
                    self.gone.insert(shown(path));
                }
                Err(error.to_string())
            }
        };
        let meta = match other {
            Some(Some(_)) => Ok(()),
            Some(None) => Err("it is no file".to_owned()),
            None if hangs(path, self.hanging).is_some() => {
                Err("its file system does not answer".to_owned())
            }
            None => look(),
        };
        if let Err(message) = meta {
            self.missing.push(path.to_path_buf());
            return self.warn(path, &message);
        }
        if !self.files.iter().any(|known| known == path) {
            self.files.push(path.to_path_buf());
        }
        let text = match other {
            Some(content) => Ok(content.clone().unwrap_or_default()),
            None => std::fs::read(path),
        };
        let text = match text.map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => return self.not_understood(path, &error.to_string()),
            Err(error) => return self.warn(path, &error.to_string()),
        };
        let value = match super::json5::parse(&text) {
            Ok(value) => value,
            Err(line) => {
                let place = line.map_or_else(String::new, |line| format!(" at line {line}"));
                return self.not_understood(path, &format!("it is not valid JSON5{place}"));
            }
        };
        above.push(real);
        let value = self.resolve(value, path, above);
        above.pop();
        Some(value)
    }

    fn resolve(&mut self, value: Value, file: &Path, above: &mut Vec<PathBuf>) -> Value {
        match value {
            Value::Array(items) => Value::Array(
                items.into_iter().map(|item| self.resolve(item, file, above)).collect(),
            ),
            Value::Object(mut object) => {
                let include = object.remove(INCLUDE);
                let mut merged = Value::Object(Map::new());
                let mut only = object.is_empty();
                let names = match include {
                    None => Vec::new(),
                    Some(Value::String(name)) => vec![Value::String(name)],
                    Some(Value::Array(names)) => names,
                    Some(_) => {
                        let _broken: Option<()> = self.not_understood(
                            file,
                            "`$include` is neither a name nor a list of names",
                        );
                        Vec::new()
                    }
                };
                only &= names.len() == 1;
                for name in names {
                    let Value::String(name) = name else { continue };
                    let path = file.parent().unwrap_or(Path::new("/")).join(name);
                    let Some(included) = self.file(&path, above) else { continue };
                    if only {
                        // Alone it may be anything, a list too.
                        return included;
                    }
                    merge(&mut merged, included);
                }
                let rest = object
                    .into_iter()
                    .map(|(key, value)| (key, self.resolve(value, file, above)))
                    .collect();
                merge(&mut merged, Value::Object(rest));
                merged
            }
            other => other,
        }
    }

    fn warn<T>(&mut self, path: &Path, message: &str) -> Option<T> {
        let path = shown(path);
        let message = format!("the configuration {path} cannot be read: {message}");
        self.warnings.push(Skipped { path, code: UNREAD, message });
        None
    }

    /// A file that is saved where it is, as it is, and says nothing.
    fn not_understood<T>(&mut self, path: &Path, message: &str) -> Option<T> {
        let path = shown(&real_beside(path, self.hanging));
        let message = format!("the configuration {path} was not understood: {message}");
        self.unknown.push(path.clone());
        self.warnings.push(Skipped { path, code: AS_BYTES, message });
        None
    }

    /// Says what follows where no copy of such a file is understood.
    fn tell_unknown(&mut self) {
        for file in std::mem::take(&mut self.unknown) {
            let path = format!("what {file} names");
            let message =
                "workspaces that it names elsewhere are not known, and not in the snapshot"
                    .to_owned();
            self.warnings.push(Skipped { path, code: UNREAD, message });
        }
    }
}

/// Objects are merged, lists joined, everything else replaced, as the host does.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from),
        (into, from) => *into = from,
    }
}

/// All places where a directory of an agent can be configured, in all versions of the host. `field` is a JSON pointer.
fn settings<'a>(config: &'a Value, field: &str) -> Vec<&'a str> {
    let agents = config.get("agents");
    let list = agents.and_then(|agents| agents.get("list")).and_then(Value::as_array);
    let entries = agents.and_then(|agents| agents.get("entries")).and_then(Value::as_object);
    let defaults = agents.and_then(|agents| agents.get("defaults"));
    let one = [config.get("agent"), defaults].into_iter().flatten();
    one.chain(list.into_iter().flatten())
        .chain(entries.into_iter().flat_map(Map::values))
        .filter_map(|agent| agent.pointer(field)?.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) {
        std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.join(name), text).unwrap();
    }

    #[test]
    fn one_that_cannot_be_looked_at_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("none"), None).warnings, []);
        write(dir.path(), "file", "");
        let config = read(&dir.path().join("file").join("openclaw.json"), None);
        assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    }

    #[test]
    fn what_does_not_answer_is_told_and_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        write(&dir, "openclaw.json", "{ $include: ['dead/a.json', 'gone.json'], x: 1 }");
        write(&dir, "dead/a.json", "{ y: 2 }");
        let dead = [dir.join("dead")];
        let config = read_beside(&dir.join("openclaw.json"), None, &dead);
        assert_eq!(config.value, serde_json::json!({ "x": 1 }));
        assert_eq!(config.missing, [dir.join("dead/a.json"), dir.join("gone.json")]);
        assert_eq!(config.warnings.len(), 2);
        assert_eq!(config.gone, [shown(&dir.join("gone.json"))].into());
        let whole = read_beside(&dir.join("openclaw.json"), None, std::slice::from_ref(&dir));
        assert_eq!((whole.warnings.len(), whole.files.len()), (1, 0));
        assert_eq!(real_beside(&dir.join("dead/../dead/x/y"), &dead), dir.join("dead/x/y"));
    }

    #[test]
    fn finds_all_places_in_all_versions() {
        let dir = tempfile::tempdir().unwrap();
        let text = "{ // comment
            agent: { workspace: '/old' },
            agents: {
              defaults: { workspace: '~/ws' },
              list: [{ id: 'a', workspace: 'rel', agentDir: '/dirs/a' }],
              entries: { b: { agentDir: '~' , workspace: '' }, c: { workspace: '/old' },
                d: { sandbox: { workspaceRoot: '/sandboxes' } } },
            },
            worktreeRoot: '/worktrees',
        }";
        write(dir.path(), "openclaw.json", text);
        let config = read(&dir.path().join("openclaw.json"), Some(Path::new("/home/x")));
        assert_eq!(
            config.workspaces,
            [
                PathBuf::from("/home/x/ws"),
                "/old".into(),
                "/sandboxes".into(),
                dir.path().join("rel"),
                "/worktrees".into()
            ]
            .iter()
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
        );
        assert_eq!(config.agent_dirs, [PathBuf::from("/dirs/a"), "/home/x".into()]);
        assert!(config.warnings.is_empty());
        assert_eq!(config.elsewhere.iter().map(|one| &*one.path).collect::<Vec<_>>(), ["rel"]);
    }

    #[test]
    fn includes_are_merged_and_named() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            "openclaw.json",
            "{ $include: ['a.json5', 'sub/b.json5'], x: 1, agents: { $include: 'sub/agents.json5' } }",
        );
        write(dir.path(), "a.json5", "{ x: 5, y: { p: 1, l: [1] } }");
        write(dir.path(), "sub/b.json5", "{ y: { q: 2, l: [2] }, z: { $include: 'deep.json5' } }");
        write(dir.path(), "sub/deep.json5", "[1, 2]");
        write(dir.path(), "sub/agents.json5", "{ defaults: { workspace: '/w' } }");
        let config = read(&dir.path().join("openclaw.json"), None);
        assert_eq!(
            config.value,
            serde_json::json!({ "x": 1, "y": { "p": 1, "q": 2, "l": [1, 2] }, "z": [1, 2], "agents": { "defaults": { "workspace": "/w" } } })
        );
        assert_eq!(config.files.len(), 5);
        assert_eq!(config.workspaces, [PathBuf::from("/w")]);
    }

    #[test]
    fn broken_ones_are_warnings() {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("openclaw.json");
        let missing = read(&main, None);
        assert!(
            missing.warnings.is_empty() && missing.files.is_empty() && missing.value.is_object()
        );
        write(dir.path(), "openclaw.json", "{ token: 'sk-secret' oops");
        let broken = read(&main, None);
        let said = |config: &HostConfig| -> Vec<(String, &str)> {
            let base = format!("{}/", dir.path().canonicalize().unwrap().display());
            let said = config.warnings.iter();
            said.map(|it| (it.path.replace(&base, ""), it.code)).collect()
        };
        let unknown = ("what openclaw.json names".into(), UNREAD);
        assert_eq!(said(&broken), [("openclaw.json".into(), AS_BYTES), unknown]);
        assert_eq!(broken.files, std::slice::from_ref(&main));
        assert!(!broken.warnings[0].message.contains("sk-secret"));
        write(dir.path(), "openclaw.json.bak", "{ agent: { workspace: '/w' } }");
        let helped = read(&main, None);
        assert_eq!(said(&helped), [("openclaw.json".into(), AS_BYTES)]);
        assert_eq!(helped.workspaces, [PathBuf::from("/w")]);
        write(dir.path(), "openclaw.json", "{ x: 1, $include: ['self.json', 'gone.json'] }");
        write(dir.path(), "self.json", "{ y: 2, z: { $include: './self.json' } }");
        let circle = read(&main, None);
        let told = said(&circle).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        assert_eq!(told, ["self.json", "gone.json", "what self.json names"]);
        assert_eq!(circle.value["y"], 2);
        for i in 0..15 {
            write(
                dir.path(),
                &format!("{i}.json"),
                &format!("{{ n: {i}, $include: '{}.json' }}", i + 1),
            );
        }
        write(dir.path(), "15.json", "{}");
        assert_eq!(read(&dir.path().join("0.json"), None).warnings.len(), 2);
    }
}
