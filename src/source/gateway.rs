//! Whether OpenClaw runs on a state directory: its lock files say so.
//!
//! The gateway holds `<state>/tmp/openclaw-<uid>/gateway.state.lock` while it runs (so do its commands that
//! work on the state without a gateway), and removes it when it ends well. After a crash the file stays, so
//! the process in it is looked for. One in a container is not found here, but beside that file lies an empty database,
//! `gateway.state.lock.sqlite`, which the gateway holds locked: its lock is seen by all who share the disk.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::locks;

/// Whoever holds the state's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its process; `None` where that is one of another namespace, as in a container.
    pub pid: Option<u32>,
    /// The port that it listens on, where it says.
    pub port: Option<u16>,
}

/// What is read of the lock file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lock {
    pid: u32,
    port: Option<u16>,
    /// The state directory that it is about.
    state_dir: Option<PathBuf>,
    /// When the process started, as the system counts (Linux: clock ticks since the machine started).
    start_time: Option<u64>,
}

/// Who works on this state directory, if anybody does.
///
/// A lock that cannot be read or understood counts for nothing: OpenClaw replaces such a file itself. One that
/// was copied along with a state directory names another directory, and counts for nothing either.
#[must_use]
pub fn running(state_dir: &Path) -> Option<Running> {
    let state_dir = state_dir.canonicalize().ok()?;
    // One folder for each user id; only one can be in use.
    let folders = std::fs::read_dir(state_dir.join("tmp")).ok()?.flatten();
    let folders: Vec<PathBuf> = folders
        .filter(|folder| folder.file_name().to_string_lossy().starts_with("openclaw"))
        .map(|folder| folder.path().join("gateway.state.lock"))
        .collect();
    let other = |dir: &Path| dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let read = |path: &PathBuf| serde_json::from_slice::<Lock>(&std::fs::read(path).ok()?).ok();
    // First, since the gateway itself is found so: closing its database here would drop its lock.
    let named = folders
        .iter()
        .filter_map(read)
        .filter(|lock| lock.state_dir.as_deref().is_none_or(|dir| other(dir) == state_dir))
        .find(|lock| lives(lock.pid, lock.start_time))
        .map(|lock| Running { pid: Some(lock.pid), port: lock.port });
    named.or_else(|| {
        folders.iter().find_map(|path| {
            let holder = locks::writer(&path.with_extension("lock.sqlite"))?;
            Some(Running { pid: holder.pid, port: read(path).and_then(|lock| lock.port) })
        })
    })
}

/// Whether the process lives, and is the one that started then: ids of processes are used again.
#[cfg(target_os = "linux")]
fn lives(pid: u32, start_time: Option<u64>) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name, in parentheses, may hold anything; the 22nd field is the start.
    let after = stat.rsplit_once(')').map(|(_, after)| after.split_ascii_whitespace());
    let mut fields = after.into_iter().flatten();
    if matches!(fields.next(), Some("Z" | "X")) {
        return false;
    }
    let started = fields.nth(18).and_then(|field| field.parse::<u64>().ok());
    start_time.is_none() || started.is_none() || started == start_time
}

#[cfg(all(unix, not(target_os = "linux")))]
fn lives(pid: u32, _start_time: Option<u64>) -> bool {
    let process = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // Another user's process may not be signalled, but it is there.
    process.is_some_and(|process| {
        !matches!(rustix::process::test_kill_process(process), Err(rustix::io::Errno::SRCH))
    })
}

/// Windows does not tell without a library of its own; a lock that is there is taken for held.
#[cfg(not(unix))]
fn lives(_pid: u32, _start_time: Option<u64>) -> bool {
    true
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_in_the_lock_must_live_and_mean_this_state() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().canonicalize().unwrap();
        assert_eq!(running(&state), None);
        let folder = state.join("tmp/openclaw-1000");
        std::fs::create_dir_all(&folder).unwrap();
        // The host fills the file up with blanks.
        let lock = |json: &serde_json::Value| {
            let text = format!("{json}\n\t\t  \t \n");
            std::fs::write(folder.join("gateway.state.lock"), text).unwrap();
        };
        let me = std::process::id();
        let stat = std::fs::read_to_string(format!("/proc/{me}/stat")).unwrap();
        let started: u64 =
            stat.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap().parse().unwrap();
        let held = |start: u64, dir: &Path| serde_json::json!({ "pid": me, "createdAt": "x", "port": 1234, "stateDir": dir, "startTime": start });
        lock(&held(started, &state));
        assert_eq!(running(&state), Some(Running { pid: Some(me), port: Some(1234) }));
        lock(&held(started + 1, &state));
        assert_eq!(running(&state), None, "the number is another process's by now");
        lock(&held(started, Path::new("/elsewhere")));
        assert_eq!(running(&state), None, "a copied lock");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        lock(&serde_json::json!({ "pid": child.id(), "stateDir": state }));
        assert_eq!(running(&state), None, "it is dead");
        lock(&serde_json::json!({ "pid": me }));
        assert!(running(&state).is_some());
        lock(&serde_json::json!("nonsense"));
        assert_eq!(running(&state), None);
    }
}
