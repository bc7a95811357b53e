//! Globs as users write them in the settings, and as the table of rules has them.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Root, shown_path};
use crate::error::{Error, Result};

/// A glob whose `*` stays within a directory.
pub(super) fn glob(text: &str) -> std::result::Result<globset::Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build()
}

/// The globs of a setting, each with all that is in a directory of that name.
pub(super) fn user_globs(field: &str, globs: &[String]) -> Result<GlobSet> {
    let wrong = |text: &str, message: &str| {
        Error::config(field, format!("the glob {text:?} cannot be used: {message}"))
    };
    let mut set = GlobSetBuilder::new();
    for text in globs {
        let cleaned = clean(text);
        if let Some(never) = matches_nothing(text, cleaned) {
            return Err(wrong(text, never));
        }
        for text_with_content in [cleaned.to_owned(), format!("{cleaned}/**")] {
            set.add(
                glob(&text_with_content).map_err(|error| wrong(text, &error.kind().to_string()))?,
            );
        }
    }
    set.build().map_err(|error| Error::config(field, error.to_string()))
}

/// Why a glob can match nothing, or not what it seems to.
fn matches_nothing(text: &str, cleaned: &str) -> Option<&'static str> {
    let odd = |part: &str| matches!(part, "" | "." | "..");
    match text {
        _ if cleaned.is_empty() => Some("it is empty; write `**` for everything"),
        _ if text.starts_with('!') => Some(
            "`!` brings nothing back here: make the glob narrower, or write `\\!` for a name that begins with it",
        ),
        _ if text.starts_with("~/") || text == "~" => Some(
            "`~` does not stand for the home directory here: write the path below the state directory or the workspace",
        ),
        _ if cleaned.split('/').any(odd) => {
            Some("no path has `.`, `..` or an empty name in it: write the path as it is")
        }
        _ => None,
    }
}

/// Refuses globs that name a place from `/` on in one of these directories: they are matched against paths below them.
///
/// # Errors
/// `B2_CONFIG` with the field, the glob, and how to write it.
pub(crate) fn refuse_places(field: &str, globs: &[String], roots: &[Root]) -> Result<()> {
    for text in globs.iter().filter(|text| text.starts_with('/')) {
        for root in roots {
            let place = shown_path(&root.path);
            let Some(rest) = text.strip_prefix(place.as_str()) else { continue };
            if rest.is_empty() || rest.starts_with('/') {
                let inside = Some(clean(rest)).filter(|inside| !inside.is_empty()).unwrap_or("**");
                let message = format!(
                    "the glob {text:?} matches nothing: paths are written as they are below {place}. Write {inside:?}"
                );
                return Err(Error::config(field, message));
            }
        }
    }
    Ok(())
}

/// People write `./docs/` and `/docs` for `docs`.
pub(super) fn clean(glob: &str) -> &str {
    glob.trim_start_matches("./").trim_matches('/')
}

/// The directories before the first component that is not plain text.
pub(super) fn fixed_base(glob: &str) -> Vec<u8> {
    let plain = |part: &&str| !part.contains(['*', '?', '[', ']', '{', '}', '\\', '!']);
    let parts: Vec<&str> = glob.split('/').take_while(plain).collect();
    parts.join("/").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::RootKind;

    #[test]
    fn what_can_match_nothing_is_refused() {
        let refused = |glob: &str| {
            let error = user_globs("exclude", &[glob.to_owned()]).unwrap_err();
            assert_eq!(error.code(), "B2_CONFIG");
            error.to_string()
        };
        assert!(refused("!MEMORY.md").contains("brings nothing back"));
        assert!(refused("~/x").contains("home directory"));
        for odd in ["../x", "a//b", "a/./b", "a/..", "./../x"] {
            assert!(refused(odd).contains("no path has"), "{odd}");
        }
        for empty in ["", "/", "./"] {
            assert!(refused(empty).contains("it is empty"), "{empty}");
        }
        for good in ["./docs/", "/docs", "**", r"\!x", "a.b/..c", "~backup", "a/**/b", "*.log"] {
            user_globs("exclude", &[good.to_owned()]).unwrap();
        }
    }

    #[test]
    fn a_place_from_the_root_on_is_told_how_to_write_it() {
        let root = |path: &str| Root::new(RootKind::State, path.into());
        let roots = [root("/home/me/.openclaw"), root("/work")];
        let message = |glob: &str| {
            refuse_places("exclude", &[glob.to_owned()], &roots).map_err(|error| error.to_string())
        };
        assert!(
            message("/home/me/.openclaw/workspace/tmp").unwrap_err().contains("\"workspace/tmp\"")
        );
        assert!(message("/work").unwrap_err().contains("\"**\""));
        for fine in ["/docs", "/workspace", "work/x", "**"] {
            message(fine).unwrap();
        }
    }
}
