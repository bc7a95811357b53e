//! Plain repositories (`encrypt: false`), which whoever can write can forge as a whole: nothing leaves the directory
//! that is restored into, and nothing odd comes into it. `tests/processes/rollback/hostile.rs` has the same over the live state.

use b2_backup::ops::{DiffTo, ShowOptions};

use super::*;
use crate::support::forge::{Twist, directory, file, forge, link, paths, shapes, tree};
use crate::support::machine;

struct Plain {
    dir: TempDir,
    machine: Machine,
    store: Arc<MemoryStore>,
}

fn plain() -> Plain {
    let dir = tempdir().unwrap();
    let store = Arc::new(MemoryStore::default());
    let mut machine = Machine::new(&dir.path().join("state"), store.clone());
    machine.settings.encrypt = false;
    write(&machine.settings.state_dir, "workspace/a.md", "mine");
    Plain { dir, machine, store }
}

impl Plain {
    fn forge(&self, tree: &[u8]) -> String {
        forge(&self.store, &self.machine.settings.state_dir, tree, &|_| {})
    }

    /// Restores, and returns what came; what lies beside the target stays as it was.
    async fn restored(&self, snapshot: &str) -> std::result::Result<Picture, String> {
        let outer = self.dir.path().join(format!("to {snapshot}"));
        let to = outer.join("in/target");
        std::fs::create_dir_all(outer.join("in")).unwrap();
        write(&outer, "beside.md", "beside");
        write(&outer, "in/beside.md", "beside");
        let before = around(self.dir.path());
        let report = self.machine.restore(snapshot, &to).await;
        assert_eq!(around(self.dir.path()), before);
        assert_eq!(around(&outer).len(), 2);
        assert!(around(&outer.join("in")).len() <= 2);
        for beside in ["beside.md", "in/beside.md"] {
            assert_eq!(std::fs::read_to_string(outer.join(beside)).unwrap(), "beside");
        }
        match report {
            Ok(report) if report.failed.is_empty() => Ok(picture(&to)),
            Ok(report) => Err(report.failed[0].code.clone()),
            Err(error) => Err(error.code().to_owned()),
        }
    }

    async fn others(&self, snapshot: &str) -> [std::result::Result<(), &'static str>; 2] {
        let session = self.machine.session().await;
        let show =
            ShowOptions { snapshot: snapshot.into(), path: None, allow_unauthenticated: false };
        let shown = ops::show(&session, &show).await.map(drop).map_err(|error| error.code());
        let mut diff = machine::diff_options(snapshot, "live");
        diff.to = DiffTo::Live;
        diff.text = true;
        let compared = ops::diff(&session, &diff).await.map(drop).map_err(|error| error.code());
        [shown, compared]
    }
}

/// Paths that are fine below an empty directory, and no business of the live state: an open database's log, say.
fn only_live(path: &[u8]) -> bool {
    let text = String::from_utf8_lossy(path);
    text.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() < 256)
        && !path.contains(&0)
        && path.len() < 3000
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_lead_out() {
    let place = plain();
    let fine = place.forge(&tree(&[directory("a"), file("a/b"), link("a/c")]));
    assert_eq!(place.restored(&fine).await.unwrap().len(), 3);
    let (mut refused, mut came) = (0, 0);
    for entry in paths() {
        let path = entry.path.clone();
        let snapshot = place.forge(&tree(std::slice::from_ref(&entry)));
        match place.restored(&snapshot).await {
            // A restored link is a link, and nobody looks where it leads.
            Ok(picture) => {
                assert!(only_live(path.as_bytes()), "{path}");
                assert!(
                    picture.contains_key(path.as_bytes())
                        || path.as_bytes().starts_with(b"b2-backup")
                );
                came += 1;
            }
            Err(code) => {
                assert!(!only_live(path.as_bytes()), "{path}: {code}");
                let codes = ["B2_UNSAFE_PATH", "B2_DAMAGED", "B2_IO"];
                assert!(codes.contains(&code.as_str()), "{path}: {code}");
                refused += 1;
            }
        }
        for shown in place.others(&snapshot).await {
            assert!(
                shown.is_ok() || ["B2_UNSAFE_PATH", "B2_DAMAGED"].contains(&shown.unwrap_err()),
                "{path}"
            );
        }
    }
    assert!(refused >= 25 && came >= 20, "{refused} {came}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_that_do_not_go_together() {
    let place = plain();
    let mut refused = 0;
    for (what, tree) in shapes().into_iter().filter(|(what, _)| *what != "no database") {
        let snapshot = place.forge(&tree);
        let code = place.restored(&snapshot).await.unwrap_err();
        assert!(["B2_UNSAFE_PATH", "B2_DAMAGED"].contains(&code.as_str()), "{what}: {code}");
        refused += 1;
    }
    assert!(refused >= 30, "{refused}");
}

/// The places of other roots are of our own choosing, whatever the manifest calls them.
#[tokio::test(flavor = "multi_thread")]
async fn roots_that_lead_out() {
    let place = plain();
    for name in ["/", "/..", "/a/..", "..", "", "/etc", "/x\0y", "/\u{1b}[2J", "//"] {
        let named = |manifest: &mut b2_backup::format::Manifest| {
            manifest.roots.push(b2_backup::format::RootRecord {
                kind: 1,
                path: name.into(),
                at: None,
            });
        };
        let twist: Twist<'_> = &named;
        let entries = [b2_backup::format::Entry { root: 1, ..file("planted.md") }];
        let live = &place.machine.settings.state_dir;
        let snapshot = forge(&place.store, live, &tree(&entries), twist);
        let came = place.restored(&snapshot).await.unwrap();
        let files: Vec<_> =
            came.iter().filter(|(_, item)| item.content != plain::Content::Directory).collect();
        assert_eq!(files.len(), 1, "{name:?}");
        assert!(files[0].0.starts_with(b".b2-roots/1-"), "{name:?}");
    }
    assert!(!Path::new("/etc/planted.md").exists() && !Path::new("/planted.md").exists());
}

/// Who asks for encryption gets nothing of it without a word, and then the same checks.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_where_the_user_confirmed() {
    let place = plain();
    let mut sealed = place.machine.clone();
    sealed.settings.encrypt = true;
    let snapshot = place.forge(&tree(&[file("../x")]));
    for confirmed in [false, true] {
        let options = RestoreOptions {
            snapshot: snapshot.clone(),
            to: place.dir.path().join("confirmed"),
            paths: vec![],
            allow_unauthenticated: confirmed,
        };
        let error = ops::restore(&sealed.session().await, &options).await.unwrap_err();
        let expected = if confirmed { "B2_UNSAFE_PATH" } else { "B2_NOT_AUTHENTICATED" };
        assert_eq!(error.code(), expected);
    }
    assert!(!place.dir.path().join("x").exists());
}
