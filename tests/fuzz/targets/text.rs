//! What people type or configure, and names of files.

use std::path::Path;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use b2_backup::entry::{EntryKind, RelPath};
use b2_backup::format::{Entry, EntryFlags, RecoveryCode, RootRecord};
use b2_backup::ops::probe;
use b2_backup::source::RootKind;
use b2_backup::source::host_config;
use b2_backup::source::policy::{Decision, Policy, Standing};
use b2_backup::store::as_of;

use super::choice;

pub fn recovery_code(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match RecoveryCode::parse(&text) {
        Ok(code) => {
            let (secret, shown) = (code.secret().expose(), code.shown());
            assert_eq!(secret.len(), 35);
            for typed in [secret, shown.expose(), &shown.expose().to_lowercase()] {
                assert_eq!(RecoveryCode::parse(typed).unwrap().secret().expose(), secret);
            }
        }
        Err(wrong) => assert!(wrong.0.len() < 200 && wrong.0.is_ascii(), "{wrong:?}"),
    }
}

pub fn recovery_code_seeds() -> Vec<Vec<u8>> {
    let good = "01230-4567M-89AB9-CDEFS-GHJKJ-MNPQ6-RSTVV";
    let typed = " o123o\u{2013}4567m 89ab9\ncdefs ghjkj mnpq6 rstvv";
    vec![good.into(), typed.into(), good.replace('-', "").into()]
}

pub fn paths(data: &[u8]) {
    let path = RelPath::from_bytes(data.to_vec());
    let shown = path.escaped();
    assert_eq!(unescaped(&shown), data);
    let slashes = data.split(|byte| *byte == b'/').count() - 1;
    assert_eq!(path.above().count(), slashes);
    let [exact, folding, windows] = probe::names(Path::new("/home/me/.openclaw"), &path);
    // What Windows takes macOS takes, and what macOS takes Linux takes.
    assert!(windows.is_err() || folding.is_ok());
    assert!(folding.is_err() || exact.is_ok());
    if let Ok(name) = windows {
        assert_eq!(name, folding.unwrap());
        for part in std::str::from_utf8(data).unwrap().split('/') {
            assert!(!part.ends_with(['.', ' ']) && !part.contains(['\\', ':', '*', '\u{1}']));
            assert!(!["con", "NUL.txt", "Com1", "lpt9.a"].contains(&part), "{part}");
        }
    }
}

/// What `RelPath::escaped` was made of, read by its description.
fn unescaped(shown: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), shown);
    while let Some((plain, after)) = rest.split_once('\\') {
        out.extend_from_slice(plain.as_bytes());
        rest = match after.strip_prefix('x') {
            Some(hex) => {
                out.push(u8::from_str_radix(&hex[..2], 16).unwrap());
                &hex[2..]
            }
            None => {
                out.push(b'\\');
                after.strip_prefix('\\').unwrap()
            }
        };
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

pub fn paths_seeds() -> Vec<Vec<u8>> {
    [
        &b"workspace/notes/a b.md"[..],
        b"../x",
        b"a\\b\x01\xff\xc3",
        b"NUL.txt",
        b"aux ",
        "Stra\u{df}e/\u{e9}/e\u{301}".as_bytes(),
        b"B2-BAC~1/x",
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

/// Paths and globs, a line each.
pub fn selection(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let wanted: Vec<String> = text.lines().take(8).map(ToOwned::to_owned).collect();
    let all = entries();
    let Ok(chosen) = probe::selected(&wanted, all.clone(), &roots()) else { return };
    assert!(chosen.iter().all(|entry| all.contains(entry)));
    assert!(!wanted.is_empty() || chosen == all);
    // A path by its own name is always meant.
    for path in &wanted {
        let exact = all.iter().filter(|entry| entry.path.as_bytes() == path.as_bytes());
        assert!(exact.into_iter().all(|entry| chosen.contains(entry)), "{path}");
    }
}

fn roots() -> Vec<RootRecord> {
    let root = |kind, path: &str| RootRecord { kind, path: path.into(), at: None };
    vec![root(0, "/home/me/.openclaw"), root(1, "/ws")]
}

fn entries() -> Vec<Entry> {
    let one = |(root, path): (u16, &[u8])| Entry {
        root,
        path: RelPath::from_bytes(path.to_vec()),
        kind: if path.ends_with(b"s") { EntryKind::Directory } else { EntryKind::File },
        mode: 0,
        mtime_ns: 0,
        size: 0,
        sha256: [0; 32],
        runs: vec![],
        flags: EntryFlags::default(),
        target: vec![],
    };
    let paths: [(u16, &[u8]); 6] = [
        (0, b"notes"),
        (0, b"notes/a.md"),
        (0, b"notes/odd[name.md"),
        (0, b"notes/\xff\n*"),
        (1, b"notes"),
        (1, b"notes/{a,b}.md"),
    ];
    paths.map(one).to_vec()
}

pub fn selection_seeds() -> Vec<Vec<u8>> {
    ["notes/a.md", "notes/*.md\n/ws/**", "odd[name", "{a,{b,c}}/[!x-z]?", "/ws/notes/", "**/*"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

/// Which root, which kind, and a path.
pub fn policy(data: &[u8]) {
    static POLICIES: OnceLock<[Policy; 2]> = OnceLock::new();
    let globs = ["logs/**".to_owned(), "**/*.sqlite-wal".into(), "b2-backup/**".into()];
    let policies = POLICIES.get_or_init(|| {
        let exclude = ["workspace/tmp".to_owned()];
        [Policy::new(&[], &[], false).unwrap(), Policy::new(&globs, &exclude, true).unwrap()]
    });
    let (how, path) = choice(data);
    let kinds = [RootKind::State, RootKind::Workspace, RootKind::AgentDir, RootKind::Config];
    let (root, path) = (kinds[usize::from(how & 3)], RelPath::from_bytes(path.to_vec()));
    let kind = if how & 4 == 0 { EntryKind::File } else { EntryKind::Directory };
    for policy in policies {
        let (decision, standing) =
            (policy.decide(root, &path, kind), policy.standing(root, &path, kind));
        // What may never be written is in no snapshot either; what is left out of snapshots is not written.
        assert!(standing.is_some() || decision == Decision::Include, "{path}");
        if matches!(standing, Some((Standing::Never, _))) {
            assert_ne!(decision, Decision::Include, "{path}");
        }
        let ours = path.as_bytes() == b"b2-backup" || path.as_bytes().starts_with(b"b2-backup/");
        if root == RootKind::State && ours {
            assert!(matches!(standing, Some((Standing::Never, _))), "{path}");
            assert_ne!(decision, Decision::Include, "{path}");
        }
        let _prunes = policy.prunes(root, &path);
        let _reason =
            policy.marks_private(root, path.as_bytes(), b".openclaw-private-update-capture");
    }
}

pub fn policy_seeds() -> Vec<Vec<u8>> {
    [
        "\0b2-backup/repositories/x/key",
        "\0state/openclaw.sqlite-wal",
        "\x04agents/main/agent",
        "\x01.git/refs/heads/a.lock",
        "\0workspace/tmp/a",
        "\x02auth-profiles.json",
        "\0logs/gateway.log",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// The configuration in a snapshot, a NUL, the live one.
pub fn configuration(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (snapshot, live) =
        (&data[..end], String::from_utf8_lossy(data.get(end + 1..).unwrap_or_default()));
    let merged = probe::config(snapshot, &live);
    if merged != snapshot {
        // What is written instead is read again, and as the same.
        assert_eq!(probe::config(&merged, &live), merged);
    }
    // As a file, with what it includes. Nothing here may name files of the machine that runs this.
    if !data.windows(8).any(|part| part == b"$include") && !data.contains(&b'\\') {
        static FILE: OnceLock<std::path::PathBuf> = OnceLock::new();
        let path = FILE.get_or_init(|| {
            let shm = Path::new("/dev/shm");
            let dir = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
            dir.join(format!("b2-fuzz-{}.json", std::process::id()))
        });
        std::fs::write(path, snapshot).unwrap();
        let config = host_config::read(path, Some(Path::new("/home/me")));
        std::fs::remove_file(path).unwrap();
        assert!(config.workspaces.iter().chain(&config.agent_dirs).all(|path| path.is_absolute()));
    }
}

pub fn configuration_seeds() -> Vec<Vec<u8>> {
    let live = r"{ gateway: { port: 1, auth: { token: 't' } }, plugins: { entries: { 'b2-backup': { x: 1 } },
        load: { paths: ['/p/b2-backup'] } }, auth: { profiles: { a: {} } } }";
    let snapshot = "\u{feff}{ // comment
        gateway: { port: 2, bind: 'x' }, plugins: { enabled: false, allow: ['y'], deny: ['b2-backup'] },
        agents: { defaults: { workspace: '/old/ws' }, list: [{ agentDir: '~' }] } }";
    vec![
        [snapshot, "\0", live].concat().into_bytes(),
        [live, "\0", snapshot].concat().into_bytes(),
        b"{\"a\":[[[[{}]]]], b: -Infinity, c: 0x1f}".to_vec(),
    ]
}

pub fn instant(data: &[u8]) {
    let Some(instant) = as_of::instant(&String::from_utf8_lossy(data)) else { return };
    let ms = match instant.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap(),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap(),
    };
    let shown = b2_backup::ops::iso_time(ms);
    // What is shown has four digits for the year.
    if !(-62_135_596_800_000..253_402_300_800_000).contains(&ms) {
        return;
    }
    let again = as_of::instant(&shown).unwrap();
    let apart = again.duration_since(instant).or_else(|_| instant.duration_since(again)).unwrap();
    assert!(apart.as_millis() <= 1, "{shown}");
}

pub fn instant_seeds() -> Vec<Vec<u8>> {
    [
        "2026-11-23T14:00:00Z",
        "2026-11-23T14:00:00.123456789+05:45",
        "-009999-01-02T01:59:59Z",
        "20261123T140000Z",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
