//! OpenClaw's configuration comes back, but for what this machine needs to go on: our own entry, and how the
//! gateway is reached.

use serde_json::{Map, Value};

use crate::source::place::Spot;

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
    /// The live configuration as it was parsed, where there is one.
    pub(in crate::ops) live: Option<&'a Value>,
    /// Where the state directory was, and where it is.
    pub(in crate::ops) moved: Option<(&'a str, &'a str)>,
    /// Whether logins that were made here stay known beside those of the snapshot.
    pub(in crate::ops) keep_logins: bool,
}

/// The configuration of the snapshot with what stays live in it, and with paths into the state directory as they are
/// here. Without a difference it is what the snapshot has, to the byte: comments are kept.
pub(in crate::ops) fn merge(snapshot: &[u8], change: &Change<'_>) -> Vec<u8> {
    let parsed = std::str::from_utf8(snapshot).ok().and_then(parse);
    // A broken one is what the user asked for; there is nothing to put into it.
    let Some(Value::Object(before)) = parsed else { return snapshot.to_vec() };
    let mut after = Value::Object(before.clone());
    if let Some((from, to)) = change.moved {
        move_paths(&mut after, from, to);
    }
    if let Some(live @ Value::Object(_)) = change.live {
        keep_gateway(live, &mut after);
        if change.keep_logins {
            keep_logins(live, &mut after);
        }
    }
    keep_plugin(change.live.unwrap_or(&Value::Null), &mut after);
    if after == Value::Object(before) {
        return snapshot.to_vec();
    }
    let mut text = serde_json::to_vec_pretty(&after).unwrap_or_else(|_| snapshot.to_vec());
    text.push(b'\n');
    text
}

/// The live configuration: what is at `live`, or where that is broken, the newest copy beside `usual` that the host
/// keeps and that is not.
pub(super) fn live_value(live: &Spot, usual: &Spot) -> Option<Value> {
    let read = |spot: &Spot| {
        let bytes = spot.read(16 << 20).ok()?;
        parse(std::str::from_utf8(&bytes).ok()?).filter(Value::is_object)
    };
    read(live)
        .or_else(|| [".last-good", ".bak"].iter().find_map(|suffix| read(&usual.beside(suffix))))
}

/// JSON5, as the host reads it.
pub(in crate::ops) fn parse(text: &str) -> Option<Value> {
    crate::source::json5::parse(text).ok()
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
            allow.push(us.clone())
        } else {
            allow = allowed
        }
        plugins.insert("allow".to_owned(), Value::Array(allow));
    }
    let (denied, mut deny) = (ids(live.get("deny")), ids(plugins.get("deny")));
    if deny.contains(&us) != denied.contains(&us) {
        if denied.contains(&us) {
            deny.push(us)
        } else {
            deny.retain(|id| *id != us)
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
        let merged = merge(snapshot.as_bytes(), &change(Some(live)));
        parse(std::str::from_utf8(&merged).unwrap()).unwrap()
    }

    fn change(live: Option<&Value>) -> Change<'_> {
        Change { live, moved: None, keep_logins: false }
    }

    #[test]
    fn what_needs_no_change_keeps_its_bytes() {
        let snapshot = "{ // how it was\n  gateway: { port: 1 }, agents: {} }\n";
        let live = json!({ "gateway": { "port": 1 }, "agents": { "x": 1 } });
        let merge = |live, snapshot: &[u8]| merge(snapshot, &change(live));
        assert_eq!(merge(Some(&live), snapshot.as_bytes()), snapshot.as_bytes());
        assert_eq!(merge(None, snapshot.as_bytes()), snapshot.as_bytes());
        assert_eq!(merge(Some(&live), b"{ broken"), b"{ broken");
        assert_eq!(merge(Some(&json!([1])), b"{}"), b"{}");
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
        for live in [None, Some(json!({}))] {
            let moved = Some(("/home/a/.openclaw", "/root/oc"));
            let merged = merge(snapshot, &Change { moved, ..change(live.as_ref()) });
            assert_eq!(
                serde_json::from_slice::<Value>(&merged).unwrap(),
                json!({ "agents": { "defaults": { "workspace": "/root/oc/workspace" },
                    "entries": { "x": { "agentDir": "/root/oc", "other": "/home/a/.openclaw-old/x" }, "y": ["/root/oc/y", 7] } } })
            );
        }
    }

    #[test]
    fn logins_of_a_new_machine_stay_beside_those_of_the_old() {
        let live = json!({ "auth": { "profiles": { "a:new": { "mode": "token" } } } });
        let merge = |snapshot: &[u8]| {
            let merged = merge(snapshot, &Change { keep_logins: true, ..change(Some(&live)) });
            serde_json::from_slice::<Value>(&merged).unwrap()
        };
        assert_eq!(merge(b"{}"), live);
        assert_eq!(
            merge(b"{ auth: { order: 1, profiles: { 'b:old': { mode: 'oauth' } } } }"),
            json!({ "auth": { "order": 1, "profiles": { "a:new": { "mode": "token" }, "b:old": { "mode": "oauth" } } } })
        );
    }
}
