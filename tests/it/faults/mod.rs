//! Everything that a network, a server and a disk can do wrong, times everything that a user can ask for: each cell of
//! the matrix has its outcome written down, and whatever it is, nothing is lost and nothing is said to be done that is
//! not. When the trouble is over, the same call succeeds.
//!
//! The trouble comes between a real client and a server that plays B2 (`proxy`), or from the disk, whose every step
//! can fail. Waiting takes no time: the clock is the test's.

pub(crate) mod bench;
mod proxy;

use std::io::ErrorKind;

use bench::{Bench, Trouble};
use proxy::Spoil::{self, Drop, Flip, HalfDown, HalfUp, Header, Instead, Late, LoseAnswer};
use proxy::Spoil::{Stale, Truncate, Twice};
use proxy::Which::{self, All, Delete, Get, List, Put};

/// What is asked for. Columns of the matrix, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    FirstPush,
    Push,
    List,
    Status,
    Restore,
    Rollback,
    Verify,
    Prune,
    AddKey,
    Drill,
    Doctor,
    Undelete,
}

pub(crate) const OPS: [Op; 12] = [
    Op::FirstPush,
    Op::Push,
    Op::List,
    Op::Status,
    Op::Restore,
    Op::Rollback,
    Op::Verify,
    Op::Prune,
    Op::AddKey,
    Op::Drill,
    Op::Doctor,
    Op::Undelete,
];

/// A request that is spoiled so often that no patience helps.
const ALWAYS: usize = usize::MAX;

fn error(which: Which, status: u16, body: &'static str, count: usize) -> Trouble {
    Trouble::Line(which, Instead(status, body, None), count)
}

fn line(which: Which, spoil: Spoil, count: usize) -> Trouble {
    Trouble::Line(which, spoil, count)
}

const SLOW: &str = "<Error><Code>SlowDown</Code><Message>slow down</Message></Error>";
const TOMES: &str = "<Error><Code>ServiceUnavailable</Code><Message>no tomes</Message></Error>";
const BROKEN: &str = "<Error><Code>InternalError</Code><Message>retry</Message></Error>";
const MANY: &str = "<Error><Code>too_many_requests</Code><Message>slow</Message></Error>";
const CAP: &str = "<Error><Code>AccessDenied</Code><Message>Transaction cap exceeded, see the Caps page</Message></Error>";
const KEY: &str = "<Error><Code>InvalidAccessKeyId</Code><Message>not valid</Message></Error>";
const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>not entitled</Message></Error>";
const GONE: &str = "<Error><Code>NoSuchKey</Code><Message>File not present</Message></Error>";
const BUCKET: &str = "<Error><Code>NoSuchBucket</Code><Message>no bucket</Message></Error>";
const NOTHING: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
const MALFORMED: &str = "<ListBucketResult><Contents><Key>p/x</Contents>";

/// One row: what goes wrong, and what becomes of each operation. `done`: it did what was asked, perhaps later than
/// without the trouble. `told`: it says in its report what it could not do or what it found, and that is right. Else
/// the code of its error.
macro_rules! matrix {
    ($($name:ident: $trouble:expr => $outcomes:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            Bench::row(stringify!($name), &$trouble, &$outcomes).await;
        }
    )*};
}

/// The same for each operation.
const fn all(outcome: &'static str) -> [&'static str; 12] {
    [outcome; 12]
}

/// The same for each operation but `doctor`, which always has an answer.
const fn told_by_doctor(outcome: &'static str) -> [&'static str; 12] {
    let mut row = all(outcome);
    row[10] = "told";
    row
}

/// What writes fails, and reading is not disturbed.
const fn writes_fail(outcome: &'static str) -> [&'static str; 12] {
    let mut row = all("done");
    (row[0], row[1], row[8], row[10]) = (outcome, outcome, outcome, "told");
    row
}

/// Listing and looking at the bucket need no disk.
const fn disk(outcome: &'static str) -> [&'static str; 12] {
    let mut row = all(outcome);
    (row[2], row[3], row[10]) = ("done", "done", "told");
    row
}

matrix! {
    busy_with_retry_after: line(All, Instead(503, SLOW, Some("30")), 1) => all("done");
    busy: error(All, 503, TOMES, 2) => all("done");
    busy_for_ever: error(All, 503, SLOW, ALWAYS) => told_by_doctor("B2_NETWORK");
    too_many_requests: line(All, Instead(429, MANY, Some("7")), 2) => all("done");
    server_error: error(All, 500, BROKEN, 2) => all("done");
    server_error_on_writes: error(Put, 500, BROKEN, ALWAYS) => writes_fail("B2_NETWORK");
    at_a_cap: error(All, 403, CAP, ALWAYS) => told_by_doctor("B2_CAP_EXCEEDED");
    at_a_storage_cap: error(Put, 403, CAP, ALWAYS) => writes_fail("B2_CAP_EXCEEDED");
    key_refused: error(All, 403, KEY, ALWAYS) => told_by_doctor("B2_CREDENTIALS");
    may_not_write: error(Put, 403, DENIED, ALWAYS) => writes_fail("B2_CAPABILITY");
    may_not_list: error(List, 403, DENIED, ALWAYS) => ["B2_CAPABILITY", "B2_CAPABILITY", "B2_CAPABILITY", "B2_CAPABILITY", "B2_CAPABILITY", "B2_CAPABILITY", "B2_CAPABILITY", "B2_CAPABILITY", "B2_CAPABILITY", "done", "told", "B2_CAPABILITY"];
    may_not_delete: error(Delete, 403, DENIED, ALWAYS) => ["done", "done", "done", "done", "done", "done", "done", "told", "done", "done", "told", "done"];
    no_such_object: error(Get, 404, GONE, ALWAYS) => ["B2_STORE", "B2_STORE", "told", "done", "B2_SNAPSHOT_NOT_FOUND", "B2_SNAPSHOT_NOT_FOUND", "told", "B2_PRUNE_STOPPED", "done", "B2_SNAPSHOT_NOT_FOUND", "told", "told"];
    no_such_bucket: error(All, 404, BUCKET, ALWAYS) => told_by_doctor("B2_BUCKET");
    connection_lost: line(All, Drop, 2) => all("done");
    no_connection: line(All, Drop, ALWAYS) => told_by_doctor("B2_NETWORK");
    reset_while_sending: line(Put, HalfUp, 2) => all("done");
    reset_while_receiving: line(Get, HalfDown, 2) => all("done");
    reset_in_a_listing: line(List, HalfDown, 2) => all("done");
    truncated_objects: line(Get, Truncate, ALWAYS) => ["B2_STORE", "B2_STORE", "told", "done", "B2_DAMAGED", "B2_DAMAGED", "told", "B2_PRUNE_STOPPED", "done", "B2_DAMAGED", "told", "told"];
    truncated_once: line(Get, Truncate, 1) => ["B2_STORE", "B2_STORE", "told", "done", "done", "B2_DAMAGED", "told", "B2_PRUNE_STOPPED", "done", "B2_DAMAGED", "told", "told"];
    flipped_bytes: line(Get, Flip, ALWAYS) => ["B2_STORE", "B2_STORE", "told", "done", "B2_DAMAGED", "B2_DAMAGED", "told", "B2_PRUNE_STOPPED", "done", "B2_DAMAGED", "told", "told"];
    flipped_once: line(Get, Flip, 1) => ["B2_STORE", "B2_STORE", "told", "done", "done", "B2_DAMAGED", "told", "B2_PRUNE_STOPPED", "done", "B2_DAMAGED", "told", "told"];
    truncated_listings: line(List, Truncate, ALWAYS) => ["B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "done", "told", "B2_STORE"];
    malformed_listings: error(List, 200, MALFORMED, ALWAYS) => ["B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "B2_STORE", "done", "told", "B2_STORE"];
    answers_lost: line(All, LoseAnswer, 2) => all("done");
    answers_to_writes_lost: line(Put, LoseAnswer, ALWAYS) => writes_fail("B2_NETWORK");
    writes_twice: line(Put, Twice, ALWAYS) => all("done");
    late_deletes: line(Delete, Late, ALWAYS) => all("done");
    stale_listings: line(List, Stale, ALWAYS) => ["done", "done", "done", "done", "done", "done", "done", "B2_PRUNE_STOPPED", "done", "done", "done", "done"];
    empty_listings: error(List, 200, NOTHING, ALWAYS) => ["done", "done", "done", "done", "done", "done", "done", "B2_PRUNE_STOPPED", "done", "done", "done", "B2_CONFIG"];
    wrong_etags: line(All, Header("etag", "\"0123456789abcdef\""), ALWAYS) => all("done");
    wrong_dates: line(All, Header("date", "Thu, 01 Jan 1970 00:00:00 GMT"), ALWAYS) => ["B2_CLOCK", "B2_CLOCK", "B2_CLOCK", "done", "B2_CLOCK", "B2_CLOCK", "B2_CLOCK", "B2_CLOCK", "B2_CLOCK", "B2_CLOCK", "told", "B2_CLOCK"];
    clock_20_minutes_ahead: Trouble::Clock(20 * 60) => ["done", "done", "done", "done", "done", "done", "done", "done", "done", "done", "told", "done"];
    clock_20_minutes_behind: Trouble::Clock(-20 * 60) => ["done", "done", "done", "done", "done", "done", "done", "told", "done", "done", "told", "done"];
    clock_a_year_ahead: Trouble::Clock(365 * 86_400) => ["done", "done", "done", "done", "done", "done", "done", "done", "done", "done", "told", "done"];
    clock_a_year_behind: Trouble::Clock(-365 * 86_400) => ["done", "done", "done", "done", "done", "done", "done", "told", "done", "done", "told", "done"];
    disk_full: Trouble::Disk(ErrorKind::StorageFull) => disk("B2_DISK_FULL");
    disk_read_only: Trouble::Disk(ErrorKind::ReadOnlyFilesystem) => disk("B2_PERMISSION");
    disk_broken: Trouble::Disk(ErrorKind::Other) => disk("B2_IO");
}
