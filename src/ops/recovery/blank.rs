//! Whether a machine still has nothing, right before it is given something.

use crate::crypto::sha256_hex;
use crate::engine::scan::refuse_open_databases;
use crate::engine::session::Settings;
use crate::error::{Error, Result};
use crate::local::{Journal, Local};
use crate::source::blank::{self, Content};
use crate::source::policy::Policy;
use crate::source::roots::roots;
use crate::source::{links, logs};

/// What is on the machine by now, where something was to come by itself only as long as it has nothing.
pub(in crate::ops) fn no_longer_blank(
    settings: &Settings,
    journal: &Journal,
) -> Result<Option<String>> {
    if !journal.arrival.as_ref().is_some_and(|arrival| arrival.by_itself) {
        return Ok(None);
    }
    let local = Local::at(&settings.state_dir);
    local.temporary()?;
    let mut found = roots(&settings.state_dir, settings.config_path.as_deref())?;
    let policy = Policy::new(&settings.include, &settings.exclude, settings.include_secrets)?;
    let policy = policy.with_inside(found.inside.clone());
    let cancel = tokio_util::sync::CancellationToken::new();
    let mut walked = links::walk(&mut found, &policy, None, false, &cancel)?;
    logs::settle(&found.roots, &mut walked, false);
    refuse_open_databases(&found.roots, &walked)?;
    let scratch = local.temporary_path("look");
    match blank::read(&found.roots, &found.inside, &walked, &scratch, sha256_hex) {
        Ok(Content::Blank(_)) => Ok(None),
        Ok(Content::Used(path)) => Ok(Some(path.to_string())),
        // What cannot be read may be of use to somebody.
        Err(Error::Database { path, .. }) => Ok(Some(path.display().to_string())),
        Err(error) => Err(error),
    }
}
