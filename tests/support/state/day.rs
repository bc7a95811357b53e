//! One day of use of a state: appended transcripts, edited notes, re-indexed memory, a changed configuration.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "amounts are drawn from distributions over real numbers"
)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use serde_json::Value;

use super::database::{
    EVENTS_SCHEMA, Events, MEMORY_SCHEMA, MemoryIndex, Passage, Precision, STATE_SCHEMA,
    checkpoint, leave_in_wal, open, put_events, put_values,
};
use super::documents::{config, session_list};
use super::rng::Rng;
use super::text::Text;
use super::transcript::{EPOCH_MS, Transcript};
use super::tree::Tree;
use super::{Live, Result, files_in};

const DAY_MS: u64 = 86_400_000;
const SESSIONS: &str = "agents/main/sessions";

/// Which day to live through.
#[derive(Debug, Clone)]
pub(crate) struct DayOptions {
    pub(crate) seed: u64,
    /// The state's own seed: the day is written in its vocabulary.
    pub(crate) state_seed: u64,
    /// Scales the amounts of text appended.
    pub(crate) scale: f64,
    /// Whether the databases keep a live write-ahead log.
    pub(crate) wal: bool,
}

/// How much the transcripts grow.
#[derive(Debug)]
struct Growth {
    appended: Vec<usize>,
    new_session: usize,
}

/// Changes the state under `root` by one day and returns its open databases.
pub(crate) fn day(root: &Path, options: &DayOptions) -> Result<Live> {
    let mut rng = Rng::new(options.seed.wrapping_mul(1_000_003).wrapping_add(17));
    let text = Text::new(options.state_seed);
    // Files of the first 200 days are stamped by `generate`; both stay in the past.
    let now_ms = EPOCH_MS + (250 + options.seed) * DAY_MS;
    let mut tree = Tree::new(root, now_ms);
    let growth = grow(&mut rng, options.scale);
    let legacy = !files_in(&root.join(SESSIONS), "jsonl")?.is_empty();
    if legacy {
        append_transcripts(&mut tree, &text, &mut rng, &growth, now_ms)?;
    }
    edit_notes(&mut tree, &text, &mut rng, options.seed)?;
    let mut live = Live::default();
    for path in databases(root)? {
        let connection = update_database(&path, &text, &mut rng, &growth, now_ms, options.seed)?;
        leave_in_wal(&connection, &options.seed.to_string())?;
        if options.wal {
            live.0.push(connection);
        }
    }
    let shared = root.join("state/openclaw.sqlite");
    if shared.exists() {
        let connection = open(&shared, STATE_SCHEMA)?;
        put_values(&connection, &text, &mut rng, 40)?;
        checkpoint(&connection)?;
    }
    rotate_config(&mut tree, &mut rng, options.seed)?;
    run_cron(&mut tree, &mut rng, now_ms)?;
    delete_two(root, &mut rng, legacy)?;
    Ok(live)
}

fn grow(rng: &mut Rng, scale: f64) -> Growth {
    let count = rng.between(3, 5);
    let appended =
        (0..count).map(|_| (scale * rng.log_normal(12.9, 0.9).clamp(1e5, 2e6)) as usize).collect();
    Growth { appended, new_session: (scale * rng.between(100_000, 900_000) as f64) as usize }
}

/// The agents' databases of either layout, sorted by path.
fn databases(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for agent in fs::read_dir(root.join("agents"))? {
        let agent = agent?.path();
        found.extend(files_in(&agent.join("memory"), "sqlite")?);
        let unified = agent.join("agent/openclaw-agent.sqlite");
        if unified.exists() {
            found.push(unified);
        }
    }
    found.sort();
    Ok(found)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn append_transcripts(
    tree: &mut Tree,
    text: &Text,
    rng: &mut Rng,
    growth: &Growth,
    now_ms: u64,
) -> Result<()> {
    let folder = tree.path(SESSIONS);
    let mut files = files_in(&folder, "jsonl")?;
    // The monster session is in use every day.
    files.sort_by_key(|file| std::cmp::Reverse(fs::metadata(file).map_or(0, |is| is.len())));
    let mut picked: Vec<PathBuf> = files.iter().take(1).cloned().collect();
    let mut others = files.split_off(1.min(files.len()));
    others.sort();
    picked.extend(rng.sample(&others, growth.appended.len() - 1));
    for (file, bytes) in picked.iter().zip(&growth.appended) {
        let parent = Some(rng.hex(8));
        tree.append(file, |out| {
            Transcript::new(text, rng, &stem(file), parent, now_ms).write(out, *bytes, false)
        })?;
    }
    let id = rng.uuid();
    let new = folder.join(format!("{id}.jsonl"));
    tree.append(&new, |out| {
        Transcript::new(text, rng, &id, None, now_ms).write(out, growth.new_session, true)
    })?;
    let listed: Vec<String> =
        files_in(&folder, "jsonl")?.iter().take(80).map(|file| stem(file)).collect();
    tree.write(&format!("{SESSIONS}/sessions.json"), session_list(rng, text, &listed)?)
}

fn edit_notes(tree: &mut Tree, text: &Text, rng: &mut Rng, seed: u64) -> Result<()> {
    let notes = files_in(&tree.path("workspace/memory"), "md")?;
    let mut names: Vec<String> = rng
        .sample(&notes, 4)
        .iter()
        .map(|note| format!("workspace/memory/{}.md", stem(note)))
        .collect();
    names.push("workspace/MEMORY.md".to_owned());
    for name in names {
        let mut body = fs::read_to_string(tree.path(&name))?;
        let (at, length) = (rng.between(0, body.len()), rng.between(40, 800));
        body.insert_str(at, &format!("\n- {}\n", text.prose(rng, length)));
        tree.write(&name, body)?;
    }
    tree.write(
        &format!("workspace/memory/2027-day-{seed:03}.md"),
        format!("# day\n\n{}", text.prose(rng, 2500)),
    )
}

fn update_database(
    path: &Path,
    text: &Text,
    rng: &mut Rng,
    growth: &Growth,
    now_ms: u64,
    seed: u64,
) -> Result<Connection> {
    let unified = path.ends_with("agent/openclaw-agent.sqlite");
    let precision = if unified { Precision::Double } else { Precision::Single };
    let schema =
        if unified { format!("{MEMORY_SCHEMA}{EVENTS_SCHEMA}") } else { MEMORY_SCHEMA.to_owned() };
    let connection = open(path, &schema)?;
    if unified && path.components().any(|part| part.as_os_str() == "main") {
        connection.execute_batch("BEGIN")?;
        append_events(&connection, text, rng, growth)?;
        connection.execute_batch("COMMIT")?;
    }
    let rows: i64 = connection.query_row("SELECT count(*) FROM chunks", [], |row| row.get(0))?;
    let wanted = (rows as f64 * (0.010 + 0.010 * rng.unit())) as usize;
    connection.execute_batch("BEGIN")?;
    let mut index = MemoryIndex::new(&connection, precision)?;
    let done = reindex(&connection, &mut index, text, rng, wanted / 2, now_ms)?;
    let ids = column(&connection, "SELECT id FROM chunks ORDER BY id")?;
    let mut update = connection
        .prepare("UPDATE chunks SET hash=?, text=?, embedding=?, updated_at=? WHERE id=?")?;
    for id in rng.sample(&ids, wanted.saturating_sub(done)) {
        let passage = Passage::new(text, rng, precision);
        update.execute(params![
            passage.hash,
            passage.text,
            passage.embedding,
            now_ms as i64,
            id
        ])?;
    }
    drop(update);
    let (inserts, mut inserted) = (((rows as f64 * 0.005) as usize).max(4), 0);
    while inserted < inserts {
        let passages = rng.between(1, 16);
        index.add(text, rng, &format!("memory/day{seed}-{inserted}.md"), passages, now_ms)?;
        inserted += passages;
    }
    drop(index);
    connection.execute_batch("COMMIT")?;
    checkpoint(&connection)?;
    Ok(connection)
}

fn append_events(
    connection: &Connection,
    text: &Text,
    rng: &mut Rng,
    growth: &Growth,
) -> Result<()> {
    let sessions = column(connection, "SELECT session_id FROM session_nodes ORDER BY session_id")?;
    for (session, bytes) in
        rng.sample(&sessions, growth.appended.len()).iter().zip(&growth.appended)
    {
        let last: i64 = connection.query_row(
            "SELECT max(seq) FROM transcript_events WHERE session_id=?",
            [session],
            |row| row.get(0),
        )?;
        put_events(
            connection,
            text,
            rng,
            &Events { session, bytes: *bytes, cold: false, from: last + 1 },
        )?;
    }
    let session = rng.uuid();
    put_events(
        connection,
        text,
        rng,
        &Events { session: &session, bytes: growth.new_session, cold: false, from: 0 },
    )
}

/// Re-indexes whole notes, deleting their rows and inserting new ones, until `wanted` rows are done.
fn reindex(
    connection: &Connection,
    index: &mut MemoryIndex<'_>,
    text: &Text,
    rng: &mut Rng,
    wanted: usize,
    now_ms: u64,
) -> Result<usize> {
    // One scan instead of one for every note: the full-text table has no index on the path.
    let mut words: HashMap<String, Vec<i64>> = HashMap::new();
    let mut scan = connection.prepare("SELECT rowid, path FROM chunks_fts")?;
    let mut found = scan.query([])?;
    while let Some(row) = found.next()? {
        words.entry(row.get(1)?).or_default().push(row.get(0)?);
    }
    drop(found);
    let paths = column(connection, "SELECT path FROM files ORDER BY path")?;
    let mut forget = connection.prepare("DELETE FROM chunks_fts WHERE rowid=?")?;
    let mut delete = connection.prepare("DELETE FROM chunks WHERE path=?")?;
    let mut done = 0;
    while done < wanted && !words.is_empty() {
        let path = rng.pick(&paths);
        let Some(rowids) = words.remove(path) else { continue };
        for rowid in &rowids {
            forget.execute([rowid])?;
        }
        delete.execute([path])?;
        let passages = (rowids.len() + rng.between(0, 2)).saturating_sub(1).max(1);
        index.add(text, rng, path, passages, now_ms)?;
        done += rowids.len();
    }
    Ok(done)
}

fn column(connection: &Connection, query: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

fn rotate_config(tree: &mut Tree, rng: &mut Rng, seed: u64) -> Result<()> {
    for (from, to) in [(".bak.1", ".bak.2"), (".bak", ".bak.1"), ("", ".bak")] {
        fs::rename(
            tree.path(&format!("openclaw.json{from}")),
            tree.path(&format!("openclaw.json{to}")),
        )?;
    }
    tree.write_mode("openclaw.json", config(rng, 10 + seed)?, 0o600)
}

fn run_cron(tree: &mut Tree, rng: &mut Rng, now_ms: u64) -> Result<()> {
    let mut list: Value = serde_json::from_slice(&fs::read(tree.path("cron/jobs.json"))?)?;
    for job in list.get_mut("jobs").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(last) = job.pointer_mut("/state/lastRunAtMs") {
            *last = Value::from(now_ms + rng.between(0, 86_400_000) as u64);
        }
    }
    tree.write("cron/jobs.json", serde_json::to_string_pretty(&list)?)
}

/// One small transcript, or note where there are none, and one screenshot.
fn delete_two(root: &Path, rng: &mut Rng, legacy: bool) -> Result<()> {
    let texts = if legacy {
        files_in(&root.join(SESSIONS), "jsonl")?
    } else {
        files_in(&root.join("workspace/memory"), "md")?
    };
    let small: Vec<PathBuf> = texts
        .into_iter()
        .filter(|file| fs::metadata(file).is_ok_and(|is| is.len() < 60_000))
        .collect();
    for files in [small, files_in(&root.join("workspace/shots"), "")?] {
        if !files.is_empty() {
            fs::remove_file(rng.pick(&files))?;
        }
    }
    Ok(())
}
