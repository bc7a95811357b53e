//! Texts that are in every path that one of a set of globs matches, and in every name that would be that of a copy of one.
//! Most paths have none of them: so nobody has to ask what they may be copies of.

use aho_corasick::AhoCorasick;

use crate::error::{Error, Result};

/// What is looked for, in letters of any size. `None` where a glob has no such text: then every path may be a copy.
#[derive(Clone, Debug)]
pub(super) struct Needles(Option<AhoCorasick>);

impl Needles {
    pub(super) fn of<'g>(globs: impl Iterator<Item = &'g str>) -> Result<Self> {
        let needles = globs.flat_map(alternatives).map(|glob| needle(&glob));
        let Some(needles) = needles.collect::<Option<Vec<_>>>() else { return Ok(Self(None)) };
        let set = AhoCorasick::builder().ascii_case_insensitive(true).build(needles);
        set.map(|set| Self(Some(set))).map_err(|error| Error::internal(format!("rules: {error}")))
    }

    /// Whether one of them is in a path.
    pub(super) fn are_in(&self, path: &[u8]) -> bool {
        self.0.as_ref().is_none_or(|set| set.is_match(path))
    }
}

/// A glob without alternatives in braces: each for itself.
fn alternatives(glob: &str) -> Vec<String> {
    let parts = glob.split_once('{').and_then(|(before, rest)| {
        let (inside, after) = rest.split_once('}')?;
        Some((before, inside, after))
    });
    let Some((before, inside, after)) = parts else { return vec![glob.to_owned()] };
    let one = |text: &str| alternatives(&[before, text, after].concat());
    inside.split(',').flat_map(one).collect()
}

/// The longest stretch without anything that stands for something else, of the last part of a glob that has one. A name is
/// shortened to that of an original from both ends, and in front of a dot (`x (copy).json`), so a dot may only come first;
/// one without is rarer.
fn needle(glob: &str) -> Option<Vec<u8>> {
    glob.rsplit('/').find_map(longest)
}

fn longest(part: &str) -> Option<Vec<u8>> {
    let mut stretches: Vec<String> = vec![String::new()];
    for letter in part.chars() {
        if letter == '.' || "*?[]\\".contains(letter) {
            stretches.push(String::new());
        }
        if let Some(last) = stretches.last_mut().filter(|_| !"*?[]\\".contains(letter)) {
            last.push(letter);
        }
    }
    let texts = stretches.into_iter().filter(|text| !matches!(text.as_str(), "" | "."));
    texts.max_by_key(|text| (!text.starts_with('.'), text.len())).map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::copies::originals_of_path;
    use crate::source::policy_rules::{Class, PLAIN_SECRETS, RULES};

    #[test]
    fn what_is_looked_for() {
        let of = |glob: &str| -> Vec<String> {
            let found = alternatives(glob).into_iter().filter_map(|glob| needle(&glob));
            found.map(|needle| String::from_utf8(needle).unwrap()).collect()
        };
        assert_eq!(of("**/auth.json"), ["auth"]);
        assert_eq!(of(".env.*"), [".env"]);
        assert_eq!(of("**/*.{key,pem}"), [".key", ".pem"]);
        assert_eq!(of("**/{.,_}netrc"), [".netrc", "_netrc"]);
        assert_eq!(of("fleet/auth-profile-secrets"), ["auth-profile-secrets"]);
        assert_eq!(of("**/*"), Vec::<String>::new());
    }

    /// Each glob, with a copy of each kind of a file that it matches.
    #[test]
    fn copies_of_what_a_glob_matches_have_one() {
        let rules = RULES.iter().filter(|rule| rule.class == Class::Secret).map(|rule| rule.glob);
        let globs: Vec<&str> = rules.chain(PLAIN_SECRETS.iter().copied()).collect();
        let needles = Needles::of(globs.iter().copied()).unwrap();
        assert!(needles.0.is_some());
        let originals = globs.iter().flat_map(|glob| alternatives(glob));
        for original in originals.map(|glob| glob.replace("**/", "").replace(['*', '?'], "x")) {
            let (above, name) = original.rsplit_once('/').unwrap_or(("d", &original));
            let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
            for copy in [
                format!("{name}~"),
                format!("{name}.bak-2026-11-30"),
                format!(".{name}.swp"),
                format!("#{name}#"),
                format!("copy (3) of {name}"),
                format!("{stem} (copy 2).{ending}"),
                format!("{}.OLD.1", name.to_uppercase()),
            ] {
                assert!(needles.are_in(format!("{above}/{copy}").as_bytes()), "{copy}");
            }
            let copied = format!("{above}/{stem} (copy).{ending}");
            let originals = originals_of_path(copied.as_bytes());
            assert!(originals.contains(&format!("{above}/{name}").into_bytes()) || stem.is_empty());
        }
        for common in [
            "agents/main/sessions/1b4e28ba-2fa1-11d2-883f-0016d3cca427.jsonl",
            "workspace/memory/2026-11-30.md",
            "workspace/app/src/index.test.js",
        ] {
            assert!(!needles.are_in(common.as_bytes()), "{common}");
        }
    }
}
