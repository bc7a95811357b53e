//! What a change of the host's configuration lets happen: what would run, what would be allowed, which secrets
//! change. Told setting by setting, never with the value of a secret.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What a change is about, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Something would run, or the agent would be told something else to do.
    Runs,
    /// Something would be allowed, or not any more.
    Allows,
    /// A secret would be another one.
    Secret,
    /// Any other setting.
    Setting,
}

impl Weight {
    /// The name that other programs see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Allows => "allows",
            Self::Secret => "secret",
            Self::Setting => "setting",
        }
    }
}

/// One thing that a change does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effect {
    /// What it is about.
    pub weight: Weight,
    /// As "exec policy: deny becomes full (tools.exec.security)".
    pub text: String,
}

/// Settings by the beginning of their path, as OpenClaw 2026.9.6 has them; what is set for one agent has the same
/// paths below that agent. The first line that fits counts.
const SETTINGS: &[(&str, Weight, &str)] = &[
    ("tools.exec.security", Weight::Allows, "exec policy"),
    ("tools.exec.mode", Weight::Allows, "exec policy"),
    ("tools.exec.ask", Weight::Allows, "asking before commands"),
    ("tools.exec.host", Weight::Allows, "where commands run"),
    ("tools.exec", Weight::Allows, "commands"),
    ("tools.elevated", Weight::Allows, "elevated commands"),
    ("tools", Weight::Allows, "tools"),
    ("toolsBySender", Weight::Allows, "tools"),
    ("permissionMode", Weight::Allows, "permission mode"),
    ("sandbox.docker.setupCommand", Weight::Runs, "command in the sandbox"),
    ("sandbox", Weight::Allows, "sandbox"),
    ("subagents", Weight::Allows, "subagents"),
    ("approvals", Weight::Allows, "approvals"),
    ("commands", Weight::Allows, "commands of the chat"),
    ("gateway", Weight::Allows, "access to the gateway"),
    ("security", Weight::Allows, "security"),
    ("auth", Weight::Allows, "logins"),
    ("mcp", Weight::Runs, "MCP server"),
    ("hooks", Weight::Runs, "hook"),
    ("plugins", Weight::Runs, "plugin"),
    ("skills", Weight::Runs, "skill"),
    ("env", Weight::Runs, "environment"),
    ("secrets", Weight::Runs, "source of secrets"),
    ("cron", Weight::Runs, "scheduled jobs"),
    ("acp", Weight::Runs, "program of an agent"),
    ("cliBackends", Weight::Runs, "program of an agent"),
    ("browser", Weight::Runs, "browser"),
    ("update", Weight::Runs, "update"),
    ("heartbeat", Weight::Runs, "heartbeat"),
    ("nodeHost", Weight::Allows, "commands of nodes"),
    ("models.providers", Weight::Allows, "where prompts go"),
];
/// Last parts of paths that name what is run, in small letters.
const COMMANDS: &[&str] = &[
    "args",
    "argv",
    "command",
    "executablepath",
    "installcommand",
    "mcpcommand",
    "module",
    "script",
    "setupcommand",
];
/// In any part of a path, in small letters: it is about what is allowed.
const PERMISSIONS: &[&str] = &[
    "allow",
    "approv",
    "dangerous",
    "deny",
    "elevated",
    "insecure",
    "owner",
    "permission",
    "policy",
    "roles",
    "sandbox",
    "scopes",
    "trust",
    "unsafe",
];
/// In any part of a path, in small letters: its texts are secrets.
const SECRETS: &[&str] = &[
    "apikey",
    "api_key",
    "authorization",
    "cookie",
    "credential",
    "passphrase",
    "password",
    "privatekey",
    "private_key",
    "secret",
    "token",
    "webhookurl",
];
/// Directories whose texts often are.
const OFTEN: &[&str] = &["env", "headers", "vars"];
/// A text of so many letters and digits without a space is taken for a key.
const KEY_LENGTH: usize = 20;
/// So much of a value is shown, characters.
const SHOWN: usize = 80;

/// What becoming `after` does to `before`, the gravest first, and all that is alike in the order of its path.
#[must_use]
pub fn effects(before: &Value, after: &Value) -> Vec<Effect> {
    let (old, new) = (leaves(before), leaves(after));
    let paths: BTreeSet<&Vec<String>> = old.keys().chain(new.keys()).collect();
    let mut effects: Vec<Effect> = paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .map(|path| effect(path, old.get(path).copied(), new.get(path).copied()))
        .collect();
    effects.sort_by_key(|effect| effect.weight);
    effects
}

fn effect(path: &[String], old: Option<&Value>, new: Option<&Value>) -> Effect {
    let full = path.join(".");
    let verb = match (old, new) {
        (None, _) => "comes",
        (_, None) => "goes",
        _ => "changes",
    };
    let secret = is_secret(path, old) || is_secret(path, new);
    let (weight, label) = weigh(path);
    if secret && weight != Weight::Runs {
        return Effect { weight: Weight::Secret, text: format!("secret {verb}: {full}") };
    }
    let hidden = secret || path.iter().any(|part| OFTEN.contains(&part.as_str()));
    let show = |value| if hidden { "(not shown)".to_owned() } else { shown(value) };
    let what = match (old, new) {
        (Some(old), Some(new)) if !hidden => format!("{} becomes {}", show(old), show(new)),
        (Some(_), Some(_)) => "becomes another (not shown)".to_owned(),
        (Some(value), None) | (None, Some(value)) => format!("{} {verb}", show(value)),
        (None, None) => verb.to_owned(),
    };
    Effect { weight, text: format!("{label}: {what} ({full})") }
}

fn weigh(path: &[String]) -> (Weight, &'static str) {
    // `agents.defaults.tools.exec` and `agents.list.main.tools.exec` are about what `tools.exec` is about.
    let own = match path {
        [agents, defaults, rest @ ..] if agents == "agents" && defaults == "defaults" => rest,
        [agents, list, _, rest @ ..]
            if agents == "agents" && (list == "list" || list == "entries") =>
        {
            rest
        }
        [agent, rest @ ..] if agent == "agent" => rest,
        all => all,
    };
    let own = own.join(".");
    let begins = |setting: &str| {
        own.strip_prefix(setting).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if let Some((_, weight, label)) = SETTINGS.iter().find(|(setting, ..)| begins(setting)) {
        return (*weight, label);
    }
    let lower: Vec<String> = path.iter().map(|part| part.to_ascii_lowercase()).collect();
    if lower.last().is_some_and(|last| COMMANDS.contains(&last.as_str())) {
        return (Weight::Runs, "command");
    }
    if lower.iter().any(|part| PERMISSIONS.iter().any(|word| part.contains(word))) {
        return (Weight::Allows, "who may do what");
    }
    (Weight::Setting, "setting")
}

fn is_secret(path: &[String], value: Option<&Value>) -> bool {
    let lower = path.iter().map(|part| part.to_ascii_lowercase());
    let named = lower.clone().any(|part| SECRETS.iter().any(|word| part.contains(word)));
    match value {
        Some(Value::String(text)) => named || looks_like_a_key(text),
        Some(Value::Number(_)) => lower.into_iter().any(|part| part.contains("password")),
        Some(Value::Array(items)) => items.iter().any(|item| is_secret(path, Some(item))),
        Some(Value::Object(fields)) => fields.values().any(|field| is_secret(path, Some(field))),
        _ => false,
    }
}

fn looks_like_a_key(text: &str) -> bool {
    let has = |of: fn(&u8) -> bool| text.bytes().any(|byte| of(&byte));
    text.len() >= KEY_LENGTH
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+=.:".contains(&byte))
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { format!("{short}...") } else { short }
}

/// All values that are no objects, by path. Members of lists that have an id go by it: their place is of no meaning.
fn leaves(value: &Value) -> BTreeMap<Vec<String>, &Value> {
    let mut leaves = BTreeMap::new();
    gather(value, &mut Vec::new(), &mut leaves);
    leaves
}

fn gather<'a>(
    value: &'a Value,
    path: &mut Vec<String>,
    leaves: &mut BTreeMap<Vec<String>, &'a Value>,
) {
    let mut below = |name: &str, value: &'a Value| {
        path.push(name.to_owned());
        gather(value, path, leaves);
        path.pop();
    };
    let id = |item: &'a Value| item.get("id").and_then(Value::as_str);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                below(name, field);
            }
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| id(item).is_some()) => {
            for item in items {
                below(id(item).unwrap_or_default(), item);
            }
        }
        leaf => {
            leaves.insert(path.clone(), leaf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(before: &Value, after: &Value) -> Vec<String> {
        effects(before, after)
            .into_iter()
            .map(|effect| format!("{}: {}", effect.weight.name(), effect.text))
            .collect()
    }

    #[test]
    fn says_what_would_run_and_what_would_be_allowed_first() {
        let before = json!({ "tools": { "exec": { "security": "deny" } }, "ui": { "theme": "dark" },
            "channels": { "telegram": { "botToken": "1:a", "dmPolicy": "pairing", "allowFrom": ["1"] } },
            "agents": { "list": [{ "id": "main", "sandbox": { "mode": "all" } }] } });
        let after = json!({ "tools": { "exec": { "security": "full" } }, "ui": { "theme": "light" },
            "channels": { "telegram": { "botToken": "2:b", "dmPolicy": "open", "allowFrom": ["1", "*"] } },
            "agents": { "list": [{ "id": "new", "name": "n" }, { "id": "main", "sandbox": { "mode": "off" } }] },
            "mcp": { "servers": { "x": { "command": "npx", "args": ["evil"], "env": { "MORE": "value" } } } },
            "hooks": { "internal": { "enabled": true } } });
        assert_eq!(
            told(&before, &after),
            [
                "runs: hook: true comes (hooks.internal.enabled)",
                "runs: MCP server: [\"evil\"] comes (mcp.servers.x.args)",
                "runs: MCP server: npx comes (mcp.servers.x.command)",
                "runs: MCP server: (not shown) comes (mcp.servers.x.env.MORE)",
                "allows: sandbox: all becomes off (agents.list.main.sandbox.mode)",
                "allows: who may do what: [\"1\"] becomes [\"1\",\"*\"] (channels.telegram.allowFrom)",
                "allows: who may do what: pairing becomes open (channels.telegram.dmPolicy)",
                "allows: exec policy: deny becomes full (tools.exec.security)",
                "secret: secret changes: channels.telegram.botToken",
                "setting: setting: new comes (agents.list.new.id)",
                "setting: setting: n comes (agents.list.new.name)",
                "setting: setting: dark becomes light (ui.theme)",
            ]
        );
        assert_eq!(told(&after, &after), <[String; 0]>::default());
    }

    #[test]
    fn never_says_a_secret() {
        let secret = "hunter2-and-more";
        let key = "abcdefghij0123456789";
        for config in [
            json!({ "models": { "providers": { "x": { "apiKey": secret } } } }),
            json!({ "env": { "vars": { "ANY": secret } } }),
            json!({ "mcp": { "servers": { "x": { "headers": { "Authorization": secret } } } } }),
            json!({ "plugins": { "entries": { "p": { "config": { "password": secret } } } } }),
            json!({ "channels": { "x": { "tokens": [secret, { "y": secret }] } } }),
            json!({ "ui": { "title": key } }),
            json!({ "mcp": { "servers": { "x": { "args": ["--key", key] } } } }),
            json!({ "secrets": { "inline": { "id": { "value": secret } } } }),
        ] {
            for told in [
                told(&json!({}), &config),
                told(&config, &json!({})),
                told(&config, &json!({ "env": { "vars": { "ANY": "o" } } })),
            ] {
                assert!(!told.is_empty());
                assert!(
                    !told.concat().contains(secret) && !told.concat().contains(key),
                    "{told:?}"
                );
            }
        }
    }
}
