//! The plugin's settings in the host's configuration file.

use std::path::Path;

use crate::error::{Error, Result};
use crate::source::host_config;

/// Where the host keeps a plugin's settings, as a JSON pointer.
const POINTER: &str = "/plugins/entries/b2-backup/config";

/// `{"config": object | null, "warning": string | null}`. A file that is not there has no settings.
///
/// # Errors
/// `B2_CONFIG` when the file is there and cannot be read: guessing that there are no settings would back up
/// to nowhere in silence.
pub fn plugin_settings(path: &Path) -> Result<String> {
    let read = host_config::read(path, home().as_deref());
    if let Some(broken) = read.warnings.first() {
        return Err(Error::config(path.display().to_string(), broken.message.clone()));
    }
    let config = read.value.pointer(POINTER).cloned();
    Ok(serde_json::json!({ "config": config, "warning": null }).to_string())
}

fn home() -> Option<std::path::PathBuf> {
    std::env::home_dir()
}
