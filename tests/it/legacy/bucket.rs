//! Buckets of the original plugin: those that it made itself, and new ones that are written as it did.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use b2_backup::error::Result;
use b2_backup::ops::{self, RestoreOptions, RestoreReport};
use b2_backup::secret::Secret;
use b2_backup::store::memory::MemoryStore;
use sha2::{Digest as _, Sha256};
use tempfile::{TempDir, tempdir};

use crate::support::machine::Machine;

pub(crate) const KEY: &str = "K004fixtureAppKeyForTestsOnly0000";
const PREFIX: &str = "openclaw-backup";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy")
}

/// What must come out: `expected.json`.
pub(crate) fn expected() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(fixtures().join("expected.json")).unwrap()).unwrap()
}

/// A bucket, and a machine that knows nothing but how to reach it.
pub(crate) struct Bucket {
    pub(crate) dir: TempDir,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) machine: Machine,
    restores: std::cell::Cell<u32>,
}

impl Bucket {
    pub(crate) fn empty() -> Self {
        let dir = tempdir().unwrap();
        let store = Arc::new(MemoryStore::default());
        let mut machine = Machine::new(&dir.path().join("state"), Arc::clone(&store) as _);
        machine.settings.passphrase = None;
        machine.settings.store.application_key = Some(Secret::new(KEY.into()));
        Self { dir, store, machine, restores: std::cell::Cell::new(0) }
    }

    /// One that the original made.
    pub(crate) fn fixture(name: &str) -> Self {
        let bucket = Self::empty();
        let top = fixtures().join(name).join(PREFIX);
        let mut open = vec![top.clone()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let key = path.strip_prefix(&top).unwrap().to_str().unwrap();
                bucket.store.raw_replace(key, std::fs::read(&path).unwrap());
            }
        }
        bucket
    }

    /// Writes a push: objects for `uploaded`, and a manifest of `listed`.
    pub(crate) fn push(&self, id: &str, uploaded: &[(&str, &[u8])], listed: &[(&str, &[u8])]) {
        for (path, content) in uploaded {
            self.store.raw_replace(&format!("{id}/{path}"), content.to_vec());
        }
        let files: Vec<(&str, String, usize)> = listed
            .iter()
            .map(|(path, content)| (*path, hex::encode(Sha256::digest(content)), content.len()))
            .collect();
        self.store.raw_replace(&format!("{id}/manifest.json"), manifest(&files));
    }

    /// Like a user who has confirmed it.
    pub(crate) async fn restore(&self, snapshot: &str) -> Result<(RestoreReport, PathBuf)> {
        self.restore_paths(snapshot, &[]).await
    }

    pub(crate) async fn restore_paths(
        &self,
        snapshot: &str,
        paths: &[&str],
    ) -> Result<(RestoreReport, PathBuf)> {
        self.restores.set(self.restores.get() + 1);
        let to = self.dir.path().join(format!("to-{}", self.restores.get()));
        let options = RestoreOptions {
            snapshot: snapshot.into(),
            to: to.clone(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            allow_unauthenticated: true,
        };
        let before = self.store.objects();
        let restored = ops::restore(&self.machine.session().await, &options).await;
        assert_eq!(self.store.objects(), before, "the bucket is never touched");
        if restored.is_err() {
            assert_eq!(content_of(&to).len(), 0, "nothing is left of what failed");
        }
        Ok((restored?, to))
    }
}

/// A manifest as the original wrote it, of paths, hashes and sizes.
pub(crate) fn manifest(files: &[(&str, String, usize)]) -> Vec<u8> {
    let files: serde_json::Map<String, serde_json::Value> = files
        .iter()
        .map(|(path, hash, size)| {
            ((*path).to_owned(), serde_json::json!({ "hash": hash, "size": size }))
        })
        .collect();
    let manifest = serde_json::json!({ "version": 1, "timestamp": "2026-02-19T00:00:00.000Z", "files": files });
    serde_json::to_vec_pretty(&manifest).unwrap()
}

/// Encrypts as the original did, without any code of ours.
pub(crate) fn seal(content: &[u8], application_key: &str) -> Vec<u8> {
    let (salt, iv) = ([7; 32], [9; 12]);
    let mut key = [0; 32];
    let cost = scrypt::Params::new(14, 8, 1).unwrap();
    scrypt::scrypt(application_key.as_bytes(), &salt, &cost, &mut key).unwrap();
    let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from(key));
    let mut sealed = content.to_vec();
    let tag =
        cipher.encrypt_inout_detached(&Nonce::from(iv), &[], sealed.as_mut_slice().into()).unwrap();
    [b"B2EN".as_slice(), &salt, &iv, tag.as_slice(), &sealed].concat()
}

/// Every file below a directory and what is in it.
pub(crate) fn content_of(top: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.exists() {
            let below = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            found.insert(below, std::fs::read(&path).unwrap());
        }
    }
    found
}
