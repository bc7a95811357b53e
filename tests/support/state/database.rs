//! The `SQLite` databases of a state: memory index and, in the newer layout, transcripts.
#![expect(clippy::cast_possible_wrap, reason = "SQLite's integers are signed")]

use std::path::Path;

use rusqlite::{Connection, Statement, params};
use sha2::{Digest, Sha256};

use super::Result;
use super::rng::Rng;
use super::text::Text;
use super::transcript::{EPOCH_MS, Transcript};

const PAGE_BYTES: usize = 4096;
/// Of an `OpenAI` text-embedding-3-small vector.
const DIMENSIONS: usize = 1536;

pub(crate) const MEMORY_SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files(path TEXT PRIMARY KEY, source TEXT NOT NULL DEFAULT 'memory', hash TEXT NOT NULL, mtime INTEGER NOT NULL, size INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS chunks(id TEXT PRIMARY KEY, path TEXT NOT NULL, source TEXT NOT NULL DEFAULT 'memory', start_line INTEGER NOT NULL,
  end_line INTEGER NOT NULL, hash TEXT NOT NULL, model TEXT NOT NULL, text TEXT NOT NULL, embedding BLOB NOT NULL, updated_at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS idx_chunks_path ON chunks(path);
CREATE VIRTUAL TABLE IF NOT EXISTS chunks_fts USING fts5(text, id UNINDEXED, path UNINDEXED);
";
pub(crate) const EVENTS_SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS session_nodes(session_id TEXT PRIMARY KEY, entry_json TEXT NOT NULL, updated_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS transcript_events(session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_id TEXT, event_json TEXT, event_z BLOB, raw_bytes INTEGER NOT NULL, PRIMARY KEY(session_id, seq));
CREATE INDEX IF NOT EXISTS idx_te_event ON transcript_events(event_id);
CREATE VIRTUAL TABLE IF NOT EXISTS session_transcript_fts USING fts5(text);
";
pub(crate) const STATE_SCHEMA: &str = "CREATE TABLE IF NOT EXISTS kv(k TEXT PRIMARY KEY, v TEXT);";

/// Opens as the gateway does: small pages, write-ahead log.
pub(crate) fn open(path: &Path, schema: &str) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=1000;",
    )?;
    connection.execute_batch(schema)?;
    Ok(connection)
}

/// Moves everything into the main file and empties the write-ahead log.
pub(crate) fn checkpoint(connection: &Connection) -> Result<()> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}

/// Writes one row that stays in the write-ahead log.
pub(crate) fn leave_in_wal(connection: &Connection, value: &str) -> Result<()> {
    connection.execute("INSERT OR REPLACE INTO meta VALUES('last_sync',?)", [value])?;
    Ok(())
}

pub(crate) fn database_bytes(connection: &Connection) -> Result<usize> {
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    Ok(usize::try_from(pages)? * PAGE_BYTES)
}

/// How an embedding is stored: the older layout as `f32`, the newer as `f64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    Single,
    Double,
}

impl Precision {
    /// Random mantissas under the sign and exponent bytes of a unit vector's components.
    pub(crate) fn embedding(self, rng: &mut Rng) -> Vec<u8> {
        match self {
            Self::Single => {
                let mut bytes = rng.bytes(4 * DIMENSIONS);
                for value in bytes.chunks_exact_mut(4) {
                    if let [_, _, _, top] = value {
                        let rank = *top & 0x7f;
                        let exponent = match rank {
                            0..28 => 0x3d,
                            28..97 => 0x3c,
                            97..120 => 0x3b,
                            _ => 0x3a,
                        };
                        *top = exponent | ((rank & 1) << 7);
                    }
                }
                bytes
            }
            Self::Double => {
                let mut bytes = rng.bytes(8 * DIMENSIONS);
                for value in bytes.chunks_exact_mut(8) {
                    if let [_, _, _, _, _, _, next, top] = value {
                        *top = 0x3f | (*top & 0x80);
                        let exponent = match *next {
                            0..56 => 0xa0,
                            56..150 => 0x90,
                            150..220 => 0x80,
                            _ => 0x70,
                        };
                        *next = exponent | (*next & 15);
                    }
                }
                bytes
            }
        }
    }
}

/// One indexed passage of a note.
#[derive(Debug)]
pub(crate) struct Passage {
    pub(crate) text: String,
    pub(crate) hash: String,
    pub(crate) embedding: Vec<u8>,
}

impl Passage {
    pub(crate) fn new(text: &Text, rng: &mut Rng, precision: Precision) -> Self {
        let length = rng.between(700, 1700);
        let text = text.prose(rng, length);
        let hash = hex::encode(Sha256::digest(text.as_bytes()));
        Self { text, hash, embedding: precision.embedding(rng) }
    }
}

/// Writes notes into a memory index through statements prepared once.
#[derive(Debug)]
pub(crate) struct MemoryIndex<'c> {
    file: Statement<'c>,
    chunk: Statement<'c>,
    words: Statement<'c>,
    precision: Precision,
}

impl<'c> MemoryIndex<'c> {
    pub(crate) fn new(connection: &'c Connection, precision: Precision) -> Result<Self> {
        Ok(Self {
            file: connection.prepare("INSERT OR REPLACE INTO files VALUES(?,?,?,?,?)")?,
            chunk: connection
                .prepare("INSERT OR REPLACE INTO chunks VALUES(?,?,?,?,?,?,?,?,?,?)")?,
            words: connection.prepare("INSERT INTO chunks_fts(text,id,path) VALUES(?,?,?)")?,
            precision,
        })
    }

    pub(crate) fn add(
        &mut self,
        text: &Text,
        rng: &mut Rng,
        path: &str,
        passages: usize,
        now_ms: u64,
    ) -> Result<()> {
        let now = now_ms as i64;
        self.file.execute(params![path, "memory", rng.hex(64), now, (passages * 1200) as i64])?;
        for index in 0..passages {
            let passage = Passage::new(text, rng, self.precision);
            let id = hex::encode(Sha256::digest(format!("{path}{index}{}", passage.hash)));
            let source = if rng.chance(0.6) { "memory" } else { "sessions" };
            let line = (index * 20) as i64;
            self.chunk.execute(params![
                id,
                path,
                source,
                line + 1,
                line + 20,
                passage.hash,
                "text-embedding-3-small",
                passage.text,
                passage.embedding,
                now
            ])?;
            self.words.execute(params![passage.text, id, path])?;
        }
        Ok(())
    }
}

/// What to append to one session's events.
#[derive(Debug)]
pub(crate) struct Events<'a> {
    pub(crate) session: &'a str,
    pub(crate) bytes: usize,
    /// Cold sessions keep their longer events compressed and out of the word index.
    pub(crate) cold: bool,
    /// The first sequence number; a new session starts at 0 with a header.
    pub(crate) from: i64,
}

/// Appends events to a session of the newer layout.
pub(crate) fn put_events(
    connection: &Connection,
    text: &Text,
    rng: &mut Rng,
    events: &Events<'_>,
) -> Result<()> {
    let mut insert = connection.prepare("INSERT INTO transcript_events VALUES(?,?,?,?,?,?)")?;
    let mut words = connection.prepare("INSERT INTO session_transcript_fts(text) VALUES(?)")?;
    let mut transcript = Transcript::new(text, rng, events.session, None, EPOCH_MS);
    let mut first = (events.from == 0).then(|| transcript.header());
    let mut sequence = events.from;
    let mut written = 0;
    while written < events.bytes {
        let line = first.take().unwrap_or_else(|| transcript.next_line());
        let length = line.json.len();
        let (plain, packed) = if events.cold && length > 512 {
            (None, Some(zstd::bulk::compress(line.json.as_bytes(), 3)?))
        } else {
            (Some(line.json.as_str()), None)
        };
        insert.execute(params![events.session, sequence, line.id, plain, packed, length as i64])?;
        if !events.cold && length < 3000 {
            words.execute([line.json.get(100..length.min(1200))])?;
        }
        sequence += 1;
        written += length;
    }
    let summary = text.prose(transcript.rng, 600);
    let entry =
        format!(r#"{{"sessionId": "{}", "n": {sequence}, "s": "{summary}"}}"#, events.session);
    connection.execute(
        "INSERT OR REPLACE INTO session_nodes VALUES(?,?,?)",
        params![events.session, entry, EPOCH_MS as i64 + sequence],
    )?;
    Ok(())
}

/// Indexes notes until the database has `bytes`.
pub(crate) fn fill_memory(
    connection: &Connection,
    text: &Text,
    rng: &mut Rng,
    precision: Precision,
    bytes: usize,
) -> Result<()> {
    connection.execute(
        "INSERT OR REPLACE INTO meta VALUES('memory_index_meta_v1',?)",
        [r#"{"model": "text-embedding-3-small", "provider": "openai", "chunkTokens": 400, "dims": 1536}"#],
    )?;
    let mut index = MemoryIndex::new(connection, precision)?;
    // A small database is looked at after every note, so as not to overshoot.
    let batch = if bytes < 8_000_000 { 1 } else { 12 };
    let mut note = 0_u64;
    loop {
        connection.execute_batch("BEGIN")?;
        for _ in 0..batch {
            let passages = rng.between(1, 16);
            index.add(
                text,
                rng,
                &format!("memory/{note:05}.md"),
                passages,
                EPOCH_MS + note * 60_000,
            )?;
            note += 1;
        }
        connection.execute_batch("COMMIT")?;
        if database_bytes(connection)? >= bytes {
            return Ok(());
        }
    }
}

/// Puts `count` rows into the state-wide key-value table.
pub(crate) fn put_values(
    connection: &Connection,
    text: &Text,
    rng: &mut Rng,
    count: usize,
) -> Result<()> {
    connection.execute_batch("BEGIN")?;
    let mut insert = connection.prepare("INSERT OR REPLACE INTO kv VALUES(?,?)")?;
    for _ in 0..count {
        insert.execute([rng.uuid(), text.prose(rng, 500)])?;
    }
    Ok(connection.execute_batch("COMMIT")?)
}
