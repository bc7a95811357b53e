//! Whether a database of the host holds anything of the user's. Reads the live database, through its log, and
//! changes nothing.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::connection::{failed, is_plain_table, quoted};
use super::{CaptureOptions, Patience, open_pinned};
use crate::error::Result;
use crate::source::database::Redact;

/// How long others may lock it.
const LOCKED: Duration = Duration::from_secs(30);

/// Tables of an agent's database that have rows before anybody spoke to the agent: its version, logins, and what
/// the host makes of the files in the workspace. As GLOB patterns of SQL, seen on OpenClaw 2026.9.6. A table that is
/// not here, such as one of a newer host, is the user's.
const MACHINERY: &[&str] = &[
    "schema_meta",
    "sqlite_*",
    "session_key_contract",
    "agent_database_leases",
    "auth_profile_*",
    "memory_index_*",
    // What full-text search keeps of other tables, and is not empty when they are.
    "*_fts_config",
    "*_fts_content",
    "*_fts_data",
    "*_fts_docsize",
    "*_fts_idx",
];

/// Whether an agent's database holds more than the host itself has put there.
///
/// `scratch` is a path that is free; the log of a process that was killed is played back there.
///
/// # Errors
/// `B2_DATABASE` when it cannot be read.
pub fn agent_was_used(database: &Path, scratch: &Path) -> Result<bool> {
    read(database, scratch, |connection| {
        let machinery: Vec<String> =
            MACHINERY.iter().map(|glob| format!("name GLOB '{glob}'")).collect();
        let sql = format!(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND NOT ({})",
            machinery.join(" OR ")
        );
        let tables: Vec<String> = connection
            .prepare(&sql)?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for table in tables {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM main.{})", quoted(&table));
            if connection.query_row(&sql, [], |row| row.get(0))? {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// What the shared database tells of a state: whether the user has jobs in it, and the files of workspaces that the
/// host has written there and nobody has changed, as name and SHA-256 in hex.
#[derive(Clone, Debug, Default)]
pub struct SharedContent {
    /// Whether there are jobs that the host did not make for itself.
    pub has_jobs: bool,
    /// Name and SHA-256 (hex) of the files that the host put into new workspaces.
    pub bootstrap: HashSet<(String, String)>,
}

/// Looks into the shared database; for `scratch` see [`agent_was_used`].
///
/// # Errors
/// `B2_DATABASE` when it cannot be read.
pub fn shared_content(database: &Path, scratch: &Path) -> Result<SharedContent> {
    read(database, scratch, |connection| {
        let mut content = SharedContent::default();
        if is_plain_table(connection, "cron_jobs")? {
            // The host's own jobs are declared under a key; older hosts know no keys, and have none of their own.
            let declared = super::prepare::has_column(connection, "cron_jobs", "declaration_key")?;
            let which = if declared { "declaration_key IS NULL" } else { "TRUE" };
            let sql = format!("SELECT EXISTS (SELECT 1 FROM main.cron_jobs WHERE {which})");
            content.has_jobs = connection.query_row(&sql, [], |row| row.get(0))?;
        }
        let table = "workspace_generated_bootstrap_hashes";
        if is_plain_table(connection, table)? {
            content.bootstrap = connection
                .prepare(&format!("SELECT filename, sha256 FROM main.{table}"))?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
        }
        Ok(content)
    })
}

fn read<T>(
    database: &Path,
    scratch: &Path,
    look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T> {
    let cancel = CancellationToken::new();
    let options = CaptureOptions { redact: Redact::None, deadline: LOCKED, cancel: &cancel };
    let patience = Patience { source: database, until: Instant::now() + LOCKED, options: &options };
    let (private, connection) = open_pinned(database, scratch, &patience)?;
    let found = look(&connection).map_err(|error| failed(database, scratch, error));
    drop(connection);
    drop(private);
    found
}
