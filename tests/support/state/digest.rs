//! What two states are compared by.
//!
//! Databases count by content, not by bytes: a restored copy has no write-ahead log and may have other pages. Their
//! modification times and those of folders and symlinks are left out, as nothing promises them.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::UNIX_EPOCH;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use sha2::{Digest as _, Sha256};

use super::{Result, excluded};

/// The included entries of a state, one line each, sorted by path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) entries: Vec<String>,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = Sha256::digest(self.entries.join("\n"));
        write!(f, "{} {} entries", hex::encode(hash), self.entries.len())
    }
}

/// Reads a state; `with_wal` is false to see only what the databases' main files hold, as a copy of the bare file does.
pub(crate) fn digest(root: &Path, with_wal: bool) -> Result<Digest> {
    let mut entries = Vec::new();
    walk(root, "", with_wal, &mut entries)?;
    entries.sort();
    Ok(Digest { entries })
}

fn walk(root: &Path, folder: &str, with_wal: bool, entries: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let relative =
            if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
        if excluded(&relative) {
            continue;
        }
        let path = root.join(&relative);
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_symlink() {
            entries.push(format!("{relative}\tsymlink\t{}", fs::read_link(&path)?.display()));
        } else if metadata.is_dir() {
            entries.push(format!("{relative}\tdirectory\t{}", mode(&metadata)));
            walk(root, &relative, with_wal, entries)?;
        } else if is_database(&path)? {
            let content = database(&path, with_wal)?;
            entries.push(format!("{relative}\tdatabase\t{}\t{content}", mode(&metadata)));
        } else {
            let modified = metadata.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
            let (bytes, content) = file(&path)?;
            entries.push(format!(
                "{relative}\tfile\t{}\t{modified}\t{bytes}\t{content}",
                mode(&metadata)
            ));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    format!("{:o}", metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> String {
    "-".to_owned()
}

fn file(path: &Path) -> Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let bytes = std::io::copy(&mut file, &mut HashWriter(&mut hash))?;
    Ok((bytes, hex::encode(hash.finalize())))
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn is_database(path: &Path) -> Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut head)?;
    Ok(head == b"SQLite format 3\0")
}

/// Hashes schema and rows of a private copy, so that the live database is neither locked nor checkpointed.
fn database(path: &Path, with_wal: bool) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy.sqlite");
    fs::copy(path, &copy)?;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if with_wal && Path::new(&wal).exists() {
        fs::copy(&wal, folder.path().join("copy.sqlite-wal"))?;
    }
    let connection = Connection::open(&copy)?;
    let integrity: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    let mut hash = Sha256::new();
    let mut tables = Vec::new();
    let mut schema = connection.prepare(
        "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_master ORDER BY type, name",
    )?;
    let mut rows = schema.query([])?;
    while let Some(row) = rows.next()? {
        add_row(&mut hash, row, 4)?;
        // A virtual table has no page of its own; its content lies in ordinary shadow tables.
        let (kind, root_page): (String, i64) = (row.get(0)?, row.get(4)?);
        if kind == "table" && root_page != 0 {
            tables.push(row.get::<_, String>(1)?);
        }
    }
    for table in &tables {
        add_table(&connection, &mut hash, table)?;
    }
    Ok(format!("{}\tintegrity {integrity}", hex::encode(hash.finalize())))
}

fn add_table(connection: &Connection, hash: &mut Sha256, table: &str) -> Result<()> {
    hash.update(table);
    let name = table.replace('"', "\"\"");
    // A table without rowid comes out in the order of its primary key, which is its storage.
    let mut statement = connection
        .prepare(&format!("SELECT * FROM \"{name}\" ORDER BY rowid"))
        .or_else(|_| connection.prepare(&format!("SELECT * FROM \"{name}\"")))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        add_row(hash, row, columns)?;
    }
    Ok(())
}

/// Adds the first `columns` values with type and length, so that no two rows run together.
fn add_row(hash: &mut Sha256, row: &Row<'_>, columns: usize) -> Result<()> {
    for column in 0..columns {
        let (kind, number);
        let bytes: &[u8] = match row.get_ref(column)? {
            ValueRef::Null => {
                kind = 0;
                &[]
            }
            ValueRef::Integer(value) => {
                (kind, number) = (1, value.to_le_bytes());
                &number
            }
            ValueRef::Real(value) => {
                (kind, number) = (2, value.to_le_bytes());
                &number
            }
            ValueRef::Text(text) => {
                kind = 3;
                text
            }
            ValueRef::Blob(blob) => {
                kind = 4;
                blob
            }
        };
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    Ok(())
}
