//! Twelve days of use of a state as OpenClaw makes it, judged each night by the same eyes as wild ones.

use std::path::Path;
use std::sync::Arc;

use b2_backup::ambient::SystemEntropy;
use b2_backup::store::folder::FolderStore;
use tempfile::TempDir;

use crate::elsewhere::{day_elsewhere, generate_elsewhere};
use crate::judge::{self, Rules, losses};
use crate::machine::Machine;
use crate::picture::Picture;
use crate::state::Layout;
use crate::world::said;

/// Installed plugins and media files stay out by rule, as `docs/what-is-saved.md` says.
const MADE_AGAIN: [&str; 2] = ["extensions", "media"];

async fn twelve_days(layout: Layout) {
    let dir = TempDir::new().unwrap();
    let live = dir.path().join("state");
    generate_elsewhere(&live, 3, layout);
    let bucket = dir.path().join("bucket");
    let store = FolderStore::open(bucket, "p".into(), Arc::new(SystemEntropy)).await.unwrap();
    let mut machine = Machine::new(&live, Arc::new(store));
    // Nothing is taken out of databases: so all of each has to come back.
    machine.settings.include_secrets = true;
    for day in 1..=12 {
        let before = Picture::of(&live);
        let pushed = machine.push().await.unwrap();
        let said = said(&machine, &pushed).await;
        let to = dir.path().join("restored");
        let blank = machine.blank(dir.path().join("blank"));
        let restored = blank.restore("latest", &to).await.unwrap();
        assert_eq!(Some(restored.snapshot), pushed.snapshot, "day {day}");
        assert_eq!(restored.failed, [], "day {day}");
        let precious = |path: &[u8], is_directory| {
            let can_be_made_again = MADE_AGAIN.iter().any(|folder| {
                path.strip_prefix(folder.as_bytes())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            });
            !can_be_made_again && !judge::may_be_left_out(path, is_directory, true)
        };
        let saved = |target: &Path| target.starts_with(live.canonicalize().unwrap());
        let rules =
            Rules { said: &said, precious: &precious, covered: &saved, inside: &Picture::of };
        let lost = losses(&before, None, &to, rules);
        assert_eq!(lost, Vec::<String>::new(), "day {day}");
        std::fs::remove_dir_all(&to).unwrap();
        day_elsewhere(&live, day);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_days_of_files_lose_nothing() {
    twelve_days(Layout::Legacy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_days_of_databases_lose_nothing() {
    twelve_days(Layout::Db).await;
}
