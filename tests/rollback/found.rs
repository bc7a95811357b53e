//! What rollbacks of wild states (`tests/oracle`) found.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::host::{run, value};
use super::plain::first_day;
use super::{Place, applied, to};

fn bits(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_bits(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

/// A database is written into, and is still the file that it was in the snapshot: one that others may read.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_gets_its_permission_bits_back() {
    let place = Place::new();
    first_day(&place.live);
    let database = place.live.join("memory/shared.sqlite");
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    run(&database, "CREATE TABLE t(x); INSERT INTO t VALUES ('then')");
    set_bits(&database, 0o644);
    let snapshot = place.push().await;
    run(&database, "UPDATE t SET x = 'now'");
    set_bits(&database, 0o640);
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!((value(&database, "SELECT x FROM t"), bits(&database)), ("then".into(), 0o644));
    applied(&place.undo().await.unwrap());
    assert_eq!((value(&database, "SELECT x FROM t"), bits(&database)), ("now".into(), 0o640));
    fs::remove_file(&database).unwrap();
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert_eq!((value(&database, "SELECT x FROM t"), bits(&database)), ("then".into(), 0o644));
}
