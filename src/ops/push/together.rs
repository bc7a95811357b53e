//! What is read in another way than one file after the other: databases that others lock or that SQLite cannot read, and
//! files with logs beside them.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::capture::{Capture, Content, Draft, ReadError};
use crate::chunk::Cutter;
use crate::engine::file_cache::Memory;
use crate::error::{Error, Result};
use crate::format::EntryFlags;
use crate::source::database::host_database;
use crate::source::logs::base_of;
use crate::source::walk::{self, Walk};
use crate::source::{Fingerprint, Found, Root, absolute, holes, open_plain, sqlite};

/// How long a push waits for databases that others lock, all together. Somebody who writes is done within moments; who
/// keeps a database locked for longer must not keep the rest of the state from being saved.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long each of them is waited for at least.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// Pause before a locked database is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// For a file its logs, as indices of what was found.
pub(super) type Logs = HashMap<usize, Vec<usize>>;

/// Puts the logs of databases behind what was found, and tells which of the files that are `read` they belong to; also
/// of the logs that are files like any other and are read, too.
pub(super) fn logs_of(walk: &mut Walk, read: &[usize]) -> Logs {
    let place = |found: &Found| (found.root, found.path.clone());
    let mut files: HashMap<_, usize> = HashMap::new();
    for index in read {
        let Some(found) = walk.found.get(*index) else { continue };
        if found.fingerprint.log != Default::default() {
            files.insert(place(found), *index);
        }
    }
    let mut logs = Logs::new();
    let mut note = |log: &Found, index: usize| {
        let base = base_of(&log.path).map(|base| (log.root, base));
        if let Some(file) = base.and_then(|base| files.get(&base)) {
            logs.entry(*file).or_default().push(index);
        }
    };
    for index in read {
        if let Some(found) = walk.found.get(*index) {
            note(found, *index);
        }
    }
    let first = walk.found.len();
    for (at, log) in walk.logs.iter().enumerate() {
        note(log, first + at);
    }
    walk.found.append(&mut walk.logs);
    logs
}

/// The logs of a database that SQLite could not read, and that has not changed since, are in the newest snapshot as they are.
pub(super) fn keep_known_logs(walk: &mut Walk, memory: &Memory) {
    let known = |log: &Found| {
        let base = base_of(&log.path)?;
        let at =
            walk.found.binary_search_by(|found| (found.root, &found.path).cmp(&(log.root, &base)));
        let entry = memory.unchanged(walk.found.get(at.ok()?)?)?;
        entry.flags.has(EntryFlags::AS_BYTES).then_some(())
    };
    let (kept, rest): (Vec<Found>, Vec<Found>) =
        std::mem::take(&mut walk.logs).into_iter().partition(|log| known(log).is_some());
    walk.logs = rest;
    if !kept.is_empty() {
        walk.found.extend(kept);
        walk.found.sort_unstable_by(|a, b| (a.root, &a.path).cmp(&(b.root, &b.path)));
    }
}

impl Capture<'_, '_> {
    /// Captures a database. One that others lock is tried again for a while.
    pub(super) fn database_in_time(
        &mut self,
        path: &Path,
        found: &Found,
        root: &Root,
    ) -> Result<Content, ReadError> {
        let patience = self.patience.max(LEAST_PATIENCE);
        let mut waited = Duration::ZERO;
        loop {
            match self.database(path, found, root) {
                Err(ReadError::Database(Error::DatabaseBusy { .. })) if waited < patience => {
                    // This thread is none of the runtime's.
                    tokio::runtime::Handle::current().block_on(self.clock.sleep(PAUSE));
                    waited += PAUSE;
                    self.patience = self.patience.saturating_sub(PAUSE);
                }
                Err(ReadError::Database(Error::DatabaseBusy { path, .. })) => {
                    let message = format!("somebody kept it locked for {} s", waited.as_secs());
                    return Err(ReadError::Database(Error::DatabaseBusy { path, message }));
                }
                done => return done,
            }
        }
    }

    /// What is stored of a database that could not be captured: its bytes, where SQLite makes nothing of it. One that
    /// is only locked, or too large to be copied, is named.
    pub(super) fn instead(
        &mut self,
        found: Found,
        logs: Vec<Found>,
        root: &Root,
        error: &Error,
    ) -> Result<Vec<(usize, Draft)>> {
        let path = absolute(&root.path, &found.path);
        if std::fs::symlink_metadata(&path).is_err() {
            return Ok(Vec::new());
        }
        let host = host_database(&found.path, root.kind).is_some();
        let unreadable = matches!(error, Error::Database { .. });
        if unreadable && !self.may_leak(&path, &found, &logs, root) {
            return self.together(found, logs, root, EntryFlags::AS_BYTES);
        }
        let code = if host { "B2_SKIPPED_HOST_DATABASE" } else { error.code() };
        let mut message = error.to_string();
        if unreadable {
            message.push_str(
                "; its bytes are left out, since they may hold secrets and nothing is encrypted",
            );
        }
        self.skip(&found, code, message);
        Ok(Vec::new())
    }

    /// Whether the bytes of the database at `path` may hold secrets that everybody could read: it is one of the host's, or
    /// may be a copy of one under another name.
    pub(super) fn may_leak(&self, path: &Path, found: &Found, logs: &[Found], root: &Root) -> bool {
        let logs: Vec<_> = logs.iter().map(|log| absolute(&root.path, &log.path)).collect();
        self.redact
            && !self.sealed
            && (host_database(&found.path, root.kind).is_some()
                || sqlite::may_hold_secrets(path, &logs))
    }

    /// Reads a file and its logs as bytes, all as they are at one moment; once more when one changed meanwhile, and then
    /// as they are, with a remark.
    pub(super) fn together(
        &mut self,
        found: Found,
        logs: Vec<Found>,
        root: &Root,
        flags: EntryFlags,
    ) -> Result<Vec<(usize, Draft)>> {
        let path = absolute(&root.path, &found.path);
        let cutter = Cutter::file(self.seed);
        let members: Vec<Found> = std::iter::once(found).chain(logs).collect();
        let mut before = Self::stamps(root, &members);
        let mut again = true;
        let skipped = self.skipped.len();
        loop {
            self.skipped.truncate(skipped);
            let mut read: Vec<(usize, Found, Content)> = Vec::new();
            for (at, member) in members.iter().enumerate() {
                let path = absolute(&root.path, &member.path);
                let content = open_plain(&path)
                    .map_err(ReadError::File)
                    .and_then(|file| self.take(&cutter, &mut *holes::reader(file)));
                match content {
                    Ok(content) => read.push((at, member.clone(), content)),
                    Err(error) => self.unread(member, &path, error)?,
                }
                if at == 0 && read.is_empty() {
                    return Ok(Vec::new());
                }
            }
            let after = Self::stamps(root, &members);
            let whole = read.iter().all(|(at, _, content)| {
                after.get(*at).copied().flatten().is_some_and(|now| now.size == content.size)
            });
            let stable = before == after && whole && read.len() == members.len();
            if !stable && again && std::fs::symlink_metadata(&path).is_ok() {
                before = after;
                again = false;
                continue;
            }
            let draft = |(at, mut member, mut content): (usize, Found, Content)| {
                if at == 0 {
                    content.flags = content.flags.with(flags);
                }
                if !stable {
                    content.flags = content.flags.with(EntryFlags::CHANGED_WHILE_READ);
                }
                if let Some(stamp) = before.get(at).copied().flatten() {
                    member.fingerprint = Fingerprint { log: member.fingerprint.log, ..stamp };
                }
                (at, Draft::Read(member, content))
            };
            return Ok(read.into_iter().map(draft).collect());
        }
    }

    fn stamps(root: &Root, members: &[Found]) -> Vec<Option<Fingerprint>> {
        let look =
            |found: &Found| walk::fingerprint(&absolute(&root.path, &found.path), false).ok();
        members.iter().map(look).collect()
    }
}
