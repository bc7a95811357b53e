//! A thousand pushes and prunes on one prefix: nothing grows, and what is kept is what it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use b2_backup::ambient::SystemEntropy;
use b2_backup::format::Reason;
use b2_backup::ops::{self, Keep, PruneOptions};
use b2_backup::store::folder::FolderStore;
use tempfile::TempDir;

use crate::support::calendar::{Calendar, HOUR};
use crate::support::machine::{Machine, push_options};
use crate::support::plain::{Picture, assert_same, noise, picture, write};

const CYCLES: u64 = 1000;
/// What one cycle may look like is known from here on.
const SETTLED: u64 = 300;

/// Bytes of all files below a directory.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let meta = entry.metadata().unwrap();
            if meta.is_dir() { size(&entry.path()) } else { meta.len() }
        })
        .sum()
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[derive(Debug, Default, Clone, Copy)]
struct Most {
    push_requests: u64,
    prune_requests: u64,
    local: u64,
    stored: u64,
}

impl Most {
    fn with(self, other: Self) -> Self {
        Self {
            push_requests: self.push_requests.max(other.push_requests),
            prune_requests: self.prune_requests.max(other.prune_requests),
            local: self.local.max(other.local),
            stored: self.stored.max(other.stored),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_grows() {
    let memory = Path::new("/dev/shm");
    // Nothing here tests a disk.
    let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
    let (live, bucket) = (dir.path().join("state"), dir.path().join("bucket"));
    let store = FolderStore::open(bucket.clone(), "p".into(), Arc::new(SystemEntropy)).await;
    let clock = Calendar::start();
    let mut machine = Machine::new(&live, Arc::new(store.unwrap()));
    machine.settings.encrypt = false;
    machine.clock = clock.clone();
    for number in 0..20 {
        write(&live, &format!("workspace/{number}.md"), noise(number, 5000));
    }
    let prune = PruneOptions {
        keep: Keep::new(5, 4, 3).unwrap(),
        dry_run: false,
        more_than_half: false,
        wait: Duration::ZERO,
    };

    let mut states: BTreeMap<String, Picture> = BTreeMap::new();
    let (mut early, mut late) = (Most::default(), Most::default());
    let mut resident_before = 0;
    for cycle in 0..CYCLES {
        clock.pass(7 * HOUR);
        write(&live, &format!("workspace/{}.md", cycle % 20), noise(1000 + cycle, 5000));
        let session = machine.session().await;
        let pushed = ops::push(&session, push_options(Reason::Scheduled)).await.unwrap();
        states.insert(pushed.snapshot.unwrap(), picture(&live));
        let session = machine.session().await;
        let pruned = ops::prune(&session, prune).await.unwrap();
        let kept = pruned.snapshots.iter().filter(|snapshot| !snapshot.reasons.is_empty());
        let kept: Vec<&str> = kept.map(|snapshot| snapshot.id.as_str()).collect();
        states.retain(|id, _| kept.contains(&id.as_str()));
        assert_eq!(states.len(), kept.len());
        let most = Most {
            push_requests: pushed.requests,
            prune_requests: pruned.requests,
            local: size(&live.join("b2-backup")),
            stored: size(&bucket),
        };
        if cycle == SETTLED {
            resident_before = resident();
        }
        if cycle > SETTLED {
            late = late.with(most);
        } else if cycle > SETTLED / 2 {
            early = early.with(most);
        }
    }
    assert!(states.len() > 8, "{}", states.len());
    assert!(late.push_requests <= early.push_requests + 1, "{early:?} {late:?}");
    assert!(late.prune_requests <= early.prune_requests + 3, "{early:?} {late:?}");
    assert!(late.local < early.local + 20_000, "{early:?} {late:?}");
    assert!(late.stored * 10 < early.stored * 13, "{early:?} {late:?}");
    let grown = resident().saturating_sub(resident_before);
    assert!(grown < 24 << 20, "{grown} bytes of memory more");

    for id in [states.keys().next().unwrap(), states.keys().next_back().unwrap()] {
        let to = dir.path().join("restored").join(id);
        let blank = machine.blank(dir.path().join("blank"));
        assert_eq!(blank.restore(id, &to).await.unwrap().failed, []);
        assert_same(&picture(&to), &states[id], id);
    }
    assert_eq!(machine.verify(true).await.problems, []);
}
