//! Which values of OpenClaw's configuration are secrets: its own rules for names, what its schema marks beside them, and
//! what is a login in a URL. Those of OpenClaw 2026.9.6.

use std::collections::HashMap;

use crate::source::json5::Tree;

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
    "webhookurl",
    "healthcheckurl",
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

/// What addresses contain whose path is the secret: of webhooks and watchdogs. In small letters.
const SECRET_PATHS: &[&str] = &[
    "//hooks.slack.com/",
    "/api/webhooks/",
    ".webhook.office.com/",
    "//outlook.office.com/webhook",
    "//chat.googleapis.com/v1/spaces/",
    "//api.telegram.org/bot",
    "//hc-ping.com/",
    "//hooks.zapier.com/",
];

/// Every value that is a secret, with its path. Where several have the same path, the last one has it, and those before it
/// are told apart by a number.
pub(super) fn sensitive(tree: &Tree) -> Vec<(String, String)> {
    let mut found = Vec::new();
    read(tree, &mut Vec::new(), &mut found);
    let mut after: HashMap<String, usize> = HashMap::new();
    for (path, _) in found.iter_mut().rev() {
        let number = after.entry(path.clone()).or_default();
        if *number > 0 {
            *path = format!("{path}#{number}");
        }
        *number += 1;
    }
    found
}

fn read(tree: &Tree, path: &mut Vec<String>, found: &mut Vec<(String, String)>) {
    match tree {
        Tree::Object(fields) => {
            let reference = is_reference(tree);
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| key);
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
        Tree::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                path.push(number.to_string());
                read(item, path, found);
                path.pop();
            }
        }
        Tree::Text(text) if secret_at(path, text) => {
            found.push((path.join("."), text.clone()));
        }
        _ => {}
    }
}

/// A field that stands twice names nothing: only one of the two is a name.
fn is_reference(tree: &Tree) -> bool {
    let only = |name| {
        let mut fields = tree.fields(name);
        let field = fields.next().filter(|_| fields.next().is_none());
        field.and_then(Tree::text)
    };
    only("id").is_some() && only("source").is_some_and(|source| SOURCES.contains(&source))
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

/// Whether a text is a URL with a login or a secret path in it.
fn has_login(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let lower = text.to_ascii_lowercase();
    if SECRET_PATHS.iter().any(|part| lower.contains(part)) {
        return true;
    }
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
        let marked = MARKED.iter().map(|end| format!("paths that end in `{end}`"));
        let addresses = SECRET_PATHS.iter().map(|part| format!("addresses with `{part}`"));
        lists("values", below.chain(marked).chain(addresses));
    }
}
