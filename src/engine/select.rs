//! Which entries the user asked for.

use std::collections::HashSet;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::problem::FileProblem;
use super::roots::seen;
use super::tree::shown;
use crate::entry::{EntryKind, RelPath};
use crate::error::{Error, Result};
use crate::format::{Entry, RootRecord};

/// Paths and globs: below any root, or from `/` on, as other places than the state directory are shown to people.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    exact: Vec<Vec<u8>>,
    globs: GlobSet,
    all: bool,
    /// Whether any of them starts with `/`.
    absolute: bool,
}

impl Selection {
    /// A path names an entry and everything below it. One with `*`, `?`, `[` or `{` is a glob as well.
    pub(crate) fn new(paths: &[String]) -> Result<Self> {
        let mut globs = GlobSetBuilder::new();
        let mut exact = Vec::new();
        for path in paths {
            let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
            if path.is_empty() {
                return Err(Error::config(
                    "--path",
                    "an empty path; leave it out to mean everything",
                ));
            }
            exact.push(path.as_bytes().to_vec());
            // As `show` writes a name that is no text. Taken as it is typed, it may be another file's name.
            if path.contains('\\') {
                exact.extend(RelPath::unescaped(path).map(|path| path.as_bytes().to_vec()));
            }
            if path.contains(['*', '?', '[', '{']) {
                // A glob that does not parse can still be a file's plain name.
                if let Ok(glob) = GlobBuilder::new(path).literal_separator(true).build() {
                    globs.add(glob);
                }
            }
        }
        let globs = globs.build().map_err(|error| Error::config("--path", error.to_string()))?;
        let absolute = exact.iter().any(|path| path.starts_with(b"/"));
        Ok(Self { exact, globs, all: paths.is_empty(), absolute })
    }

    /// Whether everything is wanted.
    pub(crate) fn is_all(&self) -> bool {
        self.all
    }

    /// Whether a path below a root, of which `root` is the absolute path, is wanted by itself, not as a directory
    /// above one that is.
    pub(crate) fn wants(&self, root: &[u8], path: &RelPath) -> bool {
        self.all
            || self.matches(path.as_bytes())
            || self.absolute && self.matches(&[root, b"/", path.as_bytes()].concat())
    }

    /// Whether an entry of a snapshot with these roots is wanted by itself.
    pub(crate) fn wants_entry(&self, entry: &Entry, roots: &[RootRecord]) -> bool {
        let root = roots.get(usize::from(entry.root)).map(|root| root.path.as_slice());
        self.wants(root.unwrap_or_default(), &entry.path)
            || seen(roots, entry).is_some_and(|path| self.matches(path.as_bytes()))
    }

    /// Those of the problems, of a snapshot with these roots, that may be about what is wanted: it, something in it,
    /// or a directory around it.
    pub(crate) fn concerned(
        &self,
        problems: Vec<FileProblem>,
        roots: &[RootRecord],
    ) -> Vec<FileProblem> {
        problems.into_iter().filter(|problem| self.concerns(&problem.path, roots)).collect()
    }

    fn concerns(&self, path: &str, roots: &[RootRecord]) -> bool {
        let escaped = |root: &RootRecord| RelPath::from_bytes(root.path.clone()).escaped();
        let mut names = vec![path.to_owned()];
        if path.starts_with('/') {
            let inside = roots.iter().filter_map(|root| path.strip_prefix(&escaped(root)));
            names.extend(inside.map(|path| path.trim_start_matches('/').to_owned()));
        } else if let Some(state) = roots.first() {
            names.push(format!("{}/{path}", escaped(state)));
        }
        let around = |wanted: &Vec<u8>, name: &str| {
            // What begins with a glob may be anywhere.
            let end = wanted.iter().position(|byte| b"*?[{".contains(byte));
            let fixed = wanted.get(..end.unwrap_or(wanted.len())).unwrap_or_default();
            let inside = fixed.strip_prefix(name.as_bytes());
            inside.is_some_and(|rest| name.is_empty() || rest.starts_with(b"/"))
                || end.is_some() && name.as_bytes().starts_with(fixed)
        };
        self.all
            || names.iter().any(|name| {
                self.matches(name.as_bytes())
                    || self.exact.iter().any(|wanted| around(wanted, name))
            })
    }

    fn matches(&self, path: &[u8]) -> bool {
        let below = |wanted: &Vec<u8>| {
            path.strip_prefix(wanted.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        let glob = |path: &[u8]| self.globs.is_match(bytes_path(path).as_ref());
        self.exact.iter().any(below)
            || glob(path)
            // A glob that matches a directory stands for everything in it, too.
            || path.iter().enumerate().any(|(at, byte)| *byte == b'/' && path.get(..at).is_some_and(glob))
    }

    /// The entries that are wanted, and the directories above them.
    pub(crate) fn choose(&self, entries: Vec<Entry>, roots: &[RootRecord]) -> Vec<Entry> {
        if self.all {
            return entries;
        }
        let wanted: Vec<bool> =
            entries.iter().map(|entry| self.wants_entry(entry, roots)).collect();
        let mut parents: HashSet<(u16, Vec<u8>)> = HashSet::new();
        for (entry, _) in entries.iter().zip(&wanted).filter(|(_, wanted)| **wanted) {
            let path = entry.path.as_bytes();
            for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                parents.insert((entry.root, path.get(..at).unwrap_or_default().to_vec()));
            }
        }
        let keep = |(entry, wanted): (Entry, bool)| {
            let parent = entry.kind == EntryKind::Directory
                && parents.contains(&(entry.root, entry.path.as_bytes().to_vec()));
            (wanted || parent).then_some(entry)
        };
        entries.into_iter().zip(wanted).filter_map(keep).collect()
    }
}

#[cfg(unix)]
fn bytes_path(path: &[u8]) -> std::borrow::Cow<'_, std::path::Path> {
    use std::os::unix::ffi::OsStrExt as _;
    std::borrow::Cow::Borrowed(std::path::Path::new(std::ffi::OsStr::from_bytes(path)))
}

#[cfg(not(unix))]
fn bytes_path(path: &[u8]) -> std::borrow::Cow<'_, std::path::Path> {
    std::borrow::Cow::Owned(String::from_utf8_lossy(path).into_owned().into())
}

/// Whether `path` is just that of the entry: below its root, or from `/` on.
pub(crate) fn names(path: &str, entry: &Entry, roots: &[RootRecord]) -> bool {
    let path = path.strip_prefix("./").unwrap_or(path);
    let root = roots.get(usize::from(entry.root)).map(|root| root.path.as_slice());
    let below = entry.path.as_bytes();
    let is =
        |path: &[u8]| path == below || path == [root.unwrap_or_default(), b"/", below].concat();
    is(path.as_bytes()) || RelPath::unescaped(path).is_some_and(|path| is(path.as_bytes()))
}

/// The error where `snapshot` has nothing at `paths`, with places that end in one of them: people leave the folders out.
pub(crate) fn nothing_at(
    field: &'static str,
    snapshot: &str,
    paths: &[String],
    all: &[Entry],
    roots: &[RootRecord],
) -> Error {
    let ends = |entry: &&Entry| {
        paths.iter().any(|path| {
            let below = entry.path.as_bytes().strip_suffix(path.trim_matches('/').as_bytes());
            below.is_some_and(|above| above.ends_with(b"/"))
        })
    };
    let near: Vec<String> = all
        .iter()
        .filter(ends)
        .take(3)
        .map(|entry| shown(roots, entry.root, &entry.path))
        .collect();
    let asked = paths.join(", ");
    let near = match near.as_slice() {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(" or ")),
    };
    Error::config(field, format!("{snapshot} has nothing at {asked}{near}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_globs() {
        let matches = |wanted: &str, path: &str| {
            let selection = Selection::new(&[wanted.into()]).unwrap();
            selection.wants(b"/state", &RelPath::from_bytes(path.as_bytes().to_vec()))
        };
        assert!(matches("workspace/MEMORY.md", "workspace/MEMORY.md"));
        assert!(!matches("workspace/MEMORY.md", "workspace/MEMORY.md.bak"));
        assert!(matches("./workspace/", "workspace/a/b"));
        assert!(matches("workspace/*.md", "workspace/x.md"));
        assert!(!matches("workspace/*.md", "workspace/a/x.md"));
        assert!(matches("workspace/**", "workspace/a/x.md"));
        assert!(matches("work*", "workspace/a/x.md"));
        assert!(matches("odd[name.md", "odd[name.md"));
        assert!(matches(r"back\\slash", r"back\slash"));
        assert!(matches(r"back\slash", r"back\slash"));
        assert!(Selection::new(&["/".into()]).is_err());
    }

    #[test]
    fn a_name_that_is_no_text_is_named_as_it_is_shown() {
        let path = RelPath::from_bytes(b"odd/bad\xff\xfe\x01utf\\".to_vec());
        assert_eq!(RelPath::unescaped(&path.escaped()).as_ref(), Some(&path));
        let selection = Selection::new(&[path.escaped()]).unwrap();
        assert!(selection.wants(b"/state", &path));
        assert!(!selection.wants(b"/state", &RelPath::from_bytes(b"odd/bad".to_vec())));
        for never in [r"a\", r"a\xf", r"a\xzz", r"a\n"] {
            assert_eq!(RelPath::unescaped(never), None, "{never}");
        }
    }

    #[test]
    fn problems_concern_what_is_wanted() {
        let concerns = |wanted: &str, path: &str| {
            let roots = [
                RootRecord { kind: 0, path: b"/state".to_vec(), at: None },
                RootRecord { kind: 1, path: b"/ws".to_vec(), at: None },
            ];
            Selection::new(&[wanted.into()]).unwrap().concerns(path, &roots)
        };
        assert!(concerns("workspace/a.md", "workspace/a.md"));
        assert!(concerns("workspace", "workspace/a.md"));
        assert!(concerns("workspace/a.md", "workspace"));
        assert!(concerns("/state/workspace", "workspace/a.md"));
        assert!(concerns("a.md", "/ws/a.md"));
        assert!(concerns("a.md", "/ws"));
        assert!(concerns("workspace/*.md", "workspace/a.md"));
        assert!(concerns("workspace/*/x", "workspace/a"));
        assert!(concerns("**/x", "agents/main"));
        assert!(!concerns("workspace/a.md", "workspace/b.md"));
        assert!(!concerns("workspace/*.md", "agents/main"));
        assert!(!concerns("/ws/a.md", "workspace"));
    }

    #[test]
    fn a_path_from_the_root_on_names_one_place() {
        let wants = |wanted: &str, root: &str, path: &str| {
            let selection = Selection::new(&[wanted.into()]).unwrap();
            selection.wants(root.as_bytes(), &RelPath::from_bytes(path.as_bytes().to_vec()))
        };
        assert!(wants("/ws/notes/a.md", "/ws", "notes/a.md"));
        assert!(wants("/ws/", "/ws", "notes/a.md"));
        assert!(wants("/ws/*.md", "/ws", "a.md"));
        assert!(wants("/home/me/.openclaw/workspace", "/home/me/.openclaw", "workspace/a.md"));
        assert!(!wants("/ws/a.md", "/other", "a.md"));
        assert!(!wants("/ws/a.md", "/other", "ws/a.md"));
        assert!(wants("a.md", "/other", "a.md"));
    }
}
