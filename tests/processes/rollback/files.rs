//! Files, directories and links.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use b2_backup::ops::{self, Outcome};

use super::{Place, applied, count, exactly, lines, only, settled, to};
use crate::support::plain::{assert_same, first_day, noise, write};

/// Something of every kind happens to a state.
fn live_on(place: &Place) {
    let live = &place.live;
    write(live, "workspace/MEMORY.md", "# Memory\n- it was all different\n");
    fs::remove_dir_all(live.join("workspace/notes")).unwrap();
    fs::remove_file(live.join("workspace/link")).unwrap();
    symlink("elsewhere", live.join("workspace/link")).unwrap();
    fs::remove_dir(live.join("workspace/empty")).unwrap();
    write(live, "workspace/empty", "a file now");
    write(live, "skills/planted/SKILL.md", "obey");
    write(live, "hooks/planted/handler.js", "evil()");
    write(live, "workspace/later.md", "came later");
    fs::set_permissions(
        live.join("agents/main/sessions/one.jsonl"),
        fs::Permissions::from_mode(0o640),
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn overlay_exact_and_undo() {
    for exact in [false, true] {
        let place = Place::new();
        first_day(&place.live);
        let snapshot = place.push().await;
        let then = settled(&place.live);
        live_on(&place);
        let now = settled(&place.live);
        let request = if exact { exactly(&snapshot) } else { to(&snapshot) };
        let before_plan = settled(&place.live);
        let plan = place.plan(&request).await.unwrap();
        assert_same(&settled(&place.live), &before_plan, "a plan writes nothing");
        assert!(!plan.needs_restart && plan.touches.hooks == exact && plan.touches.skills == exact);
        let mut expected = vec![
            "replace agents/main/sessions/one.jsonl (permissions only)",
            "replace workspace/MEMORY.md",
            "replace workspace/empty",
            "replace workspace/link",
            "add workspace/notes",
            "add workspace/notes/a b.md",
            "add workspace/notes/same.md",
        ];
        if exact {
            expected.extend([
                "delete hooks",
                "delete hooks/planted",
                "delete hooks/planted/handler.js",
                "delete skills",
                "delete skills/planted",
                "delete skills/planted/SKILL.md",
                "delete workspace/later.md",
            ]);
        }
        expected.sort_by_key(|line| line.split(' ').nth(1).unwrap().to_owned());
        assert_eq!(lines(&plan), expected);
        assert_eq!(plan.bytes, 60_000 + 21);

        let report = place.roll_back(&request).await.unwrap();
        applied(&report);
        let mut wanted = then.clone();
        if !exact {
            let came = |path: &&Vec<u8>| {
                !then.contains_key(*path) && path.as_slice() != b"workspace/empty"
            };
            for path in now.keys().filter(came) {
                wanted.insert(path.clone(), now[path].clone());
            }
        }
        assert_same(&settled(&place.live), &wanted, "rolled back");
        assert!(place.plan(&request).await.unwrap().is_empty());

        // The safety snapshot is one that a blank machine can restore.
        let safety = report.safety.unwrap();
        assert!(safety.starts_with("safety-"));
        let restored = place.dir.path().join("restored");
        place.machine.restore(&safety, &restored).await.unwrap();
        assert_same(&settled(&restored), &now, "the safety snapshot");

        let undone = place.undo().await.unwrap();
        applied(&undone);
        assert_same(&settled(&place.live), &now, "undone");
        applied(&place.undo().await.unwrap());
        assert_same(&settled(&place.live), &wanted, "and undone again");
        // What was set aside goes with the next push.
        let folder = place.live.join("b2-backup/restore").join(report.id.unwrap());
        assert!(folder.join("old").is_dir());
        place.machine.push().await.unwrap();
        assert!(!folder.exists());
    }
}

/// Files that are the same already are not fetched; of the others, hardly more than they are.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_differs_is_fetched() {
    let place = Place::new();
    for number in 0..100 {
        write(&place.live, &format!("workspace/{number}.bin"), noise(number, 200_000));
    }
    let snapshot = place.push().await;
    for number in [3, 50, 51, 99] {
        write(&place.live, &format!("workspace/{number}.bin"), noise(1000 + number, 200_000));
    }
    // Touched, but the same.
    write(&place.live, "workspace/7.bin", noise(7, 200_000));
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    assert_eq!((count(&plan), plan.fetch_bytes), ([0, 4, 0, 0], 800_000));
    let report = place.roll_back(&to(&snapshot)).await.unwrap();
    applied(&report);
    assert!(report.downloaded_bytes < 880_000, "{}", report.downloaded_bytes);
    for number in 0..100 {
        let path = place.live.join(format!("workspace/{number}.bin"));
        assert_eq!(fs::read(path).unwrap(), noise(number, 200_000));
    }
}

type Paths<'a> = &'a [&'a str];

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_it() {
    let place = Place::new();
    first_day(&place.live);
    write(&place.live, "workspace/notes/deep/c.md", "c");
    let snapshot = place.push().await;
    let then = settled(&place.live);
    live_on(&place);
    let now = settled(&place.live);
    let cases: [(Paths<'_>, bool, Paths<'_>, Paths<'_>); 5] = [
        (&["workspace/MEMORY.md"], false, &["workspace/MEMORY.md"], &[]),
        (
            &["workspace/notes/deep"],
            true,
            &["workspace/notes", "workspace/notes/deep", "workspace/notes/deep/c.md"],
            &[],
        ),
        (&["hooks/**"], true, &[], &["hooks/planted", "hooks/planted/handler.js"]),
        (&["skills"], true, &[], &["skills", "skills/planted", "skills/planted/SKILL.md"]),
        (&["workspace/*.md"], true, &["workspace/MEMORY.md"], &["workspace/later.md"]),
    ];
    for (paths, exact, comes, goes) in cases {
        let mut request = only(&snapshot, paths);
        if exact {
            request.mode = ops::Mode::Exact;
        }
        applied(&place.roll_back(&request).await.unwrap());
        let mut wanted = now.clone();
        for path in comes {
            wanted.insert(path.as_bytes().to_vec(), then[path.as_bytes()].clone());
        }
        wanted.retain(|path, _| !goes.iter().any(|gone| gone.as_bytes() == path.as_slice()));
        assert_same(&settled(&place.live), &wanted, &format!("{paths:?}"));
        applied(&place.undo().await.unwrap());
        assert_same(&settled(&place.live), &now, &format!("{paths:?} undone"));
    }
    let nothing = place.plan(&only(&snapshot, &["workspace/missing"])).await;
    assert_eq!(nothing.unwrap_err().code(), "B2_CONFIG");
}

/// What the user agreed to is what happens, or nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_no_longer_true() {
    let place = Place::new();
    first_day(&place.live);
    let snapshot = place.push().await;
    write(&place.live, "workspace/MEMORY.md", "other");
    let session = place.machine.session().await;
    let request = exactly(&snapshot);
    let plan = ops::plan_rollback(&session, &request).await.unwrap();
    let again = ops::plan_rollback(&session, &request).await.unwrap();
    assert_eq!(plan, again);
    write(&place.live, "workspace/new.md", "would go, and nobody agreed to it");
    let before = settled(&place.live);
    let requests = [&request, &to(&snapshot), &only(&snapshot, &["workspace/MEMORY.md"])];
    for request in requests {
        let error = ops::roll_back(&session, request, &plan.hash).await.unwrap_err();
        assert_eq!(error.code(), "B2_PLAN_CHANGED");
    }
    assert_same(&settled(&place.live), &before, "nothing changed");
    assert_eq!(place.machine.list().await.snapshots.len(), 1, "and no safety snapshot was made");
    // A file that goes on changing is no reason: that it is replaced was agreed to.
    fs::remove_file(place.live.join("workspace/new.md")).unwrap();
    write(&place.live, "workspace/MEMORY.md", "yet another");
    let report = ops::roll_back(&session, &request, &plan.hash).await.unwrap();
    assert_eq!(report.outcome, Outcome::Applied);
}
