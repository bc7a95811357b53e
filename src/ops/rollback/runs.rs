//! What can run of what a new machine is given: the user is told of it, since nobody looked at a plan.

use std::collections::BTreeSet;

use super::items::Compared;
use super::request::Action;
use crate::entry::EntryKind;
use crate::ops::recovery::{MAX_CONFIG_BYTES, parse};
use crate::source::place::Spot;

/// More are counted only.
const MOST: usize = 40;

/// Folders of which each part is something that OpenClaw, an agent or git runs or follows.
const RUNNING: &[&[u8]] = &[b"hooks", b"skills", b"extensions"];

/// The hooks, skills and plugins among the files that come.
pub(super) fn among_files(compared: &Compared) -> Vec<String> {
    let comes = compared.items.iter().filter(|item| {
        let file = item.entry.as_ref().is_some_and(|entry| entry.kind == EntryKind::File);
        file && matches!(item.action, Action::Add | Action::Replace)
    });
    let found: BTreeSet<String> =
        comes.filter_map(|item| running(item.entry.as_ref()?.path.as_bytes())).collect();
    few(found)
}

/// The path of a file up to the name below the folder that makes it run.
fn running(path: &[u8]) -> Option<String> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    if parts.contains(&b"node_modules".as_slice()) || path.ends_with(b".sample") {
        return None;
    }
    let (_, above) = parts.split_last()?;
    let at = above.iter().position(|part| RUNNING.contains(part))?;
    let named = parts.get(..at + 2)?;
    Some(String::from_utf8_lossy(&named.join(&b'/')).into_owned())
}

/// What a configuration makes run: servers, hooks, variables of the environment, plugins.
pub(super) fn in_config(config: &Spot) -> Vec<String> {
    let bytes = config.read(MAX_CONFIG_BYTES).unwrap_or_default();
    let Some(value) = std::str::from_utf8(&bytes).ok().and_then(parse) else { return Vec::new() };
    let keys = |pointer: &str| -> Vec<String> {
        let object = value.pointer(pointer).and_then(|value| value.as_object());
        object.into_iter().flat_map(|object| object.keys().cloned()).collect()
    };
    let mut found = BTreeSet::new();
    found.extend(keys("/mcp/servers").into_iter().map(|name| format!("MCP server {name}")));
    for pointer in ["/hooks/internal/entries", "/hooks/entries"] {
        found.extend(keys(pointer).into_iter().map(|name| format!("hook {name}")));
    }
    let mappings = value.pointer("/hooks/mappings").and_then(|it| it.as_array());
    if let Some(count) = mappings.map(Vec::len).filter(|count| *count > 0) {
        found.insert(format!("{count} web hooks"));
    }
    let variables = keys("/env").into_iter().filter(|key| key != "vars" && key != "shellEnv");
    let variables = variables.chain(keys("/env/vars"));
    found.extend(variables.map(|name| format!("environment variable {name}")));
    let plugins = keys("/plugins/entries").into_iter().filter(|name| name != "b2-backup");
    found.extend(plugins.map(|name| format!("plugin {name}")));
    let paths = value.pointer("/plugins/load/paths").and_then(|it| it.as_array());
    let paths = paths.into_iter().flatten().filter_map(|path| path.as_str());
    found.extend(paths.map(|path| format!("plugins in {path}")));
    few(found)
}

fn few(found: BTreeSet<String>) -> Vec<String> {
    let more = found.len().saturating_sub(MOST);
    let mut few: Vec<String> = found.into_iter().take(MOST).collect();
    if more > 0 {
        few.push(format!("{more} more"));
    }
    few
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_known_by_its_folder() {
        let of = |path: &str| running(path.as_bytes()).unwrap_or_default();
        assert_eq!(of("hooks/greet/handler.ts"), "hooks/greet");
        assert_eq!(of("workspace/skills/mine/SKILL.md"), "workspace/skills/mine");
        assert_eq!(of("workspace/.git/hooks/pre-commit"), "workspace/.git/hooks/pre-commit");
        assert_eq!(of("extensions/other/index.js"), "extensions/other");
        for nothing in [
            "workspace/MEMORY.md",
            "workspace/skills",
            "workspace/.git/hooks/pre-commit.sample",
            "workspace/node_modules/x/hooks/a.js",
        ] {
            assert_eq!(of(nothing), "");
        }
    }
}
