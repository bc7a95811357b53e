//! Operations beside other processes: a gateway that writes, somebody who holds a lock, mounts of one's own.
//!
//! The other process is often this program again, with one ignored test, which it names by its path in this file.
#![expect(clippy::unwrap_used, reason = "helpers may panic as the tests do")]
#![expect(clippy::clone_on_ref_ptr, reason = "a store becomes a `dyn` store on the way")]

#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod diff;
#[path = "../support/elsewhere.rs"]
mod elsewhere;
// Odd names, permission bits, links and sockets.
#[cfg(unix)]
mod files;
mod gateway;
mod lifecycle;
mod locker;
#[cfg(unix)]
mod renaming;
mod restoring;
mod rollback;
#[cfg(unix)]
mod source_walk;
#[path = "../support/state/mod.rs"]
mod state;
mod writers;
