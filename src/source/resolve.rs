//! Where a path leads, through all links on the way, without touching a file system that does not answer.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt::{Display, Formatter};
use std::path::{Component, Path, PathBuf};

/// So many links are followed, as by the systems themselves.
const MOST_LINKS: usize = 40;

/// Why a path leads to nothing that can be used.
#[derive(Debug)]
pub(super) enum Away {
    /// Nothing is there, where it leads.
    Gone(PathBuf),
    /// It leads into a file system that does not answer.
    Hangs(PathBuf),
    /// Its links lead in a circle.
    Circle,
    /// It cannot be looked at.
    Unreadable(std::io::Error),
}

impl Away {
    /// Where the path would lead.
    pub(super) fn place(&self) -> Option<&Path> {
        match self {
            Self::Gone(path) | Self::Hangs(path) => Some(path),
            Self::Circle | Self::Unreadable(_) => None,
        }
    }
}

impl Display for Away {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone(_) => f.write_str("it is not there"),
            Self::Hangs(_) => f.write_str("its file system does not answer"),
            Self::Circle => f.write_str("its links lead in a circle"),
            Self::Unreadable(error) => write!(f, "{error}"),
        }
    }
}

/// The directory or file itself that an absolute path leads to. What lies in `hanging` is not touched.
pub(super) fn resolve(path: &Path, hanging: &[PathBuf]) -> Result<PathBuf, Away> {
    let mut links = 0;
    let mut here = PathBuf::new();
    let mut ahead: VecDeque<OsString> = parts(path).collect();
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            here.pop();
            continue;
        }
        here.push(&part);
        if hanging.contains(&here) {
            return Err(Away::Hangs(go(here, ahead)));
        }
        let meta = match std::fs::symlink_metadata(&here) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Away::Gone(go(here, ahead)));
            }
            Err(error) => return Err(Away::Unreadable(error)),
        };
        if meta.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(Away::Circle);
            }
            let target = std::fs::read_link(&here).map_err(Away::Unreadable)?;
            here.pop();
            if target.is_absolute() {
                here = PathBuf::new();
            }
            for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                ahead.push_front(part);
            }
        }
    }
    Ok(here)
}

/// Where a path would lead, if a file system that does not answer is on the way.
pub(super) fn hangs(path: &Path, hanging: &[PathBuf]) -> Option<PathBuf> {
    if hanging.is_empty() {
        return None;
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    match resolve(&path, hanging) {
        Err(Away::Hangs(place)) => Some(place),
        _ => None,
    }
}

/// Where the rest of a path leads, without a look at it.
fn go(mut here: PathBuf, ahead: VecDeque<OsString>) -> PathBuf {
    for part in ahead {
        if part == ".." {
            here.pop();
        } else {
            here.push(part);
        }
    }
    here
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.map(|part| part.as_os_str().to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_where_they_lead() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("disk/a/b")).unwrap();
        symlink("disk/a", base.join("one")).unwrap();
        symlink(base.join("one/../a/b"), base.join("two")).unwrap();
        symlink("circle", base.join("circle")).unwrap();
        symlink(base.join("gone/x"), base.join("three")).unwrap();
        let to = |path: &str, hanging: &[PathBuf]| resolve(&base.join(path), hanging);
        assert_eq!(to("two", &[]).unwrap(), base.join("disk/a/b"));
        assert_eq!(to("one/./b/..", &[]).unwrap(), base.join("disk/a"));
        assert!(matches!(to("circle", &[]), Err(Away::Circle)));
        let gone = to("three/y", &[]).unwrap_err();
        assert_eq!(gone.place(), Some(base.join("gone/x/y").as_path()));
        let hangs = to("two", &[base.join("disk")]).unwrap_err();
        assert!(matches!(&hangs, Away::Hangs(path) if *path == base.join("disk/a/b")), "{hangs:?}");
    }
}
