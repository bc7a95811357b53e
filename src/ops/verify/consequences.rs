//! What damage costs: snapshots and files.

use std::collections::BTreeMap;

use super::check::Packs;
use super::report::VerifyProblem;
use crate::error::Error;
use crate::format::Entry;
use crate::repo::{PackSource, Snapshot};

/// So many affected paths are named for each problem.
const MAX_PATHS: usize = 200;

/// Which snapshots and files each damaged pack harms, and runs that do not fit their pack.
pub(super) fn consequences(
    unreadable: Vec<VerifyProblem>,
    opened: &[(PackSource, Vec<Entry>)],
    packs: &Packs,
) -> Vec<VerifyProblem> {
    let mut problems: BTreeMap<String, VerifyProblem> = BTreeMap::new();
    // A pack that holds a part of the tree of several snapshots is one problem.
    for problem in unreadable {
        match problems.get_mut(&problem.object) {
            Some(known) => known.snapshots.extend(problem.snapshots),
            None => drop(problems.insert(problem.object.clone(), problem)),
        }
    }
    for ((machine, name), checked) in packs {
        if let Some(error) = &checked.error {
            let object = name.object(*machine);
            let problem = VerifyProblem {
                object: object.clone(),
                code: error.code(),
                message: error.to_string(),
                ..VerifyProblem::default()
            };
            problems.entry(object).or_insert(problem);
        }
    }
    for (source, entries) in opened {
        let snapshot: &Snapshot = source.snapshot();
        for entry in entries {
            for run in &entry.runs {
                let Ok(pack) = source.pack(run.pack) else {
                    note(
                        &mut problems,
                        snapshot.id.object(),
                        "names a pack that is not in its table",
                        snapshot,
                        entry,
                    );
                    continue;
                };
                let Some(checked) = packs.get(&(snapshot.id.machine, pack.name)) else { continue };
                let object = pack.name.object(snapshot.id.machine);
                let Some(index) = &checked.index else {
                    note(&mut problems, object, "cannot be read", snapshot, entry);
                    continue;
                };
                let lengths = index.chunk_lengths(run.first, run.count);
                if lengths.map(|all| all.iter().map(|l| u64::from(*l)).sum()) != Some(run.bytes) {
                    note(
                        &mut problems,
                        object,
                        "does not hold the chunks that the tree names",
                        snapshot,
                        entry,
                    );
                } else if index
                    .frames_of(&[*run])
                    .iter()
                    .any(|frame| checked.bad_frames.contains(frame))
                {
                    note(&mut problems, object, "is damaged", snapshot, entry);
                }
            }
        }
    }
    problems.into_values().collect()
}

fn note(
    problems: &mut BTreeMap<String, VerifyProblem>,
    object: String,
    message: &str,
    snapshot: &Snapshot,
    entry: &Entry,
) {
    let problem = problems.entry(object.clone()).or_insert_with(|| {
        let error = Error::damaged(&object, message);
        VerifyProblem {
            code: error.code(),
            message: error.to_string(),
            object,
            ..VerifyProblem::default()
        }
    });
    let (id, path) = (snapshot.id.to_string(), entry.path.escaped());
    if !problem.snapshots.contains(&id) {
        problem.snapshots.push(id);
    }
    if problem.paths.len() < MAX_PATHS && !problem.paths.contains(&path) {
        problem.paths.push(path);
    }
}
