//! Paths as people write them into OpenClaw's configuration.

use std::path::{Path, PathBuf};

use super::{RelPath, Skipped};

/// An absolute path from one as people write it. `None` when it is empty or needs an unknown home.
pub(super) fn expand(name: &str, base: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    match name.strip_prefix('~') {
        Some("") => home.map(Path::to_path_buf),
        Some(rest) if rest.starts_with(['/', '\\']) => {
            home.map(|home| home.join(rest.trim_start_matches(['/', '\\'])))
        }
        _ => Some(base.join(name)),
    }
}

/// What is said of a path that to OpenClaw begins where it was started, which may be anywhere. `None` for others, and for
/// one that is found from `base`, the directory of the configuration.
pub(super) fn begins_elsewhere(name: &str, base: &Path) -> Option<Skipped> {
    let whole = name.starts_with('~') || Path::new(name).is_absolute();
    if name.trim().is_empty() || whole || base.join(name).is_dir() {
        return None;
    }
    let path = RelPath::from_bytes(name.as_bytes().to_vec()).escaped();
    let message = format!(
        "{path} is configured but not backed up: it begins where OpenClaw was started, which a backup cannot know. Write \
         the whole path in openclaw.json"
    );
    Some(Skipped { path, code: "B2_SKIPPED_ROOT", message })
}

#[cfg(test)]
mod tests {
    use super::super::host_config::read;

    #[test]
    fn a_path_that_begins_where_openclaw_was_started_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let config = r#"{ "agents": { "defaults": { "workspace": "rel/ws" }, "list": [
            { "id": "a", "workspace": "/abs/ws" }, { "id": "b", "workspace": "~/ws", "agentDir": "./b" } ] } }"#;
        std::fs::write(dir.path().join("openclaw.json"), config).unwrap();
        let read = || read(&dir.path().join("openclaw.json"), None);
        let elsewhere = read().elsewhere;
        let named: Vec<_> = elsewhere.iter().map(|one| (one.path.as_str(), one.code)).collect();
        assert_eq!(named, [("./b", "B2_SKIPPED_ROOT"), ("rel/ws", "B2_SKIPPED_ROOT")]);
        std::fs::create_dir_all(dir.path().join("rel/ws")).unwrap();
        assert_eq!(read().elsewhere.len(), 1);
        assert!(read().warnings.is_empty(), "the configuration itself is all right");
    }
}
