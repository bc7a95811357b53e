//! Databases with the schema of the real host, and a few of its rows.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail where all is used")]

use std::path::{Path, PathBuf};

use rusqlite::Connection;

const SHARED: &str = include_str!("../fixtures/host-2026.9.6/shared.sql");
const AGENT: &str = include_str!("../fixtures/host-2026.9.6/agent.sql");
/// The state directory that the rows of the fixtures name.
const HOME: &str = "/home/ada/.openclaw";

pub(crate) fn shared(state: &Path) -> PathBuf {
    state.join("state/openclaw.sqlite")
}

pub(crate) fn agent(state: &Path, id: &str) -> PathBuf {
    state.join(format!("agents/{id}/agent/openclaw-agent.sqlite"))
}

fn build(path: &Path, sql: &str, state: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let db = Connection::open(path).unwrap();
    let state = state.canonicalize().unwrap();
    db.execute_batch("PRAGMA synchronous=OFF").unwrap();
    let sql = sql.replace(HOME, state.to_str().unwrap());
    // The first statements are about the file, and belong into no transaction.
    let (file, rest) = sql.split_once("WAL;\n").unwrap();
    db.execute_batch(&format!("{file}WAL;\nBEGIN;\n{rest}COMMIT;")).unwrap();
}

/// Makes both databases of a state with one agent.
pub(crate) fn databases(state: &Path) {
    build(&shared(state), SHARED, state);
    build(&agent(state, "main"), AGENT, state);
}

/// Makes an agent's database.
pub(crate) fn agent_database(state: &Path, id: &str) {
    build(&agent(state, id), AGENT, state);
}

/// Runs statements, and closes the database: pushes refuse what their own process holds open.
pub(crate) fn run(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// One value as text.
pub(crate) fn value(path: &Path, sql: &str) -> String {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(match row.get_ref(0)? {
            rusqlite::types::ValueRef::Null => "NULL".to_owned(),
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            rusqlite::types::ValueRef::Real(number) => number.to_string(),
            rusqlite::types::ValueRef::Text(text) | rusqlite::types::ValueRef::Blob(text) => {
                String::from_utf8_lossy(text).into_owned()
            }
        })
    };
    Connection::open(path).unwrap().query_row(sql, [], read).unwrap_or_else(|_| "-".into())
}

pub(crate) fn integrity(path: &Path) -> String {
    value(path, "PRAGMA integrity_check")
}

/// Runs statements and leaves their rows in the write-ahead log, as a gateway does that is killed.
pub(crate) fn run_into_log(path: &Path, sql: &str) {
    let aside = path.with_extension("aside");
    let log = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        PathBuf::from(name)
    };
    std::fs::copy(path, &aside).unwrap();
    let db = Connection::open(&aside).unwrap();
    db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;").unwrap();
    db.execute_batch(sql).unwrap();
    std::fs::copy(log(&aside), log(path)).unwrap();
    drop(db);
    std::fs::remove_file(&aside).unwrap();
    assert!(std::fs::metadata(log(path)).unwrap().len() > 0);
}

/// A process that holds the state's lock, as OpenClaw does.
pub(crate) fn running_gateway(state: &Path) -> impl Drop + use<> {
    struct Gateway(std::process::Child, PathBuf);
    impl Drop for Gateway {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
            std::fs::remove_file(&self.1).unwrap();
        }
    }
    let (program, ten_minutes): (_, &[_]) =
        if cfg!(windows) { ("ping", &["-n", "600", "127.0.0.1"]) } else { ("sleep", &["600"]) };
    let mut command = std::process::Command::new(program);
    let child = command.args(ten_minutes).stdout(std::process::Stdio::null()).spawn().unwrap();
    let folder = state.join("tmp/openclaw-1000");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = folder.join("gateway.state.lock");
    let state = state.canonicalize().unwrap();
    let text =
        serde_json::json!({ "pid": child.id(), "createdAt": "x", "stateDir": state, "port": 1 });
    std::fs::write(&lock, text.to_string()).unwrap();
    Gateway(child, lock)
}
