//! Names of copies: those that editors, OpenClaw and people give them. A copy of a file with secrets has the same secrets.

use std::collections::VecDeque;

/// What the addition to a name begins with, in small letters. A number is one, too.
const WORDS: &[&str] = &[
    "bak",
    "backup",
    "old",
    "orig",
    "save",
    "copy",
    "kopie",
    "prev",
    "last-good",
    "disabled",
    "tmp",
    "temp",
    "new",
    "dpkg-",
    "rpmsave",
    "rpmnew",
    "un~",
    "broken",
    "before",
    "clobbered",
    "rejected",
];
/// What stands between a name and its addition.
const BETWEEN: &[char] = &['.', '-', '_', ' ', '~', '('];
/// A name has no more originals than this.
const MOST: usize = 24;
/// A copy of a copy of a copy.
const DEPTH: usize = 3;

/// The names that a file of this name may be a copy of, or a copy of a copy. Not the name itself.
pub(super) fn originals(name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut next = VecDeque::from([(name.to_owned(), 0)]);
    while let Some((copy, depth)) = next.pop_front() {
        for original in copied(&copy) {
            let is_new = !original.is_empty() && original != name && !found.contains(&original);
            if is_new && found.len() < MOST {
                if depth + 1 < DEPTH {
                    next.push_back((original.clone(), depth + 1));
                }
                found.push(original);
            }
        }
    }
    found
}

/// The paths that one at this path may be a copy of: each name in it may be that of a copy.
pub(super) fn originals_of_path(path: &[u8]) -> Vec<Vec<u8>> {
    let Ok(path) = std::str::from_utf8(path) else {
        return originals_of_path(String::from_utf8_lossy(path).as_bytes());
    };
    let mut found = Vec::new();
    let mut start = 0;
    for name in path.split('/') {
        let (above, below) = (path.get(..start), path.get(start + name.len()..));
        for original in originals(name) {
            let parts = [above.unwrap_or_default(), &original, below.unwrap_or_default()];
            found.push(parts.concat().into_bytes());
        }
        start += name.len() + 1;
    }
    found
}

/// One step back.
fn copied(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut put = |original: &str| found.push(original.to_owned());
    // Emacs, and the links that it locks files with.
    if let Some(inner) = name.strip_prefix('#') {
        put(inner.strip_suffix('#').unwrap_or(inner));
    }
    if let Some(inner) = name.strip_prefix(".#") {
        put(inner);
    }
    added_in_front(name, &mut put);
    let small = name.to_ascii_lowercase();
    for (at, _) in name.match_indices(BETWEEN).filter(|(at, _)| *at > 0) {
        let (Some(before), Some(added)) = (name.get(..at), small.get(at + 1..)) else { continue };
        let added = added.trim_start_matches(BETWEEN);
        let hidden = before.strip_prefix('.').filter(|before| !before.is_empty());
        if is_swap(added) || is_temporary(hidden, added) {
            put(before);
            hidden.into_iter().for_each(&mut put);
        } else if added.is_empty() || begins_an_addition(added) {
            put(before);
            // Vim's file of what can be undone begins with a dot.
            hidden.filter(|_| added == "un~").into_iter().for_each(&mut put);
            if let Some(ending) = name.rfind('.').filter(|dot| *dot > at) {
                put(&[before, name.get(ending..).unwrap_or_default()].concat());
            }
        }
    }
    found
}

fn begins_an_addition(added: &str) -> bool {
    added.starts_with(|c: char| c.is_ascii_digit())
        || WORDS.iter().any(|word| added.starts_with(word))
}

/// Vim: `.NAME.swp`, `.NAME.swo` and so on.
fn is_swap(added: &str) -> bool {
    added.len() == 3 && added.starts_with("sw")
}

/// rsync and others: `.NAME.a1B2c3`.
fn is_temporary(hidden: Option<&str>, added: &str) -> bool {
    hidden.is_some() && added.len() == 6 && added.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// `copy of NAME`, `Copy (2) of NAME`, `old-NAME`.
fn added_in_front(name: &str, put: &mut dyn FnMut(&str)) {
    let small = name.to_ascii_lowercase();
    let Some(word) =
        WORDS.iter().filter(|word| small.starts_with(**word)).max_by_key(|word| word.len())
    else {
        return;
    };
    let between = |c: char| matches!(c, ' ' | '-' | '_');
    let rest = name.get(word.len()..).unwrap_or_default();
    let number = |c: char| between(c) || c.is_ascii_digit() || matches!(c, '(' | ')');
    let mut behind = rest.trim_start_matches(number);
    for of in ["of", "von"] {
        let after = behind.get(..of.len()).filter(|start| start.eq_ignore_ascii_case(of));
        let after =
            after.and_then(|_| behind.get(of.len()..)).filter(|after| after.starts_with(between));
        behind = after.map_or(behind, |after| after.trim_start_matches(between));
    }
    if behind.len() < rest.len() {
        put(behind);
    }
    if let Some(visible) = behind.strip_prefix('.') {
        put(visible);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::documented::lists;

    #[test]
    fn the_page_names_every_word() {
        lists("copies", WORDS.iter().map(|word| format!("`{word}`")));
    }

    #[test]
    fn copies_are_known_by_their_names() {
        for (original, copies) in [
            (
                "openclaw.json",
                &[
                    ".openclaw.json.swp",
                    ".openclaw.json.swo",
                    ".openclaw.json.un~",
                    ".openclaw.json.Ab3dE9",
                    "#openclaw.json#",
                    ".#openclaw.json",
                    "openclaw.json~",
                    "openclaw.json.~1~",
                    "openclaw.json (copy)",
                    "openclaw (copy).json",
                    "openclaw (copy 2).json",
                    "openclaw (1).json",
                    "openclaw(1).json",
                    "openclaw copy.json",
                    "openclaw copy 2.json",
                    "openclaw - Copy.json",
                    "openclaw - Copy (2).json",
                    "openclaw.json - Copy",
                    "Copy of openclaw.json",
                    "copy (3) of openclaw.json",
                    "copy-openclaw.json",
                    "old.openclaw.json",
                    "backup_openclaw.json",
                    "Kopie von openclaw.json",
                    "openclaw-old.json",
                    "openclaw_old.json",
                    "openclaw.old.json",
                    "openclaw.json-old",
                    "openclaw.json.OLD",
                    "openclaw.json.orig",
                    "openclaw.json.save",
                    "openclaw.json.save.1",
                    "openclaw.json.bak",
                    "openclaw.json.bak-2026-11-30",
                    "openclaw.json.1",
                    "openclaw-2026-11-30.json",
                    "openclaw.json.last-good",
                    "#openclaw.json.bak#",
                    ".openclaw (copy).json.swp",
                ][..],
            ),
            (
                ".env",
                &[
                    ".env~",
                    ".env.swp",
                    ".env.swo",
                    ".env (copy)",
                    ".env copy",
                    "copy of .env",
                    ".env-old",
                    ".env.old",
                    ".env_1",
                    "#.env#",
                    ".#.env",
                    "..env.swp",
                ][..],
            ),
            ("id_rsa", &["id_rsa.bak", "id_rsa-old", "id_rsa (copy)", "id_rsa.1"][..]),
        ] {
            for copy in copies {
                assert!(
                    originals(copy).iter().any(|name| name == original),
                    "{copy}: {:?}",
                    originals(copy)
                );
            }
        }
        for other in [
            "openclaw.json",
            "myopenclaw.json",
            "openclaw.jsonl",
            "openclaw.json.d",
            "closed.json",
            "",
        ] {
            assert!(!originals(other).iter().any(|name| name == "openclaw.json"), "{other}");
        }
        assert!(originals("1b4e28ba-2fa1-11d2-883f-0016d3cca427.jsonl").len() <= MOST);
    }

    #[test]
    fn each_name_of_a_path_may_be_that_of_a_copy() {
        let of = |path: &str| originals_of_path(path.as_bytes());
        assert!(of("a/.ssh.bak/config").contains(&b"a/.ssh/config".to_vec()));
        assert!(of("credentials~").contains(&b"credentials".to_vec()));
        assert!(of("a/b.json/c").is_empty());
    }
}
