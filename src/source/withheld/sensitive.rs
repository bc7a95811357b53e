//! Which values of OpenClaw's configuration are secrets: its own rules for names, what its schema marks beside them, and
//! what is a login in a URL. Those of OpenClaw 2026.9.6.

use serde_json::{Map, Value};

/// Ends of names that are no secrets, although they look like it.
const HARMLESS: &[&str] = &[
    "maxtokens",
    "maxoutputtokens",
    "maxinputtokens",
    "maxcompletiontokens",
    "contexttokens",
    "totaltokens",
    "tokencount",
    "tokenlimit",
    "tokenbudget",
    "passwordfile",
];
/// Names below which every text is a secret.
const ABOVE: &[&str] = &["env", "headers", "edgeauth"];
/// Ends of paths that the schema marks.
const MARKED: &[&str] = &[
    "passphrase",
    "proxyurl",
    "identitydata",
    "certificatedata",
    "knownhostsdata",
    "auth.value",
    "tls.ca",
    "tls.cert",
    "tls.key",
    "mappings[].sessionkey",
];
/// Fields of a reference to a secret that lies elsewhere, and where it may lie (`SecretRef` of OpenClaw).
const REFERENCE: &[&str] = &["source", "provider", "id"];
const SOURCES: &[&str] = &["env", "exec", "file", "store"];
/// Parameters of a URL that are secrets.
const PARAMETERS: &[&str] = &[
    "token",
    "key",
    "api_key",
    "apikey",
    "secret",
    "access_token",
    "auth_token",
    "password",
    "pass",
    "passwd",
    "auth",
    "jwt",
    "session",
    "id_token",
];

/// Every value that is a secret, with its path.
pub(super) fn sensitive(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    read(value, &mut Vec::new(), &mut found);
    found
}

fn read(value: &Value, path: &mut Vec<String>, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            let reference = is_reference(fields);
            for (key, field) in fields {
                // It names a secret, and is none. Whatever else stands beside it may be one.
                if reference && REFERENCE.contains(&key.as_str()) {
                    continue;
                }
                path.push(key.clone());
                read(field, path, found);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                path.push(number.to_string());
                read(item, path, found);
                path.pop();
            }
        }
        Value::String(text) if secret_at(path, text) => {
            found.push((path.join("."), text.clone()));
        }
        _ => {}
    }
}

fn is_reference(fields: &Map<String, Value>) -> bool {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    text("id").is_some() && text("source").is_some_and(|source| SOURCES.contains(&source))
}

/// Whether a text at this place of the configuration is a secret. Members of lists stand there by their number.
pub(in crate::source) fn secret_at(path: &[String], text: &str) -> bool {
    let text = text.trim();
    let named = text.starts_with("${") && text.ends_with('}');
    let above = |part: &String| {
        let lower = part.to_ascii_lowercase();
        ABOVE.contains(&lower.as_str()) || is_account(&lower)
    };
    !named && !text.is_empty() && (path.iter().any(above) || is_sensitive(path) || has_login(text))
}

fn is_account(name: &str) -> bool {
    name.ends_with("serviceaccount") || name.ends_with("serviceaccountref")
}

fn is_sensitive(path: &[String]) -> bool {
    let labels = path.iter().map(|part| {
        let number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if number { "[]".to_owned() } else { format!(".{}", part.to_ascii_lowercase()) }
    });
    let path: String = labels.collect();
    let name = path.trim_end_matches("[]");
    if HARMLESS.iter().any(|end| name.ends_with(end)) {
        return false;
    }
    let both = |first: &str| {
        let after = path.match_indices(first).filter_map(|(at, _)| path.get(at + first.len()..));
        after.into_iter().any(|rest| {
            rest.starts_with("key")
                || rest.chars().next().is_some_and(|c| rest[c.len_utf8()..].starts_with("key"))
        })
    };
    name.ends_with("token")
        || path.contains("password")
        || path.contains("secret")
        || ["api", "encrypt", "private"].iter().any(|first| both(first))
        || MARKED.iter().any(|end| name.ends_with(end))
}

/// Whether a text is a URL with a login in it.
fn has_login(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, rest) = rest.split_at(end);
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    host.contains('@')
        || query.split(['&', ';', '#']).any(|part| {
            part.split_once('=').is_some_and(|(name, value)| {
                !value.is_empty() && PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::documented::lists;

    #[test]
    fn the_page_names_every_rule_for_values() {
        let below = ABOVE.iter().map(|name| format!("every text below `{name}`"));
        lists("values", below.chain(MARKED.iter().map(|end| format!("paths that end in `{end}`"))));
    }
}
