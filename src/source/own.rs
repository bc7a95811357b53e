//! What of the state one agent may see, and have back, without anybody being asked: a list of what is allowed, so that
//! what nobody thought of is not.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::confidential::Confidential;
use super::policy::Policy;
use super::{RelPath, Root, RootKind, absolute, host_config, roots};
use crate::error::Result;

/// Endings of names of plain text that nothing runs and nothing is configured by.
const TEXT: &[&str] = &["md", "markdown", "txt"];
/// Files that the host, or another agent in the workspace, takes for instructions, by their name in any directory. The
/// host's own are `WORKSPACE_BOOTSTRAP_FILENAMES`, `OptionalBootstrapFileNameSchema` and `DEFAULT_TOOLS_FILENAME` of
/// OpenClaw 2026.9.6 without `MEMORY.md`, and what its bundled hooks (`boot-md`), hooks and skills are made of.
const INSTRUCTIONS: &[&str] = &[
    "agent.md",
    "agents.md",
    "agents.override.md",
    "boot.md",
    "bootstrap.md",
    "claude.local.md",
    "claude.md",
    "codex.md",
    "copilot-instructions.md",
    "gemini.md",
    "heartbeat.md",
    "hook.md",
    "identity.md",
    "qwen.md",
    "skill.md",
    "soul.md",
    "tools.md",
    "user.md",
];
/// Directories whose text is instructions, or beside what runs.
const WORKING: &[&str] = &[
    "agents",
    "bin",
    "commands",
    "cron",
    "extensions",
    "hooks",
    "instructions",
    "node_modules",
    "plugins",
    "prompts",
    "rules",
    "scripts",
    "skill-workshop",
    "skills",
    "tools",
];

/// Why something is not for an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOwn {
    /// It may hold secrets, or is a part of the configuration.
    Confidential,
    /// A part of its path begins with a dot.
    Hidden,
    /// It is in no workspace, or in that of another agent.
    Elsewhere,
}

/// The files of one agent.
#[derive(Debug)]
pub struct Own {
    confidential: Confidential,
    policy: Policy,
    state_dir: PathBuf,
    workspace: PathBuf,
    /// Workspaces of other agents inside this one.
    inner: Vec<PathBuf>,
    /// Last parts of all texts of the configuration: a file that it names is configuration, whatever for.
    named: HashSet<String>,
}

impl Own {
    /// For the agent that works in `workspace`, which is absolute. What is configured is looked up here and now.
    ///
    /// # Errors
    /// `B2_INTERNAL` when our own rules are broken.
    pub fn new(state_dir: &Path, config_path: Option<&Path>, workspace: &Path) -> Result<Self> {
        let usual = state_dir.join("openclaw.json");
        let home = std::env::home_dir();
        let config = host_config::read(config_path.unwrap_or(&usual), home.as_deref());
        let inside = roots::roots(state_dir, config_path).map(|roots| roots.inside);
        let workspace = host_config::real(workspace);
        let others = config.workspaces.iter().map(|path| host_config::real(path));
        let mut named = HashSet::new();
        name_all(&config.value, &mut named);
        Ok(Self {
            confidential: Confidential::new(state_dir, config_path)?,
            policy: Policy::new(&[], &[], false)?.with_inside(inside.unwrap_or_default()),
            state_dir: host_config::real(state_dir),
            inner: others
                .filter(|other| *other != workspace && other.starts_with(&workspace))
                .collect(),
            workspace,
            named,
        })
    }

    /// Why the agent may not see the lines of the file at `path` below a root; `None` is one of a newer version.
    #[must_use]
    pub fn why_not_seen(&self, root: Option<&Root>, path: &RelPath) -> Option<NotOwn> {
        let Some(root) = root else { return Some(NotOwn::Elsewhere) };
        let place = if root.kind == RootKind::State { &self.state_dir } else { &root.path };
        let full = absolute(place, path);
        let below = |directory: &PathBuf| full != *directory && full.starts_with(directory);
        let (kind, seen) = root.judged(path);
        if !self.policy.in_workspace(kind, &seen)
            || !below(&self.workspace)
            || self.inner.iter().any(|inner| full.starts_with(inner))
        {
            return Some(NotOwn::Elsewhere);
        }
        if self.confidential.is(Some(root), path) {
            return Some(NotOwn::Confidential);
        }
        seen.as_bytes()
            .split(|byte| *byte == b'/')
            .any(|part| part.starts_with(b"."))
            .then_some(NotOwn::Hidden)
    }

    /// Why the agent may not have the file at `path` back without being asked, as far as its name tells; for a
    /// directory the same of what its name is.
    #[must_use]
    pub fn why_not_written(
        &self,
        root: &Root,
        path: &RelPath,
        directory: bool,
    ) -> Option<&'static str> {
        match self.why_not_seen(Some(root), path) {
            Some(NotOwn::Elsewhere) => return Some("is not in the workspace of the agent"),
            Some(NotOwn::Confidential) => return Some("may hold secrets or settings"),
            Some(NotOwn::Hidden) => return Some("is hidden"),
            None => {}
        }
        let (_, path) = root.judged(path);
        // Other letters have other forms that a file system, or a model, may take for the ones in the tables.
        let Some(text) = std::str::from_utf8(path.as_bytes()).ok().filter(|text| is_plain(text))
        else {
            return Some("has an unusual name");
        };
        let lower = text.to_ascii_lowercase();
        let (above, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
        let above = if directory { lower.as_str() } else { above };
        if above.split('/').any(|part| WORKING.contains(&part)) {
            return Some("is where instructions or programs are kept");
        }
        if directory {
            return None;
        }
        if INSTRUCTIONS.contains(&name) {
            return Some("holds instructions");
        }
        if self.named.contains(name) {
            return Some("is named in the configuration");
        }
        let is_text = name
            .rsplit_once('.')
            .is_some_and(|(base, end)| !base.is_empty() && TEXT.contains(&end));
        (!is_text).then_some("is no plain text")
    }
}

/// Whether the host, or another agent in a workspace, takes a file for instructions because of its name.
#[must_use]
pub fn is_instructions(path: &RelPath) -> bool {
    let name = path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    INSTRUCTIONS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a path is made of letters, digits and a few marks, with no part that a file system takes for another.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|part| {
        !part.ends_with([' ', '.'])
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._- ".contains(&byte))
    })
}

fn name_all(value: &Value, names: &mut HashSet<String>) {
    match value {
        Value::String(text) => {
            let name = text.rsplit(['/', '\\']).next().unwrap_or(text);
            names.insert(name.to_ascii_lowercase());
        }
        Value::Array(items) => items.iter().for_each(|item| name_all(item, names)),
        Value::Object(fields) => fields.values().for_each(|field| name_all(field, names)),
        _ => {}
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[expect(clippy::unwrap_used, reason = "helpers may panic as the tests do")]
    fn own(config: &str) -> (tempfile::TempDir, Own) {
        let temp = tempfile::tempdir().unwrap();
        let state = temp.path().join("state");
        for dir in ["workspace/inner", "workspace-other", "elsewhere", "agents/main/sessions"] {
            std::fs::create_dir_all(state.join(dir)).unwrap();
        }
        std::fs::write(state.join("openclaw.json"), config).unwrap();
        let own = Own::new(&state, None, &state.join("workspace")).unwrap();
        (temp, own)
    }

    fn path(text: &str) -> RelPath {
        RelPath::from_bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn an_agent_sees_plain_files_of_its_own_workspace() {
        let (temp, own) = own("{ agents: { list: [{ id: 'in', workspace: 'workspace/inner' }] } }");
        let root = Root::new(RootKind::State, PathBuf::from("/x"));
        let seen = |text: &str| own.why_not_seen(Some(&root), &path(text));
        for text in
            ["workspace/MEMORY.md", "workspace/memory/2026-01-01.md", "workspace/src/main.rs"]
        {
            assert_eq!(seen(text), None, "{text}");
        }
        for (text, why) in [
            ("workspace", NotOwn::Elsewhere),
            ("workspace-other/MEMORY.md", NotOwn::Elsewhere),
            ("workspace/inner/MEMORY.md", NotOwn::Elsewhere),
            ("agents/main/sessions/a.jsonl", NotOwn::Elsewhere),
            ("cron/jobs.json", NotOwn::Elsewhere),
            ("workspace/.hidden.md", NotOwn::Hidden),
            ("workspace/.secret/notes.md", NotOwn::Hidden),
            ("workspace/site.pem", NotOwn::Confidential),
        ] {
            assert_eq!(seen(text), Some(why), "{text}");
        }
        let state = temp.path().join("state").canonicalize().unwrap();
        let root = |kind| Root::new(kind, state.join("workspace"));
        let of = |root: Option<Root>| own.why_not_seen(root.as_ref(), &path("MEMORY.md"));
        assert_eq!(of(Some(root(RootKind::Workspace))), None);
        assert_eq!(of(Some(root(RootKind::AgentDir))), Some(NotOwn::Elsewhere));
        assert_eq!(of(None), Some(NotOwn::Elsewhere));
    }

    #[test]
    fn a_workspace_that_a_link_leads_to_is_the_agents_own() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let state = base.join("state");
        for dir in ["state", "disk/ws", "disk/other"] {
            std::fs::create_dir_all(base.join(dir)).unwrap();
        }
        std::fs::write(state.join("openclaw.json"), "{}").unwrap();
        std::os::unix::fs::symlink(base.join("disk/ws"), state.join("workspace")).unwrap();
        let own = Own::new(&state, None, &state.join("workspace")).unwrap();
        let linked = |at: &str, to: &str| Root {
            at: Some(path(at)),
            ..Root::new(RootKind::Linked, base.join(to))
        };
        let root = linked("workspace", "disk/ws");
        let seen = |text: &str| own.why_not_seen(Some(&root), &path(text));
        assert_eq!(seen("MEMORY.md"), None);
        assert_eq!(seen(".hidden.md"), Some(NotOwn::Hidden));
        assert_eq!(seen("site.pem"), Some(NotOwn::Confidential));
        let written = |text: &str| own.why_not_written(&root, &path(text), false);
        assert_eq!(written("memory/2026-01-01.md"), None);
        assert!(written("AGENTS.md").is_some() && written("skills/x/notes.md").is_some());
        for other in [linked("workspace-other", "disk/other"), linked("cron", "disk/ws")] {
            assert_eq!(own.why_not_seen(Some(&other), &path("MEMORY.md")), Some(NotOwn::Elsewhere));
        }
    }

    #[test]
    fn what_comes_back_unasked_is_plain_text_that_nobody_takes_for_instructions() {
        let (_temp, own) =
            own("{ agents: { defaults: { promptFile: '~/.openclaw/workspace/Persona.md' } } }");
        let root = Root::new(RootKind::State, PathBuf::new());
        let why = |text: &str| own.why_not_written(&root, &path(text), false);
        for text in ["workspace/MEMORY.md", "workspace/memory/2026-01-01.md", "workspace/a b/c.txt"]
        {
            assert_eq!(why(text), None, "{text}");
        }
        for text in [
            "workspace/AGENTS.md",
            "workspace/agents.MD",
            "workspace/sub/SOUL.md",
            "workspace/HEARTBEAT.md",
            "workspace/TOOLS.md",
            "workspace/BOOTSTRAP.md",
            "workspace/BOOT.md",
            "workspace/CLAUDE.md",
            "workspace/persona.md",
            "workspace/skills/x/notes.md",
            "workspace/Hooks/x.md",
            "workspace/.github/notes.md",
            "workspace/run.sh",
            "workspace/run",
            "workspace/package.json",
            "workspace/.md",
            "workspace/md",
            "workspace/\u{17f}OUL.md",
            "workspace/AGENTS.md ",
            "workspace/AGENTS\u{200b}.md",
            "workspace/AGENTS~1.md",
            "workspace/notes.md.",
            "workspace-other/MEMORY.md",
            "openclaw.json",
        ] {
            assert!(why(text).is_some(), "{text}");
        }
        let directory = |text: &str| own.why_not_written(&root, &path(text), true);
        assert_eq!(directory("workspace/memory"), None);
        assert!(directory("workspace/skills").is_some() && directory("workspace").is_some());
    }
}
