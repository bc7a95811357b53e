//! Links in the state that lead out of it. A link is no backup of what it leads to: a directory becomes a root of its
//! own, and what is not saved is named.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::policy::{Policy, as_path};
use super::resolve::{Away, hangs, resolve};
use super::roots::{Roots, too_much};
use super::walk::{Most, Walk, walk_from};
use super::{EntryKind, Found, RelPath, Root, RootKind, Skipped, absolute, shown_path};
use crate::error::Result;

/// A link brings in no more entries, and no more bytes: one to a store of films is not meant for backups, while one to
/// the agents of years is far below.
const MOST_ENTRIES: usize = 200_000;
const MOST_BYTES: u64 = 64 << 30;
/// What comes with the system, or is installed on it: links to it are no content of the user's.
const SYSTEM: &[&str] = &[
    "/Applications",
    "/Library",
    "/System",
    "/bin",
    "/dev",
    "/lib",
    "/lib64",
    "/nix",
    "/proc",
    "/sbin",
    "/snap",
    "/sys",
    "/usr",
];
/// The file that makes a directory an environment of Python: its `bin` links to an interpreter.
const PYTHON_ENVIRONMENT: &str = "pyvenv.cfg";

/// Walks all roots, and what links in the state directory lead to: that is among the roots then.
///
/// A link in a workspace is not followed ([`Policy::follows`]). `bucket` is the folder that holds the backups, if it is
/// one.
///
/// # Errors
/// As [`super::walk::walk`].
pub fn walk(
    found: &mut Roots,
    policy: &Policy,
    bucket: Option<&Path>,
    list_excluded: bool,
    cancel: &CancellationToken,
) -> Result<Walk> {
    let most = Most { entries: MOST_ENTRIES, bytes: MOST_BYTES };
    walk_most(found, policy, bucket, list_excluded, most, cancel)
}

/// As [`walk`], with no more than `most` in a directory that a link leads to.
fn walk_most(
    found: &mut Roots,
    policy: &Policy,
    bucket: Option<&Path>,
    list_excluded: bool,
    most: Most,
    cancel: &CancellationToken,
) -> Result<Walk> {
    let home = std::env::home_dir().filter(|home| hangs(home, &found.hanging).is_none());
    let home = home.and_then(|home| home.canonicalize().ok());
    let more = |roots: &[Root], first, most| {
        walk_from(first, roots, policy, &found.hanging, most, list_excluded, cancel)
    };
    let mut walk = more(&found.roots, 0, Most::ALL)?.unwrap_or_default();
    let mut links = Links {
        state: found.roots.first().map(|root| root.path.clone()).unwrap_or_default(),
        home,
        bucket: bucket.map(Path::to_path_buf),
        hanging: found.hanging.to_vec(),
        away: Vec::new(),
    };
    let mut looked_at = 0;
    while looked_at < walk.found.len() {
        let mut wanted = Vec::new();
        for link in walk.found.get(looked_at..).unwrap_or_default() {
            if link.kind != EntryKind::Symlink {
                continue;
            }
            match links.judge(link, &mut found.roots, policy) {
                Judged::Nothing => {}
                Judged::Root(root) => wanted.push(root),
                Judged::Skipped(skipped) => walk.skipped.push(skipped),
            }
        }
        looked_at = walk.found.len();
        // The outer one of two first: the other lies in it then.
        wanted.sort_by(|a, b| (&a.path, &a.at).cmp(&(&b.path, &b.at)));
        for root in wanted {
            if found.roots.iter().any(|other| holds(other, &root.path)) {
                continue;
            }
            let (shown, target) = (shown_link(&root), root.path.clone());
            let first = found.roots.len();
            found.roots.push(root);
            let Some(mut added) = more(&found.roots, first, most)? else {
                found.roots.pop();
                walk.skipped.push(not_saved(
                    &shown,
                    &target,
                    "it is too much to belong to the state",
                ));
                continue;
            };
            walk.found.append(&mut added.found);
            walk.excluded.append(&mut added.excluded);
            walk.skipped.append(&mut added.skipped);
            walk.gone.append(&mut added.gone);
            walk.logs.append(&mut added.logs);
        }
    }
    found.away.append(&mut links.away);
    Ok(walk)
}

/// What a link is to backups.
enum Judged {
    /// Its content is saved, or there is none, or it is no content of the user's.
    Nothing,
    /// It leads to a directory that becomes a root.
    Root(Root),
    /// Its content is not saved.
    Skipped(Skipped),
}

struct Links {
    state: PathBuf,
    home: Option<PathBuf>,
    bucket: Option<PathBuf>,
    hanging: Vec<PathBuf>,
    /// Where links that are followed lead, and nothing is.
    away: Vec<PathBuf>,
}

impl Links {
    fn judge(&mut self, link: &Found, roots: &mut [Root], policy: &Policy) -> Judged {
        let Some(root) = roots.get(usize::from(link.root)) else { return Judged::Nothing };
        if root.kind == RootKind::Config {
            return Judged::Nothing;
        }
        let full = absolute(&root.path, &link.path);
        let (rules, path) = root.judged(&link.path);
        let at = path.into_owned();
        let followed = rules == RootKind::State && policy.follows(&at);
        let shown = if link.root == 0 { link.path.escaped() } else { shown_path(&full) };
        let target = match resolve(&full, &self.hanging) {
            Ok(target) => target,
            // Nothing is there that could be saved.
            Err(Away::Gone(place)) => {
                if followed {
                    self.away.push(place);
                }
                return Judged::Nothing;
            }
            // Such a link has no content either, but where OpenClaw looks for some it is wrong.
            Err(Away::Circle) if !followed => return Judged::Nothing,
            Err(away) => {
                self.away.extend(away.place().filter(|_| followed).map(Path::to_path_buf));
                let to = away.place().unwrap_or(&full).to_path_buf();
                return Judged::Skipped(not_saved(&shown, &to, &away.to_string()));
            }
        };
        if let Some(same) = roots.iter_mut().find(|root| root.path == target) {
            if followed && same.at.is_none() && same.kind != RootKind::State {
                same.at = Some(at);
            }
            return Judged::Nothing;
        }
        if roots.iter().any(|root| holds(root, &target)) || is_system(&target) {
            return Judged::Nothing;
        }
        let skip = |reason| Judged::Skipped(not_saved(&shown, &target, reason));
        match std::fs::metadata(&target) {
            Err(error) => skip(&error.to_string()),
            Ok(meta) if meta.is_file() && is_python(&full) => Judged::Nothing,
            Ok(meta) if meta.is_file() => {
                skip("only what lies in the state, or in a directory that it links to, is")
            }
            Ok(meta) if !meta.is_dir() => Judged::Nothing,
            Ok(_) if !followed => {
                skip("links in workspaces are not followed, since agents make them")
            }
            Ok(_) => {
                if let Some(reason) = self.refused(&target, roots) {
                    return skip(reason);
                }
                let root = Root { at: Some(at), ..Root::new(RootKind::Linked, target) };
                Judged::Root(root)
            }
        }
    }

    /// Why a directory cannot be a root.
    fn refused(&self, target: &Path, roots: &[Root]) -> Option<&'static str> {
        if let Some(reason) = too_much(target, &self.state, self.home.as_deref()) {
            Some(reason)
        } else if roots.iter().any(|root| root.path.starts_with(target)) {
            Some("something that is backed up already lies in it")
        } else if self
            .bucket
            .as_ref()
            .is_some_and(|bucket| bucket.starts_with(target) || target.starts_with(bucket))
        {
            Some("the backups themselves are there")
        } else {
            None
        }
    }
}

/// What is said of a link that a rollback moved away, so that no walk has seen it: what it leads to is in no snapshot,
/// unless that lies in one of the `roots`. `None` where nothing is lost.
pub(crate) fn moved_away(link: &Found, roots: &[Root], hanging: &[PathBuf]) -> Option<Skipped> {
    let root = roots.get(usize::from(link.root))?;
    let full = absolute(&root.path, &link.path);
    let shown = if link.root == 0 { link.path.escaped() } else { shown_path(&full) };
    let to = as_path(link.target.as_deref()?).into_owned();
    let target = match resolve(&full.parent()?.join(to), hanging) {
        Ok(target) => target,
        Err(Away::Hangs(place)) => place,
        Err(_) => return None,
    };
    let known = roots.iter().any(|root| root.path == target || holds(root, &target));
    let reason = "the link was made while a rollback was under way, and that has moved it away";
    (!known && !is_system(&target)).then(|| not_saved(&shown, &target, reason))
}

/// Shared memory is no device: people put directories there.
fn is_system(target: &Path) -> bool {
    SYSTEM.iter().any(|system| target.starts_with(system)) && !target.starts_with("/dev/shm")
}

/// Whether what is at a path belongs to a root, or is left out of it on purpose.
fn holds(root: &Root, path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(&root.path) else { return false };
    root.kind != RootKind::Config
        || root.only.iter().any(|name| below.as_os_str().as_encoded_bytes() == name)
}

/// Whether a link is the interpreter of a Python environment.
fn is_python(link: &Path) -> bool {
    let environment = link.parent().and_then(Path::parent);
    environment.is_some_and(|environment| environment.join(PYTHON_ENVIRONMENT).is_file())
}

fn shown_link(root: &Root) -> String {
    root.at.as_ref().map(RelPath::escaped).unwrap_or_default()
}

fn not_saved(link: &str, target: &Path, reason: &str) -> Skipped {
    let target = shown_path(target);
    let message = format!("{link} is a link to {target}, which is not backed up: {reason}");
    Skipped { path: link.to_owned(), code: "B2_SKIPPED_LINK", message }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::source::roots::roots_with_home;

    #[test]
    fn a_file_system_that_does_not_answer_is_left_out_by_name() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let state = base.join("state");
        for file in ["state/workspace/dead/x", "state/workspace/a.md", "gone/agents/y", "gone/ws/z"]
        {
            std::fs::create_dir_all(base.join(file).parent().unwrap()).unwrap();
            std::fs::write(base.join(file), "").unwrap();
        }
        let config = format!("{{ agent: {{ workspace: '{}/gone/ws' }} }}", base.display());
        std::fs::write(state.join("openclaw.json"), config).unwrap();
        symlink(base.join("gone/agents"), state.join("agents")).unwrap();
        let hanging = vec![state.join("workspace/dead"), base.join("gone")];
        let mut found = roots_with_home(&state, None, None, hanging).unwrap();
        let policy = Policy::new(&[], &[], false).unwrap();
        let walk = walk(&mut found, &policy, None, false, &CancellationToken::new()).unwrap();
        let paths: Vec<String> = walk.found.iter().map(|found| found.path.escaped()).collect();
        assert_eq!(paths, ["agents", "openclaw.json", "workspace", "workspace/a.md"]);
        let skipped: Vec<&str> = walk.skipped.iter().map(|skipped| skipped.code).collect();
        assert_eq!(skipped, ["B2_SKIPPED_HANGS", "B2_SKIPPED_LINK"]);
        assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
        assert_eq!(found.away, [base.join("gone/ws"), base.join("gone/agents")]);
    }

    #[test]
    fn a_directory_that_is_too_much_is_not_walked_to_its_end() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let state = base.join("state");
        std::fs::create_dir_all(&state).unwrap();
        for (number, length) in [(10, 1), (2, 100), (3, 0)] {
            let disk = base.join(format!("disk-{number}"));
            for file in 0..number {
                std::fs::create_dir_all(disk.join(file.to_string())).unwrap();
                std::fs::write(disk.join(format!("{file}/a\nb")), vec![0; length]).unwrap();
            }
            symlink(&disk, state.join(format!("to\n{number}"))).unwrap();
        }
        let mut found = roots_with_home(&state, None, None, Vec::new()).unwrap();
        let policy = Policy::new(&[], &[], false).unwrap();
        let cancel = CancellationToken::new();
        let most = Most { entries: 6, bytes: 150 };
        let walk = walk_most(&mut found, &policy, None, false, most, &cancel).unwrap();
        let roots: Vec<&Path> = found.roots.iter().map(|root| root.path.as_path()).collect();
        assert_eq!(roots, [&*state, &base.join("disk-3")]);
        let paths: Vec<&str> = walk.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
        assert_eq!(paths, ["to\\x0a10", "to\\x0a2"]);
        assert!(walk.found.iter().all(|found| found.root < 2));
        assert_eq!(walk.found.iter().filter(|found| found.root == 1).count(), 6);
        assert!(walk.skipped.iter().all(|skipped| !skipped.message.contains('\n')));
    }
}
