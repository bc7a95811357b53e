//! The plugin's settings in the host's configuration file.

use std::path::Path;

use crate::error::{Error, Result};
use crate::source::host_config;

/// Where the host keeps a plugin's settings, as a JSON pointer.
const POINTER: &str = "/plugins/entries/b2-backup/config";

/// `{"config": object | null, "warning": string | null}`. A file that is not there has no settings. Of one that is not
/// understood the host's own older copy may have them: a bad edit of that very file is what a backup is there for.
///
/// # Errors
/// `B2_CONFIG` when the file is there and the settings are neither in it nor in such a copy: guessing that there are
/// none would back up to nowhere in silence.
pub fn plugin_settings(path: &Path) -> Result<String> {
    let read = host_config::read(path, home().as_deref());
    let config = read.value.pointer(POINTER).cloned();
    let warning = match (read.warnings.first(), &config) {
        (None, _) => None,
        (Some(broken), None) => {
            return Err(Error::config(path.display().to_string(), broken.message.clone()));
        }
        (Some(broken), Some(_)) => {
            let older = read.files.iter().find(|file| is_older(file, path));
            let from = older.map_or_else(
                || "settings come from what of it could be read".to_owned(),
                |older| format!("settings come from {}", older.display()),
            );
            Some(format!("{}; {from}", broken.message))
        }
    };
    Ok(serde_json::json!({ "config": config, "warning": warning }).to_string())
}

fn is_older(file: &Path, path: &Path) -> bool {
    host_config::OLDER.iter().any(|suffix| {
        let mut older = path.as_os_str().to_owned();
        older.push(suffix);
        file.as_os_str() == older
    })
}

fn home() -> Option<std::path::PathBuf> {
    std::env::home_dir()
}
