//! OpenClaw's configuration comes back, but for what this machine needs to go on: our own entry, and how the
//! gateway is reached.

use std::path::Path;

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

/// The configuration of the snapshot with what stays live in it. Without a difference it is what the snapshot
/// has, to the byte: comments are kept.
///
/// `live` is the live configuration as it was parsed, where there is one; `is_ours` tells whether a plugin's
/// directory holds this plugin.
pub(super) fn merge(
    live: Option<&Value>,
    snapshot: &[u8],
    is_ours: &dyn Fn(&Path) -> bool,
) -> Vec<u8> {
    let parsed = std::str::from_utf8(snapshot).ok().and_then(parse);
    // A broken one is what the user asked for; there is nothing to put into it.
    let (Some(live @ Value::Object(_)), Some(Value::Object(before))) = (live, parsed) else {
        return snapshot.to_vec();
    };
    let mut after = Value::Object(before.clone());
    keep_gateway(live, &mut after);
    keep_plugin(live, &mut after, is_ours);
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
pub(super) fn parse(text: &str) -> Option<Value> {
    json5::from_str(text.trim_start_matches('\u{feff}')).ok()
}

fn object<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    let entry = value.as_object_mut()?.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    entry.as_object_mut()
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

/// Whatever would keep the host from loading this plugin is set as it is now.
fn keep_plugin(live: &Value, after: &mut Value, is_ours: &dyn Fn(&Path) -> bool) {
    if let Some(entry) = live.pointer("/plugins/entries").and_then(|entries| entries.get(PLUGIN)) {
        let Some(plugins) = object(after, "plugins") else { return };
        let mut plugins_value = Value::Object(std::mem::take(plugins));
        if let Some(entries) = object(&mut plugins_value, "entries") {
            entries.insert(PLUGIN.to_owned(), entry.clone());
        }
        if let Value::Object(changed) = plugins_value {
            *plugins = changed;
        }
    }
    let ours_live: Vec<Value> = live
        .pointer("/plugins/load/paths")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|path| path.as_str().is_some_and(|path| is_ours(Path::new(path))))
        .cloned()
        .collect();
    if !ours_live.is_empty() {
        let Some(plugins) = object(after, "plugins") else { return };
        let load = plugins.entry("load").or_insert_with(|| Value::Object(Map::new()));
        if let Some(load) = load.as_object_mut() {
            let paths = load.entry("paths").or_insert_with(|| Value::Array(Vec::new()));
            if let Some(paths) = paths.as_array_mut() {
                paths.extend(
                    ours_live.into_iter().filter(|path| !paths.contains(path)).collect::<Vec<_>>(),
                );
            }
        }
    }
    let Some(plugins) = after.get_mut("plugins").and_then(Value::as_object_mut) else { return };
    if plugins.get("enabled") == Some(&Value::Bool(false)) {
        match live.pointer("/plugins/enabled") {
            Some(enabled) => plugins.insert("enabled".to_owned(), enabled.clone()),
            None => plugins.remove("enabled"),
        };
    }
    let us = Value::String(PLUGIN.to_owned());
    if let Some(allow) = plugins.get_mut("allow").and_then(Value::as_array_mut)
        && !allow.is_empty()
        && !allow.contains(&us)
    {
        allow.push(us.clone());
    }
    if let Some(deny) = plugins.get_mut("deny").and_then(Value::as_array_mut) {
        deny.retain(|id| *id != us);
    }
}

/// Whether a directory holds this plugin: its manifest says so.
pub(super) fn is_our_plugin(directory: &Path) -> bool {
    let manifest = std::fs::read_to_string(directory.join("openclaw.plugin.json")).ok();
    let id = manifest.and_then(|text| parse(&text)?.get("id").cloned());
    id == Some(Value::String(PLUGIN.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(live: &Value, snapshot: &str) -> Value {
        let ours = |path: &Path| path == Path::new("/ours");
        parse(std::str::from_utf8(&merge(Some(live), snapshot.as_bytes(), &ours)).unwrap()).unwrap()
    }

    #[test]
    fn what_needs_no_change_keeps_its_bytes() {
        let snapshot = "{ // how it was\n  gateway: { port: 1 }, agents: {} }\n";
        let live = json!({ "gateway": { "port": 1 }, "agents": { "x": 1 } });
        assert_eq!(merge(Some(&live), snapshot.as_bytes(), &|_| false), snapshot.as_bytes());
        assert_eq!(merge(None, snapshot.as_bytes(), &|_| false), snapshot.as_bytes());
        assert_eq!(merge(Some(&live), b"{ broken", &|_| false), b"{ broken");
        assert_eq!(merge(Some(&json!([1])), b"{}", &|_| false), b"{}");
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
        let live = json!({ "plugins": { "entries": { "b2-backup": entry, "other": {} }, "load": { "paths": ["/ours", "/planted"] } } });
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
            let paths = plugins["load"]["paths"].as_array().unwrap();
            assert!(
                paths.contains(&json!("/ours")) && !paths.contains(&json!("/planted")),
                "{snapshot}"
            );
        }
        let theirs = merged(
            &live,
            "{ plugins: { deny: ['b2-backup', 'y'], load: { paths: ['/theirs'] } } }",
        );
        assert_eq!(theirs["plugins"]["deny"], json!(["y"]));
        assert_eq!(theirs["plugins"]["load"]["paths"], json!(["/theirs", "/ours"]));
    }

    #[test]
    fn our_plugin_is_known_by_its_manifest() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_our_plugin(dir.path()));
        let manifest = dir.path().join("openclaw.plugin.json");
        std::fs::write(&manifest, "{ id: 'b2-backup' }").unwrap();
        assert!(is_our_plugin(dir.path()));
        std::fs::write(&manifest, "{ id: 'other' }").unwrap();
        assert!(!is_our_plugin(dir.path()));
    }
}
