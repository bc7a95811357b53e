//! What is a database, which of them are the host's, and which this process must keep its hands off.
//!
//! POSIX record locks belong to a process and are dropped when any descriptor of the file is closed, so
//! nothing here opens a database but [`is_database`], which belongs into a child process.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{RelPath, RootKind};

/// The first 16 bytes of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Which secrets are removed from a captured database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redact {
    /// None.
    None,
    /// Those of the shared database, `state/openclaw.sqlite`.
    Shared,
    /// Those of an agent's database, `openclaw-agent.sqlite`.
    Agent,
    /// Those of the database of the host that its tables show it to be, wherever it lies. None where it is another.
    BySchema,
}

/// Whether a file is a SQLite database, by its first 16 bytes. An empty file is none.
///
/// Opens the file: never call this in a process that holds it open (see
/// [`open_in_this_process`]).
///
/// # Errors
/// The system's error when it cannot be opened or read.
pub fn is_database(path: &Path) -> std::io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    match super::open_plain(path)?.read_exact(&mut start) {
        Ok(()) => Ok(&start == MAGIC),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a content is that of a SQLite database.
#[must_use]
pub fn is_database_content(content: &[u8]) -> bool {
    content.starts_with(MAGIC)
}

/// Whether a file name says that it is a database: `*.sqlite`, `*.sqlite3`, `*.db`, in any case.
#[must_use]
pub fn is_database_name(name: &[u8]) -> bool {
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return false };
    let extension = name.get(dot + 1..).unwrap_or_default();
    [b"sqlite" as &[u8], b"sqlite3", b"db"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Which of the host's own databases a path is, and so which secrets are in it. `None` for all others.
///
/// Copies beside them that OpenClaw or the user made (`openclaw.sqlite.bak`) hold the same secrets.
#[must_use]
pub fn host_database(path: &RelPath, kind: RootKind) -> Option<Redact> {
    let parts: Vec<&[u8]> = path.as_bytes().split(|byte| *byte == b'/').collect();
    match (kind, parts.as_slice()) {
        (RootKind::State, [b"state", name]) if name.starts_with(b"openclaw.sqlite") => {
            Some(Redact::Shared)
        }
        // Links in workspaces are not followed: this is where the host's own files are.
        (RootKind::Linked, [.., name]) if name.starts_with(b"openclaw.sqlite") => {
            Some(Redact::Shared)
        }
        (RootKind::State, [top, ..]) if top.starts_with(b"workspace") => None,
        // An agent's directory can be configured to be anywhere.
        (RootKind::State | RootKind::AgentDir | RootKind::Linked, [.., name])
            if name.starts_with(b"openclaw-agent.sqlite") =>
        {
            Some(Redact::Agent)
        }
        _ => None,
    }
}

/// The first of these files that this very process holds open, or `None`.
///
/// The caller must not touch such a file: closing it would drop the locks of whoever opened it here.
/// Compares device and inode of every descriptor, opens nothing. Systems other than Linux: `None`.
#[must_use]
pub fn open_in_this_process(paths: &[PathBuf]) -> Option<PathBuf> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt as _;
        let identity =
            |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        // `metadata` follows the link in /proc, which is a stat of the open file itself.
        let open: std::collections::HashSet<(u64, u64)> = std::fs::read_dir("/proc/self/fd")
            .ok()?
            .filter_map(|entry| identity(&entry.ok()?.path()))
            .collect();
        paths.iter().find(|path| identity(path).is_some_and(|id| open.contains(&id))).cloned()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _unknown_here = paths;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_magic() {
        assert!(
            is_database_name(b"a.sqlite")
                && is_database_name(b"a.b.SQLITE3")
                && is_database_name(b"x.db")
        );
        assert!(
            !is_database_name(b"sqlite")
                && !is_database_name(b"a.sqlite-wal")
                && !is_database_name(b"a.dbx")
        );
        let dir = tempfile::tempdir().unwrap();
        for (name, content, expected) in [
            ("a", b"SQLite format 3\0rest" as &[u8], true),
            ("b", b"SQLite format 3", false),
            ("c", b"", false),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            assert_eq!(is_database(&path).unwrap(), expected, "{name}");
        }
        assert!(is_database(&dir.path().join("missing")).is_err());
    }

    #[test]
    fn host_databases_by_place() {
        let host =
            |path: &str, kind| host_database(&RelPath::from_bytes(path.as_bytes().to_vec()), kind);
        assert_eq!(host("state/openclaw.sqlite", RootKind::State), Some(Redact::Shared));
        assert_eq!(host("state/openclaw.sqlite.bak", RootKind::State), Some(Redact::Shared));
        assert_eq!(
            host("agents/a/agent/openclaw-agent.sqlite", RootKind::State),
            Some(Redact::Agent)
        );
        assert_eq!(host("openclaw-agent.sqlite", RootKind::AgentDir), Some(Redact::Agent));
        assert_eq!(host("other/openclaw-agent.sqlite", RootKind::State), Some(Redact::Agent));
        assert_eq!(host("workspace/openclaw-agent.sqlite", RootKind::State), None);
        assert_eq!(host("workspace/state/openclaw.sqlite", RootKind::State), None);
        assert_eq!(host("state/openclaw.sqlite", RootKind::Workspace), None);
        assert_eq!(host("state/openclaw-quarantine.sqlite", RootKind::State), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn finds_what_this_process_holds_open() {
        let dir = tempfile::tempdir().unwrap();
        let paths =
            [dir.path().join("a.db"), dir.path().join("b.db"), dir.path().join("missing.db")];
        std::fs::write(&paths[0], b"").unwrap();
        let open = std::fs::File::create(&paths[1]).unwrap();
        assert_eq!(open_in_this_process(&paths), Some(paths[1].clone()));
        drop(open);
        assert_eq!(open_in_this_process(&paths), None);
    }
}
