//! What somebody without the key can do to backups by way of the bucket, attempt by attempt.
//!
//! The writer may read, write, overwrite, hide and delete everything in the bucket, may keep old objects, has a
//! repository of their own in the same prefix, and has the B2 application key: it is how they write. The victim has a
//! passphrase. What follows where an attempt cannot be told from an honest bucket is in `docs/security.md`, and is
//! asserted here, so that it stays true.
//!
//! | attempt | expected | where |
//! |---|---|---|
//! | read names or contents in any object | nothing of them is there | `reading` |
//! | open snapshots with the application key, or one's own secrets | `B2_WRONG_KEY` | `reading` |
//! | tell from one's own repository whether a known file is stored | no id, no bytes in common | `reading` |
//! | plant a snapshot sealed under a key of one's own | passed over; `B2_WRONG_KEY` when named | `planting` |
//! | the same with a slot for the application key | the same: with a passphrase that key is not enough | `planting` |
//! | make a new machine push into one's own repository | it makes its own | `planting` |
//! | plant a plain snapshot, newer, of the victim's machine | passed over; `B2_NOT_AUTHENTICATED` | `planting` |
//! | a plain manifest or pack in the place of a sealed one | the same; `B2_DAMAGED` | `tests/it/damage/forged.rs` |
//! | plant a snapshot of format 1 | never `latest`; `B2_NOT_AUTHENTICATED` | `planting` |
//! | plant a snapshot for a new machine to take by itself | nothing comes | `planting`, `tests/it/auto_restore/choosing.rs` |
//! | take a lineage over by pushing under its machine id | the victim goes on as another machine | `planting` |
//! | hide or delete the newest snapshots | the machine that made them says so; another cannot know | `replaying` |
//! | an old manifest under a newer name, or another machine's | `B2_DAMAGED`, passed over | `replaying`, `tests/it/damage` |
//! | bring back a snapshot that was deleted | it is genuine, and listed as what it is | `replaying` |
//! | an old pack in the place of a new one | `B2_DAMAGED` | `splicing` |
//! | splice packs between snapshots, machines, repositories | `B2_DAMAGED` | `splicing` |
//! | exchange frames, footers or headers of packs | `B2_DAMAGED` | `splicing`, `tests/it/damage/mod.rs` |
//! | copy objects, slots too, from another prefix under the same secret | `B2_WRONG_KEY`, a push makes its own repository | `moving` |
//! | the same, with the prefix in the slots changed, or their format | the same | `moving` |
//! | hide a newer snapshot behind an older one, by its slots | `latest` is the newer one | `tests/it/keys/remove.rs` |
//! | guess a passphrase | a weak one gets no slot | `tests/it/keys/rotate.rs`, `src/secret.rs` |
//! | read or write a folder bucket as another user of the machine | 0700, 0600 | `src/store/folder/tests.rs` |
//! | names and messages that command a terminal or forge lines of a log | escaped | `__test__/plugin.test.ts`, `__test__/tool.test.ts`, `__test__/render.test.ts`, `__test__/cli-history.test.ts` |
//! | delete a key slot; say without the key that it was removed | the next push puts it back | `tests/it/keys/remove.rs` |
//! | a key slot of one's own key for the victim's repository | does not open; nothing is lost | `splicing` |
//! | slots that cost hours or 64 GiB, or are many | refused, bounded | `tests/it/keys/hostile.rs` |
//! | plain repository: paths that lead out, our own folder, links, twice, a million entries | `B2_UNSAFE_PATH`, `B2_DAMAGED`, nothing written | `unsealed`, `tests/processes/rollback/hostile.rs` |
//! | format 1: paths that lead out, copies that are others | the same | `tests/it/legacy/hostile.rs` |
//! | bombs: zstd, lists, runs, entries, sizes that lie, huge listings | `B2_DAMAGED`, bounded memory | `tests/bombs.rs` |
//! | deep nesting of a configuration | not understood, no end of the process | `src/source/json5.rs` |
//! | make a prune delete what is needed | it stops, or refuses | `tests/it/prune/stops.rs` |

mod moving;
mod planting;
mod reading;
mod replaying;
mod splicing;
mod unsealed;

use std::path::Path;
use std::sync::Arc;

use b2_backup::error::Result;
use b2_backup::ops::{self, RestoreOptions, RestoreReport};
use b2_backup::secret::Secret;
use b2_backup::store::memory::MemoryStore;
use tempfile::{TempDir, tempdir};

use crate::support::machine::Machine;
use crate::support::plain::{Picture, assert_same, next_day, picture, write};
use crate::support::{clock, plain};

/// A bucket with two days of the victim's, and somebody else who writes to it.
pub(crate) struct Bucket {
    pub(crate) dir: TempDir,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) victim: Machine,
    pub(crate) eve: Machine,
    pub(crate) days: Vec<(String, Picture)>,
}

/// What only the victim's state says.
pub(crate) const SECRETS: [&str; 3] = ["plan-of-the-vault", "7341-launch", "grandmother"];

impl Bucket {
    pub(crate) async fn new() -> Self {
        let dir = tempdir().unwrap();
        let store = Arc::new(MemoryStore::default());
        let state = |name: &str| dir.path().join(name);
        let mut victim = Machine::new(&state(SECRETS[2]), store.clone());
        // A day ago, so that what is planted can be newer.
        victim.clock = clock::TestClock::ahead(-86_400);
        victim.settings.store.application_key = secret("K004stolen");
        plain::first_day(&victim.settings.state_dir);
        let text = format!("the code is {}\n", SECRETS[1]);
        write(&victim.settings.state_dir, &format!("workspace/{}.md", SECRETS[0]), text.repeat(40));
        let mut eve = victim.blank(state("eve"));
        eve.clock = clock::TestClock::ahead(0);
        eve.settings.passphrase = secret("a phrase of eve's");
        write(&eve.settings.state_dir, "openclaw.json", r#"{"planted":true}"#);
        let mut bucket = Self { dir, store, victim, eve, days: vec![] };
        bucket.day().await;
        next_day(&bucket.victim.settings.state_dir, 1);
        bucket.day().await;
        bucket
    }

    pub(crate) async fn day(&mut self) -> String {
        let id = self.victim.push().await.unwrap().snapshot.unwrap();
        self.days.push((id.clone(), picture(&self.victim.settings.state_dir)));
        id
    }

    /// The victim on a machine that has nothing.
    pub(crate) fn blank(&self, name: &str) -> Machine {
        self.victim.blank(self.dir.path().join(name))
    }

    /// Restores the newest on a blank machine: it must be the day that is named, and `warned` of.
    pub(crate) async fn latest_is(&self, day: usize, what: &str) -> Vec<String> {
        let to = self.dir.path().join(format!("latest {what}"));
        let report = self.blank("blank").restore("latest", &to).await.unwrap();
        assert_eq!(report.snapshot, self.days[day].0, "{what}");
        assert_eq!(report.failed, [], "{what}");
        assert_same(&picture(&to), &self.days[day].1, what);
        report.warnings
    }

    /// Restores a snapshot by its name; `confirmed` as a user who was asked and agreed.
    pub(crate) async fn named(&self, id: &str, confirmed: bool) -> Result<RestoreReport> {
        let to = self.dir.path().join(format!("{id} {confirmed}"));
        let options = RestoreOptions {
            snapshot: id.to_owned(),
            to: to.clone(),
            paths: vec![],
            allow_unauthenticated: confirmed,
        };
        let report = ops::restore(&self.blank("blank").session().await, &options).await;
        if report.is_err() {
            let left = std::fs::read_dir(&to).map_or(0, Iterator::count);
            assert_eq!(left, 0, "{id}: something was written");
        }
        report
    }

    pub(crate) fn objects(&self, start: &str) -> Vec<String> {
        self.store.objects().into_keys().filter(|name| name.starts_with(start)).collect()
    }

    /// The object of a manifest, as it lies there.
    pub(crate) fn manifest(&self, day: usize) -> String {
        format!("{}/manifest", self.days[day].0)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "settings are optional")]
pub(crate) fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text.into()))
}

/// The id of the machine that made a snapshot.
pub(crate) fn machine_of(snapshot: &str) -> &str {
    snapshot.rsplit('-').next().unwrap()
}

/// Pushes under the id of another machine, elsewhere, and puts what came of it into the bucket: in the bucket itself a
/// push would see that the id is taken.
pub(crate) async fn pose(bucket: &Bucket, machine: &Machine, id: &str) -> String {
    let local = b2_backup::local::Local::at(&machine.settings.state_dir);
    local.become_machine(b2_backup::format::MachineId::parse(id).unwrap()).unwrap();
    let elsewhere = Arc::new(MemoryStore::default());
    let snapshot = machine.through(elsewhere.clone()).push().await.unwrap().snapshot.unwrap();
    for (name, body) in elsewhere.objects() {
        bucket.store.raw_replace(&name, body);
    }
    assert_eq!(machine_of(&snapshot), id);
    snapshot
}

/// Everything below a directory, and beside it: nothing may appear where it was not asked for.
pub(crate) fn around(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}
