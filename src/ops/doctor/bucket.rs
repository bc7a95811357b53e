//! The bucket: whether it can be read, what lies in it and what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chart::Chart;
use super::rules;
use crate::engine::head::Unlisted;
use crate::engine::problem::{self, FileProblem};
use crate::engine::session::{Session, Settings};
use crate::engine::time::time;
use crate::engine::tree::{choose, content_of, entries};
use crate::error::{Error, Result};
use crate::format::{SecretKind, SnapshotName};
use crate::repo::{History, Snapshot, Standing, histories, stored_slots};
use crate::store::ObjectStore;
use crate::store::b2::KeyFacts;

/// A wrong clock that signatures survive, but that makes snapshots look older or newer than they are.
const SOME_SKEW_S: u64 = 60;
/// From here on the server's time is taken for signatures; at 15 minutes it would refuse them.
const MUCH_SKEW_S: u64 = 10 * 60;

pub(super) async fn check(
    session: &Session,
    facts: Option<&KeyFacts>,
    chart: &mut Chart,
) -> Result<()> {
    let folder = matches!(session.settings.store.folder(), Ok(Some(_)));
    let snapshots = match session.store.list("", true).await {
        Ok(listing) => {
            let name = |prefix: &String| SnapshotName::parse(prefix.strip_suffix('/')?);
            listing.prefixes.iter().filter_map(name).collect::<Vec<_>>()
        }
        Err(error) => {
            chart.error("bucket", &error);
            if matches!(error, Error::Network { .. } | Error::Credentials { .. }) {
                return Ok(());
            }
            // A key that may not list may still be asked what the bucket does by itself.
            return rules::check(&session.settings, &*session.store, facts, &mut *chart).await;
        }
    };
    let (bucket, prefix) = (&session.settings.store.bucket, &session.settings.store.prefix);
    let found = format!("{} snapshots in {bucket} below {prefix}/", snapshots.len());
    chart.ok("bucket", found);
    if !folder {
        clock(session.store.server_offset_ms(), chart);
        rules::check(&session.settings, &*session.store, facts, chart).await?;
        versions(&*session.store, chart).await?;
    }
    slots(&session.settings, &*session.store, chart).await;
    newest(session, &snapshots, chart).await
}

fn clock(offset_ms: i64, chart: &mut Chart) {
    let seconds = offset_ms.unsigned_abs() / 1000;
    let side = if offset_ms < 0 { "ahead of" } else { "behind" };
    let message = format!("the clock of this machine is {seconds} s {side} the server's");
    let advice = "Set the clock; switch on time synchronisation (NTP)";
    if seconds >= MUCH_SKEW_S {
        chart.problem("clock", "B2_CLOCK", message, advice);
    } else if seconds >= SOME_SKEW_S {
        chart.note("clock", message, advice);
    } else {
        chart.ok("clock", "the clock of this machine agrees with the server's");
    }
}

async fn versions(store: &dyn ObjectStore, chart: &mut Chart) -> Result<()> {
    let all = match store.list_versions("").await {
        Ok(Some(all)) => histories(all),
        Ok(None) => {
            let message = "the server keeps no versions: what is deleted or overwritten is gone";
            chart.note(
                "versions",
                message,
                "Switch versioning on for the bucket, where the server has it",
            );
            return Ok(());
        }
        Err(error @ Error::Capability { .. }) => {
            chart.note("versions", format!("hidden versions cannot be looked at: {error}"), "");
            return Ok(());
        }
        Err(error) => {
            chart.error("versions", &error);
            return Ok(());
        }
    };
    let count = |standing: Standing, only: &str| {
        let named = |(key, history): &(&String, &History)| {
            key.ends_with(only) && history.standing() == standing
        };
        all.iter().filter(named).count()
    };
    let bytes: u64 = all.values().map(History::unseen_bytes).sum();
    if count(Standing::Hidden, "") + count(Standing::Overwritten, "") == 0 && bytes == 0 {
        chart.ok("versions", "nothing is hidden or overwritten");
        return Ok(());
    }
    let hidden = format!(
        "{} objects are hidden, {} snapshots among them; hidden and old versions take {} MB",
        count(Standing::Hidden, ""),
        count(Standing::Hidden, "/manifest"),
        bytes.div_ceil(1_000_000),
    );
    let advice = "A prune with a key that may not delete hides, too. If you did not want it: b2-backup undelete --dry-run";
    chart.note("versions", hidden, advice);
    let overwritten = count(Standing::Overwritten, "");
    if overwritten > 0 {
        let message = format!(
            "{overwritten} objects were written more than once, which this program never does"
        );
        let advice = "b2-backup undelete --dry-run checks them. If it finds damage: who else has a key for this bucket?";
        chart.note("versions", message, advice);
    }
    Ok(())
}

async fn slots(settings: &Settings, store: &dyn ObjectStore, chart: &mut Chart) {
    if !settings.encrypt {
        return;
    }
    let (slots, unreadable) = match stored_slots(store).await {
        Ok(stored) => stored,
        Err(error) => return chart.error("keys", &error),
    };
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for stored in &slots {
        *kinds.entry(secret_name(stored.slot.kind())).or_default() += 1;
    }
    let list: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if !list.is_empty() {
        chart.ok("keys", format!("key slots below keys/: {}", list.join(", ")));
    } else if unreadable.is_empty() {
        chart.ok("keys", "no key slots yet; the first push makes one");
    }
    if !unreadable.is_empty() {
        let message = format!("{} below keys/ cannot be read as key slots", unreadable.join(", "));
        let advice = "Each snapshot has the slots that there were when it was made, so what opened it still does. \
                      b2-backup undelete brings back what was overwritten";
        chart.note("keys", message, advice);
    }
}

fn secret_name(kind: SecretKind) -> &'static str {
    match kind {
        SecretKind::ApplicationKey => "of an application key",
        SecretKind::Passphrase => "of a passphrase",
        SecretKind::Recovery => "of a recovery code",
    }
}

/// Opens the newest snapshot with the secrets at hand alone, as a blank machine would.
async fn newest(session: &Session, snapshots: &[SnapshotName], chart: &mut Chart) -> Result<()> {
    let mut lost = Vec::new();
    match Unlisted::find_all(session, snapshots).await {
        Ok(unlisted) => {
            let advice = "If nobody deleted it on purpose: b2-backup undelete --dry-run";
            for gone in &unlisted.gone {
                let item = if gone.newest { "newest" } else { "snapshots" };
                chart.problem(item, "B2_OBJECT_MISSING", gone.to_string(), advice);
            }
            lost.extend(unlisted.gone.iter().map(ToString::to_string));
            if snapshots.is_empty() && unlisted == Unlisted::default() {
                chart.note("newest", "there is no snapshot yet", "b2-backup push");
            }
        }
        Err(error) => chart.error("newest", &error),
    }
    if snapshots.is_empty() {
        return Ok(());
    }
    let blank = Session {
        settings: session.settings.clone(),
        ambient: session.ambient.clone(),
        store: Arc::clone(&session.store),
        ring: Arc::new(session.ring.emptied()),
        local: session.local.clone(),
        warnings: Vec::new(),
        before: session.before,
        agent_workspace: None,
    };
    let (snapshot, passed_over) = match choose(&blank, "latest", false).await {
        Ok(chosen) => chosen,
        Err(error) => {
            chart.error("newest", &error);
            return Ok(());
        }
    };
    for warning in passed_over.into_iter().filter(|warning| !lost.contains(warning)) {
        chart.problem(
            "newest",
            "B2_DAMAGED",
            warning,
            "b2-backup verify shows what else is affected",
        );
    }
    completeness(&snapshot, chart);
    let (id, at) = (snapshot.id.to_string(), time(snapshot.manifest.local_time_ms));
    match entries(&content_of(&blank, snapshot)).await {
        Ok(all) => {
            let message =
                format!("{id}, made at {at}, opens with the secret at hand: {} entries", all.len());
            chart.ok("newest", message);
        }
        Err(error) => chart.error("newest", &error),
    }
    Ok(())
}

/// Says what the newest snapshot lacks.
fn completeness(snapshot: &Snapshot, chart: &mut Chart) {
    let remarks = problem::of_manifest(&snapshot.manifest);
    let Some(lacks) = problem::lacks(&remarks) else { return };
    let message = format!("{} is incomplete: {lacks}", snapshot.id);
    let advice = "b2-backup show says why; docs/errors.md tells what to do about each code. The next push tries again";
    // The worst comes first.
    match remarks.first().and_then(FileProblem::failure) {
        Some(code) => chart.problem("complete", code, message, advice),
        None => chart.note("complete", message, advice),
    }
}
