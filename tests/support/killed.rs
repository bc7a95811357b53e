//! Jobs that are killed at a step, in a process of their own, and the machines that they work on.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use b2_backup::ambient::FailPoints;
use b2_backup::ops;
use b2_backup::store::StoreConfig;
use b2_backup::store::memory::MemoryStore;

use super::machine::Machine;
use super::system::url_of;

/// Ends the process at a step; counts them otherwise.
#[derive(Debug)]
pub(crate) struct KillAt {
    at: usize,
    seen: AtomicUsize,
}

impl KillAt {
    /// At the step that the parent named.
    pub(crate) fn from_parent() -> Arc<Self> {
        let at = std::env::var("B2_TEST_AT").unwrap().parse().unwrap();
        Arc::new(Self { at, seen: AtomicUsize::new(0) })
    }

    /// What the job prints at its end, for the parent.
    pub(crate) fn told(&self) -> String {
        format!("steps made: {}", self.seen.load(Ordering::SeqCst))
    }
}

impl FailPoints for KillAt {
    fn step(&self, _name: &'static str) -> std::io::Result<()> {
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            std::process::abort();
        }
        Ok(())
    }
}

/// Runs an ignored test of this binary in a process that aborts at a step. How many steps it made, where it did not.
pub(crate) fn kill_at(test: &str, job: &str, dir: &Path, at: usize) -> Option<usize> {
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("B2_TEST_JOB", job)
        .env("B2_TEST_AT", at.to_string())
        .env("B2_TEST_DIR", dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let steps = said.lines().find_map(|line| line.split("steps made: ").nth(1)?.parse().ok());
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(steps.is_some() || was_aborted(done.status), "{said}{errors}");
    steps
}

/// Whether a process ended as [`std::process::abort`] ends it: by a signal, or on Windows with the code of a fast failure.
fn was_aborted(status: ExitStatus) -> bool {
    const FAST_FAIL: i32 = 0xC000_0409_u32.cast_signed();
    status.code().is_none_or(|code| cfg!(windows) && code == FAST_FAIL)
}

/// A machine with its state and its bucket, a folder, in `dir`. Not encrypted: stretching a passphrase takes long.
pub(crate) fn machine_in(dir: &Path) -> Machine {
    let mut machine = Machine::new(&dir.join("state"), Arc::new(MemoryStore::default()));
    machine.settings.encrypt = false;
    let bucket = url_of(&dir.join("bucket"));
    machine.settings.store = StoreConfig { bucket, prefix: "p".into(), ..StoreConfig::default() };
    machine
}

/// An ambient that goes to the folder that the settings name.
pub(crate) fn ambient(machine: &Machine) -> ops::Ambient {
    ops::Ambient { store: None, ..machine.ambient() }
}

/// A session with that folder.
pub(crate) async fn session(machine: &Machine) -> ops::Session {
    ops::Session::open(machine.settings.clone(), ambient(machine)).await.unwrap()
}
