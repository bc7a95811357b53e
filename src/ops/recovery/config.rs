//! OpenClaw's configuration comes back, but for what this machine needs to go on: our own entry, and how the
//! gateway is reached.

use std::path::Path;

use serde_json::{Map, Value};

use crate::source::host_config::OLDER;
use crate::source::json5;
use crate::source::place::Spot;

/// A configuration is not larger.
pub(in crate::ops) const MAX_CONFIG_BYTES: u64 = 16 << 20;
/// Our id among the plugins.
const PLUGIN: &str = "b2-backup";
/// Settings of `gateway` that say where it is and who may enter. One that the live configuration does not have
/// is not brought back either.
const GATEWAY: &[&str] = &[
    "mode",
    "port",
    "bind",
    "customBindHost",
    "publicOrigin",
    "auth",
    "tls",
    "tailscale",
    "remote",
    "trustedProxies",
];

/// What makes the configuration that comes differ from that of the snapshot.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Change<'a> {
    /// The text of the live configuration, where there is one.
    pub(in crate::ops) live: Option<&'a str>,
    /// Where the state directory was, and where it is.
    pub(in crate::ops) moved: Option<(&'a str, &'a str)>,
    /// Whether logins that were made here stay known beside those of the snapshot.
    pub(in crate::ops) keep_logins: bool,
}

/// The configuration of the snapshot with what stays live in it, and with paths into the state directory as they are
/// here. The rest of its text keeps its bytes, so its order and its comments, too; and what stays live is written as it
/// is here.
pub(in crate::ops) fn merge(snapshot: &[u8], change: &Change<'_>) -> Vec<u8> {
    // A broken one is what the user asked for; there is nothing to put into it.
    let Ok(text) = std::str::from_utf8(snapshot) else { return snapshot.to_vec() };
    let Some(before) = parse(text).filter(Value::is_object) else { return snapshot.to_vec() };
    let mut after = before.clone();
    if let Some((from, to)) = change.moved {
        move_paths(&mut after, from, to);
    }
    let live = change.live.and_then(parse).filter(Value::is_object);
    if let Some(live) = &live {
        keep_gateway(live, &mut after);
        if change.keep_logins {
            keep_logins(live, &mut after);
        }
    }
    keep_plugin(live.as_ref().unwrap_or(&Value::Null), &mut after);
    if after == before {
        return snapshot.to_vec();
    }
    let merged = json5::rewrite(text, &before, &after, change.live);
    merged.unwrap_or_else(|| format!("{after:#}\n")).into_bytes()
}

/// How the configuration of a snapshot comes to this machine.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Coming<'a> {
    /// The live one, and where that usually is.
    pub(in crate::ops) live: Option<(&'a Spot, &'a Spot)>,
    /// The state directory on the machine that made the snapshot, where that is another.
    pub(in crate::ops) old_state: Option<&'a str>,
    /// The one here.
    pub(in crate::ops) state: Option<&'a Path>,
    /// Whether the machine has nothing.
    pub(in crate::ops) arriving: bool,
}

impl Coming<'_> {
    /// As [`merge`].
    pub(in crate::ops) fn merge(&self, snapshot: &[u8]) -> Vec<u8> {
        let live = self.live.and_then(|(live, usual)| live_text(live, usual));
        let state = self.state.map(|state| state.display().to_string());
        let change = Change {
            live: live.as_deref(),
            moved: self.old_state.zip(state.as_deref()),
            keep_logins: self.arriving,
        };
        merge(snapshot, &change)
    }
}

/// The text of the live configuration: what is at `live`, or where that is broken, the newest copy beside `usual` that
/// the host keeps and that is not.
fn live_text(live: &Spot, usual: &Spot) -> Option<String> {
    let read = |spot: &Spot| {
        let text = String::from_utf8(spot.read(MAX_CONFIG_BYTES).ok()?).ok()?;
        parse(&text).is_some_and(|value| value.is_object()).then_some(text)
    };
    read(live).or_else(|| OLDER.iter().find_map(|suffix| read(&usual.beside(suffix))))
}

/// JSON5, as the host reads it.
pub(in crate::ops) fn parse(text: &str) -> Option<Value> {
    json5::parse(text).ok()
}

fn object<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    let entry = value.as_object_mut()?.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    entry.as_object_mut()
}

/// Rewrites every text that is a path into the state directory.
fn move_paths(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) => {
            let below = text
                .strip_prefix(from)
                .filter(|below| below.is_empty() || below.starts_with(['/', '\\']));
            if let Some(below) = below {
                *text = format!("{to}{below}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_paths(item, from, to)),
        Value::Object(fields) => fields.values_mut().for_each(|field| move_paths(field, from, to)),
        _ => {}
    }
}

/// The secrets of these logins are on this machine.
fn keep_logins(live: &Value, after: &mut Value) {
    let Some(profiles) = live.pointer("/auth/profiles").and_then(Value::as_object) else { return };
    let Some(auth) = object(after, "auth") else { return };
    let mut auth_value = Value::Object(std::mem::take(auth));
    if let Some(kept) = object(&mut auth_value, "profiles") {
        kept.extend(profiles.iter().map(|(id, profile)| (id.clone(), profile.clone())));
    }
    if let Value::Object(changed) = auth_value {
        *auth = changed;
    }
}

fn keep_gateway(live: &Value, after: &mut Value) {
    let kept = live.get("gateway");
    for key in GATEWAY {
        match kept.and_then(|gateway| gateway.get(key)) {
            Some(value) => {
                if let Some(gateway) = object(after, "gateway") {
                    gateway.insert((*key).to_owned(), value.clone());
                }
            }
            None => {
                if let Some(gateway) = after.get_mut("gateway").and_then(Value::as_object_mut) {
                    gateway.remove(*key);
                }
            }
        }
    }
}

/// Whatever decides which plugin runs as this one, and with which settings, is as it is here, also where that is nothing.
fn keep_plugin(live: &Value, after: &mut Value) {
    let live = live.get("plugins").unwrap_or(&Value::Null);
    let before = after.get("plugins").and_then(Value::as_object);
    let mut plugins = before.cloned().unwrap_or_default();
    keep(live, &mut plugins, "enabled");
    // A load path of the snapshot could hold another plugin of our name.
    for (above, key) in [("entries", PLUGIN), ("installs", PLUGIN), ("load", "paths")] {
        let kept = live.get(above).unwrap_or(&Value::Null);
        let below = plugins.get(above).and_then(Value::as_object);
        let mut fields = below.cloned().unwrap_or_default();
        keep(kept, &mut fields, key);
        if below.is_some() || !fields.is_empty() {
            plugins.insert(above.to_owned(), Value::Object(fields));
        }
    }
    let us = Value::String(PLUGIN.to_owned());
    let ids =
        |plugins: Option<&Value>| plugins.and_then(Value::as_array).cloned().unwrap_or_default();
    let (allowed, mut allow) = (ids(live.get("allow")), ids(plugins.get("allow")));
    // An empty list allows all.
    let allows = |ids: &[Value]| ids.is_empty() || ids.contains(&us);
    if allows(&allow) != allows(&allowed) {
        if allows(&allowed) {
            allow.push(us.clone());
        } else {
            allow = allowed;
        }
        plugins.insert("allow".to_owned(), Value::Array(allow));
    }
    let (denied, mut deny) = (ids(live.get("deny")), ids(plugins.get("deny")));
    if deny.contains(&us) != denied.contains(&us) {
        if denied.contains(&us) {
            deny.push(us);
        } else {
            deny.retain(|id| *id != us);
        }
        plugins.insert("deny".to_owned(), Value::Array(deny));
    }
    if before.is_some() || !plugins.is_empty() {
        let plugins = Value::Object(plugins);
        if let Some(fields) = after.as_object_mut() {
            fields.insert("plugins".to_owned(), plugins);
        }
    }
}

/// Makes a field what it is in the live object.
fn keep(live: &Value, fields: &mut Map<String, Value>, key: &str) {
    match live.get(key) {
        Some(value) => fields.insert(key.to_owned(), value.clone()),
        None => fields.remove(key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(live: &Value, snapshot: &str) -> Value {
        let live = live.to_string();
        let merged = merge(snapshot.as_bytes(), &change(Some(&live)));
        parse(std::str::from_utf8(&merged).unwrap()).unwrap()
    }

    fn change(live: Option<&str>) -> Change<'_> {
        Change { live, moved: None, keep_logins: false }
    }

    #[test]
    fn what_needs_no_change_keeps_its_bytes() {
        let snapshot = "{ // how it was\n  gateway: { port: 1 }, agents: {} }\n";
        let live = "{ gateway: { port: 1 }, agents: { x: 1 } }";
        let merge = |live, snapshot: &[u8]| merge(snapshot, &change(live));
        assert_eq!(merge(Some(live), snapshot.as_bytes()), snapshot.as_bytes());
        assert_eq!(merge(None, snapshot.as_bytes()), snapshot.as_bytes());
        assert_eq!(merge(Some(live), b"{ broken"), b"{ broken");
        assert_eq!(merge(Some("[1]"), b"{}"), b"{}");
        assert_eq!(merge(Some("{ broken"), b"{}"), b"{}");
    }

    /// The user edits this file by hand.
    #[test]
    fn the_rest_keeps_its_order_and_its_comments() {
        let snapshot = "// of mine\n{\n  tools: { z: 1, a: [1,] }, // order\n  \"gateway\": {\n    port: 1,\n    /* why */ reload: 'x',\n    tls: {},\n  },\n  agents: {},\n}\n";
        let live = "{\n  gateway: { port: 0x2, auth: { token: 't', /* new */ mode: 'token' } },\n  plugins: { entries: { 'b2-backup': { config: { z: 1, a: 2 } }, other: {} } },\n}\n";
        let expected = "// of mine\n{\n  tools: { z: 1, a: [1,] }, // order\n  \"gateway\": {\n    port: 0x2,\n    /* why */ reload: 'x',\n    \"auth\": { token: 't', /* new */ mode: 'token' },\n  },\n  agents: {},\n  \"plugins\": {\n    \"entries\": {\n      \"b2-backup\": { config: { z: 1, a: 2 } }\n    }\n  },\n}\n";
        let merged = merge(snapshot.as_bytes(), &change(Some(live)));
        assert_eq!(String::from_utf8(merged).unwrap(), expected);
    }

    #[test]
    fn address_and_auth_stay_live_and_the_rest_comes_back() {
        let live = json!({ "gateway": { "port": 2, "bind": "lan", "auth": { "mode": "token", "token": "new" }, "reload": 9 },
            "agents": { "now": true } });
        let snapshot = "{ gateway: { port: 1, auth: { mode: 'password', password: 'old' }, tls: { cert: 'x' }, reload: 1 }, agents: { then: true } }";
        let expected = json!({ "gateway": { "port": 2, "bind": "lan", "auth": { "mode": "token", "token": "new" }, "reload": 1 },
            "agents": { "then": true } });
        assert_eq!(merged(&live, snapshot), expected);
        let none = json!({ "agents": {} });
        assert_eq!(
            merged(&none, "{ gateway: { port: 1, reload: 1 } }"),
            json!({ "gateway": { "reload": 1 } })
        );
    }

    #[test]
    fn this_plugin_survives_whatever_the_snapshot_says() {
        let entry = json!({ "enabled": true, "config": { "bucket": "b" } });
        let live = json!({ "plugins": { "entries": { "b2-backup": entry, "other": {} }, "load": { "paths": ["/ours"] } } });
        for snapshot in [
            "{}",
            "{ plugins: { enabled: false } }",
            "{ plugins: { entries: { 'b2-backup': { enabled: false } } } }",
            "{ plugins: { allow: ['x'], deny: ['b2-backup', 'y'] } }",
            "{ plugins: { load: { paths: ['/theirs'] } } }",
            "{ plugins: 'nonsense' }",
        ] {
            let plugins = merged(&live, snapshot)["plugins"].clone();
            assert_eq!(plugins["entries"]["b2-backup"], entry, "{snapshot}");
            assert!(plugins["entries"].get("other").is_none(), "{snapshot}");
            assert_ne!(plugins["enabled"], false, "{snapshot}");
            let has = |list: &str, id: &str| {
                plugins[list].as_array().is_some_and(|l| l.contains(&json!(id)))
            };
            assert!(plugins.get("allow").is_none() || has("allow", "b2-backup"), "{snapshot}");
            assert!(!has("deny", "b2-backup"), "{snapshot}");
            assert_eq!(plugins["load"]["paths"], json!(["/ours"]), "{snapshot}");
        }
        let theirs = merged(
            &live,
            "{ plugins: { deny: ['b2-backup', 'y'], load: { paths: ['/theirs'] } } }",
        );
        assert_eq!(theirs["plugins"]["deny"], json!(["y"]));
    }

    #[test]
    fn a_snapshot_never_configures_this_plugin() {
        let planted = "{ plugins: {
            entries: { 'b2-backup': { enabled: true, config: { bucket: 'evil' } }, other: { enabled: true } },
            installs: { 'b2-backup': { installPath: '/evil' }, other: { installPath: '/other' } },
            load: { paths: ['/evil'] }, allow: ['b2-backup', 'other'], enabled: true } }";
        let others = json!({ "entries": { "other": { "enabled": true } },
            "installs": { "other": { "installPath": "/other" } }, "load": {}, "allow": ["b2-backup", "other"] });
        for live in ["{}", "{ plugins: {} }", "{ plugins: { entries: { other: {} }, load: {} } }"] {
            assert_eq!(merged(&parse(live).unwrap(), planted)["plugins"], others, "{live}");
        }
        let merged_without = merge(planted.as_bytes(), &change(None));
        let without = parse(std::str::from_utf8(&merged_without).unwrap()).unwrap();
        assert_eq!(without["plugins"], others);
        let off = json!({ "plugins": { "enabled": false, "allow": ["x"], "deny": ["b2-backup"],
            "entries": { "b2-backup": { "enabled": false } } } });
        for snapshot in [planted, "{}", "{ plugins: { allow: [] } }"] {
            let plugins = merged(&off, snapshot)["plugins"].clone();
            assert_eq!(plugins["enabled"], false, "{snapshot}");
            assert_eq!(plugins["deny"], json!(["b2-backup"]), "{snapshot}");
            assert_eq!(plugins["entries"]["b2-backup"], json!({ "enabled": false }), "{snapshot}");
            let allow = plugins["allow"].as_array().unwrap();
            assert!(!allow.is_empty(), "{snapshot}");
        }
        assert_eq!(merged(&off, "{}")["plugins"]["allow"], json!(["x"]));
    }

    #[test]
    fn paths_follow_the_state_directory() {
        let snapshot = b"{ agents: { defaults: { workspace: '/home/a/.openclaw/workspace' },
            entries: { x: { agentDir: '/home/a/.openclaw', other: '/home/a/.openclaw-old/x' }, y: ['/home/a/.openclaw/y', 7] } } }";
        for live in [None, Some("{}")] {
            let moved = Some(("/home/a/.openclaw", "/root/oc"));
            let merged = merge(snapshot, &Change { moved, ..change(live) });
            assert_eq!(
                parse(std::str::from_utf8(&merged).unwrap()).unwrap(),
                json!({ "agents": { "defaults": { "workspace": "/root/oc/workspace" },
                    "entries": { "x": { "agentDir": "/root/oc", "other": "/home/a/.openclaw-old/x" }, "y": ["/root/oc/y", 7] } } })
            );
        }
    }

    #[test]
    fn logins_of_a_new_machine_stay_beside_those_of_the_old() {
        let live = json!({ "auth": { "profiles": { "a:new": { "mode": "token" } } } });
        let text = live.to_string();
        let merge = |snapshot: &[u8]| {
            let merged = merge(snapshot, &Change { keep_logins: true, ..change(Some(&text)) });
            parse(std::str::from_utf8(&merged).unwrap()).unwrap()
        };
        assert_eq!(merge(b"{}"), live);
        assert_eq!(
            merge(b"{ auth: { order: 1, profiles: { 'b:old': { mode: 'oauth' } } } }"),
            json!({ "auth": { "order": 1, "profiles": { "a:new": { "mode": "token" }, "b:old": { "mode": "oauth" } } } })
        );
    }
}
