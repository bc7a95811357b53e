//! A year of daily pushes and prunes of a generated state to a folder, under a clock that a day passes on at once.
//!
//! ```text
//! a_year [--days 365] [--mb 50] [--scale 0.25] [--layout legacy|db]
//! ```
//!
//! Prints one line of JSON for each day; `benches/year.mjs` makes a plot and a table of them. Each day the generator
//! lives one day of the state, then it is pushed and pruned with what is kept by default, as the gateway does. On some
//! days the newest snapshot is restored as a machine would do it that has nothing, and compared.
#![expect(clippy::print_stdout, reason = "a command-line tool")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use b2_backup::ambient::{Clock, SystemEntropy};
use b2_backup::cpu::CpuPool;
use b2_backup::format::{Reason, SnapshotId};
use b2_backup::local::Local;
use b2_backup::ops::{self, Keep, PruneOptions};
use b2_backup::repo::{KeyRing, Secrets, Snapshot};
use b2_backup::store::ObjectKey;
use b2_backup::store::folder::FolderStore;
use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "../tests/support/calendar.rs"]
mod calendar;
#[path = "../tests/support/machine.rs"]
mod machine;
#[path = "../tests/support/state/mod.rs"]
#[expect(dead_code, reason = "databases are closed here")]
mod state;

use calendar::{Calendar, DAY};
use machine::{Machine, push_options};
use state::{DayOptions, Layout, Result, StateOptions};

/// Days whose snapshot is restored.
const RESTORED: [u64; 5] = [1, 30, 90, 180, 365];
/// The largest manifest that is read here, in bytes.
const MANIFEST: u64 = 64 << 20;

struct Options {
    days: u64,
    mb: usize,
    scale: f64,
    layout: Layout,
}

impl Options {
    fn parse() -> Result<Self> {
        let mut options = Self { days: 365, mb: 50, scale: 0.25, layout: Layout::Legacy };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or("see the head of the source")?;
            match (name.as_str(), value.as_str()) {
                ("--days", _) => options.days = value.parse()?,
                ("--mb", _) => options.mb = value.parse()?,
                ("--scale", _) => options.scale = value.parse()?,
                ("--layout", "legacy") => options.layout = Layout::Legacy,
                ("--layout", "db") => options.layout = Layout::Db,
                _ => return Err("see the head of the source".into()),
            }
        }
        Ok(options)
    }
}

/// Number and bytes of all files below a directory.
fn size(dir: &Path) -> (u64, u64) {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.fold((0, 0), |(files, bytes), entry| {
        let meta = entry.metadata().unwrap();
        let (more, its) = if meta.is_dir() { size(&entry.path()) } else { (1, meta.len()) };
        (files + more, bytes + its)
    })
}

/// The manifest of a snapshot: its bytes, the packs that a restore reads, and what it uses of them.
async fn manifest(machine: &Machine, snapshot: &str) -> Result<Value> {
    let id = SnapshotId::parse(snapshot).ok_or("no snapshot")?;
    let object = machine.store.get(&ObjectKey::new(id.object())?, MANIFEST).await?;
    let local = Local::at(&machine.settings.state_dir).repository(&machine.store.identity(), true);
    let ring = KeyRing::new(Secrets::default(), CpuPool::new(1)?);
    if let (Some(record), Some(key)) = (local.record()?, local.key()?) {
        ring.add(record.repository, key);
    }
    let opened = Snapshot::open(&ring, &id, &object).await?;
    let packs = &opened.manifest.packs;
    Ok(json!({
        "bytes": object.len(),
        "packs": packs.len(),
        "usedBytes": packs.iter().map(|pack| pack.used_bytes).sum::<u64>(),
        "packBytes": packs.iter().map(|pack| pack.bytes).sum::<u64>(),
    }))
}

/// Restores a snapshot on a machine that has nothing, and compares it with the state.
async fn restored(machine: &Machine, snapshot: &str, dir: &Path) -> Result<Value> {
    let (blank, to) = (dir.join("blank"), dir.join("restored"));
    let report = machine.blank(blank.clone()).restore(snapshot, &to).await?;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let (found, live) =
        (state::digest(&to, false)?, state::digest(&machine.settings.state_dir, false)?);
    assert_eq!(found.to_string(), live.to_string(), "{snapshot} came back as something else");
    std::fs::remove_dir_all(&to)?;
    if blank.exists() {
        std::fs::remove_dir_all(&blank)?;
    }
    Ok(json!({ "requests": report.requests, "downloadedBytes": report.downloaded_bytes }))
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &copy)?;
        } else {
            std::fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}

/// What a first push of the same state to an empty folder stores, in bytes.
async fn fresh(machine: &Machine, dir: &Path) -> Result<u64> {
    let (copy, bucket) = (dir.join("copy"), dir.join("fresh"));
    copy_all(&machine.settings.state_dir, &copy)?;
    std::fs::remove_dir_all(copy.join("b2-backup"))?;
    let store = FolderStore::open(bucket.clone(), "p".into(), Arc::new(SystemEntropy)).await?;
    let other = machine.through(Arc::new(store)).blank(copy.clone());
    ops::push(&other.session().await, push_options(Reason::Manual)).await?;
    let (_, bytes) = size(&bucket);
    std::fs::remove_dir_all(&copy)?;
    std::fs::remove_dir_all(&bucket)?;
    Ok(bytes)
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse()?;
    // Nothing here measures a disk.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }?;
    let (live, bucket) = (dir.path().join("state"), dir.path().join("bucket"));
    let (layout, mb) = (options.layout, options.mb);
    drop(state::generate(&StateOptions { seed: 1, mb, layout, out: live.clone(), wal: false })?);
    let store = FolderStore::open(bucket.clone(), "p".into(), Arc::new(SystemEntropy)).await?;
    let clock = Calendar::start();
    let mut machine = Machine::new(&live, Arc::new(store));
    machine.clock = Arc::<Calendar>::clone(&clock) as Arc<dyn Clock>;
    let keep = Keep::new(10, 7, 4)?;
    let prune = PruneOptions { keep, dry_run: false, more_than_half: false, wait: Duration::ZERO };
    for number in 1..=options.days {
        if number > 1 {
            clock.pass(DAY);
            let scale = options.scale;
            let lived = DayOptions { seed: number, state_seed: 1, scale, wal: false };
            drop(state::day(&live, &lived)?);
        }
        let pushed = ops::push(&machine.session().await, push_options(Reason::Scheduled)).await?;
        assert!(pushed.skipped.is_empty(), "{:?}", pushed.skipped);
        let pruned = ops::prune(&machine.session().await, prune).await?;
        let snapshot = pushed.snapshot.ok_or("a day without changes")?;
        let (objects, stored) = size(&bucket);
        let mut found = json!({
            "day": number,
            "files": pushed.files,
            "stateBytes": pushed.bytes,
            "uploadedBytes": pushed.uploaded_bytes,
            "pushRequests": pushed.requests,
            "pruneRequests": pruned.requests,
            "snapshots": pruned.snapshots.len() as u64 - pruned.deleted_snapshots,
            "waitingBytes": pruned.waiting_bytes,
            "objects": objects,
            "storedBytes": stored,
            "localBytes": size(&live.join("b2-backup")).1,
            "manifest": manifest(&machine, &snapshot).await?,
        });
        if RESTORED.contains(&number) || number == options.days {
            found["restore"] = restored(&machine, &snapshot, dir.path()).await?;
            found["freshBytes"] = fresh(&machine, dir.path()).await?.into();
        }
        println!("{found}");
    }
    Ok(())
}
