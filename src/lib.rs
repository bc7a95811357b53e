#![cfg_attr(not(feature = "node"), forbid(unsafe_code))]
//! OpenClaw B2 Backup: the core.
//!
//! # Words
//! - **state**: everything OpenClaw keeps on one machine: its state directory and what lies outside it.
//! - **snapshot**: the state at one moment, complete. Its **manifest** object is its commit.
//! - **tree**: the list of all entries of a snapshot. **chunk**: the unit of deduplication.
//!   **frame**: chunks of one file compressed and sealed together. **pack**: an object of many frames.
//! - **lineage**: the snapshots and packs of one machine. **repository**: what one master key opens.
//! - **key slot**: the master key, sealed under a secret of the user's.
//!
//! # Floors
//! `node → ops → engine → repo → {local, source, legacy} → format → {crypto, chunk, store} → {error, progress, ambient, ...}`.
//! A floor uses those below it, never one above, and no neighbour's insides: docs/architecture.md.

pub mod ambient;
pub mod chunk;
pub mod core_dump;
pub mod cpu;
pub mod crypto;
mod engine;
pub mod entry;
pub mod error;
pub mod format;
pub mod legacy;
pub mod local;
#[cfg(feature = "node")]
pub mod node;
pub mod ops;
pub mod progress;
pub mod repo;
pub mod secret;
pub mod source;
pub mod store;
