//! Databases among the steps: written into the live file, after a copy of it was saved.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::moves::{Spots, take_away_to};
use super::places::LOGS;
use crate::ambient::{FailPoints, announced};
use crate::engine::roots;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::format::RootRecord;
use crate::local::{Before, Journal, Step};
use crate::source::database::{Redact, host_database};
use crate::source::place::Spot;
use crate::source::sqlite::{self, Keep};
use crate::source::{RelPath, walk};

/// How long a live database may be locked by others. The gateway waits no longer for its own.
const LOCKED: Duration = Duration::from_secs(10);
/// How long copying a live database may take.
const COPYING: Duration = Duration::from_mins(5);

/// Which of the host's databases a step is about.
pub(super) fn kind_of(journal: &Journal, step: &Step) -> Redact {
    let root = journal.root_kinds.get(usize::from(step.root));
    let kind =
        root.and_then(|kind| roots::kind(&RootRecord { kind: *kind, path: Vec::new(), at: None }));
    let path = RelPath::from_bytes(step.path.clone());
    kind.and_then(|kind| host_database(&path, kind)).unwrap_or(Redact::None)
}

/// Databases among the steps of a journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Databases<'a> {
    pub(super) journal: &'a Journal,
    pub(super) steps: &'a dyn FailPoints,
    /// Whether no step was ever begun.
    pub(super) first: bool,
}

impl Databases<'_> {
    /// Writes the staged database into the live one, after a copy of that was saved.
    pub(super) fn write(self, step: &Step, spots: &Spots) -> Result<()> {
        if spots.new.stat()?.is_none() {
            return Ok(());
        }
        let raw = spots.old.beside(".raw");
        let here = spots.place.stat()?.and_then(|stat| stat.kind);
        // No connection works with one that is broken, and it is moved away as it is. That was found out when this was
        // staged, by somebody who had the time to wait: what cannot be copied now may just be in use.
        if here != Some(EntryKind::File) || raw.stat()?.is_some() || step.broken {
            return place_database(spots, &raw);
        }
        if spots.old.stat()?.is_none() {
            let part = spots.old.beside(".part");
            let planned = is_as_planned(step, &spots.place);
            save(self, &spots.place, &part)?;
            if let Some(before) = planned.filter(|_| is_as_planned(step, &spots.place).is_some()) {
                // It says that the safety snapshot has this, too.
                part.set_time(before.mtime_ns)?;
            }
            part.move_to(&spots.old)?;
        } else if !self.first {
            keep_late(self, spots)?;
        }
        let work = spots.new.beside(".work");
        spots.new.copy_file(&work)?;
        let kind = match kind_of(self.journal, step) {
            Redact::None => about(sqlite::kind_by_schema(work.path()), &spots.place)?,
            kind => kind,
        };
        let keep = keep(self.journal.arrival.is_some());
        if sqlite::quick_check(spots.old.path()).is_ok() {
            let kept = announced(self.steps, "keep rows", work.path(), || {
                sqlite::keep_live(work.path(), spots.old.path(), kind, keep)
            });
            for lost in about(kept, &spots.place)? {
                tracing::warn!(path = %spots.place.path().display(), lost, "rows not kept");
            }
        } else {
            // What cannot be read cannot be kept; the user was told when this was staged.
            tracing::warn!(path = %spots.place.path().display(), "the live database is broken");
        }
        let checked = sqlite::quick_check(work.path());
        about(checked, &spots.place)?;
        let place = spots.place.path();
        if let Err(error) = sqlite::write_back(work.path(), place, LOCKED, self.steps) {
            // It is as it was, so there is nothing to write back, for which a full disk would have no room. Unless
            // an earlier run was cut off: that may have written it.
            if self.first {
                spots.old.move_to(&spots.used.beside(".old"))?;
            }
            return Err(error);
        }
        work.remove()?;
        spots.new.move_to(&spots.used)
    }

    /// Takes that back.
    pub(super) fn unwrite(self, spots: &Spots) -> Result<()> {
        let raw = spots.old.beside(".raw");
        if raw.stat()?.is_some() {
            if spots.new.stat()?.is_none() {
                take_files(&spots.place, &spots.new)?;
            }
            raw.move_to(&spots.place)?;
        } else {
            if spots.used.stat()?.is_some() {
                spots.used.move_to(&spots.new)?;
            }
            if spots.old.stat()?.is_some() {
                if spots.place.stat()?.is_some() {
                    let place = spots.place.path();
                    sqlite::write_back(spots.old.path(), place, LOCKED, self.steps)?;
                    spots.old.move_to(&spots.used.beside(".old"))?;
                } else {
                    spots.old.move_to(&spots.place)?;
                }
            } else if spots.new.stat()?.is_none() {
                // It was put where none was.
                take_files(&spots.place, &spots.new)?;
            }
        }
        move_logs(&raw, &spots.place)
    }
}

/// Puts a database where none is, or none that can be used. Logs of another would be played into it.
fn place_database(spots: &Spots, raw: &Spot) -> Result<()> {
    let owner = match raw.stat()? {
        Some(old) => old.owner,
        None => spots.place.owner()?,
    };
    spots.new.set_owner(owner)?;
    if spots.place.stat()?.is_some() {
        let taken = raw.stat()?.is_some();
        take_away_to(&spots.place, &if taken { spots.old.beside(".late") } else { raw.clone() })?;
    }
    move_logs(&spots.place, raw)?;
    spots.new.move_to(&spots.place)
}

/// Moves a database and its logs.
fn take_files(from: &Spot, to: &Spot) -> Result<()> {
    move_logs(from, to)?;
    if from.stat()?.is_some() { from.move_to(to) } else { Ok(()) }
}

fn move_logs(from: &Spot, to: &Spot) -> Result<()> {
    for log in LOGS {
        if from.beside(log).stat()?.is_some() {
            from.beside(log).move_to(&to.beside(log))?;
        }
    }
    Ok(())
}

/// What a database was when its step was planned, if nobody has written to it since.
pub(super) fn is_as_planned(step: &Step, place: &Spot) -> Option<Before> {
    let before = step.before?;
    let now = walk::fingerprint(place.path(), true).ok()?;
    let same = (now.size, now.mtime_ns, now.inode, now.log.0, now.log.1)
        == (before.size, before.mtime_ns, before.inode, before.log_size, before.log_mtime_ns);
    same.then_some(before)
}

/// Keeps what others have written to the live database since an earlier run was cut off. It may also be what that run
/// found, or what it wrote itself.
fn keep_late(apply: Databases<'_>, spots: &Spots) -> Result<()> {
    let late = spots.old.beside(".late");
    if late.stat()?.is_some() {
        return Ok(());
    }
    let part = spots.old.beside(".part");
    save(apply, &spots.place, &part)?;
    for known in [&spots.old, &spots.new.beside(".work")] {
        // One that cannot be compared is kept.
        if sqlite::same_pages(part.path(), known.path()).unwrap_or(false) {
            return part.remove();
        }
    }
    part.move_to(&late)
}

/// Copies the live database, as it is at one moment, and makes the copy durable.
fn save(apply: Databases<'_>, live: &Spot, to: &Spot) -> Result<()> {
    to.remove()?;
    let cancel = CancellationToken::new();
    let options =
        sqlite::CaptureOptions { redact: Redact::None, deadline: COPYING, cancel: &cancel };
    announced(apply.steps, "copy database", live.path(), || {
        sqlite::capture(live.path(), to.path(), &options)
    })?;
    to.sync()
}

/// The user knows the database, not our copies of it.
pub(super) fn about<T>(result: Result<T>, live: &Spot) -> Result<T> {
    result.map_err(|error| match error {
        Error::Database { message, .. } => {
            Error::Database { path: live.path().to_path_buf(), message }
        }
        Error::DatabaseBusy { message, .. } => {
            Error::DatabaseBusy { path: live.path().to_path_buf(), message }
        }
        other => other,
    })
}

/// Whose rows a database gets where both have some.
pub(in crate::ops) fn keep(arriving: bool) -> Keep {
    if arriving { Keep::WhatThereIs } else { Keep::All }
}
