//! Names of a snapshot that the file system here cannot hold. They are left out by name, and the rest comes.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use b2_backup::ops::Outcome;

use super::{Place, exactly, lines};
use crate::support::plain::{assert_same, settled, write};

/// From here on the file system is one that folds names, as macOS' does: it finds the state under another case, too, and
/// takes no name that is no text.
fn fold_names(place: &Place) {
    symlink(&place.live, place.dir.path().join("STATE")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_here_is_left_out_and_the_rest_comes() {
    let place = Place::new();
    let odd = place.live.join(OsStr::from_bytes(b"workspace/odd \xff"));
    fs::create_dir_all(&odd).unwrap();
    fs::write(odd.join("inside.md"), "then").unwrap();
    write(&place.live, "workspace/MEMORY.md", "then");
    let then = settled(&place.live);
    let snapshot = place.push().await;

    fs::write(odd.join("inside.md"), "now, and not to be touched").unwrap();
    write(&place.live, "workspace/MEMORY.md", "now, and longer");
    write(&place.live, "workspace/new.md", "new");
    let now = settled(&place.live);
    fold_names(&place);
    let request = exactly(&snapshot);
    let why = "it is no text, which the file system here needs";
    let kept = |path: &str| format!("keep-live {path} ({why})");
    let plan = place.plan(&request).await.unwrap();
    assert_eq!(
        lines(&plan),
        [
            "replace workspace/MEMORY.md".to_owned(),
            "delete workspace/new.md".to_owned(),
            kept(r"workspace/odd \xff"),
            kept(r"workspace/odd \xff/inside.md"),
        ]
    );
    let report = place.roll_back(&request).await.unwrap();
    assert_eq!(report.outcome, Outcome::Applied);
    let failed: Vec<_> =
        report.failed.iter().map(|it| (it.path.as_str(), it.code.as_str())).collect();
    assert_eq!(
        failed,
        [
            (r"workspace/odd \xff", "B2_UNSAFE_PATH"),
            (r"workspace/odd \xff/inside.md", "B2_UNSAFE_PATH"),
        ]
    );
    let mut wanted = then;
    for (path, item) in now.iter().filter(|(path, _)| path.starts_with(b"workspace/odd")) {
        wanted.insert(path.clone(), item.clone());
    }
    assert_same(&settled(&place.live), &wanted, "rolled back");
    place.undo().await.unwrap();
    assert_same(&settled(&place.live), &now, "taken back");
}
