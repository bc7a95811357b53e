//! Keys that are made once for all lives.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use b2_backup::secret::Secret;
use bytes::Bytes;
use tempfile::TempDir;

use super::bucket::{Bucket, Way};
use crate::support::calendar::Calendar;
use crate::support::machine::Machine;
use crate::support::plain::copy_all;

/// Where states lie: nothing here tests a disk.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// Secrets that a machine rotates between.
pub(crate) const SECRETS: [&str; 2] = ["correct horse", "battery staple"];

/// A repository whose keys both secrets open, so that not every life has to stretch them.
pub(crate) struct Template {
    local: TempDir,
    pub(crate) keys: BTreeMap<String, Bytes>,
}

impl Template {
    pub(crate) async fn make() -> Self {
        let calendar = Calendar::start();
        let bucket = Bucket::new(calendar, true, 0);
        bucket.trouble.store(false, Ordering::SeqCst);
        let local = scratch();
        let state = local.path().join("state");
        fs::create_dir(&state).unwrap();
        for secret in SECRETS {
            fs::write(state.join("openclaw.json"), secret).unwrap();
            let way = Way::new(bucket.clone(), Arc::default(), u64::MAX);
            let mut machine = Machine::new(&state, way);
            machine.settings.passphrase = Some(Secret::new(secret.into()));
            machine.push().await.unwrap();
        }
        let keys = bucket.store.objects().into_iter().filter(|(key, _)| key.starts_with("keys/"));
        let keys: BTreeMap<_, _> = keys.collect();
        assert_eq!(keys.len(), 2);
        for repository in fs::read_dir(state.join("b2-backup/repositories")).unwrap() {
            let repository = repository.unwrap().path();
            for made in ["newest", "files"] {
                fs::remove_file(repository.join(made)).unwrap();
            }
        }
        fs::remove_file(state.join("b2-backup/machine")).unwrap();
        Self { local, keys }
    }

    /// Gives a machine the keys, as if it had opened them before.
    pub(crate) fn give_keys(&self, state: &Path) {
        fs::create_dir_all(state).unwrap();
        copy_all(&self.local.path().join("state/b2-backup"), &state.join("b2-backup"));
    }
}
