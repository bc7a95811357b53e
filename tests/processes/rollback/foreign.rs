//! What only looks like a database, and what has the name of a log, goes back byte for byte.

use std::fs;

use super::{Place, applied, exactly, lines, to};
use crate::support::plain::{broken, noise, write};

const NAMES: [&str; 4] = ["vault.db", "vault.db-wal", "b.sqlite", "b.sqlite-wal"];

fn fill(place: &Place, seed: u64) {
    let contents = [noise(seed, 5000), noise(seed + 1, 3000), broken(seed), noise(seed + 2, 4000)];
    for (name, content) in NAMES.iter().zip(contents) {
        write(&place.live, &format!("workspace/{name}"), content);
    }
}

fn contents(place: &Place) -> Vec<Vec<u8>> {
    NAMES.iter().map(|name| fs::read(place.live.join("workspace").join(name)).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_go_back_together() {
    let place = Place::new();
    fill(&place, 1);
    let snapshot = place.push().await;
    let then = contents(&place);
    fill(&place, 10);
    applied(&place.roll_back(&to(&snapshot)).await.unwrap());
    assert!(contents(&place) == then, "over others");
    for name in NAMES {
        fs::remove_file(place.live.join("workspace").join(name)).unwrap();
    }
    applied(&place.roll_back(&exactly(&snapshot)).await.unwrap());
    assert!(contents(&place) == then, "where none were");
    let plan = place.plan(&exactly(&snapshot)).await.unwrap();
    assert_eq!(lines(&plan), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_does_not_come_beside_a_live_database() {
    let place = Place::new();
    fill(&place, 1);
    let snapshot = place.push().await;
    for name in ["vault.db", "b.sqlite"] {
        let path = place.live.join("workspace").join(name);
        fs::remove_file(&path).unwrap();
        fs::remove_file(path.with_file_name(format!("{name}-wal"))).unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    }
    let plan = place.plan(&to(&snapshot)).await.unwrap();
    assert_eq!(
        lines(&plan),
        [
            "keep-live workspace/b.sqlite (a database is in its place)",
            "keep-live workspace/b.sqlite-wal (the file that it belongs to stays as it is)",
            "keep-live workspace/vault.db (a database is in its place)",
            "keep-live workspace/vault.db-wal (the file that it belongs to stays as it is)",
        ]
    );
}
