//! Which secrets open a backup: rotated ones, recovery codes, slots that are added and removed, hostile ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use b2_backup::error::Result;
use b2_backup::format::{KeySlot, Manifest, RepositoryId, removal_name, removed_slot};
use b2_backup::ops::{self, KeyInfo, NewRecoveryCode, RemovedKey};
use b2_backup::secret::Secret;
use b2_backup::store::memory::MemoryStore;
use tempfile::{TempDir, tempdir};

mod code;
mod hostile;
mod remove;
mod rotate;

use crate::support::machine::Machine;
use crate::support::plain::{Picture, assert_same, first_day, next_day, picture};

/// A machine with the first day's state, encrypted with the application key `K001old`.
fn machine() -> (TempDir, Machine, Arc<MemoryStore>) {
    let dir = tempdir().unwrap();
    let live = dir.path().join("state");
    first_day(&live);
    let store = Arc::new(MemoryStore::default());
    let mut machine = Machine::new(&live, store.clone());
    machine.settings.passphrase = None;
    machine.settings.store.application_key = secret("K001old");
    (dir, machine, store)
}

#[expect(clippy::unnecessary_wraps, reason = "settings are optional")]
fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text.into()))
}

/// The same bucket on a machine that has nothing but another application key.
fn stranger(machine: &Machine, state: &Path) -> Machine {
    let mut other = machine.blank(state.to_owned());
    other.settings.passphrase = None;
    other.settings.store.application_key = secret("K002other");
    other
}

fn live(machine: &Machine) -> &Path {
    &machine.settings.state_dir
}

async fn push(machine: &Machine) -> String {
    machine.push().await.unwrap().snapshot.unwrap()
}

/// A day of use, and what it looks like.
async fn day(machine: &Machine, number: u64) -> (String, Picture) {
    next_day(live(machine), number);
    (push(machine).await, picture(live(machine)))
}

/// What the warnings of a push are.
async fn warned(machine: &Machine) -> Vec<String> {
    machine.push().await.unwrap().warnings
}

/// Restores on `reader`, and compares.
async fn comes_back(reader: &Machine, (snapshot, expected): &(String, Picture)) {
    let dir = tempdir().unwrap();
    let to = dir.path().join("to");
    let report = reader.restore(snapshot, &to).await.unwrap();
    assert_eq!(report.failed, []);
    assert_same(&picture(&to), expected, snapshot);
}

/// The code of the error with which `reader` does not restore.
async fn refused(reader: &Machine, (snapshot, _): &(String, Picture)) -> &'static str {
    let dir = tempdir().unwrap();
    reader.restore(snapshot, &dir.path().join("to")).await.unwrap_err().code()
}

async fn recovery(machine: &Machine) -> NewRecoveryCode {
    ops::new_recovery_code(&machine.session().await, Duration::ZERO).await.unwrap()
}

async fn keys(machine: &Machine) -> Vec<KeyInfo> {
    ops::keys(&machine.session().await).await.unwrap().slots
}

async fn remove(machine: &Machine, slot: &str, force: bool) -> Result<RemovedKey> {
    ops::remove_key(&machine.session().await, slot, force, Duration::ZERO).await
}

/// With a recovery code.
fn with_code(machine: &Machine, code: &str) -> Machine {
    let mut machine = machine.clone();
    machine.settings.recovery_code = secret(code);
    machine
}

/// Names of the slots below `keys/`.
fn slots(store: &MemoryStore) -> BTreeSet<String> {
    let all = store.objects().into_keys();
    let below = all.filter_map(|key| key.strip_prefix("keys/").map(ToOwned::to_owned));
    below.filter(|name| removed_slot(name).is_none()).collect()
}

/// Repositories that have a slot.
fn repositories(store: &MemoryStore) -> BTreeSet<RepositoryId> {
    let slot = |name: &String| {
        KeySlot::decode(&store.raw_read(&format!("keys/{name}")).unwrap()).unwrap().repository()
    };
    slots(store).iter().map(slot).collect()
}

/// Kinds of the slots in the clear part of a manifest, in order.
fn in_manifest(store: &MemoryStore, snapshot: &str) -> Vec<&'static str> {
    let object = store.raw_read(&format!("{snapshot}/manifest")).unwrap();
    Manifest::split(&object).unwrap().1.iter().map(|slot| slot.kind().name()).collect()
}

/// Files below `<state>/b2-backup/repositories/*/`.
fn local_file(machine: &Machine, name: &str) -> std::path::PathBuf {
    let repositories = live(machine).join("b2-backup/repositories");
    let mut found = fs::read_dir(repositories).unwrap().map(|dir| dir.unwrap().path().join(name));
    found.find(|path| path.exists()).unwrap()
}
