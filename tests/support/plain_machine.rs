//! The machine that most tests begin with.

use std::sync::Arc;

use b2_backup::store::memory::MemoryStore;
use tempfile::{TempDir, tempdir};

use super::machine::Machine;
use super::plain::first_day;

/// A machine with the first day's state, in a directory of its own. Not encrypted, unless a test says so: stretching a
/// passphrase takes long.
pub(crate) fn plain_machine() -> (TempDir, Machine, Arc<MemoryStore>) {
    let dir = tempdir().unwrap();
    let live = dir.path().join("state");
    first_day(&live);
    let store = Arc::new(MemoryStore::default());
    let mut machine = Machine::new(&live, Arc::clone(&store) as _);
    machine.settings.encrypt = false;
    (dir, machine, store)
}
