//! Logs beside databases. What belongs to a SQLite database is in the copy that is made of it, and would spoil that if
//! it were restored beside it; a file of such a name beside something else is a file like any other.

pub use super::policy_rules::LOG_REASON;

use super::database::{host_database, is_database, is_database_name, open_in_this_process};
use super::walked::{Excluded, Walk};
use super::{RelPath, Root, absolute};

/// What SQLite appends to the name of a database.
const SUFFIXES: [&[u8]; 3] = [b"-wal", b"-journal", b"-shm"];

/// The path of the file that a path would be the log of.
#[must_use]
pub fn base_of(path: &RelPath) -> Option<RelPath> {
    let base = SUFFIXES.iter().find_map(|suffix| path.as_bytes().strip_suffix(*suffix))?;
    let named = base.last().is_some_and(|byte| *byte != b'/');
    named.then(|| RelPath::from_bytes(base.to_vec()))
}

/// What a file with the name of a log lies beside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Database,
    Other,
    Nothing,
}

/// Decides about the files with names of logs: those of databases stay in `walk.logs`, all others become files that were
/// found. Opens what they lie beside, but nothing that this process holds open: the caller has to refuse that.
pub fn settle(roots: &[Root], walk: &mut Walk, list_excluded: bool) {
    let mut logs = std::mem::take(&mut walk.logs);
    logs.sort_unstable_by(|a, b| (a.root, &a.path).cmp(&(b.root, &b.path)));
    let mut plain = Vec::new();
    for log in logs {
        let (Some(base), Some(root)) = (base_of(&log.path), roots.get(usize::from(log.root)))
        else {
            continue;
        };
        let beside = read_base(root, &base);
        let at =
            walk.found.binary_search_by(|found| (found.root, &found.path).cmp(&(log.root, &base)));
        if let Some(found) = at.ok().and_then(|at| walk.found.get_mut(at)) {
            found.database_name |= beside == Base::Database;
            let fingerprint = log.fingerprint;
            let shared_memory = log.path.as_bytes().ends_with(b"-shm");
            // An empty one comes and goes with every reader. The write-ahead log comes last, and counts.
            if fingerprint.size > 0 && !shared_memory {
                found.fingerprint.log = (fingerprint.size, fingerprint.mtime_ns, fingerprint.inode);
            }
        }
        let left_out = match beside {
            Base::Database => true,
            Base::Other => false,
            // Whose it was, its name alone tells.
            Base::Nothing => {
                is_database_name(base.as_bytes()) || host_database(&base, root.kind).is_some()
            }
        };
        if !left_out {
            plain.push(log);
            continue;
        }
        if list_excluded {
            let (root, path) = (log.root, log.path.clone());
            walk.excluded.push(Excluded { root, path, reason: LOG_REASON });
        }
        if beside == Base::Database
            && log.fingerprint.size > 0
            && !log.path.as_bytes().ends_with(b"-shm")
        {
            walk.logs.push(log);
        }
    }
    if list_excluded {
        walk.excluded.sort_unstable_by(|a, b| (a.root, &a.path).cmp(&(b.root, &b.path)));
    }
    if !plain.is_empty() {
        walk.found.append(&mut plain);
        walk.found.sort_unstable_by(|a, b| (a.root, &a.path).cmp(&(b.root, &b.path)));
    }
}

fn read_base(root: &Root, base: &RelPath) -> Base {
    let path = absolute(&root.path, base);
    if !std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
        return Base::Nothing;
    }
    // What is in a log of the host may be a secret, whatever became of the database.
    if host_database(base, root.kind).is_some()
        || open_in_this_process(std::slice::from_ref(&path)).is_some()
    {
        return Base::Database;
    }
    match is_database(&path) {
        Ok(true) => Base::Database,
        Err(_) if is_database_name(base.as_bytes()) => Base::Database,
        Ok(false) | Err(_) => Base::Other,
    }
}
