//! Format 1: what the original TypeScript plugin left in the bucket. It is read, and never written or deleted.
//!
//! A *push* of the original is a folder of objects that are named as the files of the state are, and a
//! `manifest.json` with the SHA-256 of every file. Without the manifest it broke off, and is no snapshot. Only what had
//! changed was uploaded, and retention deleted folders that later snapshots rest on. So a file is looked for by its
//! hash: in all folders, and at last in versions of objects that are hidden.
//!
//! Nothing of it is authenticated: whoever can write to the bucket can make a manifest, and plain objects to go with it.

mod bucket;
mod manifest;
mod object;
mod search;

pub use bucket::{Bucket, Object, Push, hidden, visible};
pub use manifest::{FileRecord, MAX_MANIFEST_BYTES, Manifest};
pub use object::{Content, Found, Keys, Tried, fetch, read_manifest};
pub use search::{Candidate, Search, Wanted};

/// A hash as the manifests have it.
pub type Sha256 = [u8; 32];
