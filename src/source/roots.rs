//! Which directories belong to the state: the state directory first, then what is configured elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::policy::Inside;
use super::policy_rules::LOCAL_FOLDER;
use super::resolve::{Away, hangs, resolve};
use super::stat::{bytes_of, shown};
use super::{RelPath, Root, RootKind, Skipped, host_config, mounts};
use crate::error::{Error, Result};

/// The roots of a state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// The state directory, then all others in the order of their paths. None lies in another.
    pub roots: Vec<Root>,
    /// Workspaces and agents' directories inside the state directory, for
    /// [`Policy::with_inside`](super::policy::Policy::with_inside).
    pub inside: Vec<Inside>,
    /// What is configured and cannot be used, and why.
    pub warnings: Vec<Skipped>,
    /// What is configured and not there. A workspace that was not made yet costs nothing.
    pub missing: Vec<Skipped>,
    /// Whether the configuration, or a file that it includes, is not there: what it would name is not known then.
    pub unknown: bool,
    /// Where directories that are configured would be: nothing is there, or nothing answers.
    pub away: Vec<PathBuf>,
    /// Places of file systems that do not answer.
    pub hanging: Arc<[PathBuf]>,
}

/// Finds the roots. `config_path` is `<state_dir>/openclaw.json` unless given.
///
/// Links are resolved: every root is the directory itself.
///
/// # Errors
/// `B2_CONFIG` for the field `stateDir` when it does not exist or is no directory.
pub fn roots(state_dir: &Path, config_path: Option<&Path>) -> Result<Roots> {
    roots_with_home(state_dir, config_path, std::env::home_dir().as_deref(), mounts::hanging())
}

/// As [`roots`], for a given home directory, and where file systems are that do not answer.
///
/// # Errors
/// As [`roots`].
pub fn roots_with_home(
    state_dir: &Path,
    config_path: Option<&Path>,
    home: Option<&Path>,
    hanging: impl Into<Arc<[PathBuf]>>,
) -> Result<Roots> {
    let hanging = hanging.into();
    let wrong = |message: String| Error::config("stateDir", message);
    if hangs(state_dir, &hanging).is_some() {
        let state = shown(state_dir);
        return Err(wrong(format!(
            "cannot use {state} as state directory: its file system does not answer"
        )));
    }
    let state = state_dir.canonicalize().map_err(|error| {
        wrong(format!("cannot use {} as state directory: {error}", state_dir.display()))
    })?;
    if !state.is_dir() {
        return Err(wrong(format!("{} is no directory", state.display())));
    }
    let default_config = state_dir.join("openclaw.json");
    let config_path = config_path.unwrap_or(&default_config);
    let config_path =
        std::path::absolute(config_path).unwrap_or_else(|_| config_path.to_path_buf());
    let config = host_config::read_beside(&config_path, home, &hanging);
    let home = home.filter(|home| hangs(home, &hanging).is_none());
    let home = home.and_then(|home| home.canonicalize().ok());
    let unknown = config.files.is_empty() || !config.gone.is_empty();
    let (missing, mut warnings): (_, Vec<_>) =
        config.warnings.into_iter().partition(|warning| config.gone.contains(&warning.path));
    warnings.extend(config.elsewhere);
    let mut finder = Finder {
        state,
        given: state_dir.to_path_buf(),
        home,
        found: Vec::new(),
        inside: Vec::new(),
        warnings,
        missing,
        away: Vec::new(),
        hanging,
    };
    for workspace in &config.workspaces {
        finder.directory(RootKind::Workspace, workspace);
    }
    for agent_dir in &config.agent_dirs {
        finder.directory(RootKind::AgentDir, agent_dir);
    }
    let mut roots = vec![Root::new(RootKind::State, finder.state.clone())];
    roots.append(&mut without_nested(std::mem::take(&mut finder.found)));
    for file in &config.files {
        finder.config_file(file, &mut roots);
    }
    if let Some(others) = roots.get_mut(1..) {
        others.sort_by(|a, b| a.path.cmp(&b.path));
    }
    finder.inside.sort_by(|a, b| a.path.cmp(&b.path));
    finder.inside.dedup();
    let Finder { inside, warnings, missing, away, hanging, .. } = finder;
    Ok(Roots { roots, inside, warnings, missing, unknown, away, hanging })
}

struct Finder {
    state: PathBuf,
    /// The state directory as it was given, where it may be a link.
    given: PathBuf,
    home: Option<PathBuf>,
    found: Vec<Root>,
    inside: Vec<Inside>,
    warnings: Vec<Skipped>,
    missing: Vec<Skipped>,
    away: Vec<PathBuf>,
    hanging: Arc<[PathBuf]>,
}

impl Finder {
    fn directory(&mut self, kind: RootKind, configured: &Path) {
        let path = match resolve(configured, &self.hanging) {
            Ok(path) => path,
            Err(away) => {
                let inside = |path: &Path| path.starts_with(&self.state);
                // A workspace inside the state directory that was not made yet needs no warning.
                let unmade = match away.place() {
                    Some(place) => inside(place),
                    None => inside(configured) || configured.starts_with(&self.given),
                };
                self.away.extend(away.place().map(Path::to_path_buf));
                if unmade {
                    return;
                }
                let skipped = not_saved(configured, &away.to_string());
                match away {
                    Away::Gone(_) => self.missing.push(skipped),
                    _ => self.warnings.push(skipped),
                }
                return;
            }
        };
        if !path.is_dir() {
            return self.warn(configured, "it is no directory");
        }
        if path == self.state {
            let message = "it is the state directory itself, which follows its own rules";
            let own = Skipped { code: "B2_ROOT_IS_STATE", ..not_saved(configured, message) };
            return self.warnings.push(own);
        }
        if let Some(reason) = of_ours(&path, &self.state) {
            return self.warn(configured, reason);
        }
        if let Ok(below) = path.strip_prefix(&self.state) {
            let path = relative(below);
            if !is_usual_agent_dir(&path) && !self.inside.iter().any(|inside| inside.path == path) {
                self.inside.push(Inside { kind, path });
            }
            return;
        }
        match too_much(&path, &self.state, self.home.as_deref()) {
            Some(reason) => self.warn(configured, reason),
            None => self.found.push(Root::new(kind, path)),
        }
    }

    /// A file of configuration outside all roots makes a root of its directory, for the named files only.
    fn config_file(&mut self, file: &Path, roots: &mut Vec<Root>) {
        // Where the content is: a link is no backup of it.
        let file = match file.canonicalize() {
            Ok(file) => file,
            Err(error) => return self.warn(file, &error.to_string()),
        };
        let whole = |root: &&Root| root.kind != RootKind::Config;
        if roots.iter().filter(whole).any(|root| file.starts_with(&root.path)) {
            return;
        }
        let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else { return };
        let name = relative(Path::new(name)).as_bytes().to_vec();
        match roots.iter_mut().find(|root| root.kind == RootKind::Config && root.path == directory)
        {
            Some(root) if root.only.contains(&name) => {}
            Some(root) => root.only.push(name),
            None => roots.push(Root {
                kind: RootKind::Config,
                path: directory.to_path_buf(),
                only: vec![name],
                at: None,
            }),
        }
    }

    fn warn(&mut self, path: &Path, message: &str) {
        self.warnings.push(not_saved(path, message));
    }
}

fn not_saved(path: &Path, message: &str) -> Skipped {
    let path = shown(path);
    let message = format!("{path} is configured but not backed up: {message}");
    Skipped { path, code: "B2_SKIPPED_ROOT", message }
}

/// Why a directory that is not in the state directory is too much to belong to it.
pub(super) fn too_much(path: &Path, state: &Path, home: Option<&Path>) -> Option<&'static str> {
    if path.parent().is_none() {
        Some("it is the whole file system")
    } else if home == Some(path) {
        Some("it is the home directory")
    } else if home.is_some_and(|home| home.starts_with(path)) {
        Some("the home directory lies in it")
    } else if state.starts_with(path) {
        Some("the state directory lies in it")
    } else {
        of_ours(path, state)
    }
}

/// Why a directory that this plugin keeps its own files in, or around, is no part of the state: its keys are there. Its
/// local folder may itself be a link.
fn of_ours(path: &Path, state: &Path) -> Option<&'static str> {
    let local = state.join(LOCAL_FOLDER);
    let place = local.canonicalize().unwrap_or(local);
    let around = place.starts_with(path) || path.starts_with(&place);
    around.then_some("this plugin keeps its own files there")
}

/// Leaves out what lies in another root, or is there twice. A workspace outranks an agent's directory.
fn without_nested(mut roots: Vec<Root>) -> Vec<Root> {
    roots.sort_by(|a, b| {
        (&a.path, a.kind != RootKind::Workspace).cmp(&(&b.path, b.kind != RootKind::Workspace))
    });
    let mut kept: Vec<Root> = Vec::new();
    for root in roots {
        if !kept.iter().any(|outer| root.path.starts_with(&outer.path)) {
            kept.push(root);
        }
    }
    kept
}

/// `agents/<id>/agent` follows the rules of agents' directories without being named.
fn is_usual_agent_dir(path: &RelPath) -> bool {
    let parts: Vec<&[u8]> = path.as_bytes().split(|byte| *byte == b'/').collect();
    matches!(parts.as_slice(), [b"agents", _, b"agent"])
}

fn relative(path: &Path) -> RelPath {
    RelPath::from_bytes(bytes_of(path.as_os_str()).into_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn find(state: &Path, home: &Path) -> Result<Roots> {
        roots_with_home(state, None, Some(home), Vec::new())
    }

    #[test]
    fn outside_places_are_roots_and_inside_ones_are_not() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        for dir in
            ["home/.openclaw/workspace", "home/.openclaw/tools/ws", "ws/inner", "agents/a", "etc"]
        {
            std::fs::create_dir_all(base.join(dir)).unwrap();
        }
        let (home, state) = (base.join("home"), base.join("home/.openclaw"));
        let b = base.display();
        std::fs::write(
            state.join("openclaw.json"),
            format!(
                "{{ $include: '{b}/etc/more.json', agents: {{ defaults: {{ workspace: '{b}/ws' }}, list: [
                   {{ workspace: '{b}/ws/inner' }}, {{ workspace: 'tools/ws' }}, {{ workspace: '~' }}, {{ workspace: '/' }},
                   {{ workspace: '{b}' }}, {{ workspace: '{b}/missing' }}, {{ agentDir: '{b}/agents/a' }} ] }} }}"
            ),
        )
        .unwrap();
        std::fs::write(base.join("etc/more.json"), "{ x: { $include: 'deep.json' } }").unwrap();
        std::fs::write(base.join("etc/deep.json"), "{").unwrap();
        let roots = find(&state, &home).unwrap();
        let listed: Vec<(RootKind, &Path)> =
            roots.roots.iter().map(|root| (root.kind, root.path.as_path())).collect();
        assert_eq!(
            listed,
            [
                (RootKind::State, state.as_path()),
                (RootKind::AgentDir, &base.join("agents/a")),
                (RootKind::Config, &base.join("etc")),
                (RootKind::Workspace, &base.join("ws")),
            ]
        );
        assert_eq!(roots.roots[2].only, [b"more.json".to_vec(), b"deep.json".to_vec()]);
        let inside =
            Inside { kind: RootKind::Workspace, path: RelPath::from_bytes(b"tools/ws".to_vec()) };
        assert_eq!(roots.inside, [inside]);
        let reasons: Vec<&str> =
            roots.warnings.iter().map(|warning| warning.message.as_str()).collect();
        // Three that are no places to back up, and two on what one spoilt file means.
        assert_eq!(reasons.len(), 5, "{reasons:#?}");
        let missing: Vec<&str> =
            roots.missing.iter().map(|missing| missing.path.as_str()).collect();
        assert_eq!(missing, [shown(&base.join("missing"))]);
    }

    #[test]
    fn a_linked_state_directory_and_a_linked_config_are_resolved() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("real")).unwrap();
        std::fs::create_dir_all(base.join("dotfiles")).unwrap();
        std::fs::write(base.join("dotfiles/oc.json"), "{}").unwrap();
        std::os::unix::fs::symlink(base.join("dotfiles/oc.json"), base.join("real/openclaw.json"))
            .unwrap();
        std::os::unix::fs::symlink(base.join("real"), base.join("link")).unwrap();
        let roots = find(&base.join("link"), &base.join("home")).unwrap();
        assert_eq!(roots.roots[0].path, base.join("real"));
        assert_eq!(
            (roots.roots[1].kind, &roots.roots[1].path),
            (RootKind::Config, &base.join("dotfiles"))
        );
        assert_eq!(roots.roots.len(), 2);
    }

    #[test]
    fn nothing_of_this_plugin_becomes_a_root() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        for linked in [false, true] {
            let state = base.join(format!("state-{linked}"));
            let (local, disk) = (state.join("b2-backup"), base.join("disk/loc"));
            std::fs::create_dir_all(disk.join("repositories")).unwrap();
            std::fs::create_dir_all(&state).unwrap();
            if linked {
                std::os::unix::fs::symlink(&disk, &local).unwrap();
            } else {
                std::fs::create_dir_all(local.join("repositories")).unwrap();
            }
            let mut wanted = vec![local.clone(), local.join("repositories")];
            if linked {
                wanted.extend([disk.clone(), disk.join("repositories"), base.join("disk")]);
            }
            for workspace in wanted {
                let config = format!("{{ agent: {{ workspace: '{}' }} }}", workspace.display());
                std::fs::write(state.join("openclaw.json"), config).unwrap();
                let roots = find(&state, &base.join("home")).unwrap();
                assert_eq!((roots.roots.len(), roots.inside.len()), (1, 0), "{workspace:?}");
                assert_eq!(roots.warnings[0].code, "B2_SKIPPED_ROOT", "{workspace:?}");
            }
        }
    }

    #[test]
    fn a_state_directory_must_be_one() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("file"), "").unwrap();
        for name in ["missing", "file"] {
            let error = roots(&temp.path().join(name), None).unwrap_err();
            assert_eq!(error.code(), "B2_CONFIG");
            assert!(error.to_string().contains("stateDir"));
        }
    }
}
