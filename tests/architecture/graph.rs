//! Which file of `src/` uses which: read from `use` lines and paths in the code, through re-exports to where a thing is
//! defined.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;

/// A module: its path from the crate's root.
pub(crate) type Module = Vec<String>;

/// One name that a `use` line brings, and under which name.
struct Use {
    path: Vec<String>,
    name: String,
}

/// One file of `src/`.
struct File {
    code: String,
    uses: Vec<Use>,
    defines: BTreeSet<String>,
}

/// All files of `src/`, by module.
pub(crate) struct Graph {
    files: BTreeMap<Module, File>,
}

impl Graph {
    pub(crate) fn of(sources: &[Source]) -> Self {
        let file = |source: &Source| {
            let uses = use_statements(&source.code);
            let uses = uses.iter().flat_map(|tree| expand(tree, &[])).collect();
            (
                module_of(&source.path),
                File { code: source.code.clone(), uses, defines: defined(&source.code) },
            )
        };
        Self { files: sources.iter().map(file).collect() }
    }

    /// The modules that each module uses, but for itself.
    pub(crate) fn edges(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        self.files.keys().map(|module| (module.clone(), self.used_by(module))).collect()
    }

    fn used_by(&self, module: &Module) -> BTreeSet<Module> {
        let Some(file) = self.files.get(module) else { return BTreeSet::new() };
        let public = public_uses(&file.code);
        let imported = file.uses.iter().filter(|it| !public.contains(&it.name)).map(|it| &it.path);
        let inline = inline_paths(&file.code);
        let paths = imported.chain(&inline);
        let mut used: BTreeSet<Module> = paths
            .filter_map(|path| self.absolute(module, path))
            .filter_map(|path| self.home(&path, 0))
            .collect();
        used.remove(module);
        // The root only names the floors.
        used.remove(&Module::new());
        used
    }

    /// A path from the crate's root; `None` for what is not of this crate.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut at = module.clone();
        match first.as_str() {
            "crate" => return Some(rest.to_vec()),
            "self" => return Some([at, rest.to_vec()].concat()),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                at.truncate(at.len().saturating_sub(ups));
                return Some([at, path[ups..].to_vec()].concat());
            }
            _ => {}
        }
        let child = [at.clone(), vec![first.clone()]].concat();
        if self.files.contains_key(&child) {
            return Some([child, rest.to_vec()].concat());
        }
        let ours = |it: &&Use| {
            it.name == *first
                && it.path.len() > 1
                && ["crate", "super", "self"].contains(&it.path[0].as_str())
        };
        let imported = self.files.get(module)?.uses.iter().find(ours)?;
        let from = self.absolute(module, &imported.path)?;
        Some([from, rest.to_vec()].concat())
    }

    /// The module in which the thing at a path is defined.
    fn home(&self, path: &[String], depth: usize) -> Option<Module> {
        let mut module = Module::new();
        let mut left = path;
        while let Some((first, rest)) = left.split_first() {
            let next = [module.clone(), vec![first.clone()]].concat();
            if !self.files.contains_key(&next) {
                break;
            }
            (module, left) = (next, rest);
        }
        let Some((name, rest)) = left.split_first() else { return Some(module) };
        let file = self.files.get(&module)?;
        if file.defines.contains(name) || depth > 8 {
            return Some(module);
        }
        let Some(from) = file.uses.iter().find(|it| it.name == *name) else { return Some(module) };
        match self.absolute(&module, &from.path) {
            Some(from) => self.home(&[from, rest.to_vec()].concat(), depth + 1),
            None => Some(module),
        }
    }
}

/// The groups of modules that use each other in a circle.
pub(crate) fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let mut found: Vec<BTreeSet<Module>> = Vec::new();
    let reach: BTreeMap<&Module, BTreeSet<Module>> =
        edges.keys().map(|from| (from, reachable(edges, from))).collect();
    for (from, to) in &reach {
        if !to.contains(*from) || found.iter().any(|circle| circle.contains(*from)) {
            continue;
        }
        let back = |other: &&Module| reach.get(*other).is_some_and(|to| to.contains(*from));
        found.push(to.iter().filter(back).cloned().collect());
    }
    found
}

fn reachable(edges: &BTreeMap<Module, BTreeSet<Module>>, from: &Module) -> BTreeSet<Module> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
    while let Some(module) = open.pop() {
        for next in edges.get(&module).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

pub(crate) fn module_of(path: &str) -> Module {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let parts = path.split('/').filter(|part| !["lib", "mod"].contains(part));
    parts.map(str::to_owned).collect()
}

/// The trees of all `use` lines, without `use` and `;`.
fn use_statements(code: &str) -> Vec<String> {
    statements(code).map(|(_, tree)| tree).collect()
}

/// What is passed on under its name: passing on is not using.
fn public_uses(code: &str) -> BTreeSet<String> {
    let public = statements(code).filter(|(public, _)| *public);
    public.flat_map(|(_, tree)| expand(&tree, &[])).map(|it| it.name).collect()
}

fn statements(code: &str) -> impl Iterator<Item = (bool, String)> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let line = &rest[..at][rest[..at].rfind('\n').map_or(0, |end| end + 1)..];
        let (before, public) = (line.trim(), line.trim().starts_with("pub"));
        let after = &rest[at + "use ".len()..];
        let end = after.find(';').unwrap_or(after.len());
        if before.is_empty() || public && (before.ends_with("pub") || before.ends_with(')')) {
            found.push((public, after[..end].split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        rest = &after[end..];
    }
    found.into_iter()
}

/// `a::{b, c::{self, d as e}}` as its single names.
fn expand(tree: &str, above: &[String]) -> Vec<Use> {
    let tree = tree.trim();
    if let Some(group) = tree.strip_prefix('{') {
        let group = group.strip_suffix('}').unwrap_or(group);
        return members(group).iter().flat_map(|member| expand(member, above)).collect();
    }
    if let Some((first, rest)) = tree.split_once("::") {
        return expand(rest, &[above, &[first.trim().to_owned()]].concat());
    }
    let (own, name) = tree.split_once(" as ").unwrap_or((tree, tree));
    if own.is_empty() {
        return Vec::new();
    }
    let path = if own == "self" { above.to_vec() } else { [above, &[own.to_owned()]].concat() };
    let name =
        if name == "self" { path.last().cloned().unwrap_or_default() } else { name.to_owned() };
    vec![Use { path, name }]
}

/// The members of a group, which may be groups.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut all, mut member) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            ',' if depth == 0 => all.push(std::mem::take(&mut member)),
            c => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                member.push(c);
            }
        }
    }
    all.push(member);
    all
}

/// Names of what is defined in a file.
fn defined(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let words: Vec<&str> = code
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    for pair in words.windows(2) {
        if ["fn", "struct", "enum", "trait", "const", "static", "type"].contains(&pair[0]) {
            names.insert(pair[1].to_owned());
        }
    }
    names
}

/// Paths of two words or more outside `use` lines.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let code = without_uses(code);
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let tokens = code.split(|c: char| !word(c)).filter(|token| token.contains("::"));
    let path = |token: &str| {
        let parts = token.trim_end_matches(':').split("::").map(str::to_owned);
        parts.collect::<Vec<_>>()
    };
    tokens
        .filter(|token| token.starts_with(|c: char| c.is_lowercase() || c == '_'))
        .map(path)
        .filter(|path| path.len() > 1 && path.iter().all(|part| !part.is_empty()))
        .collect()
}

fn without_uses(code: &str) -> String {
    let (mut left, mut inside) = (String::new(), false);
    for line in code.lines() {
        let start = line.trim_start();
        inside |= start.starts_with("use ") || (start.starts_with("pub") && start.contains("use "));
        if !inside {
            left.push_str(line);
            left.push('\n');
        }
        inside &= !line.trim_end().ends_with(';');
    }
    left
}
