//! Globs as users write them in the settings, and as the table of rules has them.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

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
        if cleaned.is_empty() {
            return Err(wrong(text, "it is empty; write `**` for everything"));
        }
        for text_with_content in [cleaned.to_owned(), format!("{cleaned}/**")] {
            set.add(
                glob(&text_with_content).map_err(|error| wrong(text, &error.kind().to_string()))?,
            );
        }
    }
    set.build().map_err(|error| Error::config(field, error.to_string()))
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
