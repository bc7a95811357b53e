//! Making a database of the host fit to travel back in time: what is bound to its moment is dropped, and what
//! belongs to this machine is taken from the live one.
//!
//! Works on private copies at rest. Databases that are not the host's own are left as they are.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::connection::{failed, immutable_uri, is_plain_table, open, quoted};
use super::rows::{
    DROPPED_TABLES, EXPIRING, MACHINE_SETTINGS, PATH_COLUMNS, PATH_KEY_COLUMNS, PROCESS_TABLES,
    SECRET_SETTINGS, SESSION_GRANTS, SETTINGS_TABLE, grant_tables, secret_tables,
};
use super::write_back::open_at_rest;
use crate::error::{Error, Result};
use crate::source::database::Redact;
use crate::source::scrub;

/// A state directory that is somewhere else than when the snapshot was made.
#[derive(Clone, Copy)]
pub struct Moved<'a> {
    /// Where it was.
    pub from: &'a str,
    /// Where it is.
    pub to: &'a str,
    /// The key that the host gives a path: SHA-256, as hex.
    pub key: &'a dyn Fn(&str) -> String,
}

impl std::fmt::Debug for Moved<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Moved({} -> {})", self.from, self.to)
    }
}

impl Moved<'_> {
    /// The path as it is now, if it lies in the state directory.
    fn rewritten(&self, path: &str) -> Option<String> {
        let below = path.strip_prefix(self.from)?;
        let whole = below.is_empty() || below.starts_with(['/', '\\']);
        whole.then(|| format!("{}{below}", self.to))
    }
}

/// The version of a database's schema, as the host counts it.
///
/// # Errors
/// `B2_DATABASE` when it is none.
pub fn user_version(copy: &Path) -> Result<i64> {
    let read = || open_at_rest(copy)?.query_row("PRAGMA user_version", [], |row| row.get(0));
    read().map_err(|error| failed(copy, copy, error))
}

/// Whether a copy is whole, by SQLite's own check of everything.
///
/// # Errors
/// `B2_DATABASE` with the first thing that is wrong.
pub fn check(copy: &Path) -> Result<()> {
    pragma_check(copy, "PRAGMA integrity_check(1)")
}

/// As [`check`], without comparing indexes and tables: for when there is little time.
///
/// # Errors
/// As [`check`].
pub fn quick_check(copy: &Path) -> Result<()> {
    pragma_check(copy, "PRAGMA quick_check(1)")
}

fn pragma_check(copy: &Path, pragma: &str) -> Result<()> {
    let read = || open_at_rest(copy)?.query_row(pragma, [], |row| row.get::<_, String>(0));
    match read().map_err(|error| failed(copy, copy, error))?.as_str() {
        "ok" => Ok(()),
        wrong => Err(Error::Database { path: copy.to_path_buf(), message: wrong.to_owned() }),
    }
}

/// Drops queues and leases, ends the turns that were running, and rewrites paths where the state directory moved.
///
/// # Errors
/// `B2_DATABASE`, and those of the file system.
pub fn prepare(copy: &Path, kind: Redact, moved: Option<Moved<'_>>) -> Result<()> {
    if kind == Redact::None {
        return Ok(());
    }
    change(copy, |connection| {
        let transaction = connection.transaction()?;
        for table in DROPPED_TABLES.iter().chain(PROCESS_TABLES) {
            if is_plain_table(&transaction, table)? {
                transaction.execute(&format!("DELETE FROM main.{table}"), [])?;
            }
        }
        if let Some(moved) = moved {
            rewrite_paths(&transaction, &moved)?;
        }
        // Without the host's triggers, which would mark the rows as not looked at.
        end_running_turns(&transaction)?;
        end_running_tasks(&transaction)?;
        settle_sessions(&transaction)?;
        transaction.commit()
    })
}

/// Which rows that belong to a machine come from its live database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of them: those of the snapshot go back in time.
    All,
    /// Those that the live database has; the secrets of the snapshot come where it has none. For a new machine.
    WhatThereIs,
}

/// Takes out what is about the machine that a snapshot was made on: what is installed there, and where.
///
/// # Errors
/// `B2_DATABASE`, and those of the file system.
pub fn forget_machine(copy: &Path, kind: Redact) -> Result<()> {
    if kind != Redact::Shared {
        return Ok(());
    }
    change(copy, |connection| {
        if is_plain_table(connection, SETTINGS_TABLE)? {
            let sql = format!("DELETE FROM main.{SETTINGS_TABLE} WHERE {}", fits(MACHINE_SETTINGS));
            connection.execute(&sql, [])?;
        }
        Ok(())
    })
}

/// Takes the rows that belong to this machine from a copy of the live database: secrets, what is installed, and how its
/// gateway was started.
/// Those of `copy` go, as far as `keep` says. Returns what could not be kept, in sentences.
///
/// # Errors
/// `B2_DATABASE`, and those of the file system.
pub fn keep_live(copy: &Path, live: &Path, kind: Redact, keep: Keep) -> Result<Vec<String>> {
    if kind == Redact::None {
        return Ok(Vec::new());
    }
    let mut lost = Vec::new();
    change(copy, |connection| {
        let uri = immutable_uri(live).ok_or(rusqlite::Error::InvalidPath(live.to_path_buf()))?;
        connection.execute("ATTACH ?1 AS live", [uri])?;
        let transaction = connection.transaction()?;
        let mut tables = Vec::new();
        for table in secret_tables(kind).iter().chain(grant_tables(kind)) {
            if tables.contains(table) {
                continue;
            }
            tables.push(*table);
            if keep == Keep::WhatThereIs && !live_has_rows(&transaction, table)? {
                continue;
            }
            if !take_rows(&transaction, table, "TRUE", "TRUE")? {
                lost.push(format!(
                    "the rows of {table} have another form there and could not be kept"
                ));
            }
        }
        if kind == Redact::Shared {
            for table in PROCESS_TABLES {
                // Of another version's form they are of no use.
                take_rows(&transaction, table, "TRUE", "TRUE")?;
            }
            for (table, column) in EXPIRING {
                let expiring = format!("{column} IS NOT NULL");
                if columns(&transaction, "live", table)?.contains(*column)
                    && has_column(&transaction, table, column)?
                    && !take_rows(&transaction, table, &expiring, &expiring)?
                {
                    lost.push(format!("some rows of {table} could not be kept"));
                }
            }
            let (secret, machine) = (fits(SECRET_SETTINGS), fits(MACHINE_SETTINGS));
            let comes = format!("({secret} OR {machine})");
            let goes = match keep {
                Keep::All => comes.clone(),
                Keep::WhatThereIs if in_live(&transaction, SETTINGS_TABLE)? => format!(
                    "({machine} OR state_key IN (SELECT state_key FROM live.{SETTINGS_TABLE} WHERE {comes}))"
                ),
                Keep::WhatThereIs => machine.clone(),
            };
            if !take_rows(&transaction, SETTINGS_TABLE, &goes, &comes)? {
                lost.push(format!("some rows of {SETTINGS_TABLE} could not be kept"));
            }
        }
        if kind == Redact::Agent && keep == Keep::All {
            keep_session_grants(&transaction)?;
        }
        drop_orphans(&transaction, &tables)?;
        transaction.commit()?;
        connection.execute_batch("DETACH live")
    })?;
    Ok(lost)
}

/// Sessions may do what they may do now; one that is not there any more, what is configured.
fn keep_session_grants(connection: &Connection) -> rusqlite::Result<()> {
    if !has_column(connection, "session_nodes", "entry_json")? {
        return Ok(());
    }
    let by_key = |schema| {
        let columns = columns(connection, schema, "session_nodes")?;
        Ok::<_, rusqlite::Error>(
            ["entry_json", "session_key"].iter().all(|name| columns.contains(*name)),
        )
    };
    let in_live = in_live(connection, "session_nodes")? && by_key("main")? && by_key("live")?;
    for grant in SESSION_GRANTS {
        let now = if in_live {
            format!(
                "(SELECT now.entry_json -> '$.{grant}' FROM live.session_nodes AS now \
                 WHERE now.session_key = session_nodes.session_key AND json_valid(now.entry_json))"
            )
        } else {
            "NULL".to_owned()
        };
        let sql = format!(
            "UPDATE main.session_nodes SET entry_json = CASE WHEN {now} IS NULL \
             THEN json_remove(entry_json, '$.{grant}') \
             ELSE json_set(entry_json, '$.{grant}', json({now})) END \
             WHERE json_valid(entry_json) AND (entry_json -> '$.{grant}') IS NOT {now}"
        );
        connection.execute(&sql, [])?;
    }
    Ok(())
}

/// Opens a copy for changing it in place, without a log beside it.
fn change(copy: &Path, work: impl FnOnce(&mut Connection) -> rusqlite::Result<()>) -> Result<()> {
    // A database in WAL mode would be given a log as soon as it is written to.
    let versions = scrub::replace_file_versions(copy, [1, 1])?;
    let failed = |error| failed(copy, copy, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI;
    let mut connection = open(copy, flags).map_err(failed)?;
    quiet(&connection).and_then(|()| work(&mut connection)).map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    scrub::replace_file_versions(copy, versions)?;
    Ok(())
}

/// Nothing in the schema may make a change do more than it says.
pub(super) fn quiet(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.execute_batch(
        "PRAGMA trusted_schema=OFF; PRAGMA foreign_keys=OFF; PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;
         PRAGMA temp_store=MEMORY;",
    )
}

/// Marks turns as done: the host would go on with them by itself, and call the model.
fn end_running_turns(connection: &Connection) -> rusqlite::Result<()> {
    let has = |column| has_column(connection, "session_nodes", column);
    let mut changes = Vec::new();
    let mut conditions = Vec::new();
    // Hosts of before keep the status in one of the two places, or in none.
    if has("entry_json")? {
        let runs = "json_valid(entry_json) AND json_extract(entry_json, '$.status') = 'running'";
        changes.push(format!(
            "entry_json = CASE WHEN {runs} THEN json_set(entry_json, '$.status', 'done') ELSE entry_json END"
        ));
        conditions.push(format!("({runs})"));
    }
    if has("status")? {
        changes.push("status = CASE WHEN status = 'running' THEN 'done' ELSE status END".into());
        conditions.push("status = 'running'".into());
    }
    if !changes.is_empty() {
        let (set, found) = (changes.join(", "), conditions.join(" OR "));
        connection.execute(&format!("UPDATE main.session_nodes SET {set} WHERE {found}"), [])?;
    }
    Ok(())
}

/// A host that has seen this file before refuses to start where a session has not been looked at, and looks at all of
/// them where its receipt for the file is missing. So the receipt goes, which is not for this content; and what the host
/// would find to be whole counts as looked at.
fn settle_sessions(connection: &Connection) -> rusqlite::Result<()> {
    if has_column(connection, "session_key_contract", "canonical_ready")? {
        connection.execute("UPDATE main.session_key_contract SET canonical_ready = NULL", [])?;
    }
    for column in ["entry_valid", "entry_json", "current_session_id", "updated_at"] {
        if !has_column(connection, "session_nodes", column)? {
            return Ok(());
        }
    }
    connection.execute(
        "UPDATE main.session_nodes SET entry_valid = 1 WHERE entry_valid = 0 AND CASE WHEN json_valid(entry_json)
         THEN json_extract(entry_json, '$.sessionId') IS current_session_id
          AND json_extract(entry_json, '$.updatedAt') IS updated_at ELSE 0 END",
        [],
    )?;
    Ok(())
}

/// Marks tasks as lost, which is what the host itself does with those whose process is gone, after five minutes. Until
/// then it would count them as work that it has to wait for, and put off every restart.
fn end_running_tasks(connection: &Connection) -> rusqlite::Result<()> {
    let has = |column| has_column(connection, "task_runs", column);
    if !has("status")? {
        return Ok(());
    }
    let mut ended = String::new();
    if has("ended_at")? {
        let mut times = vec!["ended_at"];
        for column in ["last_event_at", "started_at", "created_at"] {
            if has(column)? {
                times.push(column);
            }
        }
        // coalesce takes two and more.
        ended = format!(", ended_at = coalesce({}, NULL)", times.join(", "));
    }
    let sql = format!(
        "UPDATE main.task_runs SET status = 'lost'{ended} WHERE status IN ('queued', 'running')"
    );
    connection.execute(&sql, [])?;
    Ok(())
}

fn columns(
    connection: &Connection,
    schema: &str,
    table: &str,
) -> rusqlite::Result<BTreeSet<String>> {
    connection
        .prepare("SELECT name FROM pragma_table_xinfo(?1, ?2) WHERE hidden = 0")?
        .query_map([table, schema], |row| row.get(0))?
        .collect()
}

/// A condition: the key of a setting fits one of the patterns.
fn fits(globs: &[&str]) -> String {
    let fits = globs.iter().map(|glob| format!("CAST(state_key AS TEXT) GLOB '{glob}'"));
    format!("({})", fits.collect::<Vec<_>>().join(" OR "))
}

fn in_live(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql =
        "SELECT 1 FROM live.sqlite_schema WHERE type = 'table' AND name = ?1 AND rootpage > 0";
    Ok(connection.query_row(sql, [table], |_| Ok(())).optional()?.is_some())
}

fn live_has_rows(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    if !in_live(connection, table)? {
        return Ok(false);
    }
    let sql = format!("SELECT EXISTS (SELECT 1 FROM live.{table})");
    connection.query_row(&sql, [], |row| row.get(0))
}

/// Replaces the rows for which `goes` holds by those of the live database for which `comes` does. `false` when the
/// live rows do not fit into the table, which is then without them.
fn take_rows(
    connection: &Connection,
    table: &str,
    goes: &str,
    comes: &str,
) -> rusqlite::Result<bool> {
    let in_copy = is_plain_table(connection, table)?;
    if in_copy {
        connection.execute(&format!("DELETE FROM main.{table} WHERE {goes}"), [])?;
    }
    if !in_live(connection, table)? {
        return Ok(true);
    }
    if !in_copy {
        let sql = format!("SELECT count(*) FROM live.{table} WHERE {comes}");
        return connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(|rows| rows == 0);
    }
    let (here, there) = (columns(connection, "main", table)?, columns(connection, "live", table)?);
    let both: Vec<String> = here.intersection(&there).map(|name| quoted(name)).collect();
    let list = both.join(", ");
    connection.execute_batch("SAVEPOINT b2_rows")?;
    let sql =
        format!("INSERT INTO main.{table} ({list}) SELECT {list} FROM live.{table} WHERE {comes}");
    let done = connection.execute(&sql, []);
    if done.is_err() {
        connection.execute_batch("ROLLBACK TO b2_rows")?;
    }
    connection.execute_batch("RELEASE b2_rows")?;
    Ok(done.is_ok())
}

/// Removes rows that refer to a live row that is not there, or to a session that is not there yet.
fn drop_orphans(connection: &Connection, tables: &[&str]) -> rusqlite::Result<()> {
    loop {
        let orphans: Vec<(String, Option<i64>, String)> = connection
            .prepare("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut removed = 0;
        for (table, row, parent) in orphans {
            let ours = tables.contains(&table.as_str()) || tables.contains(&parent.as_str());
            if let Some(row) = row.filter(|_| ours) {
                let sql = format!("DELETE FROM main.{} WHERE rowid = ?1", quoted(&table));
                removed += connection.execute(&sql, [row])?;
            }
        }
        if removed == 0 {
            return Ok(());
        }
    }
}

pub(super) fn has_column(
    connection: &Connection,
    table: &str,
    column: &str,
) -> rusqlite::Result<bool> {
    Ok(is_plain_table(connection, table)? && columns(connection, "main", table)?.contains(column))
}

fn rewrite_paths(connection: &Connection, moved: &Moved<'_>) -> rusqlite::Result<()> {
    let mut keys = Vec::new();
    for (table, column) in PATH_COLUMNS {
        if !has_column(connection, table, column)? {
            continue;
        }
        let paths: Vec<String> = connection
            .prepare(&format!(
                "SELECT DISTINCT {column} FROM main.{table} WHERE typeof({column}) = 'text'"
            ))?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for old in paths {
            let Some(new) = moved.rewritten(&old) else { continue };
            let sql =
                format!("UPDATE OR REPLACE main.{table} SET {column} = ?2 WHERE {column} = ?1");
            connection.execute(&sql, [&old, &new])?;
            keys.push(((moved.key)(&old), (moved.key)(&new)));
        }
    }
    for (table, column) in PATH_KEY_COLUMNS {
        if has_column(connection, table, column)? {
            let sql =
                format!("UPDATE OR REPLACE main.{table} SET {column} = ?2 WHERE {column} = ?1");
            for (old, new) in &keys {
                connection.execute(&sql, [old, new])?;
            }
        }
    }
    Ok(())
}
