//! Secrets planted wherever one can lie, and looked for, byte by byte, in what a blank machine restores: the three classes
//! of docs/what-is-saved.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use b2_backup::secret::Secret;
use b2_backup::store::memory::MemoryStore;
use rusqlite::Connection;
use tempfile::tempdir;

use super::files_below;
use crate::support::machine::Machine;
use crate::support::plain::write;

/// Our own, and of before.
const KEY: &str = "K004ownApplicationKey/0123456789";
const KEY_BEFORE: &str = "K001keyOfBefore+0123456789abcdef";
const OLD_KEY: &str = "K002oldKeyInComment0123456789abc";
const OUR_PASSPHRASE: &str = "own words for \"this\" alone";
const CODE: &str = "01230-4567M-89AB9-CDEFS-GHJKJ-MNPQ6-RSTVV";

/// Files that OpenClaw itself treats as logins, identities and tokens, and their copies.
const LOGINS: &[&str] = &[
    "credentials/whatsapp/creds.json",
    "credentials.bak/whatsapp/creds.json",
    "identity/device.json",
    "identity.old/device.json",
    "devices/paired.json",
    "nodes/paired.json",
    "push/vapid.json",
    "secrets/store.json",
    "secrets.json",
    "secrets.json~",
    "secrets.json.bak.3",
    "gateway.token",
    "gateway.token.2026-11-01",
    "gateway.password",
    "exec-approvals.json",
    "exec-approvals.json.orig",
    "service-env/gateway.env",
    ".env",
    ".env.local",
    ".env~",
    "fleet/auth-profile-secrets/a.json",
    "config-journal-fingerprint.key",
    "agents/main/agent/auth.json",
    "agents/main/agent/auth.json.bak",
    "agents/main/agent/auth.json~",
    "agents/main/agent/.auth.json.swp",
    "agents/main/agent/codex-home/auth.json",
    "agents/main/agent/auth-profiles.json",
    "agents/main/agent/auth-profiles.json.bak",
    "agents/main/agent/auth-profiles (copy).json",
    "Copy of secrets.json",
    "secrets-old.json",
    ".env (copy)",
];
/// Files of the user that are known to hold secrets.
const OF_THE_USER: &[&str] = &[
    "workspace/.env",
    "workspace/.ssh/id_ed25519",
    "workspace/.ssh/config",
    "workspace/.git-credentials",
    "workspace/app/.npmrc",
    "workspace/site.pem",
    "workspace/app/.env.production",
    "workspace/app/credentials.json.bak",
    "workspace/app/prod.env",
    "workspace/app/.env (copy)",
    "workspace/app/.envrc.local",
    "workspace/app/copy of .netrc",
    "workspace/.ssh.old/id",
    "agents/main/agent/models.json.bak",
    "agents/main/agent/#models.json#",
    "openclaw - Copy.json.txt",
];
/// Files in which nobody can recognise one.
const TEXTS: &[&str] = &["workspace/MEMORY.md", "workspace/notes/keys.txt", "cron/jobs.json"];

/// Databases that are the shared one, by name or by what is in them.
const SHARED: &[&str] = &[
    "state/openclaw.sqlite",
    "state/openclaw.sqlite.bak",
    "workspace/backup/copy.data",
    "workspace/mine.db",
];
/// The same of an agent's.
const AGENT: &[&str] =
    &["agents/main/agent/openclaw-agent.sqlite", "workspace/agent-of-before.sqlite3"];
const SHARED_TABLES: &[&str] = &[
    "apns_registrations",
    "audit_identity_keys",
    "channel_ingress_events",
    "channel_pairing_requests",
    "clawhub_promotion_claims",
    "config_revision_keys",
    "device_auth_tokens",
    "device_bootstrap_tokens",
    "device_identities",
    "device_pairing_join_codes",
    "device_pairing_paired",
    "gateway_origin_device_tokens",
    "mcp_oauth_pending_authorizations",
    "mcp_oauth_stores",
    "native_hook_relay_bridges",
    "secret_store_entries",
    "web_push_subscriptions",
    "worker_environment_credentials",
];
const AGENT_TABLES: &[&str] = &["auth_profile_state", "auth_profile_store", "session_suggestions"];
/// Values of the configuration that OpenClaw calls secrets, by their names in [`CONFIG`].
const SETTINGS: [&str; 12] = [
    "bot", "gateway", "api", "mcp", "hook", "url", "comment", "twice", "inner", "ping", "slack",
    "remark",
];
const CONFIG: &str = r#"{
  // of before: OLD_KEY, and CODE
  // "botToken": "PLANT:setting:comment",
  channels: { telegram: { botToken: "PLANT:setting:twice", botToken: "PLANT:setting:bot" }, slack: { webhookUrl: "https://h/PLANT:setting:slack" } },
  gateway: { auth: { mode: "token", token: "PLANT:setting:gateway" } },
  models: { providers: { x: { apiKey: "PLANT:setting:api" } } },
  mcp: { servers: { y: { command: "npx", env: { ANY: "PLANT:setting:mcp", /* ONE: 'PLANT:setting:inner' */ }, url: "https://u:PLANT:setting:url@h/" } } },
  hooks: { token: "PLANT:setting:hook" },
  plugins: { entries: { "b2-backup": { config: { bucket: "b", passphrase: "PASSPHRASE_BEFORE", // "passphrase": "PASSPHRASE_IN_COMMENT",
    applicationKey: "KEY", passphrase: "OUR_PASSPHRASE", healthcheckUrl: "https://h/PLANT:setting:ping" } } } },
  // see https://me:PLANT:setting:remark@h/
}"#;

/// Copies of the configuration under the names that editors and people give them.
const COPIES: &[&str] = &[
    "#openclaw.json#",
    "openclaw (copy).json",
    "openclaw-old.json",
    "my openclaw settings.json5",
    "workspace/openclaw - Copy.json",
];
const GIT: &str = "workspace/repo/.git/config";
/// The same, but no plain text.
const BINARY: &[&str] = &[".openclaw.json.swp", "openclaw.json.u16", "OpenClaw-JSON"];

fn plant(what: &str) -> String {
    format!("PLANT:{what};")
}

fn config() -> String {
    let quoted = OUR_PASSPHRASE.replace('"', "\\\"");
    let text = CONFIG.replace("OLD_KEY", OLD_KEY).replace("CODE", CODE);
    let text = text.replace("\"KEY\"", &format!("\"{KEY}\"")).replace("OUR_PASSPHRASE", &quoted);
    SETTINGS.iter().fold(text, |text, name| {
        text.replace(&format!("PLANT:setting:{name}"), &plant(&format!("setting:{name}")))
    })
}

fn shared_database(path: &Path, name: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let db = Connection::open(path).unwrap();
    db.execute_batch(
        "CREATE TABLE schema_meta(meta_key TEXT PRIMARY KEY, role TEXT); INSERT INTO schema_meta VALUES ('primary', 'global');
         CREATE TABLE cron_jobs(store_key TEXT, payload_message TEXT);
         CREATE TABLE config_machine_state(state_key TEXT PRIMARY KEY, value_json TEXT);
         CREATE TABLE plugin_blob_entries(entry_key TEXT, blob BLOB, expires_at INTEGER);
         CREATE TABLE exec_approvals_config(config_key TEXT PRIMARY KEY, raw_json TEXT NOT NULL, has_socket_token INT);",
    )
    .unwrap();
    for table in SHARED_TABLES {
        let value = plant(&format!("row:{name}:{table}"));
        db.execute_batch(&format!(
            "CREATE TABLE {table}(v); INSERT INTO {table} VALUES ('{value}')"
        ))
        .unwrap();
    }
    let run = |sql: &str, value: String| db.execute(sql, [value]).unwrap();
    run("INSERT INTO cron_jobs VALUES ('s', ?1)", plant(&format!("text:{name}:cron")));
    for key in ["authProfiles.main", "nodeHost.x", "webPush.vapidKeys"] {
        let value = plant(&format!("row:{name}:{key}"));
        db.execute("INSERT INTO config_machine_state VALUES (?1, ?2)", (key, value)).unwrap();
    }
    run(
        "INSERT INTO config_machine_state VALUES ('other', ?1)",
        plant(&format!("text:{name}:other")),
    );
    run(
        "INSERT INTO plugin_blob_entries VALUES ('a', ?1, 5)",
        plant(&format!("row:{name}:expires")),
    );
    run(
        "INSERT INTO plugin_blob_entries VALUES ('b', ?1, NULL)",
        plant(&format!("text:{name}:blob")),
    );
    let approvals = format!(
        r#"{{"version":1,"socket":{{"path":"/s","token":"{}"}},"defaults":{{"security":"{}"}}}}"#,
        plant(&format!("row:{name}:socket")),
        plant(&format!("text:{name}:approvals")),
    );
    run("INSERT INTO exec_approvals_config VALUES ('current', ?1, 1)", approvals);
    run(
        "INSERT INTO exec_approvals_config VALUES ('broken', ?1, 1)",
        plant(&format!("row:{name}:broken")),
    );
    db.execute_batch("DELETE FROM plugin_blob_entries WHERE entry_key = 'none'; VACUUM").unwrap();
}

fn agent_database(path: &Path, name: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let db = Connection::open(path).unwrap();
    db.execute_batch("CREATE TABLE transcript_events(event_json)").unwrap();
    db.execute(
        "INSERT INTO transcript_events VALUES (?1)",
        [plant(&format!("text:{name}:transcript"))],
    )
    .unwrap();
    for table in AGENT_TABLES {
        let value = plant(&format!("row:{name}:{table}"));
        db.execute_batch(&format!(
            "CREATE TABLE {table}(v); INSERT INTO {table} VALUES ('{value}')"
        ))
        .unwrap();
    }
}

/// Plants everything. Returns what is planted, by class: logins, what is recognised as a secret, all else.
fn planted(state: &Path) -> [BTreeSet<String>; 3] {
    let [mut logins, mut known, mut texts] = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    for (files, class, set) in [
        (LOGINS, "login", &mut logins),
        (OF_THE_USER, "user", &mut known),
        (TEXTS, "text", &mut texts),
    ] {
        for path in files {
            let plant = plant(&format!("{class}:{path}"));
            // The user's own text stays what it is; in what counts as configuration our key is never.
            let kept = class == "user" && !path.contains(".env");
            let key = if kept { "" } else { KEY };
            write(state, path, format!("{plant} B2_APPLICATION_KEY={key}\n"));
            set.insert(plant);
        }
    }
    for name in SHARED {
        shared_database(&state.join(name), name);
        let rows =
            ["authProfiles.main", "nodeHost.x", "webPush.vapidKeys", "expires", "socket", "broken"];
        logins.extend(
            SHARED_TABLES.iter().chain(&rows).map(|row| plant(&format!("row:{name}:{row}"))),
        );
        texts.extend(
            ["cron", "other", "blob", "approvals"].map(|row| plant(&format!("text:{name}:{row}"))),
        );
    }
    for name in AGENT {
        agent_database(&state.join(name), name);
        logins.extend(AGENT_TABLES.iter().map(|row| plant(&format!("row:{name}:{row}"))));
        texts.insert(plant(&format!("text:{name}:transcript")));
    }
    known.extend(SETTINGS.map(|name| plant(&format!("setting:{name}"))));
    // The configuration, its copies, with our secrets as they are and as JSON may write them, and one that is included.
    let escaped: Vec<String> = KEY.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let escaped = escaped.concat();
    write(state, "openclaw.json", config());
    write(state, "openclaw.json.bak", config().replace(KEY, KEY_BEFORE));
    write(state, "openclaw.json.bak.1", config().replace(KEY, &escaped));
    write(state, "openclaw.json.last-good", config().replace(KEY, &KEY.replace('/', "\\/")));
    for path in COPIES {
        write(state, path, config());
    }
    write(state, BINARY[0], format!("b0VIM 9.1\0{}\0", config()));
    for (path, unit) in
        [(BINARY[1], u16::to_le_bytes as fn(u16) -> [u8; 2]), (BINARY[2], u16::to_be_bytes)]
    {
        write(state, path, config().encode_utf16().flat_map(unit).collect::<Vec<u8>>());
    }
    let login = plant("setting:git");
    write(
        state,
        GIT,
        format!("[remote \"origin\"]\n\turl = https://x:{login}@example.org/x.git\n"),
    );
    known.insert(login);
    write(
        state,
        "agents/main/agent/models.json",
        format!("{{\"apiKey\": \"{}\"}}", plant("setting:models")),
    );
    known.insert(plant("setting:models"));
    [logins, known, texts]
}

/// All that a blank machine restores, as bytes.
async fn restored(machine: &Machine, dir: &Path, name: &str) -> Vec<u8> {
    let to = dir.join(name);
    machine.blank(dir.join(format!("{name}.blank"))).restore("latest", &to).await.unwrap();
    let mut all = Vec::new();
    for path in files_below(&to) {
        all.extend(fs::read(path).unwrap());
        all.push(b'\n');
    }
    all
}

fn found(bytes: &[u8], planted: &BTreeSet<String>) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes);
    planted.iter().filter(|plant| text.contains(plant.as_str())).cloned().collect()
}

fn none() -> BTreeSet<String> {
    BTreeSet::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_secret_is_where_its_class_says() {
    let dir = tempdir().unwrap();
    let state = dir.path().join("state");
    let [logins, known, texts] = planted(&state);
    assert!(logins.len() + known.len() + texts.len() > 150);
    for (name, include_secrets, encrypt) in
        [("usual", false, true), ("logins", true, true), ("plain", false, false)]
    {
        let mut machine = Machine::new(&state, Arc::new(MemoryStore::default()));
        machine.settings.passphrase = Some(Secret::new(OUR_PASSPHRASE.into()));
        machine.settings.store.application_key = Some(Secret::new(KEY.into()));
        machine.settings.old_keys = vec![Secret::new(OLD_KEY.into())];
        machine.settings.include_secrets = include_secrets;
        machine.settings.encrypt = encrypt;
        let report = machine.push().await.unwrap();
        let all = restored(&machine, dir.path(), name).await;
        let text = String::from_utf8_lossy(&all);
        // Never, in no mode.
        let wide: Vec<u8> = KEY.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(!all.windows(wide.len()).any(|bytes| bytes == wide), "{name}");
        for own in
            [KEY_BEFORE, OLD_KEY, CODE, "own words for", "PASSPHRASE_BEFORE", "PASSPHRASE_IN"]
        {
            assert!(!text.contains(own), "{name}: {own}");
        }
        let config = [
            "openclaw.json",
            "openclaw.json.bak",
            "openclaw.json.bak.1",
            "openclaw.json.last-good",
        ];
        for path in config.iter().chain(COPIES) {
            let text = fs::read_to_string(dir.path().join(name).join(path)).unwrap();
            assert!(
                text.contains("applicationKey: \"__B2_BACKUP_APPLICATION_KEY__\""),
                "{name}: {text}"
            );
            assert!(text.contains("passphrase: \"__B2_BACKUP_PASSPHRASE__\""), "{name}: {text}");
        }
        for line in text.lines().filter(|line| line.contains(KEY)) {
            assert!(texts.iter().any(|plant| line.contains(plant.as_str())), "{name}: {line}");
        }
        // What OpenClaw treats as logins only where it was asked for.
        assert_eq!(
            found(&all, &logins),
            if include_secrets { logins.clone() } else { none() },
            "{name}"
        );
        // What is recognised as a secret only encrypted, and what is left out is named.
        assert_eq!(found(&all, &known), if encrypt { known.clone() } else { none() }, "{name}");
        let named: BTreeSet<&str> =
            report.skipped.iter().map(|problem| problem.path.as_str()).collect();
        let plain = OF_THE_USER.iter().copied().filter(|_| !encrypt);
        assert_eq!(named, plain.chain(BINARY.iter().copied()).collect(), "{name}");
        assert!(report.skipped.iter().all(|problem| problem.code == "B2_SKIPPED_SECRET"));
        // The rest always.
        assert_eq!(found(&all, &texts), texts, "{name}");
    }
}

/// A new key is in files that have not changed, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_new_in_the_settings_leaves_files_that_have_it() {
    let dir = tempdir().unwrap();
    let state = dir.path().join("state");
    write(&state, "openclaw.json", format!("{{}} // {KEY}\n"));
    let mut machine = Machine::new(&state, Arc::new(MemoryStore::default()));
    machine.settings.passphrase = Some(Secret::new(OUR_PASSPHRASE.into()));
    machine.push().await.unwrap();
    assert!(String::from_utf8_lossy(&restored(&machine, dir.path(), "a").await).contains(KEY));
    machine.settings.store.application_key = Some(Secret::new(KEY.into()));
    assert!(machine.push().await.unwrap().snapshot.is_some());
    let after = restored(&machine, dir.path(), "b").await;
    assert!(!String::from_utf8_lossy(&after).contains(KEY));
    // With the same secrets nothing is different.
    assert_eq!(machine.push().await.unwrap().snapshot, None);
}

/// A file with the name of a log beside the configuration changes nothing about what is withheld, and says nothing itself.
#[tokio::test(flavor = "multi_thread")]
async fn logs_beside_the_configuration_open_nothing() {
    let dir = tempdir().unwrap();
    let state = dir.path().join("state");
    let text = config().replacen('{', "{ $include: ['conf/more.json5'],", 1);
    write(&state, "openclaw.json", &text);
    write(
        &state,
        "conf/more.json5",
        format!("{{ channels: {{ x: {{ botToken: '{}' }} }} }}", plant("more")),
    );
    for path in ["openclaw.json-wal", "openclaw.json-journal", "conf/more.json5-journal"] {
        write(&state, path, format!("\0\u{1}{KEY} {} {OUR_PASSPHRASE}", plant("log")));
    }
    let known = SETTINGS.map(|name| plant(&format!("setting:{name}")));
    let known = known.into_iter().chain([plant("more"), plant("log")]).collect();
    for (name, encrypt) in [("sealed", true), ("plain", false)] {
        let mut machine = Machine::new(&state, Arc::new(MemoryStore::default()));
        machine.settings.passphrase = Some(Secret::new(OUR_PASSPHRASE.into()));
        machine.settings.store.application_key = Some(Secret::new(KEY.into()));
        machine.settings.encrypt = encrypt;
        let report = machine.push().await.unwrap();
        let all = restored(&machine, dir.path(), name).await;
        let text = String::from_utf8_lossy(&all);
        for own in [KEY, "own words for"] {
            assert!(!text.contains(own), "{name}: {own}");
        }
        assert_eq!(found(&all, &known), if encrypt { known.clone() } else { none() }, "{name}");
        let named: Vec<&str> = report.skipped.iter().map(|problem| problem.path.as_str()).collect();
        let logs = ["conf/more.json5-journal", "openclaw.json-journal", "openclaw.json-wal"];
        assert_eq!(named, if encrypt { &[][..] } else { &logs[..] }, "{name}");
    }
}
