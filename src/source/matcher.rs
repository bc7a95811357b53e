//! The table of rules, as globs that are matched together.

use globset::{Candidate, GlobSet, GlobSetBuilder};

use super::globs::glob;
use super::policy_rules::{Area, LOG_REASON, RULES, Rule};
use crate::error::{Error, Result};

/// Globs with the rule that each belongs to.
#[derive(Debug)]
pub(super) struct Matcher {
    set: GlobSet,
    rules: Vec<Rule>,
}

impl Matcher {
    pub(super) fn first(&self, candidate: &Candidate<'_>, logs: Logs) -> Option<Rule> {
        let mut matches = self.set.matches_candidate(candidate);
        matches.sort_unstable();
        let mut rules = matches.into_iter().filter_map(|at| self.rules.get(at).copied());
        rules.find(|rule| logs == Logs::LeftOut || rule.reason != LOG_REASON)
    }
}

/// What becomes of a file with the name of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logs {
    /// It belongs to a database.
    LeftOut,
    /// It is a file like any other.
    Files,
}

pub(super) fn matcher(areas: &[Area], wanted: &dyn Fn(&Rule) -> bool) -> Result<Matcher> {
    let mut set = GlobSetBuilder::new();
    let mut rules = Vec::new();
    for rule in RULES.iter().filter(|rule| areas.contains(&rule.area) && wanted(rule)) {
        // In the state directory the agents' directories are at a fixed place.
        let prefix = if rule.area == Area::AgentDir && areas.contains(&Area::State) {
            "agents/*/agent/"
        } else {
            ""
        };
        let whole = format!("{prefix}{}", rule.glob);
        let with_content = matches!(rule.area, Area::State | Area::AgentDir);
        let content = with_content.then(|| format!("{whole}/**"));
        for text in std::iter::once(whole).chain(content) {
            let glob =
                glob(&text).map_err(|error| Error::internal(format!("rule {text}: {error}")))?;
            set.add(glob);
            rules.push(*rule);
        }
    }
    let set = set.build().map_err(|error| Error::internal(format!("rules: {error}")))?;
    Ok(Matcher { set, rules })
}
