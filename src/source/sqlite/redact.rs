//! Removes secrets from a captured copy: rows, values in rows, and what is left of them in unused bytes.

use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::connection::{failed, is_plain_table, open, quoted};
use super::prepare::{has_column, quiet};
use super::rows::{
    APPROVALS_TABLE, CLOSED_APPROVALS, EXPIRING, SECRET_SETTINGS, SETTINGS_TABLE, secret_tables,
};
use super::write_back::open_at_rest;
use crate::error::{Error, Result};
use crate::source::database::Redact;
use crate::source::{open_plain, scrub};

/// How much of a file is looked at at once.
const READ_BYTES: u64 = 1 << 20;

/// Which database of the host a file at rest is, by its tables. A database of something else is [`Redact::None`].
///
/// # Errors
/// `B2_DATABASE` when that cannot be told: it may be one with secrets.
pub fn kind_by_schema(copy: &Path) -> Result<Redact> {
    open_at_rest(copy)
        .and_then(|connection| kind(&connection))
        .map_err(|error| failed(copy, copy, error))
}

/// Whether a file that could not be captured, or one of its logs, may hold secrets of the host's: SQLite knows it as one of
/// the host's databases, or does not know what it is, or what it takes for none has one of their tables in its bytes.
#[must_use]
pub fn may_hold_secrets(path: &Path, logs: &[PathBuf]) -> bool {
    match open_at_rest(path).and_then(|connection| kind(&connection)) {
        Ok(Redact::None) => {}
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {}
        Ok(_) | Err(_) => return true,
    }
    std::iter::once(path).chain(logs.iter().map(PathBuf::as_path)).any(|path| {
        // One that is gone is not stored either.
        open_plain(path).is_ok_and(|file| makes_secret_table(file).unwrap_or(true))
    })
}

/// Whether the statement that makes a table of secrets stands in the bytes of a file.
fn makes_secret_table(mut file: impl Read) -> std::io::Result<bool> {
    const MAKES: &[u8] = b"CREATE TABLE ";
    let tables = || [Redact::Shared, Redact::Agent].into_iter().flat_map(secret_tables);
    let longest = tables().map(|table| table.len()).max().unwrap_or_default();
    let mut bytes = Vec::new();
    loop {
        // A statement may lie across what is read at once.
        let kept = bytes.len().saturating_sub(MAKES.len() + longest + 1);
        bytes.drain(..kept);
        if file.by_ref().take(READ_BYTES).read_to_end(&mut bytes)? == 0 {
            return Ok(false);
        }
        let made = bytes.windows(MAKES.len()).enumerate().filter(|(_, window)| *window == MAKES);
        let mut names = made.filter_map(|(at, _)| bytes.get(at + MAKES.len()..));
        let is_secret = |name: &[u8]| {
            let name = name.strip_prefix(b"\"").unwrap_or(name);
            tables().any(|table| name.starts_with(table.as_bytes()))
        };
        if names.any(is_secret) {
            return Ok(true);
        }
    }
}

fn kind(connection: &Connection) -> rusqlite::Result<Redact> {
    // The host's own note of what it is.
    if has_column(connection, "schema_meta", "role")?
        && has_column(connection, "schema_meta", "meta_key")?
    {
        for (role, kind) in [("global", Redact::Shared), ("agent", Redact::Agent)] {
            let sql = "SELECT EXISTS (SELECT 1 FROM main.schema_meta WHERE role = ?1)";
            if connection.query_row(sql, [role], |row| row.get(0))? {
                return Ok(kind);
            }
        }
    }
    // One of before, or without that row: two of its tables are no accident.
    for kind in [Redact::Shared, Redact::Agent] {
        let mut tables = 0;
        for table in secret_tables(kind) {
            tables += usize::from(is_plain_table(connection, table)?);
        }
        if tables >= 2 {
            return Ok(kind);
        }
    }
    Ok(Redact::None)
}

/// Deletes the secrets from the copy, from its free pages and from the unused parts of its other pages.
pub(super) fn redact(source: &Path, copy: &Path, kind: Redact) -> Result<u64> {
    // A database in WAL mode would be given a log as soon as it is written to.
    let versions = scrub::replace_file_versions(copy, [1, 1])?;
    let failed = |error| failed(source, copy, error);
    let mut connection = open(copy, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    let (removed, roots) = delete_rows(&mut connection, kind).map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    scrub::scrub(copy, &roots).map_err(|error| match error {
        // The user knows the database, not our copy of it.
        Error::Database { message, .. } => Error::Database { path: source.to_path_buf(), message },
        other => other,
    })?;
    scrub::replace_file_versions(copy, versions)?;
    Ok(removed)
}

fn delete_rows(connection: &mut Connection, kind: Redact) -> rusqlite::Result<(u64, Vec<u32>)> {
    quiet(connection)?;
    connection
        .execute_batch("PRAGMA ignore_check_constraints=ON; PRAGMA main.secure_delete=ON;")?;
    let transaction = connection.transaction()?;
    let mut removed = 0;
    for table in secret_tables(kind) {
        if is_plain_table(&transaction, table)? {
            removed += transaction.execute(&format!("DELETE FROM main.{table}"), [])?;
        }
    }
    if kind == Redact::Shared {
        if is_plain_table(&transaction, SETTINGS_TABLE)? {
            removed += delete_settings(&transaction)?;
        }
        for (table, column) in EXPIRING {
            if has_column(&transaction, table, column)? {
                let sql = format!("DELETE FROM main.{table} WHERE {column} IS NOT NULL");
                removed += transaction.execute(&sql, [])?;
            }
        }
        removed += close_approvals(&transaction)?;
    }
    transaction.commit()?;
    let roots = connection
        .prepare("SELECT rootpage FROM main.sqlite_schema WHERE rootpage > 0")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<u32>>>()?;
    Ok((u64::try_from(removed).unwrap_or(u64::MAX), roots))
}

/// Takes the token out of the approvals, as the host does when it makes a backup. What cannot be read allows nothing then.
fn close_approvals(connection: &Connection) -> rusqlite::Result<usize> {
    if !has_column(connection, APPROVALS_TABLE, "raw_json")? {
        return Ok(0);
    }
    let counted = has_column(connection, APPROVALS_TABLE, "has_socket_token")?;
    let counted = if counted { ", has_socket_token = 0" } else { "" };
    // The host writes this field indented, and reads any form.
    let sql = format!(
        "UPDATE main.{APPROVALS_TABLE} SET raw_json = CASE WHEN json_valid(raw_json)
         THEN json_remove(raw_json, '$.socket.token') ELSE ?1 END{counted}
         WHERE NOT json_valid(raw_json) OR json_type(raw_json, '$.socket.token') IS NOT NULL"
    );
    connection.execute(&sql, [CLOSED_APPROVALS])
}

/// Deletes the secret rows of [`SETTINGS_TABLE`]. All rows go and those that stay come back, because a
/// deletion of single rows leaves what they were before earlier updates in the unused part of their page.
fn delete_settings(connection: &Connection) -> rusqlite::Result<usize> {
    let without_rowid = connection.query_row(
        "SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main'",
        [SETTINGS_TABLE],
        |row| row.get::<_, bool>(0),
    )?;
    let mut columns = connection
        .prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid")?
        .query_map([SETTINGS_TABLE], |row| row.get::<_, String>(0))?
        .map(|name| name.map(|name| quoted(&name)))
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let key = connection.query_row(
        "SELECT name FROM pragma_table_xinfo(?1) WHERE name = 'state_key' OR pk = 1 ORDER BY name <> 'state_key'",
        [SETTINGS_TABLE],
        |row| row.get::<_, String>(0),
    )?;
    if !without_rowid {
        columns.push("rowid".to_owned());
    }
    let from: Vec<String> =
        columns.iter().enumerate().map(|(i, column)| format!("{column} AS c{i}")).collect();
    let back: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let secret: Vec<String> = SECRET_SETTINGS
        .iter()
        .map(|glob| format!("CAST({} AS TEXT) GLOB '{glob}'", quoted(&key)))
        .collect();
    // `IS NOT TRUE`: a row without a key is no secret.
    let kept = format!(
        "CREATE TEMP TABLE b2_kept AS SELECT {} FROM main.{SETTINGS_TABLE} WHERE ({}) IS NOT TRUE",
        from.join(", "),
        secret.join(" OR ")
    );
    connection.execute(&kept, [])?;
    let deleted = connection.execute(&format!("DELETE FROM main.{SETTINGS_TABLE}"), [])?;
    let insert = format!(
        "INSERT INTO main.{SETTINGS_TABLE} ({}) SELECT {} FROM temp.b2_kept ORDER BY {}",
        columns.join(", "),
        back.join(", "),
        if without_rowid { "1".to_owned() } else { format!("c{}", columns.len() - 1) }
    );
    let inserted = connection.execute(&insert, [])?;
    connection.execute_batch("DROP TABLE temp.b2_kept")?;
    Ok(deleted.saturating_sub(inserted))
}
