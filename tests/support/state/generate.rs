//! A new state of a given size, in the proportions of a real one.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::format_push_string,
    reason = "sizes are drawn from real numbers; appending with format! cannot fail as write! might"
)]

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::database::{
    EVENTS_SCHEMA, Events, MEMORY_SCHEMA, Precision, STATE_SCHEMA, checkpoint, fill_memory,
    leave_in_wal, open, put_events, put_values,
};
use super::documents::{config, session_list};
use super::rng::Rng;
use super::text::Text;
use super::transcript::{EPOCH_MS, Transcript};
use super::tree::Tree;
use super::{Layout, Live, Result};

/// How much of the conversations in the newer layout is in cold sessions, by bytes. Kept by reckoning rather than by a
/// coin for each session: whether the few large ones are cold changes how far a whole state compresses.
const COLD_SHARE: f64 = 0.62;

/// What to generate.
#[derive(Debug, Clone)]
pub(crate) struct StateOptions {
    pub(crate) seed: u64,
    /// Megabytes (10^6) that a backup includes. From 5000 on: one database of 2 GB and 50,000 small files.
    pub(crate) mb: usize,
    pub(crate) layout: Layout,
    /// Emptied first.
    pub(crate) out: PathBuf,
    /// Whether the databases keep a live write-ahead log.
    pub(crate) wal: bool,
}

/// The amounts that depend on the size of the state.
#[derive(Debug)]
struct Shape {
    total_bytes: usize,
    notes: usize,
    asset_bytes: usize,
    database_bytes: usize,
    longest_transcript_bytes: usize,
    values: usize,
    agents: &'static [(&'static str, f64)],
}

impl Shape {
    fn new(mb: usize) -> Self {
        let total_bytes = mb * 1_000_000;
        let (notes, longest) = match mb {
            0..20 => (60, mb * 140_000),
            20..40 => (150, mb * 140_000),
            40..100 => (250, 7_000_000),
            100..400 => (500, 22_000_000),
            400..5000 => (900, 30_000_000),
            _ => (50_000, 30_000_000),
        };
        let huge = mb >= 5000;
        Self {
            total_bytes,
            notes,
            asset_bytes: total_bytes / 100 * if huge { 2 } else { 9 },
            database_bytes: total_bytes / 100 * 40,
            longest_transcript_bytes: longest,
            values: (mb * 30).min(1500),
            agents: if huge { &[("main", 1.0)] } else { &[("main", 0.8), ("ops", 0.2)] },
        }
    }
}

/// One session to be written.
#[derive(Debug)]
struct Session {
    agent: &'static str,
    id: String,
    bytes: usize,
}

/// Writes a state and returns its open databases.
pub(crate) fn generate(options: &StateOptions) -> Result<Live> {
    if options.out.exists() {
        fs::remove_dir_all(&options.out)?;
    }
    fs::create_dir_all(&options.out)?;
    let mut rng = Rng::new(options.seed);
    let text = Text::new(options.seed);
    let shape = Shape::new(options.mb);
    let mut tree = Tree::new(&options.out, EPOCH_MS);
    write_config(&mut tree, &mut rng)?;
    write_workspace(&mut tree, &text, &mut rng, &shape)?;
    write_assets(&mut tree, &text, &mut rng, shape.asset_bytes)?;
    write_cron_and_hooks(&mut tree, &text, &mut rng)?;
    write_excluded(&mut tree, &mut rng)?;
    let transcripts =
        shape.total_bytes.saturating_sub(tree.included_bytes + shape.database_bytes + 250_000);
    let sessions = make_sessions(&mut rng, transcripts, &shape);
    match options.layout {
        Layout::Legacy => write_legacy(&mut tree, &text, &mut rng, &shape, &sessions, options.wal),
        Layout::Db => write_db(&mut tree, &text, &mut rng, &shape, &sessions, options.wal),
    }
}

fn write_config(tree: &mut Tree, rng: &mut Rng) -> Result<()> {
    for (revision, suffix) in [(10, ""), (9, ".bak"), (8, ".bak.1"), (7, ".bak.2")] {
        tree.write_mode(&format!("openclaw.json{suffix}"), config(rng, revision)?, 0o600)?;
    }
    Ok(())
}

fn write_workspace(tree: &mut Tree, text: &Text, rng: &mut Rng, shape: &Shape) -> Result<()> {
    for (name, length) in [
        ("SOUL.md", 3000),
        ("AGENTS.md", 9000),
        ("USER.md", 1200),
        ("TOOLS.md", 2500),
        ("IDENTITY.md", 700),
        ("HEARTBEAT.md", 400),
        ("MEMORY.md", 14_000),
    ] {
        let body = text.prose(rng, length).replace(". ", ".\n\n");
        tree.write(&format!("workspace/{name}"), format!("# {name}\n\n{body}\n"))?;
    }
    for index in 0..shape.notes {
        let (month, day) = (index / 28, index % 28 + 1);
        let suffix =
            if month < 12 { String::new() } else { format!("-{}", text.word_at(200 + index)) };
        let date = format!("2026-{:02}-{day:02}", month % 12 + 1);
        let mut body = format!("# {date}\n");
        for _ in 0..(rng.log_normal(1.0, 0.8) as usize).max(1) {
            let (title, length) = (text.prose(rng, 30), rng.between(80, 900));
            body.push_str(&format!("\n## {title}\n\n- {}\n", text.prose(rng, length)));
        }
        // 50,000 notes lie in folders of a thousand, as a workspace of that size is not flat.
        let folder = if index < 1000 {
            String::new()
        } else {
            format!("archive/{:03}/{index}-", index / 1000)
        };
        tree.write(&format!("workspace/memory/{folder}{date}{suffix}.md"), body)?;
    }
    for index in 0..24 {
        let skill = format!("workspace/skills/{}", text.word_at(400 + 7 * index));
        let name = text.word_at(400 + 7 * index);
        let (long, short) = (rng.between(900, 7000), rng.between(500, 5000));
        let about = text.prose(rng, 90);
        let manual = text.prose(rng, long);
        tree.write(
            &format!("{skill}/SKILL.md"),
            format!("---\nname: {name}\ndescription: {about}\n---\n\n{manual}"),
        )?;
        let notes = format!("{skill}/references/{}/notes.md", text.word_at(900 + index));
        tree.write(&notes, text.prose(rng, short))?;
        let script = format!("#!/bin/sh\nset -e\n# {}\necho ok\n", text.prose(rng, 300));
        tree.write_mode(&format!("{skill}/scripts/run.sh"), script, 0o755)?;
    }
    fs::create_dir_all(tree.path("workspace/empty-dir"))?;
    #[cfg(unix)]
    std::os::unix::fs::symlink("MEMORY.md", tree.path("workspace/memory-link.md"))?;
    tree.write("workspace/na\u{ef}ve \u{65e5}\u{672c}\u{8a9e} & + % name.md", text.prose(rng, 900))
}

/// Screenshots, documents, audio: incompressible.
fn write_assets(tree: &mut Tree, text: &Text, rng: &mut Rng, bytes: usize) -> Result<()> {
    const KINDS: [(&str, &[u8]); 6] = [
        ("png", b"\x89PNG\r\n\x1a\n"),
        ("jpg", b"\xff\xd8\xff\xe0"),
        ("jpg", b"\xff\xd8\xff\xe0"),
        ("pdf", b"%PDF-1.7\n"),
        ("ogg", b"OggS"),
        ("webp", b"RIFF"),
    ];
    let mut left = bytes;
    let mut index = 0;
    while left > 0 {
        let length = (rng.log_normal(12.4, 1.0) as usize + 2000).min(left);
        let (extension, magic) = *rng.pick(&KINDS);
        let folder = *rng.pick(&["assets", "shots", "inbox/files"]);
        let name =
            format!("workspace/{folder}/{}-{index}.{extension}", text.word_at(300 + index % 3000));
        tree.write(&name, [magic, &rng.bytes(length)].concat())?;
        left -= length;
        index += 1;
    }
    Ok(())
}

fn write_cron_and_hooks(tree: &mut Tree, text: &Text, rng: &mut Rng) -> Result<()> {
    let jobs: Vec<Value> = (0..9)
        .map(|index| {
            json!({
                "id": rng.uuid(), "name": text.prose(rng, 24), "enabled": true,
                "schedule": {"kind": "cron", "expr": format!("{} {} * * *", rng.between(0, 59), rng.between(0, 23))},
                "payload": {"kind": "agentTurn", "message": text.prose(rng, 200)},
                "state": {"lastRunAtMs": EPOCH_MS + index},
            })
        })
        .collect();
    tree.write(
        "cron/jobs.json",
        serde_json::to_string_pretty(&json!({"version": 1, "jobs": jobs}))?,
    )?;
    for _ in 0..4 {
        let mut log = String::new();
        for day in 0..60_u64 {
            let (at, took) = (EPOCH_MS + day * 86_400_000, rng.between(100, 99_999));
            let summary = text.prose(rng, 80);
            log.push_str(&format!(
                "{{\"ts\": {at}, \"status\": \"ok\", \"durationMs\": {took}, \"summary\": \"{summary}\"}}\n"
            ));
        }
        tree.write(&format!("cron/runs/{}.jsonl", rng.uuid()), log)?;
    }
    for name in ["session-memory", "command-logger", "boot"] {
        let about = text.prose(rng, 500);
        tree.write(&format!("hooks/{name}/HOOK.md"), format!("---\nname: {name}\n---\n{about}"))?;
        let script = format!("#!/bin/sh\nexec logger \"$1\"\n# {}\n", text.prose(rng, 200));
        tree.write_mode(&format!("hooks/{name}/handler.sh"), script, 0o755)?;
        let source = rng.pick(&text.sources);
        tree.write(
            &format!("hooks/{name}/handler.ts"),
            format!("export default async (e) => {{}};\n//{source}"),
        )?;
    }
    Ok(())
}

/// What a backup must leave out.
fn write_excluded(tree: &mut Tree, rng: &mut Rng) -> Result<()> {
    for index in 0..4 {
        let key = format!(r#"{{"k": "{}"}}"#, rng.hex(400));
        tree.write_mode(&format!("credentials/whatsapp/default/creds-{index}.json"), key, 0o600)?;
    }
    let profiles = format!(
        r#"{{"profiles": {{"anthropic": {{"type": "token", "token": "{}"}}}}}}"#,
        rng.hex(80)
    );
    tree.write_mode("agents/main/agent/auth-profiles.json", profiles, 0o600)?;
    tree.write("devices/paired.json", format!(r#"{{"d": ["{}"]}}"#, rng.hex(40)))?;
    tree.write_mode(
        "identity/device.json",
        format!(r#"{{"deviceId": "{}"}}"#, rng.hex(64)),
        0o600,
    )?;
    tree.write("media/inbound/a.jpg", rng.bytes(400_000))?;
    tree.write("extensions/foo/node_modules/bar/index.js", "module.exports=1;\n".repeat(200))?;
    tree.write("agents/main/sessions/live.jsonl.lock", "{\"pid\":1}")?;
    tree.write("workspace/scratch.tmp", rng.bytes(5000))?;
    tree.write("gateway.lock", "1")
}

/// A long tail from 5 KB to one monster session. Six of ten are short cron, heartbeat or one-question sessions, the
/// rest is log-normal with a fat tail.
fn make_sessions(rng: &mut Rng, total: usize, shape: &Shape) -> Vec<Session> {
    let longest = shape.longest_transcript_bytes.min(total);
    let mut sizes = vec![longest];
    let mut left = total - longest;
    while left > 5000 {
        let size =
            if rng.chance(0.6) { rng.log_normal(10.0, 0.8) } else { rng.log_normal(12.7, 1.35) }
                as usize;
        let size = size.clamp(5000, longest.max(5000)).min(left);
        sizes.push(size);
        left -= size;
    }
    let lone = shape.agents.len() == 1;
    sizes
        .into_iter()
        .enumerate()
        .map(|(index, bytes)| {
            let agent = if index % 6 == 5 && !lone { "ops" } else { "main" };
            Session { agent, id: rng.uuid(), bytes }
        })
        .collect()
}

fn write_legacy(
    tree: &mut Tree,
    text: &Text,
    rng: &mut Rng,
    shape: &Shape,
    sessions: &[Session],
    wal: bool,
) -> Result<Live> {
    for (index, session) in sessions.iter().enumerate() {
        let path =
            tree.make_room(&format!("agents/{}/sessions/{}.jsonl", session.agent, session.id))?;
        let start_ms = EPOCH_MS + index as u64 * 3_600_000;
        tree.append(&path, |out| {
            Transcript::new(text, rng, &session.id, None, start_ms).write(out, session.bytes, true)
        })?;
    }
    let listed: Vec<String> = sessions
        .iter()
        .filter(|session| session.agent == "main")
        .take(80)
        .map(|session| session.id.clone())
        .collect();
    tree.write("agents/main/sessions/sessions.json", session_list(rng, text, &listed)?)?;
    let mut live = Live::default();
    for (agent, share) in shape.agents {
        let path = tree.make_room(&format!("agents/{agent}/memory/{agent}.sqlite"))?;
        let connection = open(&path, MEMORY_SCHEMA)?;
        let bytes = (shape.database_bytes as f64 * share) as usize;
        fill_memory(&connection, text, rng, Precision::Single, bytes)?;
        checkpoint(&connection)?;
        if wal {
            leave_in_wal(&connection, "0")?;
            live.0.push(connection);
        }
    }
    Ok(live)
}

fn write_db(
    tree: &mut Tree,
    text: &Text,
    rng: &mut Rng,
    shape: &Shape,
    sessions: &[Session],
    wal: bool,
) -> Result<Live> {
    let transcripts: usize = sessions.iter().map(|session| session.bytes).sum();
    let (mut seen_bytes, mut cold_bytes) = (0, 0);
    let mut live = Live::default();
    for (agent, share) in shape.agents {
        let path = tree.make_room(&format!("agents/{agent}/agent/openclaw-agent.sqlite"))?;
        let connection = open(&path, &format!("{MEMORY_SCHEMA}{EVENTS_SCHEMA}"))?;
        for session in sessions.iter().filter(|session| session.agent == *agent) {
            connection.execute_batch("BEGIN")?;
            let cold = (cold_bytes as f64) < COLD_SHARE * (seen_bytes + session.bytes) as f64;
            seen_bytes += session.bytes;
            cold_bytes += if cold { session.bytes } else { 0 };
            let events = Events { session: &session.id, bytes: session.bytes, cold, from: 0 };
            put_events(&connection, text, rng, &events)?;
            connection.execute_batch("COMMIT")?;
        }
        let bytes = ((shape.database_bytes + transcripts) as f64 * share) as usize;
        fill_memory(&connection, text, rng, Precision::Double, bytes)?;
        checkpoint(&connection)?;
        if wal {
            leave_in_wal(&connection, "0")?;
            live.0.push(connection);
        }
    }
    let connection = open(&tree.make_room("state/openclaw.sqlite")?, STATE_SCHEMA)?;
    put_values(&connection, text, rng, shape.values)?;
    checkpoint(&connection)?;
    Ok(live)
}
