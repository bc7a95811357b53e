//! What a change of the host's configuration lets happen: what would run, what would be allowed, which secrets
//! change. Told setting by setting, never with the value of a secret.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::withheld::secret_at;

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
/// In any part of a path, in small letters: its texts are not for showing, beside those that OpenClaw calls secrets.
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
/// Directories whose texts often are secrets, in small letters.
const OFTEN: &[&str] = &["env", "headers", "vars"];
/// What gives the name in an object that says a name and a value.
const NAMES: &[&str] = &["header", "key", "name", "variable"];
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
        .map(|path| (path, old.get(path).copied(), new.get(path).copied()))
        .filter(|(_, old, new)| old.map(|leaf| leaf.value) != new.map(|leaf| leaf.value))
        .map(|(path, old, new)| effect(path, old, new))
        .collect();
    effects.sort_by_key(|effect| effect.weight);
    effects
}

fn effect(path: &[String], old: Option<Leaf<'_>>, new: Option<Leaf<'_>>) -> Effect {
    let full = path.join(".");
    let verb = match (old, new) {
        (None, _) => "comes",
        (_, None) => "goes",
        _ => "changes",
    };
    let either = |is: &dyn Fn(&Leaf<'_>) -> bool| [old, new].iter().flatten().any(is);
    let secret = either(&|leaf| is_secret(&mut path.to_vec(), leaf.value));
    let (weight, label) = weigh(path);
    if secret && weight != Weight::Runs {
        return Effect { weight: Weight::Secret, text: format!("secret {verb}: {full}") };
    }
    let hidden = secret || either(&|leaf| leaf.paired || is_often(&mut path.to_vec(), leaf.value));
    let show = |leaf: Leaf<'_>| {
        if hidden { "(not shown)".to_owned() } else { shown(leaf.value) }
    };
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

/// Whether anything in a value is a secret.
fn is_secret(path: &mut Vec<String>, value: &Value) -> bool {
    let any = |words: &[&str]| {
        let mut lower = path.iter().map(|part| part.to_ascii_lowercase());
        lower.any(|part| words.iter().any(|word| part.contains(word)))
    };
    match value {
        Value::String(text) => any(SECRETS) || secret_at(path, text) || looks_like_a_key(text),
        Value::Number(_) => any(&["password"]),
        Value::Array(items) if items.iter().any(names_a_secret) => true,
        _ => in_any(path, value, &mut is_secret),
    }
}

/// Whether texts in a value often are secrets: by a directory, or by what stands beside them.
fn is_often(path: &mut Vec<String>, value: &Value) -> bool {
    let often = |part: &String| OFTEN.contains(&part.to_ascii_lowercase().as_str());
    path.iter().any(often)
        || value.as_object().is_some_and(is_pair)
        || in_any(path, value, &mut is_often)
}

/// Asks of everything in a list or an object, each at its own path.
fn in_any(
    path: &mut Vec<String>,
    value: &Value,
    ask: &mut dyn FnMut(&mut Vec<String>, &Value) -> bool,
) -> bool {
    let mut below = |name: String, value: &Value| {
        path.push(name);
        let answer = ask(path, value);
        path.pop();
        answer
    };
    match value {
        Value::Array(items) => {
            (0..).zip(items).any(|(at, item): (usize, _)| below(at.to_string(), item))
        }
        Value::Object(fields) => fields.iter().any(|(name, field)| below(name.clone(), field)),
        _ => false,
    }
}

/// Whether an object says what something is called and what it is, as a header or a variable does.
fn is_pair(fields: &Map<String, Value>) -> bool {
    fields.contains_key("value")
        && NAMES.iter().any(|name| fields.get(*name).is_some_and(Value::is_string))
}

/// Whether an argument names a secret, as `--api-key`, `KEY=...` and `Authorization: ...` do: that is in it, or is the
/// next argument.
fn names_a_secret(argument: &Value) -> bool {
    let Some(text) = argument.as_str() else { return false };
    let named = text.split_once(['=', ':']).map(|(name, _)| name);
    let Some(name) = named.or_else(|| text.starts_with('-').then_some(text)) else { return false };
    let name = name.to_ascii_lowercase().replace('-', "_");
    SECRETS.iter().any(|word| name.contains(word))
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

/// A value that is no object.
#[derive(Clone, Copy)]
struct Leaf<'a> {
    value: &'a Value,
    /// Whether it is the value of a name that stands beside it.
    paired: bool,
}

/// All values that are no objects, by path. Members of lists that have an id go by it: their place is of no meaning.
fn leaves(value: &Value) -> BTreeMap<Vec<String>, Leaf<'_>> {
    let mut leaves = BTreeMap::new();
    gather(value, false, &mut Vec::new(), &mut leaves);
    leaves
}

fn gather<'a>(
    value: &'a Value,
    paired: bool,
    path: &mut Vec<String>,
    leaves: &mut BTreeMap<Vec<String>, Leaf<'a>>,
) {
    let mut below = |name: &str, value: &'a Value, paired| {
        path.push(name.to_owned());
        gather(value, paired, path, leaves);
        path.pop();
    };
    let id = |item: &'a Value| item.get("id").and_then(Value::as_str);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let pair = is_pair(fields);
            for (name, field) in fields {
                below(name, field, paired || pair && name == "value");
            }
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| id(item).is_some()) => {
            for item in items {
                below(id(item).unwrap_or_default(), item, paired);
            }
        }
        value => {
            leaves.insert(path.clone(), Leaf { value, paired });
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
            json!({ "hooks": { "mappings": [{ "match": { "path": "x" }, "token": secret }] } }),
            json!({ "hooks": { "mappings": [{ "to": [{ "url": format!("https://u:{secret}@h/") }] }] } }),
            json!({ "proxies": [{ "Headers": { "X-Any": secret } }] }),
            json!({ "proxies": [{ "vars": { "ANY": secret } }] }),
            json!({ "mcp": { "servers": { "x": { "fields": [{ "name": "Authorization", "value": secret }] } } } }),
            json!({ "proxies": [{ "id": "x", "key": "Authorization", "value": [secret] }] }),
            json!({ "tls": { "key": secret }, "proxyUrl": secret }),
            json!({ "mcp": { "servers": { "x": { "args": ["--api-key", secret] } } } }),
            json!({ "mcp": { "servers": { "x": { "args": ["-H", format!("Authorization: {secret}")] } } } }),
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
